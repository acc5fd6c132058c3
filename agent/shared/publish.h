/* publish: the Web Key Directory (P5.4): advanced layout, one key per address, the authority's own
 * always; and the authority card beside it (P2.7). All but publish_address need AUTHORITY_KEYS. */
#ifndef SHARED_PUBLISH_H
#define SHARED_PUBLISH_H

#include "shared/authority.h"

/* Writes or removes the entry of one address below `directory` (which stands for the web server's
 * root), durably. */
CHECKED enum err publish_address(
    struct authority *authority, const char *directory, const char *address, int64_t now);
/* All that is due into conf wkd.directory; own transactions; marks what succeeded. *count_out:
 * entries written. */
CHECKED enum err publish_due(struct authority *authority, int64_t now, int64_t *count_out);
/* When publish_due began to fail; 0: it does not. */
CHECKED enum err publish_failing_since(struct authority *authority, int64_t *since_out);
/* Who is told how far it is. */
struct publish_watch {
	void (*done)(void *context, size_t done, size_t total);
	void *context;
};
/* The whole directory, made beside `directory` and renamed into place (an existing one is exchanged
 * and removed): all or nothing. `watch` may be NULL. */
CHECKED enum err publish_export(struct authority *authority, const char *directory, int64_t now,
    const struct publish_watch *watch, int64_t *count_out);

#endif
