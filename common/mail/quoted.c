#include "mail/quoted.h"

#include <string.h>

#include "base/encode.h"

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

/* The byte that the escape at `at` says, or -1. */
static int escape_at(struct bytes line, size_t at)
{
	static const char digits[] = "0123456789ABCDEF0123456789abcdef";
	if (line.data[at] != '=' || line.len - at < 3) {
		return -1;
	}
	const char *high = memchr(digits, line.data[at + 1], sizeof digits - 1);
	const char *low = memchr(digits, line.data[at + 2], sizeof digits - 1);
	return high && low ? (int)((high - digits) % 16 * 16 + (low - digits) % 16) : -1;
}

static struct bytes without_trailing_blanks(struct bytes line)
{
	while (
	    line.len > 0 && (line.data[line.len - 1] == ' ' || line.data[line.len - 1] == '\t')) {
		line.len--;
	}
	return line;
}

void quoted_printable_read(struct bytes text, struct buf *out)
{
	while (text.len > 0) {
		const char *end;
		struct bytes line = without_trailing_blanks(next_line(&text, &end));
		bool soft = line.len > 0 && line.data[line.len - 1] == '=';
		line.len -= soft ? 1 : 0;
		for (size_t i = 0; i < line.len; i++) {
			int escaped = escape_at(line, i);
			buf_add_byte(out, escaped >= 0 ? escaped : line.data[i]);
			i += escaped >= 0 ? 2 : 0;
		}
		buf_add_text(out, soft ? "" : end);
	}
}
