/* What the client keeps on disk comes back as it was, and a damaged record says which line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/record.c"

struct sample {
	char *text;
	char fingerprint[41];
	int64_t time;
	bool flag;
	struct buf bytes;
};

static const struct record_field fields[] = {
	{ "Text", RECORD_TEXT, offsetof(struct sample, text) },
	{ "Fingerprint", RECORD_FINGERPRINT, offsetof(struct sample, fingerprint) },
	{ "Time", RECORD_TIME, offsetof(struct sample, time) },
	{ "Flag", RECORD_FLAG, offsetof(struct sample, flag) },
	{ "Bytes", RECORD_BYTES, offsetof(struct sample, bytes) },
	{ NULL, RECORD_TEXT, 0 },
};

#define FPR "0123456789ABCDEF0123456789ABCDEF01234567"

static void test_round_trip(void **state)
{
	struct sample in = { .text = str_dup("a: b  "),
		.fingerprint = FPR,
		.time = 1700000000,
		.flag = true },
		      out = { 0 };
	struct buf text = BUF_INIT;

	(void)state;
	buf_add(&in.bytes, "\0\1\2\377", 4);
	record_write(fields, &in, &text);
	assert_string_equal(buf_text(&text),
	    "Text: a: b  \nFingerprint: " FPR
	    "\nTime: 2023-11-14T22:13:20Z\nFlag: yes\nBytes: AAEC/w==\n");
	assert_int_equal(record_read(buf_bytes(&text), fields, &out), ERR_OK);
	assert_string_equal(out.text, in.text);
	assert_string_equal(out.fingerprint, in.fingerprint);
	assert_int_equal(out.time, in.time);
	assert_true(out.flag);
	assert_true(bytes_equal(buf_bytes(&out.bytes), buf_bytes(&in.bytes)));
	record_clear(fields, &in);
	record_clear(fields, &out);
	assert_null(out.text);
	assert_int_equal(out.time, 0);
	buf_free(&text);
}

static void test_empty(void **state)
{
	struct sample in = { 0 };
	struct buf text = BUF_INIT;

	(void)state;
	record_write(fields, &in, &text);
	assert_int_equal(text.len, 0);
	assert_int_equal(record_read(buf_bytes(&text), fields, &in), ERR_OK);
	assert_null(in.text);
	buf_free(&text);
}

static void test_damage(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *names;
	} cases[] = {
		{ "Other: x\n", 9, "Other: x" },
		{ "Text\n", 5, "Text" },
		{ "Texts: x\n", 9, "Texts" },
		{ "Text: a\nText: b\n", 16, "Text" },
		{ "Fingerprint: 12\n", 16, "Fingerprint" },
		{ "Fingerprint: " FPR "00\n", 56, "Fingerprint" },
		{ "Time: yesterday\n", 16, "Time" },
		{ "Flag: no\n", 9, "Flag" },
		{ "Bytes: A\n", 9, "Bytes" },
		{ "Text: a\0b\n", 10, "NUL" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sample out = { 0 };

		assert_int_equal(
		    record_read(bytes_of(cases[i].text, cases[i].len), fields, &out), ERR_DATA);
		if (strstr(err_text(), cases[i].names) == NULL)
			fail_msg(
			    "case %zu: \"%s\" does not name %s", i, err_text(), cases[i].names);
		record_clear(fields, &out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_damage),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
