#include "mail/wkd.h"

#include <assert.h>
#include <gnutls/crypto.h>
#include <string.h>

#include "base/buf.h"

#define SHA1_BYTES 20

/* z-base-32 of 160 bits: 32 symbols, no rest. */
static void zbase32_add(struct buf *out, const uint8_t hash[SHA1_BYTES])
{
	static const char alphabet[] = "ybndrfg8ejkmcpqxot1uwisza345h769";
	unsigned bits = 0, count = 0;
	for (size_t i = 0; i < SHA1_BYTES; i++) {
		bits = bits << 8 | hash[i];
		for (count += 8; count >= 5; count -= 5) {
			buf_add_byte(out, alphabet[bits >> (count - 5) & 31]);
		}
		bits &= 0xff;
	}
}

char *wkd_path(const char *canonical_address)
{
	const char *at = strrchr(canonical_address, '@');
	assert(at != NULL);
	char *local = str_ndup(canonical_address, (size_t)(at - canonical_address));
	for (char *c = local; *c; c++) {
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
	}
	uint8_t hash[SHA1_BYTES];
	int rc = gnutls_hash_fast(GNUTLS_DIG_SHA1, local, strlen(local), hash);
	assert(rc == 0);
	(void)rc;
	struct buf path = BUF_INIT;
	buf_addf(&path, "openpgpkey/%s/hu/", at + 1);
	zbase32_add(&path, hash);
	str_free(&local);
	return buf_take_text(&path);
}
