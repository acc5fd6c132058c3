#include "store_fixture.h"

static const uint8_t mail_a[32] = { 1 }, mail_b[32] = { 2 };

static void attempts_are_counted_by_mail(void **state)
{
	struct place *place = *state;
	int64_t n, outcome;

	for (int i = 1; i <= 3; i++) {
		assert_fine(attempt_begin(place->store, mail_a, NOW, &n, &outcome));
		assert_int_equal(n, i);
		reopen(place); /* as after a crash in the middle of the work */
	}
	assert_fine(attempt_begin(place->store, mail_b, NOW, &n, &outcome));
	assert_int_equal(n, 1);
	assert_fine(attempt_excuse(place->store, mail_a));
	assert_fine(attempt_begin(place->store, mail_a, NOW, &n, &outcome));
	assert_int_equal(n, 3);
	assert_written(place->store, attempt_forget(place->store, mail_a));
	assert_fine(attempt_begin(place->store, mail_a, NOW, &n, &outcome));
	assert_int_equal(n, 1);
	for (int i = 0; i < 3; i++)
		assert_fine(attempt_excuse(place->store, mail_b));
	assert_fine(attempt_begin(place->store, mail_b, NOW, &n, &outcome));
	assert_int_equal(n, 1);
}

/* I17: what was offered again after its outcome is not worked on again, nor by two at once. */
static void an_outcome_is_kept(void **state)
{
	struct place *place = *state;
	int64_t n, outcome, earlier;

	assert_fine(attempt_begin(place->store, mail_a, NOW, &n, &outcome));
	assert_int_equal(outcome, -1);
	assert_fine(store_begin(place->store));
	assert_fine(attempt_end(place->store, mail_a, NOW, 2, &earlier));
	store_rollback(place->store);
	assert_fine(attempt_begin(place->store, mail_a, NOW, &n, &outcome));
	assert_int_equal(n, 2);
	assert_int_equal(outcome, -1);
	assert_written(place->store, attempt_end(place->store, mail_a, NOW, 2, &earlier));
	assert_int_equal(earlier, -1);
	reopen(place);
	assert_fine(attempt_begin(place->store, mail_a, NOW, &n, &outcome));
	assert_int_equal(n, 0);
	assert_int_equal(outcome, 2);
	assert_written(place->store, attempt_end(place->store, mail_a, NOW, 1, &earlier));
	assert_int_equal(earlier, 2);
	assert_written(place->store, attempt_end(place->store, mail_b, NOW, 0, &earlier));
	assert_int_equal(earlier, -1); /* never begun: an attempt that was forgotten meanwhile */
	assert_fine(attempt_begin(place->store, mail_b, NOW, &n, &outcome));
	assert_int_equal(outcome, 0);
}

/* An attempt must be durable before the work, so it can't be part of anything. */
static void attempt_is_a_transaction_of_its_own(void **state)
{
	struct place *place = *state;
	int64_t n, outcome;

	assert_fine(store_begin(place->store));
	assert_fault(attempt_begin(place->store, mail_a, NOW, &n, &outcome), ERR_SOFTWARE);
	assert_fault(attempt_excuse(place->store, mail_a), ERR_SOFTWARE);
	store_rollback(place->store);
}

static void attempts_of_many_processes(void **state)
{
	enum { PROCESSES = 4, EACH = 15 };
	struct place *place = *state;
	pid_t pids[PROCESSES];
	int64_t n, outcome;

	store_close(&place->store);
	for (int i = 0; i < PROCESSES; i++) {
		if ((pids[i] = fork()))
			continue;
		struct store *store = NULL;
		if (store_open(place->path, 30, &store))
			_exit(1);
		for (int k = 0; k < EACH; k++) {
			if (attempt_begin(store, mail_a, NOW, &n, &outcome))
				_exit(2);
		}
		store_close(&store);
		_exit(0);
	}
	for (int i = 0; i < PROCESSES; i++)
		assert_int_equal(reap(pids[i]), 0);
	assert_fine(store_open(place->path, 10, &place->store));
	assert_fine(attempt_begin(place->store, mail_a, NOW, &n, &outcome));
	assert_int_equal(n, PROCESSES * EACH + 1);
}

static void marks(void **state)
{
	static const struct {
		const char *name;
		int64_t at;
		bool first;
	} cases[] = {
		{ "almost:" ALICE, NOW, true },
		{ "almost:" ALICE, NOW + 1, false },
		{ "almost:" BOB, NOW + 1, true },
		{ "almost:" ALICE, NOW - 5, false }, /* a clock set back */
		{ "almost:" ALICE, NOW + DAY - 1, false },
		{ "almost:" ALICE, NOW + DAY, true },
		{ "almost:" ALICE, NOW + DAY + 1, false },
		{ "almost:" ALICE, NOW + DAY - 300, false },
		{ "almost:" ALICE, NOW + DAY - 301, true }, /* made by a clock that was wrong */
		{ "almost:" ALICE, NOW + DAY - 300, false },
	};
	struct place *place = *state;
	bool first, due;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_fine(mark_is_due(place->store, cases[i].name, cases[i].at, DAY, &due));
		assert_int_equal(due, cases[i].first);
		assert_written(
		    place->store, mark_once(place->store, cases[i].name, cases[i].at, DAY, &first));
		assert_int_equal(first, cases[i].first);
	}
	/* What is rolled back was not done. */
	assert_fine(store_begin(place->store));
	assert_fine(mark_once(place->store, "alarm:cap", NOW, DAY, &first));
	assert_true(first);
	store_rollback(place->store);
	assert_written(place->store, mark_once(place->store, "alarm:cap", NOW, DAY, &first));
	assert_true(first);
}

static void keep_counter(const char *name, int64_t value, void *context)
{
	buf_addf(context, "%s=%lld ", name, (long long)value);
}

static void counters(void **state)
{
	struct place *place = *state;
	struct buf text = BUF_INIT;

	assert_written(place->store, counter_add(place->store, "ignored", 1));
	assert_written(place->store, counter_add(place->store, "automatic-with-token", 2));
	assert_written(place->store, counter_add(place->store, "ignored", 4));
	assert_fine(counter_each(place->store, keep_counter, &text));
	assert_string_equal(buf_text(&text), "automatic-with-token=2 ignored=5 ");
	buf_free(&text);
}

static struct quarantine_row quarantined(const char *mail)
{
	struct quarantine_row row = { .at = NOW,
		.mailbox = str_dup("maildir:/mail"),
		.reason = str_dup("the third crash on this mail"),
		.headers = str_dup("From: " BOB "\n"),
		.size = 4711 };

	memset(row.hash, 7, sizeof row.hash);
	buf_add_text(&row.mail, mail);
	return row;
}

static void quarantined_clear(struct quarantine_row *row)
{
	str_free(&row->mailbox);
	str_free(&row->reason);
	str_free(&row->headers);
	buf_free(&row->mail);
}

static void keep_quarantined(const struct quarantine_row *row, void *context)
{
	assert_int_equal(row->mail.len, 0);
	buf_addf(context, "%lld ", (long long)row->id);
}

static void quarantine(void **state)
{
	static const char *const mails[] = { "", "the mail\r\n" };
	struct place *place = *state;
	struct buf text = BUF_INIT;
	int64_t count;

	for (size_t i = 0; i < 2; i++) {
		struct quarantine_row in = quarantined(mails[i]), *out = NULL;

		assert_written(place->store, quarantine_insert(place->store, &in));
		assert_fine(quarantine_by_id(place->store, in.id, &out));
		assert_int_equal(out->at, NOW);
		assert_string_equal(out->mailbox, in.mailbox);
		assert_string_equal(out->reason, in.reason);
		assert_string_equal(out->headers, in.headers);
		assert_int_equal(out->size, 4711);
		assert_memory_equal(out->hash, in.hash, sizeof in.hash);
		assert_string_equal(buf_text(&out->mail), mails[i]);
		quarantine_row_free(&out);
		quarantined_clear(&in);
	}
	assert_fine(quarantine_each(place->store, keep_quarantined, &text));
	assert_string_equal(buf_text(&text), "1 2 ");
	buf_clear(&text);
	assert_fine(quarantine_count(place->store, &count));
	assert_int_equal(count, sizeof mails / sizeof *mails);
	assert_written(place->store, quarantine_drop(place->store, 1));
	assert_fine(quarantine_count(place->store, &count));
	assert_int_equal(count, sizeof mails / sizeof *mails - 1);
	assert_fine(quarantine_each(place->store, keep_quarantined, &text));
	assert_string_equal(buf_text(&text), "2 ");
	buf_free(&text);
	assert_fine(store_begin(place->store));
	assert_fault(quarantine_drop(place->store, 1), ERR_NOUSER);
	store_rollback(place->store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_place(attempts_are_counted_by_mail),
		in_place(an_outcome_is_kept),
		in_place(attempt_is_a_transaction_of_its_own),
		in_place(attempts_of_many_processes),
		in_place(marks),
		in_place(counters),
		in_place(quarantine),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
