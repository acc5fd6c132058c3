#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"

static void hexadecimal(void **state)
{
	static const uint8_t bytes[] = { 0x00, 0x9a, 0xFF };
	static const char *const bad[] = { "", "009AF", "009AFF0", "009AFG", "009A F", "0x9AFF",
		"009A-1" };
	struct buf out = BUF_INIT;
	uint8_t back[3];

	(void)state;
	hex_add(&out, bytes_of(bytes, sizeof bytes));
	assert_string_equal(buf_text(&out), "009AFF");
	assert_int_equal(hex_read("009aFf", back, sizeof back), ERR_OK);
	assert_memory_equal(back, bytes, sizeof bytes);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(hex_read(bad[i], back, sizeof back), ERR_DATA);
	buf_free(&out);
}

/* RFC 4648 section 10. */
static void base64_of_the_rfc(void **state)
{
	static const struct {
		const char *plain, *coded;
	} cases[] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
		{ "\xfb\xff", "+/8=" } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf out = BUF_INIT;

		base64_add(&out, bytes_of_text(cases[i].plain), 0, NULL);
		assert_string_equal(buf_text(&out), cases[i].coded);
		buf_clear(&out);
		assert_int_equal(base64_read(bytes_of_text(cases[i].coded), &out), ERR_OK);
		assert_string_equal(buf_text(&out), cases[i].plain);
		buf_free(&out);
	}
}

static void base64_in_lines(void **state)
{
	static const struct {
		const char *plain, *coded;
	} cases[] = { { "", "" }, { "foo", "Zm9v\r\n" }, { "foobar", "Zm9vYmFy\r\n" },
		{ "foobarfoo", "Zm9vYmFy\r\nZm9v\r\n" } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf out = BUF_INIT, back = BUF_INIT;

		base64_add(&out, bytes_of_text(cases[i].plain), 8, "\r\n");
		assert_string_equal(buf_text(&out), cases[i].coded);
		assert_int_equal(base64_read(buf_bytes(&out), &back), ERR_OK);
		assert_string_equal(buf_text(&back), cases[i].plain);
		buf_free(&out);
		buf_free(&back);
	}
}

static void bad_base64_adds_nothing(void **state)
{
	static const char *const bad[] = { "Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm9v=", "=",
		"====", "Zg==Zg==", "Zm9v\x01", "Zm9-", "Zm9v!", "Zm=v", "Z===" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct buf out = BUF_INIT;

		buf_add_text(&out, "kept");
		assert_int_equal(base64_read(bytes_of_text(bad[i]), &out), ERR_DATA);
		assert_string_equal(buf_text(&out), "kept");
		buf_free(&out);
	}
}

static void base64_there_and_back(void **state)
{
	(void)state;
	for (size_t len = 0; len < 100; len++) {
		struct buf in = BUF_INIT, coded = BUF_INIT, out = BUF_INIT;

		for (size_t i = 0; i < len; i++)
			buf_add_byte(&in, (int)(i * 37 + len) & 255);
		base64_add(&coded, buf_bytes(&in), 76, "\n");
		assert_int_equal(base64_read(buf_bytes(&coded), &out), ERR_OK);
		assert_true(bytes_equal(buf_bytes(&in), buf_bytes(&out)));
		buf_free(&in);
		buf_free(&coded);
		buf_free(&out);
	}
}

static void base32(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *text;
	} cases[] = { { "", 0, "" }, { "\xff", 1, "ZW" }, { "\x00\x44\x32\x14\xc7", 5, "01234567" },
		{ "\x08\x42\x10\x84\x21", 5, "11111111" },
		{ "\x80\x00\x00\x00\x00\x01", 6, "G000000004" },
		{ "\x00\x00\x00\x00\x1f", 5, "0000000Z" } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf out = BUF_INIT;

		base32_add(&out, bytes_of(cases[i].bytes, cases[i].len));
		assert_string_equal(buf_text(&out), cases[i].text);
		buf_free(&out);
	}
}

static void base32_symbols(void **state)
{
	(void)state;
	for (int i = 0; i < 32; i++) {
		assert_int_equal(base32_value(base32_alphabet[i]), i);
		if (i > 9)
			assert_int_equal(base32_value(base32_alphabet[i] + 32), i);
	}
	assert_int_equal(base32_value('I'), 1);
	assert_int_equal(base32_value('l'), 1);
	assert_int_equal(base32_value('o'), 0);
	for (const char *bad = "Uu -=\n*@`{"; *bad; bad++)
		assert_int_equal(base32_value(*bad), -1);
	assert_int_equal(base32_value(0), -1);
	assert_int_equal(base32_value(-1), -1);
	assert_int_equal(base32_value(0x130), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hexadecimal),
		cmocka_unit_test(base64_of_the_rfc),
		cmocka_unit_test(base64_in_lines),
		cmocka_unit_test(bad_base64_adds_nothing),
		cmocka_unit_test(base64_there_and_back),
		cmocka_unit_test(base32),
		cmocka_unit_test(base32_symbols),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
