#!/usr/bin/env bash
# Mails of which nobody knows whether they arrived, or only we do: a server that takes each mail and closes instead of answering gets few copies, and waits; a
# mail over which it always closes keeps no other from going; and one that is known to be sent is not sent again because the store could not be written.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"

authority_new
read -r port <<<"$("$top/tests/lib/free_ports.py" 1)"
conf_set submit url "\"submission://127.0.0.1:$port\""
conf_set submit tls off
conf_set submit timeout 3s
conf_set submit retry-first 1s
conf_set submit retry-most 1s
conf_set limits reconnect-first 2s
conf_set notify administrators '{"admin@example.org"}'
mkdir -p "$T/smtp/mails"
server_is() { echo "tls=off ${1:-}" >"$T/smtp/control"; }
server_is dot=drop
"$top/tests/lib/fake_server.py" "$port" smtp "$T/smtp" 2>>"$T/smtp/log" &
server_pid=$!
trap 'kill $server_pid; flow_end' EXIT
rows() { store_sql "SELECT count(*) FROM outbox WHERE $1"; }
connections() { grep -c connected "$T/smtp/heard"; }
taken_by() { grep -lsx "RCPT TO:<$1>.*" "$T"/smtp/mails/* | wc -l; }
has_taken() { [ "$(taken_by "$1")" -ge 1 ]; }
says() { grep -qE "$1" "$T/agent.log"; }
all_sent() { [ "$(rows 'sent = 0')" = 0 ]; }

# ---- taken, and not answered ----
token_for $(seq -f 'u%g@example.org' 10) >/dev/null
daemon_start
sleep 5
ok "ten mails, all in doubt: at most three connections in five seconds ($(connections))" test "$(connections)" -le 3
is "as many mails were taken" "$(ls "$T/smtp/mails" | wc -l)" "$(connections)"
exits "status says so" 1 countersignctl status
like "in one sentence" "$exits_output" "submission://127.0.0.1:$port: the mail may have arrived or not: .*closed the connection; since .*next try in"
daemon_stop
server_is
daemon_start
ok "with a server that answers all go out" await 10 all_sent
is "each once or twice" "$(for i in $(seq 10); do taken_by u$i@example.org; done | sort -u | grep -vc '^[12]$')" 0
ok "status finds nothing wrong" countersignctl status

# ---- as often as that is done ----
daemon_stop
server_is dot=drop
conf_set limits reconnect-first 1s
conf_set limits reconnect-most 1s
token_for never@example.org >/dev/null
daemon_start
given_up() { [ "$(rows "recipient = 'never@example.org' AND failed > 0")" = 1 ]; }
ok "a mail that was in doubt three times is given up" await 12 given_up
server_is
is "after three copies" "$(taken_by never@example.org)" 3
like "with the reason" "$(countersignctl outbox list --all)" 'failed +never@.*may have arrived or not'
hears() { has_taken admin@example.org; }
ok "the administrators hear of it" await 8 hears
countersignctl outbox retry "$(store_sql 'SELECT id FROM outbox WHERE failed > 0')" >/dev/null
ok "outbox retry sends it all the same" await 8 all_sent

# ---- the server closes over one mail alone ----
server_is lose=poison
token_for poison@example.org >/dev/null
lost() { grep -q lost "$T/smtp/heard"; }
ok "a mail that the server can't stand" await 8 lost
for i in 1 2 3; do token_for after$i@example.org >/dev/null; done
for i in 1 2 3; do ok "others go out: $i" await 8 has_taken after$i@example.org; done
postponed() { [ "$(rows "recipient = 'poison@example.org' AND attempts > 0 AND due > created + 1")" = 1 ]; }
ok "and it is tried later, as one at fault" await 12 postponed
token_for last@example.org >/dev/null
ok "so that the next goes out" await 8 has_taken last@example.org
server_is
ok "it too, when it can" await 8 all_sent

# ---- sent, and the store is busy ----
server_is dot=late
token_for slow@example.org >/dev/null
token_for behind@example.org >/dev/null
ok "a mail is on its way" await 8 has_taken slow@example.org
sqlite3 "$T/sa/state/countersign.db" 'BEGIN IMMEDIATE' '.shell sleep 11' ROLLBACK &
busy_pid=$!
ok "what became of it can't be written down: it is said" await 12 says 'it was sent.*recorded yet, and nothing is sent before'
is "nothing else is sent" "$(taken_by behind@example.org)" 0
wait $busy_pid
server_is
ok "it is written down when the store is free" await 12 says 'what became of outbox mail .* is recorded'
ok "and the next goes out" await 12 all_sent
is "it went out once" "$(taken_by slow@example.org)" 1
is "so did the next" "$(taken_by behind@example.org)" 1
is "the fake server kept up" "$(cat "$T/smtp/errors" 2>/dev/null)" ""
ok "the log is whole" countersignctl log verify
done_testing
