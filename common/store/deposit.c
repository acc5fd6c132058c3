/* Deposits, sealed to the escrow key, and their release, sealed under a recovery token. */
#include <stdlib.h>

#include "internal.h"

#define COLUMNS "id, keyset, address, encryption_fingerprint, escrow, sealed, hash, created"
#define RELEASE_COLUMNS "id, token, encryption_fingerprint, sealed"

static const char seal[] = SEAL("deposit", COLUMNS, "id");
static const char release_seal[] = SEAL("release", RELEASE_COLUMNS, "id");

static struct deposit_row *read_row(struct query *q)
{
	struct deposit_row *row = mem_alloc(sizeof *row);

	row->id = query_int(q);
	row->keyset = query_int(q);
	row->address = query_text(q);
	query_chars(q, row->encryption_fingerprint, sizeof row->encryption_fingerprint);
	query_chars(q, row->escrow, sizeof row->escrow);
	query_bytes(q, &row->sealed);
	query_fixed(q, row->hash, sizeof row->hash);
	row->created = query_int(q);
	query_check(q, "deposit", row->id);
	return row;
}

static enum err by_id(struct store *store, int64_t id, struct deposit_row **out)
{
	struct query q = query_open(store, "SELECT " SEALED("deposit", COLUMNS) " WHERE id = ?");
	struct deposit_row *row = NULL;
	enum err e;

	*out = NULL;
	query_put_int(&q, id);
	if (query_row(&q))
		row = read_row(&q);
	if (!(e = query_end(&q))) {
		*out = row;
		row = NULL;
	}
	deposit_row_free(&row);
	return e;
}

/* A deposit of the same subkey that came with an earlier request of the same keyset. */
static enum err drop_former(struct store *store, const struct deposit_row *row)
{
	struct query q = query_open(
	    store, "DELETE FROM deposit WHERE keyset = ? AND encryption_fingerprint = ?");

	query_put_int(&q, row->keyset);
	query_put_text(&q, row->encryption_fingerprint);
	return query_run(&q);
}

enum err deposit_insert(struct store *store, struct deposit_row *row)
{
	static const char sql[] =
	    "INSERT INTO deposit (keyset, address, encryption_fingerprint, escrow, sealed, hash,"
	    " created, row_check) VALUES (?, ?, ?, ?, ?, ?, ?, " UNSEALED ") RETURNING id";
	struct query q;
	enum err e;

	hash_sha256(buf_bytes(&row->sealed), row->hash);
	if ((e = drop_former(store, row)))
		return e;
	q = query_open(store, sql);
	query_put_int(&q, row->keyset);
	query_put_text(&q, row->address);
	query_put_text(&q, row->encryption_fingerprint);
	query_put_text(&q, row->escrow);
	query_put_bytes(&q, buf_bytes(&row->sealed));
	query_put_bytes(&q, bytes_of(row->hash, sizeof row->hash));
	query_put_int(&q, row->created);
	if (query_row(&q))
		row->id = query_int(&q);
	if ((e = query_run(&q)))
		return e;
	return query_run_for(store, seal, row->id);
}

enum err deposit_each(struct store *store, const char *address,
    void (*each)(const struct deposit_row *row, void *context), void *context)
{
	struct query q = query_open(
	    store, "SELECT id FROM deposit WHERE ?1 IS NULL OR address = ?1 ORDER BY id");
	struct numbers ids = { 0 };
	struct deposit_row *row = NULL;
	enum err e;

	query_put_text(&q, address);
	e = numbers_collect(&q, &ids);
	for (size_t i = 0; !e && i < ids.count; i++) {
		e = numbers_note(&ids, by_id(store, ids.at[i], &row));
		if (row)
			each(row, context);
		deposit_row_free(&row);
	}
	return numbers_end(&ids, e);
}

enum err deposit_next_foreign(struct store *store, const char *escrow, int64_t after,
    int64_t *id_out, struct deposit_row **out)
{
	struct query q = query_open(
	    store, "SELECT id FROM deposit WHERE escrow <> ? AND id > ? ORDER BY id LIMIT 1");
	enum err e;

	*out = NULL;
	query_put_text(&q, escrow);
	query_put_int(&q, after);
	*id_out = query_row(&q) ? query_int(&q) : 0;
	e = query_end(&q);
	return e || !*id_out ? e : by_id(store, *id_out, out);
}

enum err deposit_reseal(
    struct store *store, int64_t id, const char *escrow, const struct buf *sealed)
{
	static const char sql[] =
	    "UPDATE deposit SET escrow = ?, sealed = ?, hash = ? WHERE id = ?";
	struct deposit_row *row = NULL;
	uint8_t hash[HASH_BYTES];
	struct query q;
	enum err e;

	if ((e = by_id(store, id, &row)))
		return e;
	if (!row)
		return err_fail(ERR_NOUSER, "there is no deposit %lld", (long long)id);
	deposit_row_free(&row);
	hash_sha256(buf_bytes(sealed), hash);
	q = query_open(store, sql);
	query_put_text(&q, escrow);
	query_put_bytes(&q, buf_bytes(sealed));
	query_put_bytes(&q, bytes_of(hash, sizeof hash));
	query_put_int(&q, id);
	if ((e = query_run(&q)))
		return e;
	return query_run_for(store, seal, id);
}

enum err deposit_count(struct store *store, const char *address, int64_t *count_out)
{
	struct query q =
	    query_open(store, "SELECT count(*) FROM deposit WHERE ?1 IS NULL OR address = ?1");

	query_put_text(&q, address);
	*count_out = query_row(&q) ? query_int(&q) : 0;
	return query_end(&q);
}

void deposit_row_free(struct deposit_row **row)
{
	struct deposit_row *r = *row;

	if (!r)
		return;
	str_free(&r->address);
	buf_free(&r->sealed);
	free(r);
	*row = NULL;
}

/* ---- releases ---- */

enum err release_insert(struct store *store, const struct release_row *row)
{
	static const char sql[] =
	    "INSERT INTO release (token, encryption_fingerprint, sealed, row_check)"
	    " VALUES (?, ?, ?, " UNSEALED ") RETURNING id";
	struct query q = query_open(store, sql);
	int64_t id = 0;
	enum err e;

	query_put_int(&q, row->token);
	query_put_text(&q, row->encryption_fingerprint);
	query_put_bytes(&q, buf_bytes(&row->sealed));
	if (query_row(&q))
		id = query_int(&q);
	if ((e = query_run(&q)))
		return e;
	return query_run_for(store, release_seal, id);
}

/* `found_out` false: gone since. */
static enum err read_release(
    struct store *store, int64_t id, struct release_row *row, bool *found_out)
{
	struct query q =
	    query_open(store, "SELECT " SEALED("release", RELEASE_COLUMNS) " WHERE id = ?");

	query_put_int(&q, id);
	if ((*found_out = query_row(&q))) {
		(void)query_int(&q);
		row->token = query_int(&q);
		query_chars(&q, row->encryption_fingerprint, sizeof row->encryption_fingerprint);
		query_bytes(&q, &row->sealed);
		query_check(&q, "released deposit", id);
	}
	return query_end(&q);
}

enum err release_each(struct store *store, int64_t token,
    void (*each)(const struct release_row *row, void *context), void *context)
{
	struct query q = query_open(store, "SELECT id FROM release WHERE token = ? ORDER BY id");
	struct numbers ids = { 0 };
	enum err e;

	query_put_int(&q, token);
	e = numbers_collect(&q, &ids);
	for (size_t i = 0; !e && i < ids.count; i++) {
		struct release_row row = { 0 };
		bool found = false;
		enum err read = read_release(store, ids.at[i], &row, &found);

		if (!read && found && row.token != token)
			read = store_misled(store);
		e = numbers_note(&ids, read);
		if (!read && found)
			each(&row, context);
		buf_free(&row.sealed);
	}
	return numbers_end(&ids, e);
}

enum err release_forget(struct store *store, int64_t token)
{
	return query_run_for(store, "DELETE FROM release WHERE token = ?", token);
}

enum err release_prune(struct store *store, int64_t now)
{
	return query_run_for(store,
	    "DELETE FROM release WHERE token IN (SELECT id FROM token WHERE expires <= ?1"
	    " OR (closed = 1 AND used = 0))",
	    now);
}
