/*
 * restore: an authority from a backup, and on hold. Everything is unpacked and proved beside the state directory, with the passphrase, and gets its name in the end; a restore that fails changes nothing.
 */
#include "restore.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apart.h"
#include "backup.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/when.h"
#include "base/wire.h"
#include "init.h"
#include "keys/agent.h"
#include "keys/deposit.h"
#include "record.h"
#include "secret/secret.h"
#include "shared/hold.h"
#include "terminal.h"

#define MEMORY "/dev/shm"
#define DIRECTORIES 3

struct restore {
	struct invocation *in;
	const char *file, *passphrase_file, *escrow_passphrase_file, *fingerprint;
	bool no_passphrase, yes;
	struct backup backup;
	struct conf *conf;
	bool conf_is_new; /* it comes from the backup */
	char *conf_path;
	char *state, *keys, *escrow; /* where everything goes */
	char *staged;                /* beside the state directory */
	uid_t uid;
	gid_t gid;
	struct buf passphrase, escrow_passphrase;
	int64_t keysets, voided;
};

static void restore_free(struct restore *r)
{
	backup_close(&r->backup);
	conf_free(&r->conf);
	str_free(&r->conf_path);
	str_free(&r->state);
	str_free(&r->keys);
	str_free(&r->escrow);
	str_free(&r->staged);
	buf_free(&r->passphrase);
	buf_free(&r->escrow_passphrase);
}

/* ---- where everything goes ---- */

/* The configuration that is there, else that of the backup, read from a copy. */
static enum err find_configuration(struct restore *r)
{
	struct bytes text = backup_member(&r->backup, "countersign.conf");
	char copy[] = "/dev/shm/countersign-restore-XXXXXX";
	enum err e;
	int fd;

	r->conf_path = str_dup(conf_path(r->in->config));
	if (file_exists(r->conf_path))
		return conf_read(r->conf_path, &r->conf);
	if (!text.len)
		return err_fail(ERR_CONFIG,
		    "there is no %s, and the backup holds no configuration: it was made without --with-keys",
		    r->conf_path);
	r->conf_is_new = true;
	fd = mkostemp(copy, O_CLOEXEC);
	if (fd < 0)
		return err_fail(ERR_CREATE, "cannot create %s: %s", copy, strerror(errno));
	if (!(e = file_write_fd(fd, text)))
		e = conf_read(copy, &r->conf);
	(void)unlink(copy);
	close(fd);
	return e;
}

static enum err check_free(const char *path)
{
	if (!file_exists(path) || init_is_empty(path))
		return ERR_OK;
	return err_fail(
	    ERR_CREATE, "%s exists already, and a restore replaces nothing: move it away", path);
}

static bool is_below(const char *path, const char *directory)
{
	size_t len = strlen(directory);

	return !strncmp(path, directory, len) && path[len] == '/';
}

/* As init does: whose the directory is, else the service's user where there is one. */
static void find_owner(struct restore *r)
{
	const struct passwd *service = getpwnam(INIT_SERVICE_USER);
	struct stat st;

	r->uid = geteuid();
	r->gid = getegid();
	if (r->uid)
		return;
	if (!stat(r->state, &st)) {
		r->uid = st.st_uid;
		r->gid = st.st_gid;
	} else if (service) {
		r->uid = service->pw_uid;
		r->gid = service->pw_gid;
	}
}

static enum err find_places(struct restore *r)
{
	enum err e;

	r->state = str_dup(r->conf->authority.state_directory);
	r->keys = authority_key_home(r->conf);
	r->escrow = authority_escrow_home(r->conf);
	find_owner(r);
	if ((e = check_free(r->state)))
		return e;
	if (r->backup.keys && !is_below(r->keys, r->state) && (e = check_free(r->keys)))
		return e;
	return r->backup.escrow && !is_below(r->escrow, r->state) ? check_free(r->escrow) : ERR_OK;
}

static enum err check_whose(const struct restore *r)
{
	const char *address = r->conf->authority.address;

	if (address && str_equal_case(address, r->backup.address))
		return ERR_OK;
	return err_fail(ERR_CONFIG, "%s is for %s, but the backup is that of %s", r->conf_path,
	    address ? address : "nobody", r->backup.address);
}

static void show_place(const char *what, const char *path)
{
	if (*path)
		command_note("its %s: %s", what, path);
}

/* The backup says where files are put, with the rights of the caller. */
static enum err confirm_places(const struct restore *r)
{
	const struct conf *conf = r->conf;

	if (!r->conf_is_new)
		return ERR_OK;
	command_note("there is no %s; the backup's is taken", r->conf_path);
	show_place("state directory", r->state);
	show_place("key home", r->keys);
	show_place("escrow home", r->escrow);
	show_place("runtime directory", conf->authority.runtime_directory);
	show_place("template directory", conf->authority.template_directory);
	show_place("Web Key Directory", conf->wkd.directory);
	show_place("passphrase file", conf->authority.passphrase_file);
	return r->yes ? ERR_OK : terminal_confirm("Restore to these places?");
}

/* ---- whose it is ---- */

static bool is_fingerprint(const char *given, const char *fingerprint)
{
	for (; *given; given++)
		if (*given != ' ' && toupper((unsigned char)*given) != *fingerprint++)
			return false;
	return *fingerprint == '\0';
}

/* A backup proves itself by a key inside of it: only what the caller knows tells it from a forged one. */
static enum err check_fingerprint(const struct restore *r)
{
	if (r->fingerprint)
		return is_fingerprint(r->fingerprint, r->backup.fingerprint)
			   ? ERR_OK
			   : err_fail(ERR_DENIED,
				 "the backup is that of another authority, with the fingerprint %s",
				 r->backup.fingerprint);
	if (!r->backup.keys)
		return err_fail(ERR_DENIED,
		    "the backup holds no secret keys that a passphrase could prove: give --fingerprint");
	return ERR_OK;
}

/* ---- passphrases ---- */

static enum err read_passphrases(struct restore *r)
{
	enum err e = ERR_OK;

	if (r->escrow_passphrase_file &&
	    (e = file_read_secret(r->escrow_passphrase_file, &r->escrow_passphrase)))
		return e;
	if (!r->backup.keys || r->no_passphrase)
		return ERR_OK;
	if (r->passphrase_file)
		return file_read_secret(r->passphrase_file, &r->passphrase);
	return terminal_ask("Passphrase of the authority's key", false, &r->passphrase);
}

/* With a passphrase every key has one; `unlock` proves that it is this. */
static enum err prove_home(const char *home, struct bytes passphrase, bool unlock)
{
	pid_t agent = -1;
	enum err e;

	if ((e = agent_prepare(home)) || (e = agent_start(home, &agent)))
		return e;
	if ((passphrase.len && (e = agent_protected(home))) ||
	    (unlock && (e = agent_unlock(home, passphrase))))
		e = err_prefix(e, "nothing was restored");
	if (agent > 0) {
		authority_stop_agent(home);
		while (waitpid(agent, NULL, 0) < 0 && errno == EINTR)
			;
	}
	return e;
}

static enum err prove_escrow_key(const struct restore *r, const char *home, struct store *store)
{
	const struct bytes passphrase = buf_bytes(&r->escrow_passphrase);
	struct escrow *escrow = NULL;
	char *fingerprint = NULL;
	enum err e = store_get(store, "escrow-fingerprint", &fingerprint);

	if (!e && (e = escrow_open(home, MEMORY, fingerprint, &passphrase, &escrow)))
		e = err_prefix(e, "nothing was restored");
	escrow_close(&escrow);
	str_free(&fingerprint);
	return e;
}

/* ---- on hold (I21) ---- */

struct outstanding {
	struct token_row *list; /* id and address */
	size_t count;
};

static void note_token(const struct token_row *row, void *context)
{
	struct outstanding *o = context;

	o->list = mem_array(o->list, o->count + 1, sizeof *o->list);
	o->list[o->count++] = (struct token_row){ .id = row->id, .address = str_dup(row->address) };
}

/* One that was used after the backup looks unused here. */
static enum err void_one(
    const struct restore *r, struct store *store, const struct token_row *token)
{
	char *detail = str_printf("token=%lld reason=restored", (long long)token->id);
	enum err e = token_void(store, token->id, r->in->now);

	if (!e)
		e = audit_add(
		    store, r->in->now, r->in->actor, "token-voided", token->address, detail, NULL);
	str_free(&detail);
	return e;
}

static enum err hold(const struct restore *r, struct store *store, const struct outstanding *o)
{
	char *detail = str_printf("log-head=%lld", (long long)r->backup.log_number);
	enum err e = store_begin(store);

	for (size_t i = 0; i < o->count && !e; i++)
		e = void_one(r, store, &o->list[i]);
	if (!e && !(e = hold_begin(store, r->in->now)) &&
	    !(e = audit_add(store, r->in->now, r->in->actor, "restored", NULL, detail, NULL)))
		e = store_commit(store);
	store_rollback(store);
	str_free(&detail);
	return e;
}

static enum err put_on_hold(struct restore *r, struct store *store)
{
	struct outstanding o = { 0 };
	enum err e;

	if (!(e = token_each(store, NULL, true, r->in->now, note_token, &o)))
		e = hold(r, store, &o);
	r->voided = (int64_t)o.count;
	for (size_t i = 0; i < o.count; i++)
		str_free(&o.list[i].address);
	free(o.list);
	return e;
}

/* ---- what is unpacked ---- */

static enum err open_staged(const struct restore *r, struct store **out)
{
	char *path = path_join(r->staged, "countersign.db");
	enum err e = store_open(path, 10, out);

	str_free(&path);
	return e;
}

/* No private key is used as root (I19): this runs as the owner. */
static enum err prove_homes(const struct restore *r)
{
	char *keys = path_join(r->staged, "keys"), *escrow = path_join(r->staged, "escrow");
	enum err e = ERR_OK;

	if (r->backup.keys)
		e = prove_home(keys, buf_bytes(&r->passphrase), true);
	if (!e && r->escrow_passphrase.len)
		e = prove_home(escrow, buf_bytes(&r->escrow_passphrase), false);
	str_free(&keys);
	str_free(&escrow);
	return e;
}

/* The check that the backup holds what it should, as its owner. */
static enum err check_staged(void *context, struct buf *out)
{
	struct restore *r = context;
	enum err e = backup_check(&r->backup, r->staged, &r->keysets);

	if (!e)
		wire_put_i64(out, r->keysets);
	return e;
}

static enum err unlock_and_hold(void *context, struct buf *out)
{
	struct restore *r = context;
	struct store *store = NULL;
	enum err e = prove_homes(r);

	if (!e && !(e = open_staged(r, &store)) && !(e = put_on_hold(r, store)))
		wire_put_i64(out, r->voided);
	store_close(&store);
	return e;
}

static enum err prove_escrow(void *context, struct buf *out)
{
	struct restore *r = context;
	char *home = path_join(r->staged, "escrow");
	struct store *store = NULL;
	enum err e = open_staged(r, &store);

	(void)out;
	if (!e)
		e = prove_escrow_key(r, home, store);
	store_close(&store);
	str_free(&home);
	return e;
}

static uid_t give_uid;
static gid_t give_gid;

static int give_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st;
	(void)type;
	(void)walk;
	return lchown(path, give_uid, give_gid);
}

static enum err give(const char *path, uid_t uid, gid_t gid)
{
	give_uid = uid;
	give_gid = gid;
	if (geteuid() || !nftw(path, give_one, 16, FTW_PHYS))
		return ERR_OK;
	return err_fail(ERR_CREATE, "cannot give away %s: %s", path, strerror(errno));
}

static enum err remove_extra(const struct restore *r, const char *name)
{
	char *path = path_join(r->staged, name);
	enum err e = file_remove_tree(path);

	str_free(&path);
	return e;
}

static enum err check_and_unlock(struct restore *r)
{
	struct buf record = BUF_INIT;
	struct wire w;
	enum err e;

	if ((e = backup_unpack(&r->backup, r->staged)) || (e = give(r->staged, r->uid, r->gid)) ||
	    (e = apart(r->staged, check_staged, r, &record)))
		goto out;
	w = wire_open(buf_bytes(&record));
	r->keysets = wire_i64(&w);
	if ((e = wire_end(&w)) || (e = read_passphrases(r)) ||
	    (r->escrow_passphrase.len && (e = apart(NULL, prove_escrow, r, &record))))
		goto out;
	buf_clear(&record);
	if ((e = apart(r->staged, unlock_and_hold, r, &record)))
		goto out;
	w = wire_open(buf_bytes(&record));
	r->voided = wire_i64(&w);
	if ((e = remove_extra(r, "countersign.conf")) || (e = remove_extra(r, "authority.asc")))
		goto out;
	e = remove_extra(r, "escrow.asc");
out:
	buf_free(&record);
	return e;
}

/* ---- into place ---- */

static enum err move(const char *from, const char *to)
{
	char *parent = init_parent(to);
	enum err e = file_make_dir(parent, 0755);

	if (!e && rename(from, to))
		e = err_fail(ERR_CREATE, "cannot make %s: %s", to, strerror(errno));
	if (!e)
		e = file_sync_dir(parent);
	str_free(&parent);
	return e;
}

/* A home that lies outside of the state directory. */
static enum err move_home(const struct restore *r, const char *name, const char *to)
{
	char *from = path_join(r->staged, name);
	enum err e = !file_exists(from) || is_below(to, r->state) ? ERR_OK : move(from, to);

	str_free(&from);
	return e;
}

static enum err write_configuration(const struct restore *r)
{
	char *parent = init_parent(r->conf_path);
	enum err e;

	if (!r->conf_is_new)
		return ERR_OK;
	if (!(e = file_make_dir(parent, 0750)) &&
	    !(e = file_create(r->conf_path, 0640, backup_member(&r->backup, "countersign.conf"))))
		e = init_give(r->conf_path, 0640, geteuid(), r->gid);
	str_free(&parent);
	return e;
}

/* The state directory last: whoever finds it finds all. */
static enum err put_in_place(const struct restore *r)
{
	char *escrow = path_join(r->staged, "escrow");
	enum err e = file_exists(escrow) ? give(escrow, geteuid(), getegid()) : ERR_OK;

	if (!e && !(e = move_home(r, "keys", r->keys)) &&
	    !(e = move_home(r, "escrow", r->escrow)) && !(e = write_configuration(r)))
		e = move(r->staged, r->state);
	str_free(&escrow);
	return e;
}

static enum err stage(struct restore *r)
{
	char *parent = init_parent(r->state);
	enum err e = file_make_dir(parent, 0755);

	r->staged = str_printf("%s.XXXXXX", r->state);
	if (!e && !mkdtemp(r->staged)) {
		e = err_fail(ERR_CREATE, "cannot make %s: %s", r->staged, strerror(errno));
		str_free(&r->staged);
	}
	str_free(&parent);
	return e;
}

static void discard(struct restore *r)
{
	char *why = str_dup(err_text());

	if (r->staged && file_exists(r->staged) && file_remove_tree(r->staged))
		command_note("%s was left behind: %s", r->staged, err_text());
	(void)err_fail(ERR_SOFTWARE, "%s", why);
	str_free(&why);
}

static enum err add_identity(struct table *t, const struct restore *r)
{
	uint8_t fingerprint[20], pin[PIN_BYTES];
	struct buf text = BUF_INIT;
	char *spaced = authority_fingerprint_text(r->backup.fingerprint);
	enum err e = hex_read(r->backup.fingerprint, fingerprint, sizeof fingerprint);

	if (!e && !(e = pin_make(fingerprint, r->backup.address, pin))) {
		base32_add(&text, bytes_of(pin, sizeof pin));
		table_field_text(t, "authority", "Authority", r->backup.address);
		table_field_text(
		    t, "fingerprint", "Fingerprint", r->in->json ? r->backup.fingerprint : spaced);
		table_field_text(t, "pin", "Pin", buf_text(&text));
	}
	buf_free(&text);
	str_free(&spaced);
	return e;
}

static enum err print(const struct restore *r)
{
	struct table *t = table_page(r->in->json);
	enum err e = add_identity(t, r);

	table_field_time(t, "created", "Backup of", r->backup.created);
	table_field_number(t, "keysets", "Keysets", r->keysets);
	table_field_number(t, "voided", "Tokens voided", r->voided);
	table_field_text(t, "configuration", "Configuration", r->conf_path);
	table_field_text(t, "state", "State", r->state);
	table_field_bool(t, "on_hold", "On hold", true);
	if (!r->backup.keys)
		command_note(
		    "the backup holds no secret keys: put the authority's key home at %s", r->keys);
	command_note("the authority is on hold until \"countersignctl restore --confirm\"");
	if (!e)
		return table_print(&t, stdout);
	return e;
}

static enum err open_file(struct restore *r)
{
	int fd = open(r->file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	enum err e;

	if (fd < 0)
		return err_fail(ERR_NOINPUT, "cannot read %s: %s", r->file, strerror(errno));
	e = backup_open(fd, r->file, &r->backup);
	close(fd);
	return e;
}

static enum err restore(struct restore *r)
{
	enum err e;

	if ((e = open_file(r)) || (e = find_configuration(r)) || (e = check_whose(r)) ||
	    (e = check_fingerprint(r)) || (e = find_places(r)) || (e = confirm_places(r)))
		return e;
	apart_hold_signals(SIG_BLOCK);
	if ((e = stage(r)) || (e = check_and_unlock(r)) || (e = put_in_place(r)))
		discard(r);
	apart_hold_signals(SIG_UNBLOCK);
	if (!e)
		e = record_announce(r->in, r->conf_path, NULL);
	return e ? e : print(r);
}

enum err command_restore(struct invocation *in)
{
	struct restore r = { .in = in, .passphrase = BUF_SECRET, .escrow_passphrase = BUF_SECRET };
	bool confirm = false;
	const struct option options[] = { { "confirm", OPTION_FLAG, &confirm },
		{ "yes", OPTION_FLAG, &r.yes }, { "fingerprint", OPTION_TEXT, &r.fingerprint },
		{ "no-passphrase", OPTION_FLAG, &r.no_passphrase },
		{ "passphrase-file", OPTION_TEXT, &r.passphrase_file },
		{ "escrow-passphrase-file", OPTION_TEXT, &r.escrow_passphrase_file }, { 0 } };
	enum err e = options_read(in, options, 0, 1, "one file, or --confirm");

	if (e)
		return e;
	if ((in->argc == 1) == confirm ||
	    (confirm && (r.passphrase_file || r.escrow_passphrase_file || r.fingerprint ||
			    r.no_passphrase)))
		return err_fail(
		    ERR_USAGE, "restore takes one file, or --confirm with or without --yes");
	if (r.passphrase_file && r.no_passphrase)
		return err_fail(
		    ERR_USAGE, "--passphrase-file and --no-passphrase exclude each other");
	if (confirm)
		return restore_confirm(in, r.yes);
	r.file = in->argv[0];
	e = restore(&r);
	restore_free(&r);
	return e;
}
