#!/usr/bin/env bash
# countersign renew (P3.7, P4.5): asked for and opened, by password and by pinentry; the old certification stays until then, a lost reply is cured by asking again, a
# crash half-way by opening again; new subkeys and a new expiry come along, with a deposit where the encryption key is new.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set limits mails-per-address-day 10000
countersignctl authority export >"$T/card.asc"
sa=$(gpg --show-keys --with-colons "$T/card.asc" 2>/dev/null | awk -F: '/^fpr/{print $10; exit}')
secret() { printf '%s\n' "$2" >"$T/$1" && chmod 600 "$T/$1"; }
secret password 'correct horse'
secret wrong 'wrong horse'
ask() { # WHO [OPTION...]
    token_for "$1@example.org" >"$T/$1.token" && chmod 600 "$T/$1.token"
    as "$1" countersign request --token-file "$T/$1.token" --authority-key "$T/card.asc" --address "$1@example.org" --submit "maildir:$T/mail/inbox" "${@:2}"
}
opens() { as "$1" countersign open --submit "maildir:$T/mail/inbox" "${@:2}" "$(reply_to "$1@example.org")"; }
renews() { as "$1" countersign renew --submit "maildir:$T/mail/inbox" "${@:2}"; }
page() { as "$1" countersign status --json default | python3 -c "import json,sys; print(json.load(sys.stdin)['$2'])"; }
until_of() { store_sql "SELECT certified_until FROM keyset WHERE address = '$1@example.org' AND superseded = 0"; }
lasts() { conf_set policy certify "\"$1\"" && conf_set policy certify-spread 0; }
in_box() { find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l; }
waiting() { ls "$T/$1/.local/share/countersign/pending" | wc -l; }
asked() { cat "$T/$1/pin/count" 2>/dev/null || echo 0; }
certifications() { as "$1" gpg --list-sigs --with-colons "$1@example.org" 2>/dev/null | grep -c "^sig:.*:${sa:24}:"; }
state_of() { countersignctl --json user show "$1@example.org" | python3 -c 'import json,sys; print(*sorted(k["name"]+"="+k["state"] for k in json.load(sys.stdin)["keysets"]))'; }
deposits() { store_sql "SELECT count(*) FROM deposit WHERE address = '$1@example.org'"; }

# ---- level low: nothing is asked ----
user alice
lasts 20d
ok "alice enrolls for 20 days" ask alice --name 'Alice Example'
agent_once
ok "and opens the reply" opens alice --level low
agent_once
exits "list warns of the end" 0 as alice countersign list
like "and says what to do" "$exits_output" 'certification of the keyset "default" .* ends on .*countersign renew "default"'
lasts 100d
first=$(until_of alice)
here=$(page alice certified_until)
ok "she renews" renews alice
is "one renewal waits" "$(waiting alice)" 1
like "and is in list" "$(as alice countersign list 2>/dev/null)" 'default +alice@example.org +renewing'
agent_once
is "until it is opened nothing has changed" "$(until_of alice) $(page alice certified_until)" "$first $here"
is "nor in her home" "$(certifications alice)" 1
# The reply is lost.
clear_sent
ok "she renews again" renews alice default
is "still one renewal waits" "$(waiting alice)" 1
agent_once
exits "the reply opens" 0 opens alice
like "and says until when" "$exits_output" 'renewed: it is certified until'
is "here it is longer" "$([[ $(page alice certified_until) > $here ]]; echo $?)" 0
is "nothing waits" "$(waiting alice)" 0
agent_once
is "the authority has its confirmation" "$([ "$(until_of alice)" -gt "$first" ]; echo $?)" 0
is "the keyset is active" "$(state_of alice) $(page alice state)" "default=active active"
unlike "list warns no more" "$(as alice countersign list 2>&1)" 'countersign renew'
exits "opened again nothing changes" 0 opens alice
like "and it says so" "$exits_output" 'installed already; nothing was changed'
is "no second deposit was made" "$(deposits alice)" 1

# ---- a new encryption key, a new expiry ----
key=$(page alice fingerprint | tr -d ' ')
old=$(as alice gpg --list-keys --with-colons "$key" 2>/dev/null | awk -F: '/^sub/{s = 1} /^fpr/ && s {print $10; exit}')
as alice gpg --batch --quiet --trust-model always --armor -er "$key" <<<"before" >"$T/alice.before"
printf 'key 1\nrevkey\ny\n2\n\ny\nsave\n' | as alice gpg --quiet --no-tty --command-fd 0 --pinentry-mode loopback --passphrase '' --edit-key "$key" >/dev/null 2>&1
as alice gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-add-key "$key" cv25519 encr 0 2>/dev/null
as alice gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-set-expire "$key" 2y 2>/dev/null
exits "alice renews with a new encryption key" 0 renews alice
like "which is deposited" "$exits_output" 'sealed copy of your encryption key'
agent_once
is "it is" "$(deposits alice)" 2
ok "the reply opens" opens alice
agent_once
unlike "the authority has the new one in force" "$(store_sql "SELECT encryption_fingerprint FROM keyset WHERE address = 'alice@example.org'")" "$old"
is "status knows the deposit" "$(page alice deposited)" True
exits "the next renewal brings nothing new" 0 renews alice
unlike "and deposits nothing" "$exits_output" 'sealed copy'
agent_once
ok "its reply opens" opens alice
agent_once
is "she has three certifications after four" "$(state_of alice)" default=active

# ---- level high: the password, by file and by pinentry ----
user bob
echo 's2k-count 65536' >>"$T/bob/.gnupg/gpg-agent.conf"
ok "bob enrolls" ask bob --name 'Bob Example'
agent_once
ok "with a password" opens bob --level high --password-file "$T/password"
agent_once
before=$(in_box)
rm -f "$T"/bob/pin/*
exits "he renews without it" 77 renews bob
exits "or with a wrong one" 77 renews bob --password-file "$T/wrong"
is "nothing was sent" "$(in_box)" "$before"
is "nothing waits" "$(waiting bob)" 0
ok "with the right one" renews bob --password-file "$T/password"
printf 'correct horse' >"$T/bob/pin/pin"
rm -f "$T/bob/pin/count"
ok "or typed" renews bob
is "once" "$(asked bob)" 1
agent_once
ok "and opens the reply" opens bob
agent_once
is "he is active" "$(state_of bob)" default=active

# ---- killed half-way ----
ok "bob renews once more" renews bob
agent_once
mkdir -m 700 "$T/bob/run"
for n in 1 2 3 4 5 6; do
    XDG_RUNTIME_DIR="$T/bob/run" as bob timeout -s KILL "0.$((n * 2))" countersign open --submit "maildir:$T/mail/inbox" "$(reply_to bob@example.org)" >/dev/null 2>&1
done
ok "opened again it completes" opens bob
is "nothing waits" "$(waiting bob)" 0
is "one keyset is here" "$(as bob countersign list --json | python3 -c 'import json,sys; print(*(k["state"] for k in json.load(sys.stdin)))')" active
agent_once
is "and with the authority" "$(state_of bob)" default=active

# ---- the agent is killed between committing a renewal and sending its reply ----
. "$top/tests/lib/daemon.sh"
submission=$(sed -n 's/^[[:space:]]*url = \("maildir:.*outgoing"\)/\1/p' "$COUNTERSIGN_CONF")
printf '#!/bin/sh\nexit 75\n' >"$T/full" && chmod 700 "$T/full"
conf_set submit url "\"sendmail:$T/full\""
before=$(until_of bob)
renewals() { store_sql "SELECT count(*) FROM renewal r JOIN keyset k ON k.id = r.keyset WHERE k.address = 'bob@example.org'"; }
committed=$(renewals)
clear_sent
ok "bob renews" renews bob
daemon_start
ok "the renewal is committed" await 20 eval '[ "$(renewals)" -gt "$committed" ]'
kill -9 $(descendants "$flow_daemon")
{ wait "$flow_daemon"; } 2>/dev/null
flow_daemon=
is "no reply has left" "$(count_to bob@example.org '^Subject: Reply')" 0
store_reply=$(store_sql "SELECT id FROM outbox WHERE kind = 'reply' AND sent = 0 AND recipient = 'bob@example.org'")
ok "it waits in the outbox" test -n "$store_reply"
for id in $store_reply; do ok "and is lost there" countersignctl outbox drop "$id"; done
conf_set submit url "$submission"
ok "bob's next renew" renews bob
agent_once
exits "succeeds" 0 opens bob
agent_once
ok "his certification is longer" test "$(until_of bob)" -gt "$before"
is "he is active still" "$(state_of bob)" default=active

# ---- what can't be renewed ----
user carol
exits "without a keyset" 67 renews carol
exits "an unknown one" 67 renews bob other
rm "$T"/bob/.gnupg/private-keys-v1.d/*.key
exits "one whose keys are gone" 67 renews bob
like "is one to recover" "$exits_output" 'gone or corrupt: ask your administrator to recover'
done_testing
