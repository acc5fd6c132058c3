/* What is known of the store as a whole: named texts, counts, and what nobody needs any more. */
#include "internal.h"

#define REPEAT_SECONDS (30 * 86400) /* P5.3 */
#define PRUNE_SECONDS (90 * 86400)  /* no less than the longest span of policy "reminders" */
#define META_COLUMNS "name, value"

enum err store_get(struct store *store, const char *name, char **value_out)
{
	static const char sql[] =
	    "SELECT value, row_check = " ROW_SEAL("meta", META_COLUMNS) " FROM meta WHERE name = ?";
	struct query q = query_open(store, sql);
	bool sound = true;
	enum err e;

	*value_out = NULL;
	query_put_text(&q, name);
	if (query_row(&q)) {
		*value_out = query_text(&q);
		sound = query_bool(&q);
	}
	if (!(e = query_end(&q)) && !sound)
		e = err_fail(ERR_DATA, "the store's entry %s is damaged", name);
	if (e)
		str_free(value_out);
	return e;
}

enum err store_set(struct store *store, const char *name, const char *value)
{
	static const char sql[] =
	    "INSERT INTO meta (" META_COLUMNS ", row_check) "
	    "VALUES (?1, ?2, row_seal('meta', ?1, ?2)) ON CONFLICT (name) DO "
	    "UPDATE SET value = excluded.value, row_check = excluded.row_check";
	struct query q = query_open(store, sql);

	query_put_text(&q, name);
	query_put_text(&q, value);
	return query_run(&q);
}

static enum err count_keysets(struct store *store, int64_t now, int64_t grace_seconds,
    int64_t soon_seconds, struct store_counts *out)
{
	static const char sql[] =
	    "SELECT confirmed, superseded, revoked, certified_until, publish_due FROM keyset";
	struct query q = query_open(store, sql);

	while (query_row(&q)) {
		int64_t confirmed = query_int(&q), superseded = query_int(&q);
		int64_t revoked = query_int(&q), until = query_int(&q);
		enum keyset_state state =
		    keyset_state_of(confirmed, superseded, revoked, until, grace_seconds, now);

		out->keysets[state]++;
		out->expiring += state == KEYSET_ACTIVE && until - now < soon_seconds;
		out->publish_due += query_bool(&q);
	}
	return query_end(&q);
}

enum err store_count(struct store *store, int64_t now, int64_t grace_seconds, int64_t soon_seconds,
    struct store_counts *out)
{
	static const char sql[] =
	    "SELECT (SELECT count(*) FROM token WHERE closed = 0 AND expires > ?),"
	    " (SELECT count(*) FROM outbox WHERE sent = 0 AND failed = 0),"
	    " (SELECT count(*) FROM outbox WHERE failed > 0),"
	    " (SELECT count(*) FROM outbox WHERE bounced > 0),"
	    " (SELECT min(created) FROM outbox WHERE sent = 0 AND failed = 0),"
	    " (SELECT count(*) FROM quarantine), (SELECT count(*) FROM deposit),"
	    " (SELECT count(DISTINCT token) FROM release)";
	struct query q = query_open(store, sql);
	enum err e;

	*out = (struct store_counts){ 0 };
	query_put_int(&q, now);
	if (query_row(&q)) {
		out->tokens_outstanding = query_int(&q);
		out->outbox_waiting = query_int(&q);
		out->outbox_failed = query_int(&q);
		out->outbox_bounced = query_int(&q);
		out->outbox_oldest = query_int(&q);
		out->quarantined = query_int(&q);
		out->deposits = query_int(&q);
		out->recoveries = query_int(&q);
	}
	if ((e = query_end(&q)))
		return e;
	return count_keysets(store, now, grace_seconds, soon_seconds, out);
}

enum err store_prune(struct store *store, int64_t now, int64_t grace_seconds)
{
	static const char outbox[] =
	    "DELETE FROM outbox WHERE max(sent, failed) BETWEEN 1 AND ?1 AND bounced <= ?1";
	static const char attempt[] = "DELETE FROM attempt WHERE last <= ?";
	static const char mark[] = "DELETE FROM mark WHERE at <= ?";
	enum err e;

	if (!(e = query_run_for(store, outbox, now - PRUNE_SECONDS)) &&
	    !(e = query_run_for(store, attempt, now - PRUNE_SECONDS)) &&
	    !(e = query_run_for(store, mark, now - PRUNE_SECONDS - grace_seconds)) &&
	    !(e = renewal_prune(store, now - PRUNE_SECONDS)) &&
	    !(e = keyset_prune(store, now - REPEAT_SECONDS)))
		e = release_prune(store, now);
	return e;
}
