#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "client/ask.h"
#include "client/opening.h"
#include "client/password.h"
#include "client/post.h"
#include "enroll/packets.h"
#include "keys/agent.h"
#include "keys/keyring.h"

static char *home_file(const char *name)
{
	const char *home = getenv("HOME");

	return home != NULL && home[0] == '/' ? path_join(home, name) : NULL;
}

static char *file_for(const struct local_keyset *keyset)
{
	char *name = str_printf("countersign-%s.asc", keyset->id), *path = home_file(name);

	str_free(&name);
	return path;
}

/* A keyset without a password gets one for the file, in a throw-away home. */
static enum err protect_copy(const struct options *options, const struct local_keyset *keyset,
    struct buf *password, struct buf *secret)
{
	struct keyhome *scratch = NULL;
	char *path = NULL;
	enum err e = password_choose(options, keyset->home, keyset->keyset, password);

	if (e == ERR_OK)
		e = local_scratch_make(&path);
	if (e == ERR_OK)
		e = keyhome_open(path, true, &scratch);
	if (e == ERR_OK)
		e = keyring_import_secret(
		    scratch, buf_bytes(secret), keyset->fingerprint, bytes_of("", 0));
	if (e == ERR_OK)
		e = keyring_set_password(
		    scratch, keyset->fingerprint, bytes_of("", 0), buf_bytes(password));
	buf_clear(secret);
	if (e == ERR_OK)
		e = keyring_export_secret(
		    scratch, keyset->fingerprint, buf_bytes(password), secret);
	keyhome_close(&scratch);
	local_scratch_remove(&path);
	return e;
}

static enum err write_file(const struct options *options, const struct local_keyset *keyset,
    const struct buf *password, const char *path)
{
	struct keyhome *home = NULL;
	struct buf secret = BUF_SECRET, armored = BUF_SECRET, cover = BUF_SECRET;
	struct bytes given = buf_bytes(password);
	enum err e = keyhome_open(keyset->home, true, &home);

	if (e == ERR_OK)
		e = keyring_unlock(home, keyset->fingerprint, &given);
	if (e == ERR_OK)
		e = keyring_export_secret(home, keyset->fingerprint, buf_bytes(password), &secret);
	if (e == ERR_OK && password->len == 0)
		e = protect_copy(options, keyset, &cover, &secret);
	if (e == ERR_OK)
		e = old_keys_export(home, keyset->old_keys, given, buf_bytes(&cover), &secret);
	if (e == ERR_OK) {
		armor_write("PRIVATE KEY BLOCK", buf_bytes(&secret), &armored);
		e = file_create(path, 0600, buf_bytes(&armored));
	}
	keyhome_close(&home);
	buf_free(&secret);
	buf_free(&armored);
	buf_free(&cover);
	return e;
}

static enum err tell(const struct options *options, const char *path)
{
	char *text = str_printf(
	    "Thunderbird keeps its own keys: in its Account Settings, End-To-End Encryption, choose Add Key, Import an existing OpenPGP key, "
	    "and the file %s; give the keyset's password, then choose the key for your account. Remove the file afterwards. "
	    "The security level does not count in Thunderbird.",
	    path);
	enum err e = ERR_OK;

	if (options->dialog)
		e = dialog_message(text);
	else
		post_say(options, "%s", text);
	str_free(&text);
	return e;
}

static enum err wants_file(const struct options *options, const char *path, bool *out)
{
	enum dialog_answer answer = DIALOG_CANCEL;
	char *question = str_printf(
	    "Thunderbird keeps its own keys. Write a key file for it, protected by the password, to %s?",
	    path);
	enum err e = ERR_OK;

	*out = false;
	if (options->dialog) {
		e = dialog_confirm(question, "Write", NULL, "No", &answer);
		*out = answer == DIALOG_OK;
	} else if (ask_possible()) {
		e = ask_yes(question, out);
	} else {
		post_say(options,
		    "Thunderbird keeps its own keys: `countersign open --key-file FILE` writes a file for it.");
	}
	str_free(&question);
	return e;
}

enum err keyfile_offer(
    const struct options *options, const struct local_keyset *keyset, const struct buf *password)
{
	struct buf current = BUF_SECRET;
	char *thunderbird = home_file(".thunderbird"), *path = NULL;
	bool wanted = options->key_file != NULL;
	enum err e = ERR_OK;

	if (str_equal(keyset->level, "own"))
		goto out;
	if (wanted)
		path = str_dup(options->key_file);
	else if (password != NULL && thunderbird != NULL && file_exists(thunderbird))
		path = file_for(keyset);
	if (path == NULL)
		goto out;
	if (!wanted)
		e = wants_file(options, path, &wanted);
	if (e != ERR_OK || !wanted)
		goto out;
	if (password == NULL && !str_equal(keyset->level, "low")) {
		e = password_current(
		    options->password_file, keyset->home, keyset->keyset, &current);
		password = &current;
	}
	if (e == ERR_OK)
		e = write_file(options, keyset, password != NULL ? password : &current, path);
	if (e == ERR_OK)
		e = tell(options, path);
out:
	buf_free(&current);
	str_free(&thunderbird);
	str_free(&path);
	return e;
}
