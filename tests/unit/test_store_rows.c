/* Tokens and keysets in the store. */
#include "store_fixture.h"

/* ---- tokens ---- */

static void token_comes_back_as_it_went_in(void **state)
{
	struct place *place = *state;
	struct token_row in = token_for(ALICE, 1), *out = NULL;
	int64_t superseded;

	in.also = str_dup("a@example.org\nal@example.org");
	in.name = str_dup("Alice Example");
	in.keyset = str_dup("default");
	in.additional = true;
	in.recovery = true;
	assert_written(place->store, token_insert(place->store, &in, NOW, &superseded));
	assert_int_equal(superseded, 0);
	assert_fine(token_by_id(place->store, in.id, &out));
	assert_memory_equal(out->key, in.key, 32);
	assert_string_equal(out->address, ALICE);
	assert_string_equal(out->also, in.also);
	assert_string_equal(out->name, in.name);
	assert_string_equal(out->keyset, in.keyset);
	assert_string_equal(out->issued_by, "carol");
	assert_true(out->additional && out->recovery);
	assert_int_equal(out->issued, NOW);
	assert_int_equal(out->expires, NOW + 14 * DAY);
	assert_int_equal(out->used | out->superseded | out->voided | out->used_keyset, 0);
	token_row_free(&out);
	token_clear(&in);
	assert_fine(token_by_id(place->store, 99, &out));
	assert_null(out);
}

static enum token_state state_at(struct store *store, int64_t id, int64_t now)
{
	struct token_row *row = NULL;
	enum token_state state;

	assert_fine(token_by_id(store, id, &row));
	assert_non_null(row);
	state = token_state_of(row->used, row->superseded, row->voided, row->expires, now);
	token_row_free(&row);
	return state;
}

static int64_t outstanding(struct store *store, const char *address, int64_t now)
{
	struct token_row *row = NULL;
	int64_t id;

	assert_fine(token_outstanding(store, address, now, &row));
	id = row ? row->id : 0;
	token_row_free(&row);
	return id;
}

static void one_outstanding_per_address(void **state)
{
	struct place *place = *state;
	struct token_row row = token_for(ALICE, 3);
	int64_t first = token_issued(place->store, ALICE, 1);
	int64_t other = token_issued(place->store, BOB, 2);
	int64_t superseded;

	assert_written(place->store, token_insert(place->store, &row, NOW + 5, &superseded));
	assert_int_equal(superseded, first);
	assert_int_equal(state_at(place->store, first, NOW + 5), TOKEN_SUPERSEDED);
	assert_int_equal(outstanding(place->store, ALICE, NOW + 5), row.id);
	assert_int_equal(outstanding(place->store, BOB, NOW + 5), other);
	assert_int_equal(outstanding(place->store, "carol@example.org", NOW), 0);
	token_clear(&row);
}

/* An expired one stays expired, and does not come back when the clock is set back. */
static void expired_is_not_superseded(void **state)
{
	struct place *place = *state;
	struct token_row row = token_for(ALICE, 2);
	int64_t first = token_issued(place->store, ALICE, 1), late = NOW + 20 * DAY, superseded;

	assert_int_equal(outstanding(place->store, ALICE, NOW + 14 * DAY - 1), first);
	assert_int_equal(outstanding(place->store, ALICE, NOW + 14 * DAY), 0);
	row.issued = late;
	row.expires = late + 14 * DAY;
	assert_written(place->store, token_insert(place->store, &row, late, &superseded));
	assert_int_equal(superseded, 0);
	assert_int_equal(state_at(place->store, first, late), TOKEN_EXPIRED);
	assert_int_equal(outstanding(place->store, ALICE, NOW), row.id);
	assert_fine(store_begin(place->store));
	assert_fault(token_void(place->store, first, NOW), ERR_NOUSER);
	store_rollback(place->store);
	token_clear(&row);
}

static void known_for_thirty_days(void **state)
{
	static const struct {
		const char *column;
		int64_t end; /* when that happened; the expiry itself is at 14 days */
		int64_t now;
		bool known;
	} cases[] = {
		{ "used", 2 * DAY, 32 * DAY, true },
		{ "used", 2 * DAY, 32 * DAY + 1, false },
		{ "superseded", 2 * DAY, 32 * DAY, true },
		{ "superseded", 2 * DAY, 32 * DAY + 1, false },
		{ "voided", 3 * DAY, 33 * DAY, true },
		{ "voided", 3 * DAY, 33 * DAY + 1, false },
		{ NULL, 0, 44 * DAY, true },
		{ NULL, 0, 44 * DAY + 1, false },
		{ NULL, 0, 1, true },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct token_row *row = NULL;
		struct place *place;
		int64_t id, keyset, end = NOW + cases[i].end, superseded;

		place_make(state);
		place = *state;
		id = token_issued(place->store, ALICE, 1);
		keyset = keyset_stored(place->store, ALICE, "default");
		if (str_equal(cases[i].column, "used")) {
			assert_written(place->store, token_use(place->store, id, keyset, end));
		} else if (str_equal(cases[i].column, "voided")) {
			assert_written(place->store, token_void(place->store, id, end));
		} else if (cases[i].column) {
			struct token_row next = token_for(ALICE, 2);
			assert_written(
			    place->store, token_insert(place->store, &next, end, &superseded));
			token_clear(&next);
		}
		const uint8_t key[32] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
			1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
		assert_fine(token_by_key(place->store, key, NOW + cases[i].now, &row));
		if (cases[i].known != (row != NULL))
			fail_msg("case %zu", i);
		token_row_free(&row);
		place_remove(state);
	}
}

static void unknown_key(void **state)
{
	struct place *place = *state;
	struct token_row *row = NULL;
	const uint8_t key[32] = { 9 };

	token_issued(place->store, ALICE, 1);
	assert_fine(token_by_key(place->store, key, NOW, &row));
	assert_null(row);
}

/* From every state but outstanding a token can neither be used nor voided. */
static void used_or_voided_only_when_outstanding(void **state)
{
	enum { OUTSTANDING, USED, VOIDED, SUPERSEDED, EXPIRED, CASES };

	for (int i = 0; i < CASES; i++) {
		struct token_row next = token_for(ALICE, 2), *row = NULL;
		struct place *place;
		int64_t id, keyset, other, superseded, now = i == EXPIRED ? NOW + 14 * DAY : NOW;

		place_make(state);
		place = *state;
		id = token_issued(place->store, ALICE, 1);
		keyset = keyset_stored(place->store, ALICE, "default");
		other = keyset_stored(place->store, ALICE, "other");
		if (i == USED)
			assert_written(place->store, token_use(place->store, id, keyset, NOW));
		if (i == VOIDED)
			assert_written(place->store, token_void(place->store, id, NOW));
		if (i == SUPERSEDED)
			assert_written(
			    place->store, token_insert(place->store, &next, NOW, &superseded));

		assert_fine(store_begin(place->store));
		assert_fault(
		    token_void(place->store, id, now), i == OUTSTANDING ? ERR_OK : ERR_NOUSER);
		store_rollback(place->store);

		assert_fine(store_begin(place->store));
		assert_fault(token_use(place->store, id, other, now),
		    i == OUTSTANDING ? ERR_OK : ERR_TEMPORARY);
		if (i != OUTSTANDING)
			assert_says("raced");
		/* Going on regardless commits nothing. */
		assert_fine(counter_add(place->store, "regardless", 1));
		assert_fault(store_commit(place->store), i == OUTSTANDING ? ERR_OK : ERR_SOFTWARE);
		assert_int_equal(
		    peek(place, "SELECT count(*) FROM counter"), i == OUTSTANDING ? 1 : 0);
		assert_fine(token_by_id(place->store, id, &row));
		assert_int_equal(row->used_keyset, i == USED          ? keyset
						   : i == OUTSTANDING ? other
								      : 0);
		token_row_free(&row);
		token_clear(&next);
		place_remove(state);
	}
}

static void used_only_with_a_keyset(void **state)
{
	static const int64_t keysets[] = { 0, 77 };
	struct place *place = *state;
	int64_t id = token_issued(place->store, ALICE, 1);

	for (size_t i = 0; i < 2; i++) {
		assert_fine(store_begin(place->store));
		assert_fault(token_use(place->store, id, keysets[i], NOW), ERR_SOFTWARE);
		assert_fault(store_commit(place->store), ERR_SOFTWARE);
	}
	assert_int_equal(outstanding(place->store, ALICE, NOW), id);
}

/* 0: enrolled with it; 1: somebody else did. */
static int enroll_once(const char *path, int64_t token, int who)
{
	struct store *store = NULL;
	char *name = str_printf("keyset-%d", who);
	struct keyset_row row = keyset_for(ALICE, name, token);
	enum err e;

	str_free(&row.nonce);
	row.nonce = str_printf("N%d", who);
	if (store_open(path, 30, &store) || store_begin(store) || keyset_insert(store, &row))
		return 100;
	if (!(e = token_use(store, token, row.id, NOW)))
		e = store_commit(store);
	else
		store_rollback(store);
	store_close(&store);
	keyset_clear(&row);
	str_free(&name);
	return e == ERR_OK ? 0 : e == ERR_TEMPORARY ? 1 : 100;
}

static void race_of_processes_for_one_token(void **state)
{
	enum { PROCESSES = 6, ROUNDS = 8 };
	struct place *place = *state;

	for (uint8_t round = 0; round < ROUNDS; round++) {
		int64_t id = token_issued(place->store, ALICE, (uint8_t)(10 + round));
		pid_t pids[PROCESSES];
		int won = 0;

		store_close(&place->store);
		for (int i = 0; i < PROCESSES; i++) {
			if (!(pids[i] = fork()))
				_exit(enroll_once(place->path, id, round * PROCESSES + i));
		}
		for (int i = 0; i < PROCESSES; i++) {
			int status = reap(pids[i]);
			assert_in_range(status, 0, 1);
			won += status == 0;
		}
		assert_int_equal(won, 1);
		assert_fine(store_open(place->path, 10, &place->store));
		assert_int_equal(state_at(place->store, id, NOW), TOKEN_USED);
	}
	assert_int_equal(peek(place, "SELECT count(*) FROM keyset"), ROUNDS);
	assert_int_equal(peek(place, "SELECT count(*) FROM keyset k JOIN token t ON t.id = k.token "
				     "WHERE t.used_keyset = k.id"),
	    ROUNDS);
}

static void keep_token(const struct token_row *row, void *context)
{
	buf_addf(context, "%lld ", (long long)row->id);
}

static void tokens_listed(void **state)
{
	static const struct {
		const char *address;
		bool only_outstanding;
		int64_t now;
		const char *expected;
	} cases[] = {
		{ NULL, false, NOW, "4 3 2 1 " },
		{ NULL, true, NOW, "4 3 " },
		{ ALICE, false, NOW, "3 1 " },
		{ ALICE, true, NOW, "3 " },
		{ NULL, true, NOW + 15 * DAY, "" },
		{ "nobody@example.org", false, NOW, "" },
	};
	struct place *place = *state;
	int64_t bob;

	token_issued(place->store, ALICE, 1);
	bob = token_issued(place->store, BOB, 2);
	token_issued(place->store, ALICE, 3);
	token_issued(place->store, "carol@example.org", 4);
	assert_written(place->store, token_void(place->store, bob, NOW));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf text = BUF_INIT;
		assert_fine(token_each(place->store, cases[i].address, cases[i].only_outstanding,
		    cases[i].now, keep_token, &text));
		assert_string_equal(buf_text(&text), cases[i].expected);
		buf_free(&text);
	}
}

static void look_at_token(void *context, int64_t row, const char *column)
{
	struct place *place = context;
	struct buf text = BUF_INIT;
	struct token_row *token = NULL;

	if (token_by_id(place->store, row, &token) != ERR_DATA || token)
		fail_msg("token %lld.%s went unnoticed", (long long)row, column);
	assert_non_null(strstr(err_text(), "damaged"));
	assert_fault(token_each(place->store, NULL, false, NOW, keep_token, &text), ERR_DATA);
	assert_string_equal(buf_text(&text), row == 1 ? "2 " : "1 ");
	buf_free(&text);
	/* And nothing is done by it. */
	assert_fine(store_begin(place->store));
	assert_fault(token_use(place->store, row, 1, NOW), ERR_DATA);
	assert_fault(token_void(place->store, row, NOW), ERR_DATA);
	store_rollback(place->store);
}

static void every_byte_of_a_token_counts(void **state)
{
	struct place *place = *state;

	token_issued(place->store, ALICE, 1);
	token_issued(place->store, BOB, 2);
	assert_true(alter_each_byte(place, "token", "id", look_at_token, place) > 200);
	assert_int_equal(outstanding(place->store, BOB, NOW), 2);
}

/* ---- keysets ---- */

static void keyset_comes_back_as_it_went_in(void **state)
{
	struct place *place = *state;
	int64_t token = token_issued(place->store, ALICE, 1);
	struct keyset_row in = keyset_for(ALICE, "My Laptop", token), *out = NULL;

	in.plain = true;
	assert_written(place->store, keyset_insert(place->store, &in));
	assert_fine(keyset_by_id(place->store, in.id, &out));
	assert_string_equal(out->address, ALICE);
	assert_string_equal(out->name, "My Laptop");
	assert_string_equal(out->fingerprint, in.fingerprint);
	assert_string_equal(out->encryption_fingerprint, in.encryption_fingerprint);
	assert_string_equal(out->user_id, in.user_id);
	assert_string_equal(buf_text(&out->key), "public key");
	assert_string_equal(buf_text(&out->reply), "sealed reply");
	assert_string_equal(out->request_id, in.request_id);
	assert_memory_equal(out->request_hash, in.request_hash, 32);
	assert_string_equal(out->nonce, in.nonce);
	assert_true(out->plain);
	assert_string_equal(out->reply_message_id, in.reply_message_id);
	assert_memory_equal(out->reply_hash, in.reply_hash, 32);
	assert_int_equal(out->token, token);
	assert_int_equal(out->enrolled, NOW);
	assert_int_equal(out->certified_until, NOW + 365 * DAY);
	assert_int_equal(out->confirmed | out->superseded | out->revoked | out->published, 0);
	assert_null(out->revoke_reason);
	assert_false(out->publish_due || out->preferred);
	keyset_row_free(&out);
	keyset_clear(&in);
}

static void a_live_name_is_in_use_once(void **state)
{
	static const struct {
		const char *address, *name;
		bool fits;
	} cases[] = {
		{ ALICE, "My Laptop", true },
		{ ALICE, "my laptop", false },
		{ ALICE, "MY   LAPTOP", false },
		{ ALICE, "My Laptop 2", true },
		{ BOB, "My Laptop", true },
	};
	struct place *place = *state;
	struct keyset_row *found = NULL;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct keyset_row row = keyset_for(cases[i].address, cases[i].name, 0);
		assert_fine(store_begin(place->store));
		assert_fault(
		    keyset_insert(place->store, &row), cases[i].fits ? ERR_OK : ERR_TEMPORARY);
		if (cases[i].fits)
			assert_fine(store_commit(place->store));
		else
			store_rollback(place->store);
		keyset_clear(&row);
	}
	assert_fine(keyset_by_name(place->store, ALICE, "MY laptop", &found));
	assert_int_equal(found->id, 1);
	assert_written(place->store, keyset_supersede(place->store, 1, NOW + 1));
	keyset_row_free(&found);
	assert_fine(keyset_by_name(place->store, ALICE, "MY laptop", &found));
	assert_null(found);
	keyset_stored(place->store, ALICE, "my laptop");
}

static int64_t id_of(struct keyset_row *row)
{
	int64_t id = row ? row->id : 0;

	keyset_row_free(&row);
	return id;
}

static void found_by_nonce_and_fingerprint(void **state)
{
	struct place *place = *state;
	struct keyset_row in = keyset_for(ALICE, "default", 0), *out = NULL;

	assert_written(place->store, keyset_insert(place->store, &in));
	assert_fine(keyset_by_nonce(place->store, in.nonce, &out));
	assert_int_equal(id_of(out), in.id);
	assert_fine(keyset_by_nonce(place->store, "NONE", &out));
	assert_null(out);
	assert_fine(keyset_by_fingerprint(place->store, in.fingerprint, &out));
	assert_int_equal(id_of(out), in.id);
	assert_fine(
	    keyset_by_fingerprint(place->store, "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF", &out));
	assert_null(out);
	assert_written(place->store, keyset_supersede(place->store, in.id, NOW));
	assert_fine(keyset_by_fingerprint(place->store, in.fingerprint, &out));
	assert_null(out);
	keyset_clear(&in);
}

static int64_t to_publish(struct store *store, int64_t now)
{
	struct keyset_row *row = NULL;

	assert_fine(keyset_to_publish(store, ALICE, now, &row));
	return id_of(row);
}

static int64_t due(struct store *store)
{
	struct keyset_row *row = NULL;
	int64_t id;

	assert_fine(keyset_publish_due(store, 0, &id, &row));
	assert_int_equal(row ? row->id : 0, id);
	return id_of(row);
}

/* As the publisher does it: what was read is what is marked. */
static enum err mark(struct store *store, int64_t id, int64_t now)
{
	struct keyset_row *row = NULL;
	bool done = false;
	enum err e = keyset_by_id(store, id, &row);

	if (!e)
		e = keyset_published(store, row, now, &done);
	if (!e)
		assert_true(done);
	keyset_row_free(&row);
	return e;
}

static int64_t published(struct store *store, int64_t id)
{
	struct keyset_row *row = NULL;
	int64_t at;

	assert_fine(keyset_by_id(store, id, &row));
	at = row->published;
	keyset_row_free(&row);
	return at;
}

/* P5.4, step by step. */
static void publication(void **state)
{
	struct place *place = *state;
	struct store *store = place->store;
	int64_t a = keyset_stored(store, ALICE, "a"), b = keyset_stored(store, ALICE, "b");

	assert_int_equal(to_publish(store, NOW), 0); /* never before confirmation */
	assert_int_equal(due(store), 0);
	assert_written(store, keyset_confirm(store, b, NOW + 1));
	assert_int_equal(to_publish(store, NOW), b);
	assert_int_equal(due(store), b);
	assert_written(store, mark(store, b, NOW + 2));
	assert_int_equal(due(store), 0);
	assert_int_equal(published(store, b), NOW + 2);
	assert_written(store, keyset_confirm(store, b, NOW + 3)); /* again: nothing */
	assert_int_equal(due(store), 0);

	assert_written(store, keyset_confirm(store, a, NOW + 4)); /* confirmed last */
	assert_int_equal(to_publish(store, NOW), a);
	assert_written(store, mark(store, a, NOW + 4));
	assert_written(store, keyset_prefer(store, b));
	assert_int_equal(to_publish(store, NOW), b);
	assert_int_equal(due(store), b);
	assert_written(store, keyset_prefer(store, a));
	assert_int_equal(to_publish(store, NOW), a);
	assert_int_equal(to_publish(store, NOW + 365 * DAY), 0); /* no longer certified */

	assert_written(store, mark(store, a, NOW + 5));
	assert_written(store, mark(store, b, NOW + 5));
	assert_written(store, keyset_supersede(store, a, NOW + 6));
	assert_int_equal(due(store), a); /* its entry must go */
	assert_int_equal(to_publish(store, NOW), b);
	assert_written(store, mark(store, a, NOW + 7));
	assert_int_equal(published(store, a), 0);
	assert_int_equal(due(store), 0);
}

/* What changes between reading and marking stays due. */
static void publication_raced(void **state)
{
	struct place *place = *state;
	struct store *store = place->store;
	int64_t a = keyset_stored(store, ALICE, "a"), b = keyset_stored(store, BOB, "b"), id;
	struct keyset_row *read = NULL;
	bool done;

	assert_written(store, keyset_confirm(store, a, NOW + 1));
	assert_written(store, keyset_confirm(store, b, NOW + 1));
	assert_fine(keyset_publish_due(store, 0, &id, &read));
	assert_int_equal(id, a);
	assert_written(store, keyset_supersede(store, a, NOW + 2));
	assert_written(store, keyset_published(store, read, NOW + 3, &done));
	assert_false(done);
	assert_int_equal(due(store), a);
	assert_int_equal(published(store, a), 0);
	keyset_row_free(&read);
	assert_fine(keyset_publish_due(store, a, &id, &read));
	assert_int_equal(id, b);
	assert_written(store, keyset_published(store, read, NOW + 3, &done));
	assert_true(done);
	keyset_row_free(&read);
	assert_fine(keyset_publish_due(store, a, &id, &read));
	assert_int_equal(id, 0);
	assert_null(read);
	assert_int_equal(due(store), a);
	assert_written(store, mark(store, a, NOW + 4));
	assert_int_equal(due(store), 0);
}

static void superseded_unconfirmed_is_nothing_to_publish(void **state)
{
	struct place *place = *state;
	int64_t a = keyset_stored(place->store, ALICE, "a");

	assert_written(place->store, keyset_supersede(place->store, a, NOW));
	assert_int_equal(due(place->store), 0);
}

static void changes_want_a_live_keyset(void **state)
{
	struct place *place = *state;
	struct store *store = place->store;
	int64_t gone = keyset_stored(store, ALICE, "a"), cases[] = { gone, 99 };
	bool done;

	assert_written(store, keyset_supersede(store, gone, NOW));
	for (size_t i = 0; i < 2; i++) {
		assert_fine(store_begin(store));
		assert_fault(keyset_supersede(store, cases[i], NOW + 1), ERR_NOUSER);
		assert_fault(keyset_confirm(store, cases[i], NOW + 1), ERR_NOUSER);
		assert_fault(keyset_prefer(store, cases[i]), ERR_NOUSER);
		store_rollback(store);
	}
	assert_fine(store_begin(store));
	assert_fault(
	    keyset_published(store, &(struct keyset_row){ .id = 99 }, NOW, &done), ERR_NOUSER);
	store_rollback(store);
}

static void keep_keyset(const struct keyset_row *row, void *context)
{
	buf_addf(context, "%lld:%zu ", (long long)row->id, row->key.len + row->reply.len);
}

static void keysets_listed(void **state)
{
	static const struct {
		const char *address;
		bool with_key;
		const char *expected;
	} cases[] = {
		{ NULL, false, "3:0 2:0 1:0 " },
		{ NULL, true, "3:22 2:22 1:22 " },
		{ ALICE, false, "3:0 2:0 " },
		{ BOB, true, "1:22 " },
		{ "carol@example.org", true, "" },
	};
	struct place *place = *state;

	keyset_stored(place->store, BOB, "default");
	keyset_stored(place->store, ALICE, "a");
	keyset_stored(place->store, ALICE, "b");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf text = BUF_INIT;
		assert_fine(keyset_each(
		    place->store, cases[i].address, cases[i].with_key, keep_keyset, &text));
		assert_string_equal(buf_text(&text), cases[i].expected);
		buf_free(&text);
	}
}

static void look_at_keyset(void *context, int64_t row, const char *column)
{
	struct place *place = context;
	struct keyset_row *keyset = NULL;
	bool done;

	if (keyset_by_id(place->store, row, &keyset) != ERR_DATA || keyset)
		fail_msg("keyset %lld.%s went unnoticed", (long long)row, column);
	assert_fine(store_begin(place->store));
	assert_fault(keyset_confirm(place->store, row, NOW), ERR_DATA);
	assert_fault(keyset_supersede(place->store, row, NOW), ERR_DATA);
	assert_fault(keyset_published(place->store, &(struct keyset_row){ .id = row }, NOW, &done),
	    ERR_DATA);
	store_rollback(place->store);
}

static void every_byte_of_a_keyset_counts(void **state)
{
	struct place *place = *state;

	keyset_stored(place->store, ALICE, "default");
	assert_true(alter_each_byte(place, "keyset", "id", look_at_keyset, place) > 300);
	assert_written(place->store, keyset_confirm(place->store, 1, NOW));
}

/* What no program may store. */
static void unfit_rows_are_refused(void **state)
{
	enum { NO_ADDRESS, LOWER_CASE, NO_KEY, NO_REPLY, LONG_NAME, NO_TIME, BAD_TOKEN, CASES };
	struct place *place = *state;

	for (int i = 0; i < CASES; i++) {
		struct keyset_row row = keyset_for(ALICE, "default", i == BAD_TOKEN ? 99 : 0);
		if (i == NO_ADDRESS)
			row.address[0] = '\0';
		if (i == LOWER_CASE)
			row.fingerprint[0] = 'a';
		if (i == NO_KEY)
			buf_free(&row.key);
		if (i == NO_REPLY)
			buf_free(&row.reply);
		if (i == LONG_NAME) {
			str_free(&row.user_id);
			row.user_id = str_printf("%02000d", 1);
		}
		if (i == NO_TIME)
			row.certified_until = 0;
		assert_fine(store_begin(place->store));
		assert_fault(keyset_insert(place->store, &row), ERR_SOFTWARE);
		store_rollback(place->store);
		keyset_clear(&row);
	}
	assert_int_equal(peek(place, "SELECT count(*) FROM keyset"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_place(token_comes_back_as_it_went_in),
		in_place(one_outstanding_per_address),
		in_place(expired_is_not_superseded),
		cmocka_unit_test(known_for_thirty_days),
		in_place(unknown_key),
		cmocka_unit_test(used_or_voided_only_when_outstanding),
		in_place(used_only_with_a_keyset),
		in_place(race_of_processes_for_one_token),
		in_place(tokens_listed),
		in_place(every_byte_of_a_token_counts),
		in_place(keyset_comes_back_as_it_went_in),
		in_place(a_live_name_is_in_use_once),
		in_place(found_by_nonce_and_fingerprint),
		in_place(publication),
		in_place(publication_raced),
		in_place(superseded_unconfirmed_is_nothing_to_publish),
		in_place(changes_want_a_live_keyset),
		in_place(keysets_listed),
		in_place(every_byte_of_a_keyset_counts),
		in_place(unfit_rows_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
