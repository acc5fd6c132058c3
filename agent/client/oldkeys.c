#include <stdio.h>
#include <string.h>

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

static enum err take_off(
    struct keyhome *home, const char *fingerprint, struct bytes password, struct buf *out)
{
	return password.len > 0 ? deposit_export_protected(home, NULL, fingerprint, password, out)
				: deposit_export(home, fingerprint, out);
}

static enum err set_password(
    struct keyhome *home, const char *fingerprint, struct bytes was, struct bytes will)
{
	struct buf key = BUF_SECRET, again = BUF_SECRET;
	enum err e = take_off(home, fingerprint, was, &key);

	if (e == ERR_OK)
		e = deposit_install(home, NULL, buf_bytes(&key), fingerprint, will);
	else if ((e == ERR_DENIED || e == ERR_DATA || e == ERR_NOUSER) &&
		 take_off(home, fingerprint, will, &again) == ERR_OK)
		e = ERR_OK; /* an interrupted change of before */
	else if (e == ERR_DENIED || e == ERR_DATA || e == ERR_NOUSER)
		fprintf(stderr,
		    "The old key %s has a password of its own, or is gone, and stays as it is.\n",
		    fingerprint);
	buf_free(&key);
	buf_free(&again);
	return err_is_passing(e) ? e : ERR_OK;
}

enum err old_keys_set_password(
    struct keyhome *home, const char *list, struct bytes was, struct bytes will)
{
	char fingerprint[FINGERPRINT_SIZE];
	enum err e = ERR_OK;

	while (e == ERR_OK && next_key(&list, fingerprint))
		e = set_password(home, fingerprint, was, will);
	return e;
}

/* In a throw-away home: what lies in the user's stays without a password. */
static enum err export_covered(
    struct keyhome *home, const char *fingerprint, struct bytes cover, struct buf *out)
{
	struct keyhome *scratch = NULL;
	struct buf key = BUF_SECRET;
	char *path = NULL;
	enum err e = deposit_export(home, fingerprint, &key);

	if (e == ERR_OK)
		e = local_scratch_make(&path);
	if (e == ERR_OK)
		e = keyhome_open(path, true, &scratch);
	if (e == ERR_OK)
		e = deposit_install(scratch, NULL, buf_bytes(&key), fingerprint, cover);
	if (e == ERR_OK)
		e = keyring_export_subkey(scratch, fingerprint, cover, out);
	keyhome_close(&scratch);
	local_scratch_remove(&path);
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
