/* The stand-in of tests/lib/pinentry: what it answers, and how often it was asked. */
#ifndef UNIT_PINENTRY_FIXTURE_H
#define UNIT_PINENTRY_FIXTURE_H

#include "keys_fixture.h"

/* Where the stand-in is: beside the tests, whatever directory they were started in. */
static inline char *stand_in_path(void)
{
	const char *root = getenv("COUNTERSIGN_ROOT");
	char *path = realpath(root ? root : ".", NULL), *program;

	program = str_printf("%s/tests/lib/pinentry", path ? path : "");
	free(path);
	if (!file_exists(program))
		fail_msg("%s is not there: start the tests in the project's directory", program);
	return program;
}

/* `home` uses the stand-in from now on; it is driven by files in `dir`. */
static inline void stand_in_use(const char *home, const char *dir)
{
	char *program = stand_in_path(),
	     *conf = str_printf("pinentry-program %s\ns2k-count 65536\n", program),
	     *path = path_join(home, "gpg-agent.conf");

	assert_fine(file_make_dir(home, 0700));
	assert_fine(file_make_dir(dir, 0700));
	assert_fine(file_write(path, 0600, text_bytes(conf)));
	assert_int_equal(setenv("PINENTRY_USER_DATA", dir, 1), 0);
	str_free(&program);
	str_free(&conf);
	str_free(&path);
}

/* NULL: no such file, so the question is cancelled. */
static inline void stand_in_say(const char *dir, const char *file, const char *answer)
{
	char *path = path_join(dir, file);

	if (answer)
		assert_fine(file_write(path, 0600, text_bytes(answer)));
	else
		(void)unlink(path);
	str_free(&path);
}

/* How often it was asked since the last call. */
static inline long stand_in_count(const char *dir)
{
	char *path = path_join(dir, "count");
	struct buf text = BUF_INIT;
	long count = 0;

	if (file_exists(path)) {
		assert_fine(file_read(path, 64, &text));
		count = strtol(buf_text(&text), NULL, 10);
		(void)unlink(path);
	}
	buf_free(&text);
	str_free(&path);
	return count;
}

static inline bool stand_in_heard(const char *dir, const char *words)
{
	char *path = path_join(dir, "log");
	struct buf text = BUF_INIT;
	bool heard = false;

	if (file_exists(path)) {
		assert_fine(file_read(path, MIB, &text));
		heard = strstr(buf_text(&text), words) != NULL;
	}
	buf_free(&text);
	str_free(&path);
	return heard;
}

#endif
