/*
 * pipeline: one mail's way through the authority. Each stage reads what the earlier ones found out and adds to it; only `commit` changes anything outside.
 */
#ifndef AUTHORITY_PIPELINE_H
#define AUTHORITY_PIPELINE_H

#include "enroll/request.h"
#include "enroll/token.h"
#include "mail/message.h"
#include "outcome.h"
#include "shared/authority.h"
#include "shared/letters.h"

/* What is to become of the mail; stages run only while the verdict is theirs (pipeline.c). */
enum verdict {
	VERDICT_OPEN = 1,        /* not known yet */
	VERDICT_ENROLL = 2,      /* certify, answer, store */
	VERDICT_REPEAT = 4,      /* same request, same reply (P5.3) */
	VERDICT_REFUSE = 8,      /* answer with the refusal, if it is allowed to be answered */
	VERDICT_CONFIRM = 16,    /* the nonce came back (P5.4) */
	VERDICT_IGNORE = 32,     /* no answer (P4.2, P6.6) */
	VERDICT_QUARANTINE = 64, /* a person shall look at it */
	VERDICT_RENEW = 128,     /* certify anew, answer, store beside what is in force (P3.7) */
	VERDICT_REVOKED = 256,   /* a key revoked itself (P3.8): store, tell, don't answer */
};

enum work_kind {
	WORK_OTHER,
	WORK_CLIENT_REQUEST,
	WORK_PLAIN_REQUEST,
	WORK_CLIENT_RENEWAL,
	WORK_PLAIN_RENEWAL,
	WORK_CLIENT_CONFIRMATION,
	WORK_PLAIN_CONFIRMATION
};

/* A stored keyset that ends with this mail: superseded by an enrollment, or revoked by itself. */
struct ending {
	int64_t id;
	char *address, *name;
	char fingerprint[FINGERPRINT_SIZE];
	struct buf key; /* as it will be stored; empty: it stays as it is */
};

/* What became of the one signature over the whole of a mail (P2.4, P4.5). */
struct work_signature {
	bool present; /* it carries any */
	bool valid;   /* exactly one, good, by the key asked for */
	int64_t created;
};

struct work {
	struct authority *authority;
	int nursery; /* socket to the parser nursery */
	int64_t now;
	/* as offered */
	const char *mailbox, *id;
	struct bytes mail; /* at most limits.mail_bytes of it */
	int64_t size;      /* of the whole */
	uint8_t hash[HASH_BYTES];
	uint8_t attempt_key
	    [HASH_BYTES]; /* of this copy: equal mails in several workers' hands are counted each by itself */
	int64_t attempts;
	/* parse, unseal */
	struct message message; /* as it came */
	struct message inner;   /* what was encrypted, when it is MIME or text */
	bool was_encrypted;
	bool signed_inside; /* the encryption carries a signature, whosever it is */
	struct buf opened;  /* secret: the decrypted bytes */
	const struct message
	    *body; /* &message or &inner: where a plain mail's token, name and key are looked for */
	bool almost_token;
	bool carried_secret; /* a token or a secret key: the mail is not kept (P5.7) */
	/* read */
	enum work_kind kind;
	struct request request;
	struct confirmation confirmation;
	uint8_t token_key[TOKEN_KEY_BYTES];
	char *nonce;
	bool quoted_token;   /* it stood in quoted text: Autocrypt is not enough (P3.2) */
	bool token_in_clear; /* a plain mail's token stood outside of any encryption (P3.1) */
	bool token_in_text;  /* it stood in a body, not in a subject */
	bool automatic;      /* P4.2: never answered */
	/* check */
	struct token_row *token;
	char *address;  /* the token's: where every answer goes (P6.1) */
	char *keyset;   /* as stated, else by P3.3 */
	struct buf key; /* the user's key, reduced, binary */
	struct key_facts *facts;
	size_t encryption; /* index into facts->subkeys */
	enum key_origin
	    key_origin; /* a plain mail's key, and whether it stood outside of the encryption */
	bool key_outside;
	bool signature_of_body;   /* the signature looked at was the body's, not the encryption's */
	bool relies_on_signature; /* P2.4: this enrollment is allowed by a signature */
	struct keyset_row *earlier;  /* repeat, renew, confirm: the keyset meant */
	struct renewal_row *renewal; /* confirm: the renewal meant, where it is one */
	char *renewal_id;            /* renew: what the request is known by (P4.5) */
	uint8_t renewal_hash[HASH_BYTES];
	struct buf picture; /* the address's keysets and their states, as check saw them */
	struct ending *endings;
	size_t ending_count;
	struct refusal refusal;
	bool alarm;   /* a used token with other content (P5.3) */
	bool exposed; /* the token of a recovery was sent in clear: it is taken back (P3.6) */
	/* deposit, certify, compose */
	struct deposit_row *deposit; /* sealed to the escrow key; its keyset is set by commit */
	int64_t until;
	struct buf certified;
	struct keyset_row *fresh; /* as it will be stored, or (a renewal) as it may become */
	int64_t released;         /* recovery: deposits that the reply brings (P5.5) */
	struct letters letters;   /* finished mails */
	/* outcome */
	enum verdict verdict;
	bool raced;    /* commit found that another worker was faster */
	char why[400]; /* ignored, quarantined: one sentence for the journal and the quarantine */
	enum outcome outcome;
};

/* The stages, one file each. ERR_OK: go on with w->verdict; anything else defers the mail, and counts as a failed attempt unless it is an outage (outage.h). */
CHECKED enum err stage_parse(struct work *w);
CHECKED enum err stage_unseal(struct work *w);
CHECKED enum err stage_read(struct work *w);
CHECKED enum err stage_check(struct work *w);
CHECKED enum err stage_deposit(struct work *w);
CHECKED enum err stage_certify(struct work *w);
CHECKED enum err stage_compose(struct work *w);
CHECKED enum err stage_withdraw(struct work *w);
CHECKED enum err stage_commit(struct work *w); /* ERR_TEMPORARY "raced": run again from check */

/* Runs them. ERR_OK: w->outcome says what intake shall do, and everything is committed. */
CHECKED enum err pipeline_run(struct work *w);
/* Frees what the stages made; the offered fields stay the caller's. */
void work_free(struct work *w);

/* For stages: the verdict with its sentence; both return ERR_OK. */
enum err work_ignore(struct work *w, const char *format, ...) PRINTF_LIKE(2, 3);
enum err work_quarantine(struct work *w, const char *format, ...) PRINTF_LIKE(2, 3);
/* Is this mail OpenPGP-signed, validly, by this key as stored by us (P2.4, P4.5)? The key is in the home afterwards. */
CHECKED enum err work_signed_by(
    struct work *w, struct bytes key, const char *fingerprint, struct work_signature *out);

#endif
