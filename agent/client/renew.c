#include <stdlib.h>
#include <string.h>

#include "base/when.h"
#include "client/ask.h"
#include "client/password.h"
#include "client/post.h"
#include "client/request.h"
#include "text/address.h"

/* The one that is meant where no name is given: the only one that is not superseded. */
static enum err find_only(const char *address, struct local_keyset *out)
{
	struct local_keyset *list = NULL;
	size_t count = 0, found = 0, at = 0;
	enum err e = local_keyset_list(&list, &count);

	for (size_t i = 0; e == ERR_OK && i < count; i++)
		if (list[i].superseded == 0 &&
		    (address == NULL || str_equal(list[i].address, address))) {
			found++;
			at = i;
		}
	if (e == ERR_OK && found == 0)
		e = err_fail(ERR_NOUSER, "there is no keyset here to renew");
	if (e == ERR_OK && found > 1)
		e = err_fail(ERR_USAGE,
		    "several keysets are here: say which, countersign renew KEYSET (`countersign list` shows them)");
	if (e == ERR_OK) {
		*out = list[at];
		memset(&list[at], 0, sizeof(list[at]));
	}
	local_keyset_list_free(&list, count);
	return e;
}

static enum err find_keyset(const struct options *options, struct local_keyset *out)
{
	char *address = NULL;
	enum err e =
	    options->address != NULL ? address_canonical(options->address, &address) : ERR_OK;

	memset(out, 0, sizeof(*out));
	if (e == ERR_OK)
		e = options->operand != NULL ? local_keyset_find(options->operand, address, out)
					     : find_only(address, out);
	str_free(&address);
	return e;
}

/* One renewal of a keyset waits at a time: asked for again it gets another Request-Id, and any reply to it counts. */
static enum err find_waiting(const struct local_keyset *keyset, struct local_request *out)
{
	struct local_request *list = NULL;
	size_t count = 0;
	enum err e = local_request_list(&list, &count);

	for (size_t i = 0; e == ERR_OK && i < count && out->id == NULL; i++)
		if (str_equal(list[i].renews, keyset->id)) {
			*out = list[i];
			memset(&list[i], 0, sizeof(list[i]));
		}
	local_request_list_free(&list, count);
	return e;
}

static enum err begin(struct making *m, const struct local_keyset *keyset)
{
	enum err e = find_waiting(keyset, &m->request);

	if (e != ERR_OK)
		return e;
	m->kept = m->request.id != NULL;
	if (m->kept)
		return ERR_OK;
	m->request.renews = str_dup(keyset->id);
	m->request.address = str_dup(keyset->address);
	m->request.keyset = str_dup(keyset->keyset);
	m->request.own_home = str_dup(keyset->home);
	m->request.authority_address = str_dup(keyset->authority_address);
	memcpy(m->request.fingerprint, keyset->fingerprint, sizeof(m->request.fingerprint));
	memcpy(m->request.authority, keyset->authority, sizeof(m->request.authority));
	return local_request_make(&m->request);
}

/* The authority that certified the keyset, as it was accepted then. */
static enum err find_authority(struct making *m)
{
	struct local_authority *known = NULL;
	struct key_facts *facts = NULL;
	enum err e = local_authority_load(address_domain(m->request.authority_address), &known);

	if (e == ERR_OK &&
	    (known == NULL || !str_equal_case(known->fingerprint, m->request.authority)))
		e = err_fail(ERR_NOUSER,
		    "the authority %s has another key now: ask your administrator for a token, and enroll again",
		    m->request.authority_address);
	if (e == ERR_OK)
		e = keyhome_import(m->home, buf_bytes(&known->key), &facts);
	if (e == ERR_OK) {
		m->authority = *known;
		memset(known, 0, sizeof(*known));
	}
	key_facts_free(&facts);
	local_authority_free(&known);
	return e;
}

static enum err open_homes(struct making *m)
{
	char *path = local_request_path(&m->request, "h");
	enum err e = keyhome_open(path, true, &m->home);

	if (e == ERR_OK)
		e = keyhome_open(m->request.own_home, false, &m->own);
	if (e == ERR_OK)
		e = find_authority(m);
	str_free(&path);
	return e;
}

/* What the authority has already is not deposited again. */
static enum err choose_deposit(struct making *m)
{
	const struct local_keyset *keyset = &m->prior.keyset;
	struct key_facts *facts = NULL;
	const struct key_subkey *subkey;
	enum err e = keyhome_facts(m->own, keyset->fingerprint, false, &facts);

	subkey = facts != NULL ? key_encryption(facts) : NULL;
	if (e == ERR_OK && (m->options->deposit || subkey == NULL ||
			       !str_equal(subkey->fingerprint, keyset->encryption)))
		e = making_choose_deposit(m);
	key_facts_free(&facts);
	return e;
}

static enum err make(struct making *m, struct local_keyset *keyset)
{
	enum err e = begin(m, keyset);

	if (e == ERR_OK)
		e = open_homes(m);
	if (e == ERR_OK)
		e = prior_take(m->options, keyset, &m->prior);
	if (e == ERR_OK)
		e = choose_deposit(m);
	if (e == ERR_OK)
		e = making_deposit(m);
	if (e == ERR_OK)
		e = making_write(m);
	if (e == ERR_DENIED)
		e = err_prefix(e, "the keyset \"%s\" is not renewed", m->request.keyset);
	if (e == ERR_OK)
		e = making_keep(m);
	if (e == ERR_OK)
		e = local_authority_save(&m->authority);
	return e == ERR_OK ? making_send(m) : e;
}

static enum err renew_run(const struct options *options)
{
	struct making m = MAKING(options);
	struct local_keyset keyset = { 0 };
	enum err e = keyhome_start(PASSWORD_SECONDS);

	if (e == ERR_OK)
		e = local_lock();
	if (e == ERR_OK)
		e = post_check(options);
	if (e == ERR_OK)
		e = find_keyset(options, &keyset);
	ask_catch_signals();
	if (e == ERR_OK)
		e = make(&m, &keyset);
	if (e != ERR_OK && m.request.id != NULL && !m.kept)
		making_give_up(&m, e);
	local_keyset_clear(&keyset);
	making_clear(&m);
	return e;
}

static const struct option renew_options[] = {
	{ "--address", "ADDRESS", offsetof(struct options, address),
	    "of which address, where several have the keyset" },
	{ "--password-file", "FILE", offsetof(struct options, password_file),
	    "the keyset's password is the first line of FILE" },
	{ "--deposit", NULL, offsetof(struct options, deposit),
	    "deposit a sealed copy of the encryption key" },
	{ "--no-deposit", NULL, offsetof(struct options, no_deposit),
	    "deposit nothing, also of a new encryption key" },
	{ "--output", "FILE", offsetof(struct options, output),
	    "write the mail instead of sending it (-: standard output)" },
	{ "--submit", "URL", offsetof(struct options, submit),
	    "send by sendmail:PATH or maildir:DIR; remembered" },
	{ NULL, NULL, 0, NULL },
};

const struct verb verb_renew = { "renew", "[KEYSET]",
	"asks the authority to certify a keyset for longer, and what changed in its key",
	renew_options, renew_run };
