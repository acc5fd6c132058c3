/*
 * mailbox: what the agent watches, behind one interface: list, fetch, settle, wait. Maildir here
 * (POSIX and inotify); IMAP fits in the same calls.
 */
#ifndef MAIL_MAILBOX_H
#define MAIL_MAILBOX_H

#include "base/buf.h"

struct mailbox;

struct mailbox_options {
	const char *url; /* "maildir:/var/lib/…" */
	const char *done_folder,
	    *ignored_folder; /* Maildir++ folders ".Done" made on first use; "" deletes */
};

enum settle {
	SETTLE_DONE,    /* to the done folder */
	SETTLE_IGNORED, /* to the ignored folder */
	SETTLE_DELETE,  /* removed for good: it carried a token or a secret (P5.7), or is in
			   quarantine */
};

/* Opens and creates a Maildir's new, cur, tmp when absent. ERR_CONFIG for a bad URL,
 * ERR_UNAVAILABLE when it can't be reached. */
CHECKED enum err mailbox_open(const struct mailbox_options *options, struct mailbox **out);
void mailbox_close(struct mailbox **box);
/* Appends the ids of all mails that wait now, oldest first; NULL-terminated array, each id and the
 * array malloc'ed. */
CHECKED enum err mailbox_list(struct mailbox *box, char ***ids_out, size_t *count_out);
void mailbox_list_free(char ***ids);
/* The first max_bytes of a mail; *size_out its whole size. ERR_NOINPUT when it is gone. */
CHECKED enum err mailbox_fetch(
    struct mailbox *box, const char *id, size_t max_bytes, struct buf *out, size_t *size_out);
/* Moves or removes this mail only, durably. Fine if it is gone. */
CHECKED enum err mailbox_settle(struct mailbox *box, const char *id, enum settle how);
/* A descriptor to poll for news, armed before the next mailbox_list; mailbox_drain() reads what is
 * there. */
int mailbox_fd(const struct mailbox *box);
CHECKED enum err mailbox_drain(struct mailbox *box);
/* Delivers a mail durably into a Maildir (write, fsync, rename, fsync of the directory): --deliver,
 * submission to maildir:, tests. */
CHECKED enum err maildrop_deliver(const char *dir, struct bytes mail);

#endif
