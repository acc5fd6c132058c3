#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"
#include "secret/secret.h"

/* The known answers are those of tests/vectors/secret.py, which does without libsodium. */

static const uint8_t seed[SECRET_SEED_BYTES] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 };
static const uint8_t fingerprint[20] = { 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
	31, 32, 33, 34, 35 };

static void assert_hex(const uint8_t *bytes, size_t len, const char *hex)
{
	char made[2 * 64 + 1];

	assert_true(len <= 64);
	for (size_t i = 0; i < len; i++)
		(void)snprintf(made + 2 * i, 3, "%02x", bytes[i]);
	assert_string_equal(made, hex);
}

static void hashes(void **state)
{
	uint8_t hash[HASH_BYTES];

	(void)state;
	hash_sha256(bytes_of_text("abc"), hash); /* FIPS 180-2, B.1 */
	assert_hex(
	    hash, sizeof hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	hash_sha256(bytes_of(NULL, 0), hash);
	assert_hex(
	    hash, sizeof hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	hash_context("countersign test v1", bytes_of(NULL, 0), hash);
	assert_hex(
	    hash, sizeof hash, "4e55af4fb54996c948fd883248dee5d0a2624892d438d25509a51eeba49d889c");
	hash_context("countersign test v1", bytes_of_text("alice@example.org"), hash);
	assert_hex(
	    hash, sizeof hash, "95b9167e5f0a486eba7882be079bb0b9cd292489c90764baf511596bb9648099");
}

static void pins(void **state)
{
	uint8_t pin[PIN_BYTES];

	(void)state;
	assert_int_equal(pin_make(fingerprint, "sa@example.org", pin), ERR_OK);
	assert_hex(pin, sizeof pin, "2dca979eca");
	assert_int_equal(pin_make(fingerprint, "authority@xn--mnchen-3ya.example", pin), ERR_OK);
	assert_hex(pin, sizeof pin, "12c2b8439b");
}

static void token_keys(void **state)
{
	static const char text[] = "countersign request v1\n";
	uint8_t key[TOKEN_KEY_BYTES], signature[TOKEN_SIGNATURE_BYTES];
	struct bytes signed_text = bytes_of_text(text);

	(void)state;
	token_key_public(seed, key);
	assert_hex(
	    key, sizeof key, "ee8b26adb82deb28c36cc3b784b7cf2f50c865c3120886bab47e0b98ae9583b3");
	token_key_sign(seed, signed_text, signature);
	assert_hex(signature, sizeof signature,
	    "cb310dfc94cc61ed9d8ebfd7b594e410c5069d521f5aa52d2b3f70ca74875ec1"
	    "b1531db4029bf6cbb601aae47a236b903d3340be58468cdc8a0d15fa198bb708");
	assert_true(token_key_verify(key, signed_text, signature));
	assert_false(token_key_verify(key, bytes_of(text, sizeof text - 2), signature));
	for (size_t i = 0; i < sizeof signature; i += 7) {
		signature[i] ^= 1;
		assert_false(token_key_verify(key, signed_text, signature));
		signature[i] ^= 1;
	}
	key[0] ^= 1;
	assert_false(token_key_verify(key, signed_text, signature));
	/* A key of small order would verify anything. */
	memset(key, 0, sizeof key);
	memset(signature, 0, sizeof signature);
	assert_false(token_key_verify(key, signed_text, signature));
}

/* P5.5 */
static void recoveries(void **state)
{
	static const char sealed_hex[] =
	    "000102030405060708090a0b0c0d0e0f10111213141516179fd3ae3bb628343392bbabaa45ac3711c961d243"
	    "fdf8ec2bd8ded9";
	uint8_t key[RECOVERY_KEY_BYTES], known[51];
	struct bytes address = bytes_of_text("alice@example.org");
	struct buf sealed = BUF_INIT, again = BUF_INIT, opened = BUF_SECRET;

	(void)state;
	recovery_key_make(seed, key);
	assert_hex(
	    key, sizeof key, "7a5f9434859b462458efecf590fe9968b55dae3c0ddade74c562ce7dece27358");
	assert_int_equal(hex_read(sealed_hex, known, sizeof known), ERR_OK);
	assert_int_equal(
	    recovery_open(key, address, bytes_of(known, sizeof known), &opened), ERR_OK);
	assert_string_equal(buf_text(&opened), "the old key");

	recovery_seal(key, address, buf_bytes(&opened), &sealed);
	recovery_seal(key, address, buf_bytes(&opened), &again);
	assert_int_equal(sealed.len, sizeof known);
	assert_false(bytes_equal(buf_bytes(&sealed), buf_bytes(&again)));
	buf_clear(&opened);
	assert_int_equal(recovery_open(key, address, buf_bytes(&sealed), &opened), ERR_OK);
	assert_string_equal(buf_text(&opened), "the old key");

	assert_int_equal(
	    recovery_open(key, bytes_of_text("bob@example.org"), buf_bytes(&sealed), &opened),
	    ERR_DATA);
	for (size_t len = 0; len < sealed.len; len++)
		assert_int_equal(
		    recovery_open(key, address, bytes_of(sealed.data, len), &opened), ERR_DATA);
	for (size_t at = 0; at < sealed.len; at++) {
		sealed.data[at] ^= 1;
		assert_int_equal(
		    recovery_open(key, address, buf_bytes(&sealed), &opened), ERR_DATA);
		sealed.data[at] ^= 1;
	}
	key[31] ^= 1;
	assert_int_equal(recovery_open(key, address, buf_bytes(&sealed), &opened), ERR_DATA);
	assert_string_equal(buf_text(&opened), "the old key");
	buf_free(&sealed);
	buf_free(&again);
	buf_free(&opened);
}

static void random_and_equal(void **state)
{
	uint8_t a[32] = { 0 }, b[32] = { 0 };

	(void)state;
	assert_true(secret_equal(a, b, sizeof a));
	secret_random(a, sizeof a);
	assert_false(secret_equal(a, b, sizeof a));
	secret_random(b, sizeof b);
	assert_false(secret_equal(a, b, sizeof a));
	assert_true(secret_equal(a, b, 0));
}

static int start(void **state)
{
	(void)state;
	secret_start();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes),
		cmocka_unit_test(pins),
		cmocka_unit_test(token_keys),
		cmocka_unit_test(recoveries),
		cmocka_unit_test(random_and_equal),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, start, NULL);
}
