/* utf8: text of any charset to clean UTF-8. */
#ifndef TEXT_UTF8_H
#define TEXT_UTF8_H

#include "base/buf.h"

bool utf8_valid(struct bytes text);
/* Converts from `charset` (NULL or unknown: UTF-8 if valid, else windows-1252), replaces what does not convert by U+FFFD, drops NUL.
 * Opens no file: charsets outside libc's built-ins must have been opened by utf8_preload() before confinement. */
void utf8_convert(struct bytes text, const char *charset, struct buf *out);
void utf8_preload(void);
/* Replaces controls (but tab and newline where keep_lines) and bidirectional marks by blanks: for terminals, logs, headers. malloc'ed. */
char *utf8_printable(const char *text, bool keep_lines);
/* Columns that a terminal needs for printable text. */
size_t utf8_width(const char *text);

#endif
