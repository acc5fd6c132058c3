#include "client/password.h"

#include <string.h>

#include "base/file.h"
#include "client/ask.h"
#include "client/level.h"
#include "client/local.h"
#include "client/opening.h"
#include "client/post.h"
#include "keys/agent.h"
#include "keys/keyring.h"
#include "text/address.h"

static enum err ask_agent(const char *home, const char *prompt, bool repeat, struct buf *out)
{
	struct keyhome *own = NULL;
	enum err e = ERR_OK;

	if (home == NULL)
		e = keyhome_open(NULL, false, &own);
	if (e == ERR_OK)
		e = agent_ask(home != NULL ? home : keyhome_path(own), prompt, NULL, repeat, out);
	keyhome_close(&own);
	return e;
}

enum err password_ask(const char *home, const char *prompt, struct buf *out)
{
	return ask_agent(home, prompt, false, out);
}

enum err password_choose(
    const struct options *options, const char *home, const char *keyset, struct buf *out)
{
	char *prompt = str_printf("New password for the keyset \"%s\"", keyset);
	enum err e;

	if (options->password_file != NULL)
		e = file_read_secret(options->password_file, out);
	else
		e = ask_agent(home, prompt, true, out);
	if (e == ERR_OK && out->len == 0)
		e = err_fail(ERR_DENIED,
		    "an empty password protects nothing: choose the level low for a keyset without one");
	str_free(&prompt);
	return e;
}

enum err password_current(const char *file, const char *home, const char *keyset, struct buf *out)
{
	char *prompt = str_printf("Password of the keyset \"%s\"", keyset);
	enum err e =
	    file != NULL ? file_read_secret(file, out) : ask_agent(home, prompt, false, out);

	str_free(&prompt);
	return e;
}

/* A keyset whose password or level changes. */
struct change {
	const struct options *options;
	struct local_keyset keyset;
	struct keyhome *home;
	struct buf was, will; /* passwords; empty: none */
};

/* The former password is proved, cached or not, whatever changes. */
static enum err prove(struct change *c)
{
	struct bytes given;
	enum err e = ERR_OK;

	if (!str_equal(c->keyset.level, "low"))
		e = password_current(
		    c->options->old_password_file, c->keyset.home, c->keyset.keyset, &c->was);
	given = buf_bytes(&c->was);
	return e == ERR_OK ? keyring_unlock(c->home, c->keyset.fingerprint, &given) : e;
}

static enum err change_password(struct change *c, const char *level)
{
	bool had = !str_equal(c->keyset.level, "low"), has = !str_equal(level, "low");
	enum err e = ERR_OK;

	if (!had && !has)
		return ERR_OK;
	if (has && (!had || c->options->level == NULL || c->options->password_file != NULL))
		e = password_choose(c->options, c->keyset.home, c->keyset.keyset, &c->will);
	else if (has)
		return ERR_OK; /* from high to medium or back: the password stays */
	/* The old keys first, so that a change that was interrupted can be made again. */
	if (e == ERR_OK)
		e = old_keys_set_password(
		    c->home, c->keyset.old_keys, buf_bytes(&c->was), buf_bytes(&c->will));
	if (e == ERR_OK)
		e = keyring_set_password(
		    c->home, c->keyset.fingerprint, buf_bytes(&c->was), buf_bytes(&c->will));
	return e;
}

static enum err change_level(struct change *c, const char *level)
{
	enum err e = ERR_OK;

	if (!str_equal(level, c->keyset.level)) {
		str_free(&c->keyset.level);
		c->keyset.level = str_dup(level);
		e = local_keyset_save(&c->keyset);
	}
	return e == ERR_OK ? level_apply(c->keyset.home) : e;
}

static enum err change(struct change *c)
{
	char *level = str_dup(c->options->level != NULL ? c->options->level : c->keyset.level);
	enum err e = keyhome_open(c->keyset.home, true, &c->home);

	if (e == ERR_OK && str_equal(c->keyset.level, "own"))
		e = err_fail(ERR_USAGE,
		    "the keyset \"%s\" uses a key of your own: change its password with gpg --change-passphrase %s",
		    c->keyset.keyset, c->keyset.fingerprint);
	if (e == ERR_OK && c->options->level == NULL && str_equal(c->keyset.level, "low"))
		e = err_fail(ERR_USAGE,
		    "the keyset \"%s\" has no password: give it one with --level medium or --level high",
		    c->keyset.keyset);
	if (e == ERR_OK)
		e = level_warn(c->options, c->keyset.home, level, c->keyset.fingerprint);
	if (e != ERR_OK)
		goto out;
	e = prove(c);
	if (e == ERR_OK)
		e = change_password(c, level);
	if (e == ERR_DENIED)
		e = err_prefix(e, "the keyset \"%s\" stays as it was", c->keyset.keyset);
	if (e == ERR_OK)
		e = change_level(c, level);
out:
	str_free(&level);
	return e;
}

static enum err password_run(const struct options *options)
{
	struct change c = { .options = options, .was = BUF_SECRET, .will = BUF_SECRET };
	char *address = NULL;
	enum err e = ERR_OK;

	if (options->operand == NULL)
		return err_fail(ERR_USAGE, "say which keyset: countersign password KEYSET");
	if (options->level != NULL)
		e = level_check(options->level);
	if (e == ERR_OK && options->address != NULL)
		e = address_canonical(options->address, &address);
	if (e == ERR_OK)
		e = local_lock();
	if (e == ERR_OK)
		e = local_keyset_find(options->operand, address, &c.keyset);
	if (e == ERR_OK)
		e = keyhome_start(PASSWORD_SECONDS);
	if (e == ERR_OK)
		e = change(&c);
	if (e == ERR_OK)
		post_say(options, "The keyset \"%s\" has the level %s%s.", c.keyset.keyset,
		    c.keyset.level, c.will.len > 0 ? " and the new password" : "");
	keyhome_close(&c.home);
	local_keyset_clear(&c.keyset);
	str_free(&address);
	buf_free(&c.was);
	buf_free(&c.will);
	return e;
}

static const struct option password_options[] = {
	{ "--level", "LEVEL", offsetof(struct options, level),
	    "high, medium or low: change the level" },
	{ "--address", "ADDRESS", offsetof(struct options, address),
	    "of which address, where several have the keyset" },
	{ "--old-password-file", "FILE", offsetof(struct options, old_password_file),
	    "the password until now" },
	{ "--password-file", "FILE", offsetof(struct options, password_file), "the new password" },
	{ NULL, NULL, 0, NULL },
};

const struct verb verb_password = { "password", "KEYSET",
	"changes the password or the security level of a keyset", password_options, password_run };
