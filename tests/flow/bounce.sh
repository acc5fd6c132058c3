#!/usr/bin/env bash
# Mails that come back (RFC 3464, and as of old): matched to the outbox by the address they came to or by Message-ID, recorded, told once, and answered never.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set submit recipient-delimiter '"+"'
conf_set notify administrators '{"admin@example.org"}'
conf_set limits mails-per-address-day 1000

row() { store_sql "SELECT $1 FROM outbox WHERE kind = 'notice' AND recipient = '$2'"; }
state() { countersignctl --json outbox list --all | python3 -c 'import json,sys; row=[r for r in json.load(sys.stdin) if r["id"] == sys.argv[1]][0]; print(row["state"], row["last_error"])' "$1"; }
logged() { countersignctl --json log --address "$1" | python3 -c 'import json,sys; print(*(e["detail"] for e in json.load(sys.stdin) if e["event"] == "mail-bounced"), sep=";")'; }
# A notice goes to the address; its outbox id, Message-ID and bounce address into $id, $mid, $verp.
notice_to() {
    token_for "$1" >/dev/null
    agent_once
    id=$(row id "$1") mid=$(row message_id "$1") verp=$(row sender "$1")
}
comes() { # the report on standard input comes; nothing goes to whom it is from
    clear_sent
    deliver
    agent_once
}
report() { # TO ACTION STATUS [MESSAGE-ID]
    printf 'Return-Path: <>\nDelivered-To: %s\nFrom: MAILER-DAEMON@mx.example.org\nTo: %s\nSubject: Undelivered Mail Returned to Sender\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary="r"\n\n' "$1" "$1"
    printf -- '--r\nContent-Type: text/plain\n\nSorry.\n\n--r\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.org\n\nFinal-Recipient: rfc822; x@example.org\nAction: %s\nStatus: %s\nDiagnostic-Code: smtp; 550 said \033[31mred\033[0m\n\n' "$2" "$3"
    [ -z "${4:-}" ] || printf -- '--r\nContent-Type: text/rfc822-headers\n\nMessage-ID: <%s>\n\n' "$4"
    printf -- '--r--\n'
}
ignored() { find "$T/mail/inbox/.Ignored/cur" -type f 2>/dev/null | wc -l; }

# ---- by the address it came to ----
notice_to a@example.org
is "a bounce address names the mail" "$verp" "sa+b-$id@example.org"
before=$(ignored)
report "$verp" failed 5.1.1 | comes
like "a report to it marks the mail, and says why" "$(state "$id")" '^bounced 5\.1\.1 550 said'
is "without control characters" "$(store_sql "SELECT last_error FROM outbox WHERE id = '$id'" | LC_ALL=C grep -c '[[:cntrl:]]')" 0
is "the log has it, with nothing that a stranger wrote" "$(logged a@example.org)" "outbox=$id status=5.1.1"
is "administrators are told" "$(count_to admin@example.org '^Subject: A mail came back')" 1
is "and nobody else" "$(sent_to MAILER-DAEMON@mx.example.org; sent_to a@example.org)" ""
is "the report is put away" "$(ignored)" $((before + 1))
report "$verp" failed 5.7.1 | comes
is "a second report adds nothing to the log" "$(logged a@example.org)" "outbox=$id status=5.1.1"
like "status says so" "$(countersignctl status)" '1 mail came back'
is "in figures as well" "$(countersignctl status --prometheus | sed -n 's/^countersign_outbox_bounced //p')" 1
notice_to b@example.org
tr a-z A-Z <<<"$verp" | { read -r loud; report "$loud" failed 5.2.2; } | comes
like "the case of the address does not matter" "$(state "$id")" '^bounced 5\.2\.2'
is "administrators are told once a day" "$(count_to admin@example.org)" 0

# ---- by Message-ID ----
notice_to c@example.org
report sa@example.org failed 5.1.1 "$mid" | comes
like "a report to the plain address is matched by Message-ID" "$(state "$id")" '^bounced 5\.1\.1'
notice_to d@example.org
report sa@example.org failed 5.1.1 nothing-of-ours@example.org | comes
report sa+b-AAAAAAAAAAAAAAAAAAAAAAAAAA@example.org failed 5.1.1 | comes
like "what is not ours changes nothing" "$(state "$id")" '^sent'

# ---- what is no failure ----
notice_to e@example.org
for action in delayed relayed delivered expanded; do
    report "$verp" $action 4.4.1 "$mid" | comes
    like "Action: $action is only noted" "$(state "$id")" '^sent'
done
like "in the journal" "$(cat "$T/agent.log")" "a delivery report: $id to e@example.org is delayed: 4\.4\.1"
printf 'Return-Path: <>\nFrom: e@example.org\nTo: %s\nAuto-Submitted: auto-replied\nSubject: Away\n\nI am away.\n' "$verp" | comes
like "an answer of somebody who is away is no failure" "$(state "$id")" '^sent'
printf 'From: e@example.org\nTo: %s\nSubject: Read\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=disposition-notification; boundary="r"\n\n--r\nContent-Type: message/disposition-notification\n\nDisposition: manual-action/MDN-sent-manually; displayed\n\n--r\nContent-Type: text/rfc822-headers\n\nMessage-ID: <%s>\n\n--r--\n' "$verp" "$mid" | comes
like "nor is a receipt" "$(state "$id")" '^sent'
is "nobody was answered" "$(sent_to e@example.org; sent_to MAILER-DAEMON@mx.example.org)" ""

# ---- as of old ----
printf 'Return-Path: <>\nDelivered-To: %s\nFrom: MAILER-DAEMON@mx.example.org\nTo: %s\nSubject: Warning: could not send message for past 4 hours\n\nIt is tried again.\n' "$verp" "$verp" | comes
like "a warning of the old kind is no failure" "$(state "$id")" '^sent'
printf 'Return-Path: <>\nDelivered-To: %s\nFrom: MAILER-DAEMON@mx.example.org\nTo: %s\nSubject: failure notice\n\nI gave up.\n' "$verp" "$verp" | comes
like "a returned mail of the old kind is" "$(state "$id")" '^bounced returned with "failure notice"'
is "its words are not in the log" "$(logged e@example.org)" "outbox=$id status=?"

ok "dropped, it no longer shows" countersignctl outbox drop "$id"
is "the others do" "$(countersignctl status --prometheus | sed -n 's/^countersign_outbox_bounced //p')" 3
ok "the log is whole" countersignctl log verify
done_testing
