/* recover: a recovery for one person, and for many. */
#ifndef ADMIN_RECOVER_H
#define ADMIN_RECOVER_H

#include "escrow_key.h"
#include "issue.h"

struct recovery {
	struct authority *authority;
	const struct invocation *in;
	struct escrow_key *key;
	const char *reason, *expires; /* or NULL */
	bool mail, compromised;
};

/* What became of one. */
struct recovered {
	struct issue issue;
	size_t lost;  /* deposits that don't open */
	char *status; /* "issued", "mailed", "not sent: …" */
};

/* Opens the escrow key, if there is any deposit of the address (NULL: of anybody). */
CHECKED enum err recover_open(struct recovery *r, const char *address);
/*
 * P5.5: token, released deposits, log entry and notices in one transaction, then the token mail where that is asked for; ERR_UNAVAILABLE: it was not sent, and the token
 * is voided. `name` may be NULL.
 */
CHECKED enum err recover_one(
    struct recovery *r, const char *address, const char *name, struct recovered *out);
void recovered_free(struct recovered *recovered);

/* One line a person: `table` is CSV with a head that names at least "address"; `output` gets a line for each, as soon as it is done. */
CHECKED enum err recover_all(
    struct recovery *r, struct bytes table, int output, bool dry_run, int *status);

#endif
