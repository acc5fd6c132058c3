/* wkd: Web Key Directory paths (draft-koch-openpgp-webkey-service, 3.1): z-base-32 of SHA-1
 * (GnuTLS) of the lower-cased local part. */
#ifndef MAIL_WKD_H
#define MAIL_WKD_H

/* "openpgpkey/example.org/hu/iy9q119eutrkn8s1mk4r39qejnbu3n5q" for the advanced layout, below
 * ".well-known/"; malloc'ed. */
char *wkd_path(const char *canonical_address);

#endif
