#include "clock.h"

#include <time.h>

#include "base/when.h"

#define JUMP_SECONDS 86400

struct clock_reading clock_read(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_BOOTTIME, &ts);
	return (struct clock_reading){ .wall = when_now(),
		.running_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 };
}

static int64_t expected(const struct clock_reading *start, const struct clock_reading *now)
{
	return start->wall + (now->running_ms - start->running_ms) / 1000;
}

bool clock_plausible(const struct clock_reading *start, const struct clock_reading *now)
{
	int64_t jump = now->wall - expected(start, now);

	return jump >= -JUMP_SECONDS && jump <= JUMP_SECONDS;
}

int64_t clock_believed(const struct clock_reading *start, const struct clock_reading *now)
{
	return clock_plausible(start, now) ? now->wall : expected(start, now);
}
