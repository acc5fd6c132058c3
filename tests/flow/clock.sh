#!/usr/bin/env bash
# A clock that jumps while the daemon runs (I13): a good request waits and is answered once the clock is right again; what is in the outbox goes out meanwhile.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"

authority_new
conf_set notify administrators '{"admin@example.org"}'
conf_set limits poll 1s
echo '+0' >"$T/time"
at() { # OFFSET: from now on the daemon's clock shows this; renamed into place, for it reads at any moment
    echo "$1" >"$T/time.new"
    mv "$T/time.new" "$T/time"
}
preload=$(faketime -f +0 sh -c 'echo "$LD_PRELOAD"')
faked() { # in the place of this shell
    exec env DONT_FAKE_MONOTONIC=1 FAKETIME_NO_CACHE=1 FAKETIME_TIMESTAMP_FILE="$T/time" LD_PRELOAD="$preload" "$@"
}
state() { cat "$T/sa/run/status" 2>/dev/null; }
says() { grep -qs "$1" "$T/sa/run/status"; }
answered() { [ -n "$(reply_to "$1")" ]; }
logged() { [ "$(grep -c "$1" "$T/agent.log")" -ge "$2" ]; }
person a@example.org
person b@example.org
person c@example.org
enrolling a@example.org >"$T/a.eml"
enrolling b@example.org >"$T/b.eml"
enrolling c@example.org >"$T/c.eml"
faked countersignd 2>>"$T/agent.log" &
flow_daemon=$!
ok "the daemon runs" await 20 is_ready
deliver <"$T/a.eml"
ok "with the right clock a request is answered" await 30 answered a@example.org
is "a@ is enrolled" "$(store_sql "SELECT count(*) FROM keyset WHERE address = 'a@example.org'")" 1

# ---- three weeks ahead: every token has expired by then ----
at +20d
deliver <"$T/b.eml"
ok "the journal says that the clock has jumped" await 20 logged 'clock has jumped' 1
ok "and the mail is deferred" await 20 logged 'deferred a mail' 1
ok "the status says so" await 20 says 'not ready: worker: the clock has jumped'
told() { [ "$(count_to admin@example.org '^Subject: .*the clock has jumped')" = 1 ]; }
ok "the administrators are told, by a mail that goes out at once" await 30 told
is "nothing is answered" "$(reply_to b@example.org)" ""
is "nothing is refused" "$(store_sql "SELECT count(*) FROM log WHERE event = 'refused'")" 0
is "the mail stays" "$(find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l)" 1
is "and no attempt is counted" "$(store_sql 'SELECT coalesce(max(count), 0) FROM attempt')" 0

# ---- right again ----
at +0
ok "then it is answered" await 40 answered b@example.org
is "b@ is enrolled" "$(store_sql "SELECT count(*) FROM keyset WHERE address = 'b@example.org'")" 1
ok "the status is ready" await 20 is_ready

# ---- three weeks back ----
at -20d
deliver <"$T/c.eml"
ok "a clock set back is told as well" await 20 says 'not ready: worker: the clock has jumped'
is "nothing is answered then" "$(reply_to c@example.org)" ""
at +0
ok "and once it is right that is answered too" await 40 answered c@example.org
is "one alarm a day" "$(count_to admin@example.org '^Subject: .*the clock has jumped')" 1
daemon_stop

# ---- at its start the daemon believes the clock: positive control, for the same token would be refused then ----
person d@example.org
enrolling d@example.org >"$T/d.eml"
at +20d
deliver <"$T/d.eml"
(faked countersignd --once 2>>"$T/agent.log")
is "a daemon that starts three weeks later refuses the expired token" "$(reason_of "$(reply_to d@example.org)")" token-expired
ok "the log is whole" countersignctl log verify
done_testing
