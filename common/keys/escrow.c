/*
 * The escrow key at work. Its home, often on removable media, is only read: what it holds is copied into a vault, and protected there by a random
 * password that costs gpg-agent no time. So nothing is left behind on the medium, and nothing clear in the vault, should we be killed.
 */
#include <stdlib.h>

#include "base/encode.h"
#include "base/file.h"
#include "keys/agent.h"
#include "keys/deposit.h"
#include "keys/internal.h"
#include "keys/keyring.h"
#include "secret/secret.h"

#define FILE_BYTES_MAX ((size_t)4 << 20)
#define PASSWORD_BYTES 20
#define KEYS "private-keys-v1.d"

struct escrow {
	struct vault *vault;
};

static enum err copy_file(const char *from, const char *to, const char *name)
{
	char *source = path_join(from, name);
	struct buf content = BUF_SECRET;
	enum err err = file_read(source, FILE_BYTES_MAX, &content);

	if (!err)
		err = home_write(to, name, buf_bytes(&content));
	buf_free(&content);
	str_free(&source);
	return err;
}

/* Its primary's secret may be kept elsewhere. */
static enum err copy_secrets(gpgme_key_t key, const char *from, const char *to, size_t *count_out)
{
	enum err err = ERR_OK;

	*count_out = 0;
	for (gpgme_subkey_t s = key->subkeys; s && !err; s = s->next) {
		char *name = str_printf(KEYS "/%s.key", s->keygrip), *path = path_join(from, name);

		if (file_exists(path) && !(err = copy_file(from, to, name)))
			(*count_out)++;
		str_free(&name);
		str_free(&path);
	}
	return err;
}

static enum err copy_key(
    struct keyhome *copy, const char *from, const char *fingerprint, gpgme_key_t *key_out)
{
	char *keys = path_join(copy->path, KEYS);
	size_t count = 0;
	enum err err;

	if ((err = copy_file(from, copy->path, "pubring.kbx")) ||
	    (err = key_get(copy, fingerprint, GPGME_KEYLIST_MODE_WITH_KEYGRIP, key_out)) ||
	    (err = file_make_dir(keys, 0700)))
		goto out;
	if (*key_out)
		err = copy_secrets(*key_out, from, copy->path, &count);
	if (!err && count == 0)
		err = err_fail(ERR_DATA,
		    "%s does not hold the secret of the escrow key %s; another home may be meant",
		    from, fingerprint);
out:
	str_free(&keys);
	return err;
}

static enum err old_password(gpgme_key_t key, const struct keyhome *copy, const char *from,
    const struct bytes *given, struct buf *out)
{
	char *prompt;
	enum err err = ERR_OK;

	if (!agent_check_protected(copy->path, key, false))
		return ERR_OK;
	if (given) {
		buf_add(out, given->data, given->len);
	} else {
		prompt = str_printf("Passphrase of the escrow key in %s", from);
		err = agent_ask(default_home(), prompt, NULL, false, out);
		str_free(&prompt);
	}
	if (!err && out->len == 0)
		err = err_fail(ERR_DENIED, "the passphrase of the escrow key is empty");
	return err;
}

static enum err set_password(struct keyhome *copy, gpgme_key_t key, struct bytes old)
{
	uint8_t random[PASSWORD_BYTES];
	struct buf password = BUF_SECRET;
	enum err err;

	secret_random(random, sizeof random);
	hex_add(&password, bytes_of(random, sizeof random));
	err = keyring_set_password(copy, key->fpr, old, buf_bytes(&password));
	if (err == ERR_DENIED)
		err = err_fail(ERR_DENIED, "the passphrase of the escrow key is wrong");
	for (gpgme_subkey_t s = key->subkeys; s && !err; s = s->next)
		err = agent_preset(copy->path, s->keygrip, buf_bytes(&password));
	mem_wipe(random, sizeof random);
	buf_free(&password);
	return err;
}

enum err escrow_open(const char *home, const char *parent, const char *fingerprint,
    const struct bytes *passphrase, struct escrow **out)
{
	struct escrow *escrow = mem_alloc(sizeof *escrow);
	struct buf old = BUF_SECRET;
	gpgme_key_t key = NULL;
	struct keyhome *copy;
	enum err err;

	*out = NULL;
	if ((err = vault_make(parent, &escrow->vault)))
		goto out;
	copy = vault_home(escrow->vault);
	if ((err = copy_key(copy, home, fingerprint, &key)) ||
	    (err = old_password(key, copy, home, passphrase, &old)) ||
	    (err = set_password(copy, key, buf_bytes(&old))))
		goto out;
	*out = escrow;
	escrow = NULL;
out:
	gpgme_key_unref(key);
	buf_free(&old);
	escrow_close(&escrow);
	return err;
}

enum err escrow_unseal(struct escrow *escrow, struct bytes sealed, struct buf *out)
{
	struct signatures none;
	enum err err = keyhome_decrypt(vault_home(escrow->vault), sealed, out, &none);

	return err && !err_is_passing(err) ? err_prefix(ERR_DATA, "a deposit") : err;
}

enum err escrow_reseal(struct escrow *escrow, struct bytes sealed, struct bytes new_key,
    const char *new_fingerprint, struct buf *out)
{
	struct buf clear = BUF_SECRET;
	enum err err = escrow_unseal(escrow, sealed, &clear);

	if (!err)
		err = deposit_seal(
		    vault_home(escrow->vault), new_key, new_fingerprint, buf_bytes(&clear), out);
	buf_free(&clear);
	return err;
}

void escrow_close(struct escrow **escrow)
{
	if (!*escrow)
		return;
	vault_close(&(*escrow)->vault);
	free(*escrow);
	*escrow = NULL;
}
