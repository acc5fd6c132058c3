#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/when.h"
#include "client/ask.h"
#include "client/level.h"
#include "client/opening.h"
#include "client/password.h"
#include "client/post.h"
#include "keys/agent.h"

void opening_clear(struct opening *o)
{
	for (size_t i = 0; i < CANDIDATES_MAX; i++) {
		buf_free(&o->messages[i]);
		buf_free(&o->cleartexts[i]);
	}
	opening_close_homes(o);
	local_request_clear(&o->request);
	local_keyset_clear(&o->keyset);
	str_free(&o->hash);
	str_free(&o->damage);
	str_free(&o->level);
	reply_free(&o->fields);
	for (size_t i = 0; i < o->old_key_count; i++)
		buf_free(&o->old_keys[i].deposit);
	buf_free(&o->content);
	buf_free(&o->key);
	buf_free(&o->password);
}

/* One paragraph for people: the dialog, or standard output. */
static enum err say(const struct options *options, const char *text)
{
	if (options->dialog)
		return dialog_message(text);
	post_say(options, "%s", text);
	return ERR_OK;
}

static enum err tell_renewed(const struct options *options, const struct local_keyset *keyset)
{
	char day[WHEN_TEXT_SIZE],
	    *text = str_printf("The keyset \"%s\" of %s is renewed: it is certified until %s.",
		keyset->keyset, keyset->address, when_format_day(keyset->certified_until, day));
	enum err e = say(options, text);

	str_free(&text);
	return e;
}

/* What became of old mail. */
static void add_recovery(const struct opening *o, struct buf *text)
{
	if (o->fields.result != REPLY_RECOVERED)
		return;
	if (o->old_key_count + o->lost_key_count == 0)
		buf_add_text(
		    text, "No old encryption key was deposited, so old mail stays unreadable.\n");
	else
		buf_addf(text, "%zu old encryption key%s came back: old mail can be read again.\n",
		    o->old_key_count, o->old_key_count == 1 ? "" : "s");
	if (o->lost_key_count > 0)
		buf_addf(text,
		    "%zu more could not be opened, since the reply answers another token: ask your administrator to recover once more.\n",
		    o->lost_key_count);
}

static enum err tell_ready(const struct opening *o)
{
	const struct local_keyset *keyset = &o->keyset;
	struct buf text = BUF_INIT;
	char day[WHEN_TEXT_SIZE];
	enum err e;

	add_recovery(o, &text);
	buf_addf(&text,
	    "The keyset \"%s\" of %s is ready: read and sign protected mail in any mail program that uses GnuPG.\n"
	    "Colleagues whose keys %s has certified are trusted without a question.\n"
	    "It is certified until %s; `countersign password` changes its password or level.",
	    keyset->keyset, keyset->address, keyset->authority_address,
	    when_format_day(keyset->certified_until, day));
	e = say(o->options, buf_text(&text));
	buf_free(&text);
	return e;
}

/* Opened before: at most what a crash or the mail system left undone is done. */
static enum err open_again(struct opening *o)
{
	bool complete = o->keyset.pending == NULL && o->keyset.confirmation.len == 0;
	char *text = str_printf("The keyset \"%s\" of %s is installed already; %s.",
	    o->keyset.keyset, o->keyset.address,
	    complete ? "nothing was changed" : "what was left to do is done");
	enum err e = complete ? ERR_OK : install_finish(o->options, &o->keyset);

	if (e == ERR_OK)
		e = say(o->options, text);
	if (e == ERR_OK && o->options->key_file != NULL)
		e = keyfile_offer(o->options, &o->keyset, NULL);
	str_free(&text);
	return e;
}

static enum err choose_home(struct opening *o)
{
	if (o->user != NULL)
		return o->options->home == NULL
			   ? ERR_OK
			   : err_fail(ERR_USAGE, "--home can't be given here: the key stays in %s",
				 o->request.own_home);
	return keyhome_open(o->options->home, false, &o->user);
}

static enum err choose_level(struct opening *o)
{
	enum err e = ERR_OK;

	if (o->request.renews != NULL) {
		e = local_keyset_load(o->request.renews, &o->keyset);
		o->level = str_dup(o->keyset.level);
		return e;
	}
	if (o->request.own_home != NULL) {
		o->level = str_dup("own");
		return ERR_OK;
	}
	if (o->request.level != NULL && o->options->level == NULL)
		o->level = str_dup(o->request.level);
	else
		e = level_choose(o->options, o->request.keyset, &o->level);
	if (e == ERR_OK && o->request.protected && str_equal(o->level, "low"))
		e = err_fail(ERR_USAGE,
		    "the keyset \"%s\" got a password with the request: open it with --level %s, then change it with `countersign password`",
		    o->request.keyset, o->request.level);
	return e == ERR_OK
		   ? level_warn(o->options, keyhome_path(o->user), o->level, o->request.fingerprint)
		   : e;
}

static enum err choose_password(struct opening *o)
{
	enum err e;

	/* A key of the user's own keeps its password; old ones that come back beside it get one. */
	if ((o->request.own_home != NULL && o->old_key_count == 0) || str_equal(o->level, "low"))
		return ERR_OK;
	if (o->request.protected)
		e = opening_unlock(o);
	else
		e = password_choose(
		    o->options, keyhome_path(o->user), o->request.keyset, &o->password);
	return e == ERR_DENIED
		   ? err_prefix(e, "the keyset \"%s\" is not installed", o->request.keyset)
		   : e;
}

static enum err open_reply(struct opening *o)
{
	enum err e = reply_verify(o);

	if (e == ERR_OK)
		e = choose_home(o);
	if (e == ERR_OK)
		e = choose_level(o);
	if (e == ERR_OK)
		e = choose_password(o);
	if (e == ERR_OK)
		e = ask_interrupted();
	if (e == ERR_OK)
		e = install(o);
	if (e == ERR_OK) {
		keyhome_close(&o->home);
		e = install_finish(o->options, &o->keyset);
	}
	if (e == ERR_OK)
		e = o->request.renews != NULL ? tell_renewed(o->options, &o->keyset)
					      : tell_ready(o);
	if (e == ERR_OK && o->request.renews == NULL)
		e = keyfile_offer(o->options, &o->keyset, &o->password);
	/* Ctrl-C ends gpg too, and what that makes of it is no sentence for people. */
	if (e != ERR_OK && ask_interrupted() != ERR_OK)
		e = err_fail(ERR_TEMPORARY, "interrupted: open the reply again to complete it");
	return e;
}

static enum err check_options(const struct options *options)
{
	if (options->operand == NULL && isatty(STDIN_FILENO))
		return err_fail(ERR_USAGE,
		    "say which reply: countersign open FILE, with the attachment reply.countersign or the whole mail");
	if (options->key_file != NULL && file_exists(options->key_file))
		return err_fail(ERR_CREATE, "%s exists already: choose another name for --key-file",
		    options->key_file);
	if (options->output != NULL && !str_equal(options->output, "-") &&
	    file_exists(options->output))
		return err_fail(ERR_CREATE, "%s exists already: choose another name for --output",
		    options->output);
	return options->level != NULL ? level_check(options->level) : ERR_OK;
}

static enum err open_run(const struct options *options)
{
	struct opening o = { .options = options,
		.request = { .recovery_key = BUF_SECRET },
		.content = BUF_SECRET,
		.password = BUF_SECRET };
	enum err e = check_options(options);

	if (e == ERR_OK)
		e = local_lock();
	if (e == ERR_OK)
		e = reply_read(&o);
	ask_catch_signals();
	if (e == ERR_OK)
		e = reply_find_opened(&o);
	if (e == ERR_OK)
		e = keyhome_start(PASSWORD_SECONDS);
	if (e == ERR_OK)
		e = o.keyset.id != NULL ? open_again(&o) : open_reply(&o);
	opening_clear(&o);
	return e;
}

static const struct option open_options[] = {
	{ "--dialog", NULL, offsetof(struct options, dialog),
	    "ask and answer in windows, without a terminal" },
	{ "--level", "LEVEL", offsetof(struct options, level), "high, medium or low" },
	{ "--password-file", "FILE", offsetof(struct options, password_file),
	    "the new password is the first line of FILE" },
	{ "--home", "DIR", offsetof(struct options, home),
	    "a GnuPG home of its own for the keyset" },
	{ "--key-file", "FILE", offsetof(struct options, key_file),
	    "write the key, with its password, for Thunderbird" },
	{ "--output", "FILE", offsetof(struct options, output),
	    "write the confirmation instead of sending it" },
	{ "--submit", "URL", offsetof(struct options, submit),
	    "send it by submission://USER@HOST, sendmail:PATH or maildir:DIR; remembered" },
	{ "--submit-password-file", "FILE", offsetof(struct options, submit_password_file),
	    "the password for that is the first line of FILE; remembered" },
	{ NULL, NULL, 0, NULL },
};

const struct verb verb_open = { "open", "[REPLY]",
	"opens a reply from a security authority and installs the keyset", open_options, open_run };
