#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/proc.h"
#include "base/when.h"

static enum err run_shell(const char *script, struct bytes input, unsigned seconds, struct buf *out,
    struct buf *errors, int *status)
{
	char *copy = str_dup(script), sh[] = "sh", c[] = "-c";
	char *argv[] = { sh, c, copy, NULL };
	enum err err = proc_run(argv, input, seconds, out, errors, status);

	str_free(&copy);
	return err;
}

static void what_programs_say(void **state)
{
	static const struct {
		const char *script, *input, *out, *errors;
		int status;
	} cases[] = {
		{ "true", "", "", "", 0 }, { "cat", "hello", "hello", "", 0 },
		{ "echo one; echo two >&2; exit 3", "", "one\n", "two\n", 3 },
		{ "kill -TERM $$", "", "", "", 128 + SIGTERM },
		{ "exec 1>&- 2>&- 0<&-; sleep 0.1; exit 7", "unread", "", "", 7 },
		{ "ls /proc/self/fd | tr '\\n' ' '", "", "0 1 2 3 ", "", 0 }, /* 3 is its own */
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf out = BUF_INIT, errors = BUF_INIT;
		int status;

		assert_int_equal(run_shell(cases[i].script, bytes_of_text(cases[i].input), 10, &out,
				     &errors, &status),
		    ERR_OK);
		assert_string_equal(buf_text(&out), cases[i].out);
		assert_string_equal(buf_text(&errors), cases[i].errors);
		assert_int_equal(status, cases[i].status);
		buf_free(&out);
		buf_free(&errors);
	}
}

static void much_goes_both_ways(void **state)
{
	struct buf input = BUF_INIT, out = BUF_INIT, errors = BUF_INIT;
	int status;

	(void)state;
	memset(buf_reserve(&input, 1 << 20), 'x', 1 << 20);
	input.len = 1 << 20;
	assert_int_equal(
	    run_shell("tee /dev/stderr", buf_bytes(&input), 10, &out, &errors, &status), ERR_OK);
	assert_int_equal(status, 0);
	assert_true(bytes_equal(buf_bytes(&input), buf_bytes(&out)));
	assert_true(bytes_equal(buf_bytes(&input), buf_bytes(&errors)));
	buf_clear(&out);
	assert_int_equal(
	    run_shell("head -c 3", buf_bytes(&input), 10, &out, NULL, &status), ERR_OK);
	assert_string_equal(buf_text(&out), "xxx");
	buf_free(&input);
	buf_free(&out);
	buf_free(&errors);
}

/* A grandchild, which somebody else reaps: gone, or a zombie. */
static bool ends_soon(pid_t pid)
{
	char *path = str_printf("/proc/%d/stat", (int)pid);
	bool ended = false;

	for (int i = 0; i < 200 && !ended; i++) {
		struct buf stat = BUF_INIT;

		ended = file_read(path, 4096, &stat) != ERR_OK ||
			bytes_find(buf_bytes(&stat), bytes_of_text(") Z ")) != NULL;
		buf_free(&stat);
		(void)usleep(10000);
	}
	str_free(&path);
	return ended;
}

static void the_group_ends_at_the_deadline(void **state)
{
	struct buf out = BUF_INIT;
	int64_t start = when_monotonic_ms(), pid;
	int status;

	(void)state;
	assert_int_equal(
	    run_shell("sleep 60 & echo $!; wait", bytes_of_text(""), 1, &out, NULL, &status),
	    ERR_TEMPORARY);
	assert_true(when_monotonic_ms() - start < 5000);
	out.data[out.len - 1] = 0;
	assert_int_equal(str_to_int(buf_text(&out), 1, INT32_MAX, &pid), ERR_OK);
	assert_true(ends_soon((pid_t)pid));
	buf_free(&out);
	assert_int_equal(
	    run_shell("exec >&- 2>&-; sleep 60", bytes_of_text(""), 1, NULL, NULL, &status),
	    ERR_TEMPORARY);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void too_much_output(void **state)
{
	struct buf out = BUF_INIT;
	int status;

	(void)state;
	assert_int_equal(run_shell("yes", bytes_of_text(""), 30, &out, NULL, &status), ERR_DATA);
	buf_free(&out);
}

static void what_is_not_there(void **state)
{
	char missing[] = "/nonexistent/program";
	char *argv[] = { missing, NULL };
	int status;

	(void)state;
	assert_int_equal(
	    proc_run(argv, bytes_of_text("input"), 5, NULL, NULL, &status), ERR_UNAVAILABLE);
	assert_string_equal(
	    err_text(), "cannot run /nonexistent/program: No such file or directory");
}

/* The C library keeps signals 32 and 33 to itself: nobody can set them, so they may have come from whoever started us. */
#define OURS (~0x180000000ull)

static void signals_are_default(void **state)
{
	struct buf out = BUF_INIT;
	unsigned long long is_blocked = 1, is_ignored = 1;
	sigset_t blocked;
	int status;

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	assert_int_equal(sigprocmask(SIG_BLOCK, &blocked, NULL), 0);
	assert_int_equal(run_shell("grep -E '^Sig(Blk|Ign)' /proc/self/status", bytes_of_text(""),
			     5, &out, NULL, &status),
	    ERR_OK);
	assert_int_equal(
	    sscanf(buf_text(&out), "SigBlk: %llx SigIgn: %llx", &is_blocked, &is_ignored), 2);
	assert_int_equal(is_blocked & OURS, 0);
	assert_int_equal(is_ignored & OURS, 0);
	assert_int_equal(sigprocmask(SIG_UNBLOCK, &blocked, NULL), 0);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_programs_say),
		cmocka_unit_test(much_goes_both_ways),
		cmocka_unit_test(the_group_ends_at_the_deadline),
		cmocka_unit_test(too_much_output),
		cmocka_unit_test(what_is_not_there),
		cmocka_unit_test(signals_are_default),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
