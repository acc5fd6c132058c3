#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include <dirent.h>
#include <poll.h>

#include "base/file.h"
#include "mail/mailbox.h"
#include "secret/secret.h"

struct place {
	char dir[64];
	char *box_dir, *url;
	struct conf_mailbox conf;
	struct mailbox *box;
};

static int place_make(void **state)
{
	struct place *p = mem_alloc(sizeof *p);
	strcpy(p->dir, "/tmp/test_mailbox.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	p->box_dir = path_join(p->dir, "box");
	p->url = str_printf("maildir:%s", p->box_dir);
	p->conf = (struct conf_mailbox){
		.server = CONF_SERVER(p->url), .done_folder = "Done", .ignored_folder = "Ignored"
	};
	assert_int_equal(mailbox_open(&p->conf, &p->box), ERR_OK);
	*state = p;
	return 0;
}

static int place_remove(void **state)
{
	struct place *p = *state;
	mailbox_close(&p->box);
	assert_int_equal(file_remove_tree(p->dir), ERR_OK);
	str_free(&p->box_dir);
	str_free(&p->url);
	free(p);
	return 0;
}

static void put(const struct place *p, const char *name, const char *text)
{
	char *path = path_join(p->box_dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	str_free(&path);
}

static bool there(const struct place *p, const char *name)
{
	char *path = path_join(p->box_dir, name);
	bool found = file_exists(path);
	str_free(&path);
	return found;
}

/* Names in a directory, not counting "." and "..". */
static size_t names_in(const struct place *p, const char *sub)
{
	char *path = path_join(p->box_dir, sub);
	DIR *d = opendir(path);
	size_t count = 0;
	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d)) != NULL;) {
		count += e->d_name[0] != '.';
	}
	closedir(d);
	str_free(&path);
	return count;
}

/* What the mails that wait say, in order, each followed by "|". */
static void assert_waiting(struct place *p, const char *expect)
{
	char **ids = NULL;
	size_t count = 0;
	struct buf all = BUF_INIT;
	assert_int_equal(mailbox_list(p->box, &ids, &count), ERR_OK);
	for (size_t i = 0; i < count; i++) {
		size_t size = 0, before = all.len;
		assert_int_equal(mailbox_fetch(p->box, ids[i], 100, &all, &size), ERR_OK);
		assert_int_equal(size, all.len - before);
		buf_add_byte(&all, '|');
	}
	assert_null(ids[count]);
	assert_string_equal(buf_text(&all), expect);
	buf_free(&all);
	mailbox_list_free(&ids);
}

static char *only_id(struct place *p)
{
	char **ids = NULL;
	size_t count = 0;
	assert_int_equal(mailbox_list(p->box, &ids, &count), ERR_OK);
	assert_int_equal(count, 1);
	char *id = str_dup(ids[0]);
	mailbox_list_free(&ids);
	return id;
}

static void opening_creates(void **state)
{
	struct place *p = *state;
	assert_true(there(p, "new") && there(p, "cur") && there(p, "tmp"));
	assert_false(there(p, ".Done"));
	assert_waiting(p, "");
}

static void wrong_options(void **state)
{
	struct place *p = *state;
	static const struct {
		const char *url, *done;
		enum err expect;
	} cases[] = {
		{ "imap:x", "Done", ERR_CONFIG },
		{ "maildir:", "Done", ERR_CONFIG },
		{ "", "Done", ERR_CONFIG },
		{ "maildir:/dev/null/box", "Done", ERR_UNAVAILABLE },
		{ NULL, "../x", ERR_CONFIG },
		{ NULL, ".Done", ERR_CONFIG },
		{ NULL, "", ERR_OK },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct mailbox *box = NULL;
		struct conf_mailbox options = { .server = CONF_SERVER(
						    cases[i].url ? cases[i].url : p->url),
			.done_folder = cases[i].done,
			.ignored_folder = "" };
		assert_int_equal(mailbox_open(&options, &box), cases[i].expect);
		assert_true((box != NULL) == (cases[i].expect == ERR_OK));
		mailbox_close(&box);
	}
}

static void order_and_odd_names(void **state)
{
	struct place *p = *state;
	put(p, "new/300.c.host", "c");
	put(p, "new/100.z.host", "a");
	put(p, "cur/200.b.host:2,F", "b");
	put(p, "cur/300.b.host:2,", "b2");
	put(p, "new/.hidden", "no");
	put(p, "tmp/1.tmp.host", "no");
	put(p, "new/odd name\n:(\377)", "odd"); /* by its own time: now */
	char *sub = path_join(p->box_dir, "new/50.directory");
	char *link = path_join(p->box_dir, "new/60.link");
	assert_int_equal(mkdir(sub, 0700), 0);
	assert_int_equal(symlink("/etc/passwd", link), 0);
	assert_waiting(p, "a|b|b2|c|odd|");
	str_free(&sub);
	str_free(&link);
}

static void fetch_part_and_gone(void **state)
{
	struct place *p = *state;
	struct buf out = BUF_INIT;
	size_t size = 0;
	put(p, "new/1.a", "0123456789");
	char *id = only_id(p);
	assert_int_equal(mailbox_fetch(p->box, id, 4, &out, &size), ERR_OK);
	assert_string_equal(buf_text(&out), "0123");
	assert_int_equal(size, 10);
	/* A mail program marked it meanwhile. */
	char *from = path_join(p->box_dir, "new/1.a"), *to = path_join(p->box_dir, "cur/1.a:2,RS");
	assert_int_equal(rename(from, to), 0);
	buf_clear(&out);
	assert_int_equal(mailbox_fetch(p->box, id, 100, &out, &size), ERR_OK);
	assert_string_equal(buf_text(&out), "0123456789");
	assert_int_equal(unlink(to), 0);
	assert_int_equal(mailbox_fetch(p->box, id, 100, &out, &size), ERR_NOINPUT);
	assert_int_equal(mailbox_fetch(p->box, "nonsense", 100, &out, &size), ERR_NOINPUT);
	assert_int_equal(mailbox_settle(p->box, id, SETTLE_DONE), ERR_OK);
	str_free(&from);
	str_free(&to);
	str_free(&id);
	buf_free(&out);
}

static void settling(void **state)
{
	struct place *p = *state;
	static const struct {
		enum settle how;
		const char *end; /* where it is then */
	} cases[] = {
		{ SETTLE_DONE, ".Done/cur/1.a:2,S" },
		{ SETTLE_IGNORED, ".Ignored/cur/1.a:2,S" },
		{ SETTLE_DELETE, NULL },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		put(p, i % 2 ? "cur/1.a:2,FR" : "new/1.a", "x");
		put(p, "new/1.aa", "other");
		char *id = NULL, **ids = NULL;
		size_t count = 0;
		assert_int_equal(mailbox_list(p->box, &ids, &count), ERR_OK);
		assert_int_equal(count, 2);
		id = ids[0];
		assert_int_equal(mailbox_settle(p->box, id, cases[i].how), ERR_OK);
		assert_waiting(p, "other|");
		assert_true(cases[i].end == NULL || there(p, cases[i].end));
		mailbox_list_free(&ids);
	}
	assert_true(
	    there(p, ".Done/maildirfolder") && there(p, ".Done/new") && there(p, ".Done/tmp"));
	assert_int_equal(names_in(p, ".Done/cur"), 1);
	assert_int_equal(names_in(p, ".Ignored/cur"), 1);
}

static void settling_never_overwrites(void **state)
{
	struct place *p = *state;
	for (int i = 0; i < 3; i++) {
		put(p, "new/1.a", "x");
		char *id = only_id(p);
		assert_int_equal(mailbox_settle(p->box, id, SETTLE_DONE), ERR_OK);
		str_free(&id);
	}
	assert_int_equal(names_in(p, ".Done/cur"), 3);
}

/* A script that always delivers under one name: the second mail is not the one that was looked at. */
static void later_mail_of_the_same_name(void **state)
{
	struct place *p = *state;
	struct buf out = BUF_INIT;
	size_t size;
	put(p, "new/1.a", "first");
	char *id = only_id(p);
	put(p, "tmp/1.a", "second");
	char *from = path_join(p->box_dir, "tmp/1.a"), *to = path_join(p->box_dir, "new/1.a");
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(mailbox_fetch(p->box, id, 100, &out, &size), ERR_NOINPUT);
	assert_int_equal(mailbox_settle(p->box, id, SETTLE_DELETE), ERR_OK);
	assert_int_equal(mailbox_settle(p->box, id, SETTLE_DONE), ERR_OK);
	assert_waiting(p, "second|");
	str_free(&from);
	str_free(&to);
	str_free(&id);
	buf_free(&out);
}

static bool readable(struct mailbox *box)
{
	int fd;
	int64_t within;
	assert_int_equal(mailbox_watch(box, &fd, &within), ERR_OK);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return poll(&p, 1, 0) == 1;
}

static void news(void **state)
{
	struct place *p = *state;
	assert_false(readable(p->box));
	assert_int_equal(maildrop_deliver(p->box_dir, bytes_of_text("one")), ERR_OK);
	assert_true(readable(p->box));
	bool news;
	assert_int_equal(mailbox_drain(p->box, &news), ERR_OK);
	assert_false(readable(p->box));
	/* What we do ourselves is no news. */
	char *id = only_id(p);
	assert_int_equal(mailbox_settle(p->box, id, SETTLE_DONE), ERR_OK);
	assert_false(readable(p->box));
	str_free(&id);
	assert_int_equal(file_remove_tree(p->box_dir), ERR_OK);
	assert_int_equal(mailbox_drain(p->box, &news), ERR_UNAVAILABLE);
	char **ids = NULL;
	size_t count;
	assert_int_equal(mailbox_list(p->box, &ids, &count), ERR_UNAVAILABLE);
	assert_null(ids);
}

static void delivery(void **state)
{
	struct place *p = *state;
	struct buf expect = BUF_INIT;
	for (int i = 0; i < 50; i++) {
		char text[12];
		snprintf(text, sizeof text, "%d", i);
		assert_int_equal(maildrop_deliver(p->box_dir, bytes_of_text(text)), ERR_OK);
		buf_addf(&expect, "%d|", i);
	}
	assert_waiting(p, buf_text(&expect));
	assert_int_equal(names_in(p, "tmp"), 0);
	assert_int_not_equal(maildrop_deliver("/dev/null/x", bytes_of_text("x")), ERR_OK);
	buf_free(&expect);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define PLACED(t) cmocka_unit_test_setup_teardown(t, place_make, place_remove)
		PLACED(opening_creates),
		PLACED(wrong_options),
		PLACED(order_and_odd_names),
		PLACED(fetch_part_and_gone),
		PLACED(settling),
		PLACED(settling_never_overwrites),
		PLACED(later_mail_of_the_same_name),
		PLACED(news),
		PLACED(delivery),
	};
	secret_start();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
