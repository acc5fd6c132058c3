#include <string.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/when.h"
#include "client/ask.h"
#include "client/level.h"
#include "client/opening.h"
#include "client/password.h"
#include "client/post.h"
#include "enroll/keyset.h"
#include "enroll/packets.h"
#include "enroll/request.h"
#include "keys/deposit.h"
#include "keys/keyring.h"
#include "text/address.h"

#define CONFIRMATION_BYTES_MAX 65536

/* Where the key lives until now: the pending home, or the user's own (--key). */
static struct keyhome *key_home(const struct opening *o)
{
	return o->request.own_home != NULL ? o->user : o->home;
}

/* P5.4: the nonce, signed with the new key. */
static enum err seal_confirmation(struct opening *o, struct buf *out)
{
	struct confirmation confirmation = { .id = o->fields.request_id,
		.address = o->request.address,
		.keyset = o->fields.keyset,
		.nonce = o->fields.nonce };
	struct buf text = BUF_INIT;
	enum err e;

	memcpy(confirmation.fingerprint, o->request.fingerprint, sizeof(confirmation.fingerprint));
	memcpy(confirmation.authority, o->request.authority, sizeof(confirmation.authority));
	confirmation_write(&confirmation, &text);
	e = keyhome_seal(
	    key_home(o), o->request.fingerprint, o->request.authority, buf_bytes(&text), out);
	buf_free(&text);
	return e;
}

static enum err import_into(struct keyhome *home, const struct buf *key)
{
	struct key_facts *facts = NULL;
	enum err e = keyhome_import(home, buf_bytes(key), &facts);

	key_facts_free(&facts);
	return e;
}

/*
 * While the new key can still be used without asking: the trust in the authority (P7.5) and the confirmation. The file
 * comes last and says that both are done; the key has no new password before.
 */
static enum err prepare(struct opening *o, struct buf *confirmation)
{
	char *path = local_request_path(&o->request, "confirmation");
	enum err e = ERR_OK;

	if (file_exists(path)) {
		e = file_read(path, CONFIRMATION_BYTES_MAX, confirmation);
		goto out;
	}
	e = import_into(key_home(o), &o->key);
	if (e == ERR_OK)
		e = keyring_trust_introducer(key_home(o), o->request.fingerprint,
		    o->request.authority, address_domain(o->request.authority_address));
	if (e == ERR_OK)
		e = seal_confirmation(o, confirmation);
	if (e == ERR_OK)
		e = file_write(path, 0600, buf_bytes(confirmation));
out:
	str_free(&path);
	return e;
}

/* After a crash all or some of its parts have the password that was chosen then: the same one is right, another is not. */
static enum err protect(struct opening *o)
{
	struct bytes password = buf_bytes(&o->password);
	enum err e;

	if (o->request.protected || o->password.len == 0)
		return ERR_OK;
	e = keyring_set_password(o->home, o->request.fingerprint, bytes_of("", 0), password);
	return e == ERR_DENIED
		   ? err_fail(e,
			 "that is not the password that was chosen when this reply was first opened")
		   : e;
}

static enum err copy_local(struct keyhome *from, struct keyhome *to, const char *fingerprint)
{
	struct buf key = BUF_INIT;
	enum err e = keyring_export_local(from, fingerprint, &key);

	if (e == ERR_OK)
		e = keyring_import_local(to, buf_bytes(&key));
	buf_free(&key);
	return e;
}

/* gpg made one beside the new key: where gpg would look for it, the user finds it too. */
static enum err copy_revocation(const struct opening *o)
{
	char *name = str_printf("openpgp-revocs.d/%s.rev", o->request.fingerprint),
	     *from = path_join(keyhome_path(o->home), name),
	     *to = path_join(keyhome_path(o->user), name),
	     *directory = path_join(keyhome_path(o->user), "openpgp-revocs.d");
	struct buf certificate = BUF_INIT;
	enum err e = ERR_OK;

	if (!file_exists(from) || file_exists(to))
		goto out;
	e = file_read(from, CONFIRMATION_BYTES_MAX, &certificate);
	if (e == ERR_OK)
		e = file_make_dir(directory, 0700);
	if (e == ERR_OK)
		e = file_write(to, 0600, buf_bytes(&certificate));
out:
	buf_free(&certificate);
	str_free(&name);
	str_free(&from);
	str_free(&to);
	str_free(&directory);
	return e;
}

/* P7.1: the keyset enters the user's home. All of it may be done twice. */
static enum err transfer(struct opening *o)
{
	struct bytes password = buf_bytes(&o->password);
	struct key_facts *facts = NULL;
	struct buf secret = BUF_SECRET;
	enum err e = keyring_export_secret(o->home, o->request.fingerprint, password, &secret);

	if (e == ERR_OK)
		e = keyring_import_secret(
		    o->user, buf_bytes(&secret), o->request.fingerprint, password);
	if (e == ERR_OK)
		e = copy_local(o->home, o->user, o->request.fingerprint);
	if (e == ERR_OK)
		e = copy_local(o->home, o->user, o->request.authority);
	if (e == ERR_OK)
		e = copy_revocation(o);
	if (e == ERR_OK)
		e = keyhome_facts(o->user, o->request.fingerprint, true, &facts);
	if (e == ERR_OK && facts == NULL)
		e = err_fail(ERR_SOFTWARE, "the key did not arrive in %s", keyhome_path(o->user));
	key_facts_free(&facts);
	buf_free(&secret);
	return e;
}

/* P7.4: what one password opens is all that the user has to remember. */
static enum err install_old_keys(struct opening *o)
{
	char *scratch = NULL;
	enum err e = o->old_key_count > 0 ? local_scratch_make(&scratch) : ERR_OK;

	for (size_t i = 0; e == ERR_OK && i < o->old_key_count; i++) {
		const struct old_key *old = &o->old_keys[i];

		e = ask_interrupted();
		if (e == ERR_OK)
			e = deposit_install(o->user, scratch, buf_bytes(&old->deposit),
			    old->fingerprint, buf_bytes(&o->password));
		if (e == ERR_OK && !local_has_word(o->keyset.old_keys, old->fingerprint))
			local_add_word(&o->keyset.old_keys, old->fingerprint);
	}
	local_scratch_remove(&scratch);
	return e;
}

/* What a reply of either kind brings. */
static enum err keep_certified(struct opening *o, struct buf *confirmation)
{
	struct local_keyset *keyset = &o->keyset;

	keyset->deposited = o->request.deposited ||
			    (keyset->deposited && str_equal(keyset->encryption, o->encryption));
	memcpy(keyset->encryption, o->encryption, sizeof(keyset->encryption));
	keyset->certified_until = o->certified_until;
	local_add_word(&keyset->reply, o->hash);
	str_free(&keyset->pending);
	keyset->pending = str_dup(o->request.id);
	buf_clear(&keyset->confirmation);
	buf_add(&keyset->confirmation, confirmation->data, confirmation->len);
	return local_keyset_save(keyset);
}

/* From here on the keyset counts as installed. */
static enum err keep_keyset(struct opening *o, struct buf *confirmation)
{
	struct local_keyset *keyset = &o->keyset;

	keyset->address = str_dup(o->request.address);
	keyset->keyset = str_dup(o->fields.keyset);
	memcpy(keyset->fingerprint, o->request.fingerprint, sizeof(keyset->fingerprint));
	memcpy(keyset->authority, o->request.authority, sizeof(keyset->authority));
	keyset->authority_address = str_dup(o->request.authority_address);
	keyset->level = str_dup(o->level);
	keyset->home = str_dup(keyhome_path(o->user));
	keyset->installed = when_now();
	keyset->recovered = o->fields.result == REPLY_RECOVERED;
	return keep_certified(o, confirmation);
}

enum err install(struct opening *o)
{
	struct buf confirmation = BUF_INIT;
	enum err e = prepare(o, &confirmation);

	if (e == ERR_OK && o->request.own_home == NULL) {
		ask_progress("Installing your keys");
		e = protect(o);
		if (e == ERR_OK)
			e = transfer(o);
		ask_progress_end(e == ERR_OK);
	}
	if (e == ERR_OK && o->request.renews != NULL)
		e = keep_certified(o, &confirmation);
	else if (e == ERR_OK && (e = install_old_keys(o)) == ERR_OK)
		e = keep_keyset(o, &confirmation);
	buf_free(&confirmation);
	return e;
}

/* An older keyset of the same name gives way, to a recovered one every older one (P5.5); their keys stay, for old mail. */
static enum err supersede_older(const struct local_keyset *keyset)
{
	struct local_keyset *list = NULL;
	size_t count = 0;
	char name[KEYSET_NAME_MAX + 1], other[KEYSET_NAME_MAX + 1];
	enum err e = local_keyset_list(&list, &count);

	keyset_name_fold(keyset->keyset, name);
	for (size_t i = 0; e == ERR_OK && i < count; i++)
		if (!str_equal(list[i].id, keyset->id) &&
		    str_equal(list[i].address, keyset->address) && list[i].superseded == 0 &&
		    list[i].installed <= keyset->installed &&
		    (keyset->recovered ||
			str_equal(keyset_name_fold(list[i].keyset, other), name))) {
			list[i].superseded = when_now();
			e = local_keyset_save(&list[i]);
		}
	local_keyset_list_free(&list, count);
	return e;
}

static enum err confirm(const struct options *options, struct local_keyset *keyset)
{
	enum err e;

	if (keyset->confirmation.len == 0)
		return ERR_OK;
	e = post_send(options, keyset->address, keyset->authority_address,
	    "Enrollment confirmation", buf_bytes(&keyset->confirmation));
	if (e != ERR_OK)
		return err_prefix(ERR_TEMPORARY,
		    "the keyset \"%s\" is installed, but its confirmation was not sent (open the reply again to send it, with --output FILE to write it)",
		    keyset->keyset);
	buf_clear(&keyset->confirmation);
	keyset->confirmed = when_now();
	return local_keyset_save(keyset);
}

enum err install_finish(const struct options *options, struct local_keyset *keyset)
{
	enum err e = supersede_older(keyset);

	if (e == ERR_OK && !str_equal(keyset->level, "own"))
		e = level_apply(keyset->home);
	if (e == ERR_OK && keyset->pending != NULL) {
		e = local_request_remove(keyset->pending);
		str_free(&keyset->pending);
		if (e == ERR_OK)
			e = local_keyset_save(keyset);
	}
	return e == ERR_OK ? confirm(options, keyset) : e;
}
