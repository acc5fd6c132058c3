#!/usr/bin/env bash
# The configurations in samples/ work: each is read as it is, and used with the fixtures' ports and paths in place of its own.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"
. "$(dirname "$0")/../lib/servers.sh"
. "$(dirname "$0")/../lib/enrollment.sh"

# changed FILE SED...: the file with each of these changes, every one of which has to be one.
changed() {
    local text next change
    text=$(cat "$1")
    shift
    for change in "$@"; do
        next=$(sed "$change" <<<"$text")
        [ "$next" != "$text" ] || echo "not changed: $change"
        text=$next
    done
    printf '%s\n' "$text"
}
# sample NAME SED...: is the configuration from here on
sample() {
    unlike "$1.conf: no line of it is wrong" "$(countersignd -c "$top/samples/$1.conf" -n 2>&1)" "\.conf:[0-9]"
    export COUNTERSIGN_CONF="$T/sa/$1.conf"
    changed "$top/samples/$1.conf" "${@:2}" >"$COUNTERSIGN_CONF"
    conf_set authority state-directory "\"$T/sa/state\""
    conf_set authority runtime-directory "\"$T/sa/run\""
}
believe() { for section in mailbox submit; do conf_set $section ca-file "\"$S/ca/ca.pem\""; done; }
works() { exits "$1.conf: countersignd -n finds nothing wrong" 0 countersignd -n; }

authority_new
echo 'nonsense = 1' >>"$COUNTERSIGN_CONF"
like "what is wrong with a file is said with the line" "$(countersignd -n 2>&1)" '\.conf:[0-9]'
(umask 077; echo 'secret of sa' >"$T/sa/password")
mkdir -p -m 755 "$S/dovecot" # Postfix has to reach the socket there
echo "sa:{PLAIN}secret of sa:$(as_nobody id -u):$(as_nobody id -g)::$S/dovecot/mail/sa::" >"$S/dovecot/countersign.users"
lmtp=$S/dovecot/lmtp.socket
dovecot_start good "$(changed "$top/samples/dovecot-local.conf" "s|/etc/dovecot/countersign.users|$S/dovecot/countersign.users|" \
    "s|/var/spool/postfix/private/dovecot-lmtp|$lmtp|" "s|mode = 0600|mode = 0666|" "s|user = postfix|user = $(as_nobody id -un)|" "s|group = postfix|group = $(as_nobody id -gn)|")"
sed -i '/^sa:/d' "$S/dovecot/users"
postfix_start good "$(changed "$top/samples/dovecot-postfix.cf" "s|unix:private/dovecot-lmtp|unix:$lmtp|")"
imaps=$imaps_port submissions=$submissions_port

# ---- Dovecot and Postfix on one machine ----
sample dovecot-postfix "s|sa@localhost/INBOX|sa@localhost:$imap_port/INBOX|" "s|localhost:25\"|localhost:$smtp_port\"|" "s|/etc/countersign/imap-password|$T/sa/password|"
works dovecot-postfix
daemon_start
is "dovecot-postfix.conf: the daemon is ready" $? 0
enroll_plain alice
mailbox_settled Done 1
like "dovecot-postfix.cf: what came was handed over by LMTP" "$(cat "$S/postfix/postfix.log")" "to=<sa@example.org>, relay=[^ ]*$lmtp\\], .*status=sent"
daemon_stop

# ---- a provider ----
provider=("s|@imap.example.com/|@localhost:$imaps_port/|")
sample hosted "${provider[@]}" "s|@smtp.example.com:465|@localhost:$submissions_port|" "s|/etc/countersign/mail-password|$T/sa/password|"
believe
works hosted
like "hosted.conf: with the whole address as user" "$(cat "$S/dovecot/dovecot.log")" 'Login: user=<sa@example.org>, method=SCRAM-SHA-256'

# ---- OAuth ----
sample oauth "${provider[@]}" "s|@smtp.example.com:587|@localhost:$submission_port|" "s|\"/usr/bin/pizauth show sa\"|\"$top/tests/lib/jwt.py sa@example.org 60\"|"
believe
works oauth
like "oauth.conf: a token it was" "$(cat "$S/dovecot/dovecot.log")" 'Login: user=<sa@example.org>, method=OAUTHBEARER'

# ---- Postfix alone, by a pipe; what Postfix runs is another user than root ----
postfix_stop
sample postfix-pipe "s|/var/lib/countersign/mail|$T/mail/inbox|" "s|localhost:25\"|localhost:$smtp_port\"|"
chmod 711 "$T" "$T/sa"
chmod 644 "$COUNTERSIGN_CONF"
[ "$(id -u)" != 0 ] || chown -R 65534:65534 "$T/sa/state" "$T/sa/run" "$T/mail/inbox"
install -m 755 "$build/countersignd" "$S/countersignd"
changed "$top/samples/postfix-master.cf" "s|user=countersign|user=$(as_nobody id -un)|" "s|/usr/sbin/countersignd|$S/countersignd -c $COUNTERSIGN_CONF|" >"$T/master.cf"
eval "$(declare -f postfix_master_cf | sed '1s/.*/master_cf_without ()/')"
postfix_master_cf() { master_cf_without && cat "$T/master.cf"; }
postfix_start good "$(cat "$top/samples/postfix-main.cf")"
works postfix-pipe
daemon_start
is "postfix-pipe.conf: the daemon is ready" $? 0
enroll_plain bob
is "nothing of that went to Dovecot's mailbox" "$(mail_program folders "$imaps" sa | awk '$1 == "INBOX" { print $2 }')" 0
chmod 500 "$T/mail/inbox/tmp" "$T/mail/inbox/new"
printf 'From: bob@example.org\nTo: sa@example.org\nSubject: hello\nMessage-ID: <%s@example.org>\n\nhello\n' $RANDOM$RANDOM | hand_in bob
deferred() { grep -q 'to=<sa@example.org>.*status=deferred' "$S/postfix/postfix.log"; }
ok "what can't be written stays with Postfix" await 10 deferred
chmod 700 "$T/mail/inbox/tmp" "$T/mail/inbox/new"
ignored() { [ "$(find "$T/mail/inbox/.Ignored" -type f 2>/dev/null | wc -l)" = 1 ]; }
ok "and comes later" await 15 ignored
token_for erin@example.org >/dev/null
bounced() { countersignctl outbox list --all | grep -qE "bounced +erin@example.org"; }
ok "a bounce comes to the extended address, and is known" await 15 bounced
like "which the pipe wrote down" "$(cat "$T"/mail/inbox/.Ignored/cur/* "$T"/mail/inbox/.Ignored/new/* 2>/dev/null)" '^(Delivered-To|X-Original-To): sa\+b-[0-9A-Za-z]+@example.org'
daemon_stop
done_testing
