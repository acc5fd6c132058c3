/* When a running daemon believes the wall clock (I13). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "authority/clock.c"

#define NOW 1795000000
#define DAY 86400

static void jumps(void **state)
{
	static const struct {
		int64_t wall_passed, run_passed; /* seconds since the start */
		bool plausible;
	} cases[] = {
		{ 0, 0, true }, { 60, 60, true },
		{ 400 * DAY, 400 * DAY, true }, /* it runs for long */
		{ 3 * DAY, 3 * DAY, true },     /* the machine slept */
		{ 3600, 60, true }, { -3600, 60, true }, { DAY, 0, true }, { DAY + 1, 0, false },
		{ -DAY, 0, true }, { -DAY - 1, 0, false }, { 20 * DAY, 60, false },
		{ 420 * DAY, 400 * DAY, false }, { -20 * DAY, 60, false },
		{ -NOW, 60, false }, /* 1970 */
	};
	const struct clock_reading start = { NOW, 5000000 };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct clock_reading now = { NOW + cases[i].wall_passed,
			start.running_ms + 1000 * cases[i].run_passed };

		assert_int_equal(clock_plausible(&start, &now), cases[i].plausible);
		assert_int_equal(clock_believed(&start, &now),
		    cases[i].plausible ? now.wall : NOW + cases[i].run_passed);
	}
}

static void reads_both_clocks(void **state)
{
	struct clock_reading a = clock_read(), b = clock_read();

	(void)state;
	assert_true(a.wall > NOW - 10 * 365 * (int64_t)DAY);
	assert_true(b.running_ms >= a.running_ms);
	assert_true(clock_plausible(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jumps),
		cmocka_unit_test(reads_both_clocks),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
