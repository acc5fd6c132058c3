/*
 * store: SQLite behind plain structs. One connection a process, never carried over a fork. Writing
 * happens only between store_begin and store_commit (BEGIN IMMEDIATE); a function that writes says so
 * and fails with ERR_SOFTWARE outside. Every row of token, keyset, outbox, log and the named texts
 * carries a check of its own (I10): a row that does not fit its check is ERR_DATA "… is damaged".
 * ERR_TEMPORARY when busy or full. After ERR_IO the handle does nothing more (I12): close it, open it
 * again, and look what was kept. Results are malloc'ed; x_free leaves NULL.
 *
 * x_each calls back outside of any lock of the store, so the callback may use the store and take its
 * time. It leaves damaged rows out and goes on; then the result is ERR_DATA, naming the first.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/buf.h"
#include "enroll/state.h"

struct store;

/* Creates the store; ERR_CREATE if the file exists. */
CHECKED enum err store_create(const char *path, struct store **out);
/* ERR_NOINPUT (missing), ERR_DATA (not a store, damaged), ERR_CONFIG (newer format: "… was written by
 * a newer Countersign"). */
CHECKED enum err store_open(const char *path, unsigned busy_seconds, struct store **out);
void store_close(struct store **store);
/* The whole file's structure, indexes included; for the start of a process. */
CHECKED enum err store_quick_check(struct store *store);
/* The same, and every row of tokens, keysets, deposits, outbox and log by its own check (I10). Reads everything. */
CHECKED enum err store_check_rows(struct store *store, int64_t *keysets_out);
/* A consistent copy while others write, in a file that has no name any more; the caller closes. Writers wait meanwhile. The head of its log as of audit_head. */
CHECKED enum err store_copy(
    struct store *store, int *fd_out, int64_t *head_number_out, char head_hash_out[65]);
/*
 * Uniform transactions. store_commit fails with nothing changed, also when a write within failed and
 * the caller went on; store_rollback is fine outside one.
 */
CHECKED enum err store_begin(struct store *store);
CHECKED enum err store_commit(struct store *store);
void store_rollback(struct store *store);
/* Since store_begin: was the store busy, full or not to be read or written, or the clock behind? Then the fault is not in what was asked. */
bool store_hindered(const struct store *store);
/* I12: reading or writing failed, and nothing works any more until it is opened again. */
bool store_failed(const struct store *store);
/*
 * Named texts: "authority-address", "authority-fingerprint", "authority-key" (binary as base64),
 * "pin", "ready", … NULL if absent.
 */
CHECKED enum err store_get(struct store *store, const char *name, char **value_out);
CHECKED enum err store_set(struct store *store, const char *name, const char *value); /* writes */

/* What `status` shows. */
struct store_counts {
	int64_t tokens_outstanding;
	int64_t keysets[KEYSET_STATES];
	int64_t expiring; /* confirmed keysets whose certification ends within `soon_seconds` */
	int64_t publish_due;
	int64_t outbox_waiting, outbox_failed, outbox_bounced;
	int64_t outbox_oldest; /* when the oldest waiting mail was made; 0: none waits */
	int64_t quarantined;
	int64_t deposits;
	int64_t recoveries; /* tokens with released deposits */
};
CHECKED enum err store_count(struct store *store, int64_t now, int64_t grace_seconds,
    int64_t soon_seconds, struct store_counts *out);
/*
 * Writes. Forgets what nothing asks for any more: outbox rows done with, attempts, marks and replies of renewals, all
 * older than 90 days, marks by `grace_seconds` more: what was told of a certification is known until it can't be renewed any more;
 * released deposits whose token has ended.
 */
CHECKED enum err store_prune(struct store *store, int64_t now, int64_t grace_seconds);

/* ---- tokens ---- */
struct token_row {
	int64_t id;
	uint8_t key[32]; /* public half of the token key (P1.4) */
	char *address;   /* canonical */
	char *also;      /* further addresses (P4.7), one a line; NULL: none */
	char *name;      /* recorded name or NULL */
	char *keyset;    /* fixed name or NULL */
	bool additional; /* --additional (P2.4) */
	bool recovery;   /* purpose */
	char *issued_by;
	int64_t issued, expires, used, superseded, voided; /* 0: not */
	int64_t used_keyset;                               /* the keyset it made; 0: none */
};
/*
 * Writes. Supersedes an outstanding one of the address (P1.6); fills id. *superseded_out its id or
 * 0.
 */
CHECKED enum err token_insert(
    struct store *store, struct token_row *row, int64_t now, int64_t *superseded_out);
/*
 * By public key; *out NULL if unknown, or used, voided, superseded or expired for more than 30
 * days (P4.4).
 */
CHECKED enum err token_by_key(
    struct store *store, const uint8_t key[32], int64_t now, struct token_row **out);
CHECKED enum err token_by_id(
    struct store *store, int64_t id, struct token_row **out); /* NULL if absent */
/* The outstanding one of an address, or NULL. */
CHECKED enum err token_outstanding(
    struct store *store, const char *address, int64_t now, struct token_row **out);
/*
 * Writes; ERR_TEMPORARY "raced" unless it is outstanding now (I1); the transaction can't be
 * committed then. `keyset` is in the store already.
 */
CHECKED enum err token_use(struct store *store, int64_t id, int64_t keyset, int64_t now);
/* Writes; ERR_NOUSER when it is not outstanding. */
CHECKED enum err token_void(struct store *store, int64_t id, int64_t now);
/*
 * Calls `each` per token, newest first; all of them, or with only_outstanding; address NULL:
 * everybody's.
 */
CHECKED enum err token_each(struct store *store, const char *address, bool only_outstanding,
    int64_t now, void (*each)(const struct token_row *row, void *context), void *context);
void token_row_free(struct token_row **row);

/* ---- keysets ---- */
struct keyset_row {
	int64_t id;
	char *address, *name; /* name as stated; unique per address among the live, folded (P4.6) */
	char fingerprint[41];
	char encryption_fingerprint[41];
	char *user_id;
	struct buf key;           /* certified public key, binary */
	char *request_id;         /* of the request that made it */
	uint8_t request_hash[32]; /* SHA-256 over the request's content: the same request (P5.3) */
	char *nonce;
	bool plain; /* replied as PGP/MIME to a mail program (P6.3) */
	struct buf
	    reply; /* the sealed reply, armored; empty once it is not sent again (P5.3, P5.5) */
	char *reply_message_id; /* of its first mail */
	uint8_t reply_hash[32];
	int64_t token; /* token id; 0: none */
	int64_t enrolled, certified_until, confirmed, superseded, revoked, published; /* 0: not */
	char *revoke_reason;
	bool publish_due; /* the WKD entry of the address must be written again */
	bool preferred;   /* user prefer */
};
/*
 * Writes; fills id. ERR_TEMPORARY "raced" if a live one of the address has that name: look again.
 */
CHECKED enum err keyset_insert(struct store *store, struct keyset_row *row);
CHECKED enum err keyset_by_id(struct store *store, int64_t id, struct keyset_row **out);
/* Live = neither superseded nor revoked. By address and folded name, newest; NULL if none. */
CHECKED enum err keyset_by_name(
    struct store *store, const char *address, const char *name, struct keyset_row **out);
CHECKED enum err keyset_by_nonce(struct store *store, const char *nonce, struct keyset_row **out);
/* Any live keyset with this primary fingerprint, of whomever; NULL if none. */
CHECKED enum err keyset_by_fingerprint(
    struct store *store, const char *fingerprint, struct keyset_row **out);
CHECKED enum err keyset_each(struct store *store, const char *address, bool with_key,
    void (*each)(const struct keyset_row *row, void *context),
    void *context); /* address NULL: all; ordered by address, newest first */
/* Every keyset with this primary fingerprint, of whomever, live or not; newest first. */
CHECKED enum err keyset_each_of_key(struct store *store, const char *fingerprint,
    void (*each)(const struct keyset_row *row, void *context), void *context);
/* Each writes; ERR_NOUSER if there is no such keyset, or no live one where it must be. */
CHECKED enum err keyset_supersede(
    struct store *store, int64_t id, int64_t now); /* sets publish_due where it was confirmed */
CHECKED enum err keyset_confirm(struct store *store, int64_t id,
    int64_t now); /* sets publish_due; nothing when it is already; live only */
/*
 * Clears publish_due; not live: published becomes 0. `read` is the row that was published by: if it has
 * changed since, then nothing is done, *done_out is false and it stays due.
 */
CHECKED enum err keyset_published(
    struct store *store, const struct keyset_row *read, int64_t now, bool *done_out);
CHECKED enum err keyset_prefer(
    struct store *store, int64_t id); /* and no other of its address; sets publish_due; live only */
/*
 * The one to publish for an address (P5.4): preferred, else confirmed last, live and certified;
 * NULL if none.
 */
CHECKED enum err keyset_to_publish(
    struct store *store, const char *address, int64_t now, struct keyset_row **out);
/* The one with the smallest id above `after`; *id_out is that id, of a damaged one too, or 0. */
CHECKED enum err keyset_publish_due(
    struct store *store, int64_t after, int64_t *id_out, struct keyset_row **out);
void keyset_row_free(struct keyset_row **row);

/* Writes; live or superseded. The key is replaced by the one with the certification withdrawn; sets publish_due where it was confirmed. `reason` may be NULL. */
CHECKED enum err keyset_revoke(
    struct store *store, int64_t id, const struct buf *key, const char *reason, int64_t now);
/* Writes. Of a keyset that is superseded (or revoked): the key with the certification withdrawn. */
CHECKED enum err keyset_replace_key(struct store *store, int64_t id, const struct buf *key);
/* Confirmed, live, certified until after `after` and before `until`; ordered by that time: for reminders. */
CHECKED enum err keyset_each_ending(struct store *store, int64_t after, int64_t until,
    void (*each)(const struct keyset_row *row, void *context), void *context);

/* ---- deposits and their release (P4.8, P5.5) ---- */
struct deposit_row {
	int64_t id;
	int64_t keyset;
	char *address;
	char encryption_fingerprint[41];
	char escrow[41]; /* fingerprint of the escrow key it is sealed to */
	struct buf sealed;
	uint8_t hash[32]; /* SHA-256 of sealed */
	int64_t created;
};
/* Writes; fills id and hash. One that the keyset has of this subkey already is replaced. */
CHECKED enum err deposit_insert(struct store *store, struct deposit_row *row);
/* All generations of an address, or everybody's (NULL); oldest first. */
CHECKED enum err deposit_each(struct store *store, const char *address,
    void (*each)(const struct deposit_row *row, void *context), void *context);
/* `escrow rotate`: the first after `after` that is not sealed to `escrow`; *id_out is its id, of a damaged one too, or 0. */
CHECKED enum err deposit_next_foreign(struct store *store, const char *escrow, int64_t after,
    int64_t *id_out, struct deposit_row **out);
CHECKED enum err deposit_reseal(
    struct store *store, int64_t id, const char *escrow, const struct buf *sealed); /* writes */
CHECKED enum err deposit_count(
    struct store *store, const char *address, int64_t *count_out); /* NULL: all */
void deposit_row_free(struct deposit_row **row);

/*
 * A deposit sealed under a recovery token. They vanish when the keyset that the token made is confirmed, superseded or revoked, and when the token is voided, superseded or expired
 * (the last by release_prune).
 */
struct release_row {
	int64_t token;
	char encryption_fingerprint[41];
	struct buf sealed;
};
CHECKED enum err release_insert(struct store *store, const struct release_row *row); /* writes */
CHECKED enum err release_each(struct store *store, int64_t token,
    void (*each)(const struct release_row *row, void *context), void *context);
CHECKED enum err release_forget(struct store *store, int64_t token); /* writes */
/* Writes. Those whose token has ended; part of store_prune. */
CHECKED enum err release_prune(struct store *store, int64_t now);

/* ---- renewals (P3.7, P4.5) ---- */
/* A new certification of a keyset, in force once its nonce came back (P5.4); until then the keyset stays as it is. Never forgotten, so that one sent again changes nothing; the reply is, after 90 days. */
struct renewal_row {
	int64_t id;
	int64_t keyset;
	char *request_id; /* Request-Id, or "mail:" and the Message-ID */
	uint8_t request_hash[32];
	struct buf key; /* certified; empty once it or a newer one is in force */
	char encryption_fingerprint[41];
	char *user_id;
	char *nonce;
	bool plain;
	struct buf reply; /* empty once forgotten */
	char *reply_message_id;
	uint8_t reply_hash[32];
	int64_t created, certified_until, confirmed;
};
CHECKED enum err renewal_insert(struct store *store,
    struct renewal_row
	*row); /* writes; fills id; ERR_TEMPORARY "raced" if the request is there already */
CHECKED enum err renewal_by_request(
    struct store *store, const char *request_id, struct renewal_row **out); /* NULL: never seen */
CHECKED enum err renewal_by_nonce(struct store *store, const char *nonce, struct renewal_row **out);
/* All of a keyset, oldest first. */
CHECKED enum err renewal_each(struct store *store, int64_t keyset,
    void (*each)(const struct renewal_row *row, void *context), void *context);
/*
 * Writes: key, encryption subkey, user ID and certified_until of the keyset become these, publish_due; all other renewals of it that were never confirmed lapse (their key is emptied). Nothing if it is
 * in force, has lapsed, or has ended itself. ERR_NOUSER if the keyset is not live.
 */
CHECKED enum err renewal_confirm(struct store *store, int64_t id, int64_t now);
void renewal_row_free(struct renewal_row **row);

/* ---- outbox ---- */
/* A repeat is a reply sent again (P5.3); a notice is one to the address it concerns (P5.6); alarms are
 * for those who watch. */
/* A reminder may be answered by a renewal (P3.7). */
enum outbox_kind {
	OUTBOX_REPLY,
	OUTBOX_REPEAT,
	OUTBOX_REFUSAL,
	OUTBOX_NOTICE,
	OUTBOX_ALARM,
	OUTBOX_REMINDER
};
struct outbox_row {
	char id[27]; /* random, base32; chosen before composing (outbox_id_make) */
	enum outbox_kind kind;
	char *sender, *recipient; /* envelope; sender "" is null */
	char *message_id;
	struct buf mail;
	int64_t created, due, sent, failed, bounced; /* 0: not */
	int64_t attempts, doubts;
	char *last_error;
};
void outbox_id_make(char out[27]);
/* Was a mail of this kind with this Message-ID sent to this recipient? */
CHECKED enum err outbox_has(struct store *store, enum outbox_kind kind, const char *message_id,
    const char *recipient, bool *out);
CHECKED enum err outbox_insert(struct store *store, const struct outbox_row *row); /* writes */
/*
 * Own transaction, or part of the one begun. Takes the oldest that is due for lease_seconds: its due moves on, so a lost sender
 * is covered, and attempts grows. *out NULL: none; then *next_due_out is when, or 0. ERR_DATA: that row
 * is damaged and is left alone for a lease, so that the others get their turn. The one with last_id is taken when no other is due.
 */
CHECKED enum err outbox_claim(struct store *store, int64_t now, int64_t lease_seconds,
    const char *last_id_or_null, struct outbox_row **out, int64_t *next_due_out);
/* ERR_NOUSER when there is none. */
CHECKED enum err outbox_by_id(struct store *store, const char *id, struct outbox_row **out);
/* Own transaction each, or part of the one begun. ERR_NOUSER if there is no such row. outbox_sent forgets
 * the mail's bytes; hurry is for waiting and failed ones, and for damaged ones there is drop. */
CHECKED enum err outbox_sent(struct store *store, const char *id, int64_t now);
CHECKED enum err outbox_retry(struct store *store, const char *id, int64_t due, const char *error);
/* As outbox_retry; but it may have arrived, which is counted. */
CHECKED enum err outbox_doubted(
    struct store *store, const char *id, int64_t due, const char *error);
CHECKED enum err outbox_failed(struct store *store, const char *id, int64_t now, const char *error);
CHECKED enum err outbox_bounced(struct store *store, const char *id, int64_t now, const char *why);
/* Claimed in vain, by no fault of the mail: due at once again, and the attempt does not count. */
CHECKED enum err outbox_return(struct store *store, const char *id, int64_t now, const char *why);
/* What a delivery report is about: by the id, else by the Message-ID; either may be NULL. *out NULL: nothing of ours. */
CHECKED enum err outbox_find(struct store *store, const char *id_or_null,
    const char *message_id_or_null, struct outbox_row **out);
/* `outbox retry`: NULL is all that wait and all that failed. ERR_NOUSER if unknown. */
CHECKED enum err outbox_hurry(
    struct store *store, const char *id_or_null, int64_t now, int64_t *count_out);
CHECKED enum err outbox_drop(struct store *store, const char *id);
CHECKED enum err outbox_each(struct store *store, bool only_waiting,
    void (*each)(const struct outbox_row *row, void *context), void *context);
/* P6.7: those of a kind made since `since`, to this recipient (NULL: to all). */
CHECKED enum err outbox_count(struct store *store, enum outbox_kind kind, const char *recipient,
    int64_t since, int64_t *count_out);
void outbox_row_free(struct outbox_row **row);

/* ---- attempts, seen mails, quarantine ---- */
/*
 * Own transaction, before the work starts: counts an attempt at the mail with this SHA-256;
 * *attempts_out includes it. *outcome_out is what attempt_end wrote: then nothing is to be done; -1: none.
 */
CHECKED enum err attempt_begin(struct store *store, const uint8_t mail_hash[32], int64_t now,
    int64_t *attempts_out, int64_t *outcome_out);
/*
 * Writes: the outcome (0 to 255), with everything that the mail causes. *earlier_out is the one that another
 * worker wrote first: then nothing was written, and nothing may be; else -1.
 */
CHECKED enum err attempt_end(struct store *store, const uint8_t mail_hash[32], int64_t now,
    int64_t outcome, int64_t *earlier_out);
CHECKED enum err attempt_forget(struct store *store, const uint8_t mail_hash[32]); /* writes */
CHECKED enum err attempt_excuse(struct store *store,
    const uint8_t mail_hash[32]); /* own transaction: a deferral that was not the mail's fault */
/*
 * Once-a-day marks ("almost:alice@example.org", "alarm:cap"): writes; *first_out true if there was
 * none within `seconds`. One more than five minutes in the future was made by a wrong clock, and
 * does not count.
 */
CHECKED enum err mark_once(
    struct store *store, const char *name, int64_t now, int64_t seconds, bool *first_out);
/* What mark_once would say; writes nothing. */
CHECKED enum err mark_is_due(
    struct store *store, const char *name, int64_t now, int64_t seconds, bool *due_out);
/* Counters shown by status ("automatic-with-token", "ignored", …): writes. */
CHECKED enum err counter_add(struct store *store, const char *name, int64_t by);
CHECKED enum err counter_each(struct store *store,
    void (*each)(const char *name, int64_t value, void *context), void *context);

struct quarantine_row {
	int64_t id;
	int64_t at;
	char *mailbox;
	char *reason;  /* one sentence */
	char *headers; /* tokens redacted */
	int64_t size;
	uint8_t hash[32];
	struct buf mail; /* empty where it carried a token or a secret (P5.7) */
};
CHECKED enum err quarantine_insert(struct store *store, struct quarantine_row *row); /* writes */
CHECKED enum err quarantine_by_id(struct store *store, int64_t id, struct quarantine_row **out);
CHECKED enum err quarantine_each(struct store *store,
    void (*each)(const struct quarantine_row *row, void *context),
    void *context); /* without mail */
CHECKED enum err quarantine_count(struct store *store, int64_t *count_out);
CHECKED enum err quarantine_drop(struct store *store, int64_t id); /* writes */
void quarantine_row_free(struct quarantine_row **row);

/* ---- the audit log: a hash chain ---- */
struct audit_entry {
	int64_t number; /* 1, 2, … */
	int64_t at;
	char *actor;   /* "agent", or the administrator's name */
	char *event;   /* "token-issued", "enrolled", "refused", "confirmed", "published", … */
	char *address; /* NULL where it concerns nobody, or was erased */
	char *detail;  /* "key=value" words, no address in it */
	char hash[65]; /* of this entry: SHA-256(previous ‖ fields), hex */
	/* When read: what else the hash is over, and what shows that `who` is the address. Hex; "" where there is none. */
	char previous[65], who[65], salt[65];
};
/*
 * Writes. The entry holds a salted hash of the address; the address and its salt stand in a row of their
 * own that person_erase removes. ERR_TEMPORARY "the clock is behind …" if `now` is more than five minutes
 * before the newest entry (I13): as every outcome has an entry, none is committed under a wrong clock.
 */
CHECKED enum err audit_add(struct store *store, int64_t now, const char *actor, const char *event,
    const char *address, const char *detail, struct audit_entry *head_out_or_null);
CHECKED enum err audit_head(
    struct store *store, int64_t *number_out, char hash_out[65]); /* 0 and zeros when empty */
/* Oldest first, those at `since` or later; address NULL: all. */
CHECKED enum err audit_each(struct store *store, const char *address, int64_t since,
    void (*each)(const struct audit_entry *entry, void *context), void *context);
/*
 * Walks the chain; ERR_PROTOCOL with the first bad entry's number in *bad_out.
 * head_number/head_hash (0/NULL: none) come from an old reply's Log-Head.
 */
CHECKED enum err audit_verify(struct store *store, int64_t head_number, const char *head_hash,
    int64_t *count_out, int64_t *bad_out);
/* Writes. The log forgets whom it spoke of; the chain stays whole. Fine if it never knew. */
CHECKED enum err person_erase(struct store *store, const char *address);
void audit_entry_clear(struct audit_entry *entry);

#endif
