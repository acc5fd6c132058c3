/* The authority's gpg-agent, and questions to people through a stand-in for pinentry. */
#include <sys/stat.h>

#include "pinentry_fixture.h"

static char *dir_of(const struct place *p, const char *name)
{
	return path_join(p->dir, name);
}

static void runs_as_our_child_with_one_socket(void **state)
{
	struct place *p = *state;
	struct buf out = BUF_INIT;
	char *command =
	    str_printf("ps -o ppid= -p %d; "
		       "ls $(dirname $(gpgconf --homedir %s --list-dirs agent-socket)) | "
		       "grep -c '^S\\.'",
		(int)p->agent, p->keys);
	long parent = 0, sockets = 0;

	assert_true(agent_running(p->keys));
	assert_int_equal(run_shell(command, &out), 0);
	assert_int_equal(sscanf(buf_text(&out), "%ld %ld", &parent, &sockets), 2);
	assert_int_equal(parent, getpid());
	assert_int_equal(sockets, 1);
	str_free(&command);
	buf_free(&out);
}

static void refuses_a_second_one(void **state)
{
	struct place *p = *state;
	pid_t pid = 1;

	assert_fault(agent_start(p->keys, &pid), ERR_UNAVAILABLE);
	assert_non_null(strstr(err_text(), "runs already"));
	assert_int_equal(pid, 0);
	assert_true(agent_running(p->keys));
}

static void refuses_a_path_too_long_for_a_socket(void **state)
{
	struct place *p = *state;
	struct buf name = BUF_INIT;
	char *home, *session = str_printf("/run/user/%d", (int)getuid());

	for (size_t i = 0; i < 100; i++)
		buf_add_byte(&name, 'x');
	home = dir_of(p, buf_text(&name));
	if (file_exists(session)) {
		assert_fine(agent_prepare(home)); /* gpg puts its sockets there */
	} else {
		assert_fault(agent_prepare(home), ERR_CONFIG);
		assert_non_null(strstr(err_text(), "too long"));
	}
	str_free(&session);
	str_free(&home);
	buf_free(&name);
}

static void clears_stale_locks(void **state)
{
	struct place *p = *state;
	char *home = dir_of(p, "stale"), *lock, *temporary, *other;

	assert_fine(file_make_dir(home, 0700));
	lock = path_join(home, "pubring.kbx.lock");
	temporary = path_join(home, ".#lk0x0001.elsewhere.17");
	other = path_join(home, "lock.txt");
	assert_fine(file_write(lock, 0600, text_bytes("x")));
	assert_fine(file_write(temporary, 0600, text_bytes("x")));
	assert_fine(file_write(other, 0600, text_bytes("x")));
	assert_fine(agent_prepare(home));
	assert_false(file_exists(lock) || file_exists(temporary));
	assert_true(file_exists(other));
	str_free(&home);
	str_free(&lock);
	str_free(&temporary);
	str_free(&other);
}

static void locked_until_the_right_passphrase(void **state)
{
	static const char *const wrong[] = { "wrong", "", "correct horse ", "correct hors",
		"Correct horse" };
	struct place *p = *state;
	struct buf longest = BUF_INIT;

	assert_fine(agent_check(p->keys));
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_fine(agent_reload(p->keys));
		assert_fault(agent_check(p->keys), ERR_UNAVAILABLE);
		assert_fault(agent_unlock(p->keys, text_bytes(wrong[i])), ERR_DENIED);
		assert_fault(agent_check(p->keys), ERR_UNAVAILABLE);
	}
	for (size_t i = 0; i < 1000; i++)
		buf_add_byte(&longest, 'x');
	assert_fault(agent_unlock(p->keys, buf_bytes(&longest)), ERR_DENIED);
	assert_fine(agent_unlock(p->keys, text_bytes(PASSPHRASE)));
	assert_fine(agent_check(p->keys));
	buf_free(&longest);
}

static void a_wrong_one_is_told_apart_from_a_dead_agent(void **state)
{
	struct place *p = *state;

	agent_finish(p);
	assert_false(agent_running(p->keys));
	assert_fault(agent_check(p->keys), ERR_UNAVAILABLE);
	assert_fault(agent_unlock(p->keys, text_bytes(PASSPHRASE)), ERR_UNAVAILABLE);
	agent_begin(p); /* over the dead one's socket */
	assert_fault(agent_check(p->keys), ERR_UNAVAILABLE);
	assert_fine(agent_unlock(p->keys, text_bytes(PASSPHRASE)));
}

static void keys_without_a_passphrase_need_none(void **state)
{
	struct place *p = *state;
	char *path = dir_of(p, "open"), fingerprint[41];
	struct keyhome *home;
	pid_t pid;

	assert_fine(agent_prepare(path));
	assert_fine(agent_start(path, &pid));
	assert_fault(agent_check(path), ERR_UNAVAILABLE); /* no key yet */
	assert_fault(agent_unlock(path, bytes_of(NULL, 0)), ERR_UNAVAILABLE);
	assert_fine(keyhome_open(path, true, &home));
	assert_fine(keyring_create_authority(home, AUTHORITY, bytes_of(NULL, 0), fingerprint));
	assert_fine(agent_check(path));
	assert_fine(agent_unlock(path, bytes_of(NULL, 0)));
	keyhome_close(&home);
	agent_stop(path);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(agent_running(path));
	str_free(&path);
}

/* A client that hangs up in the middle must not end it (gpg-agent 2.2.40 forgets SIGPIPE when supervised). */
static void survives_its_clients(void **state)
{
	struct place *p = *state;
	char *command =
	    str_printf("exec 2>/dev/null; for i in 1 2 3 4 5 6 7 8; do "
		       "(yes 'KEYINFO --list' | head -n 2000 | timeout -s KILL 0.02 "
		       "gpg-connect-agent --homedir %s --no-autostart >/dev/null 2>&1); done; true",
		p->keys);

	assert_int_equal(run_shell(command, NULL), 0);
	assert_fine(agent_check(p->keys));
	str_free(&command);
}

/* Killed without warning, we take it with us. */
static void dies_with_us(void **state)
{
	struct place *p = *state;
	char *path = dir_of(p, "orphan");
	int pair[2], status;
	pid_t parent, agent = 0;

	assert_fine(agent_prepare(path));
	assert_int_equal(pipe(pair), 0);
	parent = fork();
	assert_true(parent >= 0);
	if (parent == 0) {
		if (agent_start(path, &agent) || write(pair[1], &agent, sizeof agent) < 0)
			_exit(1);
		pause();
	}
	assert_int_equal(read(pair[0], &agent, sizeof agent), sizeof agent);
	assert_true(agent_running(path));
	assert_int_equal(kill(parent, SIGKILL), 0);
	assert_int_equal(waitpid(parent, &status, 0), parent);
	for (int i = 0; i < 100 && agent_running(path); i++)
		usleep(20000);
	assert_false(agent_running(path));
	close(pair[0]);
	close(pair[1]);
	str_free(&path);
}

static void asks_for_a_password(void **state)
{
	struct place *p = *state;
	char *home = dir_of(p, "asking"), *dir = dir_of(p, "said");
	struct buf answer = BUF_SECRET;

	stand_in_use(home, dir);
	stand_in_say(dir, "pin", "50% of a \"päss\" word");
	assert_fine(agent_ask(
	    home, "New password for keyset \"default\": 100% yours", NULL, false, &answer));
	assert_string_equal(buf_text(&answer), "50% of a \"päss\" word");
	assert_int_equal(stand_in_count(dir), 1);
	assert_true(stand_in_heard(dir, "New password for keyset"));
	/* Nothing is remembered. */
	buf_clear(&answer);
	assert_fine(agent_ask(home, "Again", "That was wrong", false, &answer));
	assert_int_equal(stand_in_count(dir), 1);
	assert_true(stand_in_heard(dir, "That was wrong"));
	buf_clear(&answer);
	assert_fine(agent_ask(home, "Twice", NULL, true, &answer));
	assert_int_equal(stand_in_count(dir), 2);
	assert_string_equal(buf_text(&answer), "50% of a \"päss\" word");
	buf_clear(&answer);
	stand_in_say(dir, "pin", NULL);
	assert_fault(agent_ask(home, "Never", NULL, false, &answer), ERR_DENIED);
	assert_int_equal(answer.len, 0);
	agent_stop(home);
	str_free(&home);
	str_free(&dir);
	buf_free(&answer);
}

static void holds_a_dialog(void **state)
{
	static const struct {
		const char *said, *not_ok;
		enum dialog_answer answer;
	} cases[] = {
		{ "ok", "Low", DIALOG_OK },
		{ "notok", "Low", DIALOG_NOT_OK },
		{ "notok", NULL, DIALOG_CANCEL },
		{ "cancel", "Low", DIALOG_CANCEL },
		{ NULL, NULL, DIALOG_CANCEL },
	};
	struct place *p = *state;
	char *home = dir_of(p, "dialog"), *dir = dir_of(p, "dialog-said");
	enum dialog_answer answer;

	stand_in_use(home, dir);
	assert_int_equal(setenv("GNUPGHOME", home, 1), 0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		stand_in_say(dir, "confirm", cases[i].said);
		assert_fine(dialog_confirm(
		    "Which level?\n100 % of it", "High", cases[i].not_ok, "Cancel", &answer));
		assert_int_equal(answer, cases[i].answer);
	}
	assert_true(stand_in_heard(dir, "SETDESC Which level?%0A100 %25 of it"));
	assert_true(stand_in_heard(dir, "SETNOTOK Low"));
	assert_fine(dialog_message("It is done"));
	assert_true(stand_in_heard(dir, "SETDESC It is done"));
	assert_int_equal(unsetenv("GNUPGHOME"), 0);
	str_free(&home);
	str_free(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_as_our_child_with_one_socket),
		cmocka_unit_test(refuses_a_second_one),
		cmocka_unit_test(refuses_a_path_too_long_for_a_socket),
		cmocka_unit_test(clears_stale_locks),
		cmocka_unit_test(locked_until_the_right_passphrase),
		cmocka_unit_test(a_wrong_one_is_told_apart_from_a_dead_agent),
		cmocka_unit_test(keys_without_a_passphrase_need_none),
		cmocka_unit_test(survives_its_clients),
		cmocka_unit_test(dies_with_us),
		cmocka_unit_test(asks_for_a_password),
		cmocka_unit_test(holds_a_dialog),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, place_make, place_remove);
}
