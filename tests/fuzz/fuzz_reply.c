/* fuzz_reply: replies and authority cards; what parses is written, and reads back as the same. */
#include <assert.h>

#include "enroll/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_reply(struct bytes input)
{
	struct reply reply, again;
	struct buf first = BUF_INIT, second = BUF_INIT;
	if (reply_parse(input, &reply) == ERR_OK) {
		reply_write(&reply, &first);
		enum err err = reply_parse(buf_bytes(&first), &again);
		assert(err == ERR_OK);
		reply_write(&again, &second);
		assert(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
		reply_free(&again);
	}
	reply_free(&reply);
	buf_free(&first);
	buf_free(&second);
}

static void try_card(struct bytes input)
{
	struct card card, again;
	struct buf first = BUF_INIT, second = BUF_INIT;
	if (card_parse(input, &card) == ERR_OK) {
		card_write(&card, &first);
		enum err err = card_parse(buf_bytes(&first), &again);
		assert(err == ERR_OK);
		card_write(&again, &second);
		assert(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
		card_free(&again);
	}
	card_free(&card);
	buf_free(&first);
	buf_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_reply(bytes_of(data, size));
	try_card(bytes_of(data, size));
	return 0;
}
