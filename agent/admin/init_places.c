#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "init.h"

char *init_parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == path ? str_dup("/") : str_ndup(path, (size_t)(slash - path));
}

bool init_is_empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool empty = dir != NULL;

	while (empty && (entry = readdir(dir)))
		empty = str_equal(entry->d_name, ".") || str_equal(entry->d_name, "..");
	if (dir)
		closedir(dir);
	return empty;
}

void init_note_made(struct init *i, const char *path)
{
	if (i->made_count < INIT_MADE_MAX)
		i->made[i->made_count++] = str_dup(path);
}

/* The topmost directory of `path` that is not there yet. */
static char *topmost_missing(const char *path)
{
	char *top = str_dup(path);

	for (;;) {
		char *parent = init_parent(top);

		if (file_exists(parent)) {
			str_free(&parent);
			return top;
		}
		str_free(&top);
		top = parent;
	}
}

enum err init_give(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	if (chmod(path, mode) || (geteuid() == 0 && chown(path, uid, gid)))
		return err_fail(ERR_CREATE, "cannot give away %s: %s", path, strerror(errno));
	return ERR_OK;
}

enum err init_make_dir(struct init *i, const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	char *top, *walk;
	enum err e;

	if (file_exists(path))
		return init_give(path, mode, uid, gid);
	top = topmost_missing(path);
	init_note_made(i, top);
	e = file_make_dir(path, 0700);
	walk = init_parent(path);
	while (!e && strlen(walk) >= strlen(top)) {
		char *parent = init_parent(walk);

		e = init_give(walk, 0755, geteuid(), getegid());
		str_free(&walk);
		walk = parent;
	}
	str_free(&walk);
	str_free(&top);
	return e ? e : init_give(path, mode, uid, gid);
}

static void note_inside(struct init *i)
{
	static const char *const inside[] = { "keys", "escrow", "countersign.db",
		"countersign.db-journal", "lock" };

	for (size_t n = 0; n < sizeof inside / sizeof *inside; n++) {
		char *path = path_join(i->state, inside[n]);

		init_note_made(i, path);
		str_free(&path);
	}
}

enum err init_make_dirs(struct init *i)
{
	enum err e;

	if (file_exists(i->state))
		note_inside(i);
	if ((e = init_make_dir(i, i->state, 0700, i->uid, i->gid)) ||
	    (e = init_make_dir(i, i->keys, 0700, i->uid, i->gid)) ||
	    (e = init_make_dir(i, i->escrow, 0700, geteuid(), getegid())))
		return e;
	if (!file_exists(i->runtime) && (e = init_make_dir(i, i->runtime, 0700, i->uid, i->gid)))
		return e;
	if ((e = authority_prepare_runtime(i->runtime, i->state)) || !i->inbox)
		return e;
	if ((e = init_make_dir(i, i->inbox, 0700, i->uid, i->gid)))
		return e;
	return init_make_dir(i, i->outgoing, 0700, i->uid, i->gid);
}

/* Keeps the sentence that says why. */
void init_remove_made(struct init *i)
{
	char *why = str_dup(err_text());

	while (i->made_count > 0) {
		char **path = &i->made[--i->made_count];

		if (file_exists(*path) && file_remove_tree(*path))
			command_note("%s was left behind: %s", *path, err_text());
		str_free(path);
	}
	(void)err_fail(ERR_SOFTWARE, "%s", why);
	str_free(&why);
}
