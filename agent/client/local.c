#include "client/local.h"

#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/journal.h"
#include "base/when.h"
#include "client/localroom.h"
#include "client/record.h"
#include "enroll/keyset.h"
#include "enroll/state.h"
#include "keys/agent.h"
#include "secret/secret.h"
#include "text/address.h"

#define ID_BYTES 5 /* 8 symbols: short, since a socket's path below it has 107 bytes */
#define SCRATCH_NAME "countersign."
#define SCRATCH_SECONDS 3600
static const struct record_field profile_fields[] = {
	{ "Address", RECORD_TEXT, offsetof(struct local_profile, address) },
	{ "Name", RECORD_TEXT, offsetof(struct local_profile, name) },
	{ "Submit", RECORD_TEXT, offsetof(struct local_profile, submit) },
	{ "Submit-Password-File", RECORD_TEXT,
	    offsetof(struct local_profile, submit_password_file) },
	{ NULL, RECORD_TEXT, 0 },
};

/* XDG Base Directory: the variable counts only when it is absolute. */
static enum err base_directory(const char *variable, const char *below_home, char **out)
{
	const char *value = getenv(variable), *home = getenv("HOME");
	const struct passwd *user;

	if (value != NULL && value[0] == '/') {
		*out = path_join(value, "countersign");
		return ERR_OK;
	}
	if (home == NULL || home[0] != '/') {
		user = getpwuid(getuid());
		home = user != NULL ? user->pw_dir : NULL;
	}
	if (home == NULL || home[0] != '/')
		return err_fail(ERR_NOINPUT, "you have no home directory: set HOME");
	*out = str_printf("%s/%s/countersign", home, below_home);
	return ERR_OK;
}

enum err local_path(const char *part, const char *name, char **out)
{
	char *base = NULL, *dir = NULL;
	enum err e;

	*out = NULL;
	e = base_directory("XDG_DATA_HOME", ".local/share", &base);
	if (e != ERR_OK)
		goto out;
	dir = part != NULL ? path_join(base, part) : str_dup(base);
	e = file_make_dir(dir, 0700);
	if (e != ERR_OK)
		goto out;
	*out = name != NULL ? path_join(dir, name) : str_dup(dir);
out:
	str_free(&base);
	str_free(&dir);
	return e;
}

enum err local_lock(void)
{
	char *path = NULL;
	int fd;
	enum err e = local_path(NULL, "lock", &path);

	if (e == ERR_OK)
		e = file_lock(path, &fd);
	if (e == ERR_TEMPORARY)
		e = err_fail(e, "another countersign is at work here: finish it first");
	str_free(&path);
	return e;
}

enum err local_each(
    const char *part, enum err (*each)(const char *name, void *context), void *context)
{
	char *path = NULL;
	DIR *dir = NULL;
	const struct dirent *entry;
	enum err e = local_path(part, NULL, &path);

	if (e != ERR_OK)
		return e;
	dir = opendir(path);
	if (dir == NULL)
		e = err_fail(ERR_IO, "cannot read %s: %s", path, strerror(errno));
	while (e == ERR_OK && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			e = each(entry->d_name, context);
	if (dir != NULL)
		closedir(dir);
	str_free(&path);
	return e;
}

char *local_fresh_id(void)
{
	uint8_t random[ID_BYTES];
	struct buf id = BUF_INIT;

	secret_random(random, sizeof(random));
	base32_add(&id, bytes_of(random, sizeof(random)));
	return buf_take_text(&id);
}

static enum err profile_path(char **out)
{
	char *dir = NULL;
	enum err e = base_directory("XDG_CONFIG_HOME", ".config", &dir);

	*out = e == ERR_OK ? path_join(dir, "profile") : NULL;
	str_free(&dir);
	return e;
}

enum err local_profile_load(struct local_profile *out)
{
	char *path = NULL;
	enum err e = profile_path(&path);

	memset(out, 0, sizeof(*out));
	if (e == ERR_OK && file_exists(path))
		e = record_load(path, profile_fields, out);
	str_free(&path);
	return e;
}

enum err local_profile_save(const struct local_profile *profile)
{
	char *path = NULL, *dir = NULL;
	enum err e = base_directory("XDG_CONFIG_HOME", ".config", &dir);

	if (e == ERR_OK)
		e = file_make_dir(dir, 0700);
	if (e == ERR_OK)
		e = profile_path(&path);
	if (e == ERR_OK)
		e = record_save(path, profile_fields, profile);
	str_free(&path);
	str_free(&dir);
	return e;
}

void local_profile_clear(struct local_profile *profile)
{
	record_clear(profile_fields, profile);
}

bool local_has_word(const char *list, const char *word)
{
	size_t len = strlen(word);
	const char *at = list;

	while (at != NULL && len > 0 && (at = strstr(at, word)) != NULL) {
		bool starts = at == list || at[-1] == ' ';

		if (starts && (at[len] == ' ' || at[len] == '\0'))
			return true;
		at += len;
	}
	return false;
}

void local_add_word(char **list, const char *word)
{
	char *all = *list != NULL ? str_printf("%s %s", *list, word) : str_dup(word);

	str_free(list);
	*list = all;
}

void local_agent_stop(const char *home)
{
	char *text = str_dup(err_text());

	agent_stop(home);
	(void)err_fail(ERR_SOFTWARE, "%s", text);
	str_free(&text);
}

/* Secret keys pass through it: in memory, never on a disk. NULL: there is no such place. */
static const char *scratch_parent(void)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (runtime != NULL && runtime[0] == '/' && access(runtime, W_OK) == 0 &&
	    file_is_tmpfs(runtime))
		return runtime;
	return file_is_tmpfs("/dev/shm") ? "/dev/shm" : NULL;
}

/* What a killed countersign left; nobody works that long. */
static void sweep_scratch(const char *parent)
{
	DIR *dir = opendir(parent);
	const struct dirent *entry;
	struct stat status;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char *path;

		if (!str_starts(entry->d_name, SCRATCH_NAME))
			continue;
		path = path_join(parent, entry->d_name);
		if (lstat(path, &status) == 0 && S_ISDIR(status.st_mode) &&
		    status.st_uid == geteuid() && status.st_mtime + SCRATCH_SECONDS < when_now())
			local_scratch_remove(&path);
		str_free(&path);
	}
	if (dir != NULL)
		closedir(dir);
}

enum err local_scratch_make(char **path_out)
{
	const char *parent = scratch_parent();
	char *path;

	*path_out = NULL;
	if (parent == NULL)
		return err_fail(ERR_CONFIG,
		    "there is no place in memory for secret keys: neither XDG_RUNTIME_DIR nor /dev/shm is on tmpfs");
	sweep_scratch(parent);
	path = str_printf("%s/" SCRATCH_NAME "XXXXXX", parent);
	if (mkdtemp(path) == NULL) {
		enum err e = err_fail(
		    ERR_CREATE, "cannot make a directory in %s: %s", parent, strerror(errno));

		str_free(&path);
		return e;
	}
	*path_out = path;
	return ERR_OK;
}

void local_scratch_remove(char **path)
{
	if (*path == NULL)
		return;
	local_agent_stop(*path);
	if (file_remove_tree(*path) != ERR_OK)
		journal_warning("%s", err_text());
	str_free(path);
}
