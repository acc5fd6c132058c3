/*
 * escrow_key: the escrow key at work in a process of its own, with the rights of whoever called the command, not those of the daemon's user. It opens deposits and
 * gives none away in clear: what comes out is sealed under a recovery token or to another escrow key.
 */
#ifndef ADMIN_ESCROW_KEY_H
#define ADMIN_ESCROW_KEY_H

#include "command.h"

struct escrow_key;

/* The options that every command with the escrow key has, as rows of an option table. */
struct escrow_options {
	const char *home, *passphrase_file; /* NULL: as configured; asked for */
};
#define ESCROW_OPTIONS(o) \
	{ "escrow-home", OPTION_TEXT, &(o).home }, \
	{ \
		"escrow-passphrase-file", OPTION_TEXT, &(o).passphrase_file \
	}

/* Reads the passphrase file and starts the process: before command_open, which gives up rights. */
CHECKED enum err escrow_key_start(const struct escrow_options *options, struct escrow_key **out);
/*
 * Opens the home, asking for the passphrase where no file was given and the key has one. `configured` is the home by the configuration; fingerprint and errors as
 * in escrow_open. Nothing where it is open.
 */
CHECKED enum err escrow_key_open(
    struct escrow_key *key, const char *configured, const char *fingerprint);
/* P5.5: opens and seals under the recovery key. ERR_DATA: damaged, or sealed to another key. */
CHECKED enum err escrow_key_release(struct escrow_key *key, struct bytes sealed,
    const uint8_t recovery_key[RECOVERY_KEY_BYTES], struct bytes associated, struct buf *out);
/* Opens and compares with the certified key (deposit_check). ERR_DATA: damaged, or another key's. */
CHECKED enum err escrow_key_check(struct escrow_key *key, struct bytes sealed,
    struct bytes public_key, const char *encryption_fingerprint);
/* Opens and seals to another escrow key. */
CHECKED enum err escrow_key_reseal(struct escrow_key *key, struct bytes sealed,
    struct bytes new_key, const char *new_fingerprint, struct buf *out);
/* Makes a new escrow key in `home`, a directory that is made and must not be there. `passphrase` may be empty. */
CHECKED enum err escrow_key_make(struct escrow_key *key, const char *home, const char *user_id,
    struct bytes passphrase, char fingerprint_out[41], struct buf *public_out);
void escrow_key_stop(struct escrow_key **key);

#endif
