#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define UNKNOWN_SECONDS (30 * 86400) /* P4.4 */

#define COLUMNS \
	"id, key, address, also, name, keyset, additional, recovery, issued_by, issued, expires, " \
	"used, superseded, voided, closed, used_keyset"
#define SELECT_TOKEN "SELECT " SEALED("token", COLUMNS)

static const char seal[] = SEAL("token", COLUMNS, "id");

static struct token_row *read_row(struct query *q)
{
	struct token_row *row = mem_alloc(sizeof *row);

	row->id = query_int(q);
	query_fixed(q, row->key, sizeof row->key);
	row->address = query_text(q);
	row->also = query_text(q);
	row->name = query_text(q);
	row->keyset = query_text(q);
	row->additional = query_bool(q);
	row->recovery = query_bool(q);
	row->issued_by = query_text(q);
	row->issued = query_int(q);
	row->expires = query_int(q);
	row->used = query_int(q);
	row->superseded = query_int(q);
	row->voided = query_int(q);
	(void)query_bool(q); /* closed: seen by its index only */
	row->used_keyset = query_int(q);
	query_check(q, "token", row->id);
	return row;
}

/* The first row of `q`, ended with it. */
static enum err fetch(struct query *q, struct token_row **out)
{
	struct token_row *row = query_row(q) ? read_row(q) : NULL;
	enum err e = query_end(q);

	*out = NULL;
	if (!e) {
		*out = row;
		row = NULL;
	}
	token_row_free(&row);
	return e;
}

static enum token_state state_of(const struct token_row *row, int64_t now)
{
	return token_state_of(row->used, row->superseded, row->voided, row->expires, now);
}

enum err token_by_id(struct store *store, int64_t id, struct token_row **out)
{
	struct query q = query_open(store, SELECT_TOKEN " WHERE id = ?");

	query_put_int(&q, id);
	return fetch(&q, out);
}

static bool long_gone(const struct token_row *row, int64_t now)
{
	int64_t closed = row->used + row->superseded + row->voided; /* one of them at most */
	int64_t end = closed ? closed : row->expires;

	return now - end > UNKNOWN_SECONDS;
}

enum err token_by_key(
    struct store *store, const uint8_t key[32], int64_t now, struct token_row **out)
{
	struct query q = query_open(store, SELECT_TOKEN " WHERE key = ?");
	enum err e;

	query_put_bytes(&q, bytes_of(key, 32));
	if ((e = fetch(&q, out)) || !*out)
		return e;
	if (memcmp((*out)->key, key, 32) != 0)
		e = store_misled(store);
	if (e || long_gone(*out, now))
		token_row_free(out);
	return e;
}

/* The one that is not closed: outstanding, or expired and followed by none. */
static enum err fetch_open(struct store *store, const char *address, struct token_row **out)
{
	struct query q = query_open(store, SELECT_TOKEN " WHERE address = ? AND closed = 0");
	enum err e;

	query_put_text(&q, address);
	if ((e = fetch(&q, out)) || !*out)
		return e;
	if (!str_equal((*out)->address, address)) {
		e = store_misled(store);
		token_row_free(out);
	}
	return e;
}

enum err token_outstanding(
    struct store *store, const char *address, int64_t now, struct token_row **out)
{
	enum err e = fetch_open(store, address, out);

	if (!e && *out && state_of(*out, now) != TOKEN_OUTSTANDING)
		token_row_free(out);
	return e;
}

/* Closes the open token of the address: superseded, or else expired for good. */
static enum err close_former(
    struct store *store, const char *address, int64_t now, int64_t *superseded_out)
{
	static const char sql[] = "UPDATE token SET superseded = ?, closed = 1 WHERE id = ?";
	struct token_row *row = NULL;
	struct query q;
	bool outstanding;
	enum err e;

	if ((e = fetch_open(store, address, &row)) || !row)
		return e;
	outstanding = state_of(row, now) == TOKEN_OUTSTANDING;
	q = query_open(store, sql);
	query_put_int(&q, outstanding ? now : 0);
	query_put_int(&q, row->id);
	if (!(e = query_run(&q)) && !(e = query_run_for(store, seal, row->id)) &&
	    !(e = release_forget(store, row->id)) && outstanding)
		*superseded_out = row->id;
	token_row_free(&row);
	return e;
}

enum err token_insert(
    struct store *store, struct token_row *row, int64_t now, int64_t *superseded_out)
{
	static const char sql[] =
	    "INSERT INTO token (key, address, also, name, keyset, additional, recovery, issued_by,"
	    " issued, expires, row_check) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, " UNSEALED ")"
	    " RETURNING id";
	struct query q;
	enum err e;

	*superseded_out = 0;
	if ((e = close_former(store, row->address, now, superseded_out)))
		return e;
	q = query_open(store, sql);
	query_put_bytes(&q, bytes_of(row->key, sizeof row->key));
	query_put_text(&q, row->address);
	query_put_text(&q, row->also);
	query_put_text(&q, row->name);
	query_put_text(&q, row->keyset);
	query_put_int(&q, row->additional);
	query_put_int(&q, row->recovery);
	query_put_text(&q, row->issued_by);
	query_put_int(&q, row->issued);
	query_put_int(&q, row->expires);
	if (query_row(&q))
		row->id = query_int(&q);
	if ((e = query_run(&q)))
		return e;
	return query_run_for(store, seal, row->id);
}

enum err token_use(struct store *store, int64_t id, int64_t keyset, int64_t now)
{
	static const char sql[] = "UPDATE token SET used = ?1, used_keyset = ?2, closed = 1 "
				  "WHERE id = ?3 AND closed = 0 AND expires > ?1";
	struct token_row *row = NULL;
	struct query q;
	enum err e;

	if ((e = token_by_id(store, id, &row))) /* its check, before it is written anew */
		return e;
	token_row_free(&row);
	q = query_open(store, sql);
	query_put_int(&q, now);
	query_put_int(&q, keyset);
	query_put_int(&q, id);
	if ((e = query_run(&q)))
		return e;
	if (store_changes(store) != 1)
		return store_spoil(
		    store, err_fail(ERR_TEMPORARY, "raced: token %lld is no longer outstanding",
			       (long long)id));
	return query_run_for(store, seal, id);
}

enum err token_void(struct store *store, int64_t id, int64_t now)
{
	static const char sql[] = "UPDATE token SET voided = ?1, closed = 1 "
				  "WHERE id = ?2 AND closed = 0 AND expires > ?1";
	struct token_row *row = NULL;
	struct query q;
	enum err e;

	if ((e = token_by_id(store, id, &row)))
		return e;
	token_row_free(&row);
	q = query_open(store, sql);
	query_put_int(&q, now);
	query_put_int(&q, id);
	if ((e = query_run(&q)))
		return e;
	if (store_changes(store) != 1)
		return err_fail(ERR_NOUSER, "token %lld is not outstanding", (long long)id);
	if ((e = release_forget(store, id)))
		return e;
	return query_run_for(store, seal, id);
}

enum err token_each(struct store *store, const char *address, bool only_outstanding, int64_t now,
    void (*each)(const struct token_row *row, void *context), void *context)
{
	static const char sql[] = "SELECT id FROM token WHERE (?1 IS NULL OR address = ?1) "
				  "AND (closed = 0 OR NOT ?2) ORDER BY issued DESC, id DESC";
	struct query q = query_open(store, sql);
	struct numbers ids = { 0 };
	struct token_row *row = NULL;
	enum err e;

	query_put_text(&q, address);
	query_put_int(&q, only_outstanding);
	e = numbers_collect(&q, &ids);
	for (size_t i = 0; !e && i < ids.count; i++) {
		e = numbers_note(&ids, token_by_id(store, ids.at[i], &row));
		if (row && !(only_outstanding && state_of(row, now) != TOKEN_OUTSTANDING))
			each(row, context);
		token_row_free(&row);
	}
	return numbers_end(&ids, e);
}

void token_row_free(struct token_row **row)
{
	struct token_row *r = *row;

	if (!r)
		return;
	str_free(&r->address);
	str_free(&r->also);
	str_free(&r->name);
	str_free(&r->keyset);
	str_free(&r->issued_by);
	free(r);
	*row = NULL;
}
