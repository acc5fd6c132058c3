/* transfer: content transfer encodings (RFC 2045 6). libetpan's own readers go on after faults. */
#include "base/encode.h"
#include "mail/internal.h"

static int hex_value(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int base64_value(int c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Up to the padding, or to what a mailing list has put below. */
static void base64_decode_text(struct bytes in, struct buf *out)
{
	uint32_t bits = 0;
	unsigned held = 0;
	for (size_t i = 0; i < in.len; i++) {
		int c = in.data[i];
		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			continue;
		int value = base64_value(c);
		if (value < 0)
			break;
		bits = bits << 6 | (uint32_t)value;
		held += 6;
		if (held >= 8) {
			held -= 8;
			buf_add_byte(out, (int)(bits >> held & 0xff));
		}
	}
}

/* The length of "=" blanks line-end at `at`, a soft line break; 0 if it is none. */
static size_t soft_break(struct bytes in, size_t at)
{
	size_t i = at + 1;
	while (i < in.len && (in.data[i] == ' ' || in.data[i] == '\t'))
		i++;
	if (i < in.len && in.data[i] == '\r')
		i++;
	if (i == in.len)
		return i - at;
	return in.data[i] == '\n' ? i + 1 - at : 0;
}

void quoted_printable_decode(struct bytes in, bool in_header, struct buf *out)
{
	for (size_t i = 0; i < in.len; i++) {
		int c = in.data[i];
		if (c == '_' && in_header)
			c = ' ';
		if (c != '=') {
			buf_add_byte(out, c);
			continue;
		}
		size_t skip = soft_break(in, i);
		int high = i + 2 < in.len ? hex_value(in.data[i + 1]) : -1;
		int low = high >= 0 ? hex_value(in.data[i + 2]) : -1;
		if (skip > 0) {
			i += skip - 1;
		} else if (low >= 0) {
			buf_add_byte(out, high << 4 | low);
			i += 2;
		} else {
			buf_add_byte(out, c);
		}
	}
}

void transfer_decode_text(struct bytes in, enum transfer how, struct buf *out)
{
	switch (how) {
	case TRANSFER_BASE64:
		base64_decode_text(in, out);
		break;
	case TRANSFER_QUOTED:
		quoted_printable_decode(in, false, out);
		break;
	case TRANSFER_IDENTITY:
		buf_add(out, in.data, in.len);
		break;
	}
}

enum err transfer_decode(struct bytes in, enum transfer how, struct buf *out)
{
	if (how != TRANSFER_BASE64) {
		transfer_decode_text(in, how, out);
		return ERR_OK;
	}
	struct buf decoded = BUF_INIT;
	enum err err = base64_read(in, &decoded);
	if (err == ERR_OK)
		buf_add(out, decoded.data, decoded.len);
	buf_free(&decoded);
	return err;
}
