/* open_release TOKEN ADDRESS FINGERPRINT < sealed > deposit: what a client does with a released deposit (P5.5), without a client. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "enroll/deposit.h"
#include "enroll/token.h"

int main(int argc, char **argv)
{
	uint8_t token_key[TOKEN_KEY_BYTES], key[RECOVERY_KEY_BYTES];
	struct buf sealed = BUF_INIT, associated = BUF_INIT, clear = BUF_SECRET;
	struct token token;
	int status = 2;

	secret_start();
	if (argc == 4 && !token_parse(argv[1], &token) && !file_read("-", 1 << 20, &sealed)) {
		token_key_public(token.seed, token_key);
		recovery_key_make(token.seed, key);
		deposit_associated(token_key, argv[2], argv[3], &associated);
		status = recovery_open(key, buf_bytes(&associated), buf_bytes(&sealed), &clear) ||
			 file_write_fd(STDOUT_FILENO, buf_bytes(&clear));
	}
	if (status)
		fprintf(stderr, "open_release: %s\n", err_text());
	token_wipe(&token);
	mem_wipe(key, sizeof key);
	buf_free(&sealed);
	buf_free(&associated);
	buf_free(&clear);
	return status;
}
