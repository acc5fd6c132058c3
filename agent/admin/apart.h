/* apart: one piece of work in a process of its own, with other rights than ours. */
#ifndef ADMIN_APART_H
#define ADMIN_APART_H

#include "base/buf.h"

/*
 * Runs work(context, out) in a child that becomes the owner of `owner` first (NULL: stays who it is) and may use key homes; appends what it wrote, and fails as it failed. An interrupted
 * one is ERR_DENIED.
 */
CHECKED enum err apart(const char *owner, enum err (*work)(void *context, struct buf *out),
    void *context, struct buf *out);
/* SIGINT and its like wait (SIG_BLOCK), so that nothing is left behind, or come again (SIG_UNBLOCK), as they do in the child. */
void apart_hold_signals(int how);

#endif
