/*
 * letters: mails that are finished before a transaction and inserted into the outbox inside it
 * (P5.1: no gpg runs inside a transaction).
 */
#ifndef SHARED_LETTERS_H
#define SHARED_LETTERS_H

#include "mail/compose.h"
#include "shared/authority.h"

#define LETTERS_MAX 40

struct letters {
	struct outbox_row rows[LETTERS_MAX];
	size_t count;
};

enum notice_event {
	NOTICE_TOKEN_ISSUED,
	NOTICE_TOKEN_VOIDED,
	NOTICE_ENROLLED,
	NOTICE_REPEAT_ALARM,
	NOTICE_RECOVERY_STARTED,
	NOTICE_RECOVERED,
	NOTICE_RENEWED,
	NOTICE_REVOKED,
	NOTICE_SELF_REVOKED /* by whoever holds the key itself (P3.8) */
};

struct notice {
	enum notice_event event;
	const char *address;     /* whom it concerns, canonical */
	const char *actor;       /* "the agent", or the administrator */
	const char *keyset;      /* or NULL */
	const char *fingerprint; /* or NULL */
	int64_t until;           /* token expiry, certified until; 0: none */
	const char *reason;      /* recovery started, revoked: what was said; or NULL */
	int64_t deposits;        /* recovery: how many old encryption keys come back */
};

/*
 * P5.6: one signed notice to the address and one to each auditor, appended to `out`. Runs gpg.
 */
CHECKED enum err letters_add_notice(
    struct authority *authority, const struct notice *notice, int64_t now, struct letters *out);
/*
 * The same for many tokens that are issued together: a text that names no address is signed once, and letters_add_round appends a copy of it to each address. The auditors get one mail
 * with a list instead. letters_round_make and letters_add_list run gpg.
 */
struct letters_round;
CHECKED enum err letters_round_make(struct authority *authority, const char *actor, int64_t until,
    int64_t now, struct letters_round **out);
CHECKED enum err letters_add_round(struct authority *authority, const struct letters_round *round,
    const char *address, int64_t now, struct letters *out);
CHECKED enum err letters_add_list(struct authority *authority, const char *actor, int64_t until,
    const char *addresses, int64_t now, struct letters *out);
void letters_round_free(struct letters_round **round);
/* One mail, multipart/signed by the authority over `part`. Runs gpg. */
CHECKED enum err letters_add_part(struct authority *authority, enum outbox_kind kind,
    const char *to, const char *subject, const struct part *part, int64_t now, struct letters *out);
/* A signed text to administrators (quarantine, alarms). Runs gpg. */
CHECKED enum err letters_add_alarm(struct authority *authority, const char *subject,
    const char *text, int64_t now, struct letters *out);
/* Inside a transaction. What is above the caps of P6.7 is left out and counted, with one log entry per
 * address and kind and one alarm a day; auditors' copies always go. */
CHECKED enum err letters_insert(
    struct authority *authority, const struct letters *letters, int64_t now);
/* Inside a transaction, where no gpg may run: an alarm to administrators that is not signed. */
CHECKED enum err letters_insert_alarm(
    struct authority *authority, const char *subject, const char *text, int64_t now);
/* Would letters_insert leave out the first of them? */
CHECKED enum err letters_are_capped(
    struct authority *authority, const struct letters *letters, int64_t now, bool *out);
/* Drops all but the first `count`. */
void letters_cut(struct letters *letters, size_t count);
void letters_free(struct letters *letters);

/* "Thu, …" header of an outgoing mail of the authority filled in: from, date, fresh Message-ID
 * (malloc'ed into *message_id_out). */
void letters_header(const struct authority *authority, const char *to, const char *subject,
    int64_t now, struct envelope_header *out, char **message_id_out);
/* The whole mail, multipart/signed by the authority. Runs gpg. */
CHECKED enum err letters_write_signed(struct authority *authority,
    const struct envelope_header *header, const struct part *part, struct buf *out);
/* The authority card (P2.7) as the attachment of a mail: `out` keeps the bytes that the part
 * borrows. Runs gpg. */
CHECKED enum err letters_card_part(
    struct authority *authority, struct buf *bytes, struct part *out);
/* The envelope sender of an outbox row (P6.1): authority+b-ID, the plain address, or "". malloc'ed.
 */
char *letters_sender(const struct authority *authority, const char *outbox_id);
/* The other way: the outbox id in the first address among these that letters_sender made; false if none is. */
bool letters_sender_id(const struct authority *authority, const char *addresses, char out[27]);

#endif
