/* fuzz_request: what parses is written, and reads back as the same. */
#include <assert.h>

#include "enroll/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_request(struct bytes input)
{
	struct request request, again;
	struct refusal why = { 0 };
	struct buf first = BUF_INIT, second = BUF_INIT;
	if (request_parse(input, &request, &why)) {
		assert(request_looks_like(input));
		request_write(&request, NULL, &first);
		assert(request_parse(buf_bytes(&first), &again, &why));
		request_write(&again, NULL, &second);
		assert(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
		assert(bytes_equal(buf_bytes(&request.signed_text), buf_bytes(&again.signed_text)));
		request_free(&again);
	} else {
		assert(why.reason == REASON_REQUEST_MALFORMED || why.reason == REASON_TOO_LARGE);
		if (request_salvage(input, &request))
			assert(request.signed_text.len && request.kind == REQUEST_ENROLL);
	}
	request_free(&request);
	buf_free(&first);
	buf_free(&second);
}

static void try_confirmation(struct bytes input)
{
	struct confirmation confirmation, again;
	struct refusal why;
	struct buf first = BUF_INIT, second = BUF_INIT;
	if (confirmation_parse(input, &confirmation, &why)) {
		assert(confirmation_looks_like(input));
		confirmation_write(&confirmation, &first);
		assert(confirmation_parse(buf_bytes(&first), &again, &why));
		confirmation_write(&again, &second);
		assert(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
		confirmation_free(&again);
	}
	confirmation_free(&confirmation);
	buf_free(&first);
	buf_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_request(bytes_of(data, size));
	try_confirmation(bytes_of(data, size));
	return 0;
}
