#!/bin/sh
# How the captures in this directory were made: each program wrote its mail into a file through a stand-in for sendmail. The token is the
# placeholder 7K2QX-9MDTR-4WPZC-HN3VA-6B8YE; the flow puts a real one of the same length in its place, every other byte stays. The key is alice.asc.
# Run it again on Debian 12 with neomutt, mutt, s-nail, swaks and mblaze installed; dates, ids and boundaries differ then.
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
printf 'From: Security Authority <sa@example.org>\nTo: alice@example.org\nSubject: Welcome\nMessage-ID: <welcome@example.org>\nDate: Mon, 23 Nov 2026 00:00:00 +0000\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\nYour token:\n\n    %s\n\nReply to this mail with your public key attached.\n' "$token" >"$work/welcome"

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
