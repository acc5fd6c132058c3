#!/usr/bin/env bash
# What a table of 100,000 people costs: `make bench`, or BULK_LINES=20000 tests/bench/bulk.sh. Targets: memory below 50 MB, a result for each, and a second run that changes nothing.
. "$(dirname "$0")/../lib/flow.sh"

lines=${BULK_LINES:-100000}
authority_new
python3 -c 'import sys
print("address,name,keyset,language")
for i in range(int(sys.argv[1])): print(f"person{i:06}@example.org,Person {i},,en")' "$lines" >"$T/people.csv"
run() { # NAME: seconds and the largest process in KB
    local began ended
    began=$(date +%s%N)
    python3 - "$T/people.csv" "$T/$1.csv" <<'PY'
import resource, subprocess, sys
status = subprocess.run(["countersignctl", "token", "issue", "--csv", sys.argv[1], "--output", sys.argv[2]], stderr=subprocess.DEVNULL).returncode
print(status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
PY
    ended=$(date +%s%N)
    awk -v n="$lines" -v ns=$((ended - began)) -v what="$1" 'BEGIN { printf "# %s: %.1f s, %.0f lines a second\n", what, ns / 1e9, n * 1e9 / ns }' >&2
}
read -r status kb <<<"$(run first 2> >(cat >&2))"
is "everybody gets a token" "$status $(grep -c ',issued,' "$T/first.csv")" "0 $lines"
echo "# $kb KB (target 51200 KB)"
ok "memory is below 50 MB" test "$kb" -lt 51200
before=$(store_sql 'SELECT count(*), max(id), sum(length(row_check)) FROM token')
read -r status kb <<<"$(run again 2> >(cat >&2))"
is "a second run says so for everybody" "$status $(grep -c ',already outstanding since ' "$T/again.csv")" "0 $lines"
is "and changes nothing" "$(store_sql 'SELECT count(*), max(id), sum(length(row_check)) FROM token')" "$before"
ok "memory is below 50 MB again" test "$kb" -lt 51200
tap_done
