/* What becomes of a keyset: deposits and their release, renewal, revocation. */
#include "store_fixture.h"

#define ESCROW "00000000000000000000000000000000000E5C01"
#define ESCROW_2 "00000000000000000000000000000000000E5C02"
#define SUBKEY "00000000000000000000000000000000000000A1"
#define SUBKEY_2 "00000000000000000000000000000000000000A2"

/* ---- deposits ---- */

static struct deposit_row deposit_for(const char *address, int64_t keyset, const char *subkey)
{
	struct deposit_row row = { .keyset = keyset, .address = str_dup(address), .created = NOW };

	memcpy(row.encryption_fingerprint, subkey, sizeof row.encryption_fingerprint);
	memcpy(row.escrow, ESCROW, sizeof row.escrow);
	buf_add_text(&row.sealed, "sealed subkey");
	return row;
}

static void deposit_clear(struct deposit_row *row)
{
	str_free(&row->address);
	buf_free(&row->sealed);
}

static int64_t deposited(
    struct store *store, const char *address, int64_t keyset, const char *subkey)
{
	struct deposit_row row = deposit_for(address, keyset, subkey);

	assert_written(store, deposit_insert(store, &row));
	deposit_clear(&row);
	return row.id;
}

static void check_deposit(const struct deposit_row *out, void *context)
{
	const struct deposit_row *in = context;

	assert_int_equal(out->id, in->id);
	assert_int_equal(out->keyset, in->keyset);
	assert_string_equal(out->address, in->address);
	assert_string_equal(out->encryption_fingerprint, in->encryption_fingerprint);
	assert_string_equal(out->escrow, in->escrow);
	assert_true(bytes_equal(buf_bytes(&out->sealed), buf_bytes(&in->sealed)));
	assert_memory_equal(out->hash, in->hash, 32);
	assert_int_equal(out->created, in->created);
}

static void deposit_comes_back_as_it_went_in(void **state)
{
	struct place *place = *state;
	struct deposit_row in =
	    deposit_for(ALICE, keyset_stored(place->store, ALICE, "default"), SUBKEY);
	uint8_t hash[HASH_BYTES];

	assert_written(place->store, deposit_insert(place->store, &in));
	hash_sha256(buf_bytes(&in.sealed), hash);
	assert_memory_equal(in.hash, hash, 32);
	assert_fine(deposit_each(place->store, ALICE, check_deposit, &in));
	deposit_clear(&in);
}

static void keep_deposit(const struct deposit_row *row, void *context)
{
	buf_addf(context, "%lld:%s:%s ", (long long)row->id, row->encryption_fingerprint + 38,
	    buf_text(&row->sealed));
}

static void deposits_of_all_generations(void **state)
{
	static const struct {
		const char *address;
		const char *expected;
		int64_t count;
	} cases[] = {
		{ NULL, "1:A1:sealed subkey 2:A1:sealed subkey 3:A2:sealed subkey ", 3 },
		{ ALICE, "1:A1:sealed subkey 3:A2:sealed subkey ", 2 },
		{ BOB, "2:A1:sealed subkey ", 1 },
		{ "carol@example.org", "", 0 },
	};
	struct place *place = *state;
	struct store *store = place->store;
	int64_t first = keyset_stored(store, ALICE, "a"), bob = keyset_stored(store, BOB, "b");
	struct buf key = BUF_INIT;

	deposited(store, ALICE, first, SUBKEY);
	deposited(store, BOB, bob, SUBKEY);
	assert_written(store, keyset_supersede(store, first, NOW));
	deposited(store, ALICE, keyset_stored(store, ALICE, "a"), SUBKEY_2);
	buf_add_text(&key, "revoked key");
	assert_written(store, keyset_revoke(store, first, &key, "left", NOW));
	buf_free(&key);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf text = BUF_INIT;
		int64_t count = -1;
		assert_fine(deposit_each(store, cases[i].address, keep_deposit, &text));
		assert_string_equal(buf_text(&text), cases[i].expected);
		assert_fine(deposit_count(store, cases[i].address, &count));
		assert_int_equal(count, cases[i].count);
		buf_free(&text);
	}
}

/* One a keyset and subkey: the later one is there. */
static void deposit_replaced(void **state)
{
	struct place *place = *state;
	struct store *store = place->store;
	int64_t keyset = keyset_stored(store, ALICE, "a");
	struct deposit_row again = deposit_for(ALICE, keyset, SUBKEY);
	struct buf text = BUF_INIT;

	deposited(store, ALICE, keyset, SUBKEY);
	deposited(store, ALICE, keyset, SUBKEY_2);
	buf_add_text(&again.sealed, " again");
	assert_written(store, deposit_insert(store, &again));
	assert_fine(deposit_each(store, ALICE, keep_deposit, &text));
	assert_string_equal(buf_text(&text), "2:A2:sealed subkey 3:A1:sealed subkey again ");
	buf_free(&text);
	deposit_clear(&again);
}

static void sealed_anew(void **state)
{
	struct place *place = *state;
	struct store *store = place->store;
	int64_t keyset = keyset_stored(store, ALICE, "a"), at = 0, id = 0;
	struct deposit_row *row = NULL;
	struct buf sealed = BUF_INIT, text = BUF_INIT;

	deposited(store, ALICE, keyset, SUBKEY);
	deposited(store, ALICE, keyset, SUBKEY_2);
	buf_add_text(&sealed, "anew");
	for (int i = 1; i <= 2; i++) {
		assert_fine(deposit_next_foreign(store, ESCROW_2, at, &id, &row));
		assert_int_equal(id, i);
		assert_string_equal(row->escrow, ESCROW);
		assert_written(store, deposit_reseal(store, id, ESCROW_2, &sealed));
		deposit_row_free(&row);
		reopen(place); /* as after an interruption */
		store = place->store;
	}
	assert_fine(deposit_next_foreign(store, ESCROW_2, 0, &id, &row));
	assert_int_equal(id, 0);
	assert_null(row);
	assert_fine(deposit_each(store, NULL, keep_deposit, &text));
	assert_string_equal(buf_text(&text), "1:A1:anew 2:A2:anew ");
	assert_fine(deposit_next_foreign(store, ESCROW, 0, &id, &row));
	deposit_row_free(&row);
	assert_int_equal(id, 1);
	assert_fine(store_begin(store));
	assert_fault(deposit_reseal(store, 99, ESCROW, &sealed), ERR_NOUSER);
	store_rollback(store);
	buf_free(&text);
	buf_free(&sealed);
}

static void look_at_deposit(void *context, int64_t row, const char *column)
{
	struct place *place = context;
	struct buf text = BUF_INIT, sealed = BUF_INIT;
	struct deposit_row *found = NULL;
	int64_t id = 0;

	if (deposit_each(place->store, NULL, keep_deposit, &text) != ERR_DATA)
		fail_msg("deposit %lld.%s went unnoticed", (long long)row, column);
	assert_non_null(strstr(err_text(), "damaged"));
	assert_non_null(strstr(buf_text(&text), row == 1 ? "2:A2" : "1:A1"));
	buf_add_text(&sealed, "anew");
	assert_fine(store_begin(place->store));
	assert_fault(deposit_reseal(place->store, row, ESCROW_2, &sealed), ERR_DATA);
	store_rollback(place->store);
	/* Named, so that one can go on behind it. */
	assert_fault(deposit_next_foreign(place->store, ESCROW_2, row - 1, &id, &found), ERR_DATA);
	assert_int_equal(id, row);
	assert_null(found);
	buf_free(&sealed);
	buf_free(&text);
}

static void every_byte_of_a_deposit_counts(void **state)
{
	struct place *place = *state;
	int64_t keyset = keyset_stored(place->store, ALICE, "default");

	deposited(place->store, ALICE, keyset, SUBKEY);
	deposited(place->store, ALICE, keyset, SUBKEY_2);
	assert_true(alter_each_byte(place, "deposit", "id", look_at_deposit, place) > 300);
}

static void unfit_deposits_are_refused(void **state)
{
	enum { NO_ADDRESS, NO_SUBKEY, LOWER_CASE, NO_ESCROW, EMPTY, NO_TIME, NO_KEYSET, CASES };
	struct place *place = *state;
	int64_t keyset = keyset_stored(place->store, ALICE, "default");

	for (int i = 0; i < CASES; i++) {
		struct deposit_row row = deposit_for(ALICE, i == NO_KEYSET ? 99 : keyset, SUBKEY);
		if (i == NO_ADDRESS)
			row.address[0] = '\0';
		if (i == NO_SUBKEY)
			row.encryption_fingerprint[39] = '\0';
		if (i == LOWER_CASE)
			row.encryption_fingerprint[39] = 'a';
		if (i == NO_ESCROW)
			row.escrow[0] = '\0';
		if (i == EMPTY)
			buf_free(&row.sealed);
		if (i == NO_TIME)
			row.created = 0;
		assert_fine(store_begin(place->store));
		assert_fault(deposit_insert(place->store, &row), ERR_SOFTWARE);
		assert_fault(store_commit(place->store), ERR_SOFTWARE);
		deposit_clear(&row);
	}
	assert_int_equal(peek(place, "SELECT count(*) FROM deposit"), 0);
}

/* ---- releases ---- */

static enum err release_now(struct store *store, int64_t token, const char *subkey)
{
	struct release_row row = { .token = token };
	enum err e;

	memcpy(row.encryption_fingerprint, subkey, sizeof row.encryption_fingerprint);
	buf_addf(&row.sealed, "under token %lld", (long long)token);
	e = release_insert(store, &row);
	buf_free(&row.sealed);
	return e;
}

static int64_t releases(struct store *store, int64_t token);

/* A recovery token of an address, with two deposits released under it. */
static int64_t recovery_begun(struct store *store, const char *address, uint8_t key)
{
	struct token_row row = token_for(address, key);
	int64_t superseded;

	row.recovery = true;
	assert_fine(store_begin(store));
	assert_fine(token_insert(store, &row, NOW, &superseded));
	assert_fine(release_now(store, row.id, SUBKEY));
	assert_fine(release_now(store, row.id, SUBKEY_2));
	assert_fine(store_commit(store));
	token_clear(&row);
	assert_int_equal(releases(store, row.id), 2);
	return row.id;
}

static void keep_release(const struct release_row *row, void *context)
{
	buf_addf(context, "%lld:%s:%s ", (long long)row->token, row->encryption_fingerprint + 38,
	    buf_text(&row->sealed));
}

static void count_release(const struct release_row *row, void *context)
{
	(void)row;
	++*(int64_t *)context;
}

static int64_t releases(struct store *store, int64_t token)
{
	int64_t count = 0;

	assert_fine(release_each(store, token, count_release, &count));
	return count;
}

static void release_comes_back_as_it_went_in(void **state)
{
	struct place *place = *state;
	int64_t token = recovery_begun(place->store, ALICE, 1);
	struct buf text = BUF_INIT;

	recovery_begun(place->store, BOB, 2);
	assert_int_equal(token, 1);
	assert_fine(release_each(place->store, token, keep_release, &text));
	assert_string_equal(buf_text(&text), "1:A1:under token 1 1:A2:under token 1 ");
	assert_fine(store_begin(place->store));
	assert_fault(release_now(place->store, token, SUBKEY), ERR_TEMPORARY);
	store_rollback(place->store);
	assert_fine(store_begin(place->store));
	assert_fault(release_now(place->store, 99, SUBKEY), ERR_SOFTWARE);
	store_rollback(place->store);
	assert_written(place->store, release_forget(place->store, token));
	assert_int_equal(releases(place->store, token), 0);
	assert_int_equal(peek(place, "SELECT count(*) FROM release"), 2);
	buf_free(&text);
}

/* A keyset that a recovery made, and its token used for it. */
static int64_t recovered(struct store *store, int64_t token)
{
	struct keyset_row row = keyset_for(ALICE, "default", token);

	assert_fine(store_begin(store));
	assert_fine(keyset_insert(store, &row));
	assert_fine(token_use(store, token, row.id, NOW));
	assert_fine(store_commit(store));
	keyset_clear(&row);
	return row.id;
}

/* P5.5: they vanish with the confirmation or with the token. */
static void releases_vanish(void **unused)
{
	enum {
		VOIDED,
		SUPERSEDED,
		USED,
		CONFIRMED,
		REVOKED,
		REPLACED,
		EXPIRED,
		USED_EXPIRED,
		BY_TIME,
		CASES
	};
	static const int64_t left[CASES] = { [USED] = 2, [BY_TIME] = 2 };

	(void)unused;
	for (int i = 0; i < CASES; i++) {
		void *state = NULL;
		struct buf key = BUF_INIT;
		struct store *store;
		int64_t token, bob, keyset = 0;

		place_make(&state);
		store = ((struct place *)state)->store;
		token = recovery_begun(store, ALICE, 1);
		bob = recovery_begun(store, BOB, 2);
		buf_add_text(&key, "revoked key");
		if (i >= USED && i != EXPIRED && i != BY_TIME)
			keyset = recovered(store, token);
		switch (i) {
		case VOIDED:
			assert_written(store, token_void(store, token, NOW));
			break;
		case SUPERSEDED:
			token_issued(store, ALICE, 3);
			break;
		case CONFIRMED:
			assert_written(store, keyset_confirm(store, keyset, NOW));
			break;
		case REVOKED:
			assert_written(store, keyset_revoke(store, keyset, &key, NULL, NOW));
			break;
		case REPLACED:
			assert_written(store, keyset_supersede(store, keyset, NOW));
			break;
		case EXPIRED:
			assert_written(store, release_prune(store, NOW + 14 * DAY));
			break;
		case USED_EXPIRED:
			assert_written(store, store_prune(store, NOW + 14 * DAY, 0));
			break;
		case BY_TIME:
			assert_written(store, store_prune(store, NOW + 14 * DAY - 1, 0));
			break;
		default:
			break;
		}
		if (releases(store, token) != left[i])
			fail_msg("case %d: %lld", i, (long long)releases(store, token));
		assert_int_equal(releases(store, bob), i == EXPIRED || i == USED_EXPIRED ? 0 : 2);
		buf_free(&key);
		place_remove(&state);
	}
}

static void look_at_release(void *context, int64_t row, const char *column)
{
	struct place *place = context;
	struct buf text = BUF_INIT;
	bool elsewhere = str_equal(column, "token");

	/* One that belongs to no known token any more is no token's. */
	if (release_each(place->store, 1, keep_release, &text) != (elsewhere ? ERR_OK : ERR_DATA))
		fail_msg("release %lld.%s went unnoticed", (long long)row, column);
	assert_string_equal(
	    buf_text(&text), row == 1 ? "1:A2:under token 1 " : "1:A1:under token 1 ");
	buf_free(&text);
}

static void every_byte_of_a_release_counts(void **state)
{
	struct place *place = *state;

	recovery_begun(place->store, ALICE, 1);
	assert_true(alter_each_byte(place, "release", "id", look_at_release, place) > 150);
	assert_int_equal(releases(place->store, 1), 2);
}

static void moved_release(void **state)
{
	struct place *place = *state;
	struct buf text = BUF_INIT;

	recovery_begun(place->store, ALICE, 1);
	recovery_begun(place->store, BOB, 2);
	tamper(place, "DELETE FROM release WHERE token = 1; UPDATE release SET token = 1");
	assert_fault(release_each(place->store, 1, keep_release, &text), ERR_DATA);
	assert_string_equal(buf_text(&text), "");
	buf_free(&text);
}

/* ---- renewals ---- */

static struct renewal_row renewal_for(int64_t keyset, int number)
{
	struct renewal_row row = { .keyset = keyset,
		.request_id = str_printf("renewal-%d", number),
		.user_id = str_dup("Alice Renewed <" ALICE ">"),
		.nonce = str_printf("RENEW%d", number),
		.reply_message_id = str_printf("r%d@example.org", number),
		.created = NOW + 100 * DAY,
		.certified_until = NOW + (400 + number) * DAY };

	memcpy(row.encryption_fingerprint, SUBKEY_2, sizeof row.encryption_fingerprint);
	buf_addf(&row.key, "key %d", number);
	buf_addf(&row.reply, "reply %d", number);
	memset(row.request_hash, number, sizeof row.request_hash);
	memset(row.reply_hash, number + 1, sizeof row.reply_hash);
	return row;
}

static void renewal_clear(struct renewal_row *row)
{
	str_free(&row->request_id);
	str_free(&row->user_id);
	str_free(&row->nonce);
	str_free(&row->reply_message_id);
	buf_free(&row->key);
	buf_free(&row->reply);
}

static int64_t renewal_stored(struct store *store, int64_t keyset, int number)
{
	struct renewal_row row = renewal_for(keyset, number);

	assert_written(store, renewal_insert(store, &row));
	renewal_clear(&row);
	return row.id;
}

static int64_t keyset_confirmed(struct store *store)
{
	int64_t id = keyset_stored(store, ALICE, "default");

	assert_written(store, keyset_confirm(store, id, NOW));
	return id;
}

static void renewal_comes_back_as_it_went_in(void **state)
{
	struct place *place = *state;
	struct store *store = place->store;
	struct renewal_row in = renewal_for(keyset_confirmed(store), 1), *out = NULL;

	in.plain = true;
	assert_written(store, renewal_insert(store, &in));
	assert_fine(renewal_by_request(store, "renewal-1", &out));
	assert_int_equal(out->id, in.id);
	assert_int_equal(out->keyset, in.keyset);
	assert_string_equal(out->request_id, in.request_id);
	assert_memory_equal(out->request_hash, in.request_hash, 32);
	assert_string_equal(buf_text(&out->key), "key 1");
	assert_string_equal(out->encryption_fingerprint, SUBKEY_2);
	assert_string_equal(out->user_id, in.user_id);
	assert_string_equal(out->nonce, in.nonce);
	assert_true(out->plain);
	assert_string_equal(buf_text(&out->reply), "reply 1");
	assert_string_equal(out->reply_message_id, in.reply_message_id);
	assert_memory_equal(out->reply_hash, in.reply_hash, 32);
	assert_int_equal(out->created, in.created);
	assert_int_equal(out->certified_until, in.certified_until);
	assert_int_equal(out->confirmed, 0);
	renewal_row_free(&out);
	assert_fine(renewal_by_nonce(store, "RENEW1", &out));
	assert_int_equal(out->id, in.id);
	renewal_row_free(&out);
	assert_fine(renewal_by_nonce(store, "RENEW2", &out));
	assert_null(out);
	assert_fine(renewal_by_request(store, "renewal-2", &out));
	assert_null(out);
	/* Seen is seen. */
	assert_fine(store_begin(store));
	assert_fault(renewal_insert(store, &in), ERR_TEMPORARY);
	assert_says("raced");
	store_rollback(store);
	renewal_clear(&in);
}

static void assert_keyset(
    struct store *store, int64_t id, const char *key, const char *subkey, int64_t until)
{
	struct keyset_row *row = NULL;

	assert_fine(keyset_by_id(store, id, &row));
	assert_string_equal(buf_text(&row->key), key);
	if (subkey)
		assert_string_equal(row->encryption_fingerprint, subkey);
	assert_int_equal(row->certified_until, until);
	keyset_row_free(&row);
}

static void publish(struct store *store, int64_t id)
{
	struct keyset_row *row = NULL;
	bool done = false;

	assert_fine(keyset_by_id(store, id, &row));
	assert_written(store, keyset_published(store, row, NOW, &done));
	assert_true(done);
	keyset_row_free(&row);
}

static int64_t publish_due(struct store *store)
{
	struct keyset_row *row = NULL;
	int64_t id;

	assert_fine(keyset_publish_due(store, 0, &id, &row));
	keyset_row_free(&row);
	return id;
}

static void in_force_when_confirmed(void **state)
{
	struct place *place = *state;
	struct store *store = place->store;
	int64_t keyset = keyset_confirmed(store), now = NOW + 101 * DAY;
	int64_t first = renewal_stored(store, keyset, 1);
	int64_t second = renewal_stored(store, keyset, 2);
	int64_t third = renewal_stored(store, keyset, 3), fourth;
	struct renewal_row *row = NULL;

	publish(store, keyset);
	assert_keyset(store, keyset, "public key", NULL, NOW + 365 * DAY);
	assert_written(store, renewal_confirm(store, second, now));
	assert_keyset(store, keyset, "key 2", SUBKEY_2, NOW + 402 * DAY);
	assert_int_equal(publish_due(store), keyset);
	/* An older one, a newer one, and the same again: nothing. */
	publish(store, keyset);
	assert_written(store, renewal_confirm(store, first, now));
	assert_written(store, renewal_confirm(store, third, now));
	assert_written(store, renewal_confirm(store, second, now + 1));
	assert_keyset(store, keyset, "key 2", SUBKEY_2, NOW + 402 * DAY);
	assert_int_equal(publish_due(store), 0);
	assert_fine(renewal_by_nonce(store, "RENEW2", &row));
	assert_int_equal(row->confirmed, now);
	assert_int_equal(row->key.len, 0);
	assert_string_equal(buf_text(&row->reply), "reply 2");
	renewal_row_free(&row);
	assert_fine(renewal_by_nonce(store, "RENEW1", &row));
	assert_int_equal(row->confirmed, 0);
	assert_int_equal(row->key.len, 0);
	renewal_row_free(&row);
	/* One that is made afterwards is another matter. */
	fourth = renewal_stored(store, keyset, 4);
	assert_written(store, renewal_confirm(store, fourth, now));
	assert_keyset(store, keyset, "key 4", SUBKEY_2, NOW + 404 * DAY);
}

static void never_in_force(void **unused)
{
	enum { ENDED, SUPERSEDED, REVOKED, UNCONFIRMED, UNKNOWN, CASES };

	(void)unused;
	for (int i = 0; i < CASES; i++) {
		void *state = NULL;
		struct buf key = BUF_INIT;
		struct store *store;
		int64_t keyset, id;

		place_make(&state);
		store = ((struct place *)state)->store;
		keyset =
		    i == UNCONFIRMED ? keyset_stored(store, ALICE, "a") : keyset_confirmed(store);
		id = i == UNKNOWN ? 99 : renewal_stored(store, keyset, 1);
		buf_add_text(&key, "public key");
		if (i == SUPERSEDED)
			assert_written(store, keyset_supersede(store, keyset, NOW));
		if (i == REVOKED)
			assert_written(store, keyset_revoke(store, keyset, &key, NULL, NOW));
		assert_fine(store_begin(store));
		assert_fault(renewal_confirm(store, id, NOW + (i == ENDED ? 401 : 101) * DAY),
		    i == ENDED ? ERR_OK : ERR_NOUSER);
		if (i == ENDED)
			assert_fine(store_commit(store));
		store_rollback(store);
		assert_keyset(store, keyset, "public key", NULL, NOW + 365 * DAY);
		buf_free(&key);
		place_remove(&state);
	}
}

static void keep_renewal(const struct renewal_row *row, void *context)
{
	buf_addf(context, "%lld:%s ", (long long)row->id, buf_text(&row->reply));
}

/* The reply goes after 90 days, the row never: what was seen stays seen (P4.5). */
static void replies_of_renewals_are_forgotten(void **state)
{
	static const struct {
		int64_t days;
		const char *expected;
	} cases[] = { { 190 * DAY - 1, "1:reply 1 2:reply 2 " }, { 190 * DAY, "1: 2: " },
		{ 4000 * DAY, "1: 2: " } };
	struct place *place = *state;
	struct store *store = place->store;
	int64_t keyset = keyset_confirmed(store);

	renewal_stored(store, keyset, 1);
	renewal_stored(store, keyset, 2);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf text = BUF_INIT;
		assert_written(store, store_prune(store, NOW + cases[i].days, 0));
		assert_fine(renewal_each(store, keyset, keep_renewal, &text));
		assert_string_equal(buf_text(&text), cases[i].expected);
		buf_free(&text);
	}
	assert_written(store, renewal_confirm(store, 2, NOW + 200 * DAY));
	assert_keyset(store, keyset, "key 2", SUBKEY_2, NOW + 402 * DAY);
}

static void look_at_renewal(void *context, int64_t row, const char *column)
{
	struct place *place = context;
	struct renewal_row *renewal = NULL;
	bool elsewhere = str_equal(column, "nonce");

	if (renewal_by_nonce(place->store, row == 1 ? "RENEW1" : "RENEW2", &renewal) !=
		(elsewhere ? ERR_OK : ERR_DATA) ||
	    renewal)
		fail_msg("renewal %lld.%s went unnoticed", (long long)row, column);
	assert_fine(store_begin(place->store));
	assert_fault(renewal_confirm(place->store, row, NOW + 101 * DAY), ERR_DATA);
	store_rollback(place->store);
}

static void every_byte_of_a_renewal_counts(void **state)
{
	struct place *place = *state;
	struct store *store = place->store;
	int64_t keyset = keyset_confirmed(store);

	renewal_stored(store, keyset, 1);
	renewal_stored(store, keyset, 2);
	assert_true(alter_each_byte(place, "renewal", "id", look_at_renewal, place) > 400);
	/* A damaged older one is no obstacle to a newer. */
	tamper(place, "UPDATE renewal SET plain = 1 WHERE id = 1");
	assert_written(store, renewal_confirm(store, 2, NOW + 101 * DAY));
	assert_keyset(store, keyset, "key 2", SUBKEY_2, NOW + 402 * DAY);
	assert_written(store, store_prune(store, NOW + 400 * DAY, 0));
	assert_int_equal(peek(place, "SELECT reply IS NULL FROM renewal WHERE id = 2"), 1);
}

static void unfit_renewals_are_refused(void **state)
{
	enum { NO_REQUEST, NO_KEY_SET, LOWER_CASE, NO_NONCE, NO_TIME, BEFORE, CASES };
	struct place *place = *state;
	int64_t keyset = keyset_confirmed(place->store);

	for (int i = 0; i < CASES; i++) {
		struct renewal_row row = renewal_for(i == NO_KEY_SET ? 99 : keyset, 1);
		if (i == NO_REQUEST)
			row.request_id[0] = '\0';
		if (i == LOWER_CASE)
			row.encryption_fingerprint[39] = 'a';
		if (i == NO_NONCE)
			str_free(&row.nonce);
		if (i == NO_TIME)
			row.created = 0;
		if (i == BEFORE)
			row.certified_until = row.created;
		assert_fine(store_begin(place->store));
		assert_fault(renewal_insert(place->store, &row), ERR_SOFTWARE);
		store_rollback(place->store);
		renewal_clear(&row);
	}
	assert_int_equal(peek(place, "SELECT count(*) FROM renewal"), 0);
}

/* ---- revocation, ends ---- */

static void revoked(void **unused)
{
	enum { UNCONFIRMED, ACTIVE, SUPERSEDED, REVOKED, UNKNOWN, CASES };
	static const struct {
		enum err err;
		bool due;
	} cases[CASES] = { [UNCONFIRMED] = { ERR_OK, false },
		[ACTIVE] = { ERR_OK, true },
		[SUPERSEDED] = { ERR_OK, true },
		[REVOKED] = { ERR_NOUSER, false },
		[UNKNOWN] = { ERR_NOUSER, false } };

	(void)unused;
	for (int i = 0; i < CASES; i++) {
		void *state = NULL;
		struct buf key = BUF_INIT;
		struct keyset_row *row = NULL;
		struct store *store;
		int64_t id, other;

		place_make(&state);
		store = ((struct place *)state)->store;
		id = keyset_stored(store, ALICE, "a");
		buf_add_text(&key, "revoked key");
		if (i != UNCONFIRMED) {
			assert_written(store, keyset_confirm(store, id, NOW));
			assert_written(store, keyset_prefer(store, id));
		}
		if (i == SUPERSEDED)
			assert_written(store, keyset_supersede(store, id, NOW));
		if (i == REVOKED)
			assert_written(store, keyset_revoke(store, id, &key, "left", NOW));
		publish(store, id);
		assert_fine(store_begin(store));
		assert_fault(
		    keyset_revoke(store, i == UNKNOWN ? 99 : id, &key, "compromised", NOW + 1),
		    cases[i].err);
		if (cases[i].err)
			store_rollback(store);
		else
			assert_fine(store_commit(store));
		assert_int_equal(publish_due(store), cases[i].due ? id : 0);
		if (!cases[i].err) {
			assert_fine(keyset_by_id(store, id, &row));
			assert_string_equal(buf_text(&row->key), "revoked key");
			assert_string_equal(row->revoke_reason, "compromised");
			assert_int_equal(row->revoked, NOW + 1);
			assert_false(row->preferred);
			keyset_row_free(&row);
			/* Its name is free. */
			other = keyset_stored(store, ALICE, "A");
			assert_true(other > id);
		}
		buf_free(&key);
		place_remove(&state);
	}
}

static void withdrawn_key_of_a_superseded_keyset(void **state)
{
	struct place *place = *state;
	struct store *store = place->store;
	int64_t id = keyset_confirmed(store);
	struct buf key = BUF_INIT;

	buf_add_text(&key, "withdrawn key");
	assert_fine(store_begin(store));
	assert_fault(keyset_replace_key(store, id, &key), ERR_NOUSER);
	assert_fine(keyset_supersede(store, id, NOW));
	assert_fine(keyset_replace_key(store, id, &key));
	assert_fine(store_commit(store));
	assert_keyset(store, id, "withdrawn key", NULL, NOW + 365 * DAY);
	buf_free(&key);
}

static void keep_id(const struct keyset_row *row, void *context)
{
	buf_addf(context, "%lld ", (long long)row->id);
}

static void keysets_that_end(void **state)
{
	static const int64_t days[] = { 20, 10, 30, 5, 8 };
	static const struct {
		int64_t after, until;
		const char *expected;
	} cases[] = { { 0, 5 * DAY, "" }, { 0, 20 * DAY, "2 " }, { 0, 20 * DAY + 1, "2 1 " },
		{ 0, 99 * DAY, "2 1 3 " }, { 10 * DAY - 1, 99 * DAY, "2 1 3 " },
		{ 10 * DAY, 99 * DAY, "1 3 " } };
	struct place *place = *state;
	struct store *store = place->store;

	for (size_t i = 0; i < 5; i++) {
		struct keyset_row row = keyset_for(ALICE, (const char[]){ (char)('a' + i), 0 }, 0);
		row.certified_until = NOW + days[i] * DAY;
		assert_written(store, keyset_insert(store, &row));
		if (i != 3)
			assert_written(store, keyset_confirm(store, row.id, NOW));
		if (i == 4)
			assert_written(store, keyset_supersede(store, row.id, NOW));
		keyset_clear(&row);
	}
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf text = BUF_INIT;
		assert_fine(keyset_each_ending(
		    store, NOW + cases[i].after, NOW + cases[i].until, keep_id, &text));
		assert_string_equal(buf_text(&text), cases[i].expected);
		buf_free(&text);
	}
}

static void keysets_of_a_key(void **state)
{
	struct place *place = *state;
	struct store *store = place->store;
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < 4; i++) {
		struct keyset_row row =
		    keyset_for(i == 2 ? BOB : ALICE, (const char[]){ (char)('a' + i), 0 }, 0);
		memset(row.fingerprint, i == 1 ? 'B' : 'A', 40);
		assert_written(store, keyset_insert(store, &row));
		if (i == 0)
			assert_written(store, keyset_supersede(store, row.id, NOW));
		keyset_clear(&row);
	}
	assert_fine(
	    keyset_each_of_key(store, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", keep_id, &text));
	assert_string_equal(buf_text(&text), "4 3 1 ");
	buf_clear(&text);
	assert_fine(
	    keyset_each_of_key(store, "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC", keep_id, &text));
	assert_string_equal(buf_text(&text), "");
	buf_free(&text);
}

/* ---- all of them ---- */

static enum err try_deposit_insert(struct store *s)
{
	struct deposit_row row = deposit_for(ALICE, 1, SUBKEY);
	enum err e = deposit_insert(s, &row);

	deposit_clear(&row);
	return e;
}
static enum err try_deposit_reseal(struct store *s)
{
	struct buf sealed = BUF_INIT;
	enum err e;

	buf_add_text(&sealed, "anew");
	e = deposit_reseal(s, 1, ESCROW_2, &sealed);
	buf_free(&sealed);
	return e;
}
static enum err try_release_insert(struct store *s)
{
	return release_now(s, 1, SUBKEY);
}
static enum err try_release_forget(struct store *s)
{
	return release_forget(s, 1);
}
static enum err try_renewal_insert(struct store *s)
{
	struct renewal_row row = renewal_for(1, 7);
	enum err e = renewal_insert(s, &row);

	renewal_clear(&row);
	return e;
}
static enum err try_renewal_confirm(struct store *s)
{
	return renewal_confirm(s, 1, NOW + 101 * DAY);
}
static enum err try_revoke(struct store *s)
{
	struct buf key = BUF_INIT;
	enum err e;

	buf_add_text(&key, "revoked key");
	e = keyset_revoke(s, 1, &key, "left", NOW);
	buf_free(&key);
	return e;
}

static void nothing_is_written_outside_a_transaction(void **state)
{
	static enum err (*const writers[])(struct store *) = { try_deposit_insert,
		try_deposit_reseal, try_release_insert, try_release_forget, try_renewal_insert,
		try_renewal_confirm, try_revoke };
	struct place *place = *state;
	struct store *store = place->store;
	int64_t keyset = keyset_confirmed(store);

	token_issued(store, ALICE, 1);
	deposited(store, ALICE, keyset, SUBKEY_2);
	renewal_stored(store, keyset, 1);
	for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
		if (writers[i](store) != ERR_SOFTWARE)
			fail_msg("writer %zu", i);
		assert_says("outside a transaction");
		assert_fine(store_begin(store));
		if (writers[i](store))
			fail_msg("writer %zu: %s", i, err_text());
		store_rollback(store);
	}
}

static void counted_for_status(void **state)
{
	struct place *place = *state;
	struct store_counts counts;

	deposited(place->store, ALICE, keyset_confirmed(place->store), SUBKEY);
	recovery_begun(place->store, ALICE, 1);
	recovery_begun(place->store, BOB, 2);
	assert_fine(store_count(place->store, NOW, DAY, DAY, &counts));
	assert_int_equal(counts.deposits, 1);
	assert_int_equal(counts.recoveries, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_place(deposit_comes_back_as_it_went_in),
		in_place(deposits_of_all_generations),
		in_place(deposit_replaced),
		in_place(sealed_anew),
		in_place(every_byte_of_a_deposit_counts),
		in_place(unfit_deposits_are_refused),
		in_place(release_comes_back_as_it_went_in),
		cmocka_unit_test(releases_vanish),
		in_place(every_byte_of_a_release_counts),
		in_place(moved_release),
		in_place(renewal_comes_back_as_it_went_in),
		in_place(in_force_when_confirmed),
		cmocka_unit_test(never_in_force),
		in_place(replies_of_renewals_are_forgotten),
		in_place(every_byte_of_a_renewal_counts),
		in_place(unfit_renewals_are_refused),
		cmocka_unit_test(revoked),
		in_place(withdrawn_key_of_a_superseded_keyset),
		in_place(keysets_that_end),
		in_place(keysets_of_a_key),
		in_place(nothing_is_written_outside_a_transaction),
		in_place(counted_for_status),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
