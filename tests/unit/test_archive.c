/* The archive of a backup: what is written is read, tar reads it, and what is cut or changed is not taken. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/archive.h"
#include "base/file.h"
#include "base/proc.h"

static const struct {
	const char *name, *content;
} members[] = {
	{ "MANIFEST", "first\n" },
	{ "empty", "" },
	{ "keys/private-keys-v1.d/AB.key", "one\0two" },
};
#define MEMBERS (sizeof members / sizeof *members)

static int make(char path[])
{
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	for (size_t i = 0; i < MEMBERS; i++)
		assert_int_equal(
		    archive_write(fd, members[i].name, bytes_of_text(members[i].content), 1), 0);
	assert_int_equal(archive_write_end(fd), 0);
	return fd;
}

/* How many members can be read; -1: a fault. */
static int count(struct bytes all)
{
	struct archive_member member;
	bool found = true;
	int n = 0;

	while (found) {
		if (archive_next(&all, &member, &found))
			return -1;
		n += found;
	}
	return n;
}

static void test_round_trip(void **state)
{
	char path[] = "/dev/shm/cs-archive-XXXXXX";
	int fd = make(path);
	struct archive_member member;
	struct bytes map, rest;
	bool found;

	(void)state;
	assert_int_equal(file_map(fd, path, &map), 0);
	rest = map;
	for (size_t i = 0; i < MEMBERS; i++) {
		assert_int_equal(archive_next(&rest, &member, &found), 0);
		assert_true(found);
		assert_string_equal(member.name, members[i].name);
		assert_true(bytes_equal(member.content, bytes_of_text(members[i].content)));
	}
	assert_int_equal(archive_next(&rest, &member, &found), 0);
	assert_false(found);
	file_unmap(&map);
	close(fd);
	unlink(path);
}

static void test_tar_reads_it(void **state)
{
	char path[] = "/dev/shm/cs-archive-XXXXXX";
	char *argv[] = { "tar", "-tf", path, NULL };
	struct buf out = BUF_INIT;
	int fd = make(path), status;

	(void)state;
	assert_int_equal(proc_run(argv, bytes_of(NULL, 0), 10, &out, NULL, &status), 0);
	assert_int_equal(status, 0);
	assert_string_equal(buf_text(&out), "MANIFEST\nempty\nkeys/private-keys-v1.d/AB.key\n");
	buf_free(&out);
	close(fd);
	unlink(path);
}

/* At every length but the whole; the bits of every header. */
static void test_damage(void **state)
{
	char path[] = "/dev/shm/cs-archive-XXXXXX";
	struct buf all = BUF_INIT;
	int fd = make(path);

	(void)state;
	assert_int_equal(file_read(path, 1 << 20, &all), 0);
	assert_int_equal(count(buf_bytes(&all)), MEMBERS);
	for (size_t len = 0; len < all.len; len++)
		assert_int_equal(count(bytes_of(all.data, len)), -1);
	for (size_t at = 0; at < 500; at++) {
		if (at == 154 || at == 155) /* what ends the sum */
			continue;
		all.data[at] ^= 1;
		assert_true(count(buf_bytes(&all)) != MEMBERS);
		all.data[at] ^= 1;
	}
	buf_free(&all);
	close(fd);
	unlink(path);
}

static void test_names(void **state)
{
	char long_name[102];
	const char *const bad[] = { "", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "a b",
		"a\nb", long_name };

	(void)state;
	memset(long_name, 'x', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = '\0';
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_false(archive_name_valid(bad[i]));
		assert_int_equal(archive_write(-1, bad[i], bytes_of(NULL, 0), 1), ERR_DATA);
	}
	assert_true(archive_name_valid("keys/private-keys-v1.d/0123.key"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_tar_reads_it),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_names),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
