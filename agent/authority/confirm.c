/* confirm: the nonce of a reply has come back (P5.4): that of an enrollment, or of a renewal. */
#include "pipeline.h"
#include "stages.h"
#include "text/address.h"

static bool confirmation_agrees(const struct work *w, const struct keyset_row *k)
{
	const struct confirmation *c = &w->confirmation;
	char *from = NULL;
	bool same;

	if (work_is_client(w))
		return str_equal(c->address, k->address) && check_same_keyset(c->keyset, k->name) &&
		       str_equal(c->fingerprint, k->fingerprint) &&
		       str_equal(c->authority, w->authority->fingerprint);
	same = w->message.from && address_canonical(w->message.from, &from) == ERR_OK &&
	       str_equal(from, k->address);
	str_free(&from);
	return same;
}

/* Of an enrollment's reply, or of a renewal's; none: w->earlier stays NULL. */
static enum err find_nonce(struct work *w)
{
	struct store *s = w->authority->store;
	enum err rc = keyset_by_nonce(s, w->nonce, &w->earlier);

	if (rc == ERR_OK && !w->earlier)
		rc = renewal_by_nonce(s, w->nonce, &w->renewal);
	if (rc == ERR_OK && w->renewal)
		rc = keyset_by_id(s, w->renewal->keyset, &w->earlier);
	return rc;
}

/* A client signs with the key that the nonce came with: of a renewal not in force yet, the new one. */
static enum err confirmation_signed(struct work *w, bool *valid_out)
{
	const struct buf *key = w->renewal ? &w->renewal->key : &w->earlier->key;
	struct work_signature signature = { 0 };
	enum err rc = work_signed_by(w, buf_bytes(key), w->earlier->fingerprint, &signature);

	*valid_out = signature.valid;
	return rc;
}

enum err check_confirmation(struct work *w)
{
	bool valid = !work_is_client(w);
	enum err rc = find_nonce(w);

	if (rc != ERR_OK)
		return rc;
	if (!w->earlier || w->automatic || !confirmation_agrees(w, w->earlier))
		return work_ignore(w, "a confirmation that fits no keyset");
	if (w->renewal && (w->renewal->confirmed || w->renewal->key.len == 0))
		return work_ignore(w, "a confirmation of a renewal that is settled");
	if (work_is_client(w))
		rc = confirmation_signed(w, &valid);
	if (rc != ERR_OK)
		return rc;
	if (!valid)
		return work_ignore(w, "a confirmation that its key did not sign");
	enum keyset_state state = work_state(w, w->earlier);
	enum keyset_event event = w->renewal ? KEYSET_EVENT_RENEW_CONFIRM : KEYSET_EVENT_CONFIRM;
	if (keyset_rule(state, event)->act != RULE_DO)
		return work_ignore(w, "a confirmation that changes nothing: the keyset is %s",
		    keyset_state_name(state));
	w->verdict = VERDICT_CONFIRM;
	return ERR_OK;
}
