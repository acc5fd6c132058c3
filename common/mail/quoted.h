/* quoted: quoted-printable (RFC 2045 6.7), our own writer. */
#ifndef MAIL_QUOTED_H
#define MAIL_QUOTED_H

#include "base/buf.h"

/*
 * Text with LF or CRLF as quoted-printable with `line_end` ("\r\n" or "\n"). "From " and a lone dot
 * at the beginning of a line are written so that no mail system touches them (RFC 3156 3).
 */
void quoted_printable_add(struct buf *out, struct bytes text, const char *line_end);
/* Text with LF or CRLF, byte for byte but with every line end as `line_end`. */
void lines_add(struct buf *out, struct bytes text, const char *line_end);

#endif
