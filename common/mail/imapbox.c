#include "mail/imapbox_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SEARCH_BYTES ((size_t)16 << 20) /* the numbers of more than a million mails */
#define LOGOUT_SECONDS 2

/* ---- open and close ---- */

/* A name that no server could take is told at once, not when the first mail is settled. */
static enum err check_names(const struct conf_mailbox *conf)
{
	struct buf raw = BUF_INIT;
	enum err err = imapbox_folder_name(conf->done_folder, &raw);

	if (!err)
		err = imapbox_folder_name(conf->ignored_folder, &raw);
	buf_free(&raw);
	return err;
}

static enum err box_open(struct mailbox *mailbox)
{
	struct imapbox *box = mem_alloc(sizeof *box);

	mailbox->state = box;
	box->conf = mailbox->conf;
	box->path = mailbox->url.path;
	box->implicit_tls = str_equal(mailbox->url.scheme, "imaps");
	box->reply.secret = true;
	box->done.name = box->conf->done_folder;
	box->ignored.name = box->conf->ignored_folder;
	enum err err = check_names(box->conf);
	return err ? err : imapbox_connect(box);
}

/* Polite, where the connection is good for it; nothing depends on the answer. */
static void log_out(struct imapbox *box)
{
	struct imapbox_answer answer;
	char *line = str_printf("%sa%u LOGOUT\r\n", box->idling ? "DONE\r\n" : "", ++box->tag);

	server_begin(box->server, LOGOUT_SECONDS, 0);
	enum err err = imapbox_put(box, bytes_of_text(line));
	while (!err) /* BYE ends it */
		err = imapbox_take(box, &answer);
	str_free(&line);
}

static void box_close(struct mailbox *mailbox)
{
	struct imapbox *box = mailbox->state;

	if (box->server)
		log_out(box);
	imapbox_ahead_clear(box);
	buf_free(&box->reply);
	buf_free(&box->capabilities);
	str_free(&box->done.raw);
	str_free(&box->ignored.raw);
	str_free(&box->prefix);
	free(box->uids);
	free(box);
	mailbox->state = NULL;
}

/* ---- what waits ---- */

struct found {
	uint32_t *uids;
	size_t count;
};

static enum err read_search(
    struct imapbox *box, const struct imapbox_answer *answer, void *argument)
{
	struct found *found = argument;
	struct bytes rest = answer->rest, word;

	if (!imapbox_is(answer->word, "SEARCH"))
		return ERR_OK;
	found->uids = mem_array(found->uids, found->count + rest.len / 2 + 1, sizeof *found->uids);
	while (imapbox_token(&rest, &word) == IMAPBOX_ATOM) {
		uint32_t uid = imapbox_number(word);
		if (uid > box->searched) /* "n:*" always means the last mail too */
			found->uids[found->count++] = uid;
	}
	return ERR_OK;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void add_found(struct imapbox *box, struct found *found)
{
	if (found->count == 0)
		return;
	qsort(found->uids, found->count, sizeof *found->uids, by_number);
	box->uids = mem_array(box->uids, IMAPBOX_WAITING_MOST, sizeof *box->uids);
	for (size_t i = 0; i < found->count; i++)
		if (box->uid_count == IMAPBOX_WAITING_MOST) {
			box->unsearched = true;
			return;
		} else if (found->uids[i] > box->searched) {
			box->searched = found->uids[i];
			box->uids[box->uid_count++] = found->uids[i];
			box->grown = true;
		}
}

bool imapbox_may_search(const struct imapbox *box)
{
	return box->unsearched && box->uid_count <= IMAPBOX_WAITING_MOST / 2;
}

enum err imapbox_search(struct imapbox *box)
{
	struct found found = { NULL, 0 };

	box->unsearched = false; /* what comes while it is searched may be missed */
	enum err err = imapbox_command(box, SEARCH_BYTES, read_search, &found,
	    "UID SEARCH UID %" PRIu32 ":* UNDELETED", box->searched + 1);
	if (!err)
		add_found(box, &found);
	else if (err == ERR_TEMPORARY)
		err =
		    imapbox_lose(box, err_prefix(ERR_UNAVAILABLE, "the folder can't be searched"));
	free(found.uids);
	return err;
}

void imapbox_forget(struct imapbox *box, uint32_t uid)
{
	uint32_t *at = box->uid_count > 0
			   ? bsearch(&uid, box->uids, box->uid_count, sizeof *box->uids, by_number)
			   : NULL;

	if (at) {
		box->uid_count--;
		memmove(at, at + 1, (size_t)(box->uids + box->uid_count - at) * sizeof *at);
	}
	imapbox_ahead_drop(box, uid);
}

static enum err box_list(struct mailbox *mailbox, char ***ids_out, size_t *count_out)
{
	struct imapbox *box = mailbox->state;
	enum err err = imapbox_connected(box);

	if (!err && imapbox_may_search(box)) {
		err = imapbox_idle_end(box);
		if (!err)
			err = imapbox_search(box);
	}
	if (err)
		return err;
	box->grown = false;
	char **ids = mem_array(NULL, box->uid_count + 1, sizeof *ids);
	for (size_t i = 0; i < box->uid_count; i++)
		ids[i] = str_printf("%" PRIu32 "-%" PRIu32, box->validity, box->uids[i]);
	ids[box->uid_count] = NULL;
	*ids_out = ids;
	*count_out = box->uid_count;
	return ERR_OK;
}

/* The UID in an id; 0 when it is of another time of this folder, so that its mail is gone. */
static uint32_t uid_of(const struct imapbox *box, const char *id)
{
	const char *dash = strchr(id, '-');

	if (!dash || imapbox_number(bytes_of(id, (size_t)(dash - id))) != box->validity)
		return 0;
	return imapbox_number(bytes_of_text(dash + 1));
}

static enum err box_fetch(
    struct mailbox *mailbox, const char *id, size_t max_bytes, struct buf *out, size_t *size_out)
{
	struct imapbox *box = mailbox->state;
	enum err err = imapbox_idle_end(box);

	if (err)
		return err;
	uint32_t uid = uid_of(box, id);
	return uid ? imapbox_fetch(box, uid, max_bytes, out, size_out)
		   : err_fail(ERR_NOINPUT, "the mail is gone");
}

/* ---- settling: one mail, by its UID; what has come since the look stays as it is ---- */

static enum err flag_and_expunge(struct imapbox *box, uint32_t uid)
{
	enum err err = imapbox_command(
	    box, 0, NULL, NULL, "UID STORE %" PRIu32 " +FLAGS.SILENT (\\Deleted)", uid);

	/*
	 * RFC 4315 2.1. Without it EXPUNGE would take away whatever else somebody has marked: it stays,
	 * marked, and is listed no more.
	 */
	if (!err && imapbox_can(box, "UIDPLUS"))
		err = imapbox_command(box, 0, NULL, NULL, "UID EXPUNGE %" PRIu32, uid);
	return err;
}

/*
 * RFC 6851. Without it a connection that is lost between COPY and STORE leaves the mail here and a copy there, and nobody knows: it is copied a
 * second time. A UID that is gone is passed over without a word (RFC 3501 6.4.8).
 */
static enum err move_to(struct imapbox *box, uint32_t uid, const char *raw)
{
	struct buf name = BUF_INIT;
	bool moves = imapbox_can(box, "MOVE");

	imapbox_add_quoted(&name, raw);
	enum err err = imapbox_command(box, 0, NULL, NULL, "UID %s %" PRIu32 " %s",
	    moves ? "MOVE" : "COPY", uid, buf_text(&name));
	buf_free(&name);
	return err || moves ? err : flag_and_expunge(box, uid);
}

/* Somebody may have removed the folder since it was last used: made again, once (RFC 3501 7.1, TRYCREATE). */
static enum err move(struct imapbox *box, uint32_t uid, struct imapbox_folder *folder)
{
	enum err err = imapbox_folder_ready(box, folder);

	if (!err)
		err = move_to(box, uid, folder->raw);
	if (err == ERR_TEMPORARY && folder->raw && str_equal(box->code, "TRYCREATE")) {
		str_free(&folder->raw);
		err = imapbox_folder_ready(box, folder);
		if (!err)
			err = move_to(box, uid, folder->raw);
	}
	return err;
}

static enum err box_settle(struct mailbox *mailbox, const char *id, enum settle how)
{
	struct imapbox *box = mailbox->state;
	struct imapbox_folder *folder = how == SETTLE_DONE      ? &box->done
					: how == SETTLE_IGNORED ? &box->ignored
								: NULL;
	enum err err = imapbox_idle_end(box);

	if (err)
		return err;
	uint32_t uid = uid_of(box, id);
	if (!uid)
		return ERR_OK;
	err = folder && *folder->name ? move(box, uid, folder) : flag_and_expunge(box, uid);
	if (err == ERR_TEMPORARY)
		return err_prefix(err,
		    folder ? "a mail can't be moved to %s" : "a mail can't be removed%s",
		    folder ? folder->name : "");
	if (!err)
		imapbox_forget(box, uid);
	return err;
}

/* ---- */

static enum err box_watch(struct mailbox *mailbox, int *fd_out, int64_t *within_ms_out)
{
	return imapbox_watch(mailbox->state, fd_out, within_ms_out);
}

static enum err box_drain(struct mailbox *mailbox, bool *news_out)
{
	return imapbox_drain(mailbox->state, news_out);
}

static enum err box_check(struct mailbox *mailbox, struct buf *notes)
{
	static const struct {
		const char *capability, *note;
	} wanted[] = {
		{ "IDLE",
		    "has no IDLE: it is asked for new mail once a minute, so answers come later" },
		{ "MOVE",
		    "has no MOVE: settled mails are copied and then removed, and one over which the "
		    "connection is lost in between comes to their folder twice" },
		{ "UIDPLUS",
		    "has no UIDPLUS: removed mails, also such with tokens, are only marked as deleted and "
		    "stay in the folder until somebody expunges it" },
	};
	struct imapbox *box = mailbox->state;
	enum err err = imapbox_idle_end(box);

	if (!err && *box->done.name)
		err = imapbox_folder_ready(box, &box->done);
	if (!err && *box->ignored.name)
		err = imapbox_folder_ready(box, &box->ignored);
	for (size_t i = 0; !err && i < sizeof wanted / sizeof *wanted; i++)
		if (!imapbox_can(box, wanted[i].capability))
			buf_addf(notes, "%s %s\n", box->server->name, wanted[i].note);
	return err;
}

const struct mailbox_driver driver_imap = { box_open, box_close, box_list, box_fetch, box_settle,
	box_watch, box_drain, box_check };
