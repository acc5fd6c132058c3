#!/usr/bin/env bash
# Tokens for a table of people, and slips: every line has its own fate, nothing is lost when it is cut short, and running it again changes nothing.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set notify auditors '{"auditor@example.org"}'
log_count() { store_sql 'SELECT count(*) FROM log'; }
tokens_in() { grep -ohE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' "$@" | sort -u; }
column() { python3 -c 'import csv, sys
for row in csv.DictReader(open(sys.argv[1], newline="")): print(row[sys.argv[2]])' "$@"; }
status_of() { python3 -c 'import csv, sys
print(*(row["status"] for row in csv.DictReader(open(sys.argv[1], newline="")) if row["line"] == sys.argv[2]))' "$@"; }
bulk() { countersignctl token issue --csv "$@" 2>"$T/err"; }

# ---- people in every state ----
user alice
user erin
for who in alice erin; do
    gpg_key $who "$who@example.org" >/dev/null
    as $who gpg --batch --quiet --armor --export >"$T/$who.asc"
    plain_mail "$who@example.org" "$(token_for $who@example.org)" "$T/$who.asc" | deliver
done
agent_once
ok "alice and erin are enrolled" test "$(store_sql 'SELECT count(*) FROM keyset')" = 2
countersignctl revoke erin@example.org --reason left --yes >/dev/null 2>&1
token_for dora@example.org >/dev/null
clear_sent

# ---- a table as a spreadsheet writes it ----
printf '\xef\xbb\xbfName;Address;Department;Keyset;Language\r\n"Bob ""Bobby"" Example";bob@example.org;Sales;;\r\nCarol;Carol@Example.ORG;;laptop;de\r\n;alice@example.org;;;\r\n' >"$T/people.csv"
printf ';dora@example.org;;;\r\n;erin@example.org;;;\r\n;not an address;;;\r\n;frank@elsewhere.example;;;\r\n\xff;grace@example.org;;;\r\n;bob@example.org;;;\r\n' >>"$T/people.csv"
printf '"J\xc3\xbcrgen; M\xc3\xbcller";heidi@example.org;;;\r\n"never closed;ivan@example.org;;;\r\n;judy@example.org;;a/b;\r\n' >>"$T/people.csv"
before=$(log_count)
countersignctl token issue --csv "$T/people.csv" --dry-run >"$T/dry" 2>"$T/err"
is "a dry run says what would happen" "$(status_of "$T/dry" 2)" "would be issued"
is "and writes nothing but its own entry" "$(($(log_count) - before))" 1
is "and no token" "$(tokens_in "$T/dry" | wc -l)" 0

exits "a table with bad lines is done all the same" 65 countersignctl token issue --csv "$T/people.csv" --output "$T/out.csv"
tokens_in "$T/out.csv" >>"$T/tokens"
is "every line has its line" "$(column "$T/out.csv" line | tr '\n' ' ')" "2 3 4 5 6 7 8 9 10 11 12 13 "
for line in 2 3 11; do is "line $line is issued" "$(status_of "$T/out.csv" $line)" issued; done
is "an address is in canonical form" "$(column "$T/out.csv" address | sed -n 2p)" carol@example.org
is "alice is enrolled" "$(status_of "$T/out.csv" 4)" enrolled
like "dora has a token already" "$(status_of "$T/out.csv" 5)" '^already outstanding since [0-9]+ [A-Z][a-z]+ 20[0-9]{2}$'
is "erin was revoked" "$(status_of "$T/out.csv" 6)" revoked
like "no address" "$(status_of "$T/out.csv" 7)" '^error: '
like "a foreign domain" "$(status_of "$T/out.csv" 8)" '^error: .*not issued for this domain'
like "not UTF-8" "$(status_of "$T/out.csv" 9)" '^error: line 9 is not UTF-8'
like "twice in the table" "$(status_of "$T/out.csv" 10)" '^already outstanding'
like "a quotation mark that is never closed" "$(status_of "$T/out.csv" 12)" '^error: line 12'
like "no keyset name" "$(status_of "$T/out.csv" 13)" '^error: "a/b" is no keyset name'
is "three tokens" "$(tokens_in "$T/out.csv" | wc -l)" 3
is "names are recorded" "$(store_sql "SELECT name FROM token WHERE address = 'bob@example.org'")" 'Bob "Bobby" Example'
is "keysets are fixed" "$(store_sql "SELECT keyset FROM token WHERE address = 'carol@example.org'")" laptop
is "the result is its owner's alone" "$(stat -c %a "$T/out.csv")" 600
exits "it is never overwritten" 73 countersignctl token issue --csv "$T/people.csv" --output "$T/out.csv"

# ---- P5.6: nobody acts unseen ----
agent_once
for who in bob carol heidi; do
    mail=$(last_to $who@example.org '^Subject: A token was issued')
    ok "$who is told" test -n "$mail"
    like "$who is told by whom" "$(cat "$mail")" "$(id -un) issued enrollment tokens"
    unlike "$who reads of nobody else" "$(cat "$mail")" "$([ $who = bob ] && echo carol || echo bob)@example.org"
done
like "the auditor gets the list" "$(cat "$(last_to auditor@example.org '^Subject: Tokens were issued')")" 'heidi@example.org'
is "in one mail" "$(count_to auditor@example.org '^Subject: Tokens were issued')" 1
is "each token has its log entry" "$(store_sql "SELECT count(*) FROM log WHERE event = 'token-issued'")" 6

# ---- again ----
before=$(store_sql 'SELECT group_concat(hex(row_check)) FROM token')
bulk "$T/people.csv" >"$T/again.csv"
is "a second run issues nothing" "$(tokens_in "$T/again.csv" | wc -l)" 0
like "and says since when" "$(status_of "$T/again.csv" 2)" '^already outstanding'
is "and changes nothing" "$(store_sql 'SELECT group_concat(hex(row_check)) FROM token')" "$before"

# ---- positions, JSON lines, a token that works ----
printf 'ken@example.org,Ken\nlea@example.org\n' >"$T/plain.csv"
bulk "$T/plain.csv" --json >"$T/out.json"
tokens_in "$T/out.json" >>"$T/tokens"
is "one object a line" "$(python3 -c 'import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
print([(r["line"], r["address"], r["status"], len(r["token"]), type(r["id"]).__name__, r["expires"][-1]) for r in rows])' "$T/out.json")" \
    "[(1, 'ken@example.org', 'issued', 29, 'int', 'Z'), (2, 'lea@example.org', 'issued', 29, 'int', 'Z')]"
is "without a head the columns stand in their order" "$(store_sql "SELECT name FROM token WHERE address = 'ken@example.org'")" Ken
user lea
gpg_key lea 'lea@example.org' >/dev/null
as lea gpg --batch --quiet --armor --export >"$T/lea.asc"
plain_mail lea@example.org "$(sed -n 's/.*lea@.*"token": *"\([^"]*\)".*/\1/p' "$T/out.json")" "$T/lea.asc" | deliver
agent_once
is "such a token enrolls" "$(store_sql "SELECT count(*) FROM keyset WHERE address = 'lea@example.org'")" 1

# ---- by mail ----
clear_sent
printf 'address,name\nmia@example.org,Mia\nnoa@example.org,Noa\n' >"$T/mail.csv"
bulk "$T/mail.csv" --mail >"$T/mailed.csv"
is "mailed" "$(column "$T/mailed.csv" status | sort -u)" mailed
is "the result has no token" "$(tokens_in "$T/mailed.csv" | wc -l)" 0
is "the mails have" "$(tokens_in "$T"/mail/outgoing/new/* | wc -l)" 2
bulk "$T/mail.csv" --mail >"$T/mailed2.csv"
is "nobody is mailed twice" "$(tokens_in "$T"/mail/outgoing/new/* | wc -l)" 2
tokens_in "$T"/mail/outgoing/new/* >>"$T/tokens"
conf_set submit url '"sendmail:/bin/false"'
printf '%s@example.org\n' one two three four five >"$T/down.csv"
exits "a mail server that takes nothing ends it" 69 countersignctl token issue --csv "$T/down.csv" --mail
like "after three" "$exits_output" 'stopped at line 3; run it again'
is "and leaves no token" "$(store_sql "SELECT count(*) FROM token WHERE voided = 0 AND address IN ('one@example.org', 'two@example.org', 'three@example.org', 'four@example.org')")" 0
conf_set submit url "\"maildir:$T/mail/outgoing\""

# ---- slips ----
countersignctl token issue oli@example.org --name 'Oli <b>' --slip "$T/wrong.html" >/dev/null 2>&1
printf 'oli@example.org,Oli O&M,,\npia@example.org,Pia,laptop,de\n' >"$T/slips.csv"
bulk "$T/slips.csv" --slip "$T/slips.html" >"$T/slips.out"
is "two slips" "$(grep -c '<section>' "$T/slips.html")" 2
is "in one document" "$(grep -c '</html>' "$T/slips.html")" 1
is "their tokens are there alone" "$(tokens_in "$T/slips.html" | wc -l) $(tokens_in "$T/slips.out" | wc -l)" "2 0"
like "names are escaped" "$(cat "$T/slips.html")" 'Oli O&#38;M'
like "by language" "$(cat "$T/slips.html")" 'Token für geschützte Mail'
is "nothing comes from outside" "$(grep -oE '(src|href)="[^"]{12}' "$T/slips.html" | grep -vc 'src="data:image/' || true)" 0
countersignctl token issue quinn@example.org --slip "$T/slip.txt" --language de >/dev/null
like "a slip as text" "$(cat "$T/slip.txt")" 'GESCHÜTZTE MAIL'
like "with the token" "$(cat "$T/slip.txt")" '^    Token: ([0-9A-Z]{5}-){4}[0-9A-Z]{5}$'
conf_set policy plain-requests '"off"'
countersignctl token issue rob@example.org --slip "$T/client.txt" >/dev/null
unlike "where only the client is let in, the slip says nothing else" "$(cat "$T/client.txt")" 'any other mail program'
exits "a language that there is not" 78 countersignctl token issue sam@example.org --slip "$T/xx.txt" --language xx
like "says which file would be it" "$exits_output" 'slip.xx.txt'
mkdir "$T/templates"
printf '<html><body>%%TOKEN%% %%NONSENSE%%</body></html>\n' >"$T/templates/slip.en.html"
echo '%TOKEN%' >"$T/templates/slip.en.txt"
conf_set authority template-directory "\"$T/templates\""
before=$(store_sql 'SELECT count(*) FROM token')
exits "a broken template" 78 countersignctl token issue sam@example.org --slip "$T/xx.html"
like "is named with its line" "$exits_output" 'slip.en.html:1: there is no word %NONSENSE%'
is "and nothing is issued" "$(store_sql 'SELECT count(*) FROM token')" "$before"
tokens_in "$T/slips.html" "$T"/*.txt >>"$T/tokens"
conf_set authority template-directory '""'
# ---- cut short ----
python3 -c 'for i in range(1500): print(f"p{i}@example.org")' >"$T/many.csv"
countersignctl token issue --csv "$T/many.csv" --output "$T/many.out" 2>"$T/err" &
pid=$!
await 20 test -s "$T/many.out"
await 20 sh -c "[ \$(wc -l <'$T/many.out') -gt 500 ]"
kill -INT $pid
wait $pid
is "an interrupt ends it between two steps" "$?" 77
like "and says how to go on" "$(cat "$T/err")" 'interrupted after [0-9]+ lines; run it again'
countersignctl token issue --csv "$T/many.csv" --output "$T/many2.out" 2>"$T/err" &
pid=$!
await 20 sh -c "[ \$(wc -l <'$T/many2.out') -gt 900 ]"
kill -KILL $(pgrep -P $pid)
wait $pid 2>/dev/null
countersignctl token issue --csv "$T/many.csv" --output "$T/many3.out" 2>"$T/err"
is "in the end everybody has one" "$(store_sql "SELECT count(DISTINCT address) FROM token WHERE closed = 0 AND address GLOB 'p[0-9]*'")" 1500
is "of which each is in a result" "$(for f in "$T"/many*.out; do column "$f" id; done | grep . | sort -u | comm -13 - <(store_sql "SELECT id FROM token WHERE closed = 0 AND address GLOB 'p[0-9]*'" | sort -u) | wc -l)" 0
ok "the log is whole" countersignctl log verify

done_testing
