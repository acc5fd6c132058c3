/* escrow: looking after the escrow key: what it is, whether everything is sealed to it, and changing it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "enroll/deposit.h"
#include "escrow_key.h"
#include "progress.h"

/* The escrow key on record. */
struct record {
	char *fingerprint;
	struct buf key;
};

static enum err record_read(struct authority *authority, struct record *out)
{
	char *key = NULL;
	enum err e;

	if ((e = store_get(authority->store, "escrow-fingerprint", &out->fingerprint)) ||
	    (e = store_get(authority->store, "escrow-key", &key)))
		goto out;
	if (!out->fingerprint || !key)
		e = err_fail(ERR_DATA, "the store names no escrow key");
	else
		e = base64_read(bytes_of_text(key), &out->key);
out:
	str_free(&key);
	return e;
}

static void record_free(struct record *record)
{
	str_free(&record->fingerprint);
	buf_free(&record->key);
}

/* ---- escrow show ---- */

struct tally {
	const char *escrow;
	int64_t all, foreign;
};

static void count_deposit(const struct deposit_row *row, void *context)
{
	struct tally *tally = context;

	tally->all++;
	tally->foreign += !str_equal(row->escrow, tally->escrow);
}

enum err command_escrow_show(struct invocation *in)
{
	struct authority *authority = NULL;
	struct record record = { 0 };
	struct tally tally = { 0 };
	char *passphrase = NULL;
	struct table *t;
	enum err e;

	if ((e = options_read(in, NULL, 0, 0, "no argument")) ||
	    (e = command_open(in, AUTHORITY_STORE, &authority)) ||
	    (e = record_read(authority, &record)) ||
	    (e = store_get(authority->store, "escrow-passphrase", &passphrase)))
		goto out;
	tally.escrow = record.fingerprint;
	e = deposit_each(authority->store, NULL, count_deposit, &tally);
	t = table_page(in->json);
	table_field_text(t, "fingerprint", "Escrow key", record.fingerprint);
	table_field_text(t, "home", "Home", authority->escrow_home);
	table_field_text(t, "passphrase", "Passphrase", passphrase);
	table_field_text(t, "policy", "Policy", authority->conf->policy.escrow);
	table_field_number(t, "deposits", "Deposits", tally.all);
	table_field_number(t, "foreign", "Sealed to another key", tally.foreign);
	e = command_print(e, &t);
out:
	str_free(&passphrase);
	record_free(&record);
	authority_close(&authority);
	return e;
}

/* ---- escrow check ---- */

struct check {
	struct authority *authority;
	const struct invocation *in;
	struct escrow_key *key; /* NULL: deposits are not opened */
	struct record record;
	struct table *table;
	struct progress progress;
	int64_t done, count, bad;
	enum err err; /* one that ends it all */
};

static void open_table(struct check *c)
{
	static const char *const keys[] = { "address", "deposit", "fingerprint", "problem", NULL };
	static const char *const heads[] = { "ADDRESS", "DEPOSIT", "KEY", "PROBLEM", NULL };

	if (!c->table)
		c->table = table_list(c->in->json, keys, heads);
}

static void add_problem(struct check *c, const char *address, int64_t deposit,
    const char *fingerprint, const char *what)
{
	open_table(c);
	c->bad++;
	table_row(c->table);
	table_text(c->table, address);
	table_number(c->table, deposit);
	table_text(c->table, fingerprint);
	table_text(c->table, what);
}

/* The subkey that a keyset has now is compared with what was certified; of a former one it is enough that it opens. */
static enum err open_deposit(struct check *c, const struct deposit_row *row)
{
	struct keyset_row *keyset = NULL;
	struct bytes public_key = bytes_of("", 0);
	enum err e = keyset_by_id(c->authority->store, row->keyset, &keyset);

	if (!e && keyset && str_equal(keyset->encryption_fingerprint, row->encryption_fingerprint))
		public_key = buf_bytes(&keyset->key);
	if (!e)
		e = escrow_key_check(
		    c->key, buf_bytes(&row->sealed), public_key, row->encryption_fingerprint);
	keyset_row_free(&keyset);
	return e;
}

/* What is wrong with it, or NULL. */
static const char *judge_deposit(struct check *c, const struct deposit_row *row)
{
	uint8_t hash[HASH_BYTES];
	enum err e = ERR_OK;

	hash_sha256(buf_bytes(&row->sealed), hash);
	if (memcmp(hash, row->hash, sizeof hash) != 0)
		return "is not what was recorded";
	if (!str_equal(row->escrow, c->record.fingerprint))
		return "sealed to another escrow key: \"countersignctl escrow rotate\" was not finished";
	if (c->key && (e = open_deposit(c, row)) == ERR_DATA)
		return err_text();
	c->err = e;
	return NULL;
}

static void check_deposit(const struct deposit_row *row, void *context)
{
	struct check *c = context;
	const char *problem = c->err ? NULL : judge_deposit(c, row);

	if (problem)
		add_problem(c, row->address, row->id, row->encryption_fingerprint, problem);
	progress_show(&c->progress, (size_t)++c->done, (size_t)c->count);
}

struct wanted {
	int64_t keyset;
	const char *fingerprint;
	bool found;
};

static void match_deposit(const struct deposit_row *row, void *context)
{
	struct wanted *w = context;

	w->found |=
	    row->keyset == w->keyset && str_equal(row->encryption_fingerprint, w->fingerprint);
}

/* P4.8: who must have deposited, has. */
static void check_keyset(const struct keyset_row *row, void *context)
{
	struct check *c = context;
	const struct conf *conf = c->authority->conf;
	struct wanted wanted = { .keyset = row->id, .fingerprint = row->encryption_fingerprint };
	enum keyset_state state = keyset_state_of(row->confirmed, row->superseded, row->revoked,
	    row->certified_until, conf->policy.grace_seconds, c->in->now);
	bool lives = state == KEYSET_UNCONFIRMED || state == KEYSET_ACTIVE || state == KEYSET_GRACE;

	if (c->err || !lives ||
	    escrow_policy_for(conf->policy.escrow, conf->policy.escrow_for, row->address) !=
		ESCROW_REQUIRED)
		return;
	/* A damaged one was named by check_deposit's walk. */
	if (deposit_each(c->authority->store, row->address, match_deposit, &wanted) == ERR_DATA ||
	    wanted.found)
		return;
	add_problem(
	    c, row->address, 0, row->encryption_fingerprint, "a deposit is required and missing");
}

static void note_damage(struct check *c, enum err *e)
{
	if (*e != ERR_DATA)
		return;
	add_problem(c, NULL, 0, NULL, err_text());
	*e = ERR_OK;
}

static enum err check_all(struct check *c)
{
	enum err e;

	if ((e = deposit_count(c->authority->store, NULL, &c->count)))
		return e;
	progress_start(&c->progress, "Checking");
	e = deposit_each(c->authority->store, NULL, check_deposit, c);
	progress_end(&c->progress);
	note_damage(c, &e);
	if (!e && !(e = c->err))
		e = keyset_each(c->authority->store, NULL, false, check_keyset, c);
	note_damage(c, &e);
	return e;
}

static enum err print_check(struct check *c, enum err e)
{
	if (c->in->json || c->bad) {
		open_table(c);
		return command_print(e, &c->table);
	}
	if (e)
		return e;
	printf("%lld %s, %s.\n", (long long)c->count, c->count == 1 ? "deposit" : "deposits",
	    c->key ? "all open and are what was certified"
		   : "all present and sealed to the escrow key");
	return command_flush();
}

enum err command_escrow_check(struct invocation *in)
{
	struct escrow_options escrow = { 0 };
	bool open = false;
	const struct option options[] = { ESCROW_OPTIONS(escrow), { "open", OPTION_FLAG, &open },
		{ 0 } };
	struct check c = { .in = in };
	enum err e;

	if ((e = options_read(in, options, 0, 0, "no argument")))
		return e;
	open |= escrow.home || escrow.passphrase_file;
	if ((open && (e = escrow_key_start(&escrow, &c.key))) ||
	    (e = command_open(in, AUTHORITY_STORE, &c.authority)) ||
	    (e = record_read(c.authority, &c.record)) ||
	    (open && (e = escrow_key_open(c.key, c.authority->escrow_home, c.record.fingerprint))))
		goto out;
	e = print_check(&c, check_all(&c));
	if (c.bad)
		in->status = err_exit_status(ERR_DATA);
out:
	record_free(&c.record);
	authority_close(&c.authority);
	escrow_key_stop(&c.key);
	return e;
}
