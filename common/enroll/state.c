#include "enroll/state.h"

#define DO(state, clause) \
	{ \
		RULE_DO, state, REASON_NONE, clause \
	}
#define NOTHING(state, clause) \
	{ \
		RULE_NOTHING, state, REASON_NONE, clause \
	}
#define RESEND(state, clause) \
	{ \
		RULE_RESEND, state, REASON_NONE, clause \
	}
#define REFUSE(state, code, clause) \
	{ \
		RULE_REFUSE, state, REASON_##code, clause \
	}

static const struct rule token_rules[TOKEN_STATES][TOKEN_EVENTS] = {
	[TOKEN_OUTSTANDING] = {
	    [TOKEN_EVENT_ENROLL] = DO(TOKEN_USED, "P1.7: consumed by the transaction that commits"),
	    [TOKEN_EVENT_REPEAT] = NOTHING(TOKEN_OUTSTANDING, "P1.7: no request has used it, so this is a first one"),
	    [TOKEN_EVENT_OTHER] = NOTHING(TOKEN_OUTSTANDING, "P1.7: only a commit consumes it; each request is checked by itself"),
	    [TOKEN_EVENT_ISSUE] = DO(TOKEN_SUPERSEDED, "P1.6: one outstanding token per address"),
	    [TOKEN_EVENT_COMMITTED] = DO(TOKEN_VOIDED, "P1.6: a committed enrollment voids what is outstanding"),
	    [TOKEN_EVENT_REVOKE] = DO(TOKEN_VOIDED, "P1.6: a revocation voids what is outstanding"),
	    [TOKEN_EVENT_VOID] = DO(TOKEN_VOIDED, "P5.7, P8.1: taken back, or its mail was not sent"),
	    [TOKEN_EVENT_TIME] = DO(TOKEN_EXPIRED, "P1.6: its expiry"),
	},
	[TOKEN_USED] = {
	    [TOKEN_EVENT_ENROLL] = REFUSE(TOKEN_USED, TOKEN_USED, "P1.7, P4.4: never a second time"),
	    [TOKEN_EVENT_REPEAT] = RESEND(TOKEN_USED, "P5.3: same request, same reply"),
	    [TOKEN_EVENT_OTHER] = REFUSE(TOKEN_USED, TOKEN_USED, "P5.3: other content; logged as an alarm"),
	    [TOKEN_EVENT_ISSUE] = NOTHING(TOKEN_USED, "P1.6: only an outstanding token is superseded"),
	    [TOKEN_EVENT_COMMITTED] = NOTHING(TOKEN_USED, "P1.6: only an outstanding token is voided"),
	    [TOKEN_EVENT_REVOKE] = NOTHING(TOKEN_USED, "P1.6: only an outstanding token is voided"),
	    [TOKEN_EVENT_VOID] = REFUSE(TOKEN_USED, TOKEN_USED, "P1.7: what was committed stays; the administrator is told"),
	    [TOKEN_EVENT_TIME] = NOTHING(TOKEN_USED, "P1.7: used is used"),
	},
	[TOKEN_SUPERSEDED] = {
	    [TOKEN_EVENT_ENROLL] = REFUSE(TOKEN_SUPERSEDED, TOKEN_SUPERSEDED, "P1.6, P4.4"),
	    [TOKEN_EVENT_REPEAT] = REFUSE(TOKEN_SUPERSEDED, TOKEN_SUPERSEDED, "P1.6: no request has used it"),
	    [TOKEN_EVENT_OTHER] = REFUSE(TOKEN_SUPERSEDED, TOKEN_SUPERSEDED, "P1.6, P4.4"),
	    [TOKEN_EVENT_ISSUE] = NOTHING(TOKEN_SUPERSEDED, "P1.6: it stays superseded"),
	    [TOKEN_EVENT_COMMITTED] = NOTHING(TOKEN_SUPERSEDED, "P1.6: only an outstanding token is voided"),
	    [TOKEN_EVENT_REVOKE] = NOTHING(TOKEN_SUPERSEDED, "P1.6: only an outstanding token is voided"),
	    [TOKEN_EVENT_VOID] = REFUSE(TOKEN_SUPERSEDED, TOKEN_SUPERSEDED, "P1.6: nothing to take back; the administrator is told"),
	    [TOKEN_EVENT_TIME] = NOTHING(TOKEN_SUPERSEDED, "P1.6: still answered as superseded"),
	},
	[TOKEN_VOIDED] = {
	    [TOKEN_EVENT_ENROLL] = REFUSE(TOKEN_VOIDED, TOKEN_VOIDED, "P1.6, P4.4"),
	    [TOKEN_EVENT_REPEAT] = REFUSE(TOKEN_VOIDED, TOKEN_VOIDED, "P1.6: no request has used it"),
	    [TOKEN_EVENT_OTHER] = REFUSE(TOKEN_VOIDED, TOKEN_VOIDED, "P1.6, P4.4"),
	    [TOKEN_EVENT_ISSUE] = NOTHING(TOKEN_VOIDED, "P1.6: only an outstanding token is superseded"),
	    [TOKEN_EVENT_COMMITTED] = NOTHING(TOKEN_VOIDED, "P1.6: it stays voided"),
	    [TOKEN_EVENT_REVOKE] = NOTHING(TOKEN_VOIDED, "P1.6: it stays voided"),
	    [TOKEN_EVENT_VOID] = REFUSE(TOKEN_VOIDED, TOKEN_VOIDED, "P1.6: nothing to take back; the administrator is told"),
	    [TOKEN_EVENT_TIME] = NOTHING(TOKEN_VOIDED, "P1.6: still answered as voided"),
	},
	[TOKEN_EXPIRED] = {
	    [TOKEN_EVENT_ENROLL] = REFUSE(TOKEN_EXPIRED, TOKEN_EXPIRED, "P1.6, P4.4"),
	    [TOKEN_EVENT_REPEAT] = REFUSE(TOKEN_EXPIRED, TOKEN_EXPIRED, "P1.6: no request has used it"),
	    [TOKEN_EVENT_OTHER] = REFUSE(TOKEN_EXPIRED, TOKEN_EXPIRED, "P1.6, P4.4"),
	    [TOKEN_EVENT_ISSUE] = NOTHING(TOKEN_EXPIRED, "P1.6: only an outstanding token is superseded"),
	    [TOKEN_EVENT_COMMITTED] = NOTHING(TOKEN_EXPIRED, "P1.6: only an outstanding token is voided"),
	    [TOKEN_EVENT_REVOKE] = NOTHING(TOKEN_EXPIRED, "P1.6: only an outstanding token is voided"),
	    [TOKEN_EVENT_VOID] = REFUSE(TOKEN_EXPIRED, TOKEN_EXPIRED, "P1.6: nothing to take back; the administrator is told"),
	    [TOKEN_EVENT_TIME] = NOTHING(TOKEN_EXPIRED, "P1.6: it stays expired"),
	},
};

static const struct rule keyset_rules[KEYSET_STATES][KEYSET_EVENTS] = {
	[KEYSET_NONE] = {
	    [KEYSET_EVENT_ENROLL] = DO(KEYSET_UNCONFIRMED, "P5.1, P5.4: stored, not yet published"),
	    [KEYSET_EVENT_ENROLL_SIGNED] = DO(KEYSET_UNCONFIRMED, "P2.4, P5.4: the name is free, so the token alone decides"),
	    [KEYSET_EVENT_RECOVER] = DO(KEYSET_UNCONFIRMED, "P5.5: a recovery is an enrollment"),
	    [KEYSET_EVENT_REPEAT] = NOTHING(KEYSET_NONE, "P5.1: nothing was committed, so this is a first request"),
	    [KEYSET_EVENT_CONFIRM] = NOTHING(KEYSET_NONE, "P5.4, P6.6: an unknown nonce is not answered"),
	    [KEYSET_EVENT_RENEW] = REFUSE(KEYSET_NONE, KEYSET_UNKNOWN, "P4.5: nothing to renew"),
	    [KEYSET_EVENT_RENEW_REPEAT] = NOTHING(KEYSET_NONE, "P4.5: never seen, so this is a first one"),
	    [KEYSET_EVENT_RENEW_CONFIRM] = NOTHING(KEYSET_NONE, "P5.4, P6.6: an unknown nonce is not answered"),
	    [KEYSET_EVENT_REVOKE] = NOTHING(KEYSET_NONE, "P1.6: only the outstanding token is voided; a later one enrolls as ever"),
	    [KEYSET_EVENT_SELF_REVOKE] = NOTHING(KEYSET_NONE, "P3.8: the key is not enrolled"),
	    [KEYSET_EVENT_CERTIFIED_UNTIL] = NOTHING(KEYSET_NONE, "P5.2: nothing was certified"),
	    [KEYSET_EVENT_GRACE_OVER] = NOTHING(KEYSET_NONE, "P3.7: nothing was certified"),
	},
	[KEYSET_UNCONFIRMED] = {
	    [KEYSET_EVENT_ENROLL] = DO(KEYSET_SUPERSEDED, "P4.6, P5.4: not active, so a new token may replace it"),
	    [KEYSET_EVENT_ENROLL_SIGNED] = DO(KEYSET_SUPERSEDED, "P4.6, P5.4: not active, so a new token may replace it"),
	    [KEYSET_EVENT_RECOVER] = DO(KEYSET_SUPERSEDED, "P5.5: a recovery supersedes all older keysets"),
	    [KEYSET_EVENT_REPEAT] = RESEND(KEYSET_UNCONFIRMED, "P5.3: same request, same reply"),
	    [KEYSET_EVENT_CONFIRM] = DO(KEYSET_ACTIVE, "P5.4: the address can read the reply; published"),
	    [KEYSET_EVENT_RENEW] = REFUSE(KEYSET_UNCONFIRMED, KEYSET_UNKNOWN, "P4.5: only active or in grace"),
	    [KEYSET_EVENT_RENEW_REPEAT] = REFUSE(KEYSET_UNCONFIRMED, KEYSET_UNKNOWN, "P4.5: only active or in grace"),
	    [KEYSET_EVENT_RENEW_CONFIRM] = NOTHING(KEYSET_UNCONFIRMED, "P3.7: only confirmed keysets are renewed"),
	    [KEYSET_EVENT_REVOKE] = DO(KEYSET_REVOKED, "P5.6, P8.1: certification withdrawn"),
	    [KEYSET_EVENT_SELF_REVOKE] = DO(KEYSET_REVOKED, "P3.8: merged, not answered"),
	    [KEYSET_EVENT_CERTIFIED_UNTIL] = DO(KEYSET_EXPIRED, "P5.2, P5.4: no grace for what was never confirmed"),
	    [KEYSET_EVENT_GRACE_OVER] = NOTHING(KEYSET_UNCONFIRMED, "P3.7: grace is for confirmed keysets"),
	},
	[KEYSET_ACTIVE] = {
	    [KEYSET_EVENT_ENROLL] = REFUSE(KEYSET_ACTIVE, KEYSET_NAME_IN_USE, "P4.6: the name is in use"),
	    [KEYSET_EVENT_ENROLL_SIGNED] = DO(KEYSET_SUPERSEDED, "P4.6: its own key signed the request"),
	    [KEYSET_EVENT_RECOVER] = DO(KEYSET_SUPERSEDED, "P4.6, P5.5: a recovery supersedes all older keysets"),
	    [KEYSET_EVENT_REPEAT] = RESEND(KEYSET_ACTIVE, "P5.3: same request, same reply"),
	    [KEYSET_EVENT_CONFIRM] = NOTHING(KEYSET_ACTIVE, "P5.4, P6.8: confirmed already"),
	    [KEYSET_EVENT_RENEW] = DO(KEYSET_ACTIVE, "P3.7, P4.5, P5.4: in force once it is confirmed"),
	    [KEYSET_EVENT_RENEW_REPEAT] = RESEND(KEYSET_ACTIVE, "P4.5: same request, same reply"),
	    [KEYSET_EVENT_RENEW_CONFIRM] = DO(KEYSET_ACTIVE, "P5.4: the new certification is in force, and published"),
	    [KEYSET_EVENT_REVOKE] = DO(KEYSET_REVOKED, "P5.6, P8.1: certification withdrawn; published as revoked, or no longer"),
	    [KEYSET_EVENT_SELF_REVOKE] = DO(KEYSET_REVOKED, "P3.8: merged, published, not answered"),
	    [KEYSET_EVENT_CERTIFIED_UNTIL] = DO(KEYSET_GRACE, "P3.7, P5.2: may still be renewed"),
	    [KEYSET_EVENT_GRACE_OVER] = NOTHING(KEYSET_ACTIVE, "P3.7: grace begins when the certification ends"),
	},
	[KEYSET_GRACE] = {
	    [KEYSET_EVENT_ENROLL] = DO(KEYSET_SUPERSEDED, "P4.6: no longer active, so the name is free"),
	    [KEYSET_EVENT_ENROLL_SIGNED] = DO(KEYSET_SUPERSEDED, "P4.6: no longer active, so the name is free"),
	    [KEYSET_EVENT_RECOVER] = DO(KEYSET_SUPERSEDED, "P5.5: a recovery supersedes all older keysets"),
	    [KEYSET_EVENT_REPEAT] = REFUSE(KEYSET_GRACE, TOKEN_USED, "P5.3: only while it is active"),
	    [KEYSET_EVENT_CONFIRM] = NOTHING(KEYSET_GRACE, "P5.4: confirmed already"),
	    [KEYSET_EVENT_RENEW] = DO(KEYSET_GRACE, "P3.7, P5.4: within the grace period; in force once it is confirmed"),
	    [KEYSET_EVENT_RENEW_REPEAT] = RESEND(KEYSET_GRACE, "P4.5: same request, same reply"),
	    [KEYSET_EVENT_RENEW_CONFIRM] = DO(KEYSET_ACTIVE, "P5.4: the new certification is in force, and published"),
	    [KEYSET_EVENT_REVOKE] = DO(KEYSET_REVOKED, "P5.6, P8.1: certification withdrawn; published as revoked, or no longer"),
	    [KEYSET_EVENT_SELF_REVOKE] = DO(KEYSET_REVOKED, "P3.8: merged, published, not answered"),
	    [KEYSET_EVENT_CERTIFIED_UNTIL] = NOTHING(KEYSET_GRACE, "P3.7: it has ended already"),
	    [KEYSET_EVENT_GRACE_OVER] = DO(KEYSET_EXPIRED, "P3.7: from now on it needs a token"),
	},
	[KEYSET_EXPIRED] = {
	    [KEYSET_EVENT_ENROLL] = DO(KEYSET_SUPERSEDED, "P4.6: not active, so the name is free"),
	    [KEYSET_EVENT_ENROLL_SIGNED] = DO(KEYSET_SUPERSEDED, "P4.6: not active; the token alone decides"),
	    [KEYSET_EVENT_RECOVER] = DO(KEYSET_SUPERSEDED, "P5.5: a recovery supersedes all older keysets"),
	    [KEYSET_EVENT_REPEAT] = REFUSE(KEYSET_EXPIRED, TOKEN_USED, "P5.3: only while it is active"),
	    [KEYSET_EVENT_CONFIRM] = NOTHING(KEYSET_EXPIRED, "P5.4: nothing is left to publish"),
	    [KEYSET_EVENT_RENEW] = REFUSE(KEYSET_EXPIRED, KEYSET_UNKNOWN, "P3.7, P4.5: only active or in grace"),
	    [KEYSET_EVENT_RENEW_REPEAT] = REFUSE(KEYSET_EXPIRED, KEYSET_UNKNOWN, "P3.7, P4.5: only active or in grace"),
	    [KEYSET_EVENT_RENEW_CONFIRM] = DO(KEYSET_ACTIVE, "P3.7, P5.4: it was asked for, and certified, in time"),
	    [KEYSET_EVENT_REVOKE] = DO(KEYSET_REVOKED, "P5.6, P8.1: never to be renewed or published again"),
	    [KEYSET_EVENT_SELF_REVOKE] = DO(KEYSET_REVOKED, "P3.8: merged, published, not answered"),
	    [KEYSET_EVENT_CERTIFIED_UNTIL] = NOTHING(KEYSET_EXPIRED, "P3.7: it has ended already"),
	    [KEYSET_EVENT_GRACE_OVER] = NOTHING(KEYSET_EXPIRED, "P3.7: it is over already"),
	},
	[KEYSET_SUPERSEDED] = {
	    [KEYSET_EVENT_ENROLL] = DO(KEYSET_SUPERSEDED, "P4.6: not active, so the name is free"),
	    [KEYSET_EVENT_ENROLL_SIGNED] = DO(KEYSET_SUPERSEDED, "P4.6: not active; the token alone decides"),
	    [KEYSET_EVENT_RECOVER] = DO(KEYSET_SUPERSEDED, "P5.5: it stays superseded"),
	    [KEYSET_EVENT_REPEAT] = REFUSE(KEYSET_SUPERSEDED, TOKEN_USED, "P5.3: only while it is active"),
	    [KEYSET_EVENT_CONFIRM] = NOTHING(KEYSET_SUPERSEDED, "P5.4: a newer keyset took its place"),
	    [KEYSET_EVENT_RENEW] = REFUSE(KEYSET_SUPERSEDED, KEYSET_UNKNOWN, "P3.7, P4.5: only active or in grace"),
	    [KEYSET_EVENT_RENEW_REPEAT] = REFUSE(KEYSET_SUPERSEDED, KEYSET_UNKNOWN, "P3.7, P4.5: only active or in grace"),
	    [KEYSET_EVENT_RENEW_CONFIRM] = NOTHING(KEYSET_SUPERSEDED, "P5.4: a newer keyset took its place"),
	    [KEYSET_EVENT_REVOKE] = DO(KEYSET_REVOKED, "P5.5, P8.1: so that a compromised key counts as revoked"),
	    [KEYSET_EVENT_SELF_REVOKE] = DO(KEYSET_REVOKED, "P3.8: merged, published, not answered"),
	    [KEYSET_EVENT_CERTIFIED_UNTIL] = NOTHING(KEYSET_SUPERSEDED, "P5.5: its certification is withdrawn already"),
	    [KEYSET_EVENT_GRACE_OVER] = NOTHING(KEYSET_SUPERSEDED, "P3.7: no grace without a certification"),
	},
	[KEYSET_REVOKED] = {
	    [KEYSET_EVENT_ENROLL] = DO(KEYSET_REVOKED, "P4.6: not active, so the name is free (for another key: P4.7)"),
	    [KEYSET_EVENT_ENROLL_SIGNED] = DO(KEYSET_REVOKED, "P4.6: not active; the token alone decides"),
	    [KEYSET_EVENT_RECOVER] = DO(KEYSET_REVOKED, "P5.5: it stays revoked"),
	    [KEYSET_EVENT_REPEAT] = REFUSE(KEYSET_REVOKED, KEYSET_REVOKED, "P5.3: only while it is active"),
	    [KEYSET_EVENT_CONFIRM] = NOTHING(KEYSET_REVOKED, "P5.4: a revoked key is never published as valid"),
	    [KEYSET_EVENT_RENEW] = REFUSE(KEYSET_REVOKED, KEYSET_REVOKED, "P4.5: only active or in grace"),
	    [KEYSET_EVENT_RENEW_REPEAT] = REFUSE(KEYSET_REVOKED, KEYSET_REVOKED, "P4.5: only active or in grace"),
	    [KEYSET_EVENT_RENEW_CONFIRM] = NOTHING(KEYSET_REVOKED, "P5.4: a revoked key is never published as valid"),
	    [KEYSET_EVENT_REVOKE] = NOTHING(KEYSET_REVOKED, "P8.1: it stays revoked"),
	    [KEYSET_EVENT_SELF_REVOKE] = NOTHING(KEYSET_REVOKED, "P3.8: it stays revoked"),
	    [KEYSET_EVENT_CERTIFIED_UNTIL] = NOTHING(KEYSET_REVOKED, "P8.1: it stays revoked"),
	    [KEYSET_EVENT_GRACE_OVER] = NOTHING(KEYSET_REVOKED, "P8.1: it stays revoked"),
	},
};

const struct rule *token_rule(enum token_state state, enum token_event event)
{
	return &token_rules[state][event];
}

const struct rule *keyset_rule(enum keyset_state state, enum keyset_event event)
{
	return &keyset_rules[state][event];
}

const char *token_state_name(enum token_state state)
{
	static const char *const names[TOKEN_STATES] = { "outstanding", "used", "superseded",
		"voided", "expired" };
	return names[state];
}

const char *keyset_state_name(enum keyset_state state)
{
	static const char *const names[KEYSET_STATES] = { "none", "unconfirmed", "active", "grace",
		"expired", "superseded", "revoked" };
	return names[state];
}

const char *token_event_name(enum token_event event)
{
	static const char *const names[TOKEN_EVENTS] = {
		[TOKEN_EVENT_ENROLL] = "an enrollment with it commits",
		[TOKEN_EVENT_REPEAT] = "the request that used it comes again",
		[TOKEN_EVENT_OTHER] = "another request with it comes",
		[TOKEN_EVENT_ISSUE] = "another token is issued for the address",
		[TOKEN_EVENT_COMMITTED] = "the address enrolls by other means",
		[TOKEN_EVENT_REVOKE] = "the address is revoked",
		[TOKEN_EVENT_VOID] = "it is taken back, or its mail was not sent",
		[TOKEN_EVENT_TIME] = "its expiry passes",
	};
	return names[event];
}

const char *keyset_event_name(enum keyset_event event)
{
	static const char *const names[KEYSET_EVENTS] = {
		[KEYSET_EVENT_ENROLL] = "enrollment under this name, token alone",
		[KEYSET_EVENT_ENROLL_SIGNED] = "enrollment under this name, signed by its key",
		[KEYSET_EVENT_RECOVER] = "enrollment with a recovery token",
		[KEYSET_EVENT_REPEAT] = "the request that made it comes again",
		[KEYSET_EVENT_CONFIRM] = "its nonce comes back",
		[KEYSET_EVENT_RENEW] = "renewal signed by its key",
		[KEYSET_EVENT_RENEW_REPEAT] = "the same renewal comes again",
		[KEYSET_EVENT_RENEW_CONFIRM] = "the nonce of its renewal comes back",
		[KEYSET_EVENT_REVOKE] = "the authority revokes it",
		[KEYSET_EVENT_SELF_REVOKE] = "the user's own revocation comes",
		[KEYSET_EVENT_CERTIFIED_UNTIL] = "its certification ends",
		[KEYSET_EVENT_GRACE_OVER] = "its grace period ends",
	};
	return names[event];
}

enum token_state token_state_of(
    int64_t used, int64_t superseded, int64_t voided, int64_t expires, int64_t now)
{
	if (used)
		return TOKEN_USED;
	if (superseded)
		return TOKEN_SUPERSEDED;
	if (voided)
		return TOKEN_VOIDED;
	return now >= expires ? TOKEN_EXPIRED : TOKEN_OUTSTANDING;
}

enum keyset_state keyset_state_of(int64_t confirmed, int64_t superseded, int64_t revoked,
    int64_t certified_until, int64_t grace_seconds, int64_t now)
{
	if (revoked)
		return KEYSET_REVOKED;
	if (superseded)
		return KEYSET_SUPERSEDED;
	if (now < certified_until)
		return confirmed ? KEYSET_ACTIVE : KEYSET_UNCONFIRMED;
	return confirmed && now - certified_until < grace_seconds ? KEYSET_GRACE : KEYSET_EXPIRED;
}

static void print_rule(
    FILE *out, const char *state, const char *event, const struct rule *rule, const char *next)
{
	static const char *const acts[] = {
		[RULE_NOTHING] = "nothing",
		[RULE_DO] = "done",
		[RULE_RESEND] = "reply sent again",
		[RULE_REFUSE] = "refused",
	};
	fprintf(out, "| %s | %s | %s%s%s%s | %s | %s |\n", state, event, acts[rule->act],
	    rule->reason ? ", `" : "", rule->reason ? reason_code(rule->reason) : "",
	    rule->reason ? "`" : "", next, rule->why);
}

static void print_head(FILE *out, const char *title, const char *subject)
{
	fprintf(out,
	    "\n## %s\n\n| %s | event | outcome | state after | why |\n|---|---|---|---|---|\n",
	    title, subject);
}

void state_print(FILE *out)
{
	fputs(
	    "# States\n\n"
	    "Made by the build from `common/enroll/state.c`; the clauses are those of `protocol.md`. Each line "
	    "speaks of\none token or of one stored keyset: where an enrollment takes the name of an older "
	    "keyset, the older one is\nsuperseded, and the new one begins at *none*.\n",
	    out);
	print_head(out, "Token", "token");
	for (int s = 0; s < TOKEN_STATES; s++)
		for (int e = 0; e < TOKEN_EVENTS; e++) {
			const struct rule *rule = &token_rules[s][e];
			print_rule(out, token_state_name((enum token_state)s),
			    token_event_name((enum token_event)e), rule,
			    token_state_name((enum token_state)rule->next));
		}
	print_head(out, "Keyset", "keyset");
	for (int s = 0; s < KEYSET_STATES; s++)
		for (int e = 0; e < KEYSET_EVENTS; e++) {
			const struct rule *rule = &keyset_rules[s][e];
			print_rule(out, keyset_state_name((enum keyset_state)s),
			    keyset_event_name((enum keyset_event)e), rule,
			    keyset_state_name((enum keyset_state)rule->next));
		}
}
