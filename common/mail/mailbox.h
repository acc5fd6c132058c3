/*
 * mailbox: what the agent watches, behind one interface: list, fetch, settle, wait; a Maildir (POSIX and inotify) or a folder of an
 * IMAP server.
 *
 * Each call may fail with ERR_UNAVAILABLE: the server or directory can't be reached any more. The mailbox then does nothing more; close
 * it and open it again later. Ids stay good over that, and a mail whose id no longer exists is gone.
 */
#ifndef MAIL_MAILBOX_H
#define MAIL_MAILBOX_H

#include "base/buf.h"
#include "base/conf.h"

struct mailbox;

enum settle {
	SETTLE_DONE,    /* to the done folder */
	SETTLE_IGNORED, /* to the ignored folder */
	SETTLE_DELETE,  /* removed for good: it carried a token or a secret (P5.7), or is in
			   quarantine */
};

/*
 * Opens: creates a Maildir's new, cur, tmp when absent; or connects, logs in and selects. `conf` has to outlive it. Folders (Maildir++ ".Done";
 * on a server beside or below the folder, as its hierarchy allows) are made on first use. ERR_CONFIG for a bad URL, ERR_UNAVAILABLE when it
 * can't be reached or its certificate does not hold, ERR_DENIED when the server refused the credentials, or lets us only read: no use in trying again soon.
 */
CHECKED enum err mailbox_open(const struct conf_mailbox *conf, struct mailbox **out);
void mailbox_close(struct mailbox **box);
/* The ids of all mails that wait now (of a server's: of the oldest ten thousand, and of others once half of these are settled), oldest first; NULL-terminated array, each id and the array malloc'ed. */
CHECKED enum err mailbox_list(struct mailbox *box, char ***ids_out, size_t *count_out);
void mailbox_list_free(char ***ids);
/* The first max_bytes of a mail; *size_out its whole size. ERR_NOINPUT when it is gone; ERR_IO when this one can't be read: the others may well be. */
CHECKED enum err mailbox_fetch(
    struct mailbox *box, const char *id, size_t max_bytes, struct buf *out, size_t *size_out);
/* Moves or removes this mail only, durably. Fine if it is gone. ERR_TEMPORARY when the server would not (the folder is full): again later. */
CHECKED enum err mailbox_settle(struct mailbox *box, const char *id, enum settle how);
/*
 * Waiting: mailbox_watch arms *fd_out, which becomes readable when there may be news; *within_ms_out is after how long to go on in any case (0: at
 * once, there are news). Then mailbox_drain reads what is there, and *news_out says whether mailbox_list would find something else than before. What
 * came between the last mailbox_list and mailbox_watch counts as news. list, fetch and settle end the watch.
 */
CHECKED enum err mailbox_watch(struct mailbox *box, int *fd_out, int64_t *within_ms_out);
CHECKED enum err mailbox_drain(struct mailbox *box, bool *news_out);
/* For `countersignd -n`: makes the folders, and says in `notes` (a line each) what an operator should know: no IDLE, no MOVE, no UIDPLUS. */
CHECKED enum err mailbox_check(struct mailbox *box, struct buf *notes);
/* Delivers a mail durably into a Maildir (write, fsync, rename, fsync of the directory): --deliver,
 * submission to maildir:, tests. */
CHECKED enum err maildrop_deliver(const char *dir, struct bytes mail);

#endif
