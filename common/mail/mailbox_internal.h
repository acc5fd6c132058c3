/* What stands behind mailbox.h: one driver for each kind of mailbox. Private to this room. */
#ifndef MAIL_MAILBOX_INTERNAL_H
#define MAIL_MAILBOX_INTERNAL_H

#include "base/url.h"
#include "mail/mailbox.h"

/* The calls of mailbox.h, with the same contracts. */
struct mailbox_driver {
	enum err (*open)(struct mailbox *box); /* box->state is set, or left NULL */
	void (*close)(struct mailbox *box);    /* frees box->state, which is not NULL */
	enum err (*list)(struct mailbox *box, char ***ids_out, size_t *count_out);
	enum err (*fetch)(struct mailbox *box, const char *id, size_t max_bytes, struct buf *out,
	    size_t *size_out);
	enum err (*settle)(struct mailbox *box, const char *id, enum settle how);
	enum err (*watch)(struct mailbox *box, int *fd_out, int64_t *within_ms_out);
	enum err (*drain)(struct mailbox *box, bool *news_out);
	enum err (*check)(struct mailbox *box, struct buf *notes);
};
extern const struct mailbox_driver driver_maildir; /* maildrop.c */
extern const struct mailbox_driver driver_imap;    /* imapbox.c */

struct mailbox {
	const struct mailbox_driver *driver;
	const struct conf_mailbox *conf;
	struct url url;
	void *state; /* the driver's own */
};

#endif
