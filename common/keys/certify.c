/* Certifying a key (P5.2), and believing it only when it is read back. */
#include <stdlib.h>
#include <string.h>

#include "base/when.h"
#include "enroll/packets.h"
#include "keys/internal.h"
#include "text/utf8.h"

#define UNTIL_MAX 4294967295 /* 32 bits in a signature (RFC 4880 3.5) */

/* One line of gpg.conf, whose "%" gpg would expand. */
static void add_option(struct buf *conf, const char *option, const char *value)
{
	buf_addf(conf, "%s ", option);
	for (const char *c = value; *c; c++) {
		if (*c == '%')
			buf_add_byte(conf, '%');
		buf_add_byte(conf, *c);
	}
	buf_add_byte(conf, '\n');
}

static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	return false;
}

static bool is_graphic(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text >= 0x7f)
			return false;
	return true;
}

/* Blanks at an end would be lost, a leading "!" or quote mark has a meaning of its own. */
static enum err check_options(const struct certify_options *o)
{
	size_t len = strlen(o->notation_value);

	if (!is_graphic(o->notation_name) || !strchr(o->notation_name, '@') ||
	    strpbrk(o->notation_name, "=!-#\"'") == o->notation_name ||
	    strchr(o->notation_name, '='))
		return err_fail(ERR_CONFIG, "\"%s\" can't name a notation", o->notation_name);
	if (len == 0 || has_control(o->notation_value) || o->notation_value[len - 1] == ' ' ||
	    !utf8_valid(bytes_of_text(o->notation_value)))
		return err_fail(ERR_DATA, "this name can't be put into a certification");
	if (o->policy_url && o->policy_url[0] &&
	    (!is_graphic(o->policy_url) || strchr("!\"'", o->policy_url[0])))
		return err_fail(ERR_CONFIG, "\"%s\" is no policy URL", o->policy_url);
	if (o->until <= when_now() || o->until > UNTIL_MAX)
		return err_fail(ERR_DATA, "the certification would end in the past or after 2106");
	for (const char *const *id = o->user_ids; *id; id++)
		if (has_control(*id))
			return err_fail(ERR_DATA, "a user ID holds control characters");
	if (!o->user_ids[0])
		return err_fail(ERR_SOFTWARE, "there is no user ID to certify");
	return ERR_OK;
}

static enum err conf_write(struct keyhome *home, const struct certify_options *options)
{
	struct buf conf = BUF_INIT;
	char *notation = str_printf("%s=%s", options->notation_name, options->notation_value);
	enum err err;

	buf_add(&conf, home->conf.data, home->conf.len);
	add_option(&conf, "cert-notation", notation);
	if (options->policy_url && options->policy_url[0])
		add_option(&conf, "cert-policy-url", options->policy_url);
	err = home_write(home->path, "gpg.conf", buf_bytes(&conf));
	buf_free(&conf);
	str_free(&notation);
	return err;
}

static bool is_wanted(const struct certify_options *options, const char *user_id)
{
	for (const char *const *id = options->user_ids; *id; id++)
		if (str_equal(*id, user_id))
			return true;
	return false;
}

static enum err check_key(gpgme_key_t key, const struct certify_options *options)
{
	size_t wanted = 0, found = 0;

	if (!key)
		return err_fail(ERR_NOUSER, "the key to certify is not here");
	if (key->revoked || key->expired || key->invalid)
		return err_fail(ERR_DATA, "the key to certify is expired, revoked or broken");
	for (const char *const *id = options->user_ids; *id; id++)
		wanted++;
	for (gpgme_user_id_t uid = key->uids; uid; uid = uid->next)
		if (is_wanted(options, uid->uid) && !uid->revoked && !uid->invalid)
			found++;
	if (found != wanted)
		return err_fail(
		    ERR_DATA, "the key has %zu of the %zu user IDs to certify", found, wanted);
	return ERR_OK;
}

static enum err sign_key(
    struct keyhome *home, gpgme_key_t key, const struct certify_options *options)
{
	struct buf user_ids = BUF_INIT;
	gpgme_error_t error;
	struct op op;
	enum err err;

	if ((err = signer_find(home, options->signer)))
		return err;
	for (const char *const *id = options->user_ids; *id; id++)
		buf_addf(&user_ids, "%s%s", id == options->user_ids ? "" : "\n", *id);
	op_open(&op, home);
	if ((err = op_sign_by(&op)))
		goto out;
	op_arm();
	error = gpgme_op_keysign(op.ctx, key, buf_text(&user_ids),
	    (unsigned long)(options->until - when_now()), GPGME_KEYSIGN_LFSEP);
	err = op_done(&op, error, "certify", ERR_UNAVAILABLE);
out:
	op_close(&op);
	buf_free(&user_ids);
	return err;
}

static bool has_notation(gpgme_key_sig_t sig, const char *name, const char *value)
{
	for (gpgme_sig_notation_t n = sig->notations; n; n = n->next)
		if (str_equal(n->name, name) && str_equal(n->value, value))
			return true;
	return false;
}

static bool is_by(gpgme_key_sig_t sig, const char *signer)
{
	size_t len = strlen(signer);

	return sig->keyid && len >= 16 && str_equal_case(sig->keyid, signer + len - 16);
}

/* gpg was told how long, not until when: it may have taken its time to begin. */
static bool ends_right(gpgme_key_sig_t sig, int64_t until)
{
	return sig->expires >= until - 1 && sig->expires <= until + engine_deadline() + 1;
}

static bool holds(gpgme_key_sig_t sig, const struct certify_options *options)
{
	bool url = options->policy_url && options->policy_url[0];

	return !sig->status && !sig->revoked && !sig->expired && !sig->invalid && sig->exportable &&
	       sig->trust_depth == 0 && sig->sig_class >= 0x10 && sig->sig_class <= 0x13 &&
	       ends_right(sig, options->until) &&
	       has_notation(sig, options->notation_name, options->notation_value) &&
	       (!url || has_notation(sig, NULL, options->policy_url));
}

/* The wanted user IDs carry one certification each, as ordered; the others carry none. */
static bool is_certified(gpgme_key_t key, const struct certify_options *options)
{
	for (gpgme_user_id_t uid = key->uids; uid; uid = uid->next) {
		size_t good = 0, all = 0;

		for (gpgme_key_sig_t sig = uid->signatures; sig; sig = sig->next)
			if (is_by(sig, options->signer)) {
				all++;
				good += holds(sig, options);
			}
		if (all != good || good != (is_wanted(options, uid->uid) ? 1 : 0))
			return false;
	}
	return true;
}

static enum err read_back(struct keyhome *home, const char *fingerprint,
    const struct certify_options *options, struct buf *key_out)
{
	struct packet_summary summary;
	struct buf bytes = BUF_INIT;
	gpgme_key_t key = NULL;
	size_t subkeys = 0;
	enum err err;

	if ((err = key_get(home, fingerprint,
		 GPGME_KEYLIST_MODE_SIGS | GPGME_KEYLIST_MODE_SIG_NOTATIONS, &key)))
		goto out;
	if (!key || check_key(key, options) || !is_certified(key, options)) {
		err = op_unproved("certify");
		goto out;
	}
	if ((err = key_export(home, fingerprint, false, &bytes)))
		goto out;
	for (gpgme_subkey_t s = key->subkeys->next; s; s = s->next)
		subkeys++;
	summary = packets_summarise(buf_bytes(&bytes));
	if (summary.malformed || summary.secret_keys || summary.subkeys != subkeys)
		err = op_unproved("export the certified key");
	else
		buf_add(key_out, bytes.data, bytes.len);
out:
	gpgme_key_unref(key);
	buf_free(&bytes);
	return err;
}

enum err keyhome_certify(struct keyhome *home, const char *fingerprint,
    const struct certify_options *options, struct buf *key_out)
{
	gpgme_key_t key = NULL;
	enum err err;

	if (!home->throw_away)
		return err_fail(ERR_SOFTWARE, "%s is no throw-away home", home->path);
	if ((err = check_options(options)) || (err = key_known(home, fingerprint, &key)) ||
	    (err = check_key(key, options)) || (err = conf_write(home, options)) ||
	    (err = sign_key(home, key, options)) ||
	    (err = read_back(home, fingerprint, options, key_out)))
		goto out;
	err = home_write(home->path, "gpg.conf", buf_bytes(&home->conf));
out:
	gpgme_key_unref(key);
	return err;
}
