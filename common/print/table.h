/*
 * table: what a command prints: aligned text for people, or JSON (jansson) for programs, from the same calls.
 * A list is an array of objects; a page (table_page) is one object whose rows are "Label: value" lines.
 */
#ifndef PRINT_TABLE_H
#define PRINT_TABLE_H

#include <stdio.h>

#include "base/buf.h"

struct table;

/* `keys` NULL-terminated JSON names, `heads` the column heads for people (NULL: none); borrowed for the table's life. */
struct table *table_list(bool json, const char *const *keys, const char *const *heads);
struct table *table_page(bool json);
struct table *table_line(void); /* a page as JSON on one line */

/* Fields in the order of keys (list) or with their own key and label (page). value NULL: JSON null, "-" for people. */
void table_row(struct table *t); /* list: begins the next row */
void table_text(struct table *t, const char *value);
void table_number(struct table *t, int64_t value);
void table_bool(struct table *t, bool value);
void table_time(struct table *t, int64_t value); /* 0: none; RFC 3339 */
void table_field_text(struct table *t, const char *key, const char *label, const char *value);
void table_field_number(struct table *t, const char *key, const char *label, int64_t value);
void table_field_bool(struct table *t, const char *key, const char *label, bool value);
void table_field_time(struct table *t, const char *key, const char *label, int64_t value);
/* A list inside a page under a heading; takes `inner` over. */
void table_field_list(struct table *t, const char *key, const char *label, struct table *inner);

/* Appends what table_print prints, and frees. */
void table_add(struct table **t, struct buf *out);
/* Prints to `out` and frees. Values are made printable (utf8_printable) for people. ERR_IO if `out` can't take it. */
CHECKED enum err table_print(struct table **t, FILE *out);

#endif
