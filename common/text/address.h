/* address: mail addresses and the names beside them (libidn2, libunistring). */
#ifndef TEXT_ADDRESS_H
#define TEXT_ADDRESS_H

#include "base/buf.h"

#define ADDRESS_BYTES_MAX 254
#define NAME_BYTES_MAX 200

/*
 * The canonical form (P1.5) of one addr-spec (RFC 5321 4.1.2, RFC 6531): domain as lower-case IDNA A-labels,
 * ASCII letters of the local part folded, a quoted local part unquoted where a dot-atom says the same.
 * malloc'ed. ERR_DATA with a sentence for anything that is no single address: white space, controls, domain
 * literals, comments, display names.
 */
CHECKED enum err address_canonical(const char *text, char **out);
/* P1.5: may a token be issued for it? NFC, no mixed scripts in the local part. `canonical` from above. ERR_DATA with the sentence. */
CHECKED enum err address_check_issuable(const char *canonical);
/* After the last "@"; borrowed. */
const char *address_domain(const char *canonical);
/* The domain for people, U-labels; malloc'ed. */
char *address_domain_display(const char *canonical);

/* P4.7: no "@", "<", ">", control or bidirectional character, valid UTF-8, NFC-comparable, at most NAME_BYTES_MAX. */
CHECKED enum err name_check(const char *name);
/* Equal under NFC and with runs of blanks as one. */
bool name_equal(const char *a, const char *b);

/* "Name <address>" split from an OpenPGP user ID or a plain address: name_out NULL if there is none. Both malloc'ed. ERR_DATA if it holds no
 * or more than one address ("bob@x Bob <alice@x>" does not pass). address_out is canonical. */
CHECKED enum err user_id_split(const char *user_id, char **name_out, char **address_out);

#endif
