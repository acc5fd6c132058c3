/* encode: hexadecimal, base64 and Crockford base32 as text and back. Not for secrets that must be compared. */
#ifndef BASE_ENCODE_H
#define BASE_ENCODE_H

#include "base/buf.h"

void hex_add(struct buf *out, struct bytes in); /* upper-case */
CHECKED enum err hex_read(
    const char *text, uint8_t *out, size_t len); /* exactly len bytes, either case */
/* Standard alphabet with padding; a line end after every `line_length` characters and at the end (0: none). */
void base64_add(struct buf *out, struct bytes in, size_t line_length, const char *line_end);
/* Strict but for white space between characters: no other bytes, right padding, no rest bits. Appends. */
CHECKED enum err base64_read(struct bytes text, struct buf *out);
/* Crockford base32 of P1.1, most significant bits first; bits are padded with zero on the right. */
void base32_add(struct buf *out, struct bytes in);
extern const char base32_alphabet[33];
/* 0..31, or -1; folds case, I and L to 1, O to 0. */
int base32_value(int symbol);

#endif
