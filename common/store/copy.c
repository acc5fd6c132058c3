/* A copy of the whole store while others write, and the proof that a store can be used. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

/* In one step, during which writers wait: it is as long as reading the file, and a copy in parts would begin again with every commit. */
static enum err copy_into(struct store *store, const char *path)
{
	sqlite3 *copy = NULL;
	sqlite3_backup *backup = NULL;
	enum err e = store_alive(store);

	if (e)
		return e;
	if (sqlite3_open_v2(path, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE, NULL) ||
	    sqlite3_exec(copy, "PRAGMA journal_mode = OFF", NULL, NULL, NULL) ||
	    !(backup = sqlite3_backup_init(copy, "main", store->db, "main")) ||
	    sqlite3_backup_step(backup, -1) != SQLITE_DONE)
		e = err_fail(ERR_TEMPORARY, "the store can't be copied: %s", sqlite3_errmsg(copy));
	if (backup && sqlite3_backup_finish(backup) && !e)
		e = err_fail(ERR_IO, "the store can't be copied: %s", sqlite3_errmsg(copy));
	sqlite3_close(copy);
	return e;
}

/* One snapshot: the head is that of the copy. */
static enum err copy_with_head(
    struct store *store, const char *path, int64_t *head_number_out, char head_hash_out[65])
{
	bool own = false;
	enum err e = own_begin_reading(store, &own);

	if (e)
		return e;
	if (!(e = audit_head(store, head_number_out, head_hash_out)))
		e = copy_into(store, path);
	if (own)
		store_rollback(store);
	return e;
}

enum err store_copy(
    struct store *store, int *fd_out, int64_t *head_number_out, char head_hash_out[65])
{
	char *path = str_printf("%s.copy-XXXXXX", store->path);
	int fd = mkostemp(path, O_CLOEXEC);
	enum err e;

	*fd_out = -1;
	if (fd < 0) {
		e = err_fail(ERR_CREATE, "cannot create %s: %s", path, strerror(errno));
		goto out;
	}
	e = copy_with_head(store, path, head_number_out, head_hash_out);
	(void)unlink(path);
	if (e)
		close(fd);
	else
		*fd_out = fd;
out:
	str_free(&path);
	return e;
}

static void seen_token(const struct token_row *row, void *context)
{
	(void)row;
	++*(int64_t *)context;
}

static void seen_keyset(const struct keyset_row *row, void *context)
{
	(void)row;
	++*(int64_t *)context;
}

static void seen_deposit(const struct deposit_row *row, void *context)
{
	(void)row;
	++*(int64_t *)context;
}

static void seen_mail(const struct outbox_row *row, void *context)
{
	(void)row;
	++*(int64_t *)context;
}

static void seen_entry(const struct audit_entry *entry, void *context)
{
	(void)entry;
	++*(int64_t *)context;
}

enum err store_check_rows(struct store *store, int64_t *keysets_out)
{
	int64_t other = 0;
	enum err e;

	*keysets_out = 0;
	if ((e = store_quick_check(store)) ||
	    (e = token_each(store, NULL, false, 0, seen_token, &other)) ||
	    (e = keyset_each(store, NULL, true, seen_keyset, keysets_out)) ||
	    (e = deposit_each(store, NULL, seen_deposit, &other)) ||
	    (e = outbox_each(store, false, seen_mail, &other)))
		return e;
	return audit_each(store, NULL, 0, seen_entry, &other);
}
