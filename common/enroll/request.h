/* request: the inside of a client's mails to the authority: plain lines (P2.2, P2.3), and the confirmation (P5.4). */
#ifndef ENROLL_REQUEST_H
#define ENROLL_REQUEST_H

#include "base/buf.h"
#include "enroll/reason.h"
#include "secret/secret.h"

enum request_kind { REQUEST_ENROLL, REQUEST_RENEW };

struct request {
	char *id; /* 26 base32 symbols */
	enum request_kind kind;
	char *address;        /* canonical */
	char *name;           /* NULL if absent */
	char *keyset;         /* as sent; P4.6 is for the caller (keyset_name_valid) */
	char fingerprint[41]; /* upper-case */
	char authority[41];
	int64_t created;
	uint8_t token_key[TOKEN_KEY_BYTES];             /* enroll */
	uint8_t token_signature[TOKEN_SIGNATURE_BYTES]; /* enroll */
	struct buf key;                                 /* binary */
	struct buf deposit;                             /* binary, secret; empty if there is none */
	struct buf
	    signed_text; /* what Token-Signature covers (P2.3); filled by parse and by write */
};

#define REQUEST_BYTES_MAX 131072
#define REQUEST_KEY_BYTES_MAX 32768
#define REQUEST_DEPOSIT_BYTES_MAX 16384

/* True if the text begins as a request or a confirmation does (after an optional BOM). */
bool request_looks_like(struct bytes text);
/* Reads it by P2.2 and P2.5, CRLF or LF. False with refusal request-malformed or too-large naming the field. `out` is to be freed in both cases. */
CHECKED bool request_parse(struct bytes text, struct request *out, struct refusal *why);
/*
 * After request_parse has said no: reads Token-Key, Token-Signature and the parts leniently, so that request_verify can still tell whether the holder
 * of a token wrote this, who is owed the refusal (P2.5). False when even that can't be read. Fills nothing else.
 */
CHECKED bool request_salvage(struct bytes text, struct request *out);
/* Writes it; for enroll signs with the token's seed (fills token_key and token_signature; seed NULL: they are written as they are). `out` becomes secret. */
void request_write(struct request *request, const uint8_t *seed, struct buf *out);
/* P2.3 */
CHECKED bool request_verify(const struct request *request);
void request_free(struct request *request);
/* A fresh Request-Id, malloc'ed. */
char *request_id_make(void);

/* The confirmation of P5.4: "Countersign-Confirmation: 1", Request-Id, Address, Keyset, Fingerprint, Authority, Nonce; signed by OpenPGP. */
struct confirmation {
	char *id;
	char *address;
	char *keyset;
	char fingerprint[41];
	char authority[41];
	char *nonce;
};
bool confirmation_looks_like(struct bytes text);
CHECKED bool confirmation_parse(struct bytes text, struct confirmation *out, struct refusal *why);
void confirmation_write(const struct confirmation *confirmation, struct buf *out);
void confirmation_free(struct confirmation *confirmation);
/* A nonce in its canonical form: 26 base32 symbols as XXXXX-XXXXX-XXXXX-XXXXX-XXXXXX (no token ends so); malloc'ed. Shown as "Confirmation: " and it. */
char *nonce_make(void);
/* Looks for "Confirmation: …" in new or quoted text, through what mail systems do to it; the nonce in canonical form or NULL; malloc'ed. */
char *nonce_find(struct bytes text);

#endif
