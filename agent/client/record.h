/*
 * record: a struct kept on disk as lines "Name: value", through a table that says which member is which line. Values are
 * one line each; a line that the table does not name is an error, so a newer program's file is not half understood.
 */
#ifndef CLIENT_RECORD_H
#define CLIENT_RECORD_H

#include "base/buf.h"

enum record_kind {
	RECORD_TEXT,        /* char *; the line is absent for NULL */
	RECORD_FINGERPRINT, /* char[41]; absent for "" */
	RECORD_TIME,        /* int64_t; absent for 0 */
	RECORD_FLAG,        /* bool; the line says "yes", or is absent */
	RECORD_BYTES,       /* struct buf; base64; absent when empty */
};

struct record_field {
	const char *name; /* NULL ends the table */
	enum record_kind kind;
	size_t offset;
};

void record_write(const struct record_field *fields, const void *from, struct buf *out);
/* Into a zeroed struct. ERR_DATA names the line; what was read so far is there, and to be cleared in both cases. */
CHECKED enum err record_read(struct bytes text, const struct record_field *fields, void *to);
void record_clear(const struct record_field *fields, void *record);
/* The same from and to a file (0600, replaced durably). */
CHECKED enum err record_save(const char *path, const struct record_field *fields, const void *from);
CHECKED enum err record_load(const char *path, const struct record_field *fields, void *to);

#endif
