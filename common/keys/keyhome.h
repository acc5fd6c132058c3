/*
 * keyhome: a GnuPG home and what can be done in it (GPGME). Success is believed on proof only (END_ENCRYPTION seen, certification read back and
 * verified, import counts checked); every operation has a deadline, after which every gpg of this process is killed and the answer is ERR_TEMPORARY:
 * that of keyhome_start, and at most five seconds for what an authority home decrypts.
 * ERR_UNAVAILABLE: the agent is gone, stopped, or has no passphrase. ERR_DATA: the bytes are bad. ERR_PROTOCOL: a signature does not hold.
 * keyhome_start() once per process that uses homes: checks the engine, becomes a subreaper, starts the deadline thread.
 */
#ifndef KEYS_KEYHOME_H
#define KEYS_KEYHOME_H

#include "base/buf.h"
#include "enroll/keyfacts.h"

struct keyhome;

CHECKED enum err keyhome_start(unsigned deadline_seconds);
/* "2.2.40" of the gpg in use; borrowed. */
const char *keyhome_engine_version(void);

/*
 * An authority home: a throw-away directory below `parent` (tmpfs) that reaches the agent of `agent_home` through a redirect file, never starts an agent,
 * and holds these public keys. Public keys only: a secret imported here would land in the authority's own home, so packets are looked at first.
 */
CHECKED enum err keyhome_make(const char *parent, const char *agent_home, struct bytes public_keys,
    size_t decompressed_max, struct keyhome **out);
/* Back to what keyhome_make made, in one file copy. */
CHECKED enum err keyhome_reset(struct keyhome *home);
/* After an operation failed: does this home work at all? Resets it, writes a file, signs. Any error says that the fault is not in what was asked. */
CHECKED enum err keyhome_prove(struct keyhome *home, const char *signer);
/* A home that exists (made 0700 when absent): a user's (path NULL: the default or GNUPGHOME), a pending keyset's. With `loopback` passphrases come from
 * the calls here, else from the user's pinentry. */
CHECKED enum err keyhome_open(const char *path, bool loopback, struct keyhome **out);
const char *keyhome_path(const struct keyhome *home); /* borrowed */
/* A throw-away home is removed. */
void keyhome_close(struct keyhome **home);

/* Imports exactly one public key (binary) and looks at it. ERR_DATA when it does not arrive whole. A throw-away home takes
 * self-signatures only: facts of a certification need an opened home. */
CHECKED enum err keyhome_import(
    struct keyhome *home, struct bytes key, struct key_facts **facts_out);
/* NULL facts if there is no such key. With secret: only keys whose secret part is here. `pattern` is a fingerprint or a canonical address. */
CHECKED enum err keyhome_facts(
    struct keyhome *home, const char *pattern, bool secret, struct key_facts **facts_out);
CHECKED enum err keyhome_export(
    struct keyhome *home, const char *fingerprint, struct buf *out); /* minimal, binary */

struct signature {
	char key
	    [41]; /* the primary key's fingerprint when it is here, else what the signature names */
	bool here;  /* the key is in this home */
	bool valid; /* good, by a key that is not expired or revoked */
	int64_t created;
};
#define SIGNATURES_MAX 8
struct signatures {
	struct signature list[SIGNATURES_MAX];
	size_t count; /* more than SIGNATURES_MAX are ERR_DATA */
	bool
	    for_us; /* of keyhome_decrypt: a key of the home is right, whatever became of the rest */
};

/* Decrypts (and verifies what is signed inside). ERR_DATA: not for us, broken, or more than the cap when opened. `out` must be secret. */
CHECKED enum err keyhome_decrypt(struct keyhome *home, struct bytes armored_or_binary,
    struct buf *out, struct signatures *signatures_out);
/* Verifies a detached signature, or (signature empty) a cleartext-signed or one-pass message whose content goes to `text_out` (may be NULL). */
CHECKED enum err keyhome_verify(struct keyhome *home, struct bytes text, struct bytes signature,
    struct buf *text_out, struct signatures *signatures_out);
/* Signs by `signer` and encrypts to exactly the encryption subkey of `recipient` that is current; armored. */
CHECKED enum err keyhome_seal(struct keyhome *home, const char *signer, const char *recipient,
    struct bytes content, struct buf *out);
/* Encrypts only (no signature). */
CHECKED enum err keyhome_encrypt(
    struct keyhome *home, const char *recipient, struct bytes content, struct buf *out);
/* Detached, armored, SHA-256 or better; *micalg_out e.g. "pgp-sha512". */
CHECKED enum err keyhome_sign(struct keyhome *home, const char *signer, struct bytes content,
    struct buf *out, char micalg_out[16]);
/* Cleartext signature. */
CHECKED enum err keyhome_clearsign(
    struct keyhome *home, const char *signer, struct bytes content, struct buf *out);

struct certify_options {
	const char *signer;          /* the authority */
	const char *const *user_ids; /* exact texts, NULL-terminated */
	int64_t until;               /* expiry of the certification */
	const char *notation_name,
	    *notation_value;    /* "keyset@example.org" = keyset name (P5.2); UTF-8 */
	const char *policy_url; /* NULL or "": none */
};
/* Certifies, reads the certification back and verifies it; `key_out` is the whole certified key, minimal, binary. */
CHECKED enum err keyhome_certify(struct keyhome *home, const char *fingerprint,
    const struct certify_options *options, struct buf *key_out);

/*
 * Withdraws `signer`'s certification of these user IDs (RFC 4880 5.2.1, type 0x30) from `key` (binary, as certified); `reason` goes into the signature (5.2.3.23: 32 where the user ID is no longer
 * valid, else 0, and the text). Reads it back and verifies it; `key_out` is the whole key, minimal, binary. Fine, and the same key, where it is withdrawn already,
 * or the key itself is revoked.
 */
CHECKED enum err keyhome_withdraw(struct keyhome *home, const char *signer, struct bytes key,
    const char *const *user_ids, const char *reason, struct buf *key_out);
/* P3.8: the stored key with the revocation signatures of `from` (a copy of the same primary key, self-signatures only) merged in. ERR_DATA when it is another key, or holds no valid self-revocation. */
CHECKED enum err keyhome_merge_revocation(
    struct keyhome *home, struct bytes stored, struct bytes from, struct buf *key_out);

#endif
