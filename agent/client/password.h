/* password: choosing and giving the password of a keyset: a file, or the user's own pinentry. */
#ifndef CLIENT_PASSWORD_H
#define CLIENT_PASSWORD_H

#include "client/client.h"

#define PASSWORD_SECONDS 600 /* deadline of gpg operations in which a person may have to type */

/* A new password "for keyset NAME" (P7.2): --password-file, else asked twice through the agent of `home` (NULL: the user's). ERR_DENIED when empty or cancelled. */
CHECKED enum err password_choose(
    const struct options *options, const char *home, const char *keyset, struct buf *out);
/* Any other, asked once through the agent of `home` (NULL: the user's). ERR_DENIED when cancelled. */
CHECKED enum err password_ask(const char *home, const char *prompt, struct buf *out);
/* The password that a keyset has: `file`, else asked once. */
CHECKED enum err password_current(
    const char *file, const char *home, const char *keyset, struct buf *out);

#endif
