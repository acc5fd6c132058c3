#include "shared/letters.h"

#include <stdlib.h>
#include <string.h>

#include "base/journal.h"
#include "base/when.h"
#include "text/utf8.h"

#define DAY_SECONDS 86400
#define HOUR_SECONDS 3600
#define OUTBOX_ID_CHARS 26
#define NOTICES_PER_MAIL 4 /* to an address in a day, for each refusal that it may get */

void letters_header(const struct authority *authority, const char *to, const char *subject,
    int64_t now, struct envelope_header *out, char **message_id_out)
{
	*message_id_out = message_id_make(authority->domain);
	*out = (struct envelope_header){
		.from_address = authority->address,
		.from_name = authority->name,
		.to_address = to,
		.subject = subject,
		.message_id = *message_id_out,
		.auto_submitted = "auto-generated",
		.date = now,
	};
}

char *letters_sender(const struct authority *authority, const char *outbox_id)
{
	const char *delimiter = authority->conf->submit.recipient_delimiter;
	size_t local = (size_t)(authority->domain - authority->address) - 1;

	if (!authority->conf->submit.bounces)
		return str_dup("");
	if (!delimiter || !*delimiter)
		return str_dup(authority->address);
	return str_printf("%.*s%sb-%s@%s", (int)local, authority->address, delimiter, outbox_id,
	    authority->domain);
}

/* Mail systems may have changed the case of a local part; ids are in base32, which has none. */
bool letters_sender_id(const struct authority *authority, const char *addresses, char out[27])
{
	const char *delimiter = authority->conf->submit.recipient_delimiter;
	size_t local = (size_t)(authority->domain - authority->address) - 1;
	char *before = str_printf("%.*s%sb-", (int)local, authority->address, delimiter);
	char *after = str_printf("@%s", authority->domain);
	const char *at = addresses && *delimiter ? strcasestr(addresses, before) : NULL;
	bool found = false;

	for (; at && !found; at = strcasestr(at + 1, before)) {
		const char *id = at + strlen(before);
		found =
		    strlen(id) > OUTBOX_ID_CHARS && str_starts_case(id + OUTBOX_ID_CHARS, after);
		for (size_t i = 0; found && i < OUTBOX_ID_CHARS; i++)
			out[i] = (char)(id[i] >= 'a' && id[i] <= 'z' ? id[i] - 'a' + 'A' : id[i]);
	}
	out[found ? OUTBOX_ID_CHARS : 0] = '\0';
	str_free(&before);
	str_free(&after);
	return found;
}

struct signed_text {
	struct buf part, signature;
	char micalg[16];
};

static enum err sign_part(
    struct authority *authority, const struct part *part, struct signed_text *out)
{
	part_write(part, &out->part);
	return keyhome_sign(authority->home, authority->fingerprint, buf_bytes(&out->part),
	    &out->signature, out->micalg);
}

static enum err write_signed(
    const struct envelope_header *header, const struct signed_text *text, struct buf *out)
{
	return letter_write_signed(
	    header, buf_bytes(&text->part), buf_bytes(&text->signature), text->micalg, out);
}

static void signed_text_free(struct signed_text *text)
{
	buf_free(&text->part);
	buf_free(&text->signature);
}

enum err letters_write_signed(struct authority *authority, const struct envelope_header *header,
    const struct part *part, struct buf *out)
{
	struct signed_text text = { .part.secret = out->secret };
	enum err e = sign_part(authority, part, &text);

	if (!e)
		e = write_signed(header, &text, out);
	signed_text_free(&text);
	return e;
}

enum err letters_card_part(struct authority *authority, struct buf *bytes, struct part *out)
{
	enum err e = authority_card(authority, bytes);

	*out = (struct part){
		.type = "application/pgp-keys",
		.name = "authority-card.asc",
		.description = "The security authority's key and card",
		.body = buf_bytes(bytes),
	};
	return e;
}

/* ---- what notices say ---- */

static void add_fingerprint(struct buf *out, const char *label, const char *fingerprint)
{
	char *text = authority_fingerprint_text(fingerprint);

	buf_addf(out, "%s%s\n", label, text);
	str_free(&text);
}

static void add_key(struct buf *out, const struct notice *notice)
{
	char day[WHEN_TEXT_SIZE];

	buf_add_text(out, "\n");
	if (notice->keyset)
		buf_addf(out, "Keyset:          %s\n", notice->keyset);
	if (notice->fingerprint)
		add_fingerprint(out, "Fingerprint:     ", notice->fingerprint);
	if (notice->until)
		buf_addf(out, "Certified until: %s\n", when_format_day(notice->until, day));
}

static const char *notice_subject(enum notice_event event)
{
	switch (event) {
	case NOTICE_TOKEN_ISSUED:
		return "A token was issued for";
	case NOTICE_TOKEN_VOIDED:
		return "A token was taken back for";
	case NOTICE_ENROLLED:
		return "A key was enrolled for";
	case NOTICE_REPEAT_ALARM:
		return "A used token was tried again for";
	case NOTICE_RECOVERY_STARTED:
		return "A recovery was started for";
	case NOTICE_RECOVERED:
		return "A recovery was completed for";
	case NOTICE_RENEWED:
		return "A key was renewed for";
	case NOTICE_REVOKED:
		return "A key was revoked for";
	case NOTICE_SELF_REVOKED:
		return "A key was revoked by its owner for";
	}
	return "";
}

static void add_reason(struct buf *out, const struct notice *n)
{
	char *reason = n->reason ? utf8_printable(n->reason, false) : NULL;

	if (reason)
		buf_addf(out, "Reason given: %s\n", reason);
	str_free(&reason);
}

static void add_recovery_started(struct buf *out, const struct notice *n, const char *actor)
{
	char day[WHEN_TEXT_SIZE];

	buf_addf(
	    out, "%s started a recovery for %s, and issued a token for it.\n", actor, n->address);
	add_reason(out, n);
	buf_addf(out, "With this token a new key can be enrolled once, until %s.\n",
	    when_format_day(n->until, day));
	if (n->deposits)
		buf_addf(out,
		    "Whoever uses it gets %lld old encryption %s, and can read the mail that was\n"
		    "encrypted to %s. The old signing keys do not come back, to anybody.\n",
		    (long long)n->deposits, n->deposits == 1 ? "key" : "keys",
		    n->deposits == 1 ? "it" : "them");
	else
		buf_add_text(out, "No old encryption key is on record, so none comes back.\n");
	buf_add_text(out,
	    "\nIf you did not ask for it, say so at once: as long as the token is not used it\n"
	    "can be taken back. It is not in this mail.\n");
}

static void add_recovered(struct buf *out, const struct notice *n)
{
	buf_addf(out, "A new key was enrolled for %s with a recovery token.\n", n->address);
	add_key(out, n);
	buf_addf(out,
	    "\n%lld old encryption %s came back with it. The older keys of this address are\n"
	    "superseded: others are told not to use them any more.\n"
	    "If this was not you, somebody else can read your mail now.\n",
	    (long long)n->deposits, n->deposits == 1 ? "key" : "keys");
}

static void add_event(struct buf *out, const struct notice *n, const char *actor)
{
	char day[WHEN_TEXT_SIZE];

	switch (n->event) {
	case NOTICE_TOKEN_ISSUED:
		buf_addf(out,
		    "%s issued an enrollment token for %s.\nIt can be used once, until %s.\n"
		    "The token itself is not in this mail.\n",
		    actor, n->address, when_format_day(n->until, day));
		return;
	case NOTICE_TOKEN_VOIDED:
		buf_addf(out, "%s took back the enrollment token of %s.\nIt no longer works.\n",
		    actor, n->address);
		return;
	case NOTICE_ENROLLED:
		buf_addf(out, "A key was enrolled for %s.\n", n->address);
		add_key(out, n);
		buf_add_text(out,
		    "\nOthers will find it once the enrollment is confirmed from this address.\n");
		return;
	case NOTICE_REPEAT_ALARM:
		buf_addf(out,
		    "Somebody sent a second, different request with a token of %s that is used "
		    "already.\nIt was "
		    "refused, and nothing was changed.\n",
		    n->address);
		add_key(out, n);
		return;
	case NOTICE_RECOVERY_STARTED:
		add_recovery_started(out, n, actor);
		return;
	case NOTICE_RECOVERED:
		add_recovered(out, n);
		return;
	case NOTICE_RENEWED:
		buf_addf(out, "A key of %s was certified anew.\n", n->address);
		add_key(out, n);
		buf_add_text(out,
		    "\nUntil this is confirmed from this address the former certification stays as it\n"
		    "is. If this was not you, somebody else can sign with your key.\n");
		return;
	case NOTICE_REVOKED:
		buf_addf(out, "%s revoked a key of %s.\n", actor, n->address);
		add_reason(out, n);
		add_key(out, n);
		buf_add_text(out,
		    "\nOthers are told not to use this key any more. Keep it: mail that was encrypted\n"
		    "to it can be read with it alone.\n");
		return;
	case NOTICE_SELF_REVOKED:
		buf_addf(out,
		    "A revocation that was made with the key itself has come in for a key of %s.\n"
		    "The key was revoked.\n",
		    n->address);
		add_key(out, n);
		buf_add_text(out,
		    "\nOthers are told not to use this key any more. Keep it: mail that was encrypted\n"
		    "to it can be read with it alone. For a new key ask your administrator for a token.\n"
		    "If this was not you, somebody else has your key or its revocation certificate.\n");
		return;
	}
}

/* P5.6, P6.7: whoever could use up the cap first could otherwise do these unseen. */
static bool always_goes(enum notice_event event)
{
	return event != NOTICE_TOKEN_ISSUED && event != NOTICE_TOKEN_VOIDED &&
	       event != NOTICE_REPEAT_ALARM;
}

static void add_end(const struct authority *authority, int64_t now, struct buf *out)
{
	char when[WHEN_TEXT_SIZE];

	buf_addf(out, "\nWhen: %s\n\nIf you did not expect this, tell your administrator.\n\n%s\n",
	    when_format(now, when), authority->name ? authority->name : "Security Authority");
	buf_addf(out, "%s\n", authority->address);
	add_fingerprint(out, "Key ", authority->fingerprint);
}

static void notice_text(
    const struct authority *authority, const struct notice *notice, int64_t now, struct buf *out)
{
	bool is_agent = str_equal(notice->actor, "the agent");
	char *actor = utf8_printable(is_agent ? "The agent" : notice->actor, false);

	add_event(out, notice, actor);
	add_end(authority, now, out);
	str_free(&actor);
}

/* ---- rows ---- */

static enum err next_row(struct letters *letters, struct outbox_row **out)
{
	*out = NULL;
	if (letters->count == LETTERS_MAX)
		return err_fail(ERR_CONFIG,
		    "more than %d mails at once: shorten auditors or administrators", LETTERS_MAX);
	*out = &letters->rows[letters->count++];
	return ERR_OK;
}

static void fill_row(const struct authority *authority, enum outbox_kind kind, const char *to,
    int64_t now, struct outbox_row *row)
{
	outbox_id_make(row->id);
	row->kind = kind;
	row->sender = letters_sender(authority, row->id);
	row->recipient = str_dup(to);
	row->created = row->due = now;
}

/* One signed text may go to several recipients. */
static enum err add_letter(struct authority *authority, const char *subject,
    const struct signed_text *text, enum outbox_kind kind, const char *to, int64_t now,
    struct letters *letters)
{
	struct envelope_header header;
	struct outbox_row *row = NULL;
	enum err e = next_row(letters, &row);

	if (e)
		return e;
	fill_row(authority, kind, to, now, row);
	letters_header(authority, to, subject, now, &header, &row->message_id);
	return write_signed(&header, text, &row->mail);
}

enum err letters_add_part(struct authority *authority, enum outbox_kind kind, const char *to,
    const char *subject, const struct part *part, int64_t now, struct letters *out)
{
	struct signed_text text = { 0 };
	enum err e = sign_part(authority, part, &text);

	if (!e)
		e = add_letter(authority, subject, &text, kind, to, now, out);
	signed_text_free(&text);
	return e;
}

/* Copies for those who watch are of kind OUTBOX_ALARM, which no cap stops or counts (P5.6, P6.7).
 */
static enum err add_copies(struct authority *authority, const char *subject,
    const struct signed_text *text, char *const *to, const char *but, int64_t now,
    struct letters *letters)
{
	enum err e = ERR_OK;

	for (; to && *to && !e; to++)
		if (!str_equal_case(*to, but))
			e = add_letter(authority, subject, text, OUTBOX_ALARM, *to, now, letters);
	return e;
}

static enum err sign_body(
    struct authority *authority, const struct buf *body, struct signed_text *out)
{
	struct part part = { .type = "text/plain", .body = buf_bytes(body) };

	return sign_part(authority, &part, out);
}

static bool is_one_of(char *const *list, const char *address)
{
	for (; list && *list; list++)
		if (str_equal_case(*list, address))
			return true;
	return false;
}

enum err letters_add_notice(
    struct authority *authority, const struct notice *notice, int64_t now, struct letters *out)
{
	char *const *auditors = authority->conf->notify.auditors;
	char *subject = str_printf("%s %s", notice_subject(notice->event), notice->address);
	enum outbox_kind kind = is_one_of(auditors, notice->address) ? OUTBOX_ALARM
				: always_goes(notice->event)         ? OUTBOX_REPLY
								     : OUTBOX_NOTICE;
	struct signed_text text = { 0 };
	struct buf body = BUF_INIT;
	enum err e;

	notice_text(authority, notice, now, &body);
	if (!(e = sign_body(authority, &body, &text)) &&
	    !(e = add_letter(authority, subject, &text, kind, notice->address, now, out)))
		e = add_copies(authority, subject, &text, auditors, notice->address, now, out);
	signed_text_free(&text);
	buf_free(&body);
	str_free(&subject);
	return e;
}

/* ---- notices of tokens that are issued together ---- */

struct letters_round {
	struct signed_text text;
};

static void round_text(const struct authority *authority, const char *actor, int64_t until,
    const char *addresses, int64_t now, struct buf *out)
{
	char day[WHEN_TEXT_SIZE], *by = utf8_printable(actor, false);

	if (addresses)
		buf_addf(
		    out, "%s issued enrollment tokens for these addresses:\n\n%s\n", by, addresses);
	else
		buf_addf(out,
		    "%s issued enrollment tokens for several addresses, among them the one\n"
		    "that this mail was sent to.\n",
		    by);
	buf_addf(out, "%s can be used once, until %s.\n%s\n", addresses ? "Each" : "It",
	    when_format_day(until, day),
	    addresses ? "The tokens themselves are not in this mail."
		      : "The token itself is not in this mail.");
	add_end(authority, now, out);
	str_free(&by);
}

enum err letters_round_make(struct authority *authority, const char *actor, int64_t until,
    int64_t now, struct letters_round **out)
{
	struct letters_round *round = mem_alloc(sizeof *round);
	struct buf body = BUF_INIT;
	enum err e;

	*out = NULL;
	round_text(authority, actor, until, NULL, now, &body);
	if (!(e = sign_body(authority, &body, &round->text))) {
		*out = round;
		round = NULL;
	}
	letters_round_free(&round);
	buf_free(&body);
	return e;
}

enum err letters_add_round(struct authority *authority, const struct letters_round *round,
    const char *address, int64_t now, struct letters *out)
{
	char *subject = str_printf("%s %s", notice_subject(NOTICE_TOKEN_ISSUED), address);
	enum err e = add_letter(authority, subject, &round->text, OUTBOX_NOTICE, address, now, out);

	str_free(&subject);
	return e;
}

enum err letters_add_list(struct authority *authority, const char *actor, int64_t until,
    const char *addresses, int64_t now, struct letters *out)
{
	char *const *auditors = authority->conf->notify.auditors;
	struct signed_text text = { 0 };
	struct buf body = BUF_INIT;
	enum err e = ERR_OK;

	if (!auditors || !*auditors)
		return ERR_OK;
	round_text(authority, actor, until, addresses, now, &body);
	if (!(e = sign_body(authority, &body, &text)))
		e = add_copies(authority, "Tokens were issued", &text, auditors, "", now, out);
	signed_text_free(&text);
	buf_free(&body);
	return e;
}

void letters_round_free(struct letters_round **round)
{
	if (!*round)
		return;
	signed_text_free(&(*round)->text);
	free(*round);
	*round = NULL;
}

/* ---- alarms ---- */

enum err letters_add_alarm(struct authority *authority, const char *subject, const char *text,
    int64_t now, struct letters *out)
{
	struct signed_text letter = { 0 };
	struct buf body = BUF_INIT;
	enum err e;

	buf_addf(&body, "%s\n\n%s\n", text, authority->address);
	if (!(e = sign_body(authority, &body, &letter)))
		e = add_copies(authority, subject, &letter, authority->conf->notify.administrators,
		    NULL, now, out);
	signed_text_free(&letter);
	buf_free(&body);
	return e;
}

/* ---- into the outbox ---- */

/*
 * P6.7. Each kind has its own budget, and notices none in all: whoever has a copy of an old mail can cause
 * refusals and repeats as he likes, and must not silence a notice with them.
 */
static enum err is_capped(
    struct authority *authority, const struct outbox_row *row, int64_t now, bool *out)
{
	int64_t most = authority->conf->limits.mails_per_address_day, day = 0, hour[2] = { 0, 0 };
	struct store *store = authority->store;
	enum err e;

	*out = false;
	if (row->kind == OUTBOX_REPLY || row->kind == OUTBOX_ALARM || row->kind == OUTBOX_REMINDER)
		return ERR_OK;
	e = outbox_count(store, row->kind, row->recipient, now - DAY_SECONDS, &day);
	if (row->kind == OUTBOX_NOTICE) {
		*out = day >= NOTICES_PER_MAIL * most;
		return e;
	}
	if (!e && !(e = outbox_count(store, OUTBOX_REFUSAL, NULL, now - HOUR_SECONDS, &hour[0])))
		e = outbox_count(store, OUTBOX_REPEAT, NULL, now - HOUR_SECONDS, &hour[1]);
	*out = day >= most || hour[0] + hour[1] >= authority->conf->limits.mails_per_hour;
	return e;
}

enum err letters_are_capped(
    struct authority *authority, const struct letters *letters, int64_t now, bool *out)
{
	*out = false;
	return letters->count ? is_capped(authority, &letters->rows[0], now, out) : ERR_OK;
}

enum err letters_insert_alarm(
    struct authority *authority, const char *subject, const char *text, int64_t now)
{
	struct part part = { .type = "text/plain", .body = bytes_of_text(text) };
	char *const *to = authority->conf->notify.administrators;
	enum err e = ERR_OK;

	for (; to && *to && !e; to++) {
		struct letters one = { 0 };
		struct envelope_header header;

		fill_row(authority, OUTBOX_ALARM, *to, now, &one.rows[0]);
		letters_header(authority, *to, subject, now, &header, &one.rows[0].message_id);
		one.count = 1;
		e = letter_write(&header, &part, &one.rows[0].mail);
		if (!e)
			e = outbox_insert(authority->store, &one.rows[0]);
		letters_free(&one);
	}
	return e;
}

static enum err tell_capped(struct authority *authority, int64_t now)
{
	static const char text[] =
	    "More refusals, repeated replies or notices are due than may be sent (limits "
	    "mails-per-address-day and mails-per-hour).\n"
	    "To whom none are sent is in the log: countersignctl log --since 1d\n"
	    "How many were left out: countersignctl status\n";

	return letters_insert_alarm(authority, "Alarm: too many mails", text, now);
}

/* The log keeps for ever, so what strangers can repeat without end is one entry a day there. */
static enum err log_left_out(struct authority *authority, const struct outbox_row *row, int64_t now)
{
	const char *kind = row->kind == OUTBOX_REFUSAL  ? "refusal"
			   : row->kind == OUTBOX_REPEAT ? "repeat"
							: "notice";
	char *detail = str_printf("kind=%s", kind);
	char *mark = str_printf("left-out:%s:%s", kind, row->recipient);
	bool first = false;
	enum err e = mark_once(authority->store, mark, now, DAY_SECONDS, &first);

	if (!e && first)
		e = audit_add(
		    authority->store, now, "agent", "mail-left-out", row->recipient, detail, NULL);
	str_free(&mark);
	str_free(&detail);
	return e;
}

static enum err leave_out(struct authority *authority, const struct outbox_row *row, int64_t now)
{
	bool first = false;
	enum err e;

	if ((e = counter_add(authority->store, "capped", 1)) ||
	    (e = log_left_out(authority, row, now)) ||
	    (e = mark_once(authority->store, "alarm:cap", now, DAY_SECONDS, &first)) || !first)
		return e;
	journal_warning("mails are left out: more than the limits allow");
	return tell_capped(authority, now);
}

enum err letters_insert(struct authority *authority, const struct letters *letters, int64_t now)
{
	enum err e = ERR_OK;

	for (size_t i = 0; i < letters->count && !e; i++) {
		const struct outbox_row *row = &letters->rows[i];
		bool capped;

		if ((e = is_capped(authority, row, now, &capped)))
			break;
		e = capped ? leave_out(authority, row, now) : outbox_insert(authority->store, row);
	}
	return e;
}

void letters_cut(struct letters *letters, size_t count)
{
	while (letters->count > count) {
		struct outbox_row *row = &letters->rows[--letters->count];

		str_free(&row->sender);
		str_free(&row->recipient);
		str_free(&row->message_id);
		str_free(&row->last_error);
		buf_free(&row->mail);
		*row = (struct outbox_row){ 0 };
	}
}

void letters_free(struct letters *letters)
{
	letters_cut(letters, 0);
}
