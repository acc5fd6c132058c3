#!/usr/bin/env bash
# Administrators' own mail programs with `countersignctl sendmail`: what arrives has the token, what they keep as sent has the placeholder, and no token
# stays anywhere. Drafts as these and other programs write them; --each; templates of token mails.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
export HOME=$T/ada LANG=C.UTF-8 LC_ALL=C.UTF-8
mkdir -p "$HOME"
cat >"$T/body" <<'TEXT'
Liebe Müllers,

Ihr Token für geschützte Mail ist %TOKEN%, 日本語も。

Schöne Grüße
TEXT
tokens_in() { grep -ohE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' "$@" | sort -u; }
read_text() { # FILE: the first text in it, decoded
    python3 -c 'import email, email.policy, sys
m = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
print(next(p for p in m.walk() if p.get_content_maintype() == "text").get_content())' "$1"
}
arrived() { # PROGRAM ADDRESS SENT: what came and what was kept
    local mail
    mail=$(last_to "$2")
    tokens_in "$mail" | tee "$T/one" >>"$T/tokens"
    is "$1: one token arrives" "$(wc -l <"$T/one")" 1
    is "$1: in its place" "$(read_text "$mail" | sed -n 3p)" "Ihr Token für geschützte Mail ist $(cat "$T/one"), 日本語も。"
    is "$1: the copy in Sent has the placeholder" "$(read_text "$3" | grep -c '%TOKEN%')" 1
    is "$1: and no token" "$(tokens_in "$3")" ""
}

# ---- on a terminal: neomutt, as a person uses it ----
cat >"$HOME/muttrc" <<RC
set sendmail="$build/countersignctl -c $COUNTERSIGN_CONF sendmail" sendmail_wait=0
set from="ada@example.org" realname="Ada Ädmin" use_domain=no charset=utf-8
set record="$HOME/sent-mutt" mbox_type=mbox folder="$HOME" spoolfile=/dev/null
set editor=true abort_unmodified=no autoedit=yes fast_reply=yes postpone=no ssl_force_tls=no
RC
tmux="tmux -L cs-$$ -f /dev/null"
shows() { $tmux capture-pane -p -t "$1" | grep -q -- "$2"; }
gone() { ! $tmux has-session -t "$1"; }
$tmux new-session -d -s mutt -x 100 -y 30 "neomutt -n -F $HOME/muttrc -s Willkommen -i $T/body bob@example.org"
ok "neomutt shows what it will send" await 10 shows mutt 'y:Send'
$tmux send-keys -t mutt y
ok "and sends it" await 20 gone mutt
arrived neomutt bob@example.org "$HOME/sent-mutt"
clear_sent
$tmux kill-server 2>/dev/null

# ---- from the shell: s-nail ----
s-nail -n -Smta="$build/countersignctl" -Smta-arguments="-c $COUNTERSIGN_CONF sendmail" -Smta-no-default-arguments -Sfrom=ada@example.org -Sttycharset=utf-8 \
    -Ssendcharsets=utf-8 -Srecord="$HOME/sent-nail" -Sv15-compat -s Willkommen bob@example.org <"$T/body" 2>"$T/nail.out"
arrived s-nail bob@example.org "$HOME/sent-nail"
clear_sent

# ---- over ssh, which gives the words to a shell there ----
cat >"$T/ssh" <<SSH
#!/bin/sh
shift
exec sh -c "\$*"
SSH
chmod 700 "$T/ssh"
printf 'From: ada@example.org\nTo: bob@example.org\nSubject: x\n\n%%TOKEN%%\n' >"$T/draft"
over_ssh() { "$T/ssh" authority countersignctl sendmail -oi -f ada@example.org -- bob@example.org <"$T/draft"; }
ok "over ssh" over_ssh
is "one token arrives" "$(tokens_in "$(last_to bob@example.org)" | tee -a "$T/tokens" | wc -l)" 1
clear_sent

# ---- drafts as mail programs write them ----
for draft in "$top"/tests/vectors/drafts/*.eml; do
    countersignctl token fill <"$draft" >"$T/filled" 2>>"$T/ctl.err"
    ok "$(basename "$draft") is filled and nothing else" "$top/tests/lib/check_draft.py" "$draft" "$T/filled"
    tokens_in "$T/filled" >>"$T/tokens"
done
rm "$T/filled"

# ---- several recipients ----
printf 'From: ada@example.org\nTo: bob@example.org, Carol <carol@example.org>\nCc: BOB@example.org\nBcc: dora@example.org\nSubject: x\n\n%%ADDRESS%% %%TOKEN%%\n' >"$T/draft"
send() { countersignctl sendmail "$@" <"$T/draft"; }
exits "several recipients are refused" 65 send -t
like "and it says how" "$exits_output" 'for one person.*--each'
ok "with --each" send --each -t
for who in bob carol dora; do
    is "$who has one mail" "$(count_to $who@example.org '^Subject: x')" 1
    tokens_in "$(last_to $who@example.org '^Subject: x')" >>"$T/tokens"
    ok "$who's own" grep -q "^$who@example.org [0-9A-Z-]*" "$(last_to $who@example.org '^Subject: x')"
    not "without Bcc" grep -qi '^bcc' "$(last_to $who@example.org '^Subject: x')"
done
is "three tokens, each another" "$(tail -n 3 "$T/tokens" | sort -u | wc -l)" 3
clear_sent
before=$(store_sql 'SELECT count(*) FROM token')
exits "one of them can't have a token" 65 send --each bob@example.org carol@example.net
is "so nobody gets one" "$(store_sql 'SELECT count(*) FROM token')" "$before"
cat >"$T/sendmail" <<SH
#!/bin/sh
for last; do :; done
[ "\$last" != carol@example.org ] || { echo "550 no such user" >&2; exit 67; }
cat >"$T/sm.\$last"
SH
chmod 700 "$T/sendmail"
conf_set submit url "\"sendmail:$T/sendmail\""
exits "one of them is refused by the mail server" 69 send --each bob@example.org carol@example.org dora@example.org
like "which is said" "$exits_output" 'carol@example.org: .*no such user'
like "and that the others have theirs" "$exits_output" '1 of 3 mails'
is "they have" "$(cat "$T"/sm.* | tokens_in | tee -a "$T/tokens" | wc -l)" 2
is "its token is voided" "$(store_sql "SELECT voided IS NOT NULL FROM token WHERE address = 'carol@example.org' ORDER BY id DESC LIMIT 1")" 1
rm -f "$T"/sm.*
conf_set submit url "\"maildir:$T/mail/outgoing\""
clear_sent

# ---- refused, with the reason ----
body() { printf 'From: ada@example.org\nTo: bob@example.org\nSubject: x\nMIME-Version: 1.0\n%s\n' "$1" >"$T/draft"; }
before=$(store_sql 'SELECT count(*) FROM token')
body $'Content-Type: multipart/signed; boundary=b\n\n--b\n\n%TOKEN%\n--b\nContent-Type: application/pgp-signature\n\nx\n--b--'
exits "a signed draft" 65 send -t
like "would break" "$exits_output" 'break the signature'
body $'Content-Type: text/html; charset=utf-8\n\n<p>%TO<wbr>KEN%</p>'
exits "a word with markup inside" 65 send -t
like "which is said" "$exits_output" 'formatting'
body $'\n> %ENROLL%'
exits "a quoted link" 65 send -t
is "no token was issued" "$(store_sql 'SELECT count(*) FROM token')" "$before"
is "nothing was sent" "$(count_to bob@example.org '^Subject: x')" 0

# ---- token mails from templates ----
clear_sent
mail_one() { countersignctl token issue bob@example.org --mail --name 'Bob & "B"' "$@"; }
ok "a token mail" mail_one
mail=$(last_to bob@example.org '^Subject: Your token')
tokens_in "$mail" >>"$T/tokens"
is "in text and HTML" "$(grep -c '^Content-Type: text/\(plain\|html\)' "$mail")" 2
ok "German is built in" mail_one --language de
tokens_in "$(last_to bob@example.org '^Subject: =')" >>"$T/tokens"
like "with its subject" "$(python3 -c 'import email, email.policy, sys; print(email.message_from_file(open(sys.argv[1]), policy=email.policy.default)["Subject"])' "$(last_to bob@example.org '^Subject: =')")" '^Ihr Token'
exits "Klingon is not" 78 mail_one --language tlh
like "and what to write is said" "$exits_output" 'token\.tlh\.txt'
mkdir "$T/templates"
conf_set authority template-directory "\"$T/templates\""
template() { printf '%s\n' "$2" >"$T/templates/token.en.$1"; }
template txt $'Subject: For %NAME%\n\nHello\n%TOKN%'
before=$(store_sql 'SELECT count(*) FROM token')
exits "an unknown word" 78 mail_one
like "has file and line" "$exits_output" 'templates/token.en.txt:4: there is no word %TOKN%'
template txt $'Hello\n%TOKEN%'
exits "no subject" 78 mail_one
like "has them too" "$exits_output" 'token.en.txt:1: '
template txt $'Subject: %TOKEN%\n\nHello'
exits "a token in the subject" 78 mail_one
template txt $'Subject: x\n\nHello \xff'
exits "not UTF-8" 78 mail_one
like "has them as well" "$exits_output" 'token.en.txt:3: '
is "nothing was issued" "$(store_sql 'SELECT count(*) FROM token')" "$before"
template txt $'Subject: For %NAME%\n\nHello %NAME%, 100% %TOKEN%\nkeyset %KEYSET%\nend'
template html $'<html><body>\n<p>%NAME% <a href="%ENROLL%">%TOKEN%</a></p>\n</body></html>'
ok "one of our own" mail_one
mail=$(last_to bob@example.org '^Subject: For ')
tokens_in "$mail" >>"$T/tokens"
is "the words are filled, and the line about a keyset is left out" "$(read_text "$mail" | sed 's/[0-9A-Z-]\{29\}/T/' | tr '\n' '|')" 'Hello Bob & "B", 100% T|end||'
ok "in HTML they are escaped" grep -q 'Bob &#38; &#34;B&#34;' <(sed -e ':a' -e '/=$/N; s/=\n//; ta' "$mail")
rm "$T/templates/token.en.html"
template txt $'Subject: Welcome\n\nHello'
conf_set policy token-by-mail none
mail_one --json >"$T/out" 2>>"$T/ctl.err"
is "one without the token is mailed whatever the policy" "$?" 0
like "it says whom to ask" "$(read_text "$(last_to bob@example.org '^Subject: Welcome')")" 'Ask your administrator for the token'
is "and holds no token" "$(tokens_in "$(last_to bob@example.org '^Subject: Welcome')")" ""
is "which is printed instead" "$(tokens_in "$T/out" | tee -a "$T/tokens" | wc -l)" 1
rm "$T/out"
exits "nothing of it is in what the mail programs keep" 3 "$top/tests/lib/find_token.py" "$T/tokens" "$HOME" "$T/templates"
done_testing
