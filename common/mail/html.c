/* html: a mail's HTML read as text: a small tokenizer, no tree. Only what divides lines or quotes matters. */
#include "mail/internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define TAG_NAME_SIZE 16
#define ATTRIBUTE_SIZE 256
#define ENTITY_NAME_SIZE 32

struct writer {
	struct buf *out;
	unsigned blockquotes; /* open ones */
	unsigned divs;        /* open ones */
	unsigned
	    quote_div; /* quoted as long as more divs than this are open; only if in_quote_div */
	bool in_quote_div;
	bool quoted_rest; /* after #divRplyFwdMsg and #appendonsend everything is */
	bool line_open;   /* something stands on the line */
	bool line_quoted;
	bool space;   /* a blank is due before the next visible character */
	unsigned pre; /* open <pre> */
	bool head_seen;
};

struct tag {
	char name[TAG_NAME_SIZE]; /* lower-case */
	char class[ATTRIBUTE_SIZE], id[ATTRIBUTE_SIZE];
	bool closing;
};

static bool quoted_now(const struct writer *w)
{
	return w->blockquotes > 0 || w->in_quote_div || w->quoted_rest;
}

static void line_end(struct writer *w)
{
	if (!w->line_open && quoted_now(w))
		buf_add_text(w->out, ">");
	buf_add_byte(w->out, '\n');
	w->line_open = w->space = false;
}

/* Block elements begin and end lines but make no empty ones. */
static void line_break(struct writer *w)
{
	if (w->line_open)
		line_end(w);
	w->space = false;
}

static void put(struct writer *w, const void *data, size_t len)
{
	if (w->line_open && w->line_quoted != quoted_now(w))
		line_break(w);
	if (!w->line_open && quoted_now(w))
		buf_add_text(w->out, "> ");
	if (!w->line_open)
		w->line_quoted = quoted_now(w);
	else if (w->space)
		buf_add_byte(w->out, ' ');
	buf_add(w->out, data, len);
	w->line_open = true;
	w->space = false;
}

static void put_code(struct writer *w, uint32_t c)
{
	char utf8[4];
	size_t len = 0;
	if (c < 0x80) {
		utf8[len++] = (char)c;
	} else if (c < 0x800) {
		utf8[len++] = (char)(0xC0 | c >> 6);
		utf8[len++] = (char)(0x80 | (c & 63));
	} else if (c < 0x10000) {
		utf8[len++] = (char)(0xE0 | c >> 12);
		utf8[len++] = (char)(0x80 | (c >> 6 & 63));
		utf8[len++] = (char)(0x80 | (c & 63));
	} else {
		utf8[len++] = (char)(0xF0 | c >> 18);
		utf8[len++] = (char)(0x80 | (c >> 12 & 63));
		utf8[len++] = (char)(0x80 | (c >> 6 & 63));
		utf8[len++] = (char)(0x80 | (c & 63));
	}
	put(w, utf8, len);
}

static void put_char(struct writer *w, int c)
{
	if (c == '\n' && w->pre > 0) {
		line_end(w);
	} else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
		if (w->pre > 0 && c != '\r')
			put(w, " ", 1);
		else
			w->space = w->line_open;
	} else if (c >= ' ' && c != 127) {
		char byte = (char)c;
		put(w, &byte, 1);
	}
}

/* Reads "&name;" at data[0]; returns its length, 0 if it is plain text. */
static size_t entity_read(struct bytes in, struct writer *w)
{
	char name[ENTITY_NAME_SIZE];
	size_t len = 0;
	for (size_t i = 1; i < in.len && len + 1 < sizeof name; i++) {
		int c = in.data[i];
		bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';
		if (!letter && !(c >= '0' && c <= '9') && !(c == '#' && i == 1))
			break;
		name[len++] = (char)c;
	}
	name[len] = 0;
	uint32_t code = len ? entity_code(name) : 0;
	if (code == 0)
		return 0;
	if (code == 0xA0)
		put(w, " ", 1);
	else if (code < 0x80)
		put_char(w, (int)code);
	else if (code >= 0xA0)
		put_code(w, code);
	bool semicolon = len + 1 < in.len && in.data[len + 1] == ';';
	return len + 1 + (semicolon ? 1 : 0);
}

static bool is_space(int c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f';
}

/* The next attribute between `at` and `end`; NULL at the end of the tag, else where to go on. */
static const char *attribute_read(
    const char *at, const char *end, struct bytes *name_out, struct bytes *value_out)
{
	while (at < end && (is_space(*at) || *at == '/'))
		at++;
	const char *name = at;
	while (at < end && !is_space(*at) && *at != '=' && *at != '>' && *at != '/')
		at++;
	*name_out = bytes_of(name, (size_t)(at - name));
	*value_out = bytes_of(at, 0);
	if (at == end || *at == '>')
		return name_out->len > 0 ? at : NULL;
	while (at < end && is_space(*at))
		at++;
	if (at == end || *at != '=')
		return at;
	at++;
	while (at < end && is_space(*at))
		at++;
	const char *value = at;
	if (at < end && (*at == '"' || *at == '\'')) {
		const char *close = memchr(at + 1, *at, (size_t)(end - at - 1));
		value = at + 1;
		at = close ? close : end;
		*value_out = bytes_of(value, (size_t)(at - value));
		return at < end ? at + 1 : at;
	}
	while (at < end && !is_space(*at) && *at != '>')
		at++;
	*value_out = bytes_of(value, (size_t)(at - value));
	return at;
}

static void attribute_keep(struct tag *tag, struct bytes name, struct bytes value)
{
	char *to = NULL;
	if (name.len == 5 && bytes_start_case(name, "class"))
		to = tag->class;
	else if (name.len == 2 && bytes_start_case(name, "id"))
		to = tag->id;
	if (to != NULL)
		snprintf(to, ATTRIBUTE_SIZE, "%.*s",
		    (int)(value.len < ATTRIBUTE_SIZE ? value.len : ATTRIBUTE_SIZE),
		    (const char *)value.data);
}

/* Reads the tag at in.data[0] == '<' and returns its length. */
static size_t tag_read(struct bytes in, struct tag *tag)
{
	const char *begin = (const char *)in.data, *end = begin + in.len, *at = begin + 1;
	*tag = (struct tag){ 0 };
	if (at < end && *at == '/') {
		tag->closing = true;
		at++;
	}
	size_t len = 0;
	for (; at < end && !is_space(*at) && *at != '>' && *at != '/'; at++)
		if (len + 1 < sizeof tag->name)
			tag->name[len++] = (char)(*at >= 'A' && *at <= 'Z' ? *at | 32 : *at);
	struct bytes name, value;
	for (;;) {
		const char *next = attribute_read(at, end, &name, &value);
		if (next == NULL || next == at)
			break;
		attribute_keep(tag, name, value);
		at = next;
	}
	while (at < end && *at != '>')
		at++;
	return (size_t)(at - begin) + (at < end ? 1 : 0);
}

static bool name_in(const char *name, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcmp(name, *list) == 0)
			return true;
	return false;
}

static bool class_quotes(const char *class)
{
	static const char *const marks[] = { "gmail_quote", "moz-cite-prefix", "yahoo_quoted",
		"moz-forward-container", NULL };
	for (const char *const *m = marks; *m != NULL; m++)
		if (strstr(class, *m) != NULL)
			return true;
	return false;
}

static void div_tag(struct writer *w, const struct tag *tag)
{
	if (!tag->closing) {
		if (strcasecmp(tag->id, "divRplyFwdMsg") == 0 ||
		    strcasecmp(tag->id, "appendonsend") == 0)
			w->quoted_rest = true;
		if (!w->in_quote_div && class_quotes(tag->class)) {
			w->in_quote_div = true;
			w->quote_div = w->divs;
		}
		w->divs++;
		return;
	}
	if (w->divs > 0)
		w->divs--;
	if (w->in_quote_div && w->divs <= w->quote_div)
		w->in_quote_div = false;
}

static void count_tag(unsigned *open, const struct tag *tag)
{
	if (!tag->closing)
		++*open;
	else if (*open > 0)
		--*open;
}

static void tag_apply(struct writer *w, const struct tag *tag)
{
	static const char *const blocks[] = { "p", "div", "blockquote", "pre", "table", "tr", "ul",
		"ol", "li", "dl", "dt", "dd", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "address",
		"article", "section", "header", "footer", "main", "center", "form", "fieldset",
		"figure", "tbody", "thead", "body", NULL };
	if (strcmp(tag->name, "br") == 0) {
		line_end(w);
		return;
	}
	if (strcmp(tag->name, "td") == 0 || strcmp(tag->name, "th") == 0)
		w->space = w->line_open;
	if (!name_in(tag->name, blocks))
		return;
	line_break(w);
	if (strcmp(tag->name, "div") == 0)
		div_tag(w, tag);
	else if (strcmp(tag->name, "blockquote") == 0)
		count_tag(&w->blockquotes, tag);
	else if (strcmp(tag->name, "pre") == 0)
		count_tag(&w->pre, tag);
}

/* Elements whose content is no text: its length. A head that never ends holds the body. */
static size_t hidden_length(struct writer *w, struct bytes in, const struct tag *tag)
{
	static const char *const hidden[] = { "style", "script", "head", "title", NULL };
	bool head = strcmp(tag->name, "head") == 0;
	if (tag->closing || !name_in(tag->name, hidden) || (head && w->head_seen))
		return 0;
	w->head_seen |= head;
	char close[TAG_NAME_SIZE + 2];
	snprintf(close, sizeof close, "</%s", tag->name);
	for (size_t i = 0; i < in.len; i++)
		if (in.data[i] == '<' && bytes_start_case(bytes_of(in.data + i, in.len - i), close))
			return i;
	return head ? 0 : in.len;
}

/* "<!-- … -->", "<!DOCTYPE …>", "<![endif]>", "<?xml …>" */
static size_t declaration_length(struct bytes in)
{
	const char *end = in.len >= 4 && memcmp(in.data, "<!--", 4) == 0 ? "-->" : ">";
	const uint8_t *at = bytes_find(in, bytes_of_text(end));
	return at ? (size_t)(at - in.data) + strlen(end) : in.len;
}

/* The length of the markup at in.data[0] == '<'; 0 if the character stands for itself. */
static size_t markup_read(struct writer *w, struct bytes in)
{
	int next = in.len > 1 ? in.data[1] : 0;
	if (next == '!' || next == '?')
		return declaration_length(in);
	if (next != '/' && !((next | 32) >= 'a' && (next | 32) <= 'z'))
		return 0;
	struct tag tag;
	size_t len = tag_read(in, &tag);
	tag_apply(w, &tag);
	return len + hidden_length(w, bytes_of(in.data + len, in.len - len), &tag);
}

void html_to_text(struct bytes html, struct buf *out)
{
	struct writer w = { .out = out };
	for (size_t i = 0; i < html.len;) {
		struct bytes rest = bytes_of(html.data + i, html.len - i);
		size_t len = 0;
		if (rest.data[0] == '<')
			len = markup_read(&w, rest);
		else if (rest.data[0] == '&')
			len = entity_read(rest, &w);
		else if (rest.len > 1 && rest.data[0] == 0xC2 && rest.data[1] == 0xA0) {
			put(&w, " ", 1);
			len = 2;
		}
		if (len == 0) {
			put_char(&w, rest.data[0]);
			len = 1;
		}
		i += len;
	}
	line_break(&w);
}
