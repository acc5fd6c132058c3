/* Certifications withdrawn (P5.5) and keys revoked by their owners (P3.8), with the real gpg; sq says the same. */
#include "enroll/packets.h"
#include "keys_fixture.h"

#define YEAR (365 * 24 * 3600)

static const char *const alice_ids[] = { ALICE, NULL };

static void certify(struct place *p, struct buf *out)
{
	const struct certify_options options = { .signer = p->authority,
		.user_ids = alice_ids,
		.until = when_now() + YEAR,
		.notation_name = "keyset@example.org",
		.notation_value = "default" };
	struct key_facts *facts = NULL;

	assert_fine(keyhome_reset(p->home));
	assert_fine(keyhome_import(p->home, buf_bytes(&p->alice_key), &facts));
	assert_fine(keyhome_certify(p->home, p->alice, &options, out));
	key_facts_free(&facts);
	assert_fine(keyhome_reset(p->home));
}

static void keep(const struct place *p, const char *name, const struct buf *key)
{
	char *path = path_join(p->dir, name);

	assert_fine(file_write(path, 0600, buf_bytes(key)));
	str_free(&path);
}

/* What another gpg makes of these files, taken in one after another. */
static void gpg_sees(const struct place *p, const char *files, struct buf *out)
{
	char *command = str_printf(
	    "cd %s && rm -rf eyes && mkdir -m 700 eyes && export GNUPGHOME=$PWD/eyes && for f in %s; do "
	    "gpg -q --batch --import $f; done 2>/dev/null; gpg -q --batch --with-colons --check-sigs %s; "
	    "gpgconf --kill all",
	    p->dir, files, p->alice);

	buf_clear(out);
	assert_int_equal(run_shell(command, out), 0);
	str_free(&command);
}

static bool sq_accepts(const struct place *p, const char *file)
{
	char *command = str_printf(
	    "cd %s && cat authority.pgp %s > ring && sq-wot -k ring -r %s authenticate '%s' %s "
	    ">/dev/null 2>&1",
	    p->dir, file, p->authority, ALICE, p->alice);
	bool good = run_shell(command, NULL) == 0;

	str_free(&command);
	return good;
}

static bool says(const struct buf *text, const char *words)
{
	return strstr(buf_text(text), words) != NULL;
}

static void withdraws(void **state)
{
	static const struct {
		const char *reason, *shown;
	} cases[] = {
		{ "superseded", ":30x,00:" },
		{ "left", ":30x,20:" },
		{ "", ":30x,00:" },
		{ "lost her laptop: 100 % sure", ":30x,00:" },
	};
	struct place *p = *state;
	struct buf certified = BUF_INIT, withdrawn = BUF_INIT, again = BUF_INIT, seen = BUF_INIT;

	keep(p, "authority.pgp", &p->authority_key);
	certify(p, &certified);
	keep(p, "certified.pgp", &certified);
	gpg_sees(p, "authority.pgp certified.pgp", &seen);
	assert_false(says(&seen, "\nrev:"));
	assert_true(sq_accepts(p, "certified.pgp"));
	(void)sleep(1); /* of the same second sq takes the certification */
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		buf_clear(&withdrawn);
		assert_fine(keyhome_reset(p->home));
		assert_fine(keyhome_withdraw(p->home, p->authority, buf_bytes(&certified),
		    alice_ids, cases[i].reason, &withdrawn));
		keep(p, "withdrawn.pgp", &withdrawn);
		/* Also where the certified key was known before: a refresh. */
		gpg_sees(p, "authority.pgp certified.pgp withdrawn.pgp", &seen);
		if (!says(&seen, "\nrev:!:") || !says(&seen, cases[i].shown))
			fail_msg("%s: %s", cases[i].reason, buf_text(&seen));
		assert_true(strlen(cases[i].reason) == 0 || i == 3 || says(&seen, cases[i].reason));
		assert_false(sq_accepts(p, "withdrawn.pgp"));
	}
	/* Withdrawn already: the same key. */
	assert_fine(keyhome_reset(p->home));
	assert_fine(keyhome_withdraw(
	    p->home, p->authority, buf_bytes(&withdrawn), alice_ids, "again", &again));
	assert_true(bytes_equal(buf_bytes(&withdrawn), buf_bytes(&again)));
	buf_free(&certified);
	buf_free(&withdrawn);
	buf_free(&again);
	buf_free(&seen);
}

static void withdraws_what_is_there(void **state)
{
	static const char *const others[] = { ALICE, "Bob <bob@example.org>", NULL };
	struct place *p = *state;
	struct buf certified = BUF_INIT, out = BUF_INIT;

	certify(p, &certified);
	assert_fault(keyhome_withdraw(
			 p->home, p->authority, buf_bytes(&p->alice_key), alice_ids, "left", &out),
	    ERR_DATA);
	assert_fault(
	    keyhome_withdraw(p->home, p->authority, buf_bytes(&certified), others, "left", &out),
	    ERR_DATA);
	assert_fault(
	    keyhome_withdraw(p->home, p->authority, buf_bytes(&certified), alice_ids, "a\nb", &out),
	    ERR_DATA);
	assert_int_equal(out.len, 0);
	/* Nothing of it is left in the home: the next key is reduced again, and certified as ever. */
	buf_clear(&certified);
	certify(p, &certified);
	buf_free(&certified);
	buf_free(&out);
}

/* The key itself has expired since. */
static void withdraws_from_an_expired_key(void **state)
{
	struct place *p = *state;
	char *command = str_printf(
	    "cd %s && mkdir -m 700 brief && export GNUPGHOME=$PWD/brief && "
	    "gpg -q --batch --passphrase '' --quick-gen-key '%s' ed25519 sign seconds=3 2>/dev/null; "
	    "gpg -q --batch --export; gpgconf --kill all",
	    p->dir, ALICE);
	struct buf key = BUF_INIT, certified = BUF_INIT, out = BUF_INIT, alice = p->alice_key;
	struct key_facts *facts = NULL;
	char was[41];

	assert_int_equal(run_shell(command, &key), 0);
	memcpy(was, p->alice, sizeof was);
	p->alice_key = key;
	assert_fine(keyhome_import(p->home, buf_bytes(&key), &facts));
	memcpy(p->alice, facts->fingerprint, sizeof was);
	certify(p, &certified);
	(void)sleep(4);
	assert_fine(keyhome_withdraw(
	    p->home, p->authority, buf_bytes(&certified), alice_ids, "left", &out));
	assert_true(out.len > certified.len);
	memcpy(p->alice, was, sizeof was);
	p->alice_key = alice;
	key_facts_free(&facts);
	str_free(&command);
	buf_free(&key);
	buf_free(&certified);
	buf_free(&out);
}

/* The authority's agent can't be used. */
static void believes_no_claim(void **state)
{
	struct place *p = *state;
	struct buf certified = BUF_INIT, out = BUF_INIT;

	certify(p, &certified);
	agent_finish(p);
	assert_fault(
	    keyhome_withdraw(p->home, p->authority, buf_bytes(&certified), alice_ids, "left", &out),
	    ERR_UNAVAILABLE);
	assert_int_equal(out.len, 0);
	agent_begin(p);
	assert_fine(agent_unlock(p->keys, text_bytes(PASSPHRASE)));
	assert_fine(keyhome_reset(p->home));
	assert_fine(keyhome_withdraw(
	    p->home, p->authority, buf_bytes(&certified), alice_ids, "left", &out));
	buf_free(&certified);
	buf_free(&out);
}

/* As gpg made it beside the key, put to use by its owner. */
static void revoke_alice(const struct place *p, struct buf *out)
{
	char *command = str_printf(
	    "cd %s && rm -rf own && mkdir -m 700 own && export GNUPGHOME=$PWD/own && gpg -q --batch --import alice.pgp "
	    "2>/dev/null; sed 's/^:-/-/' %s/openpgp-revocs.d/%s.rev | gpg -q --batch --import 2>/dev/null; "
	    "gpg -q --batch --export %s; gpgconf --kill all",
	    p->dir, p->user, p->alice, p->alice);

	keep(p, "alice.pgp", &p->alice_key);
	assert_int_equal(run_shell(command, out), 0);
	str_free(&command);
}

static void merges_a_revocation(void **state)
{
	struct place *p = *state;
	struct buf certified = BUF_INIT, revoked = BUF_INIT, merged = BUF_INIT, seen = BUF_INIT;

	certify(p, &certified);
	revoke_alice(p, &revoked);
	assert_true(revoked.len > p->alice_key.len);
	assert_fine(
	    keyhome_merge_revocation(p->home, buf_bytes(&certified), buf_bytes(&revoked), &merged));
	keep(p, "merged.pgp", &merged);
	keep(p, "authority.pgp", &p->authority_key);
	gpg_sees(p, "authority.pgp merged.pgp", &seen);
	assert_true(says(&seen, "pub:r:"));
	assert_true(says(&seen, ":keyset@example.org") || says(&seen, p->authority + 24));
	assert_false(sq_accepts(p, "merged.pgp"));
	/* There is nothing more to withdraw then. */
	buf_clear(&seen);
	assert_fine(keyhome_reset(p->home));
	assert_fine(
	    keyhome_withdraw(p->home, p->authority, buf_bytes(&merged), alice_ids, "left", &seen));
	assert_true(bytes_equal(buf_bytes(&seen), buf_bytes(&merged)));
	buf_free(&certified);
	buf_free(&revoked);
	buf_free(&merged);
	buf_free(&seen);
}

static void merges_nothing_else(void **state)
{
	struct place *p = *state;
	struct buf certified = BUF_INIT, revoked = BUF_INIT, out = BUF_INIT;

	certify(p, &certified);
	revoke_alice(p, &revoked);
	assert_fault(keyhome_merge_revocation(
			 p->home, buf_bytes(&certified), buf_bytes(&p->alice_key), &out),
	    ERR_DATA);
	assert_fault(keyhome_merge_revocation(
			 p->home, buf_bytes(&p->authority_key), buf_bytes(&revoked), &out),
	    ERR_DATA);
	assert_fault(
	    keyhome_merge_revocation(p->home, buf_bytes(&certified), bytes_of("junk", 4), &out),
	    ERR_DATA);
	/* A forged one: the primary, then a revocation signature that does not hold. */
	for (size_t at = 109; at < 141; at++) { /* the first of its two numbers */
		assert_fine(keyhome_reset(p->home));
		revoked.data[at] ^= 4;
		if (keyhome_merge_revocation(
			p->home, buf_bytes(&certified), buf_bytes(&revoked), &out) == ERR_OK)
			fail_msg("octet %zu does not count", at);
		revoked.data[at] ^= 4;
	}
	assert_int_equal(out.len, 0);
	buf_free(&certified);
	buf_free(&revoked);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(withdraws),
		cmocka_unit_test(withdraws_what_is_there),
		cmocka_unit_test(withdraws_from_an_expired_key),
		cmocka_unit_test(believes_no_claim),
		cmocka_unit_test(merges_a_revocation),
		cmocka_unit_test(merges_nothing_else),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, place_make, place_remove);
}
