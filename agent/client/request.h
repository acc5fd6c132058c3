/* request: what `request` and `request --again` share. */
#ifndef CLIENT_REQUEST_H
#define CLIENT_REQUEST_H

#include "client/authority.h"
#include "client/client.h"
#include "client/local.h"
#include "client/prior.h"

/* A request being made. */
struct making {
	const struct options *options;
	struct message mail; /* TOKEN-MAIL */
	bool has_mail;
	struct local_profile profile;
	struct local_authority authority;
	struct token token;
	struct local_request request;
	struct keyhome *home; /* the pending keyset's */
	struct keyhome *own;  /* --key: the user's */
	struct prior prior;
	struct buf password; /* --level */
	bool deposits;       /* a deposit is wanted */
	struct buf deposit;
	struct buf sealed; /* the request as it leaves */
	bool kept;         /* the record is written: the pending directory stays */
};
#define MAKING(o) \
	{ \
		.options = (o), .request = { .recovery_key = BUF_SECRET }, .password = BUF_SECRET, \
		.deposit = BUF_SECRET \
	}

CHECKED enum err making_read_mail(struct making *m);
/* What the user chooses (choose.c): options, else the terminal, else what is likely. */
CHECKED enum err making_choose_address(struct making *m);
CHECKED enum err making_choose_keyset(struct making *m); /* with P7.3 */
CHECKED enum err making_choose_name(struct making *m);
CHECKED enum err making_choose_level(struct making *m);
/* P2.8: whether a deposit leaves, and whether it may (deposit.c). ERR_DENIED: one has to, and may not. */
CHECKED enum err making_choose_deposit(struct making *m);
/* Makes it from the key, once that is there. Nothing where none is wanted, or the key is on a card. */
CHECKED enum err making_deposit(struct making *m);
/* Writes, signs (token and prior keyset) and seals the request (P2.2 to P2.4) under a fresh Request-Id, which the record then names. */
CHECKED enum err making_write(struct making *m);
/* Keeps the record first, then the sealed request, so that every Request-Id that ever leaves is known here. */
CHECKED enum err making_keep(struct making *m);
CHECKED enum err making_send(struct making *m);
/* What failed for good leaves nothing behind; what may have been sent stays, for its reply. Puts what to do into err_text(). */
void making_give_up(struct making *m, enum err why);
void making_clear(struct making *m);

CHECKED enum err request_again(const struct options *options);

#endif
