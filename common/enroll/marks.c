#include <string.h>

#include "enroll/internal.h"

#define TAG_BYTES_MAX 200

struct spelling {
	const char *text;
	enum mark mark;
};

/* Outside ASCII, by UTF-8. */
static const struct spelling characters[] = {
	{ "\xc2\xa0", MARK_BLANK },       /* no-break space */
	{ "\xc2\xad", MARK_HYPHEN },      /* soft hyphen */
	{ "\xc2\xab", MARK_BLANK },       /* « */
	{ "\xc2\xbb", MARK_BLANK },       /* » */
	{ "\xc2\xb4", MARK_BLANK },       /* acute accent as a quote */
	{ "\xe2\x80\x8b", MARK_NOTHING }, /* zero-width space */
	{ "\xe2\x80\x8c", MARK_NOTHING }, /* zero-width non-joiner */
	{ "\xe2\x80\x8d", MARK_NOTHING }, /* zero-width joiner */
	{ "\xe2\x80\x8e", MARK_NOTHING }, /* left-to-right mark */
	{ "\xe2\x80\x8f", MARK_NOTHING }, /* right-to-left mark */
	{ "\xe2\x81\xa0", MARK_NOTHING }, /* word joiner */
	{ "\xef\xbb\xbf", MARK_NOTHING }, /* byte order mark */
	{ "\xe2\x80\x90", MARK_HYPHEN },  /* hyphen */
	{ "\xe2\x80\x91", MARK_HYPHEN },  /* no-break hyphen */
	{ "\xe2\x80\x92", MARK_HYPHEN },  /* figure dash */
	{ "\xe2\x80\x93", MARK_HYPHEN },  /* en dash */
	{ "\xe2\x80\x94", MARK_HYPHEN },  /* em dash */
	{ "\xe2\x88\x92", MARK_HYPHEN },  /* minus */
	{ "\xe2\x80\x98", MARK_BLANK },   /* quotation marks */
	{ "\xe2\x80\x99", MARK_BLANK }, { "\xe2\x80\x9a", MARK_BLANK },
	{ "\xe2\x80\x9c", MARK_BLANK }, { "\xe2\x80\x9d", MARK_BLANK },
	{ "\xe2\x80\x9e", MARK_BLANK }, { "\xe2\x80\x83", MARK_BLANK }, /* em space */
	{ "\xe2\x80\x89", MARK_BLANK },                                 /* thin space */
	{ "\xe2\x80\xaf", MARK_BLANK },                                 /* narrow no-break space */
};

/* RFC 2045 6.7, left over where a mail system undid it badly or twice. */
static const struct spelling escapes[] = {
	{ "=2D", MARK_HYPHEN },
	{ "=C2=AD", MARK_HYPHEN },
	{ "=AD", MARK_HYPHEN },
	{ "=E2=80=90", MARK_HYPHEN },
	{ "=E2=80=91", MARK_HYPHEN },
	{ "=E2=80=93", MARK_HYPHEN },
	{ "=C2=A0", MARK_BLANK },
	{ "=A0", MARK_BLANK },
	{ "=20", MARK_BLANK },
	{ "=09", MARK_BLANK },
	{ "=0D", MARK_BLANK },
	{ "=0A", MARK_LINE },
	{ "=3D", MARK_NOTHING },
	{ "=3E", MARK_BLANK },
};

static const struct spelling entities[] = {
	{ "&nbsp;", MARK_BLANK },
	{ "&#160;", MARK_BLANK },
	{ "&#xa0;", MARK_BLANK },
	{ "&quot;", MARK_BLANK },
	{ "&gt;", MARK_BLANK },
	{ "&shy;", MARK_HYPHEN },
	{ "&#173;", MARK_HYPHEN },
	{ "&#xad;", MARK_HYPHEN },
	{ "&#45;", MARK_HYPHEN },
	{ "&#x2d;", MARK_HYPHEN },
	{ "&#8208;", MARK_HYPHEN },
	{ "&#8209;", MARK_HYPHEN },
	{ "&#x2011;", MARK_HYPHEN },
	{ "&#8211;", MARK_HYPHEN },
	{ "&ndash;", MARK_HYPHEN },
	{ "&hyphen;", MARK_HYPHEN },
	{ "&#8203;", MARK_NOTHING },
	{ "&zwnj;", MARK_NOTHING },
};

static int lower(int c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static enum mark spelled(const struct spelling *list, size_t count, const uint8_t *at,
    const uint8_t *end, const uint8_t **next_out)
{
	for (size_t i = 0; i < count; i++) {
		const char *s = list[i].text;
		const uint8_t *p = at;
		while (*s && p < end && lower(*p) == lower((unsigned char)*s)) {
			p++;
			s++;
		}
		if (!*s) {
			*next_out = p;
			return list[i].mark;
		}
	}
	return MARK_NONE;
}
#define SPELLED(list, at, end, next) spelled(list, sizeof(list) / sizeof((list)[0]), at, end, next)

static const uint8_t *skip_blanks(const uint8_t *at, const uint8_t *end)
{
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	return at;
}

/* Behind the line end at `at`, or NULL. "\r\r\n" is what some gateways make of CRLF. */
static const uint8_t *line_end(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *p = at;
	while (p < end && *p == '\r')
		p++;
	if (p < end && *p == '\n')
		return p + 1;
	return p > at ? p : NULL;
}

/* "=" at the end of a line or of the text. */
static const uint8_t *soft_break(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *p = skip_blanks(at + 1, end);
	return p == end ? p : line_end(p, end);
}

static const uint8_t *quote_prefix(const uint8_t *at, const uint8_t *end)
{
	while (at < end && strchr(" \t>|", *at) && *at)
		at++;
	return at;
}

static enum mark tag(const uint8_t *at, const uint8_t *end, const uint8_t **next_out)
{
	if (at + 1 >= end || !(at[1] == '/' || (lower(at[1]) >= 'a' && lower(at[1]) <= 'z')))
		return MARK_NONE;
	size_t most = (size_t)(end - at) < TAG_BYTES_MAX ? (size_t)(end - at) : TAG_BYTES_MAX;
	const uint8_t *close = memchr(at, '>', most);
	if (!close || memchr(at + 1, '<', (size_t)(close - at - 1)) ||
	    memchr(at, '@', (size_t)(close - at)))
		return MARK_NONE;
	*next_out = close + 1;
	return MARK_NOTHING;
}

enum mark mark_at(const uint8_t *at, const uint8_t *end, const uint8_t **next_out)
{
	*next_out = at;
	if (at >= end)
		return MARK_NONE;
	const uint8_t *after;
	switch (*at) {
	case '-':
		*next_out = at + 1;
		return MARK_HYPHEN;
	case ' ':
	case '\t':
		*next_out = skip_blanks(at, end);
		return MARK_BLANK;
	case '"':
	case '\'':
	case '`':
		*next_out = at + 1;
		return MARK_BLANK;
	case '\r':
	case '\n':
		*next_out = quote_prefix(line_end(at, end), end);
		return MARK_LINE;
	case '=':
		after = soft_break(at, end);
		if (after) {
			*next_out = after;
			return MARK_NOTHING;
		}
		return SPELLED(escapes, at, end, next_out);
	case '&':
		return SPELLED(entities, at, end, next_out);
	case '<':
		return tag(at, end, next_out);
	default:
		return *at < 0x80 ? MARK_NONE : SPELLED(characters, at, end, next_out);
	}
}
