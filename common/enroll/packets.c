#include "enroll/packets.h"

#include <stdio.h>
#include <string.h>

#include "enroll/internal.h"

enum signature_type {                   /* RFC 4880 5.2.1 */
	SIGNATURE_CERTIFICATION = 0x10, /* to 0x13 */
	SIGNATURE_POSITIVE = 0x13,
	SIGNATURE_SUBKEY = 0x18,
	SIGNATURE_DIRECT = 0x1f,
	SIGNATURE_REVOCATION = 0x20,
	SIGNATURE_SUBKEY_REVOCATION = 0x28,
	SIGNATURE_CERTIFICATION_REVOCATION = 0x30,
};

enum subpacket_type { SUBPACKET_ISSUER = 16, SUBPACKET_EMBEDDED = 32, SUBPACKET_FINGERPRINT = 33 };

#define KEY_ID_SIZE 8
#define ISSUERS_MAX \
	64 /* different ones that the subkeys' bindings may name; beyond it all signatures stay */

static struct bytes tail(struct bytes b, size_t from)
{
	return bytes_of(b.data + from, b.len - from);
}

static size_t number(const uint8_t *at, size_t len)
{
	size_t n = 0;
	while (len--)
		n = n << 8 | *at++;
	return n;
}

/* RFC 4880 4.2.2: the length of a new-format packet; 0 octets for a partial or cut one. */
static size_t new_length(struct bytes at, size_t *length_out)
{
	if (!at.len)
		return 0;
	size_t first = at.data[0];
	size_t octets = first < 192 ? 1 : first < 224 ? 2 : first == 255 ? 5 : 0;
	if (!octets || at.len < octets)
		return 0;
	*length_out = octets == 1   ? first
		      : octets == 2 ? ((first - 192) << 8) + at.data[1] + 192
				    : number(at.data + 1, 4);
	return octets;
}

/* RFC 4880 4.2.1; 0 for an indeterminate or cut one. */
static size_t old_length(unsigned head, struct bytes at, size_t *length_out)
{
	size_t octets = (size_t)1 << (head & 3);
	if (octets == 8 || at.len < octets)
		return 0;
	*length_out = number(at.data, octets);
	return octets;
}

bool packet_next(struct bytes *rest, struct packet *out, bool *bad_out)
{
	*bad_out = false;
	if (!rest->len)
		return false;
	*bad_out = true;
	unsigned head = rest->data[0];
	struct bytes at = tail(*rest, 1);
	if (!(head & 0x80))
		return false;
	size_t length = 0;
	size_t octets = head & 0x40 ? new_length(at, &length) : old_length(head, at, &length);
	if (!octets || at.len - octets < length)
		return false;
	*bad_out = false;
	out->tag = head & 0x40 ? head & 63 : head >> 2 & 15;
	out->body = bytes_of(at.data + octets, length);
	out->whole = bytes_of(rest->data, 1 + octets + length);
	*rest = tail(*rest, out->whole.len);
	return true;
}

struct packet_summary packets_summarise(struct bytes binary)
{
	struct packet_summary s = { 0 };
	struct packet p;
	while (packet_next(&binary, &p, &s.malformed))
		switch (p.tag) {
		case PACKET_PUBLIC_KEY:
			if (!s.public_keys++)
				s.version = p.body.len ? p.body.data[0] : 0;
			break;
		case PACKET_SECRET_KEY:
		case PACKET_SECRET_SUBKEY:
			s.secret_keys++;
			break;
		case PACKET_USER_ID:
			s.user_ids++;
			break;
		case PACKET_SUBKEY:
			s.subkeys++;
			break;
		case PACKET_SIGNATURE:
			s.signatures++;
			break;
		default:
			s.other++;
		}
	return s;
}

bool packets_key_at(struct bytes binary, size_t n, struct bytes *out)
{
	struct packet p;
	bool bad, inside = false;
	size_t seen = 0;
	struct bytes key = { 0 };
	while (packet_next(&binary, &p, &bad)) {
		bool begins = p.tag == PACKET_PUBLIC_KEY;
		if (inside && (begins || p.tag == PACKET_SECRET_KEY))
			break;
		if (begins && seen++ == n) {
			inside = true;
			key = bytes_of(p.whole.data, 0);
		}
		if (inside)
			key.len += p.whole.len;
	}
	if (bad || !inside)
		return false;
	*out = key;
	return true;
}

/* ---- signatures (RFC 4880 5.2.3) ---- */

struct signature {
	unsigned version, type;
	struct bytes head; /* version 4: up to the length of the hashed subpackets */
	struct bytes hashed, unhashed;
	struct bytes rest;       /* behind the unhashed subpackets */
	struct bytes old_key_id; /* version 3 */
};

static bool area_read(struct bytes *rest, struct bytes *out)
{
	if (rest->len < 2 || rest->len - 2 < number(rest->data, 2))
		return false;
	*out = bytes_of(rest->data + 2, number(rest->data, 2));
	*rest = tail(*rest, 2 + out->len);
	return true;
}

static bool signature_read(struct bytes body, struct signature *out)
{
	*out = (struct signature){ 0 };
	if (body.len < 4)
		return false;
	out->version = body.data[0];
	if (out->version == 3) {
		if (body.len < 19)
			return false;
		out->type = body.data[2];
		out->old_key_id = bytes_of(body.data + 7, KEY_ID_SIZE);
		return true;
	}
	if (out->version != 4)
		return false;
	out->type = body.data[1];
	out->head = bytes_of(body.data, 4);
	out->rest = tail(body, 4);
	return area_read(&out->rest, &out->hashed) && area_read(&out->rest, &out->unhashed);
}

struct subpacket {
	unsigned type;
	struct bytes whole, body;
};

/* Takes the next subpacket off *area; false at the end and where there is none. */
static bool subpacket_next(struct bytes *area, struct subpacket *out)
{
	if (!area->len)
		return false;
	size_t first = area->data[0], length = first;
	size_t octets = first < 192 ? 1 : first < 255 ? 2 : 5;
	if (area->len < octets)
		return false;
	if (octets == 2)
		length = ((first - 192) << 8) + area->data[1] + 192;
	else if (octets == 5)
		length = number(area->data + 1, 4);
	if (!length || area->len - octets < length)
		return false;
	out->type = area->data[octets] & 0x7f;
	out->body = bytes_of(area->data + octets + 1, length - 1);
	out->whole = bytes_of(area->data, octets + length);
	*area = tail(*area, out->whole.len);
	return true;
}

/* The key ID that a subpacket names as issuer (a version 4 fingerprint ends in it), or none. */
static struct bytes issuer_of(const struct subpacket *s)
{
	if (s->type == SUBPACKET_ISSUER && s->body.len == KEY_ID_SIZE)
		return s->body;
	if (s->type == SUBPACKET_FINGERPRINT && s->body.len == 21 && s->body.data[0] == 4)
		return tail(s->body, 21 - KEY_ID_SIZE);
	return bytes_of(NULL, 0);
}

typedef bool issuer_fn(struct bytes issuer, void *context);

/* Calls `each` per named issuer until one call gives true. *named_out: whether any is named. */
static bool issuers_any(const struct signature *s, issuer_fn *each, void *context, bool *named_out)
{
	struct bytes areas[2] = { s->hashed, s->unhashed };
	struct subpacket sub;
	*named_out = s->version == 3;
	if (s->version == 3)
		return each(s->old_key_id, context);
	for (size_t i = 0; i < 2; i++)
		while (subpacket_next(&areas[i], &sub)) {
			struct bytes issuer = issuer_of(&sub);
			if (!issuer.len)
				continue;
			*named_out = true;
			if (each(issuer, context))
				return true;
		}
	return false;
}

/*
 * The key's own ID would need SHA-1, so it is inferred: only a primary makes subkey bindings (0x18), so whatever they name as
 * issuer counts as the primary. A signature is dropped only if it names issuers, and none of these. Strangers can
 * add to the set by forged bindings, and so keep foreign signatures in (gpg strips those at import); nobody can take the
 * primary out of it, so no self-signature is lost. A key without bindings keeps all.
 */
struct issuers {
	uint8_t ids[ISSUERS_MAX][KEY_ID_SIZE];
	size_t count;
	bool full;
};

static bool issuer_known(struct bytes issuer, void *context)
{
	const struct issuers *own = context;
	for (size_t i = 0; i < own->count; i++)
		if (memcmp(own->ids[i], issuer.data, KEY_ID_SIZE) == 0)
			return true;
	return false;
}

static bool issuer_add(struct bytes issuer, void *context)
{
	struct issuers *own = context;
	if (issuer_known(issuer, own))
		return false;
	own->full = own->count == ISSUERS_MAX;
	if (!own->full)
		memcpy(own->ids[own->count++], issuer.data, KEY_ID_SIZE);
	return own->full;
}

static void issuers_collect(struct bytes key, struct issuers *own)
{
	struct packet p;
	struct signature s;
	bool bad, named, behind_subkey = false;
	*own = (struct issuers){ 0 };
	while (packet_next(&key, &p, &bad) && !own->full)
		if (p.tag != PACKET_SIGNATURE)
			behind_subkey = p.tag == PACKET_SUBKEY;
		else if (behind_subkey && signature_read(p.body, &s) && s.type == SIGNATURE_SUBKEY)
			own->full = issuers_any(&s, issuer_add, own, &named);
}

static bool may_be_own(const struct signature *s, struct issuers *own)
{
	bool named;
	return !own->count || own->full || issuers_any(s, issuer_known, own, &named) || !named;
}

/* ---- revocations (P3.8) ---- */

static enum err check_reducible(struct bytes key)
{
	struct packet_summary s = packets_summarise(key);
	if (s.malformed)
		return err_fail(ERR_DATA, "the key is not a whole sequence of OpenPGP packets");
	if (s.secret_keys)
		return err_fail(ERR_DATA, "the key is a secret key");
	if (s.public_keys != 1)
		return err_fail(ERR_DATA, "%zu keys instead of one", s.public_keys);
	if (s.version != 4)
		return err_fail(
		    ERR_DATA, "the key has version %u; only version 4 is used", s.version);
	return ERR_OK;
}

/* The fingerprint of version 4 that a signature names, in upper-case hex. */
static bool names_fingerprint(const struct signature *s, char out[41])
{
	struct bytes areas[2] = { s->hashed, s->unhashed };
	struct subpacket sub;
	for (size_t i = 0; i < 2; i++)
		while (subpacket_next(&areas[i], &sub)) {
			if (sub.type != SUBPACKET_FINGERPRINT || !issuer_of(&sub).len)
				continue;
			for (size_t n = 0; n < 20; n++)
				snprintf(out + 2 * n, 3, "%02X", sub.body.data[1 + n]);
			return true;
		}
	return false;
}

bool packets_revocation_at(
    struct bytes binary, size_t n, struct bytes *signature_out, char fingerprint_out[41])
{
	struct packet p;
	struct signature s;
	bool bad;
	size_t seen = 0;
	while (packet_next(&binary, &p, &bad))
		if (p.tag == PACKET_SIGNATURE && signature_read(p.body, &s) &&
		    s.type == SIGNATURE_REVOCATION && names_fingerprint(&s, fingerprint_out) &&
		    seen++ == n) {
			*signature_out = p.whole;
			return true;
		}
	return false;
}

enum err packets_graft(struct bytes key, struct bytes signature, struct buf *out)
{
	enum err err = check_reducible(key);
	if (err)
		return err;
	struct packet primary;
	bool bad;
	if (!packet_next(&key, &primary, &bad) || primary.tag != PACKET_PUBLIC_KEY)
		return err_fail(ERR_DATA, "the key does not begin with a public key");
	buf_add(out, primary.whole.data, primary.whole.len);
	buf_add(out, signature.data, signature.len);
	buf_add(out, key.data, key.len);
	return ERR_OK;
}

/* ---- reducing ---- */

static void packet_write(struct buf *out, unsigned tag, struct bytes body)
{
	size_t len = body.len;
	buf_add_byte(out, (int)(0xc0 | tag));
	if (len < 192) {
		buf_add_byte(out, (int)len);
	} else if (len < 8384) {
		buf_add_byte(out, (int)((len - 192) >> 8) + 192);
		buf_add_byte(out, (int)((len - 192) & 255));
	} else {
		buf_add_byte(out, 255);
		for (int shift = 24; shift >= 0; shift -= 8)
			buf_add_byte(out, (int)(len >> shift & 255));
	}
	buf_add(out, body.data, body.len);
}

static void area_write(struct buf *out, struct bytes area)
{
	buf_add_byte(out, (int)(area.len >> 8));
	buf_add_byte(out, (int)(area.len & 255));
	buf_add(out, area.data, area.len);
}

/* P4.7: unhashed subpackets go, but those without which a signature can't be checked. */
static void signature_write(struct buf *out, const struct packet *p, const struct signature *s)
{
	if (s->version != 4) {
		packet_write(out, p->tag, p->body);
		return;
	}
	struct buf body = BUF_INIT, unhashed = BUF_INIT;
	struct bytes area = s->unhashed;
	for (struct subpacket sub; subpacket_next(&area, &sub);)
		if (sub.type == SUBPACKET_ISSUER || sub.type == SUBPACKET_FINGERPRINT ||
		    sub.type == SUBPACKET_EMBEDDED)
			buf_add(&unhashed, sub.whole.data, sub.whole.len);
	buf_add(&body, s->head.data, s->head.len);
	area_write(&body, s->hashed);
	area_write(&body, buf_bytes(&unhashed));
	buf_add(&body, s->rest.data, s->rest.len);
	packet_write(out, p->tag, buf_bytes(&body));
	buf_free(&body);
	buf_free(&unhashed);
}

/* Does a signature of this type belong behind this packet, and does it stay? */
static bool signature_stays(const struct signature *s, unsigned behind, struct issuers *own)
{
	switch (behind) {
	case PACKET_PUBLIC_KEY:
		return s->type == SIGNATURE_REVOCATION ||
		       (s->type == SIGNATURE_DIRECT && may_be_own(s, own));
	case PACKET_USER_ID:
		return ((s->type >= SIGNATURE_CERTIFICATION && s->type <= SIGNATURE_POSITIVE) ||
			   s->type == SIGNATURE_CERTIFICATION_REVOCATION) &&
		       may_be_own(s, own);
	case PACKET_SUBKEY:
		return s->type == SIGNATURE_SUBKEY || s->type == SIGNATURE_SUBKEY_REVOCATION;
	default:
		return false;
	}
}

static bool user_id_kept(struct bytes body, bool (*keep)(const char *, void *), void *context)
{
	if (body.len && memchr(body.data, 0, body.len))
		return false;
	char *text = str_ndup((const char *)body.data, body.len);
	bool kept = keep(text, context);
	str_free(&text);
	return kept;
}

enum err packets_reduce(struct bytes key, bool (*keep)(const char *user_id, void *context),
    void *context, struct buf *out)
{
	enum err err = check_reducible(key);
	if (err)
		return err;
	struct issuers own;
	issuers_collect(key, &own);

	struct packet p;
	struct signature s;
	unsigned behind = 0; /* the packet that signatures now belong to; 0: one that is dropped */
	for (bool bad; packet_next(&key, &p, &bad);) {
		if (p.tag == PACKET_SIGNATURE) {
			if (signature_read(p.body, &s) && signature_stays(&s, behind, &own))
				signature_write(out, &p, &s);
			continue;
		}
		bool kept = p.tag == PACKET_PUBLIC_KEY || p.tag == PACKET_SUBKEY ||
			    (p.tag == PACKET_USER_ID && user_id_kept(p.body, keep, context));
		behind = kept ? p.tag : 0;
		if (kept)
			packet_write(out, p.tag, p.body);
	}
	return ERR_OK;
}

bool packets_revocations(struct bytes key, struct bytes stored, struct buf *out)
{
	struct packet p, primary;
	struct signature s;
	size_t before = out->len;
	bool bad;

	if (!packet_next(&stored, &primary, &bad) || primary.tag != PACKET_PUBLIC_KEY ||
	    !packet_next(&key, &p, &bad) || p.tag != PACKET_PUBLIC_KEY ||
	    !bytes_equal(p.body, primary.body))
		return false;
	while (packet_next(&key, &p, &bad) && p.tag == PACKET_SIGNATURE)
		if (signature_read(p.body, &s) && s.type == SIGNATURE_REVOCATION)
			packet_write(out, p.tag, p.body);
	return out->len > before;
}
