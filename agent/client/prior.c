#include "client/prior.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/when.h"
#include "client/ask.h"
#include "client/password.h"
#include "enroll/keyset.h"
#include "keys/keyring.h"

struct names {
	const char *address;
	const struct local_keyset *keysets;
	const struct local_request *requests;
	size_t keyset_count, request_count;
};

static bool is_taken(const char *name, void *context)
{
	const struct names *names = context;
	char wanted[KEYSET_NAME_MAX + 1], other[KEYSET_NAME_MAX + 1];

	keyset_name_fold(name, wanted);
	for (size_t i = 0; i < names->keyset_count; i++)
		if (str_equal(names->keysets[i].address, names->address) &&
		    str_equal(keyset_name_fold(names->keysets[i].keyset, other), wanted))
			return true;
	for (size_t i = 0; i < names->request_count; i++)
		if (str_equal(names->requests[i].address, names->address) &&
		    str_equal(keyset_name_fold(names->requests[i].keyset, other), wanted))
			return true;
	return false;
}

enum err prior_free_name(const char *address, const char *name, char **out)
{
	struct local_keyset *keysets = NULL;
	struct local_request *requests = NULL;
	struct names names = { .address = address };
	enum err e = local_keyset_list(&keysets, &names.keyset_count);

	if (e == ERR_OK)
		e = local_request_list(&requests, &names.request_count);
	names.keysets = keysets;
	names.requests = requests;
	*out = e == ERR_OK ? keyset_name_free(name, is_taken, &names) : NULL;
	local_keyset_list_free(&keysets, names.keyset_count);
	local_request_list_free(&requests, names.request_count);
	return e;
}

/* The user's own key (--key) may be on a card, and has a password that is none of ours. */
static bool is_own(const struct prior *prior)
{
	return str_equal(prior->keyset.level, "own");
}

/* A key file that is gone or corrupt shows as a secret part that is not here. */
static bool can_still_sign(const struct key_facts *facts)
{
	for (size_t i = 0; i < facts->subkey_count; i++)
		if (facts->subkeys[i].can_sign && facts->subkeys[i].secret)
			return true;
	return false;
}

/* Opens the keyset's home; *here_out says whether its secret key is in it, and not corrupt. */
static enum err open_home(struct prior *prior, bool *here_out)
{
	struct key_facts *facts = NULL;
	enum err e;

	*here_out = false;
	if (!file_exists(prior->keyset.home))
		return ERR_OK;
	e = keyhome_open(prior->keyset.home, !is_own(prior), &prior->home);
	if (e == ERR_OK)
		e = keyhome_facts(prior->home, prior->keyset.fingerprint, true, &facts);
	*here_out = e == ERR_OK && facts != NULL && can_still_sign(facts);
	key_facts_free(&facts);
	return e;
}

static enum err refuse_name(const char *address, const char *name)
{
	char *why = str_dup(err_text()), *other = NULL;
	enum err e = prior_free_name(address, name, &other);

	if (e == ERR_OK)
		e = err_fail(ERR_DENIED,
		    "the keyset \"%s\" exists here and was not unlocked (%s), so nothing was sent: use another name, --keyset %s is free",
		    name, why, other);
	str_free(&why);
	str_free(&other);
	return e;
}

/* An empty password file is a wrong password (P7.3), not a wrong file. */
static enum err read_password(const struct options *options, struct prior *prior)
{
	const char *path = options->old_password_file;
	struct stat status;
	enum err e;

	if (str_equal(prior->keyset.level, "low"))
		return ERR_OK;
	e = password_current(path, prior->keyset.home, prior->keyset.keyset, &prior->password);
	if (e == ERR_CONFIG && stat(path, &status) == 0 && status.st_size <= 1)
		e = err_fail(ERR_DENIED, "the password is empty");
	return e;
}

/* P7.3: the password is asked for whether or not it is cached. */
static enum err unlock(const struct options *options, struct prior *prior)
{
	struct bytes given;
	enum err e;

	if (is_own(prior))
		return keyring_unlock(prior->home, prior->keyset.fingerprint, NULL);
	e = read_password(options, prior);
	given = buf_bytes(&prior->password);
	return e == ERR_OK ? keyring_unlock(prior->home, prior->keyset.fingerprint, &given) : e;
}

/* The keyset that has the name itself. */
static enum err find_same(
    const struct options *options, const char *address, const char *name, struct prior *out)
{
	bool here;
	enum err e = local_keyset_find(name, address, &out->keyset);

	if (e == ERR_NOUSER)
		return ERR_OK;
	if (e == ERR_OK)
		e = open_home(out, &here);
	if (e != ERR_OK)
		return e;
	if (!here) {
		fprintf(stderr,
		    "The keys of the keyset \"%s\" are gone or corrupt: its name is free.\n", name);
		prior_close(out);
		return ERR_OK;
	}
	e = unlock(options, out);
	if (e == ERR_DENIED)
		return refuse_name(address, name);
	out->must_sign = e == ERR_OK;
	return e;
}

static bool can_sign(
    const struct local_keyset *keyset, const char *address, const struct local_authority *authority)
{
	return str_equal(keyset->address, address) && keyset->superseded == 0 &&
	       str_equal_case(keyset->authority, authority->fingerprint) &&
	       keyset->certified_until > when_now();
}

static enum err ask_to_sign(const char *keyset, bool *out)
{
	char *question;
	enum err e;

	*out = true;
	if (!ask_possible())
		return ERR_OK;
	question = str_printf(
	    "Sign the request with your keyset \"%s\"? Say no if you can't unlock it any more",
	    keyset);
	e = ask_yes(question, out);
	str_free(&question);
	return e;
}

/* Any current keyset of the address (P2.4): the authority wants its signature unless the token is for a recovery, which nobody here can know. */
static enum err find_any(
    const char *address, const struct local_authority *authority, struct prior *out)
{
	struct local_keyset *list = NULL;
	size_t count = 0;
	bool usable = false;
	enum err e = local_keyset_list(&list, &count);

	for (size_t i = 0; e == ERR_OK && !usable && i < count; i++) {
		if (!can_sign(&list[i], address, authority))
			continue;
		out->keyset = list[i];
		memset(&list[i], 0, sizeof(list[i]));
		e = open_home(out, &usable);
		if (!usable)
			prior_close(out);
	}
	if (e == ERR_OK && usable)
		e = ask_to_sign(out->keyset.keyset, &usable);
	if (!usable)
		prior_close(out);
	local_keyset_list_free(&list, count);
	return e;
}

enum err prior_find(const struct options *options, const char *address, const char *name,
    const struct local_authority *authority, struct prior *out)
{
	enum err e;

	*out = (struct prior){ .password = BUF_SECRET };
	e = find_same(options, address, name, out);
	if (e == ERR_OK && out->home == NULL && !options->is_unsigned)
		e = find_any(address, authority, out);
	return e;
}

enum err prior_take(const struct options *options, struct local_keyset *keyset, struct prior *out)
{
	bool here;
	enum err e;

	*out = (struct prior){ .keyset = *keyset, .password = BUF_SECRET, .must_sign = true };
	memset(keyset, 0, sizeof(*keyset));
	e = open_home(out, &here);
	if (e == ERR_OK && !here)
		return err_fail(ERR_NOUSER,
		    "the keys of the keyset \"%s\" are gone or corrupt: ask your administrator to recover it",
		    out->keyset.keyset);
	if (e == ERR_OK && options->password_file != NULL)
		return file_read_secret(options->password_file, &out->password);
	/* Not by the calls, then. */
	keyhome_close(&out->home);
	return e == ERR_OK ? keyhome_open(out->keyset.home, false, &out->home) : e;
}

static enum err sign_in(struct keyhome *home, const struct prior *prior,
    const struct local_authority *authority, struct bytes content, struct buf *out)
{
	struct key_facts *facts = NULL;
	enum err e = keyhome_facts(home, authority->fingerprint, false, &facts);

	if (e == ERR_OK && facts == NULL)
		e = keyhome_import(home, buf_bytes(&authority->key), &facts);
	key_facts_free(&facts);
	if (e == ERR_OK)
		e = keyhome_seal(
		    home, prior->keyset.fingerprint, authority->fingerprint, content, out);
	return e;
}

/* The home's agent may forget a password at once (level high); that of a throw-away home keeps it for this one signature. */
static enum err sign_in_scratch(const struct prior *prior, const struct local_authority *authority,
    struct bytes content, struct buf *out)
{
	const char *fingerprint = prior->keyset.fingerprint;
	struct bytes password = buf_bytes(&prior->password);
	struct buf secret = BUF_SECRET;
	struct keyhome *scratch = NULL;
	char *path = NULL;
	enum err e = keyring_export_secret(prior->home, fingerprint, password, &secret);

	if (e == ERR_OK)
		e = local_scratch_make(&path);
	if (e == ERR_OK)
		e = keyhome_open(path, true, &scratch);
	if (e == ERR_OK)
		e = keyring_import_secret(scratch, buf_bytes(&secret), fingerprint, password);
	if (e == ERR_OK)
		e = keyring_unlock(scratch, fingerprint, &password);
	if (e == ERR_OK)
		e = sign_in(scratch, prior, authority, content, out);
	keyhome_close(&scratch);
	local_scratch_remove(&path);
	buf_free(&secret);
	return e;
}

static enum err sign_and_seal(const struct options *options, struct prior *prior,
    const struct local_authority *authority, struct bytes content, struct buf *out)
{
	enum err e = prior->must_sign ? ERR_OK : unlock(options, prior);

	if (e != ERR_OK)
		return e;
	if (prior->password.len > 0)
		return sign_in_scratch(prior, authority, content, out);
	return sign_in(prior->home, prior, authority, content, out);
}

enum err prior_seal(const struct options *options, struct prior *prior, struct keyhome *home,
    const struct local_authority *authority, struct bytes content, struct buf *out)
{
	if (prior->home != NULL) {
		enum err e = sign_and_seal(options, prior, authority, content, out);

		if (e == ERR_OK || prior->must_sign || (e != ERR_DENIED && e != ERR_UNAVAILABLE))
			return e;
		fprintf(stderr,
		    "The request is not signed by your keyset \"%s\" (%s); a token for a recovery needs no signature.\n",
		    prior->keyset.keyset, err_text());
		buf_clear(out);
	}
	return keyhome_encrypt(home, authority->fingerprint, content, out);
}

void prior_close(struct prior *prior)
{
	keyhome_close(&prior->home);
	local_keyset_clear(&prior->keyset);
	buf_free(&prior->password);
	*prior = (struct prior){ .password = BUF_SECRET };
}
