/*
 * hold: after a restore the store may have forgotten what was used and revoked since the backup (I21). Until `countersignctl restore --confirm` no mail is worked on or sent, and
 * nothing is published, issued or recovered.
 */
#ifndef SHARED_HOLD_H
#define SHARED_HOLD_H

#include "store/store.h"

/* *since_out: when it was restored; 0: no hold. */
CHECKED enum err hold_since(struct store *store, int64_t *since_out);
/* ERR_UNAVAILABLE on hold, with what to do. */
CHECKED enum err hold_check(struct store *store);
CHECKED enum err hold_begin(struct store *store, int64_t now); /* writes */
CHECKED enum err hold_end(struct store *store);                /* writes */

#endif
