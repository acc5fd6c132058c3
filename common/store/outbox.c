#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "internal.h"

#define COLUMNS \
	"number, id, kind, sender, recipient, message_id, mail, created, due, sent, failed, " \
	"bounced, attempts, doubts, last_error"
#define SELECT_OUTBOX "SELECT " SEALED("outbox", COLUMNS)
#define WAITING "sent = 0 AND failed = 0"

static const char seal[] = SEAL("outbox", COLUMNS, "number");
static const char *const kinds[] = { "reply", "repeat", "refusal", "notice", "alarm", "reminder" };

void outbox_id_make(char out[27])
{
	struct buf text = BUF_INIT;
	uint8_t random[16];

	secret_random(random, sizeof random);
	base32_add(&text, bytes_of(random, sizeof random));
	memcpy(out, buf_text(&text), 27);
	buf_free(&text);
}

static enum outbox_kind read_kind(struct query *q)
{
	char *name = query_text(q);
	enum outbox_kind kind = OUTBOX_REMINDER;

	while (kind > OUTBOX_REPLY && !str_equal(kinds[kind], name))
		kind--;
	str_free(&name);
	return kind;
}

static struct outbox_row *read_row(struct query *q)
{
	struct outbox_row *row = mem_alloc(sizeof *row);
	int64_t number = query_int(q);

	query_chars(q, row->id, sizeof row->id);
	row->kind = read_kind(q);
	row->sender = query_text(q);
	row->recipient = query_text(q);
	row->message_id = query_text(q);
	query_bytes(q, &row->mail);
	row->created = query_int(q);
	row->due = query_int(q);
	row->sent = query_int(q);
	row->failed = query_int(q);
	row->bounced = query_int(q);
	row->attempts = query_int(q);
	row->doubts = query_int(q);
	row->last_error = query_text(q);
	query_check(q, "outbox mail", number);
	return row;
}

static enum err by_number(struct store *store, int64_t number, struct outbox_row **out)
{
	struct query q = query_open(store, SELECT_OUTBOX " WHERE number = ?");
	struct outbox_row *row = NULL;
	enum err e;

	*out = NULL;
	query_put_int(&q, number);
	if (query_row(&q))
		row = read_row(&q);
	if (!(e = query_end(&q))) {
		*out = row;
		row = NULL;
	}
	outbox_row_free(&row);
	return e;
}

enum err outbox_insert(struct store *store, const struct outbox_row *row)
{
	static const char sql[] =
	    "INSERT INTO outbox (id, kind, sender, recipient, message_id, mail, "
	    "created, due, row_check) VALUES (?, ?, ?, ?, ?, ?, ?, ?, " UNSEALED
	    ") RETURNING number";
	struct query q = query_open(store, sql);
	int64_t number = 0;
	enum err e;

	query_put_text(&q, row->id);
	query_put_text(&q, kinds[row->kind]);
	query_put_text(&q, row->sender);
	query_put_text(&q, row->recipient);
	query_put_text(&q, row->message_id);
	query_put_bytes(&q, buf_bytes(&row->mail));
	query_put_int(&q, row->created);
	query_put_int(&q, row->due);
	if (query_row(&q))
		number = query_int(&q);
	if ((e = query_run(&q)))
		return e;
	return query_run_for(store, seal, number);
}

/* Runs `sql` with (time, text, number), then writes the check; the row was read before. */
static enum err change(
    struct store *store, const char *sql, int64_t time, const char *text, int64_t number)
{
	struct query q = query_open(store, sql);
	enum err e;

	query_put_int(&q, time);
	query_put_text(&q, text && *text ? text : NULL);
	query_put_int(&q, number);
	if ((e = query_run(&q)))
		return e;
	return query_run_for(store, seal, number);
}

/* The first number that `q` finds, or 0. */
static enum err one_number(struct query *q, int64_t *out)
{
	*out = query_row(q) ? query_int(q) : 0;
	return query_end(q);
}

/* `last_id` only when there is no other. */
static enum err first_due(
    struct store *store, int64_t now, const char *last_id, int64_t *number_out)
{
	struct query q =
	    query_open(store, "SELECT number FROM outbox WHERE " WAITING
			      " AND due <= ? AND id IS NOT ? ORDER BY due, number LIMIT 1");
	enum err e;

	query_put_int(&q, now);
	query_put_text(&q, last_id);
	if ((e = one_number(&q, number_out)) || *number_out || !last_id)
		return e;
	return first_due(store, now, NULL, number_out);
}

static enum err next_due(struct store *store, int64_t *due_out)
{
	struct query q = query_open(store, "SELECT min(due) FROM outbox WHERE " WAITING);

	return one_number(&q, due_out);
}

/* A damaged row keeps its broken check; only its place in the queue moves. */
static enum err set_aside(struct store *store, int64_t number, int64_t due)
{
	struct query q = query_open(store, "UPDATE outbox SET due = ? WHERE number = ?");

	query_put_int(&q, due);
	query_put_int(&q, number);
	return query_run(&q);
}

/* Within the claim's transaction. `damage` is set where the row taken is damaged. */
static enum err take(struct store *store, int64_t now, int64_t due, const char *last_id,
    struct outbox_row **out, int64_t *next_due_out, char **damage)
{
	static const char sql[] =
	    "UPDATE outbox SET due = ?, attempts = attempts + 1, last_error = coalesce(?, last_error)"
	    " WHERE number = ?";
	int64_t number = 0;
	enum err e;

	if ((e = first_due(store, now, last_id, &number)))
		return e;
	if (!number)
		return next_due(store, next_due_out);
	e = by_number(store, number, out);
	if (e == ERR_DATA) {
		*damage = str_dup(err_text());
		return set_aside(store, number, due);
	}
	if (e || (e = change(store, sql, due, NULL, number)))
		return e;
	outbox_row_free(out);
	return by_number(store, number, out);
}

enum err outbox_claim(struct store *store, int64_t now, int64_t lease_seconds,
    const char *last_id_or_null, struct outbox_row **out, int64_t *next_due_out)
{
	char *damage = NULL;
	bool own = false;
	enum err e;

	*out = NULL;
	*next_due_out = 0;
	if ((e = own_begin(store, &own)))
		return e;
	e = own_end(store, own,
	    take(store, now, now + lease_seconds, last_id_or_null, out, next_due_out, &damage));
	if (!e && damage)
		e = err_fail(ERR_DATA, "%s", damage);
	if (e)
		outbox_row_free(out);
	str_free(&damage);
	return e;
}

static enum err number_of(struct store *store, const char *id, int64_t *out)
{
	struct query q = query_open(store, "SELECT number FROM outbox WHERE id = ?");
	enum err e;

	query_put_text(&q, id);
	if (!(e = one_number(&q, out)) && !*out)
		e = err_fail(ERR_NOUSER, "there is no mail %s in the outbox", id);
	return e;
}

enum err outbox_by_id(struct store *store, const char *id, struct outbox_row **out)
{
	int64_t number = 0;
	enum err e;

	*out = NULL;
	if ((e = number_of(store, id, &number)) || (e = by_number(store, number, out)))
		return e;
	if (*out && str_equal((*out)->id, id))
		return ERR_OK;
	outbox_row_free(out);
	return store_misled(store);
}

/* Reads the row, and with it its check, then changes it. */
static enum err change_by_id(
    struct store *store, const char *sql, const char *id, int64_t time, const char *text)
{
	struct outbox_row *row = NULL;
	int64_t number = 0;
	bool own = false;
	enum err e;

	if ((e = own_begin(store, &own)))
		return e;
	if (!(e = number_of(store, id, &number)) && !(e = by_number(store, number, &row))) {
		if (str_equal(row->id, id))
			e = change(store, sql, time, text, number);
		else
			e = store_misled(store);
	}
	outbox_row_free(&row);
	return own_end(store, own, e);
}

enum err outbox_sent(struct store *store, const char *id, int64_t now)
{
	return change_by_id(store,
	    "UPDATE outbox SET sent = ?, failed = 0, last_error = ?, mail = NULL WHERE number = ?",
	    id, now, NULL);
}

enum err outbox_retry(struct store *store, const char *id, int64_t due, const char *error)
{
	return change_by_id(
	    store, "UPDATE outbox SET due = ?, last_error = ? WHERE number = ?", id, due, error);
}

enum err outbox_doubted(struct store *store, const char *id, int64_t due, const char *error)
{
	return change_by_id(store,
	    "UPDATE outbox SET doubts = doubts + 1, due = ?, last_error = ? WHERE number = ?", id,
	    due, error);
}

enum err outbox_failed(struct store *store, const char *id, int64_t now, const char *error)
{
	return change_by_id(store,
	    "UPDATE outbox SET failed = iif(" WAITING
	    ", ?, failed), last_error = ? WHERE number = ?",
	    id, now, error);
}

/* Calls `change` for every row that `q` names. */
static enum err change_all(struct store *store, struct query *q, const char *sql, int64_t time,
    const char *text, size_t *count_out)
{
	struct numbers numbers = { 0 };
	struct outbox_row *row = NULL;
	enum err e = numbers_collect(q, &numbers);

	for (size_t i = 0; !e && i < numbers.count; i++) {
		if (!(e = by_number(store, numbers.at[i], &row)) && row)
			e = change(store, sql, time, text, numbers.at[i]);
		outbox_row_free(&row);
	}
	*count_out = numbers.count;
	return numbers_end(&numbers, e);
}

enum err outbox_bounced(struct store *store, const char *id, int64_t now, const char *why)
{
	return change_by_id(
	    store, "UPDATE outbox SET bounced = ?, last_error = ? WHERE number = ?", id, now, why);
}

enum err outbox_return(struct store *store, const char *id, int64_t now, const char *why)
{
	return change_by_id(store,
	    "UPDATE outbox SET due = ?, attempts = max(attempts - 1, 0), last_error = ? WHERE number = ?",
	    id, now, why);
}

enum err outbox_find(struct store *store, const char *id_or_null, const char *message_id_or_null,
    struct outbox_row **out)
{
	static const char sql[] = "SELECT number FROM outbox WHERE id = ?1 OR message_id = ?2"
				  " ORDER BY id = ?1 DESC, number LIMIT 1";
	struct query q = query_open(store, sql);
	int64_t number = 0;
	enum err e;

	*out = NULL;
	query_put_text(&q, id_or_null);
	query_put_text(&q, message_id_or_null);
	if ((e = one_number(&q, &number)) || !number || (e = by_number(store, number, out)))
		return e;
	if (*out && (str_equal((*out)->id, id_or_null) ||
			str_equal((*out)->message_id, message_id_or_null)))
		return ERR_OK;
	outbox_row_free(out);
	return store_misled(store);
}

enum err outbox_hurry(struct store *store, const char *id_or_null, int64_t now, int64_t *count_out)
{
	static const char sql[] = "UPDATE outbox SET due = ?, failed = 0, doubts = 0, "
				  "last_error = coalesce(?, last_error) WHERE number = ?";
	struct query q;
	size_t count = 0;
	bool own = false;
	enum err e;

	if ((e = own_begin(store, &own)))
		return e;
	q = query_open(store, id_or_null ? "SELECT number FROM outbox WHERE sent = 0 AND id = ?"
					 : "SELECT number FROM outbox WHERE sent = 0");
	if (id_or_null)
		query_put_text(&q, id_or_null);
	e = change_all(store, &q, sql, now, NULL, &count);
	if (!e && id_or_null && !count)
		e = err_fail(ERR_NOUSER, "no mail %s waits in the outbox", id_or_null);
	*count_out = (int64_t)count;
	return own_end(store, own, e);
}

enum err outbox_drop(struct store *store, const char *id)
{
	int64_t number = 0;
	bool own = false;
	enum err e;

	if ((e = own_begin(store, &own)))
		return e;
	if (!(e = number_of(store, id, &number)))
		e = query_run_for(store, "DELETE FROM outbox WHERE number = ?", number);
	return own_end(store, own, e);
}

enum err outbox_each(struct store *store, bool only_waiting,
    void (*each)(const struct outbox_row *row, void *context), void *context)
{
	struct query q = query_open(
	    store, only_waiting ? "SELECT number FROM outbox WHERE " WAITING " ORDER BY number"
				: "SELECT number FROM outbox ORDER BY number");
	struct numbers numbers = { 0 };
	struct outbox_row *row = NULL;
	enum err e = numbers_collect(&q, &numbers);

	for (size_t i = 0; !e && i < numbers.count; i++) {
		e = numbers_note(&numbers, by_number(store, numbers.at[i], &row));
		if (row)
			each(row, context);
		outbox_row_free(&row);
	}
	return numbers_end(&numbers, e);
}

enum err outbox_count(struct store *store, enum outbox_kind kind, const char *recipient,
    int64_t since, int64_t *count_out)
{
	struct query q = query_open(store,
	    recipient
		? "SELECT count(*) FROM outbox WHERE kind = ? AND created >= ? AND recipient = ?"
		: "SELECT count(*) FROM outbox WHERE kind = ? AND created >= ?");

	query_put_text(&q, kinds[kind]);
	query_put_int(&q, since);
	if (recipient)
		query_put_text(&q, recipient);
	return one_number(&q, count_out);
}

enum err outbox_has(struct store *store, enum outbox_kind kind, const char *message_id,
    const char *recipient, bool *out)
{
	struct query q = query_open(
	    store, "SELECT 1 FROM outbox WHERE message_id = ? AND kind = ? AND recipient = ?");

	query_put_text(&q, message_id);
	query_put_text(&q, kinds[kind]);
	query_put_text(&q, recipient);
	*out = query_row(&q);
	return query_end(&q);
}

void outbox_row_free(struct outbox_row **row)
{
	struct outbox_row *r = *row;

	if (!r)
		return;
	str_free(&r->sender);
	str_free(&r->recipient);
	str_free(&r->message_id);
	buf_free(&r->mail);
	str_free(&r->last_error);
	free(r);
	*row = NULL;
}
