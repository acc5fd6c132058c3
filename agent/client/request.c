#include "client/request.h"

#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/when.h"
#include "client/ask.h"
#include "client/given.h"
#include "client/password.h"
#include "client/post.h"
#include "client/reading.h"
#include "enroll/request.h"
#include "keys/keyring.h"

enum err making_read_mail(struct making *m)
{
	struct buf bytes = BUF_SECRET;
	enum err e;

	if (m->options->operand == NULL)
		return ERR_OK;
	e = file_read(m->options->operand, READING_BYTES_MAX, &bytes);
	if (e == ERR_OK) {
		e = reading_mail(buf_bytes(&bytes), &m->mail);
		if (e != ERR_OK)
			e = err_prefix(e, "%s",
			    str_equal(m->options->operand, "-") ? "standard input"
								: m->options->operand);
	}
	m->has_mail = e == ERR_OK;
	buf_free(&bytes);
	return e;
}

static enum err open_pending(struct making *m)
{
	char *path;
	enum err e = local_request_make(&m->request);

	if (e != ERR_OK)
		return e;
	path = local_request_path(&m->request, "h");
	e = keyhome_open(path, true, &m->home);
	str_free(&path);
	return e;
}

static enum err find_authority(struct making *m)
{
	enum err e = authority_find(
	    m->home, m->options, m->has_mail ? &m->mail : NULL, m->request.address, &m->authority);

	if (e != ERR_OK)
		return e;
	memcpy(m->request.authority, m->authority.fingerprint, sizeof(m->request.authority));
	m->request.authority_address = str_dup(m->authority.address);
	return ERR_OK;
}

static enum err find_token(struct making *m)
{
	bool given;
	enum err e = given_token(
	    m->options, m->has_mail ? &m->mail : NULL, &m->authority, false, &m->token, &given);

	return e == ERR_OK ? authority_accept(m->options, m->request.address, &m->authority) : e;
}

static enum err make_key(struct making *m)
{
	char *user_id = m->request.name != NULL
			    ? str_printf("%s <%s>", m->request.name, m->request.address)
			    : str_dup(m->request.address);
	enum err e;

	ask_progress("Making your keys");
	e = keyring_create_user(m->home, user_id, buf_bytes(&m->password), m->request.fingerprint);
	ask_progress_end(e == ERR_OK);
	str_free(&user_id);
	return e;
}

static bool names_address(const struct key_facts *facts, const char *address)
{
	for (size_t i = 0; i < facts->user_id_count; i++)
		if (!facts->user_ids[i].revoked && str_equal(facts->user_ids[i].address, address))
			return true;
	return false;
}

/* What the authority asks of a key (P4.7), as far as it would be a pity to learn it by mail. */
static bool can_serve(const struct key_facts *facts)
{
	bool sign = false, encrypt = false;

	for (size_t i = 0; i < facts->subkey_count; i++) {
		const struct key_subkey *subkey = &facts->subkeys[i];

		if (subkey->revoked || subkey->expired || subkey->invalid || subkey->disabled)
			continue;
		sign = sign || subkey->can_sign;
		encrypt = encrypt || subkey->can_encrypt;
	}
	return sign && encrypt;
}

/* P7.1: --key, a key that the user has already. */
static enum err take_own_key(struct making *m)
{
	struct key_facts *facts = NULL;
	enum err e = keyhome_open(m->options->home, false, &m->own);

	if (e == ERR_OK)
		e = keyhome_facts(m->own, m->options->key, true, &facts);
	if (e != ERR_OK)
		return e;
	if (facts == NULL)
		e = err_fail(ERR_NOUSER, "there is no secret key %s in %s", m->options->key,
		    keyhome_path(m->own));
	else if (facts->revoked || facts->expired)
		e = err_fail(ERR_DATA, "the key %s is revoked or expired", facts->fingerprint);
	else if (!can_serve(facts))
		e = err_fail(
		    ERR_DATA, "the key %s can't both sign and decrypt", facts->fingerprint);
	else if (!names_address(facts, m->request.address))
		e = err_fail(ERR_DATA, "the key %s has no user ID of %s", facts->fingerprint,
		    m->request.address);
	if (e == ERR_OK) {
		memcpy(m->request.fingerprint, facts->fingerprint, sizeof(m->request.fingerprint));
		m->request.own_home = str_dup(keyhome_path(m->own));
	}
	key_facts_free(&facts);
	return e;
}

static char *hex_text(const uint8_t *bytes, size_t len)
{
	struct buf text = BUF_INIT;

	hex_add(&text, bytes_of(bytes, len));
	return buf_take_text(&text);
}

/* P5.5: of the token only what opens a recovery is kept, and what tells it from another. */
static void keep_token(struct making *m, const struct request *request)
{
	uint8_t key[RECOVERY_KEY_BYTES];

	if (request->kind == REQUEST_RENEW)
		return;
	str_free(&m->request.token_key);
	m->request.token_key = hex_text(request->token_key, sizeof(request->token_key));
	recovery_key_make(m->token.seed, key);
	buf_clear(&m->request.recovery_key);
	buf_add(&m->request.recovery_key, key, sizeof(key));
	mem_wipe(key, sizeof(key));
}

enum err making_write(struct making *m)
{
	struct request request = { .id = request_id_make(),
		.kind = m->request.renews != NULL ? REQUEST_RENEW : REQUEST_ENROLL,
		.deposit = BUF_SECRET,
		.address = str_dup(m->request.address),
		.name = str_dup(m->request.name),
		.keyset = str_dup(m->request.keyset),
		.created = when_now() };
	struct buf text = BUF_SECRET;
	enum err e;

	memcpy(request.fingerprint, m->request.fingerprint, sizeof(request.fingerprint));
	memcpy(request.authority, m->request.authority, sizeof(request.authority));
	e = keyhome_export(m->own != NULL ? m->own : m->home, m->request.fingerprint, &request.key);
	if (e == ERR_OK) {
		buf_add(&request.deposit, m->deposit.data, m->deposit.len);
		request_write(&request, m->token.seed, &text);
		e = prior_seal(
		    m->options, &m->prior, m->home, &m->authority, buf_bytes(&text), &m->sealed);
	}
	if (e == ERR_OK) {
		local_add_word(&m->request.request_ids, request.id);
		keep_token(m, &request);
		m->request.deposited = request.deposit.len > 0;
		if (m->request.created == 0)
			m->request.created = request.created;
	}
	request_free(&request);
	buf_free(&text);
	return e;
}

/* gpg loses its whole keybox when it is killed at the wrong moment: what is in it is kept beside it, too. */
static enum err keep_keys(struct making *m)
{
	char *path = local_request_path(&m->request, "keys");
	struct buf keys = BUF_INIT;
	enum err e =
	    keyhome_export(m->own != NULL ? m->own : m->home, m->request.fingerprint, &keys);

	if (e == ERR_OK)
		e = keyhome_export(m->home, m->request.authority, &keys);
	if (e == ERR_OK)
		e = file_write(path, 0600, buf_bytes(&keys));
	buf_free(&keys);
	str_free(&path);
	return e;
}

enum err making_keep(struct making *m)
{
	char *path = local_request_path(&m->request, "request");
	enum err e = ask_interrupted();

	if (e == ERR_OK)
		e = keep_keys(m);
	if (e == ERR_OK)
		e = local_request_save(&m->request);
	if (e == ERR_OK) {
		m->kept = true;
		e = file_write(path, 0600, buf_bytes(&m->sealed));
	}
	str_free(&path);
	return e;
}

static void tell(const struct making *m)
{
	const char *output = m->options->output;

	if (m->request.renews != NULL && output == NULL)
		post_say(m->options, "The renewal of the keyset \"%s\" is on its way to %s.",
		    m->request.keyset, m->request.authority_address);
	else if (output != NULL)
		post_say(m->options,
		    "The request for the keyset \"%s\" is written: mail %s to %s as it is.",
		    m->request.keyset, str_equal(output, "-") ? "it" : output,
		    m->request.authority_address);
	else
		post_say(m->options, "The request for the keyset \"%s\" is on its way to %s.",
		    m->request.keyset, m->request.authority_address);
	if (m->request.deposited)
		post_say(m->options,
		    "With it goes a sealed copy of your encryption key, so that a lost key is not lost mail.");
	post_say(m->options,
	    "When the reply comes, open its attachment reply.countersign on this computer, or run `countersign open FILE`.");
}

enum err making_send(struct making *m)
{
	enum err e = post_send(m->options, m->request.address, m->request.authority_address,
	    "Enrollment request", buf_bytes(&m->sealed));

	if (e != ERR_OK)
		return e;
	m->request.sent = when_now();
	m->request.refused = 0;
	str_free(&m->request.refusal);
	e = local_request_save(&m->request);
	if (e == ERR_OK)
		tell(m);
	return e;
}

void making_clear(struct making *m)
{
	if (m->home != NULL)
		local_agent_stop(keyhome_path(m->home));
	keyhome_close(&m->home);
	keyhome_close(&m->own);
	prior_close(&m->prior);
	token_wipe(&m->token);
	message_free(&m->mail);
	local_profile_clear(&m->profile);
	local_authority_clear(&m->authority);
	local_request_clear(&m->request);
	buf_free(&m->password);
	buf_free(&m->deposit);
	buf_free(&m->sealed);
}

/* P7.1: old requests that were never answered. */
static enum err offer_removal(void)
{
	struct local_request *list = NULL;
	size_t count = 0;
	enum err e = ask_possible() ? local_request_list(&list, &count) : ERR_OK;

	for (size_t i = 0;
	     e == ERR_OK && i < count && list[i].created + LOCAL_PENDING_SECONDS < when_now();
	     i++) {
		char day[WHEN_TEXT_SIZE],
		    *question = str_printf(
			"The request for the keyset \"%s\" of %s waits for a reply since %s. Give it up?",
			list[i].keyset, list[i].address, when_format_day(list[i].created, day));
		bool yes = false;

		e = ask_yes(question, &yes);
		if (e == ERR_OK && yes)
			e = local_request_remove(list[i].id);
		str_free(&question);
	}
	local_request_list_free(&list, count);
	return e;
}

/* Kept from here on: the authority, the user's address and name for the next time. */
static enum err remember(struct making *m)
{
	enum err e;

	m->authority.accepted = when_now();
	local_profile_clear(&m->profile);
	e = local_authority_save(&m->authority);
	if (e == ERR_OK)
		e = local_profile_load(&m->profile);
	if (e != ERR_OK)
		return e;
	str_free(&m->profile.address);
	m->profile.address = str_dup(m->request.address);
	if (m->request.name != NULL) {
		str_free(&m->profile.name);
		m->profile.name = str_dup(m->request.name);
	}
	return local_profile_save(&m->profile);
}

static enum err prepare(struct making *m)
{
	enum err e = making_read_mail(m);

	ask_catch_signals();
	if (e == ERR_OK)
		e = offer_removal();
	if (e == ERR_OK)
		e = post_check(m->options);
	if (e == ERR_OK)
		e = local_profile_load(&m->profile);
	if (e == ERR_OK)
		e = making_choose_address(m);
	if (e == ERR_OK)
		e = open_pending(m);
	return e;
}

/* The whole of it, in the order in which things can go wrong cheaply; nothing leaves before making_send. */
static enum err make(struct making *m)
{
	enum err (*const steps[])(struct making *) = { prepare, find_authority, find_token,
		making_choose_keyset, making_choose_name, making_choose_level,
		making_choose_deposit, m->options->key != NULL ? take_own_key : make_key,
		making_deposit, making_write, making_keep, making_send, remember };
	enum err e = ERR_OK;

	for (size_t i = 0; e == ERR_OK && i < sizeof(steps) / sizeof(steps[0]); i++) {
		e = steps[i](m);
		if (!m->kept && ask_interrupted() != ERR_OK)
			e = ERR_DENIED;
	}
	return e;
}

void making_give_up(struct making *m, enum err why)
{
	char *text = str_dup(err_text());

	if (m->kept && why == ERR_TEMPORARY) {
		err_fail(why, "%s; the request is kept: `countersign %s` sends it again", text,
		    m->request.renews != NULL ? "renew" : "request --again");
	} else {
		if (local_request_remove(m->request.id) != ERR_OK)
			fprintf(stderr, "countersign: %s\n", err_text());
		err_fail(why, "%s", text);
	}
	str_free(&text);
}

static enum err request_run(const struct options *options)
{
	struct making m = MAKING(options);
	enum err e;

	e = keyhome_start(PASSWORD_SECONDS);
	if (e != ERR_OK)
		return e;
	if (options->again)
		return request_again(options);
	e = make(&m);
	if (e != ERR_OK && m.request.id != NULL && m.request.sent == 0)
		making_give_up(&m, e);
	making_clear(&m);
	return e;
}

static const struct option request_options[] = {
	{ "--token-file", "FILE", offsetof(struct options, token_file),
	    "the token is the first line of FILE" },
	{ "--keyset", "NAME", offsetof(struct options, keyset),
	    "name of the keyset (default: default)" },
	{ "--address", "ADDRESS", offsetof(struct options, address), "your mail address" },
	{ "--name", "NAME", offsetof(struct options, name), "your name, as others see it" },
	{ "--authority", "ADDRESS", offsetof(struct options, authority),
	    "address of the security authority" },
	{ "--authority-key", "FILE", offsetof(struct options, authority_key),
	    "its key, or its card" },
	{ "--accept-domain", "DOMAIN", offsetof(struct options, accept_domain),
	    "the authority may be of this domain, not yours" },
	{ "--replace-authority", NULL, offsetof(struct options, replace_authority),
	    "its key is another one than before" },
	{ "--key", "FPR", offsetof(struct options, key),
	    "use this key of yours instead of making one" },
	{ "--home", "DIR", offsetof(struct options, home), "the GnuPG home with that key" },
	{ "--level", "LEVEL", offsetof(struct options, level),
	    "high, medium or low: ask for the password now" },
	{ "--password-file", "FILE", offsetof(struct options, password_file), "that password" },
	{ "--old-password-file", "FILE", offsetof(struct options, old_password_file),
	    "password of the keyset that exists here" },
	{ "--unsigned", NULL, offsetof(struct options, is_unsigned),
	    "do not sign with a keyset that exists here" },
	{ "--deposit", NULL, offsetof(struct options, deposit),
	    "deposit a sealed copy of the encryption key" },
	{ "--no-deposit", NULL, offsetof(struct options, no_deposit),
	    "deposit nothing, even if the authority offers or requires it" },
	{ "--output", "FILE", offsetof(struct options, output),
	    "write the mail instead of sending it (-: standard output)" },
	{ "--submit", "URL", offsetof(struct options, submit),
	    "send by submission://USER@HOST, sendmail:PATH or maildir:DIR; remembered" },
	{ "--submit-password-file", "FILE", offsetof(struct options, submit_password_file),
	    "the password for that is the first line of FILE; remembered" },
	{ "--again", NULL, offsetof(struct options, again),
	    "ask again for a request that waits; with the same or a new token" },
	{ NULL, NULL, 0, NULL },
};

const struct verb verb_request = { "request", "[TOKEN-MAIL]",
	"asks a security authority to certify a new keyset", request_options, request_run };
