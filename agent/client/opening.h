/* opening: a reply from the security authority being opened: found, verified (reply.c), installed (install.c). */
#ifndef CLIENT_OPENING_H
#define CLIENT_OPENING_H

#include "client/client.h"
#include "client/local.h"
#include "enroll/reply.h"
#include "keys/keyhome.h"

#define CANDIDATES_MAX 16
#define OLD_KEYS_MAX 64
#define REPLY_TYPE "application/vnd.countersign.reply"

/* An old encryption key that a recovery brings back (P5.5). */
struct old_key {
	char fingerprint[FINGERPRINT_SIZE];
	struct buf deposit;
};

struct opening {
	const struct options *options;
	struct buf messages[CANDIDATES_MAX];   /* encrypted, binary, as found in what was given */
	struct buf cleartexts[CANDIDATES_MAX]; /* cleartext-signed: refusals */
	size_t message_count, cleartext_count;
	char *damage;                 /* why one that is there can't be read */
	struct local_request request; /* the one that it answers */
	struct keyhome *home;         /* the pending keyset's */
	struct keyhome *user;         /* where the keyset goes; for --key where its key is */
	char *hash;                   /* SHA-256 of the message, hex */
	struct buf content;           /* decrypted */
	struct reply fields;
	struct buf key;                    /* certified, binary */
	char encryption[FINGERPRINT_SIZE]; /* its current encryption subkey */
	int64_t certified_until;
	struct old_key old_keys[OLD_KEYS_MAX];
	size_t old_key_count, lost_key_count; /* lost: sealed under another token, or damaged */
	char *level;
	struct buf password;        /* empty: none */
	struct local_keyset keyset; /* as installed */
};

/* The attachment or the whole mail, as mail systems mangle them (P2.6). ERR_DATA when there is no reply in it. */
CHECKED enum err reply_read(struct opening *o);
/* Fills `keyset` when one of the messages was opened before; else leaves its id NULL. */
CHECKED enum err reply_find_opened(struct opening *o);
/* SHA-256 of a message, hex; malloc'ed. */
char *reply_hash(const struct buf *message);
/*
 * Decrypts with the pending key that fits, and verifies all of P6.8. ERR_NOUSER: answers a request made elsewhere. ERR_DENIED: a refusal, verified and
 * kept with the request; its sentences are in err_text(). ERR_PROTOCOL: not from the authority, or not what was asked for.
 */
CHECKED enum err reply_verify(struct opening *o);

/* Unlocks a pending key that got its password with the request: asks for it once, into `password`. Nothing for other keys. */
CHECKED enum err opening_unlock(struct opening *o);

/* Puts the keyset into the user's home. Each step may be the last before a crash: opening again completes it. */
CHECKED enum err install(struct opening *o);
/* What is left once the keyset's record is there: levels, confirmation, the pending directory. Does nothing twice. */
CHECKED enum err install_finish(const struct options *options, struct local_keyset *keyset);

/* The old encryption keys that a recovery brought (`list`, blank-separated, or NULL) take a new password; one that has neither stays as it is, and is named. */
CHECKED enum err old_keys_set_password(
    struct keyhome *home, const char *list, struct bytes was, struct bytes will);
/* Appends them to `out` as they are protected by `password`; where that is empty, protected by `cover`. */
CHECKED enum err old_keys_export(struct keyhome *home, const char *list, struct bytes password,
    struct bytes cover, struct buf *out);

void opening_close_homes(struct opening *o);
void opening_clear(struct opening *o);

/* P7.6. `password` as the keyset has it, or NULL: asked for. Writes --key-file, or offers a file where Thunderbird is. */
CHECKED enum err keyfile_offer(
    const struct options *options, const struct local_keyset *keyset, const struct buf *password);

#endif
