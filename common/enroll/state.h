/*
 * state: the two tables of P8.1 as data. Total: every state and every event has a rule. `make` prints them into docs/states.md.
 * A rule speaks of one token, or of one stored keyset: an enrollment that takes the name of an older keyset is RULE_DO for it with
 * `next` superseded (revoked stays revoked), and the new one begins at KEYSET_NONE. P2.4 (keyset-exists) looks at all keysets of
 * the address and is therefore no cell here.
 */
#ifndef ENROLL_STATE_H
#define ENROLL_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "enroll/reason.h"

enum token_state {
	TOKEN_OUTSTANDING,
	TOKEN_USED,
	TOKEN_SUPERSEDED,
	TOKEN_VOIDED,
	TOKEN_EXPIRED,
	TOKEN_STATES
};
enum token_event {
	TOKEN_EVENT_ENROLL,    /* an enrollment with it commits */
	TOKEN_EVENT_REPEAT,    /* the request that used it comes again, same content (P5.3) */
	TOKEN_EVENT_OTHER,     /* another request with it */
	TOKEN_EVENT_ISSUE,     /* another token is issued for the address (P1.6) */
	TOKEN_EVENT_COMMITTED, /* an enrollment of the address commits by other means (P1.6) */
	TOKEN_EVENT_REVOKE,    /* the address is revoked */
	TOKEN_EVENT_VOID, /* an administrator takes it back, or its mail could not be sent (P5.7) */
	TOKEN_EVENT_TIME, /* its expiry passes */
	TOKEN_EVENTS
};

enum keyset_state {
	KEYSET_NONE,
	KEYSET_UNCONFIRMED,
	KEYSET_ACTIVE,
	KEYSET_GRACE,
	KEYSET_EXPIRED,
	KEYSET_SUPERSEDED,
	KEYSET_REVOKED,
	KEYSET_STATES
};
enum keyset_event {
	KEYSET_EVENT_ENROLL,          /* enrollment under this name, token alone */
	KEYSET_EVENT_ENROLL_SIGNED,   /* the same, signed by this keyset's key */
	KEYSET_EVENT_RECOVER,         /* enrollment with a recovery token (any name) */
	KEYSET_EVENT_REPEAT,          /* the request that made it comes again (P5.3) */
	KEYSET_EVENT_CONFIRM,         /* the nonce comes back (P5.4) */
	KEYSET_EVENT_RENEW,           /* a renewal signed by its key (P3.7) */
	KEYSET_EVENT_RENEW_REPEAT,    /* the same renewal comes again (P4.5) */
	KEYSET_EVENT_RENEW_CONFIRM,   /* the nonce of its renewal comes back (P5.4) */
	KEYSET_EVENT_REVOKE,          /* countersignctl revoke */
	KEYSET_EVENT_SELF_REVOKE,     /* the user's own revocation (P3.8) */
	KEYSET_EVENT_CERTIFIED_UNTIL, /* the certification ends */
	KEYSET_EVENT_GRACE_OVER,
	KEYSET_EVENTS
};

enum rule_act { RULE_NOTHING, RULE_DO, RULE_RESEND, RULE_REFUSE };

struct rule {
	enum rule_act act;
	int next;           /* the state afterwards, of this token or keyset */
	enum reason reason; /* RULE_REFUSE */
	const char *why;    /* the clause, for docs/states.md */
};

const struct rule *token_rule(enum token_state state, enum token_event event);
const struct rule *keyset_rule(enum keyset_state state, enum keyset_event event);
const char *token_state_name(enum token_state state); /* "outstanding" */
const char *keyset_state_name(enum keyset_state state);
const char *token_event_name(enum token_event event);
const char *keyset_event_name(enum keyset_event event);

/* The state as derived from what is stored; 0 means "not happened". */
enum token_state token_state_of(
    int64_t used, int64_t superseded, int64_t voided, int64_t expires, int64_t now);
/* KEYSET_NONE never comes out: it is the absence of a row. */
enum keyset_state keyset_state_of(int64_t confirmed, int64_t superseded, int64_t revoked,
    int64_t certified_until, int64_t grace_seconds, int64_t now);

/* Both tables as Markdown: docs/states.md. */
void state_print(FILE *out);

#endif
