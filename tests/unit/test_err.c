#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/journal.h"

static void sentences(void **state)
{
	(void)state;
	assert_int_equal(err_fail(ERR_IO, "cannot read %s", "x"), ERR_IO);
	assert_string_equal(err_text(), "cannot read x");
	assert_int_equal(err_prefix(ERR_CONFIG, "%s:%d", "FILE", 3), ERR_CONFIG);
	assert_string_equal(err_text(), "FILE:3: cannot read x");
	assert_int_equal(err_fail(ERR_DATA, "again: %s", err_text()), ERR_DATA);
	assert_string_equal(err_text(), "again: FILE:3: cannot read x");
}

static void long_sentences_are_cut(void **state)
{
	char *text = mem_alloc(3001);

	(void)state;
	memset(text, 'x', 3000);
	(void)err_fail(ERR_DATA, "%s", text);
	assert_int_equal(strlen(err_text()), 1023);
	(void)err_prefix(ERR_DATA, "before");
	assert_true(str_starts(err_text(), "before: xxx"));
	assert_int_equal(strlen(err_text()), 1023);
	(void)err_prefix(ERR_DATA, "%s", text);
	assert_int_equal(strlen(err_text()), 1023);
	str_free(&text);
}

static void exit_statuses(void **state)
{
	static const struct {
		enum err err;
		int status, passing;
	} cases[] = { { ERR_OK, 0, 0 }, { ERR_USAGE, EX_USAGE, 0 }, { ERR_DATA, EX_DATAERR, 0 },
		{ ERR_NOINPUT, EX_NOINPUT, 0 }, { ERR_NOUSER, EX_NOUSER, 0 },
		{ ERR_UNAVAILABLE, EX_UNAVAILABLE, 1 }, { ERR_SOFTWARE, EX_SOFTWARE, 0 },
		{ ERR_SYSTEM, EX_OSERR, 1 }, { ERR_CREATE, EX_CANTCREAT, 0 },
		{ ERR_IO, EX_IOERR, 1 }, { ERR_TEMPORARY, EX_TEMPFAIL, 1 },
		{ ERR_PROTOCOL, EX_PROTOCOL, 0 }, { ERR_DENIED, EX_NOPERM, 0 },
		{ ERR_CONFIG, EX_CONFIG, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(err_exit_status(cases[i].err), cases[i].status);
		assert_int_equal(err_is_passing(cases[i].err), cases[i].passing);
	}
}

/* What `say` writes to standard error. */
static void capture(void (*say)(void), struct buf *out)
{
	int pipes[2], kept = dup(STDERR_FILENO);

	assert_int_equal(pipe(pipes), 0);
	assert_true(dup2(pipes[1], STDERR_FILENO) >= 0);
	close(pipes[1]);
	say();
	assert_true(dup2(kept, STDERR_FILENO) >= 0);
	close(kept);
	assert_int_equal(file_read_fd(pipes[0], "pipe", 65536, out), ERR_OK);
	close(pipes[0]);
}

static void say_forged(void)
{
	journal_open("test", JOURNAL_INFO);
	journal_warning("mail from %s", "a\nb\x1b[1m\x7f ä");
	/* C1, marks of direction, a line separator, half a character, one too long; and four bytes that may stay */
	journal_warning("%s",
	    "\xc2\x9b"
	    "1m \xe2\x80\xae \xd8\x9c \xe2\x80\xa8 \xe2\x82 \xc0\xaf \x9b \xf0\x9f\x94\x91");
	journal_debug("not shown");
	journal_info("second");
}

static void journal_lines_under_systemd(void **state)
{
	struct buf out = BUF_INIT;

	(void)state;
	assert_int_equal(setenv("JOURNAL_STREAM", "8:1", 1), 0);
	capture(say_forged, &out);
	assert_string_equal(buf_text(&out),
	    "<4>mail from a\\x0ab\\x1b[1m\\x7f ä\n"
	    "<4>\\xc2\\x9b1m \\xe2\\x80\\xae \\xd8\\x9c \\xe2\\x80\\xa8 \\xe2\\x82 \\xc0\\xaf \\x9b 🔑\n"
	    "<6>second\n");
	buf_free(&out);
}

static void journal_lines_elsewhere(void **state)
{
	struct buf out = BUF_INIT;
	char *head = str_printf("Z test[%d]: mail from a\\x0ab", (int)getpid());

	(void)state;
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
	capture(say_forged, &out);
	assert_ptr_equal(bytes_find(buf_bytes(&out), bytes_of_text(head)),
	    out.data + strlen("2026-11-22T04:00:00"));
	assert_null(bytes_find(buf_bytes(&out), bytes_of_text("not shown")));
	str_free(&head);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sentences),
		cmocka_unit_test(long_sentences_are_cut),
		cmocka_unit_test(exit_statuses),
		cmocka_unit_test(journal_lines_under_systemd),
		cmocka_unit_test(journal_lines_elsewhere),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
