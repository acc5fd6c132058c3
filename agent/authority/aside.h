/* aside: mails of a mailbox that rest: to be offered again after a while, or only to be put away, as their outcome is known. */
#ifndef AUTHORITY_ASIDE_H
#define AUTHORITY_ASIDE_H

#include <stddef.h>

#include "backoff.h"
#include "mail/mailbox.h"

struct aside {
	char *id;
	struct backoff again;
	bool owed; /* its outcome is committed: `how` is all there is to do */
	enum settle how;
};

struct asides {
	struct aside *at; /* by id */
	size_t count;
};

/* NULL if it is none. Results are good until the next aside_put or aside_drop. */
struct aside *aside_find(const struct asides *asides, const char *id);
/* The one of that id, made if there is none: to be tried at once. */
struct aside *aside_put(struct asides *asides, const char *id);
void aside_drop(struct asides *asides, struct aside *aside);
void asides_free(struct asides *asides);

#endif
