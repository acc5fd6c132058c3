/* internal: the table of configuration keys, from which the parser and the sample are made. */
#ifndef BASE_INTERNAL_H
#define BASE_INTERNAL_H

#include "base/conf.h"

#define CONF_SECTION_COUNT 8

enum conf_type {
	CONF_TEXT,
	CONF_LINES,  /* control characters allowed */
	CONF_PATH,   /* absolute, or empty where the default is */
	CONF_FOLDER, /* of a mailbox */
	CONF_MARK,   /* one character, or none */
	CONF_LINK,   /* a web page, or none */
	CONF_PIN,    /* a SHA-256 in base64, or none */
	CONF_MAILBOX_URL,
	CONF_SUBMIT_URL,
	CONF_CHOICE, /* one of `choices` */
	CONF_SWITCH,
	CONF_SPAN, /* from here on between `min` and `max` */
	CONF_SIZE,
	CONF_COUNT,
	CONF_LIST,  /* of any text, or of `choices`; empty is the default */
	CONF_SPANS, /* a list; may be empty */
};

struct conf_key {
	const char *section, *name;
	enum conf_type type;
	size_t at;         /* in struct conf; of a mailbox in struct conf_mailbox */
	const char *value; /* the default as it stands in the file; of a list, words */
	int64_t min, max;
	const char *choices; /* words */
	size_t sample;       /* one more than the place in struct conf_sample; 0: none */
	const char *comment; /* lines */
};

struct conf_section {
	const char *name;
	const char *comment;
};

extern const struct conf_key conf_keys[];
extern const size_t conf_key_count;
extern const struct conf_section conf_sections[CONF_SECTION_COUNT];

/* The next of words between blanks; false at the end. Advances *words. */
bool conf_word_next(const char **words, struct bytes *word_out);
/* Whether `text` can be the value, or of a list one of the values; ERR_CONFIG with the sentence. */
CHECKED enum err conf_key_check(const struct conf_key *key, const char *text);
/* Checks, and stores at the key's place in its struct. No list. */
CHECKED enum err conf_key_store(const struct conf_key *key, const char *text, void *at);
void conf_key_free(const struct conf_key *key, void *at);

#endif
