/* Keys: looked up, described, imported, exported. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/when.h"
#include "enroll/packets.h"
#include "keys/internal.h"
#include "text/address.h"

#define FACTS_MODE (GPGME_KEYLIST_MODE_SIGS | GPGME_KEYLIST_MODE_SIG_NOTATIONS)

static bool is_current(gpgme_key_t key)
{
	return !key->revoked && !key->expired && !key->invalid && !key->disabled;
}

/* Several keys may answer to an address: the newest usable one, else the newest. */
static bool is_better(gpgme_key_t a, gpgme_key_t b)
{
	if (is_current(a) != is_current(b))
		return is_current(a);
	return a->subkeys->timestamp > b->subkeys->timestamp;
}

static gpgme_error_t list_keys(struct op *op, const char *pattern, struct key_list *list)
{
	gpgme_error_t error = gpgme_op_keylist_start(op->ctx, pattern, 0);
	gpgme_key_t key;

	if (error)
		return error;
	while (!(error = gpgme_op_keylist_next(op->ctx, &key))) {
		list->keys = mem_array(list->keys, list->count + 1, sizeof *list->keys);
		list->keys[list->count++] = key;
	}
	if (gpgme_err_code(error) == GPG_ERR_EOF)
		error = gpgme_op_keylist_end(op->ctx);
	return error;
}

enum err key_list_read(
    struct keyhome *home, const char *pattern, gpgme_keylist_mode_t mode, struct key_list *out)
{
	struct op op;
	enum err err;

	*out = (struct key_list){ 0 };
	op_open(&op, home);
	gpgme_set_keylist_mode(op.ctx, GPGME_KEYLIST_MODE_LOCAL | mode);
	op_arm();
	err = op_done(&op, list_keys(&op, pattern, out), "look up a key", ERR_TEMPORARY);
	op_close(&op);
	if (err)
		key_list_free(out);
	return err;
}

void key_list_free(struct key_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		gpgme_key_unref(list->keys[i]);
	free(list->keys);
	*list = (struct key_list){ 0 };
}

enum err key_get(
    struct keyhome *home, const char *pattern, gpgme_keylist_mode_t mode, gpgme_key_t *out)
{
	char *exact = strchr(pattern, '@') ? str_printf("<%s>", pattern) : str_dup(pattern);
	gpgme_key_t best = NULL;
	struct key_list list;
	enum err err = key_list_read(home, exact, mode, &list);

	for (size_t i = 0; i < list.count; i++)
		if (list.keys[i]->subkeys && (!best || is_better(list.keys[i], best)))
			best = list.keys[i];
	if (best)
		gpgme_key_ref(best);
	*out = best;
	key_list_free(&list);
	str_free(&exact);
	return err;
}

static void copy_id(char *out, size_t size, const char *id)
{
	size_t len = id ? strlen(id) : 0;

	if (len >= size)
		len = size - 1;
	memcpy(out, id ? id : "", len);
	out[len] = '\0';
}

static char *algorithm_of(gpgme_subkey_t subkey)
{
	const char *name = subkey->curve;
	char *text;

	switch (subkey->pubkey_algo) {
	case GPGME_PK_RSA:
	case GPGME_PK_RSA_E:
	case GPGME_PK_RSA_S:
		name = "rsa";
		break;
	case GPGME_PK_DSA:
		name = "dsa";
		break;
	case GPGME_PK_ELG:
	case GPGME_PK_ELG_E:
		name = "elg";
		break;
	default:
		break;
	}
	text = str_dup(name ? name : "unknown");
	for (char *c = text; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return text;
}

static void add_subkey(struct key_facts *facts, gpgme_subkey_t from)
{
	struct key_subkey *to;

	facts->subkeys = mem_array(facts->subkeys, facts->subkey_count + 1, sizeof *facts->subkeys);
	to = &facts->subkeys[facts->subkey_count++];
	*to = (struct key_subkey){
		.algorithm = algorithm_of(from),
		.bits = from->length,
		.created = from->timestamp,
		.expires = from->expires,
		.can_certify = from->can_certify,
		.can_sign = from->can_sign,
		.can_encrypt = from->can_encrypt,
		.can_authenticate = from->can_authenticate,
		.revoked = from->revoked,
		.expired = from->expired,
		.invalid = from->invalid,
		.disabled = from->disabled,
		.secret = from->secret,
		.on_card = from->is_cardkey,
	};
	copy_id(to->fingerprint, sizeof to->fingerprint, from->fpr);
	copy_id(to->keygrip, sizeof to->keygrip, from->keygrip);
}

static bool is_withdrawn(gpgme_user_id_t uid, gpgme_key_sig_t certification)
{
	for (gpgme_key_sig_t sig = uid->signatures; sig; sig = sig->next)
		if (sig->revoked && !sig->status && str_equal(sig->keyid, certification->keyid) &&
		    sig->timestamp >= certification->timestamp)
			return true;
	return false;
}

static void add_certification(struct key_facts *facts, gpgme_user_id_t uid, gpgme_key_sig_t sig)
{
	struct key_certification *to;

	facts->certifications = mem_array(
	    facts->certifications, facts->certification_count + 1, sizeof *facts->certifications);
	to = &facts->certifications[facts->certification_count++];
	*to = (struct key_certification){
		.user_id = str_dup(uid->uid),
		.created = sig->timestamp,
		.expires = sig->expires,
		.revoked = is_withdrawn(uid, sig),
	};
	to->valid = !sig->status && !sig->expired && !sig->invalid && !to->revoked;
	copy_id(to->issuer, sizeof to->issuer, sig->keyid);
}

static void add_user_id(struct key_facts *facts, gpgme_key_t key, gpgme_user_id_t uid)
{
	struct key_user_id *to;

	facts->user_ids =
	    mem_array(facts->user_ids, facts->user_id_count + 1, sizeof *facts->user_ids);
	to = &facts->user_ids[facts->user_id_count++];
	*to = (struct key_user_id){
		.text = str_dup(uid->uid),
		.revoked = uid->revoked,
		.invalid = uid->invalid,
	};
	if (user_id_split(uid->uid, &to->name, &to->address))
		to->name = to->address = NULL;
	for (gpgme_key_sig_t sig = uid->signatures; sig; sig = sig->next)
		if (!sig->revoked && !str_equal(sig->keyid, key->subkeys->keyid))
			add_certification(facts, uid, sig);
}

struct key_facts *key_facts_read(gpgme_key_t key)
{
	struct key_facts *facts = mem_alloc(sizeof *facts);

	copy_id(facts->fingerprint, sizeof facts->fingerprint, key->fpr);
	facts->revoked = key->revoked;
	facts->expired = key->expired;
	facts->invalid = key->invalid;
	facts->secret = key->secret;
	for (gpgme_subkey_t subkey = key->subkeys; subkey; subkey = subkey->next)
		add_subkey(facts, subkey);
	for (gpgme_user_id_t uid = key->uids; uid; uid = uid->next)
		add_user_id(facts, key, uid);
	return facts;
}

void key_forget(struct keyhome *home)
{
	gpgme_key_unref(home->known);
	home->known = NULL;
}

enum err key_known(struct keyhome *home, const char *fingerprint, gpgme_key_t *out)
{
	if (!home->known || !str_equal_case(home->known->fpr, fingerprint))
		return key_get(home, fingerprint, 0, out);
	*out = home->known;
	gpgme_key_ref(*out);
	return ERR_OK;
}

enum err secret_get(struct keyhome *home, const char *fingerprint, gpgme_key_t *out)
{
	enum err err = key_get(home, fingerprint,
	    GPGME_KEYLIST_MODE_WITH_SECRET | GPGME_KEYLIST_MODE_WITH_KEYGRIP, out);

	if (!err && (!*out || !(*out)->secret)) {
		gpgme_key_unref(*out);
		*out = NULL;
		err = err_fail(ERR_NOUSER, "the secret key %s is not here", fingerprint);
	}
	return err;
}

enum err keyhome_facts(
    struct keyhome *home, const char *pattern, bool secret, struct key_facts **facts_out)
{
	gpgme_key_t key = NULL;
	gpgme_keylist_mode_t with_secret = secret ? GPGME_KEYLIST_MODE_WITH_SECRET : 0;
	enum err err;

	*facts_out = NULL;
	if ((err = key_get(home, pattern, FACTS_MODE | with_secret, &key)))
		return err;
	if (key && (!secret || key->secret))
		*facts_out = key_facts_read(key);
	if (home->throw_away && key) {
		key_forget(home);
		home->known = key;
	} else {
		gpgme_key_unref(key);
	}
	return ERR_OK;
}

static bool is_full(const char *path)
{
	struct statvfs space;

	return statvfs(path, &space) == 0 &&
	       (space.f_bavail == 0 || (space.f_files && !space.f_favail));
}

/* Exactly one key came in or was there before (gpg says success for none as well). */
static enum err import_one(struct keyhome *home, struct bytes key, char fingerprint_out[41])
{
	gpgme_import_result_t result;
	gpgme_data_t data = NULL;
	struct op op;
	enum err err;

	op_open(&op, home);
	if ((err = data_from(key, &data)))
		goto out;
	op_arm();
	if ((err = op_done(&op, gpgme_op_import(op.ctx, data), "import the key", ERR_DATA)))
		goto out;
	result = gpgme_op_import_result(op.ctx);
	if (!result || !op_saw(&op, "IMPORT_RES"))
		err = op_unproved("import the key");
	else if (result->considered == 1 && result->not_imported == 0 && result->imports &&
		 !result->imports->result && result->imports->fpr)
		copy_id(fingerprint_out, 41, result->imports->fpr);
	else if (is_full(home->path))
		err = err_fail(ERR_TEMPORARY, "cannot import the key: no space is left");
	else
		err = err_fail(ERR_DATA, "gpg does not accept the key");
out:
	gpgme_data_release(data);
	op_close(&op);
	return err;
}

/* gpg drops what it can't verify without a word. */
static enum err check_whole(const struct key_facts *facts, const struct packet_summary *summary)
{
	if (!facts)
		return err_fail(ERR_DATA, "gpg took the key and does not have it");
	if (facts->subkey_count < summary->subkeys + 1)
		return err_fail(ERR_DATA, "only %zu of %zu subkeys of the key are valid",
		    facts->subkey_count - 1, summary->subkeys);
	if (facts->user_id_count < summary->user_ids)
		return err_fail(ERR_DATA, "only %zu of %zu user IDs of the key are valid",
		    facts->user_id_count, summary->user_ids);
	return ERR_OK;
}

enum err keyhome_import(struct keyhome *home, struct bytes key, struct key_facts **facts_out)
{
	struct packet_summary summary = packets_summarise(key);
	struct key_facts *facts = NULL;
	char fingerprint[FINGERPRINT_SIZE];
	enum err err;

	*facts_out = NULL;
	key_forget(home);
	if (summary.secret_keys)
		return err_fail(ERR_DATA, "this holds a secret key");
	if (summary.malformed || summary.public_keys != 1)
		return err_fail(ERR_DATA, "this is not one OpenPGP public key");
	if ((err = import_one(home, key, fingerprint)) ||
	    (err = keyhome_facts(home, fingerprint, false, &facts)) ||
	    (err = check_whole(facts, &summary)))
		goto out;
	*facts_out = facts;
	facts = NULL;
out:
	key_facts_free(&facts);
	return err;
}

enum err key_export(struct keyhome *home, const char *fingerprint, bool minimal, struct buf *out)
{
	gpgme_export_mode_t mode = minimal ? GPGME_EXPORT_MODE_MINIMAL : 0;
	struct buf key = BUF_INIT;
	struct sink sink = { .out = &key, .max = SIZE_MAX };
	gpgme_data_t data = NULL;
	struct op op;
	enum err err;

	op_open(&op, home);
	if ((err = data_into(&sink, &data)))
		goto out;
	op_arm();
	err = op_done(
	    &op, gpgme_op_export(op.ctx, fingerprint, mode, data), "export the key", ERR_TEMPORARY);
	if (!err && !op_saw(&op, "EXPORT_RES"))
		err = op_unproved("export the key");
	if (!err && packets_summarise(buf_bytes(&key)).public_keys != 1)
		err = err_fail(ERR_NOUSER, "there is no key %s", fingerprint);
	if (!err)
		buf_add(out, key.data, key.len);
out:
	gpgme_data_release(data);
	buf_free(&key);
	op_close(&op);
	return err;
}

enum err keyhome_export(struct keyhome *home, const char *fingerprint, struct buf *out)
{
	return key_export(home, fingerprint, true, out);
}

enum err signer_find(struct keyhome *home, const char *fingerprint)
{
	enum err err;

	if (!home->signer || !str_equal_case(home->signer->fpr, fingerprint)) {
		gpgme_key_unref(home->signer);
		home->signer = NULL;
		if ((err = key_get(home, fingerprint, 0, &home->signer)))
			return err;
	}
	if (!home->signer)
		return err_fail(ERR_UNAVAILABLE, "the signing key %s is not here", fingerprint);
	return ERR_OK;
}

enum err op_sign_by(struct op *op)
{
	gpgme_error_t error = gpgme_signers_add(op->ctx, op->home->signer);

	return error ? err_fail(ERR_SYSTEM, "GPGME: %s", gpgme_strerror(error)) : ERR_OK;
}

enum err key_encryption_subkey(
    struct keyhome *home, const char *fingerprint, char out[FINGERPRINT_SIZE + 1])
{
	gpgme_subkey_t best = NULL;
	gpgme_key_t key = NULL;
	enum err err;

	if ((err = key_known(home, fingerprint, &key)))
		return err;
	for (gpgme_subkey_t s = key && is_current(key) ? key->subkeys : NULL; s; s = s->next)
		if (s->can_encrypt && !s->revoked && !s->expired && !s->invalid && !s->disabled &&
		    (!best || s->timestamp > best->timestamp))
			best = s;
	if (best) {
		copy_id(out, FINGERPRINT_SIZE, best->fpr);
		strcat(out, "!");
	} else {
		err = err_fail(ERR_DATA, "the key %s can't be encrypted to", fingerprint);
	}
	gpgme_key_unref(key);
	return err;
}
