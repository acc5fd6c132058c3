/*
 * backup: one file, an archive (base/archive.h) that begins with MANIFEST, which the authority signed: format, whose it is, when, the head of the log, and as sha256sum(1) has it a hash for each of the
 * other members: authority.asc and escrow.asc, the public keys; countersign.db, the store; with the keys countersign.conf, and keys/ and escrow/, the GnuPG homes as they are.
 */
#ifndef ADMIN_BACKUP_H
#define ADMIN_BACKUP_H

#include "base/archive.h"
#include "command.h"

struct backup {
	struct bytes file; /* mapped */
	struct bytes signed_manifest;
	struct archive_member *members; /* the others */
	size_t count;
	char *address;
	char fingerprint[41];
	int64_t created;
	int64_t log_number;
	char log_hash[65];
	bool keys, escrow; /* what secret homes there are */
};

/*
 * Reads it: whole, by its hashes, of a format that we know. What the signature is worth shows backup_check. ERR_NOINPUT: none; ERR_DATA: cut off or changed; ERR_CONFIG: of a newer Countersign.
 */
CHECKED enum err backup_open(int fd, const char *path, struct backup *out);
void backup_close(struct backup *backup);
/*
 * Is it a name that a backup may hold: its own four, and below keys/ and escrow/ what a GnuPG home consists of? The homes that are restored can be anywhere.
 */
bool backup_name_known(const char *name);
/* The content of a member; empty where there is none. */
struct bytes backup_member(const struct backup *backup, const char *name);
/* Writes all members but the homes' configurations, which agent_prepare makes, below `directory`, which exists, and syncs them. */
CHECKED enum err backup_unpack(const struct backup *backup, const char *directory);
/*
 * What was unpacked there proves itself: the signature, the store with every row and the chain of the log, the public keys, and that the homes hold the secret keys. Uses gpg, but no secret key. ERR_DATA,
 * ERR_PROTOCOL: the signature or the log. *keysets_out: how many.
 */
CHECKED enum err backup_check(
    const struct backup *backup, const char *directory, int64_t *keysets_out);

/* Secret files that only the caller may read: gathered before rights are given up. */
struct backup_files {
	struct backup_file {
		char name[ARCHIVE_NAME_SIZE];
		struct buf content;
	} * list;
	size_t count;
};
void backup_files_add(struct backup_files *files, const char *name, struct bytes content);
/* Of a GnuPG home what backup_name_known, as PREFIX/…. */
CHECKED enum err backup_files_add_home(
    struct backup_files *files, const char *prefix, const char *home);
void backup_files_free(struct backup_files *files);
/* Writes the backup of an open authority (AUTHORITY_KEYS) to `fd`. */
CHECKED enum err backup_write(
    struct authority *authority, const struct backup_files *files, int64_t now, int fd);

#endif
