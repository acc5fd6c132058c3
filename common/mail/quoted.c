#include "mail/quoted.h"

#include <string.h>

#define QP_LINE_MAX 76

static bool stays_plain(int byte, size_t at, struct bytes line)
{
	if (byte == ' ' || byte == '\t') {
		return at + 1 < line.len;
	}
	if (at == 0 && byte == 'F') {
		return line.len < 5 || memcmp(line.data, "From ", 5) != 0;
	}
	if (at == 0 && byte == '.') {
		return line.len > 1;
	}
	return byte > ' ' && byte < 0x7f && byte != '=';
}

static void add_line(struct buf *out, struct bytes line, const char *line_end)
{
	size_t column = 0;
	for (size_t i = 0; i < line.len; i++) {
		bool plain = stays_plain(line.data[i], i, line);
		size_t width = plain ? 1 : 3;
		/* The last one may use the column that "=" would need. */
		size_t most = i + 1 < line.len ? QP_LINE_MAX - 1 : QP_LINE_MAX;
		if (column + width > most) {
			buf_addf(out, "=%s", line_end);
			column = 0;
		}
		if (plain) {
			buf_add_byte(out, line.data[i]);
		} else {
			buf_addf(out, "=%02X", line.data[i]);
		}
		column += width;
	}
}

/* Unlike bytes_line, tells which end the line had: "", "\n" or "\r\n". */
static struct bytes next_line(struct bytes *rest, const char **end_out)
{
	const uint8_t *end = memchr(rest->data, '\n', rest->len);
	struct bytes line = { rest->data, end ? (size_t)(end - rest->data) : rest->len };
	size_t used = line.len + (end ? 1 : 0);
	rest->data += used;
	rest->len -= used;
	*end_out = end ? "\n" : "";
	if (end && line.len > 0 && line.data[line.len - 1] == '\r') {
		line.len--;
		*end_out = "\r\n";
	}
	return line;
}

void quoted_printable_add(struct buf *out, struct bytes text, const char *line_end)
{
	while (text.len > 0) {
		const char *end;
		struct bytes line = next_line(&text, &end);
		add_line(out, line, line_end);
		buf_add_text(out, *end ? line_end : "");
	}
}

void lines_add(struct buf *out, struct bytes text, const char *line_end)
{
	while (text.len > 0) {
		const char *end;
		struct bytes line = next_line(&text, &end);
		buf_add(out, line.data, line.len);
		buf_add_text(out, *end ? line_end : "");
	}
}
