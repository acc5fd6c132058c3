/*
 * Intake: one per mailbox. Looks, offers each mail to the workers, and settles it once its outcome is committed (I3). Parses nothing.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/journal.h"
#include "base/when.h"
#include "base/wire.h"
#include "mail/mailbox.h"
#include "outcome.h"
#include "packet.h"
#include "role.h"
#include "secret/secret.h"

#define SOCKET ROLE_FD_FIRST
#define IN_FLIGHT_MAX 8
#define STOP_MS 3500
#define RETRY_FIRST_SECONDS 1
#define RETRY_MOST_SECONDS 30 /* I15: back within 60 s of the repair */
#define PAUSE_MOST_SECONDS 15

/* A mail in a worker's hands. */
struct flight {
	char *id;
	int ticket; /* -1: free */
};

/* A mail that shall rest for a while. */
struct rest {
	char *id;
	int64_t until_ms;
	unsigned times;
	bool seen; /* in the listing just read */
};

struct intake {
	const struct role_options *options;
	const struct conf_mailbox *conf;
	struct mailbox *box;
	struct flight flights[IN_FLIGHT_MAX];
	struct rest *rests;
	size_t rest_count;
	/* While something of ours is out of order only one mail at a time is tried, a different one each time, so that neither ten thousand mails keep us busy
	 * with failing, nor one that fails by its own fault holds up the rest (I9). */
	int64_t pause_until_ms;
	unsigned pauses; /* 0: all is well */
	bool deferred;   /* something was left: --once says so */
	bool stopping;
};

static bool flies(const struct intake *in, const char *id)
{
	for (size_t i = 0; i < IN_FLIGHT_MAX; i++)
		if (in->flights[i].ticket >= 0 && str_equal(in->flights[i].id, id))
			return true;
	return false;
}

static struct flight *free_flight(struct intake *in)
{
	for (size_t i = 0; i < IN_FLIGHT_MAX; i++)
		if (in->flights[i].ticket < 0)
			return &in->flights[i];
	return NULL;
}

static struct rest *rest_of(struct intake *in, const char *id)
{
	for (size_t i = 0; i < in->rest_count; i++)
		if (str_equal(in->rests[i].id, id))
			return &in->rests[i];
	return NULL;
}

static void rest_add(struct intake *in, const char *id, unsigned seconds)
{
	struct rest *r = rest_of(in, id);
	uint32_t random;

	if (!r) {
		in->rests = mem_array(in->rests, in->rest_count + 1, sizeof *r);
		r = &in->rests[in->rest_count++];
		*r = (struct rest){ .id = str_dup(id) };
	}
	int64_t back_off = (int64_t)RETRY_FIRST_SECONDS << (r->times < 9 ? r->times : 9);
	if (back_off < seconds)
		back_off = seconds;
	/* Spread, so that one that breaks something of ours does not meet the same others each time. */
	secret_random(&random, sizeof random);
	int64_t wait_ms = back_off * 500 + random % (back_off * 1000);
	if (wait_ms > RETRY_MOST_SECONDS * 1000)
		wait_ms = RETRY_MOST_SECONDS * 1000;
	r->times++;
	r->until_ms = when_monotonic_ms() + wait_ms;
	in->deferred = true;
}

/* Forgets rests whose mails have gone from the listing. */
static void rest_sweep(struct intake *in)
{
	size_t kept = 0;
	for (size_t i = 0; i < in->rest_count; i++) {
		if (in->rests[i].seen)
			in->rests[kept++] = in->rests[i];
		else
			str_free(&in->rests[i].id);
	}
	in->rest_count = kept;
}

static void pause_add(struct intake *in)
{
	int64_t now = when_monotonic_ms(),
		seconds = (int64_t)1 << (in->pauses < 4 ? in->pauses : 4);

	if (now < in->pause_until_ms || in->options->once)
		return;
	if (seconds > PAUSE_MOST_SECONDS)
		seconds = PAUSE_MOST_SECONDS;
	in->pauses++;
	in->pause_until_ms = now + seconds * 1000;
}

static void pause_end(struct intake *in)
{
	in->pauses = 0;
	in->pause_until_ms = 0;
}

static size_t flying(const struct intake *in)
{
	size_t n = 0;
	for (size_t i = 0; i < IN_FLIGHT_MAX; i++)
		n += in->flights[i].ticket >= 0;
	return n;
}

/* How many mails may be in workers' hands now. */
static size_t flights_allowed(const struct intake *in)
{
	if (in->pauses == 0)
		return IN_FLIGHT_MAX;
	return when_monotonic_ms() < in->pause_until_ms ? 0 : 1;
}

static enum err offer(struct intake *in, struct flight *flight, const char *id)
{
	struct buf mail = BUF_SECRET, body = BUF_INIT; /* there may be a token in it */
	size_t size = 0;
	int fd = -1;
	enum err rc =
	    mailbox_fetch(in->box, id, (size_t)in->options->conf->limits.mail_bytes, &mail, &size);

	if (rc == ERR_OK)
		rc = memfd_make(buf_bytes(&mail), &fd);
	if (rc == ERR_OK) {
		wire_put_text(&body, in->conf->server.url);
		wire_put_text(&body, id);
		wire_put_i64(&body, (int64_t)size);
		rc = packet_ask(SOCKET, PACKET_OFFER, buf_bytes(&body), fd, &flight->ticket);
	}
	if (rc == ERR_OK)
		flight->id = str_dup(id);
	if (fd >= 0)
		close(fd);
	buf_free(&mail);
	buf_free(&body);
	return rc;
}

/* Looks once and offers what is free to offer; *left_out: mails that wait and could not be offered now. */
static enum err look(struct intake *in, bool *left_out)
{
	char **ids = NULL;
	size_t count = 0;
	bool news;
	enum err rc = mailbox_drain(in->box, &news);

	*left_out = false;
	if (rc == ERR_OK)
		rc = mailbox_list(in->box, &ids, &count);
	for (size_t i = 0; i < in->rest_count; i++)
		in->rests[i].seen = false;
	for (size_t i = 0; rc == ERR_OK && i < count; i++) {
		struct rest *rest = rest_of(in, ids[i]);
		if (rest) {
			rest->seen = true;
			if (in->options->once ? rest->times > 2
					      : rest->until_ms > when_monotonic_ms())
				continue;
		}
		if (flies(in, ids[i]))
			continue;
		if (flying(in) >= flights_allowed(in)) {
			*left_out = true;
			continue;
		}
		enum err one = offer(in, free_flight(in), ids[i]);
		if (one == ERR_NOINPUT && rest) /* somebody took it away, or it only looks so */
			rest_add(in, ids[i], 0);
		if (one != ERR_OK && one != ERR_NOINPUT) {
			journal_warning("cannot take %s: %s", ids[i], err_text());
			rest_add(in, ids[i], 0);
			*left_out = true;
		}
	}
	if (rc == ERR_OK)
		rest_sweep(in);
	mailbox_list_free(&ids);
	return rc;
}

static void settle(struct intake *in, struct flight *flight, const struct packet *answer)
{
	static const enum settle how[] = { [OUTCOME_DONE] = SETTLE_DONE,
		[OUTCOME_IGNORED] = SETTLE_IGNORED,
		[OUTCOME_DELETE] = SETTLE_DELETE };
	struct wire w = wire_open(buf_bytes(&answer->body));
	unsigned outcome = wire_u8(&w);
	unsigned seconds = wire_u32(&w);

	if (wire_end(&w) != ERR_OK || answer->type != PACKET_OUTCOME || outcome > OUTCOME_DELETE) {
		rest_add(in, flight->id, seconds);
		if (seconds > 0)
			pause_add(in);
		return;
	}
	pause_end(in);
	/* If this fails the mail is offered again, and same request, same outcome (P5.3). */
	if (mailbox_settle(in->box, flight->id, how[outcome]) != ERR_OK) {
		journal_error("cannot settle %s: %s", flight->id, err_text());
		rest_add(in, flight->id, 0);
	}
}

/* An answer, or the end of a worker with the mail in hand: then it is offered again. */
static void land(struct intake *in, struct flight *flight)
{
	struct packet answer;

	if (packet_receive(flight->ticket, &answer) == ERR_OK) {
		settle(in, flight, &answer);
		packet_free(&answer);
	} else {
		journal_warning("a worker died over %s", flight->id);
		rest_add(in, flight->id, 0);
	}
	close(flight->ticket);
	flight->ticket = -1;
	str_free(&flight->id);
}

static int wait_ms(const struct intake *in, bool left)
{
	int64_t now = when_monotonic_ms(), wait = in->options->conf->limits.poll_seconds * 1000;

	/* What is in a worker's hands, or may not go there, waits for an answer and not for a time. */
	for (size_t i = 0; i < in->rest_count && flying(in) < flights_allowed(in); i++)
		if (!flies(in, in->rests[i].id) && in->rests[i].until_ms - now < wait)
			wait = in->rests[i].until_ms - now;
	if (now < in->pause_until_ms && in->pause_until_ms - now < wait)
		wait = in->pause_until_ms - now;
	if (left && flying(in) == 0 && wait > 1000)
		wait = 1000;
	if (in->stopping || in->options->once)
		wait = flying(in) ? STOP_MS : wait < 500 ? wait : 500;
	return wait < 0 ? 0 : (int)wait;
}

static void wait_for_news(struct intake *in, bool left)
{
	struct pollfd p[IN_FLIGHT_MAX + 2];
	nfds_t n = 2;
	int news_fd = -1;
	int64_t within_ms;

	if (!in->stopping && mailbox_watch(in->box, &news_fd, &within_ms) != ERR_OK)
		return;

	p[0] = (struct pollfd){ .fd = in->stopping ? -1 : in->options->stop_fd, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = news_fd, .events = POLLIN };
	for (size_t i = 0; i < IN_FLIGHT_MAX; i++)
		p[n++] = (struct pollfd){ .fd = in->flights[i].ticket, .events = POLLIN };
	if (poll(p, n, wait_ms(in, left)) <= 0)
		return;
	if (p[0].revents)
		in->stopping = true;
	for (size_t i = 0; i < IN_FLIGHT_MAX; i++)
		if (p[i + 2].revents)
			land(in, &in->flights[i]);
}

static bool resting(const struct intake *in)
{
	for (size_t i = 0; i < in->rest_count; i++)
		if (in->rests[i].times <= 2)
			return true;
	return false;
}

static enum err intake_run(struct intake *in)
{
	int64_t stop_by = 0;

	for (;;) {
		bool left = false;
		enum err rc = in->stopping ? ERR_OK : look(in, &left);
		if (rc != ERR_OK)
			return rc;
		bool idle = flying(in) == 0 && !left;
		if (idle && (in->stopping || (in->options->once && !resting(in))))
			return ERR_OK;
		if (in->stopping && stop_by == 0)
			stop_by = when_monotonic_ms() + STOP_MS;
		if (in->stopping && when_monotonic_ms() >= stop_by)
			return ERR_OK; /* what is still out stays in the mailbox */
		wait_for_news(in, left);
	}
}

int intake_main(const struct role_options *options)
{
	struct intake in = { .options = options, .conf = &options->conf->mailbox[options->index] };
	enum err rc = mailbox_open(in.conf, &in.box);

	for (size_t i = 0; i < IN_FLIGHT_MAX; i++)
		in.flights[i].ticket = -1;
	if (rc == ERR_OK) {
		role_report(true, NULL);
		rc = intake_run(&in);
	}
	if (rc != ERR_OK) {
		role_report(false, err_text());
		journal_error("mailbox %s: %s", in.conf->server.url, err_text());
	}
	mailbox_close(&in.box);
	for (size_t i = 0; i < in.rest_count; i++)
		str_free(&in.rests[i].id);
	free(in.rests);
	if (rc == ERR_OK && options->once && in.deferred && in.rest_count > 0)
		return err_exit_status(ERR_TEMPORARY);
	return err_exit_status(rc);
}
