/* prior: a keyset that the address already has here: it guards its name (P7.3) and signs what follows it (P2.4). */
#ifndef CLIENT_PRIOR_H
#define CLIENT_PRIOR_H

#include "client/client.h"
#include "client/local.h"
#include "keys/keyhome.h"

struct prior {
	struct local_keyset keyset; /* id NULL: there is none */
	struct keyhome *home;
	struct buf password; /* once unlocked; empty where it has none, or gpg asks for it itself */
	bool
	    must_sign; /* it has the name that is asked for: without its signature the request is pointless (P4.6) */
};

/*
 * The keyset of this address and name, unlocked by its password; none if its keys are gone or corrupt. ERR_DENIED "… use a free name" for a
 * wrong or empty password, or Cancel. Where the name is free: the newest that can sign, not unlocked.
 */
CHECKED enum err prior_find(const struct options *options, const char *address, const char *name,
    const struct local_authority *authority, struct prior *out);
/* For a renewal (P4.5): this keyset (taken over), by --password-file, else by gpg's own pinentry and cache. */
CHECKED enum err prior_take(
    const struct options *options, struct local_keyset *keyset, struct prior *out);
/* Seals `content` to the authority: signed by the prior keyset where there is one, else only encrypted in `home`. */
CHECKED enum err prior_seal(const struct options *options, struct prior *prior,
    struct keyhome *home, const struct local_authority *authority, struct bytes content,
    struct buf *out);
void prior_close(struct prior *prior);
/* The first name like this one that no keyset and no pending request of the address has; malloc'ed. */
CHECKED enum err prior_free_name(const char *address, const char *name, char **out);

#endif
