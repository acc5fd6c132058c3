#!/usr/bin/env bash
# What countersignctl(8) shows of each command with --json against what the command prints, at a real authority: keys, their order, and types.
# JSON_WRITE=FILE appends what is printed as examples.
. "$(dirname "$0")/../lib/flow.sh"
page=$top/docs/man/countersignctl.8
shape=$top/tests/lib/json_shape.py
run=" "

# shows COMMAND...: as the manual page has it, run in $T/here
shows() {
    local words="$*" out
    # shellcheck disable=SC2086
    out=$(cd "$T/here" && eval "countersignctl --json $words" 2>"$T/said" </dev/null)
    is "$words: as in the manual page" "$(python3 "$shape" compare "$page" "$words" <<<"$out" 2>&1)" ""
    [ -n "$out" ] || sed 's/^/#   /' "$T/said"
    [ -z "${JSON_WRITE:-}" ] || python3 "$shape" write "$words" <<<"$out" >>"$JSON_WRITE"
    run+="$words|"
}

mkdir -p "$T/here" "$T/sa"
sa=$COUNTERSIGN_CONF
COUNTERSIGN_CONF=$T/here/sa/sa.conf
shows init --address sa@example.org --maildir mail --state-directory sa/state --runtime-directory sa/run --no-passphrase
COUNTERSIGN_CONF=$sa
authority_new
conf_set wkd directory "\"$T/wkd\""

# Something of everything: Alice is enrolled with a deposit, Bob has a token, Carol a key without a deposit, and there is a mail that can't be opened.
countersignctl authority export >"$T/card.asc"
printf 'correct horse\n' >"$T/password"
chmod 600 "$T/password"
user alice
user carol
token_for alice@example.org >"$T/alice.token"
as alice countersign request --token-file "$T/alice.token" --authority-key "$T/card.asc" --address alice@example.org --name Alice --keyset laptop --submit "maildir:$T/mail/inbox" >/dev/null 2>&1
as carol gpg --batch --quiet --armor --export "$(gpg_key carol 'Carol <carol@example.org>')" >"$T/carol.asc"
plain_mail carol@example.org "$(token_for carol@example.org)" "$T/carol.asc" | deliver
python3 "$top/tests/lib/hostile_message.py" password | deliver
agent_once
as alice countersign open --level medium --password-file "$T/password" --submit "maildir:$T/mail/inbox" "$(reply_to alice@example.org)" >/dev/null 2>&1
agent_once
printf 'From: nobody@example.com\nTo: sa@example.org\nMessage-ID: <hello@example.com>\n\nhello\n' | deliver
agent_once

shows authority show
shows token issue bob@example.org --keyset laptop
echo 'dora@example.org,Dora,laptop' >"$T/here/people.csv"
shows token issue --csv people.csv
shows token list
shows user list
shows user show alice@example.org
shows outbox list
shows quarantine list
shows quarantine show 1
shows log --address alice@example.org
shows log verify
shows escrow show
conf_set policy escrow '"required"'
sqlite3 "$T/sa/state/countersign.db" "UPDATE deposit SET hash = zeroblob(32)"
shows escrow check
sqlite3 "$T/sa/state/countersign.db" "DELETE FROM deposit"
shows status
shows backup authority.backup --with-keys
shows backup --verify authority.backup
shows recover alice@example.org
shows revoke bob@example.org --reason left
mv "$T/sa/state" "$T/sa/lost"
rm "$T"/wkd/.well-known/openpgpkey/example.org/hu/kei1q4tipxxu1yj79k9kfukdhfy631xe
shows restore authority.backup --no-passphrase
shows restore --confirm --yes
shows escrow rotate --to-home new-escrow --no-passphrase

while read -r words; do
    ok "the example of \"$words\" is checked" grep -qF "$words|" <<<"$run"
done < <(python3 "$shape" examples "$page")
# The other commands print no data, or a format of their own.
silent=' token fill|token void|sendmail|filter|user prefer|authority export|authority unlock|unlock|wkd export|log export|report|quarantine release|quarantine drop|outbox retry|outbox drop|'
while read -r words; do
    ok "\"$words\" has an example, or prints no data" grep -qE "[ |]$words( [^|]*)?\|" <<<"$run|$silent"
done < <(countersignctl --help | sed -nE 's/^  ([a-z]+( [a-z]+)?)  .*/\1/p')
done_testing
