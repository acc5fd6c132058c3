#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "enroll/deposit.h"
#include "enroll/internal.h"
#include "enroll/packets.h"

/* Made by gpg 2.2.40 for this test alone: ed25519 primary, cv25519 subkey, ed25519 subkey. */
static const char alice_public[] =
    "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
    "\n"
    "mDMEawO4KRYJKwYBBAHaRw8BAQdAjoZ1M0OFiV6DtNFqkxBHoWedmJckLl4NaiR+\n"
    "3mW3dRW0GUFsaWNlIDxhbGljZUBleGFtcGxlLm9yZz6IkAQTFggAOBYhBELGi5eZ\n"
    "uDFkGxu4ChwZrMX97OHCBQJrA7gpAhsDBQsJCAcCBhUKCQgLAgQWAgMBAh4BAheA\n"
    "AAoJEBwZrMX97OHC3PcBAKrfopIHJF7psbxXWEgT6jhEQ8GAkYvDVksoI7Ha+9/j\n"
    "APoCVfNzxYGXjSobIkjXSxtxoLeFOb8JfTrzy9nat584ALg4BGsDuCkSCisGAQQB\n"
    "l1UBBQEBB0CF+gORtMLhoT51hTsm4wxg9mb5i7YYz8MB6yn9MTx3VgMBCAeIeAQY\n"
    "FggAIBYhBELGi5eZuDFkGxu4ChwZrMX97OHCBQJrA7gpAhsMAAoJEBwZrMX97OHC\n"
    "TfMA/jbt/Sgu46x93kL4Ro5H4wyu22Sje74Yzl7JfLEW9PDGAQDGV03yC7WlFZOz\n"
    "rF216QneVsn1vXHWu61l4wOCwzcsDbgzBGsDuCkWCSsGAQQB2kcPAQEHQFmsvLph\n"
    "id/fuvaJWRvdnj4Q/wKrS5fINrC5h4TdVOMziO8EGBYIACAWIQRCxouXmbgxZBsb\n"
    "uAocGazF/ezhwgUCawO4KQIbAgCBCRAcGazF/ezhwnYgBBkWCAAdFiEEQXOwLiit\n"
    "fWaIrwrnMpsdfPYJ26gFAmsDuCkACgkQMpsdfPYJ26jl8gEApmcTrLiB3hcf1L6N\n"
    "Z49KcQah/f0nQ98t3FO8sasay/AA/0Mz+KdOyYSaGWrbZKRaqQ9kfc2m5U09n4LR\n"
    "bTyfK0gNxiQBAIcpvf7trPxaFz2Fm0X+VnG7koLn7Fbhy0opneNqaTLBAQCWycWZ\n"
    "E0yu56TbZKC5+h/5k7zB18LTqp21SU20TfFQAA==\n"
    "=BiB2\n"
    "-----END PGP PUBLIC KEY BLOCK-----\n";
/* Packets: primary, user ID, own, encryption subkey, binding, signing subkey, binding. */
static const char alice_secret[] =
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\n"
    "\n"
    "lFgEawO4KRYJKwYBBAHaRw8BAQdAjoZ1M0OFiV6DtNFqkxBHoWedmJckLl4NaiR+\n"
    "3mW3dRUAAQCnZbpq/XEn2mQRDk75eLaUyy0c/stibAtukEeBceDWaRA4tBlBbGlj\n"
    "ZSA8YWxpY2VAZXhhbXBsZS5vcmc+iJAEExYIADgWIQRCxouXmbgxZBsbuAocGazF\n"
    "/ezhwgUCawO4KQIbAwULCQgHAgYVCgkICwIEFgIDAQIeAQIXgAAKCRAcGazF/ezh\n"
    "wtz3AQCq36KSByRe6bG8V1hIE+o4REPBgJGLw1ZLKCOx2vvf4wD6AlXzc8WBl40q\n"
    "GyJI10sbcaC3hTm/CX0688vZ2refOACcXQRrA7gpEgorBgEEAZdVAQUBAQdAhfoD\n"
    "kbTC4aE+dYU7JuMMYPZm+Yu2GM/DAesp/TE8d1YDAQgHAAD/R+gden/f/7eQ7/nE\n"
    "39TyeyltY4SLLm/CO5S0OoqJs+AT/4h4BBgWCAAgFiEEQsaLl5m4MWQbG7gKHBms\n"
    "xf3s4cIFAmsDuCkCGwwACgkQHBmsxf3s4cJN8wD+Nu39KC7jrH3eQvhGjkfjDK7b\n"
    "ZKN7vhjOXsl8sRb08MYBAMZXTfILtaUVk7OsXbXpCd5WyfW9cda7rWXjA4LDNywN\n"
    "nFgEawO4KRYJKwYBBAHaRw8BAQdAWay8umGJ39+69olZG92ePhD/AqtLl8g2sLmH\n"
    "hN1U4zMAAP4nFDEDykK0qqoh+gYicf6mkmCal+3ealBN5rhcNJICkhAiiO8EGBYI\n"
    "ACAWIQRCxouXmbgxZBsbuAocGazF/ezhwgUCawO4KQIbAgCBCRAcGazF/ezhwnYg\n"
    "BBkWCAAdFiEEQXOwLiitfWaIrwrnMpsdfPYJ26gFAmsDuCkACgkQMpsdfPYJ26jl\n"
    "8gEApmcTrLiB3hcf1L6NZ49KcQah/f0nQ98t3FO8sasay/AA/0Mz+KdOyYSaGWrb\n"
    "ZKRaqQ9kfc2m5U09n4LRbTyfK0gNxiQBAIcpvf7trPxaFz2Fm0X+VnG7koLn7Fbh\n"
    "y0opneNqaTLBAQCWycWZE0yu56TbZKC5+h/5k7zB18LTqp21SU20TfFQAA==\n"
    "=C8C2\n"
    "-----END PGP PRIVATE KEY BLOCK-----\n";
/* As gpg exports SUBKEY!: stub, user ID, own, encryption subkey, binding. */
static const char bob_deposit[] =
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\n"
    "\n"
    "lDsEawO4KRYJKwYBBAHaRw8BAQdAvvcSLUtrBhKgyil9XI8ka0w5q0zFi6ke5H7s\n"
    "mod+4hX/AGUAR05VAbQVQm9iIDxib2JAZXhhbXBsZS5vcmc+iJAEExYIADgWIQTx\n"
    "tvA0Ubl+Sdrf+cpTnpfOyc0lSQUCawO4KQIbAwULCQgHAgYVCgkICwIEFgIDAQIe\n"
    "AQIXgAAKCRBTnpfOyc0lSYBsAQDIzcYbVXMephj1+d+uJUSVgo0Qb8RtvcLAvv8+\n"
    "g8cs5QD+KwVgJSW80b7EU7fxYdgO1QOC8Ylr2TajhXvhMTXffwycXQRrA7gpEgor\n"
    "BgEEAZdVAQUBAQdAZU++xu4s5xGSY3ebQSqxEAxLruPUK9s2sn4NCArGzTYDAQgH\n"
    "AAD/UlvcZZk5ORRtJ/sIdYxQtHU0uq8ALWm+fPQsqGoYdVAOmYh4BBgWCAAgFiEE\n"
    "8bbwNFG5fkna3/nKU56XzsnNJUkFAmsDuCkCGwwACgkQU56XzsnNJUlSQAEA+PiY\n"
    "Vy996+nZveASmI2W8uVsoXQ/RXF1GL3i3aNQlAIA/2nFWxYKduh/yP+9JibzCLE8\n"
    "1A7MlhszJ7QeVJtjUIgI\n"
    "=QABe\n"
    "-----END PGP PRIVATE KEY BLOCK-----\n";
/* The same of alice, behind a password. */
static const char alice_protected[] =
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\n"
    "\n"
    "lDsEawO4KRYJKwYBBAHaRw8BAQdAjoZ1M0OFiV6DtNFqkxBHoWedmJckLl4NaiR+\n"
    "3mW3dRX/AGUAR05VAbQZQWxpY2UgPGFsaWNlQGV4YW1wbGUub3JnPoiQBBMWCAA4\n"
    "FiEEQsaLl5m4MWQbG7gKHBmsxf3s4cIFAmsDuCkCGwMFCwkIBwIGFQoJCAsCBBYC\n"
    "AwECHgECF4AACgkQHBmsxf3s4cLc9wEAqt+ikgckXumxvFdYSBPqOERDwYCRi8NW\n"
    "Sygjsdr73+MA+gJV83PFgZeNKhsiSNdLG3Ggt4U5vwl9OvPL2dq3nzgAnIsEawO4\n"
    "KRIKKwYBBAGXVQEFAQEHQIX6A5G0wuGhPnWFOybjDGD2ZvmLthjPwwHrKf0xPHdW\n"
    "AwEIB/4HAwL1QDu9EwiNiP/5hpfdwiKVnMOaw5BFUYlvKhhdzaTqW1TNv6Q11qmw\n"
    "bSsvn96EcHysIpbw4SL6o3KrOzK2jsZMYk2EGv6IdrFrlC6AuyrwiHgEGBYIACAW\n"
    "IQRCxouXmbgxZBsbuAocGazF/ezhwgUCawO4KQIbDAAKCRAcGazF/ezhwk3zAP42\n"
    "7f0oLuOsfd5C+EaOR+MMrttko3u+GM5eyXyxFvTwxgEAxldN8gu1pRWTs6xdtekJ\n"
    "3lbJ9b1x1rutZeMDgsM3LA0=\n"
    "=NKbn\n"
    "-----END PGP PRIVATE KEY BLOCK-----\n";

#define PRIMARY "42C68B9799B831641B1BB80A1C19ACC5FDECE1C2"
#define SUBKEY "DEB843C6BB437C7FA7A66D7FC0095CD3A8D5DE71"

enum blob { ALICE, BOB, PROTECTED, BLOBS };
enum part { STUB, USER_ID, SELF, ENCRYPTION, BINDING, SIGNING, SIGNING_BINDING, PARTS };

struct fixture {
	struct buf key; /* alice's, public */
	struct buf blobs[BLOBS];
	struct packet parts[BLOBS][PARTS];
};

static void take_apart(struct fixture *f, enum blob blob, const char *armored)
{
	struct bytes rest;
	bool bad;

	f->blobs[blob] = (struct buf)BUF_SECRET;
	assert_int_equal(
	    armor_read(bytes_of_text(armored), "PRIVATE KEY BLOCK", &f->blobs[blob], NULL), ERR_OK);
	rest = buf_bytes(&f->blobs[blob]);
	for (size_t i = 0; packet_next(&rest, &f->parts[blob][i], &bad); i++)
		assert_true(i + 1 < PARTS || rest.len == 0);
}

static int make(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);

	assert_int_equal(
	    armor_read(bytes_of_text(alice_public), "PUBLIC KEY BLOCK", &f->key, NULL), ERR_OK);
	take_apart(f, ALICE, alice_secret);
	take_apart(f, BOB, bob_deposit);
	take_apart(f, PROTECTED, alice_protected);
	*state = f;
	return 0;
}

static int drop(void **state)
{
	struct fixture *f = *state;

	buf_free(&f->key);
	for (size_t i = 0; i < BLOBS; i++)
		buf_free(&f->blobs[i]);
	free(f);
	return 0;
}

/* The stub of alice, and as much behind it as her secret has. */
static void add_long_stub(const struct fixture *f, struct buf *out)
{
	struct bytes body = f->parts[PROTECTED][STUB].body;

	buf_add_byte(out, 0x80 | 5 << 2);
	buf_add_byte(out, (int)body.len + 32);
	buf_add(out, body.data, body.len);
	buf_add_text(out, "not a secret, but as long as it.");
}

/* A blob put together from packets: letters name parts of alice's secret key, of bob's deposit after "b", of the protected one after "p". */
static void compose(const struct fixture *f, const char *recipe, struct buf *out)
{
	static const char letters[] = "?ui"
				      "ekst"; /* "?": alice's primary with its secret */
	enum blob blob = ALICE;

	for (; *recipe; recipe++) {
		const char *at = strchr(letters, *recipe);

		if (*recipe == 'b' || *recipe == 'p' || *recipe == 'a')
			blob = *recipe == 'b' ? BOB : *recipe == 'p' ? PROTECTED : ALICE;
		else if (*recipe == '0') /* the stub of alice */
			buf_add(out, f->parts[PROTECTED][STUB].whole.data,
			    f->parts[PROTECTED][STUB].whole.len);
		else if (*recipe == '+')
			add_long_stub(f, out);
		else if (*recipe == 'K') /* a public key */
			buf_add(out, f->key.data, f->key.len);
		else if (*recipe == 'x')
			buf_add_text(out, "junk");
		else
			buf_add(out, f->parts[blob][at - letters].whole.data,
			    f->parts[blob][at - letters].whole.len);
	}
}

static enum reason judge(const struct fixture *f, struct bytes deposit)
{
	struct refusal why = { .reason = REASON_NONE };
	bool good = deposit_check(deposit, buf_bytes(&f->key), SUBKEY, &why);

	assert_true(good == (why.reason == REASON_NONE));
	return why.reason;
}

static void recipes(void **state)
{
	static const struct {
		const char *what, *recipe;
		enum reason reason;
	} cases[] = {
		{ "as gpg makes it", "0uiek", REASON_NONE },
		{ "without the user ID", "0ek", REASON_NONE },
		{ "empty", "", REASON_DEPOSIT_MISMATCH },
		{ "junk", "x", REASON_DEPOSIT_MISMATCH },
		{ "junk behind", "0uiekx", REASON_DEPOSIT_MISMATCH },
		{ "a public key", "K", REASON_DEPOSIT_MISMATCH },
		{ "a public key behind", "0uiekK", REASON_DEPOSIT_MISMATCH },
		{ "stub only", "0ui", REASON_DEPOSIT_MISMATCH },
		{ "subkey only", "ek", REASON_DEPOSIT_MISMATCH },
		{ "user ID first", "u0ek", REASON_DEPOSIT_MISMATCH },
		{ "a stub and something behind", "+uiek", REASON_KEY_SECRET },
		{ "bob's", "b?uiek", REASON_DEPOSIT_MISMATCH },
		{ "bob's subkey below alice", "0uibek", REASON_DEPOSIT_MISMATCH },
		{ "alice's subkey below bob", "b?uiaek", REASON_DEPOSIT_MISMATCH },
		{ "bob's behind", "0uiekb?uiek", REASON_DEPOSIT_MISMATCH },
		{ "two stubs", "00uiek", REASON_DEPOSIT_MISMATCH },
		{ "the subkey twice", "0uiekek", REASON_DEPOSIT_MISMATCH },
		{ "two subkeys", "0uiekbek", REASON_DEPOSIT_MISMATCH },
		{ "behind a password", "p?uiek", REASON_DEPOSIT_MISMATCH },
		{ "the primary's secret", "?uiek", REASON_KEY_SECRET },
		{ "the whole secret key", "?uiekst", REASON_KEY_SECRET },
		{ "the signing subkey too", "0uiekst", REASON_KEY_SECRET },
		{ "the signing subkey alone", "0uist", REASON_KEY_SECRET },
		{ "junk and the primary's secret", "0uieb?a?uiek", REASON_KEY_SECRET },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf deposit = BUF_SECRET;
		enum reason got;

		compose(f, cases[i].recipe, &deposit);
		got = judge(f, buf_bytes(&deposit));
		if (got != cases[i].reason)
			fail_msg("%s: %s", cases[i].what, reason_code(got));
		buf_free(&deposit);
	}
}

static void put_length(struct buf *out, size_t len, unsigned octets)
{
	while (octets-- > 0)
		buf_add_byte(out, (int)(len >> 8 * octets & 255));
}

/* Every way to write the head of a packet (RFC 4880 4.2). */
static void heads(void **state)
{
	static const struct {
		unsigned head, octets;
		enum reason reason;
	} cases[] = {
		{ 0xc0 | 7, 1, REASON_NONE },      /* new, one octet */
		{ 0xc0 | 7, 5, REASON_NONE },      /* new, five octets */
		{ 0x80 | 7 << 2, 1, REASON_NONE }, /* old */
		{ 0x80 | 7 << 2 | 1, 2, REASON_NONE }, { 0x80 | 7 << 2 | 2, 4, REASON_NONE },
		{ 0x80 | 7 << 2 | 3, 0, REASON_DEPOSIT_MISMATCH }, /* indeterminate */
		{ 0xc0 | 14, 1, REASON_DEPOSIT_MISMATCH },         /* said to be public */
		{ 0xc0 | 5, 1, REASON_KEY_SECRET },                /* said to be a primary */
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bytes body = f->parts[ALICE][ENCRYPTION].body;
		struct buf deposit = BUF_SECRET;
		enum reason got;

		compose(f, "0ui", &deposit);
		buf_add_byte(&deposit, (int)cases[i].head);
		if (cases[i].octets == 5)
			buf_add_byte(&deposit, 255);
		put_length(&deposit, body.len, cases[i].octets == 5 ? 4 : cases[i].octets);
		buf_add(&deposit, body.data, body.len);
		got = judge(f, buf_bytes(&deposit));
		if (got != cases[i].reason)
			fail_msg("head %02x: %s", cases[i].head, reason_code(got));
		buf_free(&deposit);
	}
	/* A partial length. */
	struct buf deposit = BUF_SECRET;
	compose(f, "0ui", &deposit);
	buf_add_byte(&deposit, 0xc0 | 7);
	buf_add_byte(&deposit, 0xe5);
	buf_add(&deposit, f->parts[ALICE][ENCRYPTION].body.data, 93);
	assert_int_equal(judge(f, buf_bytes(&deposit)), REASON_DEPOSIT_MISMATCH);
	buf_free(&deposit);
}

/* No octet of the keys may differ, and none may be missing. */
static void mangled(void **state)
{
	struct fixture *f = *state;
	struct buf deposit = BUF_SECRET;
	size_t stub = f->parts[PROTECTED][STUB].whole.len;
	size_t subkey = f->parts[ALICE][ENCRYPTION].whole.len;

	compose(f, "0e", &deposit);
	assert_int_equal(judge(f, buf_bytes(&deposit)), REASON_NONE);
	for (size_t len = 0; len < deposit.len; len++)
		assert_int_not_equal(judge(f, bytes_of(deposit.data, len)), REASON_NONE);
	for (size_t at = 0; at < deposit.len; at++) {
		/* Of the stub gpg reads neither cipher, hash, nor which of the two protections. */
		bool free_choice = at + 8 == stub || at + 7 == stub || at + 5 == stub;

		deposit.data[at] ^= 1;
		if (!free_choice)
			assert_int_not_equal(judge(f, buf_bytes(&deposit)), REASON_NONE);
		deposit.data[at] ^= 1;
	}
	assert_int_equal(deposit.len, stub + subkey);
	assert_int_equal(judge(f, buf_bytes(&deposit)), REASON_NONE);
	buf_free(&deposit);
}

static void huge(void **state)
{
	struct fixture *f = *state;
	struct buf deposit = BUF_SECRET;

	while (deposit.len < 16384)
		compose(f, deposit.len ? "u" : "0", &deposit);
	compose(f, "ek", &deposit);
	assert_int_equal(judge(f, buf_bytes(&deposit)), REASON_TOO_LARGE);
	buf_free(&deposit);
}

static void other_fingerprints(void **state)
{
	static const char *const cases[] = { PRIMARY, "", "DEB843C6",
		"DEB843C6BB437C7FA7A66D7FC0095CD3A8D5DE70" };
	struct fixture *f = *state;
	struct buf deposit = BUF_SECRET;
	struct refusal why;

	compose(f, "0uiek", &deposit);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_false(
		    deposit_check(buf_bytes(&deposit), buf_bytes(&f->key), cases[i], &why));
		assert_int_equal(why.reason, REASON_DEPOSIT_MISMATCH);
	}
	assert_false(deposit_check(buf_bytes(&deposit), bytes_of("", 0), SUBKEY, &why));
	assert_true(deposit_check(buf_bytes(&deposit), buf_bytes(&f->key),
	    "deb843c6bb437c7fa7a66d7fc0095cd3a8d5de71", &why));
	buf_free(&deposit);
}

/* SHA-1 at the lengths where its padding changes; by sha1sum. */
static void fingerprints(void **state)
{
	static const struct {
		size_t len;
		const char *fingerprint;
	} cases[] = {
		{ 1, "9BDA2648851C894A02CE41912C50BAAC82F15F8C" },
		{ 52, "3E0AA24EF144671B927B962A75DA1B2389114BA2" },
		{ 53, "D0124F247A630328D30D987728E50F5FD134710E" },
		{ 54, "63223054C6FFA7D13C866BBB66D3F9DE1468B1EB" },
		{ 55, "3CFFEC08E841EB02FFBCB23E3FB85ABA65465F24" },
		{ 60, "3D188AB52E76B0B163375ACDF17A8DDCC50BE2CC" },
		{ 61, "774155C5CCB1911FAC7ED07A0FF4CF2D77A23E2D" },
		{ 62, "E2593E68620C65B87A558CA14D84EB90EBB0B496" },
		{ 117, "7800846CBDC9050C1F56A33EA4DAD6469A580E43" },
		{ 124, "2974D64CCA1B942585748D56E100415837196DCC" },
		{ 300, "4098CBBA490C053106BEF66CA730F07C319E3E60" },
	};
	uint8_t body[300];
	char got[41];

	(void)state;
	memset(body, 'a', sizeof body);
	body[0] = 4;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_true(packet_fingerprint(bytes_of(body, cases[i].len), got));
		assert_string_equal(got, cases[i].fingerprint);
	}
	body[0] = 3;
	assert_false(packet_fingerprint(bytes_of(body, sizeof body), got));
	assert_false(packet_fingerprint(bytes_of(body, 0), got));
}

static void policies(void **state)
{
	static const struct {
		const char *common, *rules[3], *address, *policy;
	} cases[] = {
		{ "offered", { NULL }, "bob@example.org", "offered" },
		{ "required", { NULL }, "bob@example.org", "required" },
		{ "anything", { NULL }, "bob@example.org", "off" },
		{ "off", { "bob@example.org=required" }, "bob@example.org", "required" },
		{ "off", { "Bob@EXAMPLE.org=required" }, "bob@example.org", "required" },
		{ "off", { "bob@example.org=required" }, "carol@example.org", "off" },
		{ "off", { "b=b@example.org=required" }, "b=b@example.org", "required" },
		{ "offered", { "@example.org=off" }, "bob@example.org", "off" },
		{ "offered", { "@example.org=off" }, "bob@lab.example.org", "offered" },
		{ "offered", { "@.example.org=off" }, "bob@lab.example.org", "off" },
		{ "offered", { "@.example.org=off" }, "bob@example.org", "offered" },
		{ "offered", { "@.example.org=off" }, "bob@notexample.org", "offered" },
		{ "offered", { "@münchen.example=off" }, "bob@xn--mnchen-3ya.example", "off" },
		{ "offered", { "bob@example.org=off", "@example.org=required" }, "bob@example.org",
		    "off" },
		{ "offered", { "bob@example.org=off", "@example.org=required" },
		    "carol@example.org", "required" },
		{ "offered", { "nonsense", "@example.org=required" }, "bob@example.org",
		    "required" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *rules[3] = { str_dup(cases[i].rules[0]), str_dup(cases[i].rules[1]), NULL };
		const char *got =
		    escrow_policy_name(escrow_policy_for(cases[i].common, rules, cases[i].address));

		if (!str_equal(got, cases[i].policy))
			fail_msg("case %zu: %s", i, got);
		str_free(&rules[0]);
		str_free(&rules[1]);
	}
	assert_int_equal(escrow_policy_for("required", NULL, "bob@example.org"), ESCROW_REQUIRED);
}

static void rules(void **state)
{
	static const char *const good[] = { "bob@example.org=required", "@example.org=off",
		"@.example.org=offered", "b=b@example.org=off" };
	static const char *const wrong[] = { "", "=off", "@=off", "@.=off", "bob@example.org",
		"bob@example.org=", "bob@example.org=often", "bob=off", "example.org=off",
		"@@example.org=off", "bob @example.org=off" };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (escrow_rule_check(good[i]))
			fail_msg("%s", err_text());
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		if (escrow_rule_check(wrong[i]) != ERR_CONFIG)
			fail_msg("\"%s\" passes", wrong[i]);
}

static void released(void **state)
{
	const uint8_t token_key[TOKEN_KEY_BYTES] = { 1, 2, 3 };
	struct buf associated = BUF_INIT;
	char fingerprint[41], *name = deposit_part_name(SUBKEY);

	(void)state;
	deposit_associated(
	    token_key, "a@b.example", "deb843c6bb437c7fa7a66d7fc0095cd3a8d5de71", &associated);
	assert_int_equal(associated.len, 32 + 12 + 40);
	assert_memory_equal(associated.data, token_key, 32);
	assert_memory_equal(associated.data + 32, "a@b.example\0" SUBKEY, 52);
	assert_string_equal(name, SUBKEY ".deposit");
	assert_true(deposit_part_read(name, fingerprint));
	assert_string_equal(fingerprint, SUBKEY);
	assert_false(deposit_part_read(SUBKEY, fingerprint));
	assert_false(deposit_part_read("key.asc", fingerprint));
	assert_false(deposit_part_read(SUBKEY "0.deposit", fingerprint));
	assert_false(
	    deposit_part_read("XEB843C6BB437C7FA7A66D7FC0095CD3A8D5DE71.deposit", fingerprint));
	str_free(&name);
	buf_free(&associated);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recipes),
		cmocka_unit_test(heads),
		cmocka_unit_test(mangled),
		cmocka_unit_test(huge),
		cmocka_unit_test(other_fingerprints),
		cmocka_unit_test(fingerprints),
		cmocka_unit_test(policies),
		cmocka_unit_test(rules),
		cmocka_unit_test(released),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make, drop);
}
