#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* A full disk or a busy store passes; after an I/O error what is on disk is unknown (I12). */
enum err store_fault(struct store *store)
{
	const char *text = sqlite3_errmsg(store->db);

	switch (sqlite3_extended_errcode(store->db) & 255) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		store->hindered = true;
		return err_fail(ERR_TEMPORARY, "the store %s is busy", store->path);
	case SQLITE_FULL:
		store->hindered = true;
		return err_fail(ERR_TEMPORARY, "no space is left for the store %s", store->path);
	case SQLITE_NOMEM:
		store->hindered = true;
		return err_fail(ERR_SYSTEM, "out of memory in the store %s", store->path);
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
		store->failed = store->hindered = true;
		return err_fail(ERR_IO, "cannot read or write the store %s: %s", store->path, text);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return err_fail(ERR_DATA, "the store %s is damaged: %s", store->path, text);
	case SQLITE_CONSTRAINT:
		if (sqlite3_extended_errcode(store->db) == SQLITE_CONSTRAINT_UNIQUE)
			return err_fail(ERR_TEMPORARY, "raced: %s", text);
		return err_fail(ERR_SOFTWARE, "the store refuses a row: %s", text);
	default:
		return err_fail(ERR_SOFTWARE, "the store %s: %s", store->path, text);
	}
}

enum err store_alive(const struct store *store)
{
	if (store->failed)
		return err_fail(
		    ERR_IO, "the store %s failed before; it must be opened again", store->path);
	return ERR_OK;
}

enum err store_spoil(struct store *store, enum err e)
{
	store->spoiled = true;
	return e;
}

static enum err prepare(struct store *store, const char *sql, sqlite3_stmt **out)
{
	for (size_t i = 0; i < store->prepared_count; i++) {
		if (store->prepared[i].sql == sql) {
			*out = store->prepared[i].stmt;
			return ERR_OK;
		}
	}
	if (sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL))
		return store_fault(store);
	store->prepared =
	    mem_array(store->prepared, store->prepared_count + 1, sizeof *store->prepared);
	store->prepared[store->prepared_count++] = (struct prepared){ .sql = sql, .stmt = *out };
	return ERR_OK;
}

struct query query_open(struct store *store, const char *sql)
{
	struct query q = { .store = store, .parameter = 1 };
	sqlite3_stmt *stmt = NULL;

	if ((q.err = store_alive(store)) || (q.err = prepare(store, sql, &stmt)))
		return q;
	assert(!sqlite3_stmt_busy(stmt));
	if (!sqlite3_stmt_readonly(stmt) && sqlite3_get_autocommit(store->db))
		q.err = err_fail(ERR_SOFTWARE, "a write to the store outside a transaction");
	else
		q.stmt = stmt;
	return q;
}

static void note(struct query *q, int result)
{
	if (!result || q->err)
		return;
	q->err = store_fault(q->store);
	if (!sqlite3_stmt_readonly(q->stmt))
		q->store->spoiled = true;
}

void query_put_int(struct query *q, int64_t v)
{
	if (!q->err)
		note(q, sqlite3_bind_int64(q->stmt, q->parameter++, v));
}

void query_put_text(struct query *q, const char *v)
{
	if (!q->err)
		note(q, sqlite3_bind_text(q->stmt, q->parameter++, v, -1, SQLITE_STATIC));
}

void query_put_bytes(struct query *q, struct bytes v)
{
	if (!q->err)
		note(q, sqlite3_bind_blob64(q->stmt, q->parameter++, v.data, v.len, SQLITE_STATIC));
}

bool query_row(struct query *q)
{
	int result;

	if (q->err)
		return false;
	q->column = 0;
	result = sqlite3_step(q->stmt);
	if (result == SQLITE_ROW)
		return true;
	if (result != SQLITE_DONE)
		note(q, result);
	return false;
}

enum err query_end(struct query *q)
{
	if (q->stmt) {
		sqlite3_reset(q->stmt);
		sqlite3_clear_bindings(q->stmt);
		q->stmt = NULL;
	}
	return q->err;
}

enum err query_run(struct query *q)
{
	while (query_row(q))
		;
	return query_end(q);
}

/* Takes the next column: true if there is a value of this type to be read. */
static bool column(struct query *q, int type, int *at_out)
{
	int found;

	if (q->err)
		return false;
	*at_out = q->column++;
	found = sqlite3_column_type(q->stmt, *at_out);
	if (found != type && found != SQLITE_NULL)
		q->err = err_fail(ERR_DATA, "the store %s is damaged: column %s has a wrong type",
		    q->store->path, sqlite3_column_name(q->stmt, *at_out));
	return found == type;
}

int64_t query_int(struct query *q)
{
	int at;

	return column(q, SQLITE_INTEGER, &at) ? sqlite3_column_int64(q->stmt, at) : 0;
}

bool query_bool(struct query *q)
{
	return query_int(q) != 0;
}

char *query_text(struct query *q)
{
	const char *text;
	int at;

	if (!column(q, SQLITE_TEXT, &at))
		return NULL;
	text = (const char *)sqlite3_column_text(q->stmt, at);
	return str_ndup(text ? text : "", (size_t)sqlite3_column_bytes(q->stmt, at));
}

static void expect_size(struct query *q, int at, size_t size)
{
	if ((size_t)sqlite3_column_bytes(q->stmt, at) != size)
		q->err = err_fail(ERR_DATA, "the store %s is damaged: column %s has a wrong size",
		    q->store->path, sqlite3_column_name(q->stmt, at));
}

void query_chars(struct query *q, char *out, size_t size)
{
	const unsigned char *text;
	int at;

	if (!column(q, SQLITE_TEXT, &at))
		return;
	text = sqlite3_column_text(q->stmt, at);
	expect_size(q, at, size - 1);
	if (!q->err && text)
		memcpy(out, text, size);
}

void query_bytes(struct query *q, struct buf *out)
{
	const void *data;
	int at;

	if (!column(q, SQLITE_BLOB, &at))
		return;
	data = sqlite3_column_blob(q->stmt, at);
	buf_add(out, data, (size_t)sqlite3_column_bytes(q->stmt, at));
}

void query_fixed(struct query *q, uint8_t *out, size_t len)
{
	const void *data;
	int at;

	if (!column(q, SQLITE_BLOB, &at))
		return;
	data = sqlite3_column_blob(q->stmt, at);
	expect_size(q, at, len);
	if (!q->err)
		memcpy(out, data, len);
}

void query_check(struct query *q, const char *what, int64_t id)
{
	if (!query_bool(q) && !q->err)
		q->err = err_fail(ERR_DATA, "%s %lld is damaged: its row does not fit its check",
		    what, (long long)id);
}

enum err query_run_for(struct store *store, const char *sql, int64_t number)
{
	struct query q = query_open(store, sql);

	query_put_int(&q, number);
	return query_run(&q);
}

int64_t store_changes(const struct store *store)
{
	return sqlite3_changes64(store->db);
}

enum err store_misled(const struct store *store)
{
	return err_fail(
	    ERR_DATA, "the store %s is damaged: an index leads to another row", store->path);
}

enum err numbers_collect(struct query *q, struct numbers *out)
{
	size_t room = 0;

	while (query_row(q)) {
		if (out->count == room) {
			room = room ? 2 * room : 64;
			out->at = mem_array(out->at, room, sizeof *out->at);
		}
		out->at[out->count++] = query_int(q);
	}
	return query_end(q);
}

enum err numbers_note(struct numbers *numbers, enum err e)
{
	if (e != ERR_DATA)
		return e;
	if (!numbers->damage)
		numbers->damage = str_dup(err_text());
	return ERR_OK;
}

enum err numbers_end(struct numbers *numbers, enum err e)
{
	if (!e && numbers->damage)
		e = err_fail(ERR_DATA, "%s", numbers->damage);
	free(numbers->at);
	str_free(&numbers->damage);
	return e;
}
