#include <stdlib.h>

#include "mail/mailbox_internal.h"

static const struct {
	const char *scheme;
	const struct mailbox_driver *driver;
} kinds[] = {
	{ "maildir", &driver_maildir },
	{ "imaps", &driver_imap },
	{ "imap", &driver_imap },
};

enum err mailbox_open(const struct conf_mailbox *conf, struct mailbox **out)
{
	struct mailbox *box = mem_alloc(sizeof *box);
	enum err err = url_parse(conf->server.url, URL_MAILBOX_SCHEMES, &box->url);

	box->conf = conf;
	for (size_t i = 0; !err && i < sizeof kinds / sizeof *kinds; i++)
		if (str_equal(kinds[i].scheme, box->url.scheme))
			box->driver = kinds[i].driver;
	if (!err && !box->driver)
		err = err_fail(ERR_CONFIG, "\"%s\" is not understood", conf->server.url);
	if (!err)
		err = box->driver->open(box);
	if (err)
		mailbox_close(&box);
	*out = box;
	return err;
}

void mailbox_close(struct mailbox **box)
{
	if (*box == NULL)
		return;
	if ((*box)->state)
		(*box)->driver->close(*box);
	url_free(&(*box)->url);
	free(*box);
	*box = NULL;
}

enum err mailbox_list(struct mailbox *box, char ***ids_out, size_t *count_out)
{
	return box->driver->list(box, ids_out, count_out);
}

void mailbox_list_free(char ***ids)
{
	for (char **id = *ids; id && *id; id++)
		str_free(id);
	free(*ids);
	*ids = NULL;
}

enum err mailbox_fetch(
    struct mailbox *box, const char *id, size_t max_bytes, struct buf *out, size_t *size_out)
{
	return box->driver->fetch(box, id, max_bytes, out, size_out);
}

enum err mailbox_settle(struct mailbox *box, const char *id, enum settle how)
{
	return box->driver->settle(box, id, how);
}

enum err mailbox_watch(struct mailbox *box, int *fd_out, int64_t *within_ms_out)
{
	return box->driver->watch(box, fd_out, within_ms_out);
}

enum err mailbox_drain(struct mailbox *box, bool *news_out)
{
	return box->driver->drain(box, news_out);
}

enum err mailbox_check(struct mailbox *box, struct buf *notes)
{
	return box->driver->check(box, notes);
}
