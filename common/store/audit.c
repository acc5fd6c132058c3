#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/wire.h"
#include "internal.h"

#define HEAD "log-head"
#define HEAD_SIZE (20 + 1 + 2 * HASH_BYTES + 1)

/* ---- persons ---- */

struct person {
	bool known;
	uint8_t salt[HASH_BYTES];
	uint8_t who[HASH_BYTES];
};

static void person_hash(
    const uint8_t salt[HASH_BYTES], const char *address, uint8_t out[HASH_BYTES])
{
	struct buf text = BUF_INIT;

	buf_add(&text, salt, HASH_BYTES);
	buf_add_text(&text, address);
	hash_context("countersign person v1", buf_bytes(&text), out);
	buf_free(&text);
}

static enum err person_damaged(void)
{
	return err_fail(ERR_DATA, "whom the log speaks of is damaged: a row does not fit its hash");
}

static enum err person_find(struct store *store, const char *address, struct person *out)
{
	struct query q = query_open(store, "SELECT salt, who FROM person WHERE address = ?");
	uint8_t who[HASH_BYTES];
	enum err e;

	*out = (struct person){ 0 };
	query_put_text(&q, address);
	if (query_row(&q)) {
		out->known = true;
		query_fixed(&q, out->salt, sizeof out->salt);
		query_fixed(&q, out->who, sizeof out->who);
	}
	if ((e = query_end(&q)) || !out->known)
		return e;
	person_hash(out->salt, address, who);
	return memcmp(who, out->who, sizeof who) ? person_damaged() : ERR_OK;
}

static enum err person_need(struct store *store, const char *address, struct person *out)
{
	struct query q;
	enum err e;

	if ((e = person_find(store, address, out)) || out->known)
		return e;
	secret_random(out->salt, sizeof out->salt);
	person_hash(out->salt, address, out->who);
	out->known = true;
	q = query_open(store, "INSERT INTO person (address, salt, who) VALUES (?, ?, ?)");
	query_put_text(&q, address);
	query_put_bytes(&q, bytes_of(out->salt, sizeof out->salt));
	query_put_bytes(&q, bytes_of(out->who, sizeof out->who));
	return query_run(&q);
}

enum err person_erase(struct store *store, const char *address)
{
	struct query q = query_open(store, "DELETE FROM person WHERE address = ?");

	query_put_text(&q, address);
	return query_run(&q);
}

/* ---- one entry of the chain ---- */

struct link {
	struct audit_entry entry;
	bool has_who;
	uint8_t who[HASH_BYTES];
	uint8_t hash[HASH_BYTES]; /* as stored */
};

static void link_hash(
    const uint8_t previous[HASH_BYTES], const struct link *link, uint8_t out[HASH_BYTES])
{
	struct buf record = BUF_INIT;

	buf_add(&record, previous, HASH_BYTES);
	wire_put_i64(&record, link->entry.number);
	wire_put_i64(&record, link->entry.at);
	wire_put_text(&record, link->entry.actor);
	wire_put_text(&record, link->entry.event);
	wire_put_bytes(&record, bytes_of(link->who, link->has_who ? sizeof link->who : 0));
	wire_put_text(&record, link->entry.detail);
	hash_sha256(buf_bytes(&record), out);
	buf_free(&record);
}

static void hash_text(const uint8_t hash[HASH_BYTES], char out[2 * HASH_BYTES + 1])
{
	struct buf hex = BUF_INIT;

	hex_add(&hex, bytes_of(hash, HASH_BYTES));
	memcpy(out, buf_text(&hex), 2 * HASH_BYTES + 1);
	buf_free(&hex);
}

#define LINK_COLUMNS "number, at, actor, event, who, detail, hash"

static void link_read(struct query *q, struct link *out)
{
	struct buf who = BUF_INIT;

	out->entry.number = query_int(q);
	out->entry.at = query_int(q);
	out->entry.actor = query_text(q);
	out->entry.event = query_text(q);
	query_bytes(q, &who);
	if ((out->has_who = who.len == sizeof out->who))
		memcpy(out->who, who.data, sizeof out->who);
	out->entry.detail = query_text(q);
	query_fixed(q, out->hash, sizeof out->hash);
	hash_text(out->hash, out->entry.hash);
	buf_free(&who);
}

static bool link_holds(const uint8_t previous[HASH_BYTES], const struct link *link)
{
	uint8_t hash[HASH_BYTES];

	link_hash(previous, link, hash);
	return !memcmp(hash, link->hash, sizeof hash);
}

void audit_entry_clear(struct audit_entry *entry)
{
	str_free(&entry->actor);
	str_free(&entry->event);
	str_free(&entry->address);
	str_free(&entry->detail);
	*entry = (struct audit_entry){ 0 };
}

/* ---- the head ---- */

static enum err head_write(struct store *store, int64_t number, const char *hash)
{
	char text[HEAD_SIZE];

	(void)snprintf(text, sizeof text, "%lld %s", (long long)number, hash);
	return store_set(store, HEAD, text);
}

enum err audit_start(struct store *store)
{
	uint8_t zeros[HASH_BYTES] = { 0 };
	char hash[2 * HASH_BYTES + 1];

	hash_text(zeros, hash);
	return head_write(store, 0, hash);
}

static enum err head_missing(void)
{
	return err_fail(ERR_DATA, "the head of the log is missing");
}

enum err audit_head(struct store *store, int64_t *number_out, char hash_out[65])
{
	char *text = NULL, *blank;
	enum err e;

	if ((e = store_get(store, HEAD, &text)))
		return e;
	blank = text ? strchr(text, ' ') : NULL;
	if (!blank || strlen(blank + 1) != 2 * HASH_BYTES) {
		e = head_missing();
	} else {
		*blank = '\0';
		memcpy(hash_out, blank + 1, 2 * HASH_BYTES + 1);
		e = str_to_int(text, 0, INT64_MAX, number_out);
	}
	str_free(&text);
	return e;
}

/* ---- writing ---- */

/* The newest entry's time and hash; it must be the head, or entries have gone. */
static enum err newest(struct store *store, int64_t *number_out, int64_t *at_out, uint8_t *hash_out)
{
	struct query q =
	    query_open(store, "SELECT number, at, hash FROM log ORDER BY number DESC LIMIT 1");
	char head[65], hash[65];
	int64_t head_number = 0;
	enum err e;

	*number_out = *at_out = 0;
	memset(hash_out, 0, HASH_BYTES);
	if (query_row(&q)) {
		*number_out = query_int(&q);
		*at_out = query_int(&q);
		query_fixed(&q, hash_out, HASH_BYTES);
	}
	if ((e = query_end(&q)) || (e = audit_head(store, &head_number, head)))
		return e;
	hash_text(hash_out, hash);
	if (head_number != *number_out || !str_equal(head, hash))
		return err_fail(ERR_DATA,
		    "the log ends with entry %lld, which is not its head, %lld: see `log verify`",
		    (long long)*number_out, (long long)head_number);
	return ERR_OK;
}

static enum err link_write(struct store *store, const struct link *link)
{
	struct query q =
	    query_open(store, "INSERT INTO log (" LINK_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?)");

	query_put_int(&q, link->entry.number);
	query_put_int(&q, link->entry.at);
	query_put_text(&q, link->entry.actor);
	query_put_text(&q, link->entry.event);
	query_put_bytes(&q, bytes_of(link->has_who ? link->who : NULL, sizeof link->who));
	query_put_text(&q, link->entry.detail);
	query_put_bytes(&q, bytes_of(link->hash, sizeof link->hash));
	return query_run(&q);
}

enum err audit_add(struct store *store, int64_t now, const char *actor, const char *event,
    const char *address, const char *detail, struct audit_entry *head_out_or_null)
{
	struct link link = { 0 };
	struct person person;
	uint8_t previous[HASH_BYTES];
	int64_t number, at;
	enum err e;

	if (head_out_or_null)
		*head_out_or_null = (struct audit_entry){ 0 };
	if ((e = newest(store, &number, &at, previous)))
		return e;
	if (now < at - CLOCK_SLACK_SECONDS) {
		store->hindered = true;
		return store_spoil(
		    store, err_fail(ERR_TEMPORARY,
			       "the clock is behind the last committed time by %lld seconds",
			       (long long)(at - now)));
	}
	if (address) {
		if ((e = person_need(store, address, &person)))
			return e;
		link.has_who = true;
		memcpy(link.who, person.who, sizeof link.who);
	}
	link.entry = (struct audit_entry){ .number = number + 1,
		.at = now,
		.actor = str_dup(actor),
		.event = str_dup(event),
		.address = str_dup(address),
		.detail = str_dup(detail) };
	link_hash(previous, &link, link.hash);
	hash_text(link.hash, link.entry.hash);
	if ((e = link_write(store, &link)) ||
	    (e = head_write(store, link.entry.number, link.entry.hash)) || !head_out_or_null) {
		audit_entry_clear(&link.entry);
		return e;
	}
	*head_out_or_null = link.entry;
	return ERR_OK;
}

/* ---- reading ---- */

/* One entry with its check, the entry before it, and whom it speaks of; left empty if there is none. */
static enum err audit_by_number(struct store *store, int64_t number, struct audit_entry *out)
{
	static const char sql[] =
	    "SELECT l.number, l.at, l.actor, l.event, l.who, l.detail, l.hash, "
	    "iif(l.number = 1, zeroblob(32), p.hash), person.address, person.salt FROM log l "
	    "LEFT JOIN log p ON p.number = l.number - 1 LEFT JOIN person ON person.who = l.who "
	    "WHERE l.number = ?";
	struct query q = query_open(store, sql);
	struct link link = { 0 };
	uint8_t previous[HASH_BYTES] = { 0 }, salt[HASH_BYTES] = { 0 }, who[HASH_BYTES];
	enum err e;

	query_put_int(&q, number);
	if (query_row(&q)) {
		link_read(&q, &link);
		query_fixed(&q, previous, sizeof previous);
		link.entry.address = query_text(&q);
		query_fixed(&q, salt, sizeof salt);
	}
	if ((e = query_end(&q)))
		goto out;
	hash_text(previous, link.entry.previous);
	if (link.has_who)
		hash_text(link.who, link.entry.who);
	if (link.entry.number && !link_holds(previous, &link))
		e = err_fail(ERR_DATA, "log entry %lld is damaged: it does not fit its hash",
		    (long long)number);
	if (e || !link.entry.address)
		goto out;
	hash_text(salt, link.entry.salt);
	person_hash(salt, link.entry.address, who);
	if (memcmp(who, link.who, sizeof who) != 0)
		e = person_damaged();
out:
	if (e)
		audit_entry_clear(&link.entry);
	*out = link.entry;
	return e;
}

enum err audit_each(struct store *store, const char *address, int64_t since,
    void (*each)(const struct audit_entry *entry, void *context), void *context)
{
	struct numbers numbers = { 0 };
	struct audit_entry entry;
	struct person person = { 0 };
	struct query q;
	enum err e;

	if (address && ((e = person_find(store, address, &person)) || !person.known))
		return e;
	q = query_open(
	    store, address ? "SELECT number FROM log WHERE at >= ? AND who = ? ORDER BY number"
			   : "SELECT number FROM log WHERE at >= ? ORDER BY number");
	query_put_int(&q, since);
	if (address)
		query_put_bytes(&q, bytes_of(person.who, sizeof person.who));
	e = numbers_collect(&q, &numbers);
	for (size_t i = 0; !e && i < numbers.count; i++) {
		e = numbers_note(&numbers, audit_by_number(store, numbers.at[i], &entry));
		if (entry.number)
			each(&entry, context);
		audit_entry_clear(&entry);
	}
	return numbers_end(&numbers, e);
}

/* ---- verifying ---- */

struct walk {
	int64_t count;            /* entries that hold */
	uint8_t hash[HASH_BYTES]; /* of the last of them */
	int64_t head_number;      /* an old head to be met on the way, or 0 */
	const char *head_hash;
};

/* Takes the next entry; the sentence says what is wrong with it. */
static enum err walk_on(struct walk *walk, struct query *q)
{
	struct link link = { 0 };
	long long expected = walk->count + 1;
	enum err e = ERR_OK;

	link_read(q, &link);
	if (q->err || (link.entry.number == expected && !link_holds(walk->hash, &link)))
		e = err_fail(ERR_PROTOCOL, "log entry %lld was changed", expected);
	else if (link.entry.number != expected)
		e = err_fail(ERR_PROTOCOL, "log entry %lld is missing", expected);
	else if (expected == walk->head_number && !str_equal_case(link.entry.hash, walk->head_hash))
		e = err_fail(ERR_PROTOCOL,
		    "log entry %lld is not the one that the given head names", expected);
	if (!e) {
		walk->count++;
		memcpy(walk->hash, link.hash, sizeof walk->hash);
	}
	audit_entry_clear(&link.entry);
	return e;
}

/* The end of the walk against the head in the store and the given one. */
static enum err walk_ends(struct store *store, const struct walk *walk, int64_t *bad_out)
{
	char head[65], hash[65];
	int64_t head_number = 0;
	enum err e = audit_head(store, &head_number, head);

	if (e == ERR_DATA)
		return err_prefix(ERR_PROTOCOL, "after log entry %lld", (long long)walk->count);
	if (e)
		return e;
	if (walk->count < head_number || walk->count < walk->head_number)
		return err_fail(ERR_PROTOCOL,
		    "the log ends with entry %lld; later ones are missing", (long long)walk->count);
	*bad_out = head_number + 1;
	if (walk->count > head_number)
		return err_fail(
		    ERR_PROTOCOL, "log entry %lld is beyond the log's head", (long long)*bad_out);
	*bad_out = head_number;
	hash_text(walk->hash, hash);
	if (!str_equal(hash, head))
		return err_fail(
		    ERR_PROTOCOL, "log entry %lld is not the log's head", (long long)head_number);
	*bad_out = 0;
	return ERR_OK;
}

static enum err walk_all(struct store *store, struct walk *walk, int64_t *bad_out)
{
	struct query q = query_open(store, "SELECT " LINK_COLUMNS " FROM log ORDER BY number");
	enum err e = ERR_OK, end;

	while (!e && query_row(&q))
		e = walk_on(walk, &q);
	end = query_end(&q);
	*bad_out = walk->count + 1;
	if (!e && end == ERR_DATA)
		e = err_fail(ERR_PROTOCOL, "log entry %lld can't be read", (long long)*bad_out);
	else if (!e)
		e = end;
	return e ? e : walk_ends(store, walk, bad_out);
}

enum err audit_verify(struct store *store, int64_t head_number, const char *head_hash,
    int64_t *count_out, int64_t *bad_out)
{
	struct walk walk = { .head_number = head_hash ? head_number : 0, .head_hash = head_hash };
	bool own = false;
	enum err e;

	*count_out = *bad_out = 0;
	/* One snapshot, or an entry written meanwhile would look as if it were put in. */
	if ((e = own_begin_reading(store, &own)))
		return e;
	e = walk_all(store, &walk, bad_out);
	*count_out = walk.count;
	if (own)
		store_rollback(store);
	return e;
}
