#!/usr/bin/env bash
# A stock `gpg --auto-key-locate clear,wkd` finds and believes a published key: HTTPS on a host of the test's own, in a network namespace of its own, with
# its own hosts file and CA.
. "$(dirname "$0")/../lib/flow.sh"

if [ -z "${IN_NAMESPACE:-}" ]; then
    export IN_NAMESPACE=1
    exec unshare --net --mount "$0"
fi
ip link set lo up
authority_new
conf_set wkd directory "\"$T/webroot\""
countersignctl authority export >"$T/card.asc"
user alice
token_for alice@example.org >"$T/alice/token"
as alice countersign request --token-file "$T/alice/token" --authority-key "$T/card.asc" --address alice@example.org --name 'Alice Example' --keyset default --submit "maildir:$T/mail/inbox" >/dev/null
agent_once
as alice countersign open --level low --submit "maildir:$T/mail/inbox" "$(reply_to alice@example.org)" >/dev/null
agent_once

# The web server: a CA that only this namespace knows, and the advanced method's host name.
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=Test CA' -keyout "$T/ca.key" -out "$T/ca.crt" 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj '/CN=openpgpkey.example.org' -keyout "$T/web.key" -out "$T/web.csr" 2>/dev/null
openssl x509 -req -in "$T/web.csr" -CA "$T/ca.crt" -CAkey "$T/ca.key" -CAcreateserial -days 2 -out "$T/web.crt" \
    -extfile <(echo 'subjectAltName=DNS:openpgpkey.example.org,DNS:example.org') 2>/dev/null
cat >"$T/serve.py" <<'PY'
import functools, http.server, ssl, sys
root, crt, key = sys.argv[1:]
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=root)
server = http.server.HTTPServer(("127.0.0.1", 443), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(crt, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
PY
printf '127.0.0.1 localhost openpgpkey.example.org example.org\n' >"$T/hosts"
printf 'hosts: files\n' >"$T/nsswitch"
cat /etc/ssl/certs/ca-certificates.crt "$T/ca.crt" >"$T/roots" 2>/dev/null
mount --bind "$T/hosts" /etc/hosts
mount --bind "$T/nsswitch" /etc/nsswitch.conf
mount --bind "$T/roots" /etc/ssl/certs/ca-certificates.crt
python3 "$T/serve.py" "$T/webroot" "$T/web.crt" "$T/web.key" 2>>"$T/web.log" &
web=$!
stop_web() { kill $web 2>/dev/null; for who in bob carol dora; do as $who gpgconf --kill all 2>/dev/null; done; flow_end; }
trap stop_web EXIT
await 5 curl -s --cacert "$T/ca.crt" https://openpgpkey.example.org/.well-known/openpgpkey/example.org/policy

user carol
printf 'standard-resolver\nhkp-cacert %s\n' "$T/ca.crt" >"$T/carol/.gnupg/dirmngr.conf"
locate() { as carol gpg --batch --auto-key-locate clear,wkd --locate-external-keys "$1"; }
ok "gpg locates alice's key by WKD" locate alice@example.org
ok "gpg locates the authority's key by WKD" locate sa@example.org
sa=$(as carol gpg --list-keys --with-colons sa@example.org | awk -F: '/^fpr/{print $10; exit}')
is "the authority's key is the one of the card" "$sa" "$(gpg --show-keys --with-colons "$T/card.asc" 2>/dev/null | awk -F: '/^fpr/{print $10; exit}')"
validity() { as "$1" gpg --batch --trust-model pgp --list-keys --with-colons alice@example.org 2>/dev/null | awk -F: '/^uid/{print $2; exit}'; }
not "alice's key is not valid for somebody who trusts nobody" test "$(validity carol)" = f
echo "$sa:6:" | as carol gpg --batch --quiet --import-ownertrust 2>/dev/null
is "but by its certification where the authority is trusted" "$(validity carol)" f
not "a key that is not published is not found" locate nobody@example.org
like "the directory was asked over HTTPS" "$(cat "$T/web.log")" 'GET /.well-known/openpgpkey/example.org/hu/kei1q4tipxxu1yj79k9kfukdhfy631xe'

# The client finds the authority by WKD: nobody gives bob a key or a card, and the token's pin says that it is the right one (P1.3, P2.7).
user bob
cp "$T/carol/.gnupg/dirmngr.conf" "$T/bob/.gnupg/"
token_for bob@example.org >"$T/bob/token" && chmod 600 "$T/bob/token"
ask() { as bob countersign request --token-file "$T/bob/token" --submit "maildir:$T/mail/inbox" --address "$@"; }
in_box() { find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l; }
: >"$T/web.log"
exits "an authority that the directory does not have" 69 ask bob@example.org --authority nobody@example.org
like "is said to be missing, and what to do" "$exits_output" 'no key for nobody@example.org: give it with --authority-key'
countersignctl -c "$T/two/sa.conf" init --address sa@example.org --maildir "$T/two/mail" --state-directory "$T/two/state" --runtime-directory "$T/two/run" --no-passphrase >"$T/two.out" 2>&1
cp "$T/bob/token" "$T/bob/right"
countersignctl -c "$T/two/sa.conf" token issue bob@example.org 2>/dev/null | grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' >"$T/bob/token"
exits "a token that was made for another key than the directory's" 76 ask bob@example.org --authority sa@example.org
cp "$T/bob/right" "$T/bob/token"
exits "on a terminal, of another domain: the domain is asked for, and no is no" 77 as bob "$top/tests/lib/terminal.py" sa@example.org n -- \
    countersign request --token-file "$T/bob/token" --submit "maildir:$T/mail/inbox" --address bob@example.net
is "nothing was sent in all that" "$(in_box)" 0
ok "bob asks with nothing but token and address" ask bob@example.org --authority sa@example.org
is "the request is in the mailbox" "$(in_box)" 1
like "the directory was asked for the authority" "$(cat "$T/web.log")" 'GET /.well-known/openpgpkey/example.org/hu/[a-z0-9]*[?]l=sa '
agent_once
ok "bob opens his reply" as bob countersign open --level low --submit "maildir:$T/mail/inbox" "$(reply_to bob@example.org)"
agent_once
# P7.5: no hand-made ownertrust; alice's key comes by WKD and is valid since the authority certified it.
is "alice is unknown to him" "$(validity bob)" ''
ok "gpg locates her for him" as bob gpg --batch --auto-key-locate clear,wkd --locate-external-keys alice@example.org
is "and holds her key valid" "$(validity bob)" f
echo hello | as bob gpg --batch --no-tty --trust-model pgp --armor -r alice@example.org -e >"$T/to-alice"
is "so he writes to her without a question" "$(as alice gpg --batch --quiet -d "$T/to-alice" 2>/dev/null)" hello

# P5.4: a certification that the authority withdrew. Alone, its key is not there for a stranger to take; behind another it tells those who have it.
user dora
cp "$T/carol/.gnupg/dirmngr.conf" "$T/dora/.gnupg/"
first=$(as carol gpg --list-keys --with-colons alice@example.org | awk -F: '/^fpr/{print $10; exit}')
countersignctl revoke alice@example.org --reason compromised --yes >/dev/null </dev/null
stranger_writes() { echo secret | as dora gpg --batch --no-tty --trust-model tofu+pgp --auto-key-locate clear,wkd --armor -r alice@example.org -e; }
not "with her key compromised no stranger can write to alice" stranger_writes
token_for alice@example.org >"$T/alice/token"
as alice countersign request --token-file "$T/alice/token" --authority-key "$T/card.asc" --address alice@example.org --name 'Alice Example' --keyset second --submit "maildir:$T/mail/inbox" >/dev/null
clear_sent
agent_once
as alice countersign open --level low --submit "maildir:$T/mail/inbox" "$(reply_to alice@example.org)" >/dev/null
agent_once
second=$(as alice gpg --list-keys --with-colons alice@example.org | awk -F: -v first="$first" '/^pub/{pub = 1} /^fpr/ && pub {pub = 0; if ($10 != first) print $10}')
validities() { as "$1" gpg --batch --trust-model pgp --list-keys --with-colons "$first" "$second" 2>/dev/null | awk -F: '/^pub/{pub = substr($5, 1)} /^uid/{print pub "=" $2}' | sort | tr '\n' ' '; }
wanted=$(printf '%s\n' "${first:24}=-" "${second:24}=f" | sort | tr '\n' ' ')
ok "after a refresh by WKD" as carol gpg --batch --auto-key-locate clear,wkd --locate-external-keys alice@example.org
is "gpg sees the withdrawn certification, and believes the new key" "$(validities carol)" "$wanted"
SSL_CERT_FILE=$T/roots sq wkd get --binary alice@example.org >"$T/got" 2>"$T/err" || sed 's/^/# /' "$T/err"
{ as carol gpg --export "$sa"; cat "$T/got"; } >"$T/ring"
authentic() { sq-wot -k "$T/ring" -r "$sa" authenticate 'Alice Example <alice@example.org>' "$1"; }
not "sq, by WKD, does not believe the old key any more" authentic "$first"
ok "and believes the new one" authentic "$second"
stranger_writes >"$T/to-alice" 2>/dev/null
used=$(gpg --batch --list-packets "$T/to-alice" 2>/dev/null | grep -oE 'keyid [0-9A-F]{16}' | head -n 1)
like "the stranger writes to the new one" "$(as alice gpg --list-keys --with-colons "$second" | grep ^sub)" ":${used#keyid }:"
done_testing
