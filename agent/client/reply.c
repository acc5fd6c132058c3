#include <string.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/when.h"
#include "client/opening.h"
#include "client/password.h"
#include "client/reading.h"
#include "enroll/deposit.h"
#include "enroll/keyset.h"
#include "enroll/packets.h"
#include "keys/keyring.h"

#define CONTENT_BYTES_MAX (1024 * 1024)

/* ---- decryption ---- */

static enum err is_here(struct keyhome *home, const char *fingerprint, bool secret, bool *here)
{
	struct key_facts *facts = NULL;
	enum err e = keyhome_facts(home, fingerprint, secret, &facts);

	*here = *here && facts != NULL;
	key_facts_free(&facts);
	return e;
}

/* A gpg that was killed may have lost the keybox; the secret keys are files of their own. */
static enum err repair_home(struct opening *o)
{
	char *path = local_request_path(&o->request, "keys");
	struct buf keys = BUF_INIT;
	bool whole = true;
	enum err e = is_here(o->home, o->request.authority, false, &whole);

	if (e == ERR_OK)
		e = is_here(o->home, o->request.fingerprint, o->request.own_home == NULL, &whole);
	if (e == ERR_OK && !whole) {
		e = file_read(path, CONTENT_BYTES_MAX, &keys);
		if (e == ERR_OK)
			e = keyring_import_local(o->home, buf_bytes(&keys));
	}
	str_free(&path);
	buf_free(&keys);
	return e;
}

static enum err open_homes(struct opening *o)
{
	char *path = local_request_path(&o->request, "h");
	enum err e = keyhome_open(path, true, &o->home);

	if (e == ERR_OK)
		e = repair_home(o);

	if (e == ERR_OK && o->request.own_home != NULL)
		e = keyhome_open(o->request.own_home, false, &o->user);
	str_free(&path);
	return e;
}

void opening_close_homes(struct opening *o)
{
	if (o->home != NULL)
		local_agent_stop(keyhome_path(o->home));
	keyhome_close(&o->home);
	keyhome_close(&o->user);
}

/* The user's own home (--key) does not hold the authority's key yet: whose signature it is shows only in a second pass. */
static enum err decrypt_own(struct opening *o, struct bytes message, struct signatures *signatures)
{
	struct key_facts *facts = NULL;
	struct buf key = BUF_INIT;
	enum err e = keyhome_decrypt(o->user, message, &o->content, signatures);

	if (e != ERR_OK || signatures->count != 1 || signatures->list[0].here)
		return e;
	buf_clear(&o->content);
	e = keyhome_export(o->home, o->request.authority, &key);
	if (e == ERR_OK)
		e = keyhome_import(o->user, buf_bytes(&key), &facts);
	if (e == ERR_OK)
		e = keyhome_decrypt(o->user, message, &o->content, signatures);
	key_facts_free(&facts);
	buf_free(&key);
	return e;
}

/* A key that got its password with the request (P7.1) needs it here for the first time. */
enum err opening_unlock(struct opening *o)
{
	struct bytes given;
	enum err e;

	if (!o->request.protected || o->password.len > 0)
		return ERR_OK;
	e = password_current(o->options->password_file, NULL, o->request.keyset, &o->password);
	given = buf_bytes(&o->password);
	if (e == ERR_OK)
		e = keyring_unlock(o->home, o->request.fingerprint, &given);
	if (e != ERR_OK)
		buf_clear(&o->password);
	return e;
}

/* P6.8: exactly one valid signature, by the key that the pin accepted. */
static enum err check_signature(const struct signatures *signatures, const char *authority)
{
	if (signatures->count != 1 || !signatures->list[0].valid ||
	    !str_equal_case(signatures->list[0].key, authority))
		return err_fail(ERR_PROTOCOL,
		    "this is not signed by the security authority that you asked (%s): nothing was changed; ask your administrator",
		    authority);
	return ERR_OK;
}

static char *saved_content(const struct local_request *request)
{
	return local_request_path(request, "reply");
}

/* What was verified once is kept beside the request, so that opening again after a crash needs no decryption. */
static enum err keep_content(struct opening *o)
{
	char *path = saved_content(&o->request);
	enum err e = file_write(path, 0600, buf_bytes(&o->content));

	if (e == ERR_OK) {
		str_free(&o->request.reply);
		o->request.reply = str_dup(o->hash);
		e = local_request_save(&o->request);
	}
	str_free(&path);
	return e;
}

static enum err load_content(struct opening *o)
{
	char *path = saved_content(&o->request);
	enum err e = file_read(path, CONTENT_BYTES_MAX, &o->content);

	str_free(&path);
	return e;
}

/* ERR_DATA: not for this request. */
static enum err try_message(struct opening *o, const struct buf *message)
{
	struct signatures signatures = { .count = 0 };
	enum err e;

	str_free(&o->hash);
	o->hash = reply_hash(message);
	if (str_equal(o->request.reply, o->hash))
		return load_content(o);
	e = opening_unlock(o);
	if (e == ERR_OK)
		e = o->user != NULL
			? decrypt_own(o, buf_bytes(message), &signatures)
			: keyhome_decrypt(o->home, buf_bytes(message), &o->content, &signatures);
	if (e == ERR_DATA && signatures.for_us)
		e = err_prefix(ERR_PROTOCOL,
		    "the reply was damaged on its way, open the mail itself, or ask again with `countersign request --again`");
	if (e == ERR_OK)
		e = check_signature(&signatures, o->request.authority);
	return e;
}

/* ---- the content ---- */

static const struct message_attachment *find_part(const struct message *mail, const char *type)
{
	for (size_t i = 0; i < mail->attachment_count; i++)
		if (str_equal(mail->attachments[i].type, type))
			return &mail->attachments[i];
	return NULL;
}

static bool is_answer(const struct local_request *request, enum reply_result result)
{
	if (request->renews != NULL)
		return result == REPLY_RENEWED;
	return result == REPLY_ENROLLED || result == REPLY_RECOVERED;
}

static enum err check_fields(const struct opening *o)
{
	const struct local_request *request = &o->request;
	const struct reply *reply = &o->fields;
	char asked[KEYSET_NAME_MAX + 1], got[KEYSET_NAME_MAX + 1];
	const char *what = NULL;

	if (!is_answer(request, reply->result))
		return err_fail(ERR_PROTOCOL,
		    "the reply says \"%s\", which is not what you asked for: nothing was changed",
		    reply_result_name(reply->result));
	if (!local_request_has_id(request, reply->request_id))
		what = "request";
	else if (!str_equal(reply->address, request->address))
		what = "address";
	else if (reply->keyset == NULL || !keyset_name_valid(reply->keyset) ||
		 !str_equal(keyset_name_fold(reply->keyset, got),
		     keyset_name_fold(request->keyset, asked)))
		what = "keyset";
	else if (!str_equal_case(reply->fingerprint, request->fingerprint))
		what = "key";
	else if (!str_equal_case(reply->authority, request->authority))
		what = "authority";
	else if (reply->nonce == NULL)
		what = "confirmation";
	return what == NULL
		   ? ERR_OK
		   : err_fail(ERR_PROTOCOL,
			 "the reply is about another %s than the one you asked for: nothing was changed",
			 what);
}

static bool certifies(const struct key_certification *certification, const struct opening *o,
    const struct key_facts *facts)
{
	if (certification->revoked || !certification->valid ||
	    !str_equal_case(certification->issuer, o->request.authority + 24) ||
	    (certification->expires != 0 && certification->expires <= when_now()))
		return false;
	for (size_t i = 0; i < facts->user_id_count; i++)
		if (str_equal(facts->user_ids[i].text, certification->user_id) &&
		    !facts->user_ids[i].revoked &&
		    str_equal(facts->user_ids[i].address, o->request.address))
			return true;
	return false;
}

/* P6.8: a valid, unexpired certification by the authority on that user ID. */
static enum err check_certification(struct opening *o, const struct key_facts *facts)
{
	o->certified_until = o->fields.certified_until;
	for (size_t i = 0; i < facts->certification_count; i++)
		if (certifies(&facts->certifications[i], o, facts)) {
			if (facts->certifications[i].expires != 0)
				o->certified_until = facts->certifications[i].expires;
			return ERR_OK;
		}
	return err_fail(ERR_PROTOCOL,
	    "the key in the reply carries no valid certification by the authority for %s: nothing was changed",
	    o->request.address);
}

static void note_encryption(struct opening *o, const struct key_facts *facts)
{
	const struct key_subkey *subkey = key_encryption(facts);

	if (subkey != NULL)
		memcpy(o->encryption, subkey->fingerprint, sizeof(o->encryption));
}

/* The key parts are told apart by fingerprint, not by their names. */
static enum err take_key(struct opening *o, struct keyhome *scratch, const struct buf *armored)
{
	struct key_facts *facts = NULL;
	struct buf binary = BUF_INIT;
	enum err e = armor_read(buf_bytes(armored), "PUBLIC KEY BLOCK", &binary, NULL);

	if (e == ERR_OK)
		e = keyhome_import(scratch, buf_bytes(&binary), &facts);
	if (e == ERR_OK && str_equal_case(facts->fingerprint, o->request.fingerprint)) {
		e = check_certification(o, facts);
		note_encryption(o, facts);
		buf_clear(&o->key);
		buf_add(&o->key, binary.data, binary.len);
	}
	key_facts_free(&facts);
	buf_free(&binary);
	return e;
}

static enum err copy_authority(struct opening *o, struct keyhome *scratch)
{
	struct key_facts *facts = NULL;
	struct buf key = BUF_INIT;
	enum err e = keyhome_export(o->home, o->request.authority, &key);

	if (e == ERR_OK)
		e = keyhome_import(scratch, buf_bytes(&key), &facts);
	key_facts_free(&facts);
	buf_free(&key);
	return e;
}

/* In a throw-away home: what is rejected leaves nothing in the pending one. */
static enum err check_key(struct opening *o, const struct message *content)
{
	struct keyhome *scratch = NULL;
	char *path = NULL;
	enum err e = local_scratch_make(&path);

	if (e == ERR_OK)
		e = keyhome_open(path, true, &scratch);
	if (e == ERR_OK)
		e = copy_authority(o, scratch);
	for (size_t i = 0; e == ERR_OK && i < content->attachment_count; i++)
		if (str_equal(content->attachments[i].type, "application/pgp-keys"))
			e = take_key(o, scratch, &content->attachments[i].data);
	if (e == ERR_OK && o->key.len == 0)
		e = err_fail(
		    ERR_PROTOCOL, "your certified key is not in the reply: nothing was changed");
	keyhome_close(&scratch);
	local_scratch_remove(&path);
	return e;
}

/* ---- what a recovery brings back (P5.5) ---- */

static enum err open_part(struct opening *o, const char *fingerprint, struct bytes sealed)
{
	struct old_key *old = &o->old_keys[o->old_key_count];
	uint8_t token_key[TOKEN_KEY_BYTES];
	struct buf associated = BUF_INIT;
	enum err e;

	if (o->old_key_count == OLD_KEYS_MAX)
		return err_fail(ERR_DATA, "it brings more than %d old keys", OLD_KEYS_MAX);
	if (o->request.token_key == NULL || o->request.recovery_key.len != RECOVERY_KEY_BYTES ||
	    hex_read(o->request.token_key, token_key, sizeof(token_key)) != ERR_OK)
		return err_fail(ERR_DATA, "what was kept of the token is damaged");
	deposit_associated(token_key, o->request.address, fingerprint, &associated);
	*old = (struct old_key){ .deposit = BUF_SECRET };
	memcpy(old->fingerprint, fingerprint, sizeof(old->fingerprint));
	e = recovery_open(
	    o->request.recovery_key.data, buf_bytes(&associated), sealed, &old->deposit);
	if (e == ERR_OK)
		o->old_key_count++;
	else
		o->lost_key_count++;
	buf_free(&associated);
	return ERR_OK;
}

static enum err take_old_keys(struct opening *o, const struct message *content)
{
	char fingerprint[FINGERPRINT_SIZE];
	enum err e = ERR_OK;

	for (size_t i = 0; e == ERR_OK && i < content->attachment_count; i++) {
		const struct message_attachment *part = &content->attachments[i];

		if (str_equal(part->type, DEPOSIT_TYPE) && part->name != NULL &&
		    deposit_part_read(part->name, fingerprint))
			e = open_part(o, fingerprint, buf_bytes(&part->data));
	}
	return e;
}

static enum err check_content(struct opening *o)
{
	const struct message_attachment *part;
	struct message content;
	enum err e = reading_mail(buf_bytes(&o->content), &content);

	if (e != ERR_OK)
		goto out;
	part = find_part(&content, REPLY_TYPE);
	e = part != NULL ? reply_parse(buf_bytes(&part->data), &o->fields)
			 : err_fail(ERR_DATA, "what it says is not there");
	if (e == ERR_OK)
		e = check_fields(o);
	if (e == ERR_OK)
		e = check_key(o, &content);
	if (e == ERR_OK && o->fields.result == REPLY_RECOVERED)
		e = take_old_keys(o, &content);
	if (e == ERR_DATA)
		e = err_prefix(e, "the reply is damaged");
out:
	message_free(&content);
	return e;
}

/* ---- refusals ---- */

/* P6.5: ERR_DATA when it is none for this request. */
static enum err try_refusal(struct opening *o, const struct buf *cleartext)
{
	struct signatures signatures = { .count = 0 };
	struct buf text = BUF_INIT;
	struct reply reply = { 0 };
	enum err e =
	    keyhome_verify(o->home, buf_bytes(cleartext), bytes_of("", 0), &text, &signatures);

	if (e == ERR_OK)
		e = reply_parse(buf_bytes(&text), &reply);
	if (e == ERR_OK &&
	    (reply.result != REPLY_REFUSED || !local_request_has_id(&o->request, reply.request_id)))
		e = err_fail(ERR_DATA, "it refuses another request");
	if (e == ERR_OK)
		e = check_signature(&signatures, o->request.authority);
	if (e == ERR_OK) {
		str_free(&o->request.refusal);
		o->request.refusal = str_printf("%s %s", reply.what, reply.advice);
		o->request.refused = when_now();
		e = local_request_save(&o->request);
	}
	if (e == ERR_OK)
		e = err_fail(ERR_DENIED, "the security authority refused the request (%s): %s",
		    reason_code(reply.reason), o->request.refusal);
	reply_free(&reply);
	buf_free(&text);
	return e;
}

/* ---- all requests against all that was given ---- */

/* ERR_DATA: nothing given belongs to this request. */
static enum err try_request(struct opening *o)
{
	enum err e = open_homes(o), one = ERR_DATA;

	for (size_t i = 0; e == ERR_OK && one == ERR_DATA && i < o->message_count; i++) {
		one = try_message(o, &o->messages[i]);
		if (one != ERR_OK)
			buf_clear(&o->content);
	}
	for (size_t i = 0; e == ERR_OK && one == ERR_DATA && i < o->cleartext_count; i++)
		one = try_refusal(o, &o->cleartexts[i]);
	return e != ERR_OK ? e : one;
}

/* Those that need a password come last, so that it is asked for only when no other fits. */
static enum err find_request(struct opening *o)
{
	struct local_request *list = NULL;
	size_t count = 0;
	bool found = false;
	enum err e = local_request_list(&list, &count), one = ERR_DATA;

	for (int pass = 0; e == ERR_OK && pass < 2; pass++)
		for (size_t i = 0; !found && i < count; i++) {
			if ((list[i].protected && list[i].reply == NULL) != (pass == 1))
				continue;
			o->request = list[i];
			one = try_request(o);
			found = one != ERR_DATA;
			if (found) {
				memset(&list[i], 0, sizeof(list[i]));
			} else {
				opening_close_homes(o);
				buf_clear(&o->password);
				memset(&o->request, 0, sizeof(o->request));
			}
		}
	if (e == ERR_OK)
		e = found
			? one
			: err_fail(ERR_NOUSER,
			      "this reply answers no request made here: open it on the computer where you made the request; "
			      "if that is gone, ask your administrator to recover");
	local_request_list_free(&list, count);
	return e;
}

enum err reply_verify(struct opening *o)
{
	enum err e = find_request(o);

	if (e == ERR_OK)
		e = check_content(o);
	if (e == ERR_OK && !str_equal(o->request.reply, o->hash))
		e = keep_content(o);
	return e;
}
