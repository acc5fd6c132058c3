# servers.sh: Dovecot and Postfix on loopback, each test its own, unpacked and not installed. Sourced after flow.sh and daemon.sh; what it starts ends with
# the test. Accounts are sa, alice, bob, carol and dora at example.org, each with the password "secret of NAME"; mail is in $S/dovecot/mail/NAME/Maildir.
. "$(dirname "${BASH_SOURCE[0]}")/ca.sh"

fixtures=$top/build/fixtures
S=$(mktemp -d /dev/shm/cs-servers-XXXXXX)
chmod 755 "$S" # servers are other users
servers_pids=() servers_copy=
servers_end() {
    dovecot_kill
    postfix_stop
    kill -9 "${servers_pids[@]}" 2>/dev/null
    [ -n "${KEEP:-}" ] && echo "# kept: $S" || rm -rf "$S" 2>/dev/null || as_root rm -rf "$S"
    [ -z "$servers_copy" ] || rm -rf "$servers_copy"
}
trap 'flow_end; servers_end' EXIT

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
# Dovecot is run as nobody by root, as themselves by others.
as_nobody() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; else "$@"; fi; }
free_ports() { "$top/tests/lib/free_ports.py" "$1"; }
loopback() { grep -qs '^00000000000000000000000000000001 ' /proc/net/if_inet6 && echo '127.0.0.1, ::1' || echo 127.0.0.1; }
in_background() { # COMMAND...: ends with the test
    "$@" </dev/null >>"$S/background.log" 2>&1 &
    servers_pids+=($!)
    disown
}
greets() { # PORT PATTERN
    local line=
    { exec 8<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 1
    read -r -t 1 line <&8
    exec 8>&-
    [[ $line == $2 ]]
}
# fixture NAME: sets `fixture` to where it is unpacked; a copy when nobody may not go there.
fixture() {
    make -s -C "$top" "fixture-$1" || { echo "Bail out! no $1"; exit 1; }
    fixture=$fixtures/$1
    as_nobody test -r "$fixture/usr" -a -r "$build/moved.so" && return
    [ -n "$servers_copy" ] || { servers_copy=$(mktemp -d /tmp/cs-fixtures-XXXXXX) && chmod 755 "$servers_copy"; }
    [ -e "$servers_copy/$1" ] || cp -a "$fixture" "$servers_copy/$1"
    install -m 755 "$build/moved.so" "$servers_copy/moved.so"
    fixture=$servers_copy/$1
}

# ---- Dovecot ----
# dovecot_start [CERT [LINES]]: with that certificate of ca_make's (good), and these lines of configuration; on $imap_port (STARTTLS), $imaps_port,
# $lmtp_port and $sasl_port, which stay the same over restarts.
dovecot_env() {
    fixture dovecot
    local preload=$build/moved.so
    [ -z "$servers_copy" ] || preload=$servers_copy/moved.so
    dovecot_root=$fixture
    dovecot_env=(env MOVED="$fixture" LD_PRELOAD="$preload"
        LD_LIBRARY_PATH="$fixture/usr/lib/x86_64-linux-gnu:$fixture/usr/lib/dovecot:$fixture/usr/lib/dovecot/modules/old-stats")
}
dovecot_start() {
    local d=$S/dovecot name
    [ -n "${imap_port:-}" ] || read -r imap_port imaps_port lmtp_port sasl_port <<<"$(free_ports 4)"
    [ -e "$S/ca/ca.pem" ] || ca_make "$S/ca"
    dovecot_env
    mkdir -p -m 755 "$d"
    rm -rf "$d/run"
    mkdir -p -m 755 "$d/run"
    mkdir -p "$d/state" "$d/mail" "$d/jwt/default/HS256"
    cp "$S/ca/${1:-good}.pem" "$d/cert.pem"
    cp "$S/ca/${1:-good}.key" "$d/key.pem"
    for name in sa alice bob carol dora; do echo "$name:{PLAIN}secret of $name"; done >"$d/users"
    printf 'secret of tokens' | base64 >"$d/jwt/default/HS256/default"
    printf 'introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix=%s/jwt/\nusername_attribute = sub\n' "$d" >"$d/oauth2.conf"
    dovecot_conf "${2:-}" >"$d/dovecot.conf"
    [ "$(id -u)" != 0 ] || chown -R 65534:65534 "$d"
    as_nobody setsid "${dovecot_env[@]}" "$dovecot_root/usr/sbin/dovecot" -F -c "$d/dovecot.conf" </dev/null >>"$d/stdout.log" 2>&1 &
    await 2 greets "$imap_port" '\* OK*' || { echo "Bail out! Dovecot did not start"; tail -n 5 "$d"/*.log; exit 1; }
    read -r dovecot_pid <"$d/run/master.pid"
}
dovecot_conf() {
    local d=$S/dovecot user=nobody group=nogroup
    [ "$(id -u)" = 0 ] || { user=$(id -un); group=$(id -gn); }
    cat <<C
base_dir = $d/run
state_dir = $d/state
libexec_dir = $dovecot_root/usr/lib/dovecot
mail_plugin_dir = $dovecot_root/usr/lib/dovecot/modules
import_environment = MOVED LD_PRELOAD LD_LIBRARY_PATH TZ
log_path = $d/dovecot.log
protocols = imap lmtp
listen = $(loopback)
default_internal_user = $user
default_internal_group = $group
default_login_user = $user
first_valid_uid = 1
mail_fsync = never
ssl = yes
ssl_cert = <$d/cert.pem
ssl_key = <$d/key.pem
ssl_min_protocol = TLSv1.2
auth_mechanisms = plain login scram-sha-1 scram-sha-256 xoauth2 oauthbearer
auth_failure_delay = 0
auth_verbose = yes
recipient_delimiter = +
mail_max_userip_connections = 100
mail_location = maildir:~/Maildir
passdb {
  driver = passwd-file
  args = username_format=%n $d/users
}
passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = $d/oauth2.conf
}
userdb {
  driver = static
  args = home=$d/mail/%n
}
namespace inbox {
  inbox = yes
  separator = /
}
protocol lmtp {
  postmaster_address = postmaster@example.org
  auth_username_format = %n
}
service imap-login {
  chroot =
  service_count = 0
  process_min_avail = 1
  inet_listener imap {
    port = $imap_port
  }
  inet_listener imaps {
    port = $imaps_port
    ssl = yes
  }
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = $lmtp_port
  }
}
service auth {
  inet_listener sasl {
    address = 127.0.0.1
    port = $sasl_port
  }
}
# Else failed logins make every later login from this address slow.
service anvil {
  chroot =
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service stats {
  chroot =
}
service ipc {
  chroot =
}
$1
C
}
# The whole process group at once, like a crash; or politely, with BYE to everybody.
dovecot_kill() {
    [ -n "${dovecot_pid:-}" ] || return 0
    kill -9 -- "-$dovecot_pid" 2>/dev/null
    dovecot_pid=
}
dovecot_stop() {
    kill "$dovecot_pid"
    while [ -n "$(alive "$dovecot_pid")" ]; do sleep 0.02; done
    dovecot_pid=
}
dovecot_adm() { as_nobody "${dovecot_env[@]}" "$dovecot_root/usr/bin/doveadm" -c "$S/dovecot/dovecot.conf" "$@"; }
# dovecot_password NAME PASSWORD: from now on; the file is read again because it is of another time.
dovecot_password() {
    local users
    users=$(sed "s/^$1:.*/$1:{PLAIN}$2/" "$S/dovecot/users")
    echo "$users" >"$S/dovecot/users"
    touch -d "@$(($(stat -c %Y "$S/dovecot/users") + 10))" "$S/dovecot/users"
}
dovecot_logins() { grep -c "imap-login: Info: Login: user=<$1" "$S/dovecot/dovecot.log"; }
dovecot_refusals() { grep -c "imap-login: .*auth failed.* user=<$1" "$S/dovecot/dovecot.log"; }
maildir_of() { echo "$S/dovecot/mail/$1/Maildir"; }
# mails_of NAME [FOLDER]: files with what that mailbox holds, oldest first
mails_of() { find "$(maildir_of "$1")${2:+/.$2}/new" "$(maildir_of "$1")${2:+/.$2}/cur" -type f -printf '%T@ %p\n' 2>/dev/null | sort -n | cut -d ' ' -f 2-; }
mails_with() { mails_of "$1" | while read -r f; do sed '/^\r*$/q' "$f" | grep -qiE -- "$2" && echo "$f"; done; }
imap_empty() { [ -z "$(mails_of sa)" ]; }

# ---- Postfix ----
# postfix_start [CERT [LINES]]: $smtp_port takes mail from anybody here, $submission_port (STARTTLS) and $submissions_port after login alone. All accounts are
# Dovecot's; other addresses at example.org are refused there, and come back as bounces. $postfix_submission: options of the submission service,
# $postfix_services: more lines of master.cf.
postfix_start() {
    local p=$S/postfix
    [ -n "${smtp_port:-}" ] || read -r smtp_port submission_port submissions_port <<<"$(free_ports 3)"
    fixture postfix
    mkdir -p "$S/postfix.etc"
    cp "$S/ca/${1:-good}.pem" "$S/postfix.etc/cert.pem"
    cp "$S/ca/${1:-good}.key" "$S/postfix.etc/key.pem"
    postfix_main_cf "${2:-}" >"$S/postfix.etc/main.cf"
    postfix_master_cf >"$S/postfix.etc/master.cf"
    # Files younger than a second are read again and again until they are older.
    as_root sh -c '
        p=$1; umask 022
        mkdir -p "$p/etc" "$p/spool/pid" "$p/data"
        cp "$p.etc"/* "$p/etc"
        chmod 644 "$p/etc"/*.cf
        touch -d "1 hour ago" "$p/etc"/*.cf
        chown uucp "$p/data"
        for d in active bounce corrupt defer deferred flush hold incoming private saved trace; do mkdir -p -m 700 "$p/spool/$d"; chown uucp "$p/spool/$d"; done
        for d in maildrop public; do mkdir -p -m 710 "$p/spool/$d"; chown uucp:news "$p/spool/$d"; done
        chmod 730 "$p/spool/maildrop"
        touch "$p/postfix.log"; chmod 644 "$p/postfix.log"' sh "$p"
    as_root setsid env MAIL_CONFIG="$p/etc" LD_LIBRARY_PATH="$fixture/usr/lib/postfix:$fixture/usr/lib/x86_64-linux-gnu" \
        "$fixture/usr/lib/postfix/sbin/master" -c "$p/etc" -d </dev/null >>"$S/postfix.out" 2>&1 &
    await 10 greets "$smtp_port" '220*' || { echo "Bail out! Postfix did not start"; tail -n 5 "$S/postfix.out" "$p/postfix.log"; exit 1; }
    postfix_pid=$(as_root cat "$p/spool/pid/master.pid" | tr -d ' ')
}
postfix_main_cf() {
    local p=$S/postfix
    cat <<C
compatibility_level = 3.7
queue_directory = $p/spool
data_directory = $p/data
daemon_directory = $fixture/usr/lib/postfix/sbin
command_directory = $fixture/usr/sbin
shlib_directory = $fixture/usr/lib/postfix
import_environment = MAIL_CONFIG LD_LIBRARY_PATH TZ
maillog_file = $p/postfix.log
maillog_file_prefixes = $p
mail_owner = uucp
setgid_group = news
inet_interfaces = $(loopback)
inet_protocols = all
myhostname = mx.example.org
mydestination =
mynetworks = 127.0.0.0/8 [::1]/128
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = example.org
virtual_transport = lmtp:inet:127.0.0.1:$lmtp_port
recipient_delimiter = +
relay_domains =
default_transport = error:5.4.4 no way leads out of this test
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
smtpd_tls_cert_file = $p/etc/cert.pem
smtpd_tls_key_file = $p/etc/key.pem
smtpd_tls_security_level = may
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:$sasl_port
smtpd_sasl_tls_security_options = noanonymous
smtpd_client_connection_count_limit = 0
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
lmtp_dns_support_level = disabled
in_flow_delay = 0
minimal_backoff_time = 2s
maximal_backoff_time = 2s
queue_run_delay = 2s
$1
C
}
postfix_master_cf() {
    local address
    for address in $(loopback | tr -d ,); do
        [[ $address != *:* ]] || address="[$address]"
        cat <<C
$address:$smtp_port inet n - n - - smtpd
$address:$submission_port inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject${postfix_submission:+ $postfix_submission}
$address:$submissions_port inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
C
    done
    cat <<C
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
${postfix_services:-}
C
}
postfix_stop() {
    [ -n "${postfix_pid:-}" ] || return 0
    as_root kill -9 -- "-$postfix_pid" 2>/dev/null
    postfix_pid=
}
# post FROM TO: hands the mail on standard input to Postfix, as another mail server would
post() {
    python3 -c 'import smtplib, sys
with smtplib.SMTP("127.0.0.1", int(sys.argv[1])) as s:
    s.sendmail(sys.argv[2], sys.argv[3:], sys.stdin.buffer.read())' "$smtp_port" "$@"
}

# ---- what servers don't do ----
# fake_start NAME imap|smtp WORDS: a server that is told how to behave, on port ${NAME}_port; see fake_server.py. fake_is NAME WORDS: now like this.
fake_is() {
    mkdir -p "$S/$1"
    echo "$2" >"$S/$1/control.new" && mv "$S/$1/control.new" "$S/$1/control"
}
fake_start() {
    local -n port=${1}_port
    port=$(free_ports 1)
    [ -e "$S/ca/ca.pem" ] || ca_make "$S/ca"
    fake_is "$1" "$3"
    in_background "$top/tests/lib/fake_server.py" "$port" "$2" "$S/$1"
    await 5 listens "$port"
}
listens() { { exec 8<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null && exec 8>&-; }
heard() { cat "$S/$1/heard" 2>/dev/null; }
# proxy_start NAME TARGET: a proxy before that port, on ${NAME}_port; proxy_is NAME WORDS: see proxy.py.
proxy_is() { echo "$2" >"$S/$1.new" && mv "$S/$1.new" "$S/$1.proxy"; }
proxy_start() {
    local -n port=${1}_port
    port=$(free_ports 1)
    proxy_is "$1" pass
    in_background "$top/tests/lib/proxy.py" "$port" "$2" "$S/$1.proxy"
    await 5 listens "$port"
}
proxy_count() { cat "$S/$1.proxy.count" 2>/dev/null || echo 0; }
