#include "shared/authority.h"

#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/when.h"
#include "command.h"
#include "keys/agent.h"
#include "terminal.h"

/* ---- authority show ---- */

static char *joined(char **list)
{
	struct buf b = BUF_INIT;

	for (; list && *list; list++)
		buf_addf(&b, "%s%s", b.len ? " " : "", *list);
	return buf_take_text(&b);
}

/* Read from the public key, so that it works where the key is locked. */
static enum err key_expiry(struct authority *a, int64_t *out)
{
	struct keyhome *home = NULL;
	struct key_facts *facts = NULL;
	const char *runtime = a->conf->authority.runtime_directory;
	enum err e;

	*out = 0;
	if ((e = authority_prepare_runtime(runtime, a->conf->authority.state_directory)) ||
	    (e = keyhome_start((unsigned)a->conf->limits.gpg_seconds)) ||
	    (e = keyhome_make(runtime, a->key_home, buf_bytes(&a->public_key),
		 (size_t)a->conf->limits.decompressed_bytes, &home)) ||
	    (e = keyhome_facts(home, a->fingerprint, false, &facts)))
		goto out;
	if (!facts)
		e = err_fail(ERR_DATA, "the authority's public key can't be read");
	else
		*out = facts->subkeys[0].expires;
out:
	key_facts_free(&facts);
	keyhome_close(&home);
	return e;
}

static void add_expiry(struct table *t, int64_t expires, bool json)
{
	char day[WHEN_TEXT_SIZE];

	if (json)
		table_field_time(t, "expires", "Expires", expires);
	else
		table_field_text(
		    t, "expires", "Expires", expires ? when_format_day(expires, day) : "never");
}

static enum err print_authority(struct authority *a, int64_t expires, bool json)
{
	struct table *t = table_page(json);
	struct buf pin = BUF_INIT;
	char *fingerprint = authority_fingerprint_text(a->fingerprint);
	char *escrow = NULL, *domains = joined(a->conf->policy.domains);
	enum err e = store_get(a->store, "escrow-fingerprint", &escrow);

	base32_add(&pin, bytes_of(a->pin, sizeof a->pin));
	table_field_text(t, "address", "Address", a->address);
	table_field_text(t, "name", "Name", a->name);
	table_field_text(t, "fingerprint", "Fingerprint", json ? a->fingerprint : fingerprint);
	add_expiry(t, expires, json);
	table_field_text(t, "pin", "Pin", buf_text(&pin));
	table_field_text(t, "passphrase", "Passphrase", a->unprotected ? "none" : "set");
	table_field_text(t, "escrow_fingerprint", "Escrow key", escrow);
	table_field_text(t, "domains", "Domains", *domains ? domains : a->domain);
	table_field_text(t, "plain_requests", "Plain requests", a->conf->policy.plain_requests);
	table_field_text(t, "escrow", "Escrow", a->conf->policy.escrow);
	table_field_text(t, "configuration", "Configuration", a->conf->path);
	table_field_text(t, "state_directory", "State", a->conf->authority.state_directory);
	if (!e)
		e = table_print(&t, stdout);
	str_free(&escrow);
	str_free(&domains);
	str_free(&fingerprint);
	buf_free(&pin);
	return e;
}

enum err command_authority_show(struct invocation *in)
{
	struct authority *authority = NULL;
	int64_t expires;
	enum err e;

	if ((e = options_read(in, NULL, 0, 0, "no argument")) ||
	    (e = command_open(in, AUTHORITY_STORE, &authority)))
		return e;
	if (!(e = key_expiry(authority, &expires)))
		e = print_authority(authority, expires, in->json);
	authority_close(&authority);
	return e;
}

/* ---- authority export ---- */

enum err command_authority_export(struct invocation *in)
{
	struct authority *authority = NULL;
	struct buf card = BUF_INIT;
	enum err e;

	if ((e = options_read(in, NULL, 0, 0, "no argument")) ||
	    (e = command_open(in, AUTHORITY_KEYS, &authority)))
		return e;
	if (!(e = authority_card(authority, &card)))
		fputs(buf_text(&card), stdout);
	buf_free(&card);
	authority_close(&authority);
	return e;
}

/* ---- unlock ---- */

static enum err read_passphrase(const char *file, struct buf *out)
{
	return file ? file_read_secret(file, out)
		    : terminal_ask("Passphrase of the authority's key", false, out);
}

static enum err unlock(struct authority *a, const struct invocation *in, struct bytes passphrase)
{
	enum err e = keyhome_start((unsigned)a->conf->limits.gpg_seconds);

	if (e)
		return e;
	if (!agent_running(a->key_home))
		return err_fail(
		    ERR_UNAVAILABLE, "countersignd is not running, so there is nothing to unlock");
	if ((e = agent_unlock(a->key_home, passphrase)))
		return e;
	return command_commit(a, in, "unlocked", NULL, NULL, NULL, NULL);
}

enum err command_unlock(struct invocation *in)
{
	const char *file = NULL;
	const struct option options[] = { { "passphrase-file", OPTION_TEXT, &file }, { 0 } };
	struct authority *authority = NULL;
	struct buf passphrase = BUF_SECRET;
	enum err e;

	if ((e = options_read(in, options, 0, 0, "no argument: the passphrase is asked for")) ||
	    (file && (e = read_passphrase(file, &passphrase))) ||
	    (e = command_open(in, AUTHORITY_STORE, &authority)) ||
	    (!file && (e = read_passphrase(NULL, &passphrase))))
		goto out;
	if (!(e = unlock(authority, in, buf_bytes(&passphrase))))
		puts("Unlocked.");
out:
	buf_free(&passphrase);
	authority_close(&authority);
	return e;
}
