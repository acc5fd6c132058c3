#!/usr/bin/env bash
# What the documents say against what the programs do: options, configuration keys, reason codes, the state tables.
. "$(dirname "$0")/../lib/tap.sh"
cd "$top"

page_of() { ls docs/man/"$1".[0-9]; }
# Every long option that a program's help names is in its manual page; help is printed from the tables that read the options.
helps() {
    case $1 in
    countersign) for verb in request open list status password; do "$build/$1" $verb --help; done ;;
    *) "$build/$1" --help ;;
    esac
    [ "$1" != countersignctl ] || "$build/$1" --help | sed -nE 's/^  ([a-z]+( [a-z]+)?)  .*/\1/p' | while read -r words; do "$build/$1" $words --help; done
}
for program in countersignd countersignctl countersign; do
    page=$(page_of "$program")
    ok "$program has a manual page" test -f "$page"
    options=$(helps "$program" | grep -oE -- '--[a-z][a-z-]+' | sort -u)
    ok "$program: its help names options" test "$(wc -l <<<"$options")" -gt 3
    for option in $options; do
        ok "$program $option is in its manual page" grep -qE "Fl $(sed 's/^-//' <<<"$option")( |$)" "$page"
    done
done
for page in docs/man/*.[0-9]; do
    is "$page is clean mdoc" "$(mandoc -Tlint -W warning "$page" 2>&1)" ""
done

# The configuration: sample, manual page and parser know the same keys.
for key in $(grep -oE '^[[:space:]]*#?[[:space:]]*[a-z-]+ *=' samples/countersign.conf | tr -d '#= \t' | sort -u); do
    ok "the key $key is in countersign.conf(5)" grep -qE "^\.It (Ic|Cm|Va|Li) $key( |$)" docs/man/countersign.conf.5
done

# What the samples for desktops and mail programs run.
run=$(grep -ohE 'countersign (open|request)\b[^%`<";|]*' samples/countersign.desktop samples/mailcap samples/mutt samples/aerc samples/thunderbird.md | sed 's/ *$//' | sort -u)
is "the samples run countersign" "$(cut -d ' ' -f 2 <<<"$run" | sort -u | tr '\n' ' ')" "open request "
while read -r _ verb words; do
    for word in $words; do
        [[ $word != --* ]] || ok "the samples' $verb $word exists" grep -qE "^  $word( |$)" <("$build/countersign" $verb --help)
    done
done <<<"$run"
for file in samples/countersign.desktop samples/countersign-mime.xml samples/mailcap; do
    ok "$file is about the type that replies have" grep -q "$(sed -n 's/^#define REPLY_TYPE "\(.*\)"/\1/p' agent/client/opening.h)[;\"]" "$file"
done
ok "the MIME type is well-formed" python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' samples/countersign-mime.xml
is "the desktop entry needs no terminal" "$(grep -c '^Terminal=false$' samples/countersign.desktop)" 1
! command -v desktop-file-validate >/dev/null || ok "the desktop entry is valid" desktop-file-validate samples/countersign.desktop

# Reason codes: each is in the protocol and in the manual.
for code in $(sed -nE 's/.*\[REASON_[A-Z_]+\] = \{ "([a-z-]+)".*/\1/p' common/enroll/reason.c | grep -vx none); do
    ok "the reason code $code is in docs/protocol.md" grep -qF "\`$code\`" docs/protocol.md
    ok "the reason code $code is explained in countersignctl(8)" grep -qx ".It Cm $code" <(sed -n '/^\.Sh REASON CODES/,/^\.Sh EXAMPLES/p' docs/man/countersignctl.8)
done
is "docs/states.md is what the tables say" "$(diff docs/states.md "$build/states.md")" ""

# The project speaks of itself alone.
for link in $(grep -hoE '\]\([^)#]+' README.md docs/*.md | sed 's/](//' | grep -v '://' | sort -u); do
    ok "the link $link leads somewhere" bash -c "test -e '$link' || test -e 'docs/$link'"
done
done_testing
