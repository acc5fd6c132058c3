/*
 * deposit: secret encryption subkeys on their way: out of a client's home, proved in a home of their own (P4.8), sealed to the escrow key, opened again for a
 * recovery (P5.5), into a client's home. Clear secrets are in memory or on tmpfs only. Errors as in keyhome.h.
 */
#ifndef KEYS_DEPOSIT_H
#define KEYS_DEPOSIT_H

#include "keys/keyhome.h"

/* The subkey's secret with a stub for the primary, not protected; `out` must be secret. ERR_DATA when it is protected by a password or on a card. */
CHECKED enum err deposit_export(
    struct keyhome *home, const char *encryption_fingerprint, struct buf *out);
/*
 * The same of a subkey behind `password`, which is taken off in a throw-away home below `parent` (tmpfs). ERR_DENIED: that is not its password.
 */
CHECKED enum err deposit_export_protected(struct keyhome *home, const char *parent,
    const char *encryption_fingerprint, struct bytes password, struct buf *out);

/*
 * The agent's proof: in a throw-away home below `parent` (tmpfs) with an agent of its own, which ends with it, the deposit decrypts a challenge encrypted to FPR! of that
 * subkey of `key` (public, as certified). ERR_DATA: it does not. The caller has looked at its packets before (deposit_check).
 */
CHECKED enum err deposit_prove(
    const char *parent, struct bytes key, const char *encryption_fingerprint, struct bytes deposit);
/*
 * Seals to the escrow key, whose public half (binary) and fingerprint are given; binary. `home` is an authority home: the key is imported there unless it is in it already, so that
 * keyhome_reset forgets it. ERR_CONFIG: this is not that key, or it can't be encrypted to.
 */
CHECKED enum err deposit_seal(struct keyhome *home, struct bytes escrow_key,
    const char *escrow_fingerprint, struct bytes deposit, struct buf *out);

/* The escrow key at work until escrow_close, in a throw-away home below `parent` (tmpfs): its own home is only read, so that it may be on read-only media. */
struct escrow;
/* `passphrase` NULL: asked by the user's own pinentry, unless the key has none. ERR_DENIED: wrong or cancelled; ERR_NOINPUT: no such home; ERR_DATA: it holds another key than `fingerprint`. */
CHECKED enum err escrow_open(const char *home, const char *parent, const char *fingerprint,
    const struct bytes *passphrase, struct escrow **out);
/* `out` must be secret. ERR_DATA: not sealed to this key, or damaged. */
CHECKED enum err escrow_unseal(struct escrow *escrow, struct bytes sealed, struct buf *out);
/* Opens and seals to another escrow key, as deposit_seal does; errors of both. */
CHECKED enum err escrow_reseal(struct escrow *escrow, struct bytes sealed, struct bytes new_key,
    const char *new_fingerprint, struct buf *out);
void escrow_close(struct escrow **escrow);

/*
 * P7.4: brings a recovered encryption subkey into a user's home, protected with `password` (empty: none), beside whatever is there of that key; no clear copy touches a disk: it is protected in a throw-away home below
 * `parent` (tmpfs) first. Fine if it is there already.
 */
CHECKED enum err deposit_install(struct keyhome *user, const char *parent, struct bytes deposit,
    const char *encryption_fingerprint, struct bytes password);

#endif
