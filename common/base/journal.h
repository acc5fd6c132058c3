/*
 * journal: diagnostics for operators on standard error; one line each; control characters, and marks that change the direction of writing, are escaped.
 * Under systemd (JOURNAL_STREAM set) with <N> priorities, elsewhere with time and "NAME[PID]: ".
 * Never a secret, never a token, never a mail's text.
 */
#ifndef BASE_JOURNAL_H
#define BASE_JOURNAL_H

#include "base/err.h"

enum journal_level { JOURNAL_ERROR = 3, JOURNAL_WARNING = 4, JOURNAL_INFO = 6, JOURNAL_DEBUG = 7 };

/* `name` is borrowed for ever: "countersignd/intake". */
void journal_open(const char *name, enum journal_level most);
void journal_write(enum journal_level level, const char *format, ...) PRINTF_LIKE(2, 3);
#define journal_error(...) journal_write(JOURNAL_ERROR, __VA_ARGS__)
#define journal_warning(...) journal_write(JOURNAL_WARNING, __VA_ARGS__)
#define journal_info(...) journal_write(JOURNAL_INFO, __VA_ARGS__)
#define journal_debug(...) journal_write(JOURNAL_DEBUG, __VA_ARGS__)

#endif
