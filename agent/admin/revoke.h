/* revoke: withdrawing certifications: what `revoke` and `recover --compromised` share. */
#ifndef ADMIN_REVOKE_H
#define ADMIN_REVOKE_H

#include "command.h"
#include "shared/letters.h"

struct revoked_keyset {
	struct keyset_row *row; /* as it was read */
	struct buf key;         /* with the certification withdrawn */
	struct letters letters;
};

struct revocation {
	const char *address, *name, *reason;
	struct revoked_keyset *keysets;
	size_t count;
};

/* "compromised", "superseded", "left", "unspecified" or one line of text without "@", for the log keeps it for ever; NULL is fine. ERR_USAGE. */
CHECKED enum err revoke_check_reason(const char *reason);
/*
 * Withdraws in memory what is certified of the address's keysets, or of those of one name (else NULL), and composes the notices. Runs gpg, changes nothing. What
 * is revoked already is left out.
 */
CHECKED enum err revoke_prepare(struct authority *authority, const struct invocation *in,
    const char *address, const char *name, const char *reason, struct revocation *out);
/* Within a transaction: keysets, log entries, notices. ERR_TEMPORARY if a keyset is another than was read; then prepare again. */
CHECKED enum err revoke_insert(
    struct authority *authority, const struct invocation *in, const struct revocation *revocation);
/* After it: the Web Key Directory, where there is one. A fault is told; countersignd tries again. */
void revoke_publish(struct authority *authority, const struct invocation *in);
void revoke_free(struct revocation *revocation);

#endif
