#include <stdio.h>
#include <string.h>

#include "base/when.h"
#include "log.h"
#include "text/address.h"

struct listing {
	struct table *table;
	bool json;
};

/* The hash is for programs: it would fill a person's screen. */
static void list_entry(const struct audit_entry *entry, void *context)
{
	const struct listing *l = context;
	struct table *t = l->table;

	table_row(t);
	table_number(t, entry->number);
	table_time(t, entry->at);
	table_text(t, entry->actor);
	table_text(t, entry->event);
	table_text(t, entry->address);
	table_text(t, entry->detail);
	if (l->json)
		table_text(t, entry->hash);
}

static enum err parse_day(const char *text, int64_t *out)
{
	char *begin = str_printf("%sT00:00:00Z", text);
	enum err e = when_parse(begin, out);

	str_free(&begin);
	return e;
}

enum err since_parse(const char *text, int64_t now, int64_t *out)
{
	int64_t span;

	if (!text || !when_parse(text, out) || !parse_day(text, out))
		return ERR_OK;
	if (when_parse_span(text, &span))
		return err_fail(ERR_USAGE,
		    "--since takes a day such as 2026-11-22, a time such as 2026-11-22T04:00:00Z or a span such as 7d, not \"%s\"",
		    text);
	*out = now - span;
	return ERR_OK;
}

enum err command_log(struct invocation *in)
{
	static const char *const all[] = { "number", "at", "actor", "event", "address", "detail",
		"hash", NULL };
	static const char *const some[] = { "number", "at", "actor", "event", "address", "detail",
		NULL };
	static const char *const heads[] = { "NUMBER", "AT", "BY", "EVENT", "ADDRESS", "DETAIL",
		NULL };
	const char *whose = NULL, *since_text = NULL;
	const struct option options[] = { { "address", OPTION_TEXT, &whose },
		{ "since", OPTION_TEXT, &since_text }, { 0 } };
	struct authority *authority = NULL;
	struct listing l = { 0 };
	char *address = NULL;
	int64_t since = 0;
	enum err e;

	if ((e = options_read(in, options, 0, 0, "no argument")) ||
	    (e = since_parse(since_text, in->now, &since)) ||
	    (whose && (e = address_canonical(whose, &address))) ||
	    (e = command_open(in, AUTHORITY_STORE, &authority)))
		goto out;
	l.json = in->json;
	l.table = table_list(l.json, l.json ? all : some, heads);
	e = command_print(audit_each(authority->store, address, since, list_entry, &l), &l.table);
out:
	str_free(&address);
	authority_close(&authority);
	return e;
}

/* ---- log verify ---- */

/* NUMBER:HASH, or with a blank, as a reply's Log-Head has it. */
static enum err parse_head(const char *text, int64_t *number_out, const char **hash_out)
{
	const char *colon = text ? strpbrk(text, ": ") : NULL;
	char *number;
	enum err e;

	if (!text)
		return ERR_OK;
	if (!colon || strlen(colon + 1) != 64 || strspn(colon + 1, "0123456789abcdefABCDEF") != 64)
		return err_fail(ERR_USAGE,
		    "--head takes NUMBER:HASH as in a reply's Log-Head, the hash with 64 digits");
	number = str_ndup(text, (size_t)(colon - text));
	e = str_to_int(number, 1, INT64_MAX, number_out);
	str_free(&number);
	*hash_out = colon + 1;
	return e ? err_prefix(ERR_USAGE, "--head") : ERR_OK;
}

static enum err print_json(bool whole, int64_t count, int64_t bad, const char *head)
{
	struct table *t = table_page(true);

	table_field_bool(t, "whole", "Whole", whole);
	table_field_number(t, "entries", "Entries", count);
	table_field_number(t, "first_bad", "First bad entry", bad);
	table_field_text(t, "log_head", "Log-Head", head);
	return table_print(&t, stdout);
}

static enum err print_whole(struct store *store, int64_t count, bool json)
{
	char hash[65], *head;
	int64_t number;
	enum err e = audit_head(store, &number, hash);

	if (e)
		return e;
	head = str_printf("%lld %s", (long long)number, hash);
	if (json)
		e = print_json(true, count, 0, head);
	else
		printf("The log is whole: %lld %s.\nLog-Head: %s\n", (long long)count,
		    count == 1 ? "entry" : "entries", head);
	str_free(&head);
	return e;
}

enum err command_log_verify(struct invocation *in)
{
	const char *head = NULL, *hash = NULL;
	const struct option options[] = { { "head", OPTION_TEXT, &head }, { 0 } };
	struct authority *authority = NULL;
	int64_t number = 0, count = 0, bad = 0;
	enum err e;

	if ((e = options_read(in, options, 0, 0, "no argument")) ||
	    (e = parse_head(head, &number, &hash)) ||
	    (e = command_open(in, AUTHORITY_STORE, &authority)))
		return e;
	e = audit_verify(authority->store, number, hash, &count, &bad);
	if (e == ERR_PROTOCOL) {
		command_note("the log is not whole: entry %lld is the first bad one (%s)",
		    (long long)bad, err_text());
		in->status = 1;
		e = in->json ? print_json(false, count, bad, NULL) : ERR_OK;
	} else if (!e) {
		e = print_whole(authority->store, count, in->json);
	}
	authority_close(&authority);
	return e;
}
