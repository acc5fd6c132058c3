/* keyfacts: what is known about an OpenPGP key after gpg has looked at it, and what policy says to it (P4.7). */
#ifndef ENROLL_KEYFACTS_H
#define ENROLL_KEYFACTS_H

#include "base/buf.h"
#include "enroll/reason.h"

#define FINGERPRINT_SIZE 41

struct key_user_id {
	char *text;    /* as in the key, UTF-8 */
	char *address; /* canonical, or NULL where it names none or several (user_id_split) */
	char *name;    /* or NULL */
	bool revoked, invalid;
};

struct key_subkey { /* the primary is the first */
	char fingerprint[FINGERPRINT_SIZE];
	char keygrip[41];
	char *
	    algorithm; /* "rsa", "dsa", "elg", "ed25519", "cv25519", "nistp256", … lower-case; curve names for ECC */
	unsigned bits;
	int64_t created, expires; /* expires 0: never */
	bool can_certify, can_sign, can_encrypt, can_authenticate;
	bool revoked, expired, invalid, disabled, secret, on_card;
};

struct key_certification { /* by the authority (or any issuer known in the home), on one user ID */
	char *user_id;
	char issuer[17]; /* long key ID */
	int64_t created, expires;
	bool valid, revoked;
};

struct key_facts {
	char fingerprint[FINGERPRINT_SIZE];
	bool revoked, expired, invalid, secret;
	struct key_user_id *user_ids;
	size_t user_id_count;
	struct key_subkey *subkeys;
	size_t subkey_count;
	struct key_certification *certifications;
	size_t certification_count;
};

/* Takes NULL, frees the struct too, and leaves NULL. */
void key_facts_free(struct key_facts **facts);

/* The newest subkey that can be encrypted to now; NULL if there is none. */
const struct key_subkey *key_encryption(const struct key_facts *facts);

struct key_policy {
	int64_t rsa_bits_min;
	char *const *curves; /* NULL-terminated, lower-case compare */
	bool dsa_elgamal;
};
/*
 * P4.7 over a key that holds only the wanted user IDs (packets_reduce): exactly one user ID of the first of `addresses`
 * (NULL-terminated, canonical; the token's), at most one of each other, names by P4.7, equal to recorded_name where not NULL; can sign; exactly one
 * valid encryption subkey; algorithms by policy; neither expired nor revoked at `now`. *encryption_out: index of the encryption subkey.
 */
CHECKED bool key_policy_check(const struct key_facts *facts, const struct key_policy *policy,
    const char *const *addresses, const char *recorded_name, int64_t now, size_t *encryption_out,
    struct refusal *why);

#endif
