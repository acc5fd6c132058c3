#!/usr/bin/env bash
# The report, with nobody and with thousands, and lists of users.
. "$(dirname "$0")/../lib/flow.sh"

real=$build/countersignctl
countersignctl() { faketime -f -400d "$real" "$@"; } # an authority with a past
authority_new
unset -f countersignctl
page=$T/report/index.html
sound() { # NAME: well-formed, self-contained, no names
    ok "$1: every element is closed" python3 - "$page" <<'PY'
import html.parser, sys
class Check(html.parser.HTMLParser):
    open = []
    def handle_starttag(self, tag, attrs):
        assert tag != "script" and not any(name.startswith("on") or name in ("src", "href") for name, _ in attrs), (tag, attrs)
        if tag not in ("meta",): self.open.append(tag)
    def handle_endtag(self, tag): assert self.open.pop() == tag, tag
    def handle_startendtag(self, tag, attrs): pass
check = Check()
check.feed(open(sys.argv[1], encoding="utf-8").read())
assert not check.open, check.open
PY
    is "$1: nothing comes from outside" "$(sed 's,xmlns="http://www.w3.org/2000/svg",,g' "$page" | grep -ciE 'url\(|@import|https?:|<link')" 0
    is "$1: nobody is named" "$(grep -oE '[a-z0-9]+@example.org' "$page" | sort -u)" sa@example.org
}
figure() { sed -n "s|.*<dt>$1</dt><dd>\([0-9]*\)</dd>.*|\1|p" "$page"; }
row() { sed -n "/<h2>$1</,/<\/section>/s|.*<th scope=\"row\">$2</th><td>\([0-9]*\)</td>.*|\1|p" "$page"; }

# ---- nobody ----
ok "a report of an empty store" countersignctl report "$T/report"
sound "an empty report"
is "nobody is enrolled" "$(figure 'People enrolled')" 0
is "the rest says so" "$(grep -c '<p>None.</p>' "$page")" 5
is "it can be served" "$(stat -c %a "$page")" 644

# ---- thousands ----
now=$(date +%s)
populate "$T/sa/state/countersign.db" 3000 "$now" || exit 1
ok "a report of thousands" countersignctl report "$T/report"
sound "a full report"
keysets() { store_sql "SELECT count(*) FROM keyset $1"; }
is "people" "$(figure 'People enrolled')" "$(store_sql 'SELECT count(DISTINCT address) FROM keyset WHERE revoked = 0 AND superseded = 0')"
is "revoked" "$(figure Revoked)" "$(keysets 'WHERE revoked > 0')"
month=$(date -u -d '-95 days' +%Y-%m)
is "enrollments of a month" "$(row Enrollments "$month")" "$(keysets "WHERE strftime('%Y-%m', enrolled, 'unixepoch') = '$month'")"
month=$(date -u -d '+95 days' +%Y-%m)
is "certifications that end in a month" "$(row Certifications "$month")" \
    "$(keysets "WHERE revoked = 0 AND superseded = 0 AND strftime('%Y-%m', certified_until, 'unixepoch') = '$month'")"
is "refusals by reason" "$(row Refusals key-missing)" "$(store_sql "SELECT count(*) FROM log WHERE detail = 'reason=key-missing'")"
is "tokens by age" "$(row 'Outstanding tokens' '3-7 days')" \
    "$(store_sql "SELECT count(*) FROM token WHERE closed = 0 AND expires > $now AND $now - issued >= 3 * 86400 AND $now - issued < 7 * 86400")"
is "from token to enrollment" "$(row 'From token to enrollment' '&#60; 1 hour')" "$(store_sql 'SELECT count(*) FROM token WHERE used > 0 AND used - issued < 3600')"
is "nothing is left beside it" "$(ls -A "$T/report")" index.html
exits "a directory that can't be made" 73 countersignctl report /proc/nowhere

# ---- users ----
list() { countersignctl user list --json "$@" >"$T/list.json" && python3 -c 'import json, sys
rows = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$T/list.json" "$pick"; }
pick='len(rows)'
is "all of them" "$(list)" "$(store_sql "SELECT (SELECT count(*) FROM keyset) + (SELECT count(*) FROM token WHERE closed = 0 AND expires > $now)")"
is "of a domain" "$(list --domain elsewhere.example)" 0
is "of ours" "$(list --domain EXAMPLE.org)" "$(list)"
is "by state" "$(list --state revoked)" "$(keysets 'WHERE revoked > 0')"
is "whose turn it is" "$(list --pending)" "$(($(list --state unconfirmed) + $(list --state outstanding)))"
is "whose certification ends soon" "$(list --expiring 60d)" "$(keysets "WHERE confirmed > 0 AND revoked = 0 AND certified_until <= $now + 60 * 86400")"
pick='[row["certified_until"] for row in rows] == sorted(row["certified_until"] for row in rows)'
is "sorted by the end" "$(list --state active --sort until)" True
pick='[row["since"] for row in rows] == sorted(row["since"] for row in rows)'
is "sorted by since" "$(list --sort since)" True
pick='[row["address"] for row in rows] == sorted(row["address"] for row in rows)'
is "else by address" "$(list)" True
exits "another order there is not" 64 countersignctl user list --sort colour
exits "a span is a span" 64 countersignctl user list --expiring soon
done_testing
