/* The pauses between tries at a server that does not answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "authority/backoff.c"

static void assert_between(int64_t value, int64_t least, int64_t most)
{
	assert_true(value >= least && value <= most);
}

/* Each pause lies in the second half of what is due; 100 ms are for a slow machine. */
static void pauses_double(void **state)
{
	static const struct {
		int64_t first, most;
		bool patiently;
		int64_t due_ms[5];
	} cases[] = {
		{ 1, 300, false, { 1000, 2000, 4000, 8000, 16000 } },
		{ 1, 5, false, { 1000, 2000, 4000, 5000, 5000 } },
		{ 10, 5, false, { 10000, 10000, 10000, 10000, 10000 } },
		{ 1, 300, true, { 300000, 300000, 300000, 300000, 300000 } },
		{ 86400, 86400, false, { 86400000, 86400000, 86400000, 86400000, 86400000 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct backoff b = backoff_make(cases[i].first, cases[i].most);
		assert_int_equal(backoff_wait_ms(&b), 0);
		for (int n = 0; n < 5; n++) {
			backoff_fail(&b, cases[i].patiently);
			assert_between(
			    backoff_wait_ms(&b), cases[i].due_ms[n] / 2 - 100, cases[i].due_ms[n]);
		}
		backoff_end(&b);
		assert_int_equal(backoff_wait_ms(&b), 0);
		backoff_fail(&b, false);
		assert_true(backoff_wait_ms(&b) <= cases[i].first * 1000);
	}
}

static void never_twice_the_same(void **state)
{
	int64_t least = INT64_MAX, most = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct backoff b = backoff_make(100, 100);
		backoff_fail(&b, false);
		least = backoff_wait_ms(&b) < least ? backoff_wait_ms(&b) : least;
		most = backoff_wait_ms(&b) > most ? backoff_wait_ms(&b) : most;
	}
	assert_true(most - least > 10000);
}

static void grows_no_further_than_that(void **state)
{
	struct backoff b = backoff_make(1, 300);

	(void)state;
	for (int i = 0; i < 100000; i++)
		backoff_fail(&b, i % 2);
	assert_between(backoff_wait_ms(&b), 149000, 300000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pauses_double),
		cmocka_unit_test(never_twice_the_same),
		cmocka_unit_test(grows_no_further_than_that),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
