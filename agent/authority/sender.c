/* The sender: works from the outbox alone, which it sees only through a worker; holds the submission connection. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

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

/* Tells the outcome until a worker has written it down: the lease would offer the mail again otherwise. */
static void item_report(const char *id, enum submit_result result, const char *said)
{
	struct buf body = BUF_INIT;
	struct packet done;

	wire_put_text(&body, id);
	wire_put_u8(&body, (uint8_t)result);
	wire_put_text(&body, result == SUBMIT_SENT ? NULL : said);
	for (int tries = 0; tries < 5; tries++) {
		enum err rc =
		    packet_call(SOCKET, PACKET_RESULT, buf_bytes(&body), -1, ANSWER_SECONDS, &done);
		if (rc == ERR_OK) {
			packet_free(&done);
			break;
		}
		journal_warning("could not record the fate of outbox mail %s: %s", id, err_text());
		sleep(1);
	}
	buf_free(&body);
}

static void item_send(struct submit *submit, const struct item *item)
{
	const char *to[] = { item->recipient, NULL };
	enum submit_result result = submit_send(submit, item->sender, to, buf_bytes(&item->mail));

	if (result == SUBMIT_SENT)
		journal_info("sent %s to %s", item->id, item->recipient);
	else
		journal_warning("did not send %s to %s: %s", item->id, item->recipient, err_text());
	item_report(item->id, result, err_text());
}

/* One turn: *next_out is when the next mail is due (0: nothing waits); ERR_OK when one was handled. */
static enum err sender_turn(struct submit *submit, int64_t *next_out)
{
	struct packet answer;
	struct item item = { 0 };
	enum err rc =
	    packet_call(SOCKET, PACKET_CLAIM, bytes_of(NULL, 0), -1, ANSWER_SECONDS, &answer);

	if (rc != ERR_OK)
		return rc;
	if (answer.type == PACKET_ITEM) {
		rc = item_read(&answer, &item);
		if (rc == ERR_OK)
			item_send(submit, &item);
	} else {
		struct wire w = wire_open(buf_bytes(&answer.body));
		*next_out = wire_i64(&w);
		rc = err_fail(ERR_NOINPUT, "nothing is due");
	}
	item_free(&item);
	packet_free(&answer);
	return rc;
}

/* Sleeps until something may be due, news comes, or we shall stop (true). */
static bool sender_sleep(int stop_fd, int64_t next, bool once)
{
	int64_t wait = next ? next - when_now() : IDLE_SECONDS;
	struct pollfd p[2] = { { .fd = stop_fd, .events = POLLIN },
		{ .fd = SOCKET, .events = POLLIN } };

	if (wait < 1)
		wait = 1;
	if (wait > IDLE_SECONDS)
		wait = IDLE_SECONDS;
	if (poll(p, 2, once ? 0 : (int)wait * 1000) <= 0)
		return once;
	if (p[0].revents)
		return true;
	struct packet wake;
	enum err rc = packet_receive(SOCKET, &wake);
	if (rc == ERR_OK)
		packet_free(&wake);
	return rc == ERR_NOINPUT || rc == ERR_IO; /* nobody is left to speak to us */
}

int sender_main(const struct role_options *options)
{
	struct submit *submit = NULL;
	enum err rc = submit_open(
	    &options->conf->submit.server, (unsigned)options->conf->submit.timeout_seconds, &submit);

	if (rc != ERR_OK) {
		role_report(false, err_text());
		journal_error("%s", err_text());
		return err_exit_status(rc);
	}
	role_report(true, NULL);
	for (;;) {
		struct pollfd stop = { .fd = options->stop_fd, .events = POLLIN };
		if (poll(&stop, 1, 0) > 0)
			break;
		int64_t next = 0;
		rc = sender_turn(submit, &next);
		if (rc == ERR_OK)
			continue;
		if (rc != ERR_NOINPUT) {
			journal_warning("%s", err_text());
			next = when_now() + 2;
		}
		if (options->once && rc != ERR_NOINPUT)
			continue; /* a worker is being started again: ask until one answers */
		if (sender_sleep(options->stop_fd, next, options->once))
			break;
	}
	submit_close(&submit);
	return 0;
}
