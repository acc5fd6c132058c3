#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"
#include "mail/compose.h"
#include "mail/internal.h"
#include "mail/quoted.h"
#include "secret/secret.h"

static struct envelope_header plain_header(void)
{
	return (struct envelope_header){ .from_address = "sa@example.org",
		.from_name = "Security Authority",
		.to_address = "alice@example.org",
		.subject = "Reply from the Security Authority",
		.message_id = "1@example.org",
		.date = 1795320000 };
}

static const struct part hello = { .type = "text/plain",
	.body = { (const uint8_t *)"hello\n", 6 } };

/* 7-bit, CRLF only, no line beyond 998, none of a header beyond 78. */
static void assert_wire_form(const struct buf *mail)
{
	bool header = true;
	size_t column = 0;
	for (size_t i = 0; i < mail->len; i++) {
		uint8_t c = mail->data[i];
		if (c == '\n') {
			assert_true(i > 0 && mail->data[i - 1] == '\r');
			header = header && column > 1;
			column = 0;
			continue;
		}
		assert_true(c != '\r' || mail->data[i + 1] == '\n');
		assert_true(c != 0);
		column++;
		assert_true(column <= 999);
		assert_true(!header || column <= 79);
	}
	assert_int_equal(mail->data[mail->len - 1], '\n');
}

static void assert_has(const struct buf *mail, const char *text)
{
	if (strstr(buf_text(mail), text) == NULL) {
		print_error("not in the mail: %s\n%s\n", text, buf_text(mail));
		fail();
	}
}

static size_t count_of(const struct buf *mail, const char *text)
{
	size_t count = 0;
	for (const char *at = buf_text(mail); (at = strstr(at, text)) != NULL; at++) {
		count++;
	}
	return count;
}

static void whole_mail(void **state)
{
	(void)state;
	struct buf out = BUF_INIT;
	struct envelope_header h = plain_header();
	h.in_reply_to = "q@example.org";
	h.references = "r@example.org";
	h.auto_submitted = "auto-replied";
	assert_int_equal(letter_write(&h, &hello, &out), ERR_OK);
	assert_string_equal(buf_text(&out), "From: Security Authority <sa@example.org>\r\n"
					    "To: alice@example.org\r\n"
					    "Subject: Reply from the Security Authority\r\n"
					    "Date: Sun, 22 Nov 2026 04:00:00 +0000\r\n"
					    "Message-ID: <1@example.org>\r\n"
					    "In-Reply-To: <q@example.org>\r\n"
					    "References: <r@example.org>\r\n"
					    "Auto-Submitted: auto-replied\r\n"
					    "MIME-Version: 1.0\r\n"
					    "Content-Type: text/plain; charset=utf-8\r\n"
					    "Content-Transfer-Encoding: 7bit\r\n"
					    "\r\n"
					    "hello\r\n");
	buf_free(&out);
}

static void header_values(void **state)
{
	(void)state;
	static const struct {
		const char *name, *subject, *expect;
	} cases[] = {
		{ "Alice Example", "x", "From: Alice Example <sa@example.org>\r\n" },
		{ "Example, Alice", "x", "From: \"Example, Alice\" <sa@example.org>\r\n" },
		{ "a \"b\" \\c", "x", "From: \"a \\\"b\\\" \\\\c\" <sa@example.org>\r\n" },
		{ "J\303\266rg", "x", "From: =?utf-8?B?SsO2cmc=?= <sa@example.org>\r\n" },
		{ "=?utf-8?Q?x?=", "x",
		    "From: =?utf-8?B?PT91dGYtOD9RP3g/PQ==?= <sa@example.org>\r\n" },
		{ NULL, "x", "From: sa@example.org\r\n" },
		{ " ", "x", "From: sa@example.org\r\n" },
		{ NULL, "\342\202\254", "Subject: =?utf-8?B?4oKs?=\r\n" },
		{ NULL, "", "Subject:\r\n" },
		{ NULL,
		    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen",
		    "Subject: one two three four five six seven eight nine ten eleven twelve\r\n"
		    " thirteen fourteen\r\n" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf out = BUF_INIT;
		struct envelope_header h = plain_header();
		h.from_name = cases[i].name;
		h.subject = cases[i].subject;
		assert_int_equal(letter_write(&h, &hello, &out), ERR_OK);
		assert_has(&out, cases[i].expect);
		assert_wire_form(&out);
		buf_free(&out);
	}
}

/* Encoded words decoded again; folds between them vanish (RFC 2047 6.2). */
static void decode_words(const char *text, struct buf *out)
{
	for (const char *at = text; (at = strstr(at, "=?utf-8?B?")) != NULL;) {
		const char *start = at + strlen("=?utf-8?B?");
		const char *end = strstr(start, "?=");
		assert_non_null(end);
		assert_true(end + 2 - at <= 75);
		size_t before = out->len;
		assert_int_equal(base64_read(bytes_of(start, (size_t)(end - start)), out), ERR_OK);
		/* Each word holds whole characters (RFC 2047 5 (3)). */
		assert_true((out->data[before] & 0xc0) != 0x80);
		at = end;
	}
}

static void long_subject(void **state)
{
	(void)state;
	struct buf subject = BUF_INIT, out = BUF_INIT, again = BUF_INIT;
	for (int i = 0; i < 60; i++) {
		buf_add_text(&subject, i % 3 ? "\342\202\254" : "\303\274 x");
	}
	struct envelope_header h = plain_header();
	h.subject = buf_text(&subject);
	assert_int_equal(letter_write(&h, &hello, &out), ERR_OK);
	assert_wire_form(&out);
	decode_words(strstr(buf_text(&out), "Subject:"), &again);
	assert_string_equal(buf_text(&again), buf_text(&subject));
	buf_free(&again);
	buf_free(&out);
	buf_free(&subject);
}

static void nothing_is_injected(void **state)
{
	(void)state;
	struct buf out = BUF_INIT;
	struct part part = hello;
	struct envelope_header h = plain_header();
	h.from_name = "a\r\nBcc: b@example.org";
	h.subject = "s\r\nX-Evil: 1\r\n\r\nbody";
	part.name = "f\r\nX-Evil: 1\".txt";
	part.description = "d\nX-Evil: 1";
	assert_int_equal(letter_write(&h, &part, &out), ERR_OK);
	assert_wire_form(&out);
	assert_null(strstr(buf_text(&out), "\nBcc"));
	assert_null(strstr(buf_text(&out), "\nX-Evil"));
	assert_int_equal(count_of(&out, "\r\n\r\n"), 1);
	buf_free(&out);
}

static void refused_addresses(void **state)
{
	(void)state;
	static const struct {
		const char *address;
		bool good;
	} cases[] = {
		{ "a@b", true },
		{ "a.b+c@example.org", true },
		{ "\"a b\\\"\"@example.org", true },
		{ "j\303\266rg@example.org", true },
		{ "", false },
		{ "a", false },
		{ "@b", false },
		{ "a@", false },
		{ "a@b\r\nBcc: c@d", false },
		{ "a\n@b", false },
		{ "a@b, c@d", false },
		{ "a@b>", false },
		{ "a b@c", false },
		{ "\"a\nb\"@c", false },
		{ "\"a@c", false },
		{ "a@b@c", false },
		{ "a@[127.0.0.1]", false },
		{ "a\177@b", false },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		enum err expect = cases[i].good ? ERR_OK : ERR_DATA;
		struct buf out = BUF_INIT;
		struct envelope_header from = plain_header(), to = plain_header();
		from.from_address = cases[i].address;
		to.to_address = cases[i].address;
		assert_int_equal(letter_write(&from, &hello, &out), expect);
		buf_clear(&out);
		assert_int_equal(letter_write(&to, &hello, &out), expect);
		assert_int_equal(out.len > 0, cases[i].good);
		buf_free(&out);
	}
}

static void refused_ids(void **state)
{
	(void)state;
	char longest[1000];
	memset(longest, 'x', sizeof longest);
	longest[999] = '\0';
	const char *bad[] = { "", "a b", "a>", "<a", "a\r\nX: y", "\303\244@x", longest };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		for (int which = 0; which < 3; which++) {
			struct buf out = BUF_INIT;
			struct envelope_header h = plain_header();
			*(which == 0     ? &h.message_id
			    : which == 1 ? &h.in_reply_to
					 : &h.references) = bad[i];
			assert_int_equal(letter_write(&h, &hello, &out), ERR_DATA);
			assert_int_equal(out.len, 0);
			buf_free(&out);
		}
	}
}

static void bodies(void **state)
{
	(void)state;
	static const struct {
		const char *type;
		bool literal;
		const char *body, *expect;
	} cases[] = {
		{ "text/plain", false, "a\nb\r\n", "7bit\r\n\r\na\r\nb\r\n" },
		{ "text/plain", false, "a \n", "quoted-printable\r\n\r\na=20\r\n" },
		{ "text/plain", false, "From me\n", "quoted-printable\r\n\r\n=46rom me\r\n" },
		{ "text/plain", false, ".\n-- \n\303\274=\n",
		    "quoted-printable\r\n\r\n=2E\r\n--=20\r\n=C3=BC=3D\r\n" },
		{ "text/plain", false, "a\rb", "quoted-printable\r\n\r\na=0Db" },
		{ "text/plain", true, "- x \n", "7bit\r\n\r\n- x \r\n" },
		{ "application/pgp-keys", true, "-----BEGIN\n\nx\n",
		    "7bit\r\n\r\n-----BEGIN\r\n\r\nx\r\n" },
		{ "application/pgp-keys", true, "\303\274\n", "base64\r\n\r\nw7wK\r\n" },
		{ "application/octet-stream", false, "abc", "base64\r\n\r\nYWJj\r\n" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf out = BUF_INIT;
		struct part part = { .type = cases[i].type,
			.literal = cases[i].literal,
			.body = bytes_of_text(cases[i].body) };
		part_write(&part, &out);
		const char *at = strstr(buf_text(&out), "Encoding: ");
		assert_non_null(at);
		assert_string_equal(at + strlen("Encoding: "), cases[i].expect);
		buf_free(&out);
	}
}

static void quoted_printable_round_trip(void **state)
{
	(void)state;
	struct buf text = BUF_INIT, coded = BUF_INIT, again = BUF_INIT;
	for (int seed = 1; seed < 300; seed++) {
		buf_clear(&text);
		unsigned r = (unsigned)seed;
		for (int i = 0; i < 200; i++) {
			r = r * 1103515245u + 12345u;
			unsigned pick = r >> 16 & 15;
			if (pick == 0) {
				buf_add_text(&text, "\r\n");
			} else if (pick == 1) {
				buf_add_text(&text, " ");
			} else if (pick == 2) {
				buf_add_text(&text, "From .");
			} else {
				int c = (int)(r >> 20 & 0xff);
				buf_add_byte(&text, c == '\n' || c == '\r' ? '.' : c);
			}
		}
		buf_clear(&coded);
		buf_clear(&again);
		quoted_printable_add(&coded, buf_bytes(&text), "\r\n");
		for (size_t i = 0, column = 0; i < coded.len; i++) {
			column = coded.data[i] == '\n' ? 0 : column + 1;
			assert_true(column <= 77 && coded.data[i] < 0x7f);
		}
		quoted_printable_decode(buf_bytes(&coded), false, &again);
		assert_true(bytes_equal(buf_bytes(&again), buf_bytes(&text)));
	}
	buf_free(&again);
	buf_free(&coded);
	buf_free(&text);
}

static void file_names(void **state)
{
	(void)state;
	static const struct {
		const char *name, *expect;
	} cases[] = {
		{ "reply.countersign", "attachment; filename=\"reply.countersign\"\r\n" },
		{ "a \"b\".txt", "attachment; filename=\"a \\\"b\\\".txt\"\r\n" },
		{ "schl\303\274ssel?.asc",
		    "attachment; filename*=utf-8''schl%C3%BCssel%3F.asc\r\n" },
		{ "\303\274\303\274\303\274\303\274\303\274\303\274\303\274\303\274\303\274\303\274"
		  "\303\274\303\274.asc",
		    ";\r\n filename*0*=utf-8''%C3%BC%C3%BC%C3%BC" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf out = BUF_INIT;
		struct part part = hello;
		part.name = cases[i].name;
		part_write(&part, &out);
		assert_has(&out, cases[i].expect);
		buf_free(&out);
	}
}

static void signed_mail(void **state)
{
	(void)state;
	struct buf signed_part = BUF_INIT, out = BUF_INIT;
	const struct part children[] = { hello, { .type = "application/octet-stream",
						    .name = "x",
						    .body = { (const uint8_t *)"x", 1 } } };
	const struct part mixed = {
		.type = "multipart/mixed", .children = children, .child_count = 2
	};
	struct envelope_header h = plain_header();
	part_write(&mixed, &signed_part);
	assert_int_equal(letter_write_signed(&h, buf_bytes(&signed_part),
			     bytes_of_text("-----BEGIN PGP SIGNATURE-----\n"), "pgp-sha512", &out),
	    ERR_OK);
	assert_wire_form(&out);
	assert_has(&out,
	    "multipart/signed;\r\n protocol=\"application/pgp-signature\"; micalg=pgp-sha512");
	/* The very bytes, between a boundary line and the line end that belongs to the next (RFC 3156 5). */
	assert_has(&out, buf_text(&signed_part));
	const char *start = strstr(buf_text(&out), buf_text(&signed_part));
	assert_memory_equal(start - 2, "\r\n", 2);
	assert_memory_equal(start + signed_part.len, "\r\n--=_", 6);
	buf_free(&out);
	buf_free(&signed_part);
}

static void encrypted_mail(void **state)
{
	(void)state;
	struct buf out = BUF_INIT;
	struct envelope_header h = plain_header();
	assert_int_equal(
	    letter_write_encrypted(&h,
		bytes_of_text("-----BEGIN PGP MESSAGE-----\n\nx\n-----END PGP MESSAGE-----\n"),
		&out),
	    ERR_OK);
	assert_wire_form(&out);
	assert_has(&out, "multipart/encrypted; protocol=\"application/pgp-encrypted\"");
	assert_has(&out, "7bit\r\n\r\nVersion: 1\r\n");
	assert_has(&out, "7bit\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nx\r\n");
	buf_free(&out);
}

static void boundaries_differ(void **state)
{
	(void)state;
	struct buf a = BUF_INIT, b = BUF_INIT;
	const struct part mixed = {
		.type = "multipart/mixed", .children = &hello, .child_count = 1
	};
	part_write(&mixed, &a);
	part_write(&mixed, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_not_equal(a.data, b.data, a.len);
	/* 128 bits are 26 symbols. */
	const char *at = strstr(buf_text(&a), "boundary=\"=_");
	assert_non_null(at);
	assert_int_equal(strcspn(at + strlen("boundary=\"=_"), "\""), 26);
	char *x = message_id_make("example.org"), *y = message_id_make("example.org");
	assert_string_not_equal(x, y);
	assert_true(str_ends(x, "@example.org"));
	str_free(&x);
	str_free(&y);
	buf_free(&a);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_mail),
		cmocka_unit_test(header_values),
		cmocka_unit_test(long_subject),
		cmocka_unit_test(nothing_is_injected),
		cmocka_unit_test(refused_addresses),
		cmocka_unit_test(refused_ids),
		cmocka_unit_test(bodies),
		cmocka_unit_test(quoted_printable_round_trip),
		cmocka_unit_test(file_names),
		cmocka_unit_test(signed_mail),
		cmocka_unit_test(encrypted_mail),
		cmocka_unit_test(boundaries_differ),
	};
	secret_start();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
