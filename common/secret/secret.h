/* secret: libsodium behind plain bytes. secret_start() once per process, before anything else here. */
#ifndef SECRET_SECRET_H
#define SECRET_SECRET_H

#include "base/buf.h"

#define HASH_BYTES 32
#define TOKEN_KEY_BYTES 32
#define TOKEN_SIGNATURE_BYTES 64
#define SECRET_SEED_BYTES 10 /* S of P1.2: 80 bits */
#define PIN_BYTES 5          /* 40 bits */

void secret_start(void);
void secret_random(void *out, size_t len);
bool secret_equal(const void *a, const void *b, size_t len); /* constant time */

void hash_sha256(struct bytes in, uint8_t out[HASH_BYTES]);
/* BLAKE2b-256(context ‖ 0 ‖ in): every derivation of the protocol has this form. */
void hash_context(const char *context, struct bytes in, uint8_t out[HASH_BYTES]);

/* The pin (P1.2) of an authority: `fingerprint` 20 bytes, `address` canonical. Takes about 0.1 s and 64 MiB. */
CHECKED enum err pin_make(
    const uint8_t fingerprint[20], const char *address, uint8_t out[PIN_BYTES]);

/* The token key (P1.4). `seed` is S. */
void token_key_public(const uint8_t seed[SECRET_SEED_BYTES], uint8_t out[TOKEN_KEY_BYTES]);
void token_key_sign(
    const uint8_t seed[SECRET_SEED_BYTES], struct bytes text, uint8_t out[TOKEN_SIGNATURE_BYTES]);
bool token_key_verify(const uint8_t key[TOKEN_KEY_BYTES], struct bytes text,
    const uint8_t signature[TOKEN_SIGNATURE_BYTES]);

/*
 * P5.5: what a recovery token opens and the authority can't. The key is BLAKE2b-256("countersign recovery v1" ‖ 0 ‖ S). A sealed part is a random nonce
 * of 24 bytes, then XChaCha20-Poly1305 of `content` with `associated` beside it.
 */
#define RECOVERY_KEY_BYTES 32
void recovery_key_make(const uint8_t seed[SECRET_SEED_BYTES], uint8_t out[RECOVERY_KEY_BYTES]);
void recovery_seal(const uint8_t key[RECOVERY_KEY_BYTES], struct bytes associated,
    struct bytes content, struct buf *out);
/* ERR_DATA when it was sealed with another key, or for something else. `out` must be secret. */
CHECKED enum err recovery_open(const uint8_t key[RECOVERY_KEY_BYTES], struct bytes associated,
    struct bytes sealed, struct buf *out);

#endif
