/* user: what the commands about users have in common. */
#ifndef ADMIN_USER_H
#define ADMIN_USER_H

#include "enroll/state.h"
#include "shared/authority.h"

/* The state of an address without a keyset that has a token. */
#define STATE_TOKEN "outstanding"

enum keyset_state user_keyset_state(
    const struct authority *authority, const struct keyset_row *row, int64_t now);

#endif
