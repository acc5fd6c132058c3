/* One page: ready or not, and why not; what waits; what will need somebody soon. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/when.h"
#include "keys/agent.h"
#include "mail/mailbox.h"
#include "shared/hold.h"
#include "shared/publish.h"
#include "status.h"

#define OLD_SECONDS 3600
#define PUBLISH_FAILING_SECONDS 600

static void add_line(struct table *list, const char *format, va_list ap) PRINTF_LIKE(2, 0);
static void add_line(struct table *list, const char *format, va_list ap)
{
	struct buf line = BUF_INIT;

	if (!list)
		return;
	buf_vaddf(&line, format, ap);
	table_row(list);
	table_text(list, buf_text(&line));
	buf_free(&line);
}

static void problem(struct status *s, const char *format, ...) PRINTF_LIKE(2, 3);
static void problem(struct status *s, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	add_line(s->problems, format, ap);
	va_end(ap);
	s->problem_count++;
}

static void warning(struct status *s, const char *format, ...) PRINTF_LIKE(2, 3);
static void warning(struct status *s, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	add_line(s->warnings, format, ap);
	va_end(ap);
}

/* ---- what must be there ---- */

static void look_at_store(struct status *s)
{
	if (store_quick_check(s->authority->store))
		problem(s, "the store is damaged: %s", err_text());
}

static void look_at_hold(struct status *s)
{
	if (hold_check(s->authority->store))
		problem(s, "%s", err_text());
}

/* A lock file nobody made yet means that it never ran. */
static bool daemon_runs(const struct authority *authority)
{
	char *path = authority_lock_path(authority->conf);
	int fd = -1;
	bool runs = file_exists(path) && file_lock(path, &fd) == ERR_TEMPORARY;

	if (fd >= 0)
		close(fd);
	str_free(&path);
	return runs;
}

static void look_at_daemon(struct status *s)
{
	const struct conf *conf = s->authority->conf;

	if (!daemon_runs(s->authority)) {
		problem(s, "countersignd is not running");
		return;
	}
	if (daemon_status_read(conf, &s->daemon))
		problem(s, "what countersignd says of itself can't be read: %s", err_text());
	else if (!s->daemon.text)
		warning(s,
		    "nothing is known of the mail servers: there is no %s/status, or it is not yours to read",
		    conf->authority.runtime_directory);
	if (keyhome_start((unsigned)conf->limits.gpg_seconds) ||
	    agent_check(s->authority->key_home))
		problem(s, "the authority's key can't be used: %s", err_text());
}

static void look_at_runtime(struct status *s)
{
	const char *dir = s->authority->conf->authority.runtime_directory;

	if (file_exists(dir) && !file_is_tmpfs(dir))
		problem(s, "the runtime directory %s is not on tmpfs", dir);
}

/* ---- mail servers, as the daemon finds them ---- */

static void list_server(struct status *s, const char *server, const struct daemon_line *line)
{
	if (!s->servers)
		return;
	table_row(s->servers);
	table_text(s->servers, server);
	table_text(s->servers, line ? line->state : NULL);
	table_time(s->servers, line ? line->since : 0);
	table_time(s->servers, line ? line->next_try : 0);
	table_text(s->servers, line && *line->why ? line->why : NULL);
}

/* "imaps://…: its certificate has expired; since 12 minutes, next try in 4 minutes"; true if there is nothing to say. */
static bool judge_server(struct status *s, const char *server, const struct daemon_line *line)
{
	char since[WHEN_TEXT_SIZE], next[WHEN_TEXT_SIZE];

	list_server(s, server, line);
	if (!line || str_equal(line->state, "ready"))
		return true;
	problem(s, "%s: %s; since %s%s%s", server, line->why,
	    when_format_span(s->now > line->since ? s->now - line->since : 0, since),
	    line->next_try ? ", next try in " : "",
	    line->next_try
		? when_format_span(line->next_try > s->now ? line->next_try - s->now : 0, next)
		: "");
	return false;
}

/* A Maildir is looked at here too, with or without a daemon. */
static void look_at_maildir(struct status *s, const struct conf_mailbox *m)
{
	struct mailbox *box = NULL;
	char **ids = NULL;
	size_t count = 0;

	if (!file_exists(m->server.url + strlen("maildir:")))
		problem(s, "the mailbox %s is missing", m->server.url);
	else if (mailbox_open(m, &box) || mailbox_list(box, &ids, &count))
		problem(s, "the mailbox %s can't be read: %s", m->server.url, err_text());
	s->mails_waiting += (int64_t)count;
	mailbox_list_free(&ids);
	mailbox_close(&box);
}

static void look_at_mailbox(struct status *s, const struct conf_mailbox *m)
{
	const struct daemon_line *line = daemon_status_of(&s->daemon, m->server.url);
	bool well = judge_server(s, m->server.url, line);

	if (!str_starts(m->server.url, "maildir:"))
		s->mails_waiting += line ? line->waiting : 0;
	else if (well)
		look_at_maildir(s, m);
}

static void look_at_servers(struct status *s)
{
	const struct conf *conf = s->authority->conf;

	if (!conf->mailbox_count)
		problem(s, "no mailbox is configured");
	for (size_t i = 0; i < conf->mailbox_count; i++)
		look_at_mailbox(s, &conf->mailbox[i]);
	judge_server(s, conf->submit.server.url, daemon_status_of(&s->daemon, NULL));
}

/* ---- what waits ---- */

static const struct status_counter counters[] = {
	{ "refused", "Requests refused" },
	{ "ignored", "Mails that asked for nothing" },
	{ "automatic-with-token", "Automatic mails with a valid token" },
	{ "quarantine-full", "Mails left out of a full quarantine" },
	{ "capped", "Mails left out because of the limits" },
};

const char *status_counter_text(const char *name)
{
	for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
		if (str_equal(counters[i].name, name))
			return counters[i].text;
	return name;
}

static void count_counter(const char *name, int64_t value, void *context)
{
	struct status *s = context;

	if (!s->counters)
		return;
	table_row(s->counters);
	table_text(s->counters, s->json ? name : status_counter_text(name));
	table_number(s->counters, value);
}

/* A deposit that another escrow key opens; a damaged one is for `escrow check` to tell. */
static enum err look_for_foreign(struct status *s)
{
	struct deposit_row *row = NULL;
	char *escrow = NULL;
	enum err e = store_get(s->authority->store, "escrow-fingerprint", &escrow);

	if (!e && escrow)
		e = deposit_next_foreign(s->authority->store, escrow, 0, &s->deposit_foreign, &row);
	deposit_row_free(&row);
	str_free(&escrow);
	return e == ERR_DATA ? ERR_OK : e;
}

static enum err count_all(struct status *s)
{
	struct store *store = s->authority->store;
	int64_t grace = s->authority->conf->policy.grace_seconds;
	enum err e;

	if ((e = publish_failing_since(s->authority, &s->publish_failing)) ||
	    (e = store_get(store, "last-backup", &s->last_backup)) ||
	    (e = store_get(store, "escrow-passphrase", &s->escrow_passphrase)) ||
	    (e = store_count(store, s->now, grace, STATUS_SOON_DAYS * 86400, &s->counts)))
		return e;
	if ((e = look_for_foreign(s)))
		return e;
	return counter_each(store, count_counter, s);
}

/* "1 mail is", "2 mails are" */
static const char *some(int64_t count, const char *one, const char *many)
{
	return count == 1 ? one : many;
}

static void judge_mails(struct status *s)
{
	const struct store_counts *c = &s->counts;
	char span[WHEN_TEXT_SIZE];

	if (c->outbox_failed)
		problem(s, "%lld %s not be sent; see \"countersignctl outbox list --all\"",
		    (long long)c->outbox_failed,
		    some(c->outbox_failed, "mail could", "mails could"));
	if (c->outbox_bounced)
		warning(s, "%lld %s back; see \"countersignctl outbox list --all\"",
		    (long long)c->outbox_bounced,
		    some(c->outbox_bounced, "mail came", "mails came"));
	if (c->outbox_oldest && s->now - c->outbox_oldest > OLD_SECONDS)
		problem(s, "a mail has waited in the outbox for %s",
		    when_format_span(s->now - c->outbox_oldest, span));
	if (c->quarantined)
		problem(s, "%lld %s in quarantine; see \"countersignctl quarantine list\"",
		    (long long)c->quarantined, some(c->quarantined, "mail is", "mails are"));
}

static void judge_keys(struct status *s)
{
	const struct store_counts *c = &s->counts;
	const char *directory = s->authority->conf->wkd.directory;
	char span[WHEN_TEXT_SIZE];

	if (*directory && s->publish_failing &&
	    s->now - s->publish_failing > PUBLISH_FAILING_SECONDS)
		problem(s, "nothing can be published in %s, for %s now", directory,
		    when_format_span(s->now - s->publish_failing, span));
	else if (*directory && c->publish_due)
		warning(s, "%lld %s to be published", (long long)c->publish_due,
		    some(c->publish_due, "key waits", "keys wait"));
	if (s->authority->unprotected)
		warning(s, "the authority's key has no passphrase");
	if (s->deposit_foreign)
		warning(s,
		    "deposits are sealed to another escrow key; \"countersignctl escrow rotate\" "
		    "was not finished");
	if (str_equal(s->escrow_passphrase, "none"))
		warning(s, "the escrow key has no passphrase");
	if (!s->authority->conf->notify.administrators ||
	    !*s->authority->conf->notify.administrators)
		warning(s, "nobody hears of quarantine and alarms: notify administrators is empty");
	if (c->expiring)
		warning(s, "%lld %s within %d days", (long long)c->expiring,
		    some(c->expiring, "certification ends", "certifications end"),
		    STATUS_SOON_DAYS);
}

/* ---- the page ---- */

static void print_keysets(const struct status *s, struct table *t)
{
	for (int state = KEYSET_NONE + 1; state < KEYSET_STATES; state++) {
		const char *name = keyset_state_name((enum keyset_state)state);
		char *key = str_printf("keysets_%s", name);
		char *label =
		    str_printf(state == KEYSET_GRACE ? "Keysets in %s" : "Keysets %s", name);

		table_field_number(t, key, label, s->counts.keysets[state]);
		str_free(&key);
		str_free(&label);
	}
}

static enum err print_page(struct status *s)
{
	const struct store_counts *c = &s->counts;
	struct table *t = table_page(s->json);

	table_field_bool(t, "ready", "Ready", s->problem_count == 0);
	table_field_text(t, "authority", "Authority", s->authority->address);
	table_field_number(t, "mails_waiting", "Mails to answer", s->mails_waiting);
	table_field_number(t, "outbox_waiting", "Mails to send", c->outbox_waiting);
	table_field_time(t, "outbox_oldest", "The oldest of them", c->outbox_oldest);
	table_field_number(t, "outbox_failed", "Mails given up", c->outbox_failed);
	table_field_number(t, "outbox_bounced", "Mails that came back", c->outbox_bounced);
	table_field_number(t, "quarantined", "Mails in quarantine", c->quarantined);
	table_field_number(t, "tokens_outstanding", "Tokens outstanding", c->tokens_outstanding);
	table_field_number(t, "recoveries", "Recoveries in progress", c->recoveries);
	print_keysets(s, t);
	table_field_number(t, "deposits", "Deposits", c->deposits);
	table_field_number(t, "expiring", "Certifications that end soon", c->expiring);
	table_field_text(t, "last_backup", "Last backup", s->last_backup);
	table_field_list(t, "problems", "Problems", s->problems);
	table_field_list(t, "warnings", "Warnings", s->warnings);
	table_field_list(t, "servers", "Mailboxes and submission", s->servers);
	table_field_list(t, "counters", "Counted since the beginning", s->counters);
	s->problems = s->warnings = s->counters = s->servers = NULL;
	return table_print(&t, stdout);
}

static void open_lists(struct status *s)
{
	static const char *const text_keys[] = { "text", NULL };
	static const char *const keys[] = { "name", "value", NULL };
	static const char *const server_keys[] = { "server", "state", "since", "next_try", "error",
		NULL };

	s->problems = table_list(s->json, text_keys, NULL);
	s->warnings = table_list(s->json, text_keys, NULL);
	s->counters = table_list(s->json, keys, NULL);
	s->servers = table_list(s->json, server_keys, NULL);
}

static void look_at_all(struct status *s)
{
	look_at_store(s);
	look_at_hold(s);
	look_at_daemon(s);
	look_at_runtime(s);
	look_at_servers(s);
	if (count_all(s))
		problem(s, "the store can't be read: %s", err_text());
	judge_mails(s);
	judge_keys(s);
}

/* For a collector the figures are the news, and that there are none is one of them. */
static enum err print_for_collector(const struct invocation *in, struct status *s)
{
	enum err e = command_open(in, AUTHORITY_STORE, &s->authority);

	if (e) {
		status_print_unready();
		return e;
	}
	look_at_all(s);
	return status_print_prometheus(s);
}

enum err command_status(struct invocation *in)
{
	struct status s = { .now = in->now };
	bool prometheus = false;
	const struct option options[] = { { "prometheus", OPTION_FLAG, &prometheus }, { 0 } };
	enum err e;

	if ((e = options_read(in, options, 0, 0, "no argument")))
		return e;
	s.json = in->json;
	if (prometheus && in->json)
		return err_fail(ERR_USAGE, "--prometheus and --json exclude each other");
	if (prometheus) {
		e = print_for_collector(in, &s);
	} else if (!(e = command_open(in, AUTHORITY_STORE, &s.authority))) {
		open_lists(&s);
		look_at_all(&s);
		e = print_page(&s);
		in->status = s.problem_count ? 1 : 0;
	}
	str_free(&s.escrow_passphrase);
	str_free(&s.last_backup);
	daemon_status_free(&s.daemon);
	authority_close(&s.authority);
	return e;
}
