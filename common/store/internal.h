/*
 * The room's own: a thin layer over prepared statements. The set of statements is closed: each is a string
 * constant, prepared once per store. Faults stick to the query, so that a caller asks once, at query_end.
 */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include <sqlite3.h>

#include "secret/secret.h"
#include "store/store.h"

#define CLOCK_SLACK_SECONDS 300 /* I13 */

struct prepared {
	const char *sql;
	sqlite3_stmt *stmt;
};

struct store {
	sqlite3 *db;
	char *path;
	bool failed;   /* I12: an I/O error was seen; nothing more on this handle */
	bool spoiled;  /* a write of this transaction failed: it must not be committed */
	bool hindered; /* store_hindered */
	struct prepared *prepared;
	size_t prepared_count;
};

struct query {
	struct store *store;
	sqlite3_stmt *stmt;
	enum err err;
	int parameter, column; /* those that come next */
};

/* `sql` lives for ever. A statement that writes needs a transaction. */
struct query query_open(struct store *store, const char *sql);
/* Parameters in order; what they point to lives until query_end. NULL text and bytes of NULL are SQL's NULL. */
void query_put_int(struct query *q, int64_t v);
void query_put_text(struct query *q, const char *v);
void query_put_bytes(struct query *q, struct bytes v);
/* The next row; false at the end and after a fault. */
bool query_row(struct query *q);
CHECKED enum err query_end(struct query *q);
/* For a statement without rows: runs and ends it. */
CHECKED enum err query_run(struct query *q);

/* Columns in order. Another type than the column's, or another size, is a fault. NULL reads as 0, NULL, empty. */
int64_t query_int(struct query *q);
bool query_bool(struct query *q);
char *query_text(struct query *q);
void query_chars(struct query *q, char *out, size_t size); /* of exactly size - 1 bytes */
void query_bytes(struct query *q, struct buf *out);
void query_fixed(struct query *q, uint8_t *out, size_t len);

/*
 * A row's check, in SQL. Tables with a check have their columns, all but row_check, in a macro;
 * SEALED ends a SELECT of them, SEAL writes the check of the row with the given key.
 */
#define ROW_SEAL(table, columns) "row_seal('" table "', " columns ")"
#define SEALED(table, columns) columns ", row_check = " ROW_SEAL(table, columns) " FROM " table
#define SEAL(table, columns, key) \
	"UPDATE " table " SET row_check = " ROW_SEAL(table, columns) " WHERE " key " = ?"
#define UNSEALED "zeroblob(32)"
/* Reads the last column of SEALED; ERR_DATA "`what` `id` is damaged" sticks to the query. */
void query_check(struct query *q, const char *what, int64_t id);
/* Runs a statement whose only parameter is a row's number: SEAL, or a DELETE. */
CHECKED enum err query_run_for(struct store *store, const char *sql, int64_t number);
/* Rows changed by the statement that ran last. */
int64_t store_changes(const struct store *store);
/* ERR_DATA: an index led to a row that does not fit what was asked for. */
CHECKED enum err store_misled(const struct store *store);
/* The error of SQLite's last call. */
enum err store_fault(struct store *store);
/* ERR_IO after an I/O error (I12). */
CHECKED enum err store_alive(const struct store *store);
/* Makes the transaction uncommittable; returns `e`. */
enum err store_spoil(struct store *store, enum err e);

/* For functions that are a transaction of their own, or part of the one begun. */
CHECKED enum err own_begin(struct store *store, bool *own_out);
CHECKED enum err own_end(struct store *store, bool own, enum err e);
/* One snapshot for several reads; ended by store_rollback where it is our own. */
CHECKED enum err own_begin_reading(struct store *store, bool *own_out);

/* The numbers of the rows to be shown: collected first, so that no lock is held while each is shown. */
struct numbers {
	int64_t *at;
	size_t count;
	char *damage; /* the first damaged row's sentence */
};
/* Runs `q`, whose only column is a number, to its end. */
CHECKED enum err numbers_collect(struct query *q, struct numbers *out);
/* What to do after reading one: ERR_DATA is kept for the end, everything else is passed on. */
CHECKED enum err numbers_note(struct numbers *numbers, enum err e);
/* Frees; ERR_DATA if there was damage and `e` is ERR_OK. */
CHECKED enum err numbers_end(struct numbers *numbers, enum err e);

/* Writes. Live and confirmed, else ERR_NOUSER: takes over what the renewal certified; sets publish_due. */
CHECKED enum err keyset_renew(struct store *store, const struct renewal_row *renewal);
/* Writes. Replies of renewals made until then are no longer sent again. */
CHECKED enum err renewal_prune(struct store *store, int64_t until);
/* Writes. The replies of enrollments until then are not sent again (P5.3), and are forgotten. */
CHECKED enum err keyset_prune(struct store *store, int64_t before);

/* The head of the log that a new store starts with. */
CHECKED enum err audit_start(struct store *store);

#endif
