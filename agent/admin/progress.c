#include "progress.h"

#include <stdio.h>
#include <unistd.h>

#include "base/when.h"

#define SILENT_MS 2000
#define BETWEEN_MS 200

void progress_start(struct progress *p, const char *what)
{
	*p = (struct progress){ .what = what, .started_ms = when_monotonic_ms() };
}

void progress_show(void *progress, size_t done, size_t total)
{
	struct progress *p = progress;
	int64_t now = when_monotonic_ms(), taken = now - p->started_ms;
	char left[WHEN_TEXT_SIZE];

	if (taken < SILENT_MS || now - p->shown_ms < BETWEEN_MS || !done || !isatty(STDERR_FILENO))
		return;
	p->shown_ms = now;
	when_format_span((int64_t)(total - done) * taken / (int64_t)done / 1000, left);
	fprintf(stderr, "\r%s %zu of %zu, %.1f a second, %s left\033[K", p->what, done, total,
	    (double)done * 1000 / (double)taken, left);
}

void progress_end(const struct progress *p)
{
	if (p->shown_ms)
		fputs("\r\033[K", stderr);
}
