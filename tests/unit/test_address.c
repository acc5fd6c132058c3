#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "text/address.h"

#define LABEL63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void canonical_forms(void **state)
{
	static const struct {
		const char *text, *canonical, *domain_display;
	} cases[] = {
		{ "alice@example.org", "alice@example.org", "example.org" },
		{ "Alice.B@EXAMPLE.Org", "alice.b@example.org", "example.org" },
		{ "bob+tag!#$%&'*-/=?^_`{|}~@example.org", "bob+tag!#$%&'*-/=?^_`{|}~@example.org",
		    "example.org" },
		{ "bob@MÜnchen.example", "bob@xn--mnchen-3ya.example", "münchen.example" },
		{ "bob@mu\xcc\x88nchen.example", "bob@xn--mnchen-3ya.example", "münchen.example" },
		{ "bob@XN--MNCHEN-3YA.example", "bob@xn--mnchen-3ya.example", "münchen.example" },
		{ "carol@faß.example", "carol@xn--fa-hia.example", "faß.example" },
		{ "carol@例え.example", "carol@xn--r8jz45g.example", "例え.example" },
		{ "Ünal@example.org", "Ünal@example.org",
		    "example.org" }, /* no folding but ASCII (P1.5) */
		{ "\"alice\"@example.org", "alice@example.org", "example.org" },
		{ "\"al\\ice\"@example.org", "alice@example.org", "example.org" },
		{ "\"a\\@B\"@example.org", "\"a@b\"@example.org", "example.org" },
		{ "\"a\\\"\\\\\"@example.org", "\"a\\\"\\\\\"@example.org", "example.org" },
		{ "\"a..b\"@example.org", "\"a..b\"@example.org", "example.org" },
		{ "\"\"@example.org", "\"\"@example.org", "example.org" },
		{ "alice@localhost", "alice@localhost", "localhost" },
		{ "alice@3com.example", "alice@3com.example", "3com.example" },
		{ "alice@" LABEL63 ".org", "alice@" LABEL63 ".org", LABEL63 ".org" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *made = NULL, *again = NULL, *shown;

		assert_int_equal(address_canonical(cases[i].text, &made), ERR_OK);
		assert_string_equal(made, cases[i].canonical);
		assert_int_equal(address_canonical(made, &again), ERR_OK);
		assert_string_equal(again, made);
		shown = address_domain_display(made);
		assert_string_equal(shown, cases[i].domain_display);
		str_free(&made);
		str_free(&again);
		str_free(&shown);
	}
}

static void no_addresses(void **state)
{
	static const char *const bad[] = {
		"", "@", "alice", "alice@", "@example.org", "alice@@example.org",
		"a@b@example.org", /* parts */
		"alice@example.org,bob@example.org", "alice@example.org bob@example.org",
		"alice@example.org;", "Alice <alice@example.org>", "<alice@example.org>",
		"alice@example.org (Alice)", "alice(x)@example.org", " alice@example.org",
		"alice@example.org ", "alice@example.org\n", "al\tice@example.org",
		"\"a b\"@example.org", "alice\x01@example.org",
		"alice\x7f@example.org", /* blanks, controls */
		".alice@example.org", "alice.@example.org", "al..ice@example.org",
		"al\"ice\"@example.org", "\"alice@example.org", "\"al\"ice\"@example.org",
		"\"alice\\\"@example.org", "al:ice@example.org", "al[ice@example.org",
		"al\\ice@example.org", /* local part */
		"alice@[192.0.2.1]", "alice@192.0.2.1", "alice@example..org", "alice@.example.org",
		"alice@example.org.", "alice@-x.org", "alice@x-.org", "alice@ex_ample.org",
		"alice@exa!mple.org", "alice@" LABEL63 "a.org", "alice@xn--a.org",
		"alice@xn--n3h.example", "alice@☃.example", "alice@ｅxample.org",
		"alice@example。org", "alice@℀.org", /* domain */
		"alice@ex\xc2\xad\x61mple.org", "al\xe2\x80\x8bice@example.org",
		"al\xe2\x80\xaeice@example.org", "al\xc2\xa0ice@example.org",
		"al\xcd\x8fice@example.org", "alice@fa\xcd\x8f\x62.org",
		"al\xef\xbb\xbfice@example.org", /* invisible */
		"al\xffice@example.org", "al\xc0\x80@example.org",
		"alice@ex\xed\xa0\x80.org", /* no UTF-8 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char *made = NULL;

		if (address_canonical(bad[i], &made) == ERR_OK)
			fail_msg("\"%s\" passed as \"%s\"", bad[i], made);
		assert_null(made);
		assert_null(strpbrk(err_text(), "\n\x7f"));
	}
}

static void lengths(void **state)
{
	struct buf text = BUF_INIT;
	char *made = NULL;

	(void)state;
	for (int i = 0; i < 64; i++)
		buf_add_byte(&text, 'a');
	buf_add_text(&text, "@");
	for (int i = 0; i < 9; i++)
		buf_add_text(&text, "123456789.abcdefghi.");
	buf_add_text(&text, "aaaaabbbb");
	assert_int_equal(text.len, 254);
	assert_int_equal(address_canonical(buf_text(&text), &made), ERR_OK);
	str_free(&made);
	buf_add_byte(&text, 'b');
	assert_int_equal(address_canonical(buf_text(&text), &made), ERR_DATA);
	buf_clear(&text);
	for (int i = 0; i < 65; i++)
		buf_add_byte(&text, 'a');
	buf_add_text(&text, "@example.org");
	assert_int_equal(address_canonical(buf_text(&text), &made), ERR_DATA);
	buf_free(&text);
}

static void issuable_addresses(void **state)
{
	static const struct {
		const char *address;
		enum err err;
	} cases[] = {
		{ "alice@example.org", ERR_OK }, { "alice-2.x_y@example.org", ERR_OK },
		{ "m\xc3\xbcller@example.org", ERR_OK },
		{ "mu\xcc\x88ller@example.org", ERR_DATA }, /* not NFC */
		{ "анна2@example.org", ERR_OK },
		{ "аlice@example.org", ERR_DATA }, /* a Cyrillic a */
		{ "αlice@example.org", ERR_DATA }, { "漢字@example.org", ERR_OK },
		{ "ビール漢字ひ@example.org", ERR_OK }, { "漢글@example.org", ERR_OK },
		{ "글カ@example.org", ERR_DATA }, { "alice漢@example.org", ERR_DATA },
		{ "漢alice@example.org", ERR_DATA },
		{ "alice@xn--80ak6aa92e.example", ERR_OK }, /* the domain is policy's matter */
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (address_check_issuable(cases[i].address) != cases[i].err)
			fail_msg("%s: %s", cases[i].address, err_text());
}

static void names(void **state)
{
	static const struct {
		const char *name;
		enum err err;
	} cases[] = {
		{ "Alice Example", ERR_OK },
		{ "Älice (Security)", ERR_OK },
		{ "علی‌رضا", ERR_OK }, /* with a zero-width non-joiner */
		{ "", ERR_DATA },
		{ "   ", ERR_DATA },
		{ "alice@example.org", ERR_DATA },
		{ "Alice <x", ERR_DATA },
		{ "Alice >", ERR_DATA },
		{ "Alice\nBcc: x", ERR_DATA },
		{ "Alice\x1b[1m", ERR_DATA },
		{ "Alice\xc2\x85", ERR_DATA },
		{ "Alice \xe2\x80\xae", ERR_DATA },
		{ "Alice \xe2\x81\xa6", ERR_DATA },
		{ "Alice \xe2\x80\xa8", ERR_DATA },
		{ "Alice \xff", ERR_DATA },
	};
	char name[NAME_BYTES_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (name_check(cases[i].name) != cases[i].err)
			fail_msg("\"%s\": %s", cases[i].name, err_text());
	memset(name, 'x', sizeof name);
	name[NAME_BYTES_MAX] = 0;
	assert_int_equal(name_check(name), ERR_OK);
	name[NAME_BYTES_MAX] = 'x';
	name[NAME_BYTES_MAX + 1] = 0;
	assert_int_equal(name_check(name), ERR_DATA);
}

static void equal_names(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} cases[] = {
		{ "Alice Example", "Alice Example", true },
		{ "Alice Example", "  Alice \t  Example ", true },
		{ "Alice Example",
		    "Alice\xc2\xa0"
		    "Example",
		    true },
		{ "J\xc3\xb6rg", "Jo\xcc\x88rg", true },
		{ "Alice", "alice", false },
		{ "Alice Example", "AliceExample", false },
		{ "Alice", "Alice\xff", false },
		{ "\xff", "\xff", false },
		{ "", " ", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(name_equal(cases[i].a, cases[i].b), cases[i].equal);
}

static void user_ids(void **state)
{
	static const struct {
		const char *user_id, *name, *address; /* address NULL: refused */
	} cases[] = {
		{ "Alice Example <Alice@Example.org>", "Alice Example", "alice@example.org" },
		{ "alice@example.org", NULL, "alice@example.org" },
		{ "<alice@example.org>", NULL, "alice@example.org" },
		{ "Alice<alice@example.org>", "Alice", "alice@example.org" },
		{ "Alice (work) <alice@example.org>", "Alice (work)", "alice@example.org" },
		{ "Älice <\"a@b\"@example.org>", "Älice", "\"a@b\"@example.org" },
		{ "bob@example.net Bob <alice@example.org>", NULL, NULL },
		{ "<bob@example.net> <alice@example.org>", NULL, NULL },
		{ "Alice <alice@example.org> bob", NULL, NULL },
		{ "Alice <alice@example.org", NULL, NULL },
		{ "Alice alice@example.org>", NULL, NULL },
		{ "Alice <alice@example.org>>", NULL, NULL },
		{ "Alice <<alice@example.org>", NULL, NULL },
		{ "Alice <alice@example.org> ", NULL, NULL },
		{ "Alice < alice@example.org>", NULL, NULL },
		{ "Alice <alice@example.org,bob@example.net>", NULL, NULL },
		{ "Alice", NULL, NULL },
		{ "Alice <>", NULL, NULL },
		{ "", NULL, NULL },
		{ "A\x01 <alice@example.org>", NULL, NULL },
		{ "A \xe2\x80\xae <alice@example.org>", NULL, NULL },
		{ "\xff <alice@example.org>", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *name = NULL, *address = NULL;
		enum err err = user_id_split(cases[i].user_id, &name, &address);

		if ((err == ERR_OK) != (cases[i].address != NULL))
			fail_msg("\"%s\"", cases[i].user_id);
		assert_true(str_equal(name, cases[i].name));
		assert_true(str_equal(address, cases[i].address));
		str_free(&name);
		str_free(&address);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(canonical_forms),
		cmocka_unit_test(no_addresses),
		cmocka_unit_test(lengths),
		cmocka_unit_test(issuable_addresses),
		cmocka_unit_test(names),
		cmocka_unit_test(equal_names),
		cmocka_unit_test(user_ids),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
