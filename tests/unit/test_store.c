/* The store as a file: creating, opening, transactions, and what storage may do to it. */
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

/*
 * SQLite's system calls by way of this program: the call `fail_at` (counted from 1) and, where `fail_on` is
 * set, all that follow fail with `fail_with`.
 */
static int calls, fail_at, fail_with;
static bool fail_on;

#define DIES (-1) /* in place of an errno: the process ends at that call */

static bool fails(void)
{
	calls++;
	if (!fail_at || calls < fail_at || (calls > fail_at && !fail_on))
		return false;
	if (fail_with == DIES)
		_exit(77);
	errno = fail_with;
	return true;
}

static void fail_from(int at, int with, bool on)
{
	calls = 0;
	fail_at = at;
	fail_with = with;
	fail_on = on;
}

int fdatasync(int fd)
{
	return fails() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at)
{
	return fails() ? -1 : (ssize_t)syscall(SYS_pwrite64, fd, data, len, at);
}

int ftruncate64(int fd, off64_t len)
{
	return fails() ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

/* ---- creating and opening ---- */

static unsigned files_in(const char *dir)
{
	char *command = str_printf("ls -A %s | wc -l", dir);
	FILE *pipe = popen(command, "r");
	unsigned count = 0;

	assert_non_null(pipe);
	assert_int_equal(fscanf(pipe, "%u", &count), 1);
	pclose(pipe);
	str_free(&command);
	return count;
}

static void created_once_for_its_owner_alone(void **state)
{
	struct place *place = *state;
	struct store *second = NULL;
	struct stat st;
	char *journal = str_printf("%s-journal", place->path);

	assert_int_equal(stat(place->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_fault(store_create(place->path, &second), ERR_CREATE);
	assert_null(second);
	assert_says("File exists");
	assert_written(place->store, store_set(place->store, "ready", "yes"));
	assert_int_equal(stat(journal, &st), 0); /* TRUNCATE keeps it, empty */
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(files_in(place->dir), 2);
	assert_fault(store_create("/nonexistent/countersign.db", &second), ERR_CREATE);
	str_free(&journal);
}

static void no_half_made_store_is_left(void **state)
{
	struct place *place = *state;
	char *path = path_join(place->dir, "second.db");
	struct store *second = NULL;
	int at = 1;

	for (; !second && at < 200; at++) {
		fail_from(at, EIO, true);
		if (store_create(path, &second))
			assert_false(file_exists(path) && !file_exists(place->path));
		fail_from(0, 0, false);
		if (!second && file_exists(path)) {
			/* It was complete, though whoever made it was told of an error. */
			assert_fine(store_open(path, 1, &second));
		}
		assert_int_equal(files_in(place->dir) - (unsigned)file_exists(path), 1);
	}
	assert_in_range(at, 5, 199);
	store_close(&second);
	str_free(&path);
}

static void write_file(const char *path, const char *text)
{
	assert_fine(file_write(path, 0600, bytes_of_text(text)));
}

static void says_why_it_does_not_open(void **state)
{
	enum {
		MISSING,
		EMPTY,
		TEXT,
		DIRECTORY,
		FOREIGN,
		NEWER,
		OLDER,
		NO_INDEX,
		NO_CHECK,
		NO_META,
		CASES
	};
	static const struct {
		enum err expected;
		const char *sentence;
		const char *sql;
	} cases[CASES] = {
		[MISSING] = { ERR_NOINPUT, "there is no store at", NULL },
		[EMPTY] = { ERR_DATA, "is not a store of Countersign", NULL },
		[TEXT] = { ERR_DATA, "is not a store of Countersign", NULL },
		[DIRECTORY] = { ERR_DATA, "is not a store of Countersign", NULL },
		[FOREIGN] = { ERR_DATA, "is not a store of Countersign",
		    "PRAGMA application_id = 1" },
		[NEWER] = { ERR_CONFIG, "was written by a newer Countersign",
		    "PRAGMA user_version = 2" },
		[OLDER] = { ERR_DATA, "has no format", "PRAGMA user_version = 0" },
		[NO_INDEX] = { ERR_DATA, "its definitions were changed",
		    "DROP INDEX token_outstanding" },
		[NO_CHECK] = { ERR_DATA, "its definitions were changed",
		    "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = replace(sql, "
		    "'expires > issued', 'expires = issued')" },
		[NO_META] = { ERR_DATA, "damaged", "DROP TABLE meta" },
	};

	for (int i = 0; i < CASES; i++) {
		struct store *store = NULL;
		struct place *place;

		place_make(state);
		place = *state;
		store_close(&place->store);
		if (cases[i].sql)
			tamper(place, cases[i].sql);
		if (i == MISSING || i == DIRECTORY)
			assert_int_equal(unlink(place->path), 0);
		if (i == DIRECTORY)
			assert_int_equal(mkdir(place->path, 0700), 0);
		if (i == EMPTY)
			write_file(place->path, "");
		if (i == TEXT)
			write_file(
			    place->path, "Not a data base at all, but long enough for one?\n");
		if (store_open(place->path, 1, &store) != cases[i].expected || store)
			fail_msg("case %d: %s", i, err_text());
		assert_says(cases[i].sentence);
		place_remove(state);
	}
}

static void named_texts(void **state)
{
	struct place *place = *state;
	char *value = NULL;

	assert_fine(store_get(place->store, "pin", &value));
	assert_null(value);
	assert_written(place->store, store_set(place->store, "pin", "one"));
	assert_written(place->store, store_set(place->store, "pin", "two"));
	reopen(place);
	assert_fine(store_get(place->store, "pin", &value));
	assert_string_equal(value, "two");
	str_free(&value);
	tamper(place, "UPDATE meta SET value = 'six' WHERE name = 'pin'");
	assert_fault(store_get(place->store, "pin", &value), ERR_DATA);
	assert_null(value);
	assert_says("pin is damaged");
}

/* ---- transactions ---- */

static enum err try_set(struct store *s)
{
	return store_set(s, "pin", "x");
}
static enum err try_prune(struct store *s)
{
	return store_prune(s, NOW, 0);
}
static enum err try_token_insert(struct store *s)
{
	struct token_row row = token_for(BOB, 7);
	int64_t superseded;
	enum err e = token_insert(s, &row, NOW, &superseded);

	token_clear(&row);
	return e;
}
static enum err try_token_supersede(struct store *s)
{
	struct token_row row = token_for(ALICE, 7);
	int64_t superseded;
	enum err e = token_insert(s, &row, NOW, &superseded);

	token_clear(&row);
	return e;
}
static enum err try_token_use(struct store *s)
{
	return token_use(s, 1, 1, NOW);
}
static enum err try_token_void(struct store *s)
{
	return token_void(s, 1, NOW);
}
static enum err try_keyset_insert(struct store *s)
{
	struct keyset_row row = keyset_for(BOB, "default", 0);
	enum err e = keyset_insert(s, &row);

	keyset_clear(&row);
	return e;
}
static enum err try_keyset_supersede(struct store *s)
{
	return keyset_supersede(s, 1, NOW);
}
static enum err try_keyset_confirm(struct store *s)
{
	return keyset_confirm(s, 1, NOW);
}
static enum err try_keyset_published(struct store *s)
{
	struct keyset_row *row = NULL;
	bool done;

	assert_fine(keyset_by_id(s, 1, &row));
	enum err e = keyset_published(s, row, NOW, &done);
	keyset_row_free(&row);
	return e;
}
static enum err try_keyset_prefer(struct store *s)
{
	return keyset_prefer(s, 1);
}
static enum err try_outbox_insert(struct store *s)
{
	struct outbox_row row = { .id = "00000000000000000000000001", .created = NOW, .due = NOW };
	char sender[] = "", recipient[] = ALICE, message_id[] = "1@example.org";
	enum err e;

	row.sender = sender;
	row.recipient = recipient;
	row.message_id = message_id;
	buf_add_text(&row.mail, "mail");
	e = outbox_insert(s, &row);
	buf_free(&row.mail);
	return e;
}
static enum err try_attempt_forget(struct store *s)
{
	return attempt_forget(s, (const uint8_t[32]){ 1 });
}
static enum err try_attempt_end(struct store *s)
{
	int64_t earlier;

	return attempt_end(s, (const uint8_t[32]){ 1 }, NOW, 0, &earlier);
}
static enum err try_mark(struct store *s)
{
	bool first;

	return mark_once(s, "alarm", NOW, DAY, &first);
}
static enum err try_counter(struct store *s)
{
	return counter_add(s, "ignored", 1);
}
static enum err try_quarantine_insert(struct store *s)
{
	char mailbox[] = "m", reason[] = "r", headers[] = "h";
	struct quarantine_row row = {
		.at = NOW, .mailbox = mailbox, .reason = reason, .headers = headers
	};

	return quarantine_insert(s, &row);
}
static enum err try_quarantine_drop(struct store *s)
{
	return quarantine_drop(s, 1);
}
static enum err try_audit(struct store *s)
{
	return audit_add(s, NOW, "agent", "enrolled", ALICE, NULL, NULL);
}
static enum err try_person_erase(struct store *s)
{
	return person_erase(s, ALICE);
}

static enum err (*const writers[])(struct store *) = { try_set, try_prune, try_token_insert,
	try_token_supersede, try_token_use, try_token_void, try_keyset_insert, try_keyset_supersede,
	try_keyset_confirm, try_keyset_published, try_keyset_prefer, try_outbox_insert,
	try_attempt_forget, try_attempt_end, try_mark, try_counter, try_quarantine_insert,
	try_quarantine_drop, try_audit, try_person_erase };

static void nothing_is_written_outside_a_transaction(void **state)
{
	struct place *place = *state;
	struct buf before = BUF_INIT, after = BUF_INIT;

	token_issued(place->store, ALICE, 1);
	keyset_stored(place->store, ALICE, "default");
	assert_written(place->store, try_quarantine_insert(place->store));
	assert_fine(file_read(place->path, 1 << 24, &before));
	for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
		if (writers[i](place->store) != ERR_SOFTWARE)
			fail_msg("writer %zu", i);
		assert_says("outside a transaction");
		buf_clear(&after);
		assert_fine(file_read(place->path, 1 << 24, &after));
		assert_true(bytes_equal(buf_bytes(&before), buf_bytes(&after)));
	}
	/* And each does its work within one. */
	for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
		assert_fine(store_begin(place->store));
		if (writers[i](place->store))
			fail_msg("writer %zu: %s", i, err_text());
		store_rollback(place->store);
	}
	buf_free(&before);
	buf_free(&after);
}

static void transactions_are_uniform(void **state)
{
	struct place *place = *state;

	store_rollback(place->store);
	assert_fault(store_commit(place->store), ERR_SOFTWARE);
	assert_fine(store_begin(place->store));
	assert_fault(store_begin(place->store), ERR_SOFTWARE);
	store_rollback(place->store);
	assert_fault(store_commit(place->store), ERR_SOFTWARE);
}

static void busy_is_temporary(void **state)
{
	struct place *place = *state;
	struct store *other = NULL;
	char *value = NULL;

	assert_fine(store_open(place->path, 0, &other));
	assert_fine(store_begin(place->store));
	assert_fine(try_counter(place->store));
	assert_fault(store_begin(other), ERR_TEMPORARY);
	assert_says("busy");
	assert_fine(store_get(other, "pin", &value)); /* readers are not held up */
	assert_fine(store_commit(place->store));
	assert_fine(store_begin(other));
	store_rollback(other);
	store_close(&other);
}

/* A reader in the middle of its work is waited for; then the commit fails and nothing has changed. */
static void commit_that_must_wait_for_too_long(void **state)
{
	struct place *place = *state;
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db = NULL;

	store_close(&place->store);
	assert_fine(store_open(place->path, 0, &place->store));
	assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT * FROM meta", -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_fine(store_begin(place->store));
	assert_fine(try_counter(place->store));
	assert_fault(store_commit(place->store), ERR_TEMPORARY);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	assert_int_equal(peek(place, "SELECT count(*) FROM counter"), 0);
	assert_written(place->store, try_counter(place->store));
}

/* ---- storage that fails ---- */

static enum err enroll(struct store *store)
{
	struct keyset_row row = keyset_for(ALICE, "default", 1);
	enum err e = store_begin(store);

	if (!e && !(e = keyset_insert(store, &row)) && !(e = token_use(store, 1, row.id, NOW)) &&
	    !(e = audit_add(store, NOW, "agent", "enrolled", ALICE, NULL, NULL)) &&
	    !(e = try_outbox_insert(store)))
		e = store_commit(store);
	store_rollback(store);
	keyset_clear(&row);
	return e;
}

/* All of the enrollment is there, or nothing (I1). */
static bool enrolled(struct place *place)
{
	int64_t count, bad;
	struct token_row *row = NULL;
	bool used;

	assert_fine(store_quick_check(place->store));
	assert_fine(audit_verify(place->store, 0, NULL, &count, &bad));
	assert_fine(token_by_id(place->store, 1, &row));
	used = row->used != 0;
	token_row_free(&row);
	assert_int_equal(count, used);
	assert_int_equal(peek(place, "SELECT count(*) FROM keyset"), used);
	assert_int_equal(peek(place, "SELECT count(*) FROM outbox"), used);
	return used;
}

/*
 * Every write, truncation and sync of an enrollment fails in turn, once or from then on. What was said to
 * be done is done; after an I/O error the handle is dead; after a full disk it is not.
 */
static void every_storage_call_fails(void **state)
{
	static const struct {
		int with;
		bool on;
	} cases[] = { { EIO, false }, { EIO, true }, { ENOSPC, false }, { ENOSPC, true } };
	int most = 0;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (int at = 1;; at++) {
			struct place *place;
			bool failed;
			enum err e;

			place_make(state);
			place = *state;
			token_issued(place->store, ALICE, 1);
			fail_from(at, cases[i].with, cases[i].on);
			e = enroll(place->store);
			failed = calls >= at;
			fail_from(0, 0, false);
			most = at > most ? at : most;
			if (e && e != ERR_IO && e != ERR_TEMPORARY)
				fail_msg("call %d: %d %s", at, e, err_text());
			if (e == ERR_IO) {
				assert_fault(store_begin(place->store), ERR_IO);
				assert_says("opened again");
				reopen(place);
			}
			if (!e)
				assert_true(enrolled(place));
			else if (!enrolled(place))
				assert_fine(enroll(place->store));
			place_remove(state);
			if (!failed)
				break;
		}
	}
	assert_in_range(most, 10, 200);
}

/* A process that ends before any of these calls leaves all or nothing, and no work for anybody. */
static void death_at_every_storage_call(void **state)
{
	int status = 77, at = 0;

	while (status == 77) {
		struct place *place;
		pid_t pid;

		place_make(state);
		place = *state;
		token_issued(place->store, ALICE, 1);
		store_close(&place->store);
		at++;
		if (!(pid = fork())) {
			struct store *store = NULL;
			if (store_open(place->path, 1, &store))
				_exit(1);
			fail_from(at, DIES, false);
			_exit(enroll(store) == ERR_OK ? 0 : 2);
		}
		status = reap(pid);
		assert_true(status == 77 || status == 0);
		assert_fine(store_open(place->path, 1, &place->store));
		if (!enrolled(place)) {
			assert_int_equal(status, 77);
			assert_fine(enroll(place->store));
		}
		place_remove(state);
	}
	assert_in_range(at, 10, 200);
}

static void full_disk_is_temporary(void **state)
{
	struct place *place = *state;

	token_issued(place->store, ALICE, 1);
	fail_from(1, ENOSPC, true);
	assert_fault(enroll(place->store), ERR_TEMPORARY);
	assert_says("no space is left");
	fail_from(0, 0, false);
	assert_false(enrolled(place));
	assert_fine(enroll(place->store)); /* without help once freed (I11) */
	assert_true(enrolled(place));
}

/* ---- damage ---- */

static void show_token(const struct token_row *row, void *context)
{
	buf_addf(context, "token %lld %s %s %lld %lld\n", (long long)row->id, row->address,
	    row->issued_by, (long long)row->expires, (long long)row->used_keyset);
	buf_add(context, row->key, sizeof row->key);
}

static void show_keyset(const struct keyset_row *row, void *context)
{
	buf_addf(context, "keyset %lld %s %s %s %s %s %lld\n", (long long)row->id, row->address,
	    row->name, row->fingerprint, buf_text(&row->key), buf_text(&row->reply),
	    (long long)row->confirmed);
}

static void show_outbox(const struct outbox_row *row, void *context)
{
	buf_addf(context, "outbox %s %s %s %lld\n", row->id, row->recipient, buf_text(&row->mail),
	    (long long)row->due);
}

static void show_entry(const struct audit_entry *entry, void *context)
{
	buf_addf(context, "log %lld %s %s %s %s\n", (long long)entry->number, entry->actor,
	    entry->event, entry->address ? entry->address : "", entry->hash);
}

/* Everything that can be read; ERR_DATA where damage was noticed. */
static enum err show(const char *path, struct buf *out)
{
	struct token_row *token = NULL;
	struct keyset_row *keyset = NULL;
	struct store *store = NULL;
	int64_t count, bad;
	enum err e;

	if (!(e = store_open(path, 1, &store)) && !(e = store_quick_check(store)) &&
	    !(e = audit_verify(store, 0, NULL, &count, &bad)) &&
	    !(e = token_each(store, NULL, false, NOW, show_token, out)) &&
	    !(e = keyset_each(store, NULL, true, show_keyset, out)) &&
	    !(e = outbox_each(store, false, show_outbox, out)) &&
	    !(e = audit_each(store, NULL, 0, show_entry, out)) &&
	    !(e = token_outstanding(store, BOB, NOW, &token)) &&
	    !(e = keyset_by_name(store, ALICE, "default", &keyset)))
		buf_addf(out, "found %d %d\n", token != NULL, keyset != NULL);
	token_row_free(&token);
	keyset_row_free(&keyset);
	store_close(&store);
	return e;
}

/* Cut at a page it does not even open; within the last page it may be that nothing was there. */
static void cut_anywhere_is_noticed(void **state)
{
	struct place *place = *state;
	struct buf file = BUF_INIT, whole = BUF_INIT;

	token_issued(place->store, ALICE, 1);
	store_close(&place->store);
	assert_fine(show(place->path, &whole));
	assert_fine(file_read(place->path, 1 << 24, &file));
	for (size_t len = 0; len < file.len; len += 1024) {
		struct buf seen = BUF_INIT;
		struct store *store = NULL;
		bool opens, same;

		assert_fine(file_write(place->path, 0600, bytes_of(file.data, len)));
		opens = store_open(place->path, 1, &store) == ERR_OK;
		store_close(&store);
		same =
		    !show(place->path, &seen) && bytes_equal(buf_bytes(&seen), buf_bytes(&whole));
		if ((opens && len + 4096 <= file.len) ||
		    (!same && show(place->path, &seen) != ERR_DATA))
			fail_msg("cut at %zu", len);
		buf_free(&seen);
	}
	buf_free(&file);
	buf_free(&whole);
}

/* I10: a flipped bit anywhere in the file is noticed, or without effect. */
static void flipped_bits(void **state)
{
	struct place *place = *state;
	struct buf file = BUF_INIT, whole = BUF_INIT, seen = BUF_INIT;
	unsigned noticed = 0, harmless = 0;

	token_issued(place->store, ALICE, 1);
	token_issued(place->store, BOB, 2);
	assert_fine(enroll(place->store));
	store_close(&place->store);
	assert_fine(show(place->path, &whole));
	assert_fine(file_read(place->path, 1 << 24, &file));
	/* Most of the file is zeros between cells: all other bytes, and a sample of those. */
	for (size_t at = 0; at < file.len; at++) {
		int fd;
		enum err e;
		uint8_t flipped = file.data[at] ^ (uint8_t)(1 << at % 8);

		if (!file.data[at] ? at % 211 : at % 5)
			continue;
		fd = open(place->path, O_WRONLY | O_CLOEXEC);
		assert_int_equal(pwrite64(fd, &flipped, 1, (off64_t)at), 1);
		buf_clear(&seen);
		e = show(place->path, &seen);
		if (e && e != ERR_DATA && e != ERR_PROTOCOL && e != ERR_CONFIG)
			fail_msg("byte %zu: %d %s", at, e, err_text());
		if (!e && !bytes_equal(buf_bytes(&seen), buf_bytes(&whole)))
			fail_msg("byte %zu went unnoticed", at);
		*(e ? &noticed : &harmless) += 1;
		assert_int_equal(pwrite64(fd, &file.data[at], 1, (off64_t)at), 1);
		close(fd);
	}
	assert_true(noticed > 500 && harmless > 100);
	buf_free(&file);
	buf_free(&whole);
	buf_free(&seen);
}

/* ---- counts, pruning ---- */

static void counts(void **state)
{
	struct place *place = *state;
	struct store *store = place->store;
	struct store_counts c;
	const char *const names[] = { "a", "b", "c" };
	int64_t ids[3];

	assert_fine(store_count(store, NOW, DAY, 30 * DAY, &c));
	assert_memory_equal(&c, &(struct store_counts){ 0 }, sizeof c);

	token_issued(store, ALICE, 1);
	token_issued(store, BOB, 2);
	token_issued(store, BOB, 3);
	for (int i = 0; i < 3; i++)
		ids[i] = keyset_stored(store, ALICE, names[i]);
	assert_written(store, keyset_confirm(store, ids[0], NOW));
	assert_written(store, keyset_supersede(store, ids[1], NOW));
	assert_written(store, try_outbox_insert(store));
	assert_written(store, try_quarantine_insert(store));

	assert_fine(store_count(store, NOW, DAY, 30 * DAY, &c));
	assert_int_equal(c.tokens_outstanding, 2);
	assert_int_equal(c.keysets[KEYSET_ACTIVE], 1);
	assert_int_equal(c.keysets[KEYSET_UNCONFIRMED], 1);
	assert_int_equal(c.keysets[KEYSET_SUPERSEDED], 1);
	assert_int_equal(c.expiring, 0);
	assert_int_equal(c.publish_due, 1);
	assert_int_equal(c.outbox_waiting, 1);
	assert_int_equal(c.outbox_failed, 0);
	assert_int_equal(c.outbox_oldest, NOW);
	assert_int_equal(c.quarantined, 1);

	assert_fine(outbox_failed(store, "00000000000000000000000001", NOW, "no"));
	assert_fine(store_count(store, NOW + 350 * DAY, DAY, 30 * DAY, &c));
	assert_int_equal(c.tokens_outstanding, 0);
	assert_int_equal(c.expiring, 1);
	assert_int_equal(c.outbox_waiting, 0);
	assert_int_equal(c.outbox_failed, 1);
	assert_int_equal(c.outbox_bounced, 0);
	assert_int_equal(c.outbox_oldest, 0);

	assert_fine(outbox_bounced(store, "00000000000000000000000001", NOW, "no"));
	assert_fine(store_count(store, NOW, DAY, 30 * DAY, &c));
	assert_int_equal(c.outbox_bounced, 1);

	assert_fine(store_count(store, NOW + 366 * DAY, 10 * DAY, 30 * DAY, &c));
	assert_int_equal(c.keysets[KEYSET_GRACE], 1);
	assert_int_equal(c.keysets[KEYSET_EXPIRED], 1);
	assert_int_equal(c.expiring, 0);
}

static void prunes_what_is_old(void **state)
{
	static const char rows[] =
	    "SELECT (SELECT count(*) FROM outbox) * 100 + (SELECT count(*) FROM attempt) * 10 + "
	    "(SELECT count(*) FROM mark)";
	struct place *place = *state;
	struct store *store = place->store;
	int64_t n, outcome;

	assert_written(store, try_outbox_insert(store));
	assert_written(store, try_mark(store));
	assert_fine(attempt_begin(store, (const uint8_t[32]){ 1 }, NOW, &n, &outcome));
	assert_written(store, store_prune(store, NOW + 90 * DAY - 1, 0));
	assert_int_equal(peek(place, rows), 111);
	assert_written(store, store_prune(store, NOW + 90 * DAY, 0));
	assert_int_equal(peek(place, rows), 100); /* it waits, however long */
	assert_fine(outbox_sent(store, "00000000000000000000000001", NOW));
	assert_written(store, store_prune(store, NOW + 90 * DAY - 1, 0));
	assert_int_equal(peek(place, rows), 100);
	assert_written(store, store_prune(store, NOW + 90 * DAY, 0));
	assert_int_equal(peek(place, rows), 0);
	assert_written(store, try_mark(store));
	assert_written(store, store_prune(store, NOW + 120 * DAY - 1, 30 * DAY));
	assert_int_equal(peek(place, rows), 1);
	assert_written(store, store_prune(store, NOW + 120 * DAY, 30 * DAY));
	assert_int_equal(peek(place, rows), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_place(created_once_for_its_owner_alone),
		in_place(no_half_made_store_is_left),
		cmocka_unit_test(says_why_it_does_not_open),
		in_place(cut_anywhere_is_noticed),
		in_place(named_texts),
		in_place(nothing_is_written_outside_a_transaction),
		in_place(transactions_are_uniform),
		in_place(busy_is_temporary),
		in_place(commit_that_must_wait_for_too_long),
		cmocka_unit_test(every_storage_call_fails),
		cmocka_unit_test(death_at_every_storage_call),
		in_place(full_disk_is_temporary),
		in_place(flipped_bits),
		in_place(counts),
		in_place(prunes_what_is_old),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
