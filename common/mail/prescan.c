/* prescan: one linear pass over a mail before libetpan may see it. */
#include "mail/internal.h"

#include <string.h>
#include <strings.h>

#define LINE_BYTES_MAX 100000
#define COMMENT_DEPTH_MAX 200
#define DELIMITER_LINES_MAX 2000

struct scan {
	size_t content_types, delimiters;
	unsigned comment_depth;
	bool in_content_type, boundary, backslash;
};

bool bytes_start_case(struct bytes text, const char *prefix)
{
	size_t len = strlen(prefix);
	return text.len >= len && strncasecmp((const char *)text.data, prefix, len) == 0;
}

static bool contains_case(struct bytes text, const char *word)
{
	for (; text.len >= strlen(word); text.data++, text.len--)
		if (bytes_start_case(text, word))
			return true;
	return false;
}

/* libetpan reads nested comments by recursion. */
static unsigned comment_depth(unsigned depth, struct bytes line)
{
	unsigned deepest = depth;
	for (size_t i = 0; i < line.len; i++) {
		if (line.data[i] == '\\')
			i++;
		else if (line.data[i] == '(' && ++depth > deepest)
			deepest = depth;
		else if (line.data[i] == ')' && depth > 0)
			depth--;
	}
	return deepest > COMMENT_DEPTH_MAX ? deepest : depth;
}

/* A lone CR starts a line for some readers and is blank for others: a field may begin after it. */
static bool starts_content_type(struct bytes line)
{
	for (;;) {
		if (bytes_start_case(line, "content-type"))
			return true;
		const uint8_t *cr = line.len ? memchr(line.data, '\r', line.len) : NULL;
		if (cr == NULL)
			return false;
		line = bytes_of(cr + 1, line.len - (size_t)(cr + 1 - line.data));
	}
}

static enum err scan_line(struct scan *s, struct bytes line, const struct message_limits *limits)
{
	if (line.len > LINE_BYTES_MAX)
		return err_fail(ERR_DATA, "a line is longer than %d bytes", LINE_BYTES_MAX);
	bool continued = line.len > 0 && (line.data[0] == ' ' || line.data[0] == '\t');
	if (!continued) {
		s->comment_depth = 0;
		s->in_content_type = s->boundary = s->backslash = false;
	}
	if (starts_content_type(line)) {
		s->in_content_type = true;
		if (++s->content_types > (size_t)limits->parts + limits->nesting)
			return err_fail(ERR_DATA, "more than %u parts (P4.1)", limits->parts);
	}
	if (line.len > 1 && memcmp(line.data, "--", 2) == 0 &&
	    ++s->delimiters > DELIMITER_LINES_MAX)
		return err_fail(ERR_DATA, "too many lines that look like part boundaries");
	s->comment_depth = comment_depth(s->comment_depth, line);
	if (s->comment_depth > COMMENT_DEPTH_MAX)
		return err_fail(ERR_DATA, "comments are nested too deep");
	if (s->in_content_type) {
		/* libetpan before its commit 3f14913 overwrites memory when unquoting boundary="\"". */
		s->boundary |= contains_case(line, "boundary");
		s->backslash |= memchr(line.data, '\\', line.len) != NULL;
		if (s->boundary && s->backslash)
			return err_fail(ERR_DATA, "a boundary parameter with a backslash");
	}
	return ERR_OK;
}

enum err prescan(struct bytes mail, const struct message_limits *limits)
{
	if (mail.len > limits->mail_bytes)
		return err_fail(ERR_DATA, "larger than %zu bytes (P4.1)", limits->mail_bytes);
	if (mail.len == 0)
		return err_fail(ERR_DATA, "an empty mail");
	if (memchr(mail.data, 0, mail.len) != NULL)
		return err_fail(ERR_DATA, "a NUL byte in the mail");
	if (header_block(mail).len > limits->header_bytes)
		return err_fail(
		    ERR_DATA, "a header larger than %zu bytes (P4.1)", limits->header_bytes);
	struct scan s = { 0 };
	struct bytes line;
	while (bytes_line(&mail, &line)) {
		enum err err = scan_line(&s, line, limits);
		if (err != ERR_OK)
			return err;
	}
	return ERR_OK;
}
