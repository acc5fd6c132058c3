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
python3 "$T/serve.py" "$T/webroot" "$T/web.crt" "$T/web.key" 2>"$T/web.log" &
web=$!
stop_web() { kill $web 2>/dev/null; as carol gpgconf --kill all 2>/dev/null; flow_end; }
trap stop_web EXIT
await 5 curl -s --cacert "$T/ca.crt" https://openpgpkey.example.org/.well-known/openpgpkey/example.org/policy

user carol
printf 'standard-resolver\nhkp-cacert %s\n' "$T/ca.crt" >"$T/carol/.gnupg/dirmngr.conf"
locate() { as carol gpg --batch --auto-key-locate clear,wkd --locate-external-keys "$1"; }
ok "gpg locates alice's key by WKD" locate alice@example.org
ok "gpg locates the authority's key by WKD" locate sa@example.org
# Believed: with the authority trusted as introducer, the key that came is valid by its certification alone.
sa=$(as carol gpg --list-keys --with-colons sa@example.org | awk -F: '/^fpr/{print $10; exit}')
is "the authority's key is the one of the card" "$sa" "$(gpg --show-keys --with-colons "$T/card.asc" 2>/dev/null | awk -F: '/^fpr/{print $10; exit}')"
echo "$sa:6:" | as carol gpg --batch --quiet --import-ownertrust 2>/dev/null
is "and alice's key is valid by its certification" "$(as carol gpg --batch --list-keys --with-colons alice@example.org 2>/dev/null | awk -F: '/^uid/{print $2; exit}')" f
not "a key that is not published is not found" locate nobody@example.org
like "the directory was asked over HTTPS" "$(cat "$T/web.log")" 'GET /.well-known/openpgpkey/example.org/hu/kei1q4tipxxu1yj79k9kfukdhfy631xe'
done_testing
