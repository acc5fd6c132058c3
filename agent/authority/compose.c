/* compose: the finished mails: the sealed reply (P6.2-P6.4), the refusal (P6.5), the notices (P5.6). After this no gpg runs. */
#include "mail/compose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/when.h"
#include "enroll/deposit.h"
#include "enroll/packets.h"
#include "enroll/reply.h"
#include "pipeline.h"
#include "stages.h"

#define SUBJECT "Reply from the Security Authority"
#define REPLY_TYPE "application/vnd.countersign.reply"

static const char *display_name(const struct authority *a)
{
	return a->name && *a->name ? a->name : "Security Authority";
}

static void add_letterhead(const struct work *w, struct buf *out)
{
	const struct authority *a = w->authority;
	char *fingerprint = authority_fingerprint_text(a->fingerprint);

	buf_addf(out, "\n-- \n%s\n%s\nKey %s\n", display_name(a), a->address, fingerprint);
	str_free(&fingerprint);
}

/* What a request is called in its reply. */
static const char *request_name(const struct work *w)
{
	if (work_is_client(w) && w->request.id)
		return w->request.id;
	return w->message.message_id ? w->message.message_id : "-";
}

/* An empty row with everything but the mail; the caller writes that. */
static struct outbox_row *begin_letter(
    struct work *w, enum outbox_kind kind, const char *references, struct envelope_header *header)
{
	struct outbox_row *row = &w->letters.rows[w->letters.count++];

	outbox_id_make(row->id);
	row->kind = kind;
	row->sender = letters_sender(w->authority, row->id);
	row->recipient = str_dup(w->address);
	row->created = row->due = w->now;
	letters_header(w->authority, w->address, SUBJECT, w->now, header, &row->message_id);
	header->auto_submitted = "auto-replied";
	header->in_reply_to = w->message.message_id;
	header->references = references ? references : w->message.message_id;
	return row;
}

/* ---- the reply ---- */

static enum reply_result result_of(const struct work *w)
{
	if (w->verdict == VERDICT_RENEW)
		return REPLY_RENEWED;
	return w->token->recovery ? REPLY_RECOVERED : REPLY_ENROLLED;
}

static void add_result(const struct work *w, struct buf *out)
{
	switch (result_of(w)) {
	case REPLY_RENEWED:
		buf_add_text(out, "Your key is certified anew.\n\n");
		return;
	case REPLY_RECOVERED:
		buf_addf(out, "Your key is certified, and %lld old encryption %s came back.\n\n",
		    (long long)w->released, w->released == 1 ? "key" : "keys");
		return;
	case REPLY_ENROLLED:
	case REPLY_REFUSED:
		break;
	}
	buf_add_text(out, "Your key is certified.\n\n");
}

static void reply_text(const struct work *w, struct buf *out)
{
	char day[WHEN_TEXT_SIZE];
	char *fingerprint = authority_fingerprint_text(w->fresh->fingerprint);

	add_result(w, out);
	buf_addf(out,
	    "Address:         %s\nKeyset:          %s\nFingerprint:     %s\nCertified until: %s\n\n",
	    w->address, w->keyset, fingerprint, when_format_day(w->until, day));
	if (w->fresh->plain)
		buf_addf(out,
		    "What to do next: answer this mail, with the following line in your\n"
		    "answer; most mail programs quote it by themselves. It shows that you\n"
		    "can read mail for this key, and your colleagues will find %s\n"
		    "from then on.\n\nConfirmation: %s\n\n"
		    "Import the attached files: your certified key, and the security\n"
		    "authority's key.\n",
		    w->verdict == VERDICT_RENEW ? "it renewed" : "the key", w->fresh->nonce);
	else
		buf_add_text(out, "countersign has everything it needs in this reply.\n");
	add_letterhead(w, out);
	str_free(&fingerprint);
}

static enum err reply_fields(const struct work *w, struct buf *out)
{
	struct reply reply = {
		.request_id = str_dup(request_name(w)),
		.result = result_of(w),
		.address = str_dup(w->address),
		.keyset = str_dup(w->keyset),
		.certified_until = w->until,
		.nonce = str_dup(w->fresh->nonce),
	};
	memcpy(reply.fingerprint, w->fresh->fingerprint, sizeof reply.fingerprint);
	memcpy(reply.authority, w->authority->fingerprint, sizeof reply.authority);
	enum err rc = audit_head(w->authority->store, &reply.log_number, reply.log_hash);
	if (rc == ERR_OK)
		reply_write(&reply, out);
	reply_free(&reply);
	return rc;
}

/* ---- a recovery's deposits, which only the token opens (P5.5) ---- */

struct released {
	struct part *parts; /* each owns its name and body */
	size_t count;
};

static void add_released(const struct release_row *row, void *context)
{
	struct released *r = context;

	r->parts = mem_array(r->parts, r->count + 1, sizeof *r->parts);
	r->parts[r->count++] = (struct part){ .type = DEPOSIT_TYPE,
		.name = deposit_part_name(row->encryption_fingerprint),
		.body = bytes_of(mem_dup(row->sealed.data, row->sealed.len), row->sealed.len) };
}

static enum err released_read(struct work *w, struct released *out)
{
	*out = (struct released){ 0 };
	enum err rc = ERR_OK;
	if (result_of(w) == REPLY_RECOVERED)
		rc = release_each(w->authority->store, w->token->id, add_released, out);
	w->released = (int64_t)out->count;
	return rc;
}

static void released_free(struct released *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free((void *)(uintptr_t)r->parts[i].name);
		free((void *)(uintptr_t)r->parts[i].body.data);
	}
	free(r->parts);
}

/* The content of P6.4, to be sealed. */
static enum err reply_content(struct work *w, struct buf *out)
{
	struct buf text = BUF_INIT, fields = BUF_INIT, key = BUF_INIT, authority = BUF_INIT;
	struct released released;
	enum err rc = released_read(w, &released);

	if (rc == ERR_OK)
		rc = reply_fields(w, &fields);
	if (rc == ERR_OK) {
		reply_text(w, &text);
		armor_write("PUBLIC KEY BLOCK", buf_bytes(&w->certified), &key);
		armor_write("PUBLIC KEY BLOCK", buf_bytes(&w->authority->public_key), &authority);
		const struct part always[] = {
			{ .type = "text/plain", .body = buf_bytes(&text) },
			{ .type = REPLY_TYPE, .name = "reply.txt", .body = buf_bytes(&fields) },
			{ .type = "application/pgp-keys",
			    .name = "key.asc",
			    .description = "Your certified key",
			    .body = buf_bytes(&key),
			    .literal = true },
			{ .type = "application/pgp-keys",
			    .name = "authority.asc",
			    .description = "The security authority's key",
			    .body = buf_bytes(&authority),
			    .literal = true },
		};
		const size_t count = sizeof always / sizeof *always;
		struct part *parts = mem_array(NULL, count + released.count, sizeof *parts);
		memcpy(parts, always, sizeof always);
		if (released.count > 0)
			memcpy(parts + count, released.parts, released.count * sizeof *parts);
		struct part whole = { .type = "multipart/mixed",
			.children = parts,
			.child_count = count + released.count };
		part_write(&whole, out);
		free(parts);
	}
	released_free(&released);
	buf_free(&text);
	buf_free(&fields);
	buf_free(&key);
	buf_free(&authority);
	return rc;
}

/* P6.2, P6.3: the same sealed bytes, for the client as one attachment, for a mail program as PGP/MIME. */
static enum err wrap_sealed(const struct work *w, const struct envelope_header *header,
    const struct keyset_row *k, struct buf *out)
{
	struct buf text = BUF_INIT;
	enum err rc;

	if (k->plain)
		return letter_write_encrypted(header, buf_bytes(&k->reply), out);
	buf_addf(&text,
	    "This is the answer to the request of %s, keyset \"%s\".\n\n"
	    "Open the attached file reply.countersign on the computer where the request was made:\n"
	    "double-click it, or save it and run\n\n    countersign open reply.countersign\n\n"
	    "It is of no use elsewhere, and no other mail program needs it.\n",
	    w->address, k->name);
	add_letterhead(w, &text);
	struct part parts[] = {
		{ .type = "text/plain", .body = buf_bytes(&text) },
		{ .type = REPLY_TYPE,
		    .name = "reply.countersign",
		    .description = "Reply from the security authority",
		    .body = buf_bytes(&k->reply),
		    .literal = true },
	};
	struct part whole = { .type = "multipart/mixed", .children = parts, .child_count = 2 };
	rc = letter_write(header, &whole, out);
	buf_free(&text);
	return rc;
}

static void begin_keyset(struct work *w)
{
	struct keyset_row *k = w->fresh = mem_alloc(sizeof *k);

	k->address = str_dup(w->address);
	k->name = str_dup(w->keyset);
	memcpy(k->fingerprint, w->facts->fingerprint, sizeof k->fingerprint);
	memcpy(k->encryption_fingerprint, w->facts->subkeys[w->encryption].fingerprint,
	    sizeof k->encryption_fingerprint);
	k->user_id = str_dup(w->facts->user_ids[0].text);
	buf_add(&k->key, w->certified.data, w->certified.len);
	k->request_id = str_dup(request_name(w));
	memcpy(k->request_hash, w->hash, sizeof k->request_hash);
	k->nonce = nonce_make();
	k->plain = !work_is_client(w);
	k->token = w->token ? w->token->id : 0;
	k->enrolled = w->now;
	k->certified_until = w->until;
}

static enum err add_notice_of(struct work *w)
{
	static const enum notice_event events[] = { [REPLY_ENROLLED] = NOTICE_ENROLLED,
		[REPLY_RENEWED] = NOTICE_RENEWED,
		[REPLY_RECOVERED] = NOTICE_RECOVERED };
	struct notice notice = { .event = events[result_of(w)],
		.address = w->address,
		.actor = "the agent",
		.keyset = w->keyset,
		.fingerprint = w->fresh->fingerprint,
		.until = w->until,
		.deposits = w->released };

	return letters_add_notice(w->authority, &notice, w->now, &w->letters);
}

/* An enrollment, a recovery, a renewal. */
static enum err compose_certified(struct work *w)
{
	struct buf content = BUF_INIT;
	struct envelope_header header;

	begin_keyset(w);
	enum err rc = reply_content(w, &content);
	if (rc == ERR_OK)
		rc = keyhome_seal(w->authority->home, w->authority->fingerprint,
		    w->fresh->fingerprint, buf_bytes(&content), &w->fresh->reply);
	buf_free(&content);
	if (rc != ERR_OK)
		return rc;
	hash_sha256(buf_bytes(&w->fresh->reply), w->fresh->reply_hash);
	struct outbox_row *row = begin_letter(w, OUTBOX_REPLY, NULL, &header);
	w->fresh->reply_message_id = str_dup(row->message_id);
	rc = wrap_sealed(w, &header, w->fresh, &row->mail);
	return rc != ERR_OK ? rc : add_notice_of(w);
}

/* A key that is in several keysets of an address is told of once. */
static bool was_told(const struct work *w, size_t ending)
{
	const struct ending *e = &w->endings[ending];

	for (size_t i = 0; i < ending; i++)
		if (str_equal(w->endings[i].address, e->address) &&
		    str_equal(w->endings[i].fingerprint, e->fingerprint))
			return true;
	return false;
}

static bool has_room(const struct work *w)
{
	char *const *auditors = w->authority->conf->notify.auditors;
	size_t needed = 1;

	for (; auditors && *auditors; auditors++)
		needed++;
	return w->letters.count == 0 || w->letters.count + needed <= LETTERS_MAX;
}

/*
 * P3.8: who sent it is not answered; whose key it is hears of it. A mail with so many keys that not everybody can be told revokes them all the same; the log
 * names each.
 */
static enum err compose_revoked(struct work *w)
{
	enum err rc = ERR_OK;

	for (size_t i = 0; rc == ERR_OK && i < w->ending_count; i++) {
		const struct ending *e = &w->endings[i];
		struct notice notice = { .event = NOTICE_SELF_REVOKED,
			.address = e->address,
			.actor = "the agent",
			.keyset = e->name,
			.fingerprint = e->fingerprint };
		if (!was_told(w, i) && has_room(w))
			rc = letters_add_notice(w->authority, &notice, w->now, &w->letters);
	}
	return rc;
}

/* P5.3: a new mail around the same sealed bytes. It counts under the caps of P6.7, so that a captured request can't flood anybody. */
static enum err compose_repeat(struct work *w)
{
	struct envelope_header header;
	struct outbox_row *row =
	    begin_letter(w, OUTBOX_REPEAT, w->earlier->reply_message_id, &header);

	return wrap_sealed(w, &header, w->earlier, &row->mail);
}

/* ---- the refusal ---- */

static const char *what_was_wrong(const struct work *w)
{
	return *w->refusal.detail ? w->refusal.detail : reason_what(w->refusal.reason);
}

static void refusal_fields(const struct work *w, struct buf *out)
{
	struct reply reply = {
		.request_id = str_dup(request_name(w)),
		.result = REPLY_REFUSED,
		.address = str_dup(w->address),
		.reason = w->refusal.reason,
		.what = str_dup(what_was_wrong(w)),
		.advice = str_dup(reason_do(w->refusal.reason)),
	};
	memcpy(reply.authority, w->authority->fingerprint, sizeof reply.authority);
	reply_write(&reply, out);
	reply_free(&reply);
}

/* P5.3, once a day per address: the mails behind it can be sent again without end. */
static enum err add_repeat_alarm(struct work *w)
{
	struct notice notice = {
		.event = NOTICE_REPEAT_ALARM, .address = w->address, .actor = "the agent"
	};
	char *mark = repeat_alarm_mark(w);
	bool due = false;
	enum err rc = mark_is_due(w->authority->store, mark, w->now, ALARM_SECONDS, &due);

	if (rc == ERR_OK && due)
		rc = letters_add_notice(w->authority, &notice, w->now, &w->letters);
	if (rc == ERR_OK && due)
		rc = letters_add_alarm(w->authority, "A used token was tried again",
		    "A used token was tried again, with another request. It was refused.\nWhose it was is in the log: countersignctl log --since 1d",
		    w->now, &w->letters);
	str_free(&mark);
	return rc;
}

/* P3.6: the recovery has to be started again, and not by the user. */
static enum err add_exposed(struct work *w)
{
	struct notice notice = {
		.event = NOTICE_TOKEN_VOIDED, .address = w->address, .actor = "the agent"
	};
	struct buf text = BUF_INIT;
	enum err rc = letters_add_notice(w->authority, &notice, w->now, &w->letters);

	buf_addf(&text,
	    "The token for the recovery of %s came in a mail that was not encrypted. It was taken back, and the old encryption keys that it released are locked away again.\n\n"
	    "Start again:\n\n    countersignctl recover %s\n\nThe user needs the program countersign for it.\n",
	    w->address, w->address);
	if (rc == ERR_OK)
		rc = letters_add_alarm(w->authority, "A recovery has to be started again",
		    buf_text(&text), w->now, &w->letters);
	buf_free(&text);
	return rc;
}

/* P6.5: signed as a whole, and the attachment again by itself, so that a saved attachment can be verified alone. */
static enum err compose_refusal(struct work *w)
{
	struct buf text = BUF_INIT, fields = BUF_INIT, signed_fields = BUF_INIT;
	struct envelope_header header;

	refusal_fields(w, &fields);
	enum err rc = keyhome_clearsign(
	    w->authority->home, w->authority->fingerprint, buf_bytes(&fields), &signed_fields);
	if (rc == ERR_OK) {
		buf_addf(&text,
		    "The request could not be carried out. %s\n\n%s\n%s\n\nReason code: %s\n",
		    w->exposed ? "Your keys stay as they are." : "Nothing has changed.",
		    what_was_wrong(w), reason_do(w->refusal.reason),
		    reason_code(w->refusal.reason));
		add_letterhead(w, &text);
		struct part parts[] = {
			{ .type = "text/plain", .body = buf_bytes(&text) },
			{ .type = REPLY_TYPE,
			    .name = "reply.countersign",
			    .description = "Reply from the security authority",
			    .body = buf_bytes(&signed_fields) },
		};
		struct part whole = {
			.type = "multipart/mixed", .children = parts, .child_count = 2
		};
		struct outbox_row *row = begin_letter(w, OUTBOX_REFUSAL, NULL, &header);
		rc = letters_write_signed(w->authority, &header, &whole, &row->mail);
	}
	if (rc == ERR_OK && w->alarm)
		rc = add_repeat_alarm(w);
	if (rc == ERR_OK && w->exposed)
		rc = add_exposed(w);
	buf_free(&text);
	buf_free(&fields);
	buf_free(&signed_fields);
	return rc;
}

/* An administrator is told, once a day; commit has the last word on that. */
static enum err compose_alarm(struct work *w)
{
	struct buf text = BUF_INIT;
	bool due = false;
	enum err rc =
	    mark_is_due(w->authority->store, QUARANTINE_ALARM_MARK, w->now, ALARM_SECONDS, &due);

	if (rc != ERR_OK || !due)
		return rc;
	buf_addf(&text,
	    "A mail could not be processed and is kept for you to look at: %s.\n\n    countersignctl quarantine list\n",
	    w->why);
	rc = letters_add_alarm(
	    w->authority, "A mail is in quarantine", buf_text(&text), w->now, &w->letters);
	buf_free(&text);
	return rc;
}

enum err stage_compose(struct work *w)
{
	if (w->verdict == VERDICT_QUARANTINE)
		return compose_alarm(w);
	if (w->verdict == VERDICT_ENROLL || w->verdict == VERDICT_RENEW)
		return compose_certified(w);
	if (w->verdict == VERDICT_REVOKED)
		return compose_revoked(w);
	if (w->verdict == VERDICT_REPEAT)
		return compose_repeat(w);
	return compose_refusal(w);
}
