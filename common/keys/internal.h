/* Shared by the files of this room only: one operation of gpg, and what proves it. */
#ifndef KEYS_INTERNAL_H
#define KEYS_INTERNAL_H

#include <gpgme.h>

#include "keys/keyhome.h"

struct keyhome {
	char *path;
	gpgme_ctx_t ctx; /* one for all: GPGME runs "gpg --version" for each */
	bool busy;       /* an operation is open */
	bool throw_away; /* an authority home: ours, redirected, public keys only */
	bool loopback;   /* passphrases come from the calls */
	bool hostile;    /* a vault: what is in it comes from anybody, so a short deadline holds */
	size_t decompressed_max;
	char *agent_home;   /* throw_away: whose agent it is */
	char *redirect;     /* throw_away: the redirect file */
	struct buf conf;    /* throw_away: gpg.conf without what one certification adds */
	struct buf image;   /* throw_away: pubring.kbx as keyhome_make left it */
	gpgme_key_t signer; /* looked up last for signing */
	gpgme_key_t known;  /* throw_away: looked at last; a home of ours changes by us alone */
};

unsigned engine_deadline(void);
/* GNUPGHOME or gpg's own default; NULL if gpgconf does not say. Borrowed. */
const char *default_home(void);

/* One operation: every status line that gpg wrote, and the passphrases it may use. */
struct op {
	gpgme_ctx_t ctx;
	struct keyhome *home;
	struct buf status; /* "KEYWORD ARGS\n" each */
	/* For loopback, in the order gpg asks; the last is given again. */
	struct bytes passwords[2];
	size_t password_count, asked;
	bool killed; /* gpg did not end by itself */
};

CHECKED enum err ctx_make(const char *path, gpgme_ctx_t *out);
/* One at a time in a home: look keys up before. */
void op_open(struct op *op, struct keyhome *home);
/* Around the calls that run gpg: the deadline holds between the two. */
void op_arm(void);
/* The same with a deadline that may be shorter. */
void op_arm_for(unsigned most_seconds);
/*
 * Waits for gpg to end and judges the whole: ERR_OK, ERR_TEMPORARY (deadline, gpg killed, disk full), ERR_UNAVAILABLE, ERR_DENIED, or
 * `otherwise` for what is left. `what` completes "cannot …".
 */
CHECKED enum err op_done(struct op *op, gpgme_error_t error, const char *what, enum err otherwise);
/* ERR_TEMPORARY "gpg did not …": success was claimed and is not proved. */
enum err op_unproved(const char *what);
/* The arguments of the first status line with this keyword at or after *at (NULL: the beginning); false: none. */
bool op_status(
    const struct op *op, const char *keyword, struct bytes *rest, struct bytes *args_out);
bool op_saw(const struct op *op, const char *keyword);
void op_close(struct op *op);
/* Pinentry and its passphrase come from `password`, whatever the home says. */
void op_use_pinentry(struct op *op);
void op_use_password(struct op *op, struct bytes password);

/* Bytes going into and coming out of gpg; the caller releases. A sink that is full makes the operation fail. */
struct sink {
	struct buf *out;
	size_t max;
	bool full;
};
CHECKED enum err data_from(struct bytes content, gpgme_data_t *out);
CHECKED enum err data_into(struct sink *sink, gpgme_data_t *out);

struct key_list {
	gpgme_key_t *keys;
	size_t count;
};
/* Every key that matches (`pattern` NULL: all). */
CHECKED enum err key_list_read(
    struct keyhome *home, const char *pattern, gpgme_keylist_mode_t mode, struct key_list *out);
void key_list_free(struct key_list *list);
/* A key by fingerprint or address; NULL if there is none. `mode` adds to GPGME_KEYLIST_MODE_LOCAL. */
CHECKED enum err key_get(
    struct keyhome *home, const char *pattern, gpgme_keylist_mode_t mode, gpgme_key_t *out);
/* The same, without asking again for the key that was looked at last. */
CHECKED enum err key_known(struct keyhome *home, const char *fingerprint, gpgme_key_t *out);
/* With its secret parts and keygrips; ERR_NOUSER if they are not here. */
CHECKED enum err secret_get(struct keyhome *home, const char *fingerprint, gpgme_key_t *out);
void key_forget(struct keyhome *home);
struct key_facts *key_facts_read(gpgme_key_t key);
/* Looks the signer up, once per home; then op_sign_by adds it to an operation. */
CHECKED enum err signer_find(struct keyhome *home, const char *fingerprint);
CHECKED enum err op_sign_by(struct op *op);
/* "FPR!" of the current encryption subkey; ERR_DATA if there is none. */
CHECKED enum err key_encryption_subkey(
    struct keyhome *home, const char *fingerprint, char out[FINGERPRINT_SIZE + 1]);
/* Binary; with `minimal` only what the key says of itself. Appends. */
CHECKED enum err key_export(
    struct keyhome *home, const char *fingerprint, bool minimal, struct buf *out);

/* gpg itself, for what GPGME has no call for; its status lines go to `status_out`. */
CHECKED enum err gpg_run(struct keyhome *home, const char *const arguments[], struct bytes input,
    struct buf *out, struct buf *status_out);
/* What gpg asks while it edits a key, and what we say; the same question again gets the next answer of the list, or the last. Ends with a NULL question. */
struct edit_answer {
	const char *question, *answer;
};
/* `command` of --edit-key, then "save"; a question without an answer ends it. Whether it did what it should is for the caller to see. */
CHECKED enum err key_edit(struct keyhome *home, const char *signer, gpgme_key_t key,
    const char *command, const struct edit_answer *answers, const char *what);

/* To exactly this subkey; armored. */
CHECKED enum err subkey_encrypt(
    struct keyhome *home, const char *fingerprint, struct bytes content, struct buf *out);
/* As it is protected: without a passphrase where it has none. */
CHECKED enum err secret_export(struct keyhome *home, const char *pattern, gpgme_export_mode_t mode,
    struct bytes password, struct buf *out);
/* Never asks for a passphrase. A vault or a home that exists. */
CHECKED enum err secret_import(struct keyhome *home, struct bytes key);

/*
 * A vault is a throw-away home (its name begins with "keyhome-", as an authority home's) below `parent`, which must be on tmpfs, with an agent of its own that ends
 * with us at the latest. Passphrases come from the calls.
 */
struct vault;
CHECKED enum err vault_make(const char *parent, struct vault **out);
struct keyhome *vault_home(struct vault *vault); /* borrowed */
/* Leaves err_text() as it was. */
void vault_close(struct vault **vault);

/* Where the agent of a home listens; malloc'ed. */
CHECKED enum err agent_socket(const char *home, char **out);
/* Removes it, and the directory that gpg made for it where that is not in the home. */
void socket_remove(const char *home, const char *path);
/* Lines to the agent of a home, its answers appended to `answer`. ERR_UNAVAILABLE: there is none, ERR_TEMPORARY: it does not answer. */
CHECKED enum err agent_talk(
    const char *home, bool may_start, const struct buf *lines, struct buf *answer);
/* The error of the last command; 0 for OK, with what follows it in *text_out (may be NULL). */
gpgme_error_t assuan_last(const struct buf *answer, struct bytes *text_out);
/* ERR_OK if no command failed; else ERR_UNAVAILABLE "cannot WHAT: …". */
CHECKED enum err assuan_check(const struct buf *answer, const char *what);
/* Text as one argument: %, blanks and controls escaped, "+" for a blank. */
void assuan_add_escaped(struct buf *out, const char *text);
/* Secret keys made in this home from now on are as costly to guess as gpg-agent likes (agent_prepare's are made for daily use). */
CHECKED enum err agent_harden(const char *home);
/* agent_start for a home that nobody else knows; *socket_out (malloc'ed, also where it failed): where the agent listens. */
CHECKED enum err agent_spawn(const char *home, char **socket_out, pid_t *pid_out);
/* For a secret key, until the agent ends; it must allow that. */
CHECKED enum err agent_preset(const char *home, const char *keygrip, struct bytes password);
/* Deletes a secret key by its keygrip without asking; fine if it is not there. */
CHECKED enum err agent_forget_key(const char *home, const char *keygrip);
/* Does the agent of this home hold each of these secret keys protected (else in clear)? ERR_SOFTWARE if not so. */
CHECKED enum err agent_check_protected(const char *home, gpgme_key_t key, bool wanted);
/* The same of one, by its keygrip. */
CHECKED enum err agent_check_protection(const char *home, const char *keygrip, bool wanted);

/* Is there room for what gpg writes? */
CHECKED enum err home_prove_room(const struct keyhome *home);
/* Overwrites without syncing: for files of a home that does not outlive us. */
CHECKED enum err home_write(const char *dir, const char *name, struct bytes content);
/* Removes "*.lock" and ".#lk*", which nobody alive can hold. */
CHECKED enum err home_clear_locks(const char *dir);

#endif
