#include "revoke.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "enroll/keyset.h"
#include "shared/publish.h"
#include "shared/withdraw.h"
#include "terminal.h"
#include "text/address.h"
#include "text/utf8.h"

#define REASON_BYTES_MAX 200
#define RACES_MAX 5

enum err revoke_check_reason(const char *reason)
{
	char *printable;
	bool fits;

	if (!reason)
		return ERR_OK;
	printable = utf8_valid(bytes_of_text(reason)) ? utf8_printable(reason, false) : NULL;
	fits = *reason && strlen(reason) <= REASON_BYTES_MAX && str_equal(printable, reason) &&
	       !strpbrk(reason, "@\"");
	str_free(&printable);
	if (fits)
		return ERR_OK;
	return err_fail(ERR_USAGE,
	    "--reason is one line of up to %d characters without @ and quotation marks: the log keeps it for ever",
	    REASON_BYTES_MAX);
}

/* ---- what is to be revoked ---- */

struct search {
	const char *name;
	struct authority *authority;
	int64_t *ids;
	size_t count;
};

static bool same_name(const char *a, const char *b)
{
	char folded_a[KEYSET_NAME_MAX + 1], folded_b[KEYSET_NAME_MAX + 1];

	return str_equal(keyset_name_fold(a, folded_a), keyset_name_fold(b, folded_b));
}

static void find_keyset(const struct keyset_row *row, void *context)
{
	struct search *s = context;

	if (row->revoked || (s->name && !same_name(row->name, s->name)))
		return;
	s->ids = mem_array(s->ids, s->count + 1, sizeof *s->ids);
	s->ids[s->count++] = row->id;
}

static enum err add_notice(struct authority *authority, const struct invocation *in,
    const char *reason, struct revoked_keyset *k)
{
	struct notice notice = {
		.event = NOTICE_REVOKED,
		.address = k->row->address,
		.actor = in->actor,
		.keyset = k->row->name,
		.fingerprint = k->row->fingerprint,
		.reason = reason,
	};

	/* Of one that was superseded its owner was told that it is out of use. */
	if (k->row->superseded)
		return ERR_OK;
	return letters_add_notice(authority, &notice, in->now, &k->letters);
}

static enum err prepare_one(
    struct authority *authority, const struct invocation *in, int64_t id, struct revocation *out)
{
	struct revoked_keyset *k = &out->keysets[out->count];
	enum err e = keyset_by_id(authority->store, id, &k->row);

	if (e || !k->row)
		return e;
	out->count++;
	if (!(e = withdraw_certification(
		  authority, k->row, out->reason ? out->reason : "", &k->key)))
		e = add_notice(authority, in, out->reason, k);
	return e ? err_prefix(e, "keyset \"%s\" of %s", k->row->name, k->row->address) : e;
}

enum err revoke_prepare(struct authority *authority, const struct invocation *in,
    const char *address, const char *name, const char *reason, struct revocation *out)
{
	struct search search = { .name = name, .authority = authority };
	enum err e;

	*out = (struct revocation){ .address = address, .name = name, .reason = reason };
	e = keyset_each(authority->store, address, false, find_keyset, &search);
	if (!e && search.count)
		out->keysets = mem_alloc(search.count * sizeof *out->keysets);
	for (size_t i = 0; i < search.count && !e; i++)
		e = prepare_one(authority, in, search.ids[i], out);
	free(search.ids);
	return e;
}

/* ---- committing ---- */

static enum err log_one(struct authority *authority, const struct invocation *in,
    const struct revocation *r, const struct keyset_row *row)
{
	struct buf detail = BUF_INIT;
	enum err e;

	buf_addf(&detail, "keyset=\"%s\" fingerprint=%s", row->name, row->fingerprint);
	if (r->reason)
		buf_addf(&detail, " reason=\"%s\"", r->reason);
	e = audit_add(
	    authority->store, in->now, in->actor, "revoked", row->address, buf_text(&detail), NULL);
	buf_free(&detail);
	return e;
}

static enum err insert_one(struct authority *authority, const struct invocation *in,
    const struct revocation *r, const struct revoked_keyset *k)
{
	struct keyset_row *now = NULL;
	enum err e = keyset_by_id(authority->store, k->row->id, &now);

	if (!e &&
	    (!now || now->revoked || !bytes_equal(buf_bytes(&now->key), buf_bytes(&k->row->key))))
		e = err_fail(ERR_TEMPORARY, "raced: keyset \"%s\" of %s has changed meanwhile",
		    k->row->name, k->row->address);
	keyset_row_free(&now);
	if (e || (e = keyset_revoke(authority->store, k->row->id, &k->key, r->reason, in->now)) ||
	    (e = log_one(authority, in, r, k->row)))
		return e;
	return letters_insert(authority, &k->letters, in->now);
}

/* One that was enrolled meanwhile is to be revoked as well. */
static enum err check_all(struct authority *authority, const struct revocation *r)
{
	struct search search = { .name = r->name, .authority = authority };
	enum err e = keyset_each(authority->store, r->address, false, find_keyset, &search);

	if (!e && search.count != r->count)
		e = err_fail(
		    ERR_TEMPORARY, "raced: the keysets of %s have changed meanwhile", r->address);
	free(search.ids);
	return e;
}

enum err revoke_insert(
    struct authority *authority, const struct invocation *in, const struct revocation *revocation)
{
	enum err e = check_all(authority, revocation);

	for (size_t i = 0; i < revocation->count && !e; i++)
		e = insert_one(authority, in, revocation, &revocation->keysets[i]);
	return e;
}

void revoke_publish(struct authority *authority, const struct invocation *in)
{
	int64_t count = 0;

	if (*authority->conf->wkd.directory && publish_due(authority, in->now, &count))
		command_note("%s; countersignd will try again", err_text());
}

void revoke_free(struct revocation *revocation)
{
	for (size_t i = 0; i < revocation->count; i++) {
		keyset_row_free(&revocation->keysets[i].row);
		buf_free(&revocation->keysets[i].key);
		letters_free(&revocation->keysets[i].letters);
	}
	free(revocation->keysets);
	*revocation = (struct revocation){ 0 };
}

/* ---- the command ---- */

struct command_revoke {
	struct authority *authority;
	const struct invocation *in;
	const char *name, *reason;
	bool yes;
	char *address;
	struct revocation revocation;
	struct token_row *token; /* outstanding, or NULL */
	struct letters letters;  /* about the token */
};

static enum err prepare(struct command_revoke *c)
{
	struct notice notice = {
		.event = NOTICE_TOKEN_VOIDED, .address = c->address, .actor = c->in->actor
	};
	enum err e;

	if ((e = revoke_prepare(
		 c->authority, c->in, c->address, c->name, c->reason, &c->revocation)) ||
	    (e = token_outstanding(c->authority->store, c->address, c->in->now, &c->token)))
		return e;
	if (c->revocation.count == 0 && (c->name || !c->token))
		return c->name
			   ? err_fail(ERR_NOUSER,
				 "%s has no keyset \"%s\" to revoke; see \"countersignctl user show %s\"",
				 c->address, c->name, c->address)
			   : err_fail(ERR_NOUSER,
				 "%s has no keyset to revoke, and no outstanding token",
				 c->address);
	return c->token ? letters_add_notice(c->authority, &notice, c->in->now, &c->letters)
			: ERR_OK;
}

static void forget(struct command_revoke *c)
{
	revoke_free(&c->revocation);
	token_row_free(&c->token);
	letters_free(&c->letters);
}

/* P1.6: a revocation voids what is outstanding. */
static enum err void_token(struct command_revoke *c)
{
	struct store *store = c->authority->store;
	struct token_row *now = NULL;
	char *detail = NULL;
	enum err e = token_outstanding(store, c->address, c->in->now, &now);

	if (!e && (now ? now->id : 0) != (c->token ? c->token->id : 0))
		e = err_fail(
		    ERR_TEMPORARY, "raced: the token of %s has changed meanwhile", c->address);
	if (!e && now) {
		detail = str_printf("token=%lld reason=revoked", (long long)now->id);
		if (!(e = token_void(store, now->id, c->in->now)) &&
		    !(e = audit_add(store, c->in->now, c->in->actor, "token-voided", c->address,
			  detail, NULL)))
			e = letters_insert(c->authority, &c->letters, c->in->now);
	}
	str_free(&detail);
	token_row_free(&now);
	return e;
}

static enum err commit(struct command_revoke *c)
{
	struct store *store = c->authority->store;
	enum err e;

	if (!(e = store_begin(store)) && !(e = void_token(c)) &&
	    !(e = revoke_insert(c->authority, c->in, &c->revocation)))
		e = store_commit(store);
	store_rollback(store);
	return e;
}

/* What happens to the address meanwhile wins, and is looked at again. */
static enum err revoke_all(struct command_revoke *c)
{
	enum err e = ERR_TEMPORARY;

	for (int i = 0; i < RACES_MAX && e == ERR_TEMPORARY; i++) {
		forget(c);
		if (!(e = prepare(c)))
			e = commit(c);
	}
	return e;
}

static void count_keyset(const struct keyset_row *row, void *context)
{
	*(int *)context += !row->superseded && !row->revoked;
}

/* All keysets of somebody: asked on a terminal. */
static enum err confirm(struct command_revoke *c)
{
	char *question = NULL;
	int live = 0;
	enum err e;

	if (c->name || c->yes || !isatty(STDIN_FILENO))
		return ERR_OK;
	if ((e = keyset_each(c->authority->store, c->address, false, count_keyset, &live)))
		return e;
	question = str_printf(
	    "Revoke everything of %s (%d %s)?", c->address, live, live == 1 ? "keyset" : "keysets");
	e = terminal_confirm(question);
	str_free(&question);
	return e;
}

static enum err print(const struct command_revoke *c)
{
	static const char *const keys[] = { "address", "keyset", "fingerprint", "status", NULL };
	static const char *const heads[] = { "ADDRESS", "KEYSET", "FINGERPRINT", "STATUS", NULL };
	struct table *t = table_list(c->in->json, keys, heads);

	for (size_t i = 0; i < c->revocation.count; i++) {
		const struct keyset_row *row = c->revocation.keysets[i].row;

		table_row(t);
		table_text(t, c->address);
		table_text(t, row->name);
		table_text(t, row->fingerprint);
		table_text(t, "revoked");
	}
	if (c->token) {
		table_row(t);
		table_text(t, c->address);
		table_text(t, NULL);
		table_text(t, NULL);
		table_text(t, "token voided");
	}
	return table_print(&t, stdout);
}

enum err command_revoke(struct invocation *in)
{
	struct command_revoke c = { .in = in };
	const struct option options[] = { { "keyset", OPTION_TEXT, &c.name },
		{ "reason", OPTION_TEXT, &c.reason }, { "yes", OPTION_FLAG, &c.yes }, { 0 } };
	enum err e;

	if ((e = options_read(in, options, 1, 1, "one address")) ||
	    (e = revoke_check_reason(c.reason)) || (e = address_canonical(in->argv[0], &c.address)))
		goto out;
	if (!c.reason) {
		e = err_fail(ERR_USAGE,
		    "say why, for the log and for others: --reason compromised, superseded, left, unspecified, or a line of text");
		goto out;
	}
	if ((e = command_open(in, AUTHORITY_KEYS, &c.authority)) || (e = confirm(&c)) ||
	    (e = revoke_all(&c)))
		goto out;
	revoke_publish(c.authority, in);
	e = print(&c);
out:
	forget(&c);
	str_free(&c.address);
	authority_close(&c.authority);
	return e;
}
