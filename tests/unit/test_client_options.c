/* The client's command line: one table is parser and help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/options.c"

static const struct option taken[] = {
	{ "--output", "FILE", offsetof(struct options, output), "a file" },
	{ "--again", NULL, offsetof(struct options, again), "a flag" },
	{ NULL, NULL, 0, NULL },
};
static const struct verb with = { "with", "[FILE]", "takes one", taken, NULL };
static const struct verb without = { "without", NULL, "takes none", taken, NULL };

static void test_read(void **state)
{
	static const struct {
		const struct verb *verb;
		const char *arguments[6];
		enum err e;
		const char *operand, *output;
		bool again;
	} cases[] = {
		{ &with, { NULL }, ERR_OK, NULL, NULL, false },
		{ &with, { "a" }, ERR_OK, "a", NULL, false },
		{ &with, { "-" }, ERR_OK, "-", NULL, false },
		{ &with, { "--output", "f", "a", "--again" }, ERR_OK, "a", "f", true },
		{ &with, { "--output=f" }, ERR_OK, NULL, "f", false },
		{ &with, { "--output=" }, ERR_OK, NULL, "", false },
		{ &with, { "--output", "--again" }, ERR_OK, NULL, "--again", false },
		{ &with, { "--", "--again" }, ERR_OK, "--again", NULL, false },
		{ &with, { "a", "b" }, ERR_USAGE, NULL, NULL, false },
		{ &with, { "--output" }, ERR_USAGE, NULL, NULL, false },
		{ &with, { "--again=yes" }, ERR_USAGE, NULL, NULL, false },
		{ &with, { "--out", "f" }, ERR_USAGE, NULL, NULL, false },
		{ &with, { "--outputs", "f" }, ERR_USAGE, NULL, NULL, false },
		{ &with, { "-o" }, ERR_USAGE, NULL, NULL, false },
		{ &without, { "a" }, ERR_USAGE, NULL, NULL, false },
		{ &without, { "--again" }, ERR_OK, NULL, NULL, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct options options;
		char *argv[6] = { NULL };
		int argc = 0;

		while (argc < 6 && cases[i].arguments[argc] != NULL) {
			argv[argc] = str_dup(cases[i].arguments[argc]);
			argc++;
		}
		assert_int_equal(options_read(cases[i].verb, argc, argv, &options), cases[i].e);
		if (cases[i].e == ERR_OK && (!str_equal(options.operand, cases[i].operand) ||
						!str_equal(options.output, cases[i].output) ||
						options.again != cases[i].again))
			fail_msg("case %zu was read wrongly", i);
		while (argc > 0)
			str_free(&argv[--argc]);
	}
}

static void test_level(void **state)
{
	static const char *const good[] = { "high", "medium", "low" }, *const bad[] = { "", "High",
		"own", "lowest" };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(level_check(good[i]), ERR_OK);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(level_check(bad[i]), ERR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_level),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
