/*
 * The way of one mail, in order:
 *
 *   parse → unseal → read → check → deposit → certify → compose → withdraw → commit
 *
 * and then the sender works from the outbox. Read this file first.
 */
#include "pipeline.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/journal.h"
#include "stages.h"

#define CERTIFIED (VERDICT_ENROLL | VERDICT_RENEW)
#define TOLD (CERTIFIED | VERDICT_REPEAT | VERDICT_REFUSE | VERDICT_QUARANTINE | VERDICT_REVOKED)

static const struct stage {
	const char *name;
	unsigned verdicts; /* runs while the verdict is one of these */
	enum err (*run)(struct work *w);
} stages[] = {
	{ "parse", VERDICT_OPEN,
	    stage_parse }, /* the bytes → struct message, in a confined process */
	{ "unseal", VERDICT_OPEN, stage_unseal }, /* decrypts what is encrypted */
	{ "read", VERDICT_OPEN, stage_read },     /* what does it want: token, nonce, request */
	{ "check", VERDICT_OPEN, stage_check },   /* P4, in its order, against store and policy */
	{ "deposit", CERTIFIED, stage_deposit },  /* proved and sealed (P4.8) */
	{ "certify", CERTIFIED, stage_certify },  /* the authority's signature */
	{ "compose", TOLD, stage_compose }, /* the finished mails: reply, refusal, notices, alarm */
	{ "withdraw", VERDICT_ENROLL, stage_withdraw }, /* from keys that are superseded (P5.5) */
	{ "commit", ~0u, stage_commit },                /* one transaction (P5.1) */
};
#define STAGES (sizeof stages / sizeof *stages)
#define STAGE_CHECK 3

static enum err run_from(struct work *w, size_t first)
{
	for (size_t i = first; i < STAGES; i++) {
		if (!(stages[i].verdicts & w->verdict))
			continue;
		enum err rc = stages[i].run(w);
		if (rc != ERR_OK)
			return err_prefix(rc, "%s", stages[i].name);
	}
	return ERR_OK;
}

static void endings_free(struct work *w)
{
	for (size_t i = 0; i < w->ending_count; i++) {
		str_free(&w->endings[i].address);
		str_free(&w->endings[i].name);
		buf_free(&w->endings[i].key);
	}
	free(w->endings);
	w->endings = NULL;
	w->ending_count = 0;
}

struct ending *work_end(struct work *w, const struct keyset_row *keyset)
{
	w->endings = mem_array(w->endings, w->ending_count + 1, sizeof *w->endings);
	struct ending *e = &w->endings[w->ending_count++];
	*e = (struct ending){
		.id = keyset->id, .address = str_dup(keyset->address), .name = str_dup(keyset->name)
	};
	memcpy(e->fingerprint, keyset->fingerprint, sizeof e->fingerprint);
	return e;
}

/* Back to what was known before check: another worker has changed the store in between. */
static void work_rewind(struct work *w)
{
	token_row_free(&w->token);
	str_free(&w->address);
	str_free(&w->keyset);
	buf_free(&w->key);
	key_facts_free(&w->facts);
	keyset_row_free(&w->earlier);
	renewal_row_free(&w->renewal);
	str_free(&w->renewal_id);
	buf_free(&w->picture);
	endings_free(w);
	deposit_row_free(&w->deposit);
	w->relies_on_signature = w->signature_of_body = w->exposed = false;
	w->refusal = (struct refusal){ 0 };
	buf_free(&w->certified);
	keyset_row_free(&w->fresh);
	letters_free(&w->letters);
	w->verdict = VERDICT_OPEN;
}

enum err pipeline_run(struct work *w)
{
	w->verdict = VERDICT_OPEN;
	enum err rc = keyhome_reset(w->authority->home);
	if (rc == ERR_OK)
		rc = run_from(w, 0);
	if (rc != ERR_OK && w->raced) {
		w->raced = false;
		journal_debug("looking again: %s", err_text());
		work_rewind(w);
		rc = keyhome_reset(w->authority->home);
		if (rc == ERR_OK)
			rc = run_from(w, STAGE_CHECK);
	}
	return rc;
}

void work_free(struct work *w)
{
	work_rewind(w);
	message_free(&w->message);
	message_free(&w->inner);
	buf_free(&w->opened);
	request_free(&w->request);
	confirmation_free(&w->confirmation);
	str_free(&w->nonce);
}

enum err work_ignore(struct work *w, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	vsnprintf(w->why, sizeof w->why, format, ap);
	va_end(ap);
	w->verdict = VERDICT_IGNORE;
	return ERR_OK;
}

enum err work_quarantine(struct work *w, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	vsnprintf(w->why, sizeof w->why, format, ap);
	va_end(ap);
	w->verdict = VERDICT_QUARANTINE;
	return ERR_OK;
}
