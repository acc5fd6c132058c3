/* Sealing and signing: what the authority says. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "keys/internal.h"

/* The armor's last line is proof that the output is whole. */
static bool ends_with_armor(const struct buf *out, size_t from, const char *kind)
{
	char *end = str_printf("-----END PGP %s-----\n", kind);
	size_t len = strlen(end);
	bool whole = out->len >= from + len && memcmp(out->data + out->len - len, end, len) == 0;

	str_free(&end);
	return whole;
}

/* `subkey` is "FPR!"; `signer` NULL: not signed. */
static enum err encrypt_to(struct keyhome *home, const char *signer, const char *subkey,
    struct bytes content, struct buf *out)
{
	const char *what = signer ? "sign and encrypt" : "encrypt";
	struct sink sink = { .out = out, .max = SIZE_MAX };
	gpgme_data_t plain = NULL, cipher = NULL;
	gpgme_error_t error;
	size_t from = out->len;
	struct op op;
	enum err err;

	if (signer && (err = signer_find(home, signer)))
		return err;
	op_open(&op, home);
	if ((signer && (err = op_sign_by(&op))) || (err = data_from(content, &plain)) ||
	    (err = data_into(&sink, &cipher)))
		goto out;
	gpgme_set_armor(op.ctx, 1);
	op_arm();
	error = signer ? gpgme_op_encrypt_sign_ext(
			     op.ctx, NULL, subkey, GPGME_ENCRYPT_ALWAYS_TRUST, plain, cipher)
		       : gpgme_op_encrypt_ext(
			     op.ctx, NULL, subkey, GPGME_ENCRYPT_ALWAYS_TRUST, plain, cipher);
	if ((err = op_done(&op, error, what, ERR_UNAVAILABLE)))
		goto out;
	if (!op_saw(&op, "END_ENCRYPTION") || (signer && !op_saw(&op, "SIG_CREATED")) ||
	    !ends_with_armor(out, from, "MESSAGE"))
		err = op_unproved(what);
out:
	gpgme_data_release(plain);
	gpgme_data_release(cipher);
	op_close(&op);
	return err;
}

static enum err encrypt(struct keyhome *home, const char *signer, const char *recipient,
    struct bytes content, struct buf *out)
{
	char subkey[FINGERPRINT_SIZE + 1];
	enum err err = key_encryption_subkey(home, recipient, subkey);

	return err ? err : encrypt_to(home, signer, subkey, content, out);
}

enum err subkey_encrypt(
    struct keyhome *home, const char *fingerprint, struct bytes content, struct buf *out)
{
	char *subkey = str_printf("%s!", fingerprint);
	enum err err = encrypt_to(home, NULL, subkey, content, out);

	str_free(&subkey);
	return err;
}

enum err keyhome_seal(struct keyhome *home, const char *signer, const char *recipient,
    struct bytes content, struct buf *out)
{
	return encrypt(home, signer, recipient, content, out);
}

enum err keyhome_encrypt(
    struct keyhome *home, const char *recipient, struct bytes content, struct buf *out)
{
	return encrypt(home, NULL, recipient, content, out);
}

static enum err check_hash(const struct op *op, char micalg_out[16])
{
	gpgme_sign_result_t result = gpgme_op_sign_result(op->ctx);
	const char *name;

	if (!result || !result->signatures || result->signatures->next ||
	    !op_saw(op, "SIG_CREATED"))
		return op_unproved("sign");
	switch (result->signatures->hash_algo) {
	case GPGME_MD_SHA256:
	case GPGME_MD_SHA384:
	case GPGME_MD_SHA512:
		break;
	default:
		return err_fail(ERR_UNAVAILABLE,
		    "gpg.conf makes gpg sign with a hash that is too weak; remove digest-algo from it");
	}
	name = gpgme_hash_algo_name(result->signatures->hash_algo);
	snprintf(micalg_out, 16, "pgp-%s", name ? name : "");
	for (char *c = micalg_out; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return ERR_OK;
}

static enum err sign(struct keyhome *home, const char *signer, struct bytes content,
    gpgme_sig_mode_t mode, struct buf *out, char micalg_out[16])
{
	struct sink sink = { .out = out, .max = SIZE_MAX };
	gpgme_data_t plain = NULL, signature = NULL;
	size_t from = out->len;
	struct op op;
	enum err err;

	if ((err = signer_find(home, signer)))
		return err;
	op_open(&op, home);
	if ((err = op_sign_by(&op)) || (err = data_from(content, &plain)) ||
	    (err = data_into(&sink, &signature)))
		goto out;
	gpgme_set_armor(op.ctx, 1);
	op_arm();
	if ((err = op_done(
		 &op, gpgme_op_sign(op.ctx, plain, signature, mode), "sign", ERR_UNAVAILABLE)))
		goto out;
	if ((err = check_hash(&op, micalg_out)))
		goto out;
	if (!ends_with_armor(out, from, "SIGNATURE"))
		err = op_unproved("sign");
out:
	gpgme_data_release(plain);
	gpgme_data_release(signature);
	op_close(&op);
	return err;
}

enum err keyhome_sign(struct keyhome *home, const char *signer, struct bytes content,
    struct buf *out, char micalg_out[16])
{
	return sign(home, signer, content, GPGME_SIG_MODE_DETACH, out, micalg_out);
}

enum err keyhome_clearsign(
    struct keyhome *home, const char *signer, struct bytes content, struct buf *out)
{
	char micalg[16];

	return sign(home, signer, content, GPGME_SIG_MODE_CLEAR, out, micalg);
}
