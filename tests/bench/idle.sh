#!/usr/bin/env bash
# What an idle countersignd costs: `make bench`, or BENCH_SECONDS=60 tests/bench/idle.sh. A daemon with a mailbox at Dovecot, told by IDLE, a submission server and two
# workers has answered one request and is left alone. Targets: processor time below 0.1 % of one core, memory (PSS) of all its processes, gpg-agent too, below 40 MB.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"
. "$(dirname "$0")/../lib/servers.sh"
. "$(dirname "$0")/../lib/enrollment.sh"

dovecot_start
postfix_start
imaps=$imaps_port submissions=$submissions_port
authority_new
agent_servers "imaps://sa@localhost:$imaps_port/" "submissions://sa@localhost:$submissions_port"
conf_set limits workers 2
daemon_start || exit 1
enroll_plain alice >"$T/enrolled" || exit 1
is "it has answered a request" "$(grep -c '^not ok' "$T/enrolled")" 0
await 10 outbox_empty
sleep 5 # what follows an enrollment is done

pss() { awk '/^Pss:/ { n += $2 } END { print n + 0 }' "/proc/$1/smaps_rollup"; }
role_of() { tr '\0' ' ' <"/proc/$1/cmdline" | sed -nE 's/.*--role ([a-z]+) .*/\1/p; t; s,^(\S*/)?([^/ ]+) .*,\2,p'; }
# The scheduler's own count, in nanoseconds, sees what ticks of ten milliseconds don't.
run_ns() { awk '{ n += $1 } END { print n + 0 }' /proc/"$1"/task/*/schedstat; }

seconds=${BENCH_SECONDS:-60}
declare -A before
for pid in $(descendants "$flow_daemon"); do before[$pid]=$(run_ns "$pid"); done
processes=$(descendants "$flow_daemon" | sort)
sleep "$seconds"
is "no process came or went" "$(descendants "$flow_daemon" | sort)" "$processes"
total_ns=0 total_kb=0
printf '# %-12s %10s %10s\n' process 'CPU ms' 'PSS KB'
for pid in $(descendants "$flow_daemon"); do
    ns=$(($(run_ns "$pid") - ${before[$pid]:-0})) kb=$(pss "$pid") name=$(role_of "$pid")
    printf '# %-12s %10s %10s\n' "${name:-parent}" "$(awk -v n=$ns 'BEGIN { printf "%.1f", n / 1e6 }')" "$kb"
    total_ns=$((total_ns + ns)) total_kb=$((total_kb + kb))
done
share=$(awk -v n=$total_ns -v s="$seconds" 'BEGIN { printf "%.4f", n / 1e7 / s }')
echo "# in $seconds seconds $share % of a core (target 0.1 %); $total_kb KB (target 40960 KB), gpg-agent with it"
ok "processor time is below 0.1 % of a core" test "$(awk -v s="$share" 'BEGIN { print (s < 0.1) }')" = 1
ok "memory is below 40 MB" test "$total_kb" -lt 40960
daemon_stop
done_testing
