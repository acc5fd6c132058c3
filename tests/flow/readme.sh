#!/usr/bin/env bash
# The five minutes of README.md, word for word, in a home of their own; only `make` and the path of the build are ours.
. "$(dirname "$0")/../lib/flow.sh"

block=$(sed -n '/^## Five minutes/,/^## /p' "$top/README.md" | sed -n '/^```$/,/^```$/p' | sed '/^```$/d')
like "the block is there" "$block" '^make$'
like "and puts the build into PATH" "$block" '^export PATH="\$PWD/build:\$PATH" '
words=$(sed -e '/^make$/d' -e 's|\$PWD/build|$build|' <<<"$block")
user home
printf 'set -eux\n%s\n' "$words" >"$T/words"
run_words() { HOME="$T/home" build=$build timeout 60 bash "$T/words" </dev/null; }
ok "every line of it works" run_words
export COUNTERSIGN_CONF="$T/home/sa/sa.conf"
like "at the end the keyset is active" "$(countersignctl user list)" 'alice@example.org .*active'
like "alice's gpg knows her key and believes it" "$(as home gpg --batch --list-keys alice@example.org 2>/dev/null)" 'ultimate\] Alice Example <alice@example.org>'
runtime=$(sed -n 's/^[[:space:]]*runtime-directory = "\(.*\)"/\1/p' "$COUNTERSIGN_CONF")
ok "the runtime directory is on tmpfs" grep -qE '^/(run|dev/shm)/.*countersign(-[0-9A-F-]+)?$' <<<"$runtime"
grep -qE 'countersign-[0-9A-F-]+$' <<<"$runtime" && rm -rf "$runtime"
done_testing
