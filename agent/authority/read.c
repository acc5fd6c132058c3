/* read: what does this mail want? A client's lines, a token and a key in any mail, the nonce of a reply, or to be renewed. The store is asked for reminders only. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "enroll/packets.h"
#include "pipeline.h"
#include "stages.h"

/* A client's request that breaks P2.5 is still answered when its token signature holds: check finds out who sent it. */
static enum err read_client_request(struct work *w)
{
	struct bytes text = buf_bytes(&w->opened);

	w->kind = WORK_CLIENT_REQUEST;
	if (!request_parse(text, &w->request, &w->refusal) && !request_salvage(text, &w->request))
		return work_quarantine(
		    w, "a client's request that can't be read: %s", w->refusal.detail);
	if (w->request.kind == REQUEST_RENEW)
		w->kind = WORK_CLIENT_RENEWAL;
	memcpy(w->token_key, w->request.token_key, sizeof w->token_key);
	w->carried_secret |= w->request.deposit.len > 0;
	return ERR_OK;
}

static enum err read_client_confirmation(struct work *w)
{
	w->kind = WORK_CLIENT_CONFIRMATION;
	if (!confirmation_parse(buf_bytes(&w->opened), &w->confirmation, &w->refusal))
		return work_quarantine(
		    w, "a client's confirmation that can't be read: %s", w->refusal.detail);
	w->nonce = str_dup(w->confirmation.nonce);
	return ERR_OK;
}

/* One place of P3.2; several different tokens in one place are refused in the name of the first (P1.8). */
static bool look_in(struct work *w, struct bytes text)
{
	struct token token;
	enum token_found found = token_find(text, w->authority->pin, &token);

	w->almost_token |= found == TOKEN_ALMOST;
	if (found != TOKEN_ONE && found != TOKEN_AMBIGUOUS)
		return false;
	if (found == TOKEN_AMBIGUOUS)
		refuse(&w->refusal, REASON_TOKEN_AMBIGUOUS, NULL);
	token_key_public(token.seed, w->token_key);
	token_wipe(&token);
	w->kind = WORK_PLAIN_REQUEST;
	return true;
}

static bool look_in_new(struct work *w, const struct message *m)
{
	w->token_in_clear = m == &w->message;
	w->token_in_text = look_in(w, buf_bytes(&m->new_text));
	return w->token_in_text || (m->subject && look_in(w, bytes_of_text(m->subject)));
}

static bool look_in_quoted(struct work *w, const struct message *m)
{
	w->token_in_clear = m == &w->message;
	w->token_in_text = w->quoted_token = look_in(w, buf_bytes(&m->quoted_text));
	return w->quoted_token;
}

/* ---- renewal (P3.7) ---- */

static bool is_signed(const struct work *w)
{
	return w->signed_inside || (w->body->signed_bytes.len > 0 && w->body->signed_whole);
}

static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; at && *at; at++) {
		bool begins = at == text || !isalnum((unsigned char)at[-1]);
		if (begins && str_starts_case(at, word) && !isalnum((unsigned char)at[len]))
			return true;
	}
	return false;
}

static bool says_renew(const struct work *w)
{
	return is_signed(w) &&
	       (has_word(w->message.subject, "Renew") || has_word(w->body->subject, "Renew"));
}

static enum err answers_reminder(struct work *w, bool *out)
{
	char *from = work_from(w);
	enum err rc = ERR_OK;

	*out = false;
	if (from && w->message.in_reply_to && is_signed(w))
		rc = outbox_has(
		    w->authority->store, OUTBOX_REMINDER, w->message.in_reply_to, from, out);
	str_free(&from);
	return rc;
}

/*
 * In the order of P3.2, inside the encryption before outside. The nonce of a reply stands in quoted text as a rule; a token in new text says
 * more than that, and so does the wish to renew: what is quoted may be any old mail of ours.
 */
static enum err read_plain(struct work *w)
{
	const struct message *inner = w->body, *outer = inner == &w->message ? NULL : &w->message;
	bool renews = says_renew(w);

	if (look_in_new(w, inner) || (outer && look_in_new(w, outer)))
		return ERR_OK;
	w->nonce = nonce_find(buf_bytes(&inner->new_text));
	enum err rc = w->nonce || renews ? ERR_OK : answers_reminder(w, &renews);
	if (rc != ERR_OK)
		return rc;
	if (!w->nonce && !renews)
		w->nonce = nonce_find(buf_bytes(&inner->quoted_text));
	if (w->nonce)
		w->kind = WORK_PLAIN_CONFIRMATION;
	else if (renews)
		w->kind = WORK_PLAIN_RENEWAL;
	else if (!look_in_quoted(w, inner) && outer)
		look_in_quoted(w, outer);
	return ERR_OK;
}

static bool holds_token(const struct work *w, struct bytes text)
{
	struct token token;
	bool found = token_find(text, w->authority->pin, &token) != TOKEN_NONE;

	token_wipe(&token);
	return found;
}

static bool holds_secret_key(const struct message *m)
{
	for (size_t i = 0; i < m->key_count; i++) {
		struct bytes key = buf_bytes(&m->keys[i].data);
		if (armor_find(key, "PRIVATE KEY BLOCK") || packets_summarise(key).secret_keys > 0)
			return true;
	}
	return false;
}

/* P5.7, whatever else the mail wants: anything like a token in any text, or a secret key in any part, and it is not kept. */
bool work_carries_secret(const struct work *w, const struct message *m)
{
	return (m->subject && holds_token(w, bytes_of_text(m->subject))) ||
	       holds_token(w, buf_bytes(&m->new_text)) ||
	       holds_token(w, buf_bytes(&m->quoted_text)) || holds_secret_key(m);
}

enum err stage_read(struct work *w)
{
	struct bytes opened = buf_bytes(&w->opened);

	w->carried_secret =
	    work_carries_secret(w, &w->message) || work_carries_secret(w, &w->inner);
	if (w->was_encrypted && confirmation_looks_like(opened))
		return read_client_confirmation(w);
	if (w->was_encrypted && request_looks_like(opened))
		return read_client_request(w);
	return read_plain(w);
}
