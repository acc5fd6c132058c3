#!/bin/sh
# How the captures in this directory were made: each program wrote its mail into a file through a stand-in for sendmail. The token is the
# placeholder 7K2QX-9MDTR-4WPZC-HN3VA-6B8YE; the flow puts a real one of the same length in its place, every other byte stays. The key is alice.asc.
# Run it again on Debian 12 with neomutt, mutt, s-nail, swaks, mblaze, aerc, mailutils and tmux installed; dates, ids and boundaries differ then.
# The *-reply and *-forward answer token-mail.eml, which `countersignctl token issue --mail` sent, with the placeholder in it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME="$work" EMAIL=alice@example.org
token=7K2QX-9MDTR-4WPZC-HN3VA-6B8YE
printf '#!/bin/sh\ncat > "$CAPTURE"\n' >"$work/sendmail"
chmod +x "$work/sendmail"
cp "$here/alice.asc" "$work/alice.asc"
printf 'Hello,\n\nhere is my token: %s\nKeyset: work\n\nAlice\n' "$token" >"$work/body"

for m in mutt neomutt; do
	CAPTURE="$here/$m.eml" $m -n -F /dev/null -e "set sendmail='$work/sendmail' from=alice@example.org realname='Alice Example' hostname=example.org copy=no" \
	    -s 'My key' -a "$work/alice.asc" -- sa@example.org <"$work/body"
done
# neomutt with the key in the text and the token in the subject
{ cat "$work/alice.asc"; } | CAPTURE="$here/neomutt-key-in-text.eml" neomutt -n -F /dev/null \
    -e "set sendmail='$work/sendmail' from=alice@example.org realname='Alice Example' hostname=example.org copy=no" -s "Token $token" -- sa@example.org
CAPTURE="$here/s-nail.eml" s-nail -n -S mta="$work/sendmail" -S from='Alice Example <alice@example.org>' -S hostname=example.org \
    -s 'My key' -a "$work/alice.asc" sa@example.org <"$work/body"
swaks --dump-mail --to sa@example.org --from alice@example.org --h-From 'Alice Example <alice@example.org>' --h-Subject 'My key' \
    --body "@$work/body" --attach-type application/pgp-keys --attach-name alice.asc --attach "@$work/alice.asc" --suppress-data >"$here/swaks.eml"
{
	printf 'From: Alice Example <alice@example.org>\nTo: sa@example.org\nSubject: My key\nMessage-ID: <mblaze@example.org>\nDate: Mon, 23 Nov 2026 00:00:00 +0000\n\n'
	cat "$work/body"
	printf '#application/pgp-keys %s\n' "$work/alice.asc"
} | mmime >"$here/mblaze.eml"
CAPTURE="$here/mailutils.eml" mail.mailutils -E "set sendmail=sendmail:$work/sendmail" -E 'set quiet' -a 'From: Alice Example <alice@example.org>' -s 'My key' \
    -A "$work/alice.asc" sa@example.org <"$work/body"

# Answers to the real token mail. Those programs that want a terminal get one from tmux; the editor puts a few lines on top.
printf '#!/bin/sh\n{ printf "Hello,\\n\\nhere is my key.\\nKeyset: work\\n\\n"; cat "$1"; } >"$1.n" && mv "$1.n" "$1"\n' >"$work/top-post"
printf '#!/bin/sh\ncat > "$CAPTURE.tmp"; mv "$CAPTURE.tmp" "$CAPTURE"\n' >"$work/sendmail"
chmod +x "$work/top-post"
mkdir -p "$work/md/INBOX/new" "$work/md/INBOX/cur" "$work/md/INBOX/tmp" "$work/config/aerc"
received() { rm -f "$work"/md/INBOX/new/* "$work"/md/INBOX/cur/*; cp "$here/token-mail.eml" "$work/md/INBOX/new/1.x"; }
screen() { tmux -L "capture-$$" -f /dev/null "$@"; }
await() { for _ in $(seq 100); do "$@" && return 0; sleep 0.1; done; screen capture-pane -p; return 1; }
shows() { screen capture-pane -p | grep -q "$1"; }
on_screen() { screen new-session -d -x 120 -y 40 "env HOME='$work' LC_ALL=C.UTF-8 EDITOR='$work/top-post' CAPTURE='$here/$1' $2"; }

cat >"$work/muttrc" <<RC
set sendmail="$work/sendmail" from=alice@example.org realname="Alice Example" hostname=example.org copy=no editor="$work/top-post"
set include=yes fast_reply=yes crypt_verify_sig=no mbox_type=Maildir folder=$work/md confirmappend=no abort_noattach=no quit=yes move=no
RC
for m in mutt neomutt; do
	for how in reply forward-message; do
		file=$m-${how%-message}.eml
		rm -f "$here/$file"
		received
		to=
		[ $how = reply ] || to='sa@example.org<enter>'
		on_screen "$file" "$m -n -F '$work/muttrc' -f '$work/md/INBOX' -e 'push \"<$how>$to<attach-file>$work/alice.asc<enter><send-message><quit>\"'"
		await test -s "$here/$file"
		screen kill-server
	done
done

printf '[alice]\nsource = maildir://%s\noutgoing = %s\ndefault = INBOX\nfrom = Alice Example <alice@example.org>\n' "$work/md" "$work/sendmail" >"$work/config/aerc/accounts.conf"
chmod 600 "$work/config/aerc/accounts.conf"
cp /usr/share/aerc/aerc.conf /usr/share/aerc/binds.conf "$work/config/aerc/"
rm -f "$here/aerc-reply.eml"
received
on_screen aerc-reply.eml "env XDG_CONFIG_HOME='$work/config' XDG_DATA_HOME='$work/data' XDG_CACHE_HOME='$work/cache' aerc"
await shows 'Your token'
screen send-keys Enter
await shows 'leave the token\|leave$'
screen send-keys rq
await shows 'Send this email'
screen send-keys ":attach $work/alice.asc" Enter
await shows 'alice.asc'
screen send-keys y
await test -s "$here/aerc-reply.eml"
screen kill-server

received
printf 'reply 1\nhere is my key.\nKeyset: work\n\n~m 1\n~@ %s\n~.\n' "$work/alice.asc" | CAPTURE="$here/s-nail-reply.eml" s-nail -n -# -S mta="$work/sendmail" \
    -S from='Alice Example <alice@example.org>' -S hostname=example.org -S indentprefix='> ' -f "$work/md/INBOX"
