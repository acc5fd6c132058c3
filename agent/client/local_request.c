#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/when.h"
#include "client/local.h"
#include "client/localroom.h"
#include "client/record.h"

#define LEFTOVER_SECONDS 86400

static const struct record_field request_fields[] = {
	{ "Address", RECORD_TEXT, offsetof(struct local_request, address) },
	{ "Name", RECORD_TEXT, offsetof(struct local_request, name) },
	{ "Keyset", RECORD_TEXT, offsetof(struct local_request, keyset) },
	{ "Fingerprint", RECORD_FINGERPRINT, offsetof(struct local_request, fingerprint) },
	{ "Authority", RECORD_FINGERPRINT, offsetof(struct local_request, authority) },
	{ "Authority-Address", RECORD_TEXT, offsetof(struct local_request, authority_address) },
	{ "Request-Ids", RECORD_TEXT, offsetof(struct local_request, request_ids) },
	{ "Token-Key", RECORD_TEXT, offsetof(struct local_request, token_key) },
	{ "Level", RECORD_TEXT, offsetof(struct local_request, level) },
	{ "Protected", RECORD_FLAG, offsetof(struct local_request, protected) },
	{ "Own-Home", RECORD_TEXT, offsetof(struct local_request, own_home) },
	{ "Renews", RECORD_TEXT, offsetof(struct local_request, renews) },
	{ "Deposited", RECORD_FLAG, offsetof(struct local_request, deposited) },
	{ "Recovery-Key", RECORD_BYTES, offsetof(struct local_request, recovery_key) },
	{ "Created", RECORD_TIME, offsetof(struct local_request, created) },
	{ "Sent", RECORD_TIME, offsetof(struct local_request, sent) },
	{ "Refused", RECORD_TIME, offsetof(struct local_request, refused) },
	{ "Refusal", RECORD_TEXT, offsetof(struct local_request, refusal) },
	{ "Reply", RECORD_TEXT, offsetof(struct local_request, reply) },
	{ NULL, RECORD_TEXT, 0 },
};

static enum err sweep_leftover(const char *name, void *context)
{
	char *dir = NULL, *record = NULL;
	struct stat status;
	enum err e = local_path("pending", name, &dir);

	(void)context;
	if (e != ERR_OK)
		return e;
	record = path_join(dir, "record");
	if (!file_exists(record) && stat(dir, &status) == 0 &&
	    status.st_mtime + LEFTOVER_SECONDS < when_now())
		e = local_request_remove(name);
	str_free(&dir);
	str_free(&record);
	return e;
}

enum err local_request_make(struct local_request *request)
{
	char *dir = NULL;
	enum err e = local_each("pending", sweep_leftover, NULL);

	if (e != ERR_OK)
		return e;
	request->id = local_fresh_id();
	e = local_path("pending", request->id, &dir);
	if (e == ERR_OK && mkdir(dir, 0700) != 0)
		e = err_fail(ERR_CREATE, "cannot make %s: %s", dir, strerror(errno));
	if (e != ERR_OK)
		str_free(&request->id);
	str_free(&dir);
	return e;
}

char *local_request_path(const struct local_request *request, const char *name)
{
	char *dir = NULL, *path = NULL;

	if (local_path("pending", request->id, &dir) == ERR_OK)
		path = path_join(dir, name);
	str_free(&dir);
	return path;
}

enum err local_request_save(const struct local_request *request)
{
	char *path = local_request_path(request, "record");
	enum err e = record_save(path, request_fields, request);

	str_free(&path);
	return e;
}

enum err local_request_remove(const char *id)
{
	char *dir = NULL, *home = NULL;
	enum err e = local_path("pending", id, &dir);

	if (e != ERR_OK)
		return e;
	home = path_join(dir, "h");
	if (file_exists(home))
		local_agent_stop(home);
	e = file_remove_tree(dir);
	str_free(&home);
	str_free(&dir);
	return e;
}

struct request_listing {
	struct local_request *list;
	size_t count;
};

static enum err list_request(const char *name, void *context)
{
	struct request_listing *listing = context;
	struct local_request one = { .id = str_dup(name), .recovery_key = BUF_SECRET };
	char *path = local_request_path(&one, "record");
	enum err e = ERR_OK;

	if (path == NULL || !file_exists(path))
		goto out; /* being made, or left over */
	e = record_load(path, request_fields, &one);
	if (e == ERR_OK && (one.address == NULL || one.keyset == NULL || one.request_ids == NULL ||
			       one.authority_address == NULL))
		e = err_fail(ERR_DATA, "%s is damaged", path);
	if (e != ERR_OK)
		goto out;
	listing->list = mem_array(listing->list, listing->count + 1, sizeof(one));
	listing->list[listing->count++] = one;
	memset(&one, 0, sizeof(one));
out:
	local_request_clear(&one);
	str_free(&path);
	return e;
}

static int older_request(const void *a, const void *b)
{
	const struct local_request *x = a, *y = b;

	return x->created < y->created ? -1 : x->created > y->created;
}

enum err local_request_list(struct local_request **list_out, size_t *count_out)
{
	struct request_listing listing = { NULL, 0 };
	enum err e = local_each("pending", list_request, &listing);

	if (listing.count > 1)
		qsort(listing.list, listing.count, sizeof(*listing.list), older_request);
	*list_out = listing.list;
	*count_out = listing.count;
	return e;
}

bool local_request_has_id(const struct local_request *request, const char *request_id)
{
	return local_has_word(request->request_ids, request_id);
}

void local_request_clear(struct local_request *request)
{
	str_free(&request->id);
	record_clear(request_fields, request);
}

void local_request_list_free(struct local_request **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		local_request_clear(&(*list)[i]);
	free(*list);
	*list = NULL;
}
