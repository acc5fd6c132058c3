#include "mail/calendar.h"

#include <string.h>

#include "base/when.h"

#define LINE_OCTETS 75 /* RFC 5545 3.1, without the line end */

/* Folds between characters, not within one. */
static void add_line(struct buf *out, const char *name, const char *value)
{
	char *line = str_printf("%s:%s", name, value), *at = line;
	size_t room = LINE_OCTETS;

	while (strlen(at) > room) {
		size_t cut = room;
		while (cut > 1 && ((unsigned char)at[cut] & 0xc0) == 0x80)
			cut--;
		buf_addf(out, "%.*s\r\n ", (int)cut, at);
		at += cut;
		room = LINE_OCTETS - 1;
	}
	buf_addf(out, "%s\r\n", at);
	str_free(&line);
}

/* RFC 5545 3.3.11. */
static void add_text(struct buf *out, const char *name, const char *text)
{
	struct buf escaped = BUF_INIT;

	for (; *text; text++) {
		if (*text == '\n') {
			buf_add_text(&escaped, "\\n");
			continue;
		}
		if (strchr("\\;,", *text))
			buf_add_byte(&escaped, '\\');
		if ((unsigned char)*text >= ' ' && *text != 0x7f)
			buf_add_byte(&escaped, (unsigned char)*text);
	}
	add_line(out, name, buf_text(&escaped));
	buf_free(&escaped);
}

/* "2026-11-23T04:00:00Z" as "20261123T040000Z", or its first eight characters. */
static char *basic_time(int64_t at, bool day_only)
{
	char text[WHEN_TEXT_SIZE];
	struct buf out = BUF_INIT;

	for (const char *c = when_format(at, text); *c && !(day_only && *c == 'T'); c++)
		if (*c != '-' && *c != ':')
			buf_add_byte(&out, (unsigned char)*c);
	return buf_take_text(&out);
}

void calendar_write(const struct calendar_event *event, struct buf *out)
{
	char *made = basic_time(event->made, false), *day = basic_time(event->day, true),
	     *next = basic_time(event->day + 86400, true);
	char *trigger = str_printf("-P%uD", event->alarm_days);

	buf_add_text(out,
	    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Countersign//Countersign//EN\r\n"
	    "METHOD:PUBLISH\r\nBEGIN:VEVENT\r\n");
	add_text(out, "UID", event->uid);
	add_line(out, "DTSTAMP", made);
	add_line(out, "DTSTART;VALUE=DATE", day);
	add_line(out, "DTEND;VALUE=DATE", next);
	add_text(out, "SUMMARY", event->summary);
	add_text(out, "DESCRIPTION", event->description);
	buf_add_text(out, "TRANSP:TRANSPARENT\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\n");
	add_text(out, "DESCRIPTION", event->summary);
	add_line(out, "TRIGGER", trigger);
	buf_add_text(out, "END:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n");
	str_free(&made);
	str_free(&day);
	str_free(&next);
	str_free(&trigger);
}
