#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "enroll/state.h"

struct cell {
	int state, event;
	enum rule_act act;
	int next;
	enum reason reason;
};

#define N RULE_NOTHING
#define D RULE_DO
#define S RULE_RESEND
#define R RULE_REFUSE

/* What 1-product.md and the clauses say, written down by themselves and not from the code. */
static const struct cell token_cells[] = {
	{ TOKEN_OUTSTANDING, TOKEN_EVENT_ENROLL, D, TOKEN_USED, REASON_NONE },
	{ TOKEN_OUTSTANDING, TOKEN_EVENT_REPEAT, N, TOKEN_OUTSTANDING, REASON_NONE },
	{ TOKEN_OUTSTANDING, TOKEN_EVENT_OTHER, N, TOKEN_OUTSTANDING, REASON_NONE },
	{ TOKEN_OUTSTANDING, TOKEN_EVENT_ISSUE, D, TOKEN_SUPERSEDED, REASON_NONE },
	{ TOKEN_OUTSTANDING, TOKEN_EVENT_COMMITTED, D, TOKEN_VOIDED, REASON_NONE },
	{ TOKEN_OUTSTANDING, TOKEN_EVENT_REVOKE, D, TOKEN_VOIDED, REASON_NONE },
	{ TOKEN_OUTSTANDING, TOKEN_EVENT_VOID, D, TOKEN_VOIDED, REASON_NONE },
	{ TOKEN_OUTSTANDING, TOKEN_EVENT_TIME, D, TOKEN_EXPIRED, REASON_NONE },

	{ TOKEN_USED, TOKEN_EVENT_ENROLL, R, TOKEN_USED, REASON_TOKEN_USED },
	{ TOKEN_USED, TOKEN_EVENT_REPEAT, S, TOKEN_USED, REASON_NONE },
	{ TOKEN_USED, TOKEN_EVENT_OTHER, R, TOKEN_USED, REASON_TOKEN_USED },
	{ TOKEN_USED, TOKEN_EVENT_ISSUE, N, TOKEN_USED, REASON_NONE },
	{ TOKEN_USED, TOKEN_EVENT_COMMITTED, N, TOKEN_USED, REASON_NONE },
	{ TOKEN_USED, TOKEN_EVENT_REVOKE, N, TOKEN_USED, REASON_NONE },
	{ TOKEN_USED, TOKEN_EVENT_VOID, R, TOKEN_USED, REASON_TOKEN_USED },
	{ TOKEN_USED, TOKEN_EVENT_TIME, N, TOKEN_USED, REASON_NONE },

	{ TOKEN_SUPERSEDED, TOKEN_EVENT_ENROLL, R, TOKEN_SUPERSEDED, REASON_TOKEN_SUPERSEDED },
	{ TOKEN_SUPERSEDED, TOKEN_EVENT_REPEAT, R, TOKEN_SUPERSEDED, REASON_TOKEN_SUPERSEDED },
	{ TOKEN_SUPERSEDED, TOKEN_EVENT_OTHER, R, TOKEN_SUPERSEDED, REASON_TOKEN_SUPERSEDED },
	{ TOKEN_SUPERSEDED, TOKEN_EVENT_ISSUE, N, TOKEN_SUPERSEDED, REASON_NONE },
	{ TOKEN_SUPERSEDED, TOKEN_EVENT_COMMITTED, N, TOKEN_SUPERSEDED, REASON_NONE },
	{ TOKEN_SUPERSEDED, TOKEN_EVENT_REVOKE, N, TOKEN_SUPERSEDED, REASON_NONE },
	{ TOKEN_SUPERSEDED, TOKEN_EVENT_VOID, R, TOKEN_SUPERSEDED, REASON_TOKEN_SUPERSEDED },
	{ TOKEN_SUPERSEDED, TOKEN_EVENT_TIME, N, TOKEN_SUPERSEDED, REASON_NONE },

	{ TOKEN_VOIDED, TOKEN_EVENT_ENROLL, R, TOKEN_VOIDED, REASON_TOKEN_VOIDED },
	{ TOKEN_VOIDED, TOKEN_EVENT_REPEAT, R, TOKEN_VOIDED, REASON_TOKEN_VOIDED },
	{ TOKEN_VOIDED, TOKEN_EVENT_OTHER, R, TOKEN_VOIDED, REASON_TOKEN_VOIDED },
	{ TOKEN_VOIDED, TOKEN_EVENT_ISSUE, N, TOKEN_VOIDED, REASON_NONE },
	{ TOKEN_VOIDED, TOKEN_EVENT_COMMITTED, N, TOKEN_VOIDED, REASON_NONE },
	{ TOKEN_VOIDED, TOKEN_EVENT_REVOKE, N, TOKEN_VOIDED, REASON_NONE },
	{ TOKEN_VOIDED, TOKEN_EVENT_VOID, R, TOKEN_VOIDED, REASON_TOKEN_VOIDED },
	{ TOKEN_VOIDED, TOKEN_EVENT_TIME, N, TOKEN_VOIDED, REASON_NONE },

	{ TOKEN_EXPIRED, TOKEN_EVENT_ENROLL, R, TOKEN_EXPIRED, REASON_TOKEN_EXPIRED },
	{ TOKEN_EXPIRED, TOKEN_EVENT_REPEAT, R, TOKEN_EXPIRED, REASON_TOKEN_EXPIRED },
	{ TOKEN_EXPIRED, TOKEN_EVENT_OTHER, R, TOKEN_EXPIRED, REASON_TOKEN_EXPIRED },
	{ TOKEN_EXPIRED, TOKEN_EVENT_ISSUE, N, TOKEN_EXPIRED, REASON_NONE },
	{ TOKEN_EXPIRED, TOKEN_EVENT_COMMITTED, N, TOKEN_EXPIRED, REASON_NONE },
	{ TOKEN_EXPIRED, TOKEN_EVENT_REVOKE, N, TOKEN_EXPIRED, REASON_NONE },
	{ TOKEN_EXPIRED, TOKEN_EVENT_VOID, R, TOKEN_EXPIRED, REASON_TOKEN_EXPIRED },
	{ TOKEN_EXPIRED, TOKEN_EVENT_TIME, N, TOKEN_EXPIRED, REASON_NONE },
};

static const struct cell keyset_cells[] = {
	{ KEYSET_NONE, KEYSET_EVENT_ENROLL, D, KEYSET_UNCONFIRMED, REASON_NONE },
	{ KEYSET_NONE, KEYSET_EVENT_ENROLL_SIGNED, D, KEYSET_UNCONFIRMED, REASON_NONE },
	{ KEYSET_NONE, KEYSET_EVENT_RECOVER, D, KEYSET_UNCONFIRMED, REASON_NONE },
	{ KEYSET_NONE, KEYSET_EVENT_REPEAT, N, KEYSET_NONE, REASON_NONE },
	{ KEYSET_NONE, KEYSET_EVENT_CONFIRM, N, KEYSET_NONE, REASON_NONE },
	{ KEYSET_NONE, KEYSET_EVENT_RENEW, R, KEYSET_NONE, REASON_KEYSET_UNKNOWN },
	{ KEYSET_NONE, KEYSET_EVENT_RENEW_REPEAT, N, KEYSET_NONE, REASON_NONE },
	{ KEYSET_NONE, KEYSET_EVENT_RENEW_CONFIRM, N, KEYSET_NONE, REASON_NONE },
	{ KEYSET_NONE, KEYSET_EVENT_REVOKE, N, KEYSET_NONE, REASON_NONE },
	{ KEYSET_NONE, KEYSET_EVENT_SELF_REVOKE, N, KEYSET_NONE, REASON_NONE },
	{ KEYSET_NONE, KEYSET_EVENT_CERTIFIED_UNTIL, N, KEYSET_NONE, REASON_NONE },
	{ KEYSET_NONE, KEYSET_EVENT_GRACE_OVER, N, KEYSET_NONE, REASON_NONE },

	{ KEYSET_UNCONFIRMED, KEYSET_EVENT_ENROLL, D, KEYSET_SUPERSEDED, REASON_NONE },
	{ KEYSET_UNCONFIRMED, KEYSET_EVENT_ENROLL_SIGNED, D, KEYSET_SUPERSEDED, REASON_NONE },
	{ KEYSET_UNCONFIRMED, KEYSET_EVENT_RECOVER, D, KEYSET_SUPERSEDED, REASON_NONE },
	{ KEYSET_UNCONFIRMED, KEYSET_EVENT_REPEAT, S, KEYSET_UNCONFIRMED, REASON_NONE },
	{ KEYSET_UNCONFIRMED, KEYSET_EVENT_CONFIRM, D, KEYSET_ACTIVE, REASON_NONE },
	{ KEYSET_UNCONFIRMED, KEYSET_EVENT_RENEW, R, KEYSET_UNCONFIRMED, REASON_KEYSET_UNKNOWN },
	{ KEYSET_UNCONFIRMED, KEYSET_EVENT_RENEW_REPEAT, R, KEYSET_UNCONFIRMED, REASON_KEYSET_UNKNOWN },
	{ KEYSET_UNCONFIRMED, KEYSET_EVENT_RENEW_CONFIRM, N, KEYSET_UNCONFIRMED, REASON_NONE },
	{ KEYSET_UNCONFIRMED, KEYSET_EVENT_REVOKE, D, KEYSET_REVOKED, REASON_NONE },
	{ KEYSET_UNCONFIRMED, KEYSET_EVENT_SELF_REVOKE, D, KEYSET_REVOKED, REASON_NONE },
	{ KEYSET_UNCONFIRMED, KEYSET_EVENT_CERTIFIED_UNTIL, D, KEYSET_EXPIRED, REASON_NONE },
	{ KEYSET_UNCONFIRMED, KEYSET_EVENT_GRACE_OVER, N, KEYSET_UNCONFIRMED, REASON_NONE },

	{ KEYSET_ACTIVE, KEYSET_EVENT_ENROLL, R, KEYSET_ACTIVE, REASON_KEYSET_NAME_IN_USE },
	{ KEYSET_ACTIVE, KEYSET_EVENT_ENROLL_SIGNED, D, KEYSET_SUPERSEDED, REASON_NONE },
	{ KEYSET_ACTIVE, KEYSET_EVENT_RECOVER, D, KEYSET_SUPERSEDED, REASON_NONE },
	{ KEYSET_ACTIVE, KEYSET_EVENT_REPEAT, S, KEYSET_ACTIVE, REASON_NONE },
	{ KEYSET_ACTIVE, KEYSET_EVENT_CONFIRM, N, KEYSET_ACTIVE, REASON_NONE },
	{ KEYSET_ACTIVE, KEYSET_EVENT_RENEW, D, KEYSET_ACTIVE, REASON_NONE },
	{ KEYSET_ACTIVE, KEYSET_EVENT_RENEW_REPEAT, S, KEYSET_ACTIVE, REASON_NONE },
	{ KEYSET_ACTIVE, KEYSET_EVENT_RENEW_CONFIRM, D, KEYSET_ACTIVE, REASON_NONE },
	{ KEYSET_ACTIVE, KEYSET_EVENT_REVOKE, D, KEYSET_REVOKED, REASON_NONE },
	{ KEYSET_ACTIVE, KEYSET_EVENT_SELF_REVOKE, D, KEYSET_REVOKED, REASON_NONE },
	{ KEYSET_ACTIVE, KEYSET_EVENT_CERTIFIED_UNTIL, D, KEYSET_GRACE, REASON_NONE },
	{ KEYSET_ACTIVE, KEYSET_EVENT_GRACE_OVER, N, KEYSET_ACTIVE, REASON_NONE },

	{ KEYSET_GRACE, KEYSET_EVENT_ENROLL, D, KEYSET_SUPERSEDED, REASON_NONE },
	{ KEYSET_GRACE, KEYSET_EVENT_ENROLL_SIGNED, D, KEYSET_SUPERSEDED, REASON_NONE },
	{ KEYSET_GRACE, KEYSET_EVENT_RECOVER, D, KEYSET_SUPERSEDED, REASON_NONE },
	{ KEYSET_GRACE, KEYSET_EVENT_REPEAT, R, KEYSET_GRACE, REASON_TOKEN_USED },
	{ KEYSET_GRACE, KEYSET_EVENT_CONFIRM, N, KEYSET_GRACE, REASON_NONE },
	{ KEYSET_GRACE, KEYSET_EVENT_RENEW, D, KEYSET_GRACE, REASON_NONE },
	{ KEYSET_GRACE, KEYSET_EVENT_RENEW_REPEAT, S, KEYSET_GRACE, REASON_NONE },
	{ KEYSET_GRACE, KEYSET_EVENT_RENEW_CONFIRM, D, KEYSET_ACTIVE, REASON_NONE },
	{ KEYSET_GRACE, KEYSET_EVENT_REVOKE, D, KEYSET_REVOKED, REASON_NONE },
	{ KEYSET_GRACE, KEYSET_EVENT_SELF_REVOKE, D, KEYSET_REVOKED, REASON_NONE },
	{ KEYSET_GRACE, KEYSET_EVENT_CERTIFIED_UNTIL, N, KEYSET_GRACE, REASON_NONE },
	{ KEYSET_GRACE, KEYSET_EVENT_GRACE_OVER, D, KEYSET_EXPIRED, REASON_NONE },

	{ KEYSET_EXPIRED, KEYSET_EVENT_ENROLL, D, KEYSET_SUPERSEDED, REASON_NONE },
	{ KEYSET_EXPIRED, KEYSET_EVENT_ENROLL_SIGNED, D, KEYSET_SUPERSEDED, REASON_NONE },
	{ KEYSET_EXPIRED, KEYSET_EVENT_RECOVER, D, KEYSET_SUPERSEDED, REASON_NONE },
	{ KEYSET_EXPIRED, KEYSET_EVENT_REPEAT, R, KEYSET_EXPIRED, REASON_TOKEN_USED },
	{ KEYSET_EXPIRED, KEYSET_EVENT_CONFIRM, N, KEYSET_EXPIRED, REASON_NONE },
	{ KEYSET_EXPIRED, KEYSET_EVENT_RENEW, R, KEYSET_EXPIRED, REASON_KEYSET_UNKNOWN },
	{ KEYSET_EXPIRED, KEYSET_EVENT_RENEW_REPEAT, R, KEYSET_EXPIRED, REASON_KEYSET_UNKNOWN },
	{ KEYSET_EXPIRED, KEYSET_EVENT_RENEW_CONFIRM, D, KEYSET_ACTIVE, REASON_NONE },
	{ KEYSET_EXPIRED, KEYSET_EVENT_REVOKE, D, KEYSET_REVOKED, REASON_NONE },
	{ KEYSET_EXPIRED, KEYSET_EVENT_SELF_REVOKE, D, KEYSET_REVOKED, REASON_NONE },
	{ KEYSET_EXPIRED, KEYSET_EVENT_CERTIFIED_UNTIL, N, KEYSET_EXPIRED, REASON_NONE },
	{ KEYSET_EXPIRED, KEYSET_EVENT_GRACE_OVER, N, KEYSET_EXPIRED, REASON_NONE },

	{ KEYSET_SUPERSEDED, KEYSET_EVENT_ENROLL, D, KEYSET_SUPERSEDED, REASON_NONE },
	{ KEYSET_SUPERSEDED, KEYSET_EVENT_ENROLL_SIGNED, D, KEYSET_SUPERSEDED, REASON_NONE },
	{ KEYSET_SUPERSEDED, KEYSET_EVENT_RECOVER, D, KEYSET_SUPERSEDED, REASON_NONE },
	{ KEYSET_SUPERSEDED, KEYSET_EVENT_REPEAT, R, KEYSET_SUPERSEDED, REASON_TOKEN_USED },
	{ KEYSET_SUPERSEDED, KEYSET_EVENT_CONFIRM, N, KEYSET_SUPERSEDED, REASON_NONE },
	{ KEYSET_SUPERSEDED, KEYSET_EVENT_RENEW, R, KEYSET_SUPERSEDED, REASON_KEYSET_UNKNOWN },
	{ KEYSET_SUPERSEDED, KEYSET_EVENT_RENEW_REPEAT, R, KEYSET_SUPERSEDED, REASON_KEYSET_UNKNOWN },
	{ KEYSET_SUPERSEDED, KEYSET_EVENT_RENEW_CONFIRM, N, KEYSET_SUPERSEDED, REASON_NONE },
	{ KEYSET_SUPERSEDED, KEYSET_EVENT_REVOKE, D, KEYSET_REVOKED, REASON_NONE },
	{ KEYSET_SUPERSEDED, KEYSET_EVENT_SELF_REVOKE, D, KEYSET_REVOKED, REASON_NONE },
	{ KEYSET_SUPERSEDED, KEYSET_EVENT_CERTIFIED_UNTIL, N, KEYSET_SUPERSEDED, REASON_NONE },
	{ KEYSET_SUPERSEDED, KEYSET_EVENT_GRACE_OVER, N, KEYSET_SUPERSEDED, REASON_NONE },

	{ KEYSET_REVOKED, KEYSET_EVENT_ENROLL, D, KEYSET_REVOKED, REASON_NONE },
	{ KEYSET_REVOKED, KEYSET_EVENT_ENROLL_SIGNED, D, KEYSET_REVOKED, REASON_NONE },
	{ KEYSET_REVOKED, KEYSET_EVENT_RECOVER, D, KEYSET_REVOKED, REASON_NONE },
	{ KEYSET_REVOKED, KEYSET_EVENT_REPEAT, R, KEYSET_REVOKED, REASON_KEYSET_REVOKED },
	{ KEYSET_REVOKED, KEYSET_EVENT_CONFIRM, N, KEYSET_REVOKED, REASON_NONE },
	{ KEYSET_REVOKED, KEYSET_EVENT_RENEW, R, KEYSET_REVOKED, REASON_KEYSET_REVOKED },
	{ KEYSET_REVOKED, KEYSET_EVENT_RENEW_REPEAT, R, KEYSET_REVOKED, REASON_KEYSET_REVOKED },
	{ KEYSET_REVOKED, KEYSET_EVENT_RENEW_CONFIRM, N, KEYSET_REVOKED, REASON_NONE },
	{ KEYSET_REVOKED, KEYSET_EVENT_REVOKE, N, KEYSET_REVOKED, REASON_NONE },
	{ KEYSET_REVOKED, KEYSET_EVENT_SELF_REVOKE, N, KEYSET_REVOKED, REASON_NONE },
	{ KEYSET_REVOKED, KEYSET_EVENT_CERTIFIED_UNTIL, N, KEYSET_REVOKED, REASON_NONE },
	{ KEYSET_REVOKED, KEYSET_EVENT_GRACE_OVER, N, KEYSET_REVOKED, REASON_NONE },
};

static void check_cell(
    const struct cell *want, const struct rule *rule, const char *state, const char *event)
{
	if (rule->act != want->act || rule->next != want->next || rule->reason != want->reason)
		fail_msg("%s, %s: act %d next %d reason %s", state, event, (int)rule->act,
		    rule->next, reason_code(rule->reason));
	assert_non_null(rule->why);
	assert_int_equal(rule->why[0], 'P');
	assert_int_equal(rule->act == RULE_REFUSE, rule->reason != REASON_NONE);
	if (rule->act == RULE_REFUSE || rule->act == RULE_NOTHING || rule->act == RULE_RESEND)
		assert_int_equal(rule->next, want->state);
}

static void test_token_table(void **state)
{
	(void)state;
	bool seen[TOKEN_STATES][TOKEN_EVENTS] = { 0 };
	for (size_t i = 0; i < sizeof(token_cells) / sizeof(token_cells[0]); i++) {
		const struct cell *c = &token_cells[i];
		enum token_state s = (enum token_state)c->state;
		enum token_event e = (enum token_event)c->event;
		assert_false(seen[s][e]);
		seen[s][e] = true;
		check_cell(c, token_rule(s, e), token_state_name(s), token_event_name(e));
	}
	for (int s = 0; s < TOKEN_STATES; s++)
		for (int e = 0; e < TOKEN_EVENTS; e++)
			assert_true(seen[s][e]);
}

static void test_keyset_table(void **state)
{
	(void)state;
	bool seen[KEYSET_STATES][KEYSET_EVENTS] = { 0 };
	for (size_t i = 0; i < sizeof(keyset_cells) / sizeof(keyset_cells[0]); i++) {
		const struct cell *c = &keyset_cells[i];
		enum keyset_state s = (enum keyset_state)c->state;
		enum keyset_event e = (enum keyset_event)c->event;
		assert_false(seen[s][e]);
		seen[s][e] = true;
		check_cell(c, keyset_rule(s, e), keyset_state_name(s), keyset_event_name(e));
	}
	for (int s = 0; s < KEYSET_STATES; s++)
		for (int e = 0; e < KEYSET_EVENTS; e++)
			assert_true(seen[s][e]);
}

/* A token leaves "outstanding" only, once; a used one is never anything else (I1). */
static void test_token_is_final(void **state)
{
	(void)state;
	for (int s = TOKEN_USED; s < TOKEN_STATES; s++)
		for (int e = 0; e < TOKEN_EVENTS; e++)
			assert_int_equal(
			    token_rule((enum token_state)s, (enum token_event)e)->next, s);
}

/* No event leads out of "revoked", and every name can be enrolled again, or says how (1-product.md: never wedged). */
static void test_never_wedged(void **state)
{
	(void)state;
	for (int e = 0; e < KEYSET_EVENTS; e++)
		assert_int_equal(
		    keyset_rule(KEYSET_REVOKED, (enum keyset_event)e)->next, KEYSET_REVOKED);
	for (int s = 0; s < KEYSET_STATES; s++) {
		assert_int_equal(
		    keyset_rule((enum keyset_state)s, KEYSET_EVENT_RECOVER)->act, RULE_DO);
		assert_int_equal(
		    keyset_rule((enum keyset_state)s, KEYSET_EVENT_ENROLL_SIGNED)->act, RULE_DO);
	}
}

static void test_token_state_of(void **state)
{
	(void)state;
	static const struct {
		int64_t used, superseded, voided, expires, now;
		enum token_state state;
	} cases[] = {
		{ 0, 0, 0, 100, 99, TOKEN_OUTSTANDING },
		{ 0, 0, 0, 100, 100, TOKEN_EXPIRED },
		{ 50, 0, 0, 100, 99, TOKEN_USED },
		{ 50, 0, 0, 100, 200, TOKEN_USED },
		{ 0, 50, 0, 100, 200, TOKEN_SUPERSEDED },
		{ 0, 0, 50, 100, 200, TOKEN_VOIDED },
		{ 50, 60, 70, 100, 99, TOKEN_USED },
		{ 0, 60, 70, 100, 99, TOKEN_SUPERSEDED },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(token_state_of(cases[i].used, cases[i].superseded, cases[i].voided,
				     cases[i].expires, cases[i].now),
		    cases[i].state);
}

static void test_keyset_state_of(void **state)
{
	(void)state;
	static const struct {
		int64_t confirmed, superseded, revoked, until, grace, now;
		enum keyset_state state;
	} cases[] = {
		{ 0, 0, 0, 100, 10, 99, KEYSET_UNCONFIRMED },
		{ 0, 0, 0, 100, 10, 100, KEYSET_EXPIRED },
		{ 5, 0, 0, 100, 10, 99, KEYSET_ACTIVE },
		{ 5, 0, 0, 100, 10, 100, KEYSET_GRACE },
		{ 5, 0, 0, 100, 10, 109, KEYSET_GRACE },
		{ 5, 0, 0, 100, 10, 110, KEYSET_EXPIRED },
		{ 5, 0, 0, 100, 0, 100, KEYSET_EXPIRED },
		{ 5, 6, 0, 100, 10, 50, KEYSET_SUPERSEDED },
		{ 5, 6, 0, 100, 10, 500, KEYSET_SUPERSEDED },
		{ 5, 6, 7, 100, 10, 50, KEYSET_REVOKED },
		{ 0, 0, 7, 100, 10, 500, KEYSET_REVOKED },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(
		    keyset_state_of(cases[i].confirmed, cases[i].superseded, cases[i].revoked,
			cases[i].until, cases[i].grace, cases[i].now),
		    cases[i].state);
}

/* Time passing in what is stored agrees with the time events of the table. */
static void test_time_agrees(void **state)
{
	(void)state;
	assert_int_equal(token_state_of(0, 0, 0, 100, 100),
	    token_rule(token_state_of(0, 0, 0, 100, 99), TOKEN_EVENT_TIME)->next);
	for (int64_t confirmed = 0; confirmed < 2; confirmed++) {
		enum keyset_state before = keyset_state_of(confirmed, 0, 0, 100, 10, 99);
		enum keyset_state ended = keyset_state_of(confirmed, 0, 0, 100, 10, 100);
		enum keyset_state over = keyset_state_of(confirmed, 0, 0, 100, 10, 110);
		assert_int_equal(keyset_rule(before, KEYSET_EVENT_CERTIFIED_UNTIL)->next, ended);
		assert_int_equal(keyset_rule(ended, KEYSET_EVENT_GRACE_OVER)->next, over);
	}
}

static void test_print(void **state)
{
	(void)state;
	char *text = NULL;
	size_t len = 0, rows = 0;
	FILE *out = open_memstream(&text, &len);
	assert_non_null(out);
	state_print(out);
	assert_int_equal(fclose(out), 0);
	for (const char *p = text; (p = strstr(p, " | P")) != NULL; p++)
		rows++;
	assert_int_equal(rows, TOKEN_STATES * TOKEN_EVENTS + KEYSET_STATES * KEYSET_EVENTS);
	assert_non_null(strstr(
	    text, "| used | another request with it comes | refused, `token-used` | used | P5.3"));
	free(text);
}

/* P8.2, in the order of the protocol. */
static const char codes[] =
    "token-expired token-used token-superseded token-voided token-ambiguous "
    "address-mismatch stale keyset-name-invalid keyset-name-in-use keyset-not-allowed keyset-exists "
    "keyset-unknown keyset-revoked key-missing key-ambiguous key-unusable key-secret key-other-person "
    "name-mismatch signature-invalid deposit-required deposit-unwanted deposit-mismatch client-required "
    "request-malformed too-large policy token-unreadable ";

static bool is_sentence(const char *s)
{
	size_t len = strlen(s);
	return len > 20 && len < 300 && s[0] >= 'A' && s[0] <= 'Z' && s[len - 1] == '.' &&
	       !strchr(s, '\n') && !strstr(s, ". ");
}

static void test_reasons(void **state)
{
	(void)state;
	struct buf list = BUF_INIT;
	for (int i = REASON_NONE + 1; i < REASON_COUNT; i++) {
		enum reason reason = (enum reason)i;
		buf_addf(&list, "%s ", reason_code(reason));
		assert_int_equal(reason_from_code(reason_code(reason)), reason);
		if (!is_sentence(reason_what(reason)) || !is_sentence(reason_do(reason)))
			fail_msg("%s: not a sentence each", reason_code(reason));
	}
	assert_string_equal(buf_text(&list), codes);
	assert_int_equal(reason_from_code("none"), REASON_NONE);
	assert_int_equal(reason_from_code("Token-Used"), REASON_NONE);
	buf_free(&list);
}

static void test_refuse(void **state)
{
	(void)state;
	struct refusal r;
	memset(&r, 'x', sizeof(r));
	assert_false(refuse(&r, REASON_STALE, NULL));
	assert_int_equal(r.reason, REASON_STALE);
	assert_string_equal(r.detail, "");
	assert_false(refuse(&r, REASON_POLICY, "%s %d.", "No", 7));
	assert_string_equal(r.detail, "No 7.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_token_table),
		cmocka_unit_test(test_keyset_table),
		cmocka_unit_test(test_token_is_final),
		cmocka_unit_test(test_never_wedged),
		cmocka_unit_test(test_token_state_of),
		cmocka_unit_test(test_keyset_state_of),
		cmocka_unit_test(test_time_agrees),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_refuse),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
