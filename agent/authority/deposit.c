/* deposit: the secret encryption subkey that came with a client's request: wanted? the right one? proved, and sealed to the escrow key (P4.8). */
#include "enroll/deposit.h"

#include <string.h>

#include "base/encode.h"
#include "keys/deposit.h"
#include "pipeline.h"
#include "stages.h"

static enum escrow_policy policy_of(const struct work *w)
{
	const struct conf *conf = w->authority->conf;

	return escrow_policy_for(conf->policy.escrow, conf->policy.escrow_for, w->address);
}

static void note_release(const struct release_row *row, void *context)
{
	(void)row;
	*(bool *)context = true;
}

/* P3.6: who read the mail on its way could open what is released under this token. */
static bool check_exposed(struct work *w, enum err *failed)
{
	bool released = false;

	if (!w->was_encrypted)
		*failed = release_each(w->authority->store, w->token->id, note_release, &released);
	w->exposed = released && *failed == ERR_OK;
	if (w->exposed)
		refuse(&w->refusal, REASON_CLIENT_REQUIRED,
		    "Your token came in a mail that others could read, so it was taken back, "
		    "and your old encryption keys come back only with the program countersign. "
		    "Ask your administrator to start the recovery again.");
	return *failed == ERR_OK && !w->exposed;
}

/* P3.6: what a mail program can't do: hand in a deposit, or take one back. */
static bool check_plain(struct work *w, bool fresh, enum err *failed)
{
	int64_t kept = 0;

	if (w->token && w->token->recovery && !work_is_renewal(w) && !check_exposed(w, failed))
		return false;
	if (fresh && policy_of(w) == ESCROW_REQUIRED)
		return refuse(&w->refusal, REASON_CLIENT_REQUIRED, NULL);
	if (!w->token || !w->token->recovery || work_is_renewal(w))
		return true;
	*failed = deposit_count(w->authority->store, w->address, &kept);
	if (*failed != ERR_OK)
		return false;
	return kept == 0 ||
	       refuse(&w->refusal, REASON_CLIENT_REQUIRED,
		   "Your old encryption keys can be brought back only with the program countersign.");
}

bool check_deposit_policy(struct work *w, bool fresh, enum err *failed)
{
	if (!work_is_client(w))
		return check_plain(w, fresh, failed);
	if (w->request.deposit.len > 0)
		return policy_of(w) != ESCROW_OFF ||
		       refuse(&w->refusal, REASON_DEPOSIT_UNWANTED, NULL);
	return !fresh || policy_of(w) != ESCROW_REQUIRED ||
	       refuse(&w->refusal, REASON_DEPOSIT_REQUIRED, NULL);
}

bool check_deposit(struct work *w)
{
	return w->request.deposit.len == 0 ||
	       deposit_check(buf_bytes(&w->request.deposit), buf_bytes(&w->key),
		   w->facts->subkeys[w->encryption].fingerprint, &w->refusal);
}

/* To the escrow key of this moment: `escrow rotate` changes it while we run. */
static enum err seal_to_escrow(
    const struct authority *a, struct bytes content, char escrow_out[41], struct buf *out)
{
	char *text = NULL, *fingerprint = NULL;
	struct buf key = BUF_INIT;
	enum err rc = store_get(a->store, "escrow-key", &text);

	if (rc == ERR_OK)
		rc = store_get(a->store, "escrow-fingerprint", &fingerprint);
	if (rc == ERR_OK && (!text || base64_read(bytes_of_text(text), &key) != ERR_OK ||
				!fingerprint || strlen(fingerprint) != FINGERPRINT_SIZE - 1))
		rc = err_fail(ERR_CONFIG, "the store holds no escrow key");
	if (rc == ERR_OK)
		rc = deposit_seal(a->home, buf_bytes(&key), fingerprint, content, out);
	if (rc == ERR_OK)
		memcpy(escrow_out, fingerprint, FINGERPRINT_SIZE);
	else if (!err_is_passing(rc)) /* nobody's mail is to blame for our escrow key */
		rc = err_prefix(ERR_UNAVAILABLE, "a deposit can't be sealed");
	buf_free(&key);
	str_free(&text);
	str_free(&fingerprint);
	return rc;
}

enum err deposit_works(const struct authority *a)
{
	struct buf sealed = BUF_INIT;
	char escrow[FINGERPRINT_SIZE];
	enum err rc = keyhome_reset(a->home);

	if (rc == ERR_OK)
		rc = seal_to_escrow(a, bytes_of_text("proof"), escrow, &sealed);
	buf_free(&sealed);
	return rc;
}

enum err stage_deposit(struct work *w)
{
	struct bytes deposit = buf_bytes(&w->request.deposit);
	const char *subkey = w->facts->subkeys[w->encryption].fingerprint;

	if (!work_is_client(w) || deposit.len == 0)
		return ERR_OK;
	enum err rc = deposit_prove(
	    w->authority->conf->authority.runtime_directory, buf_bytes(&w->key), subkey, deposit);
	if (rc == ERR_DATA) {
		refuse(&w->refusal, REASON_DEPOSIT_MISMATCH,
		    "The deposited copy does not open what is encrypted to the encryption key in the request.");
		return work_refused(w);
	}
	if (rc != ERR_OK)
		return rc;
	w->deposit = mem_alloc(sizeof *w->deposit);
	w->deposit->address = str_dup(w->address);
	memcpy(w->deposit->encryption_fingerprint, subkey, FINGERPRINT_SIZE);
	w->deposit->created = w->now;
	return seal_to_escrow(w->authority, deposit, w->deposit->escrow, &w->deposit->sealed);
}
