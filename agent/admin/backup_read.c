/* The reading half of a backup: what it is, and the proof that it opens. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backup.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/when.h"
#include "enroll/packets.h"
#include "keys/agent.h"

#define FORMAT 1
#define MEMBERS_MAX 4096
#define BUSY_SECONDS 10
#define MEMORY "/dev/shm"
#define DECOMPRESSED_MAX (1u << 20)

/* ---- the file ---- */

void backup_close(struct backup *b)
{
	file_unmap(&b->file);
	free(b->members);
	str_free(&b->address);
	*b = (struct backup){ 0 };
}

struct bytes backup_member(const struct backup *b, const char *name)
{
	for (size_t i = 0; i < b->count; i++)
		if (str_equal(b->members[i].name, name))
			return b->members[i].content;
	return bytes_of(NULL, 0);
}

static bool is_hex(const char *text, size_t len)
{
	return strspn(text, "0123456789ABCDEF") == len;
}

static bool is_one_of(const char *name, const char *const *names)
{
	while (*names && !str_equal(name, *names))
		names++;
	return *names != NULL;
}

static bool is_home_configuration(const char *name)
{
	static const char *const names[] = { "keys/gpg.conf", "keys/gpg-agent.conf",
		"escrow/gpg.conf", "escrow/gpg-agent.conf", NULL };

	return is_one_of(name, names);
}

/* "keys/…" and "escrow/…" without that; NULL for others. */
static const char *in_home(const char *name)
{
	if (str_starts(name, "keys/"))
		return name + strlen("keys/");
	return str_starts(name, "escrow/") ? name + strlen("escrow/") : NULL;
}

bool backup_name_known(const char *name)
{
	static const char *const own[] = { "authority.asc", "escrow.asc", "countersign.db",
		"countersign.conf", NULL };
	static const char *const files[] = { "pubring.kbx", "trustdb.gpg", NULL };
	static const char secret[] = "private-keys-v1.d/", revocation[] = "openpgp-revocs.d/";
	const char *file = in_home(name);

	if (!file)
		return is_one_of(name, own);
	if (str_starts(file, secret))
		return is_hex(file + strlen(secret), 40) &&
		       str_equal(file + strlen(secret) + 40, ".key");
	if (str_starts(file, revocation))
		return is_hex(file + strlen(revocation), 40) &&
		       str_equal(file + strlen(revocation) + 40, ".rev");
	return is_one_of(file, files) || is_home_configuration(name);
}

static enum err read_members(struct backup *b)
{
	struct bytes rest = b->file;
	struct archive_member member;
	bool found = false;
	enum err e;

	if ((e = archive_next(&rest, &member, &found)))
		return e;
	if (!found || !str_equal(member.name, "MANIFEST"))
		return err_fail(ERR_DATA, "it is not a backup of Countersign");
	b->signed_manifest = member.content;
	while (!(e = archive_next(&rest, &member, &found)) && found) {
		if (b->count == MEMBERS_MAX)
			return err_fail(ERR_DATA, "it holds too many files");
		if (!backup_name_known(member.name))
			return err_fail(
			    ERR_DATA, "it holds %s, which is no part of a backup", member.name);
		b->members = mem_array(b->members, b->count + 1, sizeof *b->members);
		b->members[b->count++] = member;
	}
	return e;
}

/* ---- the manifest ---- */

static enum err manifest_wrong(void)
{
	return err_fail(ERR_DATA, "its manifest is damaged");
}

/* "Name: value" in the next line; malloc'ed, NULL where it is another. */
static char *field(struct bytes *rest, const char *name)
{
	struct bytes line;
	size_t len = strlen(name);

	if (!bytes_line(rest, &line) || line.len < len + 2 || memcmp(line.data, name, len) != 0 ||
	    memcmp(line.data + len, ": ", 2) != 0)
		return NULL;
	return str_ndup((const char *)line.data + len + 2, line.len - len - 2);
}

static enum err read_format(struct bytes *rest)
{
	char *text = field(rest, "Countersign-Backup");
	int64_t format = 0;
	enum err e = text ? str_to_int(text, 1, INT64_MAX, &format) : manifest_wrong();

	str_free(&text);
	if (e)
		return manifest_wrong();
	if (format > FORMAT)
		return err_fail(ERR_CONFIG,
		    "it was written by a newer Countersign (format %lld, this one reads %d); install that version",
		    (long long)format, FORMAT);
	return ERR_OK;
}

static bool read_head(const char *text, struct backup *b)
{
	const char *blank = text ? strchr(text, ' ') : NULL;
	char *number = blank ? str_ndup(text, (size_t)(blank - text)) : NULL;
	bool fits =
	    number && strlen(blank + 1) == 64 && !str_to_int(number, 0, INT64_MAX, &b->log_number);

	if (fits)
		memcpy(b->log_hash, blank + 1, sizeof b->log_hash);
	str_free(&number);
	return fits;
}

static enum err read_fields(struct bytes *rest, struct backup *b)
{
	char *fingerprint, *created, *head;
	struct bytes line;
	bool fits;

	b->address = field(rest, "Authority");
	fingerprint = field(rest, "Fingerprint");
	created = field(rest, "Created");
	head = field(rest, "Log-Head");
	fits = b->address && fingerprint && strlen(fingerprint) == 40 && created &&
	       !when_parse(created, &b->created) && read_head(head, b) && bytes_line(rest, &line) &&
	       line.len == 0;
	if (fits)
		memcpy(b->fingerprint, fingerprint, sizeof b->fingerprint);
	str_free(&fingerprint);
	str_free(&created);
	str_free(&head);
	return fits ? ERR_OK : manifest_wrong();
}

/* The member by its line, "HASH  NAME". */
static enum err check_hash(const struct archive_member *member, struct bytes line)
{
	uint8_t hash[HASH_BYTES];
	struct buf expected = BUF_INIT;
	bool same;

	hash_sha256(member->content, hash);
	for (size_t i = 0; i < sizeof hash; i++)
		buf_addf(&expected, "%02x", hash[i]);
	buf_addf(&expected, "  %s", member->name);
	same = bytes_equal(buf_bytes(&expected), line);
	buf_free(&expected);
	return same ? ERR_OK
		    : err_fail(ERR_DATA, "its file %s is not what the manifest says", member->name);
}

static enum err check_hashes(struct bytes rest, struct backup *b)
{
	struct bytes line;
	size_t count = 0;
	enum err e = ERR_OK;

	while (!e && bytes_line(&rest, &line) && line.len && line.data[0] != '-') {
		if (count == b->count)
			return err_fail(ERR_DATA, "files that its manifest names are missing");
		e = check_hash(&b->members[count], line);
		b->keys |= str_starts(b->members[count].name, "keys/");
		b->escrow |= str_starts(b->members[count].name, "escrow/");
		count++;
	}
	if (!e && count != b->count)
		e = err_fail(ERR_DATA, "it holds files that its manifest does not name");
	return e;
}

/* The text of a cleartext-signed message begins behind its first empty line. */
static enum err read_manifest(struct backup *b)
{
	struct bytes rest = b->signed_manifest, line;
	enum err e;

	while (bytes_line(&rest, &line) && line.len)
		;
	if ((e = read_format(&rest)) || (e = read_fields(&rest, b)))
		return e;
	return check_hashes(rest, b);
}

enum err backup_open(int fd, const char *path, struct backup *out)
{
	enum err e;

	*out = (struct backup){ 0 };
	if ((e = file_map(fd, path, &out->file)))
		return e;
	if ((e = read_members(out)) || (e = read_manifest(out))) {
		e = err_prefix(e, "the backup %s can't be used", path);
		backup_close(out);
	}
	return e;
}

/* ---- unpacking ---- */

static enum err unpack_one(const struct archive_member *member, const char *directory)
{
	char *path = path_join(directory, member->name), *dir = str_dup(path);
	enum err e;

	*strrchr(dir, '/') = '\0';
	if (!(e = file_make_dir(dir, 0700)))
		e = file_create(path, 0600, member->content);
	str_free(&dir);
	str_free(&path);
	return e;
}

enum err backup_unpack(const struct backup *b, const char *directory)
{
	enum err e = ERR_OK;

	for (size_t i = 0; i < b->count && !e; i++)
		if (!is_home_configuration(b->members[i].name))
			e = unpack_one(&b->members[i], directory);
	return e;
}

/* ---- the proof ---- */

static enum err check_identity(const struct backup *b, struct store *store, struct buf *key_out)
{
	char *address = NULL, *fingerprint = NULL, *key = NULL;
	struct buf armored = BUF_INIT;
	enum err e;

	if ((e = store_get(store, "authority-address", &address)) ||
	    (e = store_get(store, "authority-fingerprint", &fingerprint)) ||
	    (e = store_get(store, "authority-key", &key)))
		goto out;
	if (!key || !str_equal(address, b->address) || !str_equal(fingerprint, b->fingerprint)) {
		e = err_fail(ERR_DATA, "its store is not that of %s", b->address);
		goto out;
	}
	if ((e = base64_read(bytes_of_text(key), key_out)))
		goto out;
	armor_write("PUBLIC KEY BLOCK", buf_bytes(key_out), &armored);
	if (!bytes_equal(buf_bytes(&armored), backup_member(b, "authority.asc")))
		e = err_fail(ERR_DATA, "its authority.asc is not the authority's key");
out:
	str_free(&address);
	str_free(&fingerprint);
	str_free(&key);
	buf_free(&armored);
	return e;
}

static enum err check_store(
    const struct backup *b, const char *directory, struct buf *key_out, int64_t *keysets_out)
{
	char *path = path_join(directory, "countersign.db"), hash[65] = "";
	struct store *store = NULL;
	int64_t count, bad, number = 0;
	enum err e;

	if ((e = store_open(path, BUSY_SECONDS, &store)) ||
	    (e = store_check_rows(store, keysets_out)) ||
	    (e = audit_verify(store, b->log_number, b->log_hash, &count, &bad)) ||
	    (e = audit_head(store, &number, hash)) || (e = check_identity(b, store, key_out)))
		goto out;
	if (number != b->log_number || !str_equal(hash, b->log_hash))
		e = err_fail(ERR_PROTOCOL, "its log does not end where the manifest says");
out:
	store_close(&store);
	str_free(&path);
	return e;
}

/* It must be the very text that was read above. */
static enum err check_signature(const struct backup *b, struct keyhome *home)
{
	struct signatures signatures = { 0 };
	struct bytes rest = b->signed_manifest, line;
	struct buf text = BUF_INIT;
	enum err e =
	    keyhome_verify(home, b->signed_manifest, bytes_of(NULL, 0), &text, &signatures);

	while (bytes_line(&rest, &line) && line.len)
		;
	if (!e && (signatures.count != 1 || !signatures.list[0].valid ||
		      !str_equal(signatures.list[0].key, b->fingerprint) ||
		      bytes_find(rest, buf_bytes(&text)) != rest.data))
		e = err_fail(ERR_PROTOCOL, "its manifest is not signed by the authority");
	buf_free(&text);
	return e;
}

/* The public keys can be imported, and the authority's key has signed the manifest. */
static enum err check_public(const struct backup *b, const char *directory, const struct buf *key,
    char escrow_fingerprint_out[41])
{
	char *agent_home = path_join(directory, "keys");
	struct buf escrow = BUF_INIT;
	struct key_facts *facts = NULL;
	struct keyhome *home = NULL;
	enum err e;

	if (!(e = keyhome_make(MEMORY, agent_home, buf_bytes(key), DECOMPRESSED_MAX, &home)) &&
	    !(e = check_signature(b, home)) &&
	    !(e = armor_read(backup_member(b, "escrow.asc"), "PUBLIC KEY BLOCK", &escrow, NULL)) &&
	    !(e = keyhome_import(home, buf_bytes(&escrow), &facts)))
		memcpy(escrow_fingerprint_out, facts->fingerprint, 41);
	key_facts_free(&facts);
	keyhome_close(&home);
	buf_free(&escrow);
	str_free(&agent_home);
	return e;
}

static bool has_secrets(const struct key_facts *facts)
{
	bool all = facts != NULL;

	for (size_t i = 0; all && i < facts->subkey_count; i++)
		all = facts->subkeys[i].secret;
	return all;
}

static enum err check_home(const char *directory, const char *name, const char *fingerprint)
{
	char *path = path_join(directory, name);
	struct key_facts *facts = NULL;
	struct keyhome *home = NULL;
	pid_t agent = -1;
	enum err e;

	if (!(e = agent_prepare(path)) && !(e = agent_start(path, &agent)) &&
	    !(e = keyhome_open(path, true, &home)) &&
	    !(e = keyhome_facts(home, fingerprint, true, &facts)) && !has_secrets(facts))
		e = err_fail(
		    ERR_DATA, "its %s/ does not hold the secret key %s", name, fingerprint);
	key_facts_free(&facts);
	keyhome_close(&home);
	if (agent > 0) {
		authority_stop_agent(path);
		while (waitpid(agent, NULL, 0) < 0 && errno == EINTR)
			;
	}
	str_free(&path);
	return e;
}

enum err backup_check(const struct backup *b, const char *directory, int64_t *keysets_out)
{
	char escrow_fingerprint[41] = "";
	struct buf key = BUF_INIT;
	enum err e;

	if (!(e = check_store(b, directory, &key, keysets_out)) &&
	    !(e = check_public(b, directory, &key, escrow_fingerprint)) && b->keys)
		e = check_home(directory, "keys", b->fingerprint);
	if (!e && b->escrow)
		e = check_home(directory, "escrow", escrow_fingerprint);
	buf_free(&key);
	return e ? err_prefix(e, "the backup does not open") : ERR_OK;
}
