/*
 * record: a command that changes something leaves exactly one entry of its own in the audit log, whatever becomes of it: `done`, `failed`, or `refused` (interrupted, cancelled, not permitted, a
 * wrong passphrase). The command runs in a child, so that the entry is written also where the child is killed. What happened to whom is committed with the change, by the command.
 */
#ifndef ADMIN_RECORD_H
#define ADMIN_RECORD_H

#include "command.h"

/* Runs the command, its sentence of error included, and writes the entry. in->status is the exit status; dies of the signal that ended the command. */
CHECKED enum err record_run(
    struct invocation *in, const char *words, enum err (*run)(struct invocation *in));
/*
 * In the command, once the store is open and before anything is changed: fails where an entry can't be written. A sole operand that is an address is whom an entry about a
 * command that came to nothing speaks of. Nothing for a command that is not recorded.
 */
CHECKED enum err record_begin(const struct invocation *in, struct authority *authority);
/* Where the entry goes: the authority of this configuration. */
CHECKED enum err record_announce(
    const struct invocation *in, const char *config, const char *address);

#endif
