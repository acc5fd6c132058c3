#!/usr/bin/env bash
# The report and a slip as a browser shows them, on a desk and on a telephone, by day and by night; and the code on the slip as a camera reads it.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/look.sh"

real=$build/countersignctl
countersignctl() { faketime -f -400d "$real" "$@"; } # an authority with a past
authority_new
unset -f countersignctl
countersignctl report "$T/report" >/dev/null
cp "$T/report/index.html" "$T/empty.html"
populate "$T/sa/state/countersign.db" 10000 "$(date +%s)" || exit 1
ok "a report of 10,000 people" countersignctl report "$T/report"
cp "$T/report/index.html" "$T/full.html"
cat >"$T/people.csv" <<'CSV'
address,name,keyset,language
alice@example.org,Alice Example,,en
a.very.long.local.part.without.any.end.to.be.seen.at.all.really@example.org,Somebody with a name that is long enough to be broken over more than one line on paper,a name of thirty-two characters,de
CSV
countersignctl token issue --csv "$T/people.csv" --slip "$T/slips.html" >/dev/null 2>"$T/err"
grep -ohE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' "$T/slips.html" >>"$T/tokens"

for page in empty full slips; do
    for width in 360 768 1280; do
        for scheme in light dark; do
            ground='rgb(244, 245, 247)'
            [ $scheme = light ] || ground='rgb(15, 18, 22)'
            [ $page != slips ] || ground='rgb(255, 255, 255)'
            is "$page, $width wide, $scheme: nothing overflows, all can be read" "$(look "$T/$page.html" $width $scheme)" "$width on $ground"
        done
    done
done
sed 's/<p>[^<]*@example.org[^<]*</<p style="white-space: nowrap; color: #ccc">A line that is much too long for any telephone, and too pale</' "$T/full.html" >"$T/bad.html"
like "the look sees what is pale" "$(look "$T/bad.html" 360 light)" 'contrast 1\.'
like "and what is too wide" "$(look "$T/bad.html" 360 light)" 'the page is [0-9]+ wide'

for width in 400 900; do
    picture "$T/slips.html" $width light 3000 "$T/slips.$width.png"
    is "the codes are read from the picture, $width wide" "$(zbarimg -q --raw "$T/slips.$width.png" 2>/dev/null | grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' | sort)" "$(sort -u "$T/tokens")"
done
like "and say to whom" "$(zbarimg -q --raw "$T/slips.900.png" 2>/dev/null)" '^mailto:sa@example.org\?subject=Enrollment&body=Token%3A%20'
browser 800 600 light --no-pdf-header-footer --print-to-pdf="$T/slips.pdf" "file://$T/slips.html" >/dev/null
is "each is one page on paper" "$(grep -aoE '/Type ?/Page\b' "$T/slips.pdf" | wc -l)" 2
done_testing
