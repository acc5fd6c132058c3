#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/conf.h"
#include "base/file.h"

#define SAMPLE_FILE "samples/countersign.conf"

static char dir[] = "/tmp/test_conf.XXXXXX";
static char *path;

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	path = path_join(dir, "test.conf");
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	str_free(&path);
	return file_remove_tree(dir) == ERR_OK ? 0 : -1;
}

static enum err read_text(struct bytes text, struct conf **out)
{
	assert_int_equal(file_write(path, 0600, text), ERR_OK);
	return conf_read(path, out);
}

static void assert_list(char **list, const char *const *expected)
{
	size_t i;

	for (i = 0; expected[i]; i++)
		assert_string_equal(list[i], expected[i]);
	assert_null(list[i]);
}

static void assert_defaults(const struct conf *c)
{
	static const char *const none[] = { NULL };
	static const char *const curves[] = { "ed25519", "cv25519", "nistp256", "nistp384",
		"nistp521", "brainpoolp256r1", "brainpoolp384r1", "brainpoolp512r1", NULL };

	assert_string_equal(c->authority.address, "");
	assert_string_equal(c->authority.name, "Security Authority");
	assert_string_equal(c->authority.state_directory, "/var/lib/countersign");
	assert_string_equal(c->authority.runtime_directory, "/run/countersign");
	assert_string_equal(c->authority.passphrase_file, "");
	assert_string_equal(c->authority.escrow_home, "");
	assert_string_equal(c->authority.key_home, "");
	assert_string_equal(c->submit.server.url, "sendmail:/usr/sbin/sendmail");
	assert_string_equal(c->submit.recipient_delimiter, "");
	assert_true(c->submit.bounces);
	assert_int_equal(c->submit.timeout_seconds, 60);
	assert_int_equal(c->submit.retry_first_seconds, 60);
	assert_int_equal(c->submit.retry_most_seconds, 4 * 3600);
	assert_int_equal(c->submit.give_up_seconds, 5 * 86400);
	assert_list(c->policy.domains, none);
	assert_string_equal(c->policy.plain_requests, "on");
	assert_string_equal(c->policy.escrow, "offered");
	assert_null(c->policy.escrow_for[0]);
	assert_string_equal(c->policy.revoked, "publish");
	assert_memory_equal(c->policy.reminder_seconds,
	    ((const int64_t[]){ 30 * 86400, 14 * 86400, 3 * 86400, 0 }), 4 * sizeof(int64_t));
	assert_string_equal(c->policy.token_by_mail, "enroll");
	assert_int_equal(c->policy.token_expires_seconds, 14 * 86400);
	assert_int_equal(c->policy.certify_seconds, 365 * 86400);
	assert_int_equal(c->policy.certify_spread_seconds, 30 * 86400);
	assert_int_equal(c->policy.grace_seconds, 30 * 86400);
	assert_string_equal(c->policy.policy_url, "");
	assert_int_equal(c->policy.rsa_bits_min, 2048);
	assert_list(c->policy.curves, curves);
	assert_false(c->policy.dsa_elgamal);
	assert_string_equal(c->wkd.directory, "");
	assert_string_equal(c->wkd.policy, "");
	assert_string_equal(c->log.level, "info");
	assert_int_equal(c->limits.mail_bytes, 262144);
	assert_int_equal(c->limits.nesting, 20);
	assert_int_equal(c->limits.parts, 100);
	assert_int_equal(c->limits.header_bytes, 65536);
	assert_int_equal(c->limits.parser_seconds, 5);
	assert_int_equal(c->limits.parser_memory_bytes, 256 << 20);
	assert_int_equal(c->limits.gpg_seconds, 30);
	assert_int_equal(c->limits.decompressed_bytes, 2 << 20);
	assert_int_equal(c->limits.attempts, 3);
	assert_int_equal(c->limits.workers, 0);
	assert_int_equal(c->limits.mails_per_address_day, 5);
	assert_int_equal(c->limits.mails_per_hour, 200);
	assert_int_equal(c->limits.poll_seconds, 60);
	assert_int_equal(c->limits.busy_seconds, 5);
	assert_list(c->notify.auditors, none);
	assert_list(c->notify.administrators, none);
}

static void nothing_gives_the_defaults(void **state)
{
	struct conf *conf = NULL;

	(void)state;
	assert_int_equal(read_text(bytes_of(NULL, 0), &conf), ERR_OK);
	assert_defaults(conf);
	assert_int_equal(conf->mailbox_count, 0);
	assert_string_equal(conf->path, path);
	conf_free(&conf);
	assert_null(conf);
	conf_free(&conf);
}

static void the_sample_is_up_to_date(void **state)
{
	struct buf file = BUF_INIT, made = BUF_INIT;
	struct conf *conf = NULL;

	(void)state;
	assert_int_equal(file_read(SAMPLE_FILE, 1000000, &file), ERR_OK);
	conf_write_sample(&made, NULL);
	assert_string_equal(buf_text(&file), buf_text(&made));
	assert_int_equal(conf_read(SAMPLE_FILE, &conf), ERR_OK);
	assert_defaults(conf);
	conf_free(&conf);
	buf_free(&file);
	buf_free(&made);
}

/* What is commented out is truly the default: the sample with all of it put in says the same. */
static void what_is_commented_out_is_the_default(void **state)
{
	struct buf sample = BUF_INIT, text = BUF_INIT;
	struct conf *conf = NULL;
	struct bytes rest, line;
	size_t settings = 0;

	(void)state;
	conf_write_sample(&sample, NULL);
	rest = buf_bytes(&sample);
	while (bytes_line(&rest, &line)) {
		const uint8_t *mark = bytes_find(line, bytes_of_text("#"));

		if (mark && mark[1] != ' ') {
			line = bytes_of(mark + 1, line.len - (size_t)(mark + 1 - line.data));
			settings++;
		}
		buf_addf(&text, "%.*s\n", (int)line.len, (const char *)line.data);
	}
	assert_int_equal(settings, 70 + 2); /* with the braces of the mailbox */
	assert_int_equal(read_text(buf_bytes(&text), &conf), ERR_OK);
	assert_defaults(conf);
	assert_int_equal(conf->mailbox_count, 1);
	assert_string_equal(conf->mailbox[0].server.url, "maildir:/var/lib/countersign/mail");
	assert_string_equal(conf->mailbox[0].done_folder, "Done");
	assert_string_equal(conf->mailbox[0].ignored_folder, "Ignored");
	conf_free(&conf);
	buf_free(&sample);
	buf_free(&text);
}

static void a_sample_with_values(void **state)
{
	static const char name[] = "A \"quoted\" \\n ${HOME} $x 'single' # { } ä";
	const struct conf_sample values = { .address = "sa@example.org",
		.name = name,
		.state_directory = "/tmp/a b",
		.runtime_directory = "/dev/shm/x",
		.passphrase_file = "/p",
		.escrow_home = "/e",
		.mailbox_url = "maildir:/in box",
		.submit_url = "maildir:/out" };
	struct buf text = BUF_INIT;
	struct conf *c = NULL;

	(void)state;
	conf_write_sample(&text, &values);
	assert_int_equal(read_text(buf_bytes(&text), &c), ERR_OK);
	assert_string_equal(c->authority.address, "sa@example.org");
	assert_string_equal(c->authority.name, name);
	assert_string_equal(c->authority.state_directory, "/tmp/a b");
	assert_string_equal(c->authority.runtime_directory, "/dev/shm/x");
	assert_string_equal(c->authority.passphrase_file, "/p");
	assert_string_equal(c->authority.escrow_home, "/e");
	assert_int_equal(c->mailbox_count, 1);
	assert_string_equal(c->mailbox[0].server.url, "maildir:/in box");
	assert_string_equal(c->mailbox[0].done_folder, "Done");
	assert_string_equal(c->submit.server.url, "maildir:/out");
	assert_int_equal(c->limits.nesting, 20);
	conf_free(&c);
	buf_free(&text);
}

static void values_that_are_set(void **state)
{
	static const char text[] =
	    "mailbox { url = \"maildir:/one\" done-folder = \"\" }\n"
	    "/* between */ mailbox { url = \"maildir:/two\" }\n"
	    "policy { domains = {\"example.org\", \"example.net\"} curves = ed25519 dsa-elgamal = on\n"
	    "  plain-requests = encrypted token-expires = 3s certify-spread = 0\n"
	    "  escrow = required escrow-for = {\"bob@example.org=off\", \"@.example.net=offered\"} reminders = {}\n"
	    "  revoked = unpublish }\n"
	    "notify { auditors = {} }\n"
	    "limits { mail-size = 1M header-size = 2048 poll = 1s nesting = \"7\" }\n"
	    "submit { bounces = off recipient-delimiter = \"+\" }\n"
	    "wkd { policy = \"one\\ntwo\\n\" }\n";
	static const char *const domains[] = { "example.org", "example.net", NULL };
	static const char *const curves[] = { "ed25519", NULL };
	static const char *const rules[] = { "bob@example.org=off", "@.example.net=offered", NULL };
	struct conf *c = NULL;

	(void)state;
	assert_int_equal(read_text(bytes_of_text(text), &c), ERR_OK);
	assert_int_equal(c->mailbox_count, 2);
	assert_string_equal(c->mailbox[0].server.url, "maildir:/one");
	assert_string_equal(c->mailbox[0].done_folder, "");
	assert_string_equal(c->mailbox[1].server.url, "maildir:/two");
	assert_string_equal(c->mailbox[1].done_folder, "Done");
	assert_list(c->policy.domains, domains);
	assert_list(c->policy.curves, curves);
	assert_true(c->policy.dsa_elgamal);
	assert_string_equal(c->policy.plain_requests, "encrypted");
	assert_int_equal(c->policy.token_expires_seconds, 3);
	assert_int_equal(c->policy.certify_spread_seconds, 0);
	assert_string_equal(c->policy.escrow, "required");
	assert_list(c->policy.escrow_for, rules);
	assert_string_equal(c->policy.revoked, "unpublish");
	assert_int_equal(c->policy.reminder_seconds[0], 0);
	assert_int_equal(c->limits.mail_bytes, 1 << 20);
	assert_int_equal(c->limits.header_bytes, 2048);
	assert_int_equal(c->limits.poll_seconds, 1);
	assert_int_equal(c->limits.nesting, 7);
	assert_false(c->submit.bounces);
	assert_string_equal(c->submit.recipient_delimiter, "+");
	assert_string_equal(c->wkd.policy, "one\ntwo\n");
	conf_free(&c);
}

static void faults_have_file_and_line(void **state)
{
	static const struct {
		const char *text;
		int line;
		const char *says;
	} cases[] = {
		{ "foo = 1\n", 1, "no such option 'foo'" },
		{ "\nlimits {\n\tbogus = 1\n}\n", 3, "no such option 'bogus'" },
		{ "limits {\n\tnesting = 0\n}\n", 2, "nesting: 0 is not between 1 and 100" },
		{ "limits {\n\tnesting = many\n}\n", 2, "nesting: \"many\" is not a number" },
		{ "limits { poll = 2d }", 1, "poll: 2d is not between 1 second and 1 day" },
		{ "mailbox { idle = 6m }", 1, "idle: 6m is not between 1 second and" },
		{ "limits { poll = soon }", 1, "poll: \"soon\" is not a span of time" },
		{ "limits { mail-size = 3X }", 1, "mail-size: \"3X\" is not a size" },
		{ "limits { mail-size = K }", 1, "mail-size: \"K\" is not a size" },
		{ "limits { mail-size = 9999999999G }", 1,
		    "mail-size: \"9999999999G\" is not a size" },
		{ "policy {\n\n escrow = on }", 3,
		    "escrow: \"on\" is none of: required offered off" },
		{ "policy { reminders = {30d,\n0s} }", 2,
		    "reminders: 0s is not between 1 second and" },
		{ "policy { reminders = {91d} }", 1,
		    "reminders: 91d is not between 1 second and 90 days" },
		{ "policy { reminders = {soon} }", 1, "reminders: \"soon\"" },
		{ "policy { plain-requests = maybe }", 1,
		    "plain-requests: \"maybe\" is none of: on encrypted off" },
		{ "policy { dsa-elgamal = yes }", 1, "dsa-elgamal: \"yes\" is neither on nor off" },
		{ "policy { curves = {\"ed25519\",\n\"foo\"} }", 2,
		    "curves: \"foo\" is none of: ed25519" },
		{ "policy { policy-url = \"ftp://x\" }", 1,
		    "policy-url: \"ftp://x\" does not begin with https://" },
		{ "mailbox { url = \"pop3://x\" }", 1,
		    "url: \"pop3://x\" is not understood; write maildir:" },
		{ "mailbox { url = \"imaps://x\" }", 1,
		    "imaps://x: to log in it needs a user in the url, and a password-file or" },
		{ "mailbox { url = \"imap://a@x\"\npassword-file = /x\ntls = off }", 3,
		    "imap://a@x: tls may be off only for a server on this machine" },
		{ "mailbox { url = \"imap://a@x\"\npassword-file = /x\ntoken-command = y }", 3,
		    "imap://a@x: give a password-file or a token-command, not both" },
		{ "submit { url = \"submission://x\"\npassword-file = /x }", 2,
		    "submission://x: the url names no user to log in as" },
		{ "submit { url = \"submission://a@x\" }", 1,
		    "submission://a@x: to log in it needs a user in the url" },
		{ "submit { tls-pin = abc }", 1, "tls-pin: \"abc\" is not a SHA-256 in base64" },
		{ "limits { reconnect-first = 10m }", 1,
		    "reconnect-first is longer than reconnect-most" },
		{ "mailbox { url = \"maildir:x\" }", 1, "url: \"maildir:x\" is not understood" },
		{ "\nmailbox {\n done-folder = \"x\" }", 3, "this mailbox has no url" },
		{ "mailbox { done-folder = \"../x\" }", 1,
		    "done-folder: \"../x\" can't be the name of a folder" },
		{ "submit { url = \"smtp://x\" }", 1,
		    "url: \"smtp://x\" is not understood; write sendmail:" },
		{ "submit { retry-first = 5h }", 1, "retry-first is longer than retry-most" },
		{ "submit { recipient-delimiter = \"++\" }", 1,
		    "recipient-delimiter: \"++\" is not one of" },
		{ "authority { state-directory = foo }", 1,
		    "state-directory: \"foo\" does not begin at /" },
		{ "authority { state-directory = \"\" }", 1,
		    "state-directory: \"\" does not begin at /" },
		{ "authority { name = \"a\\nBcc: b\" }", 1,
		    "name: the value holds control characters" },
		{ "limits {\n nesting = 3\n", 4, "a closing brace is missing" },
		{ "}", 1, "unexpected closing brace" },
		{ "/* abc", 3, "a comment has no end" },
		{ "authority { name = \"abc", 3, "premature end of file" },
		{ "include(\"/etc/passwd\")", 1, "no such option 'include'" },
		{ "f%n%s = 1", 1, "no such option 'f%n%s'" },
	};
	struct conf *conf = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *start = str_printf("%s:%d: %s", path, cases[i].line, cases[i].says);

		assert_int_equal(read_text(bytes_of_text(cases[i].text), &conf), ERR_CONFIG);
		assert_null(conf);
		if (!str_starts(err_text(), start))
			assert_string_equal(err_text(), start);
		str_free(&start);
	}
	assert_int_equal(read_text(bytes_of("x\0y", 3), &conf), ERR_CONFIG);
}

static void files_that_cannot_be_read(void **state)
{
	struct buf many = BUF_INIT;
	struct conf *conf = NULL;

	(void)state;
	assert_int_equal(conf_read("/nonexistent/x.conf", &conf), ERR_NOINPUT);
	assert_int_equal(conf_read(dir, &conf), ERR_NOINPUT);
	for (int i = 0; i <= CONF_MAILBOXES_MAX; i++)
		buf_add_text(&many, "mailbox { url = \"maildir:/x\" }\n");
	assert_int_equal(read_text(buf_bytes(&many), &conf), ERR_CONFIG);
	buf_free(&many);
}

static void where_it_is(void **state)
{
	(void)state;
	assert_int_equal(unsetenv("COUNTERSIGN_CONF"), 0);
	assert_string_equal(conf_path(NULL), CONF_DEFAULT_PATH);
	assert_int_equal(setenv("COUNTERSIGN_CONF", "/x", 1), 0);
	assert_string_equal(conf_path(NULL), "/x");
	assert_string_equal(conf_path("/y"), "/y");
	assert_int_equal(setenv("COUNTERSIGN_CONF", "", 1), 0);
	assert_string_equal(conf_path(NULL), CONF_DEFAULT_PATH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_gives_the_defaults),
		cmocka_unit_test(the_sample_is_up_to_date),
		cmocka_unit_test(what_is_commented_out_is_the_default),
		cmocka_unit_test(a_sample_with_values),
		cmocka_unit_test(values_that_are_set),
		cmocka_unit_test(faults_have_file_and_line),
		cmocka_unit_test(files_that_cannot_be_read),
		cmocka_unit_test(where_it_is),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
