#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "command.h"
#include "mail/mailbox.h"
#include "text/utf8.h"

#define HEADERS_SHOWN_MAX 65536
#define LINE_SHOWN_MAX 400

static void list_row(const struct quarantine_row *row, void *context)
{
	struct table *t = context;

	table_row(t);
	table_number(t, row->id);
	table_time(t, row->at);
	table_number(t, row->size);
	table_text(t, row->mailbox);
	table_text(t, row->reason);
}

enum err command_quarantine_list(struct invocation *in)
{
	static const char *const keys[] = { "id", "at", "size", "mailbox", "reason", NULL };
	static const char *const heads[] = { "ID", "AT", "SIZE", "MAILBOX", "REASON", NULL };
	struct authority *authority = NULL;
	struct table *t;
	enum err e;

	if ((e = options_read(in, NULL, 0, 0, "no argument")) ||
	    (e = command_open(in, AUTHORITY_STORE, &authority)))
		return e;
	t = table_list(in->json, keys, heads);
	e = command_print(quarantine_each(authority->store, list_row, t), &t);
	authority_close(&authority);
	return e;
}

/* Opens the store and finds the mail that the one operand names. */
static enum err open_one(
    struct invocation *in, struct authority **authority_out, struct quarantine_row **out)
{
	int64_t id;
	enum err e;

	if ((e = options_read(in, NULL, 1, 1, "the id of a mail in quarantine")))
		return e;
	if (str_to_int(in->argv[0], 1, INT64_MAX, &id))
		return err_fail(ERR_USAGE,
		    "\"%s\" is no id; see \"countersignctl quarantine list\"", in->argv[0]);
	if ((e = command_open(in, AUTHORITY_STORE, authority_out)) ||
	    (e = quarantine_by_id((*authority_out)->store, id, out)))
		return e;
	return *out ? ERR_OK
		    : err_fail(ERR_NOUSER, "there is no mail %s in quarantine", in->argv[0]);
}

/* What could not even be scanned has no headers of its own in the store; then those of the kept mail. malloc'ed. */
static char *headers_of(const struct quarantine_row *row)
{
	struct bytes rest = buf_bytes(&row->mail), line;
	struct buf headers = BUF_INIT;
	char *printable;

	if (row->headers && *row->headers)
		return utf8_printable(row->headers, true);
	while (headers.len < HEADERS_SHOWN_MAX && bytes_line(&rest, &line) && line.len)
		buf_addf(&headers, "%.*s\n", (int)line.len, (const char *)line.data);
	printable = utf8_printable(buf_text(&headers), true);
	buf_free(&headers);
	return printable;
}

/* Overlong lines are cut, at a character: a terminal would show pages of them. */
static void print_headers(const char *headers)
{
	struct bytes rest = bytes_of_text(headers), line;

	putchar('\n');
	while (bytes_line(&rest, &line)) {
		size_t shown = line.len;

		if (shown > LINE_SHOWN_MAX)
			for (shown = LINE_SHOWN_MAX; (line.data[shown] & 0xC0) == 0x80; shown--)
				;
		printf("%.*s", (int)shown, (const char *)line.data);
		if (shown < line.len)
			printf(" (and %zu bytes more)", line.len - shown);
		putchar('\n');
	}
}

static enum err print_one(const struct quarantine_row *row, bool json)
{
	struct table *t = table_page(json);
	struct buf hash = BUF_INIT;
	char *headers = headers_of(row);
	enum err e;

	hex_add(&hash, bytes_of(row->hash, sizeof row->hash));
	table_field_number(t, "id", "Id", row->id);
	table_field_time(t, "at", "At", row->at);
	table_field_text(t, "mailbox", "Mailbox", row->mailbox);
	table_field_text(t, "reason", "Reason", row->reason);
	table_field_number(t, "size", "Size", row->size);
	table_field_text(t, "sha256", "SHA-256", buf_text(&hash));
	table_field_bool(t, "kept", "Mail kept", row->mail.len > 0);
	if (json)
		table_field_text(t, "headers", "Headers", headers);
	e = table_print(&t, stdout);
	if (!e && !json)
		print_headers(headers);
	str_free(&headers);
	buf_free(&hash);
	return e;
}

enum err command_quarantine_show(struct invocation *in)
{
	struct authority *authority = NULL;
	struct quarantine_row *row = NULL;
	enum err e = open_one(in, &authority, &row);

	if (!e)
		e = print_one(row, in->json);
	quarantine_row_free(&row);
	authority_close(&authority);
	return e;
}

static enum err drop(struct authority *authority, void *context)
{
	const struct quarantine_row *row = context;

	return quarantine_drop(authority->store, row->id);
}

/* Its attempts are forgotten too: otherwise it would be back at once. */
static enum err release(struct authority *authority, void *context)
{
	const struct quarantine_row *row = context;
	enum err e = quarantine_drop(authority->store, row->id);

	return e ? e : attempt_forget(authority->store, row->hash);
}

/* The directory of the mailbox that it came from, or of the first where that is configured no more. */
static enum err maildir_of(
    const struct authority *authority, const struct quarantine_row *row, const char **out)
{
	const struct conf *conf = authority->conf;
	const char *url = conf->mailbox_count ? conf->mailbox[0].server.url : "";

	for (size_t i = 0; i < conf->mailbox_count; i++)
		if (str_equal(conf->mailbox[i].server.url, row->mailbox))
			url = row->mailbox;
	if (!str_starts(url, "maildir:"))
		return err_fail(ERR_CONFIG, "there is no Maildir to put it back into");
	*out = url + strlen("maildir:");
	return ERR_OK;
}

static enum err settle(struct invocation *in, struct authority *authority,
    struct quarantine_row *row, const char *event, enum err (*change)(struct authority *, void *))
{
	struct buf hash = BUF_INIT;
	char *detail;
	enum err e;

	hex_add(&hash, bytes_of(row->hash, sizeof row->hash));
	detail = str_printf("quarantine=%lld sha256=%s", (long long)row->id, buf_text(&hash));
	e = command_commit(authority, in, event, NULL, detail, change, row);
	str_free(&detail);
	buf_free(&hash);
	return e;
}

enum err command_quarantine_release(struct invocation *in)
{
	struct authority *authority = NULL;
	struct quarantine_row *row = NULL;
	const char *dir = NULL;
	enum err e = open_one(in, &authority, &row);

	if (!e && !row->mail.len)
		e = err_fail(ERR_DATA,
		    "mail %lld carried a token or a secret key and was not kept; ask the sender to write again",
		    (long long)row->id);
	/* First back, then forgotten: twice in the mailbox is harmless (P5.3), nowhere is not. */
	if (!e && !(e = maildir_of(authority, row, &dir)) &&
	    !(e = maildrop_deliver(dir, buf_bytes(&row->mail))) &&
	    !(e = settle(in, authority, row, "quarantine-released", release)))
		printf("Mail %lld is back in %s.\n", (long long)row->id, dir);
	quarantine_row_free(&row);
	authority_close(&authority);
	return e;
}

enum err command_quarantine_drop(struct invocation *in)
{
	struct authority *authority = NULL;
	struct quarantine_row *row = NULL;
	enum err e = open_one(in, &authority, &row);

	if (!e && !(e = settle(in, authority, row, "quarantine-dropped", drop)))
		printf("Mail %lld is forgotten.\n", (long long)row->id);
	quarantine_row_free(&row);
	authority_close(&authority);
	return e;
}
