#include <string.h>

#include "base/encode.h"
#include "enroll/internal.h"
#include "enroll/request.h"

#define NONCE_BYTES 16
#define NONCE_SYMBOLS 26
#define NONCE_GROUPED 25 /* no hyphen from here on: the last group has six, which no token has */

static bool is_alnum(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Reads 26 symbols with marks between them; *end_out is the byte behind the last. */
static bool symbols_read(
    const uint8_t *at, const uint8_t *end, char symbols[NONCE_SYMBOLS], const uint8_t **end_out)
{
	const uint8_t *next;
	for (size_t i = 0; i < NONCE_SYMBOLS; i++) {
		while (mark_at(at, end, &next) != MARK_NONE)
			at = next;
		int value = at < end ? base32_value(*at) : -1;
		if (value < 0)
			return false;
		symbols[i] = base32_alphabet[value];
		at++;
	}
	*end_out = at;
	return at == end || !is_alnum(*at);
}

static char *grouped(const char symbols[NONCE_SYMBOLS])
{
	struct buf text = BUF_INIT;
	for (size_t i = 0; i < NONCE_SYMBOLS; i++) {
		if (i && i % 5 == 0 && i < NONCE_GROUPED)
			buf_add_byte(&text, '-');
		buf_add_byte(&text, symbols[i]);
	}
	return buf_take_text(&text);
}

char *nonce_make(void)
{
	uint8_t random[NONCE_BYTES];
	struct buf symbols = BUF_INIT;
	secret_random(random, sizeof(random));
	base32_add(&symbols, bytes_of(random, sizeof(random)));
	char *nonce = grouped((const char *)symbols.data);
	buf_free(&symbols);
	return nonce;
}

char *nonce_canonical(struct bytes text)
{
	char symbols[NONCE_SYMBOLS];
	if (!text.len)
		return NULL;
	const uint8_t *end = text.data + text.len, *after;
	if (!symbols_read(text.data, end, symbols, &after))
		return NULL;
	for (const uint8_t *next; mark_at(after, end, &next) != MARK_NONE;)
		after = next;
	return after == end ? grouped(symbols) : NULL;
}

static const uint8_t *skip_emphasis(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *next;
	while (at < end && (*at == '*' || mark_at(at, end, &next) == MARK_BLANK))
		at = *at == '*' ? at + 1 : next;
	return at;
}

/* Behind "Confirmation" and its colon, or NULL. */
static const uint8_t *behind_label(const uint8_t *at, const uint8_t *end)
{
	static const char label[] = "confirmation";
	for (size_t i = 0; label[i]; i++, at++)
		if (at == end || (*at | 0x20) != label[i])
			return NULL;
	at = skip_emphasis(at, end);
	return at < end && *at == ':' ? skip_emphasis(at + 1, end) : NULL;
}

char *nonce_find(struct bytes text)
{
	if (!text.len)
		return NULL;
	const uint8_t *end = text.data + text.len, *after;
	char symbols[NONCE_SYMBOLS];
	for (const uint8_t *at = text.data; at < end; at++) {
		const uint8_t *value = (*at | 0x20) == 'c' ? behind_label(at, end) : NULL;
		if (value && symbols_read(value, end, symbols, &after))
			return grouped(symbols);
	}
	return NULL;
}
