#!/usr/bin/env bash
# "Answer this mail, leave the token in it, attach your public key" (P3.2): the mail that `countersignctl token issue --mail` sends, answered in the manner
# of each mail program: quoted, top-posted, as HTML only, forwarded.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set limits mails-per-address-day 1000
user people
answer() { python3 "$top/tests/lib/answer.py" "$@"; }
daemon_start || true

mailbox_empty() { [ -z "$(find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f)" ]; }
# Notices may wait for the sender's next round.
settled() { mailbox_empty && [ "$(store_sql "SELECT count(*) FROM outbox WHERE sent = 0 AND failed = 0 AND kind IN ('reply', 'refusal')")" = 0 ]; }
opened() { as people gpg --batch --quiet -d "$1" 2>/dev/null; }
outcome() { # ADDRESS
    local mail
    mail=$(reply_to "$1")
    if [ -z "$mail" ]; then
        echo silence
    elif grep -q '^Reason code' "$mail"; then
        reason_of "$mail"
    else
        echo "enrolled $(opened "$mail" | sed -n 's/^Keyset: *\([a-z]*\)\r*$/\1/p' | head -n 1)"
    fi
}
send() { # STYLE ADDRESS MAIL
    answer "$1" "$3" "$T/$2.asc" | sed "s/alice@example.org/$2/" | deliver
    await 20 settled
}
for style in $(answer --styles); do
    who=${style//_/-}@example.org
    as people gpg --armor --export "$(gpg_key people "Alice Example <$who>")" >"$T/$who.asc"
    countersignctl token issue --mail "$who" >/dev/null 2>&1
    mail=$(last_to "$who" '^Subject: Your token')
    grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' "$mail" | head -n 1 >>"$T/tokens"
    send "$style" "$who" "$mail"
    wanted='enrolled work'
    [ "$style" = autocrypt_only ] && wanted=key-missing
    is "$style: the token mail answered" "$(outcome "$who")" "$wanted"
    [ "$style" = autocrypt_only ] && continue
    { sed -n '/^From:/p; /^To:/p; /^Subject:/p' "$(reply_to "$who")"; opened "$(reply_to "$who")"; } >"$T/opened.eml"
    send "$style" "$who" "$T/opened.eml"
    is "$style: its reply answered (P5.4)" "$(store_sql "SELECT confirmed > 0 FROM keyset WHERE address = '$who'")" 1
done
done_testing
