/* token: the one-time token as text (P1.1, P1.2) and finding one in a mail (P1.8). */
#ifndef ENROLL_TOKEN_H
#define ENROLL_TOKEN_H

#include "base/buf.h"
#include "secret/secret.h"

#define TOKEN_SYMBOLS 25
#define TOKEN_TEXT_SIZE 30 /* five groups of five, four hyphens, NUL */

struct token {
	uint8_t seed[SECRET_SEED_BYTES]; /* S */
	uint8_t pin[PIN_BYTES];
};

/* A fresh random token for the authority with this pin. */
void token_generate(const uint8_t pin[PIN_BYTES], struct token *out);
/* "7K2QX-9MDTR-4WPZC-HN3VA-6B8YE" into out[TOKEN_TEXT_SIZE]; wipe it after use. */
void token_format(const struct token *token, char out[TOKEN_TEXT_SIZE]);
/* What a person typed: any case, I L O folded, blanks and hyphens anywhere. ERR_DATA with a sentence (length, symbol, check). */
CHECKED enum err token_parse(const char *text, struct token *out);
void token_wipe(struct token *token);

enum token_found {
	TOKEN_NONE,
	TOKEN_ONE,       /* exactly one; *out is filled */
	TOKEN_AMBIGUOUS, /* several different ones */
	TOKEN_ALMOST,    /* none, but something that was meant as one (P1.8, P6.6) */
};
/* Looks in decoded text (UTF-8). A candidate counts if its check symbol fits and, where `pin` is not NULL, its pin does. */
enum token_found token_find(struct bytes text, const uint8_t *pin, struct token *out);

/* As text for draft filling and people: replaces every token found (check symbol alone) by "XXXXX-…"; for quarantined headers. */
void token_redact(struct buf *text);

#endif
