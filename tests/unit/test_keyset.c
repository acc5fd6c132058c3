#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "enroll/keyset.h"

static void test_valid(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		bool valid;
	} cases[] = {
		{ "default", true },
		{ "A", true },
		{ "9 lives_at-home.2", true },
		{ "a23456789012345678901234567890 2", true },
		{ "a23456789012345678901234567890123", false },
		{ "", false },
		{ " a", false },
		{ "a ", false },
		{ "-a", false },
		{ ".a", false },
		{ "_a", false },
		{ "a\tb", false },
		{ "a/b", false },
		{ "b\xc3\xa9", false },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(keyset_name_valid(cases[i].name), cases[i].valid);
}

static void test_fold(void **state)
{
	(void)state;
	char out[KEYSET_NAME_MAX + 1];
	assert_string_equal(keyset_name_fold("My   Work  Laptop", out), "my work laptop");
	assert_string_equal(keyset_name_fold("DEFAULT", out), "default");
	assert_string_equal(keyset_name_fold("a23456789012345678901234567890123456", out),
	    "a2345678901234567890123456789012");
	assert_string_equal(keyset_name_fold("", out), "");
}

static bool taken_below(const char *name, void *context)
{
	unsigned *calls = context;
	assert_true(keyset_name_valid(name));
	return ++*calls < 9;
}

static bool never_taken(const char *name, void *context)
{
	(void)name;
	(void)context;
	return false;
}

static void test_free_name(void **state)
{
	(void)state;
	unsigned calls = 0;
	char *name = keyset_name_free("default", never_taken, NULL);
	assert_string_equal(name, "default-2");
	str_free(&name);
	name = keyset_name_free("default", taken_below, &calls);
	assert_string_equal(name, "default-10");
	str_free(&name);
	name = keyset_name_free("a2345678901234567890123456789 12", never_taken, NULL);
	assert_string_equal(name, "a2345678901234567890123456789-2");
	str_free(&name);
}

static void test_find(void **state)
{
	(void)state;
	static const struct {
		const char *text, *name;
	} cases[] = {
		{ "Keyset: work", "work" },
		{ "Hello\r\n\r\nkeyset:  My Laptop \t\r\nKeyset: second\r\n", "My Laptop" },
		{ "> > Keyset: work\n", "work" },
		{ "*Keyset:* \"work\"\n", "work" },
		{ "KEYSET : work", "work" },
		{ "Keyset: a/b", "a/b" },
		{ "Keyset:\n", NULL },
		{ "Keyset work\n", NULL },
		{ "My Keyset: work\n", NULL },
		{ "Keys", NULL },
		{ "", NULL },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *name = keyset_name_find(bytes_of_text(cases[i].text));
		if (cases[i].name) {
			assert_non_null(name);
			assert_string_equal(name, cases[i].name);
		} else {
			assert_null(name);
		}
		str_free(&name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_fold),
		cmocka_unit_test(test_free_name),
		cmocka_unit_test(test_find),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
