/* The two state tables (P8.1) against the store: every cell, on a real row, so that they can't part ways. */
#include "enroll/state.h"
#include "store_fixture.h"

#define EXPIRES (NOW + 14 * DAY)

struct cell_test {
	struct place *place;
	int64_t id, keyset;
	int64_t now; /* when the event comes */
};

static enum token_state state_at(const struct cell_test *c, int64_t now)
{
	struct token_row *row = NULL;

	assert_fine(token_by_id(c->place->store, c->id, &row));
	assert_non_null(row);
	enum token_state state =
	    token_state_of(row->used, row->superseded, row->voided, row->expires, now);
	token_row_free(&row);
	return state;
}

static void issue_another(const struct cell_test *c, uint8_t number)
{
	struct token_row next = token_for(ALICE, number);
	int64_t superseded;

	next.issued = c->now;
	next.expires = c->now + 14 * DAY;
	assert_written(c->place->store, token_insert(c->place->store, &next, c->now, &superseded));
	token_clear(&next);
}

/* A token of Alice's in this state, shortly before the event. */
static void drive(struct cell_test *c, enum token_state state)
{
	struct store *store = c->place->store;

	c->id = token_issued(store, ALICE, 1);
	c->keyset = keyset_stored(store, ALICE, "default");
	c->now = NOW + 1;
	switch (state) {
	case TOKEN_USED:
		assert_written(store, token_use(store, c->id, c->keyset, c->now));
		break;
	case TOKEN_SUPERSEDED:
		issue_another(c, 2);
		break;
	case TOKEN_VOIDED:
		assert_written(store, token_void(store, c->id, c->now));
		break;
	case TOKEN_EXPIRED:
		c->now = EXPIRES + 1;
		break;
	case TOKEN_OUTSTANDING:
	case TOKEN_STATES:
		break;
	}
	c->now++;
	assert_int_equal(state_at(c, c->now), state);
}

/* A call that the table allows is committed; any other the store refuses, and nothing of it stays. */
static void apply(const struct cell_test *c, const struct rule *rule, enum err refusal,
    enum err (*call)(const struct cell_test *c))
{
	struct store *store = c->place->store;

	assert_fine(store_begin(store));
	assert_fault(call(c), rule->act == RULE_DO ? ERR_OK : refusal);
	if (rule->act == RULE_DO)
		assert_fine(store_commit(store));
	else
		store_rollback(store);
}

static enum err call_use(const struct cell_test *c)
{
	return token_use(c->place->store, c->id, c->keyset, c->now);
}

static enum err call_void(const struct cell_test *c)
{
	return token_void(c->place->store, c->id, c->now);
}

static void happen(struct cell_test *c, enum token_event event, const struct rule *rule)
{
	switch (event) {
	case TOKEN_EVENT_ENROLL:
		apply(c, rule, ERR_TEMPORARY, call_use);
		break;
	case TOKEN_EVENT_COMMITTED:
	case TOKEN_EVENT_REVOKE:
	case TOKEN_EVENT_VOID:
		apply(c, rule, ERR_NOUSER, call_void);
		break;
	case TOKEN_EVENT_ISSUE:
		issue_another(c, 3);
		break;
	case TOKEN_EVENT_TIME:
		c->now = EXPIRES + DAY;
		break;
	case TOKEN_EVENT_REPEAT: /* what only asks changes nothing */
	case TOKEN_EVENT_OTHER:
	case TOKEN_EVENTS:
		break;
	}
}

static void every_cell_of_the_token_table(void **unused)
{
	(void)unused;
	for (int s = 0; s < TOKEN_STATES; s++)
		for (int e = 0; e < TOKEN_EVENTS; e++) {
			enum token_state state = (enum token_state)s;
			enum token_event event = (enum token_event)e;
			const struct rule *rule = token_rule(state, event);
			struct cell_test c = { 0 };
			void *place = NULL;

			place_make(&place);
			c.place = place;
			drive(&c, state);
			happen(&c, event, rule);
			if (state_at(&c, c.now) != (enum token_state)rule->next)
				fail_msg("%s, %s: %s in the store, %s in the table",
				    token_state_name(state), token_event_name(event),
				    token_state_name(state_at(&c, c.now)),
				    token_state_name((enum token_state)rule->next));
			/* It stays so, also for a process that comes later. */
			reopen(c.place);
			assert_int_equal(state_at(&c, c.now), rule->next);
			place_remove(&place);
		}
}

/* Where the table has "outstanding" the address has that token to use, and nowhere else. */
static void outstanding_is_what_the_table_says(void **unused)
{
	(void)unused;
	for (int s = 0; s < TOKEN_STATES; s++) {
		struct cell_test c = { 0 };
		struct token_row *row = NULL;
		void *place = NULL;

		place_make(&place);
		c.place = place;
		drive(&c, (enum token_state)s);
		assert_fine(token_outstanding(c.place->store, ALICE, c.now, &row));
		assert_int_equal(row && row->id == c.id, s == TOKEN_OUTSTANDING);
		token_row_free(&row);
		place_remove(&place);
	}
}

/* ---- keysets ---- */

#define UNTIL (NOW + 365 * DAY) /* as keyset_for has it */
#define GRACE (30 * DAY)

static enum keyset_state keyset_state_at(const struct cell_test *c)
{
	struct keyset_row *row = NULL;
	enum keyset_state state;

	if (!c->keyset)
		return KEYSET_NONE;
	assert_fine(keyset_by_id(c->place->store, c->keyset, &row));
	assert_non_null(row);
	state = keyset_state_of(
	    row->confirmed, row->superseded, row->revoked, row->certified_until, GRACE, c->now);
	keyset_row_free(&row);
	return state;
}

static enum err call_supersede(const struct cell_test *c)
{
	return keyset_supersede(c->place->store, c->keyset, c->now);
}

static enum err call_confirm(const struct cell_test *c)
{
	return keyset_confirm(c->place->store, c->keyset, c->now);
}

static enum err call_revoke(const struct cell_test *c)
{
	struct buf key = BUF_INIT;
	enum err e;

	buf_add_text(&key, "revoked key");
	e = keyset_revoke(c->place->store, c->keyset, &key, "left", c->now);
	buf_free(&key);
	return e;
}

/* A renewal asked for while the keyset was active, certified for a year more. */
static int64_t renewal_of(const struct cell_test *c)
{
	struct renewal_row row = {
		.keyset = c->keyset, .created = NOW + 1, .certified_until = UNTIL + 365 * DAY
	};
	char request[] = "renewal", user_id[] = "Alice <" ALICE ">", nonce[] = "RENEWAL",
	     message_id[] = "r@example.org";

	row.request_id = request;
	row.user_id = user_id;
	row.nonce = nonce;
	row.reply_message_id = message_id;
	(void)snprintf(row.encryption_fingerprint, sizeof row.encryption_fingerprint, "%040X", 7);
	buf_add_text(&row.key, "renewed key");
	buf_add_text(&row.reply, "sealed reply");
	assert_written(c->place->store, renewal_insert(c->place->store, &row));
	buf_free(&row.key);
	buf_free(&row.reply);
	return row.id;
}

static enum err call_renew_confirm(const struct cell_test *c)
{
	return renewal_confirm(c->place->store, c->id, c->now);
}

static enum err call_enroll(const struct cell_test *c)
{
	struct keyset_row row = keyset_for(ALICE, "default", 0);
	enum err e;

	row.enrolled = c->now;
	e = keyset_insert(c->place->store, &row);
	keyset_clear(&row);
	return e;
}

static void drive_keyset(struct cell_test *c, enum keyset_state state)
{
	struct store *store = c->place->store;

	c->now = NOW + 2;
	c->keyset = state == KEYSET_NONE ? 0 : keyset_stored(store, ALICE, "default");
	if (c->keyset && state != KEYSET_UNCONFIRMED)
		assert_written(store, call_confirm(c));
	if (state == KEYSET_SUPERSEDED)
		assert_written(store, call_supersede(c));
	if (state == KEYSET_REVOKED)
		assert_written(store, call_revoke(c));
	if (state == KEYSET_GRACE)
		c->now = UNTIL;
	if (state == KEYSET_EXPIRED)
		c->now = UNTIL + GRACE;
	assert_int_equal(keyset_state_at(c), state);
}

static void keep_keyset_id(const struct keyset_row *row, void *context)
{
	*(int64_t *)context = row->id;
}

/* What stands in the way of an enrollment is superseded where the table says so; else the store refuses the name. */
static void enroll_over(struct cell_test *c, const struct rule *rule)
{
	struct store *store = c->place->store;
	enum keyset_state before = keyset_state_at(c);

	if (rule->act == RULE_DO && (enum keyset_state)rule->next == KEYSET_SUPERSEDED &&
	    before != KEYSET_SUPERSEDED)
		assert_written(store, call_supersede(c));
	apply(c, rule, ERR_TEMPORARY, call_enroll);
	if (before == KEYSET_NONE)
		assert_fine(keyset_each(store, ALICE, false, keep_keyset_id, &c->keyset));
}

static void keyset_happen(struct cell_test *c, enum keyset_event event, const struct rule *rule)
{
	bool renews = event == KEYSET_EVENT_RENEW || event == KEYSET_EVENT_RENEW_REPEAT ||
		      event == KEYSET_EVENT_RENEW_CONFIRM;

	if (renews && c->keyset)
		c->id = renewal_of(c);
	switch (event) {
	case KEYSET_EVENT_ENROLL:
	case KEYSET_EVENT_ENROLL_SIGNED:
	case KEYSET_EVENT_RECOVER:
		enroll_over(c, rule);
		break;
	case KEYSET_EVENT_CONFIRM:
		if (rule->act ==
		    RULE_DO) /* what is confirmed already, or is not live, stays as it is */
			assert_written(c->place->store, call_confirm(c));
		break;
	case KEYSET_EVENT_RENEW_CONFIRM:
		apply(c, rule, ERR_NOUSER, call_renew_confirm);
		break;
	case KEYSET_EVENT_REVOKE:
	case KEYSET_EVENT_SELF_REVOKE:
		apply(c, rule, ERR_NOUSER, call_revoke);
		break;
	case KEYSET_EVENT_CERTIFIED_UNTIL:
		c->now = c->now < UNTIL ? UNTIL : c->now;
		break;
	case KEYSET_EVENT_GRACE_OVER:
		if (keyset_state_at(c) == KEYSET_GRACE)
			c->now = UNTIL + GRACE;
		break;
	case KEYSET_EVENT_REPEAT: /* what only asks, or waits for its confirmation, changes nothing */
	case KEYSET_EVENT_RENEW:
	case KEYSET_EVENT_RENEW_REPEAT:
	case KEYSET_EVENTS:
		break;
	}
}

static void every_cell_of_the_keyset_table(void **unused)
{
	(void)unused;
	for (int s = 0; s < KEYSET_STATES; s++)
		for (int e = 0; e < KEYSET_EVENTS; e++) {
			enum keyset_state state = (enum keyset_state)s;
			enum keyset_event event = (enum keyset_event)e;
			const struct rule *rule = keyset_rule(state, event);
			struct cell_test c = { 0 };
			void *place = NULL;

			place_make(&place);
			c.place = place;
			drive_keyset(&c, state);
			keyset_happen(&c, event, rule);
			if (keyset_state_at(&c) != (enum keyset_state)rule->next)
				fail_msg("%s, %s: %s in the store, %s in the table",
				    keyset_state_name(state), keyset_event_name(event),
				    keyset_state_name(keyset_state_at(&c)),
				    keyset_state_name((enum keyset_state)rule->next));
			reopen(c.place);
			assert_int_equal(keyset_state_at(&c), rule->next);
			place_remove(&place);
		}
}

/* Whatever the table leaves alone, the store leaves alone too, asked directly: no confirmation brings back what has ended. */
static void nothing_ends_twice(void **unused)
{
	static const enum keyset_state gone[] = { KEYSET_SUPERSEDED, KEYSET_REVOKED };

	(void)unused;
	for (size_t i = 0; i < 2; i++) {
		struct cell_test c = { 0 };
		void *place = NULL;

		place_make(&place);
		c.place = place;
		drive_keyset(&c, gone[i]);
		assert_fine(store_begin(c.place->store));
		assert_fault(call_confirm(&c), ERR_NOUSER);
		assert_fault(call_supersede(&c), ERR_NOUSER);
		store_rollback(c.place->store);
		assert_int_equal(keyset_state_at(&c), gone[i]);
		place_remove(&place);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cell_of_the_token_table),
		cmocka_unit_test(outstanding_is_what_the_table_says),
		cmocka_unit_test(every_cell_of_the_keyset_table),
		cmocka_unit_test(nothing_ends_twice),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
