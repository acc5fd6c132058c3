#include "backoff.h"

#include "base/when.h"
#include "secret/secret.h"

struct backoff backoff_make(int64_t first_seconds, int64_t most_seconds)
{
	if (most_seconds < first_seconds)
		most_seconds = first_seconds;
	return (struct backoff){ .first_ms = first_seconds * 1000, .most_ms = most_seconds * 1000 };
}

/* Between half of it and all: what failed at once must not come back at once. */
static int64_t spread(int64_t pause_ms)
{
	uint32_t random;

	secret_random(&random, sizeof random);
	return pause_ms - random % (pause_ms / 2 + 1);
}

void backoff_fail(struct backoff *b, bool patiently)
{
	int64_t pause_ms = patiently ? b->most_ms : b->first_ms;

	for (unsigned i = 0; i < b->times && pause_ms < b->most_ms; i++)
		pause_ms *= 2;
	if (pause_ms > b->most_ms)
		pause_ms = b->most_ms;
	b->times++;
	b->pause_ms = spread(pause_ms);
	b->until_ms = when_monotonic_ms() + b->pause_ms;
}

void backoff_end(struct backoff *b)
{
	b->times = 0;
	b->pause_ms = b->until_ms = 0;
}

int64_t backoff_wait_ms(const struct backoff *b)
{
	int64_t wait = b->until_ms ? b->until_ms - when_monotonic_ms() : 0;

	return wait > 0 ? wait : 0;
}
