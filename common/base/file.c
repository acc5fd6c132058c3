#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"

#define READ_CHUNK_BYTES 16384
#define PASSPHRASE_FILE_BYTES_MAX 4096
#define MEMFD_SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

/* A full disk is over some day; the rest of EIO and friends is not known to be. */
static enum err write_fault(const char *path)
{
	enum err code = errno == ENOSPC || errno == EDQUOT ? ERR_TEMPORARY : ERR_IO;

	return err_fail(code, "cannot write %s: %s", path, strerror(errno));
}

enum err file_read_fd(int fd, const char *name, size_t max_bytes, struct buf *out)
{
	size_t start = out->len;
	ssize_t got;

	for (;;) {
		got = read(fd, buf_reserve(out, READ_CHUNK_BYTES), READ_CHUNK_BYTES);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		out->len += (size_t)got;
		out->data[out->len] = 0;
		if (out->len - start > max_bytes)
			return err_fail(ERR_DATA, "%s is larger than %zu bytes", name, max_bytes);
	}
	out->data[out->len] = 0;
	if (got < 0)
		return err_fail(ERR_NOINPUT, "cannot read %s: %s", name, strerror(errno));
	return ERR_OK;
}

enum err file_read(const char *path, size_t max_bytes, struct buf *out)
{
	enum err err;
	int fd;

	if (strcmp(path, "-") == 0)
		return file_read_fd(STDIN_FILENO, "standard input", max_bytes, out);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_fail(ERR_NOINPUT, "cannot read %s: %s", path, strerror(errno));
	err = file_read_fd(fd, path, max_bytes, out);
	close(fd);
	return err;
}

/* Pipes and terminals are as private as who made them. A file that its owner alone can open is ours, or we are root. */
static enum err check_private(int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_fail(ERR_NOINPUT, "cannot read %s: %s", path, strerror(errno));
	/* As systemd gives credentials: what its access list allows to the service shows as a right of the group. */
	if (!S_ISREG(st.st_mode) ||
	    (st.st_uid == 0 && st.st_gid == 0 && (st.st_mode & 07777) == 0440))
		return ERR_OK;
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return err_fail(ERR_CONFIG,
		    "%s can be read by other users; give it to its owner alone (chmod 600)", path);
	return ERR_OK;
}

enum err file_read_secret(const char *path, struct buf *out)
{
	struct buf all = BUF_SECRET;
	struct bytes rest, line = { NULL, 0 };
	enum err err;
	int fd;

	out->secret = true;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_fail(ERR_NOINPUT, "cannot read %s: %s", path, strerror(errno));
	err = check_private(fd, path);
	if (err == ERR_OK)
		err = file_read_fd(fd, path, PASSPHRASE_FILE_BYTES_MAX, &all);
	if (err != ERR_OK)
		goto out;
	rest = buf_bytes(&all);
	if (!bytes_line(&rest, &line) || line.len == 0) {
		err = err_fail(ERR_CONFIG, "the first line of %s is empty", path);
		goto out;
	}
	buf_add(out, line.data, line.len);
out:
	close(fd);
	buf_free(&all);
	return err;
}

enum err file_write_fd(int fd, struct bytes content)
{
	size_t done = 0;

	while (done < content.len) {
		ssize_t put = write(fd, content.data + done, content.len - done);

		if (put >= 0)
			done += (size_t)put;
		else if (errno != EINTR)
			return write_fault("output");
	}
	return ERR_OK;
}

static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return str_dup(".");
	return slash == path ? str_dup("/") : str_ndup(path, (size_t)(slash - path));
}

enum err file_sync_dir(const char *dir)
{
	enum err err = ERR_OK;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		err = err_fail(ERR_IO, "cannot sync %s: %s", dir, strerror(errno));
	if (fd >= 0)
		close(fd);
	return err;
}

/* A complete, synced file under a temporary name beside `path`. */
static enum err write_beside(
    const char *path, mode_t mode, struct bytes content, char **temporary_out)
{
	char *temporary = str_printf("%s.XXXXXX", path);
	int fd = mkostemp(temporary, O_CLOEXEC);
	enum err err = ERR_OK;

	if (fd < 0) {
		err = err_fail(errno == ENOSPC ? ERR_TEMPORARY : ERR_CREATE, "cannot create %s: %s",
		    path, strerror(errno));
		str_free(&temporary);
		return err;
	}
	err = file_write_fd(fd, content);
	if (err != ERR_OK)
		err = err_prefix(err, "%s", path);
	else if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
		err = write_fault(path);
	if (close(fd) < 0 && err == ERR_OK)
		err = write_fault(path);
	if (err != ERR_OK) {
		(void)unlink(temporary);
		str_free(&temporary);
	}
	*temporary_out = temporary;
	return err;
}

static enum err sync_parent(const char *path)
{
	char *dir = parent_of(path);
	enum err err = file_sync_dir(dir);

	str_free(&dir);
	return err;
}

/* A device or a pipe is written to; a rename would put a file in its place, in /dev too. */
static enum err write_into(const char *path, struct bytes content)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	enum err err;

	if (fd < 0)
		return write_fault(path);
	err = file_write_fd(fd, content);
	if (close(fd) < 0 && err == ERR_OK)
		err = write_fault(path);
	return err;
}

enum err file_write(const char *path, mode_t mode, struct bytes content)
{
	char *temporary = NULL;
	struct stat st;
	enum err err;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return write_into(path, content);
	err = write_beside(path, mode, content, &temporary);
	if (err != ERR_OK)
		return err;
	if (rename(temporary, path) < 0) {
		err = write_fault(path);
		(void)unlink(temporary);
	}
	str_free(&temporary);
	return err == ERR_OK ? sync_parent(path) : err;
}

enum err file_create(const char *path, mode_t mode, struct bytes content)
{
	char *temporary = NULL;
	enum err err = write_beside(path, mode, content, &temporary);

	if (err != ERR_OK)
		return err;
	/* RENAME_NOREPLACE is not known to every file system; link() is. */
	if (link(temporary, path) < 0)
		err = err_fail(ERR_CREATE, "cannot create %s: %s", path, strerror(errno));
	(void)unlink(temporary);
	str_free(&temporary);
	return err == ERR_OK ? sync_parent(path) : err;
}

enum err file_make_dir(const char *path, mode_t mode)
{
	char *partial = str_dup(path);
	enum err err = ERR_OK;
	struct stat st;

	for (char *at = partial + 1; *partial && err == ERR_OK; at++) {
		char kept = *at;

		if (kept && kept != '/')
			continue;
		*at = 0;
		if (mkdir(partial, kept ? 0755 : mode) < 0 && errno != EEXIST)
			err = err_fail(
			    ERR_CREATE, "cannot create directory %s: %s", partial, strerror(errno));
		*at = kept;
		if (!kept)
			break;
	}
	str_free(&partial);
	if (err == ERR_OK && (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)))
		err = err_fail(ERR_CREATE, "%s is not a directory", path);
	return err;
}

static enum err remove_at(int dir, const char *name);

static enum err remove_entries(DIR *stream)
{
	struct dirent *entry;
	enum err err = ERR_OK;

	while (err == ERR_OK && (entry = readdir(stream)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			err = remove_at(dirfd(stream), entry->d_name);
	return err;
}

/* What goes away meanwhile (an agent's socket) is no fault. */
static enum err remove_at(int dir, const char *name)
{
	DIR *stream;
	enum err err;
	int fd;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return ERR_OK;
	if (errno != EISDIR && errno != EPERM)
		goto fault;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		goto fault;
	stream = fdopendir(fd);
	if (!stream) {
		close(fd);
		goto fault;
	}
	err = remove_entries(stream);
	closedir(stream);
	if (err != ERR_OK)
		return err;
	if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return ERR_OK;
fault:
	if (errno == ENOENT)
		return ERR_OK;
	return err_fail(ERR_IO, "cannot remove %s: %s", name, strerror(errno));
}

enum err file_remove_tree(const char *path)
{
	return remove_at(AT_FDCWD, path);
}

bool file_exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

bool file_is_tmpfs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

enum err file_lock(const char *path, int *fd_out)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	enum err err;

	*fd_out = -1;
	if (fd < 0)
		return err_fail(ERR_CREATE, "cannot open the lock %s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		err = errno == EWOULDBLOCK
			  ? err_fail(ERR_TEMPORARY, "%s is locked by another process", path)
			  : err_fail(ERR_IO, "cannot lock %s: %s", path, strerror(errno));
		close(fd);
		return err;
	}
	*fd_out = fd;
	return ERR_OK;
}

char *path_join(const char *dir, const char *name)
{
	return str_printf("%s%s%s", dir, str_ends(dir, "/") ? "" : "/", name);
}

enum err memfd_make(struct bytes content, int *fd_out)
{
	int fd = memfd_create("countersign", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	enum err err = ERR_OK;

	*fd_out = -1;
	if (fd < 0)
		return err_fail(ERR_SYSTEM, "cannot make a memory file: %s", strerror(errno));
	err = file_write_fd(fd, content);
	if (err == ERR_OK &&
	    (lseek(fd, 0, SEEK_SET) < 0 || fcntl(fd, F_ADD_SEALS, MEMFD_SEALS) < 0))
		err = err_fail(ERR_SYSTEM, "cannot seal a memory file: %s", strerror(errno));
	if (err != ERR_OK) {
		close(fd);
		return err;
	}
	*fd_out = fd;
	return ERR_OK;
}

enum err memfd_read(int fd, size_t max_bytes, struct buf *out)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	size_t len, done = 0;

	if (seals < 0 || (seals & MEMFD_SEALS) != MEMFD_SEALS || fstat(fd, &st) < 0)
		return err_fail(ERR_PROTOCOL, "a memory file came without its seals");
	len = (size_t)st.st_size;
	if (len > max_bytes)
		return err_fail(
		    ERR_DATA, "a memory file of %zu bytes is larger than %zu", len, max_bytes);
	(void)buf_reserve(out, len);
	/* pread: the offset is shared with whoever sent the descriptor. */
	while (done < len) {
		ssize_t got = pread(fd, out->data + out->len + done, len - done, (off_t)done);

		if (got > 0)
			done += (size_t)got;
		else if (got == 0 || errno != EINTR)
			return err_fail(ERR_IO, "cannot read a memory file");
	}
	out->len += len;
	return ERR_OK;
}
