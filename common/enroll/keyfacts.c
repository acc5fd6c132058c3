#include "enroll/keyfacts.h"

#include <stdlib.h>
#include <string.h>

#include "text/address.h"

const struct key_subkey *key_encryption(const struct key_facts *facts)
{
	const struct key_subkey *best = NULL;
	for (size_t i = 0; i < facts->subkey_count; i++) {
		const struct key_subkey *s = &facts->subkeys[i];
		if (s->can_encrypt && !s->revoked && !s->expired && !s->invalid && !s->disabled &&
		    (!best || s->created > best->created))
			best = s;
	}
	return best;
}

void key_facts_free(struct key_facts **facts)
{
	struct key_facts *f = *facts;
	if (!f)
		return;
	for (size_t i = 0; i < f->user_id_count; i++) {
		str_free(&f->user_ids[i].text);
		str_free(&f->user_ids[i].address);
		str_free(&f->user_ids[i].name);
	}
	for (size_t i = 0; i < f->subkey_count; i++)
		str_free(&f->subkeys[i].algorithm);
	for (size_t i = 0; i < f->certification_count; i++)
		str_free(&f->certifications[i].user_id);
	free(f->user_ids);
	free(f->subkeys);
	free(f->certifications);
	free(f);
	*facts = NULL;
}

#define UNUSABLE(why, ...) refuse(why, REASON_KEY_UNUSABLE, __VA_ARGS__)

static bool has_passed(const struct key_subkey *key, int64_t now)
{
	return key->expired || (key->expires && key->expires <= now);
}

static bool is_usable(const struct key_subkey *key, int64_t now)
{
	return !key->revoked && !key->invalid && !key->disabled && !has_passed(key, now);
}

static bool check_whole(const struct key_facts *facts, int64_t now, struct refusal *why)
{
	if (strlen(facts->fingerprint) != 40 || !facts->subkey_count)
		return UNUSABLE(why, "The key is not an OpenPGP key of version 4.");
	const struct key_subkey *primary = &facts->subkeys[0];
	if (facts->revoked || primary->revoked)
		return UNUSABLE(why, "The key is revoked.");
	if (facts->expired || has_passed(primary, now))
		return UNUSABLE(why, "The key has expired.");
	if (facts->invalid || primary->invalid || primary->disabled)
		return UNUSABLE(why, "The key has no valid self-signature.");
	return true;
}

/* P4.7: the address alone, or a name and the address. */
static bool check_name(const struct key_user_id *id, const char *recorded, struct refusal *why)
{
	if (!id->name)
		return strpbrk(id->text, " \t")
			   ? UNUSABLE(why,
				 "The user ID of %s is neither the address alone "
				 "nor a name and the address.",
				 id->address)
			   : true;
	if (name_check(id->name))
		return UNUSABLE(why, "The name in the user ID of %s can't be certified: %.120s.",
		    id->address, err_text());
	if (recorded && !name_equal(id->name, recorded))
		return refuse(why, REASON_NAME_MISMATCH,
		    "The name in the user ID of %s is not the name that is recorded for you, %.120s.",
		    id->address, recorded);
	return true;
}

static bool check_address(const struct key_facts *facts, const char *address, bool required,
    const char *recorded, struct refusal *why)
{
	const struct key_user_id *found = NULL;
	for (size_t i = 0; i < facts->user_id_count; i++) {
		const struct key_user_id *id = &facts->user_ids[i];
		if (!str_equal(id->address, address))
			continue;
		if (found)
			return UNUSABLE(why, "The key has several user IDs of %s.", address);
		found = id;
	}
	if (!found)
		return required ? UNUSABLE(why, "The key has no user ID of %s.", address) : true;
	if (found->revoked)
		return UNUSABLE(why, "The user ID of %s is revoked.", address);
	if (found->invalid)
		return UNUSABLE(why, "The user ID of %s has no valid self-signature.", address);
	return check_name(found, recorded, why);
}

static bool check_signing(const struct key_facts *facts, int64_t now, struct refusal *why)
{
	bool any = false;
	for (size_t i = 0; i < facts->subkey_count; i++) {
		const struct key_subkey *key = &facts->subkeys[i];
		if (key->can_sign && is_usable(key, now))
			return true;
		any = any || key->can_sign;
	}
	return any ? UNUSABLE(why, "The signing subkey of the key has expired or is revoked.")
		   : UNUSABLE(why, "The key can't sign.");
}

static bool check_encryption(
    const struct key_facts *facts, int64_t now, size_t *out, struct refusal *why)
{
	size_t count = 0, expired = 0, revoked = 0;
	for (size_t i = 1; i < facts->subkey_count; i++) {
		const struct key_subkey *key = &facts->subkeys[i];
		if (!key->can_encrypt)
			continue;
		revoked += key->revoked;
		expired += !key->revoked && has_passed(key, now);
		if (!is_usable(key, now))
			continue;
		count++;
		*out = i;
	}
	if (count == 1)
		return true;
	if (count > 1)
		return UNUSABLE(
		    why, "The key has %zu encryption subkeys; it must have exactly one.", count);
	if (expired)
		return UNUSABLE(why, "The encryption subkey of the key has expired.");
	if (revoked)
		return UNUSABLE(why, "The encryption subkey of the key is revoked.");
	return UNUSABLE(why, "The key has no encryption subkey.");
}

static bool check_curve(const char *curve, char *const *allowed)
{
	for (; *allowed; allowed++)
		if (str_equal_case(*allowed, curve))
			return true;
	return false;
}

static bool check_algorithm(
    const struct key_subkey *key, const struct key_policy *policy, struct refusal *why)
{
	bool rsa = str_starts_case(key->algorithm, "rsa");
	bool old = str_starts_case(key->algorithm, "dsa") || str_starts_case(key->algorithm, "elg");
	if (old && !policy->dsa_elgamal)
		return UNUSABLE(why, "The key uses %.40s, which this authority does not accept.",
		    key->algorithm);
	if ((rsa || old) && (int64_t)key->bits < policy->rsa_bits_min)
		return UNUSABLE(why,
		    "The key uses %.40s with %u bits; this authority wants %lld or more.",
		    key->algorithm, key->bits, (long long)policy->rsa_bits_min);
	if (!rsa && !old && !check_curve(key->algorithm, policy->curves))
		return UNUSABLE(why, "The key uses %.40s, which this authority does not accept.",
		    key->algorithm);
	return true;
}

/* The primary, and whatever is in force beside it. */
static bool check_algorithms(const struct key_facts *facts, const struct key_policy *policy,
    int64_t now, struct refusal *why)
{
	for (size_t i = 0; i < facts->subkey_count; i++)
		if ((i == 0 || is_usable(&facts->subkeys[i], now)) &&
		    !check_algorithm(&facts->subkeys[i], policy, why))
			return false;
	return true;
}

bool key_policy_check(const struct key_facts *facts, const struct key_policy *policy,
    const char *const *addresses, const char *recorded_name, int64_t now, size_t *encryption_out,
    struct refusal *why)
{
	if (!check_whole(facts, now, why))
		return false;
	for (size_t i = 0; addresses[i]; i++)
		if (!check_address(facts, addresses[i], i == 0, recorded_name, why))
			return false;
	size_t encryption = 0;
	if (!check_signing(facts, now, why) || !check_encryption(facts, now, &encryption, why) ||
	    !check_algorithms(facts, policy, now, why))
		return false;
	*encryption_out = encryption;
	return true;
}
