/* confine: what a process may do, narrowed once and for good (libseccomp, rlimits, prctl). */
#ifndef CONFINE_CONFINE_H
#define CONFINE_CONFINE_H

#include "base/buf.h"

/* For every process of ours: not dumpable, no core, no_new_privs, SIGPIPE ignored, umask 077. */
CHECKED enum err confine_basics(void);
/* As root: become the owner of `path` (user, group, supplementary groups), unless that is root.
 * Returns ERR_DENIED with a sentence when it can't. */
CHECKED enum err confine_become_owner(const char *path);
/* Closes every descriptor from 3 up but the `keep` ones. */
void confine_descriptors(const int *keep, size_t count);

struct confine_limits {
	unsigned seconds; /* CPU and wall clock: SIGXCPU, SIGALRM */
	size_t memory_bytes;
};
/*
 * The parser: may read, compute and write to the descriptors it holds. Resource limits, then a
 * seccomp list of at most 15 calls, everything else kills the process; no executable memory, no
 * files, no sockets, no processes, no signals to others. CONFINE=sanitizer builds widen it.
 */
CHECKED enum err confine_parser(const struct confine_limits *limits);
/* The parser nursery: what the parser may, and fork, wait, and receive descriptors from its one
 * socket. */
CHECKED enum err confine_nursery(void);
/* The same confinement for one function in a forked child (the client's parser): runs work(in, out)
 * there and returns what it wrote. ERR_DATA when it crashed, overran, or said false. */
CHECKED enum err confine_call(bool (*work)(struct bytes in, struct buf *out), void (*preload)(void),
    struct bytes in, const struct confine_limits *limits, size_t max_out_bytes, struct buf *out);

#endif
