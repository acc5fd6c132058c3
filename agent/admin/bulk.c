/*
 * Tokens in bulk: a table in, a line out for each person. Some hundred lines at a time are one transaction, written out before it commits: what was committed is always in
 * the output, so that a run that was cut short is simply run again.
 */
#include "bulk.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apart.h"
#include "base/file.h"
#include "base/when.h"
#include "progress.h"
#include "slip.h"
#include "text/address.h"
#include "text/csv.h"

#define CSV_BYTES_MAX (256u << 20)
#define STEP_LINES 500
#define UNSENT_MOST 3 /* in a row: then it is the mail server, not the people */
#define NONE SIZE_MAX

enum { ADDRESS, NAME, KEYSET, LANGUAGE, COLUMNS };

struct line {
	struct csv_row row;
	char *address; /* canonical, or as it stands in the table */
	char *status;  /* NULL: a token is to be issued */
	struct issue issue;
};

struct bulk {
	struct invocation in; /* its time moves on from step to step */
	const struct bulk_options *options;
	const struct issue_options *issue_options;
	struct authority *authority;
	struct buf table;
	struct csv_reader reader;
	size_t columns[COLUMNS];
	struct line *lines; /* of this step */
	size_t count, done, total;
	struct sink output, slip_sink;
	struct slips slips;
	size_t issued, failed, unsent;
	enum err worst; /* of the lines */
	struct progress progress;
};

/* ---- the table's head ---- */

static const char *const column_names[COLUMNS] = { "address", "name", "keyset", "language" };

static bool is_head(const struct csv_row *row)
{
	for (size_t i = 0; i < row->count; i++)
		if (str_equal_case(row->cells[i], column_names[ADDRESS]))
			return true;
	return false;
}

static void read_head(struct bulk *b, const struct csv_row *head)
{
	for (size_t c = 0; c < COLUMNS; c++) {
		b->columns[c] = NONE;
		for (size_t i = 0; i < head->count; i++)
			if (str_equal_case(head->cells[i], column_names[c]))
				b->columns[c] = i;
	}
}

/* The first row is a head, or the columns stand in their usual order. */
static void find_columns(struct bulk *b)
{
	struct csv_reader first;
	struct csv_row row;
	bool more;

	csv_start(buf_bytes(&b->table), &b->reader);
	first = b->reader;
	for (size_t c = 0; c < COLUMNS; c++)
		b->columns[c] = c;
	if (!csv_next(&first, &row, &more) && more && is_head(&row)) {
		read_head(b, &row);
		b->reader = first;
	}
	csv_row_clear(&row);
}

static const char *cell(const struct bulk *b, const struct line *line, size_t column)
{
	const char *text = csv_cell(&line->row, b->columns[column]);

	return *text ? text : NULL;
}

/* ---- one line ---- */

static bool is_in_step(const struct bulk *b, const char *address)
{
	for (size_t i = 0; i < b->count; i++)
		if (!b->lines[i].status && str_equal(b->lines[i].address, address))
			return true;
	return false;
}

struct standing {
	const struct authority *authority;
	int64_t now;
	bool enrolled, revoked;
};

static void note_keyset(const struct keyset_row *row, void *context)
{
	struct standing *s = context;
	enum keyset_state state = keyset_state_of(row->confirmed, row->superseded, row->revoked,
	    row->certified_until, s->authority->conf->policy.grace_seconds, s->now);

	s->enrolled |=
	    state == KEYSET_UNCONFIRMED || state == KEYSET_ACTIVE || state == KEYSET_GRACE;
	s->revoked |= state == KEYSET_REVOKED;
}

/* What makes a token needless; *status_out stays NULL where nothing does. */
static enum err look(struct bulk *b, const char *address, char **status_out)
{
	struct standing s = { .authority = b->authority, .now = b->in.now };
	struct token_row *row = NULL;
	char day[WHEN_TEXT_SIZE];
	enum err e = keyset_each(b->authority->store, address, false, note_keyset, &s);

	if (e || (e = token_outstanding(b->authority->store, address, s.now, &row)))
		return e;
	if (row || is_in_step(b, address))
		*status_out = str_printf("already outstanding since %s",
		    when_format_day(row ? row->issued : s.now, day));
	else if (s.enrolled && !b->issue_options->additional)
		*status_out = str_dup("enrolled");
	else if (s.revoked && !s.enrolled)
		*status_out = str_dup("revoked");
	token_row_free(&row);
	return ERR_OK;
}

static enum err prepare(struct bulk *b, struct line *line)
{
	struct issue_options options = *b->issue_options;
	enum err e;

	options.bulk = true;
	options.name = cell(b, line, NAME);
	if (cell(b, line, KEYSET))
		options.keyset = cell(b, line, KEYSET);
	if (cell(b, line, LANGUAGE))
		options.language = cell(b, line, LANGUAGE);
	if (b->options->mail && (e = issue_check_letter(b->authority, options.language)))
		return e;
	if (b->options->slip && (e = slip_check(b->authority, options.language, b->slips.html)))
		return e;
	return issue_prepare(b->authority, &b->in, &options, line->address, &line->issue);
}

/* Every person has their own line and their own fate. */
static enum err read_line(struct bulk *b, struct line *line, bool *more_out)
{
	enum err e = csv_next(&b->reader, &line->row, more_out);
	char *address = NULL;

	if (!*more_out)
		return e;
	line->address = str_dup(csv_cell(&line->row, b->columns[ADDRESS]));
	if (!e && !(e = address_canonical(line->address, &address))) {
		str_free(&line->address);
		line->address = address;
		e = look(b, address, &line->status);
		if (e && e != ERR_DATA)
			return e;
		if (!e && !line->status)
			e = prepare(b, line);
	}
	if (!e)
		return ERR_OK;
	b->worst = e;
	b->failed++;
	line->status = str_printf("error: %s", err_text());
	return ERR_OK;
}

/* ---- what is written ---- */

static const char *const keys[] = { "line", "address", "status", "token", "expires", "id" };
#define KEYS (sizeof keys / sizeof *keys)

static void add_cells(struct bulk *b, const struct line *line, const char *token)
{
	const struct token_row *row = &line->issue.row;
	char number[24], id[24], when[WHEN_TEXT_SIZE];
	const char *const cells[KEYS] = { number, line->address, line->status, token,
		row->id ? when_format(row->expires, when) : NULL, row->id ? id : NULL };

	(void)snprintf(number, sizeof number, "%zu", line->row.line);
	(void)snprintf(id, sizeof id, "%lld", (long long)row->id);
	csv_add(&b->output.waiting, cells, KEYS);
}

static void add_json(struct bulk *b, const struct line *line, const char *token)
{
	const struct token_row *row = &line->issue.row;
	struct table *t = table_line();

	table_field_number(t, "line", NULL, (int64_t)line->row.line);
	table_field_text(t, "address", NULL, line->address);
	table_field_text(t, "status", NULL, line->status);
	table_field_text(t, "token", NULL, token);
	table_field_time(t, "expires", NULL, row->id ? row->expires : 0);
	table_field_number(t, "id", NULL, row->id);
	table_add(&t, &b->output.waiting);
}

static void add_line(struct bulk *b, const struct line *line)
{
	bool elsewhere = b->options->slip || (b->options->mail && !line->issue.apart);
	const char *token = line->issue.row.id && !elsewhere ? line->issue.text : NULL;

	if (b->in.json)
		add_json(b, line, token);
	else
		add_cells(b, line, token);
}

static enum err add_all(struct bulk *b)
{
	enum err e = ERR_OK;

	for (size_t i = 0; i < b->count && !e; i++) {
		add_line(b, &b->lines[i]);
		if (b->options->slip && b->lines[i].issue.row.id)
			e = slip_add(
			    b->authority, &b->lines[i].issue, &b->slips, &b->slip_sink.waiting);
	}
	return e;
}

static enum err write_all(struct bulk *b)
{
	enum err e = add_all(b);

	if (!e && !(e = sink_step(&b->slip_sink)))
		e = sink_step(&b->output);
	return e;
}

/* ---- a step ---- */

/* P5.6: one signature for all addresses, one for the auditors. */
static enum err add_letters(struct bulk *b, struct letters *list)
{
	struct letters_round *round = NULL;
	struct buf addresses = BUF_INIT;
	int64_t until = 0;
	enum err e = ERR_OK;

	for (size_t i = 0; i < b->count && !e; i++) {
		struct line *line = &b->lines[i];

		if (line->status)
			continue;
		until = line->issue.row.expires;
		if (!round)
			e = letters_round_make(b->authority, b->in.actor, until, b->in.now, &round);
		if (!e)
			e = letters_add_round(
			    b->authority, round, line->address, b->in.now, &line->issue.letters);
		buf_addf(&addresses, "%s\n", line->address);
	}
	if (!e)
		e = letters_add_list(
		    b->authority, b->in.actor, until, buf_text(&addresses), b->in.now, list);
	letters_round_free(&round);
	buf_free(&addresses);
	return e;
}

static enum err insert_all(struct bulk *b, const struct letters *list)
{
	enum err e = letters_insert(b->authority, list, b->in.now);

	for (size_t i = 0; i < b->count && !e; i++) {
		struct line *line = &b->lines[i];

		if (line->status)
			continue;
		e = issue_insert(b->authority, &b->in, &line->issue);
		line->status = str_dup(b->options->mail ? "mailed" : "issued");
	}
	return e;
}

static enum err undo(struct bulk *b, enum err e)
{
	char *why = str_dup(err_text());
	bool undone = sink_undo(&b->output);

	undone &= sink_undo(&b->slip_sink);
	for (size_t i = 0; i < b->count; i++)
		b->lines[i].issue.row.id = 0;
	e = err_fail(
	    e, "%s%s", why, undone ? "" : "; the tokens of the lines written last were not issued");
	str_free(&why);
	return e;
}

/* With --mail what the line says is known only when the mail is gone. */
static enum err commit(struct bulk *b)
{
	struct store *store = b->authority->store;
	struct letters list = { 0 };
	bool now = !b->options->mail;
	enum err e = add_letters(b, &list);

	if (!e && !(e = store_begin(store)) && !(e = insert_all(b, &list)) &&
	    !(now && (e = write_all(b))))
		e = store_commit(store);
	store_rollback(store);
	if (e && now)
		e = undo(b, e);
	letters_free(&list);
	return e;
}

/* P5.7. A step of one line. */
static enum err mail_one(struct bulk *b, struct line *line)
{
	struct buf mail = BUF_SECRET;
	enum err e;

	if (!(e = issue_write_mail(b->authority, &b->in, &line->issue, &mail)) &&
	    !(e = commit(b)) && issue_send(b->authority, &b->in, &line->issue, buf_bytes(&mail))) {
		str_free(&line->status);
		line->status = str_printf("not sent: %s", err_text());
		line->issue.row.id = 0;
		b->worst = ERR_UNAVAILABLE;
		b->failed++;
		b->unsent++;
	} else if (!e) {
		b->unsent = 0;
	}
	buf_free(&mail);
	return e;
}

static bool has_work(const struct bulk *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (!b->lines[i].status)
			return true;
	return false;
}

static enum err settle(struct bulk *b)
{
	enum err e = ERR_OK;

	for (size_t i = 0; b->options->dry_run && i < b->count; i++)
		if (!b->lines[i].status)
			b->lines[i].status = str_dup("would be issued");
	if (!has_work(b))
		return write_all(b);
	if (!b->options->mail)
		return commit(b);
	if ((e = mail_one(b, &b->lines[0])) || (e = write_all(b)))
		return e;
	if (b->unsent >= UNSENT_MOST)
		e = err_fail(ERR_UNAVAILABLE,
		    "the last %d mails were not sent: stopped at line %zu; run it again to go on",
		    UNSENT_MOST, b->lines[0].row.line);
	return e;
}

static void clear_lines(struct bulk *b)
{
	for (size_t i = 0; i < b->count; i++) {
		struct line *line = &b->lines[i];

		b->issued += line->issue.row.id > 0;
		issue_free(&line->issue);
		csv_row_clear(&line->row);
		str_free(&line->address);
		str_free(&line->status);
		*line = (struct line){ 0 };
	}
	b->done += b->count;
	b->count = 0;
}

static enum err step(struct bulk *b, bool *more)
{
	size_t most = b->options->mail ? 1 : STEP_LINES;
	enum err e = ERR_OK;

	b->in.now = when_now();
	while (b->count < most && *more && !e) {
		e = read_line(b, &b->lines[b->count], more);
		b->count += *more;
	}
	if (!e)
		e = settle(b);
	clear_lines(b);
	progress_show(&b->progress, b->done, b->total > b->done ? b->total : b->done);
	return e;
}

/* ---- the whole ---- */

static bool is_interrupted(void)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 ||
	       sigismember(&pending, SIGHUP) == 1;
}

static enum err run(struct bulk *b)
{
	bool more = true;
	enum err e = ERR_OK;

	if (!b->in.json) {
		csv_add(&b->output.waiting, keys, KEYS);
		e = sink_step(&b->output);
	}
	progress_start(&b->progress, b->options->mail ? "Mailing" : "Issuing");
	apart_hold_signals(SIG_BLOCK);
	while (more && !e && !is_interrupted())
		e = step(b, &more);
	progress_end(&b->progress);
	if (e)
		return e;
	slip_end(&b->slips, &b->slip_sink.waiting);
	if (!(e = sink_step(&b->slip_sink)) && more)
		e = err_fail(
		    ERR_DENIED, "interrupted after %zu lines; run it again to go on", b->done);
	return e;
}

static enum err check(const struct bulk *b)
{
	enum err e;

	if (b->options->mail && (e = issue_check_letter(b->authority, b->issue_options->language)))
		return e;
	if (b->options->slip &&
	    (e = slip_check(b->authority, b->issue_options->language, b->slips.html)))
		return e;
	return ERR_OK;
}

static void count_lines(struct bulk *b)
{
	for (size_t i = 0; i < b->table.len; i++)
		b->total += b->table.data[i] == '\n';
}

/* Files are read and made with the rights of whoever called. */
static enum err open_all(struct bulk *b)
{
	const struct bulk_options *o = b->options;
	enum err e;

	if ((e = file_read(o->csv, CSV_BYTES_MAX, &b->table)) ||
	    (e = sink_open(&b->output, o->output)) ||
	    (o->slip && !o->dry_run && (e = sink_open(&b->slip_sink, o->slip))))
		return e;
	count_lines(b);
	find_columns(b);
	return command_open(&b->in, o->dry_run ? AUTHORITY_STORE : AUTHORITY_KEYS, &b->authority);
}

enum err bulk_issue(struct invocation *in, const struct bulk_options *options,
    const struct issue_options *issue_options)
{
	struct bulk b = { .in = *in,
		.options = options,
		.issue_options = issue_options,
		.output = SINK_CLOSED,
		.slip_sink = SINK_CLOSED };
	enum err e;

	b.slips.html = options->slip && slip_path_is_html(options->slip);
	b.lines = mem_alloc(STEP_LINES * sizeof *b.lines);
	if (!(e = open_all(&b)) && !(e = check(&b)))
		e = run(&b);
	if (b.done)
		command_note("%zu lines: %zu %s, %zu with an error", b.done, b.issued,
		    options->mail ? "mailed" : "issued", b.failed);
	if (b.worst)
		in->status = err_exit_status(b.worst);
	sink_close(&b.output);
	sink_close(&b.slip_sink);
	authority_close(&b.authority);
	free(b.lines);
	buf_free(&b.table);
	return e;
}
