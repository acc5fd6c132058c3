#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

static char dir[] = "/dev/shm/test_file.XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return file_remove_tree(dir) == ERR_OK && !file_exists(dir) ? 0 : -1;
}

static void assert_content(const char *path, const char *text)
{
	struct buf out = BUF_INIT;

	assert_int_equal(file_read(path, 1000000, &out), ERR_OK);
	assert_string_equal(buf_text(&out), text);
	buf_free(&out);
}

static size_t entries(const char *path)
{
	DIR *stream = opendir(path);
	size_t count = 0;

	assert_non_null(stream);
	while (readdir(stream))
		count++;
	closedir(stream);
	return count - 2;
}

static void replacing(void **state)
{
	char *path = path_join(dir, "replaced");
	struct stat st;

	(void)state;
	assert_int_equal(file_write(path, 0600, bytes_of_text("one")), ERR_OK);
	assert_content(path, "one");
	assert_int_equal(file_write(path, 0644, bytes_of_text("two")), ERR_OK);
	assert_content(path, "two");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(entries(dir), 1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(file_write("/nonexistent/x", 0600, bytes_of_text("")), ERR_CREATE);
	str_free(&path);
}

/* A named pipe stands for /dev/null here: its place must not be taken by a file. */
static void devices_are_written_to(void **state)
{
	char *pipe_path = path_join(dir, "pipe");
	char got[8] = "";
	struct stat st;

	(void)state;
	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	int fd = open(pipe_path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(file_write(pipe_path, 0600, bytes_of_text("here")), ERR_OK);
	assert_int_equal(read(fd, got, sizeof got), 4);
	assert_string_equal(got, "here");
	assert_int_equal(lstat(pipe_path, &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	assert_int_equal(file_write("/dev/full", 0600, bytes_of_text("x")), ERR_TEMPORARY);
	close(fd);
	assert_int_equal(unlink(pipe_path), 0);
	str_free(&pipe_path);
}

static void creating_never_overwrites(void **state)
{
	char *path = path_join(dir, "created");

	(void)state;
	assert_int_equal(file_create(path, 0600, bytes_of_text("one")), ERR_OK);
	assert_int_equal(file_create(path, 0600, bytes_of_text("two")), ERR_CREATE);
	assert_content(path, "one");
	assert_int_equal(entries(dir), 1);
	assert_int_equal(unlink(path), 0);
	str_free(&path);
}

static void limits_of_reading(void **state)
{
	char *path = path_join(dir, "large");
	struct buf content = BUF_INIT, out = BUF_INIT;

	(void)state;
	memset(buf_reserve(&content, 100000), 'x', 100000);
	content.len = 100000;
	assert_int_equal(file_write(path, 0600, buf_bytes(&content)), ERR_OK);
	buf_add_text(&out, "kept");
	assert_int_equal(file_read(path, 100000, &out), ERR_OK);
	assert_int_equal(out.len, 100004);
	assert_int_equal(strlen(buf_text(&out)), 100004);
	buf_clear(&out);
	assert_int_equal(file_read(path, 99999, &out), ERR_DATA);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(file_read(path, 1, &out), ERR_NOINPUT);
	assert_int_equal(file_read(dir, 1, &out), ERR_NOINPUT);
	buf_free(&content);
	buf_free(&out);
	str_free(&path);
}

static void passphrase_files(void **state)
{
	static const struct {
		const char *content;
		mode_t mode;
		enum err err;
		const char *passphrase;
	} cases[] = {
		{ "open sesame\n", 0600, ERR_OK, "open sesame" },
		{ "no line end", 0600, ERR_OK, "no line end" },
		{ "first\r\nsecond\n", 0400, ERR_OK, "first" },
		{ "", 0600, ERR_CONFIG, "" },
		{ "\nsecond\n", 0600, ERR_CONFIG, "" },
		{ "x\n", 0604, ERR_CONFIG, "" },
		{ "x\n", 0601, ERR_CONFIG, "" },
		{ "x\n", 0640, ERR_CONFIG, "" },
		{ "x\n", 0620, ERR_CONFIG, "" },
	};
	char *path = path_join(dir, "passphrase");

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf out = BUF_INIT;

		assert_int_equal(
		    file_write(path, cases[i].mode, bytes_of_text(cases[i].content)), ERR_OK);
		assert_int_equal(file_read_secret(path, &out), cases[i].err);
		assert_string_equal(buf_text(&out), cases[i].passphrase);
		assert_true(out.secret);
		buf_free(&out);
	}
	assert_int_equal(unlink(path), 0);
	str_free(&path);
}

/* Of what others may read nothing is read, so that its length does not matter. */
static void passphrase_files_of_others(void **state)
{
	char *path = path_join(dir, "foreign"), *long_text = str_printf("%*s", 70000, "x");
	struct buf out = BUF_INIT;

	(void)state;
	assert_int_equal(file_write(path, 0640, bytes_of_text(long_text)), ERR_OK);
	assert_int_equal(file_read_secret(path, &out), ERR_CONFIG);
	assert_non_null(strstr(err_text(), "chmod 600"));
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(file_read_secret(path, &out), ERR_DATA);
	/* Only root can make a credential as systemd does; everybody else's is one that its group may read. */
	assert_int_equal(file_write(path, 0440, bytes_of_text("x")), ERR_OK);
	assert_int_equal(
	    file_read_secret(path, &out), geteuid() == 0 && getegid() == 0 ? ERR_OK : ERR_CONFIG);
	buf_free(&out);
	if (geteuid() == 0)
		assert_int_equal(chown(path, 0, 12345), 0);
	assert_int_equal(file_read_secret(path, &out), ERR_CONFIG);
	assert_int_equal(unlink(path), 0);
	buf_free(&out);
	str_free(&long_text);
	str_free(&path);
}

static void trees(void **state)
{
	char *deep = path_join(dir, "a/b/c"), *top = path_join(dir, "a"),
	     *outside = path_join(dir, "outside");
	char *link_path = path_join(deep, "link"), *file = path_join(deep, "file");

	(void)state;
	assert_int_equal(file_make_dir(deep, 0700), ERR_OK);
	assert_int_equal(file_make_dir(deep, 0700), ERR_OK);
	assert_int_equal(file_write(file, 0400, bytes_of_text("x")), ERR_OK);
	assert_int_equal(file_make_dir(file, 0700), ERR_CREATE);
	assert_int_equal(file_make_dir(outside, 0700), ERR_OK);
	assert_int_equal(symlink(outside, link_path), 0);
	assert_int_equal(file_remove_tree(top), ERR_OK);
	assert_false(file_exists(top));
	assert_true(file_exists(outside));
	assert_int_equal(file_remove_tree(top), ERR_OK);
	assert_int_equal(symlink(outside, top), 0);
	assert_int_equal(file_remove_tree(top), ERR_OK);
	assert_true(file_exists(outside));
	assert_int_equal(file_remove_tree(outside), ERR_OK);
	str_free(&deep);
	str_free(&top);
	str_free(&outside);
	str_free(&link_path);
	str_free(&file);
}

static void locks(void **state)
{
	char *path = path_join(dir, "lock");
	int first, second;

	(void)state;
	assert_int_equal(file_lock(path, &first), ERR_OK);
	assert_int_equal(file_lock(path, &second), ERR_TEMPORARY);
	assert_int_equal(second, -1);
	close(first);
	assert_int_equal(file_lock(path, &second), ERR_OK);
	assert_int_equal(fcntl(second, F_GETFD), FD_CLOEXEC);
	close(second);
	assert_int_equal(unlink(path), 0);
	str_free(&path);
}

static void memory_files(void **state)
{
	struct buf out = BUF_INIT;
	int fd, plain;

	(void)state;
	assert_int_equal(memfd_make(bytes_of("a\0b", 3), &fd), ERR_OK);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	for (int i = 0; i < 2; i++) {
		buf_clear(&out);
		assert_int_equal(memfd_read(fd, 3, &out), ERR_OK);
		assert_true(bytes_equal(buf_bytes(&out), bytes_of("a\0b", 3)));
	}
	assert_int_equal(memfd_read(fd, 2, &out), ERR_DATA);
	close(fd);
	plain = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(plain >= 0);
	assert_int_equal(memfd_read(plain, 3, &out), ERR_PROTOCOL);
	close(plain);
	assert_int_equal(memfd_make(bytes_of(NULL, 0), &fd), ERR_OK);
	buf_clear(&out);
	assert_int_equal(memfd_read(fd, 0, &out), ERR_OK);
	assert_int_equal(out.len, 0);
	close(fd);
	buf_free(&out);
}

static void places(void **state)
{
	char *path = path_join("/a/", "b");

	(void)state;
	assert_string_equal(path, "/a/b");
	str_free(&path);
	assert_true(file_is_tmpfs("/dev/shm"));
	assert_false(file_is_tmpfs("/proc"));
	assert_false(file_is_tmpfs("/nonexistent"));
	assert_int_equal(file_sync_dir("/nonexistent"), ERR_IO);
	assert_int_equal(file_sync_dir(dir), ERR_OK);
}

static void full_disks_pass(void **state)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(file_write_fd(fd, bytes_of_text("x")), ERR_TEMPORARY);
	close(fd);
	assert_int_equal(file_write_fd(-1, bytes_of_text("x")), ERR_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replacing),
		cmocka_unit_test(devices_are_written_to),
		cmocka_unit_test(creating_never_overwrites),
		cmocka_unit_test(limits_of_reading),
		cmocka_unit_test(passphrase_files),
		cmocka_unit_test(passphrase_files_of_others),
		cmocka_unit_test(trees),
		cmocka_unit_test(locks),
		cmocka_unit_test(memory_files),
		cmocka_unit_test(places),
		cmocka_unit_test(full_disks_pass),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
