/*
 * authority: the configured authority, opened: what countersignd's workers and countersignctl both
 * stand on.
 */
#ifndef SHARED_AUTHORITY_H
#define SHARED_AUTHORITY_H

#include <sys/types.h>

#include "base/conf.h"
#include "keys/keyhome.h"
#include "secret/secret.h"
#include "store/store.h"

struct authority {
	struct conf *conf;
	struct store *store;
	struct keyhome *home; /* throw-away, on tmpfs, holding the authority's public key; NULL
				 without AUTHORITY_KEYS */
	char *address;        /* canonical */
	const char *domain;   /* of the address; borrowed from it */
	const char *name;     /* display name, or NULL; borrowed from conf */
	char fingerprint[41];
	uint8_t pin[PIN_BYTES];
	struct buf public_key; /* binary, minimal */
	char *key_home, *escrow_home;
	bool agent_started; /* by us: stopped again by authority_close */
	pid_t agent_pid;    /* when it is ours */
	bool unprotected;   /* made with --no-passphrase */
	int lock, turn;     /* lock files held while the agent is ours; -1: none */
};

enum authority_need {
	AUTHORITY_STORE = 0, /* configuration and store */
	AUTHORITY_KEYS = 1,  /* and a home that can sign: the daemon's agent, or one of our own
				started with the passphrase file */
};

/* Paths that follow from the configuration, malloc'ed. */
char *authority_store_path(const struct conf *conf);
char *authority_key_home(const struct conf *conf);
char *authority_escrow_home(const struct conf *conf);
char *authority_lock_path(const struct conf *conf);

#define AUTHORITY_CREDENTIAL "authority-passphrase"

/* The passphrase of passphrase-file, else of the systemd credential AUTHORITY_CREDENTIAL, into a secret
 * buf; left empty where there is neither. */
CHECKED enum err authority_passphrase(const struct conf *conf, struct buf *out);
/* Makes the runtime directory (0700, the state directory's owner) and insists that it is tmpfs and
 * nobody else's. ERR_CONFIG otherwise. */
CHECKED enum err authority_prepare_runtime(
    const char *runtime_directory, const char *state_directory);
/* What conf_read can't know: brings the addresses into canonical form (P1.5), and asks for a state directory (ERR_CONFIG)
 * and a store that this user may use (ERR_DENIED). */
CHECKED enum err authority_check_conf(struct conf *conf);
/* ERR_UNAVAILABLE where the key home is missing, so that nobody makes an empty one in its place. */
CHECKED enum err authority_check_key_home(const char *home);
/* agent_stop, but err_text() stays what it was. */
void authority_stop_agent(const char *home);
/* "ABCD EF01 …" for people; malloc'ed. */
char *authority_fingerprint_text(const char *fingerprint);

/*
 * Reads the configuration (`path` as given by -c, or NULL), becomes the owner of the state
 * directory when run as root, opens what is needed. Errors say which part failed:
 * ERR_NOINPUT/ERR_CONFIG configuration, ERR_DATA/ERR_CONFIG store, ERR_UNAVAILABLE locked or
 * unreadable key home.
 */
CHECKED enum err authority_open(const char *path, enum authority_need need, struct authority **out);
void authority_close(struct authority **authority);

/* The authority card file (P2.7): armored key, then the cleartext-signed card. */
CHECKED enum err authority_card(struct authority *authority, struct buf *out);
/* True if a card file has the key and the card of now; the signature is not looked at. */
bool authority_card_says_the_same(const struct authority *authority, struct bytes file);

#endif
