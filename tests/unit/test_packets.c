#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "enroll/packets.h"

/*
 * Made by gpg 2.2.40: ed25519 and cv25519, two user IDs (alice@other.example.org first), each also certified by bob.
 * Packets: key, uid, own, foreign, uid, own, foreign, subkey, binding.
 */
static const char alice[] = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
			    "\n"
			    "mDMEauaBABYJKwYBBAHaRw8BAQdA4n8HoLNAUaeNMm5mQxsXr+hDA7c7eCC/7ZGD\n"
			    "yaf9Tuu0JUFsaWNlIE90aGVyIDxhbGljZUBvdGhlci5leGFtcGxlLm9yZz6IkAQT\n"
			    "FggAOBYhBH5vqGBld8sEm4c0JyJgG1dv2gu1BQJq5oEAAhsDBQsJCAcCBhUKCQgL\n"
			    "AgQWAgMBAh4BAheAAAoJECJgG1dv2gu1UzYBAO/gbrDCeAmpCRtP3Uh5nVd7L2Zk\n"
			    "tg3OvhyrpXJKFs52AP9HtSRM0vjhCbum6xFlBN4g8Z0IzbZpqJ2iNUiHIFR5DYh1\n"
			    "BBAWCAAdFiEETXbaCOgBF1ct9f92mDGTk9hhmuYFAmrmgQAACgkQmDGTk9hhmuZJ\n"
			    "rgD+O3Ift+rorMylwe0bI9rbViTBQ/Efk7kldqOVfa2u8JIBAO2iwGjg7xbv81qE\n"
			    "m6Um+8LQF2zr0F5TNa5Vc7ZfgcoAtCFBbGljZSBFeGFtcGxlIDxhbGljZUBleGFt\n"
			    "cGxlLm9yZz6IkAQTFggAOBYhBH5vqGBld8sEm4c0JyJgG1dv2gu1BQJq5oEAAhsD\n"
			    "BQsJCAcCBhUKCQgLAgQWAgMBAh4BAheAAAoJECJgG1dv2gu1cqMBAIdhXGQJXecx\n"
			    "4doeyWc4IGXCkR1EXupLDZBWUXqEwz2kAP9TS7kXgOcdHPuV7TV5Fq0oNnINks9O\n"
			    "NwTjevjqZWdsB4h1BBAWCAAdFiEETXbaCOgBF1ct9f92mDGTk9hhmuYFAmrmgQAA\n"
			    "CgkQmDGTk9hhmuZBnwD+MZk/ok1p9f2FTThpVbTiuQrhHITDcBT/7roPZAjda9wA\n"
			    "/i24qNbK+YKBR8ODFI9/LALtP8pV0zt52Lgv0uyGVlwCuDgEauaBABIKKwYBBAGX\n"
			    "VQEFAQEHQBhiB1ltghEpcCsapRffMtaNLH4mOrWHYp/EsvhzdbRqAwEIB4h4BBgW\n"
			    "CAAgFiEEfm+oYGV3ywSbhzQnImAbV2/aC7UFAmrmgQACGwwACgkQImAbV2/aC7VY\n"
			    "BQEA/uxwiAaxyHaax4vSPmXIyQW3+xL87k1TMOxkxR2eKegA/0afNcA8lRaaD/ya\n"
			    "dT2chp07s7n8kRB8U0fdKPjBp3gC\n"
			    "=0+Kl\n"
			    "-----END PGP PUBLIC KEY BLOCK-----\n";
#define KIND "PUBLIC KEY BLOCK"
static const uint8_t alice_id[8] = { 0x22, 0x60, 0x1b, 0x57, 0x6f, 0xda, 0x0b, 0xb5 };
static const uint8_t bob_id[8] = { 0x98, 0x31, 0x93, 0x93, 0xd8, 0x61, 0x9a, 0xe6 };

static void dearmor(const char *text, struct buf *out)
{
	assert_int_equal(armor_read(bytes_of_text(text), KIND, out, NULL), ERR_OK);
}

static char *replaced(const char *text, const char *from, const char *to)
{
	struct buf out = BUF_INIT;
	for (const char *p = text; *p;) {
		if (strncmp(p, from, strlen(from)) == 0) {
			buf_add_text(&out, to);
			p += strlen(from);
		} else {
			buf_add_byte(&out, *p++);
		}
	}
	return buf_take_text(&out);
}

static void expect_alice(const char *text)
{
	struct buf want = BUF_INIT, got = BUF_INIT;
	dearmor(alice, &want);
	enum err err = armor_read(bytes_of_text(text), KIND, &got, NULL);
	if (err)
		fail_msg("%s: %s", err_text(), text);
	assert_true(bytes_equal(buf_bytes(&want), buf_bytes(&got)));
	buf_free(&want);
	buf_free(&got);
}

/* P2.6 */
static void test_armor_mangled(void **state)
{
	(void)state;
	static const char *const changes[][2] = {
		{ "\n", "\r\n" },
		{ "\n", "  \n" },
		{ "\n", "\n\n" },
		{ "\n", "\r\r\n" },
		{ "\n", "=20\n" },
		{ "\n", "\n " },
		{ "\n=0+Kl", "\n=3D0+Kl" },
		{ "\n=0+Kl", "" },
		{ "BLOCK-----\n\n", "BLOCK-----\nVersion: 1\nComment: a: b\n\n" },
		{ "BLOCK-----\n\n", "BLOCK-----\n" },
		{ "Tuu0J", "Tuu0=\nJ" },
	};
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		char *text = replaced(alice, changes[i][0], changes[i][1]);
		expect_alice(text);
		str_free(&text);
	}
	char *around = str_printf("\xef\xbb\xbf%s-- \nfooter\n", alice);
	expect_alice(around);
	str_free(&around);
	around = str_printf("Hello: here it is\n\n%s\n____\nlist footer: =\n", alice);
	expect_alice(around);
	str_free(&around);
}

static void test_armor_padding(void **state)
{
	(void)state;
	static const char bytes[] =
	    "alice and bob and carol write 65 bytes, so that a line is full !!";
	for (size_t len = 0; len < sizeof(bytes); len++) {
		struct buf armored = BUF_INIT, back = BUF_INIT;
		armor_write("MESSAGE", bytes_of(bytes, len), &armored);
		char *quoted = replaced(buf_text(&armored), "=", "=3D");
		assert_int_equal(armor_read(buf_bytes(&armored), "MESSAGE", &back, NULL), ERR_OK);
		assert_true(bytes_equal(buf_bytes(&back), bytes_of(bytes, len)));
		buf_clear(&back);
		assert_int_equal(armor_read(bytes_of_text(quoted), "MESSAGE", &back, NULL), ERR_OK);
		assert_true(bytes_equal(buf_bytes(&back), bytes_of(bytes, len)));
		str_free(&quoted);
		buf_free(&armored);
		buf_free(&back);
	}
}

static void test_armor_write(void **state)
{
	(void)state;
	struct buf binary = BUF_INIT, text = BUF_INIT;
	dearmor(alice, &binary);
	armor_write(KIND, buf_bytes(&binary), &text);
	assert_string_equal(buf_text(&text), alice);
	buf_free(&binary);
	buf_free(&text);
}

static void test_armor_refused(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to, *error;
	} cases[] = {
		{ "-----BEGIN", "> -----BEGIN", "no OpenPGP" },
		{ "PUBLIC KEY BLOCK", "PRIVATE KEY BLOCK", "no OpenPGP" },
		{ "-----END", "-----AND", "cut off" },
		{ "=0+Kl", "=0+Km", "checksum" },
		{ "mDMEauaB", "mDMEauaC", "checksum" },
		{ "mDMEauaB", "mDME!uaB", "base64" },
		{ "mDMEauaB", "mDMEauaBA", "base64" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out = BUF_INIT;
		char *text = replaced(alice, cases[i].from, cases[i].to);
		assert_int_equal(armor_read(bytes_of_text(text), KIND, &out, NULL), ERR_DATA);
		assert_non_null(strstr(err_text(), cases[i].error));
		assert_int_equal(out.len, 0);
		str_free(&text);
		buf_free(&out);
	}
}

static void test_armor_find(void **state)
{
	(void)state;
	static const char text[] =
	    "see -----BEGIN PGP MESSAGE----- \r\n"
	    "-----BEGIN PGP SIGNED MESSAGE-----\n\n  -----BEGIN PGP MESSAGE-----\n\nAAAA\n"
	    "-----END PGP MESSAGE-----\nrest";
	struct bytes all = bytes_of_text(text);
	const uint8_t *after = NULL;
	struct buf out = BUF_INIT;
	assert_ptr_equal(armor_find(all, NULL), strstr(text, "-----BEGIN PGP SIGNED"));
	assert_ptr_equal(armor_find(all, "MESSAGE"), strstr(text, "  -----BEGIN PGP MESSAGE") + 2);
	assert_null(armor_find(all, "SIGNATURE"));
	assert_null(armor_find(bytes_of("", 0), NULL));
	assert_int_equal(armor_read(all, "MESSAGE", &out, &after), ERR_OK);
	assert_string_equal((const char *)after, "rest");
	assert_int_equal(out.len, 3);
	buf_free(&out);
}

static void test_summary(void **state)
{
	(void)state;
	struct buf key = BUF_INIT;
	dearmor(alice, &key);
	struct packet_summary s = packets_summarise(buf_bytes(&key));
	assert_int_equal(s.public_keys, 1);
	assert_int_equal(s.secret_keys, 0);
	assert_int_equal(s.user_ids, 2);
	assert_int_equal(s.subkeys, 1);
	assert_int_equal(s.signatures, 5);
	assert_int_equal(s.other, 0);
	assert_int_equal(s.version, 4);
	assert_false(s.malformed);
	for (size_t len = 1; len < key.len; len += 7)
		if (packets_summarise(bytes_of(key.data, len)).signatures == 0)
			assert_int_equal(
			    packets_summarise(bytes_of(key.data, len)).public_keys, len >= 53);
	buf_free(&key);
}

static void test_summary_forms(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t len;
		bool malformed;
		size_t secret, other;
	} cases[] = {
		{ "", 0, false, 0, 0 },
		{ "\x94\x01\x04", 3, false, 1, 0 },             /* old format, tag 5 */
		{ "\xc5\x01\x04\xc7\x01\x04", 6, false, 2, 0 }, /* new format, tags 5 and 7 */
		{ "\x95\x00\x01\x04", 4, false, 1, 0 },         /* two octets */
		{ "\x96\x00\x00\x00\x01\x04", 6, false, 1, 0 }, /* four octets */
		{ "\xc5\xff\x00\x00\x00\x01\x04", 7, false, 1, 0 },
		{ "\xb0\x03PGP", 5, false, 0, 1 }, /* trust, as an example of others */
		{ "\xca\x03PGP", 5, false, 0, 1 }, /* marker */
		{ "\x97\x04", 2, true, 0, 0 },     /* indeterminate */
		{ "\xc5\xe0\x04", 3, true, 0, 0 }, /* partial */
		{ "\xc5\x02\x04", 3, true, 0, 0 }, /* cut */
		{ "\xc5\xff\xff\xff\xff\xff\x04", 7, true, 0, 0 },
		{ "\xc5", 1, true, 0, 0 },
		{ "\x14\x01\x04", 3, true, 0, 0 }, /* no packet */
		{ "\xc5\x01\x04\n", 4, true, 1, 0 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct packet_summary s = packets_summarise(bytes_of(cases[i].bytes, cases[i].len));
		assert_int_equal(s.malformed, cases[i].malformed);
		assert_int_equal(s.secret_keys, cases[i].secret);
		assert_int_equal(s.other, cases[i].other);
	}
}

static void test_key_at(void **state)
{
	(void)state;
	struct buf key = BUF_INIT, blob = BUF_INIT;
	struct bytes found;
	dearmor(alice, &key);
	buf_add(&blob, "\xca\x03PGP", 5);
	buf_add(&blob, key.data, key.len);
	buf_add(&blob, key.data, key.len);
	buf_add(&blob, "\xc5\x01\x04", 3);
	for (size_t n = 0; n < 2; n++) {
		assert_true(packets_key_at(buf_bytes(&blob), n, &found));
		assert_true(bytes_equal(found, buf_bytes(&key)));
	}
	assert_false(packets_key_at(buf_bytes(&blob), 2, &found));
	assert_false(packets_key_at(bytes_of("", 0), 0, &found));
	assert_false(packets_key_at(bytes_of(key.data, key.len - 1), 0, &found));
	buf_free(&key);
	buf_free(&blob);
}

static bool keep_ending(const char *user_id, void *context)
{
	return str_ends(user_id, context);
}

static size_t count(const struct buf *hay, const void *needle, size_t len)
{
	size_t n = 0;
	for (size_t i = 0; i + len <= hay->len; i++)
		n += memcmp(hay->data + i, needle, len) == 0;
	return n;
}

static void reduce(struct bytes key, const char *ending, struct buf *out)
{
	char context[40];
	strcpy(context, ending);
	assert_int_equal(packets_reduce(key, keep_ending, context, out), ERR_OK);
}

static void test_reduce(void **state)
{
	(void)state;
	struct buf key = BUF_INIT, small = BUF_INIT, again = BUF_INIT;
	dearmor(alice, &key);
	reduce(buf_bytes(&key), "<alice@example.org>", &small);
	struct packet_summary s = packets_summarise(buf_bytes(&small));
	assert_false(s.malformed);
	assert_int_equal(s.public_keys, 1);
	assert_int_equal(s.user_ids, 1);
	assert_int_equal(s.subkeys, 1);
	assert_int_equal(s.signatures, 2);
	assert_int_equal(count(&small, "alice@example.org", 17), 1);
	assert_int_equal(count(&small, "other", 5), 0);
	assert_int_equal(count(&small, bob_id, 8), 0);
	/* the issuer's key ID stays: in the fingerprint and by itself, in both signatures */
	assert_int_equal(count(&small, alice_id, 8), 4);
	assert_true(small.len < key.len);

	reduce(buf_bytes(&small), "<alice@example.org>", &again);
	assert_true(bytes_equal(buf_bytes(&small), buf_bytes(&again)));
	buf_free(&again);
	buf_free(&small);

	reduce(buf_bytes(&key), "nobody", &small);
	assert_int_equal(packets_summarise(buf_bytes(&small)).user_ids, 0);
	assert_int_equal(packets_summarise(buf_bytes(&small)).signatures, 1);
	buf_free(&small);
	buf_free(&key);
}

/* A version 4 signature packet with these subpacket areas. */
static void put_signature(struct buf *out, int type, struct bytes hashed, struct bytes unhashed)
{
	buf_add_byte(out, 0xc2);
	buf_add_byte(out, (int)(14 + hashed.len + unhashed.len));
	buf_add_byte(out, 4);
	buf_add_byte(out, type);
	buf_add(out, "\x16\x08", 2);
	buf_add_byte(out, 0);
	buf_add_byte(out, (int)hashed.len);
	buf_add(out, hashed.data, hashed.len);
	buf_add_byte(out, 0);
	buf_add_byte(out, (int)unhashed.len);
	buf_add(out, unhashed.data, unhashed.len);
	buf_add(out, "\xab\xcd\x00\x01\x01\x02", 6);
}
#define NO_BYTES bytes_of("", 0)
#define LITERAL(s) bytes_of(s, sizeof(s) - 1)
#define ISSUER_A \
	"\x09\x10" \
	"AAAAAAAA"
#define ISSUER_B \
	"\x09\x10" \
	"BBBBBBBB"
#define FINGERPRINT_A \
	"\x16\x21\x04" \
	"ffffffffffffAAAAAAAA"

static void put_packet(struct buf *out, int tag, const char *body)
{
	buf_add_byte(out, 0xc0 | tag);
	buf_add_byte(out, (int)strlen(body));
	buf_add_text(out, body);
}

/* Which signatures stay, where, and with which subpackets. */
static void test_reduce_signatures(void **state)
{
	(void)state;
	struct buf key = BUF_INIT, want = BUF_INIT, got = BUF_INIT;

	put_packet(&key, 6, "\x04key");
	put_packet(&want, 6, "\x04key");
	put_signature(
	    &key, 0x20, NO_BYTES, LITERAL(ISSUER_B)); /* a designated revoker's: gpg decides */
	put_signature(&want, 0x20, NO_BYTES, LITERAL(ISSUER_B));
	put_signature(&key, 0x1f, LITERAL(FINGERPRINT_A), NO_BYTES);
	put_signature(&want, 0x1f, LITERAL(FINGERPRINT_A), NO_BYTES);
	put_signature(&key, 0x1f, NO_BYTES, LITERAL(ISSUER_B)); /* foreign */
	put_signature(&key, 0x18, NO_BYTES, LITERAL(ISSUER_A)); /* not its place */
	put_packet(&key, 12, "trust");
	put_packet(&key, 17, "photo");
	put_signature(&key, 0x10, NO_BYTES, LITERAL(ISSUER_A)); /* on the photo */
	put_packet(&key, 13, "other");
	put_signature(&key, 0x10, NO_BYTES, LITERAL(ISSUER_A));
	put_packet(&key, 13, "alice");
	put_packet(&want, 13, "alice");
	put_signature(&key, 0x13,
	    LITERAL("\x05\x02"
		    "1234"),
	    LITERAL("\x03\x14nn" ISSUER_A "\x02\x64x"));
	put_signature(&want, 0x13,
	    LITERAL("\x05\x02"
		    "1234"),
	    LITERAL(ISSUER_A));
	put_signature(&key, 0x30, NO_BYTES, LITERAL(ISSUER_A));
	put_signature(&want, 0x30, NO_BYTES, LITERAL(ISSUER_A));
	put_signature(&key, 0x13, NO_BYTES, NO_BYTES); /* names nobody */
	put_signature(&want, 0x13, NO_BYTES, NO_BYTES);
	put_signature(&key, 0x10, NO_BYTES, LITERAL(ISSUER_B)); /* foreign */
	put_signature(&key, 0x18, NO_BYTES, LITERAL(ISSUER_A)); /* not its place */
	put_packet(&key, 14, "sub");
	put_packet(&want, 14, "sub");
	put_signature(&key, 0x18, LITERAL(FINGERPRINT_A),
	    LITERAL("\x03\x20zz"
		    "\x05\x02"
		    "1234"));
	put_signature(&want, 0x18, LITERAL(FINGERPRINT_A), LITERAL("\x03\x20zz"));
	put_signature(&key, 0x28, NO_BYTES, LITERAL(ISSUER_A));
	put_signature(&want, 0x28, NO_BYTES, LITERAL(ISSUER_A));
	put_packet(&key, 63, "private");

	reduce(buf_bytes(&key), "alice", &got);
	assert_true(bytes_equal(buf_bytes(&want), buf_bytes(&got)));
	buf_free(&got);
	buf_free(&key);
	buf_free(&want);
}

/* No binding says who the primary is: nothing of the user ID is lost. */
static void test_reduce_without_binding(void **state)
{
	(void)state;
	struct buf key = BUF_INIT, got = BUF_INIT;
	put_packet(&key, 6, "\x04key");
	put_packet(&key, 13, "alice");
	put_signature(&key, 0x13, NO_BYTES, LITERAL(ISSUER_A));
	put_signature(&key, 0x10, NO_BYTES, LITERAL(ISSUER_B));
	reduce(buf_bytes(&key), "alice", &got);
	assert_true(bytes_equal(buf_bytes(&key), buf_bytes(&got)));
	buf_free(&got);
	buf_free(&key);
}

static void test_reduce_lengths(void **state)
{
	(void)state;
	static const size_t lengths[] = { 0, 1, 191, 192, 193, 8383, 8384, 70000 };
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct buf key = BUF_INIT, got = BUF_INIT;
		put_packet(&key, 6, "\x04key");
		buf_add(&key, "\xce\xff", 2);
		for (int shift = 24; shift >= 0; shift -= 8)
			buf_add_byte(&key, (int)(lengths[i] >> shift & 255));
		for (size_t n = 0; n < lengths[i]; n++)
			buf_add_byte(&key, 's');
		reduce(buf_bytes(&key), "", &got);
		size_t head = lengths[i] < 192 ? 2 : lengths[i] < 8384 ? 3 : 6;
		assert_int_equal(got.len, 6 + head + lengths[i]);
		assert_int_equal(packets_summarise(buf_bytes(&got)).subkeys, 1);
		assert_false(packets_summarise(buf_bytes(&got)).malformed);
		buf_free(&got);
		buf_free(&key);
	}
}

static void test_reduce_refused(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t len;
		const char *error;
	} cases[] = {
		{ "", 0, "0 keys" },
		{ "\xc6\x01\x04\xc6\x01\x04", 6, "2 keys" },
		{ "\xc6\x01\x04\xc7\x01\x04", 6, "secret" },
		{ "\xc5\x01\x04", 3, "secret" },
		{ "\xc6\x01\x03", 3, "version 3" },
		{ "\xc6\x01\x06", 3, "version 6" },
		{ "\xc6\x00", 2, "version 0" },
		{ "\xc6\x01\x04\n", 4, "sequence" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out = BUF_INIT;
		char nothing[] = "";
		assert_int_equal(packets_reduce(bytes_of(cases[i].bytes, cases[i].len), keep_ending,
				     nothing, &out),
		    ERR_DATA);
		assert_non_null(strstr(err_text(), cases[i].error));
		assert_int_equal(out.len, 0);
		buf_free(&out);
	}
}

/* One session key packet: version 3, key ID, ECDH, a number of `bits` with `bytes` bytes that begins with 0x40, then a wrapped key. */
static void add_session(
    struct buf *out, unsigned algorithm, unsigned bits, size_t bytes, size_t wrapped)
{
	struct buf body = BUF_INIT;

	buf_add(&body, "\3ABCDEFGH", 9);
	buf_add_byte(&body, (int)algorithm);
	buf_add_byte(&body, (int)(bits >> 8));
	buf_add_byte(&body, (int)(bits & 255));
	for (size_t i = 0; i < bytes; i++)
		buf_add_byte(&body, i ? 0x11 : 0x40);
	if (algorithm == 18) {
		buf_add_byte(&body, (int)wrapped);
		for (size_t i = 0; i < wrapped; i++)
			buf_add_byte(&body, 0x22);
	}
	buf_add_byte(out, 0xC1);
	if (body.len >= 192) {
		buf_add_byte(out, (int)(192 + ((body.len - 192) >> 8)));
		buf_add_byte(out, (int)((body.len - 192) & 255));
	} else {
		buf_add_byte(out, (int)body.len);
	}
	buf_add(out, body.data, body.len);
	buf_free(&body);
}

static const char protected_data[] = "\xD2\x05\x01zzzz";
#define DATA protected_data, sizeof protected_data - 1

static void what_may_reach_gpg(void **state)
{
	static const struct {
		unsigned algorithm, bits;
		size_t bytes, wrapped;
		bool kept;
	} cases[] = {
		{ 18, 263, 33, 48, true },
		{ 18, 263, 33, 40, true },
		{ 18, 7, 1, 48, false },
		{ 18, 263, 1, 48, false },
		{ 18, 255, 32, 48, false },
		{ 18, 264, 33, 48, false },
		{ 1, 2047, 256, 0, true },
		{ 1, 2047, 255, 0, false },
		{ 1, 0, 0, 0, false },
		{ 16, 2047, 256, 0, false },
		{ 22, 263, 33, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf in = BUF_INIT, out = BUF_INIT;
		add_session(
		    &in, cases[i].algorithm, cases[i].bits, cases[i].bytes, cases[i].wrapped);
		buf_add(&in, DATA);
		assert_int_equal(
		    packets_sealed(buf_bytes(&in), &out), cases[i].kept ? ERR_OK : ERR_DATA);
		if (cases[i].kept)
			assert_true(bytes_equal(buf_bytes(&in), buf_bytes(&out)));
		buf_free(&in);
		buf_free(&out);
	}
}

static void odd_session_keys_are_left_out(void **state)
{
	struct buf good = BUF_INIT, in = BUF_INIT, out = BUF_INIT;

	(void)state;
	add_session(&good, 18, 263, 33, 48);
	buf_add(&good, DATA);
	buf_add(&in, "\xC3\x04pass", 6); /* for a password */
	add_session(&in, 18, 7, 1, 48);
	add_session(&in, 18, 263, 33, 48);
	buf_add(&in, DATA);
	assert_int_equal(packets_sealed(buf_bytes(&in), &out), ERR_OK);
	assert_true(bytes_equal(buf_bytes(&good), buf_bytes(&out)));
	/* Cut anywhere, or with anything behind it, it is refused. */
	for (size_t len = 0; len < good.len; len++) {
		buf_clear(&out);
		assert_int_equal(packets_sealed(bytes_of(good.data, len), &out), ERR_DATA);
	}
	buf_add_byte(&good, 0xC1);
	assert_int_equal(packets_sealed(buf_bytes(&good), &out), ERR_DATA);
	buf_free(&good);
	buf_free(&in);
	buf_free(&out);
}

static void no_more_than_sixteen(void **state)
{
	(void)state;
	for (int n = 15; n <= 18; n++) {
		struct buf in = BUF_INIT, out = BUF_INIT;
		for (int i = 0; i < n; i++)
			add_session(&in, 18, 263, 33, 48);
		buf_add(&in, DATA);
		assert_int_equal(packets_sealed(buf_bytes(&in), &out), n <= 16 ? ERR_OK : ERR_DATA);
		buf_free(&in);
		buf_free(&out);
	}
}

static void data_in_chunks(void **state)
{
	struct buf in = BUF_INIT, out = BUF_INIT;

	(void)state;
	add_session(&in, 18, 263, 33, 48);
	buf_add(&in,
	    "\xD2\xE2"
	    "abcd"
	    "\xE1"
	    "ef"
	    "\x03xyz",
	    1 + 5 + 3 + 4); /* four bytes, two, then three to the end */
	assert_int_equal(packets_sealed(buf_bytes(&in), &out), ERR_OK);
	in.len--;
	buf_clear(&out);
	assert_int_equal(packets_sealed(buf_bytes(&in), &out), ERR_DATA);
	buf_free(&in);
	buf_free(&out);
}

#define ISSUER "\x16\x21\x04" /* subpacket 33 of 22 octets, version 4 */
#define TWENTY "\x7e\x6f\xa8\x60\x65\x77\xcb\x04\x9b\x87\x34\x27\x22\x60\x1b\x57\x6f\xda\x0b\xb5"
#define TWENTY_HEX "7E6FA8606577CB049B87342722601B576FDA0BB5"

/* P3.8: what a blob's key revocations name as their issuer; nothing else of it matters. */
static void test_revocations(void **state)
{
	static const struct {
		const char *what;
		int type;
		const char *hashed, *unhashed;
		size_t hashed_len, unhashed_len;
		bool found;
	} cases[] = {
		{ "hashed", 0x20, ISSUER TWENTY, "", 23, 0, true },
		{ "unhashed", 0x20, "", ISSUER TWENTY, 0, 23, true },
		{ "a certification", 0x13, ISSUER TWENTY, "", 23, 0, false },
		{ "a subkey's revocation", 0x28, ISSUER TWENTY, "", 23, 0, false },
		{ "nameless", 0x20, "", "", 0, 0, false },
		{ "a key ID only", 0x20, "\x09\x10\x22\x60\x1b\x57\x6f\xda\x0b\xb5", "", 10, 0,
		    false },
		{ "version 5", 0x20, "\x16\x21\x05" TWENTY, "", 23, 0, false },
		{ "cut", 0x20, "\x16\x21\x04\x7e", "", 4, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf alone = BUF_INIT, whole = BUF_INIT, key = BUF_INIT;
		struct bytes found = { 0 };
		char fingerprint[41] = "";
		dearmor(alice, &key);
		put_signature(&alone, cases[i].type, bytes_of(cases[i].hashed, cases[i].hashed_len),
		    bytes_of(cases[i].unhashed, cases[i].unhashed_len));
		assert_int_equal(packets_graft(buf_bytes(&key), buf_bytes(&alone), &whole), ERR_OK);
		assert_int_equal(whole.len, key.len + alone.len);
		struct bytes blobs[] = { buf_bytes(&alone), buf_bytes(&whole) };
		for (size_t n = 0; n < 2; n++) {
			if (packets_revocation_at(blobs[n], 0, &found, fingerprint) !=
			    cases[i].found)
				fail_msg("%s", cases[i].what);
			assert_false(packets_revocation_at(blobs[n], 1, &found, fingerprint));
			if (cases[i].found) {
				assert_string_equal(fingerprint, TWENTY_HEX);
				assert_true(bytes_equal(found, buf_bytes(&alone)));
			}
		}
		buf_free(&alone);
		buf_free(&whole);
		buf_free(&key);
	}
}

static void test_revocations_counted(void **state)
{
	struct buf two = BUF_INIT, grafted = BUF_INIT;
	struct bytes found;
	char fingerprint[41];

	(void)state;
	for (int i = 0; i < 2; i++)
		put_signature(&two, 0x20, bytes_of(ISSUER TWENTY, 23), bytes_of(NULL, 0));
	assert_true(packets_revocation_at(buf_bytes(&two), 1, &found, fingerprint));
	assert_int_equal(found.len, two.len / 2);
	assert_false(packets_revocation_at(buf_bytes(&two), 2, &found, fingerprint));
	assert_int_equal(packets_graft(buf_bytes(&two), found, &grafted), ERR_DATA); /* no key */
	assert_int_equal(packets_graft(bytes_of(NULL, 0), found, &grafted), ERR_DATA);
	assert_int_equal(grafted.len, 0);
	buf_free(&two);
	buf_free(&grafted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_may_reach_gpg),
		cmocka_unit_test(odd_session_keys_are_left_out),
		cmocka_unit_test(no_more_than_sixteen),
		cmocka_unit_test(data_in_chunks),
		cmocka_unit_test(test_armor_mangled),
		cmocka_unit_test(test_armor_padding),
		cmocka_unit_test(test_armor_write),
		cmocka_unit_test(test_armor_refused),
		cmocka_unit_test(test_armor_find),
		cmocka_unit_test(test_summary),
		cmocka_unit_test(test_summary_forms),
		cmocka_unit_test(test_key_at),
		cmocka_unit_test(test_revocations),
		cmocka_unit_test(test_revocations_counted),
		cmocka_unit_test(test_reduce),
		cmocka_unit_test(test_reduce_signatures),
		cmocka_unit_test(test_reduce_without_binding),
		cmocka_unit_test(test_reduce_lengths),
		cmocka_unit_test(test_reduce_refused),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
