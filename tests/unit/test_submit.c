#include "server_fixture.h"

#include <sys/stat.h>

#include "base/encode.h"
#include "base/when.h"
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

/* ---- SMTP ---- */

#define BEGIN \
	"S 220 hello\nC EHLO [127.0.0.1]\nS 250-here\nS 250-8BITMIME\nS 250-SMTPUTF8\nS 250 SIZE 1000\n"
#define BARE "S 220 hello\nC EHLO [127.0.0.1]\nS 250 here\n"
#define ENVELOPE \
	"C MAIL FROM:<sa@example.org> SIZE=\nS 250 ok\nC RCPT TO:<alice@example.org>\nS 250 ok\nC DATA\nS 354 go\nD\n"
#define MAIL ENVELOPE "S 250 queued\n"
#define QUIT "C QUIT\nS 221 bye\nEND"

struct smtp {
	struct stage stage;
	struct conf_server conf;
	struct buf url;
	struct submit *submit;
};

static void play_smtp(struct smtp *t, const char *user, const char *const *plays)
{
	*t = (struct smtp){ .url = BUF_INIT };
	stage_open(&t->stage, plays, NULL, NULL);
	buf_addf(&t->url, "submission://%s%s127.0.0.1:%u", user, *user ? "@" : "", t->stage.port);
	t->conf = (struct conf_server)CONF_SERVER(buf_text(&t->url));
	t->conf.tls = "off";
	assert_int_equal(submit_open(&t->conf, 1, &t->submit), ERR_OK);
}

static void end_smtp(struct smtp *t)
{
	submit_close(&t->submit);
	if (t->stage.heard->fault[0])
		fail_msg("%s", t->stage.heard->fault);
	stage_close(&t->stage);
	buf_free(&t->url);
}

static void assert_says(const char *expect)
{
	if (!strstr(err_text(), expect))
		fail_msg("\"%s\" is not in \"%s\"", expect, err_text());
}

static void assert_heard(const struct smtp *t, const char *expect)
{
	if (!strstr(t->stage.heard->text, expect))
		fail_msg("\"%s\" was not heard: \"%s\"", expect, t->stage.heard->text);
}

static enum submit_result give(struct smtp *t, const char *mail)
{
	return submit_send(t->submit, "sa@example.org", alice, bytes_of_text(mail));
}

/* What each answer means, and that the connection serves on where it can: RSET, or a new one. */
static void smtp_replies(void **state)
{
	(void)state;
	static const struct {
		const char *play;
		enum submit_result expect;
		const char *text;
	} cases[] = {
		{ BEGIN MAIL QUIT, SUBMIT_SENT, NULL },
		{ "S 554 go away\nEND", SUBMIT_NO_SERVER, ": 554 go away" },
		{ "S 421 too many\nEND", SUBMIT_NO_SERVER, ": 421 too many" },
		{ "END", SUBMIT_NO_SERVER, "closed the connection" },
		{ "HANG", SUBMIT_NO_SERVER, "did not answer within 1 s" },
		{ "S SSH-2.0-x\nHANG", SUBMIT_NO_SERVER, "sent what can't be understood" },
		{ "S 220 x\nC EHLO\nS 550 who?\nEND", SUBMIT_NO_SERVER, ": 550 who?" },
		{ "S 220 x\nC EHLO\nFLOOD", SUBMIT_NO_SERVER, "sent more than 65536 bytes" },
		{ BEGIN "C MAIL\nS 451 later\nC RSET\nS 250 ok\n" MAIL QUIT, SUBMIT_TEMPORARY,
		    ": 451 later" },
		{ BEGIN "C MAIL\nS 553-no such\nS 553 sender\nC RSET\nS 250 ok\n" MAIL QUIT,
		    SUBMIT_PERMANENT, ": 553 no such" },
		{ BEGIN "C MAIL\nS 530 log in\nEND", SUBMIT_DENIED, ": 530 log in" },
		{ BEGIN "C MAIL\nS 421 bye\nEND", SUBMIT_NO_SERVER, ": 421 bye" },
		{ BEGIN "C MAIL\nS 250 ok\nC RCPT\nS 450 grey\nC RSET\nS 250 ok\n" MAIL QUIT,
		    SUBMIT_TEMPORARY, ": 450 grey" },
		{ BEGIN
		    "C MAIL\nS 250 ok\nC RCPT\nS 550 5.1.1 nobody\033[1m\nC RSET\nS 250 ok\n" MAIL
			QUIT,
		    SUBMIT_PERMANENT, ": 550 5.1.1 nobody" },
		{ BEGIN "C MAIL\nS 250 ok\nC RCPT\nEND", SUBMIT_NO_SERVER,
		    "closed the connection" },
		{ BEGIN "C MAIL\nS 250 ok\nC RCPT\nHANG", SUBMIT_NO_SERVER, "did not answer" },
		{ BEGIN
		    "C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 554 no\nC RSET\nS 250 ok\n" MAIL
			QUIT,
		    SUBMIT_PERMANENT, ": 554 no" },
		{ BEGIN "C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 250 what\nEND",
		    SUBMIT_NO_SERVER, ": 250 what" },
		{ BEGIN ENVELOPE "S 452 full\nC RSET\nS 250 ok\n" MAIL QUIT, SUBMIT_TEMPORARY,
		    ": 452 full" },
		{ BEGIN ENVELOPE "S 554 spam\nC RSET\nS 250 ok\n" MAIL QUIT, SUBMIT_PERMANENT,
		    ": 554 spam" },
		{ BEGIN ENVELOPE "S 421 shutting down\nEND", SUBMIT_NO_SERVER, ": 421 shutting" },
		{ BEGIN ENVELOPE "END", SUBMIT_IN_DOUBT, "closed the connection" },
		{ BEGIN ENVELOPE "S 250-queued\nEND", SUBMIT_IN_DOUBT, "closed the connection" },
		{ BEGIN ENVELOPE "S 354 more\nEND", SUBMIT_IN_DOUBT, ": 354 more" },
		{ BEGIN ENVELOPE "S hello\nEND", SUBMIT_IN_DOUBT, "can't be understood" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct smtp t;
		play_smtp(&t, "", (const char *const[]){ cases[i].play, BEGIN MAIL QUIT, NULL });
		int64_t start = when_monotonic_ms();
		assert_int_equal(give(&t, "A: b\r\n"), cases[i].expect);
		assert_true(when_monotonic_ms() - start < 2000);
		if (cases[i].text) {
			assert_says(cases[i].text);
			assert_true(str_starts(
			    err_text(), cases[i].expect == SUBMIT_IN_DOUBT
					    ? "the mail may have arrived or not: 127.0.0.1:"
					    : "127.0.0.1:"));
			assert_null(strchr(err_text(), '\033'));
			/* The next mail finds a way. */
			assert_int_equal(give(&t, "A: b\r\n"), SUBMIT_SENT);
		}
		end_smtp(&t);
	}
}

/* RFC 5321 4.5.3.2.6: a server takes its time over the dot, and what it has taken must not be sent again. */
static void smtp_slow_dot(void **state)
{
	(void)state;
	struct smtp t;

	play_smtp(
	    &t, "", (const char *const[]){ BEGIN ENVELOPE "WAIT\nS 250 queued\n" QUIT, NULL });
	assert_int_equal(submit_seconds_most(&t.conf, 1), 600);
	assert_int_equal(submit_seconds_most(&t.conf, 900), 900);
	assert_int_equal(
	    submit_seconds_most(&(struct conf_server)CONF_SERVER("sendmail:/x"), 60), 60);
	assert_int_equal(give(&t, "A: b\r\n"), SUBMIT_SENT);
	end_smtp(&t);
}

/* To one who is logged in, 530 is about the mail. */
static void smtp_530_after_login(void **state)
{
	(void)state;
	struct smtp t;
	char *path = path_join(dir, "password");

	assert_int_equal(file_write(path, 0600, bytes_of_text("secret\n")), ERR_OK);
	play_smtp(&t, "sa",
	    (const char *const[]){
		"S 220 hello\nC EHLO\nS 250-here\nS 250 AUTH PLAIN\nC AUTH PLAIN\nS 235 ok\n"
		"C MAIL\nS 530 not from here\nC RSET\nS 250 ok\n"
		"C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nD\nS 250 ok\n" QUIT,
		NULL });
	t.conf.password_file = path;
	assert_int_equal(give(&t, "A: b\r\n"), SUBMIT_PERMANENT);
	assert_says(": 530 not from here");
	assert_int_equal(give(&t, "A: b\r\n"), SUBMIT_SENT);
	assert_int_equal(t.stage.heard->connections, 1);
	end_smtp(&t);
	assert_int_equal(unlink(path), 0);
	str_free(&path);
}

/* By IPv6, where the certificate has to name the address itself. */
static void smtp_by_ip6(void **state)
{
	(void)state;
	static const struct {
		const char *ip6;
		enum submit_result expect;
		const char *text;
	} cases[] = {
		{ "::1", SUBMIT_SENT, "EHLO [IPv6:::1]\r\n" },
		{ "::2", SUBMIT_NO_SERVER, "certificate" },
		{ NULL, SUBMIT_NO_SERVER, "certificate" },
	};
	static const char *const plays[] = {
		"TLS\nS 220 hello\nC EHLO\nS 250-here\nS 250 8BITMIME\n"
		"C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nD\nS 250 ok\n" QUIT,
		NULL
	};
	struct identity ca = authority_make();
	char *path = path_join(dir, "ca.pem");

	identity_write(&ca, path);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct wish wish = {
			.dns = "example.org", .ip6 = cases[i].ip6, .from_days = -1, .to_days = 9
		};
		struct identity id = identity_make(&wish, &ca);
		struct smtp t = { .url = BUF_INIT };

		stage_open_ip6(&t.stage, plays, &id);
		buf_addf(&t.url, "submissions://[::1]:%u", t.stage.port);
		t.conf = (struct conf_server)CONF_SERVER(buf_text(&t.url));
		t.conf.ca_file = path;
		assert_int_equal(submit_open(&t.conf, 5, &t.submit), ERR_OK);
		assert_int_equal(give(&t, "A: b\r\n"), cases[i].expect);
		if (cases[i].expect == SUBMIT_SENT) {
			submit_rest(t.submit);
			assert_heard(&t, cases[i].text);
		} else {
			assert_true(str_starts(err_text(), "[::1]:"));
			assert_says(cases[i].text);
		}
		end_smtp(&t);
		identity_free(&id);
	}
	identity_free(&ca);
	assert_int_equal(unlink(path), 0);
	str_free(&path);
}

/* The server gets the lines that the mail has, and none more. */
static void smtp_bytes(void **state)
{
	(void)state;
	static const struct {
		const char *mail, *heard;
	} cases[] = {
		{ "A: b\r\n\r\nc\r\n", "DATA\r\nA: b\r\n\r\nc\r\n.\r\n" },
		{ "A: b\n\nc", "DATA\r\nA: b\r\n\r\nc\r\n.\r\n" },
		{ "A: b\n\n\n", "DATA\r\nA: b\r\n\r\n\r\n.\r\n" },
		{ ".\r\n..\r\n.a\r\n", "DATA\r\n..\r\n...\r\n..a\r\n.\r\n" },
		{ "a \r\n\tb\r\n", "DATA\r\na \r\n\tb\r\n.\r\n" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct smtp t;
		/* "D" would end at a stuffed dot's line only if it were not stuffed. */
		play_smtp(&t, "", (const char *const[]){ BEGIN MAIL QUIT, NULL });
		assert_int_equal(give(&t, cases[i].mail), SUBMIT_SENT);
		submit_rest(t.submit);
		assert_heard(&t, cases[i].heard);
		end_smtp(&t);
	}
	struct smtp t;
	play_smtp(&t, "", (const char *const[]){ NULL });
	assert_int_equal(give(&t, "a\r.\r\nMAIL FROM:<x>\r\n"), SUBMIT_PERMANENT);
	assert_says("CR");
	assert_int_equal(t.stage.heard->connections, 0);
	end_smtp(&t);

	struct buf large = BUF_INIT, heard = BUF_INIT;
	for (int i = 0; i < 2500; i++)
		buf_addf(&large, ".%049d\n", i);
	play_smtp(&t, "",
	    (const char *const[]){ BARE
		"C MAIL FROM:<sa@example.org>\r\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nD\nS 250 ok\n" QUIT,
		NULL });
	assert_int_equal(give(&t, buf_text(&large)), SUBMIT_SENT);
	for (int i = 0; i < 2500; i++)
		buf_addf(&heard, "..%049d\r\n", i);
	assert_heard(&t, buf_text(&heard));
	end_smtp(&t);
	buf_free(&heard);
	buf_free(&large);
}

static void smtp_envelopes(void **state)
{
	(void)state;
	static char long_address[300];
	memset(long_address, 'a', 250);
	memcpy(long_address + 250, "@x.org", 7);
	const struct {
		const char *play, *sender, *to, *mail;
		enum submit_result expect;
		const char *text; /* what is said, or heard */
	} cases[] = {
		{ BEGIN
		    "C MAIL FROM:<> SIZE=3\r\nS 250 ok\nC RCPT\nS 251 ok\nC DATA\nS 354 go\nD\nS 250 ok\n" QUIT,
		    "", "alice@example.org", "a\n", SUBMIT_SENT, "MAIL FROM:<> SIZE=3\r\n" },
		{ BEGIN "C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nD\nS 250 ok\n" QUIT,
		    "sa@example.org",
		    "alice@b\xc3\xbc"
		    "cher.example",
		    "a", SUBMIT_SENT, "RCPT TO:<alice@xn--bcher-kva.example>\r\n" },
		{ BEGIN "C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nD\nS 250 ok\n" QUIT,
		    "sa@example.org", "m\xc3\xbcller@example.org", "a", SUBMIT_SENT,
		    "MAIL FROM:<sa@example.org> SIZE=3 SMTPUTF8\r\n" },
		{ BEGIN "C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nD\nS 250 ok\n" QUIT,
		    "sa@example.org", "alice@example.org", "\xc3\xa4", SUBMIT_SENT,
		    "MAIL FROM:<sa@example.org> SIZE=4 BODY=8BITMIME\r\n" },
		{ BARE QUIT, "sa@example.org", "m\xc3\xbcller@example.org", "a", SUBMIT_PERMANENT,
		    "(SMTPUTF8)" },
		{ BARE QUIT, "sa@example.org", "alice@example.org", "\xc3\xa4", SUBMIT_PERMANENT,
		    "(8BITMIME)" },
		{ "S 220 x\nC EHLO\nS 250-x\nS 250 size 9\n" QUIT, "sa@example.org",
		    "alice@example.org", "0123456789", SUBMIT_PERMANENT,
		    "takes mails of 9 bytes at most; this one has 12" },
		{ "END", "sa@example.org", "a@example.org\r\nRCPT TO:<b@example.org>", "a",
		    SUBMIT_PERMANENT, "malformed" },
		{ "END", "sa@example.org", "a@example.org> SIZE=0", "a", SUBMIT_PERMANENT,
		    "malformed" },
		{ "END", "sa@example.org BODY=x", "a@example.org", "a", SUBMIT_PERMANENT,
		    "malformed" },
		{ "END", "sa@example.org", long_address, "a", SUBMIT_PERMANENT,
		    "more than 254 bytes" },
		{ "END", long_address, "a@example.org", "a", SUBMIT_PERMANENT,
		    "more than 254 bytes" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct smtp t;
		const char *to[] = { cases[i].to, NULL };
		play_smtp(&t, "", (const char *const[]){ cases[i].play, NULL });
		assert_int_equal(
		    submit_send(t.submit, cases[i].sender, to, bytes_of_text(cases[i].mail)),
		    cases[i].expect);
		if (cases[i].expect == SUBMIT_SENT)
			assert_heard(&t, cases[i].text);
		else
			assert_says(cases[i].text);
		if (str_equal(cases[i].play, "END"))
			assert_int_equal(t.stage.heard->connections, 0);
		end_smtp(&t);
	}
}

/* One connection for many; one that has ended meanwhile is made anew, once. */
static void smtp_connections(void **state)
{
	(void)state;
	struct smtp t;
	play_smtp(
	    &t, "", (const char *const[]){ BEGIN MAIL MAIL MAIL QUIT, BEGIN MAIL QUIT, NULL });
	for (int i = 0; i < 3; i++)
		assert_int_equal(give(&t, "A: b\n"), SUBMIT_SENT);
	assert_int_equal(t.stage.heard->connections, 1);
	submit_rest(t.submit);
	assert_heard(&t, "QUIT\r\n");
	submit_rest(t.submit);
	assert_int_equal(give(&t, "A: b\n"), SUBMIT_SENT);
	assert_int_equal(t.stage.heard->connections, 2);
	end_smtp(&t);

	static const char *const endings[] = { BEGIN MAIL "END",
		BEGIN MAIL "S 421 idle too long\nEND", BEGIN MAIL "C MAIL\nS 421 enough\nEND",
		BEGIN MAIL "C MAIL\nEND" };
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		play_smtp(&t, "", (const char *const[]){ endings[i], BEGIN MAIL QUIT, NULL });
		assert_int_equal(give(&t, "A: b\n"), SUBMIT_SENT);
		assert_int_equal(give(&t, "A: b\n"), SUBMIT_SENT);
		assert_int_equal(t.stage.heard->connections, 2);
		end_smtp(&t);
	}
	play_smtp(&t, "",
	    (const char *const[]){ BEGIN MAIL "END", "S 421 no\nEND", BEGIN MAIL QUIT, NULL });
	assert_int_equal(give(&t, "A: b\n"), SUBMIT_SENT);
	assert_int_equal(give(&t, "A: b\n"), SUBMIT_NO_SERVER);
	assert_int_equal(t.stage.heard->connections, 2);
	end_smtp(&t);
	/* In doubt is not sent twice by ourselves. */
	play_smtp(
	    &t, "", (const char *const[]){ BEGIN MAIL ENVELOPE "END", BEGIN MAIL QUIT, NULL });
	assert_int_equal(give(&t, "A: b\n"), SUBMIT_SENT);
	assert_int_equal(give(&t, "A: b\n"), SUBMIT_IN_DOUBT);
	assert_int_equal(t.stage.heard->connections, 1);
	end_smtp(&t);
	/* A server that does not say goodbye is not waited for. */
	play_smtp(&t, "", (const char *const[]){ BEGIN MAIL "HANG", NULL });
	assert_int_equal(give(&t, "A: b\n"), SUBMIT_SENT);
	int64_t start = when_monotonic_ms();
	submit_rest(t.submit);
	assert_true(when_monotonic_ms() - start < 1500);
	end_smtp(&t);
}

#define LOGIN(offers) "S 220 hello\nC EHLO\nS 250-here\nS 250-AUTH " offers "\nS 250 SIZE\n"

static void smtp_logins(void **state)
{
	(void)state;
	static const struct {
		const char *play, *sasl, *token_command;
		enum err expect;
		const char *text;
	} cases[] = {
		{ LOGIN("LOGIN PLAIN") "C AUTH PLAIN AHNhAHNlY3JldA==\r\nS 235 ok\n" QUIT, "auto",
		    "", ERR_OK, NULL },
		{ LOGIN(
		      "LOGIN PLAIN") "C AUTH LOGIN\r\nS 334 VXNlcm5hbWU6\nC c2E=\r\nS 334 Password:\nC c2VjcmV0\r\nS 235 ok\n" QUIT,
		    "login", "", ERR_OK, NULL },
		{ LOGIN("PLAIN") "C AUTH\nS 535 wrong\nEND", "auto", "", ERR_DENIED,
		    "the login of sa by PLAIN was refused: 127.0.0.1:" },
		/* a wrong password, as some tell it */
		{ LOGIN("PLAIN") "C AUTH\nS 421 enough\nEND", "auto", "", ERR_DENIED,
		    "the login of sa by PLAIN was cut short: 127.0.0.1:" },
		{ LOGIN("PLAIN") "C AUTH\nEND", "auto", "", ERR_DENIED, "closed the connection" },
		{ LOGIN("SCRAM-SHA-256") "C AUTH SCRAM-SHA-256 \nS 535 wrong\nEND", "auto", "",
		    ERR_DENIED, "was refused (if the password is right, try sasl = plain): 127" },
		/* e=invalid-proof */
		{ LOGIN("SCRAM-SHA-256") "C AUTH SCRAM-SHA-256 \nS 334 ZT1pbnZhbGlkLXByb29m\nEND",
		    "auto", "", ERR_DENIED, "was refused: invalid-proof" },
		{ LOGIN("PLAIN") "C AUTH\nS 454 later\nEND", "auto", "", ERR_UNAVAILABLE,
		    ": 454 later" },
		{ LOGIN("PLAIN") "C AUTH\nS 334 \nEND", "auto", "", ERR_UNAVAILABLE,
		    "asks for more" },
		{ LOGIN("PLAIN") "C AUTH\nHANG", "auto", "", ERR_UNAVAILABLE, "did not answer" },
		{ LOGIN("GSSAPI") "END", "auto", "", ERR_UNAVAILABLE,
		    "offers no way to log in by password" },
		{ BEGIN "END", "auto", "", ERR_UNAVAILABLE, "it has nothing" },
		{ LOGIN("SCRAM-SHA-256") "C AUTH SCRAM-SHA-256 \nS 235 trust me\nEND", "auto", "",
		    ERR_UNAVAILABLE, "has not proved" },
		{ LOGIN("SCRAM-SHA-256") "C AUTH SCRAM-SHA-256 \nS 334 %%%\nEND", "auto", "",
		    ERR_UNAVAILABLE, "" },
		{ LOGIN(
		      "PLAIN XOAUTH2") "C AUTH XOAUTH2 dXNlcj1zYQFhdXRoPUJlYXJlciB0MGsBAQ==\r\nS 235 ok\n" QUIT,
		    "auto", "echo t0k", ERR_OK, NULL },
		{ LOGIN(
		      "OAUTHBEARER") "C AUTH OAUTHBEARER \nS 334 e30=\nC AQ==\r\nS 535 expired\nEND",
		    "auto", "echo t0k", ERR_DENIED, ": 535 expired" },
		{ LOGIN("XOAUTH2") "END", "auto", "exit 1", ERR_UNAVAILABLE,
		    "the token-command ended with exit status 1" },
	};
	char *path = path_join(dir, "password");
	assert_int_equal(file_write(path, 0600, bytes_of_text("secret\n")), ERR_OK);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct smtp t;
		play_smtp(&t, "sa", (const char *const[]){ cases[i].play, NULL });
		t.conf.sasl = cases[i].sasl;
		t.conf.password_file = *cases[i].token_command ? "" : path;
		t.conf.token_command = cases[i].token_command;
		enum err err = submit_check(t.submit);
		if (cases[i].text)
			assert_says(cases[i].text);
		assert_int_equal(err, cases[i].expect);
		end_smtp(&t);
	}
	/* RFC 4954 4: too long for one line, so it goes after the command. */
	struct buf secret = BUF_INIT, response = BUF_INIT, encoded = BUF_INIT;
	for (int i = 0; i < 1000; i++)
		buf_addf(&secret, "%d", i % 10);
	assert_int_equal(file_write(path, 0600, buf_bytes(&secret)), ERR_OK);
	buf_add(&response, "\0sa\0", 4);
	buf_add(&response, secret.data, secret.len);
	base64_add(&encoded, buf_bytes(&response), 0, "");
	struct smtp t;
	play_smtp(&t, "sa",
	    (const char *const[]){
		LOGIN("PLAIN") "C AUTH PLAIN\r\nS 334 \nC AHN\nS 235 ok\n" QUIT, NULL });
	t.conf.password_file = path;
	assert_int_equal(submit_check(t.submit), ERR_OK);
	assert_heard(&t, buf_text(&encoded));
	end_smtp(&t);
	buf_free(&encoded);
	buf_free(&response);
	buf_free(&secret);
	str_free(&path);
}

/* Without TLS, nothing but EHLO and STARTTLS reaches the server; with it, the login comes after. */
static void smtp_tls(void **state)
{
	(void)state;
	static const struct {
		const char *play;
		enum submit_result expect;
		const char *text, *heard;
	} cases[] = {
		{ "S 220 hello\nC EHLO\nS 250-x\nS 250 STARTTLS\nC STARTTLS\nS 220 go\nTLS\n"
		  "C EHLO\nS 250-x\nS 250-AUTH PLAIN\nS 250 SIZE\nC AUTH PLAIN \nS 235 ok\n" MAIL
			QUIT,
		    SUBMIT_SENT, NULL, NULL },
		{ LOGIN("PLAIN") "HANG", SUBMIT_NO_SERVER, "does not offer STARTTLS",
		    "EHLO [127.0.0.1]\r\n" },
		{ "S 220 hello\nC EHLO\nS 250-x\nS 250 STARTTLS\nC STARTTLS\nS 454 not now\nHANG",
		    SUBMIT_NO_SERVER, ": 454 not now", "EHLO [127.0.0.1]\r\nSTARTTLS\r\n" },
		{ "S 220 hello\nC EHLO\nS 250-x\nS 250 STARTTLS\nC STARTTLS\nS 220 go|250-x|250 AUTH PLAIN\nHANG",
		    SUBMIT_NO_SERVER, "before TLS had begun", "EHLO [127.0.0.1]\r\nSTARTTLS\r\n" },
		/* What was offered before is forgotten. */
		{ "S 220 hello\nC EHLO\nS 250-x\nS 250-AUTH PLAIN\nS 250 STARTTLS\nC STARTTLS\nS 220 go\nTLS\n"
		  "C EHLO\nS 250 x\nHANG",
		    SUBMIT_NO_SERVER, "it has nothing",
		    "EHLO [127.0.0.1]\r\nSTARTTLS\r\nEHLO [127.0.0.1]\r\n" },
	};
	char *ca_path = path_join(dir, "ca.pem"), *path = path_join(dir, "password");
	struct identity ca = authority_make();
	struct identity good =
	    identity_make(&(struct wish){ .ip4 = "127.0.0.1", .from_days = -1, .to_days = 9 }, &ca);
	struct identity bad = identity_make(
	    &(struct wish){ .dns = "other.example.org", .from_days = -1, .to_days = 9 }, &ca);
	identity_write(&ca, ca_path);
	assert_int_equal(file_write(path, 0600, bytes_of_text("secret\n")), ERR_OK);
	for (size_t i = 0; i <= sizeof cases / sizeof *cases; i++) {
		bool wrong = i == sizeof cases / sizeof *cases;
		size_t at = wrong ? 0 : i;
		struct smtp t = { .url = BUF_INIT };
		stage_open(&t.stage, (const char *const[]){ cases[at].play, NULL },
		    wrong ? &bad : &good, NULL);
		buf_addf(&t.url, "submission://sa@127.0.0.1:%u", t.stage.port);
		t.conf = (struct conf_server)CONF_SERVER(buf_text(&t.url));
		t.conf.ca_file = ca_path;
		t.conf.password_file = path;
		assert_int_equal(submit_open(&t.conf, 2, &t.submit), ERR_OK);
		assert_int_equal(give(&t, "A: b\n"), wrong ? SUBMIT_NO_SERVER : cases[at].expect);
		if (wrong) {
			assert_says("is for other.example.org, not for 127.0.0.1");
			assert_string_equal(
			    t.stage.heard->text, "EHLO [127.0.0.1]\r\nSTARTTLS\r\n");
		} else if (cases[at].text) {
			assert_says(cases[at].text);
			assert_string_equal(t.stage.heard->text, cases[at].heard);
		}
		end_smtp(&t);
	}
	identity_free(&bad);
	identity_free(&good);
	identity_free(&ca);
	str_free(&path);
	str_free(&ca_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_urls),
		cmocka_unit_test(sendmail_is_called_right),
		cmocka_unit_test(sendmail_results),
		cmocka_unit_test(odd_envelopes),
		cmocka_unit_test(into_maildir),
		cmocka_unit_test(smtp_replies),
		cmocka_unit_test(smtp_slow_dot),
		cmocka_unit_test(smtp_530_after_login),
		cmocka_unit_test(smtp_by_ip6),
		cmocka_unit_test(smtp_bytes),
		cmocka_unit_test(smtp_envelopes),
		cmocka_unit_test(smtp_connections),
		cmocka_unit_test(smtp_logins),
		cmocka_unit_test(smtp_tls),
	};
	secret_start();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
