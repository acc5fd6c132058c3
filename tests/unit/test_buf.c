#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static void a_buf_grows_and_ends_in_nul(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	assert_string_equal(buf_text(&b), "");
	for (int i = 0; i < 1000; i++) {
		buf_add_byte(&b, 'a' + i % 26);
		assert_int_equal(b.data[b.len], 0);
	}
	assert_int_equal(b.len, 1000);
	assert_int_equal(b.data[999], 'a' + 999 % 26);
	buf_clear(&b);
	assert_string_equal(buf_text(&b), "");
	buf_add_text(&b, "one");
	buf_addf(&b, " %d %s", 2, "three");
	assert_string_equal(buf_text(&b), "one 2 three");
	buf_free(&b);
	assert_null(b.data);
}

static void what_the_caller_wrote_is_terminated(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	memset(buf_reserve(&b, 200), 'x', 200);
	b.len += 200;
	assert_int_equal(strlen(buf_text(&b)), 200);
	buf_free(&b);
}

static void a_secret_is_wiped(void **state)
{
	struct buf b = BUF_SECRET;

	(void)state;
	buf_add_text(&b, "passphrase");
	buf_clear(&b);
	for (size_t i = 0; i < b.cap; i++)
		assert_int_equal(b.data[i], 0);
	buf_add_text(&b, "again");
	for (int i = 0; i < 1000; i++)
		buf_add_byte(&b, 's');
	assert_true(str_starts(buf_text(&b), "again"));
	buf_free(&b);
	assert_true(b.secret);
}

static void text_taken_is_the_callers(void **state)
{
	struct buf b = BUF_INIT;
	char *text;

	(void)state;
	text = buf_take_text(&b);
	assert_string_equal(text, "");
	str_free(&text);
	buf_add_text(&b, "abc");
	text = buf_take_text(&b);
	assert_string_equal(text, "abc");
	assert_int_equal(b.len, 0);
	str_wipe(&text);
	assert_null(text);
}

static void lines(void **state)
{
	static const struct {
		const char *text;
		const char *lines[4];
	} cases[] = {
		{ "", { NULL } },
		{ "a", { "a", NULL } },
		{ "a\n", { "a", NULL } },
		{ "a\r\nb", { "a", "b", NULL } },
		{ "\n\r\n", { "", "", NULL } },
		{ "a\rb\r\nc\r", { "a\rb", "c\r", NULL } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bytes rest = bytes_of_text(cases[i].text), line;

		for (size_t k = 0; cases[i].lines[k]; k++) {
			assert_true(bytes_line(&rest, &line));
			assert_true(bytes_equal(line, bytes_of_text(cases[i].lines[k])));
		}
		assert_false(bytes_line(&rest, &line));
	}
}

static void finding(void **state)
{
	struct bytes hay = bytes_of_text("abcabd");

	(void)state;
	assert_ptr_equal(bytes_find(hay, bytes_of_text("abd")), hay.data + 3);
	assert_ptr_equal(bytes_find(hay, bytes_of_text("")), hay.data);
	assert_null(bytes_find(hay, bytes_of_text("abcabde")));
	assert_null(bytes_find(bytes_of(NULL, 0), bytes_of_text("a")));
	assert_true(bytes_equal(bytes_of(NULL, 0), bytes_of_text("")));
	assert_false(bytes_equal(bytes_of_text("a"), bytes_of_text("b")));
}

static void strings(void **state)
{
	char *text;

	(void)state;
	assert_null(str_dup(NULL));
	text = str_ndup("abcdef", 3);
	assert_string_equal(text, "abc");
	str_free(&text);
	text = str_printf("%s-%03d", "x", 7);
	assert_string_equal(text, "x-007");
	str_free(&text);
	assert_true(str_equal(NULL, NULL));
	assert_false(str_equal(NULL, ""));
	assert_false(str_equal("a", "A"));
	assert_true(str_equal_case("aZ@[", "Az@["));
	assert_false(str_equal_case("a@", "a`"));
	assert_false(str_equal_case("abc", "ab"));
	assert_false(str_equal_case("ab", "abc"));
	assert_true(str_starts("abc", "ab"));
	assert_false(str_starts("a", "ab"));
	assert_true(str_starts_case("Subject: x", "subject:"));
	assert_false(str_starts_case("Sub", "subject:"));
	assert_true(str_ends("a.gpg", ".gpg"));
	assert_false(str_ends("pg", ".gpg"));
}

static void integers(void **state)
{
	static const struct {
		const char *text;
		int64_t min, max, value;
		enum err err;
	} cases[] = {
		{ "0", 0, 9, 0, ERR_OK },
		{ "-5", -9, 9, -5, ERR_OK },
		{ "9223372036854775807", 0, INT64_MAX, INT64_MAX, ERR_OK },
		{ "9223372036854775808", 0, INT64_MAX, 0, ERR_DATA },
		{ "10", 0, 9, 0, ERR_DATA },
		{ "-1", 0, 9, 0, ERR_DATA },
		{ "", 0, 9, 0, ERR_DATA },
		{ " 1", 0, 9, 0, ERR_DATA },
		{ "+1", 0, 9, 0, ERR_DATA },
		{ "1 ", 0, 9, 0, ERR_DATA },
		{ "0x1", 0, 9, 0, ERR_DATA },
		{ "-", 0, 9, 0, ERR_DATA },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int64_t value = 0;

		assert_int_equal(
		    str_to_int(cases[i].text, cases[i].min, cases[i].max, &value), cases[i].err);
		assert_true(value == cases[i].value);
	}
}

static void memory(void **state)
{
	uint8_t *p = mem_alloc(16);

	(void)state;
	for (int i = 0; i < 16; i++)
		assert_int_equal(p[i], 0);
	memset(p, 1, 16);
	mem_wipe(p, 15);
	assert_int_equal(p[14], 0);
	assert_int_equal(p[15], 1);
	free(p);
	assert_null(mem_dup("x", 0));
	p = mem_dup("xyz", 4);
	assert_string_equal((char *)p, "xyz");
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_buf_grows_and_ends_in_nul),
		cmocka_unit_test(what_the_caller_wrote_is_terminated),
		cmocka_unit_test(a_secret_is_wiped),
		cmocka_unit_test(text_taken_is_the_callers),
		cmocka_unit_test(lines),
		cmocka_unit_test(finding),
		cmocka_unit_test(strings),
		cmocka_unit_test(integers),
		cmocka_unit_test(memory),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
