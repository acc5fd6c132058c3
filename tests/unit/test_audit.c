#include "store_fixture.h"

static void add(struct store *store, int64_t at, const char *event, const char *address)
{
	assert_written(
	    store, audit_add(store, at, "agent", event, address, "keyset=default", NULL));
}

static void add_some(struct store *store)
{
	add(store, NOW, "token-issued", ALICE);
	add(store, NOW + 1, "enrolled", ALICE);
	add(store, NOW + 2, "alarm", NULL);
	add(store, NOW + 3, "token-issued", BOB);
	add(store, NOW + 4, "confirmed", ALICE);
}

static void whole(struct store *store, int64_t expected)
{
	int64_t count, bad;

	assert_fine(audit_verify(store, 0, NULL, &count, &bad));
	assert_int_equal(count, expected);
	assert_int_equal(bad, 0);
}

static void broken(struct store *store, int64_t expected_bad)
{
	int64_t count, bad;

	assert_fault(audit_verify(store, 0, NULL, &count, &bad), ERR_PROTOCOL);
	assert_int_equal(bad, expected_bad);
}

static void starts_empty(void **state)
{
	struct place *place = *state;
	int64_t number = 9;
	char hash[65], zeros[65];

	memset(zeros, '0', 64);
	zeros[64] = '\0';
	assert_fine(audit_head(place->store, &number, hash));
	assert_int_equal(number, 0);
	assert_string_equal(hash, zeros);
	whole(place->store, 0);
}

static void head_is_the_entry_added_last(void **state)
{
	struct place *place = *state;
	struct audit_entry entry;
	int64_t number;
	char hash[65];

	for (int i = 1; i <= 3; i++) {
		assert_written(place->store,
		    audit_add(place->store, NOW, "carol", "token-issued", ALICE, NULL, &entry));
		assert_int_equal(entry.number, i);
		assert_string_equal(entry.actor, "carol");
		assert_fine(audit_head(place->store, &number, hash));
		assert_int_equal(number, i);
		assert_string_equal(hash, entry.hash);
		audit_entry_clear(&entry);
	}
	reopen(place);
	whole(place->store, 3);
}

static void rolled_back_leaves_no_trace(void **state)
{
	struct place *place = *state;

	add(place->store, NOW, "enrolled", ALICE);
	assert_fine(store_begin(place->store));
	assert_fine(audit_add(place->store, NOW, "agent", "refused", BOB, NULL, NULL));
	store_rollback(place->store);
	whole(place->store, 1);
	add(place->store, NOW, "enrolled", BOB);
	whole(place->store, 2);
}

static void keep_events(const struct audit_entry *entry, void *context)
{
	struct buf *text = context;

	buf_addf(text, "%lld %s %s %s %s\n", (long long)entry->number, entry->actor, entry->event,
	    entry->address ? entry->address : "-", entry->detail);
}

static void each_by_address_and_time(void **state)
{
	static const struct {
		const char *address;
		int64_t since;
		const char *expected;
	} cases[] = {
		{ NULL, 0,
		    "1 agent token-issued " ALICE " keyset=default\n"
		    "2 agent enrolled " ALICE " keyset=default\n"
		    "3 agent alarm - keyset=default\n"
		    "4 agent token-issued " BOB " keyset=default\n"
		    "5 agent confirmed " ALICE " keyset=default\n" },
		{ ALICE, NOW + 1,
		    "2 agent enrolled " ALICE " keyset=default\n"
		    "5 agent confirmed " ALICE " keyset=default\n" },
		{ BOB, 0, "4 agent token-issued " BOB " keyset=default\n" },
		{ "carol@example.org", 0, "" },
		{ NULL, NOW + 5, "" },
	};
	struct place *place = *state;

	add_some(place->store);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf text = BUF_INIT;
		assert_fine(
		    audit_each(place->store, cases[i].address, cases[i].since, keep_events, &text));
		assert_string_equal(buf_text(&text), cases[i].expected);
		buf_free(&text);
	}
}

static void look_at_chain(void *context, int64_t row, const char *column)
{
	struct place *place = context;
	struct buf text = BUF_INIT;
	int64_t count, bad;

	if (audit_verify(place->store, 0, NULL, &count, &bad) != ERR_PROTOCOL || bad != row)
		fail_msg("log %lld.%s: bad %lld", (long long)row, column, (long long)bad);
	assert_fault(audit_each(place->store, NULL, 0, keep_events, &text), ERR_DATA);
	buf_free(&text);
}

static void every_byte_counts(void **state)
{
	struct place *place = *state;

	add_some(place->store);
	assert_true(alter_each_byte(place, "log", "number", look_at_chain, place) > 400);
	whole(place->store, 5);
}

static void sees_entries_gone_or_moved(void **state)
{
	static const struct {
		const char *sql;
		int64_t bad;
	} cases[] = {
		{ "DELETE FROM log WHERE number = 1", 1 },
		{ "DELETE FROM log WHERE number = 3", 3 },
		{ "DELETE FROM log WHERE number = 5", 5 },
		{ "DELETE FROM log WHERE number > 2", 3 },
		{ "DELETE FROM log", 1 },
		{ "UPDATE log SET number = number + 10 WHERE number = 5", 5 },
		/* swapped */
		{ "UPDATE log SET number = 9 WHERE number = 2;"
		  "UPDATE log SET number = 2 WHERE number = 3;"
		  "UPDATE log SET number = 3 WHERE number = 9",
		    2 },
		/* closed up after a deletion */
		{ "DELETE FROM log WHERE number = 2;"
		  "UPDATE log SET number = number - 1 WHERE number > 2",
		    2 },
		/* put in */
		{ "UPDATE log SET number = -number WHERE number > 3;"
		  "INSERT INTO log SELECT 4, at, actor, event, who, detail, hash FROM log WHERE "
		  "number = 3; UPDATE log SET number = 1 - number WHERE number < 0",
		    4 },
		{ "INSERT INTO log SELECT 6, at, actor, event, who, detail, hash FROM log WHERE "
		  "number = 5",
		    6 },
		{ "DELETE FROM meta WHERE name = 'log-head'", 6 },
		{ "UPDATE meta SET value = '4' || substr(value, 2) WHERE name = 'log-head'", 6 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct place *place;
		place_make(state);
		place = *state;
		add_some(place->store);
		tamper(place, cases[i].sql);
		broken(place->store, cases[i].bad);
		place_remove(state);
	}
}

/* Someone who knows how to write the check can cut the log in the store, but not in a reply. */
static void sees_truncation_by_an_old_head(void **state)
{
	struct place *place = *state;
	int64_t number, count, bad;
	char *head = NULL, hash[65];

	add(place->store, NOW, "enrolled", ALICE);
	assert_fine(store_get(place->store, "log-head", &head));
	add(place->store, NOW, "enrolled", BOB);
	assert_fine(audit_head(place->store, &number, hash));
	assert_fine(audit_verify(place->store, number, hash, &count, &bad));

	tamper(place, "DELETE FROM log WHERE number = 2");
	assert_written(place->store, store_set(place->store, "log-head", head));
	whole(place->store, 1);
	assert_fault(audit_verify(place->store, number, hash, &count, &bad), ERR_PROTOCOL);
	assert_int_equal(bad, 2);

	/* and another entry in its place */
	add(place->store, NOW, "enrolled", "carol@example.org");
	whole(place->store, 2);
	assert_fault(audit_verify(place->store, number, hash, &count, &bad), ERR_PROTOCOL);
	assert_int_equal(bad, 2);
	str_free(&head);
}

static void adds_nothing_to_a_cut_log(void **state)
{
	struct place *place = *state;

	add_some(place->store);
	tamper(place, "DELETE FROM log WHERE number = 5");
	assert_fine(store_begin(place->store));
	assert_fault(
	    audit_add(place->store, NOW + 9, "agent", "enrolled", ALICE, NULL, NULL), ERR_DATA);
	assert_says("log verify");
	store_rollback(place->store);
}

static bool file_holds(const struct place *place, const char *text)
{
	struct buf file = BUF_INIT;
	bool found;

	assert_fine(file_read(place->path, 1 << 24, &file));
	found = bytes_find(buf_bytes(&file), bytes_of_text(text)) != NULL;
	buf_free(&file);
	return found;
}

static void forgets_a_person(void **state)
{
	struct place *place = *state;
	struct buf text = BUF_INIT;

	add_some(place->store);
	assert_true(file_holds(place, ALICE));
	assert_written(place->store, person_erase(place->store, ALICE));
	assert_false(file_holds(place, ALICE));
	whole(place->store, 5);
	assert_fine(audit_each(place->store, ALICE, 0, keep_events, &text));
	assert_string_equal(buf_text(&text), "");
	assert_fine(audit_each(place->store, NULL, NOW + 3, keep_events, &text));
	assert_string_equal(buf_text(&text), "4 agent token-issued " BOB " keyset=default\n"
					     "5 agent confirmed - keyset=default\n");
	buf_free(&text);
	/* The same address afterwards is somebody new. */
	add(place->store, NOW + 5, "enrolled", ALICE);
	assert_fine(audit_each(place->store, ALICE, 0, keep_events, &text));
	assert_string_equal(buf_text(&text), "6 agent enrolled " ALICE " keyset=default\n");
	buf_free(&text);
}

static void sees_another_person_put_in(void **state)
{
	struct place *place = *state;
	struct buf text = BUF_INIT;

	add_some(place->store);
	tamper(place, "UPDATE person SET address = 'carol@example.org' WHERE address = '" BOB "'");
	assert_fault(audit_each(place->store, NULL, 0, keep_events, &text), ERR_DATA);
	assert_null(strstr(buf_text(&text), "carol"));
	assert_fine(store_begin(place->store));
	assert_fault(
	    audit_add(place->store, NOW + 9, "agent", "enrolled", "carol@example.org", NULL, NULL),
	    ERR_DATA);
	store_rollback(place->store);
	buf_free(&text);
}

static void clock_guard(void **state)
{
	static const struct {
		int64_t at;
		enum err expected;
	} cases[] = {
		{ NOW - 301, ERR_TEMPORARY }, { NOW - 300, ERR_OK }, { NOW - 86400, ERR_TEMPORARY },
		{ NOW + 86400, ERR_OK },
		{ NOW, ERR_TEMPORARY }, /* the entry before was a day later */
	};
	struct place *place = *state;

	/* The entry at NOW - 300 that the second case adds would let the third in by that much. */
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		if (i < 3)
			add(place->store, NOW, "enrolled", ALICE);
		assert_fine(store_begin(place->store));
		assert_fault(
		    audit_add(place->store, cases[i].at, "agent", "enrolled", BOB, NULL, NULL),
		    cases[i].expected);
		if (cases[i].expected)
			assert_says("the clock is behind the last committed time");
		/* What was refused can't be committed without its entry. */
		assert_fault(store_commit(place->store), cases[i].expected ? ERR_SOFTWARE : ERR_OK);
	}
}

/* Entries that are added meanwhile look neither missing nor put in. */
static void verifies_while_others_write(void **state)
{
	struct place *place = *state;
	int64_t count = 0, bad;
	pid_t pid;

	store_close(&place->store);
	if (!(pid = fork())) {
		struct store *store = NULL;
		if (store_open(place->path, 20, &store))
			_exit(1);
		for (int i = 0; i < 60; i++) {
			if (store_begin(store) ||
			    audit_add(store, NOW, "agent", "enrolled", ALICE, NULL, NULL) ||
			    store_commit(store))
				_exit(2);
		}
		store_close(&store);
		_exit(0);
	}
	assert_fine(store_open(place->path, 20, &place->store));
	while (count < 60)
		assert_fine(audit_verify(place->store, 0, NULL, &count, &bad));
	assert_int_equal(reap(pid), 0);
	whole(place->store, 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_place(starts_empty),
		in_place(head_is_the_entry_added_last),
		in_place(rolled_back_leaves_no_trace),
		in_place(each_by_address_and_time),
		in_place(every_byte_counts),
		cmocka_unit_test(sees_entries_gone_or_moved),
		in_place(sees_truncation_by_an_old_head),
		in_place(adds_nothing_to_a_cut_log),
		in_place(forgets_a_person),
		in_place(sees_another_person_put_in),
		in_place(clock_guard),
		in_place(verifies_while_others_write),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
