#!/usr/bin/env bash
# countersignctl recover (P5.5, P5.6): every generation's encryption key comes back under the token and under nothing else, whoever asks is named, and nothing is lost on the way.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/generations.sh"

echo 'correct horse' >"$T/pass.authority"
echo 'battery staple' >"$T/pass.escrow"
chmod 600 "$T"/pass.*
authority_new
conf_set notify auditors '{"auditor@example.org"}'
conf_set limits mails-per-address-day 1000
members alice bob
user carol # the administrator
releases() { store_sql 'SELECT count(*) FROM release'; }
recover() { countersignctl recover --escrow-passphrase-file "$T/pass.escrow" "$@" 2>"$T/err" | tee -a "$T/tokens.printed" | grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' | tee -a "$T/tokens" | tail -n 1; return "${PIPESTATUS[0]}"; }
wrong() { # NAME STATUS PATTERN COMMAND...: refused, and nothing changed
    local name=$1 status=$2 pattern=$3 before
    shift 3
    before=$(changes; releases)
    "$@" >"$T/out" 2>"$T/err" </dev/null
    is "$name: exit status" "$?" "$status"
    like "$name: says what is wrong" "$(cat "$T/err")" "$pattern"
    is "$name: nothing changed" "$(changes; releases)" "$before"
}

# ---- nobody's deposits ----
token=$(recover bob@example.org)
ok "without a deposit there is a token all the same" test -n "$token"
like "and it is said that old mail stays unreadable" "$(cat "$T/err")" 'no deposit of bob@example.org'
is "nothing is released" "$(releases)" 0
generation bob default "$token"
is "it enrolls" "$(states_of bob@example.org)" "default=active"

# ---- two generations ----
generation alice first "$(token_for alice@example.org)"
sub_first=$sub
generation alice second "$(token_for alice@example.org --additional)"
sub_second=$sub
is "alice has two keysets and two deposits" "$(states_of alice@example.org) $(store_sql "SELECT count(*) FROM deposit WHERE address = 'alice@example.org'")" "first=active second=active 2"
clear_sent
token=$(recover --reason 'laptop lost' alice@example.org)
ok "a recovery is started" test -n "$token"
is "the token is printed alone where no person reads" "$(tail -n 1 "$T/tokens.printed")" "$token"
is "two deposits are released" "$(releases)" 2
like "the log says by whom, why, and how many" "$(countersignctl log --address alice@example.org | tail -n 1)" "$(id -un).*recovery-started.*deposits=2 reason=.laptop lost."
agent_once
for who in alice@example.org auditor@example.org; do
    like "$who is told, by whom and why" "$(cat "$(last_to "$who" '^Subject: A recovery was started')")" "$(id -un) started a recovery"
    like "$who is told the reason" "$(cat "$(last_to "$who" '^Subject: A recovery was started')")" 'laptop lost'
done
is "no mail holds the token" "$(grep -rl "$token" "$T/mail" | wc -l)" 0
is "another token opens nothing" "$(open_releases alice "$(head -n 1 "$T/tokens")")" 0
is "this one opens both" "$(open_releases alice "$token")" 2
user new
for fpr in "$sub_first" "$sub_second"; do as new gpg --batch --quiet --import "$T/opened/$fpr" 2>/dev/null; done
is "the first generation's mail is read" "$(as new gpg --batch --quiet -d "$T/alice.first.mail" 2>/dev/null)" "mail to first of alice"
is "the second's too" "$(as new gpg --batch --quiet -d "$T/alice.second.mail" 2>/dev/null)" "mail to second of alice"
not "the signing keys do not come back" as new sh -c 'echo x | gpg --batch --quiet --sign >/dev/null'
rm -rf "$T/opened"

# ---- released for one token, while it lasts ----
again=$(recover alice@example.org)
is "a second recovery replaces the first" "$(releases) $(open_releases alice "$token") $(open_releases alice "$again")" "2 0 2"
countersignctl token void alice@example.org >/dev/null
is "a token taken back takes them along" "$(releases)" 0
recover alice@example.org >/dev/null
token_for alice@example.org --additional >/dev/null
is "an enrollment token does, too" "$(releases)" 0
agent_once
recover alice@example.org --expires 1s >/dev/null
is "released for as long as the token is good" "$(releases)" 2
sleep 1.1
agent_once
is "and gone once it has expired" "$(releases)" 0
token=$(recover alice@example.org)
generation alice third "$token"
is "the recovery supersedes the older keysets" "$(states_of alice@example.org)" "first=superseded second=superseded third=active"
is "confirmed, nothing stays released" "$(releases)" 0
is "the deposits stay, with the new one" "$(store_sql "SELECT count(*) FROM deposit WHERE address = 'alice@example.org'")" 3

# ---- what can go wrong ----
echo nonsense >"$T/pass.wrong"
chmod 600 "$T/pass.wrong"
wrong "a wrong passphrase" 77 'passphrase' countersignctl recover alice@example.org --escrow-passphrase-file "$T/pass.wrong"
wrong "a passphrase that others can read" 78 'pass.open' sh -c "install -m 644 '$T/pass.escrow' '$T/pass.open'; countersignctl recover alice@example.org --escrow-passphrase-file '$T/pass.open'"
wrong "no address" 64 'one address' countersignctl recover
wrong "an address that is none" 65 'nobody' countersignctl recover nobody
wrong "another domain's address" 65 'not issued' countersignctl recover alice@example.com
wrong "a reason that would name somebody for ever" 64 'for ever' countersignctl recover alice@example.org --reason 'asked by bob@example.org'
wrong "a home that is not there" 66 'usb' countersignctl recover alice@example.org --escrow-passphrase-file "$T/pass.escrow" --escrow-home "$T/usb"
wrong "mailing it, where policy keeps it out of mail" 77 'token-by-mail' countersignctl recover alice@example.org --mail --escrow-passphrase-file "$T/pass.escrow"
mkdir -m 700 "$T/other"
cp -r "$T/carol/.gnupg/." "$T/other"
as alice gpg --batch --quiet --homedir "$T/other" --pinentry-mode loopback --passphrase '' --quick-gen-key other@example.org 2>/dev/null
wrong "a home with another key" 65 'does not hold' countersignctl recover alice@example.org --escrow-passphrase-file "$T/pass.escrow" --escrow-home "$T/other"
gpgconf --homedir "$T/other" --kill all 2>/dev/null

# ---- the passphrase by pinentry; the home on a medium that can't be written ----
asked() { as carol countersignctl recover bob@example.org; }
wrong "the pinentry cancelled" 77 'ancel' asked
cp "$T/pass.wrong" "$T/carol/pin/pin"
wrong "a wrong passphrase typed" 77 'wrong' asked
cp "$T/pass.escrow" "$T/carol/pin/pin"
token=$(asked 2>/dev/null | tee -a "$T/tokens")
is "the passphrase typed: it comes back" "$(open_releases bob "$token")" 1
like "it was asked for by its place" "$(cat "$T/carol/pin/log")" "escrow key in .*state/escrow"
cp -r "$T/sa/state/escrow" "$T/usb"
rm -f "$T/usb"/S.* "$T/usb"/*.lock "$T/usb"/.#*
find "$T/usb" | sort | xargs stat -c '%n %Y %s' >"$T/usb.before"
chmod -R a-w "$T/usb"
token=$(recover alice@example.org --escrow-home "$T/usb")
is "from a medium that can't be written all three come back" "$(open_releases alice "$token")" 3
is "and it is as it was" "$(find "$T/usb" | sort | xargs stat -c '%n %Y %s' | diff - "$T/usb.before")" ""
chmod -R u+w "$T/usb"

# ---- a damaged deposit ----
sqlite3 "$T/sa/state/countersign.db" "UPDATE deposit SET created = created + 1 WHERE encryption_fingerprint = '$sub_first'"
token=$(recover alice@example.org)
is "a damaged deposit: the exit status says so" "$?" 65
like "it is named" "$(cat "$T/err")" 'deposit [0-9]+ is damaged'
is "the others come back" "$(open_releases alice "$token")" 2
sqlite3 "$T/sa/state/countersign.db" "UPDATE deposit SET created = created - 1 WHERE encryption_fingerprint = '$sub_first'"

# ---- by mail; compromised ----
conf_set policy token-by-mail '"both"'
clear_sent
countersignctl recover alice@example.org --mail --escrow-passphrase-file "$T/pass.escrow" >"$T/out" 2>"$T/err"
is "by mail" "$?" 0
like "says that it was mailed" "$(cat "$T/out")" 'mailed'
unlike "and prints no token" "$(cat "$T/out")" '([0-9A-Z]{5}-){4}[0-9A-Z]{5}'
mail=$(last_to alice@example.org '^Subject: Your token')
token=$(grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' "$mail" | head -n 1 | tee -a "$T/tokens")
is "the mailed token opens all" "$(open_releases alice "$token")" 3
like "the mail says what it is for" "$(cat "$mail")" 'old mail becomes readable again'
rm "$mail"
token=$(recover alice@example.org --compromised)
is "compromised: the old keysets are revoked" "$(states_of alice@example.org)" "first=revoked second=revoked third=revoked"
is "and all keys come back" "$(open_releases alice "$token")" 3
generation alice third "$token"
is "under the old name, too" "$(states_of alice@example.org)" "first=revoked second=revoked third=active third=revoked"

# ---- many ----
printf '\xef\xbb\xbfName;Address;Remark\r\n"Example; Alice";alice@example.org;x\r\nbob Example;bob@example.org;"said ""hi"""\r\n;nobody;\r\n;dora@example.org;\r\n' >"$T/people.csv"
bulk() { countersignctl recover --csv "$T/people.csv" --escrow-passphrase-file "$T/pass.escrow" "$@" 2>"$T/err"; }
for who in alice bob; do # what was done before is another matter
    token_for $who@example.org >/dev/null
    countersignctl token void $who@example.org >/dev/null
done
before=$(changes)
is "a dry run says what would be" "$(bulk --dry-run | cut -d, -f 1,2 | tail -n +2 | tr '\n' ' ')" "alice@example.org,would be issued (4 deposits) bob@example.org,would be issued (1 deposit) nobody,\"error: \"\"nobody\"\" is not a mail address: an address has the form name@domain\" dora@example.org,would be issued (0 deposits) "
is "and does nothing" "$(changes)" "$before"
bulk --output "$T/issued.csv"
is "many: the exit status tells of the one that failed" "$?" 65
is "each has a line" "$(cut -d, -f 1,2,5 "$T/issued.csv" | grep -v nobody | tr '\n' ' ')" "address,status,deposits alice@example.org,issued,4 bob@example.org,issued,1 dora@example.org,issued,0 "
is "nobody else reads them" "$(stat -c %a "$T/issued.csv")" 600
grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' "$T/issued.csv" >>"$T/tokens"
is "the tokens open what is theirs" "$(open_releases alice "$(sed -n 's/^alice@[^,]*,issued,\([^,]*\),.*/\1/p' "$T/issued.csv")") $(open_releases bob "$(sed -n 's/^bob@[^,]*,issued,\([^,]*\),.*/\1/p' "$T/issued.csv")")" "4 1"
is "an output that is there is not overwritten" "$(bulk --output "$T/issued.csv" >/dev/null; echo $?)" 73
is "run again it starts nothing twice" "$(bulk --json | python3 -c 'import json,sys; print(*(r["status"].split(" on ")[0] for r in json.load(sys.stdin) if r["address"] != "nobody"), sep=",")')" "already started,already started,already started"
generation bob second "$(sed -n 's/^bob@[^,]*,issued,\([^,]*\),.*/\1/p' "$T/issued.csv")"
like "nor what is done" "$(bulk)" '^bob@example.org,recovered on '
{ echo address; for i in $(seq 40); do echo "person$i@example.org"; done; } >"$T/many.csv"
outstanding() { store_sql "SELECT count(*) FROM token WHERE recovery = 1 AND closed = 0 AND address LIKE 'person%'"; }
"$top/tests/lib/interrupt.py" 2 countersignctl recover --csv "$T/many.csv" --output "$T/first.csv" --escrow-passphrase-file "$T/pass.escrow" 2>"$T/err"
is "interrupted, every token that was issued is in its line" "$(cat "$T/first.csv" 2>/dev/null | grep -c ',issued,')" "$(outstanding)"
countersignctl recover --csv "$T/many.csv" --output "$T/second.csv" --escrow-passphrase-file "$T/pass.escrow" 2>"$T/err"
is "run again it goes on: everybody has one token, and it was seen once" "$(outstanding) $(cat "$T/first.csv" "$T/second.csv" 2>/dev/null | grep -c ',issued,')" "40 40"
grep -ohE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' "$T/first.csv" "$T/second.csv" 2>/dev/null >>"$T/tokens"
rm -f "$T/first.csv" "$T/second.csv"
wrong "a table without a head" 65 'address' sh -c "printf 'a,b\n' | countersignctl recover --csv - --escrow-passphrase-file '$T/pass.escrow'"
wrong "a table with a quotation mark too many" 65 'line 2' sh -c "printf 'address\n\"alice@example.org\n' | countersignctl recover --csv - --escrow-passphrase-file '$T/pass.escrow'"
rm -f "$T/issued.csv" "$T/tokens.printed"
is "no key home is left in memory" "$(find /dev/shm -maxdepth 1 -user "$(id -un)" -name 'keyhome-*' -newer "$T/card.asc" | wc -l)" 0
done_testing
