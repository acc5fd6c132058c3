/* issue: a token on its way from the checks of P1.5 to a person; what `token issue`, `token fill`, `sendmail` and `recover` share. */
#ifndef ADMIN_ISSUE_H
#define ADMIN_ISSUE_H

#include "base/when.h"
#include "command.h"
#include "enroll/token.h"
#include "mail/compose.h"
#include "mail/draft.h"
#include "shared/letters.h"

struct issue_options {
	const char *keyset, *name, *expires;
	const char *language; /* of mail and slip; NULL: the configured one */
	struct option_list also;
	bool additional;
	bool recovery; /* of `recover` alone */
	bool bulk;     /* the caller composes the notices */
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
	char *language;             /* of mail and slip; NULL: the configured one */
	struct token_row row;
	int64_t superseded; /* the id of the token it replaced, or 0 */
	struct letters letters;
	/* for a recovery (P5.5): */
	uint8_t recovery_key[RECOVERY_KEY_BYTES];
	struct release_row *releases; /* written with the token */
	size_t release_count;
	const char *reason; /* or NULL */
	bool apart; /* its mail does not hold the token: that has to be handed over otherwise */
};

#define ISSUE_WORDS 8
/* What stands in the place of %TOKEN% and the other words; secret. */
struct issue_words {
	struct draft_word list[ISSUE_WORDS];
	struct buf link;
	char *fingerprint, day[WHEN_TEXT_SIZE];
};

/* Checks everything, makes the token, composes the notices (but those of a recovery and of bulk, whose callers know what to say). Changes nothing. */
CHECKED enum err issue_prepare(struct authority *authority, const struct invocation *in,
    const struct issue_options *options, const char *address, struct issue *out);
/* P5.7: may tokens for this purpose be mailed? ERR_DENIED. */
CHECKED enum err issue_check_mailing(const struct authority *authority, bool recovery);
/* One transaction: token, log entry, notices. Says on standard error what happened to an older token. */
CHECKED enum err issue_commit(
    struct authority *authority, const struct invocation *in, struct issue *issue);
/* The part of it that writes, for a transaction with more in it; then issue_committed, which tells what issue_commit tells. */
CHECKED enum err issue_insert(
    struct authority *authority, const struct invocation *in, struct issue *issue);
void issue_committed(const struct issue *issue);
/* P5.7: hands the token mail over. Without the server's answer the token is voided, and the error says why. */
CHECKED enum err issue_send(struct authority *authority, const struct invocation *in,
    const struct issue *issue, struct bytes mail);
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
/* Borrows from the issue. `no_keyset` is the value of KEYSET where the token fixes none. */
void issue_words_make(const struct authority *authority, const struct issue *issue,
    const char *no_keyset, struct issue_words *out);
void issue_words_free(struct issue_words *words);
/* Before anything is issued: are there sound templates in this language (NULL: the configured one), and may the token be in the mail (P5.7)? ERR_CONFIG, ERR_DENIED. */
CHECKED enum err issue_check_letter(const struct authority *authority, const char *language);
/* The token mail (P5.7), whole; `out` is secret; sets issue->apart. Runs gpg. */
CHECKED enum err issue_write_mail(
    struct authority *authority, const struct invocation *in, struct issue *issue, struct buf *out);

#endif
