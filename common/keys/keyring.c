/* Making keys, and moving them in and out of a user's home. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/proc.h"
#include "base/when.h"
#include "enroll/packets.h"
#include "keys/internal.h"
#include "keys/keyring.h"

struct subkey_plan {
	const char *algorithm;
	unsigned flags;
};

static const struct subkey_plan authority_plan[] = {
	{ "ed25519", GPGME_CREATE_SIGN },
	{ "cv25519", GPGME_CREATE_ENCR },
	{ 0 },
};
static const struct subkey_plan encryption_plan[] = { { "cv25519", GPGME_CREATE_ENCR }, { 0 } };

static unsigned create_flags(unsigned usage, struct bytes passphrase)
{
	return usage | GPGME_CREATE_NOEXPIRE | (passphrase.len ? 0 : GPGME_CREATE_NOPASSWD);
}

static enum err create_primary(struct keyhome *home, const char *user_id, unsigned usage,
    struct bytes passphrase, char fingerprint_out[41])
{
	gpgme_genkey_result_t result;
	struct op op;
	enum err err;

	op_open(&op, home);
	op_use_password(&op, passphrase);
	op_arm();
	if ((err = op_done(&op,
		 gpgme_op_createkey(op.ctx, user_id, "ed25519", 0, 0, NULL,
		     create_flags(usage, passphrase) | GPGME_CREATE_FORCE),
		 "make a key", ERR_UNAVAILABLE)))
		goto out;
	result = gpgme_op_genkey_result(op.ctx);
	if (!op_saw(&op, "KEY_CREATED") || !result || !result->fpr || strlen(result->fpr) != 40)
		err = op_unproved("make a key");
	else
		memcpy(fingerprint_out, result->fpr, 41);
out:
	op_close(&op);
	return err;
}

static enum err create_subkey(struct keyhome *home, const char *fingerprint,
    const struct subkey_plan *plan, struct bytes passphrase)
{
	gpgme_key_t key = NULL;
	struct op op;
	enum err err;

	if ((err = secret_get(home, fingerprint, &key)))
		return err;
	op_open(&op, home);
	op_use_password(&op, passphrase);
	op_arm();
	err = op_done(&op,
	    gpgme_op_createsubkey(
		op.ctx, key, plan->algorithm, 0, 0, create_flags(plan->flags, passphrase)),
	    "make a subkey", ERR_UNAVAILABLE);
	if (!err && !op_saw(&op, "KEY_CREATED"))
		err = op_unproved("make a subkey");
	gpgme_key_unref(key);
	op_close(&op);
	return err;
}

static enum err create(struct keyhome *home, const char *user_id, unsigned usage,
    const struct subkey_plan *plan, struct bytes passphrase, char fingerprint_out[41])
{
	gpgme_key_t key = NULL;
	enum err err;

	if ((err = create_primary(home, user_id, usage, passphrase, fingerprint_out)))
		return err;
	for (; plan->algorithm; plan++)
		if ((err = create_subkey(home, fingerprint_out, plan, passphrase)))
			return err;
	if (!(err = secret_get(home, fingerprint_out, &key)))
		err = agent_check_protected(home->path, key, passphrase.len > 0);
	gpgme_key_unref(key);
	return err;
}

enum err keyring_create_authority(
    struct keyhome *home, const char *user_id, struct bytes passphrase, char fingerprint_out[41])
{
	return create(
	    home, user_id, GPGME_CREATE_CERT, authority_plan, passphrase, fingerprint_out);
}

enum err keyring_create_escrow(
    struct keyhome *home, const char *user_id, struct bytes passphrase, char fingerprint_out[41])
{
	return create(
	    home, user_id, GPGME_CREATE_CERT, encryption_plan, passphrase, fingerprint_out);
}

enum err keyring_create_user(
    struct keyhome *home, const char *user_id, struct bytes passphrase, char fingerprint_out[41])
{
	return create(home, user_id, GPGME_CREATE_CERT | GPGME_CREATE_SIGN, encryption_plan,
	    passphrase, fingerprint_out);
}

/* gpg inherits the mask: between two of its keys a Ctrl-C would leave a key with two passwords. */
static void hold_signals(sigset_t *before_out)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	pthread_sigmask(SIG_BLOCK, &set, before_out);
}

enum err keyring_set_password(struct keyhome *home, const char *fingerprint,
    struct bytes old_password, struct bytes new_password)
{
	gpgme_key_t key = NULL;
	sigset_t before;
	struct op op;
	enum err err;

	if ((err = secret_get(home, fingerprint, &key)))
		return err;
	op_open(&op, home);
	if (old_password.len)
		op_use_password(&op, old_password);
	op_use_password(&op, new_password);
	hold_signals(&before);
	op_arm();
	err = op_done(&op, gpgme_op_passwd(op.ctx, key, 0), "set the password", ERR_DENIED);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	op_close(&op);
	if (!err)
		err = agent_check_protected(home->path, key, new_password.len > 0);
	gpgme_key_unref(key);
	return err;
}

/* What is behind a wrong password gpg leaves out, and says that all is well. */
enum err secret_export(struct keyhome *home, const char *pattern, gpgme_export_mode_t mode,
    struct bytes password, struct buf *out)
{
	struct buf key = BUF_SECRET;
	struct sink sink = { .out = &key, .max = SIZE_MAX };
	struct packet_summary summary;
	gpgme_data_t data = NULL;
	struct op op;
	enum err err;

	op_open(&op, home);
	if ((err = data_into(&sink, &data)))
		goto out;
	op_use_password(&op, password);
	op_arm();
	if ((err = op_done(&op, gpgme_op_export(op.ctx, pattern, mode, data),
		 "export the secret key", ERR_DENIED)))
		goto out;
	summary = packets_summarise(buf_bytes(&key));
	if (!op_saw(&op, "EXPORT_RES") || summary.malformed)
		err = op_unproved("export the secret key");
	else if (summary.secret_keys == 0)
		err = err_fail(ERR_DENIED, "the password is wrong");
	else
		buf_add(out, key.data, key.len);
out:
	gpgme_data_release(data);
	buf_free(&key);
	op_close(&op);
	return err;
}

enum err keyring_export_secret(
    struct keyhome *home, const char *fingerprint, struct bytes password, struct buf *out)
{
	return secret_export(home, fingerprint, GPGME_EXPORT_MODE_SECRET, password, out);
}

/* The stub comes even where the subkey is left out. */
enum err keyring_export_subkey(
    struct keyhome *home, const char *fingerprint, struct bytes password, struct buf *out)
{
	char *pattern = str_printf("%s!", fingerprint);
	struct buf key = BUF_SECRET;
	enum err err =
	    secret_export(home, pattern, GPGME_EXPORT_MODE_SECRET_SUBKEY, password, &key);

	if (!err && packets_summarise(buf_bytes(&key)).secret_keys < 2)
		err = err_fail(ERR_DENIED, "the password is wrong");
	if (!err)
		buf_add(out, key.data, key.len);
	buf_free(&key);
	str_free(&pattern);
	return err;
}

/* Without a pinentry or a passphrase gpg stores what is protected as it is, and asks at first use. */
enum err secret_import(struct keyhome *home, struct bytes key)
{
	gpgme_import_result_t result;
	gpgme_data_t data = NULL;
	struct op op;
	enum err err;

	if (home->throw_away)
		return err_fail(ERR_SOFTWARE, "no secret key may enter %s", home->path);
	op_open(&op, home);
	if ((err = data_from(key, &data)))
		goto out;
	gpgme_set_passphrase_cb(op.ctx, NULL, NULL);
	gpgme_set_pinentry_mode(op.ctx, GPGME_PINENTRY_MODE_ERROR);
	op_arm();
	if ((err = op_done(&op, gpgme_op_import(op.ctx, data), "import the secret key", ERR_DATA)))
		goto out;
	result = gpgme_op_import_result(op.ctx);
	if (!result || !op_saw(&op, "IMPORT_RES"))
		err = op_unproved("import the secret key");
	else if (result->secret_read < 1 || result->secret_imported + result->secret_unchanged < 1)
		err = err_fail(ERR_DATA, "gpg does not accept the secret key");
out:
	gpgme_data_release(data);
	op_close(&op);
	return err;
}

enum err keyring_import_secret(
    struct keyhome *home, struct bytes key, const char *fingerprint, struct bytes password)
{
	struct packet_summary summary = packets_summarise(key);
	gpgme_key_t arrived = NULL;
	size_t secrets = 0;
	enum err err;

	if (summary.malformed || summary.secret_keys == 0)
		return err_fail(ERR_DATA, "this is no secret key");
	if ((err = secret_import(home, key)) || (err = secret_get(home, fingerprint, &arrived)))
		return err;
	for (gpgme_subkey_t s = arrived->subkeys; s; s = s->next)
		secrets += s->secret;
	if (secrets < summary.secret_keys)
		err = op_unproved("import the secret key");
	else if (!(err = agent_check_protected(home->path, arrived, password.len > 0)))
		err = keyring_set_ultimate(home, fingerprint);
	gpgme_key_unref(arrived);
	return err;
}

enum err gpg_run(struct keyhome *home, const char *const arguments[], struct bytes input,
    struct buf *out, struct buf *status_out)
{
	static const char *const start[] = { "gpg", "--batch", "--no-tty", "--quiet", "--status-fd",
		"2", "--homedir" };
	char *argv[16] = { NULL };
	size_t count = 0;
	enum err err;
	int status;

	for (size_t i = 0; i < sizeof start / sizeof *start; i++)
		argv[count++] = str_dup(start[i]);
	argv[count++] = str_dup(home->path);
	for (size_t i = 0; arguments[i] && count < sizeof argv / sizeof *argv - 1; i++)
		argv[count++] = str_dup(arguments[i]);
	err = proc_run(argv, input, engine_deadline(), out, status_out, &status);
	if (!err && status)
		err = err_fail(
		    ERR_UNAVAILABLE, "gpg %s failed: %s", arguments[0], buf_text(status_out));
	while (count > 0)
		str_free(&argv[--count]);
	return err;
}

enum err keyring_export_local(struct keyhome *home, const char *fingerprint, struct buf *out)
{
	const char *const arguments[] = { "--export-options", "export-local-sigs", "--export",
		fingerprint, NULL };
	struct buf key = BUF_INIT, status = BUF_INIT;
	enum err err = gpg_run(home, arguments, bytes_of(NULL, 0), &key, &status);

	if (!err && packets_summarise(buf_bytes(&key)).public_keys != 1)
		err = err_fail(ERR_NOUSER, "there is no key %s", fingerprint);
	if (!err && !strstr(buf_text(&status), "EXPORT_RES "))
		err = op_unproved("export the key");
	if (!err)
		buf_add(out, key.data, key.len);
	buf_free(&key);
	buf_free(&status);
	return err;
}

/* "IMPORT_RES COUNT …": how many keys were looked at; those that were refused have a line of their own. */
static bool all_imported(const struct buf *status, size_t count)
{
	static const char result[] = "IMPORT_RES ", each[] = "IMPORT_OK ";
	const char *at = strstr(buf_text(status), result);
	size_t taken = 0;

	if (!at || strtoul(at + sizeof result - 1, NULL, 10) != count)
		return false;
	for (at = strstr(buf_text(status), each); at; at = strstr(at + 1, each))
		taken++;
	return taken == count;
}

enum err keyring_import_local(struct keyhome *home, struct bytes key)
{
	const char *const arguments[] = { "--import-options", "import-local-sigs", "--import",
		NULL };
	struct packet_summary summary = packets_summarise(key);
	struct buf status = BUF_INIT;
	enum err err;

	if (summary.malformed || summary.public_keys == 0 || summary.secret_keys)
		return err_fail(ERR_DATA, "these are no OpenPGP public keys");
	err = gpg_run(home, arguments, key, NULL, &status);
	if (!err && !all_imported(&status, summary.public_keys))
		err = op_unproved("import the keys");
	buf_free(&status);
	return err;
}

enum err keyring_set_ultimate(struct keyhome *home, const char *fingerprint)
{
	const char *const arguments[] = { "--import-ownertrust", NULL };
	char *line = str_printf("%s:6:\n", fingerprint);
	struct buf status = BUF_INIT;
	gpgme_key_t key = NULL;
	enum err err = gpg_run(home, arguments, bytes_of_text(line), NULL, &status);

	if (!err && !(err = key_get(home, fingerprint, 0, &key)) &&
	    (!key || key->owner_trust != GPGME_VALIDITY_ULTIMATE))
		err = op_unproved("set the owner trust");
	gpgme_key_unref(key);
	buf_free(&status);
	str_free(&line);
	return err;
}

static enum err forget_password(struct keyhome *home, gpgme_key_t key)
{
	struct buf lines = BUF_INIT, answer = BUF_INIT;
	enum err err;

	for (gpgme_subkey_t s = key->subkeys; s; s = s->next)
		buf_addf(&lines, "CLEAR_PASSPHRASE --mode=normal %s\n", s->keygrip);
	err = agent_talk(home->path, true, &lines, &answer);
	if (!err)
		err = assuan_check(&answer, "make gpg-agent forget a password");
	buf_free(&lines);
	buf_free(&answer);
	return err;
}

enum err keyring_unlock(struct keyhome *home, const char *fingerprint, const struct bytes *password)
{
	struct buf signature = BUF_INIT;
	struct sink sink = { .out = &signature, .max = SIZE_MAX };
	gpgme_data_t text = NULL, out = NULL;
	gpgme_key_t key = NULL;
	struct op op;
	enum err err;

	if ((err = secret_get(home, fingerprint, &key)))
		return err;
	if ((err = forget_password(home, key))) {
		gpgme_key_unref(key);
		return err;
	}
	op_open(&op, home);
	if ((err = data_from(bytes_of_text("Countersign"), &text)) ||
	    (err = data_into(&sink, &out)))
		goto out;
	gpgme_signers_add(op.ctx, key);
	if (password)
		op_use_password(&op, *password);
	else
		op_use_pinentry(&op);
	op_arm();
	err = op_done(&op, gpgme_op_sign(op.ctx, text, out, GPGME_SIG_MODE_DETACH),
	    "unlock the key", ERR_DENIED);
	if (!err && (!op_saw(&op, "SIG_CREATED") || signature.len == 0))
		err = op_unproved("unlock the key");
out:
	gpgme_data_release(text);
	gpgme_data_release(out);
	gpgme_key_unref(key);
	buf_free(&signature);
	op_close(&op);
	return err;
}
