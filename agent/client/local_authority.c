#include <stdlib.h>

#include "base/file.h"
#include "client/local.h"
#include "client/localroom.h"
#include "client/record.h"
#include "text/address.h"

static const struct record_field authority_fields[] = {
	{ "Address", RECORD_TEXT, offsetof(struct local_authority, address) },
	{ "Name", RECORD_TEXT, offsetof(struct local_authority, name) },
	{ "Fingerprint", RECORD_FINGERPRINT, offsetof(struct local_authority, fingerprint) },
	{ "Accepted", RECORD_TIME, offsetof(struct local_authority, accepted) },
	{ "Escrow", RECORD_TEXT, offsetof(struct local_authority, escrow) },
	{ "Confirmed", RECORD_TIME, offsetof(struct local_authority, confirmed) },
	{ "Key", RECORD_BYTES, offsetof(struct local_authority, key) },
	{ NULL, RECORD_TEXT, 0 },
};

enum err local_authority_load(const char *domain, struct local_authority **out)
{
	struct local_authority *authority = NULL;
	char *path = NULL;
	enum err e;

	*out = NULL;
	e = local_path("authorities", domain, &path);
	if (e != ERR_OK || !file_exists(path))
		goto out;
	authority = mem_alloc(sizeof(*authority));
	e = record_load(path, authority_fields, authority);
	if (e == ERR_OK && (authority->address == NULL || authority->key.len == 0))
		e = err_fail(ERR_DATA, "%s is damaged", path);
	if (e != ERR_OK)
		goto out;
	*out = authority;
	authority = NULL;
out:
	local_authority_free(&authority);
	str_free(&path);
	return e;
}

enum err local_authority_save(const struct local_authority *authority)
{
	char *path = NULL;
	enum err e = local_path("authorities", address_domain(authority->address), &path);

	if (e == ERR_OK)
		e = record_save(path, authority_fields, authority);
	str_free(&path);
	return e;
}

struct authority_listing {
	struct local_authority *list;
	size_t count;
};

static enum err list_authority(const char *name, void *context)
{
	struct authority_listing *listing = context;
	struct local_authority *one = NULL;
	enum err e = local_authority_load(name, &one);

	if (e != ERR_OK || one == NULL)
		return e;
	if (!str_equal(name, address_domain(one->address))) {
		local_authority_free(&one); /* what a killed file_write left */
		return ERR_OK;
	}
	listing->list = mem_array(listing->list, listing->count + 1, sizeof(*one));
	listing->list[listing->count++] = *one;
	free(one);
	return ERR_OK;
}

enum err local_authority_list(struct local_authority **list_out, size_t *count_out)
{
	struct authority_listing listing = { NULL, 0 };
	enum err e = local_each("authorities", list_authority, &listing);

	*list_out = listing.list;
	*count_out = listing.count;
	return e;
}

void local_authority_clear(struct local_authority *authority)
{
	record_clear(authority_fields, authority);
}

void local_authority_free(struct local_authority **authority)
{
	if (*authority == NULL)
		return;
	local_authority_clear(*authority);
	free(*authority);
	*authority = NULL;
}

void local_authority_list_free(struct local_authority **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		local_authority_clear(&(*list)[i]);
	free(*list);
	*list = NULL;
}
