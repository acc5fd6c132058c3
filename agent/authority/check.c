/* check: the clauses of P4, in their order, against store and policy. Decides; changes nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/journal.h"
#include "enroll/keyset.h"
#include "pipeline.h"
#include "stages.h"
#include "text/address.h"

#define HOUR_SECONDS 3600
#define REPEAT_SECONDS (30 * 86400) /* P5.3 */
#define DAY_SECONDS 86400

enum err work_refused(struct work *w)
{
	w->verdict = VERDICT_REFUSE;
	return ERR_OK;
}

/* ---- who asks: the token, and whether this mail may use it ---- */

/* A token authenticates a plain mail by being in it, a client's request by its signature (P1.4). */
static enum err find_token(struct work *w)
{
	enum err rc = token_by_key(w->authority->store, w->token_key, w->now, &w->token);
	if (rc != ERR_OK)
		return rc;
	if (!w->token)
		return work_ignore(w, "the token is not known here");
	if (work_is_client(w) && !request_verify(&w->request))
		return work_ignore(w, "the token's signature does not hold");
	if (w->automatic)
		return work_ignore(w, "an automatic mail with a valid token");
	w->address = str_dup(w->token->address);
	return ERR_OK;
}

char *work_from(const struct work *w)
{
	char *from = NULL;

	if (w->message.from_fields != 1 || w->message.from_addresses != 1 || !w->message.from ||
	    address_canonical(w->message.from, &from) != ERR_OK)
		return NULL;
	return from;
}

/* P4.3, P4.4: From is no proof, it must only agree; a client states the address under its signature. */
static bool address_agrees(struct work *w)
{
	if (work_is_client(w))
		return str_equal(w->request.address, w->address);
	char *from = work_from(w);
	bool same = str_equal(from, w->address);
	str_free(&from);
	return same;
}

static bool policy_allows_plain(const struct work *w)
{
	const char *policy = w->authority->conf->policy.plain_requests;

	return work_is_client(w) || str_equal(policy, "on") ||
	       (str_equal(policy, "encrypted") && !w->token_in_clear);
}

static bool check_sender(struct work *w)
{
	const struct request *r = &w->request;

	if (w->refusal.reason != REASON_NONE) /* found by read: malformed, ambiguous */
		return false;
	if (work_is_client(w) && !str_equal(r->authority, w->authority->fingerprint))
		return refuse(&w->refusal, REASON_REQUEST_MALFORMED,
		    "The request was made for another authority's key.");
	if (!address_agrees(w))
		return refuse(&w->refusal, REASON_ADDRESS_MISMATCH, NULL);
	if (w->message.truncated)
		return refuse(&w->refusal, REASON_TOO_LARGE,
		    "The mail has %lld bytes; at most %lld are read.", (long long)w->size,
		    (long long)w->authority->conf->limits.mail_bytes);
	if (!policy_allows_plain(w))
		return refuse(&w->refusal, REASON_POLICY, "%s",
		    str_equal(w->authority->conf->policy.plain_requests, "encrypted")
			? "Requests from mail programs must be encrypted to the security authority's key."
			: "Requests are accepted from the countersign client only.");
	return true;
}

static bool check_created(struct work *w)
{
	if (!work_is_client(w))
		return true;
	if (w->request.created < w->token->issued - HOUR_SECONDS ||
	    w->request.created > w->now + HOUR_SECONDS)
		return refuse(&w->refusal, REASON_STALE, NULL);
	return true;
}

/* ---- the keyset name (P4.6) ---- */

static char *stated_keyset(const struct work *w)
{
	if (work_is_client(w))
		return str_dup(w->request.keyset);
	char *name = keyset_name_find(buf_bytes(&w->body->new_text));
	if (!name)
		name = keyset_name_find(buf_bytes(&w->body->quoted_text));
	if (!name)
		name = str_dup(w->token->keyset ? w->token->keyset : KEYSET_DEFAULT);
	return name;
}

bool check_same_keyset(const char *a, const char *b)
{
	char x[KEYSET_NAME_MAX + 1], y[KEYSET_NAME_MAX + 1];
	return str_equal(keyset_name_fold(a, x), keyset_name_fold(b, y));
}

static bool check_keyset_name(struct work *w)
{
	w->keyset = stated_keyset(w);
	if (!keyset_name_valid(w->keyset))
		return refuse(&w->refusal, REASON_KEYSET_NAME_INVALID, NULL);
	if (w->token->keyset && !check_same_keyset(w->token->keyset, w->keyset))
		return refuse(&w->refusal, REASON_KEYSET_NOT_ALLOWED,
		    "The token is for the keyset \"%s\" only.", w->token->keyset);
	return true;
}

/* The keysets of the address, in short. */
struct known {
	int64_t id;
	char name[KEYSET_NAME_MAX + 1];
	char fingerprint[FINGERPRINT_SIZE];
	enum keyset_state state;
	uint8_t key[HASH_BYTES];
};

struct known_list {
	const struct work *work;
	struct known *all;
	size_t count;
};

enum keyset_state work_state(const struct work *w, const struct keyset_row *keyset)
{
	return keyset_state_of(keyset->confirmed, keyset->superseded, keyset->revoked,
	    keyset->certified_until, w->authority->conf->policy.grace_seconds, w->now);
}

static void know(const struct keyset_row *row, void *context)
{
	struct known_list *list = context;

	list->all = mem_array(list->all, list->count + 1, sizeof *list->all);
	struct known *k = &list->all[list->count++];
	*k = (struct known){ .id = row->id, .state = work_state(list->work, row) };
	hash_sha256(buf_bytes(&row->key), k->key);
	snprintf(k->name, sizeof k->name, "%s", row->name);
	memcpy(k->fingerprint, row->fingerprint, sizeof k->fingerprint);
}

static enum err signed_by_id(struct work *w, int64_t id, struct work_signature *out)
{
	struct keyset_row *row = NULL;
	enum err rc = keyset_by_id(w->authority->store, id, &row);

	*out = (struct work_signature){ 0 };
	if (rc == ERR_OK && row)
		rc = work_signed_by(w, buf_bytes(&row->key), row->fingerprint, out);
	keyset_row_free(&row);
	return rc;
}

static enum err end_by_id(struct work *w, int64_t id)
{
	struct keyset_row *row = NULL;
	enum err rc = keyset_by_id(w->authority->store, id, &row);

	if (rc == ERR_OK && row)
		work_end(w, row);
	keyset_row_free(&row);
	return rc;
}

/* What the table says to this enrollment, for one keyset of the address. */
static bool apply_rule(
    struct work *w, const struct known *k, enum keyset_event event, enum err *failed)
{
	const struct rule *rule = keyset_rule(k->state, event);

	if (rule->act == RULE_REFUSE)
		return refuse(&w->refusal, rule->reason, NULL);
	if (rule->act == RULE_DO && rule->next == KEYSET_SUPERSEDED)
		*failed = end_by_id(w, k->id);
	return *failed == ERR_OK;
}

/* Name in use, and P2.4: an address with an active keyset signs, unless the token says otherwise. */
static bool check_known(struct work *w, const struct known_list *list, enum err *failed)
{
	bool any_active = false, any_valid = false, any_present = false, replaces = false;

	for (size_t i = 0; i < list->count; i++) {
		const struct known *k = &list->all[i];
		struct work_signature signature = { 0 };
		bool same = check_same_keyset(k->name, w->keyset);
		if (k->state == KEYSET_SUPERSEDED || k->state == KEYSET_REVOKED)
			continue;
		if (k->state == KEYSET_ACTIVE && !w->token->recovery) {
			*failed = signed_by_id(w, k->id, &signature);
			if (*failed != ERR_OK)
				return false;
			any_active = true;
			any_valid |= signature.valid;
			any_present |= signature.present;
			replaces |= same && signature.valid;
		}
		if (!same && !w->token->recovery)
			continue;
		if (!apply_rule(w, k,
			w->token->recovery ? KEYSET_EVENT_RECOVER
			: signature.valid  ? KEYSET_EVENT_ENROLL_SIGNED
					   : KEYSET_EVENT_ENROLL,
			failed))
			return false;
	}
	w->relies_on_signature = any_valid && (!w->token->additional || replaces);
	if (!any_active || any_valid || w->token->additional)
		return true;
	return refuse(
	    &w->refusal, any_present ? REASON_SIGNATURE_INVALID : REASON_KEYSET_EXISTS, NULL);
}

/* A renewal that was put in force meanwhile shows in the key. */
static void add_to_picture(const struct known_list *list, struct buf *picture)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct known *k = &list->all[i];
		buf_addf(picture, "%lld:%d:", (long long)k->id, (int)k->state);
		hex_add(picture, bytes_of(k->key, sizeof k->key));
		buf_add_byte(picture, ' ');
	}
}

enum err check_look(struct work *w)
{
	struct known_list list = { .work = w };
	enum err rc = keyset_each(w->authority->store, w->address, true, know, &list);

	add_to_picture(&list, &w->picture);
	free(list.all);
	return rc;
}

/* Stored keys were imported to judge signatures; gpg would merge them with the key that is asked for. */
static bool check_keysets(struct work *w, enum err *failed)
{
	struct known_list list = { .work = w };
	bool good;

	*failed = keyset_each(w->authority->store, w->address, true, know, &list);
	good = *failed == ERR_OK && check_known(w, &list, failed);
	add_to_picture(&list, &w->picture);
	free(list.all);
	if (good)
		*failed = keyhome_reset(w->authority->home);
	return good && *failed == ERR_OK;
}

enum err check_picture(struct work *w)
{
	struct known_list list = { .work = w };
	struct keyset_row *row = NULL;
	struct buf picture = BUF_INIT;
	enum err rc = keyset_each(w->authority->store, w->address, true, know, &list);

	add_to_picture(&list, &picture);
	if (rc == ERR_OK)
		rc = keyset_by_fingerprint(w->authority->store, w->facts->fingerprint, &row);
	if (rc == ERR_OK && (!bytes_equal(buf_bytes(&picture), buf_bytes(&w->picture)) ||
				(row && !str_equal(row->address, w->address))))
		rc = err_fail(
		    ERR_TEMPORARY, "raced: the keysets of %s have changed meanwhile", w->address);
	keyset_row_free(&row);
	buf_free(&picture);
	free(list.all);
	return rc;
}

/*
 * P2.4 with P4.5: a signature allows an enrollment only if it covers the token and the key. What the encryption's signature covers is what was
 * inside; what the body's covers is its text and its parts, not a subject, not Autocrypt, nothing outside of the encryption around it.
 */
static bool check_coverage(struct work *w)
{
	bool in_body = w->token_in_clear == (w->body == &w->message), covered;

	if (!w->relies_on_signature || work_is_client(w))
		return true;
	if (w->signature_of_body)
		covered = in_body && w->token_in_text && !w->key_outside &&
			  w->key_origin != KEY_AUTOCRYPT;
	else
		covered = in_body && !w->key_outside;
	return covered || refuse(&w->refusal, REASON_SIGNATURE_INVALID,
			      "The signature does not cover both the token and the key.");
}

/* ---- the key (P4.7) ---- */

static bool take_key(struct work *w, enum err *failed)
{
	return work_is_client(w) ? take_client_key(w, failed) : pick_plain_key(w, failed);
}

static bool check_other_person(struct work *w, enum err *failed)
{
	struct keyset_row *row = NULL;
	bool other;

	*failed = keyset_by_fingerprint(w->authority->store, w->facts->fingerprint, &row);
	if (*failed != ERR_OK)
		return false;
	other = row && !str_equal(row->address, w->address);
	keyset_row_free(&row);
	return other ? refuse(&w->refusal, REASON_KEY_OTHER_PERSON, NULL) : true;
}

/* A key whose keyset was revoked does not come back under another token (P8.1). */
static bool check_not_revoked(struct work *w, enum err *failed)
{
	struct known_list list = { .work = w };
	bool revoked = false;

	*failed = keyset_each(w->authority->store, w->address, true, know, &list);
	for (size_t i = 0; i < list.count; i++)
		revoked |= list.all[i].state == KEYSET_REVOKED &&
			   str_equal(list.all[i].fingerprint, w->facts->fingerprint);
	free(list.all);
	if (*failed != ERR_OK)
		return false;
	return !revoked || refuse(&w->refusal, REASON_KEYSET_REVOKED, NULL);
}

/* ---- P5.3: the token is used; is it the same request again? ---- */

static bool is_same_request(const struct work *w, const struct keyset_row *made)
{
	return str_equal(made->address, w->address) && check_same_keyset(made->name, w->keyset) &&
	       str_equal(made->fingerprint, w->facts->fingerprint);
}

static enum err check_repeat(struct work *w)
{
	enum err rc = keyset_by_id(w->authority->store, w->token->used_keyset, &w->earlier),
		 failed = ERR_OK;
	bool same;

	if (rc != ERR_OK)
		return rc;
	same = w->earlier && check_keyset_name(w) && take_key(w, &failed) &&
	       is_same_request(w, w->earlier);
	if (failed != ERR_OK)
		return failed;
	if (same) {
		const struct rule *rule =
		    keyset_rule(work_state(w, w->earlier), KEYSET_EVENT_REPEAT);
		if (rule->act == RULE_RESEND && w->earlier->reply.len > 0 &&
		    w->now - w->earlier->enrolled < REPEAT_SECONDS) {
			w->verdict = VERDICT_REPEAT;
			return ERR_OK;
		}
		refuse(
		    &w->refusal, rule->act == RULE_REFUSE ? rule->reason : REASON_TOKEN_USED, NULL);
		return work_refused(w);
	}
	w->alarm = true;
	refuse(&w->refusal, token_rule(TOKEN_USED, TOKEN_EVENT_OTHER)->reason, NULL);
	return work_refused(w);
}

static enum err check_request(struct work *w)
{
	enum err failed = find_token(w);

	if (failed != ERR_OK || w->verdict != VERDICT_OPEN)
		return failed;
	if (!check_sender(w))
		return work_refused(w);
	enum token_state state = token_state_of(
	    w->token->used, w->token->superseded, w->token->voided, w->token->expires, w->now);
	if (state == TOKEN_USED)
		return check_repeat(w);
	const struct rule *rule = token_rule(state, TOKEN_EVENT_ENROLL);
	if (rule->act == RULE_REFUSE) {
		refuse(&w->refusal, rule->reason, NULL);
		return work_refused(w);
	}
	if (!check_created(w) || !check_deposit_policy(w, true, &failed) || !check_keyset_name(w) ||
	    !check_keysets(w, &failed) || !take_key(w, &failed) || !check_coverage(w) ||
	    !check_other_person(w, &failed) || !check_not_revoked(w, &failed) || !check_deposit(w))
		return failed != ERR_OK ? failed : work_refused(w);
	w->verdict = VERDICT_ENROLL;
	return ERR_OK;
}

/* ---- P6.6: almost a token ---- */

/* P6.6: an address with an outstanding token, whose mail carries almost a token, is told so once a day. */
static enum err check_almost(struct work *w)
{
	struct token_row *row = NULL;
	char *from = NULL;
	enum err rc = ERR_OK;

	if (w->almost_token && !w->automatic && !w->message.bulk &&
	    w->message.from_addresses == 1 && w->message.from &&
	    address_canonical(w->message.from, &from) == ERR_OK)
		rc = token_outstanding(w->authority->store, from, w->now, &row);
	if (rc == ERR_OK && row) {
		w->address = str_dup(row->address);
		refuse(&w->refusal, REASON_TOKEN_ALMOST, NULL);
		w->verdict = VERDICT_REFUSE;
	} else if (rc == ERR_OK) {
		rc = work_ignore(w, "no token, no nonce");
	}
	token_row_free(&row);
	str_free(&from);
	return rc;
}

enum err stage_check(struct work *w)
{
	enum err rc = ERR_OK;

	switch (w->kind) {
	case WORK_CLIENT_REQUEST:
	case WORK_PLAIN_REQUEST:
		return check_request(w);
	case WORK_CLIENT_CONFIRMATION:
	case WORK_PLAIN_CONFIRMATION:
	case WORK_CLIENT_RENEWAL:
	case WORK_PLAIN_RENEWAL:
	case WORK_OTHER:
		break;
	}
	rc = check_self_revocation(w);
	if (rc != ERR_OK || w->verdict != VERDICT_OPEN)
		return rc;
	if (work_is_renewal(w))
		return check_renewal(w);
	return w->kind == WORK_OTHER ? check_almost(w) : check_confirmation(w);
}
