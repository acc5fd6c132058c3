#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "enroll/reply.h"

#define FINGERPRINT_A "0123456789ABCDEF0123456789ABCDEF01234567"
#define FINGERPRINT_B "FEDCBA9876543210FEDCBA9876543210FEDCBA98"
#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char request_id[] = "0123456789ABCDEFGHJKMNPQRS", address[] = "alice@example.org",
	    keyset[] = "default", nonce[] = "01234-56789-ABCDE-FGHJK-MNPQRS",
	    what[] = "Your mail holds no public key for alice@example.org.",
	    advice[] = "Attach it and send the mail again.";

static const struct reply accepted = { .request_id = request_id,
	.result = REPLY_ENROLLED,
	.address = address,
	.keyset = keyset,
	.fingerprint = FINGERPRINT_A,
	.certified_until = 1795320000,
	.authority = FINGERPRINT_B,
	.nonce = nonce,
	.log_number = 17,
	.log_hash = HASH };
static const struct reply refused = { .request_id = request_id,
	.result = REPLY_REFUSED,
	.address = address,
	.authority = FINGERPRINT_B,
	.reason = REASON_KEY_MISSING,
	.what = what,
	.advice = advice };

static const char accepted_text[] = "Countersign-Reply: 1\n"
				    "Request-Id: 0123456789ABCDEFGHJKMNPQRS\n"
				    "Result: enrolled\n"
				    "Address: alice@example.org\n"
				    "Keyset: default\n"
				    "Fingerprint: " FINGERPRINT_A "\n"
				    "Certified-Until: 2026-11-22T04:00:00Z\n"
				    "Authority: " FINGERPRINT_B "\n"
				    "Nonce: 01234-56789-ABCDE-FGHJK-MNPQRS\n"
				    "Log-Head: 17 " HASH "\n";
static const char refused_text[] = "Countersign-Reply: 1\n"
				   "Request-Id: 0123456789ABCDEFGHJKMNPQRS\n"
				   "Result: refused\n"
				   "Address: alice@example.org\n"
				   "Authority: " FINGERPRINT_B "\n"
				   "Reason: key-missing\n"
				   "What: Your mail holds no public key for alice@example.org.\n"
				   "Advice: Attach it and send the mail again.\n";

static void substitute(struct buf *out, const char *text, const char *from, const char *to)
{
	for (const char *p = text; *p;) {
		if (strncmp(p, from, strlen(from)) == 0) {
			buf_add_text(out, to);
			p += strlen(from);
		} else {
			buf_add_byte(out, *p++);
		}
	}
}

static void expect_same(const struct reply *a, const struct reply *b)
{
	assert_string_equal(a->request_id, b->request_id);
	assert_int_equal(a->result, b->result);
	assert_string_equal(a->address, b->address);
	assert_true(str_equal(a->keyset, b->keyset));
	assert_string_equal(a->fingerprint, b->fingerprint);
	assert_int_equal(a->certified_until, b->certified_until);
	assert_string_equal(a->authority, b->authority);
	assert_true(str_equal(a->nonce, b->nonce));
	assert_int_equal(a->log_number, b->log_number);
	assert_string_equal(a->log_hash, b->log_hash);
	assert_int_equal(a->reason, b->reason);
	assert_true(str_equal(a->what, b->what));
	assert_true(str_equal(a->advice, b->advice));
}

static void expect_round_trip(const struct reply *reply, const char *want)
{
	static const char *const changes[][2] = { { "", "" }, { "\n", "\r\n" }, { "\n", " \t\n" },
		{ "Countersign", "\xef\xbb\xbf"
				 "Countersign" },
		{ "Countersign", "\n\r\nCountersign" } };
	struct buf text = BUF_INIT, mangled = BUF_INIT;
	struct reply back;
	reply_write(reply, &text);
	if (want)
		assert_string_equal(buf_text(&text), want);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		if (i == 0)
			buf_add(&mangled, text.data, text.len);
		else
			substitute(&mangled, buf_text(&text), changes[i][0], changes[i][1]);
		assert_int_equal(reply_parse(buf_bytes(&mangled), &back), ERR_OK);
		expect_same(reply, &back);
		reply_free(&back);
		buf_clear(&mangled);
	}
	buf_free(&mangled);
	buf_free(&text);
}

static void test_round_trip(void **state)
{
	(void)state;
	expect_round_trip(&accepted, accepted_text);
	expect_round_trip(&refused, refused_text);
	struct reply r = accepted;
	r.result = REPLY_RENEWED;
	expect_round_trip(&r, NULL);
	r.result = REPLY_RECOVERED;
	expect_round_trip(&r, NULL);
	r = refused;
	r.keyset = keyset;
	memcpy(r.fingerprint, FINGERPRINT_A, sizeof(r.fingerprint));
	memcpy(r.log_hash, HASH, sizeof(r.log_hash));
	r.log_number = 3;
	expect_round_trip(&r, NULL);
}

/* Nothing that a reply quotes can add a field. */
static void test_no_new_lines(void **state)
{
	(void)state;
	char bad[] = "one\nResult: enrolled\r\ttwo";
	struct reply r = refused, back;
	struct buf text = BUF_INIT;
	r.what = bad;
	reply_write(&r, &text);
	assert_int_equal(reply_parse(buf_bytes(&text), &back), ERR_OK);
	assert_int_equal(back.result, REPLY_REFUSED);
	assert_string_equal(back.what, "one Result: enrolled  two");
	reply_free(&back);
	buf_free(&text);
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text, *from, *to, *error;
	} cases[] = {
		{ accepted_text, "Reply: 1", "Reply: 2", "Countersign-Reply names a version" },
		{ accepted_text, "Result: enrolled", "Result: done", "Result is unknown" },
		{ accepted_text, "Result: enrolled", "Result: refused",
		    "Certified-Until does not belong" },
		{ refused_text, "Result: refused", "Result: enrolled", "Keyset is missing" },
		{ accepted_text, "Keyset: default\n", "", "Keyset is missing" },
		{ accepted_text, "Fingerprint: " FINGERPRINT_A "\n", "", "Fingerprint is missing" },
		{ accepted_text, "Certified-Until: 2026-11-22T04:00:00Z\n", "",
		    "Certified-Until is missing" },
		{ accepted_text, "Nonce: 01234-56789-ABCDE-FGHJK-MNPQRS\n", "",
		    "Nonce is missing" },
		{ accepted_text, "Log-Head: 17 " HASH "\n", "", "Log-Head is missing" },
		{ accepted_text, "Log-Head: 17 " HASH "\n",
		    "Log-Head: 17 " HASH "\nReason: policy\n", "Reason does not belong" },
		{ refused_text, "Reason:", "Nonce: 01234-56789-ABCDE-FGHJK-MNPQRS\nReason:",
		    "Nonce does not belong" },
		{ refused_text, "What:", "Why:", "Why is unknown" },
		{ refused_text, "Advice: Attach it and send the mail again.\n", "",
		    "Advice is missing" },
		{ accepted_text, "Authority: FED", "Authority: FE", "Authority is not" },
		{ accepted_text, "Fingerprint: 0", "Fingerprint: x", "Fingerprint is not" },
		{ accepted_text, "04:00:00Z", "04:00Z", "Certified-Until is not" },
		{ accepted_text, "Log-Head: 17", "Log-Head: -1", "Log-Head is not" },
		{ accepted_text, "Log-Head: 17 0", "Log-Head: 17 ", "Log-Head is not" },
		{ accepted_text, "Log-Head: 17 0", "Log-Head: 17-0", "Log-Head is not" },
		{ accepted_text, "alice@example.org", "alice", "Address is not" },
		{ accepted_text, "Nonce: 0", "Nonce: ", "Nonce is not" },
		{ refused_text, "again.\n", "again.\n\nmore\n", "something follows" },
		{ accepted_text, "Address:", "Result: enrolled\nAddress:", "Result is repeated" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf text = BUF_INIT;
		struct reply r;
		substitute(&text, cases[i].text, cases[i].from, cases[i].to);
		assert_int_equal(reply_parse(buf_bytes(&text), &r), ERR_DATA);
		if (!strstr(err_text(), cases[i].error))
			fail_msg("case %zu: %s", i, err_text());
		reply_free(&r);
		buf_free(&text);
	}
}

static void test_later_reason(void **state)
{
	(void)state;
	struct buf text = BUF_INIT;
	struct reply r;
	substitute(&text, refused_text, "key-missing", "moon-phase");
	assert_int_equal(reply_parse(buf_bytes(&text), &r), ERR_OK);
	assert_int_equal(r.reason, REASON_NONE);
	assert_string_equal(r.what, what);
	reply_free(&r);
	buf_free(&text);
}

/* ---- card ---- */

static const char card_text[] = "Countersign-Authority: 1\n"
				"Address: sa@example.org\n"
				"Name: Security Authority\n"
				"Fingerprint: " FINGERPRINT_B "\n"
				"Plain-Requests: on\n"
				"Escrow: offered\n"
				"Algorithms: rsa3072 ed25519 cv25519\n";

static void test_card(void **state)
{
	(void)state;
	struct card card;
	struct buf text = BUF_INIT;
	assert_int_equal(card_parse(bytes_of_text(card_text), &card), ERR_OK);
	assert_string_equal(card.address, "sa@example.org");
	assert_string_equal(card.name, "Security Authority");
	assert_string_equal(card.fingerprint, FINGERPRINT_B);
	assert_string_equal(card.plain_requests, "on");
	assert_string_equal(card.escrow, "offered");
	assert_string_equal(card.algorithms, "rsa3072 ed25519 cv25519");
	card_write(&card, &text);
	assert_string_equal(buf_text(&text), card_text);
	card_free(&card);
	buf_free(&text);
}

static void test_card_refused(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to, *error;
	} cases[] = {
		{ "sa@", "", "Address is not" },
		{ "Fingerprint: F", "Fingerprint: ", "Fingerprint is not" },
		{ "Requests: on", "Requests: maybe", "Plain-Requests is none of" },
		{ "Escrow: offered", "Escrow: on", "Escrow is none of" },
		{ "Escrow: offered\n", "", "Escrow is missing" },
		{ "Authority: 1", "Authority: 9", "version" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf text = BUF_INIT;
		struct card card;
		substitute(&text, card_text, cases[i].from, cases[i].to);
		assert_int_equal(card_parse(buf_bytes(&text), &card), ERR_DATA);
		assert_non_null(strstr(err_text(), cases[i].error));
		card_free(&card);
		buf_free(&text);
	}
	struct buf text = BUF_INIT;
	struct card card;
	substitute(&text, card_text, "Name: Security Authority\n", "");
	assert_int_equal(card_parse(buf_bytes(&text), &card), ERR_OK);
	assert_null(card.name);
	card_free(&card);
	buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_no_new_lines),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_later_reason),
		cmocka_unit_test(test_card),
		cmocka_unit_test(test_card_refused),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
