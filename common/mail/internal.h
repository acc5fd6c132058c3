/* What the files of this room share and nobody else sees. */
#ifndef MAIL_INTERNAL_H
#define MAIL_INTERNAL_H

#include "mail/message.h"

#define TYPE_BYTES_MAX 100

/* prescan.c: what must hold before libetpan may see a mail; ERR_DATA with the reason. */
CHECKED enum err prescan(struct bytes mail, const struct message_limits *limits);

/* header.c */
struct header_field {
	struct bytes name;
	struct bytes value; /* with its folds, without the last line end */
};
/* The bytes of a mail before its first empty line. */
struct bytes header_block(struct bytes mail);
/* The next field of a header block; lines that are none are skipped. Advances *rest. */
bool header_next(struct bytes *rest, struct header_field *out);
bool header_is(const struct header_field *field, const char *name);
/* The value on one line, trimmed; malloc'ed. */
char *header_unfold(struct bytes value);
/* RFC 2047 decoded, one clean line of UTF-8; malloc'ed. */
char *words_decode(const char *raw);
/* "<id>" or the first of several; visible ASCII only, without brackets; NULL for anything odd. */
char *message_id_read(const char *value);
bool message_id_valid(const char *id);

struct parameter {
	const char *name, *value;
};
/* A parameter's value by RFC 2231 (split, with charset) or as encoded words; NULL if absent. malloc'ed. */
char *parameter_decode(const struct parameter *list, size_t count, const char *name);

/* transfer.c: content transfer encodings. The lenient form reads as much as it can, for text. */
enum transfer { TRANSFER_IDENTITY, TRANSFER_QUOTED, TRANSFER_BASE64 };
void transfer_decode_text(struct bytes in, enum transfer how, struct buf *out);
/* For everything else: ERR_DATA, and nothing in `out`, when base64 is not clean. */
CHECKED enum err transfer_decode(struct bytes in, enum transfer how, struct buf *out);
void quoted_printable_decode(struct bytes in, bool in_header, struct buf *out);

/* block.c: OpenPGP blocks in text (RFC 4880 6, 7). */
enum block_kind {
	BLOCK_MESSAGE,
	BLOCK_PUBLIC_KEY,
	BLOCK_PRIVATE_KEY,
	BLOCK_SIGNED,
	BLOCK_SIGNATURE
};
struct block {
	enum block_kind kind;
	struct bytes before; /* text in front of the block */
	struct bytes whole;  /* from its first line to its last */
	struct bytes after;
};
/* The first whole block in `text`. */
bool block_find(struct bytes text, struct block *out);
/* The block with LF and without blanks around its lines, whatever mail systems did to it (P2.6). */
void block_clean(struct bytes block, struct buf *out);
/* The text inside a cleartext-signed block, dashes unescaped. */
void block_signed_text(struct bytes block, struct buf *out);
bool packet_is_key(struct bytes data);
bool packet_is_encrypted(struct bytes data);

/* leaf.c */
/* A part without parts: its fields, decoded. */
struct leaf {
	char type[TYPE_BYTES_MAX];
	char *name, *charset;
	bool attached, flowed, delsp;
	enum transfer transfer;
	bool opaque; /* an encoding that nobody knows */
	struct bytes raw;
};
struct mailmime; /* libetpan's */
/* Of a MAILMIME_SINGLE node; `raw` is borrowed from the mail. */
void leaf_read(const struct mailmime *node, struct leaf *leaf);
void leaf_free(struct leaf *leaf);

/* flowed.c: RFC 3676; LF line ends. */
void flowed_unwrap(struct bytes text, bool delsp, struct buf *out);

/* entity.c: the code point of "amp", "#38", "#x26"; 0 if unknown. */
uint32_t entity_code(const char *name);

/* sender.c: fills what a message says of itself in its header (`block`, raw). */
CHECKED enum err sender_read(struct bytes block, struct message *out);

/* message.c */
CHECKED enum err message_add_key(
    struct message *m, enum key_origin origin, const char *name, struct bytes data);
CHECKED enum err message_add_attachment(
    struct message *m, const char *type, const char *name, struct bytes data);
bool media_type_valid(const char *type); /* "type/subtype", lower-case */

/* prescan.c, header.c */
bool bytes_blank(struct bytes text); /* nothing but white space */
bool bytes_start_case(struct bytes text, const char *prefix);
struct bytes bytes_trim(struct bytes text);

#endif
