/* given: the token that the user was given, from wherever it stands. */
#ifndef CLIENT_GIVEN_H
#define CLIENT_GIVEN_H

#include "client/client.h"
#include "client/local.h"
#include "enroll/token.h"
#include "mail/message.h"

/*
 * --token-file, the token mail (NULL: none), or the terminal; checked against the authority's pin (P1.3). ERR_USAGE when there is none, ERR_DATA for what
 * is no token, ERR_PROTOCOL for one that was made for another authority. With `optional`, an empty line at the terminal or no token at all is *given_out false.
 */
CHECKED enum err given_token(const struct options *options, const struct message *mail,
    const struct local_authority *authority, bool optional, struct token *out, bool *given_out);

#endif
