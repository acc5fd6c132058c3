#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/when.h"
#include "imap_script.h"
#include "mail/imapbox_internal.h"
#include "mail/mailbox.h"

/* Pieces of scripts. */
#define CAPABILITIES(words) "< CAPABILITY\n> * CAPABILITY IMAP4rev1 " words "\n> $ OK done\n"
#define LOGIN "< LOGIN \"sa\" \"se\\\"cret\"\n> $ OK [CAPABILITY IMAP4rev1] in\n"
#define SELECTED(name, validity, exists) \
	"< SELECT \"" name "\"\n> * " exists " EXISTS\n> * OK [UIDVALIDITY " validity "] v\n" \
	"> * OK [UIDNEXT 5] n\n> $ OK [READ-WRITE] selected\n"
#define OPEN(words, exists) \
	"> * OK ready\n" CAPABILITIES("") LOGIN CAPABILITIES(words) SELECTED("INBOX", "77", exists)
#define SEARCH(from, found) \
	"< UID SEARCH UID " from ":* UNDELETED\n> * SEARCH" found "\n> $ OK done\n"
#define BODIES(set, most) "< UID FETCH " set " (UID RFC822.SIZE BODY.PEEK[]<0." most ">)\n"
#define LOGOUT "< LOGOUT\n> * BYE bye\n> $ OK done\n"

struct place {
	char dir[64];
	char *password, *url;
	struct conf_mailbox conf;
	struct mailbox *box;
	struct stage stage;
};

static int place_make(void **state)
{
	struct place *p = mem_alloc(sizeof *p);

	strcpy(p->dir, "/tmp/test_imapbox.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	p->password = path_join(p->dir, "password");
	assert_int_equal(file_write(p->password, 0600, bytes_of_text("se\"cret\n")), ERR_OK);
	*state = p;
	return 0;
}

static int place_remove(void **state)
{
	struct place *p = *state;

	assert_int_equal(file_remove_tree(p->dir), ERR_OK);
	str_free(&p->password);
	free(p);
	return 0;
}

static enum err begin_at(struct place *p, const char *path, const char *script)
{
	p->stage = stage_start(script);
	p->url = str_printf("imap://sa@127.0.0.1:%u/%s", p->stage.port, path);
	p->conf = (struct conf_mailbox){ .server = CONF_SERVER(p->url),
		.done_folder = "Done",
		.ignored_folder = "Ignored",
		.timeout_seconds = 10,
		.idle_seconds = 300 };
	p->conf.server.tls = "off";
	p->conf.server.password_file = p->password;
	return mailbox_open(&p->conf, &p->box);
}

static void begin(struct place *p, const char *script)
{
	if (begin_at(p, "", script) != ERR_OK)
		fail_msg("not opened: %s", err_text());
}

static void end(struct place *p)
{
	mailbox_close(&p->box);
	assert_true(stage_end(&p->stage));
	str_free(&p->url);
}

/* Ids with blanks between. */
static void assert_waiting(struct place *p, const char *expect)
{
	char **ids = NULL;
	size_t count = 0;
	struct buf all = BUF_INIT;

	if (mailbox_list(p->box, &ids, &count) != ERR_OK)
		fail_msg("not listed: %s", err_text());
	for (size_t i = 0; i < count; i++)
		buf_addf(&all, "%s%s", i ? " " : "", ids[i]);
	assert_null(ids[count]);
	assert_string_equal(buf_text(&all), expect);
	mailbox_list_free(&ids);
	buf_free(&all);
}

/* What is fetched of a mail, or the error with a part of its sentence. */
static void assert_fetch(
    struct place *p, const char *id, size_t most, enum err expect, const char *text, size_t size)
{
	struct buf out = BUF_INIT;
	size_t got = 0;
	enum err err = mailbox_fetch(p->box, id, most, &out, &got);

	if (err != expect)
		fail_msg("%s: error %d: %s", id, err, err_text());
	if (err == ERR_OK) {
		assert_string_equal(buf_text(&out), text);
		assert_int_equal(got, size);
	} else if (!strstr(err_text(), text)) {
		fail_msg("%s", err_text());
	}
	buf_free(&out);
}

static void assert_settle(struct place *p, const char *id, enum settle how, enum err expect)
{
	enum err err = mailbox_settle(p->box, id, how);

	if (err != expect)
		fail_msg("%s: error %d: %s", id, err, err_text());
}

/* ---- opening ---- */

static void opening(void **state)
{
	static const struct {
		const char *script;
		enum err expect;
		const char *text;
	} cases[] = {
		{ OPEN("IDLE", "0") LOGOUT, ERR_OK, "" },
		{ "> * PREAUTH welcome\n.\n", ERR_UNAVAILABLE, "logged in already" },
		{ "> * BYE too \033[1mbusy\n.\n", ERR_UNAVAILABLE, "too  [1mbusy" },
		{ "> 220 smtp.example.org ESMTP\n.\n", ERR_UNAVAILABLE, "does not speak IMAP" },
		{ "> +\n.\n", ERR_UNAVAILABLE, "does not speak IMAP" },
		{ "> \n.\n", ERR_UNAVAILABLE, "is not IMAP" },
		{ "# 3000000\n.\n", ERR_UNAVAILABLE, "sent more than" },
		{ "^ * OK read\n", ERR_UNAVAILABLE, "closed the connection" },
		{ "> * OK\n< CAPABILITY\n> $ OK done\n.\n", ERR_UNAVAILABLE, "what it can do" },
		{ "> * OK\n< CAPABILITY\n> $ BAD what\n.\n", ERR_UNAVAILABLE, "what it can do" },
		{ "> * OK\n< CAPABILITY\n> zz OK done\n.\n", ERR_UNAVAILABLE, "not IMAP" },
		{ "> * OK\n" CAPABILITIES("LOGINDISABLED AUTH=GSSAPI") ".\n", ERR_UNAVAILABLE,
		    "no way to log in" },
		{ "> * OK\n" CAPABILITIES(
		      "") "< LOGIN \"sa\" \"se\\\"cret\"\n> $ NO [AUTHENTICATIONFAILED] wrong\n.\n",
		    ERR_DENIED, "wrong" },
		{ "> * OK\n" CAPABILITIES(
		      "") "< LOGIN \"sa\" \"se\\\"cret\"\n> $ NO [UNAVAILABLE] later\n.\n",
		    ERR_UNAVAILABLE, "later" },
		/* a wrong password, as some tell it */
		{ "> * OK\n" CAPABILITIES("") "< LOGIN \"sa\" \"se\\\"cret\"\n> * BYE no\n.\n",
		    ERR_DENIED, "the login of sa by LOGIN was cut short: 127.0.0.1" },
		{ "> * OK\n" CAPABILITIES("") "< LOGIN \"sa\" \"se\\\"cret\"\n", ERR_DENIED,
		    "was cut short" },
		{ "> * OK\n" CAPABILITIES(
		      "AUTH=PLAIN SASL-IR") "< AUTHENTICATE PLAIN AHNhAHNlImNyZXQ=\n",
		    ERR_DENIED, "the login of sa by PLAIN was cut short" },
		{ "> * OK\n" CAPABILITIES(
		      "") "< LOGIN \"sa\" \"se\\\"cret\"\n> * BYE [UNAVAILABLE] no\n.\n",
		    ERR_UNAVAILABLE, "ended the session: [UNAVAILABLE] no" },
		{ "> * OK\n" CAPABILITIES("") "< LOGIN \"sa\" \"se\\\"cret\"\n> what\n.\n",
		    ERR_UNAVAILABLE, "not IMAP" },
		/* neither before nor behind it */
		{ "> * OK\n< CAPABILITY\n> * BYE no\n.\n", ERR_UNAVAILABLE,
		    "ended the session: no" },
		{ "> * OK\n" CAPABILITIES("") LOGIN "< CAPABILITY\n> * BYE no\n.\n",
		    ERR_UNAVAILABLE, "ended the session: no" },
		/* "sa", "se"cret" in base64 */
		{ "> * OK\n" CAPABILITIES(
		      "AUTH=PLAIN SASL-IR") "< AUTHENTICATE PLAIN AHNhAHNlImNyZXQ=\n> $ OK in\n" CAPABILITIES("")
			SELECTED("INBOX", "1", "0") LOGOUT,
		    ERR_OK, "" },
		{ "> * OK\n" CAPABILITIES(
		      "AUTH=PLAIN LOGINDISABLED") "< AUTHENTICATE PLAIN\n> + \n"
						  "= AHNhAHNlImNyZXQ=\n> $ OK in\n" CAPABILITIES("")
						      SELECTED("INBOX", "1", "0") LOGOUT,
		    ERR_OK, "" },
		{ "> * OK\n" CAPABILITIES(
		      "AUTH=LOGIN LOGINDISABLED SASL-IR") "< AUTHENTICATE LOGIN\n> + VXNlcg==\n= c2E=\n> + UGFzcw==\n"
							  "= c2UiY3JldA==\n> $ OK in\n" CAPABILITIES(
							      "") SELECTED("INBOX", "1", "0")
							      LOGOUT,
		    ERR_OK, "" },
		{ "> * OK\n" CAPABILITIES(
		      "AUTH=PLAIN") "< AUTHENTICATE PLAIN\n> + \n= AHNhAHNlImNyZXQ=\n> + \n.\n",
		    ERR_UNAVAILABLE, "asks for more" },
		{ "> * OK\n" CAPABILITIES("AUTH=PLAIN") "< AUTHENTICATE PLAIN\n> + !\n.\n",
		    ERR_UNAVAILABLE, "can't be read" },
		{ "> * OK\n" CAPABILITIES("")
			LOGIN CAPABILITIES("") "< SELECT \"INBOX\"\n> $ NO [NONEXISTENT] none\n.\n",
		    ERR_UNAVAILABLE, "the folder INBOX can't be opened" },
		{ "> * OK\n" CAPABILITIES("") LOGIN CAPABILITIES(
		      "") "< SELECT \"INBOX\"\n> * OK [UIDVALIDITY 7] v\n> $ OK [READ-ONLY] r\n.\n",
		    ERR_DENIED, "not change it" },
		{ "> * OK\n" CAPABILITIES("")
			LOGIN CAPABILITIES("") "< SELECT \"INBOX\"\n> * 0 EXISTS\n> $ OK r\n.\n",
		    ERR_UNAVAILABLE, "no lasting numbers" },
		/* What once took libetpan down. */
		{ "> * OK\n" CAPABILITIES("") LOGIN CAPABILITIES(
		      "") "< SELECT \"INBOX\"\n> * OK [UIDVALIDITY 7] v\n> * OK [PERMANENTFLAGS (\n"
			  "> * OK [BADCHARSET (\"\n> * FLAGS ((((\n> * OK {3}\n> * 99999999999 EXISTS\n"
			  "> $ OK\n" LOGOUT,
		    ERR_OK, "" },
		{ "> * OK\n< CAPABILITY\n> * FETCH {4294967290}\n.\n", ERR_UNAVAILABLE,
		    "would send 4294967290 bytes" },
	};
	struct place *p = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		enum err err = begin_at(p, "", cases[i].script);
		if (err != cases[i].expect || (err && !strstr(err_text(), cases[i].text)))
			fail_msg("case %zu: error %d: %s", i, err, err_text());
		assert_true((p->box != NULL) == (err == ERR_OK));
		mailbox_close(&p->box);
		if (!stage_end(&p->stage))
			fail_msg("case %zu left its script", i);
		str_free(&p->url);
	}
}

/* Another UIDVALIDITY than SELECT said. */
static void numbered_anew(void **state)
{
	struct place *p = *state;
	char **ids = NULL;
	size_t count = 0;

	begin(p, OPEN("", "1") "< UID SEARCH UID 1:* UNDELETED\n> * OK [UIDVALIDITY 77] v\n"
			       "> * OK [UIDVALIDITY 78] v\n> * SEARCH 4\n> $ OK\n.\n");
	assert_int_equal(mailbox_list(p->box, &ids, &count), ERR_UNAVAILABLE);
	assert_non_null(strstr(err_text(), "replaced the folder by another"));
	end(p);
}

/* Before TLS nobody is told anything. */
static void starttls_missing(void **state)
{
	static const struct {
		const char *script, *text;
	} cases[] = {
		{ "> * OK ready\n" CAPABILITIES("AUTH=PLAIN") ".\n", "does not offer STARTTLS" },
		{ "> * OK ready\n" CAPABILITIES("STARTTLS") "< STARTTLS\n> $ BAD no\n.\n",
		    "STARTTLS was refused" },
		{ "> * OK ready\n" CAPABILITIES(
		      "STARTTLS") "< STARTTLS\n> $ OK go\n> * CAPABILITY EVIL\n.\n",
		    "before TLS" },
		{ "> * PREAUTH ready\n.\n", "logged in already" },
	};
	struct place *p = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct stage stage = stage_start(cases[i].script);
		char *url = str_printf("imap://sa@127.0.0.1:%u", stage.port);
		struct conf_mailbox conf = { .server = CONF_SERVER(url),
			.done_folder = "",
			.ignored_folder = "",
			.timeout_seconds = 10,
			.idle_seconds = 300 };
		conf.server.password_file = p->password;
		assert_int_equal(mailbox_open(&conf, &p->box), ERR_UNAVAILABLE);
		if (!strstr(err_text(), cases[i].text))
			fail_msg("case %zu: %s", i, err_text());
		assert_true(stage_end(&stage));
		str_free(&url);
	}
}

static void folder_names(void **state)
{
	static const struct {
		const char *name, *raw;
	} cases[] = {
		{ "INBOX", "INBOX" },
		{ "a b/c", "a b/c" },
		{ "R&D", "R&-D" },
		{ "Erledigt f\xc3\xbcr \xe5\x8f\xb0\xe5\x8c\x97", "Erledigt f&APw-r &U,BTFw-" },
		{ "\xf0\x9f\x98\x80!", "&2D3eAA-!" },
		{ "\xc3\xbc&\xc3\xbc", "&APw-&-&APw-" },
		{ "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
		    "~peter/mail/&U,BTFw-/&ZeVnLIqe-" },
		{ "a\x01", NULL },
		{ "a\xff", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf out = BUF_INIT;
		enum err err = imapbox_folder_name(cases[i].name, &out);
		assert_int_equal(err, cases[i].raw ? ERR_OK : ERR_CONFIG);
		if (cases[i].raw)
			assert_string_equal(buf_text(&out), cases[i].raw);
		buf_free(&out);
	}
}

static void wrong_folder(void **state)
{
	struct place *p = *state;
	struct conf_mailbox conf = { .server = CONF_SERVER("imaps://sa@192.0.2.1"),
		.done_folder = "a\x01",
		.ignored_folder = "",
		.timeout_seconds = 1 };

	assert_int_equal(mailbox_open(&conf, &p->box), ERR_CONFIG);
	assert_null(p->box);
}

static void another_folder(void **state)
{
	struct place *p = *state;

	assert_int_equal(begin_at(p, "Anfr%C3%A4%22ge",
			     "> * OK\n" CAPABILITIES("") LOGIN CAPABILITIES("")
				 SELECTED("Anfr&AOQ-\\\"ge", "5", "0") LOGOUT),
	    ERR_OK);
	end(p);
}

/* ---- looking and fetching ---- */

static void listing(void **state)
{
	struct place *p = *state;

	begin(p, OPEN("", "3") SEARCH("1", " 9 4 7 4") SEARCH("10", " 9") LOGOUT);
	assert_waiting(p, "77-4 77-7 77-9");
	assert_waiting(p, "77-4 77-7 77-9"); /* from memory */
	((struct imapbox *)p->box->state)->unsearched = true;
	assert_waiting(p, "77-4 77-7 77-9");
	end(p);
}

static void search_refused(void **state)
{
	struct place *p = *state;
	char **ids = NULL;
	size_t count = 0;

	begin(p, OPEN("", "1") "< UID SEARCH UID 1:* UNDELETED\n> $ NO broken\n.\n");
	assert_int_equal(mailbox_list(p->box, &ids, &count), ERR_UNAVAILABLE);
	assert_non_null(strstr(err_text(), "can't be searched"));
	end(p);
}

static void one_mail(void **state)
{
	struct place *p = *state;

	begin(p, OPEN("", "1") SEARCH("1", " 4") BODIES(
		     "4", "100") "> * 1 FETCH (UID 4 RFC822.SIZE 3 BODY[]<0> {3}\n^ a\n^ b)\n> )\n"
				 "> $ OK done\n" LOGOUT);
	assert_waiting(p, "77-4");
	assert_fetch(p, "77-4", 100, ERR_OK, "ab)", 3);
	end(p);
}

static void odd_answers(void **state)
{
	static const struct {
		const char *answer;
		enum err expect;
		const char *text;
		size_t size;
	} cases[] = {
		{ "> * 1 FETCH (BODY[] \"a\\\"b\\\\\" FLAGS (\\Seen) UID 4)\n> $ OK\n", ERR_OK,
		    "a\"b\\", 4 },
		{ "> * 1 FETCH (BODY[]<0> NIL UID 4 RFC822.SIZE 0)\n> $ OK\n", ERR_OK, "", 0 },
		{ "> * 1 FETCH (BODY[]<0> \"\" UID 4 RFC822.SIZE 0)\n> $ OK\n", ERR_OK, "", 0 },
		{ "> * 1 FETCH (FLAGS ())\n> * 1 FETCH (ENVELOPE ((((\"x\") UID 4 BODY[] ~{2}\n^ ab\n> ) X Y)\n"
		  "> * 1 FETCH (UID 4 X (a (\"(\" {1}\n^ )\n> ) b) BODY[]<0> ~{2}\n^ ab\n> )\n> $ OK\n",
		    ERR_OK, "ab", 2 },
		/* partial: the size is what the server says */
		{ "> * 1 FETCH (UID 4 RFC822.SIZE 5000 BODY[]<0> {10}\n# 10\n> )\n> $ OK\n", ERR_OK,
		    "xxxxxxxxxx", 5000 },
		/* of another mail, or of nobody knows which */
		{ "> * 1 FETCH (UID 999 BODY[]<0> {2}\n^ ab\n> )\n> $ OK\n", ERR_NOINPUT, "gone",
		    0 },
		{ "> * 1 FETCH (BODY[]<0> {2}\n^ ab\n> )\n> $ OK\n", ERR_NOINPUT, "gone", 0 },
		{ "> $ OK\n", ERR_NOINPUT, "gone", 0 },
		{ "> $ NO [EXPUNGEISSUED] some are gone\n", ERR_NOINPUT, "gone", 0 },
		{ "> $ NO [SERVERBUG] it hurts\n", ERR_IO, "[SERVERBUG] it hurts", 0 },
		{ "> $ BAD what\n", ERR_IO, "what", 0 },
		{ "> * 1 FETCH (UID 4 RFC822.SIZE 5)\n> $ OK\n", ERR_IO, "did not give", 0 },
		/* what came before NO still holds */
		{ "> * 1 FETCH (UID 4 BODY[]<0> {2}\n^ ab\n> )\n> $ NO and so on\n", ERR_OK, "ab",
		    2 },
		{ "> * 1 FETCH (UID 4 BODY[]<0> {2}\n^ ab\n> ) trailing junk\n> $ OK\n", ERR_OK,
		    "ab", 2 },
		{ "> * 1 FETCH (UID 4 BODY[]<0> {2}\n^ ab\n> \n> $ OK\n", ERR_NOINPUT, "gone", 0 },
		{ "> * 1 EXPUNGE\n> $ OK\n", ERR_NOINPUT, "gone", 0 },
	};
	struct place *p = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *script =
		    str_printf("%s%s%s", OPEN("", "1") BODIES("4", "10"), cases[i].answer, LOGOUT);
		begin(p, script);
		print_message("# answer %zu\n", i);
		assert_fetch(p, "77-4", 10, cases[i].expect, cases[i].text, cases[i].size);
		end(p);
		str_free(&script);
	}
}

static void strange_ids(void **state)
{
	static const char *const ids[] = { "", "4", "76-4", "77-", "77-x", "77-0", "77-4294967296",
		"-4", "nonsense" };
	struct place *p = *state;

	begin(p, OPEN("", "1") LOGOUT);
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		assert_fetch(p, ids[i], 10, ERR_NOINPUT, "gone", 0);
		assert_settle(p, ids[i], SETTLE_DONE, ERR_OK);
	}
	end(p);
}

/* Many: sizes first, then what fits; what is settled or gone is not asked for again. */
static void reading_ahead(void **state)
{
	struct place *p = *state;

	begin(p,
	    OPEN("UIDPLUS", "6") SEARCH("1",
		" 1 2 3 5 8 9") "< UID FETCH 1:3,5,8:9 (UID RFC822.SIZE)\n"
				"> * 1 FETCH (UID 1 RFC822.SIZE 2)\n> * 2 FETCH (UID 2 RFC822.SIZE 9000000)\n"
				"> * 4 FETCH (UID 5 RFC822.SIZE 2)\n> * 5 FETCH (UID 8 RFC822.SIZE 9000000)\n"
				"> * 6 FETCH (UID 9 RFC822.SIZE 2)\n> $ OK done\n" BODIES("1:2,5",
				    "4000000") "> * 1 FETCH (UID 1 RFC822.SIZE 2 BODY[]<0> {2}\n^ m1\n> )\n"
					       "> * 2 FETCH (UID 2 RFC822.SIZE 2 BODY[]<0> {2}\n^ m2\n> )\n"
					       "> * 4 FETCH (UID 5 RFC822.SIZE 2 BODY[]<0> {2}\n^ m5\n> )\n> $ OK done\n" BODIES(
						   "3",
						   "4000000") "> $ OK\n"
							      "< UID FETCH 8:9 (UID RFC822.SIZE)\n"
							      "> * 5 FETCH (UID 8 RFC822.SIZE 9000000)\n> * 6 FETCH (UID 9 RFC822.SIZE 2)\n> $ OK done\n" BODIES(
								  "8:9",
								  "4000000") "> * 5 FETCH (UID 8 RFC822.SIZE 2 BODY[]<0> {2}\n^ m8\n> )\n> * 6 FETCH (UID 9 BODY[]<0> {2}\n^ m9\n> )\n> $ OK\n"
									     "< UID STORE 9 +FLAGS.SILENT (\\Deleted)\n> $ OK\n< UID EXPUNGE 9\n> * 6 EXPUNGE\n> $ OK\n" BODIES(
										 "9",
										 "4000000") "> $ OK\n" LOGOUT);
	assert_waiting(p, "77-1 77-2 77-3 77-5 77-8 77-9");
	assert_fetch(p, "77-1", 4000000, ERR_OK, "m1", 2);
	assert_fetch(p, "77-2", 4000000, ERR_OK, "m2", 2);
	assert_fetch(p, "77-3", 4000000, ERR_NOINPUT, "gone", 0);
	assert_fetch(p, "77-8", 4000000, ERR_OK, "m8", 2);
	assert_settle(p, "77-9", SETTLE_DELETE, ERR_OK);
	assert_fetch(p, "77-9", 4000000, ERR_NOINPUT, "gone", 0);
	assert_waiting(p, "77-1 77-2 77-5 77-8");
	end(p);
}

#define SHORT(text) "> * 1 FETCH (UID 4 RFC822.SIZE 5000 BODY[]<0> {2}\n^ " text "\n> )\n> $ OK\n"

/* Less than a mail must not pass for it, or it would be settled unread. */
static void less_than_the_mail(void **state)
{
	static const struct {
		const char *script;
		enum err expect;
		const char *text;
		size_t size;
	} cases[] = {
		{ "> * 1 FETCH (UID 4 RFC822.SIZE 5000 BODY[]<0> NIL)\n> $ OK\n", ERR_IO,
		    "gave only 0 bytes of a mail of 5000", 0 },
		{ "> * 1 FETCH (UID 4 RFC822.SIZE 5000 BODY[]<0> \"\")\n> $ OK\n", ERR_IO,
		    "gave only 0 bytes", 0 },
		{ "> * 1 FETCH (UID 4 RFC822.SIZE 5 BODY[]<0> {0}\n> )\n> $ OK\n", ERR_IO,
		    "gave only 0 bytes", 0 },
		{ "> * 1 FETCH (UID 4 BODY[]<0> NIL)\n> $ OK\n", ERR_IO, "gave only 0 bytes", 0 },
		/* one that counts otherwise */
		{ SHORT("ab") BODIES("4", "10") SHORT("ab"), ERR_OK, "ab", 2 },
		{ SHORT("ab") BODIES("4", "10") SHORT("ax"), ERR_IO, "gave only 2 bytes", 0 },
		{ SHORT("ab") BODIES("4", "10") "> * 1 FETCH (UID 4 RFC822.SIZE 3 BODY[]<0> {3}\n"
						"^ abc\n> )\n> $ OK\n",
		    ERR_OK, "abc", 3 },
		{ SHORT("ab") BODIES("4", "10") "> $ NO not now\n", ERR_IO, "not now", 0 },
		{ SHORT("ab") BODIES("4", "10") "-\n" OPEN("", "1"), ERR_IO,
		    "closed the connection", 0 },
	};
	struct place *p = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *script =
		    str_printf("%s%s%s", OPEN("", "1") BODIES("4", "10"), cases[i].script, LOGOUT);
		begin(p, script);
		print_message("# answer %zu\n", i);
		assert_fetch(p, "77-4", 10, cases[i].expect, cases[i].text, cases[i].size);
		end(p);
		str_free(&script);
	}
}

/* A range that the server will not give is tried mail by mail. */
static void range_refused(void **state)
{
	struct place *p = *state;

	begin(p,
	    OPEN("", "2") SEARCH("1",
		" 4 5") "< UID FETCH 4:5 (UID RFC822.SIZE)\n> * 1 FETCH (UID 4 RFC822.SIZE 1 BODY[]<0> {9}\n# 9\n> )\n"
			"> * 2 FETCH (UID 5 RFC822.SIZE 1)\n> $ OK\n" BODIES(
			    "4:5", "9") "> $ NO it hurts\n" BODIES("4",
			    "9") "> * 1 FETCH (UID 4 BODY[]<0> {1}\n^ a\n> )\n> $ OK\n" BODIES("5",
			    "9") "> $ NO it hurts\n" LOGOUT);
	assert_waiting(p, "77-4 77-5");
	assert_fetch(p, "77-4", 9, ERR_OK, "a", 1);
	assert_fetch(p, "77-5", 9, ERR_IO, "it hurts", 0);
	assert_waiting(p, "77-4 77-5");
	end(p);
}

/* ---- settling ---- */

#define NO_NAMESPACE "< LIST \"\" \"\"\n> * LIST (\\Noselect) \"/\" \"\"\n> $ OK\n"
#define THERE(name) \
	"< LIST \"\" \"" name "\"\n> * LIST (\\HasNoChildren) \"/\" \"" name "\"\n> $ OK\n"
#define ABSENT(name) "< LIST \"\" \"" name "\"\n> $ OK\n"
#define MADE(name) "< CREATE \"" name "\"\n> $ OK\n< SUBSCRIBE \"" name "\"\n> $ OK\n"

static void moving(void **state)
{
	static const struct {
		const char *name, *script;
		enum err expect;
	} cases[] = {
		{ "MOVE",
		    OPEN("MOVE UIDPLUS", "1") NO_NAMESPACE THERE(
			"Done") "< UID MOVE 4 \"Done\"\n> * OK [COPYUID 1 4 1] m\n> * 1 EXPUNGE\n> $ OK\n",
		    ERR_OK },
		{ "COPY",
		    OPEN("UIDPLUS", "1") NO_NAMESPACE THERE(
			"Done") "< UID COPY 4 \"Done\"\n> $ OK\n"
				"< UID STORE 4 +FLAGS.SILENT (\\Deleted)\n> $ OK\n< UID EXPUNGE 4\n> $ OK\n",
		    ERR_OK },
		{ "neither",
		    OPEN("", "1") NO_NAMESPACE THERE(
			"Done") "< UID COPY 4 \"Done\"\n> $ OK\n"
				"< UID STORE 4 +FLAGS.SILENT (\\Deleted)\n> $ OK\n",
		    ERR_OK },
		{ "full",
		    OPEN("MOVE", "1") NO_NAMESPACE THERE(
			"Done") "< UID MOVE 4 \"Done\"\n> $ NO [OVERQUOTA] full\n",
		    ERR_TEMPORARY },
		{ "copy is full: nothing is deleted",
		    OPEN("UIDPLUS", "1")
			NO_NAMESPACE THERE("Done") "< UID COPY 4 \"Done\"\n> $ NO full\n",
		    ERR_TEMPORARY },
		{ "made",
		    OPEN("MOVE", "1") NO_NAMESPACE ABSENT("Done") ABSENT("INBOX/Done")
			MADE("Done") "< UID MOVE 4 \"Done\"\n> $ OK\n",
		    ERR_OK },
		{ "made below INBOX",
		    OPEN("MOVE",
			"1") "< LIST \"\" \"\"\n> * LIST (\\Noselect) \".\" \"\"\n> $ OK\n" ABSENT("Done")
			ABSENT("INBOX.Done") "< CREATE \"Done\"\n> $ NO nothing here\n" MADE(
			    "INBOX.Done") "< UID MOVE 4 \"INBOX.Done\"\n> $ OK\n",
		    ERR_OK },
		{ "namespace",
		    OPEN("MOVE NAMESPACE", "1") "< NAMESPACE\n> * NAMESPACE ((\"INBOX.\" \".\" \"X\" (\"y\"))) NIL ((\"#x/\" \"/\"))\n> $ OK\n" ABSENT(
			"INBOX.Done") MADE("INBOX.Done") "< UID MOVE 4 \"INBOX.Done\"\n> $ OK\n",
		    ERR_OK },
		{ "no hierarchy",
		    OPEN("MOVE",
			"1") "< LIST \"\" \"\"\n> * LIST (\\Noselect) NIL \"\"\n> $ OK\n" ABSENT("Done")
			MADE("Done") "< UID MOVE 4 \"Done\"\n> $ OK\n",
		    ERR_OK },
		{ "there, says CREATE",
		    OPEN("MOVE", "1") NO_NAMESPACE ABSENT("Done") ABSENT(
			"INBOX/Done") "< CREATE \"Done\"\n> $ NO [ALREADYEXISTS] it is\n< SUBSCRIBE \"Done\"\n> $ NO why\n"
				      "< UID MOVE 4 \"Done\"\n> $ OK\n",
		    ERR_OK },
		{ "can't be made",
		    OPEN("MOVE", "1") NO_NAMESPACE ABSENT("Done") ABSENT(
			"INBOX/Done") "< CREATE \"Done\"\n> $ NO no\n< CREATE \"INBOX/Done\"\n> $ NO no\n",
		    ERR_TEMPORARY },
		{ "removed meanwhile",
		    OPEN("MOVE", "1") NO_NAMESPACE THERE(
			"Done") "< UID MOVE 4 \"Done\"\n> $ NO [TRYCREATE] none\n" ABSENT("Done")
			ABSENT("INBOX/Done") MADE("Done") "< UID MOVE 4 \"Done\"\n> $ OK\n",
		    ERR_OK },
	};
	struct place *p = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *script = str_printf("%s%s", cases[i].script, LOGOUT);
		begin(p, script);
		print_message("# %s\n", cases[i].name);
		assert_settle(p, "77-4", SETTLE_DONE, cases[i].expect);
		end(p);
		str_free(&script);
	}
}

static void checking(void **state)
{
	struct place *p = *state;
	struct buf notes = BUF_INIT;

	begin(p, OPEN("UIDPLUS", "1") NO_NAMESPACE THERE("Done") ABSENT("Ignored")
		     ABSENT("INBOX/Ignored") MADE("Ignored") LOGOUT);
	assert_int_equal(mailbox_check(p->box, &notes), ERR_OK);
	assert_non_null(strstr(buf_text(&notes), "no IDLE"));
	assert_non_null(strstr(buf_text(&notes), "no MOVE"));
	assert_null(strstr(buf_text(&notes), "no UIDPLUS"));
	end(p);
	buf_free(&notes);
}

/* ---- waiting ---- */

/* Waits as an intake does. Whether there are news. */
static bool wait_news(struct place *p)
{
	bool news = false;

	for (int turns = 0; !news && turns < 20; turns++) {
		int fd = -1;
		int64_t within = -1;
		if (mailbox_watch(p->box, &fd, &within) != ERR_OK)
			fail_msg("watch: %s", err_text());
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		(void)poll(&ready, 1, within < 5000 ? (int)within : 5000);
		if (mailbox_drain(p->box, &news) != ERR_OK)
			return false;
	}
	return news;
}

static void waiting(void **state)
{
	static const struct {
		const char *name, *script;
	} cases[] = {
		{ "later", "< IDLE\n> + idling\n~ 50\n> * 1 EXISTS\n= DONE\n> $ OK\n" },
		{ "with the +", "< IDLE\n> + idling\n> * 1 EXISTS\n= DONE\n> $ OK\n" },
		{ "before the +", "< IDLE\n> * 1 EXISTS\n> + idling\n= DONE\n> $ OK\n" },
		{ "in two pieces",
		    "< IDLE\n> + idling\n~ 20\n^ * 1 EXI\n~ 50\n> STS\n= DONE\n> $ OK\n" },
		{ "behind talk",
		    "< IDLE\n> + idling\n> * OK still here\n~ 20\n> * 3 FETCH (FLAGS (\\Seen))\n> * OK [BADCHARSET (\"\n"
		    "> * 1 RECENT\n> * 1 EXISTS\n= DONE\n> $ OK\n" },
		{ "idle ends by itself",
		    "< IDLE\n> + idling\n~ 20\n> $ OK enough\n< IDLE\n> + again\n> * 1 EXISTS\n= DONE\n> $ OK\n" },
	};
	struct place *p = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *script = str_printf("%s%s%s", OPEN("IDLE", "0") SEARCH("1", ""),
		    cases[i].script, SEARCH("1", " 4") LOGOUT);
		begin(p, script);
		print_message("# %s\n", cases[i].name);
		assert_waiting(p, "");
		assert_true(wait_news(p));
		assert_waiting(p, "77-4");
		end(p);
		str_free(&script);
	}
}

/* Of very many only the oldest are kept in mind; the others are found when these are done. */
static void many_waiting(void **state)
{
	struct place *p = *state;
	struct buf numbers = BUF_INIT;
	char **ids = NULL;
	size_t count = 0;

	for (unsigned uid = 12000; uid > 0; uid--)
		buf_addf(&numbers, " %u", uid);
	char *script = str_printf("%s< UID SEARCH UID 1:* UNDELETED\n> * SEARCH%s\n> $ OK done\n%s",
	    OPEN("IDLE", "12000"), buf_text(&numbers),
	    "< IDLE\n> + idling\n> * 12001 EXISTS\n~ 50\n= DONE\n> $ OK\n" SEARCH(
		"10001", " 12001 10001") LOGOUT);
	begin(p, script);
	assert_int_equal(mailbox_list(p->box, &ids, &count), ERR_OK);
	assert_int_equal(count, IMAPBOX_WAITING_MOST);
	assert_string_equal(ids[0], "77-1");
	assert_string_equal(ids[count - 1], "77-10000");
	mailbox_list_free(&ids);
	struct imapbox *box = p->box->state;
	int fd = -1;
	int64_t within = 0;
	bool news = true;
	assert_int_equal(mailbox_watch(p->box, &fd, &within), ERR_OK);
	assert_int_equal(mailbox_drain(p->box, &news), ERR_OK);
	assert_false(news); /* no room */
	box->uid_count = IMAPBOX_WAITING_MOST / 2 + 1;
	imapbox_forget(box, 1);
	assert_true(wait_news(p));
	assert_int_equal(mailbox_list(p->box, &ids, &count), ERR_OK);
	assert_int_equal(count, IMAPBOX_WAITING_MOST / 2 + 2);
	assert_string_equal(ids[count - 1], "77-12001");
	mailbox_list_free(&ids);
	end(p);
	str_free(&script);
	buf_free(&numbers);
}

/* What came between the listing and the watch. */
static void news_meanwhile(void **state)
{
	struct place *p = *state;
	int fd = -1;
	int64_t within = -1;

	begin(p,
	    OPEN("IDLE", "1") SEARCH("1", " 4") BODIES("4",
		"10") "> * 2 EXISTS\n> * 1 FETCH (UID 4 BODY[]<0> {1}\n^ a\n> )\n> $ OK\n" SEARCH("5",
		" 5") LOGOUT);
	assert_waiting(p, "77-4");
	assert_fetch(p, "77-4", 10, ERR_OK, "a", 1);
	assert_int_equal(mailbox_watch(p->box, &fd, &within), ERR_OK);
	assert_int_equal(within, 0);
	assert_waiting(p, "77-4 77-5");
	end(p);
}

static void others_remove(void **state)
{
	struct place *p = *state;

	begin(p,
	    OPEN("IDLE", "2") SEARCH("1",
		" 4 5") "< IDLE\n> + idling\n> * 1 EXPUNGE\n> * 2 EXISTS\n= DONE\n> $ OK\n" SEARCH("6",
		" 6") LOGOUT);
	assert_waiting(p, "77-4 77-5");
	assert_true(wait_news(p));
	assert_waiting(p, "77-4 77-5 77-6");
	end(p);
}

static void idle_refused(void **state)
{
	struct place *p = *state;
	int fd = -1;
	int64_t within = -1;

	begin(p, OPEN("IDLE", "0") SEARCH("1", "") "< IDLE\n> $ NO not today\n" LOGOUT);
	assert_waiting(p, "");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(mailbox_watch(p->box, &fd, &within), ERR_OK);
		assert_true(within > 50000 && within <= 60000);
	}
	end(p);
}

static void without_idle(void **state)
{
	struct place *p = *state;

	begin(p, OPEN("", "0") SEARCH("1", "") "< NOOP\n> * 1 EXISTS\n> $ OK\n" SEARCH("1", " 4")
		     LOGOUT);
	assert_waiting(p, "");
	p->conf.idle_seconds = 1;
	((struct imapbox *)p->box->state)->renew_ms = when_monotonic_ms() + 30;
	assert_true(wait_news(p));
	assert_waiting(p, "77-4");
	end(p);
}

/* IDLE does not say that the folder was replaced: asked for now and then. */
static void idle_renewed(void **state)
{
	struct place *p = *state;

	begin(p, OPEN("IDLE", "0") SEARCH("1",
		     "") "< IDLE\n> + idling\n= DONE\n> $ OK\n< NOOP\n> * BYE inconsistent\n.\n");
	assert_waiting(p, "");
	p->conf.idle_seconds = 0;
	assert_false(wait_news(p));
	assert_non_null(strstr(err_text(), "inconsistent"));
	end(p);
}

static void lost_in_idle(void **state)
{
	static const struct {
		const char *script, *text;
	} cases[] = {
		{ "> * BYE shutting down\n", "ended the session: shutting down" },
		{ "", "closed the connection" },
		{ "> zzz OK what\n", "not IMAP" },
	};
	struct place *p = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *script = str_printf("%s< IDLE\n> + idling\n~ 20\n%s",
		    OPEN("IDLE", "0") SEARCH("1", ""), cases[i].script);
		bool news = true;
		int fd = -1;
		int64_t within = 0;
		begin(p, script);
		assert_waiting(p, "");
		assert_int_equal(mailbox_watch(p->box, &fd, &within), ERR_OK);
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		assert_int_equal(poll(&ready, 1, 5000), 1);
		assert_int_equal(mailbox_drain(p->box, &news), ERR_UNAVAILABLE);
		assert_false(news);
		if (!strstr(err_text(), cases[i].text))
			fail_msg("%s", err_text());
		/* and it stays so */
		char **ids = NULL;
		size_t count = 0;
		assert_int_equal(mailbox_watch(p->box, &fd, &within), ERR_UNAVAILABLE);
		assert_int_equal(mailbox_list(p->box, &ids, &count), ERR_UNAVAILABLE);
		assert_settle(p, "77-1", SETTLE_DONE, ERR_UNAVAILABLE);
		assert_fetch(p, "77-1", 1, ERR_UNAVAILABLE, "lost", 0);
		end(p);
		str_free(&script);
	}
}

/* ---- mails over which the connection breaks ---- */

/* One that is larger than asked for is refused before it is read, and the others come all the same. */
static void huge_literal(void **state)
{
	struct place *p = *state;

	begin(p,
	    OPEN("", "2") SEARCH("1",
		" 4 5") "< UID FETCH 4:5 (UID RFC822.SIZE)\n> * 1 FETCH (UID 4 RFC822.SIZE 5)\n"
			"> * 2 FETCH (UID 5 RFC822.SIZE 5)\n> $ OK\n" BODIES("4:5",
			    "100") "> * 1 FETCH (UID 4 BODY[]<0> {4294967290}\n.\n-\n" OPEN("",
			    "2") BODIES("4",
			    "100") "> * 1 FETCH (UID 4 BODY[]<0> {101}\n.\n-\n" OPEN("",
			    "2") BODIES("5",
			    "100") "> * 2 FETCH (UID 5 BODY[]<0> {1}\n^ b\n> )\n> $ OK\n" SEARCH("1",
			    " 4 5") LOGOUT);
	assert_waiting(p, "77-4 77-5");
	assert_fetch(p, "77-4", 100, ERR_IO, "would send 101 bytes where at most 100", 0);
	assert_fetch(p, "77-5", 100, ERR_OK, "b", 1);
	assert_waiting(p, "77-4 77-5");
	end(p);
}

/* A server that breaks over every mail is left in peace after some attempts. */
static void breaks_always(void **state)
{
	struct place *p = *state;

	begin(p, OPEN("", "2") BODIES("4", "9") "-\n" OPEN("", "2") BODIES("5", "9") "-\n" OPEN(
		     "", "2") BODIES("6", "9") "-\n" OPEN("", "2") BODIES("7", "9"));
	assert_fetch(p, "77-4", 9, ERR_IO, "closed the connection", 0);
	assert_fetch(p, "77-5", 9, ERR_IO, "closed the connection", 0);
	assert_fetch(p, "77-6", 9, ERR_IO, "closed the connection", 0);
	assert_fetch(p, "77-7", 9, ERR_UNAVAILABLE, "closed the connection", 0);
	end(p);
}

static void folder_replaced(void **state)
{
	struct place *p = *state;

	begin(p, OPEN("", "1") BODIES("4", "9") "-\n> * OK\n" CAPABILITIES("")
		     LOGIN CAPABILITIES("") SELECTED("INBOX", "78", "1") SEARCH("1", " 1") LOGOUT);
	assert_fetch(p, "77-4", 9, ERR_NOINPUT, "replaced", 0);
	assert_fetch(p, "77-4", 9, ERR_NOINPUT, "gone", 0);
	assert_true(wait_news(p));
	assert_waiting(p, "78-1");
	end(p);
}

int main(void)
{
#define IN_PLACE(f) cmocka_unit_test_setup_teardown(f, place_make, place_remove)
	const struct CMUnitTest tests[] = { IN_PLACE(opening), IN_PLACE(numbered_anew),
		IN_PLACE(starttls_missing), cmocka_unit_test(folder_names), IN_PLACE(wrong_folder),
		IN_PLACE(another_folder), IN_PLACE(listing), IN_PLACE(search_refused),
		IN_PLACE(many_waiting), IN_PLACE(one_mail), IN_PLACE(odd_answers),
		IN_PLACE(less_than_the_mail), IN_PLACE(strange_ids), IN_PLACE(reading_ahead),
		IN_PLACE(range_refused), IN_PLACE(moving), IN_PLACE(checking), IN_PLACE(waiting),
		IN_PLACE(news_meanwhile), IN_PLACE(others_remove), IN_PLACE(idle_refused),
		IN_PLACE(without_idle), IN_PLACE(idle_renewed), IN_PLACE(lost_in_idle),
		IN_PLACE(huge_literal), IN_PLACE(breaks_always), IN_PLACE(folder_replaced) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
