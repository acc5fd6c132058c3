/* renewal: a keyset certified anew at the wish of who holds its key (P3.7, P4.5), without a token. */
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "pipeline.h"
#include "stages.h"

#define HOUR_SECONDS 3600
#define DAY_SECONDS 86400
#define MONTH_SECONDS (30 * DAY_SECONDS)
#define KEYS_TRIED_MAX 8    /* anybody can write an address into From */
#define RENEWALS_PER_MAIL 2 /* in a day, for each refusal that an address may get (P6.7) */

/* ---- whose is the signature? ---- */

struct search {
	struct work *work;
	char fingerprints[KEYS_TRIED_MAX][FINGERPRINT_SIZE];
	size_t count;
	struct work_signature signature;
	int64_t id; /* of the newest keyset whose key made it; 0: none yet */
	enum err rc;
};

static bool was_tried(const struct search *s, const char *fingerprint)
{
	for (size_t i = 0; i < s->count; i++)
		if (str_equal(s->fingerprints[i], fingerprint))
			return true;
	return s->count == KEYS_TRIED_MAX;
}

/* Each key alone in the home: another copy of it may hold what we have not stored as its newest. */
static void try_keyset(const struct keyset_row *row, void *context)
{
	struct search *s = context;

	if (s->rc != ERR_OK || s->id || was_tried(s, row->fingerprint))
		return;
	memcpy(s->fingerprints[s->count++], row->fingerprint, FINGERPRINT_SIZE);
	s->rc = keyhome_reset(s->work->authority->home);
	if (s->rc == ERR_OK)
		s->rc =
		    work_signed_by(s->work, buf_bytes(&row->key), row->fingerprint, &s->signature);
	if (s->rc == ERR_OK && s->signature.valid)
		s->id = row->id;
}

/* Fills w->address and w->earlier; without a valid signature nobody is answered (P6.6). */
static enum err find_signer(struct work *w, struct work_signature *signature_out)
{
	struct search s = { .work = w };
	char *address = work_is_client(w) ? str_dup(w->request.address) : work_from(w);
	enum err rc = ERR_OK;

	if (address && !w->automatic)
		rc = keyset_each(w->authority->store, address, true, try_keyset, &s);
	if (rc == ERR_OK)
		rc = s.rc;
	if (rc == ERR_OK && s.id)
		rc = keyset_by_id(w->authority->store, s.id, &w->earlier);
	if (rc == ERR_OK && w->earlier)
		w->address = str_dup(address);
	else if (rc == ERR_OK)
		rc = work_ignore(w, "a renewal that no keyset of its address has signed");
	*signature_out = s.signature;
	str_free(&address);
	return rc;
}

/* ---- the same request again ---- */

/* Lines without the blanks at their ends, and no empty ones at the end: a signature over text does not cover these (RFC 4880 5.2.1, 7.1). */
static void add_lines(struct bytes text, struct buf *out)
{
	struct bytes line;
	size_t empty = 0;

	while (bytes_line(&text, &line)) {
		while (line.len > 0 && memchr(" \t\r", line.data[line.len - 1], 3))
			line.len--;
		if (line.len == 0) {
			empty++;
			continue;
		}
		for (; empty > 0; empty--)
			buf_add_byte(out, '\n');
		buf_add(out, line.data, line.len);
		buf_add_byte(out, '\n');
	}
}

/* What the signature is over, without what it came in; the key that made it is in the home. */
static enum err read_signed(struct work *w, struct buf *out)
{
	const struct message *m = w->body;
	struct buf cleartext = BUF_SECRET;
	struct signatures signatures;
	enum err rc = ERR_OK;

	if (!w->signature_of_body) {
		add_lines(buf_bytes(&w->opened), out);
	} else if (m->signature.len > 0) {
		add_lines(buf_bytes(&m->signed_bytes), out);
	} else {
		rc = keyhome_verify(w->authority->home, buf_bytes(&m->signed_bytes),
		    bytes_of(NULL, 0), &cleartext, &signatures);
		add_lines(buf_bytes(&cleartext), out);
	}
	buf_free(&cleartext);
	return rc;
}

/*
 * A client's request is known by its Request-Id. A mail is known by key, time and text of its signature, which nobody else can change: whatever else of a captured one is
 * altered (its header, armor, what a signature says unhashed, an encryption around it), it is the same renewal all the same.
 */
static enum err name_request(struct work *w, const struct work_signature *signature)
{
	struct buf name = BUF_INIT, content = BUF_SECRET;
	enum err rc = ERR_OK;

	if (work_is_client(w)) {
		buf_add(&content, w->opened.data, w->opened.len);
		buf_add_text(&name, w->request.id);
	} else {
		buf_addf(
		    &content, "%s %lld\n", w->earlier->fingerprint, (long long)signature->created);
		rc = read_signed(w, &content);
	}
	hash_sha256(buf_bytes(&content), w->renewal_hash);
	if (name.len == 0) {
		buf_add_text(&name, "mail:");
		hex_add(&name, bytes_of(w->renewal_hash, sizeof w->renewal_hash));
	}
	w->renewal_id = buf_take_text(&name);
	buf_free(&content);
	return rc;
}

/* P5.3: the stored reply once more, as a new mail. */
static void repeat(struct work *w, struct renewal_row *seen)
{
	struct keyset_row *k = w->earlier;

	buf_free(&k->reply);
	k->reply = seen->reply;
	seen->reply = (struct buf)BUF_INIT;
	k->plain = seen->plain;
	str_free(&k->reply_message_id);
	k->reply_message_id = str_dup(seen->reply_message_id);
	w->verdict = VERDICT_REPEAT;
}

static bool may_repeat(const struct work *w, const struct renewal_row *seen)
{
	bool lapsed = !seen->confirmed && seen->key.len == 0;
	const struct rule *rule = keyset_rule(work_state(w, w->earlier), KEYSET_EVENT_RENEW_REPEAT);

	return rule->act == RULE_RESEND && seen->keyset == w->earlier->id && !lapsed &&
	       seen->reply.len > 0 && w->now - seen->created < MONTH_SECONDS &&
	       memcmp(seen->request_hash, w->renewal_hash, HASH_BYTES) == 0;
}

static enum err check_seen(struct work *w, const struct work_signature *signature)
{
	struct renewal_row *seen = NULL;
	enum err rc = name_request(w, signature);

	if (rc == ERR_OK)
		rc = renewal_by_request(w->authority->store, w->renewal_id, &seen);
	if (rc == ERR_OK && seen && may_repeat(w, seen))
		repeat(w, seen);
	else if (rc == ERR_OK && seen)
		rc = work_ignore(w, "a renewal that came before");
	renewal_row_free(&seen);
	return rc;
}

/* Each leaves a row for ever and sends two mails, so who holds a key can't ask without end. */
static enum err check_cap(struct work *w)
{
	int64_t most = 2 * RENEWALS_PER_MAIL * w->authority->conf->limits.mails_per_address_day,
		sent = 0;
	enum err rc = outbox_count(
	    w->authority->store, OUTBOX_REPLY, w->address, w->now - DAY_SECONDS, &sent);

	if (rc == ERR_OK && sent >= most)
		rc = work_ignore(w, "more renewals than are answered in a day");
	return rc;
}

/* ---- may it be renewed? ---- */

static bool check_stated(struct work *w, int64_t signed_at)
{
	const struct request *r = &w->request;
	const char *policy = w->authority->conf->policy.plain_requests;
	int64_t created = work_is_client(w) ? r->created : signed_at;

	if (work_is_client(w) && !str_equal(r->authority, w->authority->fingerprint))
		return refuse(&w->refusal, REASON_REQUEST_MALFORMED,
		    "The request was made for another authority's key.");
	if (!work_is_client(w) && str_equal(policy, "off"))
		return refuse(&w->refusal, REASON_POLICY,
		    "Requests are accepted from the countersign client only.");
	if (created < w->now - MONTH_SECONDS || created > w->now + HOUR_SECONDS)
		return refuse(&w->refusal, REASON_STALE,
		    "The renewal was made more than 30 days ago, or its date is in the future.");
	if (work_is_client(w) && !check_same_keyset(r->keyset, w->earlier->name))
		return refuse(&w->refusal, REASON_KEYSET_UNKNOWN,
		    "The key that signed is not that of a keyset of this name.");
	return true;
}

static bool check_state(struct work *w)
{
	const struct rule *rule = keyset_rule(work_state(w, w->earlier), KEYSET_EVENT_RENEW);

	return rule->act == RULE_DO || refuse(&w->refusal, rule->reason, NULL);
}

/* The signature covers what stands in the text and its parts; what stands around an encryption it does not. */
static bool check_covered(struct work *w)
{
	return work_is_client(w) || !w->key_outside ||
	       refuse(
		   &w->refusal, REASON_SIGNATURE_INVALID, "The signature does not cover the key.");
}

static bool is_fresh_subkey(const struct work *w)
{
	return !str_equal(
	    w->facts->subkeys[w->encryption].fingerprint, w->earlier->encryption_fingerprint);
}

/* The addresses and the name that the key may have are those of the token that made the keyset. */
static enum err find_terms(struct work *w)
{
	w->keyset = str_dup(w->earlier->name);
	return w->earlier->token ? token_by_id(w->authority->store, w->earlier->token, &w->token)
				 : ERR_OK;
}

enum err check_renewal(struct work *w)
{
	struct work_signature signature;
	enum err failed = find_signer(w, &signature);

	if (failed == ERR_OK && w->verdict == VERDICT_OPEN)
		failed = check_seen(w, &signature);
	if (failed == ERR_OK && w->verdict == VERDICT_OPEN)
		failed = check_cap(w);
	if (failed == ERR_OK && w->verdict == VERDICT_OPEN)
		failed = find_terms(w);
	if (failed != ERR_OK || w->verdict != VERDICT_OPEN)
		return failed;
	if (!check_stated(w, signature.created) || !check_state(w) ||
	    !take_renewed_key(w, &failed) || !check_covered(w) ||
	    !check_deposit_policy(w, is_fresh_subkey(w), &failed) || !check_deposit(w))
		return failed != ERR_OK ? failed : work_refused(w);
	w->verdict = VERDICT_RENEW;
	return check_look(w);
}
