/* Mails that rest are found by their ids, whatever the order they came and go in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "authority/aside.c"
#include "authority/backoff.c"

#define MANY 500

static char *id_of(size_t i)
{
	return str_printf("7-%zu", i * 263 % MANY);
}

static void found_by_id(void **state)
{
	struct asides asides = { 0 };

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		char *id = id_of(i);
		assert_null(aside_find(&asides, id));
		aside_put(&asides, id)->owed = i % 2;
		assert_ptr_equal(aside_put(&asides, id), aside_find(&asides, id));
		str_free(&id);
	}
	assert_int_equal(asides.count, MANY);
	for (size_t i = 0; i < MANY; i += 3) {
		char *id = id_of(i);
		aside_drop(&asides, aside_find(&asides, id));
		str_free(&id);
	}
	for (size_t i = 0; i < MANY; i++) {
		char *id = id_of(i);
		const struct aside *aside = aside_find(&asides, id);
		assert_true((aside == NULL) == (i % 3 == 0));
		if (aside) {
			assert_string_equal(aside->id, id);
			assert_int_equal(aside->owed, i % 2);
		}
		str_free(&id);
	}
	assert_int_equal(asides.count, MANY - (MANY + 2) / 3);
	asides_free(&asides);
	assert_int_equal(asides.count, 0);
	assert_null(asides.at);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(found_by_id) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
