#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/when.h"

static void points(void **state)
{
	static const struct {
		int64_t t;
		const char *text, *mail, *day;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 +0000", "1 January 1970" },
		{ 1795320000, "2026-11-22T04:00:00Z", "Sun, 22 Nov 2026 04:00:00 +0000",
		    "22 November 2026" },
		{ 1709251199, "2024-02-29T23:59:59Z", "Thu, 29 Feb 2024 23:59:59 +0000",
		    "29 February 2024" },
		{ 4102444800, "2100-01-01T00:00:00Z", "Fri, 01 Jan 2100 00:00:00 +0000",
		    "1 January 2100" },
	};
	char text[WHEN_TEXT_SIZE];
	int64_t t;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_string_equal(when_format(cases[i].t, text), cases[i].text);
		assert_string_equal(when_format_mail(cases[i].t, text), cases[i].mail);
		assert_string_equal(when_format_day(cases[i].t, text), cases[i].day);
		assert_int_equal(when_parse(cases[i].text, &t), ERR_OK);
		assert_true(t == cases[i].t);
	}
}

static void bad_points(void **state)
{
	static const char *const bad[] = { "", "2026-11-22", "2026-11-22T04:00:00",
		"2026-11-22T04:00:00z", "2026-11-22 04:00:00Z", "2026-11-22T04:00:00.0Z",
		"2026-11-22T04:00:00+00:00", "2026-11-31T04:00:00Z", "2026-13-01T04:00:00Z",
		"2025-02-29T00:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T04:60:00Z",
		"2026-11-22T04:00:60Z", " 2026-11-22T04:00:00Z", "2026-11-22T04:00:00Z ",
		"2026-1-22T04:00:00Z", "+026-11-22T04:00:00Z", "now" };
	int64_t t = 7;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(when_parse(bad[i], &t), ERR_DATA);
	assert_true(t == 7);
}

static void spans(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} cases[] = { { "90s", 90 }, { "15m", 900 }, { "12h", 43200 }, { "14d", 1209600 },
		{ "2w", 1209600 }, { "1y", 31536000 }, { "0", 0 } };
	static const char *const bad[] = { "", "d", "77", "00", "1 d", "-1d", "1.5h", "1dd", "1d2h",
		"1D", "99999999999999999999", "2000y", "+1d" };
	int64_t seconds;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(when_parse_span(cases[i].text, &seconds), ERR_OK);
		assert_true(seconds == cases[i].seconds);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(when_parse_span(bad[i], &seconds), ERR_DATA);
}

static void spans_for_people(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = { { 0, "0 seconds" }, { 1, "1 second" }, { 59, "59 seconds" },
		{ 60, "1 minute" }, { 7200, "2 hours" }, { 86399, "23 hours" },
		{ 14 * 86400, "14 days" }, { 365 * 86400, "1 year" } };
	char text[WHEN_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_string_equal(when_format_span(cases[i].seconds, text), cases[i].text);
}

static void far_points_fit(void **state)
{
	static const int64_t far[] = { INT64_MIN, -1, 253402300800, INT64_MAX };
	char text[WHEN_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
		assert_true(strlen(when_format(far[i], text)) < WHEN_TEXT_SIZE);
		assert_true(strlen(when_format_mail(far[i], text)) < WHEN_TEXT_SIZE);
		assert_true(strlen(when_format_day(far[i], text)) < WHEN_TEXT_SIZE);
		assert_true(strlen(when_format_span(far[i], text)) < WHEN_TEXT_SIZE);
	}
	assert_string_equal(when_format(-1, text), "1969-12-31T23:59:59Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(points),
		cmocka_unit_test(bad_points),
		cmocka_unit_test(spans),
		cmocka_unit_test(spans_for_people),
		cmocka_unit_test(far_points_fit),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
