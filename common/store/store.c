#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/wire.h"
#include "internal.h"

#define APPLICATION_ID 0x4353474e /* "CSGN" */
#define FORMAT 1
#define BUSY_SECONDS 10

static const char schema[] =
#include "schema.h"
    ;

/*
 * No WAL: in SQLite 3.40 committed transactions can vanish from it when two connections write and
 * checkpoint. EXTRA makes the journal's truncation, which is the commit, durable as well.
 */
static const char pragmas[] = "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = EXTRA;"
			      "PRAGMA locking_mode = NORMAL; PRAGMA foreign_keys = ON;"
			      "PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY;"
			      "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;";

/* row_seal(table, column, …): a row's own check (I10). */
static void row_seal(sqlite3_context *context, int count, sqlite3_value **values)
{
	struct buf record = BUF_INIT;
	uint8_t hash[HASH_BYTES];

	for (int i = 0; i < count; i++) {
		int type = sqlite3_value_type(values[i]);

		wire_put_u8(&record, (uint8_t)type);
		if (type == SQLITE_INTEGER) {
			wire_put_i64(&record, sqlite3_value_int64(values[i]));
		} else if (type != SQLITE_NULL) {
			const void *data = sqlite3_value_blob(values[i]);
			wire_put_bytes(
			    &record, bytes_of(data, (size_t)sqlite3_value_bytes(values[i])));
		}
	}
	hash_context("countersign row v1", buf_bytes(&record), hash);
	buf_free(&record);
	sqlite3_result_blob(context, hash, sizeof hash, SQLITE_TRANSIENT);
}

/* What SQLite says while a store is opened. */
static enum err open_fault(const struct store *store)
{
	switch (sqlite3_errcode(store->db) & 255) {
	case SQLITE_NOTADB:
		return err_fail(ERR_DATA, "%s is not a store of Countersign", store->path);
	case SQLITE_CORRUPT:
		return err_fail(ERR_DATA, "the store %s is damaged: %s", store->path,
		    sqlite3_errmsg(store->db));
	case SQLITE_BUSY:
		return err_fail(ERR_TEMPORARY, "the store %s is busy", store->path);
	case SQLITE_FULL:
		return err_fail(ERR_TEMPORARY, "no space is left for the store %s", store->path);
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return err_fail(ERR_NOINPUT, "cannot open the store %s: %s", store->path,
		    strerror(sqlite3_system_errno(store->db)));
	default:
		return err_fail(
		    ERR_IO, "cannot open the store %s: %s", store->path, sqlite3_errmsg(store->db));
	}
}

static enum err configure(struct store *store)
{
	sqlite3 *db = store->db;

	if (sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) ||
	    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL) ||
	    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL) ||
	    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL) ||
	    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, NULL) ||
	    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL) ||
	    sqlite3_create_function(db, "row_seal", -1,
		SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, NULL, row_seal, NULL, NULL))
		return err_fail(ERR_SOFTWARE, "SQLite: %s", sqlite3_errmsg(db));
	return ERR_OK;
}

static enum err connect(const char *path, unsigned busy_seconds, struct store **out)
{
	struct store *store = mem_alloc(sizeof *store);
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
		    SQLITE_OPEN_EXRESCODE;
	enum err e;

	*out = NULL;
	store->path = str_dup(path);
	if (sqlite3_open_v2(path, &store->db, flags, NULL)) {
		e = open_fault(store);
		goto out;
	}
	sqlite3_busy_timeout(store->db, (int)busy_seconds * 1000);
	if ((e = configure(store)))
		goto out;
	*out = store;
	store = NULL;
out:
	store_close(&store);
	return e;
}

void store_close(struct store **store)
{
	struct store *s = *store;

	if (!s)
		return;
	for (size_t i = 0; i < s->prepared_count; i++)
		sqlite3_finalize(s->prepared[i].stmt);
	free(s->prepared);
	sqlite3_close(s->db);
	str_free(&s->path);
	free(s);
	*store = NULL;
}

static enum err read_pragma(struct store *store, const char *sql, int64_t *out)
{
	sqlite3_stmt *stmt = NULL;
	enum err e = ERR_OK;

	if (sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL) || sqlite3_step(stmt) != SQLITE_ROW)
		e = open_fault(store);
	else
		*out = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return e;
}

static enum err check_format(struct store *store)
{
	int64_t application = 0, format = 0;
	enum err e;

	if ((e = read_pragma(store, "PRAGMA application_id", &application)) ||
	    (e = read_pragma(store, "PRAGMA user_version", &format)))
		return e;
	if (application != APPLICATION_ID)
		return err_fail(ERR_DATA, "%s is not a store of Countersign", store->path);
	if (format > FORMAT)
		return err_fail(ERR_CONFIG,
		    "the store %s was written by a newer Countersign (format %lld, this one reads "
		    "%d); install that version",
		    store->path, (long long)format, FORMAT);
	if (format < FORMAT)
		return err_fail(ERR_DATA, "the store %s is damaged: it has no format", store->path);
	return ERR_OK;
}

/* SHA-256 over all definitions: a lost index or CHECK would be noticed by nobody. */
static enum err digest_schema(struct store *store, char **out)
{
	struct query q = query_open(
	    store, "SELECT name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name");
	struct buf record = BUF_INIT, hex = BUF_INIT;
	uint8_t hash[HASH_BYTES];

	while (query_row(&q)) {
		for (int i = 0; i < 2; i++) {
			char *text = query_text(&q);
			wire_put_text(&record, text);
			str_free(&text);
		}
	}
	hash_sha256(buf_bytes(&record), hash);
	hex_add(&hex, bytes_of(hash, sizeof hash));
	*out = buf_take_text(&hex);
	buf_free(&record);
	return query_end(&q);
}

static enum err check_schema(struct store *store)
{
	char *found = NULL, *expected = NULL;
	enum err e;

	if ((e = digest_schema(store, &found)) || (e = store_get(store, "schema", &expected)))
		goto out;
	if (!str_equal(found, expected))
		e = err_fail(
		    ERR_DATA, "the store %s is damaged: its definitions were changed", store->path);
out:
	/* Where a definition is unreadable SQLite speaks of SQL, which is not what went wrong. */
	if (e == ERR_SOFTWARE)
		e = err_fail(ERR_DATA, "the store %s is damaged: %s", store->path,
		    sqlite3_errmsg(store->db));
	str_free(&found);
	str_free(&expected);
	return e;
}

static enum err check_file(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return err_fail(ERR_NOINPUT, "there is no store at %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_fail(ERR_DATA, "%s is not a store of Countersign", path);
	return ERR_OK;
}

enum err store_open(const char *path, unsigned busy_seconds, struct store **out)
{
	struct store *store = NULL;
	enum err e;

	*out = NULL;
	if ((e = check_file(path)) || (e = connect(path, busy_seconds, &store)) ||
	    (e = check_format(store)))
		goto out;
	if (sqlite3_exec(store->db, pragmas, NULL, NULL, NULL)) {
		e = open_fault(store);
		goto out;
	}
	if ((e = check_schema(store)))
		goto out;
	if (sqlite3_db_readonly(store->db, "main")) {
		e = err_fail(ERR_DENIED, "the store %s can't be written by this user", path);
		goto out;
	}
	*out = store;
	store = NULL;
out:
	store_close(&store);
	return e;
}

static enum err store_schema_digest(struct store *store)
{
	char *digest = NULL;
	enum err e = digest_schema(store, &digest);

	if (!e)
		e = store_set(store, "schema", digest);
	str_free(&digest);
	return e;
}

/* Fills an empty file, which nobody else knows yet. */
static enum err fill(const char *path)
{
	struct store *store = NULL;
	enum err e;

	if ((e = connect(path, 0, &store)))
		return e;
	if (sqlite3_exec(store->db, "PRAGMA journal_mode = MEMORY", NULL, NULL, NULL) ||
	    sqlite3_exec(store->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) ||
	    sqlite3_exec(store->db, schema, NULL, NULL, NULL))
		e = open_fault(store);
	if (!e && !(e = store_schema_digest(store)) && !(e = audit_start(store)))
		e = store_commit(store);
	store_close(&store);
	return e;
}

/* Gives the finished file its name; whoever finds that name finds a whole store. */
static enum err put_in_place(int fd, const char *made, const char *path)
{
	char *dir = str_dup(path);
	char *slash = strrchr(dir, '/');
	enum err e;

	if (fsync(fd))
		e = err_fail(ERR_IO, "cannot write the store %s: %s", path, strerror(errno));
	else if (link(made, path))
		e = err_fail(ERR_CREATE, "cannot create the store %s: %s", path, strerror(errno));
	else if (!slash)
		e = file_sync_dir(".");
	else {
		slash[slash == dir] = '\0';
		e = file_sync_dir(dir);
	}
	str_free(&dir);
	return e;
}

enum err store_create(const char *path, struct store **out)
{
	char *made = str_printf("%s.XXXXXX", path);
	enum err e;
	int fd = mkostemp(made, O_CLOEXEC);

	*out = NULL;
	if (fd < 0) {
		e = err_fail(ERR_CREATE, "cannot create the store %s: %s", path, strerror(errno));
		goto out;
	}
	if (!(e = fill(made)))
		e = put_in_place(fd, made, path);
	(void)unlink(made);
	close(fd);
	if (!e)
		e = store_open(path, BUSY_SECONDS, out);
out:
	str_free(&made);
	return e;
}

enum err store_quick_check(struct store *store)
{
	/* quick_check does not compare indexes with their tables: a lost entry would be a lost token. */
	struct query q = query_open(store, "PRAGMA integrity_check(1)");
	char *answer = query_row(&q) ? query_text(&q) : NULL;
	enum err e = query_end(&q);

	if (!e && !str_equal(answer, "ok"))
		e = err_fail(ERR_DATA, "the store %s is damaged: %s", store->path,
		    answer ? answer : "no answer");
	str_free(&answer);
	return e;
}

/* Not by way of a query, which would want a transaction. */
static enum err control(struct store *store, const char *sql)
{
	enum err e = store_alive(store);

	if (!e && sqlite3_exec(store->db, sql, NULL, NULL, NULL))
		e = store_fault(store);
	return e;
}

enum err store_begin(struct store *store)
{
	if (!sqlite3_get_autocommit(store->db))
		return err_fail(ERR_SOFTWARE, "a transaction within a transaction");
	store->spoiled = store->hindered = false;
	return control(store, "BEGIN IMMEDIATE");
}

enum err store_commit(struct store *store)
{
	enum err e;

	if (sqlite3_get_autocommit(store->db))
		return err_fail(ERR_SOFTWARE, "nothing to commit: the transaction is over");
	if (store->spoiled) {
		store_rollback(store);
		return err_fail(ERR_SOFTWARE, "a transaction of which a part failed");
	}
	if ((e = control(store, "COMMIT")))
		store_rollback(store);
	return e;
}

void store_rollback(struct store *store)
{
	/* Also on a failed handle; and the sentence of what failed is kept. */
	if (!sqlite3_get_autocommit(store->db))
		(void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

bool store_hindered(const struct store *store)
{
	return store->hindered || store->failed;
}

bool store_failed(const struct store *store)
{
	return store->failed;
}

enum err own_begin(struct store *store, bool *own_out)
{
	*own_out = sqlite3_get_autocommit(store->db);
	return *own_out ? store_begin(store) : ERR_OK;
}

enum err own_begin_reading(struct store *store, bool *own_out)
{
	*own_out = sqlite3_get_autocommit(store->db);
	return *own_out ? control(store, "BEGIN") : ERR_OK;
}

enum err own_end(struct store *store, bool own, enum err e)
{
	if (!own)
		return e;
	if (!e)
		return store_commit(store);
	store_rollback(store);
	return e;
}
