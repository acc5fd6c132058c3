#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "mail/wkd.h"

static void paths(void **state)
{
	(void)state;
	/* The first is the example of the draft, the third what gpg-wks-client says. */
	static const struct {
		const char *address, *path;
	} cases[] = {
		{ "Joe.Doe@example.org",
		    "openpgpkey/example.org/hu/iy9q119eutrkn8s1mk4r39qejnbu3n5q" },
		{ "joe.doe@example.org",
		    "openpgpkey/example.org/hu/iy9q119eutrkn8s1mk4r39qejnbu3n5q" },
		{ "alice@mail.example.org",
		    "openpgpkey/mail.example.org/hu/kei1q4tipxxu1yj79k9kfukdhfy631xe" },
		{ "\"a@b\"@example.org",
		    "openpgpkey/example.org/hu/bfbf6rwo7enfs313ijkf1h99ku1ahws3" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *path = wkd_path(cases[i].address);
		assert_string_equal(path, cases[i].path);
		str_free(&path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(paths) };
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
