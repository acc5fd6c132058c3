/* deposit: the secret encryption subkey that a client hands in (P2.2, P4.8), what policy says about it, and how one comes back (P5.5). No cryptography here. */
#ifndef ENROLL_DEPOSIT_H
#define ENROLL_DEPOSIT_H

#include "base/buf.h"
#include "enroll/reason.h"
#include "secret/secret.h"

enum escrow_policy { ESCROW_OFF, ESCROW_OFFERED, ESCROW_REQUIRED };
const char *escrow_policy_name(enum escrow_policy policy); /* "required" */
/* ESCROW_OFF for anything unknown. */
enum escrow_policy escrow_policy_of_name(const char *name);
/*
 * The policy for an address (canonical): the first of `rules` (NULL-terminated) that fits, else `common`. A rule is PATTERN=POLICY; the pattern an address,
 * "@domain" or "@.domain" for what is below it.
 */
enum escrow_policy escrow_policy_for(const char *common, char *const *rules, const char *address);
/* For the configuration: ERR_CONFIG with a sentence. */
CHECKED enum err escrow_rule_check(const char *rule);

/*
 * P4.8, what can be said without gpg, so that nothing else is ever handed to it: one transferable secret key whose primary is a stub without secret (gnu-dummy) and
 * equals the primary of `key`; exactly one secret subkey, not protected, whose public part equals that of the one encryption subkey with this
 * fingerprint in `key` (RFC 4880 12.2; byte for byte). Refuses with deposit-mismatch, saying what is wrong; key-secret where there is a primary or signing secret in it: that key is lost (P3.5).
 */
CHECKED bool deposit_check(struct bytes deposit, struct bytes key,
    const char *encryption_fingerprint, struct refusal *why);

/* P5.5: the associated data of a released deposit: token key ‖ address ‖ 0 ‖ the subkey's fingerprint in upper-case hex; appended. */
void deposit_associated(const uint8_t token_key[TOKEN_KEY_BYTES], const char *address,
    const char *encryption_fingerprint, struct buf *out);
/* In a reply: a part of this type for each, named FINGERPRINT.deposit after the subkey. */
#define DEPOSIT_TYPE "application/vnd.countersign.deposit"
char *deposit_part_name(const char *encryption_fingerprint); /* malloc'ed */
/* The fingerprint out of such a name; false if it is none. */
CHECKED bool deposit_part_read(const char *name, char fingerprint_out[41]);

#endif
