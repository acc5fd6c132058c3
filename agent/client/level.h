/* level: the security level of a keyset, and what it does to its GnuPG home (P7.2). */
#ifndef CLIENT_LEVEL_H
#define CLIENT_LEVEL_H

#include "client/client.h"

/* --level, the dialog, the terminal, else medium; malloc'ed. */
CHECKED enum err level_choose(const struct options *options, const char *keyset, char **out);
/*
 * P7.2: says which other secret keys of the home a keyset of this level will affect, before it does: on the terminal, or in a dialog
 * (ERR_DENIED when the person does not want that). Nothing where nothing changes. `fingerprint` is the keyset's own key.
 */
CHECKED enum err level_warn(
    const struct options *options, const char *home, const char *level, const char *fingerprint);
/* Writes what the strictest keyset of the home wants, and has the agent read it. */
CHECKED enum err level_apply(const char *home);

#endif
