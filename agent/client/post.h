/* post: handing a finished mail to the user's own mail system, or writing it to a file. */
#ifndef CLIENT_POST_H
#define CLIENT_POST_H

#include "client/client.h"

/* Before any work: is there a way out? ERR_CREATE when --output exists, ERR_UNAVAILABLE without sendmail, --submit or --output. */
CHECKED enum err post_check(const struct options *options);
/*
 * One sealed text as a PGP/MIME mail (P2.1: no name outside the encryption) with a fresh Message-ID, by --output, else
 * --submit, the remembered URL, sendmail. A --submit that worked is remembered. ERR_TEMPORARY: not sent, or perhaps, and may be tried again.
 */
CHECKED enum err post_send(const struct options *options, const char *from, const char *to,
    const char *subject, struct bytes sealed);
/* Where people's text goes: standard error when the mail itself goes to standard output. */
void post_say(const struct options *options, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
