/* block: finding OpenPGP blocks in text (RFC 4880 6.2, 7) and cleaning what mail systems did to them. */
#include "mail/internal.h"

#include <string.h>

static const struct block_name {
	const char *begin, *end;
} block_names[] = {
	[BLOCK_MESSAGE] = { "-----BEGIN PGP MESSAGE-----", "-----END PGP MESSAGE-----" },
	[BLOCK_PUBLIC_KEY] = { "-----BEGIN PGP PUBLIC KEY BLOCK-----",
	    "-----END PGP PUBLIC KEY BLOCK-----" },
	[BLOCK_PRIVATE_KEY] = { "-----BEGIN PGP PRIVATE KEY BLOCK-----",
	    "-----END PGP PRIVATE KEY BLOCK-----" },
	[BLOCK_SIGNED] = { "-----BEGIN PGP SIGNED MESSAGE-----", "-----END PGP SIGNATURE-----" },
	[BLOCK_SIGNATURE] = { "-----BEGIN PGP SIGNATURE-----", "-----END PGP SIGNATURE-----" },
};
#define BLOCK_KINDS (sizeof block_names / sizeof *block_names)

/* A line without blanks around it and without a byte order mark. */
static struct bytes bare(struct bytes line)
{
	line = bytes_trim(line);
	if (line.len >= 3 && memcmp(line.data, "\xEF\xBB\xBF", 3) == 0)
		line = bytes_trim(bytes_of(line.data + 3, line.len - 3));
	return line;
}

static bool line_is(struct bytes line, const char *text)
{
	return bytes_equal(bare(line), bytes_of_text(text));
}

static bool block_begins(struct bytes line, enum block_kind *kind_out)
{
	for (size_t i = 0; i < BLOCK_KINDS; i++)
		if (line_is(line, block_names[i].begin)) {
			*kind_out = (enum block_kind)i;
			return true;
		}
	return false;
}

/* Where the block that began ends; NULL if another begins first, or none ends. */
static const uint8_t *block_end(struct bytes rest, enum block_kind kind)
{
	bool signature_begun = kind != BLOCK_SIGNED;
	struct bytes line;
	while (bytes_line(&rest, &line)) {
		enum block_kind other;
		if (line_is(line, block_names[kind].end))
			return signature_begun ? rest.data : NULL;
		if (!block_begins(line, &other))
			continue;
		if (signature_begun || other != BLOCK_SIGNATURE)
			return NULL;
		signature_begun = true;
	}
	return NULL;
}

bool block_find(struct bytes text, struct block *out)
{
	struct bytes rest = text, line;
	while (bytes_line(&rest, &line)) {
		if (!block_begins(line, &out->kind))
			continue;
		const uint8_t *end = block_end(rest, out->kind);
		if (end == NULL)
			continue;
		out->before = bytes_of(text.data, (size_t)(line.data - text.data));
		out->whole = bytes_of(line.data, (size_t)(end - line.data));
		out->after = bytes_of(end, text.len - out->before.len - out->whole.len);
		return true;
	}
	return false;
}

void block_clean(struct bytes block, struct buf *out)
{
	struct bytes line;
	while (bytes_line(&block, &line)) {
		line = bare(line);
		buf_add(out, line.data, line.len);
		buf_add_byte(out, '\n');
	}
}

void block_signed_text(struct bytes block, struct buf *out)
{
	struct bytes line;
	while (bytes_line(&block, &line) && !bytes_blank(line))
		;
	while (bytes_line(&block, &line) && !line_is(line, block_names[BLOCK_SIGNATURE].begin)) {
		if (line.len >= 2 && memcmp(line.data, "- ", 2) == 0)
			line = bytes_of(line.data + 2, line.len - 2);
		buf_add(out, line.data, line.len);
		buf_add_byte(out, '\n');
	}
}

/* RFC 4880 4.2; 0 if it is no packet. */
static unsigned packet_tag(struct bytes data)
{
	if (data.len < 2 || !(data.data[0] & 0x80))
		return 0;
	return data.data[0] & 0x40 ? data.data[0] & 0x3fu : data.data[0] >> 2 & 0x0fu;
}

bool packet_is_key(struct bytes data)
{
	unsigned tag = packet_tag(data);
	return tag == 5 || tag == 6;
}

bool packet_is_encrypted(struct bytes data)
{
	unsigned tag = packet_tag(data);
	return tag == 1 || tag == 3;
}
