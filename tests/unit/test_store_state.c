/* The state table of tokens (P8.1) against the store: every cell, on a real row, so that the two can't part ways. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cell_of_the_token_table),
		cmocka_unit_test(outstanding_is_what_the_table_says),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
