/* report: delivery reports (RFC 3464, and returned mails of the old kind) that come to the mailbox. They change nothing but the outbox row that they are about. */
#include <stdio.h>
#include <string.h>

#include "pipeline.h"
#include "stages.h"

#define STATUS_CHARS_MAX 11 /* RFC 3463 2: "5.123.123" */

/* By the address that it came to (P6.1), whose id nobody can guess; else by the Message-ID of what was returned. */
static enum err find_row(struct work *w, struct outbox_row **out)
{
	char id[27];
	bool named = letters_sender_id(w->authority, w->message.delivered_to, id);

	return outbox_find(
	    w->authority->store, named ? id : NULL, w->message.report_message_id, out);
}

static char *what_it_says(const struct message *m)
{
	if (m->report_status && *m->report_status)
		return str_dup(m->report_status);
	if (!m->report && *m->subject)
		return str_printf("returned with \"%.200s\"", m->subject);
	return str_dup("a delivery report without a reason");
}

/* "5.1.1", or "?": the log takes no stranger's words, and no address. */
static char *status_code(const char *why)
{
	size_t len = strspn(why, "0123456789.");

	if (len < 5 || len > STATUS_CHARS_MAX)
		return str_dup("?");
	return str_ndup(why, len);
}

static enum err log_bounce(struct work *w, const struct outbox_row *row, const char *why)
{
	char *code = status_code(why);
	char *detail = str_printf("outbox=%s status=%s", row->id, code);
	enum err rc = audit_add(
	    w->authority->store, w->now, "agent", "mail-bounced", row->recipient, detail, NULL);

	str_free(&code);
	str_free(&detail);
	return rc;
}

/* Once a day; not of an alarm that came back, which would be told to whom it did not reach. */
static enum err tell_administrators(struct work *w, const struct outbox_row *row, const char *why)
{
	struct buf text = BUF_INIT;
	bool first = false;
	enum err rc = ERR_OK;

	if (row->kind != OUTBOX_ALARM)
		rc = mark_once(w->authority->store, "alarm:bounced", w->now, ALARM_SECONDS, &first);
	if (rc == ERR_OK && first) {
		buf_addf(&text,
		    "A mail to %s came back: %.200s.\n\n    countersignctl outbox list --all\n",
		    row->recipient, why);
		rc =
		    letters_insert_alarm(w->authority, "A mail came back", buf_text(&text), w->now);
	}
	buf_free(&text);
	return rc;
}

enum err commit_report(struct work *w)
{
	enum report_action action = w->message.report_action;
	struct outbox_row *row = NULL;
	enum err rc = action == REPORT_NONE ? ERR_OK : find_row(w, &row);
	char *why = row ? what_it_says(&w->message) : NULL;
	bool news = rc == ERR_OK && row && action == REPORT_FAILED && !row->bounced;

	if (rc == ERR_OK && row)
		snprintf(w->why, sizeof w->why, "a delivery report: %s to %s %s: %.200s", row->id,
		    row->recipient,
		    action == REPORT_FAILED    ? "came back"
		    : action == REPORT_DELAYED ? "is delayed"
					       : "went on",
		    why);
	if (news)
		rc = outbox_bounced(w->authority->store, row->id, w->now, why);
	if (rc == ERR_OK && news)
		rc = log_bounce(w, row, why);
	if (rc == ERR_OK && news)
		rc = tell_administrators(w, row, why);
	outbox_row_free(&row);
	str_free(&why);
	return rc;
}
