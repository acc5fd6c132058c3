/*
 * reply: the fields of a reply from the security authority (P6.4) and of a refusal (P6.5): Countersign-Reply, Request-Id, Result, Address,
 * Keyset, Fingerprint, Certified-Until, Authority, Nonce, Log-Head; a refusal has no Certified-Until and Nonce, what it knows of
 * Keyset, Fingerprint and Log-Head, and at the end Reason, What, Advice.
 */
#ifndef ENROLL_REPLY_H
#define ENROLL_REPLY_H

#include "base/buf.h"
#include "enroll/reason.h"

enum reply_result { REPLY_ENROLLED, REPLY_RENEWED, REPLY_RECOVERED, REPLY_REFUSED };

struct reply {
	char *request_id; /* for a plain request: its Message-ID without brackets, or "-" */
	enum reply_result result;
	char *address;
	char *keyset; /* NULL in a refusal that knows none */
	char fingerprint[41];
	int64_t certified_until;
	char authority[41];
	char *nonce;        /* canonical (nonce_make); NULL in a refusal */
	int64_t log_number; /* Log-Head */
	char log_hash[65];  /* "" : none (refusal) */
	enum reason reason; /* refusal; REASON_NONE for a code of a later version */
	char *what;         /* refusal: the two sentences */
	char *advice;
};

const char *reply_result_name(enum reply_result result); /* "enrolled" */
void reply_write(const struct reply *reply, struct buf *out);
/* ERR_DATA naming the field. `out` is to be freed in both cases. */
CHECKED enum err reply_parse(struct bytes text, struct reply *out);
void reply_free(struct reply *reply);

/* The authority card (P2.7), the text that is signed: Countersign-Authority, Address, Name, Fingerprint, Plain-Requests, Escrow, Algorithms. */
struct card {
	char *address;
	char *name; /* NULL if none */
	char fingerprint[41];
	char *plain_requests; /* on | encrypted | off */
	char *escrow;         /* required | offered | off */
	char *algorithms;     /* as in policy, blank-separated */
};
void card_write(const struct card *card, struct buf *out);
CHECKED enum err card_parse(struct bytes text, struct card *out);
void card_free(struct card *card);

#endif
