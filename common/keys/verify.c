/* Decrypting and verifying: what others say. */
#include <string.h>

#include "keys/agent.h"
#include "keys/internal.h"

#define STRANGERS_SECONDS 5

/* The n-th (from 0) of the words of a status line. */
static struct bytes word_at(struct bytes line, size_t n)
{
	const uint8_t *at = line.data, *end = line.data + line.len, *stop;

	for (;; n--) {
		stop = at < end ? memchr(at, ' ', (size_t)(end - at)) : NULL;
		if (!stop)
			stop = end;
		if (n == 0)
			return bytes_of(at, (size_t)(stop - at));
		at = stop < end ? stop + 1 : end;
	}
}

/* VALIDSIG names the (sub)key first and its primary tenth; GPGME keeps only the former. */
static bool find_primary(const struct op *op, const char *signer, char out[41])
{
	struct bytes rest = buf_bytes(&op->status), args, primary;

	while (op_status(op, "VALIDSIG", &rest, &args)) {
		primary = word_at(args, 9);
		if (primary.len == 40 && bytes_equal(word_at(args, 0), bytes_of_text(signer))) {
			memcpy(out, primary.data, 40);
			out[40] = '\0';
			return true;
		}
	}
	return false;
}

static void read_signature(const struct op *op, gpgme_signature_t from, struct signature *to)
{
	bool proved = from->fpr && find_primary(op, from->fpr, to->key);

	if (!proved && from->fpr && strlen(from->fpr) < sizeof to->key)
		memcpy(to->key, from->fpr, strlen(from->fpr) + 1);
	to->here = gpgme_err_code(from->status) != GPG_ERR_NO_PUBKEY;
	to->valid = proved && !from->status && !from->wrong_key_usage;
	to->created = (int64_t)from->timestamp;
}

static enum err read_signatures(const struct op *op, struct signatures *out)
{
	gpgme_verify_result_t result = gpgme_op_verify_result(op->ctx);

	for (gpgme_signature_t s = result ? result->signatures : NULL; s; s = s->next) {
		if (out->count == SIGNATURES_MAX)
			return err_fail(
			    ERR_DATA, "there are more than %d signatures", SIGNATURES_MAX);
		read_signature(op, s, &out->list[out->count++]);
	}
	return ERR_OK;
}

/* "No secret key" is also what gpg says when the agent is gone or locked: only a usable agent makes it the message's fault. */
static enum err blame(const struct op *op, enum err err)
{
	char *text;
	enum err agent;

	if (!op->home->throw_away || (err != ERR_DATA && err != ERR_UNAVAILABLE))
		return err;
	text = str_dup(err_text());
	agent = agent_check(op->home->agent_home);
	err = agent ? agent : err_fail(ERR_DATA, "%s", text);
	str_free(&text);
	return err;
}

static enum err check_decrypted(const struct op *op, const struct sink *sink)
{
	gpgme_decrypt_result_t result = gpgme_op_decrypt_result(op->ctx);

	if (!op_saw(op, "BEGIN_DECRYPTION"))
		return err_fail(ERR_DATA, "this is not encrypted");
	if (!op_saw(op, "DECRYPTION_OKAY") || !op_saw(op, "END_DECRYPTION") || !result)
		return op_unproved("decrypt");
	if (result->legacy_cipher_nomdc)
		return err_fail(ERR_DATA, "the message is not protected against changes");
	/* At the cap gpg says success for what it cut. */
	if (sink->out->len >= sink->max)
		return err_fail(
		    ERR_DATA, "the message is larger than %zu bytes when opened", sink->max);
	return ERR_OK;
}

static enum err decrypt(struct keyhome *home, struct bytes armored_or_binary, struct buf *out,
    struct signatures *signatures_out)
{
	struct buf content = BUF_SECRET;
	struct sink sink = { .out = &content, .max = home->decompressed_max };
	gpgme_data_t cipher = NULL, plain = NULL;
	struct op op;
	enum err err;

	*signatures_out = (struct signatures){ 0 };
	op_open(&op, home);
	if ((err = data_from(armored_or_binary, &cipher)) || (err = data_into(&sink, &plain)))
		goto out;
	/* What an authority home or a vault decrypts comes from anybody, and nobody else's mail shall wait for it (I9). */
	op_arm_for(home->throw_away || home->hostile ? STRANGERS_SECONDS : engine_deadline());
	err = op_done(&op, gpgme_op_decrypt_verify(op.ctx, cipher, plain), "decrypt", ERR_DATA);
	signatures_out->for_us = op_saw(&op, "DECRYPTION_KEY");
	if (sink.full)
		err = err_fail(
		    ERR_DATA, "the message is larger than %zu bytes when opened", sink.max);
	else if (err)
		err = blame(&op, err);
	if (err || (err = check_decrypted(&op, &sink)) ||
	    (err = read_signatures(&op, signatures_out)))
		goto out;
	buf_add(out, content.data, content.len);
out:
	gpgme_data_release(cipher);
	gpgme_data_release(plain);
	buf_free(&content);
	op_close(&op);
	return err;
}

/* An agent that ended, and was there again before blame asked, looks like a message for somebody else: the second time it is one. */
enum err keyhome_decrypt(struct keyhome *home, struct bytes armored_or_binary, struct buf *out,
    struct signatures *signatures_out)
{
	enum err err = decrypt(home, armored_or_binary, out, signatures_out);

	if (err == ERR_DATA && home->throw_away && !signatures_out->for_us)
		err = decrypt(home, armored_or_binary, out, signatures_out);
	return err;
}

static enum err check_verified(
    const struct op *op, const struct sink *sink, const struct signatures *signatures)
{
	/* Without a command gpg guesses, and would open what is encrypted. */
	if (op_saw(op, "BEGIN_DECRYPTION") || op_saw(op, "ENC_TO"))
		return err_fail(ERR_DATA, "this is encrypted, not signed");
	if (sink->full || sink->out->len >= sink->max)
		return err_fail(ERR_DATA, "the text is larger than %zu bytes", sink->max);
	if (signatures->count == 0)
		return err_fail(ERR_DATA, "there is no signature");
	return ERR_OK;
}

enum err keyhome_verify(struct keyhome *home, struct bytes text, struct bytes signature,
    struct buf *text_out, struct signatures *signatures_out)
{
	bool detached = signature.len > 0;
	struct buf content = BUF_SECRET;
	struct sink sink = { .out = &content, .max = home->decompressed_max };
	gpgme_data_t from = NULL, signed_text = NULL, plain = NULL;
	struct op op;
	enum err err;

	*signatures_out = (struct signatures){ 0 };
	op_open(&op, home);
	if ((err = data_from(detached ? signature : text, &from)) ||
	    (detached && (err = data_from(text, &signed_text))) ||
	    (!detached && (err = data_into(&sink, &plain))))
		goto out;
	op_arm();
	err = op_done(&op, gpgme_op_verify(op.ctx, from, signed_text, plain),
	    "verify the signature", ERR_DATA);
	if ((err && !sink.full) || (err = read_signatures(&op, signatures_out)) ||
	    (err = check_verified(&op, &sink, signatures_out)))
		goto out;
	if (text_out && !detached)
		buf_add(text_out, content.data, content.len);
out:
	gpgme_data_release(from);
	gpgme_data_release(signed_text);
	gpgme_data_release(plain);
	buf_free(&content);
	op_close(&op);
	return err;
}
