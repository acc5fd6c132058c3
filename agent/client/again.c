#include <string.h>

#include "base/encode.h"
#include "base/file.h"
#include "client/ask.h"
#include "client/given.h"
#include "client/post.h"
#include "client/request.h"
#include "enroll/keyset.h"
#include "text/address.h"

#define SEALED_BYTES_MAX (512 * 1024)

static bool is_meant(const struct local_request *request, const char *address, const char *keyset)
{
	char wanted[KEYSET_NAME_MAX + 1], other[KEYSET_NAME_MAX + 1];

	if (request->renews != NULL || (address != NULL && !str_equal(address, request->address)))
		return false;
	return keyset == NULL || str_equal(keyset_name_fold(keyset, wanted),
				     keyset_name_fold(request->keyset, other));
}

static enum err find_request(const struct options *options, struct local_request *out)
{
	struct local_request *list = NULL;
	size_t count = 0, found = 0, at = 0;
	char *address = NULL;
	enum err e = ERR_OK;

	if (options->keyset != NULL && !keyset_name_valid(options->keyset))
		e = err_fail(ERR_USAGE, "\"%.40s\" can't be the name of a keyset", options->keyset);
	if (e == ERR_OK && options->address != NULL)
		e = address_canonical(options->address, &address);
	if (e == ERR_OK)
		e = local_request_list(&list, &count);
	for (size_t i = 0; e == ERR_OK && i < count; i++)
		if (is_meant(&list[i], address, options->keyset)) {
			found++;
			at = i;
		}
	if (e == ERR_OK && found == 0)
		e = err_fail(
		    ERR_NOUSER, "no such request waits here: `countersign list` shows what does");
	if (e == ERR_OK && found > 1)
		e = err_fail(ERR_USAGE,
		    "several requests wait here: say which with --keyset NAME and --address ADDRESS");
	if (e == ERR_OK) {
		*out = list[at];
		memset(&list[at], 0, sizeof(list[at]));
	}
	local_request_list_free(&list, count);
	str_free(&address);
	return e;
}

/* The authority as it was accepted then; its key is in the pending home. */
static enum err load_authority(struct making *m)
{
	struct local_authority *known = NULL;
	enum err e = local_authority_load(address_domain(m->request.authority_address), &known);

	if (e != ERR_OK)
		return e;
	if (known != NULL && str_equal_case(known->fingerprint, m->request.authority)) {
		m->authority.name = str_dup(known->name);
		m->authority.escrow = str_dup(known->escrow);
		m->authority.confirmed = known->confirmed;
	}
	local_authority_free(&known);
	m->authority.address = str_dup(m->request.authority_address);
	memcpy(m->authority.fingerprint, m->request.authority, sizeof(m->authority.fingerprint));
	return keyhome_export(m->home, m->request.authority, &m->authority.key);
}

static enum err open_homes(struct making *m)
{
	char *path = local_request_path(&m->request, "h");
	enum err e = keyhome_open(path, true, &m->home);

	if (e == ERR_OK && m->request.own_home != NULL)
		e = keyhome_open(m->request.own_home, false, &m->own);
	if (e == ERR_OK)
		e = load_authority(m);
	str_free(&path);
	return e;
}

static bool same_token(const struct making *m)
{
	uint8_t key[TOKEN_KEY_BYTES], was[TOKEN_KEY_BYTES];

	token_key_public(m->token.seed, key);
	return m->request.token_key != NULL &&
	       hex_read(m->request.token_key, was, sizeof(was)) == ERR_OK &&
	       memcmp(key, was, sizeof(key)) == 0;
}

/* P5.3: with the same token the same bytes, so that the authority knows it for the same request. */
static enum err load_sealed(struct making *m)
{
	char *path = local_request_path(&m->request, "request");
	enum err e = file_read(path, SEALED_BYTES_MAX, &m->sealed);

	str_free(&path);
	return e;
}

/* What was deposited once is deposited again. */
static enum err choose_deposit(struct making *m)
{
	if (!m->request.deposited || m->options->no_deposit)
		return making_choose_deposit(m);
	m->deposits = true;
	return ERR_OK;
}

static enum err make_again(struct making *m)
{
	bool given, other = m->options->deposit || m->options->no_deposit;
	enum err e = given_token(
	    m->options, m->has_mail ? &m->mail : NULL, &m->authority, !other, &m->token, &given);

	if (e != ERR_OK)
		return e;
	if (!given || (same_token(m) && !other))
		return load_sealed(m);
	e = prior_find(m->options, m->request.address, m->request.keyset, &m->authority, &m->prior);
	if (e == ERR_OK)
		e = choose_deposit(m);
	if (e == ERR_OK)
		e = making_deposit(m);
	if (e == ERR_OK)
		e = making_write(m);
	if (e == ERR_OK)
		e = making_keep(m);
	return e;
}

enum err request_again(const struct options *options)
{
	struct making m = MAKING(options);
	enum err e = local_lock();

	if (e == ERR_OK)
		e = post_check(options);
	if (e == ERR_OK)
		e = find_request(options, &m.request);
	if (e == ERR_OK)
		e = making_read_mail(&m);
	ask_catch_signals();
	if (e == ERR_OK)
		e = open_homes(&m);
	if (e == ERR_OK)
		e = make_again(&m);
	if (e == ERR_OK)
		e = making_send(&m);
	making_clear(&m);
	return e;
}
