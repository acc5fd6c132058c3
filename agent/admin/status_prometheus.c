#include <stdio.h>

#include "status.h"

static void head(const char *name, const char *type, const char *help)
{
	printf("# HELP countersign_%s %s\n# TYPE countersign_%s %s\n", name, help, name, type);
}

static void gauge(const char *name, const char *help, int64_t value)
{
	head(name, "gauge", help);
	printf("countersign_%s %lld\n", name, (long long)value);
}

static void print_ready(bool ready)
{
	gauge("ready", "1 if countersignctl status finds nothing wrong, else 0.", ready);
}

void status_print_unready(void)
{
	print_ready(false);
}

static void print_keysets(const struct status *s)
{
	head("keysets", "gauge", "Keysets by state.");
	for (int state = KEYSET_NONE + 1; state < KEYSET_STATES; state++)
		printf("countersign_keysets{state=\"%s\"} %lld\n",
		    keyset_state_name((enum keyset_state)state),
		    (long long)s->counts.keysets[state]);
}

/* The names are our own words, so nothing in them needs a backslash. */
static void print_counter(const char *name, int64_t value, void *context)
{
	(void)context;
	printf("countersign_events_total{event=\"%s\"} %lld\n", name, (long long)value);
}

/* In a label's value a backslash, a quotation mark and a line end are written with a backslash. */
static void print_label(const char *text)
{
	for (; *text; text++) {
		if (*text == '\\' || *text == '"')
			putchar('\\');
		putchar(*text);
	}
}

static bool has_server(const struct daemon_line *line)
{
	return *line->server != '\0';
}

static void print_servers(const struct status *s)
{
	head("server_up", "gauge", "1 if the daemon can use this mailbox or submission, else 0.");
	for (size_t i = 0; i < s->daemon.count; i++)
		if (has_server(&s->daemon.lines[i])) {
			printf("countersign_server_up{server=\"");
			print_label(s->daemon.lines[i].server);
			printf("\"} %d\n", str_equal(s->daemon.lines[i].state, "ready"));
		}
}

static int64_t age(const struct status *s, int64_t since)
{
	return since && since < s->now ? s->now - since : 0;
}

enum err status_print_prometheus(const struct status *s)
{
	const struct store_counts *c = &s->counts;

	print_ready(s->problem_count == 0);
	gauge(
	    "mails_waiting", "Mails in the mailboxes that are not answered yet.", s->mails_waiting);
	gauge("outbox_waiting", "Mails that wait to be sent.", c->outbox_waiting);
	gauge("outbox_failed", "Mails that were given up.", c->outbox_failed);
	gauge("outbox_bounced", "Mails that came back.", c->outbox_bounced);
	gauge("outbox_oldest_seconds", "Age of the oldest mail that waits to be sent; 0 if none.",
	    age(s, c->outbox_oldest));
	gauge("quarantined", "Mails in quarantine.", c->quarantined);
	gauge("tokens_outstanding", "Tokens that can be used.", c->tokens_outstanding);
	gauge("recoveries", "Recoveries in progress.", c->recoveries);
	print_keysets(s);
	gauge("deposits", "Deposits of encryption keys.", c->deposits);
	gauge("certifications_expiring", "Certifications that end within 30 days.", c->expiring);
	gauge("publish_due", "Keys that wait to be published.", c->publish_due);
	gauge("publish_failing_seconds", "For how long publishing has failed; 0 if it does not.",
	    age(s, s->publish_failing));
	print_servers(s);
	head("events_total", "counter", "What happened since the authority was made, by event.");
	return counter_each(s->authority->store, print_counter, NULL);
}
