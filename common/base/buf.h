/*
 * buf: growable bytes and the few allocations that everybody needs. Running out of memory ends the
 * process (exit 71), so none of these fails. A buf always holds a NUL after its last byte.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct buf {
	uint8_t *data; /* NULL when empty and never used; else NUL-terminated */
	size_t len;
	size_t cap;
	bool secret; /* wiped when grown, cleared or freed */
};

/* Borrowed bytes: never owned, never freed through this. */
struct bytes {
	const uint8_t *data;
	size_t len;
};

#define BUF_INIT \
	{ \
		0 \
	}
#define BUF_SECRET \
	{ \
		.secret = true \
	}

void buf_add(struct buf *b, const void *data, size_t len);
void buf_add_text(struct buf *b, const char *text);
void buf_add_byte(struct buf *b, int byte);
void buf_addf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_vaddf(struct buf *b, const char *format, va_list ap) PRINTF_LIKE(2, 0);
/* Room for `len` more bytes at the end; the caller writes there and then adds to b->len. */
uint8_t *buf_reserve(struct buf *b, size_t len);
void buf_clear(struct buf *b);
void buf_free(struct buf *b);
/* The content as text ("" when empty); borrowed. */
const char *buf_text(const struct buf *b);
struct bytes buf_bytes(const struct buf *b);
/* Gives the content away as a malloc'ed, NUL-terminated string and leaves `b` empty. */
char *buf_take_text(struct buf *b);

struct bytes bytes_of(const void *data, size_t len);
struct bytes bytes_of_text(const char *text);
bool bytes_equal(struct bytes a, struct bytes b);
/* First place of `needle` in `hay`, or NULL. */
const uint8_t *bytes_find(struct bytes hay, struct bytes needle);

void *mem_alloc(size_t len); /* zeroed */
void *mem_realloc(void *p, size_t len);
void *mem_array(void *p, size_t count, size_t each); /* realloc with overflow check */
void *mem_dup(const void *p, size_t len);            /* NULL for len 0 */
void mem_wipe(void *p, size_t len);                  /* not optimised away */

char *str_dup(const char *s); /* NULL stays NULL */
char *str_ndup(const char *s, size_t len);
char *str_printf(const char *format, ...) PRINTF_LIKE(1, 2);
bool str_equal(const char *a, const char *b);      /* NULL equals only NULL */
bool str_equal_case(const char *a, const char *b); /* ASCII case folded */
bool str_starts(const char *s, const char *prefix);
bool str_starts_case(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
/* The next line of `*rest` without its LF or CRLF; false at the end. Advances *rest. */
bool bytes_line(struct bytes *rest, struct bytes *line_out);
/* Frees a malloc'ed string and leaves NULL; str_wipe also overwrites it. */
void str_free(char **s);
void str_wipe(char **s);
/* Decimal with bounds; ERR_DATA with a sentence otherwise. */
CHECKED enum err str_to_int(const char *s, int64_t min, int64_t max, int64_t *out);

#endif
