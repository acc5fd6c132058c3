#!/usr/bin/env bash
# What happens to publication (P5.4) when a keyset's row is damaged, and when two would publish at once.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"

authority_new
conf_set wkd directory "\"$T/wkd\""
enrolled() { # ADDRESS: up to the reply
    person "$1"
    enrolling "$1" | deliver
    agent_once
}
confirm() { # ADDRESS
    printf 'From: %s\nTo: sa@example.org\nSubject: Re\n\nConfirmation: %s\n' "$1" "$(store_sql "SELECT nonce FROM keyset WHERE address = '$1'")" | deliver
}
published() { find "$T/wkd" -type f -path '*/hu/*' -exec gpg --batch --with-colons --show-keys {} + 2>/dev/null | grep -c "<$1>\|:$1:"; }
due() { store_sql 'SELECT count(*) FROM keyset WHERE publish_due'; }
for who in a b c; do enrolled $who@example.org; done

# ---- a damaged row ----
mv "$T/wkd" "$T/wkd.kept"
touch "$T/wkd"
confirm a@example.org
agent_once
is "where nothing can be published, it stays due" "$(due)" 1
sqlite3 "$T/sa/state/countersign.db" "UPDATE keyset SET user_id = 'somebody' WHERE address = 'a@example.org'"
rm "$T/wkd"
mv "$T/wkd.kept" "$T/wkd"
confirm b@example.org
agent_once
is "a damaged keyset does not hold up the next" "$(published b@example.org)" 1
is "it is not published itself" "$(published a@example.org)" 0
is "and stays due" "$(due)" 1
like "the journal says that it is damaged" "$(cat "$T/agent.log")" 'cannot publish: .*damaged'
sqlite3 "$T/sa/state/countersign.db" "UPDATE keyset SET user_id = 'a@example.org' WHERE address = 'a@example.org'"

# ---- one at a time ----
exec 8>"$T/sa/state/publish.lock"
flock 8
confirm c@example.org
countersignd 8>&- 2>>"$T/agent.log" &
flow_daemon=$!
confirmed() { [ "$(store_sql "SELECT confirmed > 0 FROM keyset WHERE address = 'c@example.org'")" = 1 ]; }
ok "while another publishes, a confirmation is taken" await 20 confirmed
is "but published is nothing" "$(published c@example.org)" 0
exec 8>&-
is_published() { [ "$(published "$1")" = 1 ]; }
ok "then it is" await 20 is_published c@example.org
ok "so is what was damaged, once it is as it was" await 20 is_published a@example.org
none_due() { [ "$(due)" = 0 ]; }
ok "nothing is due any more" await 20 none_due
daemon_stop
ok "the log is whole" countersignctl log verify
done_testing
