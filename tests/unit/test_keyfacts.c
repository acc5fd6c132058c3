#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "enroll/keyfacts.h"

#define NOW 1795320000
#define ALICE "alice@example.org"
#define ALIAS "alice@other.example.org"

static char ed25519[] = "ed25519", cv25519[] = "cv25519", nistp256[] = "NISTP256";
static char *const curves[] = { ed25519, cv25519, nistp256, NULL };
static const struct key_policy policy = { .rsa_bits_min = 3072, .curves = curves };
static const struct key_policy lax = {
	.rsa_bits_min = 2048, .curves = curves, .dsa_elgamal = true
};

/* A key in good order: primary that certifies and signs, one encryption subkey; two user IDs. */
static struct key_facts *good(void)
{
	struct key_facts *f = mem_alloc(sizeof(*f));
	strcpy(f->fingerprint, "0123456789ABCDEF0123456789ABCDEF01234567");
	f->user_id_count = 2;
	f->user_ids = mem_array(NULL, 2, sizeof(*f->user_ids));
	f->user_ids[0] = (struct key_user_id){ .text = str_dup("Alice Example <" ALICE ">"),
		.address = str_dup(ALICE),
		.name = str_dup("Alice Example") };
	f->user_ids[1] = (struct key_user_id){ .text = str_dup(ALIAS), .address = str_dup(ALIAS) };
	f->subkey_count = 2;
	f->subkeys = mem_array(NULL, 2, sizeof(*f->subkeys));
	f->subkeys[0] = (struct key_subkey){ .algorithm = str_dup("ed25519"),
		.bits = 255,
		.created = NOW - 9,
		.can_certify = true,
		.can_sign = true };
	f->subkeys[1] = (struct key_subkey){ .algorithm = str_dup("cv25519"),
		.bits = 255,
		.created = NOW - 9,
		.can_encrypt = true };
	return f;
}

static struct key_subkey *add_subkey(struct key_facts *f, const char *algorithm, unsigned bits)
{
	f->subkeys = mem_array(f->subkeys, ++f->subkey_count, sizeof(*f->subkeys));
	struct key_subkey *key = &f->subkeys[f->subkey_count - 1];
	*key = (struct key_subkey){ .algorithm = str_dup(algorithm), .bits = bits };
	return key;
}

static void set_algorithm(struct key_subkey *key, const char *algorithm, unsigned bits)
{
	str_free(&key->algorithm);
	key->algorithm = str_dup(algorithm);
	key->bits = bits;
}

static void set_text(struct key_user_id *id, const char *text, const char *name)
{
	str_free(&id->text);
	str_free(&id->name);
	id->text = str_dup(text);
	id->name = str_dup(name);
}

static void nothing(struct key_facts *f)
{
	(void)f;
}
static void version(struct key_facts *f)
{
	strcpy(f->fingerprint, "0123");
}
static void no_subkeys(struct key_facts *f)
{
	str_free(&f->subkeys[0].algorithm);
	str_free(&f->subkeys[1].algorithm);
	f->subkey_count = 0;
}
static void revoked(struct key_facts *f)
{
	f->revoked = true;
}
static void expired(struct key_facts *f)
{
	f->expired = true;
}
static void expired_now(struct key_facts *f)
{
	f->subkeys[0].expires = NOW;
}
static void expires_later(struct key_facts *f)
{
	f->subkeys[0].expires = NOW + 1;
	f->subkeys[1].expires = NOW + 1;
}
static void invalid(struct key_facts *f)
{
	f->invalid = true;
}
static void no_address(struct key_facts *f)
{
	str_free(&f->user_ids[0].address);
}
static void address_twice(struct key_facts *f)
{
	str_free(&f->user_ids[1].address);
	f->user_ids[1].address = str_dup(ALICE);
}
static void no_alias(struct key_facts *f)
{
	str_free(&f->user_ids[1].address);
}
static void id_revoked(struct key_facts *f)
{
	f->user_ids[0].revoked = true;
}
static void id_invalid(struct key_facts *f)
{
	f->user_ids[0].invalid = true;
}
static void alias_revoked(struct key_facts *f)
{
	f->user_ids[1].revoked = true;
}
static void name_with_at(struct key_facts *f)
{
	set_text(&f->user_ids[0], "bob@example.org <" ALICE ">", "bob@example.org");
}
static void name_bidirectional(struct key_facts *f)
{
	set_text(&f->user_ids[0],
	    "\xe2\x80\xae"
	    "ecilA <" ALICE ">",
	    "\xe2\x80\xae"
	    "ecilA");
}
static void name_odd(struct key_facts *f)
{
	set_text(&f->user_ids[0], "surplus " ALICE, NULL);
}
static void name_other(struct key_facts *f)
{
	set_text(&f->user_ids[0], "Bob Example <" ALICE ">", "Bob Example");
}
static void name_none(struct key_facts *f)
{
	set_text(&f->user_ids[0], ALICE, NULL);
}
static void no_signing(struct key_facts *f)
{
	f->subkeys[0].can_sign = false;
}
static void signing_subkey(struct key_facts *f)
{
	f->subkeys[0].can_sign = false;
	add_subkey(f, "ed25519", 255)->can_sign = true;
}
static void signing_expired(struct key_facts *f)
{
	signing_subkey(f);
	f->subkeys[2].expires = NOW - 1;
}
static void no_encryption(struct key_facts *f)
{
	f->subkeys[1].can_encrypt = false;
}
static void primary_encrypts(struct key_facts *f)
{
	f->subkeys[0].can_encrypt = true;
	f->subkeys[1].can_encrypt = false;
}
static void encryption_expired(struct key_facts *f)
{
	f->subkeys[1].expired = true;
}
static void encryption_revoked(struct key_facts *f)
{
	f->subkeys[1].revoked = true;
}
static void encryption_twice(struct key_facts *f)
{
	add_subkey(f, "cv25519", 255)->can_encrypt = true;
}
static void encryption_renewed(struct key_facts *f)
{
	f->subkeys[1].expires = NOW - 1;
	add_subkey(f, "cv25519", 255)->can_encrypt = true;
}
static void rsa_small(struct key_facts *f)
{
	set_algorithm(&f->subkeys[1], "rsa", 1024);
}
static void rsa_good(struct key_facts *f)
{
	set_algorithm(&f->subkeys[0], "rsa", 3072);
	set_algorithm(&f->subkeys[1], "rsa", 4096);
}
static void curve_case(struct key_facts *f)
{
	set_algorithm(&f->subkeys[0], "nistp256", 256);
}
static void curve_other(struct key_facts *f)
{
	set_algorithm(&f->subkeys[0], "secp256k1", 256);
}
static void elgamal(struct key_facts *f)
{
	set_algorithm(&f->subkeys[0], "dsa", 3072);
	set_algorithm(&f->subkeys[1], "elg", 2048);
}
static void old_weak(struct key_facts *f)
{
	encryption_renewed(f);
	set_algorithm(&f->subkeys[1], "rsa", 1024); /* no longer in force */
}
static void signing_weak(struct key_facts *f)
{
	signing_subkey(f);
	set_algorithm(&f->subkeys[2], "rsa", 2048);
}

struct check {
	void (*change)(struct key_facts *f);
	const struct key_policy *policy;
	const char *recorded;
	enum reason reason; /* REASON_NONE: passes */
	const char *detail;
	size_t encryption;
};

#define PASS(change, policy, recorded, encryption) \
	{ \
		change, policy, recorded, REASON_NONE, NULL, encryption \
	}
#define FAIL(change, policy, detail) \
	{ \
		change, policy, NULL, REASON_KEY_UNUSABLE, detail, 0 \
	}

static const struct check checks[] = {
	PASS(nothing, &policy, NULL, 1),
	PASS(nothing, &policy, "Alice  Example", 1),
	PASS(expires_later, &policy, NULL, 1),
	PASS(no_alias, &policy, NULL, 1),
	PASS(name_none, &policy, "Alice Example", 1),
	PASS(signing_subkey, &policy, NULL, 1),
	PASS(encryption_renewed, &policy, NULL, 2),
	PASS(rsa_good, &policy, NULL, 1),
	PASS(curve_case, &policy, NULL, 1),
	PASS(old_weak, &policy, NULL, 2),
	PASS(elgamal, &lax, NULL, 1),
	FAIL(version, &policy, "version 4"),
	FAIL(no_subkeys, &policy, "version 4"),
	FAIL(revoked, &policy, "The key is revoked."),
	FAIL(expired, &policy, "The key has expired."),
	FAIL(expired_now, &policy, "The key has expired."),
	FAIL(invalid, &policy, "no valid self-signature"),
	FAIL(no_address, &policy, "no user ID of " ALICE),
	FAIL(address_twice, &policy, "several user IDs of " ALICE),
	FAIL(id_revoked, &policy, "user ID of " ALICE " is revoked"),
	FAIL(id_invalid, &policy, "user ID of " ALICE " has no valid self-signature"),
	FAIL(alias_revoked, &policy, "user ID of " ALIAS " is revoked"),
	FAIL(name_with_at, &policy, "name in the user ID of " ALICE " can't be certified"),
	FAIL(name_bidirectional, &policy, "name in the user ID of " ALICE " can't be certified"),
	FAIL(name_odd, &policy, "neither the address alone"),
	{ name_other, &policy, "Alice Example", REASON_NAME_MISMATCH,
	    "recorded for you, Alice Example.", 0 },
	FAIL(no_signing, &policy, "can't sign"),
	FAIL(signing_expired, &policy, "signing subkey of the key has expired"),
	FAIL(no_encryption, &policy, "no encryption subkey"),
	FAIL(primary_encrypts, &policy, "no encryption subkey"),
	FAIL(encryption_expired, &policy, "encryption subkey of the key has expired"),
	FAIL(encryption_revoked, &policy, "encryption subkey of the key is revoked"),
	FAIL(encryption_twice, &policy, "2 encryption subkeys"),
	FAIL(rsa_small, &policy, "rsa with 1024 bits; this authority wants 3072"),
	FAIL(curve_other, &policy, "secp256k1, which this authority does not accept"),
	FAIL(elgamal, &policy, "dsa, which this authority does not accept"),
	FAIL(signing_weak, &policy, "rsa with 2048 bits"),
};

static void test_policy(void **state)
{
	(void)state;
	static const char *const addresses[] = { ALICE, ALIAS, NULL };
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		const struct check *c = &checks[i];
		struct key_facts *facts = good();
		struct refusal why = { 0 };
		size_t encryption = 99;
		c->change(facts);
		bool passed = key_policy_check(
		    facts, c->policy, addresses, c->recorded, NOW, &encryption, &why);
		if (passed != (c->reason == REASON_NONE))
			fail_msg("case %zu: %s", i, why.detail);
		if (passed) {
			assert_int_equal(encryption, c->encryption);
		} else {
			assert_int_equal(why.reason, c->reason);
			if (!strstr(why.detail, c->detail))
				fail_msg("case %zu: %s", i, why.detail);
			assert_true(str_ends(why.detail, "."));
			assert_int_equal(encryption, 99);
		}
		key_facts_free(&facts);
		assert_null(facts);
	}
}

/* A user ID that is not asked for does not matter. */
static void test_other_user_ids(void **state)
{
	(void)state;
	static const char *const addresses[] = { ALICE, NULL };
	struct key_facts *facts = good();
	struct refusal why;
	size_t encryption;
	alias_revoked(facts);
	set_text(&facts->user_ids[1], "x@y <" ALIAS ">", "x@y");
	assert_true(key_policy_check(facts, &policy, addresses, NULL, NOW, &encryption, &why));
	key_facts_free(&facts);
	key_facts_free(&facts);
}

/* The newest that can be encrypted to now. */
static void test_encryption(void **state)
{
	(void)state;
	struct key_facts *f = good();
	assert_ptr_equal(key_encryption(f), &f->subkeys[1]);
	struct key_subkey *newer = add_subkey(f, "cv25519", 255);
	newer->created = NOW - 1;
	assert_ptr_equal(key_encryption(f), &f->subkeys[1]);
	newer->can_encrypt = true;
	assert_ptr_equal(key_encryption(f), &f->subkeys[2]);
	bool *const faults[] = { &newer->revoked, &newer->expired, &newer->invalid,
		&newer->disabled };
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		*faults[i] = true;
		assert_ptr_equal(key_encryption(f), &f->subkeys[1]);
		*faults[i] = false;
	}
	f->subkeys[1].can_encrypt = newer->can_encrypt = false;
	assert_null(key_encryption(f));
	key_facts_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_other_user_ids),
		cmocka_unit_test(test_encryption),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
