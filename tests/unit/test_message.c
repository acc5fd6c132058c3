/* Every mail under tests/vectors/mail is taken apart as its .expect says; and what hostile mails must not do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "mail/message.h"

#define TOKEN "7K2QX-9MDTR-4WPZC-HN3VA-6B8YE"

static const struct message_limits limits = {
	.mail_bytes = 256 * 1024, .header_bytes = 64 * 1024, .nesting = 20, .parts = 100
};

/* What was found, in the words of the .expect files. */
struct seen {
	char token[64], keys[256], encrypted[16], sign[16], flags[64], count[16], fields[16],
	    addresses[16];
};

static void word(char *list, size_t size, const char *text)
{
	size_t len = strlen(list);
	snprintf(list + len, size - len, "%s%s", len ? " " : "", text);
}

static bool holds(const struct buf *b, const char *text)
{
	return bytes_find(buf_bytes(b), bytes_of_text(text)) != NULL;
}

static void none_if_empty(char *list, size_t size)
{
	if (*list == 0)
		snprintf(list, size, "none");
}

static void see_keys(const struct message *m, struct seen *s)
{
	static const char *const origins[] = { "attached", "text", "autocrypt" };
	if (m->key_count > 0)
		snprintf(s->keys, sizeof s->keys, "%zu", m->key_count);
	for (size_t i = 0; i < m->key_count; i++) {
		assert_true(m->keys[i].data.len > 100);
		word(s->keys, sizeof s->keys, origins[m->keys[i].origin]);
	}
	none_if_empty(s->keys, sizeof s->keys);
}

static void see(const struct message *m, struct seen *s)
{
	*s = (struct seen){ 0 };
	if (holds(&m->new_text, TOKEN))
		word(s->token, sizeof s->token, "new");
	if (strstr(m->subject, TOKEN))
		word(s->token, sizeof s->token, "subject");
	if (holds(&m->quoted_text, TOKEN))
		word(s->token, sizeof s->token, "quoted");
	none_if_empty(s->token, sizeof s->token);
	see_keys(m, s);
	bool armored = str_starts(buf_text(&m->encrypted), "-----BEGIN PGP MESSAGE-----\n");
	snprintf(s->encrypted, sizeof s->encrypted, "%s",
	    m->encrypted.len == 0 ? "no"
	    : armored             ? "yes"
				  : "binary");
	snprintf(s->sign, sizeof s->sign, "%s%s",
	    m->signed_bytes.len == 0 ? "no"
	    : m->signature.len       ? "mime"
				     : "clear",
	    m->signed_bytes.len == 0 ? ""
	    : m->signed_whole        ? " whole"
				     : " part");
	if (m->automatic)
		word(s->flags, sizeof s->flags, "automatic");
	if (m->null_sender)
		word(s->flags, sizeof s->flags, "null-sender");
	if (m->bulk)
		word(s->flags, sizeof s->flags, "bulk");
	if (m->report)
		word(s->flags, sizeof s->flags, "report");
	none_if_empty(s->flags, sizeof s->flags);
	snprintf(s->count, sizeof s->count, "%zu", m->attachment_count);
	snprintf(s->fields, sizeof s->fields, "%zu", m->from_fields);
	snprintf(s->addresses, sizeof s->addresses, "%zu", m->from_addresses);
}

static bool has_attachment(const struct message *m, const char *type_and_name)
{
	bool found = false;
	for (size_t i = 0; i < m->attachment_count && !found; i++) {
		char *line = str_printf("%s %s", m->attachments[i].type, m->attachments[i].name);
		found = strcmp(line, type_and_name) == 0;
		str_free(&line);
	}
	return found;
}

static bool expectation_holds(const struct message *m, const char *key, const char *value)
{
	static const char *const actions[] = { "none", "other", "delayed", "failed" };
	struct seen s;
	see(m, &s);
	const struct {
		const char *key, *seen;
	} plain[] = { { "from", m->from ? m->from : "none" },
		{ "name", m->from_name ? m->from_name : "none" }, { "subject", m->subject },
		{ "message-id", m->message_id ? m->message_id : "none" },
		{ "in-reply-to", m->in_reply_to ? m->in_reply_to : "none" },
		{ "report-message-id", m->report_message_id ? m->report_message_id : "none" },
		{ "report-status", m->report_status ? m->report_status : "none" },
		{ "report-action", actions[m->report_action] },
		{ "delivered-to", m->delivered_to ? m->delivered_to : "none" },
		{ "token", s.token }, { "keys", s.keys }, { "encrypted", s.encrypted },
		{ "signed", s.sign }, { "attachments", s.count }, { "flags", s.flags },
		{ "from-fields", s.fields }, { "from-addresses", s.addresses } };
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
		if (strcmp(key, plain[i].key) == 0) {
			if (strcmp(value, plain[i].seen) != 0)
				print_error("  %s is: %s\n", key, plain[i].seen);
			return strcmp(value, plain[i].seen) == 0;
		}
	if (strcmp(key, "contains") == 0)
		return holds(&m->new_text, value);
	if (strcmp(key, "lacks") == 0)
		return !holds(&m->new_text, value);
	if (strcmp(key, "key") == 0)
		return m->key_count > 0 && holds(&m->keys[0].data, value);
	if (strcmp(key, "attachment") == 0)
		return has_attachment(m, value);
	return strcmp(key, "outcome") == 0; /* what the agent makes of it: tests/flow/plain.sh */
}

/* message_unpack gives what message_pack got; the copy is checked instead of the original. */
static void through_the_wire(struct message *m)
{
	struct buf packed = BUF_INIT, again = BUF_INIT;
	struct message copy;
	message_pack(m, &packed);
	assert_int_equal(message_unpack(buf_bytes(&packed), &copy), ERR_OK);
	message_pack(&copy, &again);
	assert_true(bytes_equal(buf_bytes(&packed), buf_bytes(&again)));
	message_free(m);
	*m = copy;
	buf_free(&packed);
	buf_free(&again);
}

static void load(const char *path, struct message *m)
{
	struct buf mail = BUF_INIT;
	assert_int_equal(file_read(path, limits.mail_bytes, &mail), ERR_OK);
	enum err err = message_parse(buf_bytes(&mail), &limits, m);
	if (err != ERR_OK)
		fail_msg("%s: %s", path, err_text());
	through_the_wire(m);
	buf_free(&mail);
}

static size_t check_vector(const char *path)
{
	struct message m;
	struct buf expect = BUF_INIT;
	struct bytes rest, line;
	size_t wrong = 0;
	char *expect_path = str_printf("%.*s.expect", (int)strlen(path) - 4, path);
	load(path, &m);
	assert_int_equal(file_read(expect_path, 65536, &expect), ERR_OK);
	assert_true(expect.len > 0);
	rest = buf_bytes(&expect);
	while (bytes_line(&rest, &line)) {
		char *text = str_ndup((const char *)line.data, line.len),
		     *colon = strchr(text, ':');
		assert_non_null(colon);
		*colon = 0;
		const char *value = colon[1] == ' ' ? colon + 2 : colon + 1;
		if (!expectation_holds(&m, text, value)) {
			print_error("%s: not so: %s: %s\n", path, text, value);
			wrong++;
		}
		str_free(&text);
	}
	str_free(&expect_path);
	buf_free(&expect);
	message_free(&m);
	return wrong;
}

static void test_vectors(void **state)
{
	(void)state;
	glob_t files;
	size_t wrong = 0;
	assert_int_equal(glob("tests/vectors/mail/*.eml", 0, NULL, &files), 0);
	assert_true(files.gl_pathc >= 60);
	for (size_t i = 0; i < files.gl_pathc; i++)
		wrong += check_vector(files.gl_pathv[i]);
	globfree(&files);
	assert_int_equal(wrong, 0);
}

/* RFC 3156 5: byte for byte, with CRLF, also when the mail came with LF. */
static void test_signed_bytes(void **state)
{
	(void)state;
	static const char *const paths[] = { "tests/vectors/mail/signed-mime.eml",
		"tests/vectors/mail/signed-mime-lf.eml",
		"tests/vectors/mail/signed-mime-list-footer.eml" };
	struct buf part = BUF_INIT;
	assert_int_equal(file_read("tests/vectors/mail/signed-mime.part", 65536, &part), ERR_OK);
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		struct message m;
		load(paths[i], &m);
		assert_true(bytes_equal(buf_bytes(&m.signed_bytes), buf_bytes(&part)));
		assert_true(str_starts(buf_text(&m.signature), "-----BEGIN PGP SIGNATURE-----"));
		message_free(&m);
	}
	buf_free(&part);
}

/* The same armor, however it came. */
static void test_encrypted_is_the_same(void **state)
{
	(void)state;
	glob_t files;
	struct message plain;
	load("tests/vectors/mail/bare-encrypted.eml", &plain);
	assert_int_equal(glob("tests/vectors/mail/encrypted*.eml", 0, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		struct message m;
		load(files.gl_pathv[i], &m);
		if (!str_ends(files.gl_pathv[i], "encrypted-binary.eml"))
			assert_string_equal(buf_text(&m.encrypted), buf_text(&plain.encrypted));
		message_free(&m);
	}
	globfree(&files);
	message_free(&plain);
}

static void repeat(struct buf *b, const char *text, size_t count)
{
	while (count-- > 0)
		buf_add_text(b, text);
}

/* HEAD, `count` times REPEATED, TAIL. What is not refused must be harmless. */
static const struct hostile {
	const char *name, *head, *repeated, *tail;
	size_t count;
	const char *refusal;
} hostile[] = {
	{ "boundary of one quote", "From: a@example.org\r\n", "",
	    "Content-Type: multipart/mixed; "
	    "boundary=\"\\\"\"\r\n\r\n--\"\r\n\r\nhello\r\n--\"--\r\n",
	    0, "backslash" },
	{ "the same, folded", "From: a@example.org\r\n", "",
	    "Content-Type: multipart/mixed;\r\n\t"
	    "boundary\r\n =\r\n \"\\\"\"\r\n\r\n--\"\r\n\r\nhello\r\n--\"--\r\n",
	    0, "backslash" },
	{ "the same after a lone CR", "From: a@example.org\r\n", "",
	    "X: y\rContent-Type: multipart/mixed; "
	    "boundary=\"\\\"\"\r\n\r\n--\"\r\n\r\nhello\r\n--\"--\r\n",
	    0, "backslash" },
	{ "nested messages", "From: a@example.org\r\n", "Content-Type: message/rfc822\r\n\r\n",
	    "\r\nhi\r\n", 30, "nested" },
	{ "many nested messages", "From: a@example.org\r\n", "Content-Type: message/rfc822\r\n\r\n",
	    "\r\nhi\r\n", 8000, "parts" },
	{ "nested multiparts", "From: a@example.org\r\n",
	    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", "\r\nhi\r\n", 5000,
	    "parts" },
	{ "many parts", "From: a@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n",
	    "--b\r\n\r\nx\r\n", "--b--\r\n", 150, "parts" },
	{ "very many parts",
	    "From: a@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n",
	    "--b\r\n\r\n", "--b--\r\n", 30000, "boundaries" },
	{ "comments", "From: ", "(", " a@example.org\r\n\r\nhi\r\n", 50000, "comments" },
	{ "comments with escapes", "From: ", "(\\)", " a@example.org\r\n\r\nhi\r\n", 20000,
	    "comments" },
	{ "parameters", "From: a@example.org\r\nContent-Type: text/plain", ";\r\n p=v",
	    "\r\n\r\nhi\r\n", 100000, "larger" },
	{ "a header of 70 KB", "From: a@example.org\r\n", "X: y\r\n", "\r\nhi\r\n", 12000,
	    "header" },
	{ "addresses", "From: ", "a@example.org, ", "b@example.org\r\n\r\nhi\r\n", 4000, NULL },
	{ "encoded words", "From: a@example.org\r\nSubject: ", "=?utf-8?B?w6k=?=\r\n ",
	    "x\r\n\r\nhi\r\n", 3000, NULL },
	{ "a long line", "From: a@example.org\r\n\r\n", "x", "\r\n", 150000, "line" },
	{ "too large", "From: a@example.org\r\n\r\n", "x\r\n", "", 100000, "larger" },
	{ "unclosed heads", "Content-Type: text/html\r\n\r\n", "<head\r\n", "", 30000, NULL },
	{ "unclosed tags", "Content-Type: text/html\r\n\r\n", "<a \"\r\n", "", 30000, NULL },
	{ "armor that begins", "From: a@example.org\r\n\r\n", "-----BEGIN PGP MESSAGE-----\r\n", "",
	    1900, NULL },
	{ "signed texts that begin", "From: a@example.org\r\n\r\n",
	    "-----BEGIN PGP SIGNED MESSAGE-----\r\n\r\n", "", 1900, NULL },
	{ "keys", "From: a@example.org\r\n\r\n",
	    "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n",
	    "", 17, "keys" },
};

static void test_hostile(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
		const struct hostile *h = &hostile[i];
		struct buf mail = BUF_INIT;
		struct message m;
		buf_add_text(&mail, h->head);
		repeat(&mail, h->repeated, h->count);
		buf_add_text(&mail, h->tail);
		enum err err = message_parse(buf_bytes(&mail), &limits, &m);
		if (err != (h->refusal ? ERR_DATA : ERR_OK))
			fail_msg("%s: %d", h->name, (int)err);
		if (h->refusal != NULL && strstr(err_text(), h->refusal) == NULL)
			fail_msg("%s: %s", h->name, err_text());
		if (err == ERR_OK)
			through_the_wire(&m);
		message_free(&m);
		buf_free(&mail);
	}
}

static bool name_in_list(const char *name, const char *const *list)
{
	for (; *list != NULL; list++)
		if (str_starts(name, *list))
			return true;
	return false;
}

/* The small ones of tests/vectors/hostile/make.py. */
static void test_hostile_files(void **state)
{
	(void)state;
	static const char *const refused[] = { "boundary-", "comments-", "many-", "nested-", "nul-",
		NULL };
	static const char *const nobody[] = { "two-from", "group", NULL };
	glob_t files;
	assert_int_equal(glob("tests/vectors/hostile/*.eml", 0, NULL, &files), 0);
	assert_true(files.gl_pathc >= 16);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		const char *path = files.gl_pathv[i], *name = strrchr(path, '/') + 1;
		struct buf mail = BUF_INIT;
		struct message m;
		assert_int_equal(file_read(path, limits.mail_bytes, &mail), ERR_OK);
		enum err err = message_parse(buf_bytes(&mail), &limits, &m);
		if (err != (name_in_list(name, refused) ? ERR_DATA : ERR_OK))
			fail_msg("%s: %d", name, (int)err);
		if (err == ERR_OK) {
			through_the_wire(&m);
			assert_true((m.from == NULL) == name_in_list(name, nobody));
		}
		message_free(&m);
		buf_free(&mail);
	}
	globfree(&files);
}

static void test_nul_is_refused(void **state)
{
	(void)state;
	struct message m;
	assert_int_equal(
	    message_parse(bytes_of("From: a@example.org\r\n\r\nx\0y", 25), &limits, &m), ERR_DATA);
	assert_int_equal(message_parse(bytes_of("", 0), &limits, &m), ERR_DATA);
}

/* RFC 2231 and encoded words in file names. */
static const struct {
	const char *fields, *name;
} file_names[] = {
	{ "Content-Disposition: attachment; filename=\"a b.asc\"", "a b.asc" },
	{ "Content-Disposition: attachment; filename*=utf-8''%c3%a4.asc", "ä.asc" },
	{ "Content-Disposition: attachment; filename*=iso-8859-1'de'%e4.asc; filename=x", "ä.asc" },
	{ "Content-Disposition: attachment; filename*0*=utf-8''%c3; filename*1*=%a4%20; filename*2=\"b.asc\"",
	    "ä b.asc" },
	{ "Content-Disposition: attachment;\r\n filename*1=\"b\"; filename*0=\"a\"", "ab" },
	{ "Content-Disposition: attachment; filename=\"=?utf-8?Q?=C3=A4?= =?utf-8?Q?_b?=\"",
	    "ä b" },
	{ "Content-Type: application/pdf; name*=utf-8''%e2%82%ac", "€" },
	{ "Content-Type: application/pdf; name=\"=?utf-8?Q?a=09b?=\"", "a b" },
	{ "Content-Type: application/pdf; name=\"=?koi8-r?B?4czJ08E=?= =?x-none?Q?=E9?=.gpg\"",
	    "Алисаé.gpg" },
	{ "Content-Type: application/pdf; name=\"\"", NULL },
	{ "Content-Type: application/pdf", NULL },
};

static void test_file_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof file_names / sizeof *file_names; i++) {
		char *mail =
		    str_printf("From: a@example.org\r\n%s\r\n\r\nx\r\n", file_names[i].fields);
		struct message m;
		assert_int_equal(message_parse(bytes_of_text(mail), &limits, &m), ERR_OK);
		assert_int_equal(m.attachment_count, 1);
		if (file_names[i].name == NULL)
			assert_null(m.attachments[0].name);
		else if (!str_equal(m.attachments[0].name, file_names[i].name))
			fail_msg("%s: %s", file_names[i].fields, m.attachments[0].name);
		message_free(&m);
		str_free(&mail);
	}
}

/* Encodings of a text body. */
static const struct {
	const char *fields, *body, *text;
} bodies[] = {
	{ "Content-Transfer-Encoding: quoted-printable\r\n",
	    "a=3Db=\r\nc=20=\r\n\r\n=zz=", "a=bc \n=zz\n" },
	{ "Content-Transfer-Encoding: base64\r\n", "aGkK\r\nIQ==\r\n", "hi\n!\n" },
	{ "Content-Type: text/plain; charset=iso-8859-1\r\n", "\xE9\r\n", "é\n" },
	{ "Content-Type: text/plain\r\n", "\xE9\r\n", "é\n" },
	{ "Content-Type: text/plain\r\n", "bell\a\r\n", "bell\n" },
	{ "Content-Type: text/html\r\n", "<p>a<p>b", "a\nb\n" },
	{ "Content-Transfer-Encoding: x-unknown\r\n", "opaque", "" },
	{ "Content-Type: TEXT/PLAIN; FORMAT=FLOWED\r\n", "a \r\nb\r\n-- \r\nc \r\n> d \r\n> e\r\n",
	    "a b\n-- \nc \n" },
};

static void test_bodies(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		char *mail =
		    str_printf("From: a@example.org\r\n%s\r\n%s", bodies[i].fields, bodies[i].body);
		struct message m;
		assert_int_equal(message_parse(bytes_of_text(mail), &limits, &m), ERR_OK);
		assert_string_equal(buf_text(&m.new_text), bodies[i].text);
		message_free(&m);
		str_free(&mail);
	}
}

/* What has no header is text, also where its first line looks like a field. */
static const struct {
	const char *mail, *text;
	bool is_mail;
} beginnings[] = {
	{ "Dear authority,\n\nSubject: x\n", "Dear authority,\n\nSubject: x\n", false },
	{ "Token: x\nKeyset: y\n\nbye\n", "Token: x\nKeyset: y\n\nbye\n", false },
	{ "My key is here:\nx: From\n\ny\n", "My key is here:\nx: From\n\ny\n", false },
	{ " folded\nFrom: a@example.org\n\nx\n", " folded\nFrom: a@example.org\n\nx\n", false },
	{ "X-Some: y\nFrom: a@example.org\n\nx\n", "x\n", true },
	{ "Content-Type: text/plain\n\nx\n", "x\n", true },
	{ "From a@example.org Sun Nov 22\r\nDate: x\r\n\r\nx\r\n", "x\n", true },
	{ "\xEF\xBB\xBF\r\nMIME-Version: 1.0\r\n\r\nx", "x\n", true },
};

static void test_beginnings(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
		struct message m;
		assert_int_equal(
		    message_parse(bytes_of_text(beginnings[i].mail), &limits, &m), ERR_OK);
		assert_string_equal(buf_text(&m.new_text), beginnings[i].text);
		assert_int_equal(m.headers.len > 0, beginnings[i].is_mail);
		through_the_wire(&m);
		message_free(&m);
	}
}

/* Base64 that is not clean holds no key: half a key must not be taken for one. */
static void test_broken_base64_is_no_key(void **state)
{
	(void)state;
	struct message m;
	const char *mail = "From: a@example.org\r\nContent-Type: application/pgp-keys\r\n"
			   "Content-Transfer-Encoding: base64\r\n\r\nmDMEY!AAAA\r\n";
	assert_int_equal(message_parse(bytes_of_text(mail), &limits, &m), ERR_OK);
	assert_int_equal(m.key_count, 0);
	assert_int_equal(m.attachment_count, 1);
	assert_int_equal(m.attachments[0].data.len, 0);
	message_free(&m);
}

/* A mail as an honest parser packs it, to be spoiled. */
static void fill(struct message *m)
{
	*m = (struct message){ .from_fields = 1, .from_addresses = 1 };
	m->from = str_dup("alice@example.org");
	m->from_name = str_dup("Alice");
	m->subject = str_dup("hello");
	m->message_id = str_dup("m1@example.org");
	buf_add_text(&m->new_text, "text\n");
	m->attachment_count = m->key_count = 1;
	m->attachments[0].type = str_dup("text/plain");
	buf_add_text(&m->keys[0].data, "key");
}

static void replace(char **field, const char *value)
{
	str_free(field);
	*field = str_dup(value);
}

static void spoil(struct message *m, int how)
{
	switch (how) {
	case 0:
		replace(&m->from, "alice@example.org\nBcc: bob@example.org");
		break;
	case 1:
		replace(&m->from, "not an address");
		break;
	case 2:
		m->from_addresses = 2;
		break;
	case 3:
		m->from_fields = 2;
		break;
	case 4:
		replace(&m->from_name, "Alice\r");
		break;
	case 5:
		replace(&m->subject, "a\nb");
		break;
	case 6:
		replace(&m->subject, "\xff");
		break;
	case 7:
		str_free(&m->subject);
		break;
	case 8:
		replace(&m->message_id, "a b");
		break;
	case 9:
		replace(&m->in_reply_to, "a>");
		break;
	case 10:
		replace(&m->report_message_id, "");
		break;
	case 11:
		replace(&m->report_status, "5.1.1\x1b[31m");
		break;
	case 12:
		buf_add_text(&m->new_text, "\r\n");
		break;
	case 13:
		buf_add(&m->quoted_text, "a\0b", 3);
		break;
	case 14:
		buf_add_text(&m->new_text, "\xc3");
		break;
	case 15:
		buf_add_text(&m->signature, "x");
		break;
	case 16:
		m->signed_whole = true;
		break;
	case 17:
		replace(&m->attachments[0].type, "Text/Plain");
		break;
	case 18:
		replace(&m->attachments[0].type, NULL);
		break;
	case 19:
		replace(&m->attachments[0].name, "a\tb");
		break;
	case 20:
		buf_clear(&m->keys[0].data);
		break;
	case 21:
		m->keys[0].origin = (enum key_origin)3;
		break;
	case 22:
		replace(&m->delivered_to, "a@example.org\nb");
		break;
	case 23:
		m->report_action = (enum report_action)(REPORT_FAILED + 1);
		break;
	default:
		break;
	}
}

#define SPOILS 24

static void test_unpack_checks_promises(void **state)
{
	(void)state;
	for (int how = 0; how <= SPOILS; how++) {
		struct message m, out;
		struct buf packed = BUF_INIT;
		fill(&m);
		spoil(&m, how);
		message_pack(&m, &packed);
		enum err err = message_unpack(buf_bytes(&packed), &out);
		if (err != (how == SPOILS ? ERR_OK : ERR_PROTOCOL))
			fail_msg("spoiled by %d: %d", how, (int)err);
		message_free(&out);
		message_free(&m);
		buf_free(&packed);
	}
}

/* Every cut and every altered byte of a record is refused or gives something that keeps the promises. */
static void test_unpack_any_bytes(void **state)
{
	(void)state;
	struct message m, out;
	struct buf packed = BUF_INIT;
	fill(&m);
	message_pack(&m, &packed);
	for (size_t len = 0; len < packed.len; len++) {
		assert_int_equal(message_unpack(bytes_of(packed.data, len), &out), ERR_PROTOCOL);
		message_free(&out);
	}
	size_t refused = 0;
	for (size_t i = 0; i < packed.len; i++) {
		packed.data[i] ^= 0xff;
		refused += message_unpack(buf_bytes(&packed), &out) != ERR_OK;
		message_free(&out);
		packed.data[i] ^= 0xff;
	}
	assert_true(refused > packed.len / 2);
	buf_free(&packed);
	message_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_signed_bytes),
		cmocka_unit_test(test_encrypted_is_the_same),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_hostile_files),
		cmocka_unit_test(test_nul_is_refused),
		cmocka_unit_test(test_file_names),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_beginnings),
		cmocka_unit_test(test_broken_base64_is_no_key),
		cmocka_unit_test(test_unpack_checks_promises),
		cmocka_unit_test(test_unpack_any_bytes),
	};
	message_preload();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
