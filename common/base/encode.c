#include <string.h>

#include "base/encode.h"

const char base32_alphabet[33] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void hex_add(struct buf *out, struct bytes in)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < in.len; i++) {
		buf_add_byte(out, digits[in.data[i] >> 4]);
		buf_add_byte(out, digits[in.data[i] & 15]);
	}
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

enum err hex_read(const char *text, uint8_t *out, size_t len)
{
	if (strlen(text) != 2 * len)
		return err_fail(
		    ERR_DATA, "%zu hexadecimal digits expected, %zu found", 2 * len, strlen(text));
	for (size_t i = 0; i < len; i++) {
		int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return err_fail(ERR_DATA, "not hexadecimal");
		out[i] = (uint8_t)(high << 4 | low);
	}
	return ERR_OK;
}

static void base64_quad(const uint8_t *in, size_t len, char quad[4])
{
	uint32_t bits =
	    (uint32_t)in[0] << 16 | (len > 1 ? (uint32_t)in[1] << 8 : 0) | (len > 2 ? in[2] : 0);

	quad[0] = base64_alphabet[bits >> 18];
	quad[1] = base64_alphabet[bits >> 12 & 63];
	quad[2] = len > 1 ? base64_alphabet[bits >> 6 & 63] : '=';
	quad[3] = len > 2 ? base64_alphabet[bits & 63] : '=';
}

void base64_add(struct buf *out, struct bytes in, size_t line_length, const char *line_end)
{
	char quad[4];
	size_t column = 0;

	for (size_t i = 0; i < in.len; i += 3) {
		base64_quad(in.data + i, in.len - i, quad);
		for (size_t k = 0; k < 4; k++) {
			if (line_length && column == line_length) {
				buf_add_text(out, line_end);
				column = 0;
			}
			buf_add_byte(out, quad[k]);
			column++;
		}
	}
	if (line_length && column)
		buf_add_text(out, line_end);
}

static int base64_value(uint8_t c)
{
	const char *at = c ? strchr(base64_alphabet, c) : NULL;

	return at ? (int)(at - base64_alphabet) : -1;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

enum err base64_read(struct bytes text, struct buf *out)
{
	uint32_t bits = 0;
	size_t count = 0, padding = 0, start = out->len;

	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];
		int value = base64_value(c);

		if (is_blank(c))
			continue;
		if (c == '=')
			padding++;
		else if (value < 0 || padding)
			goto bad;
		count++;
		bits = bits << 6 | (value < 0 ? 0 : (uint32_t)value);
		if (count % 4 == 0) {
			buf_add_byte(out, (int)(bits >> 16 & 255));
			buf_add_byte(out, (int)(bits >> 8 & 255));
			buf_add_byte(out, (int)(bits & 255));
		}
	}
	/* What padding replaces must have been zero (RFC 4648 3.5). */
	if (count % 4 || padding > 2 || (bits & ((1U << (padding * 8)) - 1)) != 0)
		goto bad;
	out->len -= padding;
	if (out->data)
		out->data[out->len] = 0;
	return ERR_OK;
bad:
	if (out->data) {
		mem_wipe(out->data + start, out->len - start);
		out->len = start;
	}
	return err_fail(ERR_DATA, "not valid base64");
}

void base32_add(struct buf *out, struct bytes in)
{
	uint32_t bits = 0;
	unsigned count = 0;

	for (size_t i = 0; i < in.len; i++) {
		bits = (bits << 8 | in.data[i]) & 0xFFFF;
		for (count += 8; count >= 5; count -= 5)
			buf_add_byte(out, base32_alphabet[bits >> (count - 5) & 31]);
	}
	if (count)
		buf_add_byte(out, base32_alphabet[bits << (5 - count) & 31]);
}

int base32_value(int symbol)
{
	const char *at;

	if (symbol >= 'a' && symbol <= 'z')
		symbol += 'A' - 'a';
	if (symbol == 'I' || symbol == 'L')
		symbol = '1';
	else if (symbol == 'O')
		symbol = '0';
	at = symbol > 0 && symbol < 128 ? strchr(base32_alphabet, symbol) : NULL;
	return at ? (int)(at - base32_alphabet) : -1;
}
