# servers2.sh: the second IMAP server, Cyrus, and the second MTA, Exim, each in a directory of its own below $S and on ports of its own. Sourced after servers.sh.

# cyrus_start [LINE...]: further lines of imapd.conf. Sets cyrus_imap, cyrus_imaps, cyrus_lmtp: its ports.
cyrus_start() {
    local dir="$S/cyrus" bin name line
    [ -n "${cyrus_imap:-}" ] || read -r cyrus_imap cyrus_imaps cyrus_lmtp <<<"$(free_ports 3)"
    [ -e "$S/ca/ca.pem" ] || ca_make "$S/ca"
    fixture cyrus
    bin=$fixture/usr/lib/cyrus/bin
    cyrus_env=(env LD_LIBRARY_PATH="$fixture/usr/lib/x86_64-linux-gnu" SASL_PATH="$fixture/usr/lib/x86_64-linux-gnu/sasl2:/usr/lib/x86_64-linux-gnu/sasl2")
    mkdir -p "$dir"/conf/{db,proc,lock,log,msg,ptclient,quota,sieve,socket,user,backup} "$dir/spool"
    cp "$S/ca/good.pem" "$dir/cert.pem"
    cp "$S/ca/good.key" "$dir/key.pem"
    {
        cat <<CONF
configdirectory: $dir/conf
defaultpartition: default
partition-default: $dir/spool
cyrus_user: $(as_nobody id -un)
admins: cyrus
allowplaintext: no
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: $dir/sasldb2
sasl_mech_list: PLAIN LOGIN SCRAM-SHA-256
tls_server_cert: $dir/cert.pem
tls_server_key: $dir/key.pem
autocreate_quota: 0
autocreate_post: yes
autocreate_users: sa alice bob carol dora
idlesocket: $dir/conf/socket/idle
lmtpsocket: $dir/conf/socket/lmtp
notifysocket: $dir/conf/socket/notify
servername: localhost
virtdomains: off
CONF
        for line in "$@"; do echo "$line"; done
    } >"$dir/imapd.conf"
    cat >"$dir/cyrus.conf" <<CONF
START {
  recover cmd="$bin/ctl_cyrusdb -C $dir/imapd.conf -r"
}
SERVICES {
  imap cmd="$bin/imapd -C $dir/imapd.conf" listen="127.0.0.1:$cyrus_imap" prefork=1
  imaps cmd="$bin/imapd -C $dir/imapd.conf -s" listen="127.0.0.1:$cyrus_imaps" prefork=1
  lmtp cmd="$bin/lmtpd -C $dir/imapd.conf -a" listen="127.0.0.1:$cyrus_lmtp" prefork=1
}
DAEMON {
  idled cmd="$bin/idled -C $dir/imapd.conf"
}
EVENTS {
}
CONF
    [ "$(id -u)" != 0 ] || chown -R 65534:65534 "$dir"
    for name in sa alice bob carol dora cyrus; do
        printf 'secret of %s' $name | as_nobody "${cyrus_env[@]}" "$fixture/usr/sbin/saslpasswd2" -p -c -u localhost -f "$dir/sasldb2" $name
    done
    as_nobody setsid "${cyrus_env[@]}" "$bin/master" -C "$dir/imapd.conf" -M "$dir/cyrus.conf" -p "$dir/master.pid" \
        </dev/null >>"$dir/log" 2>&1 &
    await 10 greets "$cyrus_imap" '\* OK*' || { echo "Bail out! Cyrus did not start"; sed 's/^/# /' "$dir/log"; exit 1; }
    cyrus_pid=$(cat "$dir/master.pid")
}
cyrus_kill() { group_kill cyrus_pid; }

# exim_start [LINE...]: takes mail for example.org on a port like 25, and from who logs in on ports like 587 and 465; hands it to LMTP on
# port $lmtp_port. Further lines belong to the main section. While $S/exim/greylist is there, mails of the authority are put off with 451. Sets exim_smtp, exim_submission, exim_submissions.
exim_start() {
    local dir="$S/exim" line
    [ -n "${exim_smtp:-}" ] || read -r exim_smtp exim_submission exim_submissions <<<"$(free_ports 3)"
    [ -e "$S/ca/ca.pem" ] || ca_make "$S/ca"
    fixture exim
    mkdir -p "$dir/spool" "$dir/log"
    cp "$S/ca/good.pem" "$dir/cert.pem"
    cp "$S/ca/good.key" "$dir/key.pem"
    # Debian's Exim wants a user Debian-exim to exist, and starts itself again for each delivery.
    { getent passwd; echo "Debian-exim:x:$(as_nobody id -u):$(as_nobody id -g)::/:/bin/false"; } >"$dir/passwd"
    { getent group; echo "Debian-exim:x:$(as_nobody id -g):"; } >"$dir/group"
    {
        cat <<CONF
primary_hostname = mx.example.org
spool_directory = $dir/spool
log_file_path = $dir/log/%slog
pid_file_path = $dir/pid
keep_environment = ^LD_ : ^NSS_WRAPPER_
exim_path = $fixture/usr/sbin/exim4
local_interfaces = <; [127.0.0.1]:$exim_smtp ; [127.0.0.1]:$exim_submission ; [127.0.0.1]:$exim_submissions
tls_on_connect_ports = $exim_submissions
tls_advertise_hosts = *
tls_certificate = $dir/cert.pem
tls_privatekey = $dir/key.pem
auth_advertise_hosts = \${if and{{!eq{\$received_port}{$exim_smtp}}{!eq{\$tls_in_cipher}{}}}{*}{}}
smtputf8_advertise_hosts = *
acl_smtp_rcpt = rcpt
acl_smtp_data = accept
host_lookup =
rfc1413_query_timeout = 0s
deliver_drop_privilege = true
never_users =
queue_run_max = 2
message_size_limit = 25M
CONF
        for line in "$@"; do echo "$line"; done
        cat <<CONF
begin acl
rcpt:
  defer condition = \${if and{{exists{$dir/greylist}}{match_local_part{\$sender_address_local_part}{^sa}}}}
        message = 4.7.1 Greylisted, try again later
  accept authenticated = *
  accept condition = \${if eq{\$received_port}{$exim_smtp}}
         domains = example.org
  deny message = 5.7.1 Relaying denied
begin routers
mailbox:
  driver = manualroute
  domains = example.org
  route_list = * 127.0.0.1 byname
  self = send
  transport = lmtp
begin transports
lmtp:
  driver = smtp
  protocol = lmtp
  port = $lmtp_port
  allow_localhost
  hosts_avoid_tls = *
  envelope_to_add
  delivery_date_add
begin retry
* * F,1h,2s
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = \${if and{{eq{\$auth3}{secret of \$auth2}}{inlist{\$auth2}{sa:alice:bob:carol:dora}}}}
  server_set_id = \$auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = \${if and{{eq{\$auth2}{secret of \$auth1}}{inlist{\$auth1}{sa:alice:bob:carol:dora}}}}
  server_set_id = \$auth1
CONF
    } >"$dir/exim.conf"
    chmod 644 "$dir/exim.conf"
    [ "$(id -u)" != 0 ] || chown -R 65534:65534 "$dir"
    as_nobody setsid env LD_LIBRARY_PATH="$fixture/usr/lib/x86_64-linux-gnu" LD_PRELOAD="$fixture/usr/lib/x86_64-linux-gnu/libnss_wrapper.so" \
        NSS_WRAPPER_PASSWD="$dir/passwd" NSS_WRAPPER_GROUP="$dir/group" "$fixture/usr/sbin/exim4" -C "$dir/exim.conf" -bdf -q2s </dev/null >>"$dir/out" 2>&1 &
    await 10 greets "$exim_smtp" '220*' || { echo "Bail out! Exim did not start"; sed 's/^/# /' "$dir/out" "$dir"/log/*; exit 1; }
    exim_pid=$(cat "$dir/pid")
}
exim_kill() { group_kill exim_pid; }
group_kill() { # VARIABLE: the leader of a process group
    [ -z "${!1:-}" ] || kill -9 -- "-${!1}" 2>/dev/null
    printf -v "$1" ''
}
servers2_end() {
    cyrus_kill
    exim_kill
}
trap 'flow_end; servers2_end; servers_end' EXIT
