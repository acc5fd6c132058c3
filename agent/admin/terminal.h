/* terminal: asking a person, for a passphrase without echo. */
#ifndef ADMIN_TERMINAL_H
#define ADMIN_TERMINAL_H

#include "base/buf.h"

/* On the controlling terminal; with `repeat` twice, until both agree. ERR_UNAVAILABLE without a terminal, ERR_DENIED when nothing is typed. */
CHECKED enum err terminal_ask(const char *prompt, bool repeat, struct buf *out);
/* A question to be answered with yes. ERR_DENIED for anything else, ERR_UNAVAILABLE without a terminal. */
CHECKED enum err terminal_confirm(const char *question);

#endif
