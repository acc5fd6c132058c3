/* backup: the authority in one file, which is proved to open before it gets its name. */
#include "backup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apart.h"
#include "base/file.h"
#include "base/when.h"
#include "base/wire.h"

#define CONFIGURATION_BYTES_MAX (1u << 20)

/* ---- proving ---- */

struct proof {
	struct backup *backup;
	int fd;
	const char *path;
};

/* In a directory of its own below TMPDIR or /var/tmp, as a restore would unpack it. */
static enum err prove(void *context, struct buf *out)
{
	const struct proof *p = context;
	const char *parent = getenv("TMPDIR");
	char *directory = path_join(parent && *parent ? parent : "/var/tmp", "cs-backup-XXXXXX");
	int64_t keysets = 0;
	enum err e;

	if (!mkdtemp(directory)) {
		e = err_fail(ERR_CREATE, "cannot make %s: %s", directory, strerror(errno));
		str_free(&directory);
		return e;
	}
	if (!(e = backup_unpack(p->backup, directory)))
		e = backup_check(p->backup, directory, &keysets);
	if (file_remove_tree(directory) && !e)
		e = err_fail(ERR_IO, "%s was left behind", directory);
	wire_put_i64(out, keysets);
	str_free(&directory);
	return e;
}

static enum err open_and_prove(int fd, const char *path, struct backup *out, int64_t *keysets_out)
{
	struct proof proof = { .backup = out, .fd = fd, .path = path };
	struct buf record = BUF_INIT;
	struct wire w;
	enum err e;

	if (!(e = backup_open(fd, path, out)) && !(e = apart(NULL, prove, &proof, &record))) {
		w = wire_open(buf_bytes(&record));
		*keysets_out = wire_i64(&w);
	}
	buf_free(&record);
	return e;
}

static enum err print(
    const struct invocation *in, const char *path, const struct backup *b, int64_t keysets)
{
	struct table *t = table_page(in->json);
	char *head = str_printf("%lld %s", (long long)b->log_number, b->log_hash);

	table_field_text(t, "file", "File", path);
	table_field_text(t, "authority", "Authority", b->address);
	table_field_text(t, "fingerprint", "Fingerprint", b->fingerprint);
	table_field_time(t, "created", "Made", b->created);
	table_field_number(t, "size", "Size", (int64_t)b->file.len);
	table_field_number(t, "keysets", "Keysets", keysets);
	table_field_text(t, "log_head", "Log-Head", head);
	table_field_bool(t, "keys", "The authority's secret key", b->keys);
	table_field_bool(t, "escrow", "The escrow key's secret", b->escrow);
	str_free(&head);
	return table_print(&t, stdout);
}

static enum err verify(const struct invocation *in, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct backup backup = { 0 };
	int64_t keysets = 0;
	enum err e;

	if (fd < 0)
		return err_fail(ERR_NOINPUT, "cannot read %s: %s", path, strerror(errno));
	if (!(e = open_and_prove(fd, path, &backup, &keysets)))
		e = print(in, path, &backup, keysets);
	backup_close(&backup);
	close(fd);
	return e;
}

/* ---- making ---- */

struct making {
	const struct invocation *in;
	struct backup_files files;
	int fd;
};

static enum err gather_secrets(const struct conf *conf, struct backup_files *files)
{
	char *keys = authority_key_home(conf), *escrow = authority_escrow_home(conf);
	struct buf text = BUF_INIT;
	enum err e;

	if ((e = file_read(conf->path, CONFIGURATION_BYTES_MAX, &text)))
		goto out;
	backup_files_add(files, "countersign.conf", buf_bytes(&text));
	if ((e = backup_files_add_home(files, "keys", keys)))
		goto out;
	if (backup_files_add_home(files, "escrow", escrow))
		command_note("the escrow key is not in the backup: %s", err_text());
out:
	buf_free(&text);
	str_free(&keys);
	str_free(&escrow);
	return e;
}

static enum err write_it(void *context, struct buf *out)
{
	struct making *m = context;
	struct authority *authority = NULL;
	enum err e;

	(void)out;
	if (!(e = command_open(m->in, AUTHORITY_KEYS, &authority)))
		e = backup_write(authority, &m->files, m->in->now, m->fd);
	authority_close(&authority);
	return e;
}

static enum err name_it(int fd, const char *made, const char *path)
{
	char *whole = realpath(made, NULL), *slash;
	enum err e;

	if (fsync(fd))
		e = err_fail(ERR_IO, "cannot write %s: %s", path, strerror(errno));
	else if (link(made, path))
		e = err_fail(ERR_CREATE, "cannot create %s: %s", path, strerror(errno));
	else if (!whole || !(slash = strrchr(whole, '/')))
		e = err_fail(ERR_IO, "cannot find %s", made);
	else {
		slash[slash == whole] = '\0';
		e = file_sync_dir(whole);
	}
	free(whole);
	return e;
}

static enum err note_last(struct authority *authority, void *context)
{
	const struct backup *b = context;
	char when[WHEN_TEXT_SIZE];

	return store_set(authority->store, "last-backup", when_format(b->created, when));
}

/* What `status` shows. */
static enum err note(const struct invocation *in, struct backup *b)
{
	struct authority *authority = NULL;
	char *detail = str_printf("log-head=%lld keys=%s escrow=%s", (long long)b->log_number,
	    b->keys ? "yes" : "no", b->escrow ? "yes" : "no");
	enum err e = command_open(in, AUTHORITY_STORE, &authority);

	if (!e)
		e = command_commit(authority, in, "backup-made", NULL, detail, note_last, b);
	authority_close(&authority);
	str_free(&detail);
	return e;
}

static enum err make_file(struct making *m, const char *path, struct backup *out, int64_t *keysets)
{
	char *made = str_printf("%s.XXXXXX", path);
	struct buf nothing = BUF_INIT;
	enum err e;

	apart_hold_signals(SIG_BLOCK);
	m->fd = mkostemp(made, O_CLOEXEC);
	if (m->fd < 0) {
		e = err_fail(ERR_CREATE, "cannot create %s: %s", path, strerror(errno));
		goto out;
	}
	if (!(e = apart(NULL, write_it, m, &nothing)) &&
	    !(e = open_and_prove(m->fd, path, out, keysets)))
		e = name_it(m->fd, made, path);
	(void)unlink(made);
	close(m->fd);
out:
	apart_hold_signals(SIG_UNBLOCK);
	buf_free(&nothing);
	str_free(&made);
	return e;
}

static enum err make(const struct invocation *in, const char *path, bool with_keys)
{
	struct making m = { .in = in };
	struct backup backup = { 0 };
	struct conf *conf = NULL;
	int64_t keysets = 0;
	enum err e;

	if (file_exists(path))
		return err_fail(ERR_CREATE, "%s exists already, and a backup replaces none", path);
	if ((e = conf_read(conf_path(in->config), &conf)) ||
	    (with_keys && (e = gather_secrets(conf, &m.files))) ||
	    (e = make_file(&m, path, &backup, &keysets)) || (e = note(in, &backup)))
		goto out;
	e = print(in, path, &backup, keysets);
out:
	backup_close(&backup);
	backup_files_free(&m.files);
	conf_free(&conf);
	return e;
}

enum err command_backup(struct invocation *in)
{
	bool with_keys = false;
	const char *to_verify = NULL;
	const struct option options[] = { { "with-keys", OPTION_FLAG, &with_keys },
		{ "verify", OPTION_TEXT, &to_verify }, { 0 } };
	enum err e = options_read(in, options, 0, 1, "one file");

	if (e)
		return e;
	if ((in->argc == 1) == (to_verify != NULL) || (to_verify && with_keys))
		return err_fail(ERR_USAGE,
		    "backup takes one file to make, with or without --with-keys, or one to --verify");
	return to_verify ? verify(in, to_verify) : make(in, in->argv[0], with_keys);
}
