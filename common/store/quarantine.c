#include <stdlib.h>

#include "internal.h"

/* ---- attempts ---- */

static enum err run_for_mail(struct store *store, const char *sql, const uint8_t mail_hash[32])
{
	struct query q = query_open(store, sql);

	query_put_bytes(&q, bytes_of(mail_hash, 32));
	return query_run(&q);
}

static enum err count_attempt(struct store *store, const uint8_t mail_hash[32], int64_t now,
    int64_t *attempts_out, int64_t *outcome_out)
{
	static const char sql[] =
	    "INSERT INTO attempt (mail, count, last) VALUES (?, 1, ?) ON CONFLICT (mail) DO "
	    "UPDATE SET count = count + (outcome IS NULL), last = excluded.last "
	    "RETURNING count, coalesce(outcome, -1)";
	struct query q = query_open(store, sql);

	query_put_bytes(&q, bytes_of(mail_hash, 32));
	query_put_int(&q, now);
	if (query_row(&q)) {
		*attempts_out = query_int(&q);
		*outcome_out = query_int(&q);
	}
	return query_run(&q);
}

enum err attempt_begin(struct store *store, const uint8_t mail_hash[32], int64_t now,
    int64_t *attempts_out, int64_t *outcome_out)
{
	enum err e;

	*attempts_out = 0;
	*outcome_out = -1;
	if ((e = store_begin(store)))
		return e;
	return own_end(
	    store, true, count_attempt(store, mail_hash, now, attempts_out, outcome_out));
}

static enum err read_outcome(struct store *store, const uint8_t mail_hash[32], int64_t *outcome_out)
{
	struct query q = query_open(store, "SELECT outcome FROM attempt WHERE mail = ?");

	query_put_bytes(&q, bytes_of(mail_hash, 32));
	if (query_row(&q))
		*outcome_out = query_int(&q);
	return query_end(&q);
}

enum err attempt_end(struct store *store, const uint8_t mail_hash[32], int64_t now, int64_t outcome,
    int64_t *earlier_out)
{
	static const char sql[] =
	    "INSERT INTO attempt (mail, count, last, outcome) VALUES (?, 0, ?, ?) ON CONFLICT (mail)"
	    " DO UPDATE SET count = 0, last = excluded.last, outcome = excluded.outcome WHERE outcome IS NULL"
	    " RETURNING 1";
	struct query q = query_open(store, sql);
	enum err e;

	*earlier_out = -1;
	query_put_bytes(&q, bytes_of(mail_hash, 32));
	query_put_int(&q, now);
	query_put_int(&q, outcome);
	bool written = query_row(&q);
	e = query_run(&q);
	return e || written ? e : read_outcome(store, mail_hash, earlier_out);
}

enum err attempt_forget(struct store *store, const uint8_t mail_hash[32])
{
	return run_for_mail(store, "DELETE FROM attempt WHERE mail = ?", mail_hash);
}

enum err attempt_excuse(struct store *store, const uint8_t mail_hash[32])
{
	enum err e = store_begin(store);

	if (e)
		return e;
	return own_end(store, true,
	    run_for_mail(
		store, "UPDATE attempt SET count = max(count - 1, 0) WHERE mail = ?", mail_hash));
}

/* ---- marks and counters ---- */

enum err mark_once(
    struct store *store, const char *name, int64_t now, int64_t seconds, bool *first_out)
{
	static const char sql[] =
	    "INSERT INTO mark (name, at) VALUES (?1, ?2) ON CONFLICT (name) DO "
	    "UPDATE SET at = excluded.at WHERE at <= ?2 - ?3 OR at > ?2 + ?4 RETURNING 1";
	struct query q = query_open(store, sql);

	query_put_text(&q, name);
	query_put_int(&q, now);
	query_put_int(&q, seconds);
	query_put_int(&q, CLOCK_SLACK_SECONDS);
	*first_out = query_row(&q);
	return query_run(&q);
}

enum err mark_is_due(
    struct store *store, const char *name, int64_t now, int64_t seconds, bool *due_out)
{
	struct query q = query_open(
	    store, "SELECT 1 FROM mark WHERE name = ?1 AND at > ?2 - ?3 AND at <= ?2 + ?4");

	query_put_text(&q, name);
	query_put_int(&q, now);
	query_put_int(&q, seconds);
	query_put_int(&q, CLOCK_SLACK_SECONDS);
	*due_out = !query_row(&q);
	return query_end(&q);
}

enum err counter_add(struct store *store, const char *name, int64_t by)
{
	static const char sql[] =
	    "INSERT INTO counter (name, value) VALUES (?, ?) ON CONFLICT (name) "
	    "DO UPDATE SET value = value + excluded.value";
	struct query q = query_open(store, sql);

	query_put_text(&q, name);
	query_put_int(&q, by);
	return query_run(&q);
}

struct counter {
	char *name;
	int64_t value;
};

enum err counter_each(struct store *store,
    void (*each)(const char *name, int64_t value, void *context), void *context)
{
	struct query q = query_open(store, "SELECT name, value FROM counter ORDER BY name");
	struct counter *list = NULL;
	size_t count = 0;
	enum err e;

	while (query_row(&q)) {
		list = mem_array(list, count + 1, sizeof *list);
		list[count].name = query_text(&q);
		list[count++].value = query_int(&q);
	}
	e = query_end(&q);
	for (size_t i = 0; i < count; i++) {
		if (!e)
			each(list[i].name, list[i].value, context);
		str_free(&list[i].name);
	}
	free(list);
	return e;
}

/* ---- quarantine ---- */

enum err quarantine_insert(struct store *store, struct quarantine_row *row)
{
	static const char sql[] =
	    "INSERT INTO quarantine (at, mailbox, reason, headers, size, hash, mail) "
	    "VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id";
	struct query q = query_open(store, sql);

	query_put_int(&q, row->at);
	query_put_text(&q, row->mailbox);
	query_put_text(&q, row->reason);
	query_put_text(&q, row->headers);
	query_put_int(&q, row->size);
	query_put_bytes(&q, bytes_of(row->hash, sizeof row->hash));
	query_put_bytes(&q, buf_bytes(&row->mail));
	if (query_row(&q))
		row->id = query_int(&q);
	return query_run(&q);
}

enum err quarantine_by_id(struct store *store, int64_t id, struct quarantine_row **out)
{
	static const char sql[] = "SELECT id, at, mailbox, reason, headers, size, hash, mail "
				  "FROM quarantine WHERE id = ?";
	struct query q = query_open(store, sql);
	struct quarantine_row *row = NULL;
	enum err e;

	*out = NULL;
	query_put_int(&q, id);
	if (query_row(&q)) {
		row = mem_alloc(sizeof *row);
		row->id = query_int(&q);
		row->at = query_int(&q);
		row->mailbox = query_text(&q);
		row->reason = query_text(&q);
		row->headers = query_text(&q);
		row->size = query_int(&q);
		query_fixed(&q, row->hash, sizeof row->hash);
		query_bytes(&q, &row->mail);
	}
	if (!(e = query_end(&q))) {
		*out = row;
		row = NULL;
	}
	quarantine_row_free(&row);
	return e;
}

enum err quarantine_each(struct store *store,
    void (*each)(const struct quarantine_row *row, void *context), void *context)
{
	struct query q = query_open(store, "SELECT id FROM quarantine ORDER BY id");
	struct numbers ids = { 0 };
	struct quarantine_row *row = NULL;
	enum err e = numbers_collect(&q, &ids);

	for (size_t i = 0; !e && i < ids.count; i++) {
		e = numbers_note(&ids, quarantine_by_id(store, ids.at[i], &row));
		if (row) {
			buf_free(&row->mail);
			each(row, context);
		}
		quarantine_row_free(&row);
	}
	return numbers_end(&ids, e);
}

enum err quarantine_count(struct store *store, int64_t *count_out)
{
	struct query q = query_open(store, "SELECT count(*) FROM quarantine");

	*count_out = query_row(&q) ? query_int(&q) : 0;
	return query_end(&q);
}

enum err quarantine_drop(struct store *store, int64_t id)
{
	enum err e = query_run_for(store, "DELETE FROM quarantine WHERE id = ?", id);

	if (!e && !store_changes(store))
		e = err_fail(ERR_NOUSER, "there is no mail %lld in quarantine", (long long)id);
	return e;
}

void quarantine_row_free(struct quarantine_row **row)
{
	struct quarantine_row *r = *row;

	if (!r)
		return;
	str_free(&r->mailbox);
	str_free(&r->reason);
	str_free(&r->headers);
	buf_free(&r->mail);
	free(r);
	*row = NULL;
}
