#!/usr/bin/env bash
# Mails over which gpg hangs or dies, or gpg-agent does: each is tried three times, then put into quarantine, and the others are answered meanwhile (I9). What
# fails for every mail counts against none (I15).
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"

# A gpg that stumbles over what is encrypted to certain further keys, each named by a file in $T/over. GPGME asks gpgconf where gpg is.
mkdir -p "$T/bin" "$T/over"
cat >"$T/bin/gpgconf" <<SH
#!/bin/bash
/usr/bin/gpgconf "\$@" | sed 's|:/usr/bin/gpg\$|:$T/bin/gpg|'
exit "\${PIPESTATUS[0]}"
SH
cat >"$T/bin/gpg" <<SH
#!/bin/bash
[ -e "$T/full" ] && case " \$* " in *' --version '*) ;; *) kill -KILL \$\$ ;; esac
case " \$* " in *' --decrypt '*) ;; *) exec /usr/bin/gpg "\$@" ;; esac
fd=\${!#}
fd=\${fd#-&}
input=\$(mktemp "$T/input.XXXXXX")
cat <&"\$fd" >"\$input"
stumbles() { [ -e "$T/over/\$1" ] && od -An -v -tx1 "\$input" | tr -d ' \n' | grep -q "\$(cat "$T/over/\$1")" && echo "\$1" >>"$T/stumbled"; }
stumbles hang && kill -STOP \$\$
stumbles die && kill -SEGV \$\$
stumbles agent && kill -KILL \$(pgrep -x -P "\$(cat "$T/keyring.pid")" gpg-agent)
home=
stumbles once && home="$T/gnupg-none" && rm "$T/over/once"
eval "exec \$fd<\"\$input\""
rm -f "\$input"
for argument; do
    case \$argument in */keyhome-*) argument=\${home:-\$argument} ;; esac
    arguments+=("\$argument")
done
exec /usr/bin/gpg "\${arguments[@]}"
SH
mkdir -m 700 "$T/gnupg-none"
echo no-autostart >"$T/gnupg-none/gpg.conf"
chmod +x "$T/bin/gpgconf" "$T/bin/gpg"

authority_new
conf_set limits workers 2
conf_set limits mails-per-address-day 1000
conf_set notify administrators '{"admin@example.org"}'
good="after-hang after-die after-agent beside while unwritable"
user mallory
countersignctl authority export >"$T/authority.asc" 2>/dev/null
as mallory gpg --batch --quiet --import "$T/authority.asc" 2>/dev/null
for who in $good; do
    person $who@example.org
    enrolling $who@example.org >"$T/$who.eml"
done
# sealed_for NAME TEXT: a mail encrypted to the authority and to a key of that name, over whose ID gpg shall stumble.
sealed_for() {
    local fpr
    fpr=$(gpg_key mallory "$1@example.org")
    as mallory gpg --batch --with-colons --list-keys "$fpr" 2>/dev/null | awk -F: '$1 == "sub" { print $5 }' | tr A-F a-f >"$T/$1.id"
    printf 'From: %s@example.org\nTo: sa@example.org\nSubject: %s\nMessage-ID: <%s@example.org>\nMIME-Version: 1.0\nContent-Type: text/plain\n\n' "$1" "$1" "$1"
    echo "$2" | as mallory gpg --batch --quiet --armor --trust-model always -r sa@example.org -r "$fpr" --encrypt
}
for how in hang die agent control; do sealed_for $how 'nothing of interest' >"$T/$how.eml"; done
sealed_for once "$(token_for once@example.org)" >"$T/once.eml"

replied() { [ -n "$(reply_to "$1")" ]; }
quarantined() { [ "$(store_sql 'SELECT count(*) FROM quarantine')" = "$1" ]; }
stumbled() { grep -cx "$1" "$T/stumbled" 2>/dev/null; }
has_stumbled() { [ "$(stumbled "$1")" -ge 1 ]; }
attempts() { store_sql 'SELECT coalesce(sum(count), 0) FROM attempt'; }
counted() { [ "$(attempts)" = "$1" ]; }
logged() { grep -q "$1" "$T/agent.log"; }

PATH="$T/bin:$PATH" daemon_start
is "it becomes ready" $? 0
deliver <"$T/control.eml"
ok "a mail to two keys over which nobody stumbles is looked at" await 10 mailbox_empty
ok "and is no poison" quarantined 0

# ---- one mail each: gpg hangs, gpg dies, gpg-agent dies and is started again ----
poison() { # NAME : its mail, the good one behind it is answered, and it ends in quarantine
    cp "$T/$1.id" "$T/over/$1"
    deliver <"$T/$1.eml"
    ok "$1: gpg stumbles" await 5 has_stumbled "$1"
    deliver <"$T/after-$1.eml"
    ok "$1: the good mail behind it is answered" await 8 replied "after-$1@example.org"
}
put_away() { [ "$(store_sql "SELECT count(*) FROM quarantine WHERE headers LIKE '%Subject: $1%'")" = 1 ]; }
over() { # NAME
    ok "$1: it ends in quarantine" await 40 put_away "$1"
    is "$1: after three attempts" "$(stumbled "$1")" 3
    is "$1: which says so" "$(store_sql "SELECT reason FROM quarantine WHERE headers LIKE '%Subject: $1%'")" 'it could not be processed in 3 attempts'
}
# gpg-time is 30 s here; what strangers sent has five.
began=$(date +%s)
poison hang
poison die
over die
deliver <"$T/beside.eml"
ok "hang: and another" await 8 replied beside@example.org
over hang
ok "hang: no attempt took gpg-time" test $(($(date +%s) - began)) -lt 40
role_pid keyring >"$T/keyring.pid"
poison agent
ok "agent: it ends in quarantine" await 40 put_away agent
cp "$T/once.id" "$T/over/once"
deliver <"$T/once.eml"
ok "an agent that was missing for a moment" await 5 has_stumbled once
ok "does not make a good mail one that can't be opened" await 8 replied once@example.org
ok "the agent is there again" await 20 is_ready
ok "the mailbox is empty" await 5 mailbox_empty
is "three mails are in quarantine" "$(store_sql 'SELECT count(*) FROM quarantine')" 3
ok "nothing is counted any more" await 2 counted 0
alarms() { count_to admin@example.org '^Subject: .*quarantine'; }
is "administrators were told once" "$(alarms)" 1

# ---- gpg dies whatever the mail is ----
: >"$T/full"
was=$(grep -c 'deferred a mail' "$T/agent.log")
deferred_again() { [ "$(grep -c 'deferred a mail' "$T/agent.log")" -gt "$was" ]; }
deliver <"$T/while.eml"
ok "without a gpg that works a mail is deferred" await 8 deferred_again
not "again and again it counts against nobody" await 5 quarantined 4
ok "nor is it counted" await 8 counted 0
rm "$T/full"
ok "with one it is answered" await 30 replied while@example.org
ok "and enrolled" test "$(store_sql "SELECT count(*) FROM keyset WHERE address = 'while@example.org'")" = 1

# ---- the store can't be written for a while ----
journal=$T/sa/state/countersign.db-journal
mv "$journal" "$T/journal" 2>/dev/null
mkdir "$journal"
was=$(grep -c 'deferred a mail' "$T/agent.log")
deliver <"$T/unwritable.eml"
ok "a store that can't be written: the mail is deferred" await 8 deferred_again
rmdir "$journal"
ok "then it can be: the workers open it again, and answer" await 40 replied unwritable@example.org
is "it is enrolled once" "$(store_sql "SELECT count(*) FROM keyset WHERE address = 'unwritable@example.org'")" 1
daemon_stop
ok "the log is whole" countersignctl log verify
done_testing
