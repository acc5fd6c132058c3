/* Deposits with the real gpg: exported, proved, sealed, opened again, installed. */
#include <dirent.h>
#include <sys/stat.h>

#include "enroll/deposit.h"
#include "enroll/packets.h"
#include "keys/deposit.h"
#include "pinentry_fixture.h"

#define PASSWORD "a password"
#define ESCROW_PASSPHRASE "in the safe"

struct scene {
	struct place *place;
	char subkey[41]; /* alice's */
	struct buf deposit;
	char *escrow_home;
	char escrow[41];
	struct buf escrow_key;
};

static struct bytes nothing(void)
{
	return bytes_of("", 0);
}

static void find_subkey(const char *home_path, const char *fingerprint, char out[41])
{
	struct key_facts *facts = NULL;
	struct keyhome *home;

	assert_fine(keyhome_open(home_path, true, &home));
	assert_fine(keyhome_facts(home, fingerprint, true, &facts));
	memcpy(out, facts->subkeys[1].fingerprint, 41);
	key_facts_free(&facts);
	keyhome_close(&home);
}

static enum err export_from(const char *home_path, const char *subkey, struct buf *out)
{
	struct keyhome *home;
	enum err err;

	assert_fine(keyhome_open(home_path, true, &home));
	err = deposit_export(home, subkey, out);
	keyhome_close(&home);
	return err;
}

static void make_escrow(struct scene *s)
{
	struct keyhome *home;
	char *conf;

	s->escrow_home = path_join(s->place->dir, "escrow");
	conf = path_join(s->escrow_home, "gpg-agent.conf");
	assert_fine(file_make_dir(s->escrow_home, 0700));
	assert_fine(file_write(conf, 0600, text_bytes("s2k-count 65536\n")));
	assert_fine(keyhome_open(s->escrow_home, true, &home));
	assert_fine(keyring_create_escrow(
	    home, "Escrow <escrow@example.org>", text_bytes(ESCROW_PASSPHRASE), s->escrow));
	assert_fine(keyhome_export(home, s->escrow, &s->escrow_key));
	keyhome_close(&home);
	agent_stop(s->escrow_home);
	str_free(&conf);
}

static int scene_make(void **state)
{
	struct scene *s = mem_alloc(sizeof *s);
	void *place;

	if (place_make(&place))
		return -1;
	s->place = place;
	s->deposit = (struct buf)BUF_SECRET;
	find_subkey(s->place->user, s->place->alice, s->subkey);
	assert_fine(export_from(s->place->user, s->subkey, &s->deposit));
	make_escrow(s);
	*state = s;
	return 0;
}

static int scene_remove(void **state)
{
	struct scene *s = *state;
	void *place = s->place;

	buf_free(&s->deposit);
	buf_free(&s->escrow_key);
	str_free(&s->escrow_home);
	place_remove(&place);
	free(s);
	return 0;
}

/* Nothing is left of a vault: neither its directory nor its agent. */
static void assert_no_vault(const struct place *p)
{
	DIR *entries = opendir(p->run);
	struct dirent *entry;
	size_t homes = 0;

	assert_non_null(entries);
	while ((entry = readdir(entries)))
		homes += entry->d_name[0] != '.';
	closedir(entries);
	assert_int_equal(homes, 1); /* place's own authority home */
	char *command = str_printf("pgrep -f 'gpg-agent --homedir %s/'", p->run);
	struct buf pids = BUF_INIT;
	(void)run_shell(command, &pids);
	/* The shell that asks has the words in its own command line. */
	assert_true(strcspn(buf_text(&pids), "\n") + 1 >= pids.len);
	buf_free(&pids);
	str_free(&command);
}

static void exports_the_subkey_alone(void **state)
{
	struct scene *s = *state;
	struct packet_summary summary = packets_summarise(buf_bytes(&s->deposit));
	struct refusal why;

	assert_int_equal(summary.secret_keys, 2);
	assert_int_equal(summary.public_keys, 0);
	assert_true(deposit_check(
	    buf_bytes(&s->deposit), buf_bytes(&s->place->alice_key), s->subkey, &why));
}

static void exports_nothing_else(void **state)
{
	struct scene *s = *state;
	struct place *p = s->place;
	char *path = path_join(p->dir, "bob");
	struct buf deposit = BUF_SECRET, public = BUF_INIT;
	struct keyhome *home;
	char bob[41], subkey[41];

	/* The primary is no encryption key; what is not here can't be exported. */
	assert_fault(export_from(p->user, p->alice, &deposit), ERR_DATA);
	assert_fault(
	    export_from(p->user, "0123456789012345678901234567890123456789", &deposit), ERR_NOUSER);
	assert_fine(file_make_dir(path, 0700));
	quick_passwords(path);
	assert_fine(keyhome_open(path, true, &home));
	assert_fine(keyring_create_user(home, "Bob <bob@example.org>", text_bytes(PASSWORD), bob));
	keyhome_close(&home);
	find_subkey(path, bob, subkey);
	assert_fault(export_from(path, subkey, &deposit), ERR_DATA);
	agent_stop(path); /* what it had cached */
	assert_fault(export_from(path, subkey, &deposit), ERR_DATA);
	assert_int_equal(deposit.len, 0);
	/* With its password it can: that stays on it. */
	assert_fine(keyhome_open(path, false, &home));
	assert_fault(deposit_export_protected(home, p->run, subkey, text_bytes("wrong"), &deposit),
	    ERR_DENIED);
	assert_fault(
	    deposit_export_protected(home, p->run, subkey, nothing(), &deposit), ERR_DENIED);
	assert_fine(deposit_export_protected(home, p->run, subkey, text_bytes(PASSWORD), &deposit));
	assert_fine(keyhome_export(home, bob, &public));
	assert_fine(deposit_prove(p->run, buf_bytes(&public), subkey, buf_bytes(&deposit)));
	agent_stop(path);
	buf_clear(&deposit);
	assert_fault(export_from(path, subkey, &deposit), ERR_DATA);
	keyhome_close(&home);
	assert_no_vault(p);
	agent_stop(path);
	str_free(&path);
	buf_free(&deposit);
	buf_free(&public);
}

static void proves(void **state)
{
	struct scene *s = *state;
	struct place *p = s->place;
	int64_t start = when_monotonic_ms();

	for (int i = 0; i < 5; i++)
		assert_fine(deposit_prove(
		    p->run, buf_bytes(&p->alice_key), s->subkey, buf_bytes(&s->deposit)));
	print_message("# a proof takes %lld ms\n", (long long)(when_monotonic_ms() - start) / 5);
	assert_no_vault(p);
}

/* The checksum of an unprotected secret is a plain sum: two bytes changed against each other keep it. */
static void proof_fails(void **state)
{
	struct scene *s = *state;
	struct place *p = s->place;
	struct bytes key = buf_bytes(&p->alice_key);
	struct buf deposit = BUF_SECRET;
	const uint8_t *binding;
	size_t secret_end;

	buf_add(&deposit, s->deposit.data, s->deposit.len);
	/* The binding (old format, tag 2) follows the secret and its sum of two. */
	binding = bytes_find(buf_bytes(&deposit), bytes_of("\x88\x78\x04\x18", 4));
	assert_non_null(binding);
	secret_end = (size_t)(binding - deposit.data) - 2;
	for (size_t at = secret_end - 20; at < secret_end - 1; at++)
		if (deposit.data[at] < 255 && deposit.data[at + 1] > 0) {
			deposit.data[at]++;
			deposit.data[at + 1]--;
			break;
		}
	assert_fault(deposit_prove(p->run, key, s->subkey, buf_bytes(&deposit)), ERR_DATA);
	/* The binding does not hold, so gpg would not have the subkey after a disaster. */
	buf_clear(&deposit);
	buf_add(&deposit, s->deposit.data, s->deposit.len);
	deposit.data[deposit.len - 1] ^= 1;
	assert_fault(deposit_prove(p->run, key, s->subkey, buf_bytes(&deposit)), ERR_DATA);
	assert_fault(deposit_prove(p->run, key, s->subkey, nothing()), ERR_DATA);
	assert_fault(deposit_prove("/proc", key, s->subkey, buf_bytes(&s->deposit)), ERR_CONFIG);
	assert_no_vault(p);
	buf_free(&deposit);
}

/* P4.8: the authority's own secrets stay as they are. */
static void authority_is_untouched(void **state)
{
	struct scene *s = *state;
	struct place *p = s->place;
	char *command = str_printf("cd %s/private-keys-v1.d && ls && cat * | sha256sum", p->keys);
	struct buf before = BUF_INIT, after = BUF_INIT, sealed = BUF_INIT;

	assert_int_equal(run_shell(command, &before), 0);
	assert_fine(
	    deposit_prove(p->run, buf_bytes(&p->alice_key), s->subkey, buf_bytes(&s->deposit)));
	assert_fine(deposit_seal(
	    p->home, buf_bytes(&s->escrow_key), s->escrow, buf_bytes(&s->deposit), &sealed));
	assert_int_equal(run_shell(command, &after), 0);
	assert_string_equal(buf_text(&before), buf_text(&after));
	str_free(&command);
	buf_free(&before);
	buf_free(&after);
	buf_free(&sealed);
}

static void rsa_deposits(void **state)
{
	struct scene *s = *state;
	struct place *p = s->place;
	char *path = path_join(p->dir, "carol"), *command;
	struct buf key = BUF_INIT, deposit = BUF_SECRET, text = BUF_INIT;
	struct keyhome *home;
	struct refusal why;
	char carol[41], subkey[41], signing[41];

	assert_fine(file_make_dir(path, 0700));
	command = str_printf(
	    "export GNUPGHOME=%s; gpg -q --batch --passphrase '' --quick-gen-key carol@example.org rsa2048 cert never && "
	    "f=$(gpg -q --list-keys --with-colons | awk -F: '/^fpr/ {print $10}') && "
	    "gpg -q --batch --passphrase '' --quick-add-key $f rsa2048 encr && "
	    "gpg -q --batch --passphrase '' --quick-add-key $f rsa2048 sign && gpg -q --list-keys --with-colons | "
	    "awk -F: '/^fpr/ {printf \"%%s\", $10}'",
	    path);
	assert_int_equal(run_shell(command, &text), 0);
	assert_int_equal(text.len, 120);
	memcpy(carol, text.data, 40);
	memcpy(subkey, text.data + 40, 40);
	memcpy(signing, text.data + 80, 40);
	carol[40] = subkey[40] = signing[40] = '\0';
	assert_fine(keyhome_open(path, true, &home));
	assert_fine(keyhome_export(home, carol, &key));
	assert_fine(deposit_export(home, subkey, &deposit));
	assert_fine(deposit_prove(p->run, buf_bytes(&key), subkey, buf_bytes(&deposit)));
	/* The other RSA subkey signs: that it is not the encryption key is known by its fingerprint. */
	buf_clear(&deposit);
	assert_fault(deposit_export(home, signing, &deposit), ERR_OK);
	assert_false(deposit_check(buf_bytes(&deposit), buf_bytes(&key), subkey, &why));
	assert_int_equal(why.reason, REASON_KEY_SECRET);
	keyhome_close(&home);
	agent_stop(path);
	str_free(&path);
	str_free(&command);
	buf_free(&key);
	buf_free(&deposit);
	buf_free(&text);
}

static void seal(struct scene *s, struct buf *sealed)
{
	assert_fine(keyhome_reset(s->place->home));
	assert_fine(deposit_seal(
	    s->place->home, buf_bytes(&s->escrow_key), s->escrow, buf_bytes(&s->deposit), sealed));
}

static void opens_what_was_sealed(void **state)
{
	struct scene *s = *state;
	struct place *p = s->place;
	struct bytes passphrase = text_bytes(ESCROW_PASSPHRASE);
	struct buf sealed = BUF_INIT, opened = BUF_SECRET;
	struct escrow *escrow;

	seal(s, &sealed);
	assert_null(bytes_find(buf_bytes(&sealed), bytes_of(s->deposit.data, 60)));
	assert_fine(escrow_open(s->escrow_home, p->run, s->escrow, &passphrase, &escrow));
	for (int i = 0; i < 3; i++) {
		buf_clear(&opened);
		assert_fine(escrow_unseal(escrow, buf_bytes(&sealed), &opened));
		assert_true(bytes_equal(buf_bytes(&opened), buf_bytes(&s->deposit)));
	}
	buf_clear(&opened);
	assert_fault(escrow_unseal(escrow, nothing(), &opened), ERR_DATA);
	assert_fault(escrow_unseal(escrow, buf_bytes(&s->deposit), &opened), ERR_DATA);
	sealed.data[sealed.len / 2] ^= 1;
	assert_fault(escrow_unseal(escrow, buf_bytes(&sealed), &opened), ERR_DATA);
	assert_int_equal(opened.len, 0);
	escrow_close(&escrow);
	assert_no_vault(p);
	buf_free(&sealed);
	buf_free(&opened);
}

/* In a disaster stock gpg is all there is. */
static void stock_gpg_opens(void **state)
{
	struct scene *s = *state;
	struct buf sealed = BUF_INIT, out = BUF_INIT;
	char *file = path_join(s->place->dir, "sealed"),
	     *command = str_printf(
		 "gpg --homedir %s -q --batch --pinentry-mode loopback --passphrase '%s' "
		 "--decrypt %s | gpg --list-packets",
		 s->escrow_home, ESCROW_PASSPHRASE, file);

	seal(s, &sealed);
	assert_fine(file_write(file, 0600, buf_bytes(&sealed)));
	assert_int_equal(run_shell(command, &out), 0);
	assert_non_null(strstr(buf_text(&out), "gnu-dummy"));
	assert_non_null(strstr(buf_text(&out), ":secret sub key packet:"));
	agent_stop(s->escrow_home);
	buf_free(&sealed);
	buf_free(&out);
	str_free(&file);
	str_free(&command);
}

static void escrow_key_must_be_that(void **state)
{
	struct scene *s = *state;
	struct place *p = s->place;
	struct buf sealed = BUF_INIT;

	assert_fine(keyhome_reset(p->home));
	assert_fault(deposit_seal(p->home, buf_bytes(&p->alice_key), s->escrow,
			 buf_bytes(&s->deposit), &sealed),
	    ERR_CONFIG);
	assert_fault(deposit_seal(p->home, nothing(), s->escrow, buf_bytes(&s->deposit), &sealed),
	    ERR_CONFIG);
	assert_int_equal(sealed.len, 0);
	buf_free(&sealed);
}

static void escrow_refuses(void **state)
{
	static const char *const wrong[] = { "wrong", "", "in the safe " };
	struct scene *s = *state;
	struct place *p = s->place;
	struct bytes passphrase = text_bytes(ESCROW_PASSPHRASE);
	struct escrow *escrow = NULL;
	char *nowhere = path_join(p->dir, "nowhere");

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct bytes given = text_bytes(wrong[i]);

		assert_fault(
		    escrow_open(s->escrow_home, p->run, s->escrow, &given, &escrow), ERR_DENIED);
		assert_null(escrow);
	}
	assert_fault(escrow_open(nowhere, p->run, s->escrow, &passphrase, &escrow), ERR_NOINPUT);
	assert_fault(escrow_open(s->escrow_home, p->run, p->alice, &passphrase, &escrow), ERR_DATA);
	assert_fault(escrow_open(p->user, p->run, s->escrow, &passphrase, &escrow), ERR_DATA);
	assert_no_vault(p);
	str_free(&nowhere);
}

static void escrow_asks(void **state)
{
	struct scene *s = *state;
	struct place *p = s->place;
	char *home = path_join(p->dir, "root"), *dir = path_join(p->dir, "pinentry");
	struct escrow *escrow = NULL;

	stand_in_use(home, dir);
	assert_int_equal(setenv("GNUPGHOME", home, 1), 0);
	stand_in_say(dir, "pin", ESCROW_PASSPHRASE);
	assert_fine(escrow_open(s->escrow_home, p->run, s->escrow, NULL, &escrow));
	escrow_close(&escrow);
	assert_int_equal(stand_in_count(dir), 1);
	stand_in_say(dir, "pin", NULL);
	assert_fault(escrow_open(s->escrow_home, p->run, s->escrow, NULL, &escrow), ERR_DENIED);
	assert_int_equal(stand_in_count(dir), 1);
	agent_stop(home);
	unsetenv("GNUPGHOME");
	str_free(&home);
	str_free(&dir);
}

/* Nothing is written to the medium: every name, size and time stays. */
static void escrow_home_is_only_read(void **state)
{
	struct scene *s = *state;
	struct bytes passphrase = text_bytes(ESCROW_PASSPHRASE);
	char *command =
	    str_printf("cd %s && find . -printf '%%p %%s %%T@ %%C@\\n' | sort", s->escrow_home);
	struct buf before = BUF_INIT, after = BUF_INIT, sealed = BUF_INIT, opened = BUF_SECRET;
	struct escrow *escrow;

	seal(s, &sealed);
	assert_int_equal(run_shell(command, &before), 0);
	assert_fine(escrow_open(s->escrow_home, s->place->run, s->escrow, &passphrase, &escrow));
	assert_fine(escrow_unseal(escrow, buf_bytes(&sealed), &opened));
	escrow_close(&escrow);
	assert_int_equal(run_shell(command, &after), 0);
	assert_string_equal(buf_text(&before), buf_text(&after));
	str_free(&command);
	buf_free(&before);
	buf_free(&after);
	buf_free(&sealed);
	buf_free(&opened);
}

/* ---- into a user's home ---- */

static bool decrypts(
    const char *home, const char *password, const char *recipient_home, const char *recipient)
{
	char *command = str_printf(
	    "echo hello | gpg --homedir %s -q --batch --trust-model always -er %s! | "
	    "gpg --homedir %s -q --batch --pinentry-mode loopback --passphrase '%s' -d 2>/dev/null",
	    recipient_home, recipient, home, password);
	struct buf out = BUF_INIT;
	bool good;

	agent_stop(home); /* what it had cached */
	good = run_shell(command, &out) == 0 && str_equal(buf_text(&out), "hello\n");
	str_free(&command);
	buf_free(&out);
	return good;
}

static void install(struct scene *s, const char *path, const char *password)
{
	struct keyhome *home;

	assert_fine(keyhome_open(path, false, &home));
	assert_fine(deposit_install(
	    home, s->place->run, buf_bytes(&s->deposit), s->subkey, text_bytes(password)));
	keyhome_close(&home);
	assert_no_vault(s->place);
}

static void installs(void **state)
{
	struct scene *s = *state;
	struct place *p = s->place;
	char *path = path_join(p->dir, "new");
	struct key_facts *facts = NULL;
	struct keyhome *home;

	assert_fine(file_make_dir(path, 0700));
	install(s, path, PASSWORD);
	assert_true(decrypts(path, PASSWORD, p->user, s->subkey));
	assert_false(decrypts(path, "other", p->user, s->subkey));
	/* Again, and with another password: that one counts. */
	install(s, path, PASSWORD);
	install(s, path, "other");
	assert_true(decrypts(path, "other", p->user, s->subkey));
	install(s, path, "");
	assert_true(decrypts(path, "", p->user, s->subkey));
	assert_fine(keyhome_open(path, true, &home));
	assert_fine(keyhome_facts(home, p->alice, true, &facts));
	assert_true(facts->subkeys[1].secret);
	assert_false(facts->subkeys[0].secret); /* the signing key does not come back */
	key_facts_free(&facts);
	keyhome_close(&home);
	agent_stop(path);
	str_free(&path);
}

/* The forgotten password: the old copy gives way, the primary beside it stays as it is. */
static void replaces_a_locked_copy(void **state)
{
	struct scene *s = *state;
	struct place *p = s->place;
	char *path = path_join(p->dir, "locked"),
	     *command = str_printf("cp -r %s %s && rm -f %s/S.*", p->user, path, path);
	struct bytes forgotten = text_bytes("forgotten");
	struct keyhome *home;

	agent_stop(p->user);
	assert_int_equal(run_shell(command, NULL), 0);
	quick_passwords(path);
	assert_fine(keyhome_open(path, true, &home));
	assert_fine(keyring_set_password(home, p->alice, nothing(), forgotten));
	keyhome_close(&home);
	assert_false(decrypts(path, PASSWORD, p->user, s->subkey));
	install(s, path, PASSWORD);
	assert_true(decrypts(path, PASSWORD, p->user, s->subkey));
	agent_stop(path);
	assert_fine(keyhome_open(path, true, &home));
	assert_fine(keyring_unlock(home, p->alice, &forgotten)); /* signs by the primary */
	keyhome_close(&home);
	agent_stop(path);
	str_free(&path);
	str_free(&command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exports_the_subkey_alone),
		cmocka_unit_test(exports_nothing_else),
		cmocka_unit_test(proves),
		cmocka_unit_test(proof_fails),
		cmocka_unit_test(authority_is_untouched),
		cmocka_unit_test(rsa_deposits),
		cmocka_unit_test(opens_what_was_sealed),
		cmocka_unit_test(stock_gpg_opens),
		cmocka_unit_test(escrow_key_must_be_that),
		cmocka_unit_test(escrow_refuses),
		cmocka_unit_test(escrow_asks),
		cmocka_unit_test(escrow_home_is_only_read),
		cmocka_unit_test(installs),
		cmocka_unit_test(replaces_a_locked_copy),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
