#include "base/archive.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/file.h"

#define BLOCK 512
#define SIZE_MAX_OCTAL 077777777777

/* The header of a member, as POSIX.1-1988 has it. */
struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100],
	    magic[6], version[2], owner[32], group[32], major[8], minor[8], prefix[155], rest[12];
};

_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

static const char zeros[2 * BLOCK];

bool archive_name_valid(const char *name)
{
	static const char allowed[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+/";

	return *name && *name != '/' && strlen(name) < ARCHIVE_NAME_SIZE &&
	       name[strspn(name, allowed)] == '\0' && !strstr(name, "//") && !strstr(name, "..") &&
	       !str_ends(name, "/");
}

/* The sum of the header's bytes, with blanks in the place of the sum. */
static unsigned checksum(const struct header *header)
{
	struct header h = *header;
	const uint8_t *byte = (const uint8_t *)&h;
	unsigned sum = 0;

	memset(h.checksum, ' ', sizeof h.checksum);
	for (size_t i = 0; i < sizeof h; i++)
		sum += byte[i];
	return sum;
}

enum err archive_write(int fd, const char *name, struct bytes content, int64_t modified)
{
	struct header h = { .mode = "0000600",
		.uid = "0000000",
		.gid = "0000000",
		.type = '0',
		.magic = "ustar",
		.version = { '0', '0' } };
	size_t padding = (BLOCK - content.len % BLOCK) % BLOCK;
	enum err e;

	if (!archive_name_valid(name) || content.len > SIZE_MAX_OCTAL)
		return err_fail(
		    ERR_DATA, "%s can't be put into an archive: its name or its size", name);
	memcpy(h.name, name, strlen(name));
	snprintf(h.size, sizeof h.size, "%011zo", content.len);
	snprintf(h.mtime, sizeof h.mtime, "%011llo", (unsigned long long)modified & SIZE_MAX_OCTAL);
	snprintf(h.checksum, sizeof h.checksum, "%06o", checksum(&h) & 0777777);
	h.checksum[7] = ' ';
	if ((e = file_write_fd(fd, bytes_of(&h, sizeof h))) || (e = file_write_fd(fd, content)))
		return e;
	return file_write_fd(fd, bytes_of(zeros, padding));
}

enum err archive_write_end(int fd)
{
	return file_write_fd(fd, bytes_of(zeros, sizeof zeros));
}

static bool read_octal(const char *digits, size_t len, size_t *out)
{
	*out = 0;
	for (size_t i = 0; i < len && digits[i] >= '0' && digits[i] <= '7'; i++)
		*out = *out * 8 + (size_t)(digits[i] - '0');
	return digits[0] >= '0' && digits[0] <= '7';
}

static bool header_fits(const struct header *h, size_t *size_out)
{
	size_t sum;

	return read_octal(h->checksum, sizeof h->checksum, &sum) && sum == checksum(h) &&
	       !memcmp(h->magic, "ustar", sizeof h->magic) && h->type == '0' && !h->prefix[0] &&
	       read_octal(h->size, sizeof h->size, size_out);
}

enum err archive_next(struct bytes *rest, struct archive_member *member_out, bool *found_out)
{
	struct header h;
	size_t size, padded;

	*found_out = false;
	if (rest->len >= sizeof zeros && !memcmp(rest->data, zeros, sizeof zeros))
		return ERR_OK;
	if (rest->len < sizeof h)
		return err_fail(ERR_DATA, "it ends too early");
	memcpy(&h, rest->data, sizeof h);
	if (!header_fits(&h, &size))
		return err_fail(ERR_DATA, "it is damaged, or not what it should be");
	padded = size + (BLOCK - size % BLOCK) % BLOCK;
	if (rest->len - sizeof h < padded)
		return err_fail(ERR_DATA, "it ends too early");
	memcpy(member_out->name, h.name, sizeof h.name);
	member_out->name[sizeof h.name] = '\0';
	if (!archive_name_valid(member_out->name))
		return err_fail(ERR_DATA, "it holds a name that it should not hold");
	member_out->content = bytes_of(rest->data + sizeof h, size);
	*rest = bytes_of(rest->data + sizeof h + padded, rest->len - sizeof h - padded);
	*found_out = true;
	return ERR_OK;
}

enum err file_map(int fd, const char *name, struct bytes *out)
{
	struct stat st;
	void *map;

	*out = bytes_of(NULL, 0);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return err_fail(ERR_NOINPUT, "%s is not a file", name);
	if (st.st_size == 0)
		return ERR_OK;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return err_fail(ERR_NOINPUT, "cannot read %s: %s", name, strerror(errno));
	*out = bytes_of(map, (size_t)st.st_size);
	return ERR_OK;
}

void file_unmap(struct bytes *map)
{
	union {
		const void *borrowed;
		void *mapped;
	} p = { .borrowed = map->data };

	if (map->len)
		munmap(p.mapped, map->len);
	*map = bytes_of(NULL, 0);
}
