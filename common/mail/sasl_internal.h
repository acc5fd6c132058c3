/* sasl: a login as a conversation (RFC 4422), whichever protocol carries it. Private to this room. */
#ifndef MAIL_SASL_INTERNAL_H
#define MAIL_SASL_INTERNAL_H

#include "mail/server_internal.h"

struct sasl;

/*
 * For a mechanism that server_mechanism named and the URL's user; `secret` (server_secret) and the names are
 * borrowed as long as the conversation lasts.
 */
struct sasl *sasl_open(
    const struct server *server, const char *mechanism, const struct buf *secret);
void sasl_free(struct sasl **sasl);
/*
 * Whether we begin: the first answer is then sent with the command, where the protocol can, or to an empty
 * challenge.
 */
bool sasl_begins(const struct sasl *sasl);
/*
 * Appends our answer to the server's challenge to `answer` (a secret), both without base64. The first
 * challenge of a mechanism in which we begin is empty. ERR_PROTOCOL when the server does not keep to the
 * mechanism, or can't prove that it knows the password; ERR_DENIED when it says in its challenge that it refuses
 * the credentials (RFC 5802 7): hang up.
 */
CHECKED enum err sasl_answer(struct sasl *sasl, struct bytes challenge, struct buf *answer);
/* After the server's consent: ERR_PROTOCOL when it still owes a proof (RFC 5802 3). */
CHECKED enum err sasl_proved(const struct sasl *sasl);

#endif
