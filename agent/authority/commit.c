/* commit: one transaction for everything that a mail causes (P5.1). Before it nothing has happened; after it the mail may be settled. */
#include <stdio.h>
#include <string.h>

#include "base/journal.h"
#include "enroll/token.h"
#include "mail/compose.h"
#include "pipeline.h"
#include "stages.h"

#define DAY_SECONDS 86400
#define HEADERS_MAX 65536
#define QUARANTINED_MAILS_MAX 1000
#define QUARANTINED_ROWS_MAX 10000

static enum err record(struct work *w, const char *event, char *detail)
{
	enum err rc =
	    audit_add(w->authority->store, w->now, "agent", event, w->address, detail, NULL);
	str_free(&detail);
	return rc;
}

static char *hash_text(const uint8_t hash[HASH_BYTES])
{
	struct buf b = BUF_INIT;
	for (size_t i = 0; i < HASH_BYTES; i++)
		buf_addf(&b, "%02x", hash[i]);
	return buf_take_text(&b);
}

/* `escrow rotate` may be through meanwhile: what is sealed to the former key would be out of its reach. */
static enum err check_escrow(const struct work *w)
{
	char *fingerprint = NULL;
	enum err rc = store_get(w->authority->store, "escrow-fingerprint", &fingerprint);

	if (rc == ERR_OK && !str_equal(fingerprint, w->deposit->escrow))
		rc = err_fail(ERR_TEMPORARY, "raced: the escrow key has changed meanwhile");
	str_free(&fingerprint);
	return rc;
}

static enum err commit_deposit(struct work *w, int64_t keyset)
{
	enum err rc = w->deposit ? check_escrow(w) : ERR_OK;

	if (rc != ERR_OK || !w->deposit)
		return rc;
	w->deposit->keyset = keyset;
	return deposit_insert(w->authority->store, w->deposit);
}

static enum err supersede(struct work *w)
{
	struct store *s = w->authority->store;
	enum err rc = ERR_OK;

	for (size_t i = 0; rc == ERR_OK && i < w->ending_count; i++) {
		const struct ending *e = &w->endings[i];
		rc = keyset_supersede(s, e->id, w->now);
		if (rc == ERR_OK && e->key.len > 0)
			rc = keyset_replace_key(s, e->id, &e->key);
	}
	return rc;
}

static enum err record_certified(struct work *w, const char *event, const char *by)
{
	char *reply = hash_text(w->fresh->reply_hash);
	enum err rc = record(w, event,
	    str_printf("keyset=%s fingerprint=%s %s reply=%s%s%s", w->fresh->name,
		w->fresh->fingerprint, by, reply, w->deposit ? " deposit=" : "",
		w->deposit ? w->deposit->encryption_fingerprint : ""));

	str_free(&reply);
	return rc;
}

static enum err commit_enrollment(struct work *w)
{
	struct store *s = w->authority->store;
	enum err rc = check_picture(w);
	char *by = str_printf("token=%lld", (long long)w->token->id);

	if (rc == ERR_OK)
		rc = supersede(w);
	if (rc == ERR_OK)
		rc = keyset_insert(s, w->fresh);
	if (rc == ERR_OK)
		rc = commit_deposit(w, w->fresh->id);
	if (rc == ERR_OK)
		rc = token_use(s, w->token->id, w->fresh->id, w->now);
	if (rc != ERR_OK)
		w->raced = true; /* another worker was faster, or it fails again */
	if (rc == ERR_OK)
		rc = record_certified(w, w->token->recovery ? "recovered" : "enrolled", by);
	if (rc == ERR_OK)
		rc = letters_insert(w->authority, &w->letters, w->now);
	str_free(&by);
	return rc;
}

/* Beside what is in force, until its nonce comes back. Takes nothing from w->fresh. */
static struct renewal_row renewal_of(const struct work *w)
{
	const struct keyset_row *k = w->fresh;
	struct renewal_row row = { .keyset = w->earlier->id,
		.request_id = w->renewal_id,
		.key = k->key,
		.user_id = k->user_id,
		.nonce = k->nonce,
		.plain = k->plain,
		.reply = k->reply,
		.reply_message_id = k->reply_message_id,
		.created = w->now,
		.certified_until = w->until };

	memcpy(row.request_hash, w->renewal_hash, sizeof row.request_hash);
	memcpy(row.encryption_fingerprint, k->encryption_fingerprint,
	    sizeof row.encryption_fingerprint);
	memcpy(row.reply_hash, k->reply_hash, sizeof row.reply_hash);
	return row;
}

static enum err commit_renewal(struct work *w)
{
	struct renewal_row row = renewal_of(w);
	enum err rc = check_picture(w);

	if (rc == ERR_OK)
		rc = renewal_insert(w->authority->store, &row);
	if (rc == ERR_OK)
		rc = commit_deposit(w, w->earlier->id);
	if (rc != ERR_OK)
		w->raced = true;
	char *by = str_printf("renewal=%lld", (long long)row.id);
	if (rc == ERR_OK)
		rc = record_certified(w, "renewed", by);
	if (rc == ERR_OK)
		rc = letters_insert(w->authority, &w->letters, w->now);
	str_free(&by);
	return rc;
}

static enum err commit_self_revocation(struct work *w)
{
	struct store *s = w->authority->store;
	enum err rc = ERR_OK;

	for (size_t i = 0; rc == ERR_OK && i < w->ending_count; i++) {
		const struct ending *e = &w->endings[i];
		char *detail = str_printf("keyset=%s fingerprint=%s", e->name, e->fingerprint);
		rc = keyset_revoke(s, e->id, &e->key, "revoked by its owner", w->now);
		if (rc == ERR_NOUSER) {
			w->raced = true;
			rc = err_fail(ERR_TEMPORARY, "raced: the keyset has changed meanwhile");
		}
		if (rc == ERR_OK)
			rc =
			    audit_add(s, w->now, "agent", "self-revoked", e->address, detail, NULL);
		str_free(&detail);
	}
	return rc != ERR_OK ? rc : letters_insert(w->authority, &w->letters, w->now);
}

static enum err commit_repeat(struct work *w)
{
	bool capped = false;
	enum err rc = letters_are_capped(w->authority, &w->letters, w->now, &capped);

	if (rc == ERR_OK && !capped) /* else letters_insert logs it, once a day */
		rc = record(w, "repeated",
		    str_printf(
			"keyset=%s fingerprint=%s", w->earlier->name, w->earlier->fingerprint));
	if (rc == ERR_OK)
		rc = letters_insert(w->authority, &w->letters, w->now);
	return rc;
}

/* The notices and alarms behind the refusal go once a day, whatever another worker composed. */
static enum err commit_repeat_alarm(struct work *w, bool *first)
{
	char *mark = repeat_alarm_mark(w);
	enum err rc = ERR_OK;

	*first = false;
	if (w->letters.count > 1)
		rc = mark_once(w->authority->store, mark, w->now, ALARM_SECONDS, first);
	if (rc == ERR_OK && !*first)
		letters_cut(&w->letters, 1);
	str_free(&mark);
	return rc;
}

/* P3.6: with the token goes what was released under it. */
static enum err commit_exposed(struct work *w)
{
	enum err rc = token_void(w->authority->store, w->token->id, w->now);

	if (rc == ERR_NOUSER) {
		w->raced = true;
		rc = err_fail(ERR_TEMPORARY, "raced: the token has changed meanwhile");
	}
	return rc != ERR_OK ? rc
			    : record(w, "token-voided",
				  str_printf("token=%lld reason=\"sent in clear\"",
				      (long long)w->token->id));
}

static enum err commit_refusal(struct work *w)
{
	struct store *s = w->authority->store;
	bool first = true, capped = false, alarmed = false;
	char *mark = str_printf("almost:%s", w->address);
	enum err rc = ERR_OK;

	if (w->refusal.reason == REASON_TOKEN_ALMOST)
		rc = mark_once(s, mark, w->now, DAY_SECONDS, &first);
	str_free(&mark);
	if (rc == ERR_OK && w->alarm)
		rc = commit_repeat_alarm(w, &alarmed);
	if (rc == ERR_OK)
		rc = letters_are_capped(w->authority, &w->letters, w->now, &capped);
	if (rc == ERR_OK && first && (alarmed || !capped))
		rc = record(w, w->alarm ? "alarm" : "refused",
		    str_printf("reason=%s%s", reason_code(w->refusal.reason),
			w->alarm ? " token-used-again=yes" : ""));
	if (rc == ERR_OK && w->exposed)
		rc = commit_exposed(w);
	if (rc == ERR_OK && first)
		rc = letters_insert(w->authority, &w->letters, w->now);
	if (rc == ERR_OK)
		rc = counter_add(s, "refused", 1);
	return rc;
}

static enum err commit_confirmation(struct work *w)
{
	struct store *s = w->authority->store;
	enum err rc = w->renewal ? renewal_confirm(s, w->renewal->id, w->now)
				 : keyset_confirm(s, w->earlier->id, w->now);

	w->address = str_dup(w->earlier->address);
	if (rc == ERR_OK)
		rc = record(w, "confirmed",
		    str_printf("keyset=%s fingerprint=%s%s", w->earlier->name,
			w->earlier->fingerprint, w->renewal ? " renewal=yes" : ""));
	return rc;
}

static enum err commit_ignored(struct work *w)
{
	struct store *s = w->authority->store;
	enum err rc = counter_add(s, "ignored", 1);

	if (rc == ERR_OK)
		rc = commit_report(w);
	if (rc == ERR_OK && w->automatic && w->token)
		rc = counter_add(s, "automatic-with-token", 1);
	return rc;
}

/* The header block: as parsed, else everything up to the first empty line. Tokens in it are overwritten. */
static char *quarantined_headers(const struct work *w)
{
	struct buf headers = BUF_SECRET;
	struct bytes rest = w->mail, line;

	if (w->message.headers.len > 0)
		buf_add(&headers, w->message.headers.data, w->message.headers.len);
	else
		while (headers.len < HEADERS_MAX && bytes_line(&rest, &line) && line.len > 0) {
			buf_add(&headers, line.data,
			    line.len < HEADERS_MAX - headers.len ? line.len
								 : HEADERS_MAX - headers.len);
			buf_add_byte(&headers, '\n');
		}
	token_redact(&headers);
	return buf_take_text(&headers);
}

/*
 * P5.7: of a mail that carried a token or a secret only headers, size and hash are kept. What could not be parsed, or read once opened, may carry one where nobody could
 * look, so the same holds for it; and for all when strangers have filled the quarantine already.
 */
static bool quarantine_keeps_mail(const struct work *w, int64_t quarantined)
{
	return w->body && !w->carried_secret && !w->was_encrypted &&
	       quarantined < QUARANTINED_MAILS_MAX;
}

static enum err commit_quarantine(struct work *w)
{
	struct quarantine_row row = { .at = w->now,
		.mailbox = str_dup(w->mailbox),
		.reason = str_dup(w->why),
		.headers = quarantined_headers(w),
		.size = w->size };
	int64_t quarantined = 0;
	bool first = false;
	enum err rc = quarantine_count(w->authority->store, &quarantined);

	memcpy(row.hash, w->hash, sizeof row.hash);
	if (quarantine_keeps_mail(w, quarantined))
		buf_add(&row.mail, w->mail.data, w->mail.len);
	if (rc == ERR_OK && quarantined < QUARANTINED_ROWS_MAX)
		rc = quarantine_insert(w->authority->store, &row);
	else if (rc == ERR_OK)
		rc = counter_add(w->authority->store, "quarantine-full", 1);
	if (rc == ERR_OK && w->letters.count > 0)
		rc = mark_once(
		    w->authority->store, QUARANTINE_ALARM_MARK, w->now, ALARM_SECONDS, &first);
	if (rc == ERR_OK && first)
		rc = letters_insert(w->authority, &w->letters, w->now);
	str_free(&row.mailbox);
	str_free(&row.reason);
	str_free(&row.headers);
	buf_free(&row.mail);
	return rc;
}

static enum err commit_verdict(struct work *w)
{
	switch (w->verdict) {
	case VERDICT_ENROLL:
		return commit_enrollment(w);
	case VERDICT_REPEAT:
		return commit_repeat(w);
	case VERDICT_REFUSE:
		return commit_refusal(w);
	case VERDICT_CONFIRM:
		return commit_confirmation(w);
	case VERDICT_RENEW:
		return commit_renewal(w);
	case VERDICT_REVOKED:
		return commit_self_revocation(w);
	case VERDICT_QUARANTINE:
		return commit_quarantine(w);
	case VERDICT_IGNORE:
	case VERDICT_OPEN:
		break;
	}
	return commit_ignored(w);
}

/* P5.7 */
static enum outcome outcome_of(const struct work *w)
{
	if (w->verdict == VERDICT_QUARANTINE || w->carried_secret)
		return OUTCOME_DELETE;
	return w->verdict == VERDICT_IGNORE || w->verdict == VERDICT_OPEN ? OUTCOME_IGNORED
									  : OUTCOME_DONE;
}

/* For the operator, once it is true. */
static void tell(const struct work *w)
{
	switch (w->verdict) {
	case VERDICT_ENROLL:
		journal_info("enrolled %s, keyset %s", w->address, w->fresh->name);
		return;
	case VERDICT_REPEAT:
		journal_info("sent the reply to %s again, keyset %s", w->address, w->earlier->name);
		return;
	case VERDICT_REFUSE:
		journal_info(
		    "refused a request for %s: %s", w->address, reason_code(w->refusal.reason));
		return;
	case VERDICT_CONFIRM:
		journal_info("%s confirmed the keyset %s", w->address, w->earlier->name);
		return;
	case VERDICT_RENEW:
		journal_info("renewed %s, keyset %s", w->address, w->fresh->name);
		return;
	case VERDICT_REVOKED:
		journal_info(
		    "%s has revoked its own key, keyset %s", w->address, w->endings[0].name);
		return;
	case VERDICT_QUARANTINE:
		journal_warning("a mail went to quarantine: %s", w->why);
		return;
	case VERDICT_IGNORE:
	case VERDICT_OPEN:
		journal_info("ignored a mail: %s", w->why);
	}
}

/* Another worker may have the same mail in hand, if intake died in between: the first outcome is the mail's. */
static enum err commit_outcome(struct work *w, bool *first_out)
{
	int64_t earlier = -1;
	enum err rc =
	    attempt_end(w->authority->store, w->attempt_key, w->now, (int64_t)w->outcome, &earlier);

	*first_out = earlier < 0;
	if (!*first_out)
		w->outcome = (enum outcome)earlier;
	return rc;
}

enum err stage_commit(struct work *w)
{
	struct store *s = w->authority->store;
	bool first = true;
	enum err rc = store_begin(s);

	w->outcome = outcome_of(w);
	if (rc == ERR_OK)
		rc = commit_outcome(w, &first);
	if (rc == ERR_OK && first)
		rc = commit_verdict(w);
	if (rc == ERR_OK && first)
		rc = store_commit(s);
	else
		store_rollback(s);
	if (rc == ERR_OK && first)
		tell(w);
	return rc;
}
