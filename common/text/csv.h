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

/* A table row by row, where it is long or a bad line must not spoil the others. Borrows the text. */
struct csv_reader {
	struct bytes rest;
	size_t line; /* the next one, from 1 */
	int separator;
};

void csv_start(struct bytes text, struct csv_reader *out);
/*
 * The next row that is not empty; *more_out false at the end. ERR_DATA as csv_read, or a row of more than 64 KiB: row->line is set, and the line after it comes
 * next. csv_row_clear is for the caller in any case.
 */
CHECKED enum err csv_next(struct csv_reader *reader, struct csv_row *row, bool *more_out);
void csv_row_clear(struct csv_row *row);

/* The whole of it. ERR_DATA "line N: …": not UTF-8, control characters, a quote without an end, text behind one. The separator is what the first line has more of. */
CHECKED enum err csv_read(struct bytes text, struct csv *out);
void csv_free(struct csv *csv);
/* The cell, or "" where the row is shorter. */
const char *csv_cell(const struct csv_row *row, size_t column);
/* Appends one line of `count` cells, quoted where that is needed; NULL is an empty one. */
void csv_add(struct buf *out, const char *const *cells, size_t count);

#endif
