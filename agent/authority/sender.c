/* The sender: works from the outbox alone, which it sees only through a worker; holds the submission connection. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "backoff.h"
#include "base/file.h"
#include "base/journal.h"
#include "base/when.h"
#include "base/wire.h"
#include "mail/submit.h"
#include "packet.h"
#include "role.h"

#define SOCKET ROLE_FD_FIRST
#define ANSWER_SECONDS 60
#define MAIL_BYTES_MOST (64u << 20)
#define IDLE_SECONDS 5 /* commands put mails into the outbox too, and wake nobody */

struct item {
	char *id, *sender, *recipient;
	struct buf mail;
};

static void item_free(struct item *item)
{
	str_free(&item->id);
	str_free(&item->sender);
	str_free(&item->recipient);
	buf_free(&item->mail);
}

static enum err item_read(const struct packet *packet, struct item *out)
{
	struct wire w = wire_open(buf_bytes(&packet->body));
	out->id = wire_text(&w);
	out->sender = wire_text(&w);
	out->recipient = wire_text(&w);
	enum err rc = wire_end(&w);
	if (rc == ERR_OK && (!out->id || !out->sender || !out->recipient || packet->fd < 0))
		rc = err_fail(ERR_PROTOCOL, "an outbox item is incomplete");
	if (rc == ERR_OK)
		rc = memfd_read(packet->fd, MAIL_BYTES_MOST, &out->mail);
	return rc;
}

struct sender {
	const struct role_options *options;
	struct submit *submit;
	struct backoff
	    pause; /* while the mail server can't be reached, or does not let us in, no mail is tried */
	char *trouble;  /* why, as told last; NULL: none */
	char *suspect;  /* the id of the mail at which the server was lost last */
	bool others_go; /* since then */
	enum err fault; /* with --once: what to end with */
};

static const char *url_of(const struct sender *s)
{
	return s->options->conf->submit.server.url;
}

/* Waits that long for it. */
static bool shall_stop_within(const struct sender *s, int64_t ms)
{
	struct pollfd stop = { .fd = s->options->stop_fd, .events = POLLIN };
	return poll(&stop, 1, (int)ms) > 0;
}

static bool shall_stop(const struct sender *s)
{
	return shall_stop_within(s, 0);
}

/* ---- the mail server as a whole ---- */

static bool is_server_fault(enum submit_result result)
{
	return result == SUBMIT_NO_SERVER || result == SUBMIT_DENIED;
}

/* A server that is lost at the same mail again while others go through has nothing against us, but against this one. */
static enum submit_result whose_fault(
    struct sender *s, const struct item *item, enum submit_result result)
{
	bool again = str_equal(s->suspect, item->id);

	if (result == SUBMIT_NO_SERVER && again && s->others_go)
		return SUBMIT_TEMPORARY;
	if (result == SUBMIT_NO_SERVER && !again) {
		str_free(&s->suspect);
		s->suspect = str_dup(item->id);
		s->others_go = false;
	}
	if (result == SUBMIT_SENT && again)
		str_free(&s->suspect);
	s->others_go |= result == SUBMIT_SENT;
	return result;
}

static void pause_begin(struct sender *s, enum submit_result result)
{
	char *why = str_dup(err_text()), span[WHEN_TEXT_SIZE];

	s->fault = result == SUBMIT_DENIED ? ERR_DENIED : ERR_UNAVAILABLE;
	backoff_fail(&s->pause, result == SUBMIT_DENIED);
	int64_t seconds = (backoff_wait_ms(&s->pause) + 999) / 1000;
	if (!str_equal(why, s->trouble))
		journal_warning("cannot send by %s: %s; trying again in %s", url_of(s), why,
		    when_format_span(seconds, span));
	str_free(&s->trouble);
	s->trouble = why;
	role_tell(&(struct role_state){ .why = why, .next_try = when_now() + seconds });
}

static void pause_end(struct sender *s)
{
	backoff_end(&s->pause);
	s->fault = ERR_OK;
	if (!s->trouble)
		return;
	journal_info("mails are sent by %s again", url_of(s));
	str_free(&s->trouble);
	role_report(true, NULL);
}

/* ---- mails ---- */

/* Asks a worker for a mail, or tells what became of one. ERR_NOINPUT: nothing is due before *next_out (0: nothing waits). */
static enum err ask(
    enum packet_type question, struct bytes body, struct item *out, int64_t *next_out)
{
	struct packet answer;
	enum err rc = packet_call(SOCKET, question, body, -1, ANSWER_SECONDS, &answer);

	if (rc != ERR_OK)
		return rc;
	if (answer.type == PACKET_ITEM) {
		rc = item_read(&answer, out);
	} else {
		struct wire w = wire_open(buf_bytes(&answer.body));
		*next_out = wire_i64(&w);
		rc = err_fail(ERR_NOINPUT, "nothing is due");
	}
	packet_free(&answer);
	return rc;
}

/* Until a worker has written it down, as what is not known to be sent is sent again; till then nothing else is. `more`: the next one, please. */
static enum err report(const struct sender *s, const char *id, enum submit_result result,
    const char *said, bool more, struct item *out, int64_t *next_out)
{
	struct backoff pause =
	    backoff_make(1, s->options->conf->limits.reconnect_first_seconds * 4);
	struct buf body = BUF_INIT;
	enum err rc = ERR_OK;

	wire_put_text(&body, id);
	wire_put_u8(&body, (uint8_t)result);
	wire_put_text(&body, result == SUBMIT_SENT ? NULL : said);
	wire_put_u8(&body, more);
	do {
		item_free(out);
		rc = ask(PACKET_RESULT, buf_bytes(&body), out, next_out);
		if (rc != ERR_TEMPORARY)
			break;
		if (pause.times == 0)
			journal_warning(
			    "what became of outbox mail %s (%s) can't be recorded yet, and nothing "
			    "is sent before: %s",
			    id, result == SUBMIT_SENT ? "it was sent" : said, err_text());
		backoff_fail(&pause, false);
	} while (!shall_stop_within(s, backoff_wait_ms(&pause)));
	if (rc == ERR_TEMPORARY && result == SUBMIT_SENT)
		journal_warning(
		    "outbox mail %s was sent, but this could not be recorded: it will be sent again",
		    id);
	else if (pause.times > 0)
		journal_info("what became of outbox mail %s is recorded", id);
	buf_free(&body);
	return rc;
}

/* Sends one, and gets the next into its place. */
static enum err send_one(struct sender *s, struct item *item, int64_t *next_out)
{
	const char *to[] = { item->recipient, NULL };
	enum submit_result result =
	    whose_fault(s, item, submit_send(s->submit, item->sender, to, buf_bytes(&item->mail)));
	char *said = str_dup(err_text());
	struct item next = { 0 };

	if (result == SUBMIT_SENT)
		journal_info("sent %s to %s", item->id, item->recipient);
	else if (result == SUBMIT_IN_DOUBT)
		journal_warning("perhaps sent %s to %s: %s", item->id, item->recipient, said);
	else if (!is_server_fault(result))
		journal_warning("did not send %s to %s: %s", item->id, item->recipient, said);
	bool pausing = is_server_fault(result) || result == SUBMIT_IN_DOUBT;
	if (pausing)
		pause_begin(s, result);
	else
		pause_end(s);
	bool more = !pausing && !shall_stop(s);
	enum err rc = report(s, item->id, result, said, more, &next, next_out);
	str_free(&said);
	item_free(item);
	*item = next;
	return rc;
}

/* Sends what is due; ERR_NOINPUT when nothing is any more. */
static enum err send_due(struct sender *s, int64_t *next_out)
{
	struct item item = { 0 };
	struct buf last = BUF_INIT;

	wire_put_text(&last, s->suspect);
	enum err rc = ask(PACKET_CLAIM, buf_bytes(&last), &item, next_out);
	buf_free(&last);
	while (rc == ERR_OK)
		rc = send_one(s, &item, next_out);
	item_free(&item);
	return rc;
}

/* ---- the loop ---- */

/* Sleeps until something may be due, news comes, or we shall stop (true). */
static bool sender_sleep(const struct sender *s, int64_t next)
{
	int64_t wait = next ? (next - when_now()) * 1000 : IDLE_SECONDS * 1000;
	struct pollfd p[2] = { { .fd = s->options->stop_fd, .events = POLLIN },
		{ .fd = SOCKET, .events = POLLIN } };

	if (wait < 1000)
		wait = 1000;
	if (wait > IDLE_SECONDS * 1000)
		wait = IDLE_SECONDS * 1000;
	if (backoff_wait_ms(&s->pause) > 0)
		wait = backoff_wait_ms(&s->pause);
	if (poll(p, 2, s->options->once ? 0 : (int)wait) <= 0)
		return s->options->once;
	if (p[0].revents)
		return true;
	struct packet wake;
	enum err rc = packet_receive(SOCKET, &wake);
	if (rc == ERR_OK)
		packet_free(&wake);
	return rc == ERR_NOINPUT || rc == ERR_IO; /* nobody is left to speak to us */
}

static void sender_run(struct sender *s)
{
	while (!shall_stop(s)) {
		int64_t next = 0;
		enum err rc = backoff_wait_ms(&s->pause) > 0 ? ERR_NOINPUT : send_due(s, &next);
		if (rc == ERR_NOINPUT) {
			submit_rest(s->submit);
		} else {
			journal_warning("%s", err_text());
			next = when_now() + 2;
			if (s->options->once)
				continue; /* a worker is being started again: ask until one answers */
		}
		if (sender_sleep(s, next))
			return;
	}
}

int sender_main(const struct role_options *options)
{
	const struct conf *conf = options->conf;
	struct sender s = { .options = options,
		.pause = backoff_make(
		    conf->limits.reconnect_first_seconds, conf->limits.reconnect_most_seconds) };
	enum err rc =
	    submit_open(&conf->submit.server, (unsigned)conf->submit.timeout_seconds, &s.submit);

	if (rc != ERR_OK) {
		role_report(false, err_text());
		journal_error("%s", err_text());
		return err_exit_status(rc);
	}
	role_report(true, NULL);
	sender_run(&s);
	submit_close(&s.submit);
	str_free(&s.trouble);
	str_free(&s.suspect);
	return options->once ? err_exit_status(s.fault) : 0;
}
