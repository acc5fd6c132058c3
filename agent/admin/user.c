#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "text/address.h"
#include "user.h"

/* ---- user show ---- */

#define EVENTS_SHOWN 12

struct page {
	const struct authority *authority;
	int64_t now;
	struct table *keysets, *renewals, *deposits, *tokens;
	bool found[KEYSET_STATES], outstanding;
	int64_t recovery_until; /* 0: none in progress */
	const char *keyset;     /* whose renewals are shown */
	enum err err;           /* of what is shown within a row */
	struct event {
		int64_t at;
		char *actor, *event, *detail;
	} events[EVENTS_SHOWN]; /* the last ones, a ring */
	size_t event_count;
};

static void page_renewal(const struct renewal_row *row, void *context)
{
	struct page *p = context;

	table_row(p->renewals);
	table_text(p->renewals, p->keyset);
	table_text(p->renewals, row->confirmed ? "confirmed"
				: row->key.len ? "unconfirmed"
					       : "overtaken");
	table_time(p->renewals, row->created);
	table_time(p->renewals, row->confirmed);
	table_time(p->renewals, row->certified_until);
}

static void page_keyset(const struct keyset_row *row, void *context)
{
	struct page *p = context;
	enum keyset_state state = user_keyset_state(p->authority, row, p->now);

	p->found[state] = true;
	table_row(p->keysets);
	table_text(p->keysets, row->name);
	table_text(p->keysets, keyset_state_name(state));
	table_text(p->keysets, row->fingerprint);
	table_time(p->keysets, row->enrolled);
	table_time(p->keysets, row->confirmed);
	table_time(p->keysets, row->certified_until);
	table_time(p->keysets, row->published);
	table_bool(p->keysets, row->preferred);
	p->keyset = row->name;
	if (!p->err)
		p->err = renewal_each(p->authority->store, row->id, page_renewal, p);
}

static void page_deposit(const struct deposit_row *row, void *context)
{
	struct page *p = context;
	struct keyset_row *keyset = NULL;
	enum err e = keyset_by_id(p->authority->store, row->keyset, &keyset);

	table_row(p->deposits);
	table_text(p->deposits, keyset ? keyset->name : NULL);
	table_text(p->deposits, row->encryption_fingerprint);
	table_time(p->deposits, row->created);
	table_text(p->deposits, row->escrow);
	if (!p->err)
		p->err = e;
	keyset_row_free(&keyset);
}

static void page_token(const struct token_row *row, void *context)
{
	struct page *p = context;
	enum token_state state =
	    token_state_of(row->used, row->superseded, row->voided, row->expires, p->now);

	p->outstanding |= state == TOKEN_OUTSTANDING;
	if (row->recovery && state == TOKEN_OUTSTANDING)
		p->recovery_until = row->expires;
	table_row(p->tokens);
	table_number(p->tokens, row->id);
	table_text(p->tokens, token_state_name(state));
	table_text(p->tokens, row->recovery ? "recover" : "enroll");
	table_text(p->tokens, row->keyset);
	table_text(p->tokens, row->issued_by);
	table_time(p->tokens, row->issued);
	table_time(p->tokens, row->expires);
}

static void event_free(struct event *event)
{
	str_free(&event->actor);
	str_free(&event->event);
	str_free(&event->detail);
}

static void page_event(const struct audit_entry *entry, void *context)
{
	struct page *p = context;
	struct event *event = &p->events[p->event_count++ % EVENTS_SHOWN];

	event_free(event);
	*event = (struct event){ entry->at, str_dup(entry->actor), str_dup(entry->event),
		str_dup(entry->detail) };
}

static struct table *event_table(const struct page *p, bool json)
{
	static const char *const keys[] = { "at", "actor", "event", "detail", NULL };
	static const char *const heads[] = { "AT", "BY", "EVENT", "DETAIL", NULL };
	struct table *t = table_list(json, keys, heads);
	size_t first = p->event_count > EVENTS_SHOWN ? p->event_count - EVENTS_SHOWN : 0;

	for (size_t i = first; i < p->event_count; i++) {
		const struct event *event = &p->events[i % EVENTS_SHOWN];

		table_row(t);
		table_time(t, event->at);
		table_text(t, event->actor);
		table_text(t, event->event);
		table_text(t, event->detail);
	}
	return t;
}

/* The state of an address is derived and stored nowhere (P8.1): the best that any keyset has. */
static const char *address_state(const struct page *p)
{
	static const enum keyset_state best[] = { KEYSET_ACTIVE, KEYSET_GRACE, KEYSET_UNCONFIRMED };
	static const enum keyset_state rest[] = { KEYSET_EXPIRED, KEYSET_SUPERSEDED,
		KEYSET_REVOKED };

	for (size_t i = 0; i < sizeof best / sizeof *best; i++)
		if (p->found[best[i]])
			return keyset_state_name(best[i]);
	if (p->outstanding)
		return STATE_TOKEN;
	for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
		if (p->found[rest[i]])
			return keyset_state_name(rest[i]);
	return "not enrolled";
}

static enum err print_page(enum err e, struct page *p, const char *address, bool json)
{
	struct table *t = table_page(json);

	table_field_text(t, "address", "Address", address);
	table_field_text(t, "state", "State", address_state(p));
	table_field_text(t, "authority", "Authority", p->authority->address);
	table_field_time(t, "recovery_until", "Recovery in progress until", p->recovery_until);
	table_field_list(t, "keysets", "Keysets", p->keysets);
	table_field_list(t, "renewals", "Renewals", p->renewals);
	table_field_list(t, "deposits", "Deposits", p->deposits);
	table_field_list(t, "tokens", "Tokens", p->tokens);
	table_field_list(t, "events", "Last events", event_table(p, json));
	return command_print(e, &t);
}

static void open_lists(struct page *p, bool json)
{
	static const char *const keyset_keys[] = { "name", "state", "fingerprint", "enrolled",
		"confirmed", "certified_until", "published", "preferred", NULL };
	static const char *const keyset_heads[] = { "KEYSET", "STATE", "FINGERPRINT", "ENROLLED",
		"CONFIRMED", "CERTIFIED UNTIL", "PUBLISHED", "PREFERRED", NULL };
	static const char *const token_keys[] = { "id", "state", "purpose", "keyset", "issued_by",
		"issued", "expires", NULL };
	static const char *const token_heads[] = { "ID", "STATE", "PURPOSE", "KEYSET", "ISSUED BY",
		"ISSUED", "EXPIRES", NULL };
	static const char *const renewal_keys[] = { "keyset", "state", "made", "confirmed",
		"certified_until", NULL };
	static const char *const renewal_heads[] = { "KEYSET", "STATE", "MADE", "CONFIRMED",
		"CERTIFIED UNTIL", NULL };
	static const char *const deposit_keys[] = { "keyset", "fingerprint", "made", "escrow",
		NULL };
	static const char *const deposit_heads[] = { "KEYSET", "KEY", "MADE", "SEALED TO", NULL };

	p->renewals = table_list(json, renewal_keys, renewal_heads);
	p->deposits = table_list(json, deposit_keys, deposit_heads);
	p->keysets = table_list(json, keyset_keys, keyset_heads);
	p->tokens = table_list(json, token_keys, token_heads);
}

/* Whatever happened to an address is in the log. */
static enum err show(struct authority *authority, const struct invocation *in, const char *address)
{
	struct page p = { .authority = authority, .now = in->now };
	struct store *store = authority->store;
	enum err e = audit_each(store, address, 0, page_event, &p);

	if (!e && p.event_count == 0) {
		e = err_fail(ERR_NOUSER, "%s knows nothing of %s", authority->address, address);
	} else {
		open_lists(&p, in->json);
		if (!e && !(e = keyset_each(store, address, false, page_keyset, &p)) &&
		    !(e = deposit_each(store, address, page_deposit, &p)) &&
		    !(e = token_each(store, address, false, in->now, page_token, &p)))
			e = p.err;
		e = print_page(e, &p, address, in->json);
	}
	for (size_t i = 0; i < EVENTS_SHOWN; i++)
		event_free(&p.events[i]);
	return e;
}

enum err command_user_show(struct invocation *in)
{
	struct authority *authority = NULL;
	char *address = NULL;
	enum err e;

	if ((e = options_read(in, NULL, 1, 1, "one address")) ||
	    (e = address_canonical(in->argv[0], &address)))
		return e;
	if (!(e = command_open(in, AUTHORITY_STORE, &authority)))
		e = show(authority, in, address);
	authority_close(&authority);
	str_free(&address);
	return e;
}

/* ---- user prefer ---- */

static enum err prefer(struct authority *authority, void *context)
{
	const struct keyset_row *row = context;

	return keyset_prefer(authority->store, row->id);
}

enum err command_user_prefer(struct invocation *in)
{
	struct authority *authority = NULL;
	struct keyset_row *row = NULL;
	char *address = NULL, *detail = NULL;
	enum err e;

	if ((e = options_read(in, NULL, 2, 2, "an address and a keyset")) ||
	    (e = address_canonical(in->argv[0], &address)) ||
	    (e = command_open(in, AUTHORITY_STORE, &authority)) ||
	    (e = keyset_by_name(authority->store, address, in->argv[1], &row)))
		goto out;
	if (!row) {
		e = err_fail(ERR_NOUSER,
		    "%s has no keyset \"%s\"; see \"countersignctl user show %s\"", address,
		    in->argv[1], address);
		goto out;
	}
	detail = str_printf("fingerprint=%s", row->fingerprint);
	if (!(e = command_commit(authority, in, "keyset-preferred", address, detail, prefer, row)))
		printf("The keyset \"%s\" of %s is the one to publish%s.\n", row->name, address,
		    row->confirmed ? "" : " once it is confirmed");
out:
	str_free(&detail);
	str_free(&address);
	keyset_row_free(&row);
	authority_close(&authority);
	return e;
}
