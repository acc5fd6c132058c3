/* daemon: what countersignd says of its processes and their servers, in RUNTIME/status. */
#ifndef ADMIN_DAEMON_H
#define ADMIN_DAEMON_H

#include "base/conf.h"

/* A line of it; see supervise.c. Borrowed from the text. */
struct daemon_line {
	char *role, *state, *server, *why;
	int64_t number, since, next_try, waiting;
};

struct daemon_status {
	char *text;    /* NULL: the daemon has written nothing */
	char *summary; /* "ready", or why not */
	struct daemon_line *lines;
	size_t count;
};

/* Fine where there is no such file. ERR_NOINPUT if it can't be read by this user, ERR_DATA if it is of another version. */
CHECKED enum err daemon_status_read(const struct conf *conf, struct daemon_status *out);
void daemon_status_free(struct daemon_status *status);
/* The line of a mailbox, or with NULL of the submission; NULL if there is none. */
const struct daemon_line *daemon_status_of(
    const struct daemon_status *status, const char *mailbox_url);

#endif
