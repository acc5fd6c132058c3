#!/usr/bin/env python3
"""json_shape.py examples PAGE: the commands of the manual page's section JSON, one a line.
json_shape.py compare PAGE COMMAND < OUTPUT: says how the output of a command differs in keys, their order or types from the example; nothing where it does not.
json_shape.py write COMMAND < OUTPUT: the output as an example, with one element of each list."""
import json
import re
import sys


def examples(page):
    section = re.search(r"^\.Sh JSON\n(.*?)(?=^\.Sh )", open(page).read(), re.S | re.M)
    found = re.findall(r"^\.Dl # countersignctl --json ([^\n]*)\n\.Bd -literal[^\n]*\n(.*?)^\.Ed", section.group(1) if section else "", re.S | re.M)
    return {command: json.loads(text.replace("\\e", "\\"), object_pairs_hook=dict) for command, text in found}


def kind(value):
    return "bool" if isinstance(value, bool) else type(value).__name__


def differences(shown, real, where="it"):
    """Texts and times may be null, in the example or in life."""
    if (shown is None or isinstance(shown, str)) and (real is None or isinstance(real, str)):
        return
    if kind(shown) != kind(real):
        yield f"{where} is {kind(real)}, not {kind(shown)}"
    elif isinstance(shown, dict):
        if list(shown) != list(real):
            yield f"{where} has {' '.join(real)}, not {' '.join(shown)}"
        for key in shown:
            if key in real:
                yield from differences(shown[key], real[key], key)
    elif isinstance(shown, list):
        if not shown:
            yield f"{where} has no element in the example"
        for element in real:
            yield from differences(shown[0], element, f"an element of {where}")


def shortened(value):
    if isinstance(value, dict):
        return {key: shortened(inner) for key, inner in value.items()}
    return [shortened(inner) for inner in value[:1]] if isinstance(value, list) else value


task, *rest = sys.argv[1:]
if task == "examples":
    print(*examples(rest[0]), sep="\n")
elif task == "compare":
    page = examples(rest[0])
    real = json.load(sys.stdin)
    print(*(differences(page[rest[1]], real) if rest[1] in page else ["there is no example"]), sep="\n")
    if isinstance(real, list) and not real:
        print("it is empty, and shows nothing")
else:
    text = json.dumps(shortened(json.load(sys.stdin)), indent=2, ensure_ascii=False).replace("\\", "\\e")
    print(f".Pp\n.Dl # countersignctl --json {rest[0]}\n.Bd -literal -offset indent\n{text}\n.Ed")
