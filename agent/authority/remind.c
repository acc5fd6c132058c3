#include "remind.h"

#include <string.h>

#include "base/when.h"
#include "mail/calendar.h"
#include "shared/letters.h"

#define AT_ONCE_MAX 50
#define ALARM_DAYS 1
#define FOR_EVER (INT64_MAX / 2)

struct round {
	struct authority *authority;
	int64_t now, count;
	enum err rc;
};

/* The shortest of the spans that it is in: after a long silence only the most urgent one is sent. 0: none. */
static int64_t span_of(const struct conf *conf, int64_t left)
{
	int64_t best = 0;

	for (const int64_t *span = conf->policy.reminder_seconds; span && *span; span++)
		if (left <= *span && (!best || *span < best))
			best = *span;
	return best;
}

static int64_t longest_span(const struct conf *conf)
{
	int64_t longest = 0;

	for (const int64_t *span = conf->policy.reminder_seconds; span && *span; span++)
		if (*span > longest)
			longest = *span;
	return longest;
}

/* One reminder for each span of each certification. */
static char *mark_of(const struct keyset_row *k, int64_t span)
{
	return str_printf("remind:%lld:%lld:%lld", (long long)k->id, (long long)k->certified_until,
	    (long long)span);
}

/* ---- what it says ---- */

static void write_text(const struct round *r, const struct keyset_row *k, struct buf *out)
{
	const struct authority *a = r->authority;
	char day[WHEN_TEXT_SIZE], last[WHEN_TEXT_SIZE];
	char *fingerprint = authority_fingerprint_text(k->fingerprint),
	     *ours = authority_fingerprint_text(a->fingerprint);
	const char *quote = strchr(k->name, ' ') ? "\"" : "";
	bool over = k->certified_until <= r->now;

	when_format_day(k->certified_until, day);
	when_format_day(k->certified_until + a->conf->policy.grace_seconds, last);
	buf_addf(out,
	    "The certification of your key %s on %s.\n\n"
	    "Address:     %s\nKeyset:      %s\nFingerprint: %s\n\n",
	    over ? "has ended" : "ends", day, k->address, k->name, fingerprint);
	buf_addf(out,
	    "Renew it %s, in one of two ways:\n\n"
	    "With countersign, on the computer that holds the key:\n\n"
	    "    countersign renew %s%s%s\n\n"
	    "With any other mail program: answer this mail, and sign your answer with\n"
	    "this key (OpenPGP). Nothing else needs to be in it. If you have changed the\n"
	    "key, attach it.\n\n",
	    over ? "now" : "before then", quote, k->name, quote);
	buf_addf(out,
	    "The security authority answers; nothing changes until you have confirmed its\n"
	    "reply. The key can be renewed until %s; after that you need a new token\n"
	    "from your administrator.\n\n-- \n%s\n%s\nKey %s\n",
	    last, a->name && *a->name ? a->name : "Security Authority", a->address, ours);
	str_free(&fingerprint);
	str_free(&ours);
}

static void write_event(const struct round *r, const struct keyset_row *k, struct buf *out)
{
	char day[WHEN_TEXT_SIZE];
	char *uid = str_printf("%s-%s@%s", k->fingerprint, when_format_day(k->certified_until, day),
	    r->authority->domain);
	char *summary = str_printf("The certification of the key of %s ends", k->address);
	char *description = str_printf(
	    "Keyset %s, fingerprint %s.\nRenew it: \"countersign renew\", or answer the security authority's reminder with a signed mail.",
	    k->name, k->fingerprint);
	struct calendar_event event = { .uid = uid,
		.made = r->now,
		.day = k->certified_until,
		.summary = summary,
		.description = description,
		.alarm_days = ALARM_DAYS };

	calendar_write(&event, out);
	str_free(&uid);
	str_free(&summary);
	str_free(&description);
}

static enum err compose(const struct round *r, const struct keyset_row *k, struct letters *out)
{
	struct buf text = BUF_INIT, event = BUF_INIT;
	char day[WHEN_TEXT_SIZE];

	write_text(r, k, &text);
	write_event(r, k, &event);
	const struct part parts[] = {
		{ .type = "text/plain", .body = buf_bytes(&text) },
		{ .type = "text/calendar",
		    .parameters = "method=PUBLISH",
		    .name = "renew.ics",
		    .description = "The day on which the certification ends",
		    .body = buf_bytes(&event) },
	};
	struct part whole = { .type = "multipart/mixed", .children = parts, .child_count = 2 };
	/* With the word that P3.7 looks for, since some mail programs lose what an answer is to. */
	char *subject = k->certified_until > r->now ? str_printf("Renew your key by %s",
							  when_format_day(k->certified_until, day))
						    : str_dup("Renew your key now");
	enum err rc = letters_add_part(
	    r->authority, OUTBOX_REMINDER, k->address, subject, &whole, r->now, out);
	str_free(&subject);
	buf_free(&text);
	buf_free(&event);
	return rc;
}

/* ---- once ---- */

/* Renewed, revoked or reminded meanwhile? */
static enum err still_due(
    const struct round *r, const struct keyset_row *k, const char *mark, bool *out)
{
	struct store *s = r->authority->store;
	struct keyset_row *now = NULL;
	enum err rc = keyset_by_id(s, k->id, &now);

	*out = false;
	if (rc == ERR_OK && now && !now->superseded && !now->revoked &&
	    now->certified_until == k->certified_until)
		rc = mark_once(s, mark, r->now, FOR_EVER, out);
	keyset_row_free(&now);
	return rc;
}

static enum err record(
    struct round *r, const struct keyset_row *k, int64_t span, const struct letters *letters)
{
	struct store *s = r->authority->store;
	char *mark = mark_of(k, span);
	char *detail = str_printf("keyset=%s fingerprint=%s days=%lld", k->name, k->fingerprint,
	    (long long)((k->certified_until - r->now) / 86400));
	bool due = false;
	enum err rc = store_begin(s);

	if (rc == ERR_OK)
		rc = still_due(r, k, mark, &due);
	if (rc == ERR_OK && due)
		rc = audit_add(s, r->now, "agent", "reminded", k->address, detail, NULL);
	if (rc == ERR_OK && due)
		rc = letters_insert(r->authority, letters, r->now);
	if (rc == ERR_OK && due)
		rc = store_commit(s);
	else
		store_rollback(s);
	r->count += rc == ERR_OK && due;
	str_free(&mark);
	str_free(&detail);
	return rc;
}

static void remind(const struct keyset_row *k, void *context)
{
	struct round *r = context;
	int64_t span = span_of(r->authority->conf, k->certified_until - r->now);
	struct letters letters = { .count = 0 };
	bool due = false;

	if (r->rc != ERR_OK || r->count >= AT_ONCE_MAX || !span)
		return;
	char *mark = mark_of(k, span);
	r->rc = mark_is_due(r->authority->store, mark, r->now, FOR_EVER, &due);
	if (r->rc == ERR_OK && due)
		r->rc = compose(r, k, &letters);
	if (r->rc == ERR_OK && due)
		r->rc = record(r, k, span, &letters);
	letters_free(&letters);
	str_free(&mark);
}

enum err remind_due(struct authority *authority, int64_t now, int64_t *count_out)
{
	struct round r = { .authority = authority, .now = now };
	int64_t longest = longest_span(authority->conf);
	int64_t renewable = now - authority->conf->policy.grace_seconds;
	enum err rc = ERR_OK;

	if (longest)
		rc = keyset_each_ending(authority->store, renewable, now + longest + 1, remind, &r);
	*count_out = r.count;
	return r.rc != ERR_OK ? r.rc : rc;
}
