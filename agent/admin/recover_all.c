/* Recovery in bulk: a table in, a line out for each, as soon as it is done, so that no token is lost when the rest is cut short. Running it again is safe. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/when.h"
#include "progress.h"
#include "recover.h"
#include "text/address.h"
#include "text/csv.h"

#define NONE SIZE_MAX
#define COLUMNS 5

struct run {
	struct recovery *r;
	struct csv csv;
	size_t address, name; /* columns; NONE */
	int output;
	bool dry_run;
	struct table *json; /* instead of lines */
	enum err worst;
	struct progress progress;
};

/* ---- the head of the table ---- */

static size_t find_column(const struct csv_row *head, const char *name)
{
	for (size_t i = 0; i < head->count; i++)
		if (str_equal_case(head->cells[i], name))
			return i;
	return NONE;
}

static enum err read_head(struct run *run)
{
	const struct csv_row *head = run->csv.rows;

	if (run->csv.count == 0)
		return err_fail(ERR_DATA, "the table is empty");
	run->address = find_column(head, "address");
	run->name = find_column(head, "name");
	if (run->address == NONE)
		return err_fail(ERR_DATA,
		    "the first line of the table must name its columns, one of them \"address\"");
	return ERR_OK;
}

/* ---- one line ---- */

static enum err put_line(struct run *run, const char *const cells[COLUMNS])
{
	struct buf line = BUF_SECRET;
	enum err e;

	csv_add(&line, cells, COLUMNS);
	e = file_write_fd(run->output, buf_bytes(&line));
	buf_free(&line);
	return e;
}

static enum err put(
    struct run *run, const char *address, const char *status, const struct recovered *one)
{
	const struct issue *issue = &one->issue;
	bool made = issue->row.id > 0;
	const char *token = made && !run->r->mail ? issue->text : NULL;
	char when[WHEN_TEXT_SIZE], deposits[24];
	const char *const cells[COLUMNS] = { address, status, token,
		made ? when_format(issue->row.expires, when) : NULL, made ? deposits : NULL };

	(void)snprintf(deposits, sizeof deposits, "%zu", issue->release_count);
	if (!run->json)
		return put_line(run, cells);
	table_row(run->json);
	table_text(run->json, address);
	table_text(run->json, status);
	table_text(run->json, token);
	table_time(run->json, made ? issue->row.expires : 0);
	table_number(run->json, (int64_t)issue->release_count);
	return ERR_OK;
}

struct newest {
	bool found, recovery;
	enum token_state state;
	int64_t now, issued, used;
};

/* Newest first. */
static void note_newest(const struct token_row *row, void *context)
{
	struct newest *n = context;

	if (n->found)
		return;
	n->found = true;
	n->recovery = row->recovery;
	n->issued = row->issued;
	n->used = row->used;
	n->state = token_state_of(row->used, row->superseded, row->voided, row->expires, n->now);
}

/* What an earlier run did; *status_out NULL: nothing. A recovery is taken for the same as long as its token would be good. */
static enum err done_before(struct run *run, const char *address, char **status_out)
{
	struct newest n = { .now = run->r->in->now };
	int64_t span = run->r->authority->conf->policy.token_expires_seconds;
	char day[WHEN_TEXT_SIZE];
	enum err e = token_each(run->r->authority->store, address, false, n.now, note_newest, &n);

	*status_out = NULL;
	if (e || !n.recovery)
		return e;
	if (n.state == TOKEN_OUTSTANDING)
		*status_out = str_printf("already started on %s", when_format_day(n.issued, day));
	else if (n.state == TOKEN_USED && n.now - n.issued < span)
		*status_out = str_printf("recovered on %s", when_format_day(n.used, day));
	return ERR_OK;
}

static enum err would_be(struct run *run, const char *address, char **status_out)
{
	int64_t count = 0;
	enum err e = deposit_count(run->r->authority->store, address, &count);

	*status_out = str_printf(
	    "would be issued (%lld %s)", (long long)count, count == 1 ? "deposit" : "deposits");
	return e;
}

/* Every person has their own line and their own fate. */
static enum err do_line(struct run *run, const struct csv_row *row)
{
	const char *text = csv_cell(row, run->address);
	const char *name = run->name == NONE ? "" : csv_cell(row, run->name);
	struct recovered one = { 0 };
	char *address = NULL, *status = NULL;
	enum err e, put_err;

	if (!(e = address_canonical(text, &address)) && !(e = done_before(run, address, &status)) &&
	    !status) {
		if (run->dry_run)
			e = would_be(run, address, &status);
		else
			e = recover_one(run->r, address, *name ? name : NULL, &one);
	}
	if (!status && one.status)
		status = str_dup(one.status);
	if (!status)
		status = str_printf("error: %s", err_text());
	if (e || one.lost)
		run->worst = e ? e : ERR_DATA;
	if ((put_err = put(run, address ? address : text, status, &one)) && one.issue.row.id && !e)
		issue_take_back(run->r->authority, run->r->in, &one.issue, "not-printed");
	recovered_free(&one);
	str_free(&address);
	str_free(&status);
	return put_err;
}

/* ---- all lines ---- */

static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

/* They wait, so that the line in hand is ended and written. */
static void hold_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static bool is_interrupted(void)
{
	sigset_t pending;
	bool found = false;

	sigpending(&pending);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		found |= sigismember(&pending, signals[i]) == 1;
	return found;
}

static enum err do_lines(struct run *run)
{
	enum err e = ERR_OK;

	progress_start(&run->progress, "Recovering");
	hold_signals();
	for (size_t i = 1; i < run->csv.count && !e; i++) {
		e = do_line(run, &run->csv.rows[i]);
		progress_show(&run->progress, i, run->csv.count - 1);
		if (!e && is_interrupted())
			e = err_fail(ERR_DENIED,
			    "interrupted after %zu of %zu; run it again to go on", i,
			    run->csv.count - 1);
	}
	progress_end(&run->progress);
	return e;
}

static enum err print_json(struct run *run, enum err e)
{
	return run->json ? command_print(e, &run->json) : e;
}

enum err recover_all(struct recovery *r, struct bytes table, int output, bool dry_run, int *status)
{
	static const char *const keys[] = { "address", "status", "token", "expires", "deposits",
		NULL };
	struct run run = { .r = r, .output = output, .dry_run = dry_run };
	enum err e;

	if ((e = csv_read(table, &run.csv)) || (e = read_head(&run)) ||
	    (!dry_run && (e = recover_open(r, NULL))))
		goto out;
	if (r->in->json)
		run.json = table_list(true, keys, NULL);
	else
		e = put_line(&run, keys);
	if (!e)
		e = do_lines(&run);
	e = print_json(&run, e);
	if (run.worst)
		*status = err_exit_status(run.worst);
out:
	csv_free(&run.csv);
	return e;
}
