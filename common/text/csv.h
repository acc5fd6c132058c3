/* csv: comma-separated values (RFC 4180) as spreadsheets write them: with a byte order mark, CRLF or LF, commas or semicolons. */
#ifndef TEXT_CSV_H
#define TEXT_CSV_H

#include "base/buf.h"

struct csv_row {
	size_t line;  /* where it begins in the file, from 1 */
	char **cells; /* without blanks around what is not quoted */
	size_t count;
};

struct csv {
	struct csv_row *rows; /* empty lines are left out */
	size_t count;
};

/* ERR_DATA "line N: …": not UTF-8, control characters, a quote without an end, text behind one. The separator is what the first line has more of. */
CHECKED enum err csv_read(struct bytes text, struct csv *out);
void csv_free(struct csv *csv);
/* The cell, or "" where the row is shorter. */
const char *csv_cell(const struct csv_row *row, size_t column);
/* Appends one line of `count` cells, quoted where that is needed; NULL is an empty one. */
void csv_add(struct buf *out, const char *const *cells, size_t count);

#endif
