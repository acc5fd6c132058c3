#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/when.h"
#include "enroll/token.h"

static const uint8_t pin[PIN_BYTES] = { 0x12, 0x34, 0x56, 0x78, 0x9a };
static const uint8_t other_pin[PIN_BYTES] = { 0x12, 0x34, 0x56, 0x78, 0x9b };

/* S = 00 01 … 09 and the pin above: the symbols follow from P1.2 by hand. */
static const struct token fixed = { { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 },
	{ 0x12, 0x34, 0x56, 0x78, 0x9a } };
static const char fixed_text[] = "000G4-0R40M-30E20-928T5-CY4TR";

static void test_format(void **state)
{
	(void)state;
	char text[TOKEN_TEXT_SIZE];
	token_format(&fixed, text);
	assert_string_equal(text, fixed_text);
	assert_int_equal(strlen(text), TOKEN_TEXT_SIZE - 1);
}

/* The check symbol once more, by the definition of P1.2 and another way than the code: with a table of powers. */
static void test_check_symbol(void **state)
{
	(void)state;
	unsigned power[32] = { 1 }, sum = 0, position = 0;
	for (int i = 1; i < 32; i++)
		power[i] = (power[i - 1] << 1) ^ (power[i - 1] & 16 ? 0x25 : 0);
	for (const char *p = fixed_text; *p; p++) {
		if (*p == '-')
			continue;
		unsigned weight = power[++position % 25 ? position : 0];
		unsigned value = (unsigned)base32_value(*p);
		for (int bit = 0; bit < 5; bit++)
			if (value >> bit & 1) {
				unsigned term = weight;
				for (int k = 0; k < bit; k++)
					term = (term << 1) ^ (term & 16 ? 0x25 : 0);
				sum ^= term;
			}
	}
	assert_int_equal(position, 25);
	assert_int_equal(sum, 0);
}

static void test_generate(void **state)
{
	(void)state;
	struct token a, b;
	token_generate(pin, &a);
	token_generate(pin, &b);
	assert_memory_equal(a.pin, pin, PIN_BYTES);
	assert_memory_not_equal(a.seed, b.seed, SECRET_SEED_BYTES);
	token_wipe(&a);
	assert_memory_equal(&a, &(struct token){ 0 }, sizeof(a));
}

static void test_parse(void **state)
{
	(void)state;
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ fixed_text, NULL },
		{ "000g4-0r40m-30e20-928t5-cy4tr", NULL },
		{ "OooG4-oR4OM-3OE2o-928T5-CY4TR", NULL },
		{ " 000G4 0R40M\t30E20 928T5 CY4TR\n", NULL },
		{ "000G40R40M30E20928T5CY4TR", NULL },
		{ "0 0 0-G 4\xe2\x80\x91"
		  "0R40M30E20928T5CY4TR",
		    NULL },
		{ "", "has 0 symbols" },
		{ "000G4-0R40M-30E20-928T5-CY4T", "has 24 symbols" },
		{ "000G4-0R40M-30E20-928T5-CY4TR9", "has 26 symbols" },
		{ "000G4-0R40M-30E20-928T5-CY4TU", "symbol 25 of the token" },
		{ "000G4-0R40M-30E20-928T5-CY4TC", "check symbol" },
		{ "000G4.0R40M-30E20-928T5-CY4TR", "symbol 6 of the token" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct token token = { 0 };
		enum err err = token_parse(cases[i].text, &token);
		if (!cases[i].error) {
			assert_int_equal(err, ERR_OK);
			assert_memory_equal(&token, &fixed, sizeof(token));
		} else {
			assert_int_equal(err, ERR_DATA);
			assert_non_null(strstr(err_text(), cases[i].error));
		}
	}
}

static size_t symbol_at(size_t i)
{
	return i + i / 5;
}

/* Issue of P1.2: every single wrong symbol and every swap of neighbours is caught. */
static void test_errors_caught(void **state)
{
	(void)state;
	struct token token, read;
	char text[TOKEN_TEXT_SIZE];
	unsigned swaps = 0;
	for (int round = 0; round < 1000; round++) {
		token_generate(pin, &token);
		token_format(&token, text);
		assert_int_equal(token_parse(text, &read), ERR_OK);
		assert_memory_equal(&token, &read, sizeof(token));
		for (size_t i = 0; i < TOKEN_SYMBOLS; i++) {
			char right = text[symbol_at(i)];
			for (int v = 0; v < 32; v++) {
				text[symbol_at(i)] = base32_alphabet[v];
				enum err want = base32_alphabet[v] == right ? ERR_OK : ERR_DATA;
				assert_int_equal(token_parse(text, &read), want);
			}
			text[symbol_at(i)] = right;
			char next = i + 1 < TOKEN_SYMBOLS ? text[symbol_at(i + 1)] : right;
			if (next == right)
				continue;
			text[symbol_at(i)] = next;
			text[symbol_at(i + 1)] = right;
			assert_int_equal(token_parse(text, &read), ERR_DATA);
			text[symbol_at(i)] = right;
			text[symbol_at(i + 1)] = next;
			swaps++;
		}
	}
	assert_in_range(swaps, 20000, 24000);
}

struct finding {
	const char *text;
	enum token_found with_pin, without_pin;
};

#define ONE TOKEN_ONE
#define NONE TOKEN_NONE
#define ALMOST TOKEN_ALMOST
#define AMBIGUOUS TOKEN_AMBIGUOUS

static const struct finding findings[] = {
	{ "000G4-0R40M-30E20-928T5-CY4TR", ONE, ONE },
	{ "Hello,\r\n\r\nToken: 000G4-0R40M-30E20-928T5-CY4TR\r\n", ONE, ONE },
	{ "token 000g4-0r40m-30e20-928t5-cy4tr.", ONE, ONE },
	{ "(OOOg4-oR4Om-30E20-928T5-CY4TR)", ONE, ONE },
	{ "*000G4-0R40M-30E20-928T5-CY4TR*, _000G4-0R40M-30E20-928T5-CY4TR_", ONE, ONE },
	{ "\"000G4-0R40M-30E20-928T5-CY4TR\"", ONE, ONE },
	{ "\xe2\x80\x9c"
	  "000G4-0R40M-30E20-928T5-CY4TR\xe2\x80\x9d",
	    ONE, ONE },
	{ "https://example.org/?t=000G4-0R40M-30E20-928T5-CY4TR&x=1", ONE, ONE },
	/* quoted-printable and its remains */
	{ "Token=3D000G4=2D0R40M=2D30E20=2D928T5=2DCY4TR=20", ONE, ONE },
	{ "000G4-0R40M-=\r\n30E20-928T5-CY4TR", ONE, ONE },
	{ "000G4-0R4=\r\n0M-30E20-928T5-CY4TR", ONE, ONE },
	{ "000G4-0R40M-=3D\n30E20-928T5-CY4TR", ONE, ONE },
	{ "=000G4-0R40M-30E20-928T5-CY4TR=", ONE, ONE },
	{ "000G4-0R40M-30E20=C2=AD928T5-CY4TR", ONE, ONE },
	{ "000G4=C2=A00R40M=C2=A030E20=C2=A0"
	  "928T5=C2=A0"
	  "CY4TR",
	    ONE, ALMOST },
	{ "000G4-0R40M-30E20-928T5-CY4TR=", ONE, ONE },
	/* hyphens and blanks of other kinds */
	{ "000G4\xc2\xad"
	  "0R40M\xc2\xad"
	  "30E20\xc2\xad"
	  "928T5\xc2\xad"
	  "CY4TR",
	    ONE, ONE },
	{ "000G4\xe2\x80\x91"
	  "0R40M\xe2\x80\x90"
	  "30E20\xe2\x80\x93"
	  "928T5\xe2\x88\x92"
	  "CY4TR",
	    ONE, ONE },
	{ "000G4\xc2\xa0"
	  "0R40M\xc2\xa0"
	  "30E20\xc2\xa0"
	  "928T5\xc2\xa0"
	  "CY4TR",
	    ONE, ALMOST },
	{ "000G4 0R40M 30E20 928T5 CY4TR", ONE, ALMOST },
	{ "000G4 - 0R40M - 30E20 - 928T5 - CY4TR", ONE, ALMOST },
	{ "000G40R40M30E20928T5CY4TR", ONE, NONE },
	{ "Token: 000G40R40M30E20928T5CY4TR", ONE, ALMOST },
	{ "000G4-\xe2\x80\x8b"
	  "0R40M-30E\xe2\x80\x8b"
	  "20-928T5-CY4TR\xe2\x80\x8b",
	    ONE, ONE },
	{ "\xef\xbb\xbf"
	  "000G4-0R40M-30E20-928T5-CY4TR",
	    ONE, ONE },
	/* lines broken after a group */
	{ "000G4-0R40M-\n30E20-928T5-CY4TR", ONE, ONE },
	{ "000G4-0R40M-30E20-\r\n928T5-CY4TR", ONE, ONE },
	{ "000G4-0R40M- \n30E20-928T5- \nCY4TR", ONE, ONE },
	{ "000G4-0R40M- 30E20-928T5-CY4TR", ONE, ONE },
	{ "> 000G4-0R40M-\n> 30E20-928T5-CY4TR", ONE, ONE },
	{ "> > > 000G4-0R40M-30E20-928T5-\r\n> > > CY4TR", ONE, ONE },
	{ ">> 000G4-0R40M-\n>>30E20-928T5-CY4TR", ONE, ONE },
	{ "| 000G4-0R40M-\n| 30E20-928T5-CY4TR", ONE, ONE },
	{ "000G4\n-0R40M-30E20-928T5-CY4TR", ONE, ONE },
	{ "000G4\n0R40M-30E20-928T5-CY4TR", ONE, ALMOST },
	{ "000G4-0R40M-\r\r\n30E20-928T5-CY4TR", ONE, ONE },
	{ "000G4-0R40M-\n\n\n30E20-928T5-CY4TR", NONE, NONE },
	/* HTML remains */
	{ "<b>000G4-0R40M-30E20-928T5-CY4TR</b>", ONE, ONE },
	{ "<span>000G4</span>-<span style=\"x\">0R40M</span>-30E20-<wbr>928T5-CY4TR<br>", ONE,
	    ONE },
	{ "000G4&#8209;0R40M&shy;30E20&ndash;928T5&#x2011;CY4TR&nbsp;", ONE, ONE },
	{ "000G4&nbsp;0R40M&nbsp;30E20&nbsp;928T5&nbsp;CY4TR", ONE, ALMOST },
	/* several */
	{ "000G4-0R40M-30E20-928T5-CY4TR or 000g4-0r40m-30e20-928t5-cy4tr", ONE, ONE },
	/* nothing of it is one */
	{ "", NONE, NONE },
	{ "x000G4-0R40M-30E20-928T5-CY4TR", NONE, NONE },
	{ "000G4-0R40M-30E20-928T5-CY4TRx", NONE, NONE },
	{ "000G-40R40M-30E20-928T5-CY4TR", NONE, NONE },
	{ "000G4.0R40M.30E20.928T5.CY4TR", NONE, NONE },
	{ "000G4-0R40M-30E20-928T5", NONE, NONE },
	{ "12345 67890 12345 67890 12345", NONE, NONE },
	{ "which their could about there", NONE, NONE },
	{ "Your token is valid until 22 November 2026, and it expires on 24 December 2026.", NONE,
	    NONE },
	{ "Token-based systems must-never-be-used-by-anyone", NONE, NONE },
	/* almost */
	{ "000G4-0R40M-30E20-928T5-CY4TC", ALMOST, ALMOST },
	{ "000G4-0R40M-30E20-928T5-CY4TU", ALMOST, ALMOST },
	{ "000G4 0R40M 30E20 928T5 CY4TC", ALMOST, ALMOST },
	{ "Token: 000G4-0R40M-30E20-928T5-CY4T", ALMOST, ALMOST },
	{ "TOKEN=000G4-0R40M-30E20-928T5-CY4TR9", ALMOST, ALMOST },
	{ "token\n\n  000G4 0R40M 30E20 928T5", ALMOST, ALMOST },
	{ "Token: 000G4-0R40M-30E20-928", NONE, NONE },
};

static void test_find(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(findings) / sizeof(findings[0]); i++) {
		const struct finding *f = &findings[i];
		const uint8_t *pins[2] = { pin, NULL };
		enum token_found want[2] = { f->with_pin, f->without_pin };
		for (int k = 0; k < 2; k++) {
			struct token token = { 0 };
			enum token_found found =
			    token_find(bytes_of_text(f->text), pins[k], &token);
			if (found != want[k])
				fail_msg("case %zu, %s pin: %d instead of %d: %s", i,
				    k ? "no" : "with", (int)found, (int)want[k], f->text);
			if (found == TOKEN_ONE)
				assert_memory_equal(&token, &fixed, sizeof(token));
		}
	}
}

static void test_find_pin(void **state)
{
	(void)state;
	struct token token, second;
	char a[TOKEN_TEXT_SIZE], b[TOKEN_TEXT_SIZE], both[200];
	assert_int_equal(token_find(bytes_of_text(fixed_text), other_pin, &token), TOKEN_ALMOST);

	token_generate(pin, &token);
	token_generate(other_pin, &second);
	token_format(&token, a);
	token_format(&second, b);
	snprintf(both, sizeof(both), "old: %s\nnew: %s\n", b, a);
	assert_int_equal(token_find(bytes_of_text(both), pin, &second), TOKEN_ONE);
	assert_memory_equal(&token, &second, sizeof(token));
	assert_int_equal(token_find(bytes_of_text(both), NULL, &second), TOKEN_AMBIGUOUS);

	snprintf(both, sizeof(both), "%s, %s", a, fixed_text);
	assert_int_equal(token_find(bytes_of_text(both), pin, &second), TOKEN_AMBIGUOUS);
}

/* After an equals sign, a token may begin as an escape does. */
static void test_find_after_equals(void **state)
{
	(void)state;
	struct token token = { .seed = { 0x14, 0xda } }, found;
	memcpy(token.pin, pin, PIN_BYTES);
	char text[TOKEN_TEXT_SIZE], mail[80];
	token_format(&token, text);
	assert_memory_equal(text, "2KD", 3);
	for (int c = 0; c < 32; c++) {
		token.seed[0] = (uint8_t)(2 << 3 | 13 >> 2);
		token.seed[1] = (uint8_t)((13 & 3) << 6 | c);
		token_format(&token, text);
		assert_memory_equal(text, "2D", 2);
		snprintf(mail, sizeof(mail), "token=%s", text);
		assert_int_equal(token_find(bytes_of_text(mail), pin, &found), TOKEN_ONE);
		assert_memory_equal(&token, &found, sizeof(token));
	}
}

/* What mail systems do, each to tokens that differ. */
static void test_find_random(void **state)
{
	(void)state;
	static const char *const gaps[] = { "-", " ", "=2D", "\xc2\xad", "\xc2\xa0", "-\n",
		"-\r\n> ", "- \r\n", "-=\n", "=\n-", "&#8209;", "-<wbr>", "\" \"", "\xe2\x80\x91",
		"-\xe2\x80\x8b", "=20", "=3D=\r\n-", "' '", "\t" };
	for (int round = 0; round < 2000; round++) {
		struct token token, found;
		char text[TOKEN_TEXT_SIZE];
		struct buf mail = BUF_INIT;
		token_generate(pin, &token);
		token_format(&token, text);
		buf_add_text(&mail, "Dear Alice, please enroll.\r\n> ");
		for (int g = 0; g < 5; g++) {
			for (int i = 0; i < 5; i++) {
				int c = text[g * 6 + i];
				if (round & 1)
					c = c == '0'   ? 'o'
					    : c == '1' ? (round & 2 ? 'l' : 'i')
						       : c | 0x20;
				buf_add_byte(&mail, c);
			}
			if (g < 4)
				buf_add_text(&mail, gaps[(size_t)(round + g * g) %
							 (sizeof(gaps) / sizeof(gaps[0]))]);
		}
		buf_add_text(&mail, round & 4 ? "=20\r\nand more" : ",\r\nand more");
		enum token_found result = token_find(buf_bytes(&mail), pin, &found);
		if (result != TOKEN_ONE)
			fail_msg("round %d: %d: %s", round, (int)result, buf_text(&mail));
		assert_memory_equal(&token, &found, sizeof(token));
		buf_free(&mail);
	}
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525U + 1013904223U;
	return *seed >> 8;
}

static void add_words(struct buf *b, size_t len, uint32_t seed)
{
	static const char letters[] = "eeeeettttaaaooiinnsshhrrddlucmfywgpbvk";
	while (b->len < len) {
		unsigned word = 1 + next_random(&seed) % 9;
		for (unsigned i = 0; i < word; i++)
			buf_add_byte(b, letters[next_random(&seed) % (sizeof(letters) - 1)]);
		buf_add_text(b, next_random(&seed) % 12  ? " "
				: next_random(&seed) % 3 ? "-"
							 : ",\n");
	}
}

static void add_base64(struct buf *b, size_t len, uint32_t seed)
{
	while (b->len < len) {
		uint8_t line[57];
		for (size_t i = 0; i < sizeof(line); i++)
			line[i] = (uint8_t)next_random(&seed);
		base64_add(b, bytes_of(line, sizeof(line)), 76, "\n");
	}
}

/* As code and lists of numbers and identifiers are: words of five with hyphens among them, UUIDs, hexadecimal. */
static void add_code(struct buf *b, size_t len, uint32_t seed)
{
	while (b->len < len) {
		unsigned v = next_random(&seed), w = next_random(&seed);
		buf_addf(b,
		    "	if (node_%x->left[%u] == 0x%06x)\n		return \"%08x-%04x-%04x-%04x-%06x%06x\";\n",
		    v, w % 99, v, w, v % 65536, w % 65536, (v ^ w) % 65536, v, w);
		buf_addf(b, "#define K%05u_%05u %05u-%05u-%05u\n%05x %05x, %05x\n", v % 99999,
		    w % 99999, v % 99998, w % 99998, v % 9999, v % 1048576, w % 1048576,
		    (v + w) % 1048576);
	}
}

/* P1.8: none in two megabytes that hold none; and this in linear time. */
static void test_find_nothing(void **state)
{
	(void)state;
	static const char *const sources[] = { "common/enroll/token.c", "common/enroll/state.c",
		"common/base/buf.c", "Makefile" };
	struct buf text = BUF_INIT;
	add_words(&text, 700000, 1);
	add_base64(&text, 1400000, 2);
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		if (file_exists(sources[i]))
			assert_int_equal(file_read(sources[i], 1 << 20, &text), ERR_OK);
	struct token token;
	assert_int_equal(token_find(buf_bytes(&text), pin, &token), TOKEN_NONE);
	assert_int_equal(token_find(buf_bytes(&text), NULL, &token), TOKEN_NONE);

	/* rows of numbers in fives may look meant, and yet are none */
	add_code(&text, 2100000, 3);
	assert_int_equal(token_find(buf_bytes(&text), pin, &token), TOKEN_ALMOST);
	assert_int_equal(token_find(buf_bytes(&text), NULL, &token), TOKEN_ALMOST);

	/* and it would have been seen */
	buf_addf(&text, "\n%s\n", fixed_text);
	assert_int_equal(token_find(buf_bytes(&text), pin, &token), TOKEN_ONE);
	assert_int_equal(token_find(buf_bytes(&text), NULL, &token), TOKEN_ONE);
	buf_free(&text);
}

static void test_find_linear(void **state)
{
	(void)state;
	static const char *const pieces[] = { "A", "AAAAA-", "<a", "=", "=\n", "A\xe2\x80\x8b",
		"A-", "-", "Token ", "A          ", "&", "Token: AAAA-" };
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct buf text = BUF_INIT;
		struct token token;
		while (text.len < 300000)
			buf_add_text(&text, pieces[i]);
		int64_t begin = when_monotonic_ms();
		token_find(buf_bytes(&text), NULL, &token);
		assert_in_range(when_monotonic_ms() - begin, 0, 3000);
		buf_free(&text);
	}
}

static void test_redact(void **state)
{
	(void)state;
	struct buf unused = BUF_INIT;
	struct token token;
	token_redact(&unused);
	assert_int_equal(token_find(buf_bytes(&unused), pin, &token), TOKEN_NONE);
	static const struct {
		const char *before, *after;
	} cases[] = {
		{ "Subject: 000G4-0R40M-30E20-928T5-CY4TR\r\n",
		    "Subject: XXXXX-XXXXX-XXXXX-XXXXX-XXXXX\r\n" },
		{ "a 000g4 0r40m 30e20 928t5 cy4tr b", "a XXXXX XXXXX XXXXX XXXXX XXXXX b" },
		{ "x=000G40R40M30E20928T5CY4TR;", "x=XXXXXXXXXXXXXXXXXXXXXXXXX;" },
		{ "000G4-0R40M-30E20-928T5-CY4TC", "XXXXX-XXXXX-XXXXX-XXXXX-XXXXX" },
		{ "Subject: =?utf-8?B?VG9rZW4gMDAwRzQtMFI0ME0tMzBFMjAtOTI4VDUtQ1k0VFI=?=",
		    "Subject: =?utf-8?B?XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX?=" },
		{ "Subject: =?utf-8?B?VG9rZW4gMDAwRzQtMFI0ME0tMzBFMjA=?=\r\n =?utf-8?B?LTkyOFQ1LUNZNFRSIG9r?=",
		    "Subject: =?utf-8?B?XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX?=\r\n =?utf-8?B?XXXXXXXXXXXXXXXXXXXX?=" },
		{ "Subject: =?utf-8?Q?Token_000G4-0R40M-30?=\r\n =?utf-8?Q?E20-928T5-CY4TR?=",
		    "Subject: =?utf-8?Q?XXXXXXXXXXXXXXXXXXXX?=\r\n =?utf-8?Q?XXXXXXXXXXXXXXX?=" },
		{ "Subject: =?utf-8?B?R29vZCBtb3JuaW5n?=",
		    "Subject: =?utf-8?B?R29vZCBtb3JuaW5n?=" },
		{ "Message-ID: <20261122.abc@example.org>",
		    "Message-ID: <20261122.abc@example.org>" },
		{ "", "" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf text = BUF_INIT;
		buf_add_text(&text, cases[i].before);
		token_redact(&text);
		assert_string_equal(buf_text(&text), cases[i].after);
		buf_free(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_check_symbol),
		cmocka_unit_test(test_generate),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_errors_caught),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_find_pin),
		cmocka_unit_test(test_find_after_equals),
		cmocka_unit_test(test_find_random),
		cmocka_unit_test(test_find_nothing),
		cmocka_unit_test(test_find_linear),
		cmocka_unit_test(test_redact),
	};
	secret_start();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
