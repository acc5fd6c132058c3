/* fuzz_deposit: what passes as a deposit is a stub and one clear secret subkey whose public part the key has, and nothing else that is secret; a rule for deposits that passes is one. */
#include <assert.h>
#include <string.h>

#include "enroll/deposit.h"
#include "enroll/internal.h"
#include "enroll/packets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool find_subkey(struct bytes key, char out[41])
{
	struct packet p;
	bool bad;
	while (packet_next(&key, &p, &bad))
		if (p.tag == PACKET_SUBKEY && packet_fingerprint(p.body, out))
			return true;
	return false;
}

static void try_deposit(struct bytes deposit, struct bytes key)
{
	struct refusal why = { 0 };
	char fingerprint[41];
	if (!find_subkey(key, fingerprint))
		return;
	if (deposit_check(deposit, key, fingerprint, &why)) {
		struct packet_summary s = packets_summarise(deposit);
		assert(s.secret_keys == 2 && !s.public_keys && !s.subkeys && !s.malformed);
		assert(bytes_find(deposit, bytes_of("GNU\1", 4)));
	} else {
		assert(why.reason == REASON_DEPOSIT_MISMATCH || why.reason == REASON_KEY_SECRET ||
		       why.reason == REASON_TOO_LARGE);
	}
}

static void try_rule(struct bytes input)
{
	char *text = str_ndup((const char *)input.data, input.len), *rules[] = { text, NULL };
	if (escrow_rule_check(text) == ERR_OK)
		assert(strrchr(text, '='));
	assert(escrow_policy_for("off", rules, "alice@example.org") <= ESCROW_REQUIRED);
	str_free(&text);
}

/* The key's length in two octets, the key, the deposit. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len = size < 2 ? 0 : (size_t)data[0] << 8 | data[1];
	if (size >= 2 && len <= size - 2)
		try_deposit(bytes_of(data + 2 + len, size - 2 - len), bytes_of(data + 2, len));
	try_rule(bytes_of(size ? data : (const uint8_t *)"", size));
	return 0;
}
