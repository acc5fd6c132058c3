/*
 * message: a mail taken apart into the few things the authority wants to know. message_parse runs only in a confined process
 * (it calls libetpan); the result crosses the process boundary packed, and message_unpack checks it again.
 */
#ifndef MAIL_MESSAGE_H
#define MAIL_MESSAGE_H

#include "base/buf.h"

struct message_limits { /* P4.1 */
	size_t mail_bytes, header_bytes;
	unsigned nesting, parts;
};

enum key_origin { KEY_ATTACHED, KEY_IN_TEXT, KEY_AUTOCRYPT };

struct
    message_key { /* anything that may hold OpenPGP key material: binary or armored bytes as found (P3.4) */
	enum key_origin origin;
	char *name; /* file name or NULL */
	struct buf data;
};

struct
    message_attachment { /* other decoded leaf parts, the client opens reply.countersign among them */
	char *type;      /* "application/vnd.countersign.reply", lower-case */
	char *name;      /* file name (RFC 2231 decoded) or NULL */
	struct buf data;
};

#define MESSAGE_KEYS_MAX 16
#define MESSAGE_ATTACHMENTS_MAX 64

/* What a delivery report says of the mail it is about, the worst of several recipients. */
enum report_action {
	REPORT_NONE,  /* it is none */
	REPORT_OTHER, /* delivered, relayed, expanded */
	REPORT_DELAYED,
	REPORT_FAILED
};

struct message {
	/* headers */
	size_t from_fields;    /* number of From fields */
	size_t from_addresses; /* mailboxes in all of them; P4.3 wants one field with one */
	char *from;            /* addr-spec as sent when there is exactly one, else NULL */
	char *from_name;       /* decoded display name or NULL */
	char *subject;         /* decoded, one line; "" if absent */
	char *message_id;      /* without brackets, visible ASCII only; NULL if absent or odd */
	char *in_reply_to;     /* first of it, likewise */
	bool automatic;        /* Auto-Submitted present and other than "no" */
	bool null_sender;      /* Return-Path: <> */
	bool bulk;             /* List-* or Precedence bulk, list, junk */
	bool report;           /* multipart/report, or message/delivery-status inside */
	char *
	    delivered_to; /* whom it came to, as its header says: addresses in one line, or NULL. Anybody can write anything there */
	enum report_action report_action; /* RFC 3464; or a returned mail of the old kind */
	char *
	    report_message_id; /* Message-ID of the mail that a delivery report is about, or NULL */
	char *report_status;   /* "5.1.1 user unknown", one line, or NULL */
	bool truncated; /* given by the caller: only the first part of a larger mail was there */
	struct buf headers; /* the raw top header block, at most header_bytes: for quarantine */
	/* text, UTF-8, LF; HTML already read as text; P3.2 */
	struct buf
	    new_text; /* the body's new text: of all text parts that are no attachments; of alternatives the plain one, HTML where there is none */
	struct buf quoted_text; /* what is quoted or forwarded in it */
	/* OpenPGP */
	struct buf
	    encrypted; /* the first OpenPGP message, armored or binary, wherever it was (P2.6); empty if there is none */
	struct buf
	    signed_bytes; /* multipart/signed: the exact signed part, CRLF (RFC 3156 5); or a cleartext-signed block as found */
	struct buf signature; /* its detached signature; empty for a cleartext-signed block */
	bool signed_whole;    /* the signature covers the whole body, nothing stands beside it */
	struct message_key keys[MESSAGE_KEYS_MAX];
	size_t key_count;
	struct message_attachment attachments[MESSAGE_ATTACHMENTS_MAX];
	size_t attachment_count;
};

/*
 * Takes a mail apart; `mail` may be anything: a mail, also with an mbox "From " line in front, a MIME entity, or text without
 * a header, such as an armored block that was saved alone (P2.6) or what was inside one. The linear
 * pre-scan comes first (size, header size, a bound on parts and so on nesting, and what is known to hurt libetpan); the exact nesting and number
 * of parts are counted while walking what was parsed. ERR_DATA with a sentence when a limit of P4.1, MESSAGE_KEYS_MAX or
 * MESSAGE_ATTACHMENTS_MAX is passed. `truncated` is left false: the caller sets it afterwards. `out` is to be freed in both cases.
 * Stateless, no files, no threads.
 */
CHECKED enum err message_parse(
    struct bytes mail, const struct message_limits *limits, struct message *out);
/* Once, before confinement: opens converters, loads what libetpan and libc load lazily. */
void message_preload(void);

void message_pack(const struct message *message, struct buf *out);
/* ERR_PROTOCOL if it is no packed message or a field breaks its promise above. `out` is to be freed in both cases. */
CHECKED enum err message_unpack(struct bytes packed, struct message *out);
void message_free(struct message *message);

/* HTML as plain text (tags dropped, entities decoded, block elements as line ends, quotes by <blockquote>, gmail_quote, #divRplyFwdMsg as "> "). UTF-8. */
void html_to_text(struct bytes html, struct buf *out);
/* P3.2: splits text into new and quoted; appends. */
void quote_split(struct bytes text, struct buf *new_text, struct buf *quoted_text);

#endif
