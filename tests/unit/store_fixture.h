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

/* A value of the file, and the statement that puts another in its place. */
struct cell {
	char *column, *update;
	sqlite3_value *value;
	int64_t row; /* 1, 2, … */
};

UNUSED static size_t cells_read(sqlite3 *db, const char *table, const char *key, struct cell **out)
{
	char *sql = str_printf("SELECT %s, * FROM %s ORDER BY 1", key, table);
	sqlite3_stmt *stmt = NULL;
	size_t count = 0;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	for (int64_t row = 1; sqlite3_step(stmt) == SQLITE_ROW; row++) {
		for (int i = 1; i < sqlite3_column_count(stmt); i++) {
			const char *column = sqlite3_column_name(stmt, i);

			if (str_equal(column, key) || sqlite3_column_type(stmt, i) == SQLITE_NULL)
				continue;
			*out = mem_array(*out, count + 1, sizeof **out);
			(*out)[count++] = (struct cell){ .column = str_dup(column),
				.update = str_printf("UPDATE %s SET %s = ? WHERE %s = %lld", table,
				    column, key, sqlite3_column_int64(stmt, 0)),
				.value = sqlite3_value_dup(sqlite3_column_value(stmt, i)),
				.row = row };
		}
	}
	sqlite3_finalize(stmt);
	str_free(&sql);
	return count;
}

/* Writes `value` with its byte `at` altered, or as it is where there is no such byte. */
UNUSED static void cell_write(sqlite3_stmt *update, sqlite3_value *value, size_t at)
{
	int type = sqlite3_value_type(value);
	int64_t number = sqlite3_value_int64(value);
	struct buf copy = BUF_INIT;

	if (type == SQLITE_INTEGER)
		buf_add(&copy, &number, sizeof number);
	else
		buf_add(&copy, sqlite3_value_blob(value), (size_t)sqlite3_value_bytes(value));
	if (at < copy.len)
		copy.data[at] ^= 1;
	if (type == SQLITE_INTEGER) {
		memcpy(&number, copy.data, sizeof number);
		sqlite3_bind_int64(update, 1, number);
	} else if (type == SQLITE_TEXT) {
		sqlite3_bind_text(update, 1, buf_text(&copy), (int)copy.len, SQLITE_TRANSIENT);
	} else {
		sqlite3_bind_blob(update, 1, copy.data, (int)copy.len, SQLITE_TRANSIENT);
	}
	assert_int_equal(sqlite3_step(update), SQLITE_DONE);
	sqlite3_reset(update);
	buf_free(&copy);
}

/*
 * Alters every byte of every value of `table` in turn, but for its `key`, an integer, and calls `look` each
 * time. Returns how often.
 */
UNUSED static unsigned alter_each_byte(const struct place *place, const char *table,
    const char *key, void (*look)(void *context, int64_t row, const char *column), void *context)
{
	struct cell *cells = NULL;
	sqlite3 *db = NULL;
	unsigned looks = 0;
	size_t count;

	assert_int_equal(sqlite3_open_v2(place->path, &db, SQLITE_OPEN_READWRITE, NULL), 0);
	assert_int_equal(sqlite3_exec(db, "PRAGMA ignore_check_constraints = ON", 0, 0, 0), 0);
	count = cells_read(db, table, key, &cells);
	for (struct cell *cell = cells; cell < cells + count; cell++) {
		bool is_number = sqlite3_value_type(cell->value) == SQLITE_INTEGER;
		size_t len = is_number ? 8 : (size_t)sqlite3_value_bytes(cell->value);
		sqlite3_stmt *update = NULL;

		assert_int_equal(sqlite3_prepare_v2(db, cell->update, -1, &update, NULL), 0);
		for (size_t at = 0; at < len; at++, looks++) {
			cell_write(update, cell->value, at);
			look(context, cell->row, cell->column);
		}
		cell_write(update, cell->value, len);
		sqlite3_finalize(update);
		sqlite3_value_free(cell->value);
		str_free(&cell->column);
		str_free(&cell->update);
	}
	free(cells);
	sqlite3_close(db);
	return looks;
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
