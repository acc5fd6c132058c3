/* Fingerprints of version 4 keys (RFC 4880 12.2): SHA-1, which is used for nothing else. */
#include <string.h>

#include "base/encode.h"
#include "enroll/internal.h"

#define BLOCK_BYTES 64
#define WORDS 5

static uint32_t rotated(uint32_t word, unsigned bits)
{
	return word << bits | word >> (32 - bits);
}

/* FIPS 180-4, 6.1.2 */
static void sha1_block(uint32_t state[WORDS], const uint8_t block[BLOCK_BYTES])
{
	static const uint32_t constants[] = { 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6 };
	uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];

	for (size_t t = 0; t < 16; t++)
		w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 |
		       (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3];
	for (size_t t = 16; t < 80; t++)
		w[t] = rotated(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
	for (size_t t = 0; t < 80; t++) {
		uint32_t f = t < 20   ? (b & c) | (~b & d)
			     : t < 40 ? b ^ c ^ d
			     : t < 60 ? (b & c) | (b & d) | (c & d)
				      : b ^ c ^ d;
		uint32_t next = rotated(a, 5) + f + e + constants[t / 20] + w[t];

		e = d;
		d = c;
		c = rotated(b, 30);
		b = a;
		a = next;
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
}

static void sha1(struct bytes in, uint8_t out[20])
{
	uint32_t state[WORDS] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
	uint8_t last[2 * BLOCK_BYTES] = { 0 };
	uint64_t bits = (uint64_t)in.len * 8;
	size_t rest = in.len % BLOCK_BYTES, blocks = rest < BLOCK_BYTES - 8 ? 1 : 2;

	for (size_t at = 0; at + BLOCK_BYTES <= in.len; at += BLOCK_BYTES)
		sha1_block(state, in.data + at);
	memcpy(last, in.data + in.len - rest, rest);
	last[rest] = 0x80;
	for (size_t i = 0; i < 8; i++)
		last[blocks * BLOCK_BYTES - 1 - i] = (uint8_t)(bits >> 8 * i);
	for (size_t i = 0; i < blocks; i++)
		sha1_block(state, last + i * BLOCK_BYTES);
	for (size_t i = 0; i < 20; i++)
		out[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

bool packet_fingerprint(struct bytes body, char out[41])
{
	struct buf framed = BUF_INIT, text = BUF_INIT;
	uint8_t hash[20];

	if (body.len == 0 || body.len > UINT16_MAX || body.data[0] != 4)
		return false;
	buf_add_byte(&framed, 0x99);
	buf_add_byte(&framed, (int)(body.len >> 8));
	buf_add_byte(&framed, (int)(body.len & 255));
	buf_add(&framed, body.data, body.len);
	sha1(buf_bytes(&framed), hash);
	hex_add(&text, bytes_of(hash, sizeof hash));
	memcpy(out, text.data, 41);
	buf_free(&framed);
	buf_free(&text);
	return true;
}
