/* Trust in a user's home (P7.5). */
#include <string.h>

#include "keys/internal.h"
#include "keys/keyring.h"
#include "text/address.h"

#define TRUST_FULL 120 /* the least that gpg takes for full (RFC 4880 5.2.3.13) */

/* gpg's escaped form of the domain in "<[^>]+[@.]example\.org>$" */
static char *scope_of(const char *domain)
{
	struct buf scope = BUF_INIT;

	buf_add_text(&scope, "<[^>]+[@.]");
	for (const char *c = domain; *c; c++)
		buf_addf(&scope, "%s%c", *c == '.' ? "\\" : "", *c);
	buf_add_text(&scope, ">$");
	return buf_take_text(&scope);
}

static bool is_introduced(gpgme_key_t authority, const char *signer, const char *domain)
{
	char *scope = scope_of(domain);
	bool found = false;

	for (gpgme_user_id_t uid = authority->uids; uid && !found; uid = uid->next)
		for (gpgme_key_sig_t sig = uid->signatures; sig && !found; sig = sig->next)
			found = !sig->status && !sig->revoked && !sig->exportable &&
				str_equal_case(sig->keyid, signer + strlen(signer) - 16) &&
				sig->trust_depth == 1 && sig->trust_value >= TRUST_FULL &&
				str_equal(sig->trust_scope, scope);
	str_free(&scope);
	return found;
}

static enum err authority_get(struct keyhome *home, const char *fingerprint, gpgme_key_t *out)
{
	enum err err = key_get(home, fingerprint, GPGME_KEYLIST_MODE_SIGS, out);

	return err || *out ? err : err_fail(ERR_NOUSER, "the key %s is not here", fingerprint);
}

static enum err sign_locally(
    struct keyhome *home, const char *signer, gpgme_key_t authority, const char *domain)
{
	const struct edit_answer answers[] = {
		{ "keyedit.sign_all.okay", "y" },
		{ "trustsig_prompt.trust_value", "2" },
		{ "trustsig_prompt.trust_depth", "1" },
		{ "trustsig_prompt.trust_regexp", domain },
		{ "sign_uid.okay", "y" },
		{ "keyedit.save.okay", "y" },
		{ NULL, NULL },
	};

	return key_edit(home, signer, authority, "ltsign", answers, "trust the authority");
}

enum err keyring_trust_introducer(
    struct keyhome *home, const char *signer, const char *authority, const char *domain)
{
	gpgme_key_t key = NULL;
	enum err err;

	if (strlen(signer) < 16 || !*domain || strpbrk(domain, "\n\r <>\\"))
		return err_fail(ERR_SOFTWARE, "\"%s\" is no domain to trust", domain);
	if ((err = secret_get(home, signer, &key)))
		return err;
	gpgme_key_unref(key);
	if ((err = authority_get(home, authority, &key)) || is_introduced(key, signer, domain))
		goto out;
	if ((err = sign_locally(home, signer, key, domain)))
		goto out;
	gpgme_key_unref(key);
	key = NULL;
	if (!(err = authority_get(home, authority, &key)) && !is_introduced(key, signer, domain))
		err = op_unproved("trust the authority");
out:
	gpgme_key_unref(key);
	return err;
}

enum err keyring_is_valid(
    struct keyhome *home, const char *fingerprint, const char *address, bool *valid_out)
{
	gpgme_key_t key = NULL;
	enum err err = key_get(home, fingerprint, 0, &key);

	*valid_out = false;
	for (gpgme_user_id_t uid = key ? key->uids : NULL; uid; uid = uid->next) {
		char *name = NULL, *found = NULL;

		if (!user_id_split(uid->uid, &name, &found) && str_equal(found, address) &&
		    !uid->revoked && !uid->invalid && uid->validity >= GPGME_VALIDITY_FULL)
			*valid_out = true;
		str_free(&name);
		str_free(&found);
	}
	gpgme_key_unref(key);
	return err;
}
