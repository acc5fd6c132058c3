#include <string.h>

#include "base/encode.h"
#include "enroll/packets.h"

#define BEGIN "-----BEGIN PGP "
#define END "-----END PGP "
#define DASHES "-----"
#define LINE 64
#define CRC_INIT 0xb704ceU
#define CRC_POLY 0x1864cfbU

static uint32_t crc24(struct bytes b) /* RFC 4880 6.1 */
{
	uint32_t crc = CRC_INIT;
	for (size_t i = 0; i < b.len; i++) {
		crc ^= (uint32_t)b.data[i] << 16;
		for (int k = 0; k < 8; k++) {
			crc <<= 1;
			if (crc & 0x1000000U)
				crc ^= CRC_POLY;
		}
	}
	return crc & 0xffffffU;
}

static bool begins(struct bytes b, const char *text)
{
	size_t len = strlen(text);
	return b.len >= len && memcmp(b.data, text, len) == 0;
}

static struct bytes tail(struct bytes b, size_t from)
{
	return bytes_of(b.data + from, b.len - from);
}

/* Only blanks or a byte order mark between here and the line's begin. */
static bool at_line_begin(struct bytes text, const uint8_t *at)
{
	while (at > text.data && (at[-1] == ' ' || at[-1] == '\t'))
		at--;
	if (at == text.data || at[-1] == '\n' || at[-1] == '\r')
		return true;
	return at - text.data >= 3 && memcmp(at - 3, "\xef\xbb\xbf", 3) == 0;
}

const uint8_t *armor_find(struct bytes text, const char *kind)
{
	if (!text.len)
		return NULL;
	const uint8_t *end = text.data + text.len;
	for (const uint8_t *at = text.data;
	     (at = bytes_find(bytes_of(at, (size_t)(end - at)), bytes_of_text(BEGIN))) != NULL;
	     at += strlen(BEGIN)) {
		struct bytes name = tail(bytes_of(at, (size_t)(end - at)), strlen(BEGIN));
		if (!at_line_begin(text, at))
			continue;
		if (!kind || (begins(name, kind) && begins(tail(name, strlen(kind)), DASHES)))
			return at;
	}
	return NULL;
}

/* Without blanks at both ends and their remains in quoted-printable. */
static struct bytes trimmed(struct bytes b)
{
	while (b.len && (b.data[0] == ' ' || b.data[0] == '\t'))
		b = tail(b, 1);
	for (size_t before = b.len + 1; b.len < before;) {
		before = b.len;
		while (b.len && b.data[b.len - 1] && strchr(" \t\r", b.data[b.len - 1]))
			b.len--;
		if (b.len >= 3 && memcmp(b.data + b.len - 3, "=20", 3) == 0)
			b.len -= 3;
	}
	return b;
}

static bool is_end(struct bytes line, const char *kind)
{
	return begins(line, END) && begins(tail(line, strlen(END)), kind) &&
	       begins(tail(line, strlen(END) + strlen(kind)), DASHES);
}

/* One line of data; "=3D" stands for "=", and a "=" where no padding can be is a soft line break. */
static void data_add(struct buf *data, struct bytes line)
{
	for (size_t i = 0; i < line.len; i++) {
		buf_add_byte(data, line.data[i]);
		if (line.data[i] == '=' && i + 2 < line.len && line.data[i + 1] == '3' &&
		    (line.data[i + 2] | 0x20) == 'd')
			i += 2;
	}
	if (data->len % 4 == 1 && data->data[data->len - 1] == '=')
		data->data[--data->len] = 0;
}

/* The CRC line "=XXXX", or as quoted-printable "=3DXXXX": its four characters. */
static bool crc_line(struct bytes line, struct bytes *out)
{
	if (line.len != 5 && !(line.len == 7 && begins(line, "=3D")))
		return false;
	*out = tail(line, line.len - 4);
	return line.data[0] == '=' && !memchr(out->data, '=', 4);
}

static enum err crc_check(struct bytes text, struct bytes content)
{
	struct buf crc = BUF_INIT;
	enum err err = base64_read(text, &crc);
	if (err || crc.len != 3 ||
	    ((uint32_t)crc.data[0] << 16 | (uint32_t)crc.data[1] << 8 | crc.data[2]) !=
		crc24(content))
		err = err_fail(ERR_DATA, "the OpenPGP block is damaged: its checksum does not fit");
	buf_free(&crc);
	return err;
}

/* Behind the "-----BEGIN" line, its headers (which hold a colon, as no data does) and blank lines. */
static struct bytes behind_headers(struct bytes rest)
{
	struct bytes line;
	for (struct bytes next = rest; bytes_line(&next, &line); rest = next) {
		line = trimmed(line);
		if (line.len && !begins(line, BEGIN) && !memchr(line.data, ':', line.len))
			break;
	}
	return rest;
}

enum err armor_read(struct bytes text, const char *kind, struct buf *out, const uint8_t **after_out)
{
	const uint8_t *begin = armor_find(text, kind);
	if (!begin)
		return err_fail(ERR_DATA, "no OpenPGP %s found", kind);
	struct buf data = BUF_SECRET, content = BUF_SECRET;
	struct bytes rest = behind_headers(tail(text, (size_t)(begin - text.data))), line,
		     crc = { 0 };
	enum err err;
	bool ended = false;
	while (!ended && bytes_line(&rest, &line)) {
		line = trimmed(line);
		ended = is_end(line, kind);
		if (!ended && !crc_line(line, &crc))
			data_add(&data, line);
	}
	if (!ended) {
		err =
		    err_fail(ERR_DATA, "the OpenPGP %s is cut off: its last line is missing", kind);
		goto out;
	}
	err = base64_read(buf_bytes(&data), &content);
	if (err) {
		err = err_fail(ERR_DATA, "the OpenPGP %s is damaged: it is not valid base64", kind);
		goto out;
	}
	if (crc.len)
		err = crc_check(crc, buf_bytes(&content));
	if (err)
		goto out;
	buf_add(out, content.data, content.len);
	if (after_out)
		*after_out = rest.data;
out:
	buf_free(&data);
	buf_free(&content);
	return err;
}

void armor_write(const char *kind, struct bytes binary, struct buf *out)
{
	uint32_t crc = crc24(binary);
	const uint8_t sum[3] = { (uint8_t)(crc >> 16), (uint8_t)(crc >> 8), (uint8_t)crc };
	buf_addf(out, BEGIN "%s" DASHES "\n\n", kind);
	base64_add(out, binary, LINE, "\n");
	buf_add_byte(out, '=');
	base64_add(out, bytes_of(sum, sizeof(sum)), 0, "");
	buf_addf(out, "\n" END "%s" DASHES "\n", kind);
}
