/* when: points in time (seconds since 1970, UTC) and spans, as text and back. */
#ifndef BASE_WHEN_H
#define BASE_WHEN_H

#include <stdint.h>

#include "base/err.h"

#define WHEN_TEXT_SIZE 48

int64_t when_now(void);          /* wall clock, seconds */
int64_t when_monotonic_ms(void); /* for deadlines only */

/* "2026-11-22T04:00:00Z" into out[WHEN_TEXT_SIZE]; returns out. */
char *when_format(int64_t t, char *out);
/* The same form only (RFC 3339, UTC, no fraction); ERR_DATA otherwise. */
CHECKED enum err when_parse(const char *text, int64_t *out);
/* "Sun, 22 Nov 2026 04:00:00 +0000" (RFC 5322 3.3); returns out. */
char *when_format_mail(int64_t t, char *out);
/* "22 November 2026" for people; returns out. */
char *when_format_day(int64_t t, char *out);
/* "90s", "15m", "12h", "14d", "2w", "1y"; only 0 needs no unit. */
CHECKED enum err when_parse_span(const char *text, int64_t *seconds_out);
/* "3 days", "2 hours", "1 minute": the largest fitting unit, for people; returns out. */
char *when_format_span(int64_t seconds, char *out);

#endif
