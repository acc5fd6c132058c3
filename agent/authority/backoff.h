/* backoff: when to try again what failed: a pause that doubles each time, up to a longest one, and never twice quite the same. */
#ifndef AUTHORITY_BACKOFF_H
#define AUTHORITY_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

struct backoff {
	int64_t first_ms, most_ms;
	int64_t pause_ms; /* the last one */
	int64_t until_ms; /* monotonic; 0: never failed, or it worked since */
	unsigned times;
};

struct backoff backoff_make(int64_t first_seconds, int64_t most_seconds);
/* It failed; `patiently`: trying again soon would do harm, so begin with the longest pause. */
void backoff_fail(struct backoff *b, bool patiently);
/* It worked, all of it. */
void backoff_end(struct backoff *b);
/* How long to wait still; 0: try. */
int64_t backoff_wait_ms(const struct backoff *b);

#endif
