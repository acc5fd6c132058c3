/* What happens in a user's home: keys that come in, passwords and their levels, trust in the authority. */
#include "enroll/packets.h"
#include "pinentry_fixture.h"

#define PASSWORD "my päss %20 word"
#define BOB "Bob Example <bob@example.org>"
#define MALLORY "Bob Example <bob@elsewhere.net>"

static const struct bytes none = { 0 };

/* A user's home with the stand-in. */
struct user {
	char *path, *said;
	struct keyhome *home;
};

static struct user user_make(const struct place *p, const char *name)
{
	struct user u = { .path = path_join(p->dir, name) };

	u.said = str_printf("%s.said", u.path);
	stand_in_use(u.path, u.said);
	assert_fine(keyhome_open(u.path, false, &u.home));
	return u;
}

static void user_free(struct user *u)
{
	keyhome_close(&u->home);
	agent_stop(u->path);
	str_free(&u->path);
	str_free(&u->said);
}

/* A pending home as `request` makes it: no password. */
static struct keyhome *pending_make(
    const struct place *p, const char *name, const char *user_id, char fingerprint[41])
{
	char *path = path_join(p->dir, name);
	struct keyhome *home;

	assert_fine(keyhome_open(path, true, &home));
	quick_passwords(path);
	assert_fine(keyring_create_user(home, user_id, none, fingerprint));
	str_free(&path);
	return home;
}

static void pending_close(struct keyhome **home)
{
	char *path = str_dup(keyhome_path(*home));

	keyhome_close(home);
	agent_stop(path);
	str_free(&path);
}

/* From the pending home into the user's, with this password. */
static void transfer(
    struct keyhome *pending, struct user *u, const char *fingerprint, struct bytes password)
{
	struct buf key = BUF_SECRET;

	if (password.len)
		assert_fine(keyring_set_password(pending, fingerprint, none, password));
	assert_fine(keyring_export_secret(pending, fingerprint, password, &key));
	assert_fine(keyring_import_secret(u->home, buf_bytes(&key), fingerprint, password));
	buf_free(&key);
}

static void makes_keys_of_the_right_shape(void **state)
{
	struct place *p = *state;
	struct key_facts *facts;

	assert_fine(keyhome_facts(p->home, p->authority, false, &facts));
	assert_int_equal(facts->subkey_count, 3);
	assert_true(facts->subkeys[0].can_certify && !facts->subkeys[0].can_sign);
	assert_true(facts->subkeys[1].can_sign && !facts->subkeys[1].can_certify);
	assert_true(facts->subkeys[2].can_encrypt && !facts->subkeys[2].can_sign);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(facts->subkeys[i].expires, 0);
	key_facts_free(&facts);
}

static void makes_an_escrow_key(void **state)
{
	struct place *p = *state;
	struct keyhome *home;
	struct key_facts *facts;
	char *path = path_join(p->dir, "escrow"), fingerprint[41];
	pid_t pid;

	assert_fine(agent_prepare(path));
	assert_fine(agent_start(path, &pid));
	assert_fine(keyhome_open(path, true, &home));
	assert_fine(keyring_create_escrow(
	    home, "Escrow <sa@example.org>", text_bytes(PASSPHRASE), fingerprint));
	assert_fine(keyhome_facts(home, fingerprint, true, &facts));
	assert_int_equal(facts->subkey_count, 2);
	assert_true(facts->subkeys[0].can_certify && !facts->subkeys[0].can_sign);
	assert_true(facts->subkeys[1].can_encrypt);
	assert_fault(agent_unlock(path, text_bytes("wrong")), ERR_DENIED);
	assert_fine(agent_unlock(path, text_bytes(PASSPHRASE)));
	key_facts_free(&facts);
	keyhome_close(&home);
	agent_stop(path);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	str_free(&path);
}

static void changes_passwords(void **state)
{
	struct place *p = *state;
	char fingerprint[41];
	struct keyhome *home = pending_make(p, "passwords", ALICE, fingerprint);
	struct bytes one = text_bytes(PASSWORD), two = text_bytes("another"),
		     wrong = text_bytes("wrong");

	assert_fine(keyring_set_password(home, fingerprint, none, one));
	assert_fault(keyring_unlock(home, fingerprint, &wrong), ERR_DENIED);
	assert_fault(keyring_unlock(home, fingerprint, &none), ERR_DENIED);
	assert_fine(keyring_unlock(home, fingerprint, &one));
	assert_fault(
	    keyring_unlock(home, fingerprint, &wrong), ERR_DENIED); /* though it was cached */
	assert_fault(keyring_set_password(home, fingerprint, wrong, two), ERR_DENIED);
	assert_fine(keyring_unlock(home, fingerprint, &one));
	assert_fine(keyring_set_password(home, fingerprint, one, two));
	assert_fault(keyring_unlock(home, fingerprint, &one), ERR_DENIED);
	assert_fine(keyring_unlock(home, fingerprint, &two));
	assert_fine(keyring_set_password(home, fingerprint, two, none));
	assert_fine(keyring_unlock(home, fingerprint, &none));
	assert_fault(
	    keyring_unlock(home, "0123456789012345678901234567890123456789", &one), ERR_NOUSER);
	pending_close(&home);
}

static void made_with_a_password(void **state)
{
	struct place *p = *state;
	char *path = path_join(p->dir, "at-once"), fingerprint[41];
	struct bytes password = text_bytes(PASSWORD), wrong = text_bytes("x");
	struct buf key = BUF_SECRET;
	struct keyhome *home;

	assert_fine(keyhome_open(path, true, &home));
	assert_fine(keyring_create_user(home, ALICE, password, fingerprint));
	assert_fault(keyring_unlock(home, fingerprint, &wrong), ERR_DENIED);
	assert_fine(keyring_unlock(home, fingerprint, &password));
	assert_fine(keyring_export_secret(home, fingerprint, password, &key));
	assert_int_equal(packets_summarise(buf_bytes(&key)).secret_keys, 2);
	pending_close(&home);
	buf_free(&key);
	str_free(&path);
}

static int count_files_with(const char *dir, const char *words)
{
	struct buf out = BUF_INIT;
	char *command = str_printf("grep -l -r -e '%s' %s/private-keys-v1.d | wc -l", words, dir);
	int count;

	(void)run_shell(command, &out);
	count = (int)strtol(buf_text(&out), NULL, 10);
	str_free(&command);
	buf_free(&out);
	return count;
}

static void never_asks_and_never_bares_on_import(void **state)
{
	struct place *p = *state;
	char fingerprint[41];
	struct keyhome *pending = pending_make(p, "bare", ALICE, fingerprint);
	struct user u = user_make(p, "bare-user");
	struct buf key = BUF_SECRET, cut = BUF_SECRET;

	stand_in_say(u.said, "pin", PASSWORD);
	transfer(pending, &u, fingerprint, text_bytes(PASSWORD));
	assert_int_equal(stand_in_count(u.said), 0);
	assert_int_equal(count_files_with(u.path, "(private-key"), 0);
	/* A second time changes nothing; a public key or a part of one is refused. */
	assert_fine(keyring_export_secret(pending, fingerprint, text_bytes(PASSWORD), &key));
	assert_fine(
	    keyring_import_secret(u.home, buf_bytes(&key), fingerprint, text_bytes(PASSWORD)));
	assert_fault(
	    keyring_import_secret(u.home, buf_bytes(&p->alice_key), p->alice, text_bytes(PASSWORD)),
	    ERR_DATA);
	buf_add(&cut, key.data, key.len - 10);
	assert_fault(
	    keyring_import_secret(u.home, buf_bytes(&cut), fingerprint, text_bytes(PASSWORD)),
	    ERR_DATA);
	assert_fault(
	    keyring_import_secret(p->home, buf_bytes(&key), fingerprint, text_bytes(PASSWORD)),
	    ERR_SOFTWARE);
	assert_int_equal(stand_in_count(u.said), 0);
	pending_close(&pending);
	user_free(&u);
	buf_free(&key);
	buf_free(&cut);
}

/* How often two `gpg -d` ask, at each level (P7.2). */
static void levels_ask_as_often_as_they_say(void **state)
{
	static const struct {
		const char *name;
		const char *password;
		int64_t default_ttl, max_ttl;
		long asked;
	} levels[] = {
		{ "high", PASSWORD, 0, 0, 2 },
		{ "medium", PASSWORD, 8 * 3600, 8 * 3600, 1 },
		{ "low", "", 8 * 3600, 8 * 3600, 0 },
	};
	struct place *p = *state;

	for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
		struct bytes password = text_bytes(levels[i].password);
		char fingerprint[41], *pending_name = str_printf("pending-%s", levels[i].name);
		struct keyhome *pending = pending_make(p, pending_name, ALICE, fingerprint);
		struct user u = user_make(p, levels[i].name);
		struct buf sealed = BUF_INIT;
		char *file = str_printf("%s.asc", u.path),
		     *command = str_printf("gpg --homedir %s -q -d %s && gpg --homedir %s -q -d %s",
			 u.path, file, u.path, file);

		transfer(pending, &u, fingerprint, password);
		assert_fine(level_write(u.path, levels[i].default_ttl, levels[i].max_ttl));
		assert_fine(agent_reload(u.path));
		assert_fine(keyhome_encrypt(u.home, fingerprint, text_bytes("hello\n"), &sealed));
		assert_fine(file_write(file, 0600, buf_bytes(&sealed)));
		stand_in_say(u.said, "pin", PASSWORD);
		buf_clear(&sealed);
		assert_int_equal(run_shell(command, &sealed), 0);
		assert_string_equal(buf_text(&sealed), "hello\nhello\n");
		assert_int_equal(stand_in_count(u.said), levels[i].asked);
		pending_close(&pending);
		user_free(&u);
		buf_free(&sealed);
		str_free(&file);
		str_free(&command);
		str_free(&pending_name);
	}
}

/* P7.3: what the agent remembers does not count. */
static void unlocking_asks_even_if_cached(void **state)
{
	struct place *p = *state;
	char fingerprint[41];
	struct keyhome *pending = pending_make(p, "unlock", ALICE, fingerprint);
	struct user u = user_make(p, "unlock-user");
	struct bytes right = text_bytes(PASSWORD), wrong = text_bytes("wrong");

	transfer(pending, &u, fingerprint, right);
	stand_in_say(u.said, "pin", PASSWORD);
	assert_fine(keyring_unlock(u.home, fingerprint, NULL));
	assert_fine(keyring_unlock(u.home, fingerprint, NULL));
	assert_int_equal(stand_in_count(u.said), 2);
	stand_in_say(u.said, "pin", "wrong");
	assert_fault(keyring_unlock(u.home, fingerprint, NULL), ERR_DENIED);
	stand_in_say(u.said, "pin", NULL);
	assert_fault(keyring_unlock(u.home, fingerprint, NULL), ERR_DENIED);
	(void)stand_in_count(u.said);
	assert_fine(keyring_unlock(u.home, fingerprint, &right));
	assert_fault(keyring_unlock(u.home, fingerprint, &wrong), ERR_DENIED);
	assert_int_equal(stand_in_count(u.said), 0);
	pending_close(&pending);
	user_free(&u);
}

/* The authority certifies a key that somebody brought. */
static void certify(struct place *p, struct bytes key, const char *user_id, struct buf *out)
{
	const char *const user_ids[] = { user_id, NULL };
	struct key_facts *facts;
	struct certify_options options = {
		.signer = p->authority,
		.user_ids = user_ids,
		.until = when_now() + 3600,
		.notation_name = "keyset@example.org",
		.notation_value = "default",
	};

	assert_fine(keyhome_reset(p->home));
	assert_fine(keyhome_import(p->home, key, &facts));
	assert_fine(keyhome_certify(p->home, facts->fingerprint, &options, out));
	key_facts_free(&facts);
}

static void check_valid(struct user *u, const char *fingerprint, const char *address, bool expected)
{
	bool valid = !expected;

	assert_fine(keyring_is_valid(u->home, fingerprint, address, &valid));
	assert_int_equal(valid, expected);
}

/* P7.5, as `open` does it: signed in the pending home, carried over, and then a colleague's key is valid, a stranger's is not. */
static void trusts_the_authority_for_its_domain_only(void **state)
{
	struct place *p = *state;
	char alice[41], bob[41], mallory[41];
	struct keyhome *pending = pending_make(p, "trust", ALICE, alice);
	struct keyhome *other = pending_make(p, "bob", BOB, bob);
	struct user u = user_make(p, "trusting");
	struct buf authority = BUF_INIT, key = BUF_INIT, certified = BUF_INIT, out = BUF_INIT;
	char *command;

	assert_fine(keyring_import_local(pending, buf_bytes(&p->authority_key)));
	assert_fine(keyring_trust_introducer(pending, alice, p->authority, "example.org"));
	assert_fine(keyring_trust_introducer(
	    pending, alice, p->authority, "example.org")); /* once is enough */
	assert_fine(keyring_export_local(pending, p->authority, &authority));
	transfer(pending, &u, alice, text_bytes(PASSWORD));
	assert_fine(keyring_import_local(u.home, buf_bytes(&authority)));

	assert_fine(keyhome_export(other, bob, &key));
	certify(p, buf_bytes(&key), BOB, &certified);
	assert_fine(keyring_import_local(u.home, buf_bytes(&key)));
	check_valid(&u, bob, "bob@example.org", false);
	assert_fine(keyring_import_local(u.home, buf_bytes(&certified)));
	check_valid(&u, bob, "bob@example.org", true);
	check_valid(&u, bob, "bob@elsewhere.net", false);
	check_valid(&u, alice, "alice@example.org", true);

	assert_fine(keyring_create_user(other, MALLORY, none, mallory));
	buf_clear(&key);
	buf_clear(&certified);
	assert_fine(keyhome_export(other, mallory, &key));
	certify(p, buf_bytes(&key), MALLORY, &certified);
	assert_fine(keyring_import_local(u.home, buf_bytes(&certified)));
	check_valid(&u, mallory, "bob@elsewhere.net", false);

	/* The signature is local: it does not leave with the key. */
	command = str_printf(
	    "gpg --homedir %s -q --export %s | gpg --list-packets 2>/dev/null | grep -c %s", u.path,
	    p->authority, alice + 24);
	(void)run_shell(command, &out);
	assert_string_equal(buf_text(&out), "0\n");
	assert_int_equal(stand_in_count(u.said), 0);
	str_free(&command);
	pending_close(&pending);
	pending_close(&other);
	user_free(&u);
	buf_free(&authority);
	buf_free(&key);
	buf_free(&certified);
	buf_free(&out);
}

static void trust_needs_keys_and_a_domain(void **state)
{
	struct place *p = *state;
	char alice[41];
	struct keyhome *pending = pending_make(p, "distrust", ALICE, alice);

	assert_fault(
	    keyring_trust_introducer(pending, alice, p->authority, "example.org"), ERR_NOUSER);
	assert_fine(keyring_import_local(pending, buf_bytes(&p->authority_key)));
	assert_fault(keyring_trust_introducer(pending, alice, p->authority, ""), ERR_SOFTWARE);
	assert_fault(keyring_trust_introducer(pending, alice, p->authority, "a\nb"), ERR_SOFTWARE);
	assert_fault(
	    keyring_trust_introducer(pending, p->authority, alice, "example.org"), ERR_NOUSER);
	assert_fault(keyring_import_local(pending, text_bytes("no key")), ERR_DATA);
	pending_close(&pending);
}

static void levels_leave_the_rest_of_the_file_alone(void **state)
{
	static const char *const files[] = {
		"",
		"pinentry-program /usr/bin/pinentry-gtk-2\n",
		"default-cache-ttl 600\n# a comment\n  max-cache-ttl\t7200\nenable-ssh-support\n",
		"default-cache-ttl-ssh 60\nmax-cache-ttl-ssh 60\n",
		"no line end at the end",
	};
	struct place *p = *state;
	char *home = path_join(p->dir, "levels"), *path = path_join(home, "gpg-agent.conf");
	struct buf text = BUF_INIT;

	assert_fine(file_make_dir(home, 0700));
	assert_fine(level_clear(home));
	assert_false(file_exists(path));
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		assert_fine(file_write(path, 0600, text_bytes(files[i])));
		assert_fine(level_write(home, 0, 0));
		assert_fine(level_write(home, 28800, 28801)); /* not nested */
		buf_clear(&text);
		assert_fine(file_read(path, MIB, &text));
		assert_non_null(
		    strstr(buf_text(&text), "\ndefault-cache-ttl 28800\nmax-cache-ttl 28801\n"));
		assert_null(strstr(buf_text(&text), "ttl 0\n"));
		assert_null(strstr(buf_text(&text), "\ndefault-cache-ttl 600"));
		assert_fine(level_clear(home));
		buf_clear(&text);
		assert_fine(file_read(path, MIB, &text));
		/* Same lines, though replaced ones come last. */
		for (struct bytes rest = text_bytes(files[i]), line; bytes_line(&rest, &line);)
			assert_non_null(bytes_find(buf_bytes(&text), line));
		assert_in_range(text.len, strlen(files[i]), strlen(files[i]) + 1);
	}
	str_free(&home);
	str_free(&path);
	buf_free(&text);
}

static void levels_keep_a_link_a_link(void **state)
{
	struct place *p = *state;
	char *home = path_join(p->dir, "linked"), *path = path_join(home, "gpg-agent.conf"),
	     *real = path_join(p->dir, "dotfile");
	struct buf text = BUF_INIT;
	char target[8];

	assert_fine(file_make_dir(home, 0700));
	assert_fine(file_write(real, 0644, text_bytes("max-cache-ttl 1\n")));
	assert_int_equal(symlink(real, path), 0);
	assert_fine(level_write(home, 0, 0));
	assert_true(readlink(path, target, sizeof target) > 0);
	assert_fine(file_read(real, MIB, &text));
	assert_non_null(strstr(buf_text(&text), "max-cache-ttl 0"));
	str_free(&home);
	str_free(&path);
	str_free(&real);
	buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_keys_of_the_right_shape),
		cmocka_unit_test(makes_an_escrow_key),
		cmocka_unit_test(changes_passwords),
		cmocka_unit_test(made_with_a_password),
		cmocka_unit_test(never_asks_and_never_bares_on_import),
		cmocka_unit_test(levels_ask_as_often_as_they_say),
		cmocka_unit_test(unlocking_asks_even_if_cached),
		cmocka_unit_test(trusts_the_authority_for_its_domain_only),
		cmocka_unit_test(trust_needs_keys_and_a_domain),
		cmocka_unit_test(levels_leave_the_rest_of_the_file_alone),
		cmocka_unit_test(levels_keep_a_link_a_link),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, place_make, place_remove);
}
