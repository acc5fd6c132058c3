/* key: the one public key that a request is about (P3.4, P3.5, P4.7), reduced to what may be certified, and looked at by gpg. */
#include <stdlib.h>
#include <string.h>

#include "enroll/packets.h"
#include "pipeline.h"
#include "stages.h"
#include "text/address.h"

#define ADDRESSES_MAX 32
#define CANDIDATES_MAX 16

/* The addresses that the key may name: the token's, and those given at issue. Texts are borrowed from `also`. */
struct addresses {
	const char *list[ADDRESSES_MAX + 1];
	size_t count;
	char *also;
	bool misnamed; /* a user ID of one of them was left out for its name (P4.7) */
};

static void addresses_of(const struct work *w, struct addresses *out)
{
	char *rest, *line;

	*out = (struct addresses){ .list = { w->address }, .count = 1 };
	out->also = w->token ? str_dup(w->token->also) : NULL;
	for (line = out->also ? strtok_r(out->also, "\n", &rest) : NULL;
	     line && out->count < ADDRESSES_MAX; line = strtok_r(NULL, "\n", &rest))
		out->list[out->count++] = line;
}

static bool is_listed(const struct addresses *a, const char *address)
{
	for (size_t i = 0; i < a->count; i++)
		if (str_equal(address, a->list[i]))
			return true;
	return false;
}

/* "bob@x Bob <alice@x>": gpg would take it for alice's, so the owner is told what is wrong with it. */
static bool ends_with_listed(const struct addresses *a, const char *user_id)
{
	const char *open = strrchr(user_id, '<');
	char *inside = open ? str_ndup(open + 1, strcspn(open + 1, ">")) : NULL, *address = NULL;
	bool listed =
	    inside && address_canonical(inside, &address) == ERR_OK && is_listed(a, address);

	str_free(&inside);
	str_free(&address);
	return listed;
}

/* For packets_reduce: the user IDs that stay. */
static bool is_wanted(const char *user_id, void *context)
{
	struct addresses *a = context;
	char *name = NULL, *address = NULL;
	bool wanted = false;

	if (user_id_split(user_id, &name, &address) == ERR_OK)
		wanted = is_listed(a, address);
	else
		a->misnamed |= ends_with_listed(a, user_id);
	str_free(&name);
	str_free(&address);
	return wanted;
}

static bool refuse_name(struct work *w)
{
	return refuse(&w->refusal, REASON_KEY_UNUSABLE,
	    "The name in the key's user ID for %s can't be certified: it holds an \"@\", a bracket or a character that does not print.",
	    w->address);
}

static bool look_at_key(struct work *w, const struct addresses *a, enum err *failed)
{
	const struct conf *conf = w->authority->conf;
	struct key_policy policy = { .rsa_bits_min = conf->policy.rsa_bits_min,
		.curves = conf->policy.curves,
		.dsa_elgamal = conf->policy.dsa_elgamal };
	enum err rc = keyhome_import(w->authority->home, buf_bytes(&w->key), &w->facts);

	if (rc == ERR_DATA)
		return refuse(&w->refusal, REASON_KEY_UNUSABLE, NULL);
	if (rc != ERR_OK) {
		*failed = rc;
		return false;
	}
	return key_policy_check(w->facts, &policy, a->list, w->token ? w->token->name : NULL,
	    w->now, &w->encryption, &w->refusal);
}

static bool refuse_secret(struct work *w)
{
	w->carried_secret = true;
	return refuse(&w->refusal, REASON_KEY_SECRET, NULL);
}

bool take_client_key(struct work *w, enum err *failed)
{
	struct bytes key = buf_bytes(&w->request.key);
	struct packet_summary summary = packets_summarise(key);
	struct addresses a;
	bool good;

	if (summary.secret_keys > 0)
		return refuse_secret(w);
	if (summary.public_keys == 0)
		return refuse(&w->refusal, REASON_KEY_MISSING, NULL);
	if (summary.public_keys > 1)
		return refuse(&w->refusal, REASON_KEY_AMBIGUOUS, NULL);
	addresses_of(w, &a);
	if (packets_reduce(key, is_wanted, &a, &w->key) != ERR_OK)
		good = refuse(&w->refusal, REASON_KEY_UNUSABLE, NULL);
	else if (a.misnamed && packets_summarise(buf_bytes(&w->key)).user_ids == 0)
		good = refuse_name(w);
	else
		good = look_at_key(w, &a, failed);
	if (good && !str_equal(w->facts->fingerprint, w->request.fingerprint))
		good = refuse(&w->refusal, REASON_REQUEST_MALFORMED,
		    "The fingerprint stated is not the key's.");
	free(a.also);
	return good;
}

/* ---- plain mail ---- */

struct candidates {
	struct buf keys[CANDIDATES_MAX]; /* reduced, each with a wanted user ID */
	size_t count;
	size_t others;        /* keys of somebody else that were seen */
	unsigned odd_version; /* of a key that can't be certified for it (P4.7) */
	bool secret;
};

/* A blob may hold several keys; those without a wanted user ID don't count. */
static void add_blob(struct candidates *c, struct bytes binary, struct addresses *a)
{
	struct bytes key;

	if (packets_summarise(binary).secret_keys > 0) {
		c->secret = true;
		return;
	}
	for (size_t n = 0; packets_key_at(binary, n, &key) && c->count < CANDIDATES_MAX; n++) {
		struct buf *reduced = &c->keys[c->count];
		buf_clear(reduced);
		if (packets_reduce(key, is_wanted, a, reduced) == ERR_OK &&
		    packets_summarise(buf_bytes(reduced)).user_ids > 0)
			c->count++;
		else if (packets_summarise(key).version != 4)
			c->odd_version = packets_summarise(key).version;
		else
			c->others++;
	}
}

/* Binary, or any number of armored blocks. */
static void add_key(struct candidates *c, struct bytes found, struct addresses *a)
{
	static const char *const kinds[] = { "PUBLIC KEY BLOCK", "PRIVATE KEY BLOCK" };
	bool armored = false;

	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		struct bytes rest = found;
		const uint8_t *at;
		while ((at = armor_find(rest, kinds[k])) != NULL) {
			struct buf binary = BUF_SECRET;
			struct bytes block = bytes_of(at, (size_t)(rest.data + rest.len - at));
			const uint8_t *after = at + 1;
			armored = true;
			if (k == 1)
				c->secret = true;
			else if (armor_read(block, kinds[k], &binary, &after) == ERR_OK)
				add_blob(c, buf_bytes(&binary), a);
			if (after <= at)
				after = at + 1;
			rest = bytes_of(after, (size_t)(rest.data + rest.len - after));
			buf_free(&binary);
		}
	}
	if (!armored)
		add_blob(c, found, a);
}

/* P3.4: the first origin that has a key decides; inside the encryption before outside. */
static void collect(struct work *w, struct addresses *a, struct candidates *c)
{
	const struct message *places[] = { w->body, w->body == &w->message ? NULL : &w->message };
	enum key_origin last = w->quoted_token || work_is_renewal(w) ? KEY_IN_TEXT : KEY_AUTOCRYPT;

	for (size_t p = 0; p < 2 && places[p]; p++)
		for (size_t i = 0; i < places[p]->key_count; i++)
			if (places[p]->keys[i].origin != KEY_AUTOCRYPT &&
			    armor_find(buf_bytes(&places[p]->keys[i].data), "PRIVATE KEY BLOCK"))
				c->secret =
				    true; /* wherever it stands, also behind a key that would do */
	for (enum key_origin origin = KEY_ATTACHED; origin <= last && c->count == 0; origin++) {
		w->key_origin = origin;
		for (size_t p = 0; p < 2 && places[p]; p++) {
			size_t before = c->count;
			for (size_t i = 0; i < places[p]->key_count; i++)
				if (places[p]->keys[i].origin == origin)
					add_key(c, buf_bytes(&places[p]->keys[i].data), a);
			w->key_outside |= p == 1 && c->count > before;
		}
	}
}

/* The same key found twice is one key: gpg says by the fingerprint, and merges the copies. */
static bool choose(struct work *w, struct candidates *c, struct addresses *a, enum err *failed)
{
	char first[FINGERPRINT_SIZE] = "";
	size_t pick = 0; /* the first copy that gpg takes: one may be damaged */

	for (size_t i = 0; c->count > 1 && i < c->count; i++) {
		struct key_facts *facts = NULL;
		enum err rc = keyhome_import(w->authority->home, buf_bytes(&c->keys[i]), &facts);
		if (rc != ERR_OK && rc != ERR_DATA) {
			*failed = rc;
			return false;
		}
		bool other = facts && *first && !str_equal(first, facts->fingerprint);
		if (other)
			refuse(&w->refusal, REASON_KEY_AMBIGUOUS,
			    "The mail holds several keys for %s: %s and %s.", w->address, first,
			    facts->fingerprint);
		if (facts && !*first) {
			memcpy(first, facts->fingerprint, sizeof first);
			pick = i;
		}
		key_facts_free(&facts);
		if (other)
			return false;
	}
	buf_add(&w->key, c->keys[pick].data, c->keys[pick].len);
	return look_at_key(w, a, failed);
}

/* P3.7: a renewal without a copy of the key is for the key as it is. */
static bool use_stored_key(struct work *w, const struct addresses *a, enum err *failed)
{
	buf_add(&w->key, w->earlier->key.data, w->earlier->key.len);
	return look_at_key(w, a, failed);
}

bool pick_plain_key(struct work *w, enum err *failed)
{
	struct candidates c = { .count = 0 };
	struct addresses a;
	bool good;

	addresses_of(w, &a);
	w->key_outside = false;
	collect(w, &a, &c);
	if (c.secret)
		good = refuse_secret(w);
	else if (c.count == 0 && work_is_renewal(w))
		good = use_stored_key(w, &a, failed);
	else if (c.count == 0 && a.misnamed)
		good = refuse_name(w);
	else if (c.count == 0 && c.odd_version)
		good = refuse(&w->refusal, REASON_KEY_UNUSABLE,
		    "The key is of version %u; only version 4 can be certified.", c.odd_version);
	else if (c.count == 0 && c.others > 0)
		good = refuse(&w->refusal, REASON_KEY_MISSING,
		    "The mail holds %zu OpenPGP key%s, but none of %s.", c.others,
		    c.others == 1 ? "" : "s", w->address);
	else if (c.count == 0)
		good = refuse(&w->refusal, REASON_KEY_MISSING, NULL);
	else
		good = choose(w, &c, &a, failed);
	for (size_t i = 0; i < CANDIDATES_MAX; i++)
		buf_free(&c.keys[i]);
	free(a.also);
	return good;
}

/* gpg merges the copies: a revocation that we have is in force whatever copy comes. */
bool take_renewed_key(struct work *w, enum err *failed)
{
	struct keyhome *home = w->authority->home;
	struct key_facts *stored = NULL;
	bool good;

	*failed = keyhome_reset(home);
	if (*failed == ERR_OK)
		*failed = keyhome_import(home, buf_bytes(&w->earlier->key), &stored);
	key_facts_free(&stored);
	if (*failed != ERR_OK)
		return false;
	good = work_is_client(w) ? take_client_key(w, failed) : pick_plain_key(w, failed);
	if (good && !str_equal(w->facts->fingerprint, w->earlier->fingerprint))
		return refuse(&w->refusal, REASON_KEYSET_UNKNOWN,
		    "A renewal is for the key %s; another key needs a token.",
		    w->earlier->fingerprint);
	if (good) {
		buf_clear(&w->key);
		*failed = keyhome_export(home, w->facts->fingerprint, &w->key);
	}
	return good && *failed == ERR_OK;
}
