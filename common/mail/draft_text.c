/* One text part of a draft: decoded, searched, filled, encoded again. */
#include "mail/draft_parts.h"

#include <errno.h>
#include <iconv.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/encode.h"
#include "mail/internal.h"
#include "mail/quoted.h"
#include "secret/secret.h"
#include "text/utf8.h"

#define LINE_MAX 998
#define ENTITY_MAX 10

enum place { PLACE_NOWHERE, PLACE_NEW, PLACE_QUOTED };

struct hit {
	size_t at, len;
	size_t word;
	enum place place;
};

struct hits {
	struct hit *list;
	size_t count;
};

/* "%", or in HTML an entity that means it; its length, or 0. */
static size_t percent_length(struct bytes text, size_t at, bool html)
{
	if (at < text.len && text.data[at] == '%') {
		return 1;
	}
	if (!html || at >= text.len || text.data[at] != '&') {
		return 0;
	}
	char name[ENTITY_MAX + 1];
	for (size_t i = 0; i < ENTITY_MAX && at + 1 + i < text.len; i++) {
		name[i] = (char)text.data[at + 1 + i];
		if (name[i] == ';') {
			name[i] = '\0';
			return entity_code(name) == '%' || str_equal(name, "percnt") ? i + 2 : 0;
		}
	}
	return 0;
}

static bool word_at(
    struct bytes text, size_t at, bool html, const struct word_list *list, struct hit *out)
{
	size_t before = percent_length(text, at, html);
	for (size_t i = 0; before > 0 && i < list->count; i++) {
		size_t len = strlen(list->words[i].word), end = at + before + len;
		if (end < text.len &&
		    memcmp(text.data + at + before, list->words[i].word, len) == 0) {
			size_t behind = percent_length(text, end, html);
			*out = (struct hit){ at, before + len + behind, i, PLACE_NOWHERE };
			if (behind > 0) {
				return true;
			}
		}
	}
	return false;
}

static struct hits words_find(struct bytes text, bool html, const struct word_list *list)
{
	struct hits hits = { 0 };
	struct hit hit;
	for (size_t at = 0; at < text.len; at++) {
		if (word_at(text, at, html, list, &hit)) {
			hits.list = mem_array(hits.list, hits.count + 1, sizeof *hits.list);
			hits.list[hits.count++] = hit;
			at += hit.len - 1;
		}
	}
	return hits;
}

/* Which marks stand in `text`; `mark` is their beginning. */
static void places_set(
    struct hits *hits, const struct buf *text, const char *mark, enum place place)
{
	for (const char *at = buf_text(text); (at = strstr(at, mark)) != NULL;) {
		at += strlen(mark);
		size_t i = strtoul(at, NULL, 10);
		if (i < hits->count) {
			hits->list[i].place = place;
		}
	}
}

static bool has_line(const struct buf *text, const char *line)
{
	for (const char *at = buf_text(text); (at = strstr(at, line)) != NULL; at++) {
		if (at == buf_text(text) || at[-1] == '\n') {
			return true;
		}
	}
	return false;
}

/* The quote that opens the address of a link at this place; 0 if none does. */
static int link_quote(struct bytes text, size_t at, bool html)
{
	static const char attribute[] = "href=";
	size_t len = sizeof attribute - 1;
	int quote = at > len ? text.data[at - 1] : 0;
	bool opens = html && (quote == '"' || quote == '\'') &&
		     strncasecmp((const char *)text.data + at - 1 - len, attribute, len) == 0;
	return opens ? quote : 0;
}

/* In a link's address nothing is shown, so the tag is closed in front of the mark and opened again behind it. */
static void mark_add(struct buf *out, const char *mark, size_t number, int quote)
{
	if (quote) {
		buf_addf(out, "%c>%s%zu.<a x=%c", quote, mark, number, quote);
	} else {
		buf_addf(out, "%s%zu.", mark, number);
	}
}

/* A word that a reader sees and that could not be found, as there is markup inside it; NULL where there is none. */
static const char *broken_word(struct bytes shown, const struct word_list *list)
{
	struct hits hits = words_find(shown, false, list);
	const char *word = hits.count > 0 ? list->words[hits.list[0].word].word : NULL;
	free(hits.list);
	return word;
}

/*
 * What is quoted is for the reader of mails to say (quote_split, html_to_text). So each word becomes
 * a mark that nobody can guess, and is looked for in what they make of the text.
 */
static void places_find(struct bytes text, const struct word_list *list, bool html,
    struct hits *hits, struct text_found *found)
{
	struct buf marked = BUF_INIT, plain = BUF_INIT, new_text = BUF_INIT, quoted = BUF_INIT;
	uint64_t random[2];
	secret_random(random, sizeof random);
	char *mark = str_printf("m%016" PRIx64 "%016" PRIx64 "m", random[0], random[1]);
	size_t copied = 0;
	for (size_t i = 0; i < hits->count; i++) {
		buf_add(&marked, text.data + copied, hits->list[i].at - copied);
		mark_add(&marked, mark, i, link_quote(text, hits->list[i].at, html));
		copied = hits->list[i].at + hits->list[i].len;
	}
	buf_add(&marked, text.data + copied, text.len - copied);
	if (html) {
		html_to_text(buf_bytes(&marked), &plain);
	}
	quote_split(buf_bytes(html ? &plain : &marked), &new_text, &quoted);
	if (html && !found->broken) {
		found->broken = broken_word(buf_bytes(&new_text), list);
	}
	places_set(hits, &new_text, mark, PLACE_NEW);
	places_set(hits, &quoted, mark, PLACE_QUOTED);
	found->is_signed |= has_line(&new_text, "-----BEGIN PGP SIGNED MESSAGE-----");
	found->is_encrypted |= has_line(&new_text, "-----BEGIN PGP MESSAGE-----");
	str_free(&mark);
	buf_free(&quoted);
	buf_free(&new_text);
	buf_free(&plain);
	buf_free(&marked);
}

/* ---- charsets ---- */

/* All of `in` or nothing: false where a character does not exist over there. */
static bool convert(struct bytes in, const char *from, const char *to, struct buf *out)
{
	iconv_t cd = iconv_open(to, from);
	if (cd == (iconv_t)-1) {
		return false;
	}
	char *at = mem_dup(in.data, in.len), *start = at;
	size_t left = in.len, rc = 0;
	for (bool flushed = false; rc != (size_t)-1 && !flushed;) {
		flushed = left == 0; /* a last call for the shift state */
		size_t room = left * 2 + 64, space = room;
		char *to_at = (char *)buf_reserve(out, room);
		rc = iconv(cd, flushed ? NULL : &at, flushed ? NULL : &left, &to_at, &space);
		out->len += room - space;
		rc = rc == (size_t)-1 && errno == E2BIG ? 0 : rc;
	}
	buf_add(out, "", 0);
	iconv_close(cd);
	free(start);
	return rc == 0;
}

static bool is_ascii(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] >= 0x80) {
			return false;
		}
	}
	return true;
}

/*
 * A part's text as UTF-8, and back. Bytes that its charset does not know go through as Latin-1, one
 * character each, and come out as they were.
 */
struct reading {
	const char *charset; /* what it really is in */
	bool foreign;        /* bytes that are not text: only ASCII may be put between */
};

static struct reading charset_read(struct bytes text, const char *stated, struct buf *utf8)
{
	bool plain = stated == NULL || strcasecmp(stated, "us-ascii") == 0 ||
		     strcasecmp(stated, "utf-8") == 0 || strcasecmp(stated, "ascii") == 0;
	if (plain && utf8_valid(text)) {
		buf_add(utf8, text.data, text.len);
		return (struct reading){ "utf-8", false };
	}
	if (!plain && convert(text, stated, "utf-8", utf8) && utf8_valid(buf_bytes(utf8))) {
		return (struct reading){ stated, false };
	}
	buf_clear(utf8);
	bool done = convert(text, "iso-8859-1", "utf-8", utf8);
	(void)done;
	return (struct reading){ "iso-8859-1", true };
}

/* Back into `reading->charset`; NULL, or the charset that had to be taken instead. */
static const char *charset_write(
    struct bytes utf8, const struct reading *reading, const char *stated, struct buf *out)
{
	bool stated_utf8 = stated && strcasecmp(stated, "utf-8") == 0;
	if (!str_equal(reading->charset, "utf-8") &&
	    convert(utf8, "utf-8", reading->charset, out)) {
		return NULL;
	}
	buf_clear(out);
	buf_add(out, utf8.data, utf8.len);
	return stated_utf8 || is_ascii(utf8) ? NULL : "utf-8";
}

/* ---- filling ---- */

/* Markup characters and everything beyond ASCII as character references: no charset matters. */
static void html_value_add(const char *value, struct buf *out)
{
	const uint8_t *at = (const uint8_t *)value;
	while (*at) {
		uint32_t code = *at++;
		if (code >= 0x80) {
			unsigned more = code >= 0xf0 ? 3 : code >= 0xe0 ? 2 : 1;
			code &= 0x3fu >> more;
			for (; more > 0 && (*at & 0xc0) == 0x80; more--) {
				code = code << 6 | (*at++ & 0x3f);
			}
		}
		if (code >= 0x80 || strchr("<>&\"'", (int)code)) {
			buf_addf(out, "&#%" PRIu32 ";", code);
		} else {
			buf_add_byte(out, (int)code);
		}
	}
}

/* Copies the text with the words put in; true if there was one. */
static bool words_fill(struct bytes text, const struct hits *hits, const struct word_list *list,
    bool html, struct buf *out)
{
	size_t copied = 0;
	bool changed = false;
	for (size_t i = 0; i < hits->count; i++) {
		const struct hit *h = &hits->list[i];
		const char *value = h->place == PLACE_NEW ? list->words[h->word].value : NULL;
		if (value == NULL) {
			continue;
		}
		buf_add(out, text.data + copied, h->at - copied);
		if (html) {
			html_value_add(value, out);
		} else {
			buf_add_text(out, value);
		}
		copied = h->at + h->len;
		changed = true;
	}
	buf_add(out, text.data + copied, text.len - copied);
	return changed;
}

bool words_replace(struct bytes text, const struct word_list *list, struct buf *out)
{
	struct hits hits = words_find(text, false, list);
	for (size_t i = 0; i < hits.count; i++) {
		hits.list[i].place = PLACE_NEW;
	}
	(void)words_fill(text, &hits, list, false, out);
	free(hits.list);
	return hits.count > 0;
}

/* Only ASCII may stand between bytes of an unknown charset. */
static enum err values_check(const struct hits *hits, const struct word_list *list)
{
	for (size_t i = 0; i < hits->count; i++) {
		const struct hit *h = &hits->list[i];
		const char *value = h->place == PLACE_NEW ? list->words[h->word].value : NULL;
		if (value && !is_ascii(bytes_of_text(value))) {
			return err_fail(ERR_DATA,
			    "%%%s%% stands in a text that is not in the charset it states",
			    list->words[h->word].word);
		}
	}
	return ERR_OK;
}

/* ---- transfer encodings ---- */

static bool encoding_of(const char *name, enum transfer *out)
{
	static const struct {
		const char *name;
		enum transfer how;
	} known[] = { { "7bit", TRANSFER_IDENTITY }, { "8bit", TRANSFER_IDENTITY },
		{ "binary", TRANSFER_IDENTITY }, { "quoted-printable", TRANSFER_QUOTED },
		{ "base64", TRANSFER_BASE64 } };
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (strcasecmp(name ? name : "7bit", known[i].name) == 0) {
			*out = known[i].how;
			return true;
		}
	}
	return false;
}

static bool lines_fit(struct bytes text)
{
	for (struct bytes line; bytes_line(&text, &line);) {
		if (line.len > LINE_MAX) {
			return false;
		}
	}
	return true;
}

/* How long the lines of base64 are that somebody wrote. */
static size_t base64_width(struct bytes body)
{
	struct bytes line = { 0 };
	bool found =
	    bytes_line(&body, &line) && line.len >= 4 && line.len <= 76 && line.len % 4 == 0;
	return found && body.len > 0 ? line.len : 76;
}

static void encode(struct bytes text, enum transfer how, struct bytes body, const char *stated,
    const char *line_end, struct text_result *out)
{
	bool eight_bits = stated && strcasecmp(stated, "8bit") == 0;
	if (how == TRANSFER_BASE64) {
		base64_add(&out->body, text, base64_width(body), line_end);
	} else if (how == TRANSFER_IDENTITY && lines_fit(text) && (eight_bits || is_ascii(text))) {
		buf_add(&out->body, text.data, text.len);
	} else {
		quoted_printable_add(&out->body, text, line_end);
		out->encoding = how == TRANSFER_QUOTED ? NULL : "quoted-printable";
	}
}

/* A line with its end; in quoted-printable with all that its soft line breaks belong to. */
static struct bytes line_take(struct bytes *rest, bool quoted)
{
	const uint8_t *begin = rest->data;
	struct bytes line;
	bool soft = true;
	while (soft && bytes_line(rest, &line)) {
		line = bytes_trim(line);
		soft = quoted && line.len > 0 && line.data[line.len - 1] == '=';
	}
	return bytes_of(begin, (size_t)(rest->data - begin));
}

static size_t lines_count(struct bytes text, bool quoted)
{
	size_t count = 0;
	while (text.len > 0) {
		(void)line_take(&text, quoted);
		count++;
	}
	return count;
}

/*
 * Lines that hold no word get back the bytes that they had, however somebody's encoder would write them. `utf8` is the text as it
 * was, `filled` as it became, `coded` the same in the part's charset.
 */
static void lines_restore(struct bytes body, enum transfer how, struct bytes utf8,
    struct bytes filled, struct bytes coded, const char *line_end, struct text_result *out)
{
	bool quoted = how == TRANSFER_QUOTED;
	size_t count = lines_count(body, quoted);
	bool comparable = how != TRANSFER_BASE64 && !out->charset && !out->encoding &&
			  lines_count(utf8, false) == count &&
			  lines_count(filled, false) == count && lines_count(coded, false) == count;
	if (!comparable) {
		return;
	}
	buf_clear(&out->body);
	while (body.len > 0) {
		struct bytes was = line_take(&body, quoted), now = line_take(&coded, false);
		bool same = bytes_equal(line_take(&utf8, false), line_take(&filled, false));
		if (quoted && !same) {
			quoted_printable_add(&out->body, now, line_end);
		} else {
			buf_add(&out->body, same ? was.data : now.data, same ? was.len : now.len);
		}
	}
}

static void hits_report(const struct hits *hits, struct text_found *found)
{
	for (size_t i = 0; i < hits->count; i++) {
		const struct hit *h = &hits->list[i];
		found->unquoted[h->word] |= h->place == PLACE_NEW;
		found->quoted[h->word] |= h->place == PLACE_QUOTED;
	}
}

enum err text_fill(struct bytes body, const struct text_kind *kind, const struct word_list *list,
    const char *line_end, struct text_found *found, struct text_result *out)
{
	struct buf bytes = BUF_INIT, utf8 = BUF_INIT, filled = BUF_INIT, coded = BUF_INIT;
	struct hits hits = { 0 };
	enum transfer how;
	enum err err = ERR_OK;
	if (!encoding_of(kind->encoding, &how) || transfer_decode(body, how, &bytes)) {
		goto out; /* nobody can read it: left alone */
	}
	struct reading reading = charset_read(buf_bytes(&bytes), kind->charset, &utf8);
	hits = words_find(buf_bytes(&utf8), kind->html, list);
	places_find(buf_bytes(&utf8), list, kind->html, &hits, found);
	hits_report(&hits, found);
	err = reading.foreign && !kind->html ? values_check(&hits, list) : ERR_OK;
	if (!err && words_fill(buf_bytes(&utf8), &hits, list, kind->html, &filled)) {
		out->changed = true;
		out->charset = charset_write(buf_bytes(&filled), &reading, kind->charset, &coded);
		encode(buf_bytes(&coded), how, body, kind->encoding, line_end, out);
		lines_restore(body, how, buf_bytes(&utf8), buf_bytes(&filled), buf_bytes(&coded),
		    line_end, out);
	}
out:
	free(hits.list);
	buf_free(&coded);
	buf_free(&filled);
	buf_free(&utf8);
	buf_free(&bytes);
	return err;
}
