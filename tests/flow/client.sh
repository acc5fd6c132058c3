#!/usr/bin/env bash
# The token mail and nothing else: token, the authority's address, key and card come from it (P2.7), for whom it may speak (P2.8), and what an altered one is worth;
# then a second keyset signed by the first (P2.4), and the way on after a forgotten password (P7.3).
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set limits mails-per-address-day 10000
conf_set policy domains '{ "example.org", "example.net" }'
countersignctl authority export >"$T/card.asc"
fingerprint=$(gpg --show-keys --with-colons "$T/card.asc" 2>/dev/null | awk -F: '/^fpr/{print $10; exit}')
in_box() { find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l; }
secret() { printf '%s\n' "$2" >"$T/$1" && chmod 600 "$T/$1"; }
keep_tokens() { python3 -c 'import email,sys; [print(p.get_payload(decode=True).decode()) for p in email.message_from_binary_file(open(sys.argv[1],"rb")).walk() if p.get_content_type()=="text/plain"]' "$1" | grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' | sort -u >>"$T/tokens"; }
ask() { as "$1" countersign request --submit "maildir:$T/mail/inbox" "${@:2}"; }
# open_reply WHO ADDRESS [OPTION...], and the agent takes the confirmation
open_reply() { agent_once && as "$1" countersign open --submit "maildir:$T/mail/inbox" "${@:3}" "$(reply_to "$2")" && agent_once; }
active() { countersignctl --json user show "$1" | python3 -c 'import json,sys; print(*sorted(k["name"] for k in json.load(sys.stdin)["keysets"] if k["state"]=="active"))'; }

# ---- the token mail that the authority sends ----
for who in alice bob carol; do user $who; done
ok "a token mail" countersignctl token issue alice@example.org --name 'Alice Example' --mail
cp "$(last_to alice@example.org '^Subject: Your token')" "$T/alice.eml"
keep_tokens "$T/alice.eml"
is "it has one token" "$(wc -l <"$T/tokens")" 1

# Nothing in it may be another's: the policy on the card, the card as a whole, the token.
python3 - "$T" <<'PY'
import base64, email, email.policy, re, sys
T = sys.argv[1]
def card_of(mail):
    for part in mail.walk():
        if b'BEGIN PGP SIGNED MESSAGE' in (part.get_payload(decode=True) or b''):
            return part
def altered(name, change):
    mail = email.message_from_binary_file(open(T + '/alice.eml', 'rb'), policy=email.policy.SMTP)
    part = card_of(mail)
    old = part.get_payload(decode=True).decode()
    new = change(old)
    assert new != old, name
    del part['Content-Transfer-Encoding']
    part['Content-Transfer-Encoding'] = 'base64'
    part.set_payload(base64.encodebytes(new.encode()).decode())
    open(f'{T}/{name}.eml', 'wb').write(mail.as_bytes())
altered('same', lambda card: card + '\n')
altered('policy', lambda card: re.sub(r'(?m)^Plain-Requests: .*$', 'Plain-Requests: maybe', card))
altered('escrow', lambda card: re.sub(r'(?m)^Escrow: .*$', 'Escrow: required', card))
altered('other', lambda card: card.replace('sa@example.org', 'sa@example.net'))
PY
for change in policy escrow other; do
    exits "a card whose $change was changed" 76 ask alice --address alice@example.org "$T/$change.eml"
    like "is said to be not as it was signed" "$exits_output" '^countersign: .*card.*sign'
done
countersignctl -c "$T/two/sa.conf" init --address sa@example.org --maildir "$T/two/mail" --state-directory "$T/two/state" --runtime-directory "$T/two/run" --no-passphrase >"$T/two.out" 2>&1
countersignctl -c "$T/two/sa.conf" authority export >"$T/two.asc"
countersignctl -c "$T/two/sa.conf" token issue alice@example.org 2>/dev/null | grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' >"$T/two.token"
sed "s/$(head -n 1 "$T/tokens")/$(cat "$T/two.token")/" "$T/alice.eml" >"$T/swapped.eml"
not "the token was exchanged" cmp -s "$T/alice.eml" "$T/swapped.eml"
exits "the token of another authority (P1.3)" 76 ask alice --address alice@example.org "$T/swapped.eml"
like "was not made for this one" "$exits_output" "not made for the authority sa@example.org with the key $fingerprint: nothing was sent"
exits "the card of another authority" 76 ask alice --address alice@example.org --authority-key "$T/two.asc" "$T/alice.eml"
is "nothing was sent in all that" "$(in_box)" 0
is "and nothing is kept of it" "$(as alice countersign list | grep -c example.org)" 0
ok "but a card written out anew is the same card" ask alice --address alice@example.org --keyset trial --output "$T/trial" "$T/same.eml"
rm -rf "$T/alice/.local"

ok "alice asks with nothing but her token mail" ask alice --address alice@example.org --name 'Alice Example' "$T/alice.eml"
is "her request is in the mailbox" "$(in_box)" 1
secret password 'correct horse'
ok "the agent answers and she opens it" open_reply alice alice@example.org --level medium --password-file "$T/password"
is "she is enrolled" "$(active alice@example.org)" default

# ---- the administrator's own mail, filled on its way ----
printf 'From: Ada Admin <admin@example.org>\nTo: Bob <bob@example.org>\nSubject: Welcome\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\nHello Bob,\n\nyour token is %%TOKEN%%, until %%EXPIRES%%.\n' >"$T/draft"
fill() { countersignctl sendmail -t <"$T/draft"; }
ok "sendmail fills the draft" fill
cp "$(last_to bob@example.org '^Subject: Welcome')" "$T/bob.eml"
keep_tokens "$T/bob.eml"
ok "bob asks with it, on standard input" bash -c 'HOME="$1" countersign request --address bob@example.org --submit "maildir:$2" - <"$3"' bash "$T/bob" "$T/mail/inbox" "$T/bob.eml"
ok "the agent answers and he opens it" open_reply bob bob@example.org --level low
is "he is enrolled" "$(active bob@example.org)" default

# ---- an authority of another domain (P2.8) ----
ok "a token mail for an address in another domain" countersignctl token issue carol@example.net --mail
cp "$(last_to carol@example.net '^Subject: Your token')" "$T/carol.eml"
keep_tokens "$T/carol.eml"
exits "the authority's domain is not hers: refused without her word" 77 ask carol --address carol@example.net "$T/carol.eml"
like "which option gives it is said" "$exits_output" '^countersign: the authority sa@example.org is not of your mail domain example.net: .*--accept-domain example.org'
exits "on a terminal it is asked, and no is no" 77 as carol "$top/tests/lib/terminal.py" carol@example.net n -- countersign request --submit "maildir:$T/mail/inbox" "$T/carol.eml"
like "the question names the domain" "$exits_output" 'The authority sa@example.org is not of your mail domain. Is example.org an organisation'
exits "--authority is her word as well: she names it" 0 ask carol --address carol@example.net --authority sa@example.org --output "$T/named" "$T/carol.eml"
rm -r "$T/carol/.local"
is "nothing was sent in all that" "$(in_box)" 0
ok "accepted, it goes" ask carol --address carol@example.net --accept-domain example.org "$T/carol.eml"
ok "the agent answers and she opens it" open_reply carol carol@example.net --level low
is "she is enrolled" "$(active carol@example.net)" default

# ---- a second keyset, signed by the first (P2.4) ----
give() { token_for "${@:2}" >"$T/$1" && chmod 600 "$T/$1"; }
give token alice@example.org
ok "a second keyset, but not signed by the first" ask alice --token-file "$T/token" --keyset work --unsigned
agent_once
is "is refused" "$(reason_of "$(reply_to alice@example.org)")" keyset-exists
exits "which the client shows" 77 as alice countersign open "$(reply_to alice@example.org)"
printf 'correct horse' >"$T/alice/pin/pin"
rm -f "$T/alice/pin/count"
as alice gpgconf --kill gpg-agent
ok "asked for again, with the same token, it is the same refusal" ask alice --again --token-file "$T/token" --keyset work
agent_once
give token alice@example.org
ok "asked for again with a new one, it is signed" ask alice --again --token-file "$T/token" --keyset work
is "the password was asked for, once" "$(cat "$T/alice/pin/count")" 1
ok "the agent answers and she opens it" open_reply alice alice@example.org --level medium --password-file "$T/password"
is "she has two keysets" "$(active alice@example.org)" "default work"

# ---- the password is forgotten: the name stays shut, another one opens (P7.3) ----
secret wrong 'wrong horse'
secret empty ''
give token --additional alice@example.org
before=$(as alice gpg --list-secret-keys --with-colons 2>/dev/null; as alice countersign list --json)
rm "$T/alice/pin/pin"
refused_name() { exits "$1" 77 ask alice --token-file "$T/token" --keyset default "${@:2}" && like "a free name is told" "$exits_output" '--keyset default-2 is free'; }
refused_name "a wrong password" --old-password-file "$T/wrong"
refused_name "an empty password" --old-password-file "$T/empty"
refused_name "no password"
is "nothing was sent" "$(in_box)" 0
is "and nothing changed" "$(as alice gpg --list-secret-keys --with-colons 2>/dev/null; as alice countersign list --json)" "$before"
ok "under that name it goes, with a token for a further keyset and no signature" ask alice --token-file "$T/token" --keyset default-2 --unsigned
ok "the agent answers and she opens it" open_reply alice alice@example.org --level medium --password-file "$T/password"
is "she has three keysets" "$(active alice@example.org)" "default default-2 work"
new=$(as alice countersign status --json default-2 | python3 -c 'import json,sys; print(json.load(sys.stdin)["fingerprint"].replace(" ", ""))')
echo 'read with the new one' | as alice gpg --batch --quiet --trust-model pgp --armor -r "$new" -e >"$T/new.asc"
printf 'correct horse' >"$T/alice/pin/pin"
is "and reads mail with the new one" "$(as alice gpg --batch --quiet -d "$T/new.asc" 2>/dev/null)" "read with the new one"
is "the mailbox is empty" "$(in_box)" 0
done_testing
