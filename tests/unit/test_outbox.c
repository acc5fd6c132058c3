#include "store_fixture.h"

static struct outbox_row mail_to(const char *recipient, enum outbox_kind kind, int64_t due)
{
	struct outbox_row row = { .kind = kind,
		.sender = str_dup("sa@example.org"),
		.recipient = str_dup(recipient),
		.created = NOW,
		.due = due };

	outbox_id_make(row.id);
	row.message_id = str_printf("%s@example.org", row.id);
	buf_addf(&row.mail, "mail %s\r\n", row.id);
	return row;
}

static void mail_clear(struct outbox_row *row)
{
	str_free(&row->sender);
	str_free(&row->recipient);
	str_free(&row->message_id);
	buf_free(&row->mail);
}

/* Puts one in; its id into out[27]. */
static void put(
    struct store *store, const char *recipient, enum outbox_kind kind, int64_t due, char out[27])
{
	struct outbox_row row = mail_to(recipient, kind, due);

	assert_written(store, outbox_insert(store, &row));
	memcpy(out, row.id, 27);
	mail_clear(&row);
}

/* Claims one; true if it is the one with this id ("" for none). */
static void claims(struct store *store, int64_t now, const char *id, int64_t expected_next)
{
	struct outbox_row *row = NULL;
	int64_t next = 0;

	assert_fine(outbox_claim(store, now, 60, NULL, &row, &next));
	assert_string_equal(row ? row->id : "", id);
	assert_int_equal(next, expected_next);
	outbox_row_free(&row);
}

static void keep(const struct outbox_row *row, void *context)
{
	struct outbox_row *out = context;

	*out = *row;
	out->sender = out->recipient = out->message_id = NULL;
	out->last_error = str_dup(row->last_error);
	memset(&out->mail, 0, sizeof out->mail);
	out->mail.len = row->mail.len;
}

static struct outbox_row only_row(struct store *store)
{
	struct outbox_row row = { 0 };

	assert_fine(outbox_each(store, false, keep, &row));
	assert_true(row.id[0] != '\0');
	return row;
}

static void what_goes_in_comes_out(void **state)
{
	struct place *place = *state;

	for (enum outbox_kind kind = OUTBOX_REPLY; kind <= OUTBOX_ALARM; kind++) {
		struct outbox_row in = mail_to(ALICE, kind, NOW), *out = NULL;
		int64_t next;

		assert_written(place->store, outbox_insert(place->store, &in));
		assert_fine(outbox_claim(place->store, NOW, 60, NULL, &out, &next));
		assert_non_null(out);
		outbox_row_free(&out);
		assert_fine(outbox_by_id(place->store, in.id, &out));
		assert_string_equal(out->id, in.id);
		assert_int_equal(out->kind, kind);
		assert_string_equal(out->sender, in.sender);
		assert_string_equal(out->recipient, ALICE);
		assert_string_equal(out->message_id, in.message_id);
		assert_string_equal(buf_text(&out->mail), buf_text(&in.mail));
		assert_int_equal(out->created, NOW);
		assert_int_equal(out->due, NOW + 60);
		assert_int_equal(out->attempts, 1);
		assert_null(out->last_error);
		outbox_row_free(&out);
		mail_clear(&in);
	}
}

static void oldest_first_and_once_a_lease(void **state)
{
	struct place *place = *state;
	char a[27], b[27], c[27];

	put(place->store, ALICE, OUTBOX_REPLY, NOW + 20, a);
	put(place->store, BOB, OUTBOX_REPLY, NOW, b);
	put(place->store, BOB, OUTBOX_NOTICE, NOW, c);
	claims(place->store, NOW - 1, "", NOW);
	claims(place->store, NOW, b, 0);
	claims(place->store, NOW, c, 0);
	claims(place->store, NOW, "", NOW + 20);
	claims(place->store, NOW + 20, a, 0);
	claims(place->store, NOW + 59, "", NOW + 60);
	claims(place->store, NOW + 60, b, 0);
}

/* One that held up the others lets them go first. */
static void one_may_come_last(void **state)
{
	struct place *place = *state;
	struct outbox_row *row = NULL;
	int64_t next;
	char a[27], b[27];
	const struct {
		int64_t now;
		const char *last, *expect;
	} cases[] = {
		{ NOW, a, a }, /* b is not due yet */
		{ NOW + 200, a, b },
		{ NOW + 400, b, a },
		{ NOW + 600, "unknown", b },
		{ NOW + 800, NULL, a },
	};

	put(place->store, ALICE, OUTBOX_REPLY, NOW, a);
	put(place->store, ALICE, OUTBOX_REPLY, NOW + 10, b);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_fine(
		    outbox_claim(place->store, cases[i].now, 60, cases[i].last, &row, &next));
		assert_string_equal(row->id, cases[i].expect);
		outbox_row_free(&row);
	}
}

static void doubts_are_counted(void **state)
{
	struct place *place = *state;
	struct outbox_row *row = NULL;
	int64_t hurried;
	char id[27];

	put(place->store, ALICE, OUTBOX_REPLY, NOW, id);
	assert_fine(outbox_retry(place->store, id, NOW, "451"));
	for (int i = 0; i < 2; i++)
		assert_fine(outbox_doubted(place->store, id, NOW + 5, "lost"));
	assert_fine(outbox_by_id(place->store, id, &row));
	assert_int_equal(row->doubts, 2);
	assert_int_equal(row->due, NOW + 5);
	assert_string_equal(row->last_error, "lost");
	outbox_row_free(&row);
	/* Who asks for it wants it sent, whatever came before. */
	assert_fine(outbox_hurry(place->store, id, NOW, &hurried));
	assert_fine(outbox_by_id(place->store, id, &row));
	assert_int_equal(row->doubts, 0);
	outbox_row_free(&row);
	assert_fault(outbox_doubted(place->store, "x", NOW, "lost"), ERR_NOUSER);
}

static void null_sender_is_no_missing_sender(void **state)
{
	struct place *place = *state;
	struct outbox_row row = mail_to(ALICE, OUTBOX_NOTICE, NOW), *out = NULL;
	int64_t next;

	row.sender[0] = '\0';
	assert_written(place->store, outbox_insert(place->store, &row));
	assert_fine(outbox_claim(place->store, NOW, 60, NULL, &out, &next));
	assert_string_equal(out->sender, "");
	outbox_row_free(&out);
	mail_clear(&row);
}

/* What becomes of one mail; each step on what the ones before left. */
static void one_mail_through_its_life(void **state)
{
	struct place *place = *state;
	int64_t hurried = 0;
	struct outbox_row row;
	char id[27];
	put(place->store, ALICE, OUTBOX_REPLY, NOW, id);
	claims(place->store, NOW, id, 0);
	assert_fine(outbox_retry(place->store, id, NOW + 300, "450 try later"));
	claims(place->store, NOW + 299, "", NOW + 300);
	row = only_row(place->store);
	assert_string_equal(row.last_error, "450 try later");
	assert_int_equal(row.attempts, 1);
	str_free(&row.last_error);

	claims(place->store, NOW + 300, id, 0);
	assert_fine(outbox_failed(place->store, id, NOW + 300, "550 no such user"));
	claims(place->store, NOW + 9999, "", 0);
	row = only_row(place->store);
	assert_int_equal(row.failed, NOW + 300);
	assert_int_equal(row.attempts, 2);
	assert_true(row.mail.len > 0);
	str_free(&row.last_error);

	assert_fine(outbox_hurry(place->store, id, NOW + 400, &hurried));
	claims(place->store, NOW + 400, id, 0);
	assert_fine(outbox_sent(place->store, id, NOW + 401));
	row = only_row(place->store);
	assert_int_equal(row.sent, NOW + 401);
	assert_int_equal(row.failed, 0);
	assert_int_equal(row.mail.len, 0);
	assert_null(row.last_error);
	claims(place->store, NOW + 9999, "", 0);
	assert_fault(outbox_hurry(place->store, id, NOW, &hurried), ERR_NOUSER);

	char *message_id = str_printf("%s@example.org", id);
	const struct {
		const char *id, *message_id;
		bool found;
	} reports[] = { { NULL, "other@example.org", false },
		{ "00000000000000000000000000", NULL, false }, { NULL, NULL, false },
		{ id, NULL, true }, { NULL, message_id, true }, { id, "other@example.org", true },
		{ "00000000000000000000000000", message_id, true } };
	for (size_t i = 0; i < sizeof reports / sizeof *reports; i++) {
		struct outbox_row *found = NULL;
		assert_fine(
		    outbox_find(place->store, reports[i].id, reports[i].message_id, &found));
		assert_int_equal(found != NULL, reports[i].found);
		assert_true(!found || str_equal(found->id, id));
		outbox_row_free(&found);
	}
	assert_fault(outbox_bounced(place->store, "none", NOW + 500, "mailbox full"), ERR_NOUSER);
	assert_fine(outbox_bounced(place->store, id, NOW + 500, "mailbox full"));
	str_free(&message_id);
	row = only_row(place->store);
	assert_int_equal(row.bounced, NOW + 500);
	assert_string_equal(row.last_error, "mailbox full");
	str_free(&row.last_error);

	assert_fine(outbox_drop(place->store, id));
	assert_fault(outbox_drop(place->store, id), ERR_NOUSER);
}

static void unknown_ids(void **state)
{
	struct place *place = *state;
	int64_t hurried = 0;
	const char *id = "00000000000000000000000000";
	struct outbox_row *row = NULL;

	assert_fault(outbox_by_id(place->store, id, &row), ERR_NOUSER);
	assert_null(row);
	assert_fault(outbox_sent(place->store, id, NOW), ERR_NOUSER);
	assert_fault(outbox_retry(place->store, id, NOW, "x"), ERR_NOUSER);
	assert_fault(outbox_failed(place->store, id, NOW, "x"), ERR_NOUSER);
	assert_fault(outbox_hurry(place->store, id, NOW, &hurried), ERR_NOUSER);
	assert_fault(outbox_drop(place->store, id), ERR_NOUSER);
	assert_fine(outbox_hurry(place->store, NULL, NOW, &hurried));
}

static void hurry_all_takes_the_failed_too(void **state)
{
	struct place *place = *state;
	char a[27], b[27], c[27];
	int64_t hurried = 0;

	put(place->store, ALICE, OUTBOX_REPLY, NOW + 1000, a);
	put(place->store, BOB, OUTBOX_REPLY, NOW, b);
	put(place->store, BOB, OUTBOX_REPLY, NOW, c);
	assert_fine(outbox_failed(place->store, b, NOW, "no"));
	assert_fine(outbox_sent(place->store, c, NOW));
	assert_fine(outbox_hurry(place->store, NULL, NOW, &hurried));
	assert_int_equal(hurried, 2);
	claims(place->store, NOW, a, 0);
	claims(place->store, NOW, b, 0);
	claims(place->store, NOW, "", NOW + 60);
}

/* `countersignctl outbox drop` commits its log entry together with the change. */
static void joins_a_transaction(void **state)
{
	struct place *place = *state;
	struct outbox_row *row = NULL;
	char id[27];
	int64_t next;

	put(place->store, ALICE, OUTBOX_REPLY, NOW, id);
	assert_fine(store_begin(place->store));
	assert_fine(outbox_drop(place->store, id));
	assert_fine(outbox_claim(place->store, NOW, 60, NULL, &row, &next));
	assert_null(row);
	store_rollback(place->store);
	assert_int_equal(peek(place, "SELECT count(*) FROM outbox"), 1);
	assert_fine(store_begin(place->store));
	assert_fine(outbox_drop(place->store, id));
	assert_fine(store_commit(place->store));
	assert_int_equal(peek(place, "SELECT count(*) FROM outbox"), 0);
}

static void sent_bytes_are_gone_from_the_disk(void **state)
{
	struct place *place = *state;
	struct buf file = BUF_INIT;
	char id[27], *text;

	put(place->store, ALICE, OUTBOX_REPLY, NOW, id);
	text = str_printf("mail %s", id);
	assert_fine(file_read(place->path, 1 << 24, &file));
	assert_non_null(bytes_find(buf_bytes(&file), bytes_of_text(text)));
	buf_clear(&file);
	assert_fine(outbox_sent(place->store, id, NOW));
	assert_fine(file_read(place->path, 1 << 24, &file));
	assert_null(bytes_find(buf_bytes(&file), bytes_of_text(text)));
	buf_free(&file);
	str_free(&text);
}

static void counts_for_the_caps(void **state)
{
	static const struct {
		enum outbox_kind kind;
		const char *recipient;
		int64_t since, expected;
	} cases[] = {
		{ OUTBOX_REPLY, ALICE, NOW, 1 },
		{ OUTBOX_REPEAT, ALICE, NOW, 2 },
		{ OUTBOX_REPEAT, NULL, NOW, 2 },
		{ OUTBOX_REFUSAL, ALICE, NOW, 1 },
		{ OUTBOX_NOTICE, ALICE, NOW, 1 },
		{ OUTBOX_NOTICE, BOB, NOW, 1 },
		{ OUTBOX_NOTICE, NULL, NOW, 2 },
		{ OUTBOX_NOTICE, NULL, NOW + 1, 0 },
		{ OUTBOX_REFUSAL, BOB, NOW, 0 },
		{ OUTBOX_NOTICE, "carol@example.org", 0, 0 },
	};
	struct place *place = *state;
	int64_t count;
	char id[27];

	put(place->store, ALICE, OUTBOX_REPLY, NOW, id);
	put(place->store, ALICE, OUTBOX_REPEAT, NOW, id);
	put(place->store, ALICE, OUTBOX_REPEAT, NOW, id);
	put(place->store, ALICE, OUTBOX_REFUSAL, NOW, id);
	assert_fine(outbox_sent(place->store, id, NOW)); /* sent ones count */
	put(place->store, ALICE, OUTBOX_NOTICE, NOW, id);
	put(place->store, ALICE, OUTBOX_ALARM, NOW, id);
	put(place->store, BOB, OUTBOX_NOTICE, NOW, id);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_fine(outbox_count(
		    place->store, cases[i].kind, cases[i].recipient, cases[i].since, &count));
		assert_int_equal(count, cases[i].expected);
	}
}

static void drop_it(const struct outbox_row *row, void *context)
{
	assert_fine(outbox_drop(context, row->id));
}

static void callback_may_write(void **state)
{
	struct place *place = *state;
	char id[27];

	for (int i = 0; i < 5; i++)
		put(place->store, ALICE, OUTBOX_NOTICE, NOW, id);
	assert_fine(outbox_sent(place->store, id, NOW));
	assert_fine(outbox_each(place->store, true, drop_it, place->store));
	assert_int_equal(peek(place, "SELECT count(*) FROM outbox"), 1);
}

static void damaged_one_does_not_block(void **state)
{
	struct place *place = *state;
	struct outbox_row *row = NULL, last = { 0 };
	char a[27], b[27];
	int64_t next;

	put(place->store, ALICE, OUTBOX_REPLY, NOW, a);
	put(place->store, BOB, OUTBOX_REPLY, NOW, b);
	tamper(place, "UPDATE outbox SET recipient = 'mallory@example.com' WHERE number = 1");
	assert_fault(outbox_claim(place->store, NOW, 60, NULL, &row, &next), ERR_DATA);
	assert_null(row);
	assert_says("outbox mail 1 is damaged");
	claims(place->store, NOW, b, 0);
	assert_fault(outbox_claim(place->store, NOW + 60, 60, NULL, &row, &next), ERR_DATA);
	assert_fault(outbox_sent(place->store, a, NOW), ERR_DATA);
	assert_fault(outbox_each(place->store, false, keep, &last), ERR_DATA);
	assert_string_equal(last.id, b); /* the others are shown */
	str_free(&last.last_error);
	assert_fine(outbox_drop(place->store, a));
	claims(place->store, NOW + 60, b, 0);
}

static void look_at_claim(void *context, int64_t row, const char *column)
{
	struct place *place = context;
	struct outbox_row last = { 0 };

	if (outbox_each(place->store, false, keep, &last) != ERR_DATA || last.id[0])
		fail_msg("outbox %lld.%s went unnoticed", (long long)row, column);
}

static void every_byte_counts(void **state)
{
	struct place *place = *state;
	char id[27];

	put(place->store, ALICE, OUTBOX_REFUSAL, NOW, id);
	assert_fine(outbox_retry(place->store, id, NOW, "450"));
	assert_true(alter_each_byte(place, "outbox", "number", look_at_claim, place) > 200);
	claims(place->store, NOW, id, 0);
}

/* Exits with how many it got; each is marked as sent after a while, so that the lease matters. */
static int claim_all(const char *path)
{
	struct outbox_row *row = NULL;
	struct store *store = NULL;
	int64_t next;
	int got = 0;

	if (store_open(path, 30, &store))
		return 200;
	for (;;) {
		if (outbox_claim(store, NOW, 3600, NULL, &row, &next))
			return 201;
		if (!row)
			break;
		if (row->attempts != 1 || outbox_sent(store, row->id, NOW))
			return 202;
		got++;
		outbox_row_free(&row);
	}
	store_close(&store);
	return got;
}

static void never_twice_within_a_lease(void **state)
{
	enum { MAILS = 80, SENDERS = 4 };
	struct place *place = *state;
	pid_t pids[SENDERS];
	char id[27];
	int got = 0;

	for (int i = 0; i < MAILS; i++)
		put(place->store, ALICE, OUTBOX_REPLY, NOW, id);
	store_close(&place->store);
	for (int i = 0; i < SENDERS; i++) {
		if (!(pids[i] = fork()))
			_exit(claim_all(place->path));
	}
	for (int i = 0; i < SENDERS; i++) {
		int n = reap(pids[i]);
		assert_true(n <= MAILS);
		got += n;
	}
	assert_int_equal(got, MAILS);
	assert_int_equal(
	    peek(place, "SELECT count(*) FROM outbox WHERE attempts = 1 AND sent > 0"), MAILS);
}

static void was_it_sent(void **state)
{
	struct place *place = *state;
	struct outbox_row row = mail_to(ALICE, OUTBOX_REMINDER, NOW);
	const struct {
		enum outbox_kind kind;
		const char *message_id, *recipient;
		bool has;
	} cases[] = {
		{ OUTBOX_REMINDER, row.message_id, ALICE, true },
		{ OUTBOX_NOTICE, row.message_id, ALICE, false },
		{ OUTBOX_REMINDER, row.message_id, BOB, false },
		{ OUTBOX_REMINDER, "another@example.org", ALICE, false },
	};

	assert_written(place->store, outbox_insert(place->store, &row));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		bool has = !cases[i].has;
		assert_fine(outbox_has(
		    place->store, cases[i].kind, cases[i].message_id, cases[i].recipient, &has));
		assert_int_equal(has, cases[i].has);
	}
	mail_clear(&row);
}

static void ids_differ(void **state)
{
	char a[27], b[27];

	(void)state;
	outbox_id_make(a);
	outbox_id_make(b);
	assert_int_equal(strlen(a), 26);
	assert_string_not_equal(a, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_place(what_goes_in_comes_out),
		in_place(oldest_first_and_once_a_lease),
		in_place(null_sender_is_no_missing_sender),
		in_place(one_may_come_last),
		in_place(doubts_are_counted),
		in_place(one_mail_through_its_life),
		in_place(unknown_ids),
		in_place(hurry_all_takes_the_failed_too),
		in_place(joins_a_transaction),
		in_place(sent_bytes_are_gone_from_the_disk),
		in_place(counts_for_the_caps),
		in_place(callback_may_write),
		in_place(damaged_one_does_not_block),
		in_place(every_byte_counts),
		in_place(never_twice_within_a_lease),
		in_place(was_it_sent),
		cmocka_unit_test(ids_differ),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
