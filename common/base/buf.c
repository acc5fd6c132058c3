#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"

#define BUF_FIRST_BYTES 64

_Noreturn static void out_of_memory(void)
{
	static const char text[] = "out of memory\n";

	if (write(STDERR_FILENO, text, sizeof text - 1) < 0) {
		/* Nothing is left to say it with. */
	}
	_exit(EX_OSERR);
}

void *mem_alloc(size_t len)
{
	void *p = calloc(1, len ? len : 1);

	if (!p)
		out_of_memory();
	return p;
}

void *mem_realloc(void *p, size_t len)
{
	p = realloc(p, len ? len : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *mem_array(void *p, size_t count, size_t each)
{
	p = reallocarray(p, count ? count : 1, each ? each : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *mem_dup(const void *p, size_t len)
{
	return len ? memcpy(mem_alloc(len), p, len) : NULL;
}

void mem_wipe(void *p, size_t len)
{
	if (len)
		explicit_bzero(p, len);
}

/* A secret is moved by hand, so that no copy stays behind in freed memory. */
static void buf_grow(struct buf *b, size_t cap)
{
	uint8_t *data;

	if (!b->secret) {
		b->data = mem_realloc(b->data, cap);
		b->cap = cap;
		return;
	}
	data = mem_alloc(cap);
	if (b->len)
		memcpy(data, b->data, b->len);
	mem_wipe(b->data, b->cap);
	free(b->data);
	b->data = data;
	b->cap = cap;
}

uint8_t *buf_reserve(struct buf *b, size_t len)
{
	size_t need, cap;

	if (__builtin_add_overflow(b->len, len, &need) || need > SIZE_MAX / 2)
		out_of_memory();
	need++;
	if (need > b->cap) {
		cap = b->cap > BUF_FIRST_BYTES ? b->cap : BUF_FIRST_BYTES;
		while (cap < need)
			cap *= 2;
		buf_grow(b, cap);
	}
	/* The NUL stands already where the caller will add to len. */
	b->data[b->len + len] = 0;
	b->data[b->len] = 0;
	return b->data + b->len;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	uint8_t *at = buf_reserve(b, len);

	if (len)
		memcpy(at, data, len);
	b->len += len;
}

void buf_add_text(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void buf_add_byte(struct buf *b, int byte)
{
	uint8_t one = (uint8_t)byte;

	buf_add(b, &one, 1);
}

void buf_vaddf(struct buf *b, const char *format, va_list ap)
{
	va_list again;
	int len;

	va_copy(again, ap);
	len = vsnprintf(NULL, 0, format, again);
	va_end(again);
	assert(len >= 0);
	(void)vsnprintf((char *)buf_reserve(b, (size_t)len), (size_t)len + 1, format, ap);
	b->len += (size_t)len;
}

void buf_addf(struct buf *b, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	buf_vaddf(b, format, ap);
	va_end(ap);
}

void buf_clear(struct buf *b)
{
	if (b->secret)
		mem_wipe(b->data, b->cap);
	b->len = 0;
	if (b->data)
		b->data[0] = 0;
}

void buf_free(struct buf *b)
{
	if (b->secret)
		mem_wipe(b->data, b->cap);
	free(b->data);
	b->data = NULL;
	b->len = b->cap = 0;
}

const char *buf_text(const struct buf *b)
{
	return b->data ? (const char *)b->data : "";
}

struct bytes buf_bytes(const struct buf *b)
{
	return bytes_of(b->data, b->len);
}

char *buf_take_text(struct buf *b)
{
	char *text;

	(void)buf_reserve(b, 0);
	text = (char *)b->data;
	b->data = NULL;
	b->len = b->cap = 0;
	return text;
}

struct bytes bytes_of(const void *data, size_t len)
{
	return (struct bytes){ data, len };
}

struct bytes bytes_of_text(const char *text)
{
	return bytes_of(text, strlen(text));
}

bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

const uint8_t *bytes_find(struct bytes hay, struct bytes needle)
{
	if (needle.len == 0)
		return hay.data;
	if (needle.len > hay.len)
		return NULL;
	return memmem(hay.data, hay.len, needle.data, needle.len);
}

bool bytes_line(struct bytes *rest, struct bytes *line_out)
{
	const uint8_t *end;
	size_t len;

	if (rest->len == 0)
		return false;
	end = memchr(rest->data, '\n', rest->len);
	len = end ? (size_t)(end - rest->data) : rest->len;
	*line_out = bytes_of(rest->data, len);
	if (end && len > 0 && rest->data[len - 1] == '\r')
		line_out->len--;
	len += end != NULL;
	*rest = bytes_of(rest->data + len, rest->len - len);
	return true;
}

char *str_dup(const char *s)
{
	return s ? str_ndup(s, strlen(s)) : NULL;
}

char *str_ndup(const char *s, size_t len)
{
	char *copy;

	len = len > 0 ? strnlen(s, len) : 0; /* of nothing, s may be NULL */
	copy = mem_alloc(len + 1);
	if (len > 0)
		memcpy(copy, s, len);
	return copy;
}

char *str_printf(const char *format, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, format);
	buf_vaddf(&b, format, ap);
	va_end(ap);
	return buf_take_text(&b);
}

bool str_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static int fold(char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

bool str_equal_case(const char *a, const char *b)
{
	return a && b ? str_starts_case(a, b) && strlen(a) == strlen(b) : a == b;
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_starts_case(const char *s, const char *prefix)
{
	for (; *prefix; s++, prefix++)
		if (fold(*s) != fold(*prefix))
			return false;
	return true;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t len = strlen(s), suffix_len = strlen(suffix);

	return len >= suffix_len && strcmp(s + len - suffix_len, suffix) == 0;
}

void str_free(char **s)
{
	free(*s);
	*s = NULL;
}

void str_wipe(char **s)
{
	if (*s)
		mem_wipe(*s, strlen(*s));
	str_free(s);
}

enum err str_to_int(const char *s, int64_t min, int64_t max, int64_t *out)
{
	const char *digits = *s == '-' ? s + 1 : s;
	char *end;
	intmax_t value;

	/* strtoimax alone would let blanks and "+" through. */
	if (!isdigit((unsigned char)*digits))
		return err_fail(ERR_DATA, "\"%.40s\" is not a number", s);
	errno = 0;
	value = strtoimax(s, &end, 10);
	if (*end)
		return err_fail(ERR_DATA, "\"%.40s\" is not a number", s);
	if (errno == ERANGE || value < min || value > max)
		return err_fail(
		    ERR_DATA, "%.40s is not between %" PRId64 " and %" PRId64, s, min, max);
	*out = value;
	return ERR_OK;
}
