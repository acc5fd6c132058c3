#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "draw/plot.h"
#include "draw/qr.h"

static size_t count_of(const struct buf *text, const char *part)
{
	size_t count = 0;

	for (const char *at = buf_text(text); (at = strstr(at, part)); at++)
		count++;
	return count;
}

/* The dark modules of an SVG, row by row; what the runs of its path say. */
static void read_modules(const struct buf *svg, int size, char *out)
{
	const char *at = strstr(buf_text(svg), "<path d=\"");

	memset(out, '.', (size_t)(size * size));
	assert_non_null(at);
	while ((at = strchr(at, 'M'))) {
		char *end;
		long x = strtol(at + 1, &end, 10), y = strtol(end, &end, 10);
		long wide = strtol(end + 1, &end, 10);

		assert_true(x >= 4 && y >= 4 && wide >= 1 && x + wide <= size - 4 && y < size - 4);
		memset(out + y * size + x, '#', (size_t)wide);
		at = end;
	}
}

/* The finder patterns stand in three corners (ISO/IEC 18004 6.3.3), the quiet zone around them. */
static void codes_have_their_patterns(void **state)
{
	static const struct {
		size_t chars;
		int modules; /* of the smallest version at level M */
	} cases[] = { { 1, 21 }, { 14, 21 }, { 15, 25 }, { 100, 41 }, { 2331, 177 } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf text = BUF_INIT, svg = BUF_INIT;
		int size = cases[i].modules + 8;
		char *modules = mem_alloc((size_t)(size * size)), box[64];

		for (size_t k = 0; k < cases[i].chars; k++)
			buf_add_byte(&text, 'a');
		assert_int_equal(qr_add_svg(buf_text(&text), &svg), ERR_OK);
		(void)snprintf(box, sizeof box, "viewBox=\"0 0 %d %d\"", size, size);
		assert_non_null(strstr(buf_text(&svg), box));
		read_modules(&svg, size, modules);
		for (int corner = 0; corner < 3; corner++) {
			int x = corner == 1 ? size - 11 : 4, y = corner == 2 ? size - 11 : 4;

			assert_memory_equal(modules + y * size + x, "#######", 7);
			assert_memory_equal(modules + (y + 1) * size + x, "#.....#", 7);
			assert_memory_equal(modules + (y + 3) * size + x, "#.###.#", 7);
		}
		free(modules);
		buf_free(&text);
		buf_free(&svg);
	}
}

static void too_much_for_a_code_is_said(void **state)
{
	struct buf text = BUF_INIT, svg = BUF_INIT;

	(void)state;
	for (size_t k = 0; k < 2332; k++)
		buf_add_byte(&text, 'a');
	assert_int_equal(qr_add_svg(buf_text(&text), &svg), ERR_DATA);
	assert_non_null(strstr(err_text(), "2332 characters"));
	assert_int_equal(svg.len, 0);
	buf_free(&text);
	buf_free(&svg);
}

static void columns_have_a_scale(void **state)
{
	static const struct {
		int64_t most;
		const char *top; /* the highest number of the axis */
	} cases[] = { { 0, ">1<" }, { 1, ">1<" }, { 4, ">4<" }, { 5, ">6<" }, { 9, ">10<" },
		{ 100, ">100<" }, { 101, ">150<" }, { 999999, ">1000000<" } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct plot_bar bars[] = { { "one", cases[i].most }, { "two", 0 } };
		struct buf svg = BUF_INIT;

		plot_add_columns("Both", bars, 2, &svg);
		if (!strstr(buf_text(&svg), cases[i].top))
			fail_msg("case %zu: %s", i, buf_text(&svg));
		assert_int_equal(count_of(&svg, "class=\"bar\""), cases[i].most > 0);
		buf_free(&svg);
	}
}

static void labels_that_have_no_room_are_left_out(void **state)
{
	struct plot_bar bars[36];
	struct buf svg = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < 36; i++)
		bars[i] = (struct plot_bar){ "2026-11", 1 };
	plot_add_columns("Months", bars, 36, &svg);
	assert_int_equal(count_of(&svg, "<rect class=\"bar\""), 36);
	assert_in_range(count_of(&svg, ">2026-11</text>"), 2, 6);
	buf_free(&svg);
}

static void what_is_written_is_escaped(void **state)
{
	const struct plot_bar bars[] = { { "<b> & \"'", 3 } };
	struct buf svg = BUF_INIT;

	(void)state;
	plot_add_bars("<title>", bars, 1, &svg);
	plot_add_columns("<title>", bars, 1, &svg);
	assert_null(strstr(buf_text(&svg), "<b>"));
	assert_int_equal(count_of(&svg, "<title>&#60;title&#62;</title>"), 2);
	assert_int_equal(count_of(&svg, "&#60;b&#62; &#38; &#34;&#39;"), 4);
	buf_free(&svg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_have_their_patterns),
		cmocka_unit_test(too_much_for_a_code_is_said),
		cmocka_unit_test(columns_have_a_scale),
		cmocka_unit_test(labels_that_have_no_room_are_left_out),
		cmocka_unit_test(what_is_written_is_escaped),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
