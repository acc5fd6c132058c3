/* internal: what the files of this room share. */
#ifndef ENROLL_INTERNAL_H
#define ENROLL_INTERNAL_H

#include "base/buf.h"

/* ---- marks: what mail systems and people leave between the groups of a token or nonce ---- */

enum mark {
	MARK_NONE, /* something else: a symbol, punctuation, a word */
	MARK_NOTHING, /* invisible: zero-width characters, tags, a soft line break of quoted-printable */
	MARK_BLANK,  /* blanks, quote marks, remains of quoted-printable */
	MARK_HYPHEN, /* hyphens and dashes, soft hyphens */
	MARK_LINE,   /* a line end with the quote prefix that follows it */
};
/* The mark at `at`; *next_out is the byte behind it (`at` for MARK_NONE). Looks at 200 bytes at most but for blanks. */
enum mark mark_at(const uint8_t *at, const uint8_t *end, const uint8_t **next_out);

/* ---- fields: "Name: value" lines in a fixed order (P2.2, P2.5, P6.4) ---- */

struct field {
	const char *name;
	size_t most; /* bytes of the value */
	bool optional;
};
#define FIELD_FAULT_SIZE 200

/*
 * Reads the fields up to a blank line or the end, tolerating what P2.6 says, into values[count]: malloc'ed,
 * never empty, NULL where an optional one is absent. The first value must be "1". False with a sentence
 * that names the field, without its full stop; values are to be freed in both cases.
 */
CHECKED bool fields_read(struct bytes *rest, const struct field *fields, size_t count,
    char **values, char fault[FIELD_FAULT_SIZE]);
/* fields_read for a text that holds nothing else. */
CHECKED bool fields_read_all(struct bytes text, const struct field *fields, size_t count,
    char **values, char fault[FIELD_FAULT_SIZE]);
void fields_free(char **values, size_t count);
/* Fills the sentence for one field and returns false. */
bool field_fault(char fault[FIELD_FAULT_SIZE], const char *name, const char *what);
/* "Name: value\n" with controls made blanks; nothing for NULL or empty values. */
void field_put(struct buf *out, const char *name, const char *value);
/* Upper-case; false unless 40 hexadecimal digits. */
CHECKED bool fingerprint_read(const char *value, char out[41]);
/* After an optional byte order mark and blank lines. */
bool text_begins(struct bytes text, const char *prefix);

/* The nonce in canonical form: five groups with hyphens, the last of six (so that it is never taken for a token);
 * NULL unless exactly 26 symbols are there, with marks anywhere between. malloc'ed. */
char *nonce_canonical(struct bytes text);

enum packet_tag { /* RFC 4880 4.3 */
	PACKET_SIGNATURE = 2,
	PACKET_SECRET_KEY = 5,
	PACKET_PUBLIC_KEY = 6,
	PACKET_SECRET_SUBKEY = 7,
	PACKET_USER_ID = 13,
	PACKET_SUBKEY = 14,
	PACKET_USER_ATTRIBUTE = 17,
};
struct packet { /* of OpenPGP (RFC 4880 4.2) */
	unsigned tag;
	struct bytes whole, body;
};
/* Takes the next packet off *rest; false at the end, and with *bad_out set where there is none, or one of partial or indeterminate length. */
bool packet_next(struct bytes *rest, struct packet *out, bool *bad_out);
/* Of a public-key packet's body, upper-case; false for other versions than 4. */
CHECKED bool packet_fingerprint(struct bytes body, char out[41]);

#endif
