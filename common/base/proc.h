/* proc: other programs, run to their end with a deadline. */
#ifndef BASE_PROC_H
#define BASE_PROC_H

#include "base/buf.h"

/*
 * Runs argv[0] (found by PATH) with `input` on standard input, own process group, default signals, no
 * descriptors but 0-2, and waits. Standard output and error are appended to `out` and `errors` where not
 * NULL; else output is dropped and errors go to ours. At the deadline the group is killed: ERR_TEMPORARY;
 * above 16 MiB on one of them too: ERR_DATA.
 * ERR_UNAVAILABLE if it can't be started. ERR_OK otherwise, with *status_out the exit status, or 128+signal.
 */
CHECKED enum err proc_run(char *const argv[], struct bytes input, unsigned deadline_seconds,
    struct buf *out, struct buf *errors, int *status_out);

#endif
