#!/usr/bin/env bash
# docs/privsep.md, looked up in /proc: who holds which descriptors, who is confined, whose user they are, and who can look into them.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"

if [ "$(id -u)" != 0 ]; then
    echo "1..0 # SKIP needs root: nobody else can look into processes that are not dumpable"
    exit 0
fi
authority_new
conf_set limits workers 2
person alice@example.org
enrolling alice@example.org >"$T/1.eml"
# Started by root it becomes the owner of the state directory (I19); `nobody` stands for the service's user.
chmod 711 "$T"
chown -R nobody "$T/sa/state" "$T/sa/run" "$T/mail"
chmod 711 "$T/sa"
chmod 644 "$COUNTERSIGN_CONF"
uid=$(id -u nobody)
daemon_start
is "it becomes ready" $? 0
deliver <"$T/1.eml"
answered() { [ -n "$(reply_to alice@example.org)" ]; }
ok "and answers, so that everything was used once" await 10 answered
ok "quietly now" await 5 outbox_empty

fds() { find "/proc/$1/fd" -mindepth 1 -printf '%f %l\n' 2>/dev/null | sort -n; }
field() { awk -v f="$2:" '$1 == f { print $2 }' "/proc/$1/status"; }
own_dirs="$T/sa/state|$T/sa/run|$T/mail"
count() { fds "$1" | awk '$1 > 2' | grep -cE "$2"; }
inet_sockets() { # sockets of a process that are not Unix sockets
    local inode
    fds "$1" | sed -n 's/.* socket:\[\([0-9]*\)\]/\1/p' | while read -r inode; do
        awk -v i="$inode" '$7 == i { found = 1 } END { exit !found }' /proc/net/unix || echo "$inode"
    done
}
roles="keyring nursery worker sender intake"
for role in parent $roles; do
    [ $role = parent ] && pids=$flow_daemon || pids=$(role_pids $role)
    for pid in $pids; do
        is "$role: runs as the service's user" "$(awk '/^Uid:/ { print $2, $3, $4, $5 }' /proc/"$pid"/status)" "$uid $uid $uid $uid"
        is "$role: without a capability" "$(field "$pid" CapEff)$(field "$pid" CapPrm)" 00000000000000000000000000000000
        is "$role: no core files" "$(awk '/^Max core file size/ { print $5, $6 }' /proc/"$pid"/limits)" "0 0"
        case $role in parent | sender) wanted=0 ;; *) wanted=1 ;; esac
        is "$role: no new privileges: $wanted" "$(field "$pid" NoNewPrivs)" $wanted
        [ $role = nursery ] && wanted=2 || wanted=0
        is "$role: seccomp: $wanted" "$(field "$pid" Seccomp)" $wanted
        is "$role: no socket of the network" "$(inet_sockets "$pid")" ""
        not "$role: its own user can't look into it" setpriv --reuid "$uid" --clear-groups cat "/proc/$pid/environ"
        # Between mails a worker has the store open, the parent its lock, and nobody anything else of the authority's.
        case $role in worker) wanted=$T/sa/state/countersign.db ;; parent) wanted=$T/sa/state/lock ;; *) wanted= ;; esac
        is "$role: of the authority's files open: ${wanted##*/}" "$(fds "$pid" | grep -oE " ($own_dirs).*" | cut -c2- | sort -u)" "$wanted"
        [ $role = intake ] || is "$role: does not watch the mailbox" "$(count "$pid" inotify)" 0
        [ $role = keyring ] || is "$role: no agent below it" "$(pgrep -c -P "$pid" gpg-agent)" 0
    done
done
# Controls: the same looks do find what is there.
setpriv --reuid "$uid" --clear-groups sleep 30 &
sleeper=$!
ok "control: its user can look into an ordinary process" await 5 setpriv --reuid "$uid" --clear-groups cat "/proc/$sleeper/environ"
kill $sleeper
wait $sleeper 2>/dev/null
python3 -c 'import socket, time; s = socket.socket(); s.bind(("127.0.0.1", 0)); time.sleep(30)' &
sleeper=$!
bound() { [ -n "$(inet_sockets $sleeper)" ]; }
ok "control: a socket of the network is seen" await 5 bound
kill $sleeper
wait $sleeper 2>/dev/null
is "control: intake watches the mailbox" "$(count "$(role_pid intake)" inotify)" 1

# Exactly the descriptors of role.h, and what the role opens itself: the stop pipe, and whom it watches.
sockets() { count "$1" socket:; }
is "nursery: its report and its one socket, nothing else" "$(fds "$(role_pid nursery)" | awk '$1 > 2' | sed 's/:.*//')" "$(printf '3 socket\n5 socket')"
is "keyring: its report alone" "$(sockets "$(role_pid keyring)")" 1
is "sender: its report and the way to the workers" "$(sockets "$(role_pid sender)")" 2
is "intake: its report and the way to the workers" "$(sockets "$(role_pid intake)")" 2
for pid in $(role_pids worker); do is "worker: its report, nursery, sender, intake" "$(sockets "$pid")" 4; done
for role in sender intake; do
    is "$role: stop pipe and configuration besides" "$(count "$(role_pid $role)" 'pipe:|memfd:')" 3
done

# The same under load, many looks: who never has the store, the key home or the mailbox open.
person bob@example.org
enrolling bob@example.org >"$T/2.eml"
chown nobody "$T"/sa/state/countersign.db*
seen() { # ROLE PATTERN
    grep -cE "^$1 .*($2)" "$T/seen"
}
: >"$T/seen"
for i in $(seq 4); do
    deliver <"$T/2.eml"
    for j in $(seq 15); do
        for role in nursery sender intake worker; do
            for pid in $(role_pids $role); do fds "$pid" | sed "s/^/$role /"; done
        done >>"$T/seen"
    done
done
store="$T/sa/state/countersign.db"
keys="$T/sa/state/keys"
for role in nursery sender intake; do
    is "$role: never the store" "$(seen $role "$store")" 0
    is "$role: never a key home" "$(seen $role "$keys|$T/sa/run")" 0
done
is "worker: never the mailbox" "$(seen worker "$T/mail")" 0
is "nursery: never any file" "$(seen nursery "$own_dirs")" 0
ok "control: the workers' store was seen" test "$(seen worker "$store")" -gt 0
ok "control: intake's mailbox was seen" test "$(seen intake "inotify|$T/mail")" -gt 0

# Nothing accumulates.
before=$(for pid in $(descendants "$flow_daemon"); do fds "$pid"; done | wc -l)
for i in $(seq 10); do deliver <"$T/2.eml"; done
ok "the mails are dealt with" await 20 mailbox_empty
ok "and sent" await 20 outbox_empty
same() { [ "$(for pid in $(descendants "$flow_daemon"); do fds "$pid"; done | wc -l)" -le "$before" ]; }
ok "no descriptor is left open by ten mails" await 5 same
is "no dead parser lies about" "$(for pid in $(descendants "$flow_daemon"); do field "$pid" State; done | grep -c Z)" 0
daemon_stop
done_testing
