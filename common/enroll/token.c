#include "enroll/token.h"

#include <string.h>

#include "base/encode.h"
#include "enroll/internal.h"

#define GROUP 5
#define SEED_SYMBOLS 16
#define PIN_SYMBOLS 8
#define ENCODED_WORD_MAX 75 /* RFC 2047 2 */
#define MIXED \
	3 /* digits and letters that a token has at least (all but 1 in 200); words and numbers have not */

/* Times alpha in GF(32) by x^5 + x^2 + 1. */
static unsigned times_alpha(unsigned v)
{
	v <<= 1;
	return v & 32 ? v ^ 0x25 : v;
}

/* P1.2: the sum of alpha^i times symbol i, i = 1..24: what symbol 25 must be. */
static unsigned check_symbol(const uint8_t symbols[TOKEN_SYMBOLS])
{
	unsigned sum = 0;
	for (size_t i = TOKEN_SYMBOLS - 1; i > 0; i--)
		sum = times_alpha(sum ^ symbols[i - 1]);
	return sum;
}

static void pack(const uint8_t *symbols, size_t count, uint8_t *out)
{
	unsigned bits = 0, held = 0;
	for (size_t i = 0; i < count; i++) {
		bits = (bits << 5 | symbols[i]) & 0xfff;
		held += 5;
		if (held >= 8) {
			held -= 8;
			*out++ = (uint8_t)(bits >> held);
		}
	}
}

static void unpack(const uint8_t *in, size_t count, uint8_t *symbols)
{
	for (size_t i = 0; i < count; i++) {
		size_t bit = i * 5;
		unsigned two = (unsigned)in[bit / 8] << 8;
		if (bit % 8 > 3)
			two |= in[bit / 8 + 1];
		symbols[i] = (uint8_t)(two >> (11 - bit % 8) & 31);
	}
}

static void from_symbols(const uint8_t symbols[TOKEN_SYMBOLS], struct token *out)
{
	pack(symbols, SEED_SYMBOLS, out->seed);
	pack(symbols + SEED_SYMBOLS, PIN_SYMBOLS, out->pin);
}

void token_generate(const uint8_t pin[PIN_BYTES], struct token *out)
{
	secret_random(out->seed, sizeof(out->seed));
	memcpy(out->pin, pin, PIN_BYTES);
}

void token_format(const struct token *token, char out[TOKEN_TEXT_SIZE])
{
	uint8_t symbols[TOKEN_SYMBOLS];
	unpack(token->seed, SEED_SYMBOLS, symbols);
	unpack(token->pin, PIN_SYMBOLS, symbols + SEED_SYMBOLS);
	symbols[TOKEN_SYMBOLS - 1] = (uint8_t)check_symbol(symbols);

	char *p = out;
	for (size_t i = 0; i < TOKEN_SYMBOLS; i++) {
		if (i && i % GROUP == 0)
			*p++ = '-';
		*p++ = base32_alphabet[symbols[i]];
	}
	*p = '\0';
	mem_wipe(symbols, sizeof(symbols));
}

/* The symbols of what a person typed; counts those beyond the 25 too. */
static enum err read_symbols(const char *text, uint8_t symbols[TOKEN_SYMBOLS], size_t *count_out)
{
	const uint8_t *at = (const uint8_t *)text, *end = at + strlen(text), *next;
	size_t count = 0;
	while (at < end) {
		if (mark_at(at, end, &next) != MARK_NONE) {
			at = next;
			continue;
		}
		int value = base32_value(*at);
		if (value < 0)
			return err_fail(ERR_DATA,
			    "symbol %zu of the token is not a letter or digit "
			    "that tokens have (0-9 and A-Z without U)",
			    count + 1);
		if (count < TOKEN_SYMBOLS)
			symbols[count] = (uint8_t)value;
		count++;
		at++;
	}
	*count_out = count;
	return ERR_OK;
}

enum err token_parse(const char *text, struct token *out)
{
	uint8_t symbols[TOKEN_SYMBOLS] = { 0 };
	size_t count = 0;
	enum err err = read_symbols(text, symbols, &count);
	if (err)
		goto out;
	if (count != TOKEN_SYMBOLS) {
		err = err_fail(ERR_DATA,
		    "the token has %zu symbols instead of 25; type all five "
		    "groups of five",
		    count);
		goto out;
	}
	if (check_symbol(symbols) != symbols[TOKEN_SYMBOLS - 1]) {
		err = err_fail(ERR_DATA, "the token is mistyped: its check symbol does not fit; "
					 "compare it with what you were given");
		goto out;
	}
	from_symbols(symbols, out);
out:
	mem_wipe(symbols, sizeof(symbols));
	return err;
}

void token_wipe(struct token *token)
{
	mem_wipe(token, sizeof(*token));
}

/* ---- finding (P1.8) ---- */

struct candidate {
	uint8_t symbols[TOKEN_SYMBOLS];
	bool clean;      /* every one is a symbol: no U */
	bool grouped;    /* something stands between all five groups */
	bool hyphenated; /* a hyphen does, without a blank before it */
	unsigned digits;
	const uint8_t *at[TOKEN_SYMBOLS], *end;
};

static bool is_alnum(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static const uint8_t *skip_invisible(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *next;
	while (mark_at(at, end, &next) == MARK_NOTHING)
		at = next;
	return at;
}

/* Between two groups: any marks, at most two line ends. NULL where a third comes. */
static const uint8_t *skip_gap(const uint8_t *at, const uint8_t *end, struct candidate *c)
{
	bool any = false, hyphen = false, blank = false;
	unsigned lines = 0;
	const uint8_t *next;
	for (enum mark mark; (mark = mark_at(at, end, &next)) != MARK_NONE; at = next) {
		any = any || mark != MARK_NOTHING;
		hyphen = hyphen || (mark == MARK_HYPHEN && !blank);
		blank = blank || mark == MARK_BLANK;
		if (mark == MARK_LINE && ++lines > 2)
			return NULL;
	}
	c->grouped = c->grouped && any;
	c->hyphenated = c->hyphenated && hyphen;
	return at;
}

/*
 * Reads a candidate that begins here. Every start reads 25 symbols at most with the marks between them, and every
 * start is a letter or digit, so no byte is read more than some 25 times: linear.
 */
static bool candidate_at(const uint8_t *at, const uint8_t *end, struct candidate *c)
{
	*c = (struct candidate){ .clean = true, .grouped = true, .hyphenated = true };
	for (size_t i = 0; i < TOKEN_SYMBOLS; i++) {
		if (i)
			at = i % GROUP ? skip_invisible(at, end) : skip_gap(at, end, c);
		if (!at || at == end || !is_alnum(*at))
			return false;
		int value = base32_value(*at);
		c->clean = c->clean && value >= 0;
		c->symbols[i] = (uint8_t)(value < 0 ? 0 : value);
		c->at[i] = at;
		c->digits += *at >= '0' && *at <= '9';
		at++;
	}
	c->end = at;
	return at == end || !is_alnum(*at);
}

static bool checks(const struct candidate *c)
{
	return c->clean && check_symbol(c->symbols) == c->symbols[TOKEN_SYMBOLS - 1];
}

static bool counts(const struct candidate *c, const uint8_t *pin, struct token *token)
{
	if (!checks(c))
		return false;
	from_symbols(c->symbols, token);
	return pin ? secret_equal(token->pin, pin, PIN_BYTES) : c->hyphenated;
}

static bool is_mixed(unsigned digits, unsigned symbols)
{
	return digits >= MIXED && symbols - digits >= MIXED;
}

/* Does it have the shape of a token, whatever its symbols say? */
static bool looks_meant(const struct candidate *c)
{
	return c->grouped && (c->hyphenated || is_mixed(c->digits, TOKEN_SYMBOLS));
}

static const uint8_t *word_begin(const uint8_t *at, const uint8_t *end)
{
	while (at < end && !is_alnum(*at))
		at++;
	return at;
}

/*
 * Where the next candidate may begin: the next word, or behind an escape of broken quoted-printable that this word
 * begins with ("Token=3D7K2QX"); both are tried, as "=2D" may begin a token after an equals sign.
 */
static const uint8_t *next_start(const uint8_t *begin, const uint8_t *at, const uint8_t *end)
{
	const uint8_t *next;
	if (at > begin && at[-1] == '=' && mark_at(at - 1, end, &next) != MARK_NONE && next > at)
		return word_begin(next, end);
	while (at < end && is_alnum(*at))
		at++;
	return word_begin(at, end);
}

/* Pieces behind the word Token: how many symbols, joined by hyphens, or by blanks where each has four to six. */
static bool meant_after_word(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *most = end - at > 40 ? at + 40 : end;
	while (at < most && !is_alnum(*at))
		at++;
	unsigned symbols = 0, digits = 0;
	bool hyphen = true;
	while (at < end && is_alnum(*at) && symbols <= 30) {
		const uint8_t *begin = at, *next;
		for (; at < end && is_alnum(*at) && at - begin <= 30; at++)
			digits += *at >= '0' && *at <= '9';
		if (!hyphen && (at - begin < 4 || at - begin > 6))
			break;
		symbols += (unsigned)(at - begin);
		enum mark mark = mark_at(at, end, &next);
		hyphen = mark == MARK_HYPHEN;
		if (mark != MARK_HYPHEN && mark != MARK_BLANK)
			break;
		at = next;
	}
	return symbols >= 20 && symbols <= 30 && is_mixed(digits, symbols);
}

static bool is_word_token(const uint8_t *at, const uint8_t *end)
{
	static const char word[] = "token";
	for (size_t i = 0; i < 5; i++)
		if (at + i == end || (at[i] | 0x20) != word[i])
			return false;
	return at + 5 == end || !is_alnum(at[5]);
}

enum token_found token_find(struct bytes text, const uint8_t *pin, struct token *out)
{
	if (!text.len)
		return TOKEN_NONE;
	const uint8_t *end = text.data + text.len;
	enum token_found found = TOKEN_NONE;
	bool almost = false;
	struct candidate c;
	struct token token, first = { 0 };

	const uint8_t *at = word_begin(text.data, end);
	while (at < end) {
		if (candidate_at(at, end, &c)) {
			if (counts(&c, pin, &token)) {
				bool same = secret_equal(&token, &first, sizeof(token));
				found = found == TOKEN_NONE ? TOKEN_ONE
					: same              ? found
							    : TOKEN_AMBIGUOUS;
				if (found == TOKEN_ONE)
					first = token;
				at = word_begin(c.end, end);
				continue;
			}
			almost = almost || looks_meant(&c);
		}
		almost = almost || (is_word_token(at, end) && meant_after_word(at + 5, end));
		at = next_start(text.data, at, end);
	}
	if (found == TOKEN_ONE || found == TOKEN_AMBIGUOUS)
		*out = first;
	token_wipe(&token);
	token_wipe(&first);
	mem_wipe(&c, sizeof(c));
	return found == TOKEN_NONE && almost ? TOKEN_ALMOST : found;
}

/* Overwrites what is found in `seen` at the same places in `text`; NULL only looks. */
static bool redact_plain(struct bytes seen, uint8_t *text)
{
	if (!seen.len)
		return false;
	const uint8_t *end = seen.data + seen.len;
	struct candidate c;
	bool any = false;
	for (const uint8_t *at = word_begin(seen.data, end); at < end;
	     at = next_start(seen.data, at, end)) {
		if (!candidate_at(at, end, &c) || !(checks(&c) || looks_meant(&c)))
			continue;
		any = true;
		for (size_t i = 0; text && i < TOKEN_SYMBOLS; i++)
			text[c.at[i] - seen.data] = 'X';
	}
	mem_wipe(&c, sizeof(c));
	return any;
}

/* An encoded word (RFC 2047 2): its encoding, "b" or "q", and its payload; *rest behind it. */
static bool encoded_word(struct bytes *rest, int *encoding_out, struct bytes *payload_out)
{
	const uint8_t *at, *end = rest->data + rest->len;
	while ((at = bytes_find(*rest, bytes_of_text("=?"))) != NULL) {
		*rest = bytes_of(at + 2, (size_t)(end - at - 2));
		size_t most = rest->len < ENCODED_WORD_MAX ? rest->len : ENCODED_WORD_MAX;
		const uint8_t *mark = most ? memchr(rest->data, '?', most) : NULL;
		if (!mark || end - mark < 3 || mark[2] != '?')
			continue;
		struct bytes payload = bytes_of(mark + 3, (size_t)(end - mark - 3));
		const uint8_t *close = payload.len ? memchr(payload.data, '?', payload.len) : NULL;
		if (!close)
			return false;
		*encoding_out = mark[1] | 0x20;
		*payload_out = bytes_of(payload.data, (size_t)(close - payload.data));
		*rest = bytes_of(close, (size_t)(end - close));
		return true;
	}
	return false;
}

static void decode_word(int encoding, struct bytes payload, struct buf *out)
{
	if (encoding == 'b') {
		if (base64_read(payload, out))
			buf_add_byte(out, '\n');
		return;
	}
	for (size_t i = 0; i < payload.len; i++)
		buf_add_byte(out, payload.data[i] == '_' ? ' ' : payload.data[i]);
}

/* A token may be hidden in encoded words, and cut by their ends: they are read as one, and all overwritten. */
static void redact_encoded(struct bytes seen, uint8_t *text)
{
	struct buf joined = BUF_SECRET;
	struct bytes rest = seen, payload;
	int encoding;
	while (encoded_word(&rest, &encoding, &payload))
		decode_word(encoding, payload, &joined);
	rest = seen;
	if (redact_plain(buf_bytes(&joined), NULL))
		while (encoded_word(&rest, &encoding, &payload))
			memset(text + (payload.data - seen.data), 'X', payload.len);
	buf_free(&joined);
}

void token_redact(struct buf *text)
{
	if (!text->len)
		return;
	/* Looked for in a copy, so that what is overwritten hides no other that overlaps it. */
	struct buf copy = BUF_SECRET;
	buf_add(&copy, text->data, text->len);
	redact_plain(buf_bytes(&copy), text->data);
	redact_encoded(buf_bytes(&copy), text->data);
	buf_free(&copy);
}
