#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "text/utf8.h"

static void validity(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} cases[] = { { "", true }, { "abc", true }, { "ä€😀", true }, { "\xff", false },
		{ "\xc3", false }, { "\xc0\x80", false }, { "\xed\xa0\x80", false },
		{ "\xf4\x90\x80\x80", false } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(utf8_valid(bytes_of_text(cases[i].text)), cases[i].valid);
	assert_true(utf8_valid(bytes_of(NULL, 0)));
}

struct conversion {
	const char *charset;
	const char *in;
	size_t len;
	const char *out;
};

#define IN(text) text, sizeof text - 1

static void assert_conversions(const struct conversion *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct buf out = BUF_INIT;

		buf_add_text(&out, ">");
		utf8_convert(bytes_of(cases[i].in, cases[i].len), cases[i].charset, &out);
		assert_string_equal(buf_text(&out) + 1, cases[i].out);
		assert_int_equal(strlen(buf_text(&out)), out.len);
		buf_free(&out);
	}
}

/* These need no descriptor. */
static void built_in(void **state)
{
	static const struct conversion cases[] = {
		{ NULL, IN("gr\xc3\xbc\xc3\x9f"), "grüß" },
		{ NULL, IN("gr\xfc\xdf \x80"), "grüß €" },
		{ "x-unknown", IN("\x93quoted\x94"), "“quoted”" },
		{ "x-unknown", IN("ä"), "ä" },
		{ "", IN("abc"), "abc" },
		{ "us-ascii", IN("\xe4"), "ä" },
		{ "US-ASCII", IN("ä"), "ä" },
		{ "utf-8",
		    IN("a\xff"
		       "b\xc3"),
		    "a\xef\xbf\xbd"
		    "b\xef\xbf\xbd" },
		{ "UTF8", IN("ä\0b"), "äb" },
		{ "iso-8859-1", IN("\xe4\x96\0x"), "ä–x" },
		{ "ISO_8859-1", IN("\xe4"), "ä" },
		{ "Windows-1252", IN("\x80\x9f\xff"), "€Ÿÿ" },
		{ "utf-8", IN(""), "" },
	};

	(void)state;
	assert_conversions(cases, sizeof cases / sizeof cases[0]);
}

static void preloaded(void **state)
{
	static const struct conversion cases[] = {
		{ "iso-8859-15", IN("\xa4"), "€" }, { "ISO8859-2", IN("\xb1"), "ą" },
		{ "windows-1251", IN("\xcf\xf0\xe8"), "При" },
		{ "KOI8-R", IN("\xf0\xd2\xc9"), "При" },
		{ "iso-2022-jp", IN("\x1b$B4A;z\x1b(B ok"), "漢字 ok" },
		{ "shift_jis", IN("\x8a\xbf\x8e\x9a"), "漢字" },
		{ "euc-jp", IN("\xb4\xc1\xbb\xfa"), "漢字" },
		{ "gb18030", IN("\xba\xba\xd7\xd6"), "汉字" },
		{ "gb2312", IN("\xba\xba\xd7\xd6"), "汉字" },
		{ "Big5", IN("\xba\x7e\xa6\x72"), "漢字" }, { "euc-kr", IN("\xc7\xd1"), "한" },
		{ "ks_c_5601-1987", IN("\xc7\xd1"), "한" },
		{ "utf-16", IN("\xff\xfe\xe4\0b\0"), "äb" },
		{ "utf-16be", IN("\0\xe4\0\0\0b"), "äb" }, { "utf-7", IN("a+AOQ-b"), "aäb" },
		{ "windows-1253",
		    IN("a\xaa"
		       "b"),
		    "a\xef\xbf\xbd"
		    "b" },                                           /* unassigned */
		{ "shift_jis", IN("a\x8a"), "a\xef\xbf\xbd" },       /* cut */
		{ "iso-2022-jp", IN("plain again"), "plain again" }, /* no state left over */
	};

	(void)state;
	utf8_preload();
	utf8_preload();
	assert_conversions(cases, sizeof cases / sizeof cases[0]);
}

static void long_texts(void **state)
{
	struct buf in = BUF_INIT, out = BUF_INIT;

	(void)state;
	for (int i = 0; i < 10000; i++)
		buf_add_text(&in, "\xe4");
	utf8_convert(buf_bytes(&in), "iso-8859-15", &out);
	assert_int_equal(out.len, 20000);
	for (size_t i = 0; i < out.len; i += 2)
		assert_memory_equal(out.data + i, "ä", 2);
	buf_free(&in);
	buf_free(&out);
}

static void any_bytes_give_valid_text(void **state)
{
	static const char *const charsets[] = { NULL, "utf-8", "iso-8859-1", "iso-2022-jp",
		"gb18030", "utf-16", "utf-7", "big5", "iso-2022-kr", "euc-kr", "utf-32" };
	uint8_t bytes[512];
	uint32_t seed = 1;

	(void)state;
	for (size_t round = 0; round < 200; round++) {
		for (size_t i = 0; i < sizeof bytes; i++) {
			seed = seed * 1664525 + 1013904223;
			bytes[i] = (uint8_t)(seed >> 24);
		}
		for (size_t i = 0; i < sizeof charsets / sizeof charsets[0]; i++) {
			struct buf out = BUF_INIT;

			utf8_convert(bytes_of(bytes, sizeof bytes), charsets[i], &out);
			assert_true(utf8_valid(buf_bytes(&out)));
			assert_int_equal(strlen(buf_text(&out)), out.len);
			buf_free(&out);
		}
	}
}

static void printable_texts(void **state)
{
	static const struct {
		const char *text, *line, *lines;
	} cases[] = {
		{ "abc ä 漢", "abc ä 漢", "abc ä 漢" },
		{ "a\tb\nc\r\n", "a b c  ", "a\tb\nc \n" },
		{ "\x1b[1m\x7f\xc2\x9b", " [1m  ", " [1m  " },
		{ "a\xe2\x80\xae"
		  "b\xe2\x81\xa6\xe2\x80\x8f",
		    "a b  ", "a b  " },
		{ "a\xe2\x80\xa8"
		  "b",
		    "a b", "a b" },
		{ "a\xff"
		  "b\xc3",
		    "a\xef\xbf\xbd"
		    "b\xef\xbf\xbd",
		    "a\xef\xbf\xbd"
		    "b\xef\xbf\xbd" },
		{ "", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *line = utf8_printable(cases[i].text, false),
		     *lines = utf8_printable(cases[i].text, true);

		assert_string_equal(line, cases[i].line);
		assert_string_equal(lines, cases[i].lines);
		str_free(&line);
		str_free(&lines);
	}
}

static void widths(void **state)
{
	(void)state;
	assert_int_equal(utf8_width(""), 0);
	assert_int_equal(utf8_width("abc"), 3);
	assert_int_equal(utf8_width("äo\xcc\x88"), 2);
	assert_int_equal(utf8_width("漢字"), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(validity),
		cmocka_unit_test(built_in),
		cmocka_unit_test(preloaded),
		cmocka_unit_test(long_texts),
		cmocka_unit_test(any_bytes_give_valid_text),
		cmocka_unit_test(printable_texts),
		cmocka_unit_test(widths),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
