#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "client/opening.h"
#include "keys/deposit.h"
#include "keys/keyring.h"

/* The next fingerprint of the list, into `out`; false at the end. */
static bool next_key(const char **list, char out[FINGERPRINT_SIZE])
{
	size_t len;

	if (*list == NULL)
		return false;
	*list += strspn(*list, " ");
	len = strcspn(*list, " ");
	if (len != FINGERPRINT_SIZE - 1)
		return false;
	memcpy(out, *list, len);
	out[len] = '\0';
	*list += len;
	return true;
}

static enum err take_off(struct keyhome *home, const char *scratch, const char *fingerprint,
    struct bytes password, struct buf *out)
{
	return password.len > 0
		   ? deposit_export_protected(home, scratch, fingerprint, password, out)
		   : deposit_export(home, fingerprint, out);
}

/* Not by a fault that may pass: the password is another, or the key is gone. */
static bool is_other(enum err e)
{
	return e == ERR_DENIED || e == ERR_DATA || e == ERR_NOUSER;
}

static enum err set_password(struct keyhome *home, const char *scratch, const char *fingerprint,
    struct bytes was, struct bytes will)
{
	struct buf key = BUF_SECRET;
	enum err e = take_off(home, scratch, fingerprint, was, &key);

	if (e == ERR_OK) {
		e = deposit_install(home, scratch, buf_bytes(&key), fingerprint, will);
	} else if (is_other(e)) { /* or a change of before was interrupted */
		e = take_off(home, scratch, fingerprint, will, &key);
		if (is_other(e)) {
			fprintf(stderr,
			    "The old key %s has a password of its own, or is gone, and stays as it is.\n",
			    fingerprint);
			e = ERR_OK;
		}
	}
	buf_free(&key);
	return e;
}

enum err old_keys_set_password(
    struct keyhome *home, const char *list, struct bytes was, struct bytes will)
{
	char fingerprint[FINGERPRINT_SIZE], *scratch = NULL;
	enum err e = list != NULL ? local_scratch_make(&scratch) : ERR_OK;

	while (e == ERR_OK && next_key(&list, fingerprint))
		e = set_password(home, scratch, fingerprint, was, will);
	local_scratch_remove(&scratch);
	return e;
}

/* In a throw-away home: what lies in the user's stays without a password. */
static enum err export_covered(
    struct keyhome *home, const char *fingerprint, struct bytes cover, struct buf *out)
{
	struct keyhome *covered = NULL;
	struct buf key = BUF_SECRET;
	char *scratch = NULL, *path = NULL;
	enum err e = deposit_export(home, fingerprint, &key);

	if (e == ERR_OK)
		e = local_scratch_make(&scratch);
	if (e == ERR_OK) {
		path = path_join(scratch, "h");
		e = keyhome_open(path, true, &covered);
	}
	if (e == ERR_OK)
		e = deposit_install(covered, scratch, buf_bytes(&key), fingerprint, cover);
	if (e == ERR_OK)
		e = keyring_export_subkey(covered, fingerprint, cover, out);
	if (covered != NULL)
		local_agent_stop(path);
	keyhome_close(&covered);
	local_scratch_remove(&scratch);
	str_free(&path);
	buf_free(&key);
	return e;
}

enum err old_keys_export(struct keyhome *home, const char *list, struct bytes password,
    struct bytes cover, struct buf *out)
{
	char fingerprint[FINGERPRINT_SIZE];
	enum err e = ERR_OK;

	while (e == ERR_OK && next_key(&list, fingerprint)) {
		e = password.len > 0 ? keyring_export_subkey(home, fingerprint, password, out)
				     : export_covered(home, fingerprint, cover, out);
		if (e != ERR_OK && !err_is_passing(e)) {
			fprintf(stderr, "The old key %s is not in the file: %s.\n", fingerprint,
			    err_text());
			e = ERR_OK;
		}
	}
	return e;
}
