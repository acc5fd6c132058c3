/* One page: ready or not, and why not; what waits; what will need somebody soon. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/when.h"
#include "command.h"
#include "enroll/state.h"
#include "keys/agent.h"
#include "mail/mailbox.h"

#define SOON_SECONDS (30 * 86400)
#define OLD_SECONDS 3600

struct status {
	struct authority *authority;
	int64_t now;
	struct table *problems, *warnings, *counters;
	size_t problem_count;
	int64_t mails_waiting;
	struct store_counts counts;
};

static void add_line(struct table *list, const char *format, va_list ap) PRINTF_LIKE(2, 0);
static void add_line(struct table *list, const char *format, va_list ap)
{
	struct buf line = BUF_INIT;

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

static void look_at_mailbox(struct status *s, const struct conf_mailbox *m)
{
	const struct mailbox_options options = { m->url, m->done_folder, m->ignored_folder };
	struct mailbox *box = NULL;
	char **ids = NULL;
	size_t count = 0;

	if (str_starts(m->url, "maildir:") && !file_exists(m->url + strlen("maildir:"))) {
		problem(s, "the mailbox %s is missing", m->url);
		return;
	}
	if (mailbox_open(&options, &box) || mailbox_list(box, &ids, &count))
		problem(s, "the mailbox %s can't be read: %s", m->url, err_text());
	s->mails_waiting += (int64_t)count;
	mailbox_list_free(&ids);
	mailbox_close(&box);
}

static void look_at_mailboxes(struct status *s)
{
	const struct conf *conf = s->authority->conf;

	if (!conf->mailbox_count)
		problem(s, "no mailbox is configured");
	for (size_t i = 0; i < conf->mailbox_count; i++)
		look_at_mailbox(s, &conf->mailbox[i]);
}

/* ---- what waits ---- */

static void count_counter(const char *name, int64_t value, void *context)
{
	struct status *s = context;

	table_row(s->counters);
	table_text(s->counters, name);
	table_number(s->counters, value);
}

static enum err count_all(struct status *s)
{
	struct store *store = s->authority->store;
	int64_t grace = s->authority->conf->policy.grace_seconds;
	enum err e = store_count(store, s->now, grace, SOON_SECONDS, &s->counts);

	return e ? e : counter_each(store, count_counter, s);
}

static void judge_counts(struct status *s)
{
	const struct store_counts *c = &s->counts;
	char span[WHEN_TEXT_SIZE];

	if (c->outbox_failed)
		problem(s, "%lld mails could not be sent; see \"countersignctl outbox list --all\"",
		    (long long)c->outbox_failed);
	if (c->outbox_oldest && s->now - c->outbox_oldest > OLD_SECONDS)
		problem(s, "a mail has waited in the outbox for %s",
		    when_format_span(s->now - c->outbox_oldest, span));
	if (c->quarantined)
		problem(s, "%lld mails are in quarantine; see \"countersignctl quarantine list\"",
		    (long long)c->quarantined);
	if (s->authority->unprotected)
		warning(s, "the authority's key has no passphrase");
	if (c->publish_due && *s->authority->conf->wkd.directory)
		warning(s, "%lld keys wait to be published", (long long)c->publish_due);
	if (c->expiring)
		warning(s, "%lld certifications end within 30 days", (long long)c->expiring);
}

/* ---- the page ---- */

static void print_keysets(const struct status *s, struct table *t)
{
	for (int state = KEYSET_NONE + 1; state < KEYSET_STATES; state++) {
		const char *name = keyset_state_name((enum keyset_state)state);
		char *key = str_printf("keysets_%s", name), *label = str_printf("Keysets %s", name);

		table_field_number(t, key, label, s->counts.keysets[state]);
		str_free(&key);
		str_free(&label);
	}
}

static enum err print_page(struct status *s, bool json)
{
	const struct store_counts *c = &s->counts;
	struct table *t = table_page(json);

	table_field_bool(t, "ready", "Ready", s->problem_count == 0);
	table_field_text(t, "authority", "Authority", s->authority->address);
	table_field_number(t, "mails_waiting", "Mails waiting", s->mails_waiting);
	table_field_number(t, "outbox_waiting", "Outbox waiting", c->outbox_waiting);
	table_field_time(t, "outbox_oldest", "Outbox oldest", c->outbox_oldest);
	table_field_number(t, "outbox_failed", "Outbox failed", c->outbox_failed);
	table_field_number(t, "quarantined", "In quarantine", c->quarantined);
	table_field_number(t, "tokens_outstanding", "Tokens outstanding", c->tokens_outstanding);
	print_keysets(s, t);
	table_field_number(t, "expiring", "Certifications ending soon", c->expiring);
	table_field_list(t, "problems", "Problems", s->problems);
	table_field_list(t, "warnings", "Warnings", s->warnings);
	table_field_list(t, "counters", "Counters", s->counters);
	return table_print(&t, stdout);
}

static void open_lists(struct status *s, bool json)
{
	static const char *const text_keys[] = { "text", NULL };
	static const char *const text_heads[] = { "WHAT", NULL };
	static const char *const keys[] = { "name", "value", NULL };
	static const char *const heads[] = { "COUNTER", "VALUE", NULL };

	s->problems = table_list(json, text_keys, text_heads);
	s->warnings = table_list(json, text_keys, text_heads);
	s->counters = table_list(json, keys, heads);
}

enum err command_status(struct invocation *in)
{
	struct status s = { .now = in->now };
	enum err e;

	if ((e = options_read(in, NULL, 0, 0, "no argument")) ||
	    (e = command_open(in, AUTHORITY_STORE, &s.authority)))
		return e;
	open_lists(&s, in->json);
	look_at_store(&s);
	look_at_daemon(&s);
	look_at_runtime(&s);
	look_at_mailboxes(&s);
	if (count_all(&s))
		problem(&s, "the store can't be read: %s", err_text());
	judge_counts(&s);
	e = print_page(&s, in->json);
	in->status = s.problem_count ? 1 : 0;
	authority_close(&s.authority);
	return e;
}
