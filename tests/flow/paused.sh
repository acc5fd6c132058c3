#!/usr/bin/env bash
# The sender while its mail server can't be reached or does not let us in: it waits as a whole, no mail's attempt counts, status shows it, and all goes out after it.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"

authority_new
read -r port <<<"$("$top/tests/lib/free_ports.py" 1)"
conf_set submit url "\"submission://127.0.0.1:$port\""
conf_set submit tls off
conf_set submit timeout 3s
conf_set limits reconnect-first 1s
conf_set limits reconnect-most 2s
conf_set notify administrators '{"admin@example.org"}'
mkdir -p "$T/smtp/mails"
server_pid=
server_start() {
    echo "tls=off" >"$T/smtp/control"
    "$top/tests/lib/fake_server.py" "$port" smtp "$T/smtp" 2>>"$T/smtp/log" &
    server_pid=$!
}
server_stop() {
    [ -z "$server_pid" ] || { kill "$server_pid"; wait "$server_pid" 2>/dev/null; }
    server_pid=
}
trap 'server_stop; flow_end' EXIT
rows() { store_sql "SELECT count(*) FROM outbox WHERE $1"; }
all_sent() { [ "$(rows 'sent = 0 AND failed = 0')" = 0 ]; }
taken() { ls "$T/smtp/mails" | wc -l; }
taken_are() { [ "$(taken)" = "$1" ]; }
line_of_sender() { grep -P '^sender\t' "$T/sa/run/status" | cut -f 3; }
is_state() { [ "$(line_of_sender)" = "$1" ]; }
said() { grep -c "cannot send by submission://127.0.0.1:$port: $1" "$T/agent.log"; }
notice_to() { token_for "$1" >/dev/null; }

# ---- nobody there ----
for who in a b c; do notice_to $who@example.org; done
exits "--once without the server" 69 agent_once
is "nothing was sent" "$(rows 'sent > 0')" 0
is "and no mail's attempt counts" "$(store_sql 'SELECT sum(attempts) FROM outbox')" 0
daemon_start
ok "the daemon sees it" await 5 is_state failing
is "the daemon is ready all the same: mails are answered, and wait" "$(head -n 1 "$T/sa/run/status")" ready
exits "status says so" 1 countersignctl status
like "in one sentence" "$exits_output" "submission://127.0.0.1:$port: .*refused.*; since .*next try in"
sleep 3
is "the journal has it once from each run" "$(said '.*refused')" 2
is "still no mail's attempt counts" "$(store_sql 'SELECT sum(attempts) FROM outbox')" 0
like "but why is listed" "$(countersignctl outbox list)" 'refused'
server_start
ok "with the server all goes out" await 8 all_sent
is "each once" "$(taken)" 3
is "at the first attempt" "$(store_sql 'SELECT sum(attempts) FROM outbox')" 3
ok "status finds nothing wrong" countersignctl status
like "a sentence says that it is over" "$(cat "$T/agent.log")" "mails are sent by submission://127.0.0.1:$port again"

# ---- the server's fault, the mail's fault ----
echo 'tls=off greet=421' >"$T/smtp/control"
notice_to d@example.org
ok "a server that is about to close is waited for" await 8 is_state failing
echo 'tls=off rcpt=451' >"$T/smtp/control"
postponed() { [ "$(rows "last_error LIKE '%451%' AND attempts = 1")" -ge 1 ]; }
ok "what it says of one mail is that mail's: it is tried later" await 8 postponed
ok "and the server is well" await 5 is_state ready
echo 'tls=off' >"$T/smtp/control"
notice_to e@example.org
ok "others go out before it, soon after a command made them" await 8 taken_are 4
is "the one waits for its time" "$(rows 'sent = 0')" 1
countersignctl outbox retry >/dev/null
ok "outbox retry reaches the daemon" await 8 all_sent
is "each once" "$(taken)" 5

# ---- who may not log in ----
daemon_stop
printf 'secret\n' >"$T/sa/password"
chmod 600 "$T/sa/password"
conf_set submit url "\"submission://sa@127.0.0.1:$port\""
conf_set submit password-file "\"$T/sa/password\""
conf_set limits reconnect-most 5m
echo 'tls=off auth=535' >"$T/smtp/control"
: >"$T/smtp/heard"
notice_to f@example.org
daemon_start
ok "a refused password is seen" await 8 is_state failing
sleep 4
is "and not tried again soon, so that no account is locked" "$(grep -ci '^AUTH' "$T/smtp/heard")" 1
like "status says why" "$(countersignctl status)" '535'
daemon_stop
exits "--once with a refused password" 77 agent_once

# ---- given up ----
server_stop
conf_set submit give-up 1s
exits "--once with a mail that is too old" 69 agent_once
is "it was given up" "$(rows 'failed > 0')" 1
is "the log says so" "$(countersignctl --json log --address f@example.org | python3 -c 'import json,sys; print(*(e["event"] for e in json.load(sys.stdin) if e["event"] == "mail-failed"))')" mail-failed
like "status too" "$(countersignctl status)" '1 mail could not be sent'
is "administrators are to hear of it" "$(rows "recipient = 'admin@example.org' AND sent = 0")" 1
exits "a token mail does not wait" 69 countersignctl token issue t@example.org --mail
like "and the reason is the server's" "$exits_output" 'refused'
done_testing
