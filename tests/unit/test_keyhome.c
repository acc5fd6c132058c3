/* Key homes with the real gpg. What matters most is at the end: nothing is believed that is not proved. */
#include <dirent.h>
#include <pthread.h>
#include <sys/stat.h>

#include "enroll/packets.h"
#include "keys_fixture.h"

#define YEAR (365 * 24 * 3600)

static struct key_facts *import_alice(struct place *p)
{
	struct key_facts *facts = NULL;

	assert_fine(keyhome_reset(p->home));
	assert_fine(keyhome_import(p->home, buf_bytes(&p->alice_key), &facts));
	return facts;
}

static void reports_the_engine(void **state)
{
	(void)state;
	assert_true(str_starts(keyhome_engine_version(), "2."));
}

static void looks_at_a_key(void **state)
{
	struct place *p = *state;
	struct key_facts *facts = import_alice(p);

	assert_string_equal(facts->fingerprint, p->alice);
	assert_int_equal(facts->user_id_count, 1);
	assert_string_equal(facts->user_ids[0].text, ALICE);
	assert_string_equal(facts->user_ids[0].address, "alice@example.org");
	assert_string_equal(facts->user_ids[0].name, "Alice Example");
	assert_int_equal(facts->subkey_count, 2);
	assert_string_equal(facts->subkeys[0].algorithm, "ed25519");
	assert_true(facts->subkeys[0].can_sign && facts->subkeys[0].can_certify);
	assert_false(facts->subkeys[0].can_encrypt);
	assert_string_equal(facts->subkeys[1].algorithm, "cv25519");
	assert_true(facts->subkeys[1].can_encrypt);
	assert_false(facts->subkeys[1].can_sign);
	assert_int_equal(facts->subkeys[1].expires, 0);
	assert_int_equal(facts->certification_count, 0);
	assert_false(facts->revoked || facts->expired || facts->invalid || facts->secret);
	key_facts_free(&facts);
}

static void finds_keys_by_fingerprint_and_address(void **state)
{
	struct place *p = *state;
	struct key_facts *facts = import_alice(p);

	key_facts_free(&facts);
	assert_fine(keyhome_facts(p->home, "alice@example.org", false, &facts));
	assert_string_equal(facts->fingerprint, p->alice);
	key_facts_free(&facts);
	assert_fine(keyhome_facts(p->home, "lice@example.org", false, &facts));
	assert_null(facts);
	assert_fine(keyhome_facts(p->home, p->alice, true, &facts));
	assert_null(facts);
	assert_fine(keyhome_facts(p->home, p->authority, true, &facts));
	assert_true(facts->secret && facts->subkey_count == 3);
	assert_true(facts->subkeys[1].secret && facts->subkeys[2].secret);
	key_facts_free(&facts);
}

static void reset_forgets_the_user(void **state)
{
	struct place *p = *state;
	struct key_facts *facts = import_alice(p);

	key_facts_free(&facts);
	assert_fine(keyhome_reset(p->home));
	assert_fine(keyhome_facts(p->home, p->alice, false, &facts));
	assert_null(facts);
	assert_fine(keyhome_facts(p->home, p->authority, false, &facts));
	assert_non_null(facts);
	key_facts_free(&facts);
}

static void refuses_what_is_no_single_public_key(void **state)
{
	struct place *p = *state;
	struct buf secret = BUF_SECRET, two = BUF_INIT, cut = BUF_INIT;
	struct keyhome *user;
	struct key_facts *facts;

	assert_fine(keyhome_open(p->user, true, &user));
	assert_fine(keyring_export_secret(user, p->alice, bytes_of(NULL, 0), &secret));
	assert_fault(keyhome_import(p->home, buf_bytes(&secret), &facts), ERR_DATA);
	assert_non_null(strstr(err_text(), "secret"));
	assert_null(facts);
	buf_add(&two, p->alice_key.data, p->alice_key.len);
	buf_add(&two, p->authority_key.data, p->authority_key.len);
	assert_fault(keyhome_import(p->home, buf_bytes(&two), &facts), ERR_DATA);
	buf_add(&cut, p->alice_key.data, p->alice_key.len - 3);
	assert_fault(keyhome_import(p->home, buf_bytes(&cut), &facts), ERR_DATA);
	assert_fault(keyhome_import(p->home, text_bytes("hello"), &facts), ERR_DATA);
	assert_fault(keyhome_import(p->home, bytes_of(NULL, 0), &facts), ERR_DATA);
	buf_free(&secret);
	buf_free(&two);
	buf_free(&cut);
	keyhome_close(&user);
}

/* One flipped bit in the last signature: gpg would take the key without its encryption subkey, and say success. */
static void notices_a_key_that_arrives_in_part(void **state)
{
	struct place *p = *state;
	struct key_facts *facts = NULL;
	struct buf forged = BUF_INIT;

	buf_add(&forged, p->alice_key.data, p->alice_key.len);
	forged.data[forged.len - 5] ^= 1;
	assert_fine(keyhome_reset(p->home));
	assert_fault(keyhome_import(p->home, buf_bytes(&forged), &facts), ERR_DATA);
	assert_non_null(strstr(err_text(), "0 of 1 subkeys"));
	assert_null(facts);
	buf_free(&forged);
}

static struct certify_options options_for(const struct place *p)
{
	static const char *const user_ids[] = { ALICE, NULL };

	return (struct certify_options){
		.signer = p->authority,
		.user_ids = user_ids,
		.until = when_now() + YEAR,
		.notation_name = "keyset@example.org",
		.notation_value = "default",
	};
}

static void certifies(void **state)
{
	struct place *p = *state;
	struct certify_options options = options_for(p);
	struct key_facts *facts = import_alice(p);
	struct buf key = BUF_INIT;
	struct keyhome *user;

	key_facts_free(&facts);
	options.policy_url = "https://example.org/policy?a=100%25&b=c";
	assert_fine(keyhome_certify(p->home, p->alice, &options, &key));
	assert_fine(keyhome_open(p->user, true, &user));
	assert_fine(keyring_import_local(user, buf_bytes(&p->authority_key)));
	assert_fine(keyhome_import(user, buf_bytes(&key), &facts));
	assert_int_equal(facts->certification_count, 1);
	assert_string_equal(facts->certifications[0].user_id, ALICE);
	assert_string_equal(facts->certifications[0].issuer, p->authority + 24);
	assert_true(facts->certifications[0].valid);
	assert_in_range(
	    facts->certifications[0].expires, options.until - 2, options.until + DEADLINE_SECONDS);
	key_facts_free(&facts);
	keyhome_close(&user);
	/* In our own homes a certification that comes along is taken off: else there could be no second one. */
	assert_fine(keyhome_reset(p->home));
	assert_fine(keyhome_import(p->home, buf_bytes(&key), &facts));
	assert_int_equal(facts->certification_count, 0);
	key_facts_free(&facts);
	buf_clear(&key);
	assert_fine(keyhome_certify(p->home, p->alice, &options, &key));
	buf_free(&key);
}

/* Values that mean something to gpg or to its options file arrive as they are. */
static void certifies_with_any_value(void **state)
{
	static const char *const values[] = { "default", "100% %k %s %%", "Büro", "a b.c_d-e",
		"x=y", "\"quoted\"", "# no comment", "!critical", "日本語" };
	struct place *p = *state;
	struct certify_options options = options_for(p);
	struct buf key = BUF_INIT;

	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct key_facts *facts = import_alice(p);

		key_facts_free(&facts);
		options.notation_value = values[i];
		buf_clear(&key);
		assert_fine(keyhome_certify(p->home, p->alice, &options, &key));
		assert_non_null(bytes_find(buf_bytes(&key), text_bytes(values[i])));
	}
	buf_free(&key);
}

static void refuses_values_that_break_a_certification(void **state)
{
	static const char *const nobody[] = { "Bob <bob@example.org>", NULL };
	static const char *const part[] = { "alice@example.org", NULL };
	static const char *const none[] = { NULL };
	struct place *p = *state;
	const struct certify_options good = options_for(p);
	struct certify_options bad[12];
	struct key_facts *facts = import_alice(p);
	struct buf key = BUF_INIT;

	for (size_t i = 0; i < 12; i++)
		bad[i] = good;
	bad[0].notation_value = "default\ncert-notation x@example.org=y";
	bad[1].notation_value = "";
	bad[2].notation_value = "blank ";
	bad[3].notation_value = "not utf-8 \xff";
	bad[4].notation_name = "keyset";
	bad[5].notation_name = "!keyset@example.org";
	bad[6].policy_url = "https://example.org/\nno-such-option";
	bad[7].policy_url = "!https://example.org/";
	bad[8].until = when_now() - 1;
	bad[9].user_ids = nobody;
	bad[10].user_ids = part;
	bad[11].user_ids = none;
	for (size_t i = 0; i < 12; i++) {
		if (keyhome_certify(p->home, p->alice, &bad[i], &key) == ERR_OK)
			fail_msg("case %zu was certified", i);
		assert_int_equal(key.len, 0);
	}
	assert_fine(keyhome_certify(p->home, p->alice, &good, &key));
	key_facts_free(&facts);
	buf_free(&key);
}

static void certifies_only_the_named_user_ids(void **state)
{
	static const char *const user_ids[] = { ALICE, "alias@example.org", NULL };
	struct place *p = *state;
	struct certify_options options = options_for(p);
	struct buf key = BUF_INIT, two = BUF_INIT;
	struct key_facts *facts;
	struct keyhome *user;
	char *command =
	    str_printf("gpg --homedir %s --batch --quick-add-uid %s alias@example.org && "
		       "gpg --homedir %s --batch --quick-add-uid %s evil@example.net",
		p->user, p->alice, p->user, p->alice);

	assert_int_equal(run_shell(command, NULL), 0);
	assert_fine(keyhome_open(p->user, true, &user));
	assert_fine(keyhome_export(user, p->alice, &two));
	assert_fine(keyhome_reset(p->home));
	assert_fine(keyhome_import(p->home, buf_bytes(&two), &facts));
	assert_int_equal(facts->user_id_count, 3);
	key_facts_free(&facts);
	options.user_ids = user_ids;
	assert_fine(keyhome_certify(p->home, p->alice, &options, &key));
	assert_fine(keyhome_facts(p->home, p->alice, false, &facts));
	assert_int_equal(facts->certification_count, 2);
	for (size_t i = 0; i < 2; i++)
		assert_string_not_equal(facts->certifications[i].user_id, "evil@example.net");
	key_facts_free(&facts);
	keyhome_close(&user);
	buf_free(&key);
	buf_free(&two);
	str_free(&command);
}

/* Another implementation finds the certification. */
static void sq_agrees(void **state)
{
	struct place *p = *state;
	struct certify_options options = options_for(p);
	struct key_facts *facts = import_alice(p);
	struct buf key = BUF_INIT, out = BUF_INIT;
	char *path = path_join(p->dir, "certified.pgp"), *command;

	key_facts_free(&facts);
	assert_fine(keyhome_certify(p->home, p->alice, &options, &key));
	assert_fine(file_write(path, 0600, buf_bytes(&key)));
	command = str_printf(
	    "sq packet dump %s 2>/dev/null && sq inspect --certifications %s 2>/dev/null", path,
	    path);
	assert_int_equal(run_shell(command, &out), 0);
	assert_non_null(strstr(buf_text(&out), "keyset@example.org"));
	assert_non_null(strstr(buf_text(&out), p->authority + 24));
	str_free(&command);
	str_free(&path);
	buf_free(&key);
	buf_free(&out);
}

static void seals_and_opens(void **state)
{
	struct place *p = *state;
	struct key_facts *facts = import_alice(p);
	struct buf sealed = BUF_INIT, opened = BUF_SECRET;
	struct signatures signatures;
	struct keyhome *user;
	const char text[] = "Result: enrolled\n";

	key_facts_free(&facts);
	assert_fine(keyhome_seal(p->home, p->authority, p->alice, text_bytes(text), &sealed));
	assert_true(str_starts(buf_text(&sealed), "-----BEGIN PGP MESSAGE-----"));
	assert_fine(keyhome_open(p->user, true, &user));
	assert_fine(keyhome_decrypt(user, buf_bytes(&sealed), &opened, &signatures));
	assert_string_equal(buf_text(&opened), text);
	assert_int_equal(signatures.count, 1);
	assert_true(signatures.list[0].here && signatures.list[0].valid);
	assert_string_equal(signatures.list[0].key, p->authority);
	assert_in_range(signatures.list[0].created, when_now() - 60, when_now() + 1);
	keyhome_close(&user);
	/* Not for the authority. */
	assert_fault(keyhome_decrypt(p->home, buf_bytes(&sealed), &opened, &signatures), ERR_DATA);
	buf_free(&sealed);
	buf_free(&opened);
}

static void opens_requests(void **state)
{
	struct place *p = *state;
	struct buf sealed = BUF_INIT, plain = BUF_INIT, opened = BUF_SECRET, cut = BUF_INIT;
	struct signatures signatures;
	struct key_facts *facts;
	struct keyhome *user;

	assert_fine(keyhome_open(p->user, true, &user));
	assert_fine(keyhome_encrypt(user, p->authority, text_bytes("a request"), &plain));
	assert_fine(keyhome_seal(user, p->alice, p->authority, text_bytes("signed"), &sealed));
	assert_fine(keyhome_reset(p->home));
	assert_fine(keyhome_decrypt(p->home, buf_bytes(&plain), &opened, &signatures));
	assert_string_equal(buf_text(&opened), "a request");
	assert_int_equal(signatures.count, 0);
	buf_clear(&opened);
	assert_fine(keyhome_decrypt(p->home, buf_bytes(&sealed), &opened, &signatures));
	assert_int_equal(signatures.count, 1);
	assert_false(signatures.list[0].here || signatures.list[0].valid);
	assert_fine(keyhome_import(p->home, buf_bytes(&p->alice_key), &facts));
	key_facts_free(&facts);
	buf_clear(&opened);
	assert_fine(keyhome_decrypt(p->home, buf_bytes(&sealed), &opened, &signatures));
	assert_true(signatures.list[0].valid);
	assert_string_equal(signatures.list[0].key, p->alice);
	buf_clear(&opened);
	buf_add(&cut, sealed.data, sealed.len / 2);
	assert_fault(keyhome_decrypt(p->home, buf_bytes(&cut), &opened, &signatures), ERR_DATA);
	assert_fault(keyhome_decrypt(p->home, text_bytes("hello"), &opened, &signatures), ERR_DATA);
	assert_fault(keyhome_decrypt(p->home, bytes_of(NULL, 0), &opened, &signatures), ERR_DATA);
	assert_int_equal(opened.len, 0);
	keyhome_close(&user);
	buf_free(&plain);
	buf_free(&sealed);
	buf_free(&opened);
	buf_free(&cut);
}

/* Nobody who sends a message with a password packet makes the authority wait, or its agent ask. */
static void password_messages_are_not_for_us(void **state)
{
	struct place *p = *state;
	struct buf message = BUF_INIT, opened = BUF_SECRET;
	struct signatures signatures;
	char *command = str_printf("echo x | gpg --homedir %s --batch --pinentry-mode loopback "
				   "--passphrase y -c",
	    p->user);
	int64_t begun = when_monotonic_ms();

	assert_int_equal(run_shell(command, &message), 0);
	assert_fault(keyhome_decrypt(p->home, buf_bytes(&message), &opened, &signatures), ERR_DATA);
	assert_true(when_monotonic_ms() - begun < 5000);
	str_free(&command);
	buf_free(&message);
	buf_free(&opened);
}

/* 20 KiB of mail, 20 MiB when opened: gpg would say success for the first part. */
static void caps_what_is_opened(void **state)
{
	struct place *p = *state;
	struct buf sealed = BUF_INIT, opened = BUF_SECRET, big = BUF_INIT;
	struct signatures signatures;
	size_t sizes[] = { MIB - 1, MIB, MIB + 1, 20 * MIB };

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		buf_clear(&big);
		buf_clear(&sealed);
		buf_clear(&opened);
		memset(buf_reserve(&big, sizes[i]), 'x', sizes[i]);
		big.len += sizes[i];
		assert_fine(keyhome_encrypt(p->home, p->authority, buf_bytes(&big), &sealed));
		if (i == 0) {
			assert_fine(
			    keyhome_decrypt(p->home, buf_bytes(&sealed), &opened, &signatures));
			assert_true(bytes_equal(buf_bytes(&opened), buf_bytes(&big)));
		} else {
			assert_fault(
			    keyhome_decrypt(p->home, buf_bytes(&sealed), &opened, &signatures),
			    ERR_DATA);
			assert_non_null(strstr(err_text(), "larger than"));
			assert_int_equal(opened.len, 0);
		}
	}
	buf_free(&sealed);
	buf_free(&opened);
	buf_free(&big);
}

static void signs_and_verifies(void **state)
{
	struct place *p = *state;
	struct buf signature = BUF_INIT, clear = BUF_INIT, text = BUF_INIT;
	struct signatures signatures;
	char micalg[16];

	assert_fine(
	    keyhome_sign(p->home, p->authority, text_bytes("a notice\r\n"), &signature, micalg));
	assert_string_equal(micalg, "pgp-sha512");
	assert_fine(keyhome_verify(
	    p->home, text_bytes("a notice\r\n"), buf_bytes(&signature), NULL, &signatures));
	assert_true(signatures.count == 1 && signatures.list[0].valid);
	assert_string_equal(signatures.list[0].key, p->authority);
	assert_fine(keyhome_verify(
	    p->home, text_bytes("another\r\n"), buf_bytes(&signature), NULL, &signatures));
	assert_true(signatures.count == 1 && !signatures.list[0].valid);
	assert_fault(
	    keyhome_verify(p->home, text_bytes("x"), text_bytes("y"), NULL, &signatures), ERR_DATA);
	assert_fine(keyhome_clearsign(p->home, p->authority, text_bytes("a card\n- x\n"), &clear));
	assert_fine(
	    keyhome_verify(p->home, buf_bytes(&clear), bytes_of(NULL, 0), &text, &signatures));
	assert_string_equal(buf_text(&text), "a card\n- x\n");
	assert_true(signatures.count == 1 && signatures.list[0].valid);
	buf_free(&signature);
	buf_free(&clear);
	buf_free(&text);
}

/* gpg, left to guess, would decrypt and report that as well. */
static void verifying_never_decrypts(void **state)
{
	struct place *p = *state;
	struct buf sealed = BUF_INIT, text = BUF_INIT;
	struct signatures signatures;

	assert_fine(
	    keyhome_seal(p->home, p->authority, p->authority, text_bytes("inner"), &sealed));
	assert_fault(
	    keyhome_verify(p->home, buf_bytes(&sealed), bytes_of(NULL, 0), &text, &signatures),
	    ERR_DATA);
	assert_int_equal(text.len, 0);
	assert_fault(
	    keyhome_verify(p->home, text_bytes("unsigned"), bytes_of(NULL, 0), &text, &signatures),
	    ERR_DATA);
	buf_free(&sealed);
	buf_free(&text);
}

/* Names, sizes and times of the authority's secret keys. */
static void list_secrets(const struct place *p, struct buf *out)
{
	char *command = str_printf(
	    "cd %s/private-keys-v1.d && sha256sum * && ls -l --time-style=full-iso", p->keys);

	assert_int_equal(run_shell(command, out), 0);
	str_free(&command);
}

static void secrets_of_the_authority_never_change(void **state)
{
	struct place *p = *state;
	struct buf before = BUF_INIT, after = BUF_INIT, out = BUF_INIT, opened = BUF_SECRET;
	struct certify_options options = options_for(p);
	struct signatures signatures;
	struct key_facts *facts;

	list_secrets(p, &before);
	refuses_what_is_no_single_public_key(state);
	facts = import_alice(p);
	key_facts_free(&facts);
	assert_fine(keyhome_certify(p->home, p->alice, &options, &out));
	buf_clear(&out);
	assert_fine(keyhome_seal(p->home, p->authority, p->authority, text_bytes("x"), &out));
	assert_fine(keyhome_decrypt(p->home, buf_bytes(&out), &opened, &signatures));
	list_secrets(p, &after);
	assert_string_equal(buf_text(&before), buf_text(&after));
	buf_free(&before);
	buf_free(&after);
	buf_free(&out);
	buf_free(&opened);
}

static void throw_away_homes_go_away(void **state)
{
	struct place *p = *state;
	struct keyhome *home = NULL;
	struct buf none = BUF_INIT;
	char *path, *listing = str_printf("ls -A %s | wc -l", p->run);
	struct stat st;

	assert_fine(keyhome_make(p->run, p->keys, buf_bytes(&p->authority_key), MIB, &home));
	path = str_dup(keyhome_path(home));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	keyhome_close(&home);
	assert_false(file_exists(path));
	assert_fault(keyhome_make(p->run, p->keys, text_bytes("no key"), MIB, &home), ERR_DATA);
	assert_null(home);
	assert_int_equal(run_shell(listing, &none), 0);
	assert_string_equal(buf_text(&none), "1\n");
	str_free(&listing);
	str_free(&path);
	buf_free(&none);
}

static void a_locked_agent_is_no_fault_of_the_mail(void **state)
{
	struct place *p = *state;
	struct buf sealed = BUF_INIT, opened = BUF_SECRET, out = BUF_INIT;
	struct signatures signatures;
	char micalg[16];

	assert_fine(keyhome_encrypt(p->home, p->authority, text_bytes("x"), &sealed));
	assert_fine(agent_reload(p->keys)); /* forgets what was preset */
	assert_fault(agent_check(p->keys), ERR_UNAVAILABLE);
	assert_fault(
	    keyhome_decrypt(p->home, buf_bytes(&sealed), &opened, &signatures), ERR_UNAVAILABLE);
	assert_fault(
	    keyhome_sign(p->home, p->authority, text_bytes("x"), &out, micalg), ERR_UNAVAILABLE);
	agent_finish(p);
	assert_fault(
	    keyhome_decrypt(p->home, buf_bytes(&sealed), &opened, &signatures), ERR_UNAVAILABLE);
	assert_fault(
	    keyhome_sign(p->home, p->authority, text_bytes("x"), &out, micalg), ERR_UNAVAILABLE);
	agent_begin(p);
	assert_fine(agent_unlock(p->keys, text_bytes(PASSPHRASE)));
	assert_fine(keyhome_decrypt(p->home, buf_bytes(&sealed), &opened, &signatures));
	buf_free(&sealed);
	buf_free(&opened);
	buf_free(&out);
}

/* A connection that ends makes the agent wake itself by SIGCONT: let that be over. */
static void freeze(pid_t pid)
{
	usleep(100000);
	assert_int_equal(kill(pid, SIGSTOP), 0);
}

static void a_stopped_agent_ends_at_the_deadline(void **state)
{
	struct place *p = *state;
	struct buf out = BUF_INIT;
	char micalg[16];
	int64_t begun;

	assert_fine(keyhome_start(1));
	freeze(p->agent);
	begun = when_monotonic_ms();
	assert_fault(
	    keyhome_sign(p->home, p->authority, text_bytes("x"), &out, micalg), ERR_TEMPORARY);
	assert_in_range(when_monotonic_ms() - begun, 900, 3000);
	assert_fault(agent_check(p->keys), ERR_TEMPORARY);
	assert_int_equal(kill(p->agent, SIGCONT), 0);
	assert_fine(keyhome_start(DEADLINE_SECONDS));
	assert_fine(keyhome_sign(p->home, p->authority, text_bytes("x"), &out, micalg));
	buf_free(&out);
}

/* A lock file of another host blocks gpg without end (a pid that can't be asked about). */
static void a_foreign_lock_ends_at_the_deadline(void **state)
{
	struct place *p = *state;
	char *path = path_join(keyhome_path(p->home), "pubring.kbx.lock");
	struct key_facts *facts;

	assert_fine(keyhome_reset(p->home));
	assert_fine(file_write(path, 0600, text_bytes("         1\nelsewhere.example.org\n")));
	assert_fine(keyhome_start(1));
	assert_fault(keyhome_import(p->home, buf_bytes(&p->alice_key), &facts), ERR_TEMPORARY);
	assert_fine(keyhome_start(DEADLINE_SECONDS));
	facts = import_alice(p); /* the reset cleared it */
	key_facts_free(&facts);
	str_free(&path);
}

/* Kills every gpg below us, a little later each time, until told to stop. */
struct killer {
	pthread_t thread;
	_Atomic bool stop;
	_Atomic int kills;
	unsigned wait_us;
};

static int kill_children(const char *list)
{
	FILE *file = fopen(list, "re");
	int pid, killed = 0;

	while (file && fscanf(file, "%d", &pid) == 1) {
		char path[64], name[32] = "";
		FILE *comm;

		snprintf(path, sizeof path, "/proc/%d/comm", pid);
		comm = fopen(path, "re");
		if (comm && fgets(name, sizeof name, comm) && strcmp(name, "gpg\n") == 0 &&
		    kill(pid, SIGKILL) == 0)
			killed++;
		if (comm)
			fclose(comm);
	}
	if (file)
		fclose(file);
	return killed;
}

static void *killer_run(void *argument)
{
	struct killer *killer = argument;

	usleep(killer->wait_us);
	while (!killer->stop && killer->kills == 0) {
		DIR *tasks = opendir("/proc/self/task");
		struct dirent *entry;

		while (tasks && (entry = readdir(tasks))) {
			char path[300];

			snprintf(path, sizeof path, "/proc/self/task/%s/children", entry->d_name);
			killer->kills += kill_children(path);
		}
		if (tasks)
			closedir(tasks);
	}
	return NULL;
}

static void killer_begin(struct killer *killer, unsigned wait_us)
{
	killer->stop = false;
	killer->kills = 0;
	killer->wait_us = wait_us;
	assert_int_equal(pthread_create(&killer->thread, NULL, killer_run, killer), 0);
}

static int killer_end(struct killer *killer)
{
	killer->stop = true;
	pthread_join(killer->thread, NULL);
	return killer->kills;
}

static void check_sealed(
    struct place *p, struct keyhome *user, struct buf *sealed, const char *text)
{
	struct buf opened = BUF_SECRET;
	struct signatures signatures;

	(void)p;
	assert_fine(keyhome_decrypt(user, buf_bytes(sealed), &opened, &signatures));
	assert_string_equal(buf_text(&opened), text);
	assert_true(signatures.count == 1 && signatures.list[0].valid);
	buf_free(&opened);
}

enum { ROUNDS = 40, STEP_US = 250 };

/* What is answered with success is whole, whenever gpg dies; what is not is put down to the time, never to the mail. */
static void killed_gpg_never_yields_success_without_proof(void **state)
{
	struct place *p = *state;
	struct killer killer;
	struct keyhome *user;
	struct buf text = BUF_INIT, sealed = BUF_INIT, opened = BUF_SECRET, key = BUF_INIT;
	struct signatures signatures;
	struct certify_options options = options_for(p);
	int kills = 0, failed = 0;

	for (int i = 0; i < 3000; i++)
		buf_addf(&text, "line %d\n", i);
	assert_fine(keyhome_open(p->user, true, &user));
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct key_facts *facts = NULL;
		enum err err;

		/* seal */
		facts = import_alice(p);
		key_facts_free(&facts);
		buf_clear(&sealed);
		killer_begin(&killer, i * STEP_US);
		err = keyhome_seal(p->home, p->authority, p->alice, buf_bytes(&text), &sealed);
		kills += killer_end(&killer);
		if (err == ERR_OK)
			check_sealed(p, user, &sealed, buf_text(&text));
		else
			failed++;
		if (err && err != ERR_TEMPORARY)
			fail_msg("seal: %s", err_text());
		/* certify */
		buf_clear(&key);
		killer_begin(&killer, i * STEP_US);
		err = keyhome_certify(p->home, p->alice, &options, &key);
		kills += killer_end(&killer);
		if (err && err != ERR_TEMPORARY)
			fail_msg("certify: %s", err_text());
		failed += err != ERR_OK;
		if (!err) {
			assert_fine(keyhome_import(user, buf_bytes(&key), &facts));
			assert_true(facts->certification_count >= 1 && facts->subkey_count == 2);
			key_facts_free(&facts);
		}
		/* import */
		assert_fine(keyhome_reset(p->home));
		killer_begin(&killer, i * STEP_US);
		err = keyhome_import(p->home, buf_bytes(&p->alice_key), &facts);
		kills += killer_end(&killer);
		if (err && err != ERR_TEMPORARY)
			fail_msg("import: %s", err_text());
		failed += err != ERR_OK;
		if (!err)
			assert_int_equal(facts->subkey_count, 2);
		key_facts_free(&facts);
		/* decrypt; a gpg killed between two renames leaves no keyring behind */
		assert_fine(keyhome_reset(p->home));
		buf_clear(&sealed);
		buf_clear(&opened);
		assert_fine(
		    keyhome_seal(p->home, p->authority, p->authority, buf_bytes(&text), &sealed));
		killer_begin(&killer, i * STEP_US);
		err = keyhome_decrypt(p->home, buf_bytes(&sealed), &opened, &signatures);
		kills += killer_end(&killer);
		if (err && err != ERR_TEMPORARY)
			fail_msg("decrypt: %s", err_text());
		failed += err != ERR_OK;
		if (!err)
			assert_true(bytes_equal(buf_bytes(&opened), buf_bytes(&text)));
	}
	/* The instrument works: gpg was hit, and it was felt. */
	assert_true(kills > ROUNDS && failed > ROUNDS / 2);
	keyhome_close(&user);
	buf_free(&text);
	buf_free(&sealed);
	buf_free(&opened);
	buf_free(&key);
}

static void leaves_no_child_behind(void **state)
{
	struct place *p = *state;
	struct buf out = BUF_INIT;
	char micalg[16], *command;

	assert_fine(keyhome_sign(p->home, p->authority, text_bytes("x"), &out, micalg));
	command = str_printf("ps -o comm= --ppid %d | grep -c '^gpg$'", (int)getpid());
	buf_clear(&out);
	(void)run_shell(command, &out);
	assert_string_equal(buf_text(&out), "0\n");
	str_free(&command);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reports_the_engine),
		cmocka_unit_test(looks_at_a_key),
		cmocka_unit_test(finds_keys_by_fingerprint_and_address),
		cmocka_unit_test(reset_forgets_the_user),
		cmocka_unit_test(refuses_what_is_no_single_public_key),
		cmocka_unit_test(notices_a_key_that_arrives_in_part),
		cmocka_unit_test(certifies),
		cmocka_unit_test(certifies_with_any_value),
		cmocka_unit_test(refuses_values_that_break_a_certification),
		cmocka_unit_test(sq_agrees),
		cmocka_unit_test(seals_and_opens),
		cmocka_unit_test(opens_requests),
		cmocka_unit_test(password_messages_are_not_for_us),
		cmocka_unit_test(caps_what_is_opened),
		cmocka_unit_test(signs_and_verifies),
		cmocka_unit_test(verifying_never_decrypts),
		cmocka_unit_test(secrets_of_the_authority_never_change),
		cmocka_unit_test(throw_away_homes_go_away),
		cmocka_unit_test(a_locked_agent_is_no_fault_of_the_mail),
		cmocka_unit_test(a_stopped_agent_ends_at_the_deadline),
		cmocka_unit_test(a_foreign_lock_ends_at_the_deadline),
		cmocka_unit_test(killed_gpg_never_yields_success_without_proof),
		cmocka_unit_test(leaves_no_child_behind),
		cmocka_unit_test(certifies_only_the_named_user_ids),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, place_make, place_remove);
}
