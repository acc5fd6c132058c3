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
	TOKEN_AMBIGUOUS, /* several different ones; *out is the first, so that its owner can be told */
	TOKEN_ALMOST,    /* none, but something that was meant as one (P1.8, P6.6) */
};
/*
 * Looks in decoded text (UTF-8), in linear time. A candidate is 25 symbols; between the groups of five, and only there, may stand
 * hyphens, blanks, quote marks, line ends with a quote prefix, and what mail systems make of them; nothing visible may touch it that
 * is a letter or digit. It counts if its check symbol fits and its pin is `pin`.
 *
 * `pin` NULL is for who has none yet (the client reads it off the token itself). The check symbol alone would pass one in 32 of all
 * strings of 25, so then only the printed form counts: hyphens or dashes between all five groups, no blank before one (a line may end
 * behind it). A licence key of that form still has that one chance in 32: compare the pin before anything is sent (P1.3).
 */
enum token_found token_find(struct bytes text, const uint8_t *pin, struct token *out);

/*
 * Overwrites every letter and digit of a token by "X", in place: "XXXXX-XXXXX-XXXXX-XXXXX-XXXXX". What counts is the check symbol
 * alone, in any form, and also five groups that were meant as a token and are mistyped: for quarantined headers. Where encoded
 * words (RFC 2047) hold one between them, all of them are overwritten.
 */
void token_redact(struct buf *text);

#endif
