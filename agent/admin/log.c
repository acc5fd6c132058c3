#include <stdio.h>
#include <string.h>

#include "base/when.h"
#include "command.h"
#include "text/address.h"

static void list_entry(const struct audit_entry *entry, void *context)
{
	struct table *t = context;

	table_row(t);
	table_number(t, entry->number);
	table_time(t, entry->at);
	table_text(t, entry->actor);
	table_text(t, entry->event);
	table_text(t, entry->address);
	table_text(t, entry->detail);
	table_text(t, entry->hash);
}

/* A point in time, or a span that reaches back from now. */
static enum err parse_since(const char *text, int64_t now, int64_t *out)
{
	int64_t span;

	if (!text || !when_parse(text, out))
		return ERR_OK;
	if (when_parse_span(text, &span))
		return err_fail(ERR_USAGE,
		    "--since takes a time such as 2026-11-22T04:00:00Z or a span such as 7d, not \"%s\"",
		    text);
	*out = now - span;
	return ERR_OK;
}

enum err command_log(struct invocation *in)
{
	static const char *const keys[] = { "number", "at", "actor", "event", "address", "detail",
		"hash", NULL };
	static const char *const heads[] = { "NUMBER", "AT", "BY", "EVENT", "ADDRESS", "DETAIL",
		"HASH", NULL };
	const char *whose = NULL, *since_text = NULL;
	const struct option options[] = { { "address", OPTION_TEXT, &whose },
		{ "since", OPTION_TEXT, &since_text }, { 0 } };
	struct authority *authority = NULL;
	struct table *t;
	char *address = NULL;
	int64_t since = 0;
	enum err e;

	if ((e = options_read(in, options, 0, 0, "no argument")) ||
	    (e = parse_since(since_text, in->now, &since)) ||
	    (whose && (e = address_canonical(whose, &address))) ||
	    (e = command_open(in, AUTHORITY_STORE, &authority)))
		goto out;
	t = table_list(in->json, keys, heads);
	e = command_print(audit_each(authority->store, address, since, list_entry, t), &t);
out:
	str_free(&address);
	authority_close(&authority);
	return e;
}

/* ---- log verify ---- */

/* NUMBER:HASH, as a reply's Log-Head has it. */
static enum err parse_head(const char *text, int64_t *number_out, const char **hash_out)
{
	const char *colon = text ? strchr(text, ':') : NULL;
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
		e = ERR_OK;
	} else if (!e) {
		printf("The log is whole: %lld %s.\n", (long long)count,
		    count == 1 ? "entry" : "entries");
	}
	authority_close(&authority);
	return e;
}
