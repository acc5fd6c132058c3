/* A reply is found in whatever mail systems make of it (P2.6): always the same bytes, so that it is known again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/local.c"
#include "client/local_keyset.c"
#include "client/local_request.c"
#include "client/received.c"
#include "client/record.c"

static char directory[] = "/dev/shm/received.XXXXXX";
static const uint8_t message[] =
    "\x85\x01\x0c\x03some bytes that are no text at all \xff\xfe\x00 and more of them, so that there are several lines";
static struct buf armored;

enum err reading_mail(struct bytes mail, struct message *out)
{
	const struct message_limits limits = { READING_BYTES_MAX, 65536, 20, 100 };

	return message_parse(mail, &limits, out); /* unconfined: the sanitizers want to see it */
}

static void add_reply_part(struct buf *out, bool as_base64)
{
	buf_add_text(out,
	    "Content-Type: application/vnd.countersign.reply; name=reply.countersign\r\n"
	    "Content-Disposition: attachment; filename=reply.countersign\r\n");
	if (as_base64) {
		buf_add_text(out, "Content-Transfer-Encoding: base64\r\n\r\n");
		base64_add(out, buf_bytes(&armored), 76, "\r\n");
	} else {
		buf_add_text(out, "\r\n");
		buf_add(out, armored.data, armored.len);
	}
}

static void write_mail(struct buf *out, bool as_base64)
{
	buf_add_text(out,
	    "From: sa@example.org\r\nTo: alice@example.org\r\nSubject: Reply\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nOpen it.\r\n--b\r\n");
	add_reply_part(out, as_base64);
	buf_add_text(out, "\r\n--b--\r\n");
}

static void write_with_ends(struct buf *out, const char *end)
{
	struct bytes rest = buf_bytes(&armored), line;

	while (bytes_line(&rest, &line)) {
		buf_add(out, line.data, line.len);
		buf_add_text(out, end);
	}
}

static void write_shape(int shape, struct buf *out)
{
	switch (shape) {
	case 0:
		buf_add(out, armored.data, armored.len);
		break;
	case 1:
		buf_add(out, message, sizeof(message));
		break;
	case 2:
		write_with_ends(out, "\r\n");
		break;
	case 3:
		buf_add_text(out, "\xef\xbb\xbf\r\n");
		write_with_ends(out, "  \n");
		break;
	case 4:
		write_with_ends(out, "\n");
		buf_add_text(out, "\n--\nThis footer was added by a list.\n");
		break;
	case 5:
		write_mail(out, false);
		break;
	case 6:
		write_mail(out, true);
		break;
	case 7:
		buf_add_text(out,
		    "From: bob@example.org\r\nSubject: Fwd\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n");
		write_mail(out, false);
		break;
	default:
		buf_add_text(out, "Subject: in line\r\n\r\n");
		buf_add(out, armored.data, armored.len);
		break;
	}
}

static enum err receive(struct bytes text, struct opening *o, struct options *options)
{
	char *path = path_join(directory, "reply");
	enum err e = file_write(path, 0600, text);

	assert_int_equal(e, ERR_OK);
	memset(o, 0, sizeof(*o));
	memset(options, 0, sizeof(*options));
	options->operand = path;
	o->options = options;
	e = reply_read(o);
	str_free(&path);
	return e;
}

static void let_go(struct opening *o)
{
	for (size_t i = 0; i < CANDIDATES_MAX; i++) {
		buf_free(&o->messages[i]);
		buf_free(&o->cleartexts[i]);
	}
	local_keyset_clear(&o->keyset);
	str_free(&o->damage);
}

static void test_shapes(void **state)
{
	(void)state;
	for (int shape = 0; shape <= 8; shape++) {
		struct buf text = BUF_INIT;
		struct options options;
		struct opening o;

		write_shape(shape, &text);
		if (receive(buf_bytes(&text), &o, &options) != ERR_OK || o.message_count == 0)
			fail_msg("shape %d: nothing found: %s", shape, err_text());
		if (!bytes_equal(buf_bytes(&o.messages[0]), bytes_of(message, sizeof(message))))
			fail_msg("shape %d: other bytes", shape);
		let_go(&o);
		buf_free(&text);
	}
}

static void test_refusal(void **state)
{
	static const char cleartext[] =
	    "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nCountersign-Reply: 1\n"
	    "-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n";
	struct buf text = BUF_INIT;
	struct options options;
	struct opening o;

	(void)state;
	buf_add_text(&text, "\xef\xbb\xbf");
	buf_add_text(&text, cleartext);
	assert_int_equal(receive(buf_bytes(&text), &o, &options), ERR_OK);
	assert_int_equal(o.message_count, 0);
	assert_int_equal(o.cleartext_count, 1);
	assert_string_equal(buf_text(&o.cleartexts[0]), cleartext);
	let_go(&o);
	buf_free(&text);
}

/* What is there in part is not said to be absent. */
static void test_damaged(void **state)
{
	static const char *const texts[] = {
		"-----BEGIN PGP MESSAGE-----\n\nhF4D\n",
		"-----BEGIN PGP MESSAGE-----\n\nnot base64!\n-----END PGP MESSAGE-----\n",
		"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nCountersign-Reply: 1\n",
		"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
		"Content-Type: application/vnd.countersign.reply\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct options options;
		struct opening o;

		assert_int_equal(receive(bytes_of_text(texts[i]), &o, &options), ERR_DATA);
		if (strstr(err_text(), "damaged or incomplete") == NULL)
			fail_msg("case %zu: %s", i, err_text());
		let_go(&o);
	}
}

static void test_nothing(void **state)
{
	static const char *const texts[] = { "", " \n", "Subject: hello\r\n\r\nHello.\r\n",
		"just text",
		"-----BEGIN PGP MESSAGE-----\n\nnot base64!\n-----END PGP MESSAGE-----\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct options options;
		struct opening o;

		if (receive(bytes_of_text(texts[i]), &o, &options) != ERR_DATA)
			fail_msg("case %zu: something was found", i);
		let_go(&o);
	}
}

static void test_opened_before(void **state)
{
	struct local_keyset keyset = { .address = str_dup("alice@example.org"),
		.keyset = str_dup("default"),
		.level = str_dup("medium"),
		.home = str_dup("/nowhere"),
		.authority_address = str_dup("sa@example.org") };
	struct options options;
	struct opening o;

	(void)state;
	assert_int_equal(receive(buf_bytes(&armored), &o, &options), ERR_OK);
	assert_int_equal(reply_find_opened(&o), ERR_OK);
	assert_null(o.keyset.id);
	keyset.reply = reply_hash(&o.messages[0]);
	assert_int_equal(local_keyset_save(&keyset), ERR_OK);
	assert_int_equal(reply_find_opened(&o), ERR_OK);
	assert_string_equal(o.keyset.id, keyset.id);
	local_keyset_clear(&keyset);
	let_go(&o);
}

static int setup(void **state)
{
	(void)state;
	secret_start();
	if (mkdtemp(directory) == NULL || setenv("XDG_DATA_HOME", directory, 1) != 0)
		return -1;
	armor_write("MESSAGE", bytes_of(message, sizeof(message)), &armored);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_free(&armored);
	return file_remove_tree(directory) == ERR_OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_opened_before),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
