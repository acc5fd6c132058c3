/* slip: the printable sheet that carries a token to a person, as text or as HTML with a QR code, one page each. */
#ifndef ADMIN_SLIP_H
#define ADMIN_SLIP_H

#include "issue.h"

struct slips {
	bool html; /* else text, with a form feed between pages */
	size_t count;
};

/* As the name of the file says: .html and .htm. */
bool slip_path_is_html(const char *path);
/* Appends a person's page; `out` is secret. ERR_CONFIG about the template. */
CHECKED enum err slip_add(const struct authority *authority, const struct issue *issue,
    struct slips *slips, struct buf *out);
/* Appends what ends the whole; nothing where there is no page. */
void slip_end(const struct slips *slips, struct buf *out);
/* Before anything is issued: is there a sound template in this language (NULL: the configured one)? ERR_CONFIG. */
CHECKED enum err slip_check(const struct authority *authority, const char *language, bool html);

#endif
