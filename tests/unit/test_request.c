#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"
#include "enroll/request.h"
#include "enroll/token.h"

static const uint8_t seed[SECRET_SEED_BYTES] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 };
static char id[] = "0123456789ABCDEFGHJKMNPQRS", address[] = "alice@example.org",
	    name[] = "Alice Example", keyset[] = "default",
	    nonce_text[] = "01234-56789-ABCDE-FGHJK-MNPQRS";
#define FINGERPRINT_A "0123456789ABCDEF0123456789ABCDEF01234567"
#define FINGERPRINT_B "FEDCBA9876543210FEDCBA9876543210FEDCBA98"

static void make(struct request *r, enum request_kind kind, bool deposit, struct buf *out)
{
	*r = (struct request){ .id = id,
		.kind = kind,
		.address = address,
		.name = name,
		.keyset = keyset,
		.fingerprint = FINGERPRINT_A,
		.authority = FINGERPRINT_B,
		.created = 1795320000 };
	buf_add(&r->key,
	    "the key, in binary; long enough for two lines of base64, which is 48 bytes a line",
	    81);
	if (deposit)
		buf_add(&r->deposit, "the deposit", 11);
	request_write(r, kind == REQUEST_ENROLL ? seed : NULL, out);
}

static void unmake(struct request *r)
{
	buf_free(&r->key);
	buf_free(&r->deposit);
	buf_free(&r->signed_text);
}

/* P2.2 and P2.3 to the byte. */
static void test_write(void **state)
{
	(void)state;
	struct request r;
	struct buf text = BUF_INIT, want = BUF_INIT;
	uint8_t hash[HASH_BYTES];
	make(&r, REQUEST_ENROLL, true, &text);
	assert_true(text.secret);
	buf_add_text(&want, "Countersign-Request: 1\n"
			    "Request-Id: 0123456789ABCDEFGHJKMNPQRS\n"
			    "Kind: enroll\n"
			    "Address: alice@example.org\n"
			    "Name: Alice Example\n"
			    "Keyset: default\n"
			    "Fingerprint: " FINGERPRINT_A "\n"
			    "Authority: " FINGERPRINT_B "\n"
			    "Created: 2026-11-22T04:00:00Z\n"
			    "Token-Key: ");
	hex_add(&want, bytes_of(r.token_key, TOKEN_KEY_BYTES));
	buf_add_byte(&want, '\n');
	size_t lines = want.len;
	buf_add_text(&want, "Token-Signature: ");
	base64_add(&want, bytes_of(r.token_signature, TOKEN_SIGNATURE_BYTES), 0, "");
	buf_add_text(&want, "\n\n"
			    "Key: 81\n"
			    "dGhlIGtleSwgaW4gYmluYXJ5OyBsb25nIGVub3VnaCBmb3IgdHdvIGxpbmVzIG9m\n"
			    "IGJhc2U2NCwgd2hpY2ggaXMgNDggYnl0ZXMgYSBsaW5l\n"
			    "Deposit: 11\n"
			    "dGhlIGRlcG9zaXQ=\n");
	assert_string_equal(buf_text(&text), buf_text(&want));

	struct buf signed_text = BUF_INIT;
	buf_add_text(&signed_text, "countersign request v1\n");
	buf_add(&signed_text, want.data, lines);
	hash_sha256(buf_bytes(&r.key), hash);
	buf_add(&signed_text, hash, sizeof(hash));
	hash_sha256(buf_bytes(&r.deposit), hash);
	buf_add(&signed_text, hash, sizeof(hash));
	assert_true(bytes_equal(buf_bytes(&signed_text), buf_bytes(&r.signed_text)));
	uint8_t key[TOKEN_KEY_BYTES];
	token_key_public(seed, key);
	assert_memory_equal(key, r.token_key, sizeof(key));
	assert_true(token_key_verify(key, buf_bytes(&signed_text), r.token_signature));
	buf_free(&signed_text);
	buf_free(&want);
	buf_free(&text);
	unmake(&r);
}

static void expect_same(const struct request *a, const struct request *b)
{
	assert_string_equal(a->id, b->id);
	assert_int_equal(a->kind, b->kind);
	assert_string_equal(a->address, b->address);
	assert_string_equal(a->name, b->name);
	assert_string_equal(a->keyset, b->keyset);
	assert_string_equal(a->fingerprint, b->fingerprint);
	assert_string_equal(a->authority, b->authority);
	assert_int_equal(a->created, b->created);
	assert_memory_equal(a->token_key, b->token_key, TOKEN_KEY_BYTES);
	assert_memory_equal(a->token_signature, b->token_signature, TOKEN_SIGNATURE_BYTES);
	assert_true(bytes_equal(buf_bytes(&a->key), buf_bytes(&b->key)));
	assert_true(bytes_equal(buf_bytes(&a->deposit), buf_bytes(&b->deposit)));
	assert_true(bytes_equal(buf_bytes(&a->signed_text), buf_bytes(&b->signed_text)));
}

static void test_round_trip(void **state)
{
	(void)state;
	for (int deposit = 0; deposit < 2; deposit++)
		for (int kind = REQUEST_ENROLL; kind <= REQUEST_RENEW; kind++) {
			struct request r, back;
			struct refusal why;
			struct buf text = BUF_INIT, again = BUF_INIT;
			make(&r, (enum request_kind)kind, deposit, &text);
			assert_true(request_parse(buf_bytes(&text), &back, &why));
			expect_same(&r, &back);
			assert_true(back.deposit.secret);
			assert_int_equal(request_verify(&back), kind == REQUEST_ENROLL);
			request_write(&back, NULL, &again);
			assert_true(bytes_equal(buf_bytes(&text), buf_bytes(&again)));
			request_free(&back);
			buf_free(&again);
			buf_free(&text);
			unmake(&r);
		}
}

static void substitute(struct buf *text, const char *from, const char *to)
{
	char *old = buf_take_text(text);
	for (const char *p = old; *p;) {
		if (strncmp(p, from, strlen(from)) == 0) {
			buf_add_text(text, to);
			p += strlen(from);
		} else {
			buf_add_byte(text, *p++);
		}
	}
	str_free(&old);
}

/* P2.6: none of this changes what is signed. */
static void test_mangled(void **state)
{
	(void)state;
	static const char *const changes[][2] = {
		{ "\n", "\r\n" },
		{ "\n", " \t\n" },
		{ "\n", "  \r\n" },
		{ ": ", ":  " },
		{ "Countersign-Request", "\xef\xbb\xbf"
					 "Countersign-Request" },
		{ "Countersign-Request", "\r\n\nCountersign-Request" },
		{ "\nKey:", "\n\n\nKey:" },
		{ "dGhlIGRlcG9zaXQ=\n", "dGhlIGRlcG9zaXQ=\n\n\r\n" },
		{ "dGhlIGRlcG9zaXQ=\n", "dGhlIGRlcG9zaXQ=" },
	};
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct request r, back;
		struct refusal why;
		struct buf text = BUF_INIT;
		make(&r, REQUEST_ENROLL, true, &text);
		substitute(&text, changes[i][0], changes[i][1]);
		assert_true(request_looks_like(buf_bytes(&text)));
		if (!request_parse(buf_bytes(&text), &back, &why))
			fail_msg("case %zu: %s", i, why.detail);
		expect_same(&r, &back);
		assert_true(request_verify(&back));
		request_free(&back);
		buf_free(&text);
		unmake(&r);
	}
}

static const char long_value[] =
    "Name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/* P2.5: each refusal names the field. */
static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to;
		enum reason reason;
		const char *detail;
	} cases[] = {
		{ "Countersign-Request: 1", "Countersign-Request: 2", REASON_REQUEST_MALFORMED,
		    "field Countersign-Request names a version" },
		{ "Countersign-Request: 1\n", "", REASON_REQUEST_MALFORMED,
		    "field Countersign-Request is missing" },
		{ "Kind: enroll\n", "", REASON_REQUEST_MALFORMED,
		    "field Kind is missing or out of order" },
		{ "Kind: enroll\n", "Kind: enroll\nKind: enroll\n", REASON_REQUEST_MALFORMED,
		    "field Kind is repeated" },
		{ "Kind: enroll\n", "Colour: red\nKind: enroll\n", REASON_REQUEST_MALFORMED,
		    "field Colour is unknown" },
		{ "Kind: enroll\n", "kind: enroll\n", REASON_REQUEST_MALFORMED,
		    "field kind is unknown" },
		{ "Kind: enroll\n", "K\x1b[2Jnd: x\n", REASON_REQUEST_MALFORMED,
		    "field K?[2Jnd is unknown" },
		{ "Kind: enroll\n", "Kind enroll\n", REASON_REQUEST_MALFORMED, "line 3 is not" },
		{ "Kind: enroll\n", "Kind: delete\n", REASON_REQUEST_MALFORMED,
		    "field Kind is neither" },
		{ "Kind: enroll\n", "Kind: renew\n", REASON_REQUEST_MALFORMED,
		    "field Token-Key does not belong" },
		{ "Kind: enroll\n", "Kind:\n", REASON_REQUEST_MALFORMED, "field Kind is empty" },
		{ "Name: Alice Example\nKeyset: default\n",
		    "Keyset: default\nName: Alice Example\n", REASON_REQUEST_MALFORMED,
		    "field Name is repeated or out of order" },
		{ "Name: Alice Example", long_value, REASON_REQUEST_MALFORMED,
		    "field Name is too long" },
		{ "Name: Alice Example", "Name: Alice\x01", REASON_REQUEST_MALFORMED,
		    "field Name holds a control" },
		{ "Name: Alice Example", "Name: Alice\xff", REASON_REQUEST_MALFORMED,
		    "field Name is not UTF-8" },
		{ "0123456789ABCDEFGHJKMNPQRS", "0123456789ABCDEFGHJKMNPQR",
		    REASON_REQUEST_MALFORMED, "field Request-Id is not" },
		{ "0123456789ABCDEFGHJKMNPQRS", "0123456789ABCDEFGHJKMNPQRU",
		    REASON_REQUEST_MALFORMED, "field Request-Id is not" },
		{ "0123456789ABCDEFGHJKMNPQRS", "0123456789ABCDEFGHJKMNPQRST",
		    REASON_REQUEST_MALFORMED, "field Request-Id is too long" },
		{ "alice@example.org", "alice", REASON_REQUEST_MALFORMED, "field Address is not" },
		{ "Fingerprint: 0", "Fingerprint: G", REASON_REQUEST_MALFORMED,
		    "field Fingerprint is not" },
		{ "Authority: F", "Authority: ", REASON_REQUEST_MALFORMED,
		    "field Authority is not" },
		{ "04:00:00Z", "04:00:99Z", REASON_REQUEST_MALFORMED, "field Created is not" },
		{ "Token-Key: ", "Token-Key: X", REASON_REQUEST_MALFORMED,
		    "field Token-Key is too long" },
		{ "Token-Signature: ", "Token-Signature: !", REASON_REQUEST_MALFORMED,
		    "field Token-Signature is too long" },
		{ "Key: 81\n", "Key: 82\n", REASON_REQUEST_MALFORMED, "Key is not 82 bytes" },
		{ "Key: 81\n", "Key: 81x\n", REASON_REQUEST_MALFORMED, "field Key has no length" },
		{ "Key: 81\n", "Key: -1\n", REASON_REQUEST_MALFORMED, "field Key has no length" },
		{ "Key: 81\n", "Schluessel: 81\n", REASON_REQUEST_MALFORMED,
		    "field Key is missing" },
		{ "Key: 81\n", "Key: 32769\n", REASON_TOO_LARGE, "Key has 32769 bytes" },
		{ "dGhl", "dG!l", REASON_REQUEST_MALFORMED, "Key is not 81 bytes" },
		{ "Deposit: 11\n", "Deposit: 16385\n", REASON_TOO_LARGE,
		    "Deposit has 16385 bytes" },
		{ "Deposit: 11\n", "Deposit: 12\n", REASON_REQUEST_MALFORMED,
		    "Deposit is not 12 bytes" },
		{ "Deposit: 11\n", "Extra: 11\n", REASON_REQUEST_MALFORMED, "Key is not 81 bytes" },
		{ "dGhlIGRlcG9zaXQ=\n", "dGhlIGRlcG9zaXQ=\nDeposit: 0\n", REASON_REQUEST_MALFORMED,
		    "field Deposit is repeated" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct request r, back;
		struct refusal why = { 0 };
		struct buf text = BUF_INIT;
		make(&r, REQUEST_ENROLL, true, &text);
		substitute(&text, cases[i].from, cases[i].to);
		if (request_parse(buf_bytes(&text), &back, &why))
			fail_msg("case %zu passed", i);
		assert_int_equal(why.reason, cases[i].reason);
		if (!strstr(why.detail, cases[i].detail))
			fail_msg("case %zu: %s", i, why.detail);
		assert_true(str_ends(why.detail, "."));
		request_free(&back);
		buf_free(&text);
		unmake(&r);
	}
}

static void test_too_large(void **state)
{
	(void)state;
	struct buf text = BUF_INIT;
	struct request r;
	struct refusal why;
	buf_add_text(&text, "Countersign-Request: 1\n");
	while (text.len <= REQUEST_BYTES_MAX)
		buf_add_byte(&text, '\n');
	assert_false(request_parse(buf_bytes(&text), &r, &why));
	assert_int_equal(why.reason, REASON_TOO_LARGE);
	request_free(&r);
	buf_free(&text);
}

/* Cut anywhere it is refused, or it lacks nothing but the last line end. */
static void test_cut(void **state)
{
	(void)state;
	struct request r, back;
	struct refusal why;
	struct buf text = BUF_INIT;
	make(&r, REQUEST_ENROLL, true, &text);
	for (size_t len = 0; len + 1 < text.len; len++) {
		bool passed = request_parse(bytes_of(text.data, len), &back, &why);
		/* without the deposit it is a request, but not what was signed */
		assert_false(passed && request_verify(&back));
		request_free(&back);
	}
	buf_free(&text);
	unmake(&r);
}

/* Every signed line, the key and the deposit are covered (P2.3). */
static void test_verify(void **state)
{
	(void)state;
	static const char *const changes[][2] = {
		{ "0123456789ABCDEFGHJKMNPQRS", "1123456789ABCDEFGHJKMNPQRS" },
		{ "alice@", "bob@" },
		{ "Name: Alice Example\n", "" },
		{ "Name: Alice Example\n", "Name: alice Example\n" },
		{ "Keyset: default", "Keyset: Default" },
		{ "Fingerprint: 0", "Fingerprint: 1" },
		{ "Authority: F", "Authority: f" },
		{ "04:00:00Z", "04:00:01Z" },
		{ "Token-Key: ", "Token-Key:  " },
		{ "dGhlIGtl", "dGhlIGtm" },
		{ "dGhlIGRl", "dGhlIGRm" },
		{ "Deposit: 11\ndGhlIGRlcG9zaXQ=\n", "" },
	};
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct request r, back;
		struct refusal why;
		struct buf text = BUF_INIT;
		make(&r, REQUEST_ENROLL, true, &text);
		substitute(&text, changes[i][0], changes[i][1]);
		if (!request_parse(buf_bytes(&text), &back, &why))
			fail_msg("case %zu: %s", i, why.detail);
		/* more blanks after the colon are the one change that is none */
		assert_int_equal(request_verify(&back), strstr(changes[i][1], ":  ") != NULL);
		request_free(&back);
		buf_free(&text);
		unmake(&r);
	}
}

/* What request_parse refuses can still be told to be a token holder's, unless what they signed was changed. */
static void test_salvage(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to;
		bool read, verified;
	} cases[] = {
		{ "Key: 81", "Key: 82", true, true },
		{ "Key: 81", "Key: many", true, true },
		{ "\n", "\r\n", true, true },
		{ "Kind: enroll\n", "Kind: enroll\nColour: red\n", true, false },
		{ "Keyset: default\n", "", true, false },
		{ "Token-Key:", "Token-Kex:", false, false },
		{ "Token-Signature: ", "Token-Signature: !", false, false },
		{ "dGhl", "dG!l", false, false },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct request r, back;
		struct refusal why;
		struct buf text = BUF_INIT;
		make(&r, REQUEST_ENROLL, true, &text);
		substitute(&text, cases[i].from, cases[i].to);
		bool parsed = request_parse(buf_bytes(&text), &back, &why);
		assert_int_equal(parsed, strcmp(cases[i].from, "\n") == 0);
		assert_int_equal(request_salvage(buf_bytes(&text), &back), cases[i].read);
		assert_int_equal(cases[i].read && request_verify(&back), cases[i].verified);
		request_free(&back);
		buf_free(&text);
		unmake(&r);
	}
}

static void test_looks_like(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool request, confirmation;
	} cases[] = {
		{ "Countersign-Request: 1\n", true, false },
		{ "\xef\xbb\xbf"
		  "Countersign-Request: 1\n",
		    true, false },
		{ "\r\n\nCountersign-Request:", true, false },
		{ "Countersign-Confirmation: 1\n", true, true },
		{ "Content-Type: text/plain\n\nCountersign-Request: 1\n", false, false },
		{ "Countersign-Reply: 1\n", false, false },
		{ "", false, false },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
		    request_looks_like(bytes_of_text(cases[i].text)), cases[i].request);
		assert_int_equal(
		    confirmation_looks_like(bytes_of_text(cases[i].text)), cases[i].confirmation);
	}
}

static void test_id(void **state)
{
	(void)state;
	char *a = request_id_make(), *b = request_id_make();
	assert_int_equal(strlen(a), 26);
	assert_string_not_equal(a, b);
	assert_int_equal(strspn(a, base32_alphabet), 26);
	str_free(&a);
	str_free(&b);
}

/* ---- confirmation ---- */

static const char confirmation_text[] = "Countersign-Confirmation: 1\n"
					"Request-Id: 0123456789ABCDEFGHJKMNPQRS\n"
					"Address: alice@example.org\n"
					"Keyset: default\n"
					"Fingerprint: " FINGERPRINT_A "\n"
					"Authority: " FINGERPRINT_B "\n"
					"Nonce: 01234-56789-ABCDE-FGHJK-MNPQRS\n";

static void test_confirmation(void **state)
{
	(void)state;
	struct confirmation c = { .id = id,
		.address = address,
		.keyset = keyset,
		.fingerprint = FINGERPRINT_A,
		.authority = FINGERPRINT_B,
		.nonce = nonce_text },
			    back;
	struct buf text = BUF_INIT;
	struct refusal why;
	confirmation_write(&c, &text);
	assert_string_equal(buf_text(&text), confirmation_text);
	substitute(&text, "\n", " \r\n");
	assert_true(confirmation_parse(buf_bytes(&text), &back, &why));
	assert_string_equal(back.id, id);
	assert_string_equal(back.address, address);
	assert_string_equal(back.keyset, keyset);
	assert_string_equal(back.fingerprint, FINGERPRINT_A);
	assert_string_equal(back.authority, FINGERPRINT_B);
	assert_string_equal(back.nonce, nonce_text);
	confirmation_free(&back);
	buf_free(&text);
}

static void test_confirmation_refused(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to, *detail;
	} cases[] = {
		{ "Nonce: 0", "Nonce: ", "field Nonce is not" },
		{ "Nonce: 0", "Nonce: 00", "field Nonce is not" },
		{ "Keyset: default\n", "", "field Keyset is missing" },
		{ "Address: alice@", "Address: ", "field Address is not" },
		{ "Authority: F", "Authority: ", "field Authority is not" },
		{ "Fingerprint: 0", "Fingerprint: ", "field Fingerprint is not" },
		{ "Request-Id: 0", "Request-Id: ", "field Request-Id is not" },
		{ "-MNPQRS\n", "-MNPQRS\n\nmore\n", "something follows" },
		{ "Confirmation: 1", "Confirmation: 7", "version" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct confirmation back;
		struct refusal why = { 0 };
		struct buf text = BUF_INIT;
		buf_add_text(&text, confirmation_text);
		substitute(&text, cases[i].from, cases[i].to);
		assert_false(confirmation_parse(buf_bytes(&text), &back, &why));
		assert_int_equal(why.reason, REASON_REQUEST_MALFORMED);
		if (!strstr(why.detail, cases[i].detail))
			fail_msg("case %zu: %s", i, why.detail);
		confirmation_free(&back);
		buf_free(&text);
	}
}

static void test_nonce(void **state)
{
	(void)state;
	char *a = nonce_make(), *b = nonce_make();
	assert_int_equal(strlen(a), 30);
	assert_string_not_equal(a, b);
	for (size_t i = 5; i < 24; i += 6)
		assert_int_equal(a[i], '-');
	str_free(&b);
	struct buf text = BUF_INIT;
	struct token token;
	buf_addf(&text, "> Confirmation: %s\n", a);
	b = nonce_find(buf_bytes(&text));
	assert_string_equal(a, b);
	/* a nonce is no token, and not almost one */
	assert_int_equal(token_find(buf_bytes(&text), NULL, &token), TOKEN_NONE);
	buf_free(&text);
	str_free(&a);
	str_free(&b);
}

static void test_nonce_find(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool found;
	} cases[] = {
		{ "Confirmation: 01234-56789-ABCDE-FGHJK-MNPQRS", true },
		{ "I confirm!\r\n\r\n> > confirmation: ol234-56789-abcde-fghjk-mnpqrs\r\n", true },
		{ "*Confirmation:* 01234-56789-ABCDE-FGHJK-MNPQRS.", true },
		{ "> Confirmation: 01234-56789-\n> ABCDE-FGHJK-MNPQRS", true },
		{ "Confirmation:\n01234-56789-ABCDE-FGHJK-MNPQRS", true },
		{ "Confirmation: 01234=2D56789=2DABCDE-FGH=\nJK-MNPQRS", true },
		{ "Confirmation\xc2\xa0:\xc2\xa0"
		  "01234-56789-ABCDE-FGHJK-MNPQRS",
		    true },
		{ "Confirmation: 0123456789ABCDEFGHJKMNPQRS", true },
		{ "Confirmation: soon\nConfirmation: 01234-56789-ABCDE-FGHJK-MNPQRS", true },
		{ "Confirmation: 01234-56789-ABCDE-FGHJK-MNPQR", false },
		{ "Confirmation: 01234-56789-ABCDE-FGHJK-MNPQRST", false },
		{ "01234-56789-ABCDE-FGHJK-MNPQRS", false },
		{ "Confirmation", false },
		{ "", false },
	};
	assert_null(nonce_find(bytes_of(NULL, 0)));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *found = nonce_find(bytes_of_text(cases[i].text));
		if (cases[i].found != (found != NULL))
			fail_msg("case %zu", i);
		if (found)
			assert_string_equal(found, nonce_text);
		str_free(&found);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_mangled),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_salvage),
		cmocka_unit_test(test_looks_like),
		cmocka_unit_test(test_id),
		cmocka_unit_test(test_confirmation),
		cmocka_unit_test(test_confirmation_refused),
		cmocka_unit_test(test_nonce),
		cmocka_unit_test(test_nonce_find),
	};
	secret_start();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
