/* client: what main.c and the verbs of `countersign` share. One file per verb. */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "base/buf.h"

/* The options of all verbs; each verb's table names those that it takes. All borrowed from argv. */
struct options {
	const char *operand; /* TOKEN-MAIL, REPLY or KEYSET; NULL if absent */
	const char *address, *name, *keyset;
	const char *authority, *authority_key, *accept_domain;
	bool replace_authority;
	const char *token_file, *key, *home, *level;
	const char *password_file, *old_password_file, *key_file;
	const char *output, *submit, *submit_password_file;
	bool again, is_unsigned, deposit, no_deposit, dialog, json;
};

struct option {
	const char *name;  /* "--token-file" */
	const char *value; /* "FILE"; NULL: takes none */
	size_t offset;     /* in struct options: const char *, or bool */
	const char *help;
};

struct verb {
	const char *name;
	const char *operand; /* "[REPLY]" or NULL: takes none */
	const char *summary;
	const struct option *options; /* ends with a NULL name */
	enum err (*run)(const struct options *options);
};

extern const struct verb verb_request, verb_open, verb_renew, verb_list, verb_status, verb_password;

/* Reads argv[0…] by the verb's table; "--option VALUE" and "--option=VALUE"; "--" ends options. ERR_USAGE. */
CHECKED enum err options_read(const struct verb *verb, int argc, char **argv, struct options *out);
void options_help(const struct verb *verb);

/* "high", "medium", "low" (P7.2); ERR_USAGE otherwise. */
CHECKED enum err level_check(const char *level);

#endif
