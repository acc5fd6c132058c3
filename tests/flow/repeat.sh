#!/usr/bin/env bash
# Same request, same reply (P5.3), whoever works on it at the same time; and a key swapped in transit is never published (P5.4).
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set limits workers 4
conf_set limits mails-per-address-day 1000
conf_set wkd directory "\"$T/wkd\""
countersignctl authority export >"$T/card.asc"
for who in alice mallory; do
    user $who
    key=$(gpg_key $who 'Alice Example <alice@example.org>')
    as $who gpg --armor --export "$key" >"$T/$who.asc"
done
user client
sealed() { sed -n '/^-----BEGIN PGP MESSAGE/,/^-----END/p' "$1" | tr -d '\r' | sha256sum | cut -c1-64; }
replies() { for f in $(sent_to "$1"); do grep -qi '^Subject: Reply' "$f" && grep -q 'BEGIN PGP MESSAGE' "$f" && echo "$f"; done; }
keysets() { store_sql 'SELECT count(*) FROM keyset'; }

# Eight copies of each request, each with the mark of its way, lie in the mailbox before the daemon starts, so that four workers have the same mail in hand at the same time; per kind of request.
n=0
for round in 1 2 3 4 5; do
    for kind in plain client; do
        n=$((n + 1))
        who=person$n@example.org
        token=$(token_for "$who")
        if [ $kind = plain ]; then
            as alice gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-gen-key "$who" ed25519 sign,cert 0 2>/dev/null
            fpr=$(as alice gpg --list-keys --with-colons "=$who" | awk -F: '/^fpr/{print $10; exit}')
            as alice gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-add-key "$fpr" cv25519 encr 0 2>/dev/null
            as alice gpg --armor --export "$fpr" >"$T/p.asc"
            plain_mail "$who" "$token" "$T/p.asc" >"$T/$n.eml"
        else
            printf %s "$token" >"$T/t"
            as client countersign request --token-file "$T/t" --authority-key "$T/card.asc" --address "$who" --name P --keyset default --output "$T/$n.eml" >/dev/null 2>>"$T/client.err"
        fi
        for i in 1 2 3 4 5 6 7 8; do deliver <"$T/$n.eml"; done
    done
done
is "all copies wait in the mailbox" "$(find "$T/mail/inbox/new" -type f | wc -l)" $((8 * n))
daemon_start || true
settled() { [ "$(find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l)" = 0 ]; }
ok "all copies are dealt with" await 60 settled
all_sent() { [ "$(store_sql "SELECT count(*) FROM outbox WHERE sent = 0 AND failed = 0")" = 0 ]; }
ok "all replies are sent" await 30 all_sent
is "each enrolled once" "$(keysets)" "$n"
for i in $(seq $n); do
    who=person$i@example.org
    is "$who: eight replies" "$(replies "$who" | wc -l)" 8
    is "$who: the same sealed bytes" "$(for f in $(replies "$who"); do sealed "$f"; done | sort -u | wc -l)" 1
    is "$who: each a mail of its own" "$(for f in $(replies "$who"); do grep -i '^Message-ID:' "$f"; done | sort -u | wc -l)" 8
    is "$who: nothing refused" "$(grep -ls 'Reason code' $(sent_to "$who") | wc -l)" 0
done
daemon_stop

# A repeat long after: the same sealed bytes, the first mail referred to.
clear_sent
deliver <"$T/1.eml"
agent_once
first=$(store_sql "SELECT reply_message_id FROM keyset WHERE address = 'person1@example.org'")
like "a later repeat refers to the first reply" "$(sed '/^\r*$/q' "$(replies person1@example.org)" | tr -d '\r\n')" "References:.*$first"

# Somebody in between swaps the key of a plain mail.
token=$(token_for alice@example.org)
clear_sent
plain_mail alice@example.org "$token" "$T/mallory.asc" | deliver
agent_once
published() { find "$T/wkd" -type f -path '*/hu/*' -exec gpg --batch --with-colons --show-keys {} + 2>/dev/null | grep -c "$1"; }
mallory=$(as mallory gpg --list-keys --with-colons | awk -F: '/^fpr/{print $10; exit}')
like "alice is told at once, with the fingerprint (P5.6)" "$(tr -d '\r ' <"$(last_to alice@example.org '^Subject: A key was enrolled')")" "$mallory"
is "she can't read the reply, and mallory can't receive it: nobody has the nonce" "$(as alice gpg --batch -d "$(reply_to alice@example.org)" 2>&1 | grep -c 'Your key is certified')" 0
printf 'From: alice@example.org\nTo: sa@example.org\nSubject: Re\n\nConfirmation: 00000-00000-00000-00000-00000-0\n' | deliver
agent_once
countersignctl wkd export "$T/export" >/dev/null
is "the swapped key is not published" "$(published "$mallory")" 0
is "nor exported" "$(find "$T/export" -type f -path '*/hu/*' -exec gpg --batch --with-colons --show-keys {} + 2>/dev/null | grep -c "$mallory")" 0
# The way out: the administrator issues another token, and the right key takes the place.
token=$(token_for alice@example.org)
clear_sent
plain_mail alice@example.org "$token" "$T/alice.asc" | deliver
agent_once
nonce=$(as alice gpg --batch --quiet -d "$(reply_to alice@example.org)" 2>/dev/null | grep -o 'Confirmation: [0-9A-Z-]*' | head -n 1)
printf 'From: alice@example.org\nTo: sa@example.org\nSubject: Re\n\n> %s\n' "$nonce" | deliver
agent_once
is "her own key is published once she answers" "$(published "$(as alice gpg --list-keys --with-colons | awk -F: '/^fpr/{print $10; exit}')")" 1
ok "the log is whole" countersignctl log verify
done_testing
