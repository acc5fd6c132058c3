/* fuzz_packets: armor there and back; a reduced key is a key, holds nothing secret, and reduces to itself. */
#include <assert.h>
#include <string.h>

#include "enroll/packets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool keep(const char *user_id, void *context)
{
	(void)context;
	return strchr(user_id, '@') != NULL;
}

static void try_packets(struct bytes input)
{
	struct packet_summary whole = packets_summarise(input), small;
	struct buf first = BUF_INIT, second = BUF_INIT;
	struct bytes key;
	size_t keys = 0;
	while (keys < 9 && packets_key_at(input, keys, &key)) {
		assert(key.data >= input.data && key.data + key.len <= input.data + input.len);
		assert(packets_summarise(key).public_keys == 1);
		keys++;
	}
	assert(keys <= whole.public_keys);
	if (packets_reduce(input, keep, NULL, &first) == ERR_OK) {
		assert(!whole.malformed && !whole.secret_keys);
		small = packets_summarise(buf_bytes(&first));
		assert(!small.malformed && small.public_keys == 1 && !small.secret_keys &&
		       !small.other);
		assert(small.subkeys == whole.subkeys && small.user_ids <= whole.user_ids);
		enum err err = packets_reduce(buf_bytes(&first), keep, NULL, &second);
		assert(err == ERR_OK);
		assert(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
	}
	buf_free(&first);
	buf_free(&second);
}

static void try_armor(struct bytes input)
{
	static const char *const kinds[] = { "PUBLIC KEY BLOCK", "PRIVATE KEY BLOCK", "MESSAGE",
		"SIGNATURE" };
	for (size_t i = 0; i < 4; i++) {
		struct buf binary = BUF_INIT, text = BUF_INIT, again = BUF_INIT;
		const uint8_t *after = NULL;
		if (armor_read(input, kinds[i], &binary, &after) == ERR_OK) {
			assert(
			    after > armor_find(input, kinds[i]) && after <= input.data + input.len);
			armor_write(kinds[i], buf_bytes(&binary), &text);
			enum err err = armor_read(buf_bytes(&text), kinds[i], &again, NULL);
			assert(err == ERR_OK && bytes_equal(buf_bytes(&binary), buf_bytes(&again)));
			try_packets(buf_bytes(&binary));
		}
		buf_free(&binary);
		buf_free(&text);
		buf_free(&again);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_packets(bytes_of(data, size));
	try_armor(bytes_of(data, size));
	return 0;
}
