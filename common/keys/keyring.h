/* keyring: making keys, and a user's own home: what the client and `countersignctl init` do. */
#ifndef KEYS_KEYRING_H
#define KEYS_KEYRING_H

#include "base/buf.h"
#include "keys/keyhome.h"

/* The authority's key: certify-only ed25519 primary, signing and encryption subkeys, no expiry. An escrow key: primary and encryption subkey. */
CHECKED enum err keyring_create_authority(
    struct keyhome *home, const char *user_id, struct bytes passphrase, char fingerprint_out[41]);
CHECKED enum err keyring_create_escrow(
    struct keyhome *home, const char *user_id, struct bytes passphrase, char fingerprint_out[41]);
/* A user's key: ed25519 sign+certify, cv25519 encryption; passphrase empty: none. The home is a loopback one. */
CHECKED enum err keyring_create_user(
    struct keyhome *home, const char *user_id, struct bytes passphrase, char fingerprint_out[41]);

/* Sets a new password (either may be empty) in a loopback home. */
CHECKED enum err keyring_set_password(struct keyhome *home, const char *fingerprint,
    struct bytes old_password, struct bytes new_password);
/* The secret key as it is protected, binary. */
CHECKED enum err keyring_export_secret(
    struct keyhome *home, const char *fingerprint, struct bytes password, struct buf *out);
/* The same of one subkey alone, with a stub for the primary. ERR_DENIED: wrong password. */
CHECKED enum err keyring_export_subkey(
    struct keyhome *home, const char *fingerprint, struct bytes password, struct buf *out);
/* Brings a secret key into a user's home as it is protected, with ultimate owner trust; never asks. */
CHECKED enum err keyring_import_secret(
    struct keyhome *home, struct bytes key, const char *fingerprint, struct bytes password);
/* Public keys with local signatures kept (export and import); `key` may hold several keys. */
CHECKED enum err keyring_export_local(
    struct keyhome *home, const char *fingerprint, struct buf *out);
CHECKED enum err keyring_import_local(struct keyhome *home, struct bytes key);
/* P7.5: local trust signature by `signer` on `authority`, full trust, depth 1, scope `domain`. */
CHECKED enum err keyring_trust_introducer(
    struct keyhome *home, const char *signer, const char *authority, const char *domain);
CHECKED enum err keyring_set_ultimate(struct keyhome *home, const char *fingerprint);
/* P7.3: forgets the cached password, then proves that the person can unlock the key (a signature). ERR_DENIED: wrong, empty or cancelled. `password` NULL: asks by pinentry. */
CHECKED enum err keyring_unlock(
    struct keyhome *home, const char *fingerprint, const struct bytes *password);
/* Is the user ID of this key valid (fully or ultimately) in this home? */
CHECKED enum err keyring_is_valid(
    struct keyhome *home, const char *fingerprint, const char *address, bool *valid_out);

/* P7.2: cache times between marker lines in HOME/gpg-agent.conf; former values of the same options are commented out inside the markers and restored by level_clear. */
CHECKED enum err level_write(
    const char *home, int64_t default_ttl_seconds, int64_t max_ttl_seconds);
CHECKED enum err level_clear(const char *home);

#endif
