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

/* UTF-8 passes; what could forge a line or steer a terminal does not. */
static void add_escaped(struct buf *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 32 || c == 127)
			buf_addf(out, "\\x%02x", c);
		else
			buf_add_byte(out, c);
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
