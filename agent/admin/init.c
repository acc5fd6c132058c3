/*
 * Making an authority. The parts are made in children that have become the owner of their directory, so that no private key is ever used as root (I19);
 * the parent writes the configuration last, and removes everything that was made when a part fails.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/wire.h"
#include "command.h"
#include "confine/confine.h"
#include "keys/agent.h"
#include "keys/keyring.h"
#include "mail/mailbox.h"
#include "secret/secret.h"
#include "terminal.h"
#include "text/address.h"

#define SERVICE_USER "countersign"
#define RESULT_BYTES_MAX 65536
#define GPG_SECONDS 120
#define MADE_MAX 16
#define DEFAULT_NAME "Security Authority"

struct init {
	struct invocation *in;
	/* as given */
	const char *address_text, *name, *maildir, *authority_file, *escrow_file, *escrow_text,
	    *state_text, *runtime_text;
	bool no_passphrase;
	/* as they will be: absolute paths */
	char *address, *config, *state, *runtime, *escrow, *keys, *inbox, *outgoing,
	    *passphrase_file;
	struct buf passphrase, escrow_passphrase;
	uid_t uid;
	gid_t gid;
	/* outcome */
	char fingerprint[41], escrow_fingerprint[41];
	struct buf escrow_key;
	uint8_t pin[PIN_BYTES];
	/* what a failed init removes, in order of making */
	char *made[MADE_MAX];
	size_t made_count;
};

static void init_free(struct init *i)
{
	str_free(&i->address);
	str_free(&i->config);
	str_free(&i->state);
	str_free(&i->runtime);
	str_free(&i->escrow);
	str_free(&i->keys);
	str_free(&i->inbox);
	str_free(&i->outgoing);
	str_free(&i->passphrase_file);
	buf_free(&i->passphrase);
	buf_free(&i->escrow_passphrase);
	buf_free(&i->escrow_key);
	for (size_t n = 0; n < i->made_count; n++)
		str_free(&i->made[n]);
}

/* ---- where everything goes ---- */

static char *absolute(const char *path)
{
	char *here, *whole;

	if (path[0] == '/')
		return str_dup(path);
	here = realpath(".", NULL);
	whole = path_join(here ? here : "/", path);
	free(here);
	return whole;
}

static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == path ? str_dup("/") : str_ndup(path, (size_t)(slash - path));
}

static char *default_state(const struct init *i)
{
	char *dir, *state;

	if (geteuid() == 0)
		return str_dup("/var/lib/countersign");
	dir = directory_of(i->config);
	state = path_join(dir, "state");
	str_free(&dir);
	return state;
}

static char *default_runtime(const struct init *i)
{
	const char *session = getenv("XDG_RUNTIME_DIR");
	uint8_t hash[HASH_BYTES];
	struct buf digits = BUF_INIT;
	char *path;

	if (geteuid() == 0)
		return str_dup("/run/countersign");
	if (session && session[0] == '/' && file_is_tmpfs(session))
		return path_join(session, "countersign");
	hash_sha256(bytes_of_text(i->state), hash);
	hex_add(&digits, bytes_of(hash, 4));
	path = str_printf("/dev/shm/countersign-%u-%s", (unsigned)geteuid(), buf_text(&digits));
	buf_free(&digits);
	return path;
}

static enum err check_path(const char *path)
{
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			return err_fail(ERR_USAGE,
			    "a path with a control character can't stand in the configuration");
	return ERR_OK;
}

static enum err set_paths(struct init *i)
{
	enum err e;

	i->config = absolute(conf_path(i->in->config));
	i->state = i->state_text ? absolute(i->state_text) : default_state(i);
	i->runtime = i->runtime_text ? absolute(i->runtime_text) : default_runtime(i);
	i->escrow = i->escrow_text ? absolute(i->escrow_text) : path_join(i->state, "escrow");
	i->keys = path_join(i->state, "keys");
	if (i->authority_file)
		i->passphrase_file = absolute(i->authority_file);
	if (i->maildir) {
		char *base = absolute(i->maildir);

		i->inbox = path_join(base, "inbox");
		i->outgoing = path_join(base, "outgoing");
		str_free(&base);
	}
	if ((e = check_path(i->config)) || (e = check_path(i->state)) ||
	    (e = check_path(i->runtime)) || (e = check_path(i->escrow)) ||
	    (i->inbox && (e = check_path(i->inbox))))
		return e;
	return i->passphrase_file ? check_path(i->passphrase_file) : ERR_OK;
}

static bool is_empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool empty = dir != NULL;

	while (empty && (entry = readdir(dir)))
		empty = str_equal(entry->d_name, ".") || str_equal(entry->d_name, "..");
	if (dir)
		closedir(dir);
	return empty;
}

static enum err check_free(const struct init *i)
{
	static const char text[] = "%s exists already, and init never overwrites anything";

	if (file_exists(i->config))
		return err_fail(ERR_CREATE, text, i->config);
	if (file_exists(i->state) && !is_empty(i->state))
		return err_fail(ERR_CREATE, text, i->state);
	if (file_exists(i->escrow) && !is_empty(i->escrow))
		return err_fail(ERR_CREATE, text, i->escrow);
	return ERR_OK;
}

/* The state belongs to whom its directory belongs to, else to the service's user where there is one. */
static void set_owner(struct init *i)
{
	const struct passwd *service;
	struct stat st;

	i->uid = geteuid();
	i->gid = getegid();
	if (i->uid)
		return;
	if (!stat(i->state, &st)) {
		i->uid = st.st_uid;
		i->gid = st.st_gid;
	} else if ((service = getpwnam(SERVICE_USER))) {
		i->uid = service->pw_uid;
		i->gid = service->pw_gid;
	}
	if (!i->uid)
		command_note("there is no user \"" SERVICE_USER
			     "\" to own the authority, so it will work as root");
}

/* ---- passphrases ---- */

static enum err ask_passphrase(
    const struct init *i, const char *file, const char *prompt, struct buf *out)
{
	if (file)
		return file_read_secret(file, out);
	return i->no_passphrase ? ERR_OK : terminal_ask(prompt, true, out);
}

static enum err set_passphrases(struct init *i)
{
	enum err e;

	if ((e = ask_passphrase(
		 i, i->authority_file, "Passphrase for the authority's key", &i->passphrase)) ||
	    (e = ask_passphrase(
		 i, i->escrow_file, "Passphrase for the escrow key", &i->escrow_passphrase)))
		return e == ERR_UNAVAILABLE
			   ? err_fail(e,
				 "there is no terminal to ask for the passphrases: give "
				 "--authority-passphrase-file and --escrow-passphrase-file, or --no-passphrase")
			   : e;
	if (i->passphrase.len &&
	    bytes_equal(buf_bytes(&i->passphrase), buf_bytes(&i->escrow_passphrase)))
		return err_fail(ERR_DATA,
		    "the two passphrases are equal: whoever has the one must not be able to open deposits with it");
	return ERR_OK;
}

/* ---- making and removing ---- */

static void note_made(struct init *i, const char *path)
{
	if (i->made_count < MADE_MAX)
		i->made[i->made_count++] = str_dup(path);
}

/* The topmost directory of `path` that is not there yet. */
static char *topmost_missing(const char *path)
{
	char *top = str_dup(path);

	for (;;) {
		char *parent = directory_of(top);

		if (file_exists(parent)) {
			str_free(&parent);
			return top;
		}
		str_free(&top);
		top = parent;
	}
}

/* Parents that had to be made stay open to the owner, who could not reach what is below otherwise. */
static enum err give(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	if (chmod(path, mode) || (geteuid() == 0 && chown(path, uid, gid)))
		return err_fail(ERR_CREATE, "cannot give away %s: %s", path, strerror(errno));
	return ERR_OK;
}

static enum err make_dir(struct init *i, const char *path, uid_t uid, gid_t gid)
{
	char *top, *walk;
	enum err e;

	if (file_exists(path))
		return give(path, 0700, uid, gid);
	top = topmost_missing(path);
	note_made(i, top);
	if (!(e = file_make_dir(path, 0700)))
		e = give(path, 0700, uid, gid);
	for (walk = directory_of(path); !e && strlen(walk) >= strlen(top);) {
		char *parent = directory_of(walk);

		e = give(walk, 0755, geteuid(), getegid());
		str_free(&walk);
		walk = parent;
	}
	str_free(&walk);
	str_free(&top);
	return e;
}

static enum err make_dirs(struct init *i)
{
	static const char *const inside[] = { "keys", "escrow", "countersign.db",
		"countersign.db-journal", "lock" };
	bool state_was_there = file_exists(i->state);
	enum err e;

	for (size_t n = 0; state_was_there && n < sizeof inside / sizeof *inside; n++) {
		char *path = path_join(i->state, inside[n]);

		note_made(i, path);
		str_free(&path);
	}
	if ((e = make_dir(i, i->state, i->uid, i->gid)) ||
	    (e = make_dir(i, i->keys, i->uid, i->gid)) ||
	    (e = make_dir(i, i->escrow, geteuid(), getegid())))
		return e;
	if (!file_exists(i->runtime)) {
		char *top = topmost_missing(i->runtime);

		note_made(i, top);
		str_free(&top);
	}
	if ((e = authority_prepare_runtime(i->runtime, i->state)))
		return e;
	if (i->inbox && ((e = make_dir(i, i->inbox, i->uid, i->gid)) ||
			    (e = make_dir(i, i->outgoing, i->uid, i->gid))))
		return e;
	return ERR_OK;
}

/* Keeps the sentence that says why. */
static void remove_made(struct init *i)
{
	char *why = str_dup(err_text());

	while (i->made_count > 0) {
		char **path = &i->made[--i->made_count];

		if (file_remove_tree(*path))
			command_note("%s was left behind: %s", *path, err_text());
		str_free(path);
	}
	(void)err_fail(ERR_SOFTWARE, "%s", why);
	str_free(&why);
}

/* ---- parts, each in a child ---- */

static void hold_signals(int how)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	sigset_t set;

	sigemptyset(&set);
	for (size_t n = 0; n < sizeof signals / sizeof *signals; n++)
		sigaddset(&set, signals[n]);
	sigprocmask(how, &set, NULL);
}

typedef enum err part_work(struct init *i, struct buf *out);

_Noreturn static void part(struct init *i, const char *owner, part_work *work, int answer)
{
	struct buf record = BUF_INIT, out = BUF_INIT;
	enum err e;

	hold_signals(SIG_UNBLOCK);
	if (!(e = confine_become_owner(owner)) && !(e = keyhome_start(GPG_SECONDS)))
		e = work(i, &out);
	wire_put_u8(&record, (uint8_t)e);
	wire_put_text(&record, e ? err_text() : NULL);
	wire_put_bytes(&record, buf_bytes(&out));
	_exit(file_write_fd(answer, buf_bytes(&record)) ? 1 : 0);
}

static enum err judge_part(const struct buf *record, struct buf *out)
{
	struct wire w = wire_open(buf_bytes(record));
	enum err e = (enum err)wire_u8(&w);
	char *text = wire_text(&w);
	struct bytes result = wire_bytes(&w);

	if (wire_end(&w))
		e = err_fail(ERR_SOFTWARE, "making the keys was interrupted");
	else if (e)
		e = err_fail(e, "%s", text ? text : "making the keys failed");
	else
		buf_add(out, result.data, result.len);
	str_free(&text);
	return e;
}

static enum err apart(struct init *i, const char *owner, part_work *work, struct buf *out)
{
	struct buf record = BUF_INIT;
	int ends[2];
	pid_t pid;
	enum err e;

	if (pipe2(ends, O_CLOEXEC))
		return err_fail(ERR_SYSTEM, "cannot make a pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
		part(i, owner, work, ends[1]);
	close(ends[1]);
	if (pid < 0)
		e = err_fail(ERR_SYSTEM, "cannot start a process: %s", strerror(errno));
	else if (!(e = file_read_fd(
		       ends[0], "the process that makes keys", RESULT_BYTES_MAX, &record)))
		e = judge_part(&record, out);
	close(ends[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	buf_free(&record);
	return e;
}

static char *user_id(const struct init *i, const char *what)
{
	return str_printf("%s%s <%s>", i->name, what, i->address);
}

static enum err make_escrow(struct init *i, struct buf *out)
{
	char *name = user_id(i, " (escrow)");
	char fingerprint[41];
	struct keyhome *home = NULL;
	struct buf key = BUF_INIT;
	enum err e;

	if (!(e = agent_prepare(i->escrow)) && !(e = keyhome_open(i->escrow, true, &home)) &&
	    !(e = keyring_create_escrow(
		  home, name, buf_bytes(&i->escrow_passphrase), fingerprint)) &&
	    !(e = keyhome_export(home, fingerprint, &key))) {
		wire_put_text(out, fingerprint);
		wire_put_bytes(out, buf_bytes(&key));
	}
	keyhome_close(&home);
	agent_stop(i->escrow);
	buf_free(&key);
	str_free(&name);
	return e;
}

static enum err set_base64(struct store *store, const char *name, const struct buf *bytes)
{
	struct buf text = BUF_INIT;
	enum err e;

	base64_add(&text, buf_bytes(bytes), 0, NULL);
	e = store_set(store, name, buf_text(&text));
	buf_free(&text);
	return e;
}

static enum err fill_store(struct init *i, struct store *store, const struct buf *key)
{
	struct buf pin = BUF_INIT;
	char *detail =
	    str_printf("fingerprint=%s escrow=%s", i->fingerprint, i->escrow_fingerprint);
	enum err e;

	hex_add(&pin, bytes_of(i->pin, sizeof i->pin));
	if ((e = store_begin(store)) || (e = store_set(store, "authority-address", i->address)) ||
	    (e = store_set(store, "authority-fingerprint", i->fingerprint)) ||
	    (e = set_base64(store, "authority-key", key)) ||
	    (e = store_set(store, "pin", buf_text(&pin))) ||
	    (e = store_set(store, "authority-passphrase", i->passphrase.len ? "set" : "none")) ||
	    (e = store_set(
		 store, "escrow-passphrase", i->escrow_passphrase.len ? "set" : "none")) ||
	    (e = store_set(store, "escrow-fingerprint", i->escrow_fingerprint)) ||
	    (e = set_base64(store, "escrow-key", &i->escrow_key)) ||
	    (e = audit_add(store, i->in->now, i->in->actor, "authority-made", NULL, detail, NULL)))
		goto out;
	e = store_commit(store);
out:
	store_rollback(store);
	str_free(&detail);
	buf_free(&pin);
	return e;
}

static enum err make_store(struct init *i, const struct buf *key)
{
	char *path = path_join(i->state, "countersign.db");
	uint8_t fingerprint[20];
	struct store *store = NULL;
	enum err e;

	if (!(e = hex_read(i->fingerprint, fingerprint, sizeof fingerprint)) &&
	    !(e = pin_make(fingerprint, i->address, i->pin)) && !(e = store_create(path, &store)))
		e = fill_store(i, store, key);
	store_close(&store);
	str_free(&path);
	return e;
}

static enum err make_mailboxes(const struct init *i)
{
	const char *const dirs[] = { i->inbox, i->outgoing };
	enum err e = ERR_OK;

	for (size_t n = 0; n < 2 && dirs[n] && !e; n++) {
		char *url = str_printf("maildir:%s", dirs[n]);
		struct mailbox_options options = {
			.url = url, .done_folder = "Done", .ignored_folder = "Ignored"
		};
		struct mailbox *box = NULL;

		e = mailbox_open(&options, &box);
		mailbox_close(&box);
		str_free(&url);
	}
	return e;
}

static enum err make_authority(struct init *i, struct buf *out)
{
	char *name = user_id(i, "");
	struct keyhome *home = NULL;
	struct buf key = BUF_INIT;
	enum err e;

	if (!(e = agent_prepare(i->keys)) && !(e = keyhome_open(i->keys, true, &home)) &&
	    !(e = keyring_create_authority(
		  home, name, buf_bytes(&i->passphrase), i->fingerprint)) &&
	    !(e = keyhome_export(home, i->fingerprint, &key)) && !(e = make_store(i, &key)) &&
	    !(e = make_mailboxes(i))) {
		wire_put_text(out, i->fingerprint);
		wire_put_bytes(out, bytes_of(i->pin, sizeof i->pin));
	}
	keyhome_close(&home);
	agent_stop(i->keys);
	buf_free(&key);
	str_free(&name);
	return e;
}

static enum err read_fingerprint(struct wire *w, char out[41])
{
	char *text = wire_text(w);
	bool fits = text && strlen(text) == 40;

	if (fits)
		memcpy(out, text, 41);
	str_free(&text);
	return fits ? ERR_OK : err_fail(ERR_SOFTWARE, "making the keys gave no fingerprint");
}

static enum err make_parts(struct init *i)
{
	struct buf record = BUF_INIT;
	struct bytes rest;
	struct wire w;
	enum err e;

	if ((e = apart(i, i->escrow, make_escrow, &record)))
		goto out;
	w = wire_open(buf_bytes(&record));
	if ((e = read_fingerprint(&w, i->escrow_fingerprint)))
		goto out;
	rest = wire_bytes(&w);
	buf_add(&i->escrow_key, rest.data, rest.len);
	if ((e = wire_end(&w)))
		goto out;
	buf_clear(&record);
	if ((e = apart(i, i->state, make_authority, &record)))
		goto out;
	w = wire_open(buf_bytes(&record));
	if ((e = read_fingerprint(&w, i->fingerprint)))
		goto out;
	rest = wire_bytes(&w);
	if (!(e = wire_end(&w)) && rest.len == sizeof i->pin)
		memcpy(i->pin, rest.data, sizeof i->pin);
out:
	buf_free(&record);
	return e;
}

/* ---- the configuration, last ---- */

static enum err write_config(struct init *i)
{
	char *dir = directory_of(i->config), *box = NULL, *submit = NULL;
	struct buf text = BUF_INIT;
	struct conf *conf = NULL;
	struct conf_sample sample;
	enum err e;

	if (i->inbox) {
		box = str_printf("maildir:%s", i->inbox);
		submit = str_printf("maildir:%s", i->outgoing);
	}
	sample = (struct conf_sample){
		.address = i->address,
		.name = i->name,
		.state_directory = i->state,
		.runtime_directory = i->runtime,
		.passphrase_file = i->passphrase_file,
		.escrow_home = i->escrow_text ? i->escrow : NULL,
		.mailbox_url = box,
		.submit_url = submit,
	};
	conf_write_sample(&text, &sample);
	if (!file_exists(dir)) {
		char *top = topmost_missing(dir);

		note_made(i, top);
		str_free(&top);
		if ((e = file_make_dir(dir, 0755)))
			goto out;
	}
	if ((e = file_create(i->config, 0640, buf_bytes(&text))))
		goto out;
	note_made(i, i->config);
	if (!(e = give(i->config, 0640, geteuid(), i->gid)))
		e = conf_read(i->config, &conf);
out:
	conf_free(&conf);
	buf_free(&text);
	str_free(&dir);
	str_free(&box);
	str_free(&submit);
	return e;
}

static enum err make_all(struct init *i)
{
	enum err e;

	hold_signals(SIG_BLOCK);
	if ((e = make_dirs(i)) || (e = make_parts(i)) || (e = write_config(i)))
		remove_made(i);
	hold_signals(SIG_UNBLOCK);
	return e;
}

static void print_result(const struct init *i)
{
	char *fingerprint = authority_fingerprint_text(i->fingerprint);
	struct buf pin = BUF_INIT;

	base32_add(&pin, bytes_of(i->pin, sizeof i->pin));
	printf(
	    "The authority %s is made.\n\n  Fingerprint    %s\n  Pin            %s\n  Configuration  %s\n"
	    "  State          %s\n\n",
	    i->address, fingerprint, buf_text(&pin), i->config, i->state);
	if (i->maildir)
		printf("It reads %s and writes %s.\n\nNext: start countersignd -c %s\n", i->inbox,
		    i->outgoing, i->config);
	else
		printf(
		    "Next: name the mailbox and the way to send in %s,\ncheck it with countersignd -n -c %s, "
		    "and start countersignd.\n",
		    i->config, i->config);
	printf("Then: countersignctl -c %s token issue ADDRESS\n", i->config);
	if (!i->passphrase.len)
		command_note(
		    "the authority's key has no passphrase: whoever reads %s is the authority",
		    i->keys);
	if (!i->escrow_passphrase.len)
		command_note(
		    "the escrow key has no passphrase: whoever reads %s can open every deposit",
		    i->escrow);
	if (i->passphrase.len && !i->passphrase_file)
		puts(
		    "After each start: countersignctl unlock, or name a passphrase-file in the configuration.");
	buf_free(&pin);
	str_free(&fingerprint);
}

static enum err prepare(struct init *i)
{
	enum err e;

	if (!i->address_text)
		return err_fail(
		    ERR_USAGE, "init needs --address, the authority's own mail address");
	if ((e = address_canonical(i->address_text, &i->address)))
		return err_prefix(e, "%s", i->address_text);
	if (!i->name)
		i->name = DEFAULT_NAME;
	if ((e = name_check(i->name)))
		return err_prefix(e, "--name");
	if ((e = set_paths(i)) || (e = check_free(i)))
		return e;
	set_owner(i);
	return set_passphrases(i);
}

enum err command_init(struct invocation *in)
{
	struct init i = { .in = in, .passphrase = BUF_SECRET, .escrow_passphrase = BUF_SECRET };
	const struct option options[] = {
		{ "address", OPTION_TEXT, &i.address_text },
		{ "name", OPTION_TEXT, &i.name },
		{ "maildir", OPTION_TEXT, &i.maildir },
		{ "state-directory", OPTION_TEXT, &i.state_text },
		{ "runtime-directory", OPTION_TEXT, &i.runtime_text },
		{ "authority-passphrase-file", OPTION_TEXT, &i.authority_file },
		{ "escrow-passphrase-file", OPTION_TEXT, &i.escrow_file },
		{ "escrow-home", OPTION_TEXT, &i.escrow_text },
		{ "no-passphrase", OPTION_FLAG, &i.no_passphrase },
		{ 0 },
	};
	enum err e;

	if (!(e = options_read(in, options, 0, 0, "no argument but the options")) &&
	    !(e = prepare(&i)) && !(e = make_all(&i)))
		print_result(&i);
	init_free(&i);
	return e;
}
