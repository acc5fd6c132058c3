# losing.sh: people who enroll, lose their keys, and get them back. Sourced after flow.sh.
authority_new
conf_set limits mails-per-address-day 10000
countersignctl authority export >"$T/card.asc"
secret() { printf '%s\n' "$2" >"$T/$1" && chmod 600 "$T/$1"; }
secret forgotten 'tip of my tongue'
secret password 'correct horse'
secret wrong 'wrong horse'
: >"$T/empty" && chmod 600 "$T/empty"
give() { token_for "$1@example.org" "${@:2}" >"$T/$1.token" && chmod 600 "$T/$1.token"; }
recover() { countersignctl recover "$1@example.org" 2>>"$T/ctl.err" | grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' | tee -a "$T/tokens" | tail -n 1 >"$T/$1.token" && chmod 600 "$T/$1.token"; }
ask() { as "$1" countersign request --submit "maildir:$T/mail/inbox" --token-file "$T/$1.token" --authority-key "$T/card.asc" --address "$1@example.org" "${@:2}"; }
opens() { as "$1" countersign open --submit "maildir:$T/mail/inbox" "${@:2}" "$(reply_to "$1@example.org")"; }
in_box() { find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l; }
waiting() { ls "$T/$1/.local/share/countersign/pending" | wc -l; }
asked() { cat "$T/$1/pin/count" 2>/dev/null || echo 0; }
state_of() { countersignctl --json user show "$1@example.org" | python3 -c 'import json,sys; print(*sorted(k["name"]+"="+k["state"] for k in json.load(sys.stdin)["keysets"]))'; }
local_of() { as "$1" countersign list --json | python3 -c 'import json,sys; print(*sorted(k["keyset"]+"="+k["state"] for k in json.load(sys.stdin)))'; }
key_of() { as "$1" countersign status --json "$2" | python3 -c 'import json,sys; print(json.load(sys.stdin)["fingerprint"].replace(" ", ""))'; }
# enrolls WHO KEYSET PASSWORD-FILE: a generation, and a mail that was encrypted to it
enrolls() {
    ask "$1" --keyset "$2" "${@:4}" >/dev/null && agent_once && opens "$1" --level high --password-file "$T/$3" >/dev/null && agent_once || return 1
    as "$1" gpg --batch --quiet --trust-model always --armor -er "$(key_of "$1" "$2")" <<<"mail to $2 of $1" >"$T/$1.$2.mail"
}
reads() { # WHO KEYSET PASSWORD-FILE: the mail of that generation, by this password
    as "$1" gpgconf --kill gpg-agent
    as "$1" gpg --batch --quiet --no-tty --pinentry-mode loopback --passphrase-file "$T/$3" -d "$T/$1.$2.mail" 2>/dev/null
}
releases() { store_sql 'SELECT count(*) FROM release'; }
