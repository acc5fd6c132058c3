/* header: our own walk over header fields, and the encodings of their values (RFC 2047, RFC 2231). */
#include "mail/internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "text/utf8.h"

#define MESSAGE_ID_BYTES_MAX 900
#define SECTIONS_MAX 100

static bool is_blank(int c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct bytes bytes_trim(struct bytes text)
{
	while (text.len > 0 && is_blank(text.data[text.len - 1]))
		text.len--;
	while (text.len > 0 && is_blank(text.data[0])) {
		text.data++;
		text.len--;
	}
	return text;
}

bool bytes_blank(struct bytes text)
{
	return bytes_trim(text).len == 0;
}

struct bytes header_block(struct bytes mail)
{
	struct bytes rest = mail, line;
	const uint8_t *end = mail.data;
	while (bytes_line(&rest, &line) && line.len > 0)
		end = rest.data;
	return bytes_of(mail.data, (size_t)(end - mail.data));
}

bool header_next(struct bytes *rest, struct header_field *out)
{
	struct bytes line;
	while (bytes_line(rest, &line)) {
		const uint8_t *colon = line.len ? memchr(line.data, ':', line.len) : NULL;
		if (colon == NULL || is_blank(line.data[0]))
			continue;
		const uint8_t *end = line.data + line.len;
		while (rest->len > 0 && (rest->data[0] == ' ' || rest->data[0] == '\t')) {
			struct bytes more;
			if (!bytes_line(rest, &more))
				break;
			end = more.data + more.len;
		}
		out->name = bytes_trim(bytes_of(line.data, (size_t)(colon - line.data)));
		out->value = bytes_of(colon + 1, (size_t)(end - colon - 1));
		return true;
	}
	return false;
}

bool header_is(const struct header_field *field, const char *name)
{
	return field->name.len == strlen(name) && bytes_start_case(field->name, name);
}

char *header_unfold(struct bytes value)
{
	struct buf line = BUF_INIT;
	value = bytes_trim(value);
	for (size_t i = 0; i < value.len; i++)
		if (value.data[i] != '\r' && value.data[i] != '\n')
			buf_add_byte(&line, value.data[i]);
	return buf_take_text(&line);
}

/* One line that can be shown: valid UTF-8, no controls, no blanks at the ends. */
static char *clean_line(struct buf *utf8)
{
	char *printable = utf8_printable(buf_text(utf8), false);
	struct bytes trimmed = bytes_trim(bytes_of_text(printable));
	char *result = str_ndup((const char *)trimmed.data, trimmed.len);
	str_free(&printable);
	buf_free(utf8);
	return result;
}

/* An encoded word: "=?charset*language?B?text?=" */
struct word {
	char charset[41];
	bool base64;
	struct bytes text;
	const char *end;
};

static bool word_read(const char *at, struct word *out)
{
	if (strncmp(at, "=?", 2) != 0)
		return false;
	const char *charset = at + 2;
	size_t len = strcspn(charset, "*?");
	const char *method = strchr(charset, '?');
	if (method == NULL || len == 0 || len >= sizeof out->charset || method[1] == 0 ||
	    method[2] != '?' || strchr("bBqQ", method[1]) == NULL)
		return false;
	const char *text = method + 3;
	const char *end = text + strcspn(text, "?");
	if (strncmp(end, "?=", 2) != 0)
		return false;
	snprintf(out->charset, sizeof out->charset, "%.*s", (int)len, charset);
	out->base64 = (method[1] | 32) == 'b';
	out->text = bytes_of(text, (size_t)(end - text));
	out->end = end + 2;
	return true;
}

/* Bytes in one charset that wait to be converted together: a character may be split between words. */
struct pending {
	struct buf bytes;
	char charset[41];
};

static void pending_flush(struct pending *p, struct buf *out)
{
	if (p->bytes.len > 0)
		utf8_convert(buf_bytes(&p->bytes), p->charset[0] ? p->charset : NULL, out);
	buf_clear(&p->bytes);
}

static void pending_add(struct pending *p, const struct word *w, struct buf *out)
{
	if (strcasecmp(p->charset, w->charset) != 0)
		pending_flush(p, out);
	memcpy(p->charset, w->charset, sizeof p->charset);
	if (w->base64)
		transfer_decode_text(w->text, TRANSFER_BASE64, &p->bytes);
	else
		quoted_printable_decode(w->text, true, &p->bytes);
}

char *words_decode(const char *raw)
{
	struct buf out = BUF_INIT;
	struct pending pending = { 0 };
	struct word word;
	bool after_word = false;
	while (*raw != 0) {
		size_t blanks = strspn(raw, " \t");
		if (after_word && blanks > 0 && word_read(raw + blanks, &word))
			raw += blanks;
		if (word_read(raw, &word)) {
			if (!after_word)
				pending_flush(&pending, &out);
			pending_add(&pending, &word, &out);
			raw = word.end;
			after_word = true;
			continue;
		}
		if (after_word)
			pending_flush(&pending, &out);
		after_word = false;
		pending.charset[0] = 0;
		buf_add_byte(&pending.bytes, *raw++);
	}
	pending_flush(&pending, &out);
	buf_free(&pending.bytes);
	return clean_line(&out);
}

bool message_id_valid(const char *id)
{
	size_t len = strlen(id);
	if (len == 0 || len > MESSAGE_ID_BYTES_MAX)
		return false;
	for (const char *p = id; *p != 0; p++)
		if (*p <= ' ' || *p >= 127 || *p == '<' || *p == '>')
			return false;
	return true;
}

char *message_id_read(const char *value)
{
	const char *start = strchr(value, '<');
	const char *end = start ? strchr(start, '>') : NULL;
	if (end == NULL)
		return NULL;
	char *id = str_ndup(start + 1, (size_t)(end - start - 1));
	if (!message_id_valid(id))
		str_free(&id);
	return id;
}

static const char *parameter_find(const struct parameter *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcasecmp(list[i].name, name) == 0)
			return list[i].value;
	return NULL;
}

static int hex_digit(int c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 32) : NULL;
	return at ? (int)(at - digits) : -1;
}

static void percent_decode(const char *text, struct buf *out)
{
	for (; *text != 0; text++) {
		int high = *text == '%' ? hex_digit(text[1]) : -1;
		int low = high >= 0 ? hex_digit(text[2]) : -1;
		if (low >= 0) {
			buf_add_byte(out, high << 4 | low);
			text += 2;
		} else {
			buf_add_byte(out, *text);
		}
	}
}

/* "charset'language'" in front of a first section (RFC 2231 4); returns what follows. */
static const char *charset_take(const char *text, char **charset_out)
{
	const char *first = strchr(text, '\'');
	const char *second = first ? strchr(first + 1, '\'') : NULL;
	if (second == NULL)
		return text;
	if (first > text)
		*charset_out = str_ndup(text, (size_t)(first - text));
	return second + 1;
}

static char *sections_decode(const struct parameter *list, size_t count, const char *name)
{
	struct buf raw = BUF_INIT, text = BUF_INIT;
	char *charset = NULL, *key = str_printf("%s*", name);
	const char *value = parameter_find(list, count, key);
	if (value != NULL)
		percent_decode(charset_take(value, &charset), &raw);
	for (int i = 0; value == NULL && i < SECTIONS_MAX; i++) {
		str_free(&key);
		key = str_printf("%s*%d*", name, i);
		const char *section = parameter_find(list, count, key);
		if (section != NULL) {
			percent_decode(i == 0 ? charset_take(section, &charset) : section, &raw);
			continue;
		}
		key[strlen(key) - 1] = 0;
		section = parameter_find(list, count, key);
		if (section == NULL)
			break;
		buf_add_text(&raw, section);
	}
	char *result = NULL;
	if (raw.len > 0) {
		utf8_convert(buf_bytes(&raw), charset, &text);
		result = clean_line(&text);
	}
	str_free(&key);
	str_free(&charset);
	buf_free(&raw);
	return result;
}

char *parameter_decode(const struct parameter *list, size_t count, const char *name)
{
	char *result = sections_decode(list, count, name);
	const char *plain = parameter_find(list, count, name);
	if (result == NULL && plain != NULL)
		result = words_decode(plain);
	if (result != NULL && *result == 0)
		str_free(&result);
	return result;
}
