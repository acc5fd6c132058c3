#include "shared/withdraw.h"

#include <stdlib.h>

#include "enroll/packets.h"

struct user_ids {
	char **list; /* NULL-terminated */
	size_t count;
};

/* For packets_reduce: what a stored key holds was certified, all of it. */
static bool note_user_id(const char *user_id, void *context)
{
	struct user_ids *ids = context;

	ids->list = mem_array(ids->list, ids->count + 2, sizeof *ids->list);
	ids->list[ids->count++] = str_dup(user_id);
	ids->list[ids->count] = NULL;
	return true;
}

enum err withdraw_certification(struct authority *authority, const struct keyset_row *keyset,
    const char *reason, struct buf *key_out)
{
	struct user_ids ids = { 0 };
	struct buf scratch = BUF_INIT;
	enum err e;

	if ((e = packets_reduce(buf_bytes(&keyset->key), note_user_id, &ids, &scratch)))
		goto out;
	if (!ids.count) {
		e = err_fail(ERR_DATA, "the stored key %s has no user ID", keyset->fingerprint);
		goto out;
	}
	if (!(e = keyhome_reset(authority->home)) &&
	    !(e = keyhome_withdraw(authority->home, authority->fingerprint, buf_bytes(&keyset->key),
		  (const char *const *)ids.list, reason, key_out)))
		e = keyhome_reset(authority->home);
out:
	for (size_t i = 0; i < ids.count; i++)
		str_free(&ids.list[i]);
	free(ids.list);
	buf_free(&scratch);
	return e;
}
