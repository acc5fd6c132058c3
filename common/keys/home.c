/* Key homes: made, reset, opened, closed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/proc.h"
#include "enroll/packets.h"
#include "keys/internal.h"

#define IMAGE_BYTES_MAX ((size_t)16 << 20)
#define ROOM_BYTES ((size_t)256 << 10)          /* what gpg may need for files of its own */
#define DECOMPRESSED_DEFAULT ((size_t)64 << 20) /* in a home that is not ours to configure */

enum err home_write(const char *dir, const char *name, struct bytes content)
{
	char *path = path_join(dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	enum err err = ERR_OK;

	if (fd < 0)
		err = err_fail(ERR_IO, "cannot write %s: %s", path, strerror(errno));
	else if ((err = file_write_fd(fd, content)))
		err = err_prefix(err, "cannot write %s", path);
	if (fd >= 0 && close(fd) < 0 && !err)
		err = err_fail(ERR_IO, "cannot write %s: %s", path, strerror(errno));
	str_free(&path);
	return err;
}

enum err home_clear_locks(const char *dir)
{
	DIR *entries = opendir(dir);
	struct dirent *entry;
	enum err err = ERR_OK;

	if (!entries)
		return err_fail(ERR_IO, "cannot read %s: %s", dir, strerror(errno));
	while ((entry = readdir(entries)))
		if ((fnmatch("*.lock", entry->d_name, 0) == 0 ||
			fnmatch(".#lk*", entry->d_name, 0) == 0) &&
		    unlinkat(dirfd(entries), entry->d_name, 0) < 0 && errno != ENOENT)
			err = err_fail(
			    ERR_IO, "cannot remove %s/%s: %s", dir, entry->d_name, strerror(errno));
	closedir(entries);
	return err;
}

static struct keyhome *home_new(char *path)
{
	struct keyhome *home = mem_alloc(sizeof *home);

	home->path = path;
	home->decompressed_max = DECOMPRESSED_DEFAULT;
	return home;
}

/* The options that GPGME has no call for. What it imports it reduces, so a certification of ours that a key brought along is gone: gpg
 * would else say "already signed" and do nothing. */
static void conf_make(struct keyhome *home)
{
	buf_addf(&home->conf,
	    "no-autostart\n"
	    "charset utf-8\n"
	    "trust-model always\n"
	    "no-auto-check-trustdb\n"
	    "no-sig-cache\n"
	    "no-random-seed-file\n"
	    "import-options self-sigs-only,import-minimal\n"
	    "no-auto-key-retrieve\n"
	    "no-auto-key-locate\n"
	    "disable-dirmngr\n"
	    "cert-digest-algo SHA512\n"
	    "personal-digest-preferences SHA512 SHA384 SHA256\n"
	    "max-output %zu\n",
	    home->decompressed_max);
}

/* gpg looks for its agent at a place of its own choosing; there the file says where it really is. */
static enum err redirect_write(struct keyhome *home)
{
	char *create[] = { "gpgconf", "--homedir", home->path, "--create-socketdir", NULL };
	struct buf text = BUF_INIT;
	char *real = NULL, *slash;
	enum err err;
	int status;

	if ((err = agent_socket(home->agent_home, &real)) ||
	    (err = agent_socket(home->path, &home->redirect)))
		goto out;
	buf_addf(&text, "%%Assuan%%\nsocket=%s\n", real);
	slash = strrchr(home->redirect, '/');
	*slash = '\0';
	if (!str_equal(home->redirect, home->path))
		err = proc_run(create, bytes_of(NULL, 0), engine_deadline(), NULL, NULL, &status);
	if (!err)
		err = home_write(home->redirect, slash + 1, buf_bytes(&text));
	*slash = '/';
out:
	buf_free(&text);
	str_free(&real);
	return err;
}

static enum err import_image(struct keyhome *home, struct bytes keys)
{
	size_t count = packets_summarise(keys).public_keys;
	gpgme_import_result_t result;
	gpgme_data_t data = NULL;
	char *path = path_join(home->path, "pubring.kbx");
	struct op op;
	enum err err;

	op_open(&op, home);
	if ((err = data_from(keys, &data)))
		goto out;
	op_arm();
	if ((err = op_done(&op, gpgme_op_import(op.ctx, data), "import public keys", ERR_DATA)))
		goto out;
	result = gpgme_op_import_result(op.ctx);
	if (!result || !op_saw(&op, "IMPORT_RES") || result->imported != (int)count)
		err = err_fail(ERR_DATA, "of %zu public keys gpg took %d", count,
		    result ? result->imported : 0);
	else
		err = file_read(path, IMAGE_BYTES_MAX, &home->image);
out:
	gpgme_data_release(data);
	op_close(&op);
	str_free(&path);
	return err;
}

static enum err check_public(struct bytes keys)
{
	struct packet_summary summary = packets_summarise(keys);

	if (summary.malformed || summary.public_keys == 0)
		return err_fail(ERR_DATA, "this is no OpenPGP public key");
	if (summary.secret_keys)
		return err_fail(ERR_DATA, "this holds a secret key");
	return ERR_OK;
}

enum err keyhome_make(const char *parent, const char *agent_home, struct bytes public_keys,
    size_t decompressed_max, struct keyhome **out)
{
	struct keyhome *home = home_new(path_join(parent, "keyhome-XXXXXX"));
	enum err err;

	*out = NULL;
	if (!mkdtemp(home->path)) {
		err = err_fail(
		    ERR_CREATE, "cannot make a key home in %s: %s", parent, strerror(errno));
		str_free(&home->path);
		goto out;
	}
	home->throw_away = true;
	home->decompressed_max = decompressed_max;
	home->agent_home = str_dup(agent_home);
	conf_make(home);
	if ((err = ctx_make(home->path, &home->ctx)) || (err = check_public(public_keys)) ||
	    (err = redirect_write(home)) ||
	    (err = home_write(home->path, "gpg.conf", buf_bytes(&home->conf))) ||
	    (err = import_image(home, public_keys)))
		goto out;
	*out = home;
	home = NULL;
out:
	keyhome_close(&home);
	return err;
}

enum err keyhome_reset(struct keyhome *home)
{
	enum err err;

	if (!home->throw_away)
		return err_fail(ERR_SOFTWARE, "%s is no throw-away home", home->path);
	key_forget(home);
	if ((err = home_clear_locks(home->path)))
		return err;
	return home_write(home->path, "pubring.kbx", buf_bytes(&home->image));
}

enum err home_prove_room(const struct keyhome *home)
{
	char *path = path_join(home->path, "room");
	uint8_t *content = mem_alloc(ROOM_BYTES);
	enum err err = home_write(home->path, "room", bytes_of(content, ROOM_BYTES));

	(void)unlink(path);
	free(content);
	str_free(&path);
	return err;
}

enum err keyhome_prove(struct keyhome *home, const char *signer)
{
	struct buf signature = BUF_INIT;
	char micalg[16];
	enum err err;

	if (!(err = keyhome_reset(home)) && !(err = home_prove_room(home)))
		err = keyhome_sign(home, signer, bytes_of_text("proof"), &signature, micalg);
	buf_free(&signature);
	return err;
}

enum err keyhome_open(const char *path, bool loopback, struct keyhome **out)
{
	const char *where = path ? path : default_home();
	struct keyhome *home;
	enum err err;

	*out = NULL;
	if (!where)
		return err_fail(ERR_UNAVAILABLE, "gpgconf does not say where the GnuPG home is");
	if ((err = file_make_dir(where, 0700)))
		return err;
	home = home_new(str_dup(where));
	home->loopback = loopback;
	if ((err = ctx_make(home->path, &home->ctx)))
		keyhome_close(&home);
	*out = home;
	return err;
}

const char *keyhome_path(const struct keyhome *home)
{
	return home->path;
}

/* Nothing to be done about a home that can't be removed: it lies on tmpfs and holds public keys. */
static void throw_away(struct keyhome *home)
{
	enum err err;

	if (home->redirect)
		socket_remove(home->path, home->redirect);
	err = file_remove_tree(home->path);
	(void)err;
}

void keyhome_close(struct keyhome **home)
{
	struct keyhome *h = *home;

	if (!h)
		return;
	*home = NULL;
	if (h->throw_away)
		throw_away(h);
	gpgme_key_unref(h->signer);
	key_forget(h);
	if (h->ctx)
		gpgme_release(h->ctx);
	buf_free(&h->conf);
	buf_free(&h->image);
	str_free(&h->agent_home);
	str_free(&h->redirect);
	str_free(&h->path);
	free(h);
}
