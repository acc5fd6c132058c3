/* populate STORE COUNT NOW: a store with a year's history of COUNT people, up to NOW; the same each time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "secret/secret.h"
#include "store/store.h"

#define DAY 86400
#define MUST(call) \
	do { \
		if (call) { \
			(void)fprintf(stderr, "%s: %s\n", #call, err_text()); \
			exit(1); \
		} \
	} while (0)

static uint64_t state = 1;

/* Below `most`. */
static int64_t dice(int64_t most)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (int64_t)((state >> 33) % (uint64_t)most);
}

static void enroll(struct store *store, struct token_row *token, int number, int64_t at)
{
	struct keyset_row *row = mem_alloc(sizeof *row);

	row->address = str_dup(token->address);
	row->name = str_dup("default");
	(void)snprintf(row->fingerprint, sizeof row->fingerprint, "%040X", number + 1);
	(void)snprintf(
	    row->encryption_fingerprint, sizeof row->encryption_fingerprint, "%040X", number + 1);
	row->user_id = str_dup(token->address);
	buf_add_text(&row->key, "key");
	buf_add_text(&row->reply, "reply");
	row->request_id = str_printf("request %d", number);
	row->nonce = str_printf("nonce %d", number);
	row->reply_message_id = str_printf("%d@example.org", number);
	row->token = token->id;
	row->enrolled = at;
	row->certified_until = at + 365 * (int64_t)DAY + dice((int64_t)30 * DAY);
	MUST(keyset_insert(store, row));
	MUST(token_use(store, token->id, row->id, at));
	if (dice(10))
		MUST(keyset_confirm(store, row->id, at));
	if (!dice(40))
		MUST(keyset_revoke(store, row->id, &row->key, "left", at));
	MUST(audit_add(store, at, "agent", "enrolled", row->address, NULL, NULL));
	keyset_row_free(&row);
}

/* In the order of time, as the log must be. */
static void add_person(struct store *store, int number, int64_t at)
{
	static const char *const codes[] = { "key-missing", "key-missing", "token-expired",
		"address-mismatch", "keyset-name-in-use", "signature-invalid", "token-unreadable" };
	struct token_row token = { .issued = at, .expires = at + 14 * (int64_t)DAY };
	int64_t superseded, taken = dice(4) ? dice(2 * (int64_t)DAY) : dice(13 * (int64_t)DAY);
	char detail[64];

	token.issued = at - taken;
	token.expires = token.issued + 14 * (int64_t)DAY;
	token.address = str_printf("person%06d@example.org", number);
	token.issued_by = str_dup("carol");
	secret_random(token.key, sizeof token.key);
	MUST(token_insert(store, &token, token.issued, &superseded));
	MUST(audit_add(store, at, "carol", "token-issued", token.address, NULL, NULL));
	if (!dice(12)) {
		(void)snprintf(detail, sizeof detail, "reason=%s", codes[dice(7)]);
		MUST(audit_add(store, at, "agent", "refused", token.address, detail, NULL));
	}
	if (dice(20))
		enroll(store, &token, number, at);
	str_free(&token.address);
	str_free(&token.issued_by);
}

int main(int argc, char **argv)
{
	int count = argc > 3 ? atoi(argv[2]) : 0;
	int64_t now = argc > 3 ? atoll(argv[3]) : 0;
	struct store *store;

	secret_start();
	MUST(store_open(argc > 3 ? argv[1] : "", 10, &store));
	MUST(store_begin(store));
	for (int i = 0; i < count; i++)
		add_person(store, i, now - 360 * (int64_t)DAY + (int64_t)i * 360 * DAY / count);
	MUST(store_commit(store));
	store_close(&store);
	return 0;
}
