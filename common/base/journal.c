#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/journal.h"
#include "base/when.h"

static const char *journal_name = "countersign";
static enum journal_level journal_most = JOURNAL_INFO;

void journal_open(const char *name, enum journal_level most)
{
	journal_name = name;
	journal_most = most;
}

/* How many bytes make the UTF-8 character that begins here, which goes into *code; 0: none does. */
static size_t character(const unsigned char *at, uint32_t *code)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = *at < 0x80   ? 1
		     : *at < 0xc0 ? 0
		     : *at < 0xe0 ? 2
		     : *at < 0xf0 ? 3
		     : *at < 0xf8 ? 4
				  : 0;

	*code = len == 1 ? *at : *at & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (at[i] & 0x3f);
	}
	return *code >= smallest[len] && *code <= 0x10ffff ? len : 0;
}

/* Controls, line ends, and the marks that change the direction of writing. */
static bool steers(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* UTF-8 passes; what could forge a line or steer a terminal does not. */
static void add_escaped(struct buf *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	uint32_t code;

	while (*at) {
		size_t len = character(at, &code);
		bool plain = len > 0 && !steers(code);

		for (size_t i = 0; i < (len ? len : 1); i++)
			if (plain)
				buf_add_byte(out, at[i]);
			else
				buf_addf(out, "\\x%02x", at[i]);
		at += len ? len : 1;
	}
}

static void add_head(struct buf *line, enum journal_level level)
{
	char now[WHEN_TEXT_SIZE];

	if (getenv("JOURNAL_STREAM"))
		buf_addf(line, "<%d>", (int)level);
	else
		buf_addf(
		    line, "%s %s[%d]: ", when_format(when_now(), now), journal_name, (int)getpid());
}

void journal_write(enum journal_level level, const char *format, ...)
{
	struct buf text = BUF_INIT, line = BUF_INIT;
	va_list ap;

	if (level > journal_most)
		return;
	va_start(ap, format);
	buf_vaddf(&text, format, ap);
	va_end(ap);
	add_head(&line, level);
	add_escaped(&line, buf_text(&text));
	buf_add_byte(&line, '\n');
	/* One write per line, so that lines of several processes don't mix; a failure has no better
	 * place to be told. */
	if (write(STDERR_FILENO, line.data, line.len) < 0)
		journal_most = level;
	buf_free(&text);
	buf_free(&line);
}
