/* fuzz_token: a token that is found is found again in what token_format makes of it; redacting leaves none. */
#include <assert.h>
#include <string.h>

#include "enroll/keyset.h"
#include "enroll/request.h"
#include "enroll/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t pin[PIN_BYTES] = { 0x12, 0x34, 0x56, 0x78, 0x9a };

static void find(struct bytes input, const uint8_t *wanted)
{
	struct token token, again;
	char text[TOKEN_TEXT_SIZE];
	if (token_find(input, wanted, &token) != TOKEN_ONE)
		return;
	assert(!wanted || memcmp(token.pin, wanted, PIN_BYTES) == 0);
	token_format(&token, text);
	assert(token_find(bytes_of_text(text), wanted, &again) == TOKEN_ONE);
	assert(memcmp(&token, &again, sizeof(token)) == 0);
}

static void parse(const char *text)
{
	struct token token, again;
	char formatted[TOKEN_TEXT_SIZE];
	if (token_parse(text, &token))
		return;
	token_format(&token, formatted);
	assert(!token_parse(formatted, &again));
	assert(memcmp(&token, &again, sizeof(token)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes input = bytes_of(data, size);
	struct token token;
	struct buf text = BUF_INIT;
	find(input, pin);
	find(input, NULL);
	buf_add(&text, data, size);
	parse(buf_text(&text));
	token_redact(&text);
	enum token_found found = token_find(buf_bytes(&text), NULL, &token);
	assert(found != TOKEN_ONE && found != TOKEN_AMBIGUOUS);
	buf_free(&text);

	char *nonce = nonce_find(input), *name = keyset_name_find(input);
	if (nonce) {
		buf_addf(&text, "Confirmation: %s", nonce);
		char *again = nonce_find(buf_bytes(&text));
		assert(str_equal(nonce, again));
		str_free(&again);
		buf_free(&text);
	}
	str_free(&nonce);
	str_free(&name);
	return 0;
}
