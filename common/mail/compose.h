/*
 * compose: writing the few shapes of mail that we send. Everything is 7-bit with CRLF; header
 * values are checked or encoded here, so that no value can start a new header; boundaries are 128
 * random bits.
 */
#ifndef MAIL_COMPOSE_H
#define MAIL_COMPOSE_H

#include "base/buf.h"

struct part {
	const char *type;       /* "text/plain"; for text/… charset=utf-8 is added and the body is
				   quoted-printable or 7bit as needed */
	const char *parameters; /* further parameters as written after "; "
				   ("protocol=\"application/pgp-encrypted\""), or NULL */
	const char *name; /* file name: Content-Disposition attachment (RFC 2231 for non-ASCII);
			     NULL: inline */
	const char *description; /* or NULL */
	struct bytes body;       /* a leaf's content: text with LF or CRLF, or bytes (base64) */
	bool literal; /* the body goes out as it is (armored text, RFC 3156): 7bit, line ends made
			 CRLF */
	const struct part *children; /* multipart/…: the parts; body unused */
	size_t child_count;
};

struct envelope_header {
	const char *from_address, *from_name; /* name may be NULL */
	const char *to_address;
	const char *subject;                  /* UTF-8; encoded words as needed (RFC 2047) */
	const char *message_id;               /* without brackets */
	const char *in_reply_to, *references; /* without brackets, or NULL */
	const char *auto_submitted;           /* "auto-replied", "auto-generated", or NULL */
	int64_t date;
};

#define BOUNDARY_SIZE 32

/* A multipart boundary of 128 random bits; "=_" keeps it out of every encoded text. */
void boundary_make(char out[BOUNDARY_SIZE]);
/* One unstructured header field ("Subject"), folded, encoded as needed, with CRLF. */
void header_text_write(struct buf *out, const char *name, const char *value);
/* "RANDOM@DOMAIN", 128 random bits; malloc'ed. */
char *message_id_make(const char *domain);
/* The header and the part, a whole mail. ERR_DATA if an address or Message-ID can't stand in a
 * header. */
CHECKED enum err letter_write(
    const struct envelope_header *header, const struct part *body, struct buf *out);
/* The part alone with its own header fields: what is put inside an encryption, or signed. */
void part_write(const struct part *part, struct buf *out);
/*
 * RFC 3156: both shapes as whole mails. `signed_part` is the exact output of part_write that was
 * signed; signature is armored; micalg as keyhome_sign said ("pgp-sha512").
 */
CHECKED enum err letter_write_signed(const struct envelope_header *header, struct bytes signed_part,
    struct bytes signature, const char *micalg, struct buf *out);
CHECKED enum err letter_write_encrypted(
    const struct envelope_header *header, struct bytes armored, struct buf *out);

#endif
