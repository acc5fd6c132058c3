#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/when.h"
#include "report.h"

#define HOUR INT64_C(3600)
#define DAY (24 * HOUR)
#define YEAR (365 * DAY)
#define COLUMNS_MOST 36
#define LABEL_SIZE 32

struct times {
	int64_t *at;
	size_t count, room;
};

struct counting {
	const struct authority *authority;
	struct report *report;
	struct times enrolled, until;
	char *last_address;
};

static void times_add(struct times *times, int64_t at)
{
	if (times->count == times->room) {
		times->room = times->room ? 2 * times->room : 256;
		times->at = mem_array(times->at, times->room, sizeof *times->at);
	}
	times->at[times->count++] = at;
}

static struct plot_bar *series_add(struct series *series, const char *label)
{
	series->bars = mem_array(series->bars, series->count + 1, sizeof *series->bars);
	series->bars[series->count] = (struct plot_bar){ .label = str_dup(label) };
	return &series->bars[series->count++];
}

static void series_free(struct series *series)
{
	for (size_t i = 0; i < series->count; i++)
		free((void *)(uintptr_t)series->bars[i].label);
	free(series->bars);
	*series = (struct series){ 0 };
}

/* ---- spans ---- */

struct span {
	const char *label;
	int64_t below; /* seconds; 0: all others */
};

static const struct span age_spans[] = { { "< 1 day", DAY }, { "1-3 days", 3 * DAY },
	{ "3-7 days", 7 * DAY }, { "1-2 weeks", 14 * DAY }, { "2-4 weeks", 28 * DAY },
	{ "longer", 0 }, { 0 } };
static const struct span delay_spans[] = { { "< 1 hour", HOUR }, { "1-24 hours", DAY },
	{ "1-3 days", 3 * DAY }, { "3-7 days", 7 * DAY }, { "1-2 weeks", 14 * DAY },
	{ "longer", 0 }, { 0 } };

static void spans_start(struct series *series, const struct span *spans)
{
	for (; spans->label; spans++)
		series_add(series, spans->label);
}

static void spans_count(struct series *series, const struct span *spans, int64_t seconds)
{
	size_t i = 0;

	while (spans[i].below && seconds >= spans[i].below)
		i++;
	series->bars[i].value++;
}

/* ---- points in time ---- */

static int month_of(int64_t at, char label[LABEL_SIZE])
{
	time_t t = (time_t)at;
	struct tm tm;

	gmtime_r(&t, &tm);
	(void)strftime(label, LABEL_SIZE, "%Y-%m", &tm);
	return tm.tm_year * 12 + tm.tm_mon;
}

static void month_label(int month, char label[LABEL_SIZE])
{
	(void)snprintf(label, LABEL_SIZE, "%d-%02d", 1900 + month / 12, month % 12 + 1);
}

static void day_label(int64_t at, char label[LABEL_SIZE])
{
	time_t t = (time_t)at;
	struct tm tm;

	gmtime_r(&t, &tm);
	(void)strftime(label, LABEL_SIZE, "%m-%d", &tm);
}

/* A column for each month from `first` to `last`. */
static void count_months(const struct times *times, int first, int last, struct series *out)
{
	char label[LABEL_SIZE];

	for (int month = first; month <= last; month++) {
		month_label(month, label);
		series_add(out, label);
	}
	for (size_t i = 0; i < times->count; i++) {
		int month = month_of(times->at[i], label);

		if (month >= first && month <= last)
			out->bars[month - first].value++;
	}
}

/* A column for each span of `each` seconds, the last one with now in it. */
static void count_days(
    const struct times *times, int64_t each, int64_t now, int64_t since, struct series *out)
{
	int64_t end = (now / DAY + 1) * DAY;
	size_t columns = (size_t)((end - since + each - 1) / each);
	int64_t begin = end - (int64_t)columns * each;
	char label[LABEL_SIZE];

	for (size_t i = 0; i < columns; i++) {
		day_label(begin + (int64_t)i * each, label);
		series_add(out, label);
	}
	for (size_t i = 0; i < times->count; i++)
		if (times->at[i] >= begin && times->at[i] < end)
			out->bars[(times->at[i] - begin) / each].value++;
}

static void count_enrollments(struct counting *c)
{
	struct report *r = c->report;
	int64_t first = r->now;
	char label[LABEL_SIZE];
	int from, to;

	for (size_t i = 0; i < c->enrolled.count; i++)
		if (c->enrolled.at[i] < first)
			first = c->enrolled.at[i];
	r->enrollment_unit = "day";
	if (r->now - first < 7 * DAY)
		first = r->now - 6 * DAY;
	if (r->now - first < 31 * DAY) {
		count_days(&c->enrolled, DAY, r->now, first, &r->enrollments);
		return;
	}
	if (r->now - first < 26 * 7 * DAY) {
		r->enrollment_unit = "week";
		count_days(&c->enrolled, 7 * DAY, r->now, first, &r->enrollments);
		return;
	}
	r->enrollment_unit = "month";
	from = month_of(first, label);
	to = month_of(r->now, label);
	count_months(&c->enrolled, from < to - COLUMNS_MOST + 1 ? to - COLUMNS_MOST + 1 : from, to,
	    &r->enrollments);
}

/* From this month on; what has ended already is a column of its own. */
static void count_expiries(struct counting *c)
{
	struct report *r = c->report;
	char label[LABEL_SIZE];
	int from = month_of(r->now, label), to = from + 11;

	for (size_t i = 0; i < c->until.count; i++) {
		int month = month_of(c->until.at[i], label);

		if (month > to && month < from + COLUMNS_MOST)
			to = month;
	}
	count_months(&c->until, from, to, &r->expiries);
}

/* ---- rows ---- */

static void count_keyset(const struct keyset_row *row, void *context)
{
	struct counting *c = context;

	c->report->enrolled++;
	times_add(&c->enrolled, row->enrolled);
	if (row->superseded || row->revoked)
		return;
	times_add(&c->until, row->certified_until);
	/* They come ordered by address. */
	if (!str_equal(c->last_address, row->address)) {
		c->report->addresses++;
		str_free(&c->last_address);
		c->last_address = str_dup(row->address);
	}
}

static void count_token(const struct token_row *row, void *context)
{
	struct counting *c = context;
	struct report *r = c->report;

	if (row->used)
		spans_count(&r->delays, delay_spans, row->used - row->issued);
	if (token_state_of(row->used, row->superseded, row->voided, row->expires, r->now) ==
	    TOKEN_OUTSTANDING)
		spans_count(&r->ages, age_spans, r->now - row->issued);
}

static void count_refusal(struct series *refusals, const char *detail)
{
	const char *at = detail ? strstr(detail, "reason=") : NULL;
	size_t len = at ? strcspn(at + 7, " ") : 0;
	char *code = len ? str_ndup(at + 7, len) : str_dup("other");
	struct plot_bar *bar = NULL;

	for (size_t i = 0; i < refusals->count; i++)
		if (str_equal(refusals->bars[i].label, code))
			bar = &refusals->bars[i];
	if (!bar)
		bar = series_add(refusals, code);
	bar->value++;
	str_free(&code);
}

static void count_entry(const struct audit_entry *entry, void *context)
{
	struct counting *c = context;

	if (!str_equal(entry->event, "refused") && !str_equal(entry->event, "alarm"))
		return;
	c->report->refused++;
	count_refusal(&c->report->refusals, entry->detail);
}

static int by_value(const void *a, const void *b)
{
	const struct plot_bar *left = a, *right = b;

	if (left->value != right->value)
		return left->value < right->value ? 1 : -1;
	return strcmp(left->label, right->label);
}

/* What was damaged is said, and what follows is counted. */
static void keep_first(enum err e, enum err *first, char **why)
{
	if (!e || *first)
		return;
	*first = e;
	*why = str_dup(err_text());
}

enum err report_count(struct authority *authority, int64_t now, struct report *out)
{
	struct counting c = { .authority = authority, .report = out };
	struct store *store = authority->store;
	char *why = NULL;
	enum err e = ERR_OK;

	*out = (struct report){ .now = now };
	spans_start(&out->ages, age_spans);
	spans_start(&out->delays, delay_spans);
	keep_first(
	    store_count(store, now, authority->conf->policy.grace_seconds, 30 * DAY, &out->counts),
	    &e, &why);
	keep_first(keyset_each(store, NULL, false, count_keyset, &c), &e, &why);
	keep_first(token_each(store, NULL, false, now, count_token, &c), &e, &why);
	keep_first(audit_each(store, NULL, now - YEAR, count_entry, &c), &e, &why);
	count_enrollments(&c);
	count_expiries(&c);
	if (out->refusals.count)
		qsort(
		    out->refusals.bars, out->refusals.count, sizeof *out->refusals.bars, by_value);
	if (e)
		e = err_fail(e, "%s", why);
	str_free(&why);
	str_free(&c.last_address);
	free(c.enrolled.at);
	free(c.until.at);
	return e;
}

void report_free(struct report *report)
{
	series_free(&report->enrollments);
	series_free(&report->ages);
	series_free(&report->refusals);
	series_free(&report->expiries);
	series_free(&report->delays);
}
