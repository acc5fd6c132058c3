/*
 * forge --open TOKEN ADDRESS FINGERPRINT < PART : what a recovery's reply brings, opened with the token (P5.5).
 *
 * forge TOKEN KEYFILE [DEPOSITFILE] < LINES : the inside of a client's request (P2.2) with exactly these lines above Token-Key, rightly signed with the
 * token. So a flow can say anything that the real client would not. KEYFILE and DEPOSITFILE are binary; "-" for the token: without Token-Key and
 * Token-Signature, as in a renewal.
 */
#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "base/file.h"
#include "enroll/deposit.h"
#include "enroll/token.h"

static void add_hash(struct buf *out, const struct buf *part)
{
	uint8_t hash[HASH_BYTES] = { 0 };

	if (part->len > 0)
		hash_sha256(buf_bytes(part), hash);
	buf_add(out, hash, sizeof hash);
}

static void add_block(struct buf *out, const char *name, const struct buf *part)
{
	buf_addf(out, "%s: %zu\n", name, part->len);
	base64_add(out, buf_bytes(part), 64, "\n");
}

static void add_token(
    struct buf *lines, const struct token *token, const struct buf *key, const struct buf *deposit)
{
	uint8_t public_key[TOKEN_KEY_BYTES], signature[TOKEN_SIGNATURE_BYTES] = { 0 };
	struct buf signed_text = BUF_INIT;

	token_key_public(token->seed, public_key);
	buf_add_text(lines, "Token-Key: ");
	hex_add(lines, bytes_of(public_key, sizeof public_key));
	buf_add_byte(lines, '\n');
	buf_add_text(&signed_text, "countersign request v1\n");
	buf_add(&signed_text, lines->data, lines->len);
	add_hash(&signed_text, key);
	add_hash(&signed_text, deposit);
	token_key_sign(token->seed, buf_bytes(&signed_text), signature);
	buf_add_text(lines, "Token-Signature: ");
	base64_add(lines, bytes_of(signature, sizeof signature), 0, "");
	buf_add_byte(lines, '\n');
	buf_free(&signed_text);
}

static int open_part(const char *token_text, const char *address, const char *fingerprint)
{
	struct buf sealed = BUF_INIT, associated = BUF_INIT, content = BUF_SECRET;
	uint8_t key[RECOVERY_KEY_BYTES], token_key[TOKEN_KEY_BYTES];
	struct token token;

	if (token_parse(token_text, &token) != ERR_OK || file_read("-", 1 << 20, &sealed) != ERR_OK)
		return 64;
	recovery_key_make(token.seed, key);
	token_key_public(token.seed, token_key);
	deposit_associated(token_key, address, fingerprint, &associated);
	enum err err = recovery_open(key, buf_bytes(&associated), buf_bytes(&sealed), &content);
	fwrite(content.data, 1, content.len, stdout);
	buf_free(&sealed);
	buf_free(&associated);
	buf_free(&content);
	return err_exit_status(err);
}

int main(int argc, char **argv)
{
	struct buf lines = BUF_INIT, key = BUF_INIT, deposit = BUF_INIT;
	struct token token = { 0 };
	bool without = argc > 1 && str_equal(argv[1], "-");

	secret_start();
	if (argc == 5 && str_equal(argv[1], "--open"))
		return open_part(argv[2], argv[3], argv[4]);
	if (argc < 3 || (!without && token_parse(argv[1], &token) != ERR_OK) ||
	    file_read("-", 1 << 20, &lines) != ERR_OK ||
	    file_read(argv[2], 1 << 20, &key) != ERR_OK ||
	    (argc > 3 && file_read(argv[3], 1 << 20, &deposit) != ERR_OK)) {
		fprintf(stderr, "forge: %s\n", argc < 3 ? "usage" : err_text());
		return 64;
	}
	if (!without)
		add_token(&lines, &token, &key, &deposit);
	buf_add_byte(&lines, '\n');
	add_block(&lines, "Key", &key);
	if (deposit.len > 0)
		add_block(&lines, "Deposit", &deposit);
	fwrite(lines.data, 1, lines.len, stdout);
	token_wipe(&token);
	buf_free(&lines);
	buf_free(&key);
	buf_free(&deposit);
	return fflush(stdout) ? 74 : 0;
}
