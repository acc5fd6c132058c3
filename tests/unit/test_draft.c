#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"
#include "mail/draft.h"
#include "secret/secret.h"

#define TOKEN "7K2QX-9MDTR-4WPZC-HN3VA-6B8YE"
#define TOP "From: a@example.org\nTo: b@example.org\nSubject: x\n"
#define COUNT(a) (sizeof(a) / sizeof *(a))

static const struct draft_word words[] = { { "TOKEN", TOKEN }, { "NAME", "J\303\266rg <&>" },
	{ "KEYSET", "\342\202\254" }, { "ADDRESS", "b@example.org" } };

static char *fill(const char *draft, const char *attachment, enum err expect)
{
	struct buf out = BUF_INIT;
	assert_int_equal(
	    draft_fill(bytes_of_text(draft), words, COUNT(words), bytes_of_text(attachment), &out),
	    expect);
	return buf_take_text(&out);
}

static char *with_crlf(const char *text)
{
	struct buf out = BUF_INIT;
	for (; *text; text++) {
		buf_add_text(&out, *text == '\n' ? "\r" : "");
		buf_add_byte(&out, *text);
	}
	return buf_take_text(&out);
}

struct fill_case {
	const char *draft, *expect;
};

/* Each with LF and with CRLF. */
static void assert_fills(const struct fill_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *got = fill(cases[i].draft, "", ERR_OK);
		assert_string_equal(got, cases[i].expect);
		str_free(&got);
		char *draft = with_crlf(cases[i].draft), *expect = with_crlf(cases[i].expect);
		got = fill(draft, "", ERR_OK);
		assert_string_equal(got, expect);
		str_free(&got);
		str_free(&draft);
		str_free(&expect);
	}
}

#define UTF8 "Content-Type: text/plain; charset=utf-8\n"
#define MIME "MIME-Version: 1.0\n"
#define BIT8 "Content-Transfer-Encoding: 8bit\n"
#define QP "Content-Transfer-Encoding: quoted-printable\n"
#define HTML "Content-Type: text/html; charset=us-ascii\n"

static void plain_text(void **state)
{
	(void)state;
	static const struct fill_case cases[] = {
		{ TOP "\nYour token: %TOKEN%\n", TOP "\nYour token: " TOKEN "\n" },
		{ TOP "\n%TOKEN%", TOP "\n" TOKEN },
		{ TOP "\n%%TOKEN%% %TOKEN %token% TOKEN% %OTHER%\n",
		    TOP "\n%" TOKEN "% %TOKEN %token% TOKEN% %OTHER%\n" },
		{ TOP "\nnothing \t\n.\n\n", TOP "\nnothing \t\n.\n\n" },
		/* The charset of the part can write it, or becomes utf-8. */
		{ TOP MIME UTF8 BIT8 "\n%KEYSET% %TOKEN%\n",
		    TOP MIME UTF8 BIT8 "\n\342\202\254 " TOKEN "\n" },
		{ TOP MIME "Content-Type: text/plain; charset=iso-8859-1\n" BIT8 "\n\374 %TOKEN%\n",
		    TOP MIME "Content-Type: text/plain; charset=iso-8859-1\n" BIT8 "\n\374 " TOKEN
			     "\n" },
		{ TOP MIME "Content-Type: text/plain; charset=iso-8859-1\n" BIT8 "\n\374 %NAME%\n",
		    TOP MIME "Content-Type: text/plain; charset=iso-8859-1\n" BIT8
			     "\n\374 J\366rg <&>\n" },
		{ TOP MIME "Content-Type: text/plain; charset=windows-1252\n" BIT8
			   "\n\374 %KEYSET%\n",
		    TOP MIME "Content-Type: text/plain; charset=windows-1252\n" BIT8
			     "\n\374 \200\n" },
		{ TOP MIME "Content-Type: TEXT/Plain; format=flowed; charset=\"iso-8859-1\"\n" BIT8
			   "\n\374 %KEYSET%\n",
		    TOP MIME BIT8
		    "Content-Type: text/plain;\n format=flowed;\n charset=utf-8\n\n\303\274 \342\202\254\n" },
		/* 7bit no longer carries it. */
		{ TOP MIME UTF8 "\n%NAME% =\n", TOP MIME UTF8
		    "Content-Transfer-Encoding: quoted-printable\n\nJ=C3=B6rg <&> =3D\n" },
		{ TOP "\n%NAME%\n",
		    TOP "Content-Type: text/plain;\n charset=utf-8\n" QP MIME "\nJ=C3=B6rg <&>\n" },
		/* Quoted-printable with soft breaks inside the word. */
		{ TOP MIME UTF8 QP "\na=3D %TO=\nKEN=25\n", TOP MIME UTF8 QP "\na=3D " TOKEN "\n" },
		{ TOP MIME UTF8 QP "\n=25TOKEN=25 =\nx =20\n",
		    TOP MIME UTF8 QP "\n" TOKEN " x =20\n" },
		/* Lines without a word keep every byte, however odd their encoding. */
		{ TOP MIME UTF8 QP "\n=61=\n=c3=bc=\n =\n\n%TOKEN%\n=zz  =20=\n\n",
		    TOP MIME UTF8 QP "\n=61=\n=c3=bc=\n =\n\n" TOKEN "\n=zz  =20=\n\n" },
		{ TOP MIME "Content-Type: text/plain; charset=iso-2022-jp\n"
			   "\n\033(J~\033(B\n%TOKEN%\n\033$B$3\033(B %TOKEN%\n",
		    TOP MIME "Content-Type: text/plain; charset=iso-2022-jp\n"
			     "\n\033(J~\033(B\n" TOKEN "\n\033$B$3\033(B " TOKEN "\n" },
		/* Broken quoted-printable without a word keeps every byte. */
		{ TOP MIME UTF8 QP "\n=zz =\n=3d\n", TOP MIME UTF8 QP "\n=zz =\n=3d\n" },
		{ TOP MIME UTF8 "Content-Transfer-Encoding: x-odd\n\n%TOKEN%\n",
		    TOP MIME UTF8 "Content-Transfer-Encoding: x-odd\n\n%TOKEN%\n" },
	};
	assert_fills(cases, COUNT(cases));
}

static void charset_that_is_a_lie(void **state)
{
	(void)state;
	static const struct fill_case cases[] = {
		{ TOP MIME UTF8 BIT8 "\n\374 %TOKEN%\n", TOP MIME UTF8 BIT8 "\n\374 " TOKEN "\n" },
		{ TOP MIME "Content-Type: text/plain; charset=x-none\n" BIT8 "\n\374 %TOKEN%\n",
		    TOP MIME "Content-Type: text/plain; charset=x-none\n" BIT8 "\n\374 " TOKEN
			     "\n" },
	};
	assert_fills(cases, COUNT(cases));
	char *got = fill(TOP MIME UTF8 BIT8 "\n\374 %NAME%\n", "", ERR_DATA);
	assert_non_null(strstr(err_text(), "%NAME%"));
	str_free(&got);
}

static void markup_inside_a_word(void **state)
{
	(void)state;
	static const char *const cases[] = { "%<b>TOKEN</b>%", "%&#84;OKEN%", "%TO<wbr>KEN%",
		"%TOKEN% %TOK<i>EN</i>%", "%ADD<b>RESS%" };
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *draft = str_printf("%s%s%s\n<p>%s</p>\n", TOP, MIME, HTML, cases[i]);
		struct draft_facts f;
		assert_int_equal(draft_inspect(bytes_of_text(draft), &f), ERR_OK);
		assert_string_equal(f.broken_word, i < 4 ? "TOKEN" : "ADDRESS");
		assert_int_equal(f.has_token_word, i < 4);
		draft_facts_free(&f);
		str_free(&draft);
	}
}

static void base64_text(void **state)
{
	(void)state;
	struct buf draft = BUF_INIT, expect = BUF_INIT;
	const char *head = TOP MIME UTF8 "Content-Transfer-Encoding: base64\n\n";
	buf_add_text(&draft, head);
	buf_add_text(&expect, head);
	base64_add(&draft, bytes_of_text("Gr\303\274\303\237e\r\n%TOKEN% %NAME%\r\n"), 30, "\n");
	base64_add(&expect, bytes_of_text("Gr\303\274\303\237e\r\n" TOKEN " J\303\266rg <&>\r\n"),
	    76, "\n");
	char *got = fill(buf_text(&draft), "", ERR_OK);
	assert_string_equal(got, buf_text(&expect));
	str_free(&got);
	buf_free(&expect);
	buf_free(&draft);
}

static void html_text(void **state)
{
	(void)state;
	static const struct fill_case cases[] = {
		{ TOP MIME HTML "\n<p>%TOKEN% &#37;TOKEN&#x25; &percnt;TOKEN%</p>\n",
		    TOP MIME HTML "\n<p>" TOKEN " " TOKEN " " TOKEN "</p>\n" },
		/* The address of a link is where the link is. */
		{ TOP MIME HTML "\n<a class=c HREF='%NAME%' id=\"%TOKEN%\">x</a>\n", TOP MIME HTML
		    "\n<a class=c HREF='J&#246;rg &#60;&#38;&#62;' id=\"%TOKEN%\">x</a>\n" },
		{ TOP MIME HTML
		    "\n<blockquote><a href=\"%TOKEN%\">x</a></blockquote><a href=\"%TOKEN%\">y</a>\n",
		    TOP MIME HTML
		    "\n<blockquote><a href=\"%TOKEN%\">x</a></blockquote><a href=\"" TOKEN
		    "\">y</a>\n" },
		{ TOP MIME HTML "\n<p>%NAME% %KEYSET%</p>\n",
		    TOP MIME HTML "\n<p>J&#246;rg &#60;&#38;&#62; &#8364;</p>\n" },
		{ TOP MIME HTML "\n<p title=\"%TOKEN%\">x</p>\n",
		    TOP MIME HTML "\n<p title=\"%TOKEN%\">x</p>\n" },
		{ TOP MIME HTML "\n<p>%ADDRESS%</p><blockquote>%TOKEN% %NAME%</blockquote>\n",
		    TOP MIME HTML
		    "\n<p>b@example.org</p><blockquote>%TOKEN% %NAME%</blockquote>\n" },
	};
	assert_fills(cases, COUNT(cases));
}

static void quoted_text_stays(void **state)
{
	(void)state;
	static const struct fill_case cases[] = {
		{ TOP "\n%ADDRESS%\n> %TOKEN% %ADDRESS%\n",
		    TOP "\nb@example.org\n> %TOKEN% %ADDRESS%\n" },
		{ TOP
		    "\n%ADDRESS%\n\n-----Original Message-----\nFrom: c@example.org\nSent: now\n\n%TOKEN%\n",
		    TOP "\nb@example.org\n\n-----Original Message-----\nFrom: c@example.org\nSent: "
			"now\n\n%TOKEN%\n" },
	};
	assert_fills(cases, COUNT(cases));
}

#define MIXED(kind) TOP MIME "Content-Type: multipart/" kind ";\n boundary=\"b 1\"\n\n"
#define NEXT "--b 1\n"
#define LAST "--b 1--\n"
#define TEXT_ATTACHED UTF8 "Content-Disposition: attachment; filename=x.txt\n\n%TOKEN%\n"

static void multiparts(void **state)
{
	(void)state;
	static const struct fill_case cases[] = {
		{ MIXED("alternative") "pre %TOKEN%\n" NEXT "\n%TOKEN%\n" NEXT HTML
				       "\n<p>%TOKEN%\n" LAST "post %TOKEN%\n",
		    MIXED("alternative") "pre %TOKEN%\n" NEXT "\n" TOKEN "\n" NEXT HTML
					 "\n<p>" TOKEN "\n" LAST "post %TOKEN%\n" },
		/* Attached text and forwarded mails are not touched. */
		{ MIXED("mixed") NEXT "\n%TOKEN%\n" NEXT TEXT_ATTACHED NEXT
				      "Content-Type: message/rfc822\n\n" TOP "\n%TOKEN%\n" LAST,
		    MIXED("mixed") NEXT "\n" TOKEN "\n" NEXT TEXT_ATTACHED NEXT
					"Content-Type: message/rfc822\n\n" TOP "\n%TOKEN%\n" LAST },
		/* A part in a part; boundaries that begin alike; no end. */
		{ MIXED("mixed") NEXT "Content-Type: multipart/related; boundary=\"b 1x\"\n\n"
				      "--b 1x\n\n%TOKEN%\n--b 1x--\n" NEXT "\n%TOKEN%",
		    MIXED("mixed") NEXT "Content-Type: multipart/related; boundary=\"b 1x\"\n\n"
					"--b 1x\n\n" TOKEN "\n--b 1x--\n" NEXT "\n" TOKEN },
		{ MIXED("signed") NEXT "\n%TOKEN%\n" LAST,
		    MIXED("signed") NEXT "\n%TOKEN%\n" LAST },
		{ MIXED("mixed") NEXT "no header\n%TOKEN%\n" LAST,
		    MIXED("mixed") NEXT "no header\n%TOKEN%\n" LAST },
	};
	assert_fills(cases, COUNT(cases));
}

static void headers(void **state)
{
	(void)state;
	static const struct fill_case cases[] = {
		{ "From: a@example.org\nBcc: c@example.org,\n d@example.org\nTo: b@example.org\nSubject: "
		  "For %ADDRESS% %TOKEN%\nX-Odd:%NAME%\n\nx\n",
		    "From: a@example.org\nTo: b@example.org\nSubject: For b@example.org %TOKEN%\n"
		    "X-Odd:%NAME%\n\nx\n" },
		{ "Subject: =?utf-8?Q?=C3=BC_%ADDRESS%?=\nFrom: a@example.org\n\nx\n",
		    "Subject: =?utf-8?B?w7wgYkBleGFtcGxlLm9yZw==?=\nFrom: a@example.org\n\nx\n" },
		{ "Subject: =?utf-8?Q?=C3=BC?=\n =?utf-8?Q?x?=\nFrom: a@example.org\n\nx\n",
		    "Subject: =?utf-8?Q?=C3=BC?=\n =?utf-8?Q?x?=\nFrom: a@example.org\n\nx\n" },
		{ "Content-Length: 2\nFrom: a@example.org\n\nx\n", "From: a@example.org\n\nx\n" },
	};
	assert_fills(cases, COUNT(cases));
}

#define CARD "Content-Type: application/pgp-keys\r\n\r\ncard\r\n"

static void attaching(void **state)
{
	(void)state;
	static const struct fill_case cases[] = {
		{ MIXED("mixed") NEXT "\n%TOKEN%\n" LAST "post\n", MIXED("mixed") NEXT
		    "\n" TOKEN "\n" NEXT "Content-Type: application/pgp-keys\n\ncard\n\n" LAST
		    "post\n" },
		{ MIXED("mixed") NEXT "\n%TOKEN%", MIXED("mixed") NEXT
		    "\n" TOKEN "\n" NEXT "Content-Type: application/pgp-keys\n\ncard\n\n" LAST },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *got = fill(cases[i].draft, CARD, ERR_OK);
		assert_string_equal(got, cases[i].expect);
		str_free(&got);
	}
}

/* The boundary is random: cut out of the result, then compared. */
static void wrapping(void **state)
{
	(void)state;
	char *got = fill(TOP UTF8 BIT8 "X-After: 1\n\n\303\274 %TOKEN%\n", CARD, ERR_OK);
	const char *start = strstr(got, "boundary=\"");
	assert_non_null(start);
	start += strlen("boundary=\"");
	char *b = str_ndup(start, strcspn(start, "\""));
	assert_true(strlen(b) >= 26);
	char *expect =
	    str_printf(TOP "X-After: 1\nMIME-Version: 1.0\n"
			   "Content-Type: multipart/mixed; boundary=\"%s\"\n\n"
			   "--%s\n" UTF8 BIT8 "\n\303\274 " TOKEN "\n\n"
			   "--%s\nContent-Type: application/pgp-keys\n\ncard\n\n--%s--\n",
		b, b, b, b);
	assert_string_equal(got, expect);
	str_free(&expect);
	str_free(&b);
	str_free(&got);
}

enum { T = 1, O = 2, Q = 4, S = 8, E = 16 };

static void facts(void **state)
{
	(void)state;
	static const struct {
		const char *draft;
		int expect;
	} cases[] = {
		{ TOP "\nhello\n", 0 },
		{ TOP "\n%TOKEN%\n", T },
		{ TOP "\n%NAME%\n", O },
		{ TOP "\n%TOKEN% %EXPIRES%\n> %NAME%\n", T | O },
		{ TOP "\n%TOKEN%\n> %TOKEN%\n", T | Q },
		{ TOP "\nhi\n> %TOKEN%\n", Q },
		{ "From: a@example.org\nSubject: %NAME%\n\nx\n", O },
		{ "From: a@example.org\nSubject: %TOKEN%\n\nx\n", 0 },
		{ TOP "X: %TOKEN%\n\nx\n", 0 },
		{ TOP MIME HTML "\n<p>x<blockquote>&#37;TOKEN%</blockquote>\n", Q },
		{ TOP MIME HTML "\n<p>%TOKEN%<!-- %NAME% -->\n", T },
		{ MIXED("mixed") NEXT "\nx\n" NEXT TEXT_ATTACHED LAST, 0 },
		{ MIXED("signed") NEXT "\n%TOKEN%\n" LAST, T | S },
		{ TOP "\n%ENROLL%\n", T },
		{ TOP MIME HTML "\n<p><a href=\"%ENROLL%\">write</a></p>\n", T },
		{ TOP MIME HTML "\n<blockquote><a href=\"%ENROLL%\">write</a></blockquote>\n", Q },
		{ TOP "\n> %ENROLL%\n", Q },
		{ MIXED("mixed") NEXT
		    "Content-Type: multipart/signed; boundary=c\n\n--c\n\nx\n--c--\n" LAST,
		    S },
		{ MIXED("encrypted") NEXT "\n%TOKEN%\n" LAST, T | E },
		{ TOP MIME "Content-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nx\n",
		    E },
		{ TOP MIME "Content-Type: application/x-pkcs7-mime; smime-type=Signed-Data\n\nx\n",
		    S },
		{ TOP "\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n%TOKEN%\n", T | S },
		{ TOP "\n-----BEGIN PGP MESSAGE-----\n\nx\n", E },
		{ TOP "\nx -----BEGIN PGP MESSAGE-----\n\nx\n", 0 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct draft_facts f;
		assert_int_equal(draft_inspect(bytes_of_text(cases[i].draft), &f), ERR_OK);
		int got = (f.has_token_word ? T : 0) | (f.has_other_word ? O : 0) |
			  (f.quoted_token_word ? Q : 0) | (f.is_signed ? S : 0) |
			  (f.is_encrypted ? E : 0);
		if (got != cases[i].expect) {
			print_error("%s\n", cases[i].draft);
		}
		assert_int_equal(got, cases[i].expect);
		draft_facts_free(&f);
	}
}

static void recipients(void **state)
{
	(void)state;
	static const struct {
		const char *head, *from, *expect; /* joined with "|" */
	} cases[] = {
		{ "To: b@example.org\n", NULL, "b@example.org|" },
		{ "From: \"A, B\" <a@example.org>\nTo: b@example.org\nCc: C <c@example.org>\nBcc: "
		  "d@example.org\n",
		    "a@example.org", "b@example.org|c@example.org|d@example.org|" },
		{ "To: x@example.org,\n <y@example.org> ,, \n", NULL,
		    "x@example.org|y@example.org|" },
		{ "To: friends: a@example.org, B (the (best), one) <b@example.org>;, c@example.org\n",
		    NULL, "a@example.org|b@example.org|c@example.org|" },
		{ "To: undisclosed-recipients:;\nX: y\n", NULL, "" },
		{ "To: \"a b\"@example.org, \"x\\\"<y\" <c@example.org>\n", NULL,
		    "\"a b\"@example.org|c@example.org|" },
		{ "To: =?utf-8?Q?J=C3=B6rg?= <b@example.org>\n", NULL, "b@example.org|" },
		{ "To: <@relay:b@example.org>\n", NULL, "b@example.org|" },
		{ "To: Alice b@example.org\n", NULL, "Alice b@example.org|" },
		{ "To: \"open b@example.org\nFrom: <a@example.org\n", "a@example.org",
		    "\"open b@example.org|" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct draft_facts f;
		struct buf joined = BUF_INIT;
		char *draft = str_printf("%s\nx\n", cases[i].head);
		assert_int_equal(draft_inspect(bytes_of_text(draft), &f), ERR_OK);
		for (size_t k = 0; k < f.recipient_count; k++) {
			buf_addf(&joined, "%s|", f.recipients[k]);
		}
		assert_string_equal(buf_text(&joined), cases[i].expect);
		assert_true(f.recipients == NULL || f.recipients[f.recipient_count] == NULL);
		assert_true(str_equal(f.from, cases[i].from));
		draft_facts_free(&f);
		str_free(&draft);
		buf_free(&joined);
	}
}

static void no_mail(void **state)
{
	(void)state;
	struct buf deep = BUF_INIT, many = BUF_INIT;
	for (int i = 0; i < 40; i++) {
		buf_addf(&deep, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i);
	}
	buf_add_text(&many, MIXED("mixed"));
	for (int i = 0; i < 600; i++) {
		buf_add_text(&many, NEXT "\nx\n");
	}
	const char *cases[] = { "", "\n", "\nFrom: a@example.org\n", "hello world\n\nx\n",
		"a b: c\n\nx\n", buf_text(&deep), buf_text(&many) };
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct draft_facts f;
		struct buf out = BUF_INIT;
		assert_int_equal(draft_inspect(bytes_of_text(cases[i]), &f), ERR_DATA);
		draft_facts_free(&f);
		assert_int_equal(draft_fill(bytes_of_text(cases[i]), words, COUNT(words),
				     bytes_of_text(""), &out),
		    ERR_DATA);
		assert_int_equal(out.len, 0);
		buf_free(&out);
	}
	buf_free(&many);
	buf_free(&deep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_text),
		cmocka_unit_test(charset_that_is_a_lie),
		cmocka_unit_test(markup_inside_a_word),
		cmocka_unit_test(base64_text),
		cmocka_unit_test(html_text),
		cmocka_unit_test(quoted_text_stays),
		cmocka_unit_test(multiparts),
		cmocka_unit_test(headers),
		cmocka_unit_test(attaching),
		cmocka_unit_test(wrapping),
		cmocka_unit_test(facts),
		cmocka_unit_test(recipients),
		cmocka_unit_test(no_mail),
	};
	secret_start();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
