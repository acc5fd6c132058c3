/* The writing half of a backup. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/when.h"
#include "enroll/packets.h"

#define HOME_FILE_BYTES_MAX (16u << 20)

/* ---- secret files ---- */

void backup_files_add(struct backup_files *files, const char *name, struct bytes content)
{
	struct backup_file *file;

	files->list = mem_array(files->list, files->count + 1, sizeof *files->list);
	file = &files->list[files->count++];
	*file = (struct backup_file){ .content = BUF_SECRET };
	strncpy(file->name, name, sizeof file->name - 1);
	buf_add(&file->content, content.data, content.len);
}

void backup_files_free(struct backup_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		buf_free(&files->list[i].content);
	free(files->list);
	*files = (struct backup_files){ 0 };
}

static enum err add_entry(struct backup_files *files, const char *name, const char *path)
{
	struct buf content = BUF_SECRET;
	struct stat st;
	enum err e;

	if (lstat(path, &st))
		return errno == ENOENT
			   ? ERR_OK
			   : err_fail(ERR_NOINPUT, "cannot read %s: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return backup_files_add_home(files, name, path);
	if (!S_ISREG(st.st_mode) || !backup_name_known(name))
		return ERR_OK;
	if (!(e = file_read(path, HOME_FILE_BYTES_MAX, &content)))
		backup_files_add(files, name, buf_bytes(&content));
	buf_free(&content);
	return e;
}

enum err backup_files_add_home(struct backup_files *files, const char *prefix, const char *home)
{
	DIR *dir = opendir(home);
	struct dirent *entry;
	enum err e = ERR_OK;

	if (!dir)
		return err_fail(ERR_NOINPUT, "cannot read %s: %s", home, strerror(errno));
	while (!e && (entry = readdir(dir))) {
		char *name, *path;

		if (str_equal(entry->d_name, ".") || str_equal(entry->d_name, ".."))
			continue;
		name = path_join(prefix, entry->d_name);
		path = path_join(home, entry->d_name);
		e = add_entry(files, name, path);
		str_free(&name);
		str_free(&path);
	}
	closedir(dir);
	return e;
}

/* ---- the file ---- */

/* What is to be written, in this order. */
struct contents {
	struct archive_member *list;
	size_t count;
};

static void add_member(struct contents *c, const char *name, struct bytes content)
{
	c->list = mem_array(c->list, c->count + 1, sizeof *c->list);
	c->list[c->count] = (struct archive_member){ .content = content };
	strncpy(c->list[c->count++].name, name, ARCHIVE_NAME_SIZE - 1);
}

static void add_hash(struct buf *out, const struct archive_member *member)
{
	uint8_t hash[HASH_BYTES];

	hash_sha256(member->content, hash);
	for (size_t i = 0; i < sizeof hash; i++)
		buf_addf(out, "%02x", hash[i]);
	buf_addf(out, "  %s\n", member->name);
}

static enum err write_manifest(struct authority *authority, const struct contents *c, int64_t now,
    const char *head, struct buf *out)
{
	struct buf text = BUF_INIT;
	char when[WHEN_TEXT_SIZE];
	enum err e;

	buf_addf(&text,
	    "Countersign-Backup: 1\nAuthority: %s\nFingerprint: %s\nCreated: %s\nLog-Head: %s\n\n",
	    authority->address, authority->fingerprint, when_format(now, when), head);
	for (size_t i = 0; i < c->count; i++)
		add_hash(&text, &c->list[i]);
	e = keyhome_clearsign(authority->home, authority->fingerprint, buf_bytes(&text), out);
	buf_free(&text);
	return e;
}

static enum err write_all(const struct buf *manifest, const struct contents *c, int64_t now, int fd)
{
	enum err e = archive_write(fd, "MANIFEST", buf_bytes(manifest), now);

	for (size_t i = 0; i < c->count && !e; i++)
		e = archive_write(fd, c->list[i].name, c->list[i].content, now);
	return e ? e : archive_write_end(fd);
}

static enum err escrow_public(struct authority *authority, struct buf *out)
{
	struct buf binary = BUF_INIT;
	char *text = NULL;
	enum err e = store_get(authority->store, "escrow-key", &text);

	if (!e && text && !(e = base64_read(bytes_of_text(text), &binary)))
		armor_write("PUBLIC KEY BLOCK", buf_bytes(&binary), out);
	str_free(&text);
	buf_free(&binary);
	return e;
}

enum err backup_write(
    struct authority *authority, const struct backup_files *files, int64_t now, int fd)
{
	struct buf manifest = BUF_INIT, public = BUF_INIT, escrow = BUF_INIT;
	struct contents c = { 0 };
	struct bytes store = { 0 };
	char *head = NULL, hash[65];
	int64_t number = 0;
	int copy = -1;
	enum err e;

	armor_write("PUBLIC KEY BLOCK", buf_bytes(&authority->public_key), &public);
	if ((e = escrow_public(authority, &escrow)) ||
	    (e = store_copy(authority->store, &copy, &number, hash)) ||
	    (e = file_map(copy, "the copy of the store", &store)))
		goto out;
	head = str_printf("%lld %s", (long long)number, hash);
	add_member(&c, "authority.asc", buf_bytes(&public));
	add_member(&c, "escrow.asc", buf_bytes(&escrow));
	add_member(&c, "countersign.db", store);
	for (size_t i = 0; i < files->count; i++)
		add_member(&c, files->list[i].name, buf_bytes(&files->list[i].content));
	if (!(e = write_manifest(authority, &c, now, head, &manifest)))
		e = write_all(&manifest, &c, now, fd);
out:
	file_unmap(&store);
	if (copy >= 0)
		close(copy);
	free(c.list);
	str_free(&head);
	buf_free(&manifest);
	buf_free(&public);
	buf_free(&escrow);
	return e;
}
