/* sink: a file that grows step by step beside the store: what a step wrote is taken back when the step's transaction fails. */
#ifndef ADMIN_SINK_H
#define ADMIN_SINK_H

#include <sys/types.h>

#include "base/buf.h"

struct sink {
	int fd; /* -1: closed, and nothing is written */
	bool made;
	const char *path;
	struct buf waiting; /* of this step; secret */
	off_t kept;
};

#define SINK_CLOSED \
	{ \
		.fd = -1, .waiting = {.secret = true } \
	}

/* Makes the file with the rights of whoever called; NULL is standard output. ERR_CREATE if it exists. */
CHECKED enum err sink_open(struct sink *sink, const char *path);
/* Writes what waits, to the disk. */
CHECKED enum err sink_step(struct sink *sink);
/* Takes the last step back. Fine after none. False where that can't be done: a pipe, a terminal. */
bool sink_undo(struct sink *sink);
/* A file that nothing was written to is removed. */
void sink_close(struct sink *sink);

#endif
