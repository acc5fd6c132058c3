#!/usr/bin/env bash
# A burst of mails while connections to the IMAP server are cut all the time, and processes of the agent die: each request is answered exactly once.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"
. "$(dirname "$0")/../lib/servers.sh"
. "$(dirname "$0")/../lib/enrollment.sh"
. "$(dirname "$0")/../lib/faults.sh"

mails=${MAILS:-200} keys=10
dovecot_start
proxy_start between "$imaps_port"
authority_new
agent_servers "imaps://sa@localhost:$between_port/" "maildir:$T/mail/outgoing"
conf_set mailbox timeout 5s
conf_set limits reconnect-first 1s
conf_set limits reconnect-most 2s
conf_set limits mails-per-hour 100000
conf_set limits workers 2

# One in twenty brings a key, the others are told that it is missing.
countersignctl token issue $(seq -f 'user%g@example.org' "$mails") 2>>"$T/ctl.err" | grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' >"$T/tokens"
is "there are tokens" "$(wc -l <"$T/tokens")" "$mails"
agent_once
clear_sent
user people
mkdir "$T/burst"
for n in $(seq "$mails"); do
    key=
    if [ $((n % (mails / keys))) = 0 ]; then
        key=$T/key.asc
        as people gpg --batch --armor --export "$(gpg_key people "user$n@example.org" 2>/dev/null)" >"$key"
    fi
    read -r token
    plain_mail "user$n@example.org" "$token" "$key" >"$T/burst/$n"
done <"$T/tokens"
put_all() { python3 -c 'import os, smtplib, sys
with smtplib.LMTP("127.0.0.1", int(sys.argv[1])) as s:
    for name in sorted(os.listdir(sys.argv[2]), key=int):
        with open(sys.argv[2] + "/" + name, "rb") as f:
            s.sendmail("user@example.org", "sa@example.org", f.read())' "$lmtp_port" "$T/burst"; }
replies() { grep -ls '^Subject: Reply' "$T"/mail/outgoing/new/* | xargs -r sed -n 's/^Delivered-To: //p'; }
done_with() { imap_empty && outbox_empty; }
half() { [ "$(replies | wc -l)" -ge $((mails / ${1:-2})) ]; }

daemon_start
proxy_is between "life ${LIFE:-700}"
began=$(date +%s%N)
put_all &
await "$((mails / 4 + 10))" half 4
kill -9 "$(role_pid intake)" "$(role_pid worker)"
await "$((mails / 4 + 10))" half
kill -9 "$(role_pid intake)"
wait $!
ok "the mailbox is empty in the end" await "$((mails / 2 + 30))" done_with
took=$((($(date +%s%N) - began) / 1000000))
cuts=$(proxy_count between)
ok "$cuts connections for $mails mails in $took ms" test "$cuts" -ge 5
is "each request was answered, and once" "$(replies | sort | uniq -c | awk '$1 == 1' | wc -l)" "$mails"
is "by nothing else" "$(replies | wc -l)" "$mails"
is "who brought a key is enrolled, and once" "$(store_sql 'SELECT count(*), count(DISTINCT address) FROM keyset')" "$keys|$keys"
is "nothing is in quarantine" "$(store_sql 'SELECT count(*) FROM quarantine')" 0
proxy_is between pass
ok "status finds nothing wrong" await 5 fine
is "no mail is left in any folder" "$(mails_of sa | wc -l) $(mails_of sa Ignored | wc -l)" "0 0"
ok "the log is whole" countersignctl log verify
done_testing
