# enrollment.sh: first enrollment through real mail servers, and what users do there with their mail programs. Sourced after servers.sh; needs $imaps and
# $submissions, the ports at which users read their mail and hand it in.
mail_program() { CA="$S/ca/ca.pem" "$top/tests/lib/mailprogram.py" "$@"; }
hand_in() { mail_program send "$submissions" "$1" "$1@example.org" sa@example.org; }
# What WHO's mailbox holds is put where sent_to, last_to, count_to and reply_to look.
collect() { mkdir -p "$T/mail/outgoing/new" && mail_program take "$imaps" "$1" "$T/mail/outgoing/new"; }
arrived() { collect "$1" && [ -n "$(last_to "$1@example.org" "$2")" ]; }
arrives() { # WHO ERE: waits for a mail with this in its header, and says which
    await 20 arrived "$1" "$2" && last_to "$1@example.org" "$2"
}
keep_tokens() { tr -d '\r' <"$1" | grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' | sort -u >>"$T/tokens"; }
is_active() { countersignctl --json user show "$1@example.org" | grep -q '"state": "active"'; }

# agent_servers MAILBOX-URL SUBMIT-URL: the agent's side, as sa.
agent_servers() {
    local section
    printf 'secret of sa\n' >"$T/sa/password"
    chmod 600 "$T/sa/password"
    for section in mailbox submit; do
        conf_set $section password-file "\"$T/sa/password\""
        conf_set $section ca-file "\"$S/ca/ca.pem\""
    done
    conf_set mailbox url "\"$1\""
    conf_set submit url "\"$2\""
    conf_set submit recipient-delimiter '"+"'
}

# The daemon runs. WHO has the client, and enrolls with nothing but the token mail.
enroll_client() { # WHO
    local who=$1 mail
    user "$who"
    ok "$who: the token mail is handed in" countersignctl token issue "$who@example.org" --name "${who^} Example" --mail
    mail=$(arrives "$who" '^Subject: Your token')
    like "$who: and arrives" "$mail" .
    keep_tokens "$mail"
    ok "$who: asks with it" as "$who" countersign request --address "$who@example.org" --keyset default --output "$T/$who/request" "$mail"
    ok "$who: the request goes out" hand_in "$who" <"$T/$who/request"
    mail=$(arrives "$who" '^Subject: Reply from the Security Authority')
    like "$who: the reply arrives" "$mail" .
    ok "$who: opens it" as "$who" countersign open --level low --output "$T/$who/confirmation" "$mail"
    ok "$who: the confirmation goes out" hand_in "$who" <"$T/$who/confirmation"
    ok "$who: the keyset is active" await 20 is_active "$who"
}
# WHO has a key and any mail program.
enroll_plain() { # WHO
    local who=$1 mail fpr
    user "$who"
    fpr=$(gpg_key "$who" "${who^} Example <$who@example.org>")
    as "$who" gpg --batch --armor --export "$fpr" >"$T/$who/key.asc"
    plain_mail "$who@example.org" "$(token_for "$who@example.org")" "$T/$who/key.asc" >"$T/$who/request"
    ok "$who: the request goes out" hand_in "$who" <"$T/$who/request"
    mail=$(arrives "$who" '^Subject: Reply from the Security Authority')
    like "$who: the reply arrives" "$mail" .
    {
        printf 'From: %s@example.org\nTo: sa@example.org\nSubject: Re: Reply\nMessage-ID: <%s@example.org>\n\n' "$who" "$RANDOM$RANDOM$RANDOM"
        as "$who" gpg --batch --quiet -d "$mail" 2>/dev/null | grep -oE 'Confirmation: [0-9A-Z-]+' | head -n 1 | sed 's/^/> /'
    } >"$T/$who/answer"
    ok "$who: the answer to it goes out" hand_in "$who" <"$T/$who/answer"
    ok "$who: the keyset is active" await 20 is_active "$who"
}
folder_count() { mail_program folders "$imaps" sa | awk -v name="$1" '$1 == name { print $2 }'; }
folder_holds() { [ "$(folder_count "$1")" = "$2" ]; }
# What is left in the authority's mailbox: nothing in the INBOX, so many in the done folder, and no token anywhere (P5.7).
mailbox_settled() { # DONE-FOLDER COUNT
    ok "the authority's INBOX is empty" await 10 folder_holds INBOX 0
    is "$1 holds what carried no token" "$(folder_count "$1")" "$2"
    mkdir -p "$T/folders"
    mail_program folders "$imaps" sa "$T/folders" >"$T/folders.list"
    exits "and no folder a token" 3 "$top/tests/lib/find_token.py" "$T/tokens" "$T/folders"
}
