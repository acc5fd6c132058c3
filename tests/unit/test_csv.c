#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "text/csv.h"

/* Rows as "LINE:cell|cell;" */
static void show(const struct csv *csv, struct buf *out)
{
	for (size_t i = 0; i < csv->count; i++) {
		buf_addf(out, "%zu:", csv->rows[i].line);
		for (size_t k = 0; k < csv->rows[i].count; k++)
			buf_addf(out, "%s%s", k ? "|" : "", csv->rows[i].cells[k]);
		buf_add_byte(out, ';');
	}
}

static void tables(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{ "", "" },
		{ "\n\r\n\n", "" },
		{ "a,b\n", "1:a|b;" },
		{ "a,b", "1:a|b;" },
		{ "a,b\r\nc,d\r\n", "1:a|b;2:c|d;" },
		{ "\xef\xbb\xbf"
		  "a;b\n",
		    "1:a|b;" },
		{ "a;b,c;d\n1;2\n", "1:a|b,c|d;2:1|2;" },
		{ "a\tb, c\td\n", "1:a|b, c|d;" },
		{ "\"x;y;z\",b\n", "1:x;y;z|b;" },
		{ " a , b c ,\n", "1:a|b c|;" },
		{ "\"a, b\",\"say \"\"hi\"\"\"\n", "1:a, b|say \"hi\";" },
		{ "\"two\nlines\",b\nc,d\n", "1:two\nlines|b;3:c|d;" },
		{ "\" a \" ,b\n", "1: a |b;" },
		{ "a,,c\n,,\nd\n", "1:a||c;3:d;" },
		{ "J\xc3\xbcrgen,\xe2\x82\xac\n", "1:J\xc3\xbcrgen|\xe2\x82\xac;" },
		{ "a\"b,c\n", "1:a\"b|c;" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf text = BUF_INIT;
		struct csv csv;

		if (csv_read(bytes_of_text(cases[i].text), &csv))
			fail_msg("case %zu: %s", i, err_text());
		show(&csv, &text);
		assert_string_equal(buf_text(&text), cases[i].expected);
		buf_free(&text);
		csv_free(&csv);
	}
}

static void faults_name_their_line(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *says;
	} cases[] = {
		{ "a\n\"b,c\nd\n", 9, "line 2: a quotation mark is never closed" },
		{ "a\n\"b\"c,d\n", 9, "line 2: there is text behind" },
		{ "a\nb\xff\n", 5, "line 2 is not UTF-8" },
		{ "a\nb\0c\n", 6, "line 2 holds control characters" },
		{ "a\033[31m\n", 7, "line 1 holds control characters" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct csv csv;

		assert_int_equal(csv_read(bytes_of(cases[i].text, cases[i].len), &csv), ERR_DATA);
		if (!strstr(err_text(), cases[i].says))
			fail_msg("case %zu: %s", i, err_text());
		assert_int_equal(csv.count, 0);
	}
}

static void a_bad_line_spoils_no_other(void **state)
{
	static const char text[] = "address,name\n"
				   "a@x,\"Never closed\n"
				   "b@x,B\n"
				   "c@x,\xff\n"
				   "d@x,\"D\" d\n"
				   "\n"
				   "e@x,\"two\nlines\"\n"
				   "f@x,F";
	struct csv_reader reader;
	struct csv_row row;
	struct buf seen = BUF_INIT;
	bool more = true;

	(void)state;
	csv_start(bytes_of_text(text), &reader);
	while (more) {
		enum err e = csv_next(&reader, &row, &more);

		if (more)
			buf_addf(&seen, "%zu:%s;", row.line, e ? "bad" : csv_cell(&row, 0));
		csv_row_clear(&row);
	}
	assert_string_equal(buf_text(&seen), "1:address;2:bad;3:b@x;4:bad;5:bad;7:e@x;9:f@x;");
	buf_free(&seen);
}

static void a_quote_that_swallows_much_is_bad(void **state)
{
	struct buf text = BUF_INIT;
	struct csv_reader reader;
	struct csv_row row;
	bool more;

	(void)state;
	buf_add_text(&text, "\"a\n");
	for (size_t i = 0; i < 20000; i++)
		buf_add_text(&text, "b,c\n");
	buf_add_text(&text, "d\"\n");
	csv_start(buf_bytes(&text), &reader);
	assert_int_equal(csv_next(&reader, &row, &more), ERR_DATA);
	assert_true(more);
	assert_int_equal(row.line, 1);
	csv_row_clear(&row);
	assert_int_equal(csv_next(&reader, &row, &more), ERR_OK);
	assert_string_equal(csv_cell(&row, 1), "c");
	assert_int_equal(row.line, 2);
	csv_row_clear(&row);
	buf_free(&text);
}

static void what_is_written_reads_the_same(void **state)
{
	static const char *const cells[] = { "alice@example.org", "A, B", "say \"hi\"", " blank ",
		"two\nlines", NULL, "J\xc3\xbcrgen", "a;b" };
	struct buf text = BUF_INIT;
	struct csv csv;

	(void)state;
	csv_add(&text, cells, 8);
	csv_add(&text, cells, 2);
	assert_int_equal(csv_read(buf_bytes(&text), &csv), ERR_OK);
	assert_int_equal(csv.count, 2);
	for (size_t i = 0; i < 9; i++)
		assert_string_equal(csv_cell(&csv.rows[0], i), i < 8 && cells[i] ? cells[i] : "");
	csv_free(&csv);
	buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables),
		cmocka_unit_test(faults_name_their_line),
		cmocka_unit_test(a_bad_line_spoils_no_other),
		cmocka_unit_test(a_quote_that_swallows_much_is_bad),
		cmocka_unit_test(what_is_written_reads_the_same),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
