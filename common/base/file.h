/* file: files, directories and sealed memory files. Every descriptor is close-on-exec. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"

/* Appends the whole file to `out`; ERR_NOINPUT if it can't be read, ERR_DATA above max_bytes. "-" is standard input. */
CHECKED enum err file_read(const char *path, size_t max_bytes, struct buf *out);
CHECKED enum err file_read_fd(int fd, const char *name, size_t max_bytes, struct buf *out);
/*
 * Reads a passphrase file: first line without its line end, into a secret buf; ERR_CONFIG for an empty one, or one that its
 * group or others may touch.
 */
CHECKED enum err file_read_secret(const char *path, struct buf *out);
/* Durable replace: write to a temporary name beside it, fsync, rename, fsync the directory. A device or a pipe is written to. */
CHECKED enum err file_write(const char *path, mode_t mode, struct bytes content);
/* Durable create that never overwrites (ERR_CREATE if it exists). */
CHECKED enum err file_create(const char *path, mode_t mode, struct bytes content);
CHECKED enum err file_write_fd(int fd, struct bytes content); /* all of it, EINTR retried */
CHECKED enum err file_sync_dir(const char *dir);
CHECKED enum err file_make_dir(const char *path, mode_t mode); /* with parents; fine if it exists */
CHECKED enum err file_remove_tree(const char *path); /* never follows links; fine if absent */
bool file_exists(const char *path);
bool file_is_tmpfs(const char *path);
/* Takes the lock file without waiting, keeps it until the process ends or *fd_out is closed; ERR_TEMPORARY when another holds it. */
CHECKED enum err file_lock(const char *path, int *fd_out);
/* "DIR/NAME", malloc'ed. */
char *path_join(const char *dir, const char *name);

/* A memfd with these bytes, sealed against every change (F_SEAL_WRITE|GROW|SHRINK|SEAL). */
CHECKED enum err memfd_make(struct bytes content, int *fd_out);
/* Appends a sealed memfd's content; ERR_PROTOCOL if the seals are missing, ERR_DATA above max_bytes. */
CHECKED enum err memfd_read(int fd, size_t max_bytes, struct buf *out);

#endif
