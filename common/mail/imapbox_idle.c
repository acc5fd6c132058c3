/* Waiting: IDLE (RFC 2177) where it is offered, else NOOP now and then. */
#include <poll.h>

#include "base/when.h"
#include "mail/imapbox_internal.h"

#define NOOP_SECONDS 60 /* between two looks at a server without IDLE */

static bool can_idle(const struct imapbox *box)
{
	return imapbox_can(box, "IDLE") && !box->idle_refused;
}

void imapbox_renew_later(struct imapbox *box)
{
	int64_t seconds = box->conf->idle_seconds;

	if (!can_idle(box) && seconds > NOOP_SECONDS)
		seconds = NOOP_SECONDS;
	box->renew_ms = when_monotonic_ms() + seconds * 1000;
}

/* The tagged answer of IDLE before we have ended it: the server will not have it, or no longer. */
static void idle_over(struct imapbox *box, enum err answered)
{
	box->idling = false;
	box->idle_refused = answered == ERR_TEMPORARY;
}

static enum err idle_begin(struct imapbox *box)
{
	struct imapbox_answer answer = { 0 };
	enum err err = imapbox_send(box, 0, "IDLE");

	do {
		if (!err)
			err = imapbox_take(box, &answer);
	} while (!err && answer.kind == IMAPBOX_UNTAGGED);
	if (!err && answer.kind == IMAPBOX_CONTINUE) {
		box->idling = true;
	} else if (!err) {
		err = imapbox_conclude(box, &answer);
		if (err == ERR_UNAVAILABLE)
			return err;
		idle_over(box, ERR_TEMPORARY);
	}
	imapbox_renew_later(box);
	return err == ERR_TEMPORARY ? ERR_OK : err;
}

enum err imapbox_idle_end(struct imapbox *box)
{
	enum err err = imapbox_connected(box);

	if (err || !box->idling)
		return err;
	box->idling = false;
	server_begin(box->server, 0, 0);
	err = imapbox_put(box, bytes_of_text("DONE\r\n"));
	if (!err)
		err = imapbox_finish(box, NULL, NULL);
	return err == ERR_TEMPORARY ? ERR_OK : err;
}

static bool has_news(const struct imapbox *box)
{
	return imapbox_may_search(box) || box->grown;
}

enum err imapbox_watch(struct imapbox *box, int *fd_out, int64_t *within_ms_out)
{
	enum err err = imapbox_connected(box);

	if (!err && !has_news(box) && can_idle(box) && !box->idling)
		err = idle_begin(box);
	if (err)
		return err;
	int64_t left = box->renew_ms - when_monotonic_ms();
	*fd_out = server_fd(box->server);
	/* What came together with the "+" is in no poll any more. */
	*within_ms_out = has_news(box) || server_has_buffered(box->server) || left < 0 ? 0 : left;
	return ERR_OK;
}

/* What the server has said by itself. */
static enum err hear(struct imapbox *box)
{
	struct imapbox_answer answer;
	bool some = false;
	enum err err;

	server_begin(box->server, 0, 0);
	for (;;) {
		err = server_peek(box->server, &some);
		if (err)
			return imapbox_lose(box, err);
		if (!some)
			return ERR_OK;
		err = imapbox_take(box, &answer);
		if (!err && answer.kind == IMAPBOX_TAGGED) {
			err = imapbox_conclude(box, &answer);
			idle_over(box, err);
		}
		if (err && err != ERR_TEMPORARY)
			return err;
	}
}

/*
 * IDLE hides from us that the folder was replaced, some servers also that mail has come: a command brings it
 * out.
 */
static enum err renew(struct imapbox *box)
{
	enum err err = imapbox_idle_end(box);

	if (!err)
		err = imapbox_command(box, 0, NULL, NULL, "NOOP");
	if (err == ERR_TEMPORARY)
		err = ERR_OK;
	box->unsearched = true;
	if (!err && imapbox_may_search(box))
		err = imapbox_search(box);
	imapbox_renew_later(box);
	return err;
}

enum err imapbox_drain(struct imapbox *box, bool *news_out)
{
	enum err err = imapbox_connected(box);

	*news_out = false;
	if (!err)
		err = hear(box);
	if (!err && when_monotonic_ms() >= box->renew_ms)
		err = renew(box);
	*news_out = !err && has_news(box);
	return err;
}
