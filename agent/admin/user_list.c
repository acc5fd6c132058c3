#include <stdlib.h>
#include <string.h>

#include "base/when.h"
#include "command.h"
#include "text/address.h"
#include "user.h"

enum keyset_state user_keyset_state(
    const struct authority *authority, const struct keyset_row *row, int64_t now)
{
	return keyset_state_of(row->confirmed, row->superseded, row->revoked, row->certified_until,
	    authority->conf->policy.grace_seconds, now);
}

struct entry {
	char *address, *keyset;
	const char *state;
	char fingerprint[41];
	int64_t until, since; /* of the certification; when it was enrolled, or its token issued */
};

struct listing {
	const struct authority *authority;
	int64_t now;
	const char *state, *domain, *expiring, *sort; /* options, or NULL */
	bool pending;
	int64_t expiring_seconds;
	struct entry *entries;
	size_t count, room;
	char **live; /* addresses with a live keyset, in order */
	size_t live_count, live_room;
};

static bool is_pending(const char *state)
{
	return str_equal(state, STATE_TOKEN) ||
	       str_equal(state, keyset_state_name(KEYSET_UNCONFIRMED));
}

static bool ends_soon(const struct listing *l, const char *state, int64_t until)
{
	return until && until <= l->now + l->expiring_seconds &&
	       (str_equal(state, keyset_state_name(KEYSET_ACTIVE)) ||
		   str_equal(state, keyset_state_name(KEYSET_GRACE)));
}

static bool is_wanted(
    const struct listing *l, const char *address, const char *state, int64_t until)
{
	return (!l->state || str_equal(l->state, state)) &&
	       (!l->domain || str_equal_case(l->domain, address_domain(address))) &&
	       (!l->expiring || ends_soon(l, state, until)) && (!l->pending || is_pending(state));
}

/* Both arrays double, so that thousands are quick. */
static struct entry *next_entry(struct listing *l)
{
	if (l->count == l->room) {
		l->room = l->room ? 2 * l->room : 64;
		l->entries = mem_array(l->entries, l->room, sizeof *l->entries);
	}
	l->entries[l->count] = (struct entry){ 0 };
	return &l->entries[l->count++];
}

static void note_live(struct listing *l, const char *address)
{
	if (l->live_count == l->live_room) {
		l->live_room = l->live_room ? 2 * l->live_room : 64;
		l->live = mem_array(l->live, l->live_room, sizeof *l->live);
	}
	l->live[l->live_count++] = str_dup(address);
}

static void take_keyset(const struct keyset_row *row, void *context)
{
	struct listing *l = context;
	const char *state = keyset_state_name(user_keyset_state(l->authority, row, l->now));
	struct entry *entry;

	if (!row->superseded && !row->revoked)
		note_live(l, row->address);
	if (!is_wanted(l, row->address, state, row->certified_until))
		return;
	entry = next_entry(l);
	entry->address = str_dup(row->address);
	entry->keyset = str_dup(row->name);
	entry->state = state;
	memcpy(entry->fingerprint, row->fingerprint, sizeof entry->fingerprint);
	entry->until = row->certified_until;
	entry->since = row->enrolled;
}

static int compare_live(const void *a, const void *b)
{
	const char *const *left = a, *const *right = b;

	return strcmp(*left, *right);
}

static void take_token(const struct token_row *row, void *context)
{
	struct listing *l = context;
	struct entry *entry;

	if ((l->live_count &&
		bsearch(&row->address, l->live, l->live_count, sizeof *l->live, compare_live)) ||
	    !is_wanted(l, row->address, STATE_TOKEN, 0))
		return;
	entry = next_entry(l);
	entry->address = str_dup(row->address);
	entry->state = STATE_TOKEN;
	entry->since = row->issued;
}

/* ---- order ---- */

static int by_number(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int by_address(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;
	int result = strcmp(left->address, right->address);

	return result ? result : by_number(left->since, right->since);
}

static int by_state(const void *a, const void *b)
{
	int result = strcmp(((const struct entry *)a)->state, ((const struct entry *)b)->state);

	return result ? result : by_address(a, b);
}

static int by_since(const void *a, const void *b)
{
	int result = by_number(((const struct entry *)a)->since, ((const struct entry *)b)->since);

	return result ? result : by_address(a, b);
}

/* What has no certification comes last. */
static int by_until(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;
	int result = by_number(!left->until, !right->until);

	if (!result)
		result = by_number(left->until, right->until);
	return result ? result : by_address(a, b);
}

static const struct order {
	const char *name;
	int (*compare)(const void *a, const void *b);
} orders[] = { { "address", by_address }, { "state", by_state }, { "since", by_since },
	{ "until", by_until } };

static const struct order *find_order(const char *name)
{
	for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
		if (str_equal(orders[i].name, name))
			return &orders[i];
	return NULL;
}

/* ---- options ---- */

static enum err check_state(const char *wanted)
{
	struct buf known = BUF_INIT;
	enum err e = ERR_OK;

	if (!wanted || str_equal(wanted, STATE_TOKEN))
		return ERR_OK;
	for (int s = KEYSET_NONE + 1; s < KEYSET_STATES; s++) {
		if (str_equal(wanted, keyset_state_name((enum keyset_state)s)))
			goto out;
		buf_addf(&known, "%s ", keyset_state_name((enum keyset_state)s));
	}
	e = err_fail(ERR_USAGE, "there is no state \"%s\"; the states are %s" STATE_TOKEN, wanted,
	    buf_text(&known));
out:
	buf_free(&known);
	return e;
}

static enum err check_options(struct listing *l)
{
	enum err e;

	if ((e = check_state(l->state)))
		return e;
	if (l->expiring && when_parse_span(l->expiring, &l->expiring_seconds))
		return err_prefix(ERR_USAGE, "--expiring");
	if (l->sort && !find_order(l->sort))
		return err_fail(ERR_USAGE,
		    "--sort is by address, state, since or until, not by \"%s\"", l->sort);
	return ERR_OK;
}

static struct table *fill_table(const struct listing *l, bool json)
{
	static const char *const keys[] = { "address", "keyset", "state", "fingerprint",
		"certified_until", "since", NULL };
	static const char *const heads[] = { "ADDRESS", "KEYSET", "STATE", "FINGERPRINT",
		"CERTIFIED UNTIL", "SINCE", NULL };
	struct table *t = table_list(json, keys, heads);

	for (size_t i = 0; i < l->count; i++) {
		const struct entry *entry = &l->entries[i];

		table_row(t);
		table_text(t, entry->address);
		table_text(t, entry->keyset);
		table_text(t, entry->state);
		table_text(t, *entry->fingerprint ? entry->fingerprint : NULL);
		table_time(t, entry->until);
		table_time(t, entry->since);
	}
	return t;
}

static void listing_free(struct listing *l)
{
	for (size_t i = 0; i < l->live_count; i++)
		str_free(&l->live[i]);
	for (size_t i = 0; i < l->count; i++) {
		str_free(&l->entries[i].address);
		str_free(&l->entries[i].keyset);
	}
	free(l->live);
	free(l->entries);
}

enum err command_user_list(struct invocation *in)
{
	struct listing l = { .now = in->now };
	const struct option options[] = { { "state", OPTION_TEXT, &l.state },
		{ "domain", OPTION_TEXT, &l.domain }, { "expiring", OPTION_TEXT, &l.expiring },
		{ "pending", OPTION_FLAG, &l.pending }, { "sort", OPTION_TEXT, &l.sort }, { 0 } };
	struct authority *authority = NULL;
	struct table *table;
	enum err e;

	if ((e = options_read(in, options, 0, 0, "no argument")) || (e = check_options(&l)) ||
	    (e = command_open(in, AUTHORITY_STORE, &authority)))
		return e;
	l.authority = authority;
	if (!(e = keyset_each(authority->store, NULL, false, take_keyset, &l))) {
		if (l.live_count)
			qsort(l.live, l.live_count, sizeof *l.live, compare_live);
		e = token_each(authority->store, NULL, true, in->now, take_token, &l);
	}
	if (l.count)
		qsort(l.entries, l.count, sizeof *l.entries,
		    find_order(l.sort ? l.sort : "address")->compare);
	table = fill_table(&l, in->json);
	e = command_print(e, &table);
	listing_free(&l);
	authority_close(&authority);
	return e;
}
