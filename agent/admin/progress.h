/* progress: how far a command is, on a terminal, where it takes longer than two seconds. */
#ifndef ADMIN_PROGRESS_H
#define ADMIN_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

struct progress {
	const char *what; /* "Issuing" */
	int64_t started_ms, shown_ms;
};

void progress_start(struct progress *p, const char *what);
/* Of the form that publish_watch wants. */
void progress_show(void *progress, size_t done, size_t total);
/* Leaves an empty line. */
void progress_end(const struct progress *p);

#endif
