#!/usr/bin/env bash
# A thousand deposits in one daemon (P4.8): each is proved and sealed, the authority's secret keys stay byte for byte what they were, and nothing is left behind.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"
. "$(dirname "$0")/../lib/requests.sh"

count=${DEPOSITS:-1000}
authority_new
conf_set limits mails-per-hour 1000000
knowing_user maker
key_files() { (cd "$T/sa/state/keys/private-keys-v1.d" && sha256sum ./* && ls -l --time-style=full-iso); }
before=$(key_files)
made=0
for i in $(seq "$count"); do
    address=person$i@example.org
    key=$(gpg_key maker "$address")
    sub=$(encryption_subkey maker "$key")
    as maker gpg --batch --export "$key" >"$T/key"
    export_secret maker "$sub!" >"$T/secret"
    request_lines enroll "$address" "$key" | forge "$(token_for "$address")" "$T/key" "$T/secret" | sealed_mail maker >"$T/one.eml" && deliver <"$T/one.eml" && made=$((made + 1))
    # A keyring of thousands of keys makes gpg slow, and it is not gpg's patience that is looked at here.
    rm -rf "$T/maker/.gnupg/private-keys-v1.d"/* "$T/maker/.gnupg/openpgp-revocs.d"
    as maker gpg --batch --yes --delete-keys "$key" 2>/dev/null
done
is "the requests are made" "$made" "$count"
daemon_start || exit 1
all_kept() { [ "$(store_sql 'SELECT count(*) FROM deposit')" = "$count" ]; }
ok "all deposits are kept" await $((60 + count)) all_kept
ok "and all is sent" await $((60 + count)) outbox_empty
is "nothing is refused" "$(store_sql "SELECT count(*) FROM log WHERE event = 'refused'")" 0
is "nothing is in quarantine" "$(store_sql 'SELECT count(*) FROM quarantine')" 0
workers=$(role_pids worker | wc -l)
is "the workers' own homes are all that is below the runtime directory" "$(find "$T/sa/run" -mindepth 1 -maxdepth 1 -type d | wc -l)" "$workers"
is "no agent of a deposit's home is left" "$(for pid in $(descendants "$flow_daemon"); do tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep 'gpg-agent.*keyhome'; done)" ""
daemon_stop
is "the authority's private-keys-v1.d is byte for byte the same" "$(key_files)" "$before"
ok "the log is whole" countersignctl log verify
done_testing
