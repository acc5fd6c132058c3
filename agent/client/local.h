/*
 * local: what the client keeps on disk, below $XDG_DATA_HOME/countersign: authorities/DOMAIN, pending/ID/ (a request that waits
 * for its reply, with a GnuPG home of its own: P7.1) and keysets/ID; and the profile below $XDG_CONFIG_HOME.
 * Lists are arrays of `count` structs, to be freed with local_X_list_free.
 */
#ifndef CLIENT_LOCAL_H
#define CLIENT_LOCAL_H

#include "base/buf.h"
#include "enroll/keyfacts.h"

#define LOCAL_PENDING_SECONDS (30 * 86400) /* P7.1 */

/* An authority that was accepted (P2.8). */
struct local_authority {
	char *address; /* canonical */
	char *name;    /* or NULL */
	char fingerprint[FINGERPRINT_SIZE];
	int64_t accepted;
	char *
	    escrow; /* what its card says of deposits: required, offered or off; NULL: no card was seen */
	int64_t
	    confirmed; /* when the key was seen in the Web Key Directory, given by --authority-key, or its fingerprint confirmed (P2.8); else 0 */
	struct buf key; /* binary */
};

/* A request that waits for its reply. */
struct local_request {
	char *id; /* its directory below pending/ */
	char *address, *name, *keyset;
	char fingerprint[FINGERPRINT_SIZE];
	char authority[FINGERPRINT_SIZE];
	char *authority_address;
	char *request_ids; /* all that were sent, blank-separated (P6.8) */
	char *token_key;   /* public half, hex: tells a new token from the same */
	char *level;       /* chosen with the request, or NULL */
	bool protected;    /* its key already has a password (request --level) */
	char *own_home; /* request --key, and a renewal: the home that holds the key; else NULL */
	char *renews;   /* the keyset's id, of a renewal */
	bool deposited; /* a deposit went with it */
	struct buf
	    recovery_key; /* derived from the token (P5.5); opens what a recovery brings back */
	int64_t created, sent;
	int64_t refused;
	char *refusal; /* its two sentences */
	char *reply;   /* SHA-256 of the reply that is being opened, hex */
};

/* A keyset that is installed. */
struct local_keyset {
	char *id;
	char *address, *keyset;
	char fingerprint[FINGERPRINT_SIZE];
	char authority[FINGERPRINT_SIZE];
	char *authority_address;
	char *level; /* high, medium, low, or own: the user's key with its own password */
	char *home;
	int64_t installed, certified_until, superseded;
	int64_t confirmed;       /* when the confirmation was handed over (P5.4) */
	struct buf confirmation; /* sealed; until then */
	char *reply; /* SHA-256 of each reply that was opened for it, hex, blank-separated */
	char encryption[FINGERPRINT_SIZE]; /* its encryption subkey */
	bool deposited;                    /* a deposit of that one went to the authority */
	bool recovered;                    /* it came by a recovery (P5.5), */
	char *
	    old_keys; /* which brought these encryption subkeys back; blank-separated fingerprints */
	char *pending; /* the pending directory that is not yet removed */
};

struct local_profile {
	char *address, *name;       /* the last used */
	char *submit;               /* URL that worked */
	char *submit_password_file; /* with it, or NULL */
};

/* DIR/NAME below the data directory, which is made; malloc'ed. ERR_NOINPUT when there is no home directory. */
CHECKED enum err local_path(const char *part, const char *name, char **out);
/* One process at a time changes keysets; ERR_TEMPORARY when another does. Kept until the process ends. */
CHECKED enum err local_lock(void);

/* NULL if the domain has none. */
CHECKED enum err local_authority_load(const char *domain, struct local_authority **out);
CHECKED enum err local_authority_save(const struct local_authority *authority);
CHECKED enum err local_authority_list(struct local_authority **list_out, size_t *count_out);
void local_authority_clear(struct local_authority *authority);
void local_authority_free(struct local_authority **authority);
void local_authority_list_free(struct local_authority **list, size_t count);

/* Makes pending/ID/ with a fresh ID; it counts only once local_request_save was called. Leftovers of others, a day old, go. */
CHECKED enum err local_request_make(struct local_request *request);
char *local_request_path(
    const struct local_request *request, const char *name); /* "h", "request", "reply", … */
CHECKED enum err local_request_save(const struct local_request *request);
CHECKED enum err local_request_remove(const char *id); /* with its agent; fine if absent */
CHECKED enum err local_request_list(struct local_request **list_out, size_t *count_out);
bool local_request_has_id(const struct local_request *request, const char *request_id);
void local_request_clear(struct local_request *request);
void local_request_list_free(struct local_request **list, size_t count);

CHECKED enum err local_keyset_save(struct local_keyset *keyset); /* fills id when it is NULL */
CHECKED enum err local_keyset_list(
    struct local_keyset **list_out, size_t *count_out); /* newest first */
/* ERR_NOUSER when it is no longer there. */
CHECKED enum err local_keyset_load(const char *id, struct local_keyset *out);
/* "unconfirmed", "active", "expired", "superseded" (P8.1, as far as it is known here). */
const char *local_keyset_state(const struct local_keyset *keyset, int64_t now);
void local_keyset_clear(struct local_keyset *keyset);
void local_keyset_list_free(struct local_keyset **list, size_t count);
/* By name (compared as P4.6 says), the newest that is not superseded; address NULL: any. ERR_NOUSER, or ERR_USAGE when several addresses have one. */
CHECKED enum err local_keyset_find(const char *name, const char *address, struct local_keyset *out);

CHECKED enum err local_profile_load(struct local_profile *out); /* empty if there is none */
CHECKED enum err local_profile_save(const struct local_profile *profile);
void local_profile_clear(struct local_profile *profile);

/* Does a blank-separated list hold this word? NULL holds none. */
bool local_has_word(const char *list, const char *word);
/* Adds one to such a list. */
void local_add_word(char **list, const char *word);

/* Ends the agent of a home, and leaves err_text() as it was. */
void local_agent_stop(const char *home);
/* An empty directory in memory for throw-away GnuPG homes, removed by local_scratch_remove with what runs in it. ERR_CONFIG: nothing here is in memory. */
CHECKED enum err local_scratch_make(char **path_out);
void local_scratch_remove(char **path);

#endif
