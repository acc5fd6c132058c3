#include "mail/sasl_internal.h"

#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "secret/secret.h"
#include "text/utf8.h"

#define NONCE_BYTES 18
#define DIGEST_BYTES_MOST 32
/*
 * RFC 5802 5.1 and RFC 7677 4: fewer would make the password easy to find for whoever asks; servers ask for some ten thousands, and what is far
 * beyond would only keep us busy.
 */
#define ROUNDS_LEAST 4096
#define ROUNDS_MOST 2000000

struct sasl {
	const struct server *server;
	const char *mechanism;
	const struct buf *secret;
	enum err (*answer)(struct sasl *sasl, struct bytes challenge, struct buf *answer);
	unsigned step;
	/* SCRAM (RFC 5802, RFC 7677) */
	gnutls_mac_algorithm_t mac;
	size_t digest_bytes;
	struct buf nonce, first;          /* ours; client-first-message-bare */
	uint8_t proof[DIGEST_BYTES_MOST]; /* what the server has to show */
};

static enum err odd(const struct sasl *sasl, const char *why)
{
	return err_fail(ERR_PROTOCOL, "%s %s (%s)", sasl->server->name, why, sasl->mechanism);
}

/* ---- PLAIN (RFC 4616), LOGIN, and tokens (RFC 7628, XOAUTH2) ---- */

static enum err answer_plain(struct sasl *sasl, struct bytes challenge, struct buf *answer)
{
	(void)challenge;
	if (sasl->step > 0)
		return odd(sasl, "asks for more than the mechanism has");
	buf_add_byte(answer, '\0');
	buf_add_text(answer, sasl->server->url.user);
	buf_add_byte(answer, '\0');
	buf_add(answer, sasl->secret->data, sasl->secret->len);
	return ERR_OK;
}

/* What the challenges say was never agreed upon; their order is. */
static enum err answer_login(struct sasl *sasl, struct bytes challenge, struct buf *answer)
{
	(void)challenge;
	if (sasl->step > 1)
		return odd(sasl, "asks for more than the mechanism has");
	if (sasl->step == 0)
		buf_add_text(answer, sasl->server->url.user);
	else
		buf_add(answer, sasl->secret->data, sasl->secret->len);
	return ERR_OK;
}

/*
 * A second challenge tells what is wrong with the token; the refusal comes when it was answered (RFC 7628
 * 3.2.3).
 */
static enum err answer_token(struct sasl *sasl, struct bytes challenge, struct buf *answer)
{
	(void)challenge;
	if (sasl->step > 1)
		return odd(sasl, "asks for more than the mechanism has");
	if (sasl->step == 0)
		server_bearer(sasl->server, sasl->mechanism, buf_text(sasl->secret), answer);
	else if (str_equal(sasl->mechanism, "OAUTHBEARER"))
		buf_add_byte(answer, '\001');
	return ERR_OK;
}

/* ---- SCRAM ---- */

static void digest_keyed(
    const struct sasl *sasl, const uint8_t *key, struct bytes text, uint8_t *out)
{
	if (gnutls_hmac_fast(sasl->mac, key, sasl->digest_bytes, text.data, text.len, out) != 0)
		abort(); /* both algorithms are there, or GnuTLS is not GnuTLS */
}

/* As RFC 8265 says, or as it is where that does not go; secret. */
static void add_prepared(struct buf *out, const void *text, size_t len)
{
	gnutls_datum_t prepared = { NULL, 0 };

	out->secret = true;
	if (len > 0 && gnutls_utf8_password_normalize(text, (unsigned)len, &prepared, 0) == 0)
		buf_add(out, prepared.data, prepared.size);
	else
		buf_add(out, text, len);
	if (prepared.data)
		mem_wipe(prepared.data, prepared.size);
	gnutls_free(prepared.data);
}

static enum err scram_first(struct sasl *sasl, struct buf *answer)
{
	uint8_t random[NONCE_BYTES];
	struct buf user = BUF_SECRET;

	secret_random(random, sizeof random);
	base64_add(&sasl->nonce, bytes_of(random, sizeof random), 0, "");
	buf_add_text(&sasl->first, "n=");
	add_prepared(&user, sasl->server->url.user, strlen(sasl->server->url.user));
	for (const char *c = buf_text(&user); *c; c++)
		if (*c == ',' || *c == '=')
			buf_add_text(&sasl->first, *c == ',' ? "=2C" : "=3D");
		else
			buf_add_byte(&sasl->first, *c);
	buf_addf(&sasl->first, ",r=%s", buf_text(&sasl->nonce));
	buf_addf(answer, "n,,%s", buf_text(&sasl->first));
	buf_free(&user);
	return ERR_OK;
}

/* The value of the attribute `name`, which has to stand next. Advances *rest. */
static bool take_attribute(struct bytes *rest, char name, struct bytes *out)
{
	if (rest->len < 2 || rest->data[0] != (uint8_t)name || rest->data[1] != '=')
		return false;
	const uint8_t *end = memchr(rest->data, ',', rest->len);
	size_t len = end ? (size_t)(end - rest->data) : rest->len;
	*out = bytes_of(rest->data + 2, len - 2);
	*rest = bytes_of(rest->data + len + (end ? 1 : 0), rest->len - len - (end ? 1 : 0));
	return true;
}

struct scram_terms {
	struct bytes nonce;
	struct buf salt;
	int64_t rounds;
};

static enum err read_terms(const struct sasl *sasl, struct bytes text, struct scram_terms *out)
{
	struct bytes salt, rounds;

	if (!take_attribute(&text, 'r', &out->nonce) || !take_attribute(&text, 's', &salt) ||
	    !take_attribute(&text, 'i', &rounds) || base64_read(salt, &out->salt) != ERR_OK ||
	    out->salt.len == 0)
		return odd(sasl, "sent a challenge that can't be read");
	if (out->nonce.len <= sasl->nonce.len ||
	    memcmp(out->nonce.data, sasl->nonce.data, sasl->nonce.len) != 0)
		return odd(sasl, "answered somebody else's login");
	char *number = str_ndup((const char *)rounds.data, rounds.len);
	enum err err = str_to_int(number, ROUNDS_LEAST, ROUNDS_MOST, &out->rounds);
	str_free(&number);
	return err ? odd(sasl, "asks for a number of rounds that is out of all measure") : ERR_OK;
}

/* RFC 5802 3: SaltedPassword. */
static void salt_password(const struct sasl *sasl, const struct scram_terms *terms, uint8_t *out)
{
	struct buf prepared = BUF_SECRET;
	const gnutls_datum_t salt = { terms->salt.data, (unsigned)terms->salt.len };

	add_prepared(&prepared, sasl->secret->data, sasl->secret->len);
	const gnutls_datum_t password = { prepared.data, (unsigned)prepared.len };
	if (gnutls_pbkdf2(
		sasl->mac, &password, &salt, (unsigned)terms->rounds, out, sasl->digest_bytes) != 0)
		abort();
	buf_free(&prepared);
}

static enum err scram_final(struct sasl *sasl, struct bytes challenge, struct buf *answer)
{
	struct scram_terms terms = { .salt = BUF_INIT };
	enum err err = read_terms(sasl, challenge, &terms);
	uint8_t salted[DIGEST_BYTES_MOST], key[DIGEST_BYTES_MOST], stored[DIGEST_BYTES_MOST],
	    signature[DIGEST_BYTES_MOST];
	struct buf signed_text = BUF_INIT;

	if (!err) {
		salt_password(sasl, &terms, salted);
		buf_addf(
		    answer, "c=biws,r=%.*s", (int)terms.nonce.len, (const char *)terms.nonce.data);
		buf_addf(&signed_text, "%s,%.*s,%s", buf_text(&sasl->first), (int)challenge.len,
		    (const char *)challenge.data, buf_text(answer));
		digest_keyed(sasl, salted, bytes_of_text("Client Key"), key);
		if (gnutls_hash_fast(
			(gnutls_digest_algorithm_t)sasl->mac, key, sasl->digest_bytes, stored) != 0)
			abort();
		digest_keyed(sasl, stored, buf_bytes(&signed_text), signature);
		for (size_t i = 0; i < sasl->digest_bytes; i++)
			key[i] ^= signature[i];
		buf_add_text(answer, ",p=");
		base64_add(answer, bytes_of(key, sasl->digest_bytes), 0, "");
		digest_keyed(sasl, salted, bytes_of_text("Server Key"), key);
		digest_keyed(sasl, key, buf_bytes(&signed_text), sasl->proof);
	}
	mem_wipe(salted, sizeof salted);
	mem_wipe(key, sizeof key);
	mem_wipe(stored, sizeof stored);
	buf_free(&signed_text);
	buf_free(&terms.salt);
	return err;
}

static enum err scram_check(struct sasl *sasl, struct bytes challenge)
{
	struct bytes value;
	struct buf proof = BUF_INIT;
	bool good = take_attribute(&challenge, 'v', &value) &&
		    base64_read(value, &proof) == ERR_OK && proof.len == sasl->digest_bytes &&
		    secret_equal(proof.data, sasl->proof, sasl->digest_bytes);

	buf_free(&proof);
	return good ? ERR_OK : odd(sasl, "can't prove that it knows the password");
}

/* RFC 5802 7: of all that a server may say in e=…, only that it has no resources speaks of itself. */
static enum err scram_refused(const struct sasl *sasl, struct bytes why)
{
	char *text = str_ndup((const char *)why.data, why.len);
	char *clean = utf8_printable(text, false);
	enum err err = err_fail(str_equal(clean, "no-resources") ? ERR_PROTOCOL : ERR_DENIED,
	    "%s: the login of %s by %s was refused: %s", sasl->server->name, sasl->server->url.user,
	    sasl->mechanism, clean);

	str_free(&clean);
	str_free(&text);
	return err;
}

static enum err answer_scram(struct sasl *sasl, struct bytes challenge, struct buf *answer)
{
	struct bytes rest = challenge, why;

	if (sasl->step > 0 && take_attribute(&rest, 'e', &why))
		return scram_refused(sasl, why);
	switch (sasl->step) {
	case 0:
		return scram_first(sasl, answer);
	case 1:
		return scram_final(sasl, challenge, answer);
	case 2:
		return scram_check(sasl, challenge);
	default:
		return odd(sasl, "asks for more than the mechanism has");
	}
}

/* ---- */

static const struct {
	const char *name;
	enum err (*answer)(struct sasl *sasl, struct bytes challenge, struct buf *answer);
	gnutls_mac_algorithm_t mac;
	size_t digest_bytes;
} mechanisms[] = {
	{ "OAUTHBEARER", answer_token, GNUTLS_MAC_NULL, 0 },
	{ "XOAUTH2", answer_token, GNUTLS_MAC_NULL, 0 },
	{ "SCRAM-SHA-256", answer_scram, GNUTLS_MAC_SHA256, 32 },
	{ "SCRAM-SHA-1", answer_scram, GNUTLS_MAC_SHA1, 20 },
	{ "PLAIN", answer_plain, GNUTLS_MAC_NULL, 0 },
	{ "LOGIN", answer_login, GNUTLS_MAC_NULL, 0 },
};

struct sasl *sasl_open(const struct server *server, const char *mechanism, const struct buf *secret)
{
	struct sasl *sasl = mem_alloc(sizeof *sasl);

	sasl->server = server;
	sasl->secret = secret;
	for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++)
		if (str_equal(mechanisms[i].name, mechanism)) {
			sasl->mechanism = mechanisms[i].name;
			sasl->answer = mechanisms[i].answer;
			sasl->mac = mechanisms[i].mac;
			sasl->digest_bytes = mechanisms[i].digest_bytes;
		}
	return sasl;
}

void sasl_free(struct sasl **sasl)
{
	if (*sasl) {
		buf_free(&(*sasl)->nonce);
		buf_free(&(*sasl)->first);
		mem_wipe((*sasl)->proof, sizeof(*sasl)->proof);
		free(*sasl);
		*sasl = NULL;
	}
}

bool sasl_begins(const struct sasl *sasl)
{
	return sasl->answer != answer_login;
}

enum err sasl_answer(struct sasl *sasl, struct bytes challenge, struct buf *answer)
{
	enum err err = sasl->answer(sasl, challenge, answer);

	sasl->step++;
	return err;
}

enum err sasl_proved(const struct sasl *sasl)
{
	if (sasl->answer == answer_scram && sasl->step < 3)
		return odd(sasl, "has not proved that it knows the password");
	return ERR_OK;
}
