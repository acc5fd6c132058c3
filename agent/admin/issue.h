/* issue: a token on its way from the checks of P1.5 to a person; what `token issue`, `token fill` and `sendmail` share. */
#ifndef ADMIN_ISSUE_H
#define ADMIN_ISSUE_H

#include "command.h"
#include "enroll/token.h"
#include "mail/compose.h"
#include "shared/letters.h"

struct issue_options {
	const char *keyset, *name, *expires;
	struct option_list also;
	bool additional;
};

/* The options as rows of an option table. */
#define ISSUE_OPTIONS(o) \
	{ "keyset", OPTION_TEXT, &(o).keyset }, { "name", OPTION_TEXT, &(o).name }, \
	    { "also", OPTION_LIST, &(o).also }, { "additional", OPTION_FLAG, &(o).additional }, \
	{ \
		"expires", OPTION_TEXT, &(o).expires \
	}

struct issue {
	char text[TOKEN_TEXT_SIZE]; /* the token */
	struct token_row row;
	int64_t superseded; /* the id of the token it replaced, or 0 */
	struct letters letters;
};

/* Checks everything, makes the token, composes the notices. Changes nothing. */
CHECKED enum err issue_prepare(struct authority *authority, const struct invocation *in,
    const struct issue_options *options, const char *address, struct issue *out);
/* P5.7: may enrollment tokens be mailed? ERR_DENIED. */
CHECKED enum err issue_check_mailing(const struct authority *authority);
/* One transaction: token, log entry, notices. Says on standard error what happened to an older token. */
CHECKED enum err issue_commit(
    struct authority *authority, const struct invocation *in, struct issue *issue);
/* One transaction: the token voided, log entry, notices. `why` is one word for the log. Runs gpg. */
CHECKED enum err issue_void(struct authority *authority, const struct invocation *in,
    const struct token_row *row, const char *why);
/* The same for a token that did not reach anybody. Keeps err_text(). */
void issue_take_back(struct authority *authority, const struct invocation *in,
    const struct issue *issue, const char *why);
/* Wipes. */
void issue_free(struct issue *issue);

/* The link of %ENROLL%: a mail to the authority with the token in its body; into a secret buf. */
void issue_link(const struct authority *authority, const struct issue *issue, struct buf *out);
/* The token mail (P5.7), whole; `out` is secret. Runs gpg. */
CHECKED enum err issue_write_mail(struct authority *authority, const struct invocation *in,
    const struct issue *issue, struct buf *out);
/* The printable sheet, appended; `out` is secret. */
void issue_write_slip(
    const struct authority *authority, const struct issue *issue, struct buf *out);

#endif
