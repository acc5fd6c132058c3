#include <string.h>

#include "enroll/internal.h"
#include "enroll/packets.h"

enum {
	TAG_PUBLIC_KEY_SESSION = 1,
	TAG_PASSWORD_SESSION = 3,
	TAG_MARKER = 10,
	TAG_PROTECTED_DATA = 18
}; /* RFC 4880 4.3 */
enum {
	ALGORITHM_RSA = 1,
	ALGORITHM_RSA_ENCRYPT = 2,
	ALGORITHM_ECDH = 18
}; /* RFC 4880 9.1, RFC 6637 5 */

#define SESSIONS_MAX 16
#define SESSION_HEAD 10 /* version, key ID, algorithm */
#define RSA_BITS_MAX 16384
#define CURVE25519_BITS 263 /* the prefix 0x40 and 32 bytes */
#define CURVE25519_BYTES 33
#define CURVE25519_PREFIX 0x40

/* Exactly one number (RFC 4880 3.2), up to the end. */
static bool is_rsa(struct bytes rest)
{
	if (rest.len < 2)
		return false;
	size_t bits = (size_t)rest.data[0] << 8 | rest.data[1];
	return bits > 0 && bits <= RSA_BITS_MAX && rest.len == 2 + (bits + 7) / 8;
}

/* The ephemeral point, then the wrapped key with a length of one byte (RFC 6637 8, 10). */
static bool is_curve25519(struct bytes rest)
{
	if (rest.len < 2 + CURVE25519_BYTES + 1 ||
	    (rest.data[0] << 8 | rest.data[1]) != CURVE25519_BITS ||
	    rest.data[2] != CURVE25519_PREFIX)
		return false;
	return rest.len == 2u + CURVE25519_BYTES + 1u + rest.data[2 + CURVE25519_BYTES];
}

static bool is_usable_session(struct bytes body)
{
	if (body.len < SESSION_HEAD || body.data[0] != 3)
		return false;
	struct bytes rest = bytes_of(body.data + SESSION_HEAD, body.len - SESSION_HEAD);
	switch (body.data[SESSION_HEAD - 1]) {
	case ALGORITHM_RSA:
	case ALGORITHM_RSA_ENCRYPT:
		return is_rsa(rest);
	case ALGORITHM_ECDH:
		return is_curve25519(rest);
	}
	return false;
}

/* New-format header of the data packet; its chunks (RFC 4880 4.2.2.4) must lead exactly to the end. */
static bool is_whole_data(struct bytes at)
{
	if (at.len < 2 || at.data[0] != (0xC0 | TAG_PROTECTED_DATA))
		return false;
	for (size_t i = 1; i < at.len;) {
		size_t first = at.data[i], left = at.len - i, octets, length;
		if (first >= 224 && first < 255) {
			length = (size_t)1 << (first & 31);
			if (left - 1 < length)
				return false;
			i += 1 + length;
			continue;
		}
		octets = first < 192 ? 1 : first < 224 ? 2 : 5;
		if (left < octets)
			return false;
		length = octets == 1   ? first
			 : octets == 2 ? ((first - 192) << 8) + at.data[i + 1] + 192
				       : 0;
		for (size_t k = 1; octets == 5 && k < 5; k++)
			length = length << 8 | at.data[i + k];
		return left - octets == length;
	}
	return false;
}

enum err packets_sealed(struct bytes binary, struct buf *out)
{
	size_t sessions = 0, kept = 0;
	struct packet p;
	bool bad;

	for (struct bytes next = binary; packet_next(&next, &p, &bad); binary = next) {
		if (p.tag == TAG_PROTECTED_DATA)
			break;
		if (p.tag != TAG_PUBLIC_KEY_SESSION && p.tag != TAG_PASSWORD_SESSION &&
		    p.tag != TAG_MARKER)
			return err_fail(ERR_DATA, "it is no encrypted OpenPGP message");
		if (++sessions > SESSIONS_MAX)
			return err_fail(
			    ERR_DATA, "it is encrypted to more than %d keys", SESSIONS_MAX);
		if (p.tag == TAG_PUBLIC_KEY_SESSION && is_usable_session(p.body)) {
			buf_add(out, p.whole.data, p.whole.len);
			kept++;
		}
	}
	if (kept == 0)
		return err_fail(ERR_DATA, "it is not encrypted to a key of ours");
	if (!is_whole_data(binary))
		return err_fail(ERR_DATA,
		    "the encrypted message is cut, has something behind it, or lacks integrity protection");
	buf_add(out, binary.data, binary.len);
	return ERR_OK;
}
