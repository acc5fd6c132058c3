/* ask: questions to the person at the terminal. Without a terminal nothing is asked: ask_possible() is false. */
#ifndef CLIENT_ASK_H
#define CLIENT_ASK_H

#include "base/buf.h"

/* Standard error is a terminal, and the controlling one can be opened: standard input may be a mail. */
bool ask_possible(void);
/* One line, blanks at its ends dropped; `standard` (or NULL) for an empty one. ERR_DENIED at end of file or Ctrl-C. */
CHECKED enum err ask_line(const char *question, const char *standard, char **out);
/* Only "y" or "yes" is yes. */
CHECKED enum err ask_yes(const char *question, bool *out);
/* On a terminal only: "Making your keys ... " on standard error, to be ended by ask_progress_end. */
void ask_progress(const char *what);
void ask_progress_end(bool good);
/* SIGINT and SIGTERM end the work in order from now on: every step asks ask_interrupted (ERR_DENIED). */
void ask_catch_signals(void);
CHECKED enum err ask_interrupted(void);

#endif
