/*
 * moved.so, preloaded: programs unpacked below $MOVED find their parts there, though they look for them below /usr by paths that were compiled in.
 * Dovecot runs doveconf so, and loads its modules.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *moved(const char *path, char there[PATH_MAX])
{
	const char *root = getenv("MOVED");

	if (root == NULL || path == NULL || strncmp(path, "/usr/", 5) != 0 ||
	    snprintf(there, PATH_MAX, "%s%s", root, path) >= PATH_MAX || access(there, F_OK) != 0)
		return path;
	return there;
}

int execv(const char *path, char *const argv[])
{
	char there[PATH_MAX];

	return execve(moved(path, there), argv, environ);
}

DIR *opendir(const char *path)
{
	DIR *(*next)(const char *) = (DIR * (*)(const char *)) dlsym(RTLD_NEXT, "opendir");
	char there[PATH_MAX];

	return next(moved(path, there));
}

void *dlopen(const char *path, int flags)
{
	void *(*next)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
	char there[PATH_MAX];

	return next(moved(path, there), flags);
}
