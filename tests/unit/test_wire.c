#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/wire.h"

static struct buf sample(void)
{
	struct buf b = BUF_INIT;

	wire_put_u8(&b, 200);
	wire_put_u32(&b, 0xFFFFFFFE);
	wire_put_i64(&b, INT64_MIN);
	wire_put_text(&b, "alice");
	wire_put_text(&b, "");
	wire_put_text(&b, NULL);
	wire_put_bytes(&b, bytes_of("a\0b", 3));
	return b;
}

static void read_sample(struct wire *w)
{
	char *text;

	(void)wire_u8(w);
	(void)wire_u32(w);
	(void)wire_i64(w);
	for (int i = 0; i < 3; i++) {
		text = wire_text(w);
		str_free(&text);
	}
	(void)wire_bytes(w);
}

static void there_and_back(void **state)
{
	struct buf b = sample();
	struct wire w = wire_open(buf_bytes(&b));
	char *text;

	(void)state;
	assert_int_equal(wire_u8(&w), 200);
	assert_int_equal(wire_u32(&w), 0xFFFFFFFE);
	assert_true(wire_i64(&w) == INT64_MIN);
	text = wire_text(&w);
	assert_string_equal(text, "alice");
	str_free(&text);
	text = wire_text(&w);
	assert_string_equal(text, "");
	str_free(&text);
	assert_null(wire_text(&w));
	assert_int_equal(wire_end(&w), ERR_PROTOCOL);
	assert_true(bytes_equal(wire_bytes(&w), bytes_of("a\0b", 3)));
	assert_int_equal(wire_end(&w), ERR_OK);
	buf_free(&b);
}

static void little_endian(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	wire_put_u32(&b, 0x01020304);
	wire_put_text(&b, "x");
	assert_true(bytes_equal(buf_bytes(&b), bytes_of("\4\3\2\1\1\0\0\0x", 9)));
	buf_free(&b);
}

static void every_cut_is_a_fault(void **state)
{
	struct buf b = sample();

	(void)state;
	for (size_t len = 0; len < b.len; len++) {
		uint8_t *copy = mem_dup(b.data, len);
		struct wire w = wire_open(bytes_of(copy, len));

		read_sample(&w);
		assert_true(w.bad);
		assert_int_equal(wire_end(&w), ERR_PROTOCOL);
		assert_int_equal(wire_u8(&w), 0);
		assert_null(wire_bytes(&w).data);
		str_free((char **)&copy);
	}
	buf_free(&b);
}

static void hostile_lengths(void **state)
{
	static const struct {
		const char *record;
		size_t len;
	} cases[] = { { "\xff\xff\xff\x7f", 4 }, { "\xfe\xff\xff\xff", 4 }, { "\x02\0\0\0a", 5 },
		{ "\x03\0\0\0a\0b", 7 } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct wire w = wire_open(bytes_of(cases[i].record, cases[i].len));

		assert_null(wire_text(&w));
		assert_true(w.bad);
	}
	/* The mark of NULL is no length of bytes. */
	struct wire w = wire_open(bytes_of("\xff\xff\xff\xff", 4));
	assert_null(wire_bytes(&w).data);
	assert_int_equal(wire_end(&w), ERR_PROTOCOL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(little_endian),
		cmocka_unit_test(every_cut_is_a_fault),
		cmocka_unit_test(hostile_lengths),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
