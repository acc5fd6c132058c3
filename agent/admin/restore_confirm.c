/* The end of the hold after a restore (I21): what was published since the backup knows better what has been revoked. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "enroll/packets.h"
#include "mail/wkd.h"
#include "restore.h"
#include "revoke.h"
#include "shared/hold.h"
#include "shared/publish.h"
#include "shared/withdraw.h"
#include "terminal.h"

#define WELL_KNOWN ".well-known"
#define ENTRY_BYTES_MAX (16u << 20)
#define REASON "withdrawn before a restore"

/* What is done about a key whose state in the directory is not that in the store. */
enum remedy { REVOKE, PUBLISH_AGAIN, UNPUBLISH };

struct difference {
	enum remedy remedy;
	char *address, *keyset; /* keyset NULL: the store knows of none */
	char fingerprint[41];
	char *path; /* of the entry */
};

struct comparison {
	struct authority *authority;
	const struct invocation *in;
	const char *directory; /* NULL: there is nothing to compare with */
	char **addresses;
	size_t address_count;
	char **paths; /* of the entries of those addresses, and of the authority's own; sorted */
	size_t path_count;
	struct difference *list;
	size_t count;
};

static void comparison_free(struct comparison *c)
{
	for (size_t i = 0; i < c->address_count; i++)
		str_free(&c->addresses[i]);
	for (size_t i = 0; i < c->path_count; i++)
		str_free(&c->paths[i]);
	for (size_t i = 0; i < c->count; i++) {
		str_free(&c->list[i].address);
		str_free(&c->list[i].keyset);
		str_free(&c->list[i].path);
	}
	free(c->addresses);
	free(c->paths);
	free(c->list);
}

static void add_difference(struct comparison *c, enum remedy remedy, const char *address,
    const char *keyset, const char *fingerprint, const char *path)
{
	struct difference *d;

	c->list = mem_array(c->list, c->count + 1, sizeof *c->list);
	d = &c->list[c->count++];
	*d = (struct difference){ .remedy = remedy,
		.address = str_dup(address),
		.keyset = str_dup(keyset),
		.path = str_dup(path) };
	memcpy(d->fingerprint, fingerprint, sizeof d->fingerprint);
}

static char *entry_path(const struct comparison *c, const char *address)
{
	char *below = wkd_path(address);
	char *path = str_printf("%s/" WELL_KNOWN "/%s", c->directory, below);

	str_free(&below);
	return path;
}

/* ---- one address ---- */

/* A keyset of the address, and what the directory says of its key. */
struct known {
	struct keyset_row *row;
	bool seen; /* its key is there */
};

struct person {
	struct comparison *c;
	const char *address, *path;
	struct known *list;
	size_t count;
};

static void note_keyset(const struct keyset_row *row, void *context)
{
	struct person *p = context;
	struct known *k;

	p->list = mem_array(p->list, p->count + 1, sizeof *p->list);
	k = &p->list[p->count++];
	*k = (struct known){ .row = mem_alloc(sizeof *k->row) };
	*k->row = (struct keyset_row){ .id = row->id,
		.address = str_dup(row->address),
		.name = str_dup(row->name),
		.confirmed = row->confirmed,
		.superseded = row->superseded,
		.revoked = row->revoked,
		.published = row->published };
	memcpy(k->row->fingerprint, row->fingerprint, sizeof k->row->fingerprint);
	buf_add(&k->row->key, row->key.data, row->key.len);
}

static void person_free(struct person *p)
{
	for (size_t i = 0; i < p->count; i++)
		keyset_row_free(&p->list[i].row);
	free(p->list);
}

/* Withdrawing a certification that is withdrawn already, or that of a revoked key, changes nothing. */
static enum err is_withdrawn(
    struct comparison *c, struct bytes key, const char *fingerprint, bool *out)
{
	struct keyset_row row = { 0 };
	struct buf withdrawn = BUF_INIT;
	enum err e;

	memcpy(row.fingerprint, fingerprint, sizeof row.fingerprint);
	buf_add(&row.key, key.data, key.len);
	if (!(e = withdraw_certification(c->authority, &row, "", &withdrawn)))
		*out = bytes_equal(buf_bytes(&withdrawn), key);
	buf_free(&row.key);
	buf_free(&withdrawn);
	return e;
}

static enum err identify(struct comparison *c, struct bytes key, struct key_facts **out)
{
	enum err e = keyhome_reset(c->authority->home);

	if (!e)
		e = keyhome_import(c->authority->home, key, out);
	return e;
}

static enum err judge_known(struct person *p, struct known *k, struct bytes key)
{
	bool live = !k->row->superseded && !k->row->revoked, withdrawn = false;
	enum err e;

	k->seen = true;
	if (bytes_equal(key, buf_bytes(&k->row->key)))
		return ERR_OK;
	if ((e = is_withdrawn(p->c, key, k->row->fingerprint, &withdrawn)) || withdrawn == !live)
		return e;
	add_difference(p->c, withdrawn ? REVOKE : PUBLISH_AGAIN, p->address, k->row->name,
	    k->row->fingerprint, p->path);
	return ERR_OK;
}

static enum err judge_key(struct person *p, struct bytes key)
{
	struct key_facts *facts = NULL;
	enum err e = identify(p->c, key, &facts);
	bool found = false;

	for (size_t i = 0; i < p->count && !e && !found; i++)
		if (str_equal(p->list[i].row->fingerprint, facts->fingerprint)) {
			found = true;
			e = judge_known(p, &p->list[i], key);
		}
	if (!e && !found)
		add_difference(p->c, UNPUBLISH, p->address, NULL, facts->fingerprint, p->path);
	key_facts_free(&facts);
	return e;
}

/* What the store publishes, and the directory no longer has. */
static enum err judge_missing(struct person *p)
{
	struct keyset_row *row = NULL;
	enum err e = keyset_to_publish(p->c->authority->store, p->address, p->c->in->now, &row);

	for (size_t i = 0; i < p->count && !e && row; i++)
		if (p->list[i].row->id == row->id && row->published && !p->list[i].seen)
			add_difference(
			    p->c, REVOKE, p->address, row->name, row->fingerprint, p->path);
	keyset_row_free(&row);
	return e;
}

static enum err judge_person(struct comparison *c, const char *address)
{
	char *path = entry_path(c, address);
	struct person p = { .c = c, .address = address, .path = path };
	struct buf content = BUF_INIT;
	struct bytes key;
	enum err e = keyset_each(c->authority->store, address, true, note_keyset, &p);

	if (!e && file_exists(path))
		e = file_read(path, ENTRY_BYTES_MAX, &content);
	for (size_t n = 0; !e && packets_key_at(buf_bytes(&content), n, &key); n++)
		e = judge_key(&p, key);
	if (!e)
		e = judge_missing(&p);
	person_free(&p);
	buf_free(&content);
	str_free(&path);
	return e;
}

/* ---- entries of people that the store does not know ---- */

static int compare_paths(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum err judge_stranger(struct comparison *c, const char *path)
{
	struct key_facts *facts = NULL;
	struct buf content = BUF_INIT;
	struct bytes key;
	enum err e;

	if (bsearch(&path, c->paths, c->path_count, sizeof *c->paths, compare_paths))
		return ERR_OK;
	if ((e = file_read(path, ENTRY_BYTES_MAX, &content)))
		goto out;
	for (size_t n = 0; !e && packets_key_at(buf_bytes(&content), n, &key); n++) {
		if (!(e = identify(c, key, &facts)))
			add_difference(c, UNPUBLISH,
			    facts->user_id_count ? facts->user_ids[0].address : NULL, NULL,
			    facts->fingerprint, path);
		key_facts_free(&facts);
	}
out:
	buf_free(&content);
	return e;
}

static enum err each_entry(struct comparison *c, const char *path,
    enum err (*each)(struct comparison *c, const char *path))
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	enum err e = ERR_OK;

	if (!dir && errno == ENOENT)
		return ERR_OK;
	if (!dir)
		return err_fail(ERR_NOINPUT, "cannot read %s: %s", path, strerror(errno));
	while (!e && (entry = readdir(dir))) {
		char *below;

		if (entry->d_name[0] == '.')
			continue;
		below = path_join(path, entry->d_name);
		e = each(c, below);
		str_free(&below);
	}
	closedir(dir);
	return e;
}

static enum err judge_domain(struct comparison *c, const char *path)
{
	char *hashes = path_join(path, "hu");
	enum err e = each_entry(c, hashes, judge_stranger);

	str_free(&hashes);
	return e;
}

/* ---- everything ---- */

static void note_address(const struct keyset_row *row, void *context)
{
	struct comparison *c = context;

	if (c->address_count && str_equal(c->addresses[c->address_count - 1], row->address))
		return;
	c->addresses = mem_array(c->addresses, c->address_count + 1, sizeof *c->addresses);
	c->addresses[c->address_count++] = str_dup(row->address);
}

static void note_paths(struct comparison *c)
{
	c->paths = mem_array(NULL, c->address_count + 1, sizeof *c->paths);
	for (size_t i = 0; i < c->address_count; i++)
		c->paths[c->path_count++] = entry_path(c, c->addresses[i]);
	c->paths[c->path_count++] = entry_path(c, c->authority->address);
	qsort(c->paths, c->path_count, sizeof *c->paths, compare_paths);
}

/* A directory without the authority's own key was not published by it: a new machine's. */
static bool has_directory(struct comparison *c)
{
	char *own;
	bool has;

	c->directory = c->authority->conf->wkd.directory;
	own = entry_path(c, c->authority->address);
	has = *c->directory && file_exists(own);
	str_free(&own);
	return has;
}

static enum err compare(struct comparison *c)
{
	char *all;
	enum err e;

	if (!has_directory(c)) {
		c->directory = NULL;
		command_note(
		    "there is no Web Key Directory here to compare with: revoke by hand what was revoked after the backup");
		return ERR_OK;
	}
	if ((e = keyset_each(c->authority->store, NULL, false, note_address, c)))
		return e;
	note_paths(c);
	for (size_t i = 0; i < c->address_count && !e; i++)
		e = judge_person(c, c->addresses[i]);
	all = str_printf("%s/" WELL_KNOWN "/openpgpkey", c->directory);
	if (!e)
		e = each_entry(c, all, judge_domain);
	str_free(&all);
	return e;
}

static void print_one(struct table *t, const struct difference *d)
{
	static const char *const texts[][3] = {
		[REVOKE] = { "valid", "revoked or gone", "revoke it" },
		[PUBLISH_AGAIN] = { "revoked or superseded", "valid", "publish that" },
		[UNPUBLISH] = { "unknown", "published", "unpublish it" },
	};

	table_row(t);
	table_text(t, d->address);
	table_text(t, d->keyset);
	table_text(t, d->fingerprint);
	for (size_t i = 0; i < 3; i++)
		table_text(t, texts[d->remedy][i]);
}

static enum err print(const struct comparison *c)
{
	static const char *const keys[] = { "address", "keyset", "fingerprint", "store",
		"directory", "action", NULL };
	static const char *const heads[] = { "ADDRESS", "KEYSET", "FINGERPRINT", "STORE",
		"DIRECTORY", "ACTION", NULL };
	struct table *t = table_list(c->in->json, keys, heads);

	for (size_t i = 0; i < c->count; i++)
		print_one(t, &c->list[i]);
	return table_print(&t, stdout);
}

/* ---- the remedies ---- */

static enum err revoke_it(struct comparison *c, const struct difference *d)
{
	struct store *store = c->authority->store;
	struct revocation revocation;
	enum err e;

	if (!(e = revoke_prepare(
		  c->authority, c->in, d->address, d->keyset, REASON, &revocation)) &&
	    !(e = store_begin(store)) && !(e = revoke_insert(c->authority, c->in, &revocation)))
		e = store_commit(store);
	store_rollback(store);
	revoke_free(&revocation);
	return e;
}

static enum err unpublish_it(struct comparison *c, const struct difference *d)
{
	char *dir = str_dup(d->path);
	enum err e = ERR_OK;

	(void)c;
	*strrchr(dir, '/') = '\0';
	if (unlink(d->path) && errno != ENOENT)
		e = err_fail(ERR_IO, "cannot remove %s: %s", d->path, strerror(errno));
	else
		e = file_sync_dir(dir);
	str_free(&dir);
	return e;
}

static bool is_known(const struct comparison *c, const struct difference *d)
{
	return bsearch(&d->path, c->paths, c->path_count, sizeof *c->paths, compare_paths);
}

static enum err remedy(struct comparison *c, const struct difference *d)
{
	enum err e = ERR_OK;

	if (d->remedy == REVOKE)
		e = revoke_it(c, d);
	if (e)
		return e;
	return is_known(c, d) ? publish_address(c->authority, c->directory, d->address, c->in->now)
			      : unpublish_it(c, d);
}

static enum err end_hold(struct authority *authority, void *context)
{
	(void)context;
	return hold_end(authority->store);
}

/* Interrupted, it is on hold as before, and is run again. */
static enum err settle(struct comparison *c)
{
	char *detail = str_printf("differences=%zu", c->count);
	enum err e = ERR_OK;

	for (size_t i = 0; i < c->count && !e; i++)
		e = remedy(c, &c->list[i]);
	if (!e)
		e = command_commit(
		    c->authority, c->in, "restore-confirmed", NULL, detail, end_hold, NULL);
	str_free(&detail);
	return e;
}

static enum err confirm(const struct comparison *c, bool yes)
{
	char *question;
	enum err e;

	if (yes)
		return ERR_OK;
	question = str_printf("End the hold, with %zu %s?", c->count,
	    c->count == 1 ? "difference settled so" : "differences settled so");
	e = terminal_confirm(question);
	str_free(&question);
	return e;
}

enum err restore_confirm(struct invocation *in, bool yes)
{
	struct comparison c = { .in = in };
	int64_t since = 0;
	enum err e;

	if ((e = command_open(in, AUTHORITY_KEYS, &c.authority)) ||
	    (e = hold_since(c.authority->store, &since)))
		goto out;
	if (!since) {
		e = err_fail(ERR_DATA, "the authority is not on hold: there is nothing to confirm");
		goto out;
	}
	if ((e = compare(&c)) || (e = print(&c)) || (e = confirm(&c, yes)) || (e = settle(&c)))
		goto out;
	revoke_publish(c.authority, in);
	if (!in->json)
		puts("The authority works again.");
out:
	comparison_free(&c);
	authority_close(&c.authority);
	return e;
}
