/* The copy for a backup: of one moment, with its head, and proved row by row. */
#include "store_fixture.h"

#include "base/archive.h"

static void add(struct store *store, int64_t at)
{
	assert_written(store, audit_add(store, at, "agent", "enrolled", ALICE, "a=b", NULL));
}

/* The copy as a store of its own. */
static struct store *open_copy(const struct place *place, int fd)
{
	char *path = path_join(place->dir, "copy.db");
	struct store *copy = NULL;
	struct bytes map;

	assert_fine(file_map(fd, "copy", &map));
	assert_fine(file_create(path, 0600, map));
	file_unmap(&map);
	assert_fine(store_open(path, 0, &copy));
	str_free(&path);
	return copy;
}

static void is_of_one_moment(void **state)
{
	struct place *place = *state;
	struct store *other = NULL, *copy;
	int64_t number, count, bad, keysets;
	char hash[65], head[65];
	int fd;

	add(place->store, NOW);
	assert_fine(store_copy(place->store, &fd, &number, hash));
	assert_int_equal(number, 1);
	/* Others write before, and after. */
	assert_fine(store_open(place->path, 1, &other));
	add(other, NOW + 1);
	copy = open_copy(place, fd);
	assert_fine(audit_verify(copy, number, hash, &count, &bad));
	assert_int_equal(count, 1);
	assert_fine(audit_head(copy, &number, head));
	assert_string_equal(head, hash);
	assert_fine(store_check_rows(copy, &keysets));
	assert_int_equal(keysets, 0);
	store_close(&copy);
	store_close(&other);
	close(fd);
}

static void leaves_no_file(void **state)
{
	struct place *place = *state;
	char *command = str_printf("test $(ls %s | wc -l) -le 2", place->dir);
	int64_t number;
	char hash[65];
	int fd;

	assert_fine(store_copy(place->store, &fd, &number, hash));
	close(fd);
	assert_int_equal(system(command), 0);
	str_free(&command);
}

static void a_changed_row_is_found(void **state)
{
	struct place *place = *state;
	int64_t keysets;
	sqlite3 *db;

	add(place->store, NOW);
	assert_fine(store_check_rows(place->store, &keysets));
	assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db, "UPDATE log SET detail = 'a=c'", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_fault(store_check_rows(place->store, &keysets), ERR_DATA);
}

static void entries_say_what_is_hashed(const struct audit_entry *entry, void *context)
{
	int *seen = context;

	assert_int_equal(strlen(entry->previous), 64);
	assert_int_equal(strlen(entry->who), entry->address ? 64 : 0);
	assert_int_equal(strlen(entry->salt), entry->address ? 64 : 0);
	++*seen;
}

static void an_entry_has_all_its_hashes(void **state)
{
	struct place *place = *state;
	int seen = 0;

	add(place->store, NOW);
	assert_written(
	    place->store, audit_add(place->store, NOW, "agent", "alarm", NULL, NULL, NULL));
	assert_fine(audit_each(place->store, NULL, 0, entries_say_what_is_hashed, &seen));
	assert_int_equal(seen, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(is_of_one_moment, place_make, place_remove),
		cmocka_unit_test_setup_teardown(leaves_no_file, place_make, place_remove),
		cmocka_unit_test_setup_teardown(a_changed_row_is_found, place_make, place_remove),
		cmocka_unit_test_setup_teardown(
		    an_entry_has_all_its_hashes, place_make, place_remove),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
