#include "enroll/deposit.h"

#include <stdlib.h>
#include <string.h>

#include "enroll/internal.h"
#include "enroll/request.h"
#include "text/address.h"

enum { /* RFC 4880 9.1, RFC 6637 5, RFC 9580 9.1 (22) */
	ALGORITHM_RSA = 1,
	ALGORITHM_RSA_ENCRYPT = 2,
	ALGORITHM_RSA_SIGN = 3,
	ALGORITHM_ELGAMAL = 16,
	ALGORITHM_DSA = 17,
	ALGORITHM_ECDH = 18,
	ALGORITHM_ECDSA = 19,
	ALGORITHM_EDDSA = 22,
};

#define ALGORITHM_AT 5 /* in a key packet: version, time, algorithm */
#define PART_SUFFIX ".deposit"

/* ---- policy ---- */

static const char *const policies[] = {
	[ESCROW_OFF] = "off", [ESCROW_OFFERED] = "offered", [ESCROW_REQUIRED] = "required"
};

#define POLICIES (sizeof(policies) / sizeof(policies[0]))

const char *escrow_policy_name(enum escrow_policy policy)
{
	return policies[policy];
}

static bool policy_read(const char *name, enum escrow_policy *out)
{
	for (size_t i = 0; i < POLICIES; i++)
		if (str_equal(policies[i], name)) {
			*out = (enum escrow_policy)i;
			return true;
		}
	return false;
}

enum escrow_policy escrow_policy_of_name(const char *name)
{
	enum escrow_policy policy;

	return policy_read(name, &policy) ? policy : ESCROW_OFF;
}

enum rule_scope { SCOPE_ADDRESS, SCOPE_DOMAIN, SCOPE_BELOW };

struct rule {
	enum rule_scope scope;
	char *canonical; /* an address; of a domain "x@DOMAIN" */
	enum escrow_policy policy;
};

/* PATTERN=POLICY; a local part may hold a "=". */
static bool rule_read(const char *text, struct rule *out)
{
	const char *equals = strrchr(text, '=');

	*out = (struct rule){ 0 };
	if (!equals || !policy_read(equals + 1, &out->policy))
		return false;
	out->scope = text[0] != '@' ? SCOPE_ADDRESS : text[1] != '.' ? SCOPE_DOMAIN : SCOPE_BELOW;
	const char *from = text + (out->scope == SCOPE_BELOW ? 2 : 0);
	char *part = str_ndup(from, (size_t)(equals - from));
	char *address = out->scope == SCOPE_ADDRESS  ? str_dup(part)
			: out->scope == SCOPE_DOMAIN ? str_printf("x%s", part)
						     : str_printf("x@%s", part);
	bool good = address_canonical(address, &out->canonical) == ERR_OK;
	str_free(&part);
	str_free(&address);
	return good;
}

static bool rule_fits(const struct rule *rule, const char *address)
{
	const char *domain = address_domain(address), *wanted = address_domain(rule->canonical);
	size_t len = strlen(domain), wanted_len = strlen(wanted);

	switch (rule->scope) {
	case SCOPE_ADDRESS:
		return str_equal(rule->canonical, address);
	case SCOPE_DOMAIN:
		return str_equal(wanted, domain);
	case SCOPE_BELOW:
		return len > wanted_len && str_ends(domain, wanted) &&
		       domain[len - wanted_len - 1] == '.';
	}
	return false;
}

enum escrow_policy escrow_policy_for(const char *common, char *const *rules, const char *address)
{
	enum escrow_policy policy = escrow_policy_of_name(common);
	bool fits = false;

	for (; rules && *rules && !fits; rules++) {
		struct rule rule;

		fits = rule_read(*rules, &rule) && rule_fits(&rule, address);
		if (fits)
			policy = rule.policy;
		str_free(&rule.canonical);
	}
	return policy;
}

enum err escrow_rule_check(const char *text)
{
	struct rule rule;
	enum err err = ERR_OK;

	if (!rule_read(text, &rule))
		err = err_fail(ERR_CONFIG,
		    "\"%.80s\" is no rule for deposits: write ADDRESS, @DOMAIN or @.DOMAIN (all below it), then =required, =offered or =off",
		    text);
	str_free(&rule.canonical);
	return err;
}

/* ---- the packets of a deposit (P4.8) ---- */

static unsigned algorithm_of(struct bytes body)
{
	return body.len > ALGORITHM_AT ? body.data[ALGORITHM_AT] : 0;
}

static bool body_begins(struct bytes body, struct bytes head)
{
	return body.len > head.len && memcmp(body.data, head.data, head.len) == 0;
}

/* The primary of a public key, and its subkey with this fingerprint; false where one is missing. */
static bool find_public(
    struct bytes key, const char *fingerprint, struct bytes *primary_out, struct bytes *subkey_out)
{
	struct packet p;
	bool bad, primary = false, subkey = false;
	char this[41];

	while (packet_next(&key, &p, &bad)) {
		if (p.tag == PACKET_PUBLIC_KEY && !primary) {
			*primary_out = p.body;
			primary = true;
		} else if (p.tag == PACKET_SUBKEY && packet_fingerprint(p.body, this) &&
			   str_equal_case(this, fingerprint)) {
			*subkey_out = p.body;
			subkey = true;
		}
	}
	return !bad && primary && subkey;
}

/* What gpg writes where there is no secret (its doc/DETAILS): protected, by "S2K 101", "GNU", 1; nothing behind. */
static bool is_stub(struct bytes secret)
{
	return secret.len == 8 && secret.data[0] >= 254 && secret.data[2] == 101 &&
	       memcmp(secret.data + 4, "GNU\1", 4) == 0;
}

static size_t secret_numbers(unsigned algorithm)
{
	switch (algorithm) {
	case ALGORITHM_RSA:
	case ALGORITHM_RSA_ENCRYPT:
		return 4;
	case ALGORITHM_ELGAMAL:
	case ALGORITHM_ECDH:
		return 1;
	default:
		return 0;
	}
}

/* RFC 4880 5.5.3: not protected, the algorithm's numbers, their sum; nothing behind. */
static bool is_clear_secret(struct bytes secret, unsigned algorithm)
{
	size_t numbers = secret_numbers(algorithm), at = 1, sum = 0;

	if (!numbers || secret.len < 3 || secret.data[0] != 0)
		return false;
	for (; numbers > 0; numbers--) {
		if (secret.len - at < 2)
			return false;
		at += 2 + (((size_t)secret.data[at] << 8 | secret.data[at + 1]) + 7) / 8;
		if (at > secret.len)
			return false;
	}
	for (size_t i = 1; i < at; i++)
		sum += secret.data[i];
	return secret.len == at + 2 && secret.data[at] == (sum >> 8 & 255) &&
	       secret.data[at + 1] == (sum & 255);
}

struct looking {
	struct bytes key;             /* public */
	struct bytes primary, subkey; /* of it */
	bool has_primary, has_subkey;
};

static bool holds_public(struct bytes key, struct bytes secret_body)
{
	struct packet p;
	bool bad;

	while (packet_next(&key, &p, &bad))
		if ((p.tag == PACKET_PUBLIC_KEY || p.tag == PACKET_SUBKEY) &&
		    body_begins(secret_body, p.body))
			return true;
	return false;
}

/* A secret that can sign for somebody: it has left its owner, whatever else is wrong (P3.5). */
static bool is_lost_secret(const struct looking *l, struct bytes body)
{
	switch (algorithm_of(body)) {
	case ALGORITHM_DSA:
	case ALGORITHM_ECDSA:
	case ALGORITHM_EDDSA:
		return true;
	case ALGORITHM_RSA:
	case ALGORITHM_RSA_SIGN:
		return holds_public(l->key, body);
	default:
		return false;
	}
}

/* Without its own public part before it the place of a primary's secret is not known; gpg's stub ends with its mark. */
static bool is_stubbed(struct bytes body, struct bytes primary)
{
	static const char mark[] = "GNU\1";
	size_t len = sizeof(mark) - 1;

	if (body_begins(body, primary))
		return is_stub(bytes_of(body.data + primary.len, body.len - primary.len));
	return body.len > len && memcmp(body.data + body.len - len, mark, len) == 0;
}

static bool check_primary(struct looking *l, struct bytes body, struct refusal *why)
{
	if (!is_stubbed(body, l->primary))
		return refuse(why, REASON_KEY_SECRET,
		    "The deposit held the secret of a primary key, which must never be sent to anybody; it was not kept.");
	if (!body_begins(body, l->primary))
		return refuse(why, REASON_DEPOSIT_MISMATCH,
		    "The deposit is that of another key than the one in the request.");
	if (l->has_primary)
		return refuse(why, REASON_DEPOSIT_MISMATCH, "The deposit holds more than one key.");
	l->has_primary = true;
	return true;
}

static bool check_subkey(struct looking *l, struct bytes body, struct refusal *why)
{
	struct bytes secret;

	if (!body_begins(body, l->subkey))
		return is_lost_secret(l, body)
			   ? refuse(why, REASON_KEY_SECRET,
				 "The deposit held a secret key that can sign, which must never be sent to anybody; it was not kept.")
			   : refuse(why, REASON_DEPOSIT_MISMATCH,
				 "The deposit is not that of the encryption key in the request.");
	if (l->has_subkey)
		return refuse(
		    why, REASON_DEPOSIT_MISMATCH, "The deposit holds the same subkey twice.");
	l->has_subkey = true;
	secret = bytes_of(body.data + l->subkey.len, body.len - l->subkey.len);
	if (secret.data[0] != 0)
		return refuse(why, REASON_DEPOSIT_MISMATCH,
		    "The deposited key is protected by a password of its own, or is on a card, so that it could not be recovered.");
	return is_clear_secret(secret, algorithm_of(body)) ||
	       refuse(why, REASON_DEPOSIT_MISMATCH, "The deposited key is damaged.");
}

static bool check_packet(struct looking *l, const struct packet *p, struct refusal *why)
{
	switch (p->tag) {
	case PACKET_SECRET_KEY:
		return check_primary(l, p->body, why);
	case PACKET_SECRET_SUBKEY:
		return check_subkey(l, p->body, why);
	case PACKET_USER_ID:
	case PACKET_USER_ATTRIBUTE:
	case PACKET_SIGNATURE:
		return l->has_primary || refuse(why, REASON_DEPOSIT_MISMATCH,
					     "The deposit does not begin with a key.");
	default:
		return refuse(why, REASON_DEPOSIT_MISMATCH,
		    "The deposit holds something else than one secret subkey.");
	}
}

/* A lost key is said to be that, even if something before it is wrong already. */
static bool check_packets(struct looking *l, struct bytes deposit, struct refusal *why)
{
	struct packet p;
	bool bad, good = true;

	while (packet_next(&deposit, &p, &bad) && (good || why->reason != REASON_KEY_SECRET)) {
		struct refusal found;

		if (check_packet(l, &p, &found))
			continue;
		if (good || found.reason == REASON_KEY_SECRET)
			*why = found;
		good = false;
	}
	if (good && bad)
		good = refuse(why, REASON_DEPOSIT_MISMATCH, "The deposit is damaged.");
	return good;
}

bool deposit_check(
    struct bytes deposit, struct bytes key, const char *encryption_fingerprint, struct refusal *why)
{
	struct looking l = { .key = key };

	if (!find_public(key, encryption_fingerprint, &l.primary, &l.subkey))
		return refuse(why, REASON_DEPOSIT_MISMATCH,
		    "The key in the request has no encryption key %s.", encryption_fingerprint);
	if (deposit.len > REQUEST_DEPOSIT_BYTES_MAX)
		return refuse(why, REASON_TOO_LARGE, "The deposit is larger than %d bytes.",
		    REQUEST_DEPOSIT_BYTES_MAX);
	if (!check_packets(&l, deposit, why))
		return false;
	return (l.has_primary && l.has_subkey) ||
	       refuse(why, REASON_DEPOSIT_MISMATCH, "The deposit holds no secret key.");
}

/* ---- released deposits (P5.5) ---- */

void deposit_associated(const uint8_t token_key[TOKEN_KEY_BYTES], const char *address,
    const char *encryption_fingerprint, struct buf *out)
{
	buf_add(out, token_key, TOKEN_KEY_BYTES);
	buf_add(out, address, strlen(address) + 1);
	for (const char *c = encryption_fingerprint; *c; c++)
		buf_add_byte(out, *c >= 'a' && *c <= 'f' ? *c - 'a' + 'A' : *c);
}

char *deposit_part_name(const char *encryption_fingerprint)
{
	return str_printf("%s%s", encryption_fingerprint, PART_SUFFIX);
}

bool deposit_part_read(const char *name, char fingerprint_out[41])
{
	size_t len = strlen(name), suffix = sizeof(PART_SUFFIX) - 1;

	if (len != 40 + suffix || !str_equal(name + 40, PART_SUFFIX))
		return false;
	char *digits = str_ndup(name, 40);
	bool good = fingerprint_read(digits, fingerprint_out);
	str_free(&digits);
	return good;
}
