/*
 * open_release TOKEN ADDRESS FINGERPRINT < sealed > deposit: what a client does with a released deposit (P5.5), without a client.
 * open_release --search TOKEN-KEY ADDRESS FINGERPRINT SEALED FILE...: what a thief does without the token: takes every 32 octets of the files for the key and every 10
 * for S, and names the files in which one opens it. Exit status 0 if there is one, 1 if not.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "enroll/deposit.h"
#include "enroll/token.h"

#define FILE_BYTES_MAX ((size_t)1 << 28)

static bool opens(const uint8_t *key, const struct buf *associated, const struct buf *sealed)
{
	struct buf clear = BUF_SECRET;
	bool good = !recovery_open(key, buf_bytes(associated), buf_bytes(sealed), &clear);

	buf_free(&clear);
	return good;
}

static bool holds_key(struct bytes file, const struct buf *associated, const struct buf *sealed)
{
	uint8_t key[RECOVERY_KEY_BYTES];
	bool found = false;

	for (size_t at = 0; !found && at + SECRET_SEED_BYTES <= file.len; at++) {
		recovery_key_make(file.data + at, key);
		found = opens(key, associated, sealed) ||
			(at + sizeof key <= file.len && opens(file.data + at, associated, sealed));
	}
	return found;
}

static bool read_token_key(const char *hex, uint8_t out[TOKEN_KEY_BYTES])
{
	size_t i = 0;
	unsigned octet;

	for (; i < TOKEN_KEY_BYTES && sscanf(hex + 2 * i, "%2x", &octet) == 1; i++)
		out[i] = (uint8_t)octet;
	return i == TOKEN_KEY_BYTES;
}

static int search(int count, char **words)
{
	uint8_t token_key[TOKEN_KEY_BYTES];
	struct buf associated = BUF_INIT, sealed = BUF_INIT;
	int status = 2;

	if (count < 5 || !read_token_key(words[0], token_key) ||
	    file_read(words[3], 1 << 20, &sealed))
		return status;
	deposit_associated(token_key, words[1], words[2], &associated);
	status = 1;
	for (int i = 4; i < count; i++) {
		struct buf file = BUF_INIT;
		if (!file_read(words[i], FILE_BYTES_MAX, &file) &&
		    holds_key(buf_bytes(&file), &associated, &sealed)) {
			puts(words[i]);
			status = 0;
		}
		buf_free(&file);
	}
	buf_free(&associated);
	buf_free(&sealed);
	return status;
}

static int open_with(char **words)
{
	uint8_t token_key[TOKEN_KEY_BYTES], key[RECOVERY_KEY_BYTES];
	struct buf sealed = BUF_INIT, associated = BUF_INIT, clear = BUF_SECRET;
	struct token token;
	int status = 2;

	if (!token_parse(words[0], &token) && !file_read("-", 1 << 20, &sealed)) {
		token_key_public(token.seed, token_key);
		recovery_key_make(token.seed, key);
		deposit_associated(token_key, words[1], words[2], &associated);
		status = recovery_open(key, buf_bytes(&associated), buf_bytes(&sealed), &clear) ||
			 file_write_fd(STDOUT_FILENO, buf_bytes(&clear));
	}
	token_wipe(&token);
	mem_wipe(key, sizeof key);
	buf_free(&sealed);
	buf_free(&associated);
	buf_free(&clear);
	return status;
}

int main(int argc, char **argv)
{
	int status = 2;

	secret_start();
	if (argc > 2 && str_equal(argv[1], "--search"))
		return search(argc - 2, argv + 2);
	if (argc == 4)
		status = open_with(argv + 1);
	if (status)
		fprintf(stderr, "open_release: %s\n", err_text());
	return status;
}
