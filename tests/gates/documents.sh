#!/usr/bin/env bash
# What the documents say against what the programs do: options, configuration keys, reason codes, the state tables.
. "$(dirname "$0")/../lib/tap.sh"
cd "$top"

page_of() { ls docs/man/"$1".[0-9]; }
# Every long option in a program's sources (getopt tables) is in its manual page.
options_in() { { grep -hoE '\{ *"[a-z][a-z-]+", *(no|required|optional)_argument' -r "$1"; grep -hoE '\{ *"--[a-z][a-z-]+", *(NULL|"[A-Z]+")' -r "$1"; } | sed -E 's/\{ *"-*([a-z-]+)".*/\1/' | sort -u; }
while read -r program sources; do
    page=$(page_of "$program")
    ok "$program has a manual page" test -f "$page"
    for option in $(options_in "$sources"); do
        ok "$program --$option is in its manual page" grep -qE "Fl -${option}( |$)" "$page"
    done
done <<'TABLE'
countersignd agent/authority
countersignctl agent/admin
countersign agent/client
TABLE
for page in docs/man/*.[0-9]; do
    is "$page is clean mdoc" "$(mandoc -Tlint -W warning "$page" 2>&1)" ""
done

# The configuration: sample, manual page and parser know the same keys.
for key in $(grep -oE '^[[:space:]]*#?[[:space:]]*[a-z-]+ *=' samples/countersign.conf | tr -d '#= \t' | sort -u); do
    ok "the key $key is in countersign.conf(5)" grep -qE "^\.It (Ic|Cm|Va|Li) $key( |$)" docs/man/countersign.conf.5
done

# Reason codes: each is in the protocol and in the manual.
for code in $(grep -oE '"[a-z]+(-[a-z]+)+"' common/enroll/reason.c | tr -d '"' | sort -u); do
    ok "the reason code $code is in docs/protocol.md" grep -qF "\`$code\`" docs/protocol.md
done
is "docs/states.md is what the tables say" "$(diff docs/states.md "$build/states.md")" ""

# The project speaks of itself alone.
for link in $(grep -hoE '\]\([^)#]+' README.md docs/*.md | sed 's/](//' | grep -v '://' | sort -u); do
    ok "the link $link leads somewhere" bash -c "test -e '$link' || test -e 'docs/$link'"
done
done_testing
