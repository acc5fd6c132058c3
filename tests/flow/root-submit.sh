#!/usr/bin/env bash
# The client hands in its mails itself: it logs in to a submission server that the machine's own certificate authorities vouch for; to no other.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"
. "$(dirname "$0")/../lib/servers.sh"
. "$(dirname "$0")/../lib/enrollment.sh"

if [ "$(id -u)" != 0 ]; then
    echo "1..0 # SKIP needs root: a mount namespace in which the machine believes another authority"
    exit 0
fi
dovecot_start
postfix_start
imaps=$imaps_port submissions=$submissions_port
authority_new
agent_servers "imaps://sa@localhost:$imaps_port/" "submissions://sa@localhost:$submissions_port"
believing=(unshare -m sh -c 'mount --bind "$0" /etc/ssl/certs/ca-certificates.crt && exec "$@"' "$S/ca/ca.pem")
user alice
printf 'secret of alice\n' >"$T/alice/mail-password"
chmod 600 "$T/alice/mail-password"
printf 'wrong\n' >"$T/alice/wrong"
chmod 600 "$T/alice/wrong"
daemon_start
ok "a token is mailed" countersignctl token issue alice@example.org --name 'Alice Example' --mail
mail=$(arrives alice '^Subject: Your token')
keep_tokens "$mail"
ask() { as alice "${@:2}" countersign request --address alice@example.org --keyset default --submit "$1" --submit-password-file "$T/alice/mail-password" "$mail"; }
logins() { grep -c ' client=.*sasl_username=alice' "$S/postfix/postfix.log"; }

exits "a server that nobody vouches for" 69 ask "submissions://alice@localhost:$submissions_port"
like "is not spoken to, and it is said why" "$exits_output" "localhost:$submissions_port.*vouched"
is "no request was kept as sent" "$(as alice countersign list | grep -c waiting)" 0
is "nobody logged in" "$(logins)" 0
cp "$T/alice/mail-password" "$T/alice/good"
cp "$T/alice/wrong" "$T/alice/mail-password"
exits "a wrong password" 77 ask "submission://alice@localhost:$submission_port" "${believing[@]}"
like "is said to be refused" "$exits_output" "localhost:$submission_port.*535|refused"
cp "$T/alice/good" "$T/alice/mail-password"
ok "with the right one the request goes out" ask "submission://alice@localhost:$submission_port" "${believing[@]}"
is "after a login" "$(logins)" 1
mail=$(arrives alice '^Subject: Reply from the Security Authority')
like "the reply arrives" "$mail" .
ok "the confirmation goes the same way without being told" as alice "${believing[@]}" countersign open --level low "$mail"
is "after another login" "$(logins)" 2
ok "the keyset is active" await 20 is_active alice
daemon_stop
done_testing
