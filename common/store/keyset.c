#include "enroll/keyset.h"

#include <stdlib.h>

#include "internal.h"

#define COLUMNS \
	"id, address, name, folded, fingerprint, encryption_fingerprint, user_id, key, " \
	"request_id, request_hash, nonce, plain, reply, reply_message_id, reply_hash, token, " \
	"enrolled, certified_until, confirmed, superseded, revoked, published, revoke_reason, " \
	"publish_due, preferred"
#define SELECT_KEYSET "SELECT " SEALED("keyset", COLUMNS)
#define LIVE "superseded = 0 AND revoked = 0"

/* P5.5: the reply to a recovery holds what was released, and goes with it. */
#define RELEASED_GONE \
	"reply = iif((SELECT recovery FROM token WHERE token.id = keyset.token), x'', reply)"

static const char seal[] = SEAL("keyset", COLUMNS, "id");

static struct keyset_row *read_row(struct query *q)
{
	struct keyset_row *row = mem_alloc(sizeof *row);
	char *folded;

	row->id = query_int(q);
	row->address = query_text(q);
	row->name = query_text(q);
	folded = query_text(q);
	query_chars(q, row->fingerprint, sizeof row->fingerprint);
	query_chars(q, row->encryption_fingerprint, sizeof row->encryption_fingerprint);
	row->user_id = query_text(q);
	query_bytes(q, &row->key);
	row->request_id = query_text(q);
	query_fixed(q, row->request_hash, sizeof row->request_hash);
	row->nonce = query_text(q);
	row->plain = query_bool(q);
	query_bytes(q, &row->reply);
	row->reply_message_id = query_text(q);
	query_fixed(q, row->reply_hash, sizeof row->reply_hash);
	row->token = query_int(q);
	row->enrolled = query_int(q);
	row->certified_until = query_int(q);
	row->confirmed = query_int(q);
	row->superseded = query_int(q);
	row->revoked = query_int(q);
	row->published = query_int(q);
	row->revoke_reason = query_text(q);
	row->publish_due = query_bool(q);
	row->preferred = query_bool(q);
	query_check(q, "keyset", row->id);
	str_free(&folded);
	return row;
}

static enum err fetch(struct query *q, struct keyset_row **out)
{
	struct keyset_row *row = query_row(q) ? read_row(q) : NULL;
	enum err e = query_end(q);

	*out = NULL;
	if (!e) {
		*out = row;
		row = NULL;
	}
	keyset_row_free(&row);
	return e;
}

/* After an index led to *out: does it fit what was asked for? */
static enum err fits(struct store *store, bool fitting, struct keyset_row **out)
{
	if (fitting)
		return ERR_OK;
	keyset_row_free(out);
	return store_misled(store);
}

static bool live(const struct keyset_row *row)
{
	return !row->superseded && !row->revoked;
}

enum err keyset_insert(struct store *store, struct keyset_row *row)
{
	static const char sql[] =
	    "INSERT INTO keyset (address, name, folded, fingerprint, encryption_fingerprint,"
	    " user_id, key, request_id, request_hash, nonce, plain, reply, reply_message_id,"
	    " reply_hash, token, enrolled, certified_until, row_check)"
	    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0), ?, ?, " UNSEALED ")"
	    " RETURNING id";
	struct query q = query_open(store, sql);
	char folded[KEYSET_NAME_MAX + 1];
	enum err e;

	query_put_text(&q, row->address);
	query_put_text(&q, row->name);
	query_put_text(&q, keyset_name_fold(row->name, folded));
	query_put_text(&q, row->fingerprint);
	query_put_text(&q, row->encryption_fingerprint);
	query_put_text(&q, row->user_id);
	query_put_bytes(&q, buf_bytes(&row->key));
	query_put_text(&q, row->request_id);
	query_put_bytes(&q, bytes_of(row->request_hash, sizeof row->request_hash));
	query_put_text(&q, row->nonce);
	query_put_int(&q, row->plain);
	query_put_bytes(&q, buf_bytes(&row->reply));
	query_put_text(&q, row->reply_message_id);
	query_put_bytes(&q, bytes_of(row->reply_hash, sizeof row->reply_hash));
	query_put_int(&q, row->token);
	query_put_int(&q, row->enrolled);
	query_put_int(&q, row->certified_until);
	if (query_row(&q))
		row->id = query_int(&q);
	if ((e = query_run(&q)))
		return e;
	return query_run_for(store, seal, row->id);
}

enum err keyset_by_id(struct store *store, int64_t id, struct keyset_row **out)
{
	struct query q = query_open(store, SELECT_KEYSET " WHERE id = ?");

	query_put_int(&q, id);
	return fetch(&q, out);
}

static bool same_name(const char *a, const char *b)
{
	char folded_a[KEYSET_NAME_MAX + 1], folded_b[KEYSET_NAME_MAX + 1];

	return str_equal(keyset_name_fold(a, folded_a), keyset_name_fold(b, folded_b));
}

enum err keyset_by_name(
    struct store *store, const char *address, const char *name, struct keyset_row **out)
{
	struct query q =
	    query_open(store, SELECT_KEYSET " WHERE address = ? AND folded = ? AND " LIVE);
	char folded[KEYSET_NAME_MAX + 1];
	enum err e;

	query_put_text(&q, address);
	query_put_text(&q, keyset_name_fold(name, folded));
	if ((e = fetch(&q, out)) || !*out)
		return e;
	return fits(store,
	    str_equal((*out)->address, address) && same_name((*out)->name, name) && live(*out),
	    out);
}

enum err keyset_by_nonce(struct store *store, const char *nonce, struct keyset_row **out)
{
	struct query q = query_open(store, SELECT_KEYSET " WHERE nonce = ?");
	enum err e;

	query_put_text(&q, nonce);
	if ((e = fetch(&q, out)) || !*out)
		return e;
	return fits(store, str_equal((*out)->nonce, nonce), out);
}

enum err keyset_by_fingerprint(
    struct store *store, const char *fingerprint, struct keyset_row **out)
{
	struct query q = query_open(
	    store, SELECT_KEYSET " WHERE fingerprint = ? AND " LIVE " ORDER BY id DESC LIMIT 1");
	enum err e;

	query_put_text(&q, fingerprint);
	if ((e = fetch(&q, out)) || !*out)
		return e;
	return fits(store, str_equal((*out)->fingerprint, fingerprint) && live(*out), out);
}

/* Shows the rows whose numbers `q` finds. */
static enum err show_each(struct store *store, struct query *q, bool with_key,
    void (*each)(const struct keyset_row *row, void *context), void *context)
{
	struct numbers ids = { 0 };
	struct keyset_row *row = NULL;
	enum err e = numbers_collect(q, &ids);

	for (size_t i = 0; !e && i < ids.count; i++) {
		e = numbers_note(&ids, keyset_by_id(store, ids.at[i], &row));
		if (row && !with_key) {
			buf_free(&row->key);
			buf_free(&row->reply);
		}
		if (row)
			each(row, context);
		keyset_row_free(&row);
	}
	return numbers_end(&ids, e);
}

enum err keyset_each(struct store *store, const char *address, bool with_key,
    void (*each)(const struct keyset_row *row, void *context), void *context)
{
	static const char sql[] = "SELECT id FROM keyset WHERE ?1 IS NULL OR address = ?1 "
				  "ORDER BY address, enrolled DESC, id DESC";
	struct query q = query_open(store, sql);

	query_put_text(&q, address);
	return show_each(store, &q, with_key, each, context);
}

enum err keyset_each_of_key(struct store *store, const char *fingerprint,
    void (*each)(const struct keyset_row *row, void *context), void *context)
{
	struct query q =
	    query_open(store, "SELECT id FROM keyset WHERE fingerprint = ? ORDER BY id DESC");

	query_put_text(&q, fingerprint);
	return show_each(store, &q, true, each, context);
}

enum err keyset_each_ending(struct store *store, int64_t after, int64_t until,
    void (*each)(const struct keyset_row *row, void *context), void *context)
{
	static const char sql[] = "SELECT id FROM keyset WHERE confirmed > 0 AND " LIVE
				  " AND certified_until > ? AND certified_until < ?"
				  " ORDER BY certified_until, id";
	struct query q = query_open(store, sql);

	query_put_int(&q, after);
	query_put_int(&q, until);
	return show_each(store, &q, true, each, context);
}

/* The keyset that is to be changed; its check is good. */
static enum err fetch_to_change(
    struct store *store, int64_t id, bool must_live, struct keyset_row **out)
{
	enum err e = keyset_by_id(store, id, out);

	if (e || (*out && (live(*out) || !must_live)))
		return e;
	keyset_row_free(out);
	return err_fail(
	    ERR_NOUSER, "there is no %skeyset %lld", must_live ? "live " : "", (long long)id);
}

/* Runs `sql` with (time, id), then writes the check. */
static enum err change(struct store *store, const char *sql, int64_t now, int64_t id)
{
	struct query q = query_open(store, sql);
	enum err e;

	query_put_int(&q, now);
	query_put_int(&q, id);
	if ((e = query_run(&q)))
		return e;
	return query_run_for(store, seal, id);
}

enum err keyset_supersede(struct store *store, int64_t id, int64_t now)
{
	static const char sql[] = "UPDATE keyset SET superseded = ?, preferred = 0, " RELEASED_GONE
				  ", publish_due = publish_due OR confirmed > 0 WHERE id = ?";
	struct keyset_row *row = NULL;
	enum err e;

	if (!(e = fetch_to_change(store, id, true, &row)) &&
	    !(e = release_forget(store, row->token)))
		e = change(store, sql, now, id);
	keyset_row_free(&row);
	return e;
}

enum err keyset_confirm(struct store *store, int64_t id, int64_t now)
{
	static const char sql[] =
	    "UPDATE keyset SET confirmed = ?, publish_due = 1, " RELEASED_GONE " WHERE id = ?";
	struct keyset_row *row = NULL;
	enum err e;

	if ((e = fetch_to_change(store, id, true, &row)))
		return e;
	if (!row->confirmed && !(e = release_forget(store, row->token)))
		e = change(store, sql, now, id);
	keyset_row_free(&row);
	return e;
}

enum err keyset_prune(struct store *store, int64_t before)
{
	static const char sql[] = "UPDATE keyset SET reply = x'' WHERE enrolled <= ? AND id = ?";
	struct query q =
	    query_open(store, "SELECT id FROM keyset WHERE enrolled <= ? AND length(reply) > 0");
	struct numbers ids = { 0 };
	struct keyset_row *row = NULL;
	enum err e;

	query_put_int(&q, before);
	e = numbers_collect(&q, &ids);
	for (size_t i = 0; !e && i < ids.count; i++) {
		if (!(e = numbers_note(&ids, keyset_by_id(store, ids.at[i], &row))) && row)
			e = change(store, sql, before, ids.at[i]);
		keyset_row_free(&row);
	}
	str_free(&ids.damage);
	return numbers_end(&ids, e);
}

enum err keyset_revoke(
    struct store *store, int64_t id, const struct buf *key, const char *reason, int64_t now)
{
	static const char sql[] =
	    "UPDATE keyset SET revoked = ?, revoke_reason = ?, key = ?, " RELEASED_GONE ","
	    " preferred = 0, publish_due = publish_due OR confirmed > 0 WHERE id = ?";
	struct keyset_row *row = NULL;
	struct query q;
	enum err e;

	if ((e = fetch_to_change(store, id, false, &row)))
		return e;
	if (row->revoked)
		e = err_fail(ERR_NOUSER, "keyset %lld is revoked already", (long long)id);
	if (e || (e = release_forget(store, row->token)))
		goto out;
	q = query_open(store, sql);
	query_put_int(&q, now);
	query_put_text(&q, reason);
	query_put_bytes(&q, buf_bytes(key));
	query_put_int(&q, id);
	if (!(e = query_run(&q)))
		e = query_run_for(store, seal, id);
out:
	keyset_row_free(&row);
	return e;
}

enum err keyset_replace_key(struct store *store, int64_t id, const struct buf *key)
{
	struct keyset_row *row = NULL;
	struct query q;
	enum err e;

	if ((e = fetch_to_change(store, id, false, &row)))
		return e;
	if (live(row)) {
		e = err_fail(ERR_NOUSER, "keyset %lld is not superseded", (long long)id);
		goto out;
	}
	q = query_open(store, "UPDATE keyset SET key = ? WHERE id = ?");
	query_put_bytes(&q, buf_bytes(key));
	query_put_int(&q, id);
	if (!(e = query_run(&q)))
		e = query_run_for(store, seal, id);
out:
	keyset_row_free(&row);
	return e;
}

enum err keyset_renew(struct store *store, const struct renewal_row *renewal)
{
	static const char sql[] =
	    "UPDATE keyset SET key = ?, encryption_fingerprint = ?, user_id = ?,"
	    " certified_until = ?, publish_due = 1 WHERE id = ?";
	struct keyset_row *row = NULL;
	struct query q;
	enum err e;

	if ((e = fetch_to_change(store, renewal->keyset, true, &row)))
		return e;
	if (!row->confirmed) {
		e = err_fail(ERR_NOUSER, "keyset %lld was never confirmed", (long long)row->id);
		goto out;
	}
	q = query_open(store, sql);
	query_put_bytes(&q, buf_bytes(&renewal->key));
	query_put_text(&q, renewal->encryption_fingerprint);
	query_put_text(&q, renewal->user_id);
	query_put_int(&q, renewal->certified_until);
	query_put_int(&q, row->id);
	if (!(e = query_run(&q)))
		e = query_run_for(store, seal, row->id);
out:
	keyset_row_free(&row);
	return e;
}

/* Does what decides about publication stand as it was read? */
static bool unchanged(const struct keyset_row *read, const struct keyset_row *now)
{
	return read->confirmed == now->confirmed && read->superseded == now->superseded &&
	       read->revoked == now->revoked && read->preferred == now->preferred &&
	       read->certified_until == now->certified_until &&
	       bytes_equal(buf_bytes(&read->key), buf_bytes(&now->key));
}

enum err keyset_published(
    struct store *store, const struct keyset_row *read, int64_t now, bool *done_out)
{
	static const char sql[] =
	    "UPDATE keyset SET published = iif(confirmed > 0 AND " LIVE ", ?, 0),"
	    " publish_due = 0 WHERE id = ?";
	struct keyset_row *row = NULL;
	enum err e = fetch_to_change(store, read->id, false, &row);

	*done_out = !e && unchanged(read, row);
	if (*done_out)
		e = change(store, sql, now, read->id);
	keyset_row_free(&row);
	return e;
}

/* Takes the preference from every keyset of the address. */
static enum err prefer_none(struct store *store, const char *address)
{
	static const char sql[] = "UPDATE keyset SET preferred = ? WHERE id = ?";
	struct query q =
	    query_open(store, "SELECT id FROM keyset WHERE address = ? AND preferred = 1");
	struct numbers ids = { 0 };
	struct keyset_row *row = NULL;
	enum err e;

	query_put_text(&q, address);
	e = numbers_collect(&q, &ids);
	for (size_t i = 0; !e && i < ids.count; i++) {
		if (!(e = fetch_to_change(store, ids.at[i], false, &row)))
			e = change(store, sql, 0, ids.at[i]);
		keyset_row_free(&row);
	}
	return numbers_end(&ids, e);
}

enum err keyset_prefer(struct store *store, int64_t id)
{
	static const char sql[] = "UPDATE keyset SET preferred = ?, publish_due = 1 WHERE id = ?";
	struct keyset_row *row = NULL;
	enum err e;

	if (!(e = fetch_to_change(store, id, true, &row)) &&
	    !(e = prefer_none(store, row->address)))
		e = change(store, sql, 1, id);
	keyset_row_free(&row);
	return e;
}

enum err keyset_to_publish(
    struct store *store, const char *address, int64_t now, struct keyset_row **out)
{
	struct query q = query_open(store,
	    SELECT_KEYSET " WHERE address = ? AND confirmed > 0 AND " LIVE
			  " AND certified_until > ? ORDER BY preferred DESC, confirmed DESC, "
			  "id DESC LIMIT 1");
	enum err e;

	query_put_text(&q, address);
	query_put_int(&q, now);
	if ((e = fetch(&q, out)) || !*out)
		return e;
	return fits(store, str_equal((*out)->address, address), out);
}

enum err keyset_publish_due(
    struct store *store, int64_t after, int64_t *id_out, struct keyset_row **out)
{
	struct query q = query_open(
	    store, "SELECT id FROM keyset WHERE publish_due = 1 AND id > ? ORDER BY id LIMIT 1");
	enum err e;

	*out = NULL;
	query_put_int(&q, after);
	*id_out = query_row(&q) ? query_int(&q) : 0;
	e = query_end(&q);
	return e || !*id_out ? e : keyset_by_id(store, *id_out, out);
}

void keyset_row_free(struct keyset_row **row)
{
	struct keyset_row *r = *row;

	if (!r)
		return;
	str_free(&r->address);
	str_free(&r->name);
	str_free(&r->user_id);
	buf_free(&r->key);
	str_free(&r->request_id);
	str_free(&r->nonce);
	buf_free(&r->reply);
	str_free(&r->reply_message_id);
	str_free(&r->revoke_reason);
	free(r);
	*row = NULL;
}
