#!/usr/bin/env python3
"""find_token.py TOKENS PATH... : names every file below PATH that holds one of the tokens, in any form a mail system or a store would leave it in.

Exit status 0: found, 3: not found, anything else: it failed. Raw (also with hyphens, blanks or line ends lost), quoted-printable, base64, UTF-16, hexadecimal; letters in either case.
"""
import base64
import os
import quopri
import re
import sys


def squeezed(data):
    return re.sub(rb"[^0-9A-Za-z]", b"", data).upper()


def readings(data):
    yield data
    yield data.replace(b"\0", b"")
    if b"=" in data:
        yield quopri.decodestring(data)
    for block in re.findall(rb"(?:[A-Za-z0-9+/]{4,}=*\r?\n?){2,}", data):
        text = re.sub(rb"[\s=]", b"", block)
        for skip in range(4):
            part = text[skip:]
            yield base64.b64decode(part[: len(part) // 4 * 4])
    for run in re.findall(rb"(?:[0-9A-Fa-f]{2}){20,}", data):
        yield bytes.fromhex(run.decode())


def main():
    with open(sys.argv[1], "rb") as file:
        tokens = {squeezed(line) for line in file.read().splitlines() if line.strip()}
    found = False
    for root in sys.argv[2:]:
        for directory, _, names in os.walk(root):
            for name in names:
                path = os.path.join(directory, name)
                if not os.path.isfile(path) or os.path.islink(path):
                    continue
                with open(path, "rb") as file:
                    data = file.read()
                if any(token in text for text in map(squeezed, readings(data)) for token in tokens):
                    print(path)
                    found = True
    sys.exit(0 if found else 3)


if __name__ == "__main__":
    main()
