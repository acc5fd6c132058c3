/*
 * Intake: one per mailbox. Looks, offers each mail to the workers, and settles it once its outcome is committed (I3). Parses nothing. Stays connected: a mailbox
 * that is lost is opened again, and what the workers have in hand meanwhile is settled then.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aside.h"
#include "base/file.h"
#include "base/journal.h"
#include "base/when.h"
#include "base/wire.h"
#include "mail/mailbox.h"
#include "outcome.h"
#include "packet.h"
#include "role.h"

#define SOCKET ROLE_FD_FIRST
#define IN_FLIGHT_MAX 8
#define STOP_MS 3500
#define ONCE_WAIT_MS 500
#define ONCE_TRIES 2
#define PAUSE_FIRST_SECONDS 1
#define PAUSE_MOST_SECONDS 15
#define GONE_MS 5000 /* a listing that names mails that are gone is old, or wrong */
#define TELL_MS 1000
#define PROVEN_MS 30000 /* a connection that lasts so long was no mere attempt */
#define SETTLES (SETTLE_DELETE + 1)

/* A mail in a worker's hands. */
struct flight {
	char *id;
	int ticket; /* -1: free */
};

/* The mailbox as it was; asked for again only when it has been gone through, so that each mail costs the same however many wait. */
struct listing {
	char **ids;
	size_t count, next;
	bool stale;
	int64_t until_ms; /* stale then at the latest */
};

struct intake {
	const struct role_options *options;
	const struct conf_mailbox *conf;
	struct mailbox *box; /* NULL: it can't be reached */
	struct backoff reconnect;
	int64_t opened_ms; /* monotonic */
	bool looked;       /* all of it, since then */
	bool doubted;      /* the connection before was lost soon after it had looked */
	bool well;         /* as told last */
	char *trouble;     /* why not */
	struct listing listing;
	struct flight flights[IN_FLIGHT_MAX];
	struct asides asides;
	/* While a folder takes nothing one mail stands for all that are to go there, a different one each time. */
	struct backoff refused[SETTLES];
	/* While something of ours is out of order only one mail at a time is tried, a different one each time, so that neither ten thousand mails keep us busy
	 * with failing, nor one that fails by its own fault holds up the rest (I9). */
	struct backoff pause;
	char *hindered_by, *hindrance; /* a mail that can't be taken or put away, and why; NULL */
	int64_t told_waiting, told_ms;
	enum err lost; /* with --once nobody waits for the mailbox to come back */
	bool stopping;
};

/* ---- flights ---- */

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

static size_t flying(const struct intake *in)
{
	size_t n = 0;
	for (size_t i = 0; i < IN_FLIGHT_MAX; i++)
		n += in->flights[i].ticket >= 0;
	return n;
}

static bool may_fly(const struct intake *in)
{
	size_t most = in->pause.times == 0 ? IN_FLIGHT_MAX : backoff_wait_ms(&in->pause) == 0;

	return flying(in) < most;
}

static void pause_add(struct intake *in)
{
	if (backoff_wait_ms(&in->pause) == 0 && !in->options->once)
		backoff_fail(&in->pause, false);
}

/* ---- what the parent hears, and through it `status` ---- */

static int64_t waiting(const struct intake *in)
{
	return (int64_t)(in->listing.count - in->listing.next + flying(in) + in->asides.count);
}

static void tell(struct intake *in)
{
	int64_t wait_ms = backoff_wait_ms(&in->reconnect);

	in->told_waiting = waiting(in);
	in->told_ms = when_monotonic_ms();
	role_tell(&(struct role_state){ .ready = in->well,
	    .why = in->trouble ? in->trouble : in->hindrance,
	    .next_try = wait_ms > 0 ? when_now() + (wait_ms + 999) / 1000 : 0,
	    .waiting = in->told_waiting });
}

/* How long until the number of mails that wait may be told, or -1: it is told. */
static int64_t tell_due_ms(const struct intake *in)
{
	int64_t due = in->told_ms + TELL_MS - when_monotonic_ms();

	return waiting(in) == in->told_waiting ? -1 : due > 0 ? due : 0;
}

/* The mailbox can be read, but not all is well. Of several such mails one stands for all. True if that is new. */
static bool hindered(struct intake *in, const char *id, char *why)
{
	bool news = !in->hindered_by;

	if (news || str_equal(in->hindered_by, id)) {
		str_free(&in->hindrance);
		in->hindrance = str_dup(why);
	}
	if (news) {
		in->hindered_by = str_dup(id);
		tell(in);
	}
	str_free(&why);
	return news;
}

static void unhindered(struct intake *in, const char *id)
{
	if (!in->hindered_by || !str_equal(in->hindered_by, id))
		return;
	str_free(&in->hindered_by);
	str_free(&in->hindrance);
	tell(in);
}

/* ---- the connection ---- */

static void listing_clear(struct listing *listing)
{
	mailbox_list_free(&listing->ids);
	*listing = (struct listing){ .stale = true };
}

/*
 * How long until the connection has lasted, so that it was worth its login: some servers take the login and let us look, and hang up
 * then, every time.
 */
static int64_t unproven_ms(const struct intake *in)
{
	int64_t enough = in->reconnect.most_ms < PROVEN_MS ? in->reconnect.most_ms : PROVEN_MS;

	if (in->reconnect.pause_ms > enough)
		enough = in->reconnect.pause_ms;
	int64_t left = in->opened_ms + enough - when_monotonic_ms();
	return left > 0 ? left : 0;
}

/* Closes the mailbox for what err_text() says; said once, however often it is tried in vain. */
static void lose(struct intake *in, enum err rc)
{
	const char *url = in->conf->server.url;
	char *why = str_dup(err_text()), span[WHEN_TEXT_SIZE];

	in->doubted = in->looked && unproven_ms(in) > 0;
	in->looked = false;
	mailbox_close(&in->box);
	listing_clear(&in->listing);
	in->well = false;
	if (in->options->once)
		in->lost = rc;
	backoff_fail(&in->reconnect, rc == ERR_DENIED || rc == ERR_CONFIG);
	int64_t seconds = (backoff_wait_ms(&in->reconnect) + 999) / 1000;
	if (in->options->once)
		journal_error("mailbox %s: %s", url, why);
	else if (!str_equal(why, in->trouble))
		journal_warning("mailbox %s: %s; trying again in %s", url, why,
		    when_format_span(seconds, span));
	str_free(&in->trouble);
	in->trouble = why;
	tell(in);
}

static enum err connect_now(struct intake *in)
{
	enum err rc = mailbox_open(in->conf, &in->box);

	listing_clear(&in->listing);
	in->opened_ms = when_monotonic_ms();
	return rc;
}

/* After a whole look, as a server may take our password and then nothing more. */
static void found_well(struct intake *in)
{
	in->looked = true;
	if (unproven_ms(in) == 0) {
		backoff_end(&in->reconnect);
		in->doubted = false;
	}
	if (in->well || in->doubted)
		return;
	if (in->trouble)
		journal_info("mailbox %s can be read again", in->conf->server.url);
	str_free(&in->trouble);
	in->well = true;
	tell(in);
}

/* ---- settling ---- */

/* ERR_UNAVAILABLE, and then everything that is owed is still owed. */
static enum err settle(struct intake *in, const char *id, enum settle how)
{
	enum err rc = mailbox_settle(in->box, id, how);
	struct aside *aside = aside_find(&in->asides, id);

	if (rc == ERR_OK) {
		if (aside)
			aside_drop(&in->asides, aside);
		backoff_end(&in->refused[how]);
		unhindered(in, id);
		return rc;
	}
	aside = aside_put(&in->asides, id);
	aside->owed = true;
	aside->how = how;
	if (rc == ERR_UNAVAILABLE)
		return rc;
	backoff_fail(&aside->again, false);
	if (backoff_wait_ms(&in->refused[how]) == 0)
		backoff_fail(&in->refused[how], false);
	if (hindered(in, id, str_printf("a mail can't be put away: %s", err_text())))
		journal_error(
		    "cannot put away %s: %s; it was worked on, and is tried again", id, err_text());
	return ERR_OK;
}

static bool is_due(const struct intake *in, const struct aside *aside)
{
	if (in->options->once && aside->again.times > ONCE_TRIES)
		return false;
	return backoff_wait_ms(&aside->again) == 0;
}

static enum err settle_aside(struct intake *in, const struct aside *aside)
{
	char *id = str_dup(aside->id);
	enum err rc = settle(in, id, aside->how);

	str_free(&id);
	return rc;
}

/* The one of those owed that was tried least. */
static const struct aside *stand_in(const struct intake *in, enum settle how)
{
	const struct aside *least = NULL;

	for (size_t i = 0; i < in->asides.count; i++) {
		const struct aside *aside = &in->asides.at[i];
		if (aside->owed && aside->how == how &&
		    (!least || aside->again.times < least->again.times))
			least = aside;
	}
	return least;
}

/* Whether one may be tried while the others wait for it. */
static bool may_stand_in(const struct intake *in, enum settle how)
{
	const struct backoff *refused = &in->refused[how];

	return !(in->options->once && refused->times > ONCE_TRIES) && backoff_wait_ms(refused) == 0;
}

static enum err settle_owed_so(struct intake *in, enum settle how)
{
	enum err rc = ERR_OK;

	if (in->refused[how].times > 0) {
		const struct aside *one = may_stand_in(in, how) ? stand_in(in, how) : NULL;
		if (one)
			rc = settle_aside(in, one);
	}
	for (size_t i = in->asides.count; rc == ERR_OK && in->refused[how].times == 0 && i-- > 0;) {
		const struct aside *aside = &in->asides.at[i];
		if (aside->owed && aside->how == how && is_due(in, aside))
			rc = settle_aside(in, aside);
	}
	return rc;
}

static enum err settle_owed(struct intake *in)
{
	enum err rc = ERR_OK;

	for (size_t how = 0; rc == ERR_OK && how < SETTLES; how++)
		rc = settle_owed_so(in, (enum settle)how);
	return rc;
}

static void rest(struct intake *in, const char *id, unsigned seconds)
{
	struct aside *aside = aside_put(&in->asides, id);

	if (seconds > 0)
		aside->again.first_ms = (int64_t)seconds * 1000;
	backoff_fail(&aside->again, false);
}

/* What a worker answered; if the mailbox is away the outcome is remembered. */
static enum err take_answer(struct intake *in, const char *id, const struct packet *answer)
{
	static const enum settle how[] = { [OUTCOME_DONE] = SETTLE_DONE,
		[OUTCOME_IGNORED] = SETTLE_IGNORED,
		[OUTCOME_DELETE] = SETTLE_DELETE };
	struct wire w = wire_open(buf_bytes(&answer->body));
	unsigned outcome = wire_u8(&w);
	unsigned seconds = wire_u32(&w);

	if (wire_end(&w) != ERR_OK || answer->type != PACKET_OUTCOME || outcome > OUTCOME_DELETE) {
		rest(in, id, seconds);
		if (seconds > 0)
			pause_add(in);
		return ERR_OK;
	}
	backoff_end(&in->pause);
	if (in->box)
		return settle(in, id, how[outcome]);
	struct aside *aside = aside_put(&in->asides, id);
	aside->owed = true;
	aside->how = how[outcome];
	return ERR_OK;
}

/* An answer, or the end of a worker with the mail in hand: then it is offered again. */
static enum err land(struct intake *in, struct flight *flight)
{
	struct packet answer;
	enum err rc = ERR_OK;

	if (packet_receive(flight->ticket, &answer) == ERR_OK) {
		rc = take_answer(in, flight->id, &answer);
		packet_free(&answer);
	} else {
		journal_warning("a worker died over %s", flight->id);
		rest(in, flight->id, 0);
	}
	close(flight->ticket);
	flight->ticket = -1;
	str_free(&flight->id);
	return rc;
}

/* ---- looking ---- */

static enum err offer(struct intake *in, const char *id)
{
	struct buf mail = BUF_SECRET, body = BUF_INIT; /* there may be a token in it */
	struct flight *flight = free_flight(in);
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

/* ERR_UNAVAILABLE is the mailbox's; any other fault is this mail's. */
static enum err try_offer(struct intake *in, const char *id)
{
	enum err rc = offer(in, id);
	int64_t soon_ms = when_monotonic_ms() + GONE_MS;

	if (rc == ERR_OK || rc == ERR_NOINPUT)
		unhindered(in, id);
	if (rc == ERR_OK || rc == ERR_UNAVAILABLE)
		return rc;
	if (rc == ERR_NOINPUT) { /* somebody took it away, or it only looks so */
		struct aside *aside = aside_find(&in->asides, id);
		if (aside)
			aside_drop(&in->asides, aside);
		if (soon_ms < in->listing.until_ms)
			in->listing.until_ms = soon_ms;
		return ERR_OK;
	}
	journal_warning("cannot take %s: %s", id, err_text());
	(void)hindered(in, id, str_printf("a mail can't be taken: %s", err_text()));
	rest(in, id, 0);
	return ERR_OK;
}

static enum err offer_asides(struct intake *in)
{
	enum err rc = ERR_OK;

	for (size_t i = in->asides.count; rc == ERR_OK && i-- > 0 && may_fly(in);) {
		struct aside *aside = &in->asides.at[i];
		if (aside->owed || !is_due(in, aside) || flies(in, aside->id))
			continue;
		char *id = str_dup(aside->id);
		rc = try_offer(in, id);
		str_free(&id);
	}
	return rc;
}

static enum err list_again(struct intake *in)
{
	struct listing *listing = &in->listing;
	int64_t now = when_monotonic_ms();

	if (listing->next < listing->count || (!listing->stale && now < listing->until_ms))
		return ERR_OK;
	listing_clear(listing);
	enum err rc = mailbox_list(in->box, &listing->ids, &listing->count);
	if (rc != ERR_OK)
		return rc;
	listing->stale = false;
	listing->until_ms = now + in->options->conf->limits.poll_seconds * 1000;
	return rc;
}

static enum err look(struct intake *in)
{
	struct listing *listing = &in->listing;
	enum err rc = settle_owed(in);

	if (rc == ERR_OK)
		rc = list_again(in);
	if (rc == ERR_OK)
		rc = offer_asides(in);
	while (rc == ERR_OK && listing->next < listing->count && may_fly(in)) {
		const char *id = listing->ids[listing->next++];
		if (!flies(in, id) && !aside_find(&in->asides, id))
			rc = try_offer(in, id);
	}
	return rc;
}

/* ---- waiting ---- */

static void sooner(int64_t *wait, int64_t ms)
{
	if (ms < *wait)
		*wait = ms;
}

/* As long as mails of the listing are to be offered nobody needs to know of more. */
static bool wants_news(const struct intake *in)
{
	return in->box && !in->stopping && in->listing.next == in->listing.count &&
	       !in->listing.stale;
}

static int64_t asides_wait_ms(const struct intake *in)
{
	int64_t wait = INT64_MAX;

	for (size_t i = 0; i < in->asides.count; i++) {
		const struct aside *aside = &in->asides.at[i];
		const struct backoff *refused = &in->refused[aside->how];
		if (aside->owed && refused->times > 0)
			sooner(&wait, backoff_wait_ms(refused));
		else if (aside->owed || (may_fly(in) && !flies(in, aside->id)))
			sooner(&wait, backoff_wait_ms(&aside->again));
	}
	return wait;
}

static int wait_ms(const struct intake *in)
{
	int64_t wait = in->options->conf->limits.poll_seconds * 1000;

	if (in->stopping)
		return STOP_MS;
	if (in->box)
		sooner(&wait, asides_wait_ms(in));
	else
		sooner(&wait, backoff_wait_ms(&in->reconnect));
	if (in->pause.times > 0 && backoff_wait_ms(&in->pause) > 0)
		sooner(&wait, backoff_wait_ms(&in->pause));
	if (wants_news(in))
		sooner(&wait, in->listing.until_ms - when_monotonic_ms());
	if (in->looked && in->reconnect.times > 0)
		sooner(&wait, unproven_ms(in));
	if (tell_due_ms(in) >= 0)
		sooner(&wait, tell_due_ms(in));
	if (in->options->once)
		wait = flying(in) ? STOP_MS : wait < ONCE_WAIT_MS ? wait : ONCE_WAIT_MS;
	return wait < 0 ? 0 : (int)wait;
}

static enum err read_news(struct intake *in)
{
	bool news = false;
	enum err rc = mailbox_drain(in->box, &news);

	in->listing.stale |= news;
	return rc;
}

/* Until a worker answers, the mailbox has news, a time has come, or we shall stop. */
static enum err wait_for_news(struct intake *in)
{
	struct pollfd p[IN_FLIGHT_MAX + 2];
	nfds_t n = 2;
	int news_fd = -1, wait = wait_ms(in);
	int64_t within_ms = INT64_MAX;
	bool watches = wants_news(in);
	enum err rc = watches ? mailbox_watch(in->box, &news_fd, &within_ms) : ERR_OK;

	if (rc != ERR_OK)
		return rc;
	p[0] = (struct pollfd){ .fd = in->stopping ? -1 : in->options->stop_fd, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = news_fd, .events = POLLIN };
	for (size_t i = 0; i < IN_FLIGHT_MAX; i++)
		p[n++] = (struct pollfd){ .fd = in->flights[i].ticket, .events = POLLIN };
	bool elapses = within_ms <= wait;
	int ready = poll(p, n, elapses ? (int)within_ms : wait);
	if (ready > 0 && p[0].revents)
		in->stopping = true;
	if (watches && !in->stopping && (ready > 0 ? p[1].revents != 0 : ready == 0 && elapses))
		rc = read_news(in);
	for (size_t i = 0; ready > 0 && i < IN_FLIGHT_MAX; i++)
		if (p[i + 2].revents) {
			enum err landed = land(in, &in->flights[i]);
			rc = rc == ERR_OK ? landed : rc;
		}
	return rc;
}

/* ---- the loop ---- */

/* With --once: may something that failed still be tried again? */
static bool tries_again(const struct intake *in)
{
	for (size_t i = 0; i < in->asides.count; i++) {
		const struct aside *aside = &in->asides.at[i];
		const struct backoff *refused = &in->refused[aside->how];
		if (aside->owed && refused->times > 0 ? refused->times <= ONCE_TRIES
						      : aside->again.times <= ONCE_TRIES)
			return true;
	}
	return false;
}

static bool is_over(const struct intake *in)
{
	if (flying(in) > 0)
		return false;
	if (in->stopping)
		return true;
	if (!in->options->once)
		return false;
	return !in->box ||
	       (in->listing.next == in->listing.count && !in->listing.stale && !tries_again(in));
}

static void turn(struct intake *in)
{
	enum err rc = ERR_OK;

	if (!in->box && !in->stopping && backoff_wait_ms(&in->reconnect) == 0 && in->lost == ERR_OK)
		rc = connect_now(in);
	if (rc == ERR_OK && in->box && !in->stopping)
		if ((rc = look(in)) == ERR_OK)
			found_well(in);
	if (rc != ERR_OK)
		lose(in, rc);
	if (tell_due_ms(in) == 0)
		tell(in);
}

static void intake_run(struct intake *in)
{
	int64_t stop_by = 0;

	for (;;) {
		turn(in);
		if (is_over(in))
			return;
		if (in->stopping && stop_by == 0)
			stop_by = when_monotonic_ms() + STOP_MS;
		if (in->stopping && when_monotonic_ms() >= stop_by)
			return; /* what is still out stays in the mailbox */
		enum err rc = wait_for_news(in);
		if (rc != ERR_OK)
			lose(in, rc);
	}
}

int intake_main(const struct role_options *options)
{
	const struct conf *conf = options->conf;
	struct intake in = { .options = options,
		.conf = &conf->mailbox[options->index],
		.reconnect = backoff_make(
		    conf->limits.reconnect_first_seconds, conf->limits.reconnect_most_seconds),
		.pause = backoff_make(PAUSE_FIRST_SECONDS, PAUSE_MOST_SECONDS) };

	for (size_t i = 0; i < IN_FLIGHT_MAX; i++)
		in.flights[i].ticket = -1;
	for (size_t i = 0; i < SETTLES; i++)
		in.refused[i] = in.reconnect;
	if (!options->once) /* which may take as long as a server's silence */
		role_report(false, "connecting");
	intake_run(&in);
	enum err rc = in.lost;
	if (rc == ERR_OK && options->once && in.asides.count > 0)
		rc = ERR_TEMPORARY;
	mailbox_close(&in.box);
	mailbox_list_free(&in.listing.ids);
	asides_free(&in.asides);
	str_free(&in.trouble);
	str_free(&in.hindered_by);
	str_free(&in.hindrance);
	return err_exit_status(rc);
}
