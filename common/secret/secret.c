#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "secret/secret.h"

/* Argon2id of P1.2. */
#define PIN_PASSES 3
#define PIN_MEMORY_BYTES ((size_t)64 << 20)
#define PIN_OUT_BYTES 32
#define FINGERPRINT_BYTES 20

#define PIN_CONTEXT "countersign pin v1"
#define TOKEN_CONTEXT "countersign token v1"
#define RECOVERY_CONTEXT "countersign recovery v1"
#define RECOVERY_NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define RECOVERY_TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES

static_assert(HASH_BYTES == crypto_generichash_BYTES, "BLAKE2b-256");
static_assert(HASH_BYTES == crypto_hash_sha256_BYTES, "SHA-256");
static_assert(HASH_BYTES == crypto_sign_SEEDBYTES, "a hash is the seed of a token key");
static_assert(TOKEN_KEY_BYTES == crypto_sign_PUBLICKEYBYTES, "Ed25519 public key");
static_assert(TOKEN_SIGNATURE_BYTES == crypto_sign_BYTES, "Ed25519 signature");
static_assert(RECOVERY_KEY_BYTES == HASH_BYTES, "a hash is the recovery key");
static_assert(
    RECOVERY_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "XChaCha20-Poly1305");
static_assert(HASH_BYTES >= crypto_pwhash_SALTBYTES, "the salt is cut from a hash");

void secret_start(void)
{
	if (sodium_init() < 0) {
		(void)fputs("the system gives no random numbers\n", stderr);
		_Exit(EX_OSERR);
	}
}

void secret_random(void *out, size_t len)
{
	randombytes_buf(out, len);
}

bool secret_equal(const void *a, const void *b, size_t len)
{
	return sodium_memcmp(a, b, len) == 0;
}

void hash_sha256(struct bytes in, uint8_t out[HASH_BYTES])
{
	(void)crypto_hash_sha256(out, in.data, in.len);
}

void hash_context(const char *context, struct bytes in, uint8_t out[HASH_BYTES])
{
	crypto_generichash_state state;

	(void)crypto_generichash_init(&state, NULL, 0, HASH_BYTES);
	/* With its NUL: the separator of the clause. */
	(void)crypto_generichash_update(&state, (const uint8_t *)context, strlen(context) + 1);
	(void)crypto_generichash_update(&state, in.data, in.len);
	(void)crypto_generichash_final(&state, out, HASH_BYTES);
	mem_wipe(&state, sizeof state);
}

enum err pin_make(const uint8_t fingerprint[20], const char *address, uint8_t out[PIN_BYTES])
{
	uint8_t salt[HASH_BYTES], long_pin[PIN_OUT_BYTES];

	hash_context(PIN_CONTEXT, bytes_of_text(address), salt);
	if (crypto_pwhash(long_pin, sizeof long_pin, (const char *)fingerprint, FINGERPRINT_BYTES,
		salt, PIN_PASSES, PIN_MEMORY_BYTES, crypto_pwhash_ALG_ARGON2ID13) != 0)
		return err_fail(
		    ERR_SYSTEM, "the pin needs 64 MiB of memory, which are not to be had");
	memcpy(out, long_pin, PIN_BYTES);
	return ERR_OK;
}

static void token_key_pair(const uint8_t seed[SECRET_SEED_BYTES],
    uint8_t public_key[TOKEN_KEY_BYTES], uint8_t secret_key[crypto_sign_SECRETKEYBYTES])
{
	uint8_t key_seed[HASH_BYTES];

	hash_context(TOKEN_CONTEXT, bytes_of(seed, SECRET_SEED_BYTES), key_seed);
	(void)crypto_sign_seed_keypair(public_key, secret_key, key_seed);
	mem_wipe(key_seed, sizeof key_seed);
}

void token_key_public(const uint8_t seed[SECRET_SEED_BYTES], uint8_t out[TOKEN_KEY_BYTES])
{
	uint8_t secret_key[crypto_sign_SECRETKEYBYTES];

	token_key_pair(seed, out, secret_key);
	mem_wipe(secret_key, sizeof secret_key);
}

void token_key_sign(
    const uint8_t seed[SECRET_SEED_BYTES], struct bytes text, uint8_t out[TOKEN_SIGNATURE_BYTES])
{
	uint8_t public_key[TOKEN_KEY_BYTES], secret_key[crypto_sign_SECRETKEYBYTES];

	token_key_pair(seed, public_key, secret_key);
	(void)crypto_sign_detached(out, NULL, text.data, text.len, secret_key);
	mem_wipe(secret_key, sizeof secret_key);
}

bool token_key_verify(const uint8_t key[TOKEN_KEY_BYTES], struct bytes text,
    const uint8_t signature[TOKEN_SIGNATURE_BYTES])
{
	return crypto_sign_verify_detached(signature, text.data, text.len, key) == 0;
}

void recovery_key_make(const uint8_t seed[SECRET_SEED_BYTES], uint8_t out[RECOVERY_KEY_BYTES])
{
	hash_context(RECOVERY_CONTEXT, bytes_of(seed, SECRET_SEED_BYTES), out);
}

void recovery_seal(const uint8_t key[RECOVERY_KEY_BYTES], struct bytes associated,
    struct bytes content, struct buf *out)
{
	uint8_t *nonce = buf_reserve(out, RECOVERY_NONCE_BYTES + content.len + RECOVERY_TAG_BYTES);

	secret_random(nonce, RECOVERY_NONCE_BYTES);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(nonce + RECOVERY_NONCE_BYTES, NULL,
	    content.data, content.len, associated.data, associated.len, NULL, nonce, key);
	out->len += RECOVERY_NONCE_BYTES + content.len + RECOVERY_TAG_BYTES;
}

enum err recovery_open(const uint8_t key[RECOVERY_KEY_BYTES], struct bytes associated,
    struct bytes sealed, struct buf *out)
{
	size_t len = sealed.len - RECOVERY_NONCE_BYTES - RECOVERY_TAG_BYTES;

	if (sealed.len < RECOVERY_NONCE_BYTES + RECOVERY_TAG_BYTES ||
	    crypto_aead_xchacha20poly1305_ietf_decrypt(buf_reserve(out, len), NULL, NULL,
		sealed.data + RECOVERY_NONCE_BYTES, sealed.len - RECOVERY_NONCE_BYTES,
		associated.data, associated.len, sealed.data, key) != 0)
		return err_fail(
		    ERR_DATA, "this was sealed under another recovery token, or is damaged");
	out->len += len;
	return ERR_OK;
}
