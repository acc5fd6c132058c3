/*
 * A worker: the process that holds the store and a key home. Takes mails from intake through the pipeline, and answers the sender's questions about the
 * outbox. It has no network and parses no MIME.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/journal.h"
#include "base/when.h"
#include "base/wire.h"
#include "mail/submit.h"
#include "outage.h"
#include "packet.h"
#include "pipeline.h"
#include "remind.h"
#include "role.h"
#include "shared/hold.h"
#include "shared/publish.h"

#define NURSERY_SOCKET ROLE_FD_FIRST
#define SENDER_SOCKET (ROLE_FD_FIRST + 1)
#define OFFERS_SOCKET (ROLE_FD_FIRST + 2)
#define LEASE_MARGIN_SECONDS 60
#define DOUBTS_MOST 3 /* as often a mail is sent of which nobody knows whether it arrived */
#define PUBLISH_EVERY_SECONDS 60
#define DEFER_SECONDS 2
#define DAY_SECONDS 86400

struct worker {
	struct authority *authority;
	size_t mailboxes;
	bool publishes; /* one of the workers tries again what could not be published */
	bool unwell;    /* said once, until something works again */
	bool misled;    /* by the clock */
	bool held;      /* after a restore */
	struct clock_reading start;
};

/* ---- the clock (I13) ---- */

static int64_t now_of(const struct worker *worker)
{
	struct clock_reading now = clock_read();
	return clock_believed(&worker->start, &now);
}

static enum err tell_misled(struct worker *worker, int64_t now)
{
	static const char text[] =
	    "The clock of the security authority's computer has jumped by more than a day. No mail is worked on, and none is lost,\n"
	    "until it is right again. If it is right now, restart countersignd.\n";
	struct store *store = worker->authority->store;
	bool first = false;
	enum err rc = store_begin(store);

	if (rc == ERR_OK)
		rc = mark_once(store, "alarm:clock", now, DAY_SECONDS, &first);
	if (rc == ERR_OK && first)
		rc = letters_insert_alarm(
		    worker->authority, "Alarm: the clock has jumped", text, now);
	if (rc == ERR_OK)
		rc = store_commit(store);
	else
		store_rollback(store);
	return rc;
}

/* While it is wrong no mail is worked on, nothing is published and nothing forgotten; the outbox goes by the time that should be. */
static enum err check_clock(struct worker *worker)
{
	static const char why[] =
	    "the clock has jumped by more than a day; restart countersignd if it is right now";
	struct clock_reading now = clock_read();
	bool misled = !clock_plausible(&worker->start, &now), before = worker->misled;

	worker->misled = misled;
	if (misled && !before) {
		journal_error("%s", why);
		role_report(false, why);
		if (tell_misled(worker, clock_believed(&worker->start, &now)) != ERR_OK)
			journal_warning("cannot tell the administrators: %s", err_text());
	}
	if (!misled && before) {
		journal_info("the clock is right again");
		role_report(true, NULL);
	}
	return misled ? err_fail(ERR_TEMPORARY, "%s", why) : ERR_OK;
}

/* ---- the hold after a restore (I21) ---- */

/* No mail is worked on and none is sent, and nothing is published, until an administrator has confirmed it. */
static enum err check_hold(struct worker *worker)
{
	bool before = worker->held;
	enum err rc = hold_check(worker->authority->store);

	worker->held = rc == ERR_UNAVAILABLE;
	if (worker->held && !before)
		journal_error("%s", err_text());
	if (!worker->held && before)
		journal_info("the restore is confirmed");
	return rc;
}

/* ---- mails ---- */

static void answer_outcome(int ticket, enum outcome outcome, unsigned seconds)
{
	struct buf body = BUF_INIT;
	wire_put_u8(&body, (uint8_t)outcome);
	wire_put_u32(&body, seconds);
	if (packet_send(ticket, PACKET_OUTCOME, buf_bytes(&body), -1, -1) != ERR_OK)
		journal_debug("%s",
		    err_text()); /* intake has gone: the mail is offered again, and nothing happens twice */
	buf_free(&body);
}

/*
 * A deferral that is no fault of the mail does not count as an attempt, and the others wait with it (I15): true. Else the attempt stays counted, and this
 * mail rests alone (I9).
 */
static bool defer(struct worker *worker, const struct work *w, enum err rc)
{
	char *why = str_dup(err_text());
	bool outage = err_is_passing(rc) && (w->attempts == 0 || outage_after(w));

	if (!outage || !worker->unwell)
		journal_warning("deferred a mail: %s", why);
	worker->unwell |= outage;
	if (outage && w->attempts > 0 &&
	    attempt_excuse(worker->authority->store, w->attempt_key) != ERR_OK)
		journal_warning("%s", err_text());
	str_free(&why);
	return outage;
}

/*
 * The count is in the store before the attempt starts (I9); past it the mail is not touched again, only put away. So is one whose outcome is known: intake
 * did not hear of it, or could not put the mail away (I17).
 */
static enum err attempt(struct worker *worker, struct work *w)
{
	int64_t attempts = 0, outcome = -1;
	enum err rc =
	    attempt_begin(worker->authority->store, w->attempt_key, w->now, &attempts, &outcome);

	if (rc != ERR_OK)
		return rc;
	if (outcome >= 0) {
		w->outcome = (enum outcome)outcome;
		journal_info("a mail was worked on before, and is only put away: %s", w->id);
		return ERR_OK;
	}
	w->attempts = attempts;
	if (w->attempts <= worker->authority->conf->limits.attempts)
		return pipeline_run(w);
	work_quarantine(
	    w, "it could not be processed in %lld attempts", (long long)w->attempts - 1);
	rc = stage_compose(w); /* the alarm */
	return rc == ERR_OK ? stage_commit(w) : rc;
}

static void wake_sender(void)
{
	if (packet_send(SENDER_SOCKET, PACKET_WAKE, bytes_of(NULL, 0), -1, -1) != ERR_OK)
		journal_debug("%s", err_text()); /* it looks by itself once a minute */
}

static void publish(struct worker *worker)
{
	int64_t count = 0;
	if (publish_due(worker->authority, when_now(), &count) != ERR_OK)
		journal_warning("cannot publish: %s", err_text());
	else if (count > 0)
		journal_info("published %lld %s", (long long)count, count == 1 ? "key" : "keys");
}

static void remind(struct worker *worker)
{
	int64_t count = 0;
	if (remind_due(worker->authority, when_now(), &count) != ERR_OK)
		journal_warning("cannot remind: %s", err_text());
	else if (count > 0)
		journal_info("reminded %lld %s", (long long)count, count == 1 ? "user" : "users");
	if (count > 0)
		wake_sender();
}

/* What was released goes with its token (P5.5); once a day, what nothing asks for any more. */
static void prune(struct worker *worker)
{
	struct store *store = worker->authority->store;
	int64_t now = when_now(), grace = worker->authority->conf->policy.grace_seconds;
	bool first = false;
	enum err rc = store_begin(store);

	if (rc == ERR_OK)
		rc = mark_once(store, "prune", now, DAY_SECONDS, &first);
	if (rc == ERR_OK)
		rc = first ? store_prune(store, now, grace) : release_prune(store, now);
	if (rc == ERR_OK)
		rc = store_commit(store);
	else
		store_rollback(store);
	if (rc != ERR_OK)
		journal_warning("cannot tidy the store: %s", err_text());
}

/* What attempts are counted by (I9): the bytes, and where they lie. */
static void key_attempt(struct work *w, const char *id)
{
	struct buf record = BUF_INIT;

	wire_put_bytes(&record, bytes_of(w->hash, sizeof w->hash));
	wire_put_text(&record, w->mailbox);
	wire_put_text(&record, id);
	hash_sha256(buf_bytes(&record), w->attempt_key);
	buf_free(&record);
}

static void take_offer(struct worker *worker, const struct packet *packet)
{
	struct buf mail = BUF_SECRET;
	struct wire r = wire_open(buf_bytes(&packet->body));
	char *mailbox = wire_text(&r), *id = wire_text(&r);
	struct work w = { .authority = worker->authority,
		.nursery = NURSERY_SOCKET,
		.now = now_of(worker),
		.mailbox = mailbox,
		.id = id };

	w.size = wire_i64(&r);
	enum err rc = wire_end(&r);
	if (rc == ERR_OK && !id)
		rc = err_fail(ERR_PROTOCOL, "a mail was offered without its id");
	if (rc == ERR_OK)
		rc = memfd_read(
		    packet->fd, (size_t)worker->authority->conf->limits.mail_bytes, &mail);
	if (rc == ERR_OK) {
		w.mail = buf_bytes(&mail);
		hash_sha256(w.mail, w.hash);
		key_attempt(&w, id);
		rc = check_clock(worker);
	}
	if (rc == ERR_OK)
		rc = check_hold(worker);
	if (rc == ERR_OK)
		rc = outage_before(worker->authority);
	if (rc == ERR_OK)
		rc = attempt(worker, &w);
	if (rc == ERR_OK) {
		worker->unwell = false;
		answer_outcome(packet->ticket, w.outcome, 0);
		if (w.letters.count > 0)
			wake_sender();
		if (w.verdict == VERDICT_CONFIRM || w.verdict == VERDICT_REVOKED)
			publish(worker);
	} else {
		bool outage = defer(worker, &w, rc);
		answer_outcome(packet->ticket, OUTCOME_DEFER, outage ? DEFER_SECONDS : 0);
	}
	work_free(&w);
	buf_free(&mail);
	str_free(&mailbox);
	str_free(&id);
}

/* ---- the sender's questions ---- */

static void answer_none(int ticket, int64_t next)
{
	struct buf body = BUF_INIT;
	wire_put_i64(&body, next);
	if (packet_send(ticket, PACKET_NONE, buf_bytes(&body), -1, -1) != ERR_OK)
		journal_debug("%s", err_text());
	buf_free(&body);
}

static void answer_item(int ticket, const struct outbox_row *row)
{
	struct buf body = BUF_INIT;
	int fd = -1;
	enum err rc = memfd_make(buf_bytes(&row->mail), &fd);

	wire_put_text(&body, row->id);
	wire_put_text(&body, row->sender);
	wire_put_text(&body, row->recipient);
	if (rc == ERR_OK)
		rc = packet_send(ticket, PACKET_ITEM, buf_bytes(&body), fd, -1);
	if (rc != ERR_OK)
		journal_warning("%s", err_text()); /* the lease runs out, and it is offered again */
	if (fd >= 0)
		close(fd);
	buf_free(&body);
}

static enum err claim(
    struct worker *worker, const char *last_id, struct outbox_row **row_out, int64_t *next_out)
{
	int64_t lease = submit_seconds_most(&worker->authority->conf->submit.server,
			    (unsigned)worker->authority->conf->submit.timeout_seconds) +
			LEASE_MARGIN_SECONDS;
	enum err rc = outbox_claim(
	    worker->authority->store, now_of(worker), lease, last_id, row_out, next_out);

	if (rc == ERR_OK)
		return rc;
	journal_warning("cannot read the outbox: %s", err_text());
	*next_out = now_of(worker) + DEFER_SECONDS;
	return rc == ERR_DATA ? ERR_OK : rc; /* that row is set aside */
}

/* Takes the row. */
static void answer_claim(int ticket, struct outbox_row *row, int64_t next)
{
	if (row)
		answer_item(ticket, row);
	else
		answer_none(ticket, next);
	outbox_row_free(&row);
}

static void take_claim(struct worker *worker, const struct packet *packet)
{
	struct wire r = wire_open(buf_bytes(&packet->body));
	char *last_id = wire_text(&r);
	struct outbox_row *row = NULL;
	int64_t next = now_of(worker) + PUBLISH_EVERY_SECONDS;

	if (wire_end(&r) == ERR_OK && check_hold(worker) == ERR_OK &&
	    claim(worker, last_id, &row, &next) != ERR_OK)
		outbox_row_free(&row);
	str_free(&last_id);
	answer_claim(packet->ticket, row, next);
}

/* Administrators are told once a day that something could not be sent; not of an alarm that could not. */
static enum err tell_undeliverable(
    struct worker *worker, const struct outbox_row *row, const char *error, int64_t now)
{
	struct store *store = worker->authority->store;
	struct letters letters = { .count = 0 };
	struct buf text = BUF_INIT;
	bool first = false;

	if (row->kind == OUTBOX_ALARM)
		return ERR_OK;
	buf_addf(&text,
	    "A mail to %s could not be sent: %.200s.\n\n    countersignctl outbox list\n",
	    row->recipient, error);
	enum err rc = letters_add_alarm(
	    worker->authority, "A mail could not be sent", buf_text(&text), now, &letters);
	if (rc == ERR_OK)
		rc = store_begin(store);
	if (rc == ERR_OK)
		rc = mark_once(store, "alarm:outbox", now, DAY_SECONDS, &first);
	if (rc == ERR_OK && first)
		rc = letters_insert(worker->authority, &letters, now);
	if (rc == ERR_OK)
		rc = store_commit(store);
	else
		store_rollback(store);
	letters_free(&letters);
	buf_free(&text);
	return rc;
}

/* What became of a mail, as the sender says. */
struct fate {
	char *id;
	enum submit_result result;
	char *said;
	bool more;                   /* the sender wants the next one */
	struct outbox_row *given_up; /* found out here: the administrators are to hear of it */
};

static enum err give_up(
    struct worker *worker, struct fate *fate, struct outbox_row **row, int64_t now)
{
	struct store *store = worker->authority->store;
	char *detail = str_printf("outbox=%s", fate->id);
	enum err rc = outbox_failed(store, fate->id, now, fate->said);

	if (rc == ERR_OK)
		rc = audit_add(store, now, "agent", "mail-failed", (*row)->recipient, detail, NULL);
	str_free(&detail);
	fate->given_up = *row;
	*row = NULL;
	return rc;
}

/* From submit.retry-first to submit.retry-most, doubling. */
static int64_t pause_after(const struct conf *conf, int64_t attempts)
{
	int64_t pause = conf->submit.retry_first_seconds;

	for (int64_t i = 1; i < attempts && pause < conf->submit.retry_most_seconds; i++)
		pause *= 2;
	return pause < conf->submit.retry_most_seconds ? pause : conf->submit.retry_most_seconds;
}

/* Within a transaction. Where it is the server's fault the mail waits with the sender, not for a time of its own. */
static enum err record_failure(struct worker *worker, struct fate *fate)
{
	const struct conf *conf = worker->authority->conf;
	struct store *store = worker->authority->store;
	struct outbox_row *row = NULL;
	int64_t now = now_of(worker);
	enum err rc = outbox_by_id(store, fate->id, &row);

	if (rc != ERR_OK)
		return rc;
	int64_t later = now + pause_after(conf, row->attempts);
	bool doubted_enough = fate->result == SUBMIT_IN_DOUBT && row->doubts + 1 >= DOUBTS_MOST;
	if (fate->result == SUBMIT_PERMANENT || doubted_enough ||
	    now - row->created >= conf->submit.give_up_seconds)
		rc = give_up(worker, fate, &row, now);
	else if (fate->result == SUBMIT_IN_DOUBT)
		rc = outbox_doubted(store, fate->id, later, fate->said);
	else if (fate->result == SUBMIT_NO_SERVER || fate->result == SUBMIT_DENIED)
		rc = outbox_return(store, fate->id, now, fate->said);
	else
		rc = outbox_retry(store, fate->id, later, fate->said);
	outbox_row_free(&row);
	return rc;
}

/* One transaction for what became of a mail and the claim of the next; but what administrators are to hear of goes into the outbox first. */
static enum err record_result(
    struct worker *worker, struct fate *fate, struct outbox_row **row_out, int64_t *next_out)
{
	struct store *store = worker->authority->store;
	enum err rc = store_begin(store);

	if (rc == ERR_OK)
		rc = fate->result == SUBMIT_SENT ? outbox_sent(store, fate->id, now_of(worker))
						 : record_failure(worker, fate);
	if (rc == ERR_NOUSER) /* an administrator dropped it meanwhile */
		rc = ERR_OK;
	if (rc == ERR_OK && fate->more && !fate->given_up)
		rc = claim(worker, NULL, row_out, next_out);
	if (rc == ERR_OK)
		rc = store_commit(store);
	else
		store_rollback(store);
	return rc;
}

static enum err after_giving_up(
    struct worker *worker, struct fate *fate, struct outbox_row **row_out, int64_t *next_out)
{
	if (tell_undeliverable(worker, fate->given_up, fate->said, now_of(worker)) != ERR_OK)
		journal_warning("cannot tell the administrators: %s", err_text());
	return fate->more ? claim(worker, NULL, row_out, next_out) : ERR_OK;
}

static void take_result(struct worker *worker, const struct packet *packet)
{
	struct wire r = wire_open(buf_bytes(&packet->body));
	struct fate fate = { .id = wire_text(&r), .result = (enum submit_result)wire_u8(&r) };
	struct outbox_row *row = NULL;
	int64_t next = 0;

	fate.said = wire_text(&r);
	fate.more = wire_u8(&r) != 0;
	if (!fate.said)
		fate.said = str_dup("no reason given");
	enum err rc = wire_end(&r);
	if (rc == ERR_OK && fate.id)
		rc = record_result(worker, &fate, &row, &next);
	if (rc == ERR_OK && fate.given_up)
		rc = after_giving_up(worker, &fate, &row, &next);
	if (rc == ERR_OK) {
		answer_claim(packet->ticket, row, next);
		row = NULL;
	} else {
		journal_warning("cannot record what became of outbox mail: %s", err_text());
	}
	outbox_row_free(&row);
	outbox_row_free(&fate.given_up);
	str_free(&fate.id);
	str_free(&fate.said);
}

/* ---- the loop ---- */

/* Who asked has died in between, and whoever takes its place asks again. */
static bool nobody_waits(int ticket)
{
	struct pollfd p = { .fd = ticket };
	return ticket < 0 || (poll(&p, 1, 0) > 0 && p.revents);
}

static void dispatch(struct worker *worker, const struct packet *packet)
{
	if (nobody_waits(packet->ticket))
		return;
	if (packet->type == PACKET_OFFER && packet->fd >= 0)
		take_offer(worker, packet);
	else if (packet->type == PACKET_CLAIM)
		take_claim(worker, packet);
	else if (packet->type == PACKET_RESULT)
		take_result(worker, packet);
}

/* Another worker may have been faster: then there is nothing to read, and we go on waiting. False when nobody is left to speak to us. */
static bool hear(struct worker *worker, int socket)
{
	struct packet packet;
	enum err rc = packet_receive(socket, &packet);

	if (rc != ERR_OK)
		return rc != ERR_NOINPUT && rc != ERR_IO;
	dispatch(worker, &packet);
	packet_free(&packet);
	return true;
}

static void worker_loop(struct worker *worker, int stop_fd)
{
	struct pollfd p[CONF_MAILBOXES_MAX + 2];
	nfds_t n = 0;
	int64_t publish_at = when_monotonic_ms();

	p[n++] = (struct pollfd){ .fd = stop_fd, .events = POLLIN };
	p[n++] = (struct pollfd){ .fd = SENDER_SOCKET, .events = POLLIN };
	for (size_t i = 0; i < worker->mailboxes; i++)
		p[n++] = (struct pollfd){ .fd = OFFERS_SOCKET + (int)i, .events = POLLIN };
	while (!store_failed(worker->authority->store)) {
		if (check_clock(worker) == ERR_OK && worker->publishes &&
		    when_monotonic_ms() >= publish_at && check_hold(worker) == ERR_OK) {
			publish(worker);
			remind(worker);
			prune(worker);
			publish_at = when_monotonic_ms() + PUBLISH_EVERY_SECONDS * 1000;
		}
		int ready = poll(p, n, PUBLISH_EVERY_SECONDS * 1000);
		if (ready < 0 && errno != EINTR)
			return;
		if (ready <= 0)
			continue;
		if (p[0].revents)
			return;
		for (nfds_t i = 1; i < n; i++)
			if (p[i].revents && !hear(worker, p[i].fd))
				return;
	}
}

int worker_main(const struct role_options *options)
{
	struct worker worker = { .mailboxes = options->sockets - 2,
		.publishes = options->index == 0,
		.start = options->start };
	enum err rc = authority_open(options->conf_path, AUTHORITY_KEYS, &worker.authority);

	if (rc != ERR_OK) {
		role_report(false, err_text());
		if (!options->once)
			journal_error("%s", err_text());
		return err_exit_status(rc);
	}
	for (size_t i = 1; i < options->sockets; i++)
		fcntl(ROLE_FD_FIRST + (int)i, F_SETFL, O_NONBLOCK);
	role_report(true, NULL);
	worker_loop(&worker, options->stop_fd);
	rc = store_failed(worker.authority->store) ? ERR_IO
						   : ERR_OK; /* started again, we open it anew */
	authority_close(&worker.authority);
	return err_exit_status(rc);
}
