/* localroom: what the files behind local.h share. */
#ifndef CLIENT_LOCALROOM_H
#define CLIENT_LOCALROOM_H

#include "base/buf.h"

/* Calls `each` with the name of every entry of a directory of ours, until one fails. */
CHECKED enum err local_each(
    const char *part, enum err (*each)(const char *name, void *context), void *context);
/* A random name for an entry; malloc'ed. */
char *local_fresh_id(void);

#endif
