#!/usr/bin/env bash
# An escrow key that the daemon's user can't read: a recovery, a rotation and a revocation by root, who gives up that right for everything else.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/generations.sh"

chmod 755 "$T"
echo 'correct horse' >"$T/pass.authority"
echo 'battery staple' >"$T/pass.escrow"
chmod 600 "$T"/pass.*
mkdir -p -m 755 "$T/sa" "$T/sa/state" "$T/sa/run" "$T/mail"
chown nobody "$T/pass.authority" "$T/sa/state" "$T/sa/run" "$T/mail"
touch "$T/agent.log"
chown nobody "$T/agent.log"
countersignctl init --address sa@example.org --maildir "$T/mail" --state-directory "$T/sa/state" --runtime-directory "$T/sa/run" \
    --authority-passphrase-file "$T/pass.authority" --escrow-passphrase-file "$T/pass.escrow" --escrow-home "$T/escrow" >"$T/init.out" 2>&1
chown -R nobody "$T/mail"
chmod 644 "$COUNTERSIGN_CONF"
as_daemon() { setpriv --reuid=nobody --regid=nogroup --clear-groups env HOME=/nonexistent "$@"; }
deliver() { as_daemon countersignd --deliver 2>>"$T/agent.log"; }
agent_once() { as_daemon countersignd --once 2>>"$T/agent.log"; }
is "the escrow key is root's, the store the daemon's" "$(stat -c %U "$T/escrow" "$T/sa/state" | tr '\n' ' ')" "root nobody "
not "whose user can't read it" as_daemon ls "$T/escrow"
members alice
generation alice default "$(token_for alice@example.org)"
is "alice's key is deposited" "$(store_sql 'SELECT count(*) FROM deposit')" 1
exits "the daemon's user can't recover" 66 as_daemon countersignctl recover alice@example.org --escrow-home "$T/escrow"
token=$(countersignctl recover alice@example.org --escrow-passphrase-file "$T/pass.escrow" 2>"$T/err" | tee -a "$T/tokens")
is "root can" "$(open_releases alice "$token")" 1
exits "root changes the escrow key" 0 countersignctl escrow rotate --escrow-passphrase-file "$T/pass.escrow" --to-home "$T/new" --no-passphrase
is "the new one is root's" "$(stat -c '%U %a' "$T/new")" "root 700"
is "and everything is sealed to it" "$(countersignctl escrow check --escrow-home "$T/new")" "1 deposit, all open and are what was certified."
exits "root revokes" 0 countersignctl revoke alice@example.org --reason left
is "nothing of the daemon's became root's" "$(find "$T/sa/state" "$T/mail" ! -user nobody)" ""
is "no key home is left in memory" "$(find /dev/shm -maxdepth 1 -user root -name 'keyhome-*' -newer "$T/card.asc" | wc -l)" 0
done_testing
