/*
 * escrow rotate: another escrow key. First it is put on record, so that countersignd seals to it from then on; then every deposit is sealed to it anew, each in a
 * transaction of its own. What was interrupted goes on when the command is run again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "enroll/packets.h"
#include "escrow_key.h"
#include "progress.h"
#include "terminal.h"

#define KEY_BYTES_MAX (1u << 20)

struct rotation {
	struct authority *authority;
	const struct invocation *in;
	struct escrow_key *key;
	const char *to_home, *to_key, *to_passphrase_file;
	bool no_passphrase;
	struct buf new_passphrase, new_file;
	char *old;            /* fingerprint of the key that is to open them */
	char fingerprint[41]; /* of the one on record from now on */
	struct buf public_key;
	int64_t done, skipped, lost;
};

static enum err get(struct rotation *r, const char *name, char **out)
{
	enum err e = store_get(r->authority->store, name, out);

	return e || *out ? e : err_fail(ERR_DATA, "the store names no escrow key");
}

/* ---- the new key ---- */

static enum err check_usage(const struct rotation *r)
{
	if (r->to_home && r->to_key)
		return err_fail(ERR_USAGE, "--to-home and --to-key exclude each other");
	if (!r->to_home && (r->to_passphrase_file || r->no_passphrase))
		return err_fail(
		    ERR_USAGE, "--to-passphrase-file and --no-passphrase go with --to-home");
	return ERR_OK;
}

/* With the rights of whoever called. */
static enum err read_inputs(struct rotation *r)
{
	if (r->to_key)
		return file_read(r->to_key, KEY_BYTES_MAX, &r->new_file);
	if (!r->to_home || r->no_passphrase)
		return ERR_OK;
	return r->to_passphrase_file
		   ? file_read_secret(r->to_passphrase_file, &r->new_passphrase)
		   : terminal_ask("Passphrase for the new escrow key", true, &r->new_passphrase);
}

static enum err make_key(struct rotation *r)
{
	struct authority *a = r->authority;
	char *path = r->to_home[0] == '/' ? str_dup(r->to_home) : NULL, *here = NULL;
	char *user_id =
	    str_printf("%s (escrow) <%s>", a->name ? a->name : "Security Authority", a->address);
	enum err e;

	if (!path && (here = getcwd(NULL, 0)))
		path = path_join(here, r->to_home);
	e = escrow_key_make(r->key, path ? path : r->to_home, user_id,
	    buf_bytes(&r->new_passphrase), r->fingerprint, &r->public_key);
	str_free(&user_id);
	str_free(&path);
	free(here);
	return e;
}

/* One made elsewhere, whose secret never comes here. Sealing to it shows that it is of use. */
static enum err take_key(struct rotation *r)
{
	struct keyhome *home = r->authority->home;
	struct buf binary = BUF_INIT, trial = BUF_INIT;
	struct key_facts *facts = NULL;
	enum err e = ERR_OK;

	if (armor_find(buf_bytes(&r->new_file), "PUBLIC KEY BLOCK"))
		e = armor_read(buf_bytes(&r->new_file), "PUBLIC KEY BLOCK", &binary, NULL);
	else
		buf_add(&binary, r->new_file.data, r->new_file.len);
	if (!e && packets_summarise(buf_bytes(&binary)).secret_keys)
		e = err_fail(ERR_DATA,
		    "it holds a secret key: give the public key alone, and the home with the secret by --escrow-home when it is needed");
	if (e || (e = keyhome_reset(home)) ||
	    (e = keyhome_import(home, buf_bytes(&binary), &facts)))
		goto out;
	memcpy(r->fingerprint, facts->fingerprint, sizeof r->fingerprint);
	if ((e = keyhome_encrypt(home, r->fingerprint, bytes_of_text("trial"), &trial)) ||
	    (e = keyhome_export(home, r->fingerprint, &r->public_key)))
		goto out;
	e = keyhome_reset(home);
out:
	if (e)
		e = err_prefix(e, "%s", r->to_key);
	key_facts_free(&facts);
	buf_free(&trial);
	buf_free(&binary);
	return e;
}

static enum err put_on_record(struct authority *authority, void *context)
{
	struct rotation *r = context;
	struct buf text = BUF_INIT;
	const char *passphrase = r->to_key ? "elsewhere" : r->no_passphrase ? "none" : "set";
	enum err e;

	base64_add(&text, buf_bytes(&r->public_key), 0, NULL);
	if (!(e = store_set(authority->store, "escrow-fingerprint", r->fingerprint)) &&
	    !(e = store_set(authority->store, "escrow-key", buf_text(&text))))
		e = store_set(authority->store, "escrow-passphrase", passphrase);
	buf_free(&text);
	return e;
}

/* The old key is opened first: who can't open the deposits can't move them either. */
static enum err change_key(struct rotation *r)
{
	char *detail = NULL;
	int64_t count = 0;
	enum err e;

	if ((e = get(r, "escrow-fingerprint", &r->old)) ||
	    (e = deposit_count(r->authority->store, NULL, &count)) ||
	    (count && (e = escrow_key_open(r->key, r->authority->escrow_home, r->old))))
		return e;
	if ((e = r->to_home ? make_key(r) : take_key(r)))
		return e;
	if (str_equal(r->old, r->fingerprint))
		return err_fail(ERR_DATA, "%s is the escrow key already", r->fingerprint);
	detail = str_printf("from=%s to=%s", r->old, r->fingerprint);
	e = command_commit(
	    r->authority, r->in, "escrow-key-changed", NULL, detail, put_on_record, r);
	str_free(&detail);
	return e;
}

/* ---- the deposits ---- */

struct resealing {
	const struct deposit_row *row;
	const char *fingerprint;
	struct buf sealed;
};

static enum err write_deposit(struct authority *authority, void *context)
{
	struct resealing *s = context;

	return deposit_reseal(authority->store, s->row->id, s->fingerprint, &s->sealed);
}

static enum err reseal_one(struct rotation *r, const struct deposit_row *row)
{
	struct resealing s = { .row = row, .fingerprint = r->fingerprint };
	char *detail = NULL;
	enum err e;

	if ((e = escrow_key_open(r->key, r->authority->escrow_home, row->escrow)))
		return e;
	if (!r->old)
		r->old = str_dup(row->escrow);
	if (!str_equal(row->escrow, r->old)) {
		r->skipped++;
		return ERR_OK;
	}
	e = escrow_key_reseal(
	    r->key, buf_bytes(&row->sealed), buf_bytes(&r->public_key), r->fingerprint, &s.sealed);
	if (!e) {
		detail = str_printf("deposit=%lld to=%s", (long long)row->id, r->fingerprint);
		e = command_commit(r->authority, r->in, "deposit-resealed", row->address, detail,
		    write_deposit, &s);
		r->done += !e;
	}
	str_free(&detail);
	buf_free(&s.sealed);
	return e;
}

/* A damaged one is named, and the others are done. */
static enum err reseal_all(struct rotation *r)
{
	struct store *store = r->authority->store;
	struct progress progress;
	struct deposit_row *row = NULL;
	int64_t total = 0, id = 0;
	enum err e = deposit_count(store, NULL, &total);

	progress_start(&progress, "Sealing");
	while (!e) {
		bool damaged;

		e = deposit_next_foreign(store, r->fingerprint, id, &id, &row);
		damaged = e == ERR_DATA;
		if (!e && !row)
			break;
		if (row) {
			e = reseal_one(r, row);
			damaged = e == ERR_DATA && r->old;
		}
		if (damaged) {
			r->lost++;
			command_note("deposit %lld%s%s: %s", (long long)id, row ? " of " : "",
			    row ? row->address : "", err_text());
			e = ERR_OK;
		}
		deposit_row_free(&row);
		progress_show(&progress, (size_t)(r->done + r->skipped + r->lost), (size_t)total);
	}
	deposit_row_free(&row);
	progress_end(&progress);
	return e;
}

/* ---- the command ---- */

static enum err read_record(struct rotation *r)
{
	char *fingerprint = NULL, *key = NULL;
	enum err e;

	if (!(e = get(r, "escrow-fingerprint", &fingerprint)) &&
	    !(e = get(r, "escrow-key", &key)) &&
	    !(e = base64_read(bytes_of_text(key), &r->public_key)))
		(void)snprintf(r->fingerprint, sizeof r->fingerprint, "%s", fingerprint);
	str_free(&fingerprint);
	str_free(&key);
	return e;
}

static enum err print(const struct rotation *r)
{
	struct table *t = table_page(r->in->json);

	table_field_text(t, "fingerprint", "Escrow key", r->fingerprint);
	table_field_number(t, "resealed", "Sealed to it now", r->done);
	table_field_number(t, "skipped", "Sealed to yet another key", r->skipped);
	table_field_number(t, "lost", "Could not be opened", r->lost);
	return table_print(&t, stdout);
}

static void say_what_is_left(const struct rotation *r)
{
	if (r->to_home)
		command_note(
		    "the new escrow key is in %s: set escrow-home in the section authority of %s",
		    r->to_home, r->authority->conf->path);
	if (r->to_key)
		command_note(
		    "its secret is not here: commands that open deposits need --escrow-home");
	if (r->old)
		command_note(
		    "the old home is kept: backups made before this can be opened by it alone");
	if (r->skipped)
		command_note(
		    "to go on with the others give their key: countersignctl escrow rotate "
		    "--escrow-home DIR");
}

enum err command_escrow_rotate(struct invocation *in)
{
	struct rotation r = { .in = in, .new_passphrase = BUF_SECRET };
	struct escrow_options escrow = { 0 };
	const struct option options[] = { ESCROW_OPTIONS(escrow),
		{ "to-home", OPTION_TEXT, &r.to_home }, { "to-key", OPTION_TEXT, &r.to_key },
		{ "to-passphrase-file", OPTION_TEXT, &r.to_passphrase_file },
		{ "no-passphrase", OPTION_FLAG, &r.no_passphrase }, { 0 } };
	enum err e;

	if ((e = options_read(in, options, 0, 0, "no argument")) || (e = check_usage(&r)) ||
	    (e = read_inputs(&r)) || (e = escrow_key_start(&escrow, &r.key)) ||
	    (e = command_open(in, AUTHORITY_KEYS, &r.authority)))
		goto out;
	e = r.to_home || r.to_key ? change_key(&r) : read_record(&r);
	if (!e)
		e = reseal_all(&r);
	if (!e && !(e = print(&r)))
		say_what_is_left(&r);
	else if (e && r.done)
		e = err_prefix(e,
		    "%lld deposits are done; run it again without --to-home and --to-key to go on",
		    (long long)r.done);
	if (r.lost || r.skipped)
		in->status = err_exit_status(ERR_DATA);
out:
	str_free(&r.old);
	buf_free(&r.new_passphrase);
	buf_free(&r.new_file);
	buf_free(&r.public_key);
	authority_close(&r.authority);
	escrow_key_stop(&r.key);
	return e;
}
