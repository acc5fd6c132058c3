/*
 * draft: an administrator's outgoing mail with placeholders (4-operations: `token fill`,
 * `sendmail`). The draft is the administrator's own, but it quotes strangers, so it is scanned by
 * our own bounded walk and never by libetpan.
 */
#ifndef MAIL_DRAFT_H
#define MAIL_DRAFT_H

#include "base/buf.h"

struct draft_word {        /* "%TOKEN%" and what stands in its place */
	const char *word;  /* "TOKEN" */
	const char *value; /* UTF-8 */
};

struct draft_facts {
	bool
	    has_token_word; /* %TOKEN% or %ENROLL% in unquoted text of a text part, broken or not */
	bool has_other_word;    /* any other known word */
	bool quoted_token_word; /* either in quoted text: an error (somebody may have sent it) */
	const char *
	    broken_word; /* one that can be read but not be replaced, as HTML markup stands inside it; or NULL */
	bool is_signed, is_encrypted; /* filling would break it */
	char **recipients;            /* addr-specs of To, Cc and Bcc; NULL-terminated */
	size_t recipient_count;
	char *from;        /* the first addr-spec, or NULL */
	size_t from_count; /* of addresses in all From fields */
};

/* ERR_DATA when it is no mail that can be understood. `out` is to be freed in both cases. */
CHECKED enum err draft_inspect(struct bytes draft, struct draft_facts *out);
void draft_facts_free(struct draft_facts *facts);
/*
 * Replaces the words in every unquoted text part, whatever charset and transfer encoding (soft line
 * breaks inside a word, base64, format=flowed, HTML entities; in HTML parts the values are
 * escaped), drops Bcc, and appends `attachment` (a part_write result) as a further part (the mail
 * becomes multipart/mixed where it was not). Lines without a word keep every byte, in base64 those in front of the first word.
 */
CHECKED enum err draft_fill(struct bytes draft, const struct draft_word *words, size_t word_count,
    struct bytes attachment, struct buf *out);

#endif
