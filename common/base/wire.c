#include <assert.h>
#include <string.h>

#include "base/wire.h"

/* The length of a NULL string. */
#define WIRE_NULL UINT32_MAX

static void put_le(struct buf *b, uint64_t v, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		buf_add_byte(b, (int)(v >> (8 * i) & 255));
}

void wire_put_u8(struct buf *b, uint8_t v)
{
	put_le(b, v, 1);
}

void wire_put_u32(struct buf *b, uint32_t v)
{
	put_le(b, v, 4);
}

void wire_put_i64(struct buf *b, int64_t v)
{
	put_le(b, (uint64_t)v, 8);
}

void wire_put_bytes(struct buf *b, struct bytes v)
{
	assert(v.len < WIRE_NULL);
	wire_put_u32(b, (uint32_t)v.len);
	buf_add(b, v.data, v.len);
}

void wire_put_text(struct buf *b, const char *v)
{
	if (v)
		wire_put_bytes(b, bytes_of_text(v));
	else
		wire_put_u32(b, WIRE_NULL);
}

struct wire wire_open(struct bytes record)
{
	return (struct wire){ .at = record.data,
		.end = record.len ? record.data + record.len : record.data };
}

static uint64_t take_le(struct wire *w, unsigned len)
{
	uint64_t v = 0;

	if (w->bad || (size_t)(w->end - w->at) < len) {
		w->bad = true;
		return 0;
	}
	for (unsigned i = 0; i < len; i++)
		v |= (uint64_t)w->at[i] << (8 * i);
	w->at += len;
	return v;
}

uint8_t wire_u8(struct wire *w)
{
	return (uint8_t)take_le(w, 1);
}

uint32_t wire_u32(struct wire *w)
{
	return (uint32_t)take_le(w, 4);
}

int64_t wire_i64(struct wire *w)
{
	return (int64_t)take_le(w, 8);
}

static struct bytes take_bytes(struct wire *w, uint32_t len)
{
	struct bytes v;

	if (w->bad || (size_t)(w->end - w->at) < len) {
		w->bad = true;
		return bytes_of(NULL, 0);
	}
	v = bytes_of(w->at, len);
	if (len)
		w->at += len;
	return v;
}

struct bytes wire_bytes(struct wire *w)
{
	return take_bytes(w, wire_u32(w));
}

char *wire_text(struct wire *w)
{
	uint32_t len = wire_u32(w);
	struct bytes v;

	if (w->bad || len == WIRE_NULL)
		return NULL;
	v = take_bytes(w, len);
	if (v.len && memchr(v.data, 0, v.len))
		w->bad = true;
	return w->bad ? NULL : str_ndup(v.len ? (const char *)v.data : "", v.len);
}

enum err wire_end(const struct wire *w)
{
	if (w->bad)
		return err_fail(ERR_PROTOCOL, "a message between processes is malformed");
	if (w->at != w->end)
		return err_fail(ERR_PROTOCOL, "a message between processes is too long");
	return ERR_OK;
}
