/*
 * clock: is the wall clock to be believed (I13)? A clock that jumps while the daemon runs would have good tokens refused as expired and keys certified until
 * any day. What the daemon can hold against it is the time that it has run; at its start there is nothing to compare with, and the clock is believed.
 */
#ifndef AUTHORITY_CLOCK_H
#define AUTHORITY_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct clock_reading {
	int64_t wall;       /* seconds */
	int64_t running_ms; /* counts while the machine sleeps, too */
};

struct clock_reading clock_read(void);
/* Have both clocks gone on alike, within a day, since the start? */
bool clock_plausible(const struct clock_reading *start, const struct clock_reading *now);
/* The wall clock's time, or if that is not plausible what it should be. */
int64_t clock_believed(const struct clock_reading *start, const struct clock_reading *now);

#endif
