/* Making an authority: the configuration is written last, and everything that was made is removed when a step fails. */
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apart.h"
#include "base/encode.h"
#include "base/file.h"
#include "init.h"
#include "terminal.h"
#include "text/address.h"

#define DEFAULT_NAME "Security Authority"

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
	char *here = path[0] == '/' ? NULL : realpath(".", NULL);
	char *whole = here ? path_join(here, path) : str_dup(path);
	size_t len = strlen(whole);

	while (len > 1 && whole[len - 1] == '/')
		whole[--len] = '\0';
	free(here);
	return whole;
}

static char *default_state(const struct init *i)
{
	char *dir, *state;

	if (geteuid() == 0)
		return str_dup("/var/lib/countersign");
	dir = init_parent(i->config);
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

	if (geteuid() == 0 && !i->state_text && file_is_tmpfs("/run"))
		return str_dup("/run/countersign");
	if (geteuid() && session && session[0] == '/' && file_is_tmpfs(session))
		return path_join(session, "countersign");
	hash_sha256(bytes_of_text(i->state), hash);
	hex_add(&digits, bytes_of(hash, 4));
	if (geteuid() == 0 && file_is_tmpfs("/run"))
		path = str_printf("/run/countersign-%s", buf_text(&digits));
	else
		path = str_printf(
		    "/dev/shm/countersign-%u-%s", (unsigned)geteuid(), buf_text(&digits));
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

static enum err check_free(const struct init *i)
{
	static const char text[] = "%s exists already, and init never overwrites anything";

	if (file_exists(i->config))
		return err_fail(ERR_CREATE, text, i->config);
	if (file_exists(i->state) && !init_is_empty(i->state))
		return err_fail(ERR_CREATE, text, i->state);
	if (file_exists(i->escrow) && !init_is_empty(i->escrow))
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
	} else if ((service = getpwnam(INIT_SERVICE_USER))) {
		i->uid = service->pw_uid;
		i->gid = service->pw_gid;
	}
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

/* ---- the configuration, last ---- */

static enum err write_config(struct init *i)
{
	char *dir = init_parent(i->config), *box = NULL, *submit = NULL;
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
	if (!file_exists(dir) && (e = init_make_dir(i, dir, 0750, geteuid(), i->gid)))
		goto out;
	if ((e = file_create(i->config, 0640, buf_bytes(&text))))
		goto out;
	init_note_made(i, i->config);
	if (!(e = init_give(i->config, 0640, geteuid(), i->gid)))
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

	apart_hold_signals(SIG_BLOCK);
	if ((e = init_make_dirs(i)) || (e = init_make_parts(i)) || (e = write_config(i)))
		init_remove_made(i);
	apart_hold_signals(SIG_UNBLOCK);
	return e;
}

static enum err print_json(const struct init *i, const char *pin)
{
	struct table *t = table_page(true);

	table_field_text(t, "address", "Address", i->address);
	table_field_text(t, "fingerprint", "Fingerprint", i->fingerprint);
	table_field_text(t, "pin", "Pin", pin);
	table_field_text(t, "configuration", "Configuration", i->config);
	table_field_text(t, "state", "State", i->state);
	return table_print(&t, stdout);
}

static void print_for_people(const struct init *i, const char *pin)
{
	char *fingerprint = authority_fingerprint_text(i->fingerprint);

	printf(
	    "The authority %s is made.\n\n  Fingerprint    %s\n  Pin            %s\n  Configuration  %s\n"
	    "  State          %s\n\n",
	    i->address, fingerprint, pin, i->config, i->state);
	if (i->maildir)
		printf("It reads %s and writes %s.\n\nNext: start countersignd -c %s\n", i->inbox,
		    i->outgoing, i->config);
	else
		printf(
		    "Next: name the mailbox and the way to send in %s,\ncheck it with countersignd -n -c %s, "
		    "and start countersignd.\n",
		    i->config, i->config);
	printf("Also: name there who hears of quarantine and alarms (notify administrators).\n"
	       "Then: countersignctl -c %s token issue ADDRESS\n",
	    i->config);
	if (i->passphrase.len && !i->passphrase_file)
		puts(
		    "After each start: countersignctl unlock, or name a passphrase-file in the configuration.");
	str_free(&fingerprint);
}

/* Whether the service's user is missing, or the state directory was root's before. */
static void note_root(const struct init *i)
{
	if (getpwnam(INIT_SERVICE_USER))
		command_note("%s belongs to root, so the authority works as root", i->state);
	else
		command_note(
		    "there is no user \"" INIT_SERVICE_USER
		    "\" to own the authority, so it works as root; to change that, stop countersignd, "
		    "\"adduser --system --group " INIT_SERVICE_USER
		    "\", and give %s, %s and the Maildirs to it "
		    "with chown -R",
		    i->state, i->runtime);
}

static enum err print_result(const struct init *i)
{
	struct buf pin = BUF_INIT;
	enum err e = ERR_OK;

	base32_add(&pin, bytes_of(i->pin, sizeof i->pin));
	if (i->in->json)
		e = print_json(i, buf_text(&pin));
	else
		print_for_people(i, buf_text(&pin));
	if (i->uid == 0)
		note_root(i);
	if (!i->passphrase.len)
		command_note(
		    "the authority's key has no passphrase: whoever reads %s is the authority",
		    i->keys);
	if (!i->escrow_passphrase.len)
		command_note(
		    "the escrow key has no passphrase: whoever reads %s can open every deposit",
		    i->escrow);
	buf_free(&pin);
	return e;
}

static enum err prepare(struct init *i)
{
	enum err e;

	if (!i->address_text)
		return err_fail(
		    ERR_USAGE, "init needs --address, the authority's own mail address");
	if ((e = address_canonical(i->address_text, &i->address)))
		return e;
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
		e = print_result(&i);
	init_free(&i);
	return e;
}
