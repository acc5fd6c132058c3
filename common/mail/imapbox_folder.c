/* The folders for settled mails: at the top, or below INBOX where the server allows nothing else. */
#include <stdlib.h>

#include "mail/imapbox_internal.h"

/* RFC 2342 5: the first personal namespace, (("INBOX." ".")) … . */
static enum err read_namespace(
    struct imapbox *box, const struct imapbox_answer *answer, void *argument)
{
	struct bytes rest = answer->rest, all, first, prefix, delimiter;

	(void)argument;
	if (!imapbox_is(answer->word, "NAMESPACE") || imapbox_token(&rest, &all) != IMAPBOX_LIST ||
	    imapbox_token(&all, &first) != IMAPBOX_LIST ||
	    imapbox_token(&first, &prefix) != IMAPBOX_STRING)
		return ERR_OK;
	str_free(&box->prefix);
	box->prefix = imapbox_unquote(prefix);
	if (imapbox_token(&first, &delimiter) == IMAPBOX_STRING && delimiter.len > 0)
		box->delimiter = (char)delimiter.data[delimiter.len - 1];
	return ERR_OK;
}

/* "* LIST (flags) "/" name": the hierarchy's delimiter, and whether such a folder is there. */
static enum err read_list(struct imapbox *box, const struct imapbox_answer *answer, void *argument)
{
	struct bytes rest = answer->rest, flags, delimiter, flag;
	bool *there = argument;

	if (!imapbox_is(answer->word, "LIST") || imapbox_token(&rest, &flags) != IMAPBOX_LIST)
		return ERR_OK;
	if (imapbox_token(&rest, &delimiter) == IMAPBOX_STRING && delimiter.len > 0)
		box->delimiter = (char)delimiter.data[delimiter.len - 1];
	*there = true;
	while (imapbox_token(&flags, &flag) == IMAPBOX_ATOM)
		if (imapbox_is(flag, "\\Noselect") || imapbox_is(flag, "\\NonExistent"))
			*there = false;
	return ERR_OK;
}

/* Where personal folders are. What a server does not tell stays at the top, without hierarchy. */
static enum err find_root(struct imapbox *box)
{
	bool there;
	enum err err = ERR_OK;

	if (box->rooted)
		return ERR_OK;
	str_free(&box->prefix);
	box->delimiter = '\0';
	if (imapbox_can(box, "NAMESPACE"))
		err = imapbox_command(box, 0, read_namespace, NULL, "NAMESPACE");
	if ((!err || err == ERR_TEMPORARY) && !box->delimiter)
		err = imapbox_command(box, 0, read_list, &there, "LIST \"\" \"\"");
	if (err && err != ERR_TEMPORARY)
		return err;
	box->rooted = true;
	return ERR_OK;
}

/*
 * The two places where it may be; malloc'ed, the second NULL where it is the first. "/" in the configuration
 * is the hierarchy's delimiter.
 */
static enum err places(struct imapbox *box, const char *name, char *out[2])
{
	struct buf raw = BUF_INIT;
	const char *prefix = box->prefix ? box->prefix : "";
	enum err err = imapbox_folder_name(name, &raw);

	for (size_t i = 0; i < raw.len; i++)
		if (raw.data[i] == '/' && box->delimiter)
			raw.data[i] = (uint8_t)box->delimiter;
	if (!err) {
		out[0] = str_printf("%s%s", prefix, buf_text(&raw));
		out[1] =
		    box->delimiter ? str_printf("INBOX%c%s", box->delimiter, buf_text(&raw)) : NULL;
		if (str_equal(out[0], out[1]))
			str_free(&out[1]);
	}
	buf_free(&raw);
	return err;
}

static enum err exists(struct imapbox *box, const char *raw, bool *there_out)
{
	struct buf quoted = BUF_INIT;

	*there_out = false;
	imapbox_add_quoted(&quoted, raw);
	enum err err =
	    imapbox_command(box, 0, read_list, there_out, "LIST \"\" %s", buf_text(&quoted));
	buf_free(&quoted);
	return err;
}

/* Mail programs show what is subscribed to (RFC 3501 6.3.6); that it can't be is no fault. */
static enum err create(struct imapbox *box, const char *raw)
{
	struct buf quoted = BUF_INIT;

	imapbox_add_quoted(&quoted, raw);
	enum err err = imapbox_command(box, 0, NULL, NULL, "CREATE %s", buf_text(&quoted));
	if (err == ERR_TEMPORARY && str_equal(box->code, "ALREADYEXISTS")) /* RFC 5530 3 */
		err = ERR_OK;
	if (!err && imapbox_command(box, 0, NULL, NULL, "SUBSCRIBE %s", buf_text(&quoted)) ==
			ERR_UNAVAILABLE)
		err = ERR_UNAVAILABLE;
	buf_free(&quoted);
	return err;
}

static enum err find_or_create(struct imapbox *box, char *const candidates[2], size_t *at_out)
{
	bool there = false;
	enum err err = ERR_OK;

	for (size_t i = 0; i < 2 && candidates[i] && !err; i++) {
		err = exists(box, candidates[i], &there);
		*at_out = i;
		if (!err && there)
			return ERR_OK;
	}
	if (err == ERR_UNAVAILABLE)
		return err;
	err = ERR_TEMPORARY;
	for (size_t i = 0; i < 2 && candidates[i] && err == ERR_TEMPORARY; i++) {
		err = create(box, candidates[i]);
		*at_out = i;
	}
	return err;
}

enum err imapbox_folder_ready(struct imapbox *box, struct imapbox_folder *folder)
{
	char *candidates[2] = { NULL, NULL };
	size_t at = 0;
	enum err err;

	if (folder->raw)
		return ERR_OK;
	err = find_root(box);
	if (!err)
		err = places(box, folder->name, candidates);
	if (!err)
		err = find_or_create(box, candidates, &at);
	if (!err) {
		folder->raw = candidates[at];
		candidates[at] = NULL;
	} else if (err == ERR_TEMPORARY) {
		err = err_prefix(err, "the folder %s can't be made", folder->name);
	}
	str_free(&candidates[0]);
	str_free(&candidates[1]);
	return err;
}
