/* fill: a token put into a draft; what `token fill`, `sendmail` and `filter` share. */
#ifndef ADMIN_FILL_H
#define ADMIN_FILL_H

#include "issue.h"

#define DRAFT_BYTES_MAX (256u << 20)

struct filling {
	struct invocation *in;
	struct issue_options options;
	struct buf draft; /* as it was read */
	struct draft_facts facts;
	const char **
	    recipients; /* of the envelope; NULL-terminated; borrowed from facts and the arguments */
	size_t recipient_count;
	struct authority *authority;
};

void filling_free(struct filling *f);
void fill_add_recipient(struct filling *f, const char *address);
/* Header and envelope together name one person, or nobody can say whose token it would be: the canonical address. ERR_DATA. */
CHECKED enum err fill_only_recipient(const struct filling *f, char **out);
/* May this draft be filled at all, and tokens be mailed? Opens the authority. */
CHECKED enum err fill_open(struct filling *f);
/* The draft with this token in it; `out` is secret. Runs gpg. */
CHECKED enum err fill_compose(struct filling *f, const struct issue *issue, struct buf *out);
/* A token for the one recipient, committed, and the mail with it. Everything that can fail comes before the token exists. */
CHECKED enum err fill_issue(
    struct filling *f, const char *address, struct issue *issue, struct buf *out);
/*
 * Hands a mail over to the mail server of this configuration; `sender` "" is the null sender. ERR_TEMPORARY, or ERR_UNAVAILABLE where
 * the server will never take it.
 */
CHECKED enum err fill_hand_on(
    const struct conf *conf, const char *sender, const char *const *recipients, struct bytes mail);

#endif
