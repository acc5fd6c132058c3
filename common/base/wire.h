/*
 * wire: flat binary records between our own processes (and for hashing). Writing appends to a buf; reading
 * is bounds-checked and sticky: after the first fault every read gives zero or empty, and wire_end says so.
 * Integers are little-endian, strings and bytes carry a u32 length; a NULL string is kept apart from "".
 */
#ifndef BASE_WIRE_H
#define BASE_WIRE_H

#include "base/buf.h"

struct wire {
	const uint8_t *at;
	const uint8_t *end;
	bool bad;
};

void wire_put_u8(struct buf *b, uint8_t v);
void wire_put_u32(struct buf *b, uint32_t v);
void wire_put_i64(struct buf *b, int64_t v);
void wire_put_bytes(struct buf *b, struct bytes v);
void wire_put_text(struct buf *b, const char *v); /* may be NULL */

struct wire wire_open(struct bytes record);
uint8_t wire_u8(struct wire *w);
uint32_t wire_u32(struct wire *w);
int64_t wire_i64(struct wire *w);
struct bytes wire_bytes(struct wire *w); /* borrowed from the record */
char *wire_text(
    struct wire *w); /* malloc'ed; NULL if NULL was put, or after a fault; inner NUL is a fault */
/* ERR_PROTOCOL unless everything was read, exactly, and without fault. */
CHECKED enum err wire_end(const struct wire *w);

#endif
