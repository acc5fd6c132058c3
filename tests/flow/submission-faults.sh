#!/usr/bin/env bash
# What a submission server may answer, and how it may go away in the midst: what is only late goes out later, what is refused is given up, what may have
# arrived goes out again with the same bytes, and no mail is lost.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"
. "$(dirname "$0")/../lib/servers.sh"
. "$(dirname "$0")/../lib/enrollment.sh"
. "$(dirname "$0")/../lib/faults.sh"

ca_make "$S/ca"
good="tls=starttls cert=$S/ca/good.pem key=$S/ca/good.key"
fake_start smtp smtp "$good"
proxy_start between "$smtp_port"
authority_new
agent_servers "maildir:$T/mail/inbox" "submission://sa@localhost:$between_port"
conf_set submit timeout 2s
conf_set submit retry-first 1s
conf_set submit retry-most 2s
conf_set limits reconnect-first 1s
conf_set limits reconnect-most 2s

declare -A token
answer_to() { plain_mail "$1" "${token[$1]}" "" | deliver; } # they are told what is missing, and soon
taken_by() { grep -lsx "RCPT TO:<$1>.*" "$S"/smtp/mails/*; }
arrives_at() { [ -n "$(taken_by "$1")" ]; }
listed() { countersignctl outbox list --all | grep -qE "$1"; }
taken_all() { [ "$(ls "$S/smtp/mails" | wc -l)" = "$1" ]; }
for name in mail rcpt data dot never-rcpt never-dot lost-mail lost-data doubt silent stalled cut; do token[$name@example.org]=$(token_for $name@example.org); done

# The notices of the tokens wait.
rm "$S/smtp/heard"
daemon_start
ok "mails go out" await 8 taken_all ${#token[@]}
is "over one connection" "$(heard smtp | grep -c connected)" 1
like "within TLS" "$(heard smtp)" 'encrypted'
like "after a login" "$(heard smtp)" '^AUTH PLAIN'
rm -f "$S"/smtp/mails/*

# ---- later, never ----
for step in mail rcpt data dot; do
    fake_is smtp "$good $step=451"
    answer_to $step@example.org
    ok "451 to $step: it is tried later, and listed with what was said" await 8 listed "waiting +$step@.*localhost.*451"
    fake_is smtp "$good"
    ok "451 to $step: and goes out" await 8 arrives_at $step@example.org
    is "451 to $step: once" "$(taken_by $step@example.org | wc -l)" 1
done
for step in rcpt dot; do
    fake_is smtp "$good $step=550"
    answer_to never-$step@example.org
    ok "550 to $step: it is given up, and listed with what was said" await 8 listed "failed +never-$step@.*localhost.*550"
    fake_is smtp "$good"
done
is "550: once and for all" "$(store_sql "SELECT max(attempts) FROM outbox WHERE failed > 0")" 1
like "status says that two were given up" "$(countersignctl status)" '2 mails could not be sent'
like "the log too" "$(countersignctl log --address never-rcpt@example.org)" 'mail-failed'

# ---- the connection ends ----
for step in mail data; do
    fake_is smtp "$good $step=drop"
    answer_to lost-$step@example.org
    ok "lost at $step: it is said" await 8 says 'cannot send by .*localhost:[0-9]+ closed the connection'
    fake_is smtp "$good"
    ok "lost at $step: it goes out" await 8 arrives_at lost-$step@example.org
    is "lost at $step: once" "$(taken_by lost-$step@example.org | wc -l)" 1
    mark=$(($(wc -l <"$T/agent.log") + 1))
done
fake_is smtp "$good dot=drop"
answer_to doubt@example.org
ok "lost after the dot: the server had it" await 8 arrives_at doubt@example.org
ok "lost after the dot: it may have arrived or not" await 8 listed 'waiting +doubt@.*may have arrived or not: localhost:[0-9]+ closed the connection'
fake_is smtp "$good"
again() { [ "$(taken_by doubt@example.org | wc -l)" -ge 2 ] && outbox_empty; }
ok "lost after the dot: it goes out again" await 8 again
is "lost after the dot: with the same bytes" "$(taken_by doubt@example.org | xargs sha256sum | cut -d ' ' -f 1 | uniq -c | awk '{ print $1 }' | tail -n 1)" "$(taken_by doubt@example.org | wc -l)"
ok "lost after the dot: two or three times, no more" test "$(taken_by doubt@example.org | wc -l)" -le 3
fake_is smtp "$good dot=late"
answer_to silent@example.org
ok "a late answer to the dot: the server has it" await 8 arrives_at silent@example.org
ok "a late answer to the dot: is waited for" await 8 outbox_empty
fake_is smtp "$good"
is "a late answer to the dot: it went out once" "$(taken_by silent@example.org | wc -l)" 1

# ---- the way there ----
proxy_is between stall
answer_to stalled@example.org
ok "nothing answers: it is said" await 8 says 'localhost:[0-9]+ did not answer within 2 s'
ok "nothing answers: status shows it" await 4 shown 'did not answer within 2 s'
proxy_is between sever
ticks=$(ticks_of "$flow_daemon")
sleep 2
ticks=$(($(ticks_of "$flow_daemon") - ticks))
ok "no way through: no processor time ($ticks ticks of 10 ms in 2 s)" test $ticks -le 6
proxy_is between pass
ok "the way is free: it goes out" await 8 arrives_at stalled@example.org
proxy_is between 'cut-up 2500'
answer_to cut@example.org
sleep 1
proxy_is between pass
ok "cut in the midst of a mail: it goes out" await 8 arrives_at cut@example.org
is "cut in the midst of a mail: no half of it was taken" "$(taken_by cut@example.org | xargs -n 1 tail -n 1 | sort | uniq -c | awk 'END { print NR }')" 1

await 8 outbox_empty
is "nothing is left" "$(store_sql 'SELECT count(*) FROM outbox WHERE sent = 0 AND failed = 0')" 0
is "the fake server kept up" "$(cat "$S/smtp/errors" 2>/dev/null)" ""
ok "the log is whole" countersignctl log verify
done_testing
