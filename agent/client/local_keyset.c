#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "client/local.h"
#include "client/localroom.h"
#include "client/record.h"
#include "enroll/keyset.h"
#include "enroll/state.h"

static const struct record_field keyset_fields[] = {
	{ "Address", RECORD_TEXT, offsetof(struct local_keyset, address) },
	{ "Keyset", RECORD_TEXT, offsetof(struct local_keyset, keyset) },
	{ "Fingerprint", RECORD_FINGERPRINT, offsetof(struct local_keyset, fingerprint) },
	{ "Authority", RECORD_FINGERPRINT, offsetof(struct local_keyset, authority) },
	{ "Authority-Address", RECORD_TEXT, offsetof(struct local_keyset, authority_address) },
	{ "Level", RECORD_TEXT, offsetof(struct local_keyset, level) },
	{ "Home", RECORD_TEXT, offsetof(struct local_keyset, home) },
	{ "Installed", RECORD_TIME, offsetof(struct local_keyset, installed) },
	{ "Certified-Until", RECORD_TIME, offsetof(struct local_keyset, certified_until) },
	{ "Superseded", RECORD_TIME, offsetof(struct local_keyset, superseded) },
	{ "Confirmed", RECORD_TIME, offsetof(struct local_keyset, confirmed) },
	{ "Confirmation", RECORD_BYTES, offsetof(struct local_keyset, confirmation) },
	{ "Reply", RECORD_TEXT, offsetof(struct local_keyset, reply) },
	{ "Encryption", RECORD_FINGERPRINT, offsetof(struct local_keyset, encryption) },
	{ "Deposited", RECORD_FLAG, offsetof(struct local_keyset, deposited) },
	{ "Recovered", RECORD_FLAG, offsetof(struct local_keyset, recovered) },
	{ "Old-Keys", RECORD_TEXT, offsetof(struct local_keyset, old_keys) },
	{ "Pending", RECORD_TEXT, offsetof(struct local_keyset, pending) },
	{ NULL, RECORD_TEXT, 0 },
};

enum err local_keyset_save(struct local_keyset *keyset)
{
	char *path = NULL;
	enum err e;

	if (keyset->id == NULL)
		keyset->id = local_fresh_id();
	e = local_path("keysets", keyset->id, &path);
	if (e == ERR_OK)
		e = record_save(path, keyset_fields, keyset);
	str_free(&path);
	return e;
}

struct keyset_listing {
	struct local_keyset *list;
	size_t count;
};

enum err local_keyset_load(const char *id, struct local_keyset *out)
{
	char *path = NULL;
	enum err e = local_path("keysets", id, &path);

	*out = (struct local_keyset){ .id = str_dup(id) };
	if (e == ERR_OK && !file_exists(path))
		e = err_fail(ERR_NOUSER, "the keyset that it is about is no longer here");
	if (e == ERR_OK)
		e = record_load(path, keyset_fields, out);
	if (e == ERR_OK && (out->address == NULL || out->keyset == NULL || out->level == NULL ||
			       out->home == NULL || out->authority_address == NULL))
		e = err_fail(ERR_DATA, "%s is damaged", path);
	if (e != ERR_OK)
		local_keyset_clear(out);
	str_free(&path);
	return e;
}

static enum err list_keyset(const char *name, void *context)
{
	struct keyset_listing *listing = context;
	struct local_keyset one;
	enum err e;

	if (strchr(name, '.') != NULL)
		return ERR_OK; /* what a killed file_write left */
	e = local_keyset_load(name, &one);
	if (e == ERR_OK) {
		listing->list = mem_array(listing->list, listing->count + 1, sizeof(one));
		listing->list[listing->count++] = one;
	}
	return e;
}

static int newer_keyset(const void *a, const void *b)
{
	const struct local_keyset *x = a, *y = b;

	return x->installed > y->installed ? -1 : x->installed < y->installed;
}

enum err local_keyset_list(struct local_keyset **list_out, size_t *count_out)
{
	struct keyset_listing listing = { NULL, 0 };
	enum err e = local_each("keysets", list_keyset, &listing);

	if (listing.count > 1)
		qsort(listing.list, listing.count, sizeof(*listing.list), newer_keyset);
	*list_out = listing.list;
	*count_out = listing.count;
	return e;
}

const char *local_keyset_state(const struct local_keyset *keyset, int64_t now)
{
	return keyset_state_name(keyset_state_of(
	    keyset->confirmed, keyset->superseded, 0, keyset->certified_until, 0, now));
}

void local_keyset_clear(struct local_keyset *keyset)
{
	str_free(&keyset->id);
	record_clear(keyset_fields, keyset);
}

void local_keyset_list_free(struct local_keyset **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		local_keyset_clear(&(*list)[i]);
	free(*list);
	*list = NULL;
}

enum err local_keyset_find(const char *name, const char *address, struct local_keyset *out)
{
	struct local_keyset *list = NULL;
	size_t count = 0, found = 0, at = 0;
	char wanted[KEYSET_NAME_MAX + 1], folded[KEYSET_NAME_MAX + 1];
	enum err e;

	memset(out, 0, sizeof(*out));
	if (!keyset_name_valid(name))
		return err_fail(ERR_USAGE, "\"%.40s\" can't be the name of a keyset", name);
	keyset_name_fold(name, wanted);
	e = local_keyset_list(&list, &count);
	for (size_t i = 0; e == ERR_OK && i < count; i++) {
		if (list[i].superseded != 0 ||
		    (address != NULL && !str_equal(list[i].address, address)) ||
		    !str_equal(wanted, keyset_name_fold(list[i].keyset, folded)))
			continue;
		if (found++ > 0 && !str_equal(list[i].address, list[at].address))
			e = err_fail(ERR_USAGE,
			    "several addresses have a keyset \"%s\": say which with --address",
			    name);
		else if (found == 1)
			at = i;
	}
	if (e == ERR_OK && found == 0)
		e = err_fail(ERR_NOUSER,
		    "there is no keyset \"%s\" here: `countersign list` shows what is", name);
	if (e == ERR_OK) {
		*out = list[at];
		memset(&list[at], 0, sizeof(list[at]));
	}
	local_keyset_list_free(&list, count);
	return e;
}
