/* withdraw: the authority's certification of a stored key taken back (P5.5, P8.1), for the daemon and the administrator's commands alike. */
#ifndef SHARED_WITHDRAW_H
#define SHARED_WITHDRAW_H

#include "shared/authority.h"

/*
 * The stored key with the certification of all its user IDs withdrawn, binary; runs gpg, so before the transaction. `reason` as in keyhome_withdraw. Needs AUTHORITY_KEYS; the
 * home is left as keyhome_make made it.
 */
CHECKED enum err withdraw_certification(struct authority *authority,
    const struct keyset_row *keyset, const char *reason, struct buf *key_out);

#endif
