#include <stdio.h>
#include <string.h>

#include "command.h"

static const char *kind_name(enum outbox_kind kind)
{
	switch (kind) {
	case OUTBOX_REPLY:
		return "reply";
	case OUTBOX_REPEAT:
		return "repeat";
	case OUTBOX_REFUSAL:
		return "refusal";
	case OUTBOX_NOTICE:
		return "notice";
	case OUTBOX_ALARM:
		return "copy";
	case OUTBOX_REMINDER:
		return "reminder";
	}
	return "?";
}

static const char *state_name(const struct outbox_row *row)
{
	if (row->bounced)
		return "bounced";
	if (row->failed)
		return "failed";
	return row->sent ? "sent" : "waiting";
}

static void list_row(const struct outbox_row *row, void *context)
{
	struct table *t = context;

	table_row(t);
	table_text(t, row->id);
	table_text(t, kind_name(row->kind));
	table_text(t, state_name(row));
	table_text(t, row->recipient);
	table_time(t, row->created);
	table_time(t, row->sent ? 0 : row->due);
	table_number(t, row->attempts);
	table_text(t, row->last_error);
}

enum err command_outbox_list(struct invocation *in)
{
	static const char *const keys[] = { "id", "kind", "state", "recipient", "created", "due",
		"attempts", "last_error", NULL };
	static const char *const heads[] = { "ID", "KIND", "STATE", "TO", "CREATED", "NEXT TRY",
		"TRIES", "LAST ERROR", NULL };
	bool all = false;
	const struct option options[] = { { "all", OPTION_FLAG, &all }, { 0 } };
	struct authority *authority = NULL;
	struct table *t;
	enum err e;

	if ((e = options_read(in, options, 0, 0, "no argument")) ||
	    (e = command_open(in, AUTHORITY_STORE, &authority)))
		return e;
	t = table_list(in->json, keys, heads);
	e = command_print(outbox_each(authority->store, !all, list_row, t), &t);
	authority_close(&authority);
	return e;
}

struct change {
	const char *id; /* NULL: all */
	int64_t now;
	int64_t count;
};

static enum err hurry(struct authority *authority, void *context)
{
	struct change *c = context;

	return outbox_hurry(authority->store, c->id, c->now, &c->count);
}

static enum err drop(struct authority *authority, void *context)
{
	struct change *c = context;

	c->count = 1;
	return outbox_drop(authority->store, c->id);
}

static enum err change(struct invocation *in, int least, const char *operands, const char *event,
    enum err (*how)(struct authority *, void *), const char *one, const char *many)
{
	struct authority *authority = NULL;
	struct change c = { .now = in->now };
	char *detail = NULL;
	enum err e = options_read(in, NULL, least, 1, operands);

	if (e || (e = command_open(in, AUTHORITY_STORE, &authority)))
		return e;
	c.id = in->argc ? in->argv[0] : NULL;
	detail = c.id ? str_printf("outbox=%.40s", c.id) : NULL;
	if (!(e = command_commit(authority, in, event, NULL, detail, how, &c)))
		printf("%lld %s\n", (long long)c.count, c.count == 1 ? one : many);
	str_free(&detail);
	authority_close(&authority);
	return e;
}

enum err command_outbox_retry(struct invocation *in)
{
	return change(in, 0, "the id of a mail in the outbox, or nothing for all", "outbox-retried",
	    hurry, "mail is due now.", "mails are due now.");
}

enum err command_outbox_drop(struct invocation *in)
{
	return change(in, 1, "the id of a mail in the outbox", "outbox-dropped", drop,
	    "mail will not be sent.", "mails will not be sent.");
}
