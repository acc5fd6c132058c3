/* calendar: one all-day event to be sent along with a mail (RFC 5545). */
#ifndef MAIL_CALENDAR_H
#define MAIL_CALENDAR_H

#include "base/buf.h"

struct calendar_event {
	const char *uid;                   /* the same for the same event, whenever it is sent */
	int64_t made;                      /* DTSTAMP */
	int64_t day;                       /* any time on that day, UTC */
	const char *summary, *description; /* UTF-8 */
	unsigned alarm_days;               /* how long before it is to be told */
};

/* The body of a text/calendar part with `method=PUBLISH`, lines folded, CRLF. */
void calendar_write(const struct calendar_event *event, struct buf *out);

#endif
