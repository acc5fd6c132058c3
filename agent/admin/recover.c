/* recover: opens the deposits of an address with the escrow key and seals them under a new token (P5.5). */
#include "recover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/when.h"
#include "enroll/deposit.h"
#include "revoke.h"

#define CSV_BYTES_MAX (16u << 20)
#define RACES_MAX 5

enum err recover_open(struct recovery *r, const char *address)
{
	char *fingerprint = NULL;
	int64_t count = 0;
	enum err e = deposit_count(r->authority->store, address, &count);

	if (e || count == 0)
		return e;
	if (!(e = store_get(r->authority->store, "escrow-fingerprint", &fingerprint)) &&
	    !fingerprint)
		e = err_fail(ERR_DATA, "the store names no escrow key");
	if (!e)
		e = escrow_key_open(r->key, r->authority->escrow_home, fingerprint);
	str_free(&fingerprint);
	return e;
}

/* ---- deposits to releases ---- */

struct sealing {
	struct recovery *r;
	struct issue *issue;
	size_t seen, lost;
	enum err err; /* one that time may cure: then nothing is issued */
};

/* One a subkey: a later deposit of the same one counts. */
static void add_release(struct issue *issue, const char *fingerprint, struct buf *sealed)
{
	struct release_row *row = issue->releases, *end = row + issue->release_count;

	while (row < end && !str_equal(row->encryption_fingerprint, fingerprint))
		row++;
	if (row == end) {
		issue->releases = mem_array(issue->releases, issue->release_count + 1, sizeof *row);
		row = &issue->releases[issue->release_count++];
		*row = (struct release_row){ 0 };
		memcpy(row->encryption_fingerprint, fingerprint, 41);
	}
	buf_free(&row->sealed);
	row->sealed = *sealed;
	*sealed = (struct buf)BUF_INIT;
}

/* A damaged one is named, and the others come back. */
static void seal_deposit(const struct deposit_row *row, void *context)
{
	struct sealing *s = context;
	struct buf associated = BUF_INIT, sealed = BUF_INIT;
	char day[WHEN_TEXT_SIZE];
	enum err e;

	if (s->err)
		return;
	s->seen++;
	deposit_associated(
	    s->issue->row.key, row->address, row->encryption_fingerprint, &associated);
	e = escrow_key_release(s->r->key, buf_bytes(&row->sealed), s->issue->recovery_key,
	    buf_bytes(&associated), &sealed);
	if (!e) {
		add_release(s->issue, row->encryption_fingerprint, &sealed);
	} else if (e == ERR_DATA) {
		s->lost++;
		command_note("deposit %lld of %s (key %s, %s) can't be opened: %s",
		    (long long)row->id, row->address, row->encryption_fingerprint,
		    when_format_day(row->created, day), err_text());
	} else {
		s->err = e;
	}
	buf_free(&associated);
	buf_free(&sealed);
}

static enum err seal_deposits(struct recovery *r, struct recovered *out)
{
	const char *address = out->issue.row.address;
	struct sealing s = { .r = r, .issue = &out->issue };
	int64_t count = 0;
	enum err e;

	if ((e = deposit_count(r->authority->store, address, &count)) ||
	    (e = recover_open(r, address)))
		return e;
	e = deposit_each(r->authority->store, address, seal_deposit, &s);
	if (s.err)
		return s.err;
	if (e == ERR_DATA) {
		command_note("%s", err_text());
		s.lost += (size_t)count - s.seen;
		e = ERR_OK;
	}
	out->lost = s.lost;
	if (!e && count == 0)
		command_note(
		    "no deposit of %s is on record: a new key can be enrolled, but old mail can't "
		    "be made readable",
		    address);
	return e;
}

/* ---- one recovery ---- */

static enum err prepare(
    struct recovery *r, const char *address, const char *name, struct recovered *out)
{
	struct issue_options options = { .name = name, .expires = r->expires, .recovery = true };
	struct notice notice = {
		.event = NOTICE_RECOVERY_STARTED, .actor = r->in->actor, .reason = r->reason
	};
	enum err e;

	if ((e = issue_prepare(r->authority, r->in, &options, address, &out->issue)) ||
	    (e = seal_deposits(r, out)))
		return e;
	out->issue.reason = r->reason;
	notice.address = out->issue.row.address;
	notice.until = out->issue.row.expires;
	notice.deposits = (int64_t)out->issue.release_count;
	return letters_add_notice(r->authority, &notice, r->in->now, &out->issue.letters);
}

static enum err commit_with(
    struct recovery *r, struct issue *issue, const struct revocation *revocation)
{
	struct store *store = r->authority->store;
	enum err e;

	if (!(e = store_begin(store)) && !(e = issue_insert(r->authority, r->in, issue)) &&
	    !(e = revoke_insert(r->authority, r->in, revocation)))
		e = store_commit(store);
	store_rollback(store);
	if (e)
		issue->row.id = 0;
	return e;
}

/* Who has the old keys must not be believed any longer: revoked by the same transaction. */
static enum err commit(struct recovery *r, struct issue *issue)
{
	enum err e = ERR_TEMPORARY;

	if (!r->compromised)
		return issue_commit(r->authority, r->in, issue);
	for (int i = 0; i < RACES_MAX && e == ERR_TEMPORARY; i++) {
		struct revocation revocation;

		e = revoke_prepare(
		    r->authority, r->in, issue->row.address, NULL, "compromised", &revocation);
		if (!e)
			e = commit_with(r, issue, &revocation);
		revoke_free(&revocation);
	}
	if (!e)
		issue_committed(issue);
	return e;
}

enum err recover_one(
    struct recovery *r, const char *address, const char *name, struct recovered *out)
{
	struct buf mail = BUF_SECRET;
	enum err e;

	*out = (struct recovered){ 0 };
	if ((e = prepare(r, address, name, out)) ||
	    (r->mail && (e = issue_write_mail(r->authority, r->in, &out->issue, &mail))) ||
	    (e = commit(r, &out->issue)))
		goto out;
	if (r->mail && (e = issue_send(r->authority, r->in, &out->issue, buf_bytes(&mail))))
		out->status = str_printf("not sent: %s", err_text());
	else
		out->status = str_dup(r->mail ? "mailed" : "issued");
out:
	buf_free(&mail);
	return e;
}

void recovered_free(struct recovered *recovered)
{
	issue_free(&recovered->issue);
	str_free(&recovered->status);
}

/* ---- the command ---- */

static enum err print_table(const struct recovery *r, const struct recovered *one)
{
	static const char *const keys[] = { "address", "status", "token", "expires", "id",
		"deposits", "lost", NULL };
	static const char *const heads[] = { "ADDRESS", "STATUS", "TOKEN", "EXPIRES", "ID",
		"DEPOSITS", "LOST", NULL };
	struct table *t = table_list(r->in->json, keys, heads);

	table_row(t);
	table_text(t, one->issue.row.address);
	table_text(t, one->status);
	table_text(t, r->mail ? NULL : one->issue.text);
	table_time(t, one->issue.row.expires);
	table_number(t, one->issue.row.id);
	table_number(t, (int64_t)one->issue.release_count);
	table_number(t, (int64_t)one->lost);
	return table_print(&t, stdout);
}

static enum err print_one(const struct recovery *r, const struct recovered *one)
{
	size_t count = one->issue.release_count;
	char day[WHEN_TEXT_SIZE];

	if (r->in->json || r->mail)
		return print_table(r, one);
	if (isatty(STDOUT_FILENO))
		printf(
		    "Recovery token for %s:\n\n    %s\n\nIt works once, until %s. %zu old encryption %s "
		    "with it.\n",
		    one->issue.row.address, one->issue.text,
		    when_format_day(one->issue.row.expires, day), count,
		    count == 1 ? "key comes back" : "keys come back");
	else
		printf("%s\n", one->issue.text);
	return command_flush();
}

static enum err recover_person(struct recovery *r, const char *address, int *status)
{
	struct recovered one;
	enum err e = recover_one(r, address, NULL, &one), printed;

	if (one.issue.row.id) {
		printed = print_one(r, &one);
		if (!e && printed) {
			issue_take_back(r->authority, r->in, &one.issue, "not-printed");
			e = err_fail(printed, "%s; no token is left outstanding", err_text());
		}
		if (one.lost)
			*status = err_exit_status(ERR_DATA);
	}
	recovered_free(&one);
	return e;
}

struct bulk {
	const char *csv, *output;
	bool dry_run;
	struct buf table;
	int fd; /* of the output */
};

/* Read and made with the rights of whoever called. */
static enum err open_bulk(struct bulk *bulk)
{
	enum err e;

	if (!bulk->csv)
		return ERR_OK;
	if ((e = file_read(bulk->csv, CSV_BYTES_MAX, &bulk->table)) || !bulk->output)
		return e;
	bulk->fd = open(bulk->output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return bulk->fd >= 0
		   ? ERR_OK
		   : err_fail(ERR_CREATE, "cannot make %s: %s", bulk->output, strerror(errno));
}

static enum err check_usage(const struct invocation *in, const struct bulk *bulk)
{
	if (!bulk->csv == !in->argc)
		return err_fail(ERR_USAGE, "give one address, or a table with --csv");
	if (!bulk->csv && (bulk->output || bulk->dry_run))
		return err_fail(ERR_USAGE, "--output and --dry-run go with --csv");
	return ERR_OK;
}

enum err command_recover(struct invocation *in)
{
	struct recovery r = { .in = in };
	struct bulk bulk = { .fd = STDOUT_FILENO };
	struct escrow_options escrow = { 0 };
	const struct option options[] = { ESCROW_OPTIONS(escrow),
		{ "reason", OPTION_TEXT, &r.reason }, { "expires", OPTION_TEXT, &r.expires },
		{ "mail", OPTION_FLAG, &r.mail }, { "compromised", OPTION_FLAG, &r.compromised },
		{ "csv", OPTION_TEXT, &bulk.csv }, { "output", OPTION_TEXT, &bulk.output },
		{ "dry-run", OPTION_FLAG, &bulk.dry_run }, { 0 } };
	enum err e;

	if ((e = options_read(in, options, 0, 1, "one address")) || (e = check_usage(in, &bulk)) ||
	    (e = revoke_check_reason(r.reason)) || (e = open_bulk(&bulk)) ||
	    (e = escrow_key_start(&escrow, &r.key)) ||
	    (e = command_open(in, AUTHORITY_KEYS, &r.authority)) ||
	    (r.mail && (e = issue_check_mailing(r.authority, true))))
		goto out;
	if (bulk.csv)
		e = recover_all(&r, buf_bytes(&bulk.table), bulk.fd, bulk.dry_run, &in->status);
	else
		e = recover_person(&r, in->argv[0], &in->status);
	if (r.compromised && !bulk.dry_run)
		revoke_publish(r.authority, in);
out:
	if (bulk.fd > STDERR_FILENO)
		close(bulk.fd);
	buf_free(&bulk.table);
	authority_close(&r.authority);
	escrow_key_stop(&r.key);
	return e;
}
