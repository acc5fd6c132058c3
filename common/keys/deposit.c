#include "keys/deposit.h"

#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "enroll/deposit.h"
#include "enroll/packets.h"
#include "keys/agent.h"
#include "keys/internal.h"
#include "keys/keyring.h"
#include "secret/secret.h"

#define CHALLENGE_BYTES 32

/* ---- out of a home ---- */

/* The subkey with its keygrip, as far as it is here and can be handed in. */
static enum err subkey_find(
    struct keyhome *home, const char *fingerprint, gpgme_key_t *key_out, gpgme_subkey_t *subkey_out)
{
	gpgme_subkey_t subkey;
	enum err err = secret_get(home, fingerprint, key_out);

	if (err)
		return err;
	subkey = (*key_out)->subkeys;
	while (subkey && !str_equal_case(subkey->fpr, fingerprint))
		subkey = subkey->next;
	if (!subkey || !subkey->secret)
		return err_fail(ERR_NOUSER, "the secret subkey %s is not here", fingerprint);
	*subkey_out = subkey;
	return ERR_OK;
}

enum err deposit_export(struct keyhome *home, const char *encryption_fingerprint, struct buf *out)
{
	struct buf deposit = BUF_SECRET, public = BUF_INIT;
	gpgme_subkey_t subkey = NULL;
	gpgme_key_t key = NULL;
	struct refusal why;
	enum err err;

	if ((err = subkey_find(home, encryption_fingerprint, &key, &subkey)))
		goto out;
	if (subkey->is_cardkey) {
		err = err_fail(ERR_DATA, "the key %s is on a card", encryption_fingerprint);
		goto out;
	}
	err = keyring_export_subkey(home, encryption_fingerprint, bytes_of("", 0), &deposit);
	if (err == ERR_DENIED)
		err = err_fail(
		    ERR_DATA, "the key %s is protected by a password", encryption_fingerprint);
	if (err || (err = keyhome_export(home, key->fpr, &public)))
		goto out;
	if (deposit_check(buf_bytes(&deposit), buf_bytes(&public), encryption_fingerprint, &why))
		buf_add(out, deposit.data, deposit.len);
	else
		err = err_fail(ERR_DATA, "the key %s can't be deposited: %s",
		    encryption_fingerprint, why.detail);
out:
	gpgme_key_unref(key);
	buf_free(&deposit);
	buf_free(&public);
	return err;
}

enum err deposit_export_protected(struct keyhome *home, const char *parent,
    const char *encryption_fingerprint, struct bytes password, struct buf *out)
{
	struct buf secret = BUF_SECRET;
	struct vault *vault = NULL;
	enum err err;

	if ((err = keyring_export_subkey(home, encryption_fingerprint, password, &secret)) ||
	    (err = vault_make(parent, &vault)) ||
	    (err = secret_import(vault_home(vault), buf_bytes(&secret))) ||
	    (err = keyring_set_password(
		 vault_home(vault), encryption_fingerprint, password, bytes_of("", 0))))
		goto out;
	err = deposit_export(vault_home(vault), encryption_fingerprint, out);
out:
	vault_close(&vault);
	buf_free(&secret);
	return err;
}

/* ---- proof (P4.8) ---- */

static enum err challenge(struct keyhome *home, const char *fingerprint)
{
	uint8_t sent[CHALLENGE_BYTES];
	struct buf sealed = BUF_INIT, got = BUF_SECRET;
	struct signatures none;
	enum err err;

	secret_random(sent, sizeof sent);
	if (!(err = subkey_encrypt(home, fingerprint, bytes_of(sent, sizeof sent), &sealed)))
		err = keyhome_decrypt(home, buf_bytes(&sealed), &got, &none);
	if (!err && (got.len != sizeof sent || !secret_equal(got.data, sent, sizeof sent)))
		err = err_fail(ERR_DATA, "what was decrypted is not what was encrypted");
	mem_wipe(sent, sizeof sent);
	buf_free(&sealed);
	buf_free(&got);
	return err;
}

/* Of a message that can't be encrypted or opened only a working agent and room to write make it the deposit's fault. */
static enum err blame_deposit(struct keyhome *home, enum err err)
{
	char *text = str_dup(err_text());
	enum err place = ERR_OK;

	if (!agent_running(keyhome_path(home)))
		place = err_fail(ERR_UNAVAILABLE, "the gpg-agent of %s is gone", home->path);
	else
		place = home_prove_room(home);
	if (!place)
		place = err_fail(
		    err == ERR_TEMPORARY ? err : ERR_DATA, "the deposit does not hold: %s", text);
	str_free(&text);
	return place;
}

/* Only what came with the deposit is there, so that it is known to be of use by itself, too. */
enum err deposit_prove(
    const char *parent, struct bytes key, const char *encryption_fingerprint, struct bytes deposit)
{
	struct vault *vault = NULL;
	struct refusal why;
	enum err err;

	if (!deposit_check(deposit, key, encryption_fingerprint, &why))
		return err_fail(ERR_DATA, "%s", why.detail);
	if ((err = vault_make(parent, &vault)))
		return err;
	if ((err = secret_import(vault_home(vault), deposit)) ||
	    (err = challenge(vault_home(vault), encryption_fingerprint)))
		err = blame_deposit(vault_home(vault), err);
	vault_close(&vault);
	return err;
}

/* ---- sealing ---- */

static enum err escrow_key_import(
    struct keyhome *home, struct bytes escrow_key, const char *fingerprint)
{
	struct key_facts *facts = NULL;
	gpgme_key_t key = NULL;
	enum err err = key_known(home, fingerprint, &key);

	if (!err && !key) {
		err = keyhome_import(home, escrow_key, &facts);
		if (err == ERR_DATA || (!err && !str_equal_case(facts->fingerprint, fingerprint)))
			err = err_fail(
			    ERR_CONFIG, "what is recorded is not the escrow key %s", fingerprint);
	}
	gpgme_key_unref(key);
	key_facts_free(&facts);
	return err;
}

enum err deposit_seal(struct keyhome *home, struct bytes escrow_key, const char *escrow_fingerprint,
    struct bytes deposit, struct buf *out)
{
	struct buf armored = BUF_INIT;
	enum err err;

	if ((err = escrow_key_import(home, escrow_key, escrow_fingerprint)))
		goto out;
	err = keyhome_encrypt(home, escrow_fingerprint, deposit, &armored);
	if (err == ERR_DATA)
		err = err_prefix(ERR_CONFIG, "the escrow key");
	/* The armor's checksum and last line tell that gpg was not cut short. */
	if (!err)
		err = armor_read(buf_bytes(&armored), "MESSAGE", out, NULL);
out:
	buf_free(&armored);
	return err;
}

/* ---- into a user's home (P7.4) ---- */

/* The deposit's subkey, protected; never in clear where it goes. */
static enum err protect(const char *parent, struct bytes deposit, const char *fingerprint,
    struct bytes password, struct buf *out)
{
	struct vault *vault = NULL;
	enum err err;

	if ((err = vault_make(parent, &vault)) || (err = secret_import(vault_home(vault), deposit)))
		goto out;
	if (password.len &&
	    (err = keyring_set_password(vault_home(vault), fingerprint, bytes_of("", 0), password)))
		goto out;
	err = keyring_export_subkey(vault_home(vault), fingerprint, password, out);
out:
	vault_close(&vault);
	return err;
}

/* A copy that can't be read is nothing that the agent would delete, nor replace. */
static void remove_file(const struct keyhome *user, const char *keygrip)
{
	char *name = str_printf("private-keys-v1.d/%s.key", keygrip),
	     *path = path_join(user->path, name);

	(void)unlink(path);
	str_free(&name);
	str_free(&path);
}

/* gpg keeps a secret that it has, and a copy behind a forgotten password would stay. Its place is known where the public half is. */
static enum err remove_copy(struct keyhome *user, const char *fingerprint)
{
	gpgme_subkey_t subkey = NULL;
	gpgme_key_t key = NULL;
	enum err err = key_get(user, fingerprint,
	    GPGME_KEYLIST_MODE_WITH_SECRET | GPGME_KEYLIST_MODE_WITH_KEYGRIP, &key);

	if (!err && key)
		for (subkey = key->subkeys; subkey && !str_equal_case(subkey->fpr, fingerprint);)
			subkey = subkey->next;
	if (subkey && subkey->secret && !subkey->is_cardkey)
		err = agent_forget_key(keyhome_path(user), subkey->keygrip);
	else if (subkey && !subkey->secret)
		remove_file(user, subkey->keygrip);
	gpgme_key_unref(key);
	return err;
}

static enum err replace(struct keyhome *user, struct bytes secret, const char *fingerprint)
{
	gpgme_subkey_t subkey = NULL;
	gpgme_key_t key = NULL;
	enum err err;

	if ((err = remove_copy(user, fingerprint)) || (err = secret_import(user, secret)))
		return err;
	/* What stood in the way is known now. */
	if (subkey_find(user, fingerprint, &key, &subkey) == ERR_NOUSER &&
	    !(err = remove_copy(user, fingerprint)))
		err = secret_import(user, secret);
	gpgme_key_unref(key);
	return err;
}

enum err deposit_install(struct keyhome *user, const char *parent, struct bytes deposit,
    const char *encryption_fingerprint, struct bytes password)
{
	struct buf secret = BUF_SECRET;
	gpgme_subkey_t subkey = NULL;
	gpgme_key_t key = NULL;
	enum err err;

	if ((err = protect(parent, deposit, encryption_fingerprint, password, &secret)) ||
	    (err = replace(user, buf_bytes(&secret), encryption_fingerprint)) ||
	    (err = subkey_find(user, encryption_fingerprint, &key, &subkey)))
		goto out;
	if (!subkey->is_cardkey)
		err = agent_check_protection(keyhome_path(user), subkey->keygrip, password.len > 0);
out:
	gpgme_key_unref(key);
	buf_free(&secret);
	return err;
}
