/* The event that goes along with a reminder (RFC 5545). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "mail/calendar.h"

#define NOW 1795320000 /* 2026-11-22T04:00:00Z */

static const struct calendar_event plain = { .uid = "ABCD-20261223@example.org",
	.made = NOW,
	.day = NOW + 31 * 86400,
	.summary = "It ends",
	.description = "Renew it.",
	.alarm_days = 1 };

static void whole(void **state)
{
	static const char expected[] =
	    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Countersign//Countersign//EN\r\n"
	    "METHOD:PUBLISH\r\nBEGIN:VEVENT\r\nUID:ABCD-20261223@example.org\r\n"
	    "DTSTAMP:20261122T040000Z\r\nDTSTART;VALUE=DATE:20261223\r\n"
	    "DTEND;VALUE=DATE:20261224\r\nSUMMARY:It ends\r\nDESCRIPTION:Renew it.\r\n"
	    "TRANSP:TRANSPARENT\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:It ends\r\n"
	    "TRIGGER:-P1D\r\nEND:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
	struct buf out = BUF_INIT;

	(void)state;
	calendar_write(&plain, &out);
	assert_string_equal(buf_text(&out), expected);
	buf_free(&out);
}

static void escaped(void **state)
{
	static const struct {
		const char *text, *line;
	} cases[] = {
		{ "a, b; c", "\r\nSUMMARY:a\\, b\\; c\r\n" },
		{ "back\\slash", "\r\nSUMMARY:back\\\\slash\r\n" },
		{ "two\nlines", "\r\nSUMMARY:two\\nlines\r\n" },
		{ "no\rnew\tline\x7f", "\r\nSUMMARY:nonewline\r\n" },
		{ "\"quoted,;\"@example.org", "\r\nSUMMARY:\"quoted\\,\\;\"@example.org\r\n" },
		{ "", "\r\nSUMMARY:\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct calendar_event event = plain;
		struct buf out = BUF_INIT;
		event.summary = cases[i].text;
		calendar_write(&event, &out);
		assert_non_null(strstr(buf_text(&out), cases[i].line));
		buf_free(&out);
	}
}

/* RFC 5545 3.1: no line is longer than 75 octets, none is cut within a character, and unfolding gives the text back. */
static void folded(void **state)
{
	(void)state;
	for (size_t len = 0; len < 400; len++) {
		struct calendar_event event = plain;
		struct buf text = BUF_INIT, out = BUF_INIT, unfolded = BUF_INIT, line = BUF_INIT;
		for (size_t i = 0; i < len; i++)
			buf_add_text(&text, i % 3 ? "x" : "\u00e9");
		event.description = buf_text(&text);
		calendar_write(&event, &out);
		struct bytes rest = buf_bytes(&out), one;
		while (bytes_line(&rest, &one)) {
			bool folds = one.len > 0 && one.data[0] == ' ';
			assert_true(one.len <= 75);
			assert_true(one.len < 2 || (one.data[folds] & 0xc0) != 0x80);
			if (!folds)
				buf_add_byte(&unfolded, '\n');
			buf_add(&unfolded, one.data + folds, one.len - folds);
		}
		buf_addf(&line, "\nDESCRIPTION:%s\n", buf_text(&text));
		assert_non_null(strstr(buf_text(&unfolded), buf_text(&line)));
		buf_free(&text);
		buf_free(&out);
		buf_free(&unfolded);
		buf_free(&line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),
		cmocka_unit_test(escaped),
		cmocka_unit_test(folded),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
