#!/usr/bin/env bash
# The administrator's command: what it hands out, what it refuses (one sentence, right exit status, nothing changed), what it looks after.
. "$(dirname "$0")/../lib/flow.sh"

# wrong NAME STATUS PATTERN COMMAND...: one sentence on standard error that says it, and the log as it was.
wrong() {
    local name=$1 status=$2 pattern=$3 before after
    shift 3
    before=$(changes)
    "$@" >"$T/out" 2>"$T/err" </dev/null
    is "$name: exit status" "$?" "$status"
    like "$name: says what is wrong" "$(cat "$T/err")" "$pattern"
    is "$name: one sentence" "$(wc -l <"$T/err")" 1
    after=$(changes)
    is "$name: nothing changed" "$after" "$before"
}
log_events() { countersignctl --json log "$@" | python3 -c 'import json,sys; print(*(e["event"] for e in json.load(sys.stdin)))'; }
states() { countersignctl --json token list --all | python3 -c 'import json,sys; print(*(t["state"] for t in json.load(sys.stdin) if t["address"] == sys.argv[1]))' "$1"; }
draft() { printf 'From: carol@example.org\nTo: %s\n%sSubject: Welcome\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n%s\n' "$1" "${3:-}" "$2"; }
holds() { # what a token looks like, counted
    grep -ohE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' "$@" 2>/dev/null | wc -l
}

# ---- init ----
printf 'one\n' >"$T/pass.one"
printf 'one\n' >"$T/pass.same"
chmod 600 "$T"/pass.*
init() { countersignctl -c "$T/try/sa.conf" init --address sa@example.org --state-directory "$T/try/state" --runtime-directory "$T/try/run" "$@"; }
left() { not "$1: leaves nothing behind" test -e "$T/try"; }
exits "init with two equal passphrases" 65 init --authority-passphrase-file "$T/pass.one" --escrow-passphrase-file "$T/pass.same"
left "equal passphrases"
exits "init without a terminal and without files" 69 setsid countersignctl -c "$T/try/sa.conf" init --address sa@example.org --state-directory "$T/try/state"
left "no terminal"
exits "init for what is no address" 65 init --no-passphrase --address nonsense
exits "init on a disk where throw-away homes must not be" 78 init --no-passphrase --runtime-directory /var/tmp/countersign-test-$$
left "no tmpfs"
exits "init where the socket's path is too long" 78 init --no-passphrase --state-directory "$T/try/$(printf 'x%.0s' $(seq 110))"
left "too long a path"
authority_new
exits "init again" 73 countersignctl init --address sa@example.org --no-passphrase
like "init never overwrites" "$exits_output" 'never overwrites'
mkdir -p "$T/odd \"b\\c \${HOME} #'é"
odd="$T/odd \"b\\c \${HOME} #'é/x.conf"
ok "init in a directory with an odd name" countersignctl -c "$odd" init --address sa@example.org --name 'A "quoted\" ${HOME} name' --maildir "$(dirname "$odd")/m" \
    --state-directory "$T/o" --runtime-directory "$T/or" --no-passphrase
is "names and paths come back as they were given" "$(countersignctl -c "$odd" --json authority show | python3 -c 'import json,sys; print(json.load(sys.stdin)["name"])')" 'A "quoted\" ${HOME} name'

# ---- configuration and store ----
wrong "no configuration" 66 'cannot read' countersignctl -c "$T/none.conf" token list
echo 'nonsense {' >"$T/bad.conf"
wrong "a broken configuration" 78 'bad.conf:1' countersignctl -c "$T/bad.conf" token list
sed "s,state-directory = .*,state-directory = \"$T/other\"," "$COUNTERSIGN_CONF" >"$T/other.conf"
wrong "no state directory" 78 'does not exist' countersignctl -c "$T/other.conf" token list
mkdir -m 700 "$T/other"
wrong "no store" 66 'no store' countersignctl -c "$T/other.conf" token list
echo garbage >"$T/other/countersign.db"
wrong "a store that is no database" 65 'not a store' countersignctl -c "$T/other.conf" token list
cp "$T/sa/state/countersign.db" "$T/other/countersign.db"
sqlite3 "$T/other/countersign.db" 'PRAGMA user_version = 9999'
wrong "a store of a newer version" 78 'newer' countersignctl -c "$T/other.conf" token list
mv "$T/sa/state/keys" "$T/sa/state/away"
wrong "no key home" 69 'key home' countersignctl token issue alice@example.org
mv "$T/sa/state/away" "$T/sa/state/keys"

# ---- tokens ----
wrong "no address" 64 'missing' countersignctl token issue
wrong "another domain" 65 'not issued for this domain' countersignctl token issue alice@example.net
wrong "the authority itself" 65 'authority itself' countersignctl token issue SA@Example.ORG
wrong "one good, one bad" 65 'not a mail address' countersignctl token issue alice@example.org bob
wrong "the same twice" 64 'given twice' countersignctl token issue alice@example.org ALICE@example.org
wrong "a bad keyset name" 65 'no keyset name' countersignctl token issue alice@example.org --keyset ' x'
wrong "a bad name" 65 'must not hold' countersignctl token issue alice@example.org --name 'a@b'
wrong "a bad span" 64 'span' countersignctl token issue alice@example.org --expires soon
wrong "an unknown option" 64 'no option' countersignctl token issue alice@example.org --speed
wrong "a mixed script" 65 'script' countersignctl token issue 'аlice@example.org'
is "standard output has the token alone" "$(countersignctl token issue alice@example.org | tee -a "$T/tokens" | grep -cE '^([0-9A-Z]{5}-){4}[0-9A-Z]{5}$')" 1
countersignctl token issue alice@example.org 2>"$T/err" >>"$T/tokens"
like "a second token says what happened to the first" "$(cat "$T/err")" 'no longer works'
is "one is outstanding" "$(states alice@example.org)" "outstanding superseded"
ok "it is taken back" countersignctl token void alice@example.org
is "and voided" "$(states alice@example.org)" "voided superseded"
wrong "nothing to take back" 67 'no outstanding token' countersignctl token void alice@example.org
countersignctl token issue bob@example.org >/dev/full 2>/dev/null
is "a token that could not be printed is voided" "$(states bob@example.org)" "voided"
ok "a slip" countersignctl token issue alice@example.org bob@example.org --slip "$T/slip"
is "has both tokens" "$(holds "$T/slip")" 2
is "and is nobody else's" "$(stat -c %a "$T/slip")" 600
wrong "a slip is not overwritten" 73 'not overwritten' countersignctl token issue alice@example.org --slip "$T/slip"
rm -f "$T/slip" "$T/out"
ok "a token mail" countersignctl token issue carol@example.org --mail
is "was sent" "$(count_to carol@example.org '^Subject: Your token')" 1
clear_sent
conf_set policy token-by-mail none
wrong "policy keeps tokens out of mail" 77 'token-by-mail' countersignctl token issue dora@example.org --mail
conf_set policy token-by-mail enroll

# ---- drafts ----
draft dora@example.org 'Your token is %TOKEN%, for %ADDRESS%.' >"$T/draft"
countersignctl token fill <"$T/draft" >"$T/filled"
is "a filled draft has its token" "$(holds "$T/filled")" 1
like "and the card" "$(cat "$T/filled")" 'authority-card.asc'
rm "$T/filled"
fill() { countersignctl token fill <"$T/draft"; }
hand_on() { countersignctl sendmail "$@" <"$T/draft"; }
ok "sendmail -t fills and hands on" hand_on -t
is "with one token" "$(holds "$(last_to dora@example.org)")" 1
clear_sent
refused_draft() { # NAME PATTERN
    wrong "$1" 65 "$2" fill
    wrong "$1, sendmail" 65 "$2" hand_on -t
    is "$1: nothing was sent" "$(ls "$T/mail/outgoing/new" | wc -l)" 0
}
draft 'dora@example.org, alice@example.org' '%TOKEN%' >"$T/draft"
refused_draft "two recipients" 'for one person'
draft dora@example.org '%TOKEN%' $'Bcc: alice@example.org\n' >"$T/draft"
refused_draft "a hidden recipient" 'for one person'
draft dora@example.org '> %TOKEN%' >"$T/draft"
refused_draft "a quoted placeholder" 'quoted'
draft dora@example.org 'Lunch?' $'Bcc: alice@example.org\n' >"$T/draft"
mv "$T/sa/state" "$T/sa/gone"
ok "a mail without a token passes, whatever ails the store" hand_on -t
mv "$T/sa/gone" "$T/sa/state"
is "and keeps its bytes, but for Bcc" "$(sed 1,/^Delivered-To:.*alice/d "$(last_to dora@example.org)" | tr -d '\r')" "$(sed /^Bcc/d "$T/draft")"
draft dora@example.org '%TOKEN%' >"$T/draft"
clear_sent
conf_set submit url '"sendmail:/bin/false"'
exits "the mail server refuses" 75 hand_on -t
is "so the token is voided" "$(states dora@example.org | cut -d' ' -f1)" "voided"
exits "and that of a token mail too" 69 countersignctl token issue dora@example.org --mail
like "whose line says so" "$exits_output" 'not sent'
is "voided" "$(states dora@example.org | cut -d' ' -f1)" "voided"
conf_set submit url "\"maildir:$T/mail/outgoing\""

# ---- users, log, quarantine, outbox, WKD, status ----
wrong "an unknown address" 67 'knows nothing' countersignctl user show nobody@example.org
wrong "an unknown state" 64 'no state' countersignctl user list --state happy
wrong "a keyset that is not there" 67 'no keyset' countersignctl user prefer alice@example.org default
wrong "no such mail" 67 'no mail' countersignctl quarantine show 1
wrong "no such mail in the outbox" 67 'no mail' countersignctl outbox drop NONE
wrong "not a time" 64 'since' countersignctl log --since yesterday
like "the log names who and what" "$(log_events --address dora@example.org)" 'token-issued.*token-voided'
ok "the log is whole" countersignctl log verify
head=$(countersignctl log verify | sed -n 's/^Log-Head: //p')
ok "and holds an old head" countersignctl log verify --head "$head"
exits "but no other" 1 countersignctl log verify --head "1:${head#* }"
ok "the Web Key Directory" countersignctl wkd export "$T/export"
ok "again, in its place" countersignctl wkd export "$T/export"
is "has the authority's key, readable for the web server" "$(find "$T/export" -path '*/hu/*' -type f -perm 644 | wc -l)" 1
card=$T/export/.well-known/countersign/example.org/authority-card.asc
is "and the authority's card (P2.7), the same as it exports" "$(sed '/^Hash/,$d' "$card" | cksum)" "$(countersignctl authority export | sed '/^Hash/,$d' | cksum)"
like "which says who the authority is" "$(cat "$card")" '^Address: sa@example.org'
conf_set wkd directory "\"$T/wkd\""
conf_set wkd policy '"auth-submit"'
agent_once
card=$T/wkd/.well-known/countersign/example.org/authority-card.asc policy=$T/wkd/.well-known/openpgpkey/example.org/policy
first=$(stat -c %i "$card")
is "the daemon publishes the policy's text" "$(cat "$policy")" "auth-submit"
conf_set wkd policy '"mailbox-only"'
agent_once
is "and rewrites it when it differs" "$(cat "$policy")" "mailbox-only"
is "but not a card that says the same" "$(stat -c %i "$card")" "$first"
conf_set policy plain-requests encrypted
agent_once
like "only one that says something else" "$(cat "$card")" '^Plain-Requests: encrypted'
conf_set policy plain-requests on
conf_set wkd directory '""'
mkdir "$T/site"
touch "$T/site/index.html"
wrong "never in the place of something else" 73 'other things' countersignctl wkd export "$T/site"
is "the log since a day" "$(log_events --since "$(date -u +%Y-%m-%d)" | wc -w)" "$(log_events | wc -w)"
is "the log since tomorrow" "$(log_events --since "$(date -u -d '+2 days' +%Y-%m-%d)" | wc -w)" 0
wrong "not a day" 64 'since' countersignctl log --since 2026-02-30
is "a whole log as JSON" "$(countersignctl --json log verify | python3 -c 'import json,sys; v=json.load(sys.stdin); print(v["whole"], v["first_bad"])')" "True 0"
# What can't be opened is kept whole; what could not even be parsed may carry a token, and is kept as headers only (P5.7).
python3 "$top/tests/lib/hostile_message.py" password >"$T/sealed-to-nobody"
deliver <"$T/sealed-to-nobody"
agent_once
like "what can't be opened is in quarantine" "$(countersignctl quarantine list)" 'not encrypted to a key'
ok "it is released" countersignctl quarantine release 1
is "to the mailbox, as it was" "$(cat "$T"/mail/inbox/new/* | cksum)" "$(cksum <"$T/sealed-to-nobody")"
agent_once
ok "it is dropped" countersignctl quarantine drop 2
exits "status without a daemon" 1 countersignctl status
like "says so" "$exits_output" 'not running'
# What is published for collectors: the grammar of the text format, line by line (https://prometheus.io/docs/instrumenting/exposition_formats/).
countersignctl status --prometheus >"$T/figures"
is "a collector gets figures all the same" "$?" 0
is "each line of them is well formed" "$(grep -vE '^# (HELP countersign_[a-z_]+ [^\\]+|TYPE countersign_[a-z_]+ (gauge|counter))$|^countersign_[a-z_]+(\{[a-z]+="[a-z-]+"\})? [0-9]+$' "$T/figures")" ""
is "each figure has one HELP and one TYPE before it" "$(awk '/^# HELP/ {help[$3]++} /^# TYPE/ {if (help[$3] == 1) type[$3]++} /^[^#]/ {sub(/\{.*/, "", $1); if (type[$1] != 1) print $1}' "$T/figures")" ""
figure() { sed -n "s/^countersign_$1 //p" "$T/figures"; }
is "it is not ready" "$(figure ready)" 0
is "tokens outstanding" "$(figure tokens_outstanding)" "$(countersignctl --json status | python3 -c 'import json,sys; print(json.load(sys.stdin)["tokens_outstanding"])')"
ok "there are some" test "$(figure tokens_outstanding)" -gt 0
is "no mail is in quarantine" "$(figure quarantined)" 0
mv "$T/sa/state" "$T/sa/gone"
countersignctl status --prometheus >"$T/figures" 2>/dev/null
is "without a store it fails" "$?" 78
is "but still says that it is not ready" "$(figure ready)" 0
mv "$T/sa/gone" "$T/sa/state"
wrong "two formats at once" 64 'exclude' countersignctl --json status --prometheus

touch "$T/file"
conf_set wkd directory "\"$T/file/wkd\""
agent_once
unlike "what can't be published a moment long is no problem" "$(countersignctl status)" 'nothing can be published'
like "for longer it is" "$(faketime -f +20m countersignctl status)" 'nothing can be published'
conf_set wkd directory "\"$T/wkd\""
agent_once
unlike "until it succeeds" "$(faketime -f +20m countersignctl status)" 'nothing can be published'
daemon_start
ok "with a daemon it is healthy" countersignctl status
ok "a token by the daemon's agent" token_for alice@example.org
daemon_stop
is "every command has help" "$(for c in init 'token issue' sendmail 'log verify' status 'wkd export'; do countersignctl $c --help | grep -c "^usage: countersignctl $c"; done | sort -u)" 1
done_testing
