/* certify: the authority's signature on exactly the user IDs of P4.7, with expiry and notation (P5.2). */
#include <stdlib.h>

#include "base/journal.h"
#include "pipeline.h"
#include "secret/secret.h"
#include "shared/withdraw.h"

/* Spread, so that a roll-out does not end on one day; never beyond the key's own expiry. */
static int64_t certified_until(const struct work *w)
{
	const struct conf *conf = w->authority->conf;
	uint32_t random;
	int64_t until = w->now + conf->policy.certify_seconds;

	secret_random(&random, sizeof random);
	if (conf->policy.certify_spread_seconds > 0)
		until += random % conf->policy.certify_spread_seconds;
	if (w->facts->subkeys[0].expires && w->facts->subkeys[0].expires < until)
		until = w->facts->subkeys[0].expires;
	return until;
}

enum err stage_certify(struct work *w)
{
	const struct authority *a = w->authority;
	const char **user_ids = mem_alloc((w->facts->user_id_count + 1) * sizeof *user_ids);
	char *notation = str_printf("keyset@%s", a->domain);

	for (size_t i = 0; i < w->facts->user_id_count; i++)
		user_ids[i] = w->facts->user_ids[i].text;
	w->until = certified_until(w);
	struct certify_options options = {
		.signer = a->fingerprint,
		.user_ids = user_ids,
		.until = w->until,
		.notation_name = notation,
		.notation_value = w->keyset,
		.policy_url = a->conf->policy.policy_url,
	};
	enum err rc = keyhome_certify(a->home, w->facts->fingerprint, &options, &w->certified);
	str_free(&notation);
	free(user_ids);
	return rc;
}

/*
 * A stored key that gpg can't work with holds up nobody's enrollment: it is superseded and unpublished all the same. An attempt that was counted before was no outage.
 */
static enum err tolerate(const struct work *w, struct ending *e, enum err rc)
{
	if (rc != ERR_DATA && w->attempts < 2)
		return rc;
	journal_warning(
	    "the certification of %s can't be withdrawn: %s", e->fingerprint, err_text());
	buf_clear(&e->key);
	return keyhome_reset(w->authority->home);
}

/* P5.5: from the keys that this enrollment supersedes; its own key needs none, the new certification takes the place of the old one. */
enum err stage_withdraw(struct work *w)
{
	enum err rc = ERR_OK;

	for (size_t i = 0; i < w->ending_count && rc == ERR_OK; i++) {
		struct ending *e = &w->endings[i];
		struct keyset_row *row = NULL;
		if (str_equal(e->fingerprint, w->facts->fingerprint))
			continue;
		rc = keyset_by_id(w->authority->store, e->id, &row);
		if (rc == ERR_OK && row)
			rc = withdraw_certification(w->authority, row, "superseded", &e->key);
		if (rc != ERR_OK)
			rc = tolerate(w, e, rc);
		keyset_row_free(&row);
	}
	return rc;
}
