#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/url.h"

static void good_ones(void **state)
{
	static const struct {
		const char *text, *scheme, *user, *host;
		unsigned port;
		const char *path;
		bool loopback;
	} cases[] = {
		{ "maildir:/in box", "maildir", NULL, NULL, 0, "/in box", false },
		{ "imaps://sa@mail.example.org/INBOX", "imaps", "sa", "mail.example.org", 0,
		    "INBOX", false },
		{ "imaps://sa%40example.org@h:993/a%2Fb/c", "imaps", "sa@example.org", "h", 993,
		    "a/b/c", false },
		{ "imap://sa@x@h", "imap", "sa@x", "h", 0, "", false },
		{ "IMAPS://sa@[::1]:1/", "imaps", "sa", "::1", 1, "", true },
		{ "imaps://127.3.4.5", "imaps", NULL, "127.3.4.5", 0, "", true },
		{ "imaps://LocalHost", "imaps", NULL, "LocalHost", 0, "", true },
		{ "imaps://localhost.example.org", "imaps", NULL, "localhost.example.org", 0, "",
		    false },
		{ "imaps://b\xc3\xbc"
		  "cher.example/INBOX",
		    "imaps", NULL,
		    "b\xc3\xbc"
		    "cher.example",
		    0, "INBOX", false },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct url url = { 0 };
		assert_int_equal(url_parse(cases[i].text, URL_MAILBOX_SCHEMES, &url), ERR_OK);
		assert_string_equal(url.scheme, cases[i].scheme);
		assert_true(str_equal(url.user, cases[i].user));
		assert_true(str_equal(url.host, cases[i].host));
		assert_int_equal(url.port, cases[i].port);
		assert_string_equal(url.path, cases[i].path);
		assert_int_equal(url_is_loopback(&url), cases[i].loopback);
		url_free(&url);
	}
}

static void bad_ones(void **state)
{
	static const char *const cases[] = { "", "x", "/in", "maildir:", "maildir:in",
		"imaps:/h/INBOX", "imaps://", "imaps:///INBOX", "imaps://@h/INBOX",
		"imaps://sa:secret@h/INBOX", "imaps://sa@h:0/INBOX", "imaps://sa@h:65536/",
		"imaps://sa@h:1x/", "imaps://sa@h:/", "imaps://sa@[::1/INBOX",
		"imaps://sa@[::1]x/INBOX", "imaps://sa@[h]/INBOX", "imaps://sa@h/INBOX?x",
		"imaps://sa@h/INBOX#x", "imaps://sa@h/a b", "imaps://sa%0@h/", "imaps://sa%zz@h/",
		"imaps://sa%0ab@h/", "imaps://h/%7f", "imaps://-h/", "imaps://h!/",
		"submission://h" };
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct url url = { 0 };
		if (url_parse(cases[i], URL_MAILBOX_SCHEMES, &url) != ERR_CONFIG)
			fail_msg("\"%s\" was taken", cases[i]);
		assert_null(url.scheme);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(good_ones),
		cmocka_unit_test(bad_ones) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
