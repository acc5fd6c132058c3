#!/usr/bin/env bash
# Reminders (P5.8) and what comes after them: each once, the most urgent one after a long silence; renewal by answering, also in the grace period; none for who is gone.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/requests.sh"

authority_new
conf_set limits mails-per-address-day 1000
conf_set policy certify 100d
conf_set policy certify-spread 0
conf_set policy grace 30d
conf_set policy token-expires 1y
knowing_user alice bob carol
for who in alice bob carol; do enroll_plain $who; done
later=$(token_for carol@example.org)
# So many days from now: the agent, and gpg where a user signs.
day() { shift_by="+$1d"; }
agent_once() { faketime -f "$shift_by" countersignd --once 2>>"$T/agent.log"; }
reminders() { for who in alice bob carol; do count_to "$who@example.org" '^Subject: Renew your key'; done | tr '\n' ' '; }
turn() { # one run makes the mails, and the next has surely sent them
    clear_sent
    agent_once
    agent_once
    reminders
}

day 60
is "forty days before: nobody is reminded" "$(turn)" "0 0 0 "
day 71
is "thirty days before: everybody is" "$(turn)" "1 1 1 "
mail=$(last_to alice@example.org)
cp "$mail" "$T/reminder.eml"
is "once" "$(turn)" "0 0 0 "
day 80
is "and not again a week later" "$(turn)" "0 0 0 "
like "it says how with the client" "$(cat "$T/reminder.eml")" 'countersign renew default'
like "and with any other mail program" "$(cat "$T/reminder.eml")" 'answer this mail, and sign'
python3 - "$T/reminder.eml" "$T" <<'PY'
import email, email.policy, sys
mail = email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.default)
open(sys.argv[2] + '/id', 'w').write(mail['Message-ID'].strip('<>'))
for part in mail.walk():
    if part.get_content_type() == 'text/calendar':
        open(sys.argv[2] + '/event', 'wb').write(part.get_payload(decode=True))
        open(sys.argv[2] + '/method', 'w').write(part.get_param('method') or '')
signed = next(p for p in mail.walk() if p.get_content_type() == 'multipart/signed')
raw = open(sys.argv[1], 'rb').read().replace(b'\r\n', b'\n')
mark = b'--' + signed.get_boundary().encode()
inside = raw.split(mark + b'\n')[1]
open(sys.argv[2] + '/signed', 'wb').write(inside[:-1].replace(b'\n', b'\r\n'))
open(sys.argv[2] + '/signature', 'wb').write(signed.get_payload()[1].get_payload(decode=True))
PY
ok "signed by the authority" as alice gpg --batch --quiet --trust-model always --verify "$T/signature" "$T/signed"
end=$(date -u -d "@$(store_sql "SELECT certified_until FROM keyset WHERE address = 'alice@example.org'")" +%Y%m%d)
is "the calendar part is to be published" "$(cat "$T/method")" PUBLISH
like "it is an event of that day" "$(tr -d '\r' <"$T/event")" "^DTSTART;VALUE=DATE:$end\$"
like "with an alarm" "$(tr -d '\r' <"$T/event")" '^BEGIN:VALARM$'
like "and a name that stays" "$(tr -d '\r' <"$T/event")" "^UID:$alice-.*@example.org\$"
like "the log says so" "$(countersignctl log --address alice@example.org)" 'reminded'

# ---- answered ----
day 81
faked_mail() { # WHO SIGNER SUBJECT OPTION...: signed on that day
    local who=$1
    shift
    as "$who" faketime -f "$shift_by" python3 "$top/tests/lib/signed_mail.py" "$who@example.org" "$@"
}
faked_mail alice "$alice" 'Re: Renew your key' reply="$(cat "$T/id")" >"$T/answer.eml"
sed '/^In-Reply-To/d; s/^Subject: .*/Subject: Re: your mail/' "$T/answer.eml" | send
is "a signed mail that answers nothing is no renewal" "$(outcome_for alice)" silence
sed 's/^Subject: .*/Subject: AW: your mail/' "$T/answer.eml" | send
is "a signed answer to the reminder is one, whatever its subject" "$(outcome_for alice)" renewed
sed '/^In-Reply-To/d' "$T/answer.eml" | send
is "and so is one whose subject is that of the reminder" "$(outcome_for alice)" renewed
confirm_plain alice
is "confirmed" "$(store_sql 'SELECT count(*) FROM renewal WHERE confirmed > 0')" 1
faked_mail bob "$bob" 'AW: your mail' reply="$(cat "$T/id")" | send
is "not an answer to somebody else's reminder" "$(outcome_for bob)" silence

# ---- the more urgent ones ----
day 87
is "fourteen days before: who has not renewed" "$(turn)" "0 1 1 "
day 99
is "three days before" "$(turn)" "0 1 1 "
is "once" "$(turn)" "0 0 0 "
day 101
is "not again when it has ended" "$(turn)" "0 0 0 "
request_lines renew bob@example.org "$bob" default "" "$(date -u -d '+101 days' +%Y-%m-%dT%H:%M:%SZ)" | forge - "$T/bob.bin" | sealed_mail bob "$bob" | send
is "in the grace period it can still be renewed" "$(outcome_for bob)" renewed
confirm_plain bob
like "and is active again" "$(faketime -f "$shift_by" countersignctl --json user show bob@example.org)" '"state": "active"'
day 131
request_lines renew carol@example.org "$carol" default "" "$(date -u -d '+131 days' +%Y-%m-%dT%H:%M:%SZ)" | forge - "$T/carol.bin" | sealed_mail carol "$carol" | send
is "after it no more" "$(outcome_for carol)" keyset-unknown
day 170
is "the next certification has reminders of its own; who is past the grace period has none" "$(turn)" "1 0 0 "
day 190
is "after a long silence only the most urgent one, also of what has ended meanwhile" "$(turn)" "1 1 0 "
like "which then says so" "$(cat "$(last_to alice@example.org)")" 'has ended on'


# ---- what has ended is superseded all the same, and withdrawn ----
clear_sent
carol=$(gpg_key carol 'carol <carol@example.org>')
export_public carol
plain_mail carol@example.org "$later" "$T/carol.asc" | send
is "who is past the grace period enrolls with a token" "$(outcome_for carol)" enrolled
store_sql "SELECT hex(key) FROM keyset WHERE address = 'carol@example.org' AND superseded > 0" | python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read().strip()))' >"$T/withdrawn"
is "the certification that had ended is withdrawn" "$(gpg --batch --list-packets "$T/withdrawn" 2>/dev/null | grep -c 'sigclass 0x30')" 1

# ---- what was told is known as long as it can be renewed ----
conf_set policy grace 150d
day 285
is "three months after the last one of alice: only who missed one is reminded" "$(turn)" "0 1 0 "
day 287
is "and that once" "$(turn)" "0 0 0 "
ok "the log is whole" countersignctl log verify
done_testing
