/* reason: the stable codes of P8.2, each with its two sentences. */
#ifndef ENROLL_REASON_H
#define ENROLL_REASON_H

enum reason {
	REASON_NONE = 0,
	REASON_TOKEN_EXPIRED,
	REASON_TOKEN_USED,
	REASON_TOKEN_SUPERSEDED,
	REASON_TOKEN_VOIDED,
	REASON_TOKEN_AMBIGUOUS,
	REASON_ADDRESS_MISMATCH,
	REASON_STALE,
	REASON_KEYSET_NAME_INVALID,
	REASON_KEYSET_NAME_IN_USE,
	REASON_KEYSET_NOT_ALLOWED,
	REASON_KEYSET_EXISTS,
	REASON_KEYSET_UNKNOWN,
	REASON_KEYSET_REVOKED,
	REASON_KEY_MISSING,
	REASON_KEY_AMBIGUOUS,
	REASON_KEY_UNUSABLE,
	REASON_KEY_SECRET,
	REASON_KEY_OTHER_PERSON,
	REASON_NAME_MISMATCH,
	REASON_SIGNATURE_INVALID,
	REASON_DEPOSIT_REQUIRED,
	REASON_DEPOSIT_UNWANTED,
	REASON_DEPOSIT_MISMATCH,
	REASON_CLIENT_REQUIRED,
	REASON_REQUEST_MALFORMED,
	REASON_TOO_LARGE,
	REASON_POLICY,
	REASON_TOKEN_ALMOST, /* "token-unreadable": the one answer of P6.6 without a valid token */
	REASON_COUNT
};

const char *reason_code(enum reason reason);    /* "token-expired" */
enum reason reason_from_code(const char *code); /* REASON_NONE if unknown */
const char *reason_what(enum reason reason);    /* one sentence: what was wrong */
const char *reason_do(enum reason reason);      /* one sentence: what to do next */

/* A refusal being built: the reason, and the particular (the field, the key found) for the sentence. */
struct refusal {
	enum reason reason;
	char detail[300]; /* replaces reason_what() where not empty; ends with a full stop */
};
/* Fills the refusal (detail NULL: none) and returns false, so that checks can `return refuse(...)`. */
_Bool refuse(struct refusal *r, enum reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
