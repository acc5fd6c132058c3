/* Header fields of a draft as raw bytes, so that what is not changed keeps every byte. */
#include "mail/draft_parts.h"

#include <string.h>
#include <strings.h>

#include "mail/internal.h"

static struct bytes raw_line(struct bytes rest)
{
	const uint8_t *end = rest.len ? memchr(rest.data, '\n', rest.len) : NULL;
	return bytes_of(rest.data, end ? (size_t)(end - rest.data) + 1 : rest.len);
}

static struct bytes after(struct bytes whole, size_t len)
{
	return bytes_of(whole.data + len, whole.len - len);
}

static bool is_empty_line(struct bytes line)
{
	return line.len > 0 && (line.data[0] == '\n' ||
				   (line.len == 2 && line.data[0] == '\r' && line.data[1] == '\n'));
}

struct entity entity_split(struct bytes part)
{
	size_t at = 0;
	for (struct bytes line; (line = raw_line(after(part, at))).len > 0; at += line.len) {
		if (is_empty_line(line)) {
			return (struct entity){ bytes_of(part.data, at), line,
				after(part, at + line.len) };
		}
	}
	return (struct entity){ part, after(part, at), after(part, at) };
}

bool raw_field_next(struct bytes *rest, struct raw_field *out)
{
	struct bytes line = raw_line(*rest);
	size_t len = line.len;
	if (len == 0) {
		return false;
	}
	while (len < rest->len && (rest->data[len] == ' ' || rest->data[len] == '\t')) {
		len += raw_line(after(*rest, len)).len;
	}
	const uint8_t *colon = memchr(line.data, ':', line.len);
	size_t name = colon ? (size_t)(colon - line.data) : 0;
	out->raw = bytes_of(rest->data, len);
	out->name = bytes_trim(bytes_of(rest->data, name));
	out->value = after(out->raw, colon ? name + 1 : len);
	*rest = after(*rest, len);
	return true;
}

bool raw_field_is(const struct raw_field *field, const char *name)
{
	return field->name.len == strlen(name) && bytes_start_case(field->name, name);
}

char *raw_field_value(struct bytes head, const char *name)
{
	for (struct raw_field f; raw_field_next(&head, &f);) {
		if (raw_field_is(&f, name)) {
			return header_unfold(f.value);
		}
	}
	return NULL;
}

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t");
}

/* A token or a quoted string; *at moves behind it. malloc'ed. */
static char *parameter_text(const char **at)
{
	struct buf text = BUF_INIT;
	const char *c = *at;
	if (*c == '"') {
		for (c++; *c && *c != '"'; c++) {
			c += *c == '\\' && c[1] ? 1 : 0;
			buf_add_byte(&text, *c);
		}
		c += *c == '"' ? 1 : 0;
	} else {
		size_t len = strcspn(c, "; \t");
		buf_add(&text, c, len);
		c += len;
	}
	*at = c;
	return buf_take_text(&text);
}

static void lower(char *text)
{
	for (; *text; text++) {
		*text = *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text;
	}
}

static const char *parameter_read(const char *at, struct content *out)
{
	at = skip_blanks(at);
	size_t len = strcspn(at, "=; \t");
	const char *value = skip_blanks(at + len);
	if (len > 0 && *value == '=') {
		char *name = str_ndup(at, len);
		value = skip_blanks(value + 1);
		char *text = parameter_text(&value);
		lower(name);
		if (content_parameter(out, name) == NULL) { /* the first one counts */
			content_set_parameter(out, name, text);
		}
		str_free(&text);
		str_free(&name);
	}
	return value + strcspn(value, ";");
}

void content_read(const char *value, struct content *out)
{
	const char *at = skip_blanks(value ? value : "");
	size_t len = strcspn(at, "; \t");
	*out = (struct content){ .type = len ? str_ndup(at, len) : str_dup("text/plain") };
	lower(out->type);
	at += strcspn(at, ";");
	while (*at == ';') {
		at = parameter_read(at + 1, out);
	}
}

const char *content_parameter(const struct content *content, const char *name)
{
	for (size_t i = 0; i < content->count; i++) {
		if (str_equal(content->parameter[i].name, name)) {
			return content->parameter[i].value;
		}
	}
	return NULL;
}

void content_set_parameter(struct content *content, const char *name, const char *value)
{
	size_t i = 0;
	while (i < content->count && !str_equal(content->parameter[i].name, name)) {
		i++;
	}
	if (i == CONTENT_PARAMETERS_MAX) {
		return;
	}
	if (i == content->count) {
		content->parameter[content->count++].name = str_dup(name);
	} else {
		str_free(&content->parameter[i].value);
	}
	content->parameter[i].value = str_dup(value);
}

static bool is_token(const char *text)
{
	for (const char *c = text; *c; c++) {
		if (*c <= ' ' || *c >= 0x7f || strchr("()<>@,;:\\\"/[]?=", *c)) {
			return false;
		}
	}
	return text[0] != '\0';
}

void content_write(const struct content *content, const char *line_end, struct buf *out)
{
	buf_addf(out, "Content-Type: %s", content->type);
	for (size_t i = 0; i < content->count; i++) {
		const char *value = content->parameter[i].value;
		buf_addf(out, ";%s %s=", line_end, content->parameter[i].name);
		if (is_token(value)) {
			buf_add_text(out, value);
			continue;
		}
		buf_add_byte(out, '"');
		for (; *value; value++) {
			if (*value == '"' || *value == '\\') {
				buf_add_byte(out, '\\');
			}
			buf_add_byte(out, *value);
		}
		buf_add_byte(out, '"');
	}
	buf_add_text(out, line_end);
}

void content_free(struct content *content)
{
	str_free(&content->type);
	for (size_t i = 0; i < content->count; i++) {
		str_free(&content->parameter[i].name);
		str_free(&content->parameter[i].value);
	}
	content->count = 0;
}

/* One address of a list under way: what stands outside angle brackets, and inside. */
struct address_scan {
	struct buf outside, inside;
	bool angle, in_angle, quoted;
	unsigned comments;
};

static void address_end(struct address_scan *s, struct draft_facts *facts)
{
	struct bytes text = bytes_trim(buf_bytes(s->angle ? &s->inside : &s->outside));
	if (text.len > 0) {
		size_t n = facts->recipient_count++;
		facts->recipients = mem_array(facts->recipients, n + 2, sizeof *facts->recipients);
		facts->recipients[n] = str_ndup((const char *)text.data, text.len);
		facts->recipients[n + 1] = NULL;
	}
	buf_clear(&s->outside);
	buf_clear(&s->inside);
	s->angle = s->in_angle = false;
}

/* RFC 5322 3.4 and 4.4: quoted strings, comments, groups, routes. */
static void address_char(struct address_scan *s, int c, struct draft_facts *facts)
{
	struct buf *target = s->in_angle ? &s->inside : &s->outside;
	if (s->comments > 0) {
		s->comments += c == '(';
		s->comments -= c == ')';
	} else if (c == '"' || s->quoted) {
		s->quoted ^= c == '"';
		buf_add_byte(target, c);
	} else if (c == '(') {
		s->comments = 1;
	} else if (c == '<') {
		s->angle = s->in_angle = true;
		buf_clear(&s->inside);
	} else if (c == '>') {
		s->in_angle = false;
	} else if (c == ':') {
		buf_clear(target);
	} else if ((c == ',' && !s->in_angle) || c == ';') {
		address_end(s, facts);
	} else if (c != '\r' && c != '\n') {
		buf_add_byte(target, c);
	}
}

void address_list_read(struct bytes value, struct draft_facts *facts)
{
	struct address_scan s = { 0 };
	for (size_t i = 0; i < value.len; i++) {
		bool escaped = value.data[i] == '\\' && (s.quoted || s.comments > 0);
		if (escaped && i + 1 < value.len) {
			i++;
			if (s.quoted) {
				struct buf *target = s.in_angle ? &s.inside : &s.outside;
				buf_add_byte(target, '\\');
				buf_add_byte(target, value.data[i]);
			}
			continue;
		}
		address_char(&s, value.data[i], facts);
	}
	address_end(&s, facts);
	buf_free(&s.outside);
	buf_free(&s.inside);
}
