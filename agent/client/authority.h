/* authority: which security authority a request goes to, and whether it may (P1.3, P2.7, P2.8). */
#ifndef CLIENT_AUTHORITY_H
#define CLIENT_AUTHORITY_H

#include "client/client.h"
#include "client/local.h"
#include "enroll/token.h"
#include "keys/keyhome.h"
#include "mail/message.h"

/*
 * Finds the authority and its key: --authority-key, the card in the token mail, the authority known for the domain, the Web Key Directory.
 * `home` is a pending keyset's; the key is imported there. `mail` may be NULL. ERR_PROTOCOL for a card whose signature does not hold.
 */
CHECKED enum err authority_find(struct keyhome *home, const struct options *options,
    const struct message *mail, const char *user_address, struct local_authority *out);
/* P2.8: confirms the key where the domain's Web Key Directory has the same. */
void authority_look_up(struct local_authority *authority);
/* The pin of the authority's key and address (P1.2). */
CHECKED enum err authority_pin(const struct local_authority *authority, uint8_t pin_out[PIN_BYTES]);
/* P1.3: ERR_PROTOCOL unless the token was made for this key. */
CHECKED enum err authority_check_pin(
    const struct local_authority *authority, const struct token *token);
/* P2.8: a domain that is not the user's own must be confirmed, another key than the accepted one needs --replace-authority. */
CHECKED enum err authority_accept(const struct options *options, const char *user_address,
    const struct local_authority *authority);

#endif
