/*
 * packets: a bounded walk over OpenPGP packets (RFC 4880 4.2, 5.2) that trusts nothing: what is in a blob before gpg sees it, and a key
 * reduced to what we certify. No cryptography here.
 */
#ifndef ENROLL_PACKETS_H
#define ENROLL_PACKETS_H

#include "base/buf.h"

/* Undoes ASCII armor (RFC 4880 6.2) of the first block of this kind ("PUBLIC KEY BLOCK", "PRIVATE KEY BLOCK", "MESSAGE", "SIGNATURE") in
 * the text, with everything that mail systems do to it (P2.6: CRLF, BOM, trailing blanks, quoted-printable remains, "> " quoting not).
 * Checks the CRC where there is one. ERR_DATA with a sentence. *after_out (may be NULL): the first byte behind the block. */
CHECKED enum err armor_read(
    struct bytes text, const char *kind, struct buf *out, const uint8_t **after_out);
/* Where a block of this kind begins in the text, or NULL. kind NULL: any. */
const uint8_t *armor_find(struct bytes text, const char *kind);
void armor_write(
    const char *kind, struct bytes binary, struct buf *out); /* LF line ends, with CRC */

struct packet_summary {
	size_t public_keys; /* primaries */
	size_t secret_keys; /* secret key or secret subkey packets, stubs included */
	size_t user_ids, subkeys, signatures, other;
	unsigned version; /* of the first primary */
	bool
	    malformed; /* not a sequence of packets to its end, or a partial or indeterminate length */
};
struct packet_summary packets_summarise(struct bytes binary);

/* Splits a blob of several transferable public keys: the n-th as borrowed bytes; false past the last. */
bool packets_key_at(struct bytes binary, size_t n, struct bytes *out);

/*
 * Copies one transferable public key with only: the primary; its direct-key and key-revocation signatures; each user ID whose text `keep`
 * accepts, with self-signatures (see below); all subkeys with their bindings and revocations. User
 * attributes, foreign signatures, marker and trust packets go; of unhashed subpackets only issuer, issuer fingerprint and embedded
 * signature stay. ERR_DATA when malformed, secret, not one key, or not version 4. No user ID may be left.
 * Self-made is what names no issuer, or one that any subkey binding of the key names too: no self-signature is ever lost, some foreign ones
 * may stay where somebody forges bindings; gpg's import with self-sigs-only drops those.
 */
CHECKED enum err packets_reduce(struct bytes key, bool (*keep)(const char *user_id, void *context),
    void *context, struct buf *out);

/* P3.8: the revocation signatures (RFC 4880 5.2.1, type 0x20) of the primary of `key`, as they are; appended, unverified. False when there is none, or when its primary is another than that of `stored`. */
CHECKED bool packets_revocations(struct bytes key, struct bytes stored, struct buf *out);

/*
 * P3.8: the n-th key revocation signature (0x20) of version 4 in a blob, be that a key or a revocation certificate alone, that names the fingerprint of its issuer. Nothing is
 * verified. False past the last.
 */
bool packets_revocation_at(
    struct bytes binary, size_t n, struct bytes *signature_out, char fingerprint_out[41]);
/* The transferable key with a signature packet put behind its primary; appended. ERR_DATA when malformed or not one key. */
CHECKED enum err packets_graft(struct bytes key, struct bytes signature, struct buf *out);

/*
 * An encrypted message as it may be handed to gpg: public-key session keys (tag 1) of the forms that RSA and Curve25519 have, at most 16, then one
 * integrity-protected packet (tag 18) that ends where the message ends. Appends it to `out` without the session keys of other forms, and without those
 * for passwords: gpg-agent writes past a buffer for a short ECDH point, and gpg would work through any number of them. ERR_DATA with a sentence.
 */
CHECKED enum err packets_sealed(struct bytes binary, struct buf *out);

#endif
