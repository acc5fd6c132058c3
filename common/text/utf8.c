#include <errno.h>
#include <iconv.h>
#include <string.h>
#include <unictype.h>
#include <unistr.h>
#include <uniwidth.h>

#include "text/utf8.h"

#define REPLACEMENT 0xFFFD
#define CONVERT_CHUNK_BYTES 4096

/*
 * What mail programs write, and what libc calls it. Where a name is commonly used for more than it
 * says (RFC 1345's gb2312, ks_c_5601-1987), the larger set is taken.
 */
static struct charset {
	const char *name;
	const char *libc_name;
	iconv_t descriptor; /* NULL: not opened */
} charsets[] = {
	{ "iso-8859-2", "ISO-8859-2", NULL },
	{ "iso-8859-3", "ISO-8859-3", NULL },
	{ "iso-8859-4", "ISO-8859-4", NULL },
	{ "iso-8859-5", "ISO-8859-5", NULL },
	{ "iso-8859-6", "ISO-8859-6", NULL },
	{ "iso-8859-7", "ISO-8859-7", NULL },
	{ "iso-8859-8", "ISO-8859-8", NULL },
	{ "iso-8859-8-i", "ISO-8859-8", NULL },
	{ "iso-8859-9", "ISO-8859-9", NULL },
	{ "iso-8859-10", "ISO-8859-10", NULL },
	{ "iso-8859-11", "ISO-8859-11", NULL },
	{ "iso-8859-13", "ISO-8859-13", NULL },
	{ "iso-8859-14", "ISO-8859-14", NULL },
	{ "iso-8859-15", "ISO-8859-15", NULL },
	{ "iso-8859-16", "ISO-8859-16", NULL },
	{ "latin2", "ISO-8859-2", NULL },
	{ "latin9", "ISO-8859-15", NULL },
	{ "windows-874", "CP874", NULL },
	{ "windows-1250", "CP1250", NULL },
	{ "windows-1251", "CP1251", NULL },
	{ "windows-1253", "CP1253", NULL },
	{ "windows-1254", "CP1254", NULL },
	{ "windows-1255", "CP1255", NULL },
	{ "windows-1256", "CP1256", NULL },
	{ "windows-1257", "CP1257", NULL },
	{ "windows-1258", "CP1258", NULL },
	{ "cp1250", "CP1250", NULL },
	{ "cp1251", "CP1251", NULL },
	{ "cp437", "CP437", NULL },
	{ "cp850", "CP850", NULL },
	{ "cp852", "CP852", NULL },
	{ "cp866", "CP866", NULL },
	{ "koi8-r", "KOI8-R", NULL },
	{ "koi8-u", "KOI8-U", NULL },
	{ "macintosh", "MACINTOSH", NULL },
	{ "tis-620", "TIS-620", NULL },
	{ "iso-2022-jp", "ISO-2022-JP", NULL },
	{ "shift_jis", "CP932", NULL },
	{ "x-sjis", "CP932", NULL },
	{ "windows-31j", "CP932", NULL },
	{ "cp932", "CP932", NULL },
	{ "euc-jp", "EUC-JP", NULL },
	{ "gb18030", "GB18030", NULL },
	{ "gbk", "GB18030", NULL },
	{ "gb2312", "GB18030", NULL },
	{ "cp936", "GB18030", NULL },
	{ "big5", "CP950", NULL },
	{ "big5-hkscs", "BIG5-HKSCS", NULL },
	{ "euc-kr", "UHC", NULL },
	{ "ks_c_5601-1987", "UHC", NULL },
	{ "cp949", "UHC", NULL },
	{ "iso-2022-kr", "ISO-2022-KR", NULL },
	{ "utf-16", "UTF-16", NULL },
	{ "utf-16le", "UTF-16LE", NULL },
	{ "utf-16be", "UTF-16BE", NULL },
	{ "utf-32", "UTF-32", NULL },
	{ "utf-7", "UTF-7", NULL },
	{ "unicode-1-1-utf-7", "UTF-7", NULL },
};

#define CHARSET_COUNT (sizeof charsets / sizeof charsets[0])

/* 0x80 to 0x9F of windows-1252; unassigned ones are the controls that they are in ISO 8859-1. */
static const uint16_t windows_1252[32] = { 0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020,
	0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D, 0x017D, 0x8F, 0x90, 0x2018, 0x2019,
	0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,
	0x017E, 0x0178 };

bool utf8_valid(struct bytes text)
{
	return text.len == 0 || u8_check(text.data, text.len) == NULL;
}

void utf8_preload(void)
{
	for (size_t i = 0; i < CHARSET_COUNT; i++) {
		iconv_t opened;

		if (charsets[i].descriptor)
			continue;
		opened = iconv_open("UTF-8", charsets[i].libc_name);
		/* One that this system lacks counts as unknown. */
		if (opened != (iconv_t)-1)
			charsets[i].descriptor = opened;
	}
}

static void add_character(struct buf *out, ucs4_t c)
{
	uint8_t made[6];
	int len = c ? u8_uctomb(made, c, sizeof made) : 0;

	if (len > 0)
		buf_add(out, made, (size_t)len);
}

static void from_utf8(struct bytes text, struct buf *out)
{
	for (size_t at = 0; at < text.len;) {
		ucs4_t c = REPLACEMENT;
		int len = u8_mbtouc(&c, text.data + at, text.len - at);

		add_character(out, c);
		at += len > 0 ? (size_t)len : 1;
	}
}

static void from_windows_1252(struct bytes text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];

		add_character(out, c >= 0x80 && c < 0xA0 ? windows_1252[c - 0x80] : c);
	}
}

static void add_without_nul(struct buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i])
			buf_add_byte(out, text[i]);
}

static void from_charset(iconv_t descriptor, struct bytes text, struct buf *out)
{
	/* iconv() takes char **, but does not write there. */
	char *in = mem_dup(text.data, text.len), *at = in, made[CONVERT_CHUNK_BYTES];
	size_t left = text.len;

	(void)iconv(descriptor, NULL, NULL, NULL, NULL);
	while (left > 0) {
		char *to = made;
		size_t room = sizeof made, rc;
		int fault;

		rc = iconv(descriptor, &at, &left, &to, &room);
		fault = rc == (size_t)-1 ? errno : 0;
		add_without_nul(out, made, sizeof made - room);
		if (fault == 0 || fault == E2BIG)
			continue;
		add_character(out, REPLACEMENT);
		if (fault == EINVAL)
			break;
		at++;
		left--;
	}
	if (in)
		mem_wipe(in, text.len);
	str_free(&in);
}

/* Names differ by case and punctuation only: "ISO_8859-1", "iso8859-1". */
static bool charset_is(const char *a, const char *b)
{
	for (;; a++, b++) {
		a += strspn(a, "-_ ");
		b += strspn(b, "-_ ");
		if (!*a || !*b)
			return *a == *b;
		if ((*a >= 'A' && *a <= 'Z' ? *a + 32 : *a) != *b)
			return false;
	}
}

static bool charset_is_one_of(const char *charset, const char *const *names)
{
	for (; *names; names++)
		if (charset_is(charset, *names))
			return true;
	return false;
}

static iconv_t charset_find(const char *charset)
{
	for (size_t i = 0; i < CHARSET_COUNT; i++)
		if (charset_is(charset, charsets[i].name))
			return charsets[i].descriptor;
	return NULL;
}

void utf8_convert(struct bytes text, const char *charset, struct buf *out)
{
	static const char *const utf8[] = { "utf-8", NULL };
	/* What is declared as ISO 8859-1 is windows-1252 in practice, which differs in controls only. */
	static const char *const western[] = { "windows-1252", "cp1252", "iso-8859-1", "latin1",
		NULL };
	iconv_t descriptor;

	if (!charset)
		charset = "";
	descriptor = charset_find(charset);
	if (descriptor)
		from_charset(descriptor, text, out);
	else if (charset_is_one_of(charset, utf8))
		from_utf8(text, out);
	else if (charset_is_one_of(charset, western) || !utf8_valid(text))
		from_windows_1252(text, out);
	else
		from_utf8(text, out);
}

char *utf8_printable(const char *text, bool keep_lines)
{
	struct buf out = BUF_INIT;
	const uint8_t *at = (const uint8_t *)text;
	size_t left = strlen(text);

	while (left > 0) {
		ucs4_t c = REPLACEMENT;
		int len = u8_mbtouc(&c, at, left);
		bool kept = keep_lines && (c == '\t' || c == '\n');

		if (!kept && (uc_is_property_iso_control(c) || uc_is_property_bidi_control(c) ||
				 c == 0x2028 || c == 0x2029))
			c = ' ';
		add_character(&out, c);
		at += len;
		left -= (size_t)len;
	}
	return buf_take_text(&out);
}

size_t utf8_width(const char *text)
{
	int width = u8_strwidth((const uint8_t *)text, "UTF-8");

	return width > 0 ? (size_t)width : 0;
}
