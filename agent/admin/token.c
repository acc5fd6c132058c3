#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/when.h"
#include "bulk.h"
#include "progress.h"
#include "slip.h"
#include "text/address.h"

/* ---- token issue ---- */

struct batch {
	struct authority *authority;
	const struct invocation *in;
	struct issue *issues;
	size_t count;
	const char *slip;
	struct table *table; /* what is printed at the end */
	struct progress progress;
};

static enum err prepare_all(struct batch *b, const struct issue_options *options)
{
	for (size_t i = 0; i < (size_t)b->in->argc; i++) {
		enum err e =
		    issue_prepare(b->authority, b->in, options, b->in->argv[i], &b->issues[i]);

		b->count = i + 1;
		if (e)
			return e;
		progress_show(&b->progress, b->count, (size_t)b->in->argc);
		for (size_t k = 0; k < i; k++)
			if (str_equal(b->issues[k].row.address, b->issues[i].row.address))
				return err_fail(
				    ERR_USAGE, "%s is given twice", b->issues[i].row.address);
	}
	return ERR_OK;
}

/* The two signatures of each token take the time. */
static enum err prepare(struct batch *b, const struct issue_options *options)
{
	enum err e;

	progress_start(&b->progress, "Preparing");
	e = prepare_all(b, options);
	progress_end(&b->progress);
	return e;
}

static struct table *issue_table(bool json)
{
	static const char *const keys[] = { "address", "status", "token", "expires", "id", NULL };
	static const char *const heads[] = { "ADDRESS", "STATUS", "TOKEN", "EXPIRES", "ID", NULL };

	return table_list(json, keys, heads);
}

static void add_row(
    struct batch *b, const struct issue *issue, const char *token, const char *state)
{
	table_row(b->table);
	table_text(b->table, issue->row.address);
	table_text(b->table, state);
	table_text(b->table, token);
	table_time(b->table, issue->row.expires);
	table_number(b->table, issue->row.id);
}

/* Nothing was issued. */
static void add_failure(struct batch *b, const struct issue *issue)
{
	char *state = str_printf("error: %s", err_text());

	table_row(b->table);
	table_text(b->table, issue->row.address);
	table_text(b->table, state);
	table_text(b->table, NULL);
	table_time(b->table, 0);
	table_number(b->table, 0);
	str_free(&state);
}

static enum err mail_one(struct batch *b, struct issue *issue)
{
	struct buf mail = BUF_SECRET;
	char *state = NULL;
	enum err e;

	if ((e = issue_write_mail(b->authority, b->in, issue, &mail)) ||
	    (e = issue_commit(b->authority, b->in, issue)))
		goto out;
	if ((e = issue_send(b->authority, b->in, issue, buf_bytes(&mail))))
		state = str_printf("not sent: %s", err_text());
	add_row(b, issue, !e && issue->apart ? issue->text : NULL,
	    e              ? state
	    : issue->apart ? "mailed without the token"
			   : "mailed");
out:
	str_free(&state);
	buf_free(&mail);
	return e;
}

/* Every address has its own line and its own fate. */
static enum err mail_all(struct batch *b, int *status)
{
	b->table = issue_table(b->in->json);
	for (size_t i = 0; i < b->count; i++) {
		enum err e = mail_one(b, &b->issues[i]);

		progress_show(&b->progress, i + 1, b->count);
		if (!e)
			continue;
		*status = err_exit_status(e);
		if (!b->issues[i].row.id)
			add_failure(b, &b->issues[i]);
	}
	progress_end(&b->progress);
	return table_print(&b->table, stdout);
}

static enum err commit_all(struct batch *b)
{
	enum err e = ERR_OK;

	for (size_t i = 0; i < b->count && !e; i++) {
		e = issue_commit(b->authority, b->in, &b->issues[i]);
		progress_show(&b->progress, i + 1, b->count);
	}
	progress_end(&b->progress);
	return e;
}

static void take_back_all(struct batch *b, const char *why)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->issues[i].row.id)
			issue_take_back(b->authority, b->in, &b->issues[i], why);
}

static enum err write_slip(struct batch *b)
{
	struct slips slips = { .html = slip_path_is_html(b->slip) };
	struct buf text = BUF_SECRET;
	enum err e = ERR_OK;

	for (size_t i = 0; i < b->count && !e; i++)
		e = slip_add(b->authority, &b->issues[i], &slips, &text);
	slip_end(&slips, &text);
	if (!e)
		e = file_create(b->slip, 0600, buf_bytes(&text));
	buf_free(&text);
	return e;
}

/* One token for a person at a terminal, or alone for a script. */
static void print_one(const struct issue *issue)
{
	char day[WHEN_TEXT_SIZE];

	if (isatty(STDOUT_FILENO))
		printf("Token for %s:\n\n    %s\n\nIt works once, until %s.\n", issue->row.address,
		    issue->text, when_format_day(issue->row.expires, day));
	else
		printf("%s\n", issue->text);
}

static enum err print_all(struct batch *b)
{
	enum err e;

	if (b->count == 1 && !b->in->json && !b->slip) {
		print_one(&b->issues[0]);
		return command_flush();
	}
	b->table = issue_table(b->in->json);
	for (size_t i = 0; i < b->count; i++)
		add_row(b, &b->issues[i], b->slip ? NULL : b->issues[i].text,
		    b->slip ? "printed" : "issued");
	e = table_print(&b->table, stdout);
	return e ? e : command_flush();
}

/* Tokens that nobody got to see are taken back. */
static enum err hand_out(struct batch *b)
{
	enum err e = commit_all(b);

	if (!e && b->slip)
		e = write_slip(b);
	if (!e)
		e = print_all(b);
	if (e) {
		take_back_all(b, "not-printed");
		e = err_fail(e, "%s; no token is left outstanding", err_text());
	}
	return e;
}

static enum err check_usage(const struct invocation *in, const struct issue_options *options,
    const struct bulk_options *bulk)
{
	bool mail = bulk->mail;
	const char *slip = bulk->slip;

	if (!bulk->csv && !in->argc)
		return err_fail(ERR_USAGE,
		    "something is missing: expected addresses, or --csv FILE; --help says more");
	if (bulk->csv && in->argc)
		return err_fail(ERR_USAGE, "addresses and --csv exclude each other");
	if (!bulk->csv && (bulk->output || bulk->dry_run))
		return err_fail(ERR_USAGE, "--output and --dry-run go with --csv");
	if (bulk->csv && (options->name || options->also.count))
		return err_fail(
		    ERR_USAGE, "--name and --also are for one address; a table has names itself");
	if (mail && slip)
		return err_fail(ERR_USAGE, "--mail and --slip exclude each other");
	if (in->argc > 1 && (options->name || options->also.count))
		return err_fail(ERR_USAGE, "--name and --also are for one address at a time");
	if (slip && file_exists(slip))
		return err_fail(ERR_CREATE, "%s exists already and is not overwritten", slip);
	return ERR_OK;
}

/* Asked as the state's owner, who writes it, and before a token is made that nobody would see. */
static enum err check_slip(
    const struct authority *authority, const char *language, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? str_ndup(path, (size_t)(slash + 1 - path)) : str_dup(".");
	enum err e = access(dir, W_OK | X_OK) == 0
			 ? ERR_OK
			 : err_fail(ERR_CREATE, "cannot make %s: %s", path, strerror(errno));

	str_free(&dir);
	return e ? e : slip_check(authority, language, slip_path_is_html(path));
}

enum err command_token_issue(struct invocation *in)
{
	struct issue_options options = { 0 };
	struct bulk_options bulk = { 0 };
	struct batch b = { .in = in };
	const struct option table[] = { ISSUE_OPTIONS(options), { "mail", OPTION_FLAG, &bulk.mail },
		{ "slip", OPTION_TEXT, &bulk.slip }, { "language", OPTION_TEXT, &options.language },
		{ "csv", OPTION_TEXT, &bulk.csv }, { "output", OPTION_TEXT, &bulk.output },
		{ "dry-run", OPTION_FLAG, &bulk.dry_run }, { 0 } };
	bool mail;
	enum err e;

	if ((e = options_read(in, table, 0, 10000, "addresses")) ||
	    (e = check_usage(in, &options, &bulk)))
		return e;
	if (bulk.csv)
		return bulk_issue(in, &bulk, &options);
	mail = bulk.mail;
	b.slip = bulk.slip;
	if ((e = command_open(in, AUTHORITY_KEYS, &b.authority)))
		return e;
	b.issues = mem_alloc((size_t)in->argc * sizeof *b.issues);
	if ((mail && (e = issue_check_letter(b.authority, options.language))) ||
	    (b.slip && (e = check_slip(b.authority, options.language, b.slip))) ||
	    (e = prepare(&b, &options)))
		goto out;
	progress_start(&b.progress, mail ? "Mailing" : "Issuing");
	e = mail ? mail_all(&b, &in->status) : hand_out(&b);
out:
	for (size_t i = 0; i < b.count; i++)
		issue_free(&b.issues[i]);
	free(b.issues);
	authority_close(&b.authority);
	return e;
}

/* ---- token list ---- */

struct listing {
	struct table *table;
	int64_t now;
};

static void list_token(const struct token_row *row, void *context)
{
	struct listing *l = context;
	enum token_state state =
	    token_state_of(row->used, row->superseded, row->voided, row->expires, l->now);

	table_row(l->table);
	table_number(l->table, row->id);
	table_text(l->table, row->address);
	table_text(l->table, token_state_name(state));
	table_text(l->table, row->keyset);
	table_text(l->table, row->issued_by);
	table_time(l->table, row->issued);
	table_time(l->table, row->expires);
}

enum err command_token_list(struct invocation *in)
{
	static const char *const keys[] = { "id", "address", "state", "keyset", "issued_by",
		"issued", "expires", NULL };
	static const char *const heads[] = { "ID", "ADDRESS", "STATE", "KEYSET", "ISSUED BY",
		"ISSUED", "EXPIRES", NULL };
	bool all = false;
	const struct option options[] = { { "all", OPTION_FLAG, &all }, { 0 } };
	struct authority *authority = NULL;
	struct listing l = { .now = in->now };
	enum err e;

	if ((e = options_read(in, options, 0, 0, "no argument")) ||
	    (e = command_open(in, AUTHORITY_STORE, &authority)))
		return e;
	l.table = table_list(in->json, keys, heads);
	e = command_print(
	    token_each(authority->store, NULL, !all, in->now, list_token, &l), &l.table);
	authority_close(&authority);
	return e;
}

/* ---- token void ---- */

static enum err find_token(
    struct authority *authority, const struct invocation *in, struct token_row **out)
{
	const char *which = in->argv[0];
	char *address = NULL;
	int64_t id;
	enum err e;

	if (which[strspn(which, "0123456789")] == '\0') {
		if (!(e = str_to_int(which, 1, INT64_MAX, &id)) &&
		    !(e = token_by_id(authority->store, id, out)) && !*out)
			e = err_fail(ERR_NOUSER,
			    "there is no token %s; see \"countersignctl token list\"", which);
		return e;
	}
	if ((e = address_canonical(which, &address)))
		return e;
	if (!(e = token_outstanding(authority->store, address, in->now, out)) && !*out)
		e = err_fail(ERR_NOUSER, "%s has no outstanding token", address);
	str_free(&address);
	return e;
}

enum err command_token_void(struct invocation *in)
{
	struct authority *authority = NULL;
	struct token_row *row = NULL;
	enum err e;

	if ((e = options_read(in, NULL, 1, 1, "an address or the id of a token")) ||
	    (e = command_open(in, AUTHORITY_KEYS, &authority)))
		return e;
	if (!(e = find_token(authority, in, &row)) &&
	    !(e = issue_void(authority, in, row, "taken-back")))
		printf("Token %lld of %s no longer works.\n", (long long)row->id, row->address);
	token_row_free(&row);
	authority_close(&authority);
	return e;
}
