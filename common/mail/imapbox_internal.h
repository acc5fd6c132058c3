/*
 * imapbox: a folder of an IMAP server (RFC 3501) as a mailbox. The stream is libetpan's over our own link;
 * what goes over it is written and read here, because libetpan 1.9.4 reads an answer whole before anybody can
 * say that it is too large, and falls over several that a server may give.
 *
 *   imapbox_wire.c    one command, its answers      imapbox_fetch.c   mails, in ranges
 *   imapbox_token.c   what answers are made of      imapbox_folder.c  the folders for settled mails
 *   imapbox_login.c   from greeting to SELECT       imapbox_idle.c    waiting
 *   imapbox.c         the driver, list and settle
 */
#ifndef MAIL_IMAPBOX_INTERNAL_H
#define MAIL_IMAPBOX_INTERNAL_H

#include "mail/mailbox_internal.h"
#include "mail/server_internal.h"

#define IMAPBOX_RANGE 100 /* mails asked for at once */
#define IMAPBOX_CODE_BYTES 32
#define IMAPBOX_WAITING_MOST \
	10000 /* mails known to wait; the others are found when half of these are done */

/* A mail fetched before it is asked for. */
struct imapbox_ahead {
	uint32_t uid;
	size_t size; /* as the server says */
	bool sized, read;
	struct buf body;
};

struct imapbox_folder {
	const char *name; /* of the configuration; "" deletes */
	char *raw;        /* as the server writes it; NULL until it is known to exist */
};

struct imapbox {
	const struct conf_mailbox *conf;
	const char *path;      /* of the URL */
	bool implicit_tls;     /* imaps */
	struct server *server; /* NULL: the connection is lost */

	/* the wire */
	unsigned tag;
	size_t literal_most;     /* a longer one is refused before it is read */
	struct buf reply;        /* the answer read last, with its literals */
	struct buf capabilities; /* " IMAP4REV1 IDLE ", upper-case */
	char
	    code[IMAPBOX_CODE_BYTES]; /* of the last tagged answer, or of BYE: "OVERQUOTA", or "" */
	bool ended;                   /* by the server: BYE, or it closed */

	/* the folder */
	uint32_t validity;
	uint32_t exists;
	bool unsearched; /* there may be mails that no search has found yet */
	bool grown;      /* a search has found some since the last listing */
	uint32_t *uids;  /* that wait, ascending */
	size_t uid_count;
	uint32_t searched; /* the highest UID ever found */

	/* reading ahead */
	struct imapbox_ahead ahead[IMAPBOX_RANGE];
	size_t ahead_count, ahead_most; /* ahead_most: how much of each was asked for */
	uint32_t ahead_up_to;           /* no mail is read ahead twice */
	bool one_by_one;
	unsigned repairs; /* connections lost over a mail since one was fetched */

	bool idling, idle_refused;
	int64_t renew_ms; /* when IDLE, or the look without it, is to be renewed */

	struct imapbox_folder done, ignored;
	bool rooted;    /* the three below are known */
	char *prefix;   /* of the personal namespace, raw */
	char delimiter; /* '\0': no hierarchy */
};

/* ---- imapbox_wire.c ---- */

enum imapbox_kind { IMAPBOX_UNTAGGED, IMAPBOX_TAGGED, IMAPBOX_CONTINUE };
/* An answer, borrowed from box->reply until the next one is read. */
struct imapbox_answer {
	enum imapbox_kind kind;
	uint32_t number;   /* "* 12 EXISTS" */
	struct bytes word; /* "EXISTS", "OK"; none of a continuation */
	struct bytes rest;
};
/*
 * Sees what comes before the tagged answer; an error of its own ends the command, and must have lost the
 * connection.
 */
typedef enum err imapbox_handler(
    struct imapbox *box, const struct imapbox_answer *answer, void *argument);

bool imapbox_is(struct bytes word, const char *expect);
bool imapbox_can(const struct imapbox *box, const char *capability);
/* The connection ends; gives ERR_UNAVAILABLE, or `err` when that is another, with the sentence that is kept. */
enum err imapbox_lose(struct imapbox *box, enum err err);
/* ERR_UNAVAILABLE when it has ended before. */
CHECKED enum err imapbox_connected(const struct imapbox *box);
/* Writes bytes as they are. */
CHECKED enum err imapbox_put(struct imapbox *box, struct bytes text);
/* Reads one answer. What any answer may bring (EXISTS, EXPUNGE, capabilities, BYE) is seen to. */
CHECKED enum err imapbox_take(struct imapbox *box, struct imapbox_answer *out);
/*
 * Reads up to the tagged answer of the command sent last; `handler` may be NULL. ERR_TEMPORARY for NO and BAD,
 * with box->code and "HOST:PORT: the server's words"; ERR_UNAVAILABLE when the connection broke.
 */
CHECKED enum err imapbox_finish(struct imapbox *box, imapbox_handler *handler, void *argument);
/* Of a tagged answer that was taken: ours, and as above. */
CHECKED enum err imapbox_conclude(struct imapbox *box, const struct imapbox_answer *answer);
/* Begins an operation (bytes: what may be answered, 0: little), and sends a command with a tag. */
CHECKED enum err imapbox_send(struct imapbox *box, size_t bytes, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Both. */
CHECKED enum err imapbox_command(struct imapbox *box, size_t bytes, imapbox_handler *handler,
    void *argument, const char *format, ...) PRINTF_LIKE(5, 6);

/* ---- imapbox_token.c ---- */

enum imapbox_token { IMAPBOX_NONE, IMAPBOX_ATOM, IMAPBOX_STRING, IMAPBOX_LIST };
/*
 * The next value of an answer: an atom (NIL too, or BODY[…]<0>), a string (quoted, with its backslashes, or a
 * literal), a list without its outer parentheses. Advances *rest; IMAPBOX_NONE at the end or before what is
 * none.
 */
enum imapbox_token imapbox_token(struct bytes *rest, struct bytes *out);
/* Decimal, 32 bits; 0 for anything else. */
uint32_t imapbox_number(struct bytes text);
/* A quoted string without backslashes; malloc'ed. */
char *imapbox_unquote(struct bytes text);
/* Within quotation marks, for a command. */
void imapbox_add_quoted(struct buf *out, const char *text);
/* UTF-8 to the form of folder names (RFC 3501 5.1.3); ERR_CONFIG when it is not UTF-8 or has controls. */
CHECKED enum err imapbox_folder_name(const char *text, struct buf *out);

/* ---- imapbox_login.c ---- */

/* Connects, logs in, selects; what was known of the folder is forgotten. */
CHECKED enum err imapbox_connect(struct imapbox *box);

/* ---- imapbox_folder.c ---- */

/* The folder exists when this returns ERR_OK. ERR_TEMPORARY with the server's words when it can't be made. */
CHECKED enum err imapbox_folder_ready(struct imapbox *box, struct imapbox_folder *folder);

/* ---- imapbox_fetch.c ---- */

CHECKED enum err imapbox_fetch(
    struct imapbox *box, uint32_t uid, size_t max_bytes, struct buf *out, size_t *size_out);
void imapbox_ahead_clear(struct imapbox *box);
void imapbox_ahead_drop(struct imapbox *box, uint32_t uid);

/* ---- imapbox_idle.c ---- */

CHECKED enum err imapbox_watch(struct imapbox *box, int *fd_out, int64_t *within_ms_out);
CHECKED enum err imapbox_drain(struct imapbox *box, bool *news_out);
void imapbox_renew_later(struct imapbox *box);
/* Before any command. */
CHECKED enum err imapbox_idle_end(struct imapbox *box);

/* ---- imapbox.c ---- */

/* Whether there may be mails that no search has found, and room for them. */
bool imapbox_may_search(const struct imapbox *box);
/* Adds to the UIDs that wait what has come since the last search, the oldest first, as many as there is room for. */
CHECKED enum err imapbox_search(struct imapbox *box);
/* The mail is here no more. */
void imapbox_forget(struct imapbox *box, uint32_t uid);

#endif
