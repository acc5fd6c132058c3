/* A Maildir as a mailbox: POSIX and inotify. And delivery into one. */
#include "mail/mailbox_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "secret/secret.h"

struct maildrop {
	const char *dir;      /* of the URL */
	char *done, *ignored; /* paths of the Maildir++ folders; NULL deletes */
	int news;             /* inotify */
};

/*
 * One file of new/ or cur/. The id is "INODE-MTIME-UNIQUE" (hex, hex, the name up to its flags):
 * flags may change under us, and a name that is used again for another mail is not the mail we
 * looked at.
 */
struct entry {
	char *id;
	int64_t time;       /* of the unique name, else of the file */
	const char *unique; /* borrowed from id */
};

static const char *const subdirs[] = { "new", "cur" };

static enum err make_dirs(const char *dir)
{
	static const char *const names[] = { "", "tmp", "new", "cur" };
	enum err err = ERR_OK;
	for (size_t i = 0; !err && i < sizeof names / sizeof *names; i++) {
		char *path = path_join(dir, names[i]);
		err = file_make_dir(path, 0700);
		str_free(&path);
	}
	return err;
}

/* "Done" becomes DIR/.Done, "" NULL. */
static enum err folder_path(const char *dir, const char *folder, char **out)
{
	if (folder == NULL || folder[0] == '\0') {
		return ERR_OK;
	}
	if (folder[0] == '.' || strchr(folder, '/') != NULL) {
		return err_fail(ERR_CONFIG, "\"%s\" is no folder name", folder);
	}
	*out = str_printf("%s/.%s", dir, folder);
	return ERR_OK;
}

static enum err watch(struct maildrop *box)
{
	box->news = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	for (size_t i = 0; box->news >= 0 && i < 2; i++) {
		char *path = path_join(box->dir, subdirs[i]);
		int rc = inotify_add_watch(box->news, path, IN_MOVED_TO | IN_CREATE | IN_ONLYDIR);
		str_free(&path);
		if (rc < 0) {
			break;
		}
		if (i == 1) {
			return ERR_OK;
		}
	}
	return err_fail(ERR_UNAVAILABLE, "cannot watch %s: %s", box->dir, strerror(errno));
}

static void drop_close(struct mailbox *mailbox)
{
	struct maildrop *box = mailbox->state;

	if (box->news >= 0) {
		close(box->news);
	}
	str_free(&box->done);
	str_free(&box->ignored);
	free(box);
	mailbox->state = NULL;
}

static enum err drop_open(struct mailbox *mailbox)
{
	struct maildrop *box = mem_alloc(sizeof *box);
	enum err err;

	mailbox->state = box;
	box->news = -1;
	box->dir = mailbox->url.path;
	if ((err = folder_path(box->dir, mailbox->conf->done_folder, &box->done)) ||
	    (err = folder_path(box->dir, mailbox->conf->ignored_folder, &box->ignored))) {
		return err;
	}
	if (make_dirs(box->dir)) {
		return ERR_UNAVAILABLE; /* whoever opens it says which mailbox */
	}
	return watch(box);
}

static int64_t mtime_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static char *id_of(const char *name, const struct stat *st)
{
	return str_printf("%" PRIx64 "-%" PRIx64 "-%.*s", (uint64_t)st->st_ino,
	    (uint64_t)mtime_ns(st), (int)strcspn(name, ":"), name);
}

static const char *id_unique(const char *id)
{
	for (int i = 0; i < 2 && id; i++) {
		id = strchr(id, '-');
		id += id ? 1 : 0;
	}
	return id ? id : "";
}

static struct entry entry_of(const char *name, const struct stat *st)
{
	struct entry e = { .id = id_of(name, st) };
	e.unique = id_unique(e.id);
	char *end;
	errno = 0;
	e.time = strtoll(e.unique, &end, 10);
	if (end == e.unique || errno != 0 || *end != '.') {
		e.time = st->st_mtim.tv_sec;
	}
	return e;
}

/* Opens DIR/SUB for reading its names. */
static enum err open_subdir(const struct maildrop *box, const char *sub, DIR **out)
{
	char *path = path_join(box->dir, sub);
	DIR *d = opendir(path);
	enum err err =
	    d ? ERR_OK : err_fail(ERR_UNAVAILABLE, "cannot read %s: %s", path, strerror(errno));
	str_free(&path);
	*out = d;
	return err;
}

static enum err list_subdir(
    const struct maildrop *box, const char *sub, struct entry **entries, size_t *count)
{
	DIR *d;
	enum err err = open_subdir(box, sub, &d);
	if (err) {
		return err;
	}
	for (const struct dirent *e; (e = readdir(d)) != NULL;) {
		struct stat st;
		if (e->d_name[0] != '.' &&
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode)) {
			*entries = mem_array(*entries, *count + 1, sizeof **entries);
			(*entries)[(*count)++] = entry_of(e->d_name, &st);
		}
	}
	closedir(d);
	return ERR_OK;
}

static int entry_order(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	if (x->time != y->time) {
		return x->time < y->time ? -1 : 1;
	}
	int names = strcmp(x->unique, y->unique);
	return names ? names : strcmp(x->id, y->id);
}

static enum err drop_list(struct mailbox *mailbox, char ***ids_out, size_t *count_out)
{
	const struct maildrop *box = mailbox->state;
	struct entry *entries = NULL;
	size_t count = 0, kept = 0;
	for (size_t i = 0; i < 2; i++) {
		enum err err = list_subdir(box, subdirs[i], &entries, &count);
		if (err) {
			for (size_t k = 0; k < count; k++) {
				str_free(&entries[k].id);
			}
			free(entries);
			return err;
		}
	}
	if (count > 0) {
		qsort(entries, count, sizeof *entries, entry_order);
	}
	char **ids = mem_array(NULL, count + 1, sizeof *ids);
	for (size_t i = 0; i < count; i++) {
		/* Moved from new to cur between our two looks: seen twice. */
		if (kept > 0 && str_equal(ids[kept - 1], entries[i].id)) {
			str_free(&entries[i].id);
		} else {
			ids[kept++] = entries[i].id;
		}
	}
	ids[kept] = NULL;
	free(entries);
	*ids_out = ids;
	*count_out = kept;
	return ERR_OK;
}

static bool is_the_mail(int dir, const char *name, const char *id)
{
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) {
		return false;
	}
	char *found = id_of(name, &st);
	bool same = str_equal(found, id);
	str_free(&found);
	return same;
}

/* The path of a mail now, whatever its flags became; NULL when it is gone. */
static enum err locate(const struct maildrop *box, const char *id, char **path_out)
{
	const char *unique = id_unique(id);
	size_t len = strlen(unique);
	*path_out = NULL;
	for (size_t i = 0; i < 2 && *path_out == NULL && len > 0; i++) {
		DIR *d;
		enum err err = open_subdir(box, subdirs[i], &d);
		if (err) {
			return err;
		}
		const char *name = is_the_mail(dirfd(d), unique, id) ? unique : NULL;
		for (const struct dirent *e; name == NULL && (e = readdir(d)) != NULL;) {
			if (strncmp(e->d_name, unique, len) == 0 && e->d_name[len] == ':' &&
			    is_the_mail(dirfd(d), e->d_name, id)) {
				name = e->d_name;
			}
		}
		*path_out = name ? str_printf("%s/%s/%s", box->dir, subdirs[i], name) : NULL;
		closedir(d);
	}
	return ERR_OK;
}

static enum err read_up_to(int fd, size_t max_bytes, struct buf *out)
{
	while (max_bytes > 0) {
		size_t want = max_bytes < 65536 ? max_bytes : 65536;
		ssize_t n = read(fd, buf_reserve(out, want), want);
		if (n == 0) {
			break;
		}
		if (n < 0 && errno != EINTR) {
			return err_fail(ERR_IO, "cannot read a mail: %s", strerror(errno));
		}
		out->len += n > 0 ? (size_t)n : 0;
		max_bytes -= n > 0 ? (size_t)n : 0;
	}
	return ERR_OK;
}

static enum err drop_fetch(
    struct mailbox *mailbox, const char *id, size_t max_bytes, struct buf *out, size_t *size_out)
{
	const struct maildrop *box = mailbox->state;
	char *path;
	enum err err = locate(box, id, &path);
	if (err) {
		return err;
	}
	int fd = path ? open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
	struct stat st;
	if (path == NULL || (fd < 0 && errno == ENOENT)) {
		err = err_fail(ERR_NOINPUT, "the mail is gone");
	} else if (fd < 0 || fstat(fd, &st) != 0) {
		err = err_fail(errno == EACCES ? ERR_DENIED : ERR_IO, "cannot open %s: %s", path,
		    strerror(errno));
	} else {
		*size_out = (size_t)st.st_size;
		err = read_up_to(fd, max_bytes, out);
		buf_add(out, "", 0); /* its NUL */
	}
	if (fd >= 0) {
		close(fd);
	}
	str_free(&path);
	return err;
}

/* A Maildir++ folder: a Maildir with the empty file "maildirfolder". */
static enum err make_folder(const char *folder)
{
	enum err err = make_dirs(folder);
	char *mark = path_join(folder, "maildirfolder");
	if (!err && !file_exists(mark)) {
		err = file_write(mark, 0600, bytes_of("", 0));
	}
	str_free(&mark);
	return err;
}

/* Microseconds keep the order of mails of one second; 64 random bits make it unique. */
static char *unique_make(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	uint8_t bits[8];
	secret_random(bits, sizeof bits);
	struct buf name = BUF_INIT;
	buf_addf(&name, "%lld.M%06ldR", (long long)now.tv_sec, now.tv_nsec / 1000);
	base32_add(&name, bytes_of(bits, sizeof bits));
	buf_add_text(&name, ".countersign");
	return buf_take_text(&name);
}

/* Never over a file that is there. */
static int rename_new(const char *from, const char *to)
{
	int rc = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
	if (rc != 0 && (errno == EINVAL || errno == ENOSYS)) { /* a file system without it */
		rc = link(from, to);
		rc = rc == 0 ? unlink(from) : rc;
	}
	return rc;
}

static enum err move_mail(const char *path, const char *unique, const char *folder)
{
	enum err err = make_folder(folder);
	if (err) {
		return err;
	}
	char *to = str_printf("%s/cur/%s:2,S", folder, unique);
	char *cur = path_join(folder, "cur");
	int rc = rename_new(path, to);
	if (rc != 0 && errno == EEXIST) {
		char *fresh = unique_make();
		str_free(&to);
		to = str_printf("%s/cur/%s:2,S", folder, fresh);
		str_free(&fresh);
		rc = rename_new(path, to);
	}
	if (rc != 0 && errno != ENOENT) {
		err = err_fail(ERR_IO, "cannot move %s to %s: %s", path, to, strerror(errno));
	} else {
		err = file_sync_dir(cur);
	}
	str_free(&cur);
	str_free(&to);
	return err;
}

static enum err drop_settle(struct mailbox *mailbox, const char *id, enum settle how)
{
	const struct maildrop *box = mailbox->state;
	const char *folder = how == SETTLE_DONE      ? box->done
			     : how == SETTLE_IGNORED ? box->ignored
						     : NULL;
	char *path;
	enum err err = locate(box, id, &path);
	if (err || path == NULL) {
		return err;
	}
	if (folder) {
		err = move_mail(path, id_unique(id), folder);
	} else if (unlink(path) != 0 && errno != ENOENT) {
		err = err_fail(ERR_IO, "cannot remove %s: %s", path, strerror(errno));
	}
	if (!err) {
		*strrchr(path, '/') = '\0';
		err = file_sync_dir(path);
	}
	str_free(&path);
	return err;
}

static enum err drop_watch(struct mailbox *mailbox, int *fd_out, int64_t *within_ms_out)
{
	const struct maildrop *box = mailbox->state;

	*fd_out = box->news;
	*within_ms_out = INT64_MAX;
	return ERR_OK;
}

static enum err drop_drain(struct mailbox *mailbox, bool *news_out)
{
	const struct maildrop *box = mailbox->state;
	_Alignas(struct inotify_event) char events[4096];
	*news_out = false;
	for (;;) {
		ssize_t n = read(box->news, events, sizeof events);
		if (n < 0 && errno == EAGAIN) {
			return ERR_OK;
		}
		if (n < 0 && errno != EINTR) {
			return err_fail(ERR_IO, "cannot watch %s: %s", box->dir, strerror(errno));
		}
		for (ssize_t at = 0; at < n;) {
			struct inotify_event e;
			memcpy(&e, events + at, sizeof e);
			if (e.mask & IN_IGNORED) {
				return err_fail(ERR_UNAVAILABLE, "%s was removed", box->dir);
			}
			at += (ssize_t)(sizeof e + e.len);
			*news_out = true;
		}
	}
}

static enum err drop_check(struct mailbox *mailbox, struct buf *notes)
{
	const struct maildrop *box = mailbox->state;
	enum err err = box->done ? make_folder(box->done) : ERR_OK;

	(void)notes; /* it knows all that is needed */
	return err || !box->ignored ? err : make_folder(box->ignored);
}

const struct mailbox_driver driver_maildir = { drop_open, drop_close, drop_list, drop_fetch,
	drop_settle, drop_watch, drop_drain, drop_check };

static enum err write_durably(const char *path, struct bytes mail)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		return err_fail(ERR_IO, "cannot create %s: %s", path, strerror(errno));
	}
	enum err err = file_write_fd(fd, mail);
	if (!err && fsync(fd) != 0) {
		err = err_fail(ERR_IO, "cannot write %s: %s", path, strerror(errno));
	}
	if (close(fd) != 0 && !err) {
		err = err_fail(ERR_IO, "cannot write %s: %s", path, strerror(errno));
	}
	return err;
}

enum err maildrop_deliver(const char *dir, struct bytes mail)
{
	enum err err = make_dirs(dir);
	if (err) {
		return err;
	}
	char *unique = unique_make();
	char *tmp = str_printf("%s/tmp/%s", dir, unique);
	char *new = str_printf("%s/new/%s", dir, unique);
	char *new_dir = path_join(dir, "new");
	err = write_durably(tmp, mail);
	if (!err && rename_new(tmp, new) != 0) {
		err = err_fail(ERR_IO, "cannot deliver to %s: %s", new, strerror(errno));
	}
	if (err) {
		unlink(tmp);
	} else {
		err = file_sync_dir(new_dir);
	}
	str_free(&new_dir);
	str_free(&new);
	str_free(&tmp);
	str_free(&unique);
	return err;
}
