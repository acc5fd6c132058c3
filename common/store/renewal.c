#include <stdlib.h>

#include "internal.h"

#define COLUMNS \
	"id, keyset, request_id, request_hash, key, encryption_fingerprint, user_id, nonce, plain, reply, " \
	"reply_message_id, reply_hash, created, certified_until, confirmed"
#define SELECT_RENEWAL "SELECT " SEALED("renewal", COLUMNS)

static const char seal[] = SEAL("renewal", COLUMNS, "id");

static struct renewal_row *read_row(struct query *q)
{
	struct renewal_row *row = mem_alloc(sizeof *row);

	row->id = query_int(q);
	row->keyset = query_int(q);
	row->request_id = query_text(q);
	query_fixed(q, row->request_hash, sizeof row->request_hash);
	query_bytes(q, &row->key);
	query_chars(q, row->encryption_fingerprint, sizeof row->encryption_fingerprint);
	row->user_id = query_text(q);
	row->nonce = query_text(q);
	row->plain = query_bool(q);
	query_bytes(q, &row->reply);
	row->reply_message_id = query_text(q);
	query_fixed(q, row->reply_hash, sizeof row->reply_hash);
	row->created = query_int(q);
	row->certified_until = query_int(q);
	row->confirmed = query_int(q);
	query_check(q, "renewal", row->id);
	return row;
}

static enum err fetch(struct query *q, struct renewal_row **out)
{
	struct renewal_row *row = query_row(q) ? read_row(q) : NULL;
	enum err e = query_end(q);

	*out = NULL;
	if (!e) {
		*out = row;
		row = NULL;
	}
	renewal_row_free(&row);
	return e;
}

static enum err by_id(struct store *store, int64_t id, struct renewal_row **out)
{
	struct query q = query_open(store, SELECT_RENEWAL " WHERE id = ?");

	query_put_int(&q, id);
	return fetch(&q, out);
}

enum err renewal_insert(struct store *store, struct renewal_row *row)
{
	static const char sql[] =
	    "INSERT INTO renewal (keyset, request_id, request_hash, key, encryption_fingerprint,"
	    " user_id, nonce, plain, reply, reply_message_id, reply_hash, created, certified_until,"
	    " row_check) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, " UNSEALED ") RETURNING id";
	struct query q = query_open(store, sql);
	enum err e;

	query_put_int(&q, row->keyset);
	query_put_text(&q, row->request_id);
	query_put_bytes(&q, bytes_of(row->request_hash, sizeof row->request_hash));
	query_put_bytes(&q, buf_bytes(&row->key));
	query_put_text(&q, row->encryption_fingerprint);
	query_put_text(&q, row->user_id);
	query_put_text(&q, row->nonce);
	query_put_int(&q, row->plain);
	query_put_bytes(&q, buf_bytes(&row->reply));
	query_put_text(&q, row->reply_message_id);
	query_put_bytes(&q, bytes_of(row->reply_hash, sizeof row->reply_hash));
	query_put_int(&q, row->created);
	query_put_int(&q, row->certified_until);
	if (query_row(&q))
		row->id = query_int(&q);
	if ((e = query_run(&q)))
		return e;
	return query_run_for(store, seal, row->id);
}

enum err renewal_by_request(struct store *store, const char *request_id, struct renewal_row **out)
{
	struct query q = query_open(store, SELECT_RENEWAL " WHERE request_id = ?");
	enum err e;

	query_put_text(&q, request_id);
	if ((e = fetch(&q, out)) || !*out || str_equal((*out)->request_id, request_id))
		return e;
	renewal_row_free(out);
	return store_misled(store);
}

enum err renewal_by_nonce(struct store *store, const char *nonce, struct renewal_row **out)
{
	struct query q = query_open(store, SELECT_RENEWAL " WHERE nonce = ?");
	enum err e;

	query_put_text(&q, nonce);
	if ((e = fetch(&q, out)) || !*out || str_equal((*out)->nonce, nonce))
		return e;
	renewal_row_free(out);
	return store_misled(store);
}

enum err renewal_each(struct store *store, int64_t keyset,
    void (*each)(const struct renewal_row *row, void *context), void *context)
{
	struct query q = query_open(store, "SELECT id FROM renewal WHERE keyset = ? ORDER BY id");
	struct numbers ids = { 0 };
	struct renewal_row *row = NULL;
	enum err e;

	query_put_int(&q, keyset);
	e = numbers_collect(&q, &ids);
	for (size_t i = 0; !e && i < ids.count; i++) {
		e = numbers_note(&ids, by_id(store, ids.at[i], &row));
		if (row)
			each(row, context);
		renewal_row_free(&row);
	}
	return numbers_end(&ids, e);
}

/* Runs `sql` for the row, which was read before, then writes the check. */
static enum err change(struct store *store, const char *sql, int64_t id)
{
	enum err e = query_run_for(store, sql, id);

	return e ? e : query_run_for(store, seal, id);
}

/*
 * No other one of the keyset will ever be in force, be it older or newer: each was made from the key as it was before, without a revocation that this one brings. One that is
 * damaged is passed over: it can't be confirmed either.
 */
static enum err lapse_others(struct store *store, const struct renewal_row *row)
{
	static const char sql[] =
	    "SELECT id FROM renewal WHERE keyset = ? AND id <> ? AND key IS NOT NULL";
	struct query q = query_open(store, sql);
	struct numbers ids = { 0 };
	struct renewal_row *other = NULL;
	enum err e;

	query_put_int(&q, row->keyset);
	query_put_int(&q, row->id);
	e = numbers_collect(&q, &ids);
	for (size_t i = 0; !e && i < ids.count; i++) {
		if (!(e = numbers_note(&ids, by_id(store, ids.at[i], &other))) && other)
			e = change(store, "UPDATE renewal SET key = NULL WHERE id = ?", ids.at[i]);
		renewal_row_free(&other);
	}
	str_free(&ids.damage);
	return numbers_end(&ids, e);
}

static enum err put_in_force(struct store *store, const struct renewal_row *row, int64_t now)
{
	struct query q;
	enum err e;

	if ((e = keyset_renew(store, row)) || (e = lapse_others(store, row)))
		return e;
	q = query_open(store, "UPDATE renewal SET key = NULL, confirmed = ? WHERE id = ?");
	query_put_int(&q, now);
	query_put_int(&q, row->id);
	if ((e = query_run(&q)))
		return e;
	return query_run_for(store, seal, row->id);
}

enum err renewal_confirm(struct store *store, int64_t id, int64_t now)
{
	struct renewal_row *row = NULL;
	enum err e;

	if ((e = by_id(store, id, &row)))
		return e;
	if (!row)
		return err_fail(ERR_NOUSER, "there is no renewal %lld", (long long)id);
	if (row->key.len && now < row->certified_until)
		e = put_in_force(store, row, now);
	renewal_row_free(&row);
	return e;
}

enum err renewal_prune(struct store *store, int64_t before)
{
	struct query q =
	    query_open(store, "SELECT id FROM renewal WHERE created <= ? AND reply IS NOT NULL");
	struct numbers ids = { 0 };
	struct renewal_row *row = NULL;
	enum err e;

	query_put_int(&q, before);
	e = numbers_collect(&q, &ids);
	for (size_t i = 0; !e && i < ids.count; i++) {
		if (!(e = numbers_note(&ids, by_id(store, ids.at[i], &row))) && row)
			e = change(
			    store, "UPDATE renewal SET reply = NULL WHERE id = ?", ids.at[i]);
		renewal_row_free(&row);
	}
	str_free(&ids.damage);
	return numbers_end(&ids, e);
}

void renewal_row_free(struct renewal_row **row)
{
	struct renewal_row *r = *row;

	if (!r)
		return;
	str_free(&r->request_id);
	buf_free(&r->key);
	str_free(&r->user_id);
	str_free(&r->nonce);
	buf_free(&r->reply);
	str_free(&r->reply_message_id);
	free(r);
	*row = NULL;
}
