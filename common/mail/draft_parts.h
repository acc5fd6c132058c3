/* What the files of draft share: header fields as raw bytes, Content-Type, and one text part. */
#ifndef MAIL_DRAFT_PARTS_H
#define MAIL_DRAFT_PARTS_H

#include "mail/draft.h"

/* draft_header.c: a part of the draft, cut into its header, the empty line and the body. */
struct entity {
	struct bytes head, gap, body;
};
struct entity entity_split(struct bytes part);

struct raw_field {
	struct bytes raw; /* with folds and line ends */
	struct bytes name, value;
};
bool raw_field_next(struct bytes *rest, struct raw_field *out);
bool raw_field_is(const struct raw_field *field, const char *name);
/* The value of the first field of this name on one line, malloc'ed; NULL if there is none. */
char *raw_field_value(struct bytes head, const char *name);

#define CONTENT_PARAMETERS_MAX 16
struct content {
	char *type; /* lower-case; "text/plain" where nothing is said */
	size_t count;
	struct {
		char *name, *value;
	} parameter[CONTENT_PARAMETERS_MAX];
};
/* Of a Content-Type or Content-Disposition value, which may be NULL. */
void content_read(const char *value, struct content *out);
const char *content_parameter(const struct content *content, const char *name); /* or NULL */
void content_set_parameter(struct content *content, const char *name, const char *value);
void content_write(const struct content *content, const char *line_end, struct buf *out);
void content_free(struct content *content);

/* The addr-specs of an address list, appended to facts->recipients. */
void address_list_read(struct bytes value, struct draft_facts *facts);

/* draft_text.c */
struct word_list {
	const struct draft_word *words;
	size_t count;
};
struct text_found {
	bool *unquoted; /* per word; array of the caller */
	bool *quoted;
	bool is_signed, is_encrypted; /* OpenPGP in line */
	const char *broken;           /* a word with markup inside; or NULL */
};
struct text_kind {
	bool html;
	const char *charset;  /* or NULL */
	const char *encoding; /* Content-Transfer-Encoding or NULL */
};
struct text_result {
	bool changed;
	const char *charset, *encoding; /* where another one became necessary, else NULL */
	struct buf body;                /* encoded */
};
/*
 * Looks for words in a text part's body and fills those that have a value. ERR_DATA where a value
 * can't be written between bytes that the stated charset does not know.
 */
CHECKED enum err text_fill(struct bytes body, const struct text_kind *kind,
    const struct word_list *list, const char *line_end, struct text_found *found,
    struct text_result *out);
/* The words in plain text that no quoting concerns (a Subject); true if there was one. */
bool words_replace(struct bytes text, const struct word_list *list, struct buf *out);

#endif
