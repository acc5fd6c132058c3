/*
 * archive: a tar file (POSIX.1-1988 ustar) of regular files, so that everybody can open it. Names are relative paths of up to 100 letters, digits and "._-/+", no part of which begins with two dots.
 */
#ifndef BASE_ARCHIVE_H
#define BASE_ARCHIVE_H

#include <stdint.h>

#include "base/buf.h"

#define ARCHIVE_NAME_SIZE 101

struct archive_member {
	char name[ARCHIVE_NAME_SIZE];
	struct bytes content; /* borrowed */
};

bool archive_name_valid(const char *name);
/* Writes one member, mode 0600; `modified` in seconds since 1970. ERR_DATA where the name or the size (8 GiB) does not fit. */
CHECKED enum err archive_write(int fd, const char *name, struct bytes content, int64_t modified);
CHECKED enum err archive_write_end(int fd);
/* The next member of *rest, which advances; *found_out false at the end that archive_write_end wrote. ERR_DATA: cut off, damaged, or no such archive. */
CHECKED enum err archive_next(
    struct bytes *rest, struct archive_member *member_out, bool *found_out);

/* The whole file as bytes, mapped and read-only; no file that somebody else changes meanwhile. file_unmap takes what file_map gave. */
CHECKED enum err file_map(int fd, const char *name, struct bytes *out);
void file_unmap(struct bytes *map);

#endif
