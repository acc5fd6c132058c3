#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "print/table.h"

static const char *const keys[] = { "address", "count", "since", "last", NULL };
static const char *const heads[] = { "Address", "Count", "Since", "Last", NULL };

static void add_row(struct table *t, const char *address, int64_t count, int64_t since, bool last)
{
	table_row(t);
	table_text(t, address);
	table_number(t, count);
	table_time(t, since);
	table_bool(t, last);
}

static void assert_printed(struct table *t, const char *expected)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	assert_int_equal(table_print(&t, out), ERR_OK);
	assert_null(t);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, expected);
	str_free(&text);
}

static struct table *list(bool json)
{
	struct table *t = table_list(json, keys, heads);

	add_row(t, "alice@example.org", 7, 1795320000, true);
	add_row(t, "漢\x1b@x", 12345, 0, false);
	add_row(t, NULL, -1, 0, false);
	return t;
}

static void a_list_for_people(void **state)
{
	(void)state;
	assert_printed(list(false), "Address            Count  Since                 Last\n"
				    "alice@example.org      7  2026-11-22T04:00:00Z  yes\n"
				    "漢 @x              12345  -                     no\n"
				    "-                     -1  -                     no\n");
}

static void a_list_for_programs(void **state)
{
	(void)state;
	assert_printed(list(true),
	    "[\n"
	    "  {\n    \"address\": \"alice@example.org\",\n    \"count\": 7,\n"
	    "    \"since\": \"2026-11-22T04:00:00Z\",\n    \"last\": true\n  },\n"
	    "  {\n    \"address\": \"漢\\u001B@x\",\n    \"count\": 12345,\n"
	    "    \"since\": null,\n    \"last\": false\n  },\n"
	    "  {\n    \"address\": null,\n    \"count\": -1,\n"
	    "    \"since\": null,\n    \"last\": false\n  }\n"
	    "]\n");
}

static void empty_lists(void **state)
{
	(void)state;
	assert_printed(table_list(false, keys, heads), "");
	assert_printed(table_list(true, keys, heads), "[]\n");
	assert_printed(table_page(false), "");
	assert_printed(table_page(true), "{}\n");
}

static struct table *page(bool json)
{
	static const char *const inner_keys[] = { "name", "n", NULL };
	static const char *const inner_heads[] = { "Name", "N", NULL };
	struct table *t = table_page(json), *inner = table_list(json, inner_keys, inner_heads);

	table_row(inner);
	table_text(inner, "default");
	table_number(inner, 10);
	table_field_text(t, "z", "Zed", "two\nlines");
	table_field_number(t, "a", "A longer label", 42);
	table_field_bool(t, "ok", "Fine", false);
	table_field_time(t, "when", "When", 1795320000);
	table_field_text(t, "none", "None", NULL);
	table_field_list(t, "keysets", "Keysets", inner);
	table_field_list(t, "tokens", "Tokens", table_list(json, inner_keys, inner_heads));
	return t;
}

static void a_page_for_people(void **state)
{
	(void)state;
	assert_printed(page(false), "Zed:            two lines\n"
				    "A longer label: 42\n"
				    "Fine:           no\n"
				    "When:           2026-11-22T04:00:00Z\n"
				    "None:           -\n"
				    "\n"
				    "Keysets:\n"
				    "  Name      N\n"
				    "  default  10\n"
				    "\n"
				    "Tokens: none\n");
}

static void a_page_for_programs(void **state)
{
	(void)state;
	assert_printed(page(true),
	    "{\n"
	    "  \"z\": \"two\\nlines\",\n"
	    "  \"a\": 42,\n"
	    "  \"ok\": false,\n"
	    "  \"when\": \"2026-11-22T04:00:00Z\",\n"
	    "  \"none\": null,\n"
	    "  \"keysets\": [\n    {\n      \"name\": \"default\",\n      \"n\": 10\n    }\n  ],\n"
	    "  \"tokens\": []\n"
	    "}\n");
}

static void bad_utf8_is_replaced(void **state)
{
	struct table *t = table_page(true);

	(void)state;
	table_field_text(t, "x", "X", "a\xff");
	assert_printed(t, "{\n  \"x\": \"a\xef\xbf\xbd\"\n}\n");
}

static void a_full_output_is_a_fault(void **state)
{
	struct table *t = list(false);
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(full);
	assert_int_equal(table_print(&t, full), ERR_IO);
	assert_null(t);
	(void)fclose(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_for_people),
		cmocka_unit_test(a_list_for_programs),
		cmocka_unit_test(empty_lists),
		cmocka_unit_test(a_page_for_people),
		cmocka_unit_test(a_page_for_programs),
		cmocka_unit_test(bad_utf8_is_replaced),
		cmocka_unit_test(a_full_output_is_a_fault),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
