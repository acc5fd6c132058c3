/* quoted: quoted-printable (RFC 2045 6.7), our own writer and reader. */
#ifndef MAIL_QUOTED_H
#define MAIL_QUOTED_H

#include "base/buf.h"

/*
 * Text with LF or CRLF as quoted-printable with `line_end` ("\r\n" or "\n"). "From " and a lone dot
 * at the beginning of a line are written so that no mail system touches them (RFC 3156 3).
 */
void quoted_printable_add(struct buf *out, struct bytes text, const char *line_end);
/* Appends what it says; broken escapes stay as they are, trailing blanks go (RFC 2045 6.7 (3)). */
void quoted_printable_read(struct bytes text, struct buf *out);
/* Text with LF or CRLF, byte for byte but with every line end as `line_end`. */
void lines_add(struct buf *out, struct bytes text, const char *line_end);

#endif
