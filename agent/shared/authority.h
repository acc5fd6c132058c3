/*
 * authority: the configured authority, opened: what countersignd's workers and countersignctl both stand on.
 */
#ifndef SHARED_AUTHORITY_H
#define SHARED_AUTHORITY_H

#include "base/conf.h"
#include "keys/keyhome.h"
#include "secret/secret.h"
#include "store/store.h"

struct authority {
	struct conf *conf;
	struct store *store;
	struct keyhome *home;   /* throw-away, on tmpfs, holding the authority's public key; NULL without AUTHORITY_KEYS */
	char *address;          /* canonical */
	const char *domain;     /* of the address; borrowed from it */
	const char *name;       /* display name, or NULL; borrowed from conf */
	char fingerprint[41];
	uint8_t pin[PIN_BYTES];
	struct buf public_key;  /* binary, minimal */
	char *key_home, *escrow_home;
	bool agent_started;     /* by us: stopped again by authority_close */
};

enum authority_need {
	AUTHORITY_STORE = 0,    /* configuration and store */
	AUTHORITY_KEYS = 1,     /* and a home that can sign: the daemon's agent, or one of our own started with the passphrase file */
};

/* Paths that follow from the configuration, malloc'ed. */
char *authority_store_path(const struct conf *conf);
char *authority_key_home(const struct conf *conf);
char *authority_escrow_home(const struct conf *conf);

/*
 * Reads the configuration (`path` as given by -c, or NULL), becomes the owner of the state directory when run as root, opens what is needed.
 * Errors say which part failed: ERR_NOINPUT/ERR_CONFIG configuration, ERR_DATA/ERR_CONFIG store, ERR_UNAVAILABLE locked or unreadable key home.
 */
CHECKED enum err authority_open(const char *path, enum authority_need need, struct authority **out);
void authority_close(struct authority **authority);

/* The authority card file (P2.7): armored key, then the cleartext-signed card. */
CHECKED enum err authority_card(struct authority *authority, struct buf *out);

#endif
