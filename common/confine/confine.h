/* confine: what a process may do, narrowed once and for good (libseccomp, rlimits, prctl). */
#ifndef CONFINE_CONFINE_H
#define CONFINE_CONFINE_H

#include "base/buf.h"

/* For every process of ours: not dumpable, no core, SIGPIPE ignored, umask 077. */
CHECKED enum err confine_basics(void);
/*
 * For those that never run a mail program: Postfix's sendmail hands mail to a set-group-id program,
 * which no_new_privs would break. The two filters below include it.
 */
CHECKED enum err confine_no_new_privileges(void);
/* As root: become the owner of `path` (user, group, supplementary groups), unless that is root.
 * Returns ERR_DENIED with a sentence when it can't. */
CHECKED enum err confine_become_owner(const char *path);
/* Closes every descriptor from 3 up but the `keep` ones. */
void confine_descriptors(const int *keep, size_t count);

struct confine_limits {
	unsigned seconds; /* CPU and wall clock: SIGXCPU, SIGALRM */
	size_t
	    memory_bytes; /* address space, with the program and its libraries: at least 128 MiB */
};
/*
 * The parser: may read, compute and write to the descriptors it holds. Resource limits, then a
 * seccomp list of 13 calls; opening and looking up files is answered with EACCES, everything else
 * kills the process (SIGSYS): executable or shared memory, sockets, processes, signals to others.
 * A sealed memory file is read before this (memfd_read needs more calls). Builds with the address
 * sanitizer widen it by what its runtime needs, and have no memory limit.
 */
CHECKED enum err confine_parser(const struct confine_limits *limits);
/*
 * The parser nursery: what the parser may, and fork, wait, receive descriptors from its one socket,
 * read sealed memory files, and confine a child as a parser.
 */
CHECKED enum err confine_nursery(void);
/*
 * The same confinement for one function in a forked child (the client's parser): runs preload here,
 * work(in, out) there, and appends what it wrote. ERR_DATA when it crashed, overran, or said false;
 * then the sentence is the one the child left with err_fail.
 */
CHECKED enum err confine_call(bool (*work)(struct bytes in, struct buf *out), void (*preload)(void),
    struct bytes in, const struct confine_limits *limits, size_t max_out_bytes, struct buf *out);

#endif
