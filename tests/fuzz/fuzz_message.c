/* Any bytes as a mail: what message_parse makes of them passes message_unpack and comes back the same. */
#include <stdlib.h>

#include "mail/message.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	message_preload();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct message_limits limits = {
		.mail_bytes = 256 * 1024, .header_bytes = 64 * 1024, .nesting = 20, .parts = 100
	};
	struct message message, copy;
	struct buf first = BUF_INIT, second = BUF_INIT;
	if (message_parse(bytes_of(data, size), &limits, &message) == ERR_OK) {
		message_pack(&message, &first);
		if (message_unpack(buf_bytes(&first), &copy) != ERR_OK)
			abort();
		message_pack(&copy, &second);
		if (!bytes_equal(buf_bytes(&first), buf_bytes(&second)))
			abort();
		message_free(&copy);
	}
	if (message_unpack(bytes_of(data, size), &copy) == ERR_OK)
		message_pack(&copy, &second);
	message_free(&copy);
	message_free(&message);
	buf_free(&first);
	buf_free(&second);
	return 0;
}
