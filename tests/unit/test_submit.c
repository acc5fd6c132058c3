#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/file.h"
#include "mail/mailbox.h"
#include "mail/submit.h"
#include "secret/secret.h"

static char dir[] = "/tmp/test_submit.XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return file_remove_tree(dir) ? -1 : 0;
}

/* A sendmail that is this script; malloc'ed URL. */
static char *sendmail_url(const char *script)
{
	char *path = path_join(dir, "sendmail");
	char *text = str_printf("#!/bin/sh\ncd %s\n%s\n", dir, script);
	assert_int_equal(file_write(path, 0700, bytes_of_text(text)), ERR_OK);
	assert_int_equal(chmod(path, 0700), 0);
	char *url = str_printf("sendmail:%s", path);
	str_free(&text);
	str_free(&path);
	return url;
}

static enum submit_result send_by(const char *url, const char *sender, const char *const *to)
{
	struct submit *s = NULL;
	struct conf_server server = CONF_SERVER(url);
	assert_int_equal(submit_open(&server, 1, &s), ERR_OK);
	assert_int_equal(submit_check(s), ERR_OK);
	enum submit_result result = submit_send(s, sender, to, bytes_of_text("A: b\r\n\r\n.\r\n"));
	submit_close(&s);
	assert_null(s);
	return result;
}

static const char *const alice[] = { "alice@example.org", NULL };

static void assert_file(const char *name, const char *expect)
{
	struct buf got = BUF_INIT;
	char *path = path_join(dir, name);
	assert_int_equal(file_read(path, 10000, &got), ERR_OK);
	assert_string_equal(buf_text(&got), expect);
	str_free(&path);
	buf_free(&got);
}

static void wrong_urls(void **state)
{
	(void)state;
	static const char *const urls[] = { "", "smtp://x",
		"sendmail:", "maildir:", "/usr/sbin/sendmail" };
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		struct submit *s = NULL;
		struct conf_server server = CONF_SERVER(urls[i]);
		assert_int_equal(submit_open(&server, 1, &s), ERR_CONFIG);
		assert_null(s);
	}
	struct submit *s = NULL;
	struct conf_server server = CONF_SERVER("sendmail:/nonexistent/sendmail");
	assert_int_equal(submit_open(&server, 1, &s), ERR_OK);
	assert_int_equal(submit_check(s), ERR_UNAVAILABLE);
	assert_int_equal(submit_send(s, "", alice, bytes_of_text("x")), SUBMIT_TEMPORARY);
	submit_close(&s);
}

static void sendmail_is_called_right(void **state)
{
	(void)state;
	static const char *const two[] = { "-bob@example.org", "carol@example.org", NULL };
	char *url = sendmail_url("printf '%s\\n' \"$@\" > args; cat > stdin");
	assert_int_equal(send_by(url, "sa@example.org", two), SUBMIT_SENT);
	assert_file("args", "-i\n-f\nsa@example.org\n--\n-bob@example.org\ncarol@example.org\n");
	assert_file("stdin", "A: b\n\n.\n");
	assert_int_equal(send_by(url, "", alice), SUBMIT_SENT);
	assert_file("args", "-i\n-f\n<>\n--\nalice@example.org\n");
	str_free(&url);
}

static void sendmail_results(void **state)
{
	(void)state;
	static const struct {
		const char *script;
		enum submit_result expect;
		const char *text;
	} cases[] = {
		{ "cat >/dev/null", SUBMIT_SENT, NULL },
		{ "echo queue is full >&2; exit 75", SUBMIT_TEMPORARY,
		    "queue is full (exit status 75)" },
		{ "echo no such user >&2; echo more >&2; exit 67", SUBMIT_PERMANENT,
		    "no such user (exit status 67)" },
		{ "exit 68", SUBMIT_PERMANENT, "ended with exit status 68" },
		{ "exit 65", SUBMIT_PERMANENT, "exit status 65" },
		{ "exit 64", SUBMIT_PERMANENT, "exit status 64" },
		{ "exit 69", SUBMIT_TEMPORARY, "exit status 69" },
		{ "exit 78", SUBMIT_TEMPORARY, "exit status 78" },
		{ "exit 1", SUBMIT_TEMPORARY, "exit status 1" },
		{ "kill -9 $$", SUBMIT_TEMPORARY, "exit status 137" },
		{ "exec sleep 20", SUBMIT_TEMPORARY, "too long" },
		{ "printf 'a\\033[31mb\\n' >&2; exit 75", SUBMIT_TEMPORARY, "b (exit status 75)" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *url = sendmail_url(cases[i].script);
		assert_int_equal(send_by(url, "sa@example.org", alice), cases[i].expect);
		assert_true(cases[i].text == NULL || strstr(err_text(), cases[i].text) != NULL);
		assert_null(cases[i].text ? strchr(err_text(), '\033') : NULL);
		str_free(&url);
	}
}

static void odd_envelopes(void **state)
{
	(void)state;
	static const char *const none[] = { NULL };
	static const char *const line[] = { "a@example.org\nb@example.org", NULL };
	static const char *const empty[] = { "", NULL };
	const char *const *bad[] = { none, line, empty };
	char *url = sendmail_url("cat >/dev/null");
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(send_by(url, "sa@example.org", bad[i]), SUBMIT_PERMANENT);
	}
	assert_int_equal(send_by(url, "sa@example.org\nX: y", alice), SUBMIT_PERMANENT);
	str_free(&url);
}

static void into_maildir(void **state)
{
	(void)state;
	static const char *const two[] = { "bob@example.org", "carol@example.org", NULL };
	char *box_dir = path_join(dir, "out");
	char *url = str_printf("maildir:%s", box_dir);
	assert_int_equal(send_by(url, "", two), SUBMIT_SENT);

	struct mailbox *box = NULL;
	struct conf_mailbox options = {
		.server = CONF_SERVER(url), .done_folder = "", .ignored_folder = ""
	};
	char **ids = NULL;
	size_t count = 0, size = 0;
	struct buf mail = BUF_INIT;
	assert_int_equal(mailbox_open(&options, &box), ERR_OK);
	assert_int_equal(mailbox_list(box, &ids, &count), ERR_OK);
	assert_int_equal(count, 1);
	assert_int_equal(mailbox_fetch(box, ids[0], 1000, &mail, &size), ERR_OK);
	assert_string_equal(buf_text(&mail),
	    "Return-Path: <>\nDelivered-To: bob@example.org\nDelivered-To: carol@example.org\n"
	    "A: b\n\n.\n");
	buf_free(&mail);
	mailbox_list_free(&ids);
	mailbox_close(&box);
	str_free(&url);
	str_free(&box_dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_urls),
		cmocka_unit_test(sendmail_is_called_right),
		cmocka_unit_test(sendmail_results),
		cmocka_unit_test(odd_envelopes),
		cmocka_unit_test(into_maildir),
	};
	secret_start();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
