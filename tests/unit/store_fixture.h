/* A store in a directory of its own, rows to put into it, and a way to tamper with it behind its back. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "secret/secret.h"
#include "store/store.h"

#define NOW 1795320000 /* 22 November 2026 */
#define DAY 86400
#define ALICE "alice@example.org"
#define BOB "bob@example.org"
#define UNUSED __attribute__((unused))

struct place {
	char *dir, *path;
	struct store *store;
};

#define assert_fine(call) \
	do { \
		enum err err_ = (call); \
		if (err_) \
			fail_msg("%s: %d %s", #call, err_, err_text()); \
	} while (0)
#define assert_fault(call, code) assert_int_equal((call), (code))
#define assert_says(part) assert_non_null(strstr(err_text(), part))
/* One transaction around a call. */
#define assert_written(store, call) \
	do { \
		assert_fine(store_begin(store)); \
		assert_fine(call); \
		assert_fine(store_commit(store)); \
	} while (0)

UNUSED static int place_make(void **state)
{
	char template[] = "/dev/shm/store.XXXXXX";
	struct place *place = mem_alloc(sizeof *place);

	secret_start();
	place->dir = str_dup(mkdtemp(template));
	place->path = path_join(place->dir, "countersign.db");
	assert_fine(store_create(place->path, &place->store));
	*state = place;
	return 0;
}

UNUSED static int place_remove(void **state)
{
	struct place *place = *state;

	store_close(&place->store);
	assert_fine(file_remove_tree(place->dir));
	str_free(&place->dir);
	str_free(&place->path);
	free(place);
	return 0;
}

/* A test with a fresh store in *state. */
#define in_place(test) cmocka_unit_test_setup_teardown(test, place_make, place_remove)

UNUSED static void reopen(struct place *place)
{
	store_close(&place->store);
	assert_fine(store_open(place->path, 10, &place->store));
}

/* Runs SQL as an administrator with sqlite3 would; CHECKs are no obstacle. */
UNUSED static void tamper(const struct place *place, const char *sql)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 10000);
	assert_int_equal(sqlite3_exec(db, "PRAGMA ignore_check_constraints = ON", 0, 0, 0), 0);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL))
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

/* The first column of the first row as a number. */
UNUSED static int64_t peek(const struct place *place, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db = NULL;
	int64_t value;

	assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 10000);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return value;
}

/*
 * Alters every byte of every value of `table` in turn and calls `look` each time; the column `but` is left
 * alone. Returns how many times.
 */
UNUSED static unsigned alter_each_byte(const struct place *place, const char *table,
    const char *key, const char *but, void (*look)(void *context, int64_t row, const char *column),
    void *context)
{
	char *sql = str_printf("SELECT * FROM %s ORDER BY %s", table, key);
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db = NULL;
	unsigned count = 0;

	assert_int_equal(sqlite3_open_v2(place->path, &db, SQLITE_OPEN_READWRITE, NULL), 0);
	assert_int_equal(sqlite3_exec(db, "PRAGMA ignore_check_constraints = ON", 0, 0, 0), 0);
	/* All rows are kept in memory first: the file is written between them. */
	struct cell {
		char *column, *update;
		sqlite3_value *value;
		int64_t row;
	} *cells = NULL;
	size_t cell_count = 0;
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	for (int64_t row = 1; sqlite3_step(stmt) == SQLITE_ROW; row++) {
		char *row_key = NULL;
		for (int i = 0; i < sqlite3_column_count(stmt); i++) {
			if (!strcmp(sqlite3_column_name(stmt, i), key))
				row_key = str_dup((const char *)sqlite3_column_text(stmt, i));
		}
		for (int i = 0; i < sqlite3_column_count(stmt); i++) {
			const char *name = sqlite3_column_name(stmt, i);
			if (str_equal(name, key) || str_equal(name, but) ||
			    sqlite3_column_type(stmt, i) == SQLITE_NULL)
				continue;
			cells = mem_array(cells, cell_count + 1, sizeof *cells);
			cells[cell_count++] = (struct cell){ .column = str_dup(name),
				.update = str_printf("UPDATE %s SET %s = ? WHERE %s = '%s'", table,
				    name, key, row_key),
				.value = sqlite3_value_dup(sqlite3_column_value(stmt, i)),
				.row = row };
		}
		str_free(&row_key);
	}
	sqlite3_finalize(stmt);
	for (size_t c = 0; c < cell_count; c++) {
		struct cell *cell = &cells[c];
		int type = sqlite3_value_type(cell->value);
		int64_t number = sqlite3_value_int64(cell->value);
		const void *data = sqlite3_value_blob(cell->value);
		size_t len = type == SQLITE_INTEGER ? sizeof number
						    : (size_t)sqlite3_value_bytes(cell->value);
		uint8_t *copy = mem_alloc(len + 1);

		assert_int_equal(sqlite3_prepare_v2(db, cell->update, -1, &stmt, NULL), 0);
		for (size_t at = 0; at <= len; at++) {
			memcpy(copy, type == SQLITE_INTEGER ? (const void *)&number : data, len);
			if (at < len)
				copy[at] ^= 1;
			if (type == SQLITE_INTEGER)
				sqlite3_bind_int64(stmt, 1, *(int64_t *)(void *)copy);
			else if (type == SQLITE_TEXT)
				sqlite3_bind_text(
				    stmt, 1, (char *)copy, (int)len, SQLITE_TRANSIENT);
			else
				sqlite3_bind_blob(stmt, 1, copy, (int)len, SQLITE_TRANSIENT);
			/* Flags with CHECK (x IN (0, 1)) too; a foreign key is not enforced here. */
			if (sqlite3_step(stmt) != SQLITE_DONE)
				fail_msg("%s: %s", cell->update, sqlite3_errmsg(db));
			sqlite3_reset(stmt);
			if (at < len) { /* the last round puts it back */
				look(context, cell->row, cell->column);
				count++;
			}
		}
		sqlite3_finalize(stmt);
		free(copy);
		str_free(&cell->column);
		str_free(&cell->update);
		sqlite3_value_free(cell->value);
	}
	free(cells);
	sqlite3_close(db);
	str_free(&sql);
	return count;
}

/* ---- rows ---- */

UNUSED static struct token_row token_for(const char *address, uint8_t key)
{
	struct token_row row = { .address = str_dup(address), .issued_by = str_dup("carol") };

	memset(row.key, key, sizeof row.key);
	row.issued = NOW;
	row.expires = NOW + 14 * DAY;
	return row;
}

UNUSED static void token_clear(struct token_row *row)
{
	str_free(&row->address);
	str_free(&row->also);
	str_free(&row->name);
	str_free(&row->keyset);
	str_free(&row->issued_by);
}

/* Issues one in a transaction of its own; its id. */
UNUSED static int64_t token_issued(struct store *store, const char *address, uint8_t key)
{
	struct token_row row = token_for(address, key);
	int64_t superseded;

	assert_written(store, token_insert(store, &row, NOW, &superseded));
	token_clear(&row);
	return row.id;
}

UNUSED static struct keyset_row keyset_for(const char *address, const char *name, int64_t token)
{
	static unsigned made;
	struct keyset_row row = { .address = str_dup(address),
		.name = str_dup(name),
		.user_id = str_printf("Someone <%s>", address),
		.token = token,
		.enrolled = NOW,
		.certified_until = NOW + 365 * DAY };

	made++;
	(void)snprintf(row.fingerprint, sizeof row.fingerprint, "%040X", made);
	(void)snprintf(
	    row.encryption_fingerprint, sizeof row.encryption_fingerprint, "%040X", made + 1000);
	buf_add_text(&row.key, "public key");
	buf_add_text(&row.reply, "sealed reply");
	row.request_id = str_printf("request-%u", made);
	row.nonce = str_printf("NONCE%u", made);
	row.reply_message_id = str_printf("%u@example.org", made);
	memset(row.request_hash, 1, sizeof row.request_hash);
	memset(row.reply_hash, 2, sizeof row.reply_hash);
	return row;
}

UNUSED static void keyset_clear(struct keyset_row *row)
{
	str_free(&row->address);
	str_free(&row->name);
	str_free(&row->user_id);
	buf_free(&row->key);
	buf_free(&row->reply);
	str_free(&row->request_id);
	str_free(&row->nonce);
	str_free(&row->reply_message_id);
}

UNUSED static int64_t keyset_stored(struct store *store, const char *address, const char *name)
{
	struct keyset_row row = keyset_for(address, name, 0);

	assert_written(store, keyset_insert(store, &row));
	keyset_clear(&row);
	return row.id;
}

/* Waits for a child; its exit status. */
UNUSED static int reap(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#endif
