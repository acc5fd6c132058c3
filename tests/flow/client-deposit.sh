#!/usr/bin/env bash
# The client's deposits (P2.2, P2.7, P2.8): made where the authority offers or requires them, and only for an authority that is known to be the right one; with
# and without a password, of keys that the user has already, and asked for again.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set limits mails-per-address-day 10000
countersignctl authority export >"$T/offered.asc"
fingerprint=$(gpg --show-keys --with-colons "$T/offered.asc" 2>/dev/null | awk -F: '/^fpr/{print $10; exit}')
secret() { printf '%s\n' "$2" >"$T/$1" && chmod 600 "$T/$1"; }
secret password 'correct horse'
secret wrong 'wrong horse'
give() { token_for "$1@example.org" >"$T/$1.token" && chmod 600 "$T/$1.token"; }
ask() { as "$1" countersign request --submit "maildir:$T/mail/inbox" "${@:2}"; }
card=$T/offered.asc
first() { give "$1" && ask "$1" --token-file "$T/$1.token" --authority-key "$card" --address "$1@example.org" "${@:2}"; }
token_mail() { countersignctl token issue "$1@example.org" --mail >/dev/null 2>&1 && cp "$(last_to "$1@example.org" '^Subject: Your token')" "$T/$1.eml"; }
terminal() { as "$1" "$top/tests/lib/terminal.py" "${@:2}"; }
opens() { as "$1" countersign open --submit "maildir:$T/mail/inbox" "${@:2}" "$(reply_to "$1@example.org")"; }
in_box() { find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l; }
deposits() { store_sql "SELECT count(*) FROM deposit WHERE address = '$1@example.org'"; }
says() { as "$1" countersign status --json "${2:-default}" | python3 -c 'import json,sys; print(json.load(sys.stdin)["deposited"])'; }
state_of() { countersignctl --json user show "$1@example.org" | python3 -c 'import json,sys; print(*(k["name"]+"="+k["state"] for k in json.load(sys.stdin)["keysets"]))'; }
asked() { cat "$T/$1/pin/count" 2>/dev/null || echo 0; }

# ---- offered, and the key given ----
user alice
exits "alice asks, with the authority's card" 0 first alice --name 'Alice Example'
like "she is told of the deposit" "$exits_output" 'sealed copy of your encryption key'
agent_once
is "the authority has one" "$(deposits alice)" 1
ok "she opens the reply" opens alice --level low
is "status says so" "$(says alice)" True
user bob
exits "bob wants none" 0 first bob --no-deposit
unlike "and is told of none" "$exits_output" 'sealed copy'
agent_once
is "there is none" "$(deposits bob)" 0
ok "he opens the reply" opens bob --level low
is "status says so, too" "$(says bob)" False
exits "both at once is a contradiction" 64 first bob --keyset two --deposit --no-deposit

# ---- the card comes by mail: whose key is it? (P2.8) ----
user carol
token_mail carol
exits "without a terminal nobody can say" 0 ask carol --address carol@example.org "$T/carol.eml"
like "so there is no deposit, and she is told" "$exits_output" 'No copy of your encryption key is deposited'
agent_once
is "there is none" "$(deposits carol)" 0
user dora
token_mail dora
exits "on a terminal she is asked, and says yes" 0 terminal dora '' '' - y -- countersign request --submit "maildir:$T/mail/inbox" "$T/dora.eml"
like "the fingerprint is shown" "$(tr -d ' ' <<<"$exits_output")" "$fingerprint"
agent_once
is "there is a deposit" "$(deposits dora)" 1
user erin
token_mail erin
exits "or she says no" 0 terminal erin '' '' - n -- countersign request --submit "maildir:$T/mail/inbox" "$T/erin.eml"
like "and is told what that means" "$exits_output" 'No copy of your encryption key is deposited'
agent_once
is "there is none" "$(deposits erin)" 0

# ---- required ----
conf_set policy escrow '"required"'
countersignctl authority export >"$T/required.asc"
card=$T/required.asc
user frank
ok "a stubborn one" first frank --no-deposit
agent_once
is "is refused" "$(reason_of "$(reply_to frank@example.org)")" deposit-required
exits "which he reads" 77 opens frank --level low
like "with what to do" "$exits_output" 'request --again --deposit'
exits "again with a deposit needs the token again" 64 ask frank --again --deposit
ok "so he gives it" ask frank --again --deposit --token-file "$T/frank.token"
clear_sent
agent_once
is "there is a deposit" "$(deposits frank)" 1
ok "and the reply opens" opens frank --level low
agent_once
is "he is enrolled" "$(state_of frank)" default=active
user grace
token_mail grace
before=$(in_box)
exits "required, without a terminal and a confirmed key" 77 as grace timeout 90 countersign request --submit "maildir:$T/mail/inbox" --address grace@example.org "$T/grace.eml"
like "is said in a sentence" "$exits_output" 'deposit .* leaves only for an authority that is known .* nothing was sent'
is "and nothing was sent" "$(in_box)" "$before"
exits "a no on the terminal is a no" 77 terminal grace grace@example.org '' - n -- countersign request --submit "maildir:$T/mail/inbox" "$T/grace.eml"
is "nothing was sent" "$(in_box)" "$before"

# ---- behind passwords ----
user heidi
ok "a password with the request" first heidi --level high --password-file "$T/password"
agent_once
is "the deposit was made all the same" "$(deposits heidi)" 1
pending=$(echo "$T"/heidi/.local/share/countersign/pending/*/h)
not "and the waiting key has its password" gpg --homedir "$pending" --batch --quiet --no-tty --pinentry-mode loopback --passphrase '' --armor --sign </dev/null
gpgconf --homedir "$pending" --kill gpg-agent
ok "it opens" opens heidi --password-file "$T/password"
user ivan
own=$(as ivan gpg --batch --quiet --status-fd 1 --pinentry-mode loopback --passphrase 'correct horse' --quick-gen-key 'Ivan Example <ivan@example.org>' ed25519 sign,cert 0 2>/dev/null | sed -n 's/.*KEY_CREATED . //p')
as ivan gpg --batch --quiet --pinentry-mode loopback --passphrase 'correct horse' --quick-add-key "$own" cv25519 encr 0 2>/dev/null
as ivan gpgconf --kill gpg-agent
before=$(in_box)
printf 'wrong horse' >"$T/ivan/pin/pin"
exits "a key of his own, and a wrong password" 77 first ivan --key "$own"
rm "$T/ivan/pin/pin"
exits "or none" 77 first ivan --key "$own"
is "nothing was sent" "$(in_box)" "$before"
is "nothing is left waiting" "$(ls "$T/ivan/.local/share/countersign/pending" | wc -l)" 0
printf 'correct horse' >"$T/ivan/pin/pin"
rm -f "$T/ivan/pin/count"
ok "the right one" first ivan --key "$own"
is "is asked for once" "$(asked ivan)" 1
agent_once
is "there is a deposit" "$(deposits ivan)" 1
is "and no secret of his is anywhere else" "$(find /dev/shm /tmp -maxdepth 1 -name 'keyhome-*' -newer "$T/required.asc" | wc -l)" 0
as ivan gpgconf --kill gpg-agent
not "his own key still has its password" as ivan gpg --batch --quiet --no-tty --pinentry-mode loopback --passphrase '' --armor --sign </dev/null

# ---- off ----
conf_set policy escrow '"off"'
user judy
ok "a deposit where none is kept" first judy --deposit
agent_once
is "is refused" "$(reason_of "$(reply_to judy@example.org)")" deposit-unwanted
ok "again without" ask judy --again --no-deposit --token-file "$T/judy.token"
clear_sent
agent_once
ok "its reply opens" opens judy --level low
agent_once
is "she is enrolled" "$(state_of judy)" default=active
is "without a deposit" "$(deposits judy)" 0
done_testing
