/*
 * init: what making an authority passes between its three files: init.c (what is asked for), init_places.c (directories, and their removal when it fails)
 * and init_parts.c (keys and store).
 */
#ifndef ADMIN_INIT_H
#define ADMIN_INIT_H

#include <sys/types.h>

#include "command.h"
#include "secret/secret.h"

#define INIT_MADE_MAX 16
#define INIT_SERVICE_USER "countersign"

struct init {
	struct invocation *in;
	/* as given */
	const char *address_text, *name, *maildir, *authority_file, *escrow_file, *escrow_text,
	    *state_text, *runtime_text;
	bool no_passphrase;
	/* as they will be: absolute paths */
	char *address, *config, *state, *runtime, *escrow, *keys, *inbox, *outgoing,
	    *passphrase_file;
	struct buf passphrase, escrow_passphrase;
	uid_t uid;
	gid_t gid;
	/* outcome */
	char fingerprint[41], escrow_fingerprint[41];
	struct buf escrow_key;
	uint8_t pin[PIN_BYTES];
	/* what a failed init removes, in order of making */
	char *made[INIT_MADE_MAX];
	size_t made_count;
};

/* The directory that holds an absolute path; malloc'ed. */
char *init_parent(const char *path);
bool init_is_empty(const char *directory);
/* What is asked to be removed when init fails. */
void init_note_made(struct init *i, const char *path);
/* Owner and mode, for root; for others the mode. */
CHECKED enum err init_give(const char *path, mode_t mode, uid_t uid, gid_t gid);
/* Makes a directory with its missing parents, which everybody may pass. An existing one gets owner and mode too. */
CHECKED enum err init_make_dir(struct init *i, const char *path, mode_t mode, uid_t uid, gid_t gid);
/* State, key homes, runtime directory, Maildirs. */
CHECKED enum err init_make_dirs(struct init *i);
/* Keeps err_text(). */
void init_remove_made(struct init *i);

/* The keys and the store, each in a child that is the owner of its directory, so that the daemon's key is never used as root (I19). */
CHECKED enum err init_make_parts(struct init *i);

#endif
