#include "shared/publish.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/when.h"
#include "mail/wkd.h"
#include "shared/hold.h"
#include "text/address.h"

#define WELL_KNOWN ".well-known"
#define COMPROMISED "compromised" /* as `revoke --reason` says */
#define FAILING_SINCE "publish-failing-since"
#define CARD_BYTES_MAX (1u << 20)
#define PUBLISH_LOCK "publish.lock"
#define PUBLISH_LOCK_MS 10000
#define PUBLISH_LOCK_STEP_MS 20

/* What is published is for everybody, whatever the umask. */
static enum err open_to_all(const char *path, mode_t mode)
{
	if (chmod(path, mode))
		return err_fail(ERR_IO, "cannot make %s readable: %s", path, strerror(errno));
	return ERR_OK;
}

static enum err make_dir(const char *parent, const char *path)
{
	if (!mkdir(path, 0755))
		return open_to_all(path, 0755) ? ERR_IO : file_sync_dir(parent);
	if (errno == EEXIST)
		return ERR_OK;
	return err_fail(ERR_IO, "cannot make %s: %s", path, strerror(errno));
}

/* Makes every directory between `directory` and the file `path` below it. */
static enum err make_dirs(const char *directory, const char *path)
{
	char *walk = str_dup(path), *slash = walk + strlen(directory);
	char *parent = str_dup(directory);
	enum err e = ERR_OK;

	while (!e && (slash = strchr(slash + 1, '/'))) {
		*slash = '\0';
		e = make_dir(parent, walk);
		str_free(&parent);
		parent = str_dup(walk);
		*slash = '/';
	}
	str_free(&parent);
	str_free(&walk);
	return e;
}

static char *entry_path(const char *directory, const char *address)
{
	char *below = wkd_path(address);
	char *path = str_printf("%s/%s/%s", directory, WELL_KNOWN, below);

	str_free(&below);
	return path;
}

/* The web server's root, made where it is missing: the first thing published should not need a person. */
static enum err make_root(const char *directory)
{
	enum err e;

	if (file_exists(directory))
		return ERR_OK;
	e = file_make_dir(directory, 0755);
	return e ? e : open_to_all(directory, 0755);
}

static enum err write_entry(const char *directory, const char *path, struct bytes content)
{
	enum err e = make_root(directory);

	if (!e)
		e = make_dirs(directory, path);

	if (!e)
		e = file_write(path, 0644, content);
	return e ? e : open_to_all(path, 0644);
}

static bool holds(const char *path, struct bytes content)
{
	struct buf now = BUF_INIT;
	bool same = file_exists(path) && !file_read(path, content.len + 1, &now) &&
		    bytes_equal(buf_bytes(&now), content);

	buf_free(&now);
	return same;
}

/* The policy file stands two levels above an entry: …/openpgpkey/DOMAIN/policy. */
static enum err write_policy(
    struct authority *authority, const char *directory, const char *address)
{
	struct bytes text = bytes_of_text(authority->conf->wkd.policy);
	char *path = str_printf(
	    "%s/%s/openpgpkey/%s/policy", directory, WELL_KNOWN, address_domain(address));
	enum err e = holds(path, text) ? ERR_OK : write_entry(directory, path, text);

	str_free(&path);
	return e;
}

static enum err remove_entry(const char *path)
{
	char *dir = str_dup(path);
	enum err e = ERR_OK;

	*strrchr(dir, '/') = '\0';
	if (!unlink(path))
		e = file_sync_dir(dir);
	else if (errno != ENOENT)
		e = err_fail(ERR_IO, "cannot remove %s: %s", path, strerror(errno));
	str_free(&dir);
	return e;
}

struct gathered {
	const char *fingerprint; /* of the current key; NULL: there is none */
	struct buf *out;
};

/*
 * A key that others may have, and must not use any more; never one that was not confirmed (P5.4). The certification alone being withdrawn,
 * who does not ask the authority finds a good key: in the hands of another it is not what the address leads to.
 */
static void gather_revoked(const struct keyset_row *row, void *context)
{
	struct gathered *g = context;

	if (row->revoked && row->confirmed && !str_equal(row->fingerprint, g->fingerprint) &&
	    (g->fingerprint || !str_equal(row->revoke_reason, COMPROMISED)))
		buf_add(g->out, row->key.data, row->key.len);
}

/* The current key of an address, and behind it those that were revoked, where policy publishes them; empty: none. */
static enum err gather(
    struct authority *authority, const char *address, int64_t now, struct buf *out)
{
	struct keyset_row *row = NULL;
	enum err e = keyset_to_publish(authority->store, address, now, &row);
	struct gathered g = { .fingerprint = row ? row->fingerprint : NULL, .out = out };

	if (!e && row)
		buf_add(out, row->key.data, row->key.len);
	if (!e && str_equal(authority->conf->policy.revoked, "publish"))
		e = keyset_each(authority->store, address, true, gather_revoked, &g);
	keyset_row_free(&row);
	return e;
}

enum err publish_address(
    struct authority *authority, const char *directory, const char *address, int64_t now)
{
	char *path = entry_path(directory, address);
	struct buf content = BUF_INIT;
	enum err e;

	if ((e = gather(authority, address, now, &content)))
		goto out;
	if (!content.len) {
		e = remove_entry(path);
		goto out;
	}
	if (!(e = write_policy(authority, directory, address)))
		e = write_entry(directory, path, buf_bytes(&content));
out:
	buf_free(&content);
	str_free(&path);
	return e;
}

static enum err publish_authority(struct authority *authority, const char *directory)
{
	char *path = entry_path(directory, authority->address);
	struct bytes key = buf_bytes(&authority->public_key);
	enum err e = write_policy(authority, directory, authority->address);

	if (!e && !holds(path, key))
		e = write_entry(directory, path, key);
	str_free(&path);
	return e;
}

/* P2.7. No signature is like another, so the file is written again only when what it says changes. */
static enum err publish_card(struct authority *authority, const char *directory)
{
	char *path = str_printf(
	    "%s/%s/countersign/%s/authority-card.asc", directory, WELL_KNOWN, authority->domain);
	struct buf there = BUF_INIT, card = BUF_INIT;
	enum err e = ERR_OK;

	if (file_exists(path) && !file_read(path, CARD_BYTES_MAX, &there) &&
	    authority_card_says_the_same(authority, buf_bytes(&there)))
		goto out;
	if (!(e = authority_card(authority, &card)))
		e = write_entry(directory, path, buf_bytes(&card));
out:
	buf_free(&there);
	buf_free(&card);
	str_free(&path);
	return e;
}

/* *done_out false: the keyset has changed while its entry was written, and is due once more. */
static enum err mark_published(
    struct authority *authority, const struct keyset_row *row, int64_t now, bool *done_out)
{
	char *detail = str_printf("fingerprint=%s", row->fingerprint);
	struct store *store = authority->store;
	enum err e = store_begin(store);

	*done_out = false;
	if (!e && !(e = keyset_published(store, row, now, done_out)) && *done_out &&
	    !(e = audit_add(store, now, "agent", "published", row->address, detail, NULL)))
		e = store_commit(store);
	store_rollback(store);
	str_free(&detail);
	return e;
}

/* One keyset that is due, above *after; *found_out false: none is. */
static enum err publish_next(struct authority *authority, const char *directory, int64_t now,
    int64_t *after, bool *found_out, int64_t *count_out)
{
	struct keyset_row *row = NULL;
	bool done = false;
	int64_t id = 0;
	enum err e = keyset_publish_due(authority->store, *after, &id, &row);

	*found_out = id != 0;
	if (!e && row && !(e = publish_address(authority, directory, row->address, now)))
		e = mark_published(authority, row, now, &done);
	*count_out += done;
	if (e)
		*after = id;
	keyset_row_free(&row);
	return e;
}

/* A damaged row is left due and told of; it holds up nothing else. */
static enum err publish_rest(
    struct authority *authority, const char *directory, int64_t now, int64_t *count_out)
{
	enum err e = ERR_OK, damage = ERR_OK;
	char *why = NULL;
	int64_t after = 0;
	bool found = true;

	while (found && (e == ERR_OK || e == ERR_DATA)) {
		e = publish_next(authority, directory, now, &after, &found, count_out);
		if (e == ERR_DATA && !damage) {
			damage = e;
			why = str_dup(err_text());
		}
	}
	if (e == ERR_OK || e == ERR_DATA)
		e = publish_card(authority, directory);
	if (!e && damage)
		e = err_fail(damage, "%s", why);
	str_free(&why);
	return e;
}

static enum err publish_into(
    struct authority *authority, const char *directory, int64_t now, int64_t *count_out)
{
	enum err e = publish_authority(authority, directory);

	return e ? e : publish_rest(authority, directory, now, count_out);
}

/* Two publishers at once could write an older key over a newer one. */
static enum err lock_publishing(struct authority *authority, int *fd_out)
{
	char *path = path_join(authority->conf->authority.state_directory, PUBLISH_LOCK);
	int64_t end = when_monotonic_ms() + PUBLISH_LOCK_MS;
	enum err e;

	while ((e = file_lock(path, fd_out)) == ERR_TEMPORARY && when_monotonic_ms() < end)
		(void)poll(NULL, 0, PUBLISH_LOCK_STEP_MS);
	str_free(&path);
	return e;
}

enum err publish_failing_since(struct authority *authority, int64_t *since_out)
{
	char *text = NULL;
	enum err e = store_get(authority->store, FAILING_SINCE, &text);

	*since_out = 0;
	if (!e && text && *text)
		e = when_parse(text, since_out);
	str_free(&text);
	return e;
}

/* What `status` judges by: since when it fails without a success in between. */
static enum err note_outcome(struct authority *authority, bool failed, int64_t now)
{
	struct store *store = authority->store;
	char text[WHEN_TEXT_SIZE];
	int64_t since;
	enum err e = publish_failing_since(authority, &since);

	if (e || (since != 0) == failed)
		return e;
	if (!(e = store_begin(store)) &&
	    !(e = store_set(store, FAILING_SINCE, failed ? when_format(now, text) : "")))
		e = store_commit(store);
	store_rollback(store);
	return e;
}

enum err publish_due(struct authority *authority, int64_t now, int64_t *count_out)
{
	const char *directory = authority->conf->wkd.directory;
	char *why;
	int lock = -1;
	enum err e;

	*count_out = 0;
	if (!*directory)
		return note_outcome(authority, false, now);
	if ((e = hold_check(authority->store)) || (e = lock_publishing(authority, &lock)))
		return e;
	e = publish_into(authority, directory, now, count_out);
	close(lock);
	if (!e)
		return note_outcome(authority, false, now);
	why = str_dup(err_text());
	if (note_outcome(authority, true, now))
		e = err_fail(e, "%s; %s", why, err_text());
	else
		e = err_fail(e, "%s", why);
	str_free(&why);
	return e;
}

/* ---- the whole directory ---- */

struct addresses {
	char **list;
	size_t count;
};

static void note_address(const struct keyset_row *row, void *context)
{
	struct addresses *a = context;

	if (a->count && str_equal(a->list[a->count - 1], row->address))
		return;
	a->list = mem_array(a->list, a->count + 1, sizeof *a->list);
	a->list[a->count++] = str_dup(row->address);
}

static enum err publish_all(struct authority *authority, const char *directory, int64_t now,
    const struct publish_watch *watch, int64_t *count_out)
{
	struct addresses all = { 0 };
	enum err e = keyset_each(authority->store, NULL, false, note_address, &all);

	for (size_t i = 0; i < all.count && !e; i++) {
		char *path = entry_path(directory, all.list[i]);

		e = publish_address(authority, directory, all.list[i], now);
		*count_out += file_exists(path);
		if (watch)
			watch->done(watch->context, i + 1, all.count);
		str_free(&path);
	}
	for (size_t i = 0; i < all.count; i++)
		str_free(&all.list[i]);
	free(all.list);
	return e;
}

/* True if `path` has no other entries than these (NULL: none). */
static bool holds_only(const char *path, const char *one, const char *other)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool yes = dir != NULL;

	while (yes && (entry = readdir(dir)))
		yes = str_equal(entry->d_name, ".") || str_equal(entry->d_name, "..") ||
		      (one && str_equal(entry->d_name, one)) ||
		      (other && str_equal(entry->d_name, other));
	if (dir)
		closedir(dir);
	return yes;
}

/* What is exchanged is removed afterwards: never a web site that somebody named by mistake. */
static enum err check_replaceable(const char *directory)
{
	char *well_known = path_join(directory, WELL_KNOWN);
	bool ours = holds_only(directory, NULL, NULL) ||
		    (holds_only(directory, WELL_KNOWN, NULL) &&
			holds_only(well_known, "openpgpkey", "countersign"));

	str_free(&well_known);
	if (ours)
		return ERR_OK;
	return err_fail(ERR_CREATE,
	    "%s holds other things than a Web Key Directory and would lose them; name a directory "
	    "of its own",
	    directory);
}

static enum err put_in_place(const char *made, const char *directory)
{
	if (!rename(made, directory))
		return ERR_OK;
	if ((errno == ENOTEMPTY || errno == EEXIST) &&
	    !renameat2(AT_FDCWD, made, AT_FDCWD, directory, RENAME_EXCHANGE))
		return file_remove_tree(made);
	return err_fail(ERR_CREATE, "cannot put %s in place: %s", directory, strerror(errno));
}

static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return str_dup(".");
	return slash == path ? str_dup("/") : str_ndup(path, (size_t)(slash - path));
}

static char *without_slashes(const char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	return str_ndup(path, len);
}

/* Keeps the sentence that says why. */
static void discard(const char *made)
{
	char *why = str_dup(err_text());

	if (file_remove_tree(made))
		(void)err_fail(ERR_IO, "%s; %s was left behind", why, made);
	else
		(void)err_fail(ERR_IO, "%s", why);
	str_free(&why);
}

enum err publish_export(struct authority *authority, const char *directory, int64_t now,
    const struct publish_watch *watch, int64_t *count_out)
{
	char *target = without_slashes(directory), *parent = parent_of(target);
	char *made = str_printf("%s.new-XXXXXX", target);
	enum err e = ERR_OK;

	*count_out = 0;
	if (file_exists(target) && (e = check_replaceable(target)))
		goto out;
	if (!mkdtemp(made)) {
		e = err_fail(ERR_CREATE, "cannot make %s: %s", made, strerror(errno));
		goto out;
	}
	if ((e = open_to_all(made, 0755)) || (e = publish_authority(authority, made)) ||
	    (e = publish_card(authority, made)) ||
	    (e = publish_all(authority, made, now, watch, count_out)) ||
	    (e = put_in_place(made, target)))
		discard(made);
	else
		e = file_sync_dir(parent);
out:
	str_free(&made);
	str_free(&parent);
	str_free(&target);
	return e;
}
