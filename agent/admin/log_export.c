/* The audit log as an auditor can prove it without this program: a line of JSON for each entry with all that its hash is over, then the head, signed by the authority. */
#include <stdio.h>
#include <string.h>

#include "base/when.h"
#include "log.h"

struct export
{
	int64_t until;     /* the head: what is written meanwhile is left out */
	char head[65];     /* its hash */
	int64_t after;     /* the entry before the first */
	char previous[65]; /* its hash */
	bool begun;
};

static void add_hash(struct table *t, const char *key, const char *hash)
{
	table_field_text(t, key, "", *hash ? hash : NULL);
}

static struct table *line_of(const struct audit_entry *entry)
{
	struct table *t = table_line();

	table_field_number(t, "number", "", entry->number);
	table_field_number(t, "time", "", entry->at);
	table_field_text(t, "actor", "", entry->actor);
	table_field_text(t, "event", "", entry->event);
	add_hash(t, "who", entry->who);
	table_field_text(t, "detail", "", entry->detail);
	add_hash(t, "hash", entry->hash);
	table_field_text(t, "address", "", entry->address);
	add_hash(t, "salt", entry->salt);
	return t;
}

static void write_entry(const struct audit_entry *entry, void *context)
{
	struct export *x = context;
	struct table *t;

	if (entry->number > x->until)
		return;
	if (!x->begun) {
		x->begun = true;
		x->after = entry->number - 1;
		memcpy(x->previous, entry->previous, sizeof x->previous);
	}
	t = line_of(entry);
	(void)!table_print(&t, stdout); /* what standard output did not take is told at the end */
}

static enum err write_head(
    struct authority *authority, const struct invocation *in, const struct export *x)
{
	struct buf text = BUF_INIT, signed_text = BUF_INIT;
	char when[WHEN_TEXT_SIZE];
	enum err e;

	buf_addf(&text,
	    "Countersign-Log: 1\nAuthority: %s\nFingerprint: %s\nExported: %s\nAfter: %lld %s\nLog-Head: %lld %s\n",
	    authority->address, authority->fingerprint, when_format(in->now, when),
	    (long long)x->after, x->previous, (long long)x->until, x->head);
	e = keyhome_clearsign(
	    authority->home, authority->fingerprint, buf_bytes(&text), &signed_text);
	if (!e)
		fputs(buf_text(&signed_text), stdout);
	buf_free(&text);
	buf_free(&signed_text);
	return e;
}

/* A log that is not whole is not signed. */
static enum err export_since(
    struct authority *authority, const struct invocation *in, int64_t since)
{
	struct store *store = authority->store;
	struct export x = { 0 };
	int64_t count, bad;
	enum err e;

	if ((e = audit_verify(store, 0, NULL, &count, &bad)))
		return err_prefix(e, "the log is not exported, as it is not whole");
	if ((e = audit_head(store, &x.until, x.head)))
		return e;
	x.after = x.until;
	memcpy(x.previous, x.head, sizeof x.previous);
	if ((e = audit_each(store, NULL, since, write_entry, &x)))
		return e;
	return write_head(authority, in, &x);
}

enum err command_log_export(struct invocation *in)
{
	const char *since_text = NULL;
	const struct option options[] = { { "since", OPTION_TEXT, &since_text }, { 0 } };
	struct authority *authority = NULL;
	int64_t since = 0;
	enum err e;

	if ((e = options_read(in, options, 0, 0, "no argument")) ||
	    (e = since_parse(since_text, in->now, &since)) ||
	    (e = command_open(in, AUTHORITY_KEYS, &authority)))
		return e;
	e = export_since(authority, in, since);
	authority_close(&authority);
	return e;
}
