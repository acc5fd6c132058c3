/*
 * Mails: one alone with one command; where many wait, a range of them, first their sizes, then as many as fit
 * into a moderate memory.
 *
 * A mail over which the connection breaks, or of which more comes than was asked for, must not hold up the
 * others: the connection is made again, the range is given up for one at a time, and the mail itself fails.
 */
#include <inttypes.h>
#include <strings.h>

#include "mail/imapbox_internal.h"

#define AHEAD_BYTES ((size_t)4 << 20) /* of mails, in memory */
#define LINE_BYTES 1024               /* around a mail */
#define ANSWERS_BYTES ((size_t)256 << 10)
#define REPAIRS_MOST 3

void imapbox_ahead_clear(struct imapbox *box)
{
	for (size_t i = 0; i < box->ahead_count; i++)
		buf_free(&box->ahead[i].body);
	box->ahead_count = 0;
}

static struct imapbox_ahead *find(struct imapbox *box, uint32_t uid)
{
	for (size_t i = 0; i < box->ahead_count; i++)
		if (box->ahead[i].uid == uid)
			return &box->ahead[i];
	return NULL;
}

void imapbox_ahead_drop(struct imapbox *box, uint32_t uid)
{
	struct imapbox_ahead *mail = find(box, uid);

	if (mail) {
		buf_free(&mail->body);
		mail->read = false;
	}
}

/* ---- what FETCH answers ---- */

struct item {
	uint32_t uid;
	size_t size;
	bool sized, read, quoted;
	struct bytes body;
};

/* "(UID 7 RFC822.SIZE 44 BODY[]<0> {44}…)"; what else a server tells of a mail is passed over. */
static struct item read_item(struct bytes rest)
{
	struct item item = { 0 };
	struct bytes all, name, value;

	if (imapbox_token(&rest, &all) != IMAPBOX_LIST)
		return item;
	while (imapbox_token(&all, &name) == IMAPBOX_ATOM) {
		bool quoted = all.len > 1 && all.data[1] == '"';
		enum imapbox_token kind = imapbox_token(&all, &value);
		if (imapbox_is(name, "UID")) {
			item.uid = imapbox_number(value);
		} else if (imapbox_is(name, "RFC822.SIZE") && kind == IMAPBOX_ATOM) {
			item.size = imapbox_number(value);
			item.sized = true;
		} else if (name.len >= 6 &&
			   strncasecmp((const char *)name.data, "BODY[]", 6) == 0) {
			item.read = kind == IMAPBOX_STRING || imapbox_is(value, "NIL");
			item.quoted = quoted;
			item.body = kind == IMAPBOX_STRING ? value : bytes_of(NULL, 0);
		}
	}
	return item;
}

/* The planned mail that a FETCH answer is about, and what it says; NULL for anything else. */
static struct imapbox_ahead *item_for(
    struct imapbox *box, const struct imapbox_answer *answer, struct item *out)
{
	struct imapbox_ahead *mail;

	if (!imapbox_is(answer->word, "FETCH"))
		return NULL;
	*out = read_item(answer->rest);
	mail = find(box, out->uid);
	if (mail && out->sized) {
		mail->size = out->size;
		mail->sized = true;
	}
	return mail;
}

static enum err keep_size(struct imapbox *box, const struct imapbox_answer *answer, void *argument)
{
	struct item item;

	(void)argument;
	(void)item_for(box, answer, &item);
	return ERR_OK;
}

static enum err keep_body(struct imapbox *box, const struct imapbox_answer *answer, void *argument)
{
	struct item item;
	struct imapbox_ahead *mail = item_for(box, answer, &item);

	(void)argument;
	if (!mail || !item.read || mail->read)
		return ERR_OK;
	char *plain = item.quoted ? imapbox_unquote(item.body) : NULL;
	mail->body.secret = true; /* there may be a token in it */
	if (plain)
		buf_add_text(&mail->body, plain);
	else
		buf_add(&mail->body, item.body.data, item.body.len);
	mail->read = true;
	str_wipe(&plain);
	return ERR_OK;
}

/* ---- ranges ---- */

/*
 * The UIDs of what is to be read, as RFC 3501's sets; neighbours by number only, so that it names nothing
 * else.
 */
static void add_set(const struct imapbox *box, struct buf *out)
{
	for (size_t i = 0; i < box->ahead_count; i++) {
		size_t last = i;
		while (last + 1 < box->ahead_count &&
		       box->ahead[last + 1].uid == box->ahead[last].uid + 1)
			last++;
		buf_addf(out, "%s%u", i ? "," : "", box->ahead[i].uid);
		if (last > i)
			buf_addf(out, ":%u", box->ahead[last].uid);
		i = last;
	}
}

/* This mail, and those that wait behind it where they are still to be read ahead. */
static void plan(struct imapbox *box, uint32_t uid)
{
	size_t at = 0;

	imapbox_ahead_clear(box);
	box->ahead[box->ahead_count++] = (struct imapbox_ahead){ .uid = uid };
	if (box->one_by_one || uid <= box->ahead_up_to)
		return;
	while (at < box->uid_count && box->uids[at] <= uid)
		at++;
	while (at < box->uid_count && box->ahead_count < IMAPBOX_RANGE)
		box->ahead[box->ahead_count++] = (struct imapbox_ahead){ .uid = box->uids[at++] };
	box->ahead_up_to = box->ahead[box->ahead_count - 1].uid;
}

static size_t asked_for(const struct imapbox *box, const struct imapbox_ahead *mail)
{
	return !mail->sized || mail->size > box->ahead_most ? box->ahead_most : mail->size;
}

/* Keeps of the plan what fits, and has not vanished; the first in any case. */
static void narrow(struct imapbox *box)
{
	size_t total = 0, kept = 0;

	for (size_t i = 0; i < box->ahead_count; i++) {
		const struct imapbox_ahead *mail = &box->ahead[i];
		if (i == 0 || mail->sized)
			total += asked_for(box, mail);
		if (i > 0 && total > AHEAD_BYTES)
			break;
		box->ahead_up_to = mail->uid;
		if (i == 0 || mail->sized)
			box->ahead[kept++] = *mail;
	}
	box->ahead_count = kept;
}

static enum err read_sizes(struct imapbox *box)
{
	struct buf set = BUF_INIT;

	add_set(box, &set);
	enum err err = imapbox_command(
	    box, ANSWERS_BYTES, keep_size, NULL, "UID FETCH %s (UID RFC822.SIZE)", buf_text(&set));
	buf_free(&set);
	return err;
}

static enum err ask_bodies(struct imapbox *box, const char *set, size_t bytes)
{
	enum err err = imapbox_send(
	    box, bytes, "UID FETCH %s (UID RFC822.SIZE BODY.PEEK[]<0.%zu>)", set, box->ahead_most);

	box->literal_most = box->ahead_most;
	return err ? err : imapbox_finish(box, keep_body, NULL);
}

/*
 * A size that a server tells may be somewhat wrong, so double is allowed for; a part (RFC 3501 6.4.5) never is
 * larger than asked for.
 */
static enum err read_bodies(struct imapbox *box)
{
	struct buf set = BUF_INIT;
	size_t bytes = ANSWERS_BYTES;

	add_set(box, &set);
	for (size_t i = 0; i < box->ahead_count; i++)
		bytes += 2 * asked_for(box, &box->ahead[i]) + LINE_BYTES;
	enum err err = ask_bodies(box, buf_text(&set), bytes);
	buf_free(&set);
	return err;
}

/* ---- one mail ---- */

static enum err read_range(struct imapbox *box)
{
	enum err err = read_sizes(box);

	if (err)
		return err;
	narrow(box);
	return read_bodies(box);
}

/*
 * The connection broke over this, and is made again, unless that has happened too often: ERR_UNAVAILABLE.
 * Otherwise keeps the sentence. ERR_NOINPUT when the folder is another one now.
 */
static enum err repair(struct imapbox *box)
{
	uint32_t validity = box->validity;

	if (box->repairs >= REPAIRS_MOST)
		return ERR_UNAVAILABLE;
	box->repairs++;
	box->one_by_one = true;
	char *why = str_dup(err_text());
	enum err err = imapbox_connect(box) ? ERR_UNAVAILABLE : ERR_OK;
	if (!err && box->validity != validity)
		err = err_fail(ERR_NOINPUT, "the mail is gone: its folder was replaced by another");
	else if (!err)
		err = err_fail(ERR_OK, "%s", why);
	str_free(&why);
	return err;
}

/* A mail that was read goes from our hands: it is asked for once. */
static enum err give(struct imapbox *box, struct imapbox_ahead *mail, size_t max_bytes,
    struct buf *out, size_t *size_out)
{
	size_t len = mail->body.len < max_bytes ? mail->body.len : max_bytes;
	bool whole = mail->body.len < box->ahead_most;

	buf_add(out, mail->body.data, len);
	/* Some servers count the size otherwise than they send it. */
	*size_out = whole || mail->size < mail->body.len ? mail->body.len : mail->size;
	imapbox_ahead_drop(box, mail->uid);
	box->repairs = 0;
	return ERR_OK;
}

/* Why it is not there although the server has answered: gone (RFC 5530 3 has a code), or it can't be read. */
static enum err missing(struct imapbox *box, uint32_t uid, enum err answered)
{
	const struct imapbox_ahead *mail = find(box, uid);

	if (answered == ERR_TEMPORARY && !str_equal(box->code, "EXPUNGEISSUED"))
		return err_prefix(ERR_IO, "the mail can't be read");
	if (mail && mail->sized)
		return err_fail(ERR_IO, "%s did not give the mail", box->server->name);
	imapbox_forget(box, uid);
	return err_fail(ERR_NOINPUT, "the mail is gone");
}

/* What became of a command for one mail; where the connection broke over it the mail fails, and the connection is made again. */
static enum err repaired(struct imapbox *box, enum err err)
{
	if (err != ERR_UNAVAILABLE)
		return err;
	err = repair(box);
	return err ? err : ERR_IO;
}

static enum err read_mail(struct imapbox *box, uint32_t uid)
{
	enum err err;

	plan(box, uid);
	if (box->ahead_count > 1) {
		err = read_range(box);
		if (err == ERR_OK)
			return err;
		if (err == ERR_UNAVAILABLE)
			err = repair(box);
		if (err && err != ERR_TEMPORARY)
			return err;
		plan(box, uid);
	}
	return repaired(box, read_bodies(box));
}

/* ---- less than the mail ---- */

static bool is_short(const struct imapbox *box, const struct imapbox_ahead *mail)
{
	if (!mail->read)
		return false;
	return mail->sized ? mail->body.len < asked_for(box, mail) : mail->body.len == 0;
}

static enum err say_short(const struct imapbox *box, size_t got, size_t size)
{
	return err_fail(
	    ERR_IO, "%s gave only %zu bytes of a mail of %zu", box->server->name, got, size);
}

/*
 * A server that fails may give less than the mail, or nothing (NIL, {0}), and that must not pass for it. Some only count otherwise than
 * they send; those send the same a second time.
 */
static enum err read_again(struct imapbox *box, struct imapbox_ahead *mail)
{
	struct buf first = mail->body;
	uint32_t uid = mail->uid;
	char *set = str_printf("%" PRIu32, uid);

	mail->body = (struct buf)BUF_SECRET;
	mail->read = false;
	enum err err =
	    first.len == 0
		? say_short(box, 0, mail->size)
		: repaired(box, ask_bodies(box, set, ANSWERS_BYTES + 2 * asked_for(box, mail)));
	mail = find(box, uid);
	if (!err && mail && is_short(box, mail) &&
	    !bytes_equal(buf_bytes(&first), buf_bytes(&mail->body))) {
		err = say_short(box, mail->body.len, mail->size);
		imapbox_ahead_drop(box, uid);
	}
	str_free(&set);
	buf_free(&first);
	return err;
}

enum err imapbox_fetch(
    struct imapbox *box, uint32_t uid, size_t max_bytes, struct buf *out, size_t *size_out)
{
	struct imapbox_ahead *mail = find(box, uid);
	enum err err = ERR_OK;

	if (!mail || !mail->read || box->ahead_most != max_bytes) {
		box->ahead_most = max_bytes;
		err = read_mail(box, uid);
		mail = find(box, uid);
	}
	if ((!err || err == ERR_TEMPORARY) && mail && is_short(box, mail)) {
		err = read_again(box, mail);
		mail = find(box, uid);
	}
	if (err && err != ERR_TEMPORARY)
		return err;
	return mail && mail->read ? give(box, mail, max_bytes, out, size_out)
				  : missing(box, uid, err);
}
