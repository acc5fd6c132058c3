/* restore: the second half of it: what restore.c put on hold is confirmed by restore_confirm.c. */
#ifndef ADMIN_RESTORE_H
#define ADMIN_RESTORE_H

#include "command.h"

/*
 * `restore --confirm`: shows every published key whose state differs from the store's, keeps the more revoked of the two, and ends the hold. Without `yes` it asks on a terminal.
 */
CHECKED enum err restore_confirm(struct invocation *in, bool yes);

#endif
