#include <string.h>

#include "base/encode.h"
#include "mail/imapbox_internal.h"
#include "text/utf8.h"

static struct bytes from(struct bytes text, size_t at)
{
	return bytes_of(text.data + at, text.len - at);
}

/* The length of a quoted string with both its marks; 0 if it has no end. */
static size_t quoted_len(struct bytes text)
{
	for (size_t i = 1; i < text.len; i++) {
		if (text.data[i] == '\\')
			i++;
		else if (text.data[i] == '"')
			return i + 1;
	}
	return 0;
}

/* "{3}\r\nabc": where its bytes begin, and how many there are; false if it is none. */
static bool literal_find(struct bytes text, size_t *start_out, size_t *len_out)
{
	size_t i = text.len > 0 && text.data[0] == '~' ? 2 : 1, len = 0; /* RFC 3516: ~{3} */

	for (; i < text.len && text.data[i] >= '0' && text.data[i] <= '9' && len < SIZE_MAX / 20;
	     i++)
		len = len * 10 + (size_t)(text.data[i] - '0');
	if (text.len - i < 3 || memcmp(text.data + i, "}\r\n", 3) != 0 || text.len - i - 3 < len)
		return false;
	*start_out = i + 3;
	*len_out = len;
	return true;
}

static bool literal_begins(struct bytes text)
{
	return text.data[0] == '{' || (text.data[0] == '~' && text.len > 1 && text.data[1] == '{');
}

/* A string of either form at the start of `text`: how long it is there, and its content. */
static size_t string_len(struct bytes text, struct bytes *content_out)
{
	size_t start, len;

	if (text.data[0] == '"') {
		len = quoted_len(text);
		*content_out = bytes_of(text.data + 1, len > 2 ? len - 2 : 0);
		return len;
	}
	if (!literal_find(text, &start, &len))
		return 0;
	*content_out = bytes_of(text.data + start, len);
	return start + len;
}

/*
 * The length of a list with its parentheses; 0 if it has no end. No recursion: a server may nest as deep as it
 * likes.
 */
static size_t list_len(struct bytes text)
{
	struct bytes content;
	size_t depth = 0, i = 0;

	while (i < text.len) {
		struct bytes here = from(text, i);
		size_t step = 1;
		if (here.data[0] == '(')
			depth++;
		else if (here.data[0] == ')')
			depth--;
		else if (here.data[0] == '"' || literal_begins(here))
			step = string_len(here, &content);
		if (step == 0)
			return 0;
		i += step;
		if (depth == 0)
			return i;
	}
	return 0;
}

/* Up to a blank or a parenthesis, except within brackets. */
static size_t atom_len(struct bytes text)
{
	bool inside = false;
	size_t i = 0;

	for (; i < text.len; i++) {
		uint8_t c = text.data[i];
		if (!inside && (c == ' ' || c == '(' || c == ')' || c == '"'))
			break;
		inside = c == '[' || (inside && c != ']');
	}
	return i;
}

enum imapbox_token imapbox_token(struct bytes *rest, struct bytes *out)
{
	enum imapbox_token kind;
	size_t len;

	*out = bytes_of(NULL, 0);
	while (rest->len > 0 && rest->data[0] == ' ')
		*rest = from(*rest, 1);
	if (rest->len == 0)
		return IMAPBOX_NONE;
	if (rest->data[0] == '(') {
		len = list_len(*rest);
		kind = IMAPBOX_LIST;
		*out = bytes_of(rest->data + 1, len > 2 ? len - 2 : 0);
	} else if (rest->data[0] == '"' || literal_begins(*rest)) {
		len = string_len(*rest, out);
		kind = IMAPBOX_STRING;
	} else {
		len = atom_len(*rest);
		kind = IMAPBOX_ATOM;
		*out = bytes_of(rest->data, len);
	}
	*rest = from(*rest, len);
	return len > 0 ? kind : IMAPBOX_NONE;
}

uint32_t imapbox_number(struct bytes text)
{
	uint64_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return 0;
		n = n * 10 + (uint64_t)(text.data[i] - '0');
		if (n > UINT32_MAX)
			return 0;
	}
	return (uint32_t)n;
}

char *imapbox_unquote(struct bytes text)
{
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '\\' && i + 1 < text.len)
			i++;
		buf_add_byte(&out, text.data[i]);
	}
	buf_add(&out, "", 0);
	return buf_take_text(&out);
}

void imapbox_add_quoted(struct buf *out, const char *text)
{
	buf_add_byte(out, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			buf_add_byte(out, '\\');
		buf_add_byte(out, *text);
	}
	buf_add_byte(out, '"');
}

/* ---- folder names: modified UTF-7 ---- */

/* The code point at the start of valid UTF-8. Advances *rest. */
static uint32_t code_point(struct bytes *rest)
{
	uint8_t lead = rest->data[0];
	size_t len = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	uint32_t code = len == 1 ? lead : lead & (0x7fU >> len);

	for (size_t i = 1; i < len; i++)
		code = code << 6 | (rest->data[i] & 0x3fU);
	*rest = from(*rest, len);
	return code;
}

static void add_unit(struct buf *out, uint32_t unit)
{
	buf_add_byte(out, (int)(unit >> 8));
	buf_add_byte(out, (int)(unit & 0xff));
}

/* UTF-16, in base64 with "," for "/" and without its padding. Clears `units`. */
static void add_shifted(struct buf *out, struct buf *units)
{
	struct buf text = BUF_INIT;

	base64_add(&text, buf_bytes(units), 0, "");
	buf_add_byte(out, '&');
	for (size_t i = 0; i < text.len && text.data[i] != '='; i++)
		buf_add_byte(out, text.data[i] == '/' ? ',' : text.data[i]);
	buf_add_byte(out, '-');
	buf_free(&text);
	buf_clear(units);
}

enum err imapbox_folder_name(const char *text, struct buf *out)
{
	struct bytes rest = bytes_of_text(text);
	struct buf units = BUF_INIT;

	if (!utf8_valid(rest))
		return err_fail(ERR_CONFIG, "a folder name is not UTF-8");
	while (rest.len > 0) {
		uint32_t code = code_point(&rest);
		if (code < ' ' || code == 0x7f) {
			buf_free(&units);
			return err_fail(
			    ERR_CONFIG, "there is a control character in a folder name");
		}
		if (code < 0x7f) {
			if (units.len > 0)
				add_shifted(out, &units);
			buf_add_byte(out, (int)code);
			if (code == '&')
				buf_add_byte(out, '-');
		} else if (code < 0x10000) {
			add_unit(&units, code);
		} else {
			add_unit(&units, 0xd800 + ((code - 0x10000) >> 10));
			add_unit(&units, 0xdc00 + ((code - 0x10000) & 0x3ff));
		}
	}
	if (units.len > 0)
		add_shifted(out, &units);
	buf_free(&units);
	return ERR_OK;
}
