#include "issue.h"

#include <stdlib.h>
#include <string.h>

#include "base/when.h"
#include "enroll/keyset.h"
#include "enroll/state.h"
#include "hand.h"
#include "text/address.h"

/* ---- checks (P1.5, P1.6) ---- */

static bool domain_allowed(const struct authority *authority, const char *domain)
{
	char **allowed = authority->conf->policy.domains;

	if (!allowed || !*allowed)
		return str_equal(domain, authority->domain);
	for (; *allowed; allowed++)
		if (str_equal_case(domain, *allowed))
			return true;
	return false;
}

static enum err check_address(const struct authority *authority, const char *text, char **out)
{
	enum err e;

	*out = NULL;
	if ((e = address_canonical(text, out)) || (e = address_check_issuable(*out)))
		return e;
	if (str_equal(*out, authority->address))
		return err_fail(ERR_DATA, "%s is the authority itself and can't be enrolled", *out);
	if (!domain_allowed(authority, address_domain(*out)))
		return err_fail(ERR_DATA,
		    "%s: tokens are not issued for this domain; add it to policy domains in %s if they should be",
		    *out, authority->conf->path);
	return ERR_OK;
}

static enum err check_also(
    const struct authority *authority, const struct option_list *also, struct token_row *row)
{
	struct buf lines = BUF_INIT;
	enum err e = ERR_OK;

	for (size_t i = 0; i < also->count && !e; i++) {
		char *address = NULL;

		e = check_address(authority, also->values[i], &address);
		if (!e)
			buf_addf(&lines, "%s%s", lines.len ? "\n" : "", address);
		str_free(&address);
	}
	if (!e && lines.len)
		row->also = buf_take_text(&lines);
	buf_free(&lines);
	return e;
}

static enum err check_options(const struct issue_options *options)
{
	enum err e;

	if (options->keyset && !keyset_name_valid(options->keyset))
		return err_fail(ERR_DATA,
		    "\"%s\" is no keyset name: up to %d letters, digits, blanks, dots, underscores and hyphens, "
		    "the first a letter or digit, the last no blank",
		    options->keyset, KEYSET_NAME_MAX);
	if (options->name && (e = name_check(options->name)))
		return err_prefix(e, "--name");
	return ERR_OK;
}

static enum err set_expiry(const struct authority *authority, const struct issue_options *options,
    int64_t now, struct token_row *row)
{
	int64_t span = authority->conf->policy.token_expires_seconds;
	enum err e = options->expires ? when_parse_span(options->expires, &span) : ERR_OK;

	if (e)
		return err_prefix(ERR_USAGE, "--expires");
	if (span <= 0)
		return err_fail(ERR_USAGE, "--expires must lie in the future, such as 14d");
	row->issued = now;
	row->expires = now + span;
	return ERR_OK;
}

enum err issue_check_mailing(const struct authority *authority, bool recovery)
{
	const char *policy = authority->conf->policy.token_by_mail;

	if (str_equal(policy, recovery ? "recover" : "enroll") || str_equal(policy, "both"))
		return ERR_OK;
	return err_fail(ERR_DENIED,
	    "the policy token-by-mail = %s keeps %s tokens out of mail; print it and hand it over",
	    policy, recovery ? "recovery" : "enrollment");
}

/* ---- making, committing, taking back ---- */

static enum err add_notice(struct authority *authority, const struct invocation *in,
    enum notice_event event, const struct token_row *row, struct letters *out)
{
	struct notice notice = {
		.event = event,
		.address = row->address,
		.actor = in->actor,
		.keyset = row->keyset,
		.until = row->expires,
	};

	return letters_add_notice(authority, &notice, in->now, out);
}

enum err issue_prepare(struct authority *authority, const struct invocation *in,
    const struct issue_options *options, const char *address, struct issue *out)
{
	struct token token;
	enum err e;

	memset(out, 0, sizeof *out);
	if ((e = check_options(options)) ||
	    (e = check_address(authority, address, &out->row.address)) ||
	    (e = check_also(authority, &options->also, &out->row)) ||
	    (e = set_expiry(authority, options, in->now, &out->row)))
		return e;
	out->language = str_dup(options->language);
	out->row.name = str_dup(options->name);
	out->row.keyset = str_dup(options->keyset);
	out->row.additional = options->additional;
	out->row.recovery = options->recovery;
	out->row.issued_by = str_dup(in->actor);
	token_generate(authority->pin, &token);
	token_format(&token, out->text);
	token_key_public(token.seed, out->row.key);
	recovery_key_make(token.seed, out->recovery_key);
	token_wipe(&token);
	if (options->recovery || options->bulk)
		return ERR_OK;
	return add_notice(authority, in, NOTICE_TOKEN_ISSUED, &out->row, &out->letters);
}

static void note_active(const struct keyset_row *row, void *context)
{
	bool *active = context;

	*active |= !row->superseded && !row->revoked;
}

/* P2.4: such a request must also be signed; better said now than to the user. */
static enum err note_enrolled(struct authority *authority, const struct issue *issue)
{
	bool active = false;
	enum err e = keyset_each(authority->store, issue->row.address, false, note_active, &active);

	if (active && !issue->row.additional && !issue->row.recovery)
		command_note(
		    "%s has a keyset already: the request must be signed by its key, or issue the token "
		    "with --additional",
		    issue->row.address);
	return e;
}

static enum err insert_releases(struct store *store, struct issue *issue)
{
	enum err e = ERR_OK;

	for (size_t i = 0; i < issue->release_count && !e; i++) {
		issue->releases[i].token = issue->row.id;
		e = release_insert(store, &issue->releases[i]);
	}
	return e;
}

static enum err log_issue(
    struct store *store, const struct invocation *in, const struct issue *issue)
{
	const struct token_row *row = &issue->row;
	char when[WHEN_TEXT_SIZE];
	struct buf detail = BUF_INIT;
	enum err e;

	buf_addf(
	    &detail, "token=%lld expires=%s", (long long)row->id, when_format(row->expires, when));
	if (row->additional)
		buf_add_text(&detail, " additional=yes");
	if (row->recovery)
		buf_addf(&detail, " deposits=%zu", issue->release_count);
	if (issue->reason)
		buf_addf(&detail, " reason=\"%s\"", issue->reason);
	e = audit_add(store, in->now, in->actor,
	    row->recovery ? "recovery-started" : "token-issued", row->address, buf_text(&detail),
	    NULL);
	buf_free(&detail);
	return e;
}

enum err issue_insert(struct authority *authority, const struct invocation *in, struct issue *issue)
{
	struct store *store = authority->store;
	char *detail = NULL;
	enum err e;

	if ((e = token_insert(store, &issue->row, in->now, &issue->superseded)) ||
	    (e = insert_releases(store, issue)) || (e = log_issue(store, in, issue)))
		return e;
	if (issue->superseded) {
		detail = str_printf(
		    "token=%lld by=%lld", (long long)issue->superseded, (long long)issue->row.id);
		e = audit_add(store, in->now, in->actor, "token-superseded", issue->row.address,
		    detail, NULL);
		str_free(&detail);
	}
	return e ? e : letters_insert(authority, &issue->letters, in->now);
}

enum err issue_commit(struct authority *authority, const struct invocation *in, struct issue *issue)
{
	enum err e = note_enrolled(authority, issue);

	if (!e && !(e = store_begin(authority->store)) && !(e = issue_insert(authority, in, issue)))
		e = store_commit(authority->store);
	store_rollback(authority->store);
	if (e)
		issue->row.id = 0;
	else
		issue_committed(issue);
	return e;
}

void issue_committed(const struct issue *issue)
{
	if (issue->superseded)
		command_note("the token issued for %s before no longer works", issue->row.address);
}

struct voiding {
	const struct invocation *in;
	int64_t id;
	struct letters letters;
};

static enum err void_it(struct authority *authority, void *context)
{
	struct voiding *v = context;
	enum err e = token_void(authority->store, v->id, v->in->now);

	return e ? e : letters_insert(authority, &v->letters, v->in->now);
}

enum err issue_void(struct authority *authority, const struct invocation *in,
    const struct token_row *row, const char *why)
{
	char *detail = str_printf("token=%lld reason=%s", (long long)row->id, why);
	struct voiding v = { .in = in, .id = row->id };
	enum err e = add_notice(authority, in, NOTICE_TOKEN_VOIDED, row, &v.letters);

	if (!e)
		e = command_commit(
		    authority, in, "token-voided", row->address, detail, void_it, &v);
	letters_free(&v.letters);
	str_free(&detail);
	return e;
}

void issue_take_back(struct authority *authority, const struct invocation *in,
    const struct issue *issue, const char *why)
{
	char *cause = str_dup(err_text());

	if (issue_void(authority, in, &issue->row, why))
		command_note("token %lld of %s could not be voided either (%s): void it by hand",
		    (long long)issue->row.id, issue->row.address, err_text());
	(void)err_fail(ERR_UNAVAILABLE, "%s", cause);
	str_free(&cause);
}

enum err issue_send(struct authority *authority, const struct invocation *in,
    const struct issue *issue, struct bytes mail)
{
	const char *recipients[] = { issue->row.address, NULL };
	const char *sender = authority->conf->submit.bounces ? authority->address : "";

	if (hand_over(authority->conf, sender, recipients, mail) == SUBMIT_SENT)
		return ERR_OK;
	issue_take_back(authority, in, issue, "not-sent");
	return ERR_UNAVAILABLE;
}

void issue_free(struct issue *issue)
{
	for (size_t i = 0; i < issue->release_count; i++)
		buf_free(&issue->releases[i].sealed);
	free(issue->releases);

	str_free(&issue->language);
	str_free(&issue->row.address);
	str_free(&issue->row.also);
	str_free(&issue->row.name);
	str_free(&issue->row.keyset);
	str_free(&issue->row.issued_by);
	letters_free(&issue->letters);
	mem_wipe(issue, sizeof *issue);
}
