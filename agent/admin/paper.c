/* What carries a token to a person: the link, the words of templates, the token mail. */
#include <string.h>

#include "base/when.h"
#include "issue.h"
#include "template.h"

static void add_escaped(struct buf *out, const char *text)
{
	static const char plain[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (; *text; text++) {
		if (strchr(plain, *text))
			buf_add_byte(out, *text);
		else
			buf_addf(out, "%%%02X", (unsigned char)*text);
	}
}

/* RFC 6068. The "@" of the address stays as it is. */
void issue_link(const struct authority *authority, const struct issue *issue, struct buf *out)
{
	char *local =
	    str_ndup(authority->address, (size_t)(authority->domain - authority->address) - 1);
	struct buf body = BUF_SECRET;

	buf_add_text(out, "mailto:");
	add_escaped(out, local);
	buf_add_byte(out, '@');
	add_escaped(out, authority->domain);
	buf_add_text(out, "?subject=Enrollment&body=");
	buf_addf(&body, "Token: %s\r\n", issue->text);
	if (issue->row.keyset)
		buf_addf(&body, "Keyset: %s\r\n", issue->row.keyset);
	add_escaped(out, buf_text(&body));
	buf_free(&body);
	str_free(&local);
}

/* ---- the token mail ---- */

/* Months have names in English alone; everywhere else ISO 8601 is understood. */
static const char *day_for(
    const struct authority *authority, const struct issue *issue, char out[WHEN_TEXT_SIZE])
{
	const char *language =
	    issue->language ? issue->language : authority->conf->authority.language;

	if (str_starts_case(language, "en"))
		return when_format_day(issue->row.expires, out);
	when_format(issue->row.expires, out);
	out[strlen("2026-12-31")] = '\0';
	return out;
}

void issue_words_make(const struct authority *authority, const struct issue *issue,
    const char *no_keyset, struct issue_words *out)
{
	const struct token_row *row = &issue->row;

	*out = (struct issue_words){ .link = BUF_SECRET };
	out->fingerprint = authority_fingerprint_text(authority->fingerprint);
	issue_link(authority, issue, &out->link);
	out->list[0] = (struct draft_word){ "TOKEN", issue->text };
	out->list[1] = (struct draft_word){ "ENROLL", buf_text(&out->link) };
	out->list[2] = (struct draft_word){ "ADDRESS", row->address };
	out->list[3] = (struct draft_word){ "NAME", row->name ? row->name : row->address };
	out->list[4] = (struct draft_word){ "KEYSET", row->keyset ? row->keyset : no_keyset };
	out->list[5] = (struct draft_word){ "EXPIRES", day_for(authority, issue, out->day) };
	out->list[6] = (struct draft_word){ "AUTHORITY", authority->address };
	out->list[7] = (struct draft_word){ "FINGERPRINT", out->fingerprint };
}

void issue_words_free(struct issue_words *words)
{
	str_free(&words->fingerprint);
	buf_free(&words->link);
}

/* What a token mail says, filled. */
struct letter_text {
	struct buf subject, text, html;
};

static void letter_text_free(struct letter_text *l)
{
	buf_free(&l->subject);
	buf_free(&l->text);
	buf_free(&l->html);
}

static enum err fill_letter(
    const struct template_texts *texts, const struct issue_words *words, struct letter_text *out)
{
	struct draft_word open[ISSUE_WORDS];
	enum err e;

	memcpy(open, words->list, sizeof open);
	open[0].value = open[1].value = NULL; /* subjects are in logs */
	if ((e = template_subject(&texts->text, open, ISSUE_WORDS, &out->subject)) ||
	    (e = template_fill(&texts->text, TEMPLATE_BODY, words->list, ISSUE_WORDS, &out->text)))
		return e;
	return template_fill(&texts->html, 1, words->list, ISSUE_WORDS, &out->html);
}

/* Behind the last line of a text without the token; in HTML before its end. */
static enum err add_ask(
    const struct authority *authority, const struct issue *issue, struct letter_text *l)
{
	struct template_texts ask;
	struct buf html = BUF_SECRET;
	enum err e = template_load(authority->conf, "ask", issue->language, &ask);
	const char *end = strstr(buf_text(&l->html), "</body>");

	if (!e) {
		buf_addf(&l->text, "\n%s", buf_text(&ask.text.text));
		buf_add(
		    &html, l->html.data, end ? (size_t)(end - buf_text(&l->html)) : l->html.len);
		buf_add_text(&html, "<p>");
		template_escape(buf_text(&ask.text.text), &html);
		buf_addf(&html, "</p>\n%s", end ? end : "");
	}
	if (!e && l->html.len) {
		buf_clear(&l->html);
		buf_add(&l->html, html.data, html.len);
	}
	buf_free(&html);
	template_free(&ask);
	return e;
}

static bool has_token(const struct template_texts *texts)
{
	return template_has(&texts->text, "%TOKEN%") || template_has(&texts->text, "%ENROLL%") ||
	       template_has(&texts->html, "%TOKEN%") || template_has(&texts->html, "%ENROLL%");
}

static enum err write_letter_text(
    struct authority *authority, struct issue *issue, struct letter_text *out)
{
	struct template_texts texts;
	struct issue_words words;
	enum err e = template_load(
	    authority->conf, issue->release_count ? "recovery" : "token", issue->language, &texts);

	issue_words_make(authority, issue, NULL, &words);
	issue->apart = !has_token(&texts);
	if (!e && !(e = fill_letter(&texts, &words, out)) && issue->apart)
		e = add_ask(authority, issue, out);
	issue_words_free(&words);
	template_free(&texts);
	return e;
}

enum err issue_check_letter(const struct authority *authority, const char *language)
{
	struct template_texts texts;
	struct letter_text text = { .text = BUF_SECRET, .html = BUF_SECRET };
	struct issue sample = { .row.address = authority->address };
	struct issue_words words;
	enum err e = template_load(authority->conf, "token", language, &texts);

	issue_words_make(authority, &sample, NULL, &words);
	if (!e && !(e = fill_letter(&texts, &words, &text)) && has_token(&texts))
		e = issue_check_mailing(authority, false);
	issue_words_free(&words);
	letter_text_free(&text);
	template_free(&texts);
	return e;
}

enum err issue_write_mail(
    struct authority *authority, const struct invocation *in, struct issue *issue, struct buf *out)
{
	struct letter_text text = { .text = BUF_SECRET, .html = BUF_SECRET };
	struct buf card = BUF_INIT;
	struct envelope_header header;
	struct part both[2], parts[2];
	struct part whole = { .type = "multipart/mixed", .children = parts, .child_count = 2 };
	char *message_id = NULL;
	enum err e = write_letter_text(authority, issue, &text);

	both[0] = (struct part){ .type = "text/plain", .body = buf_bytes(&text.text) };
	both[1] = (struct part){ .type = "text/html", .body = buf_bytes(&text.html) };
	parts[0] = text.html.len ? (struct part){ .type = "multipart/alternative",
		.children = both,
		.child_count = 2 }
				 : both[0];
	if (!e && !(e = letters_card_part(authority, &card, &parts[1]))) {
		letters_header(authority, issue->row.address, buf_text(&text.subject), in->now,
		    &header, &message_id);
		e = letters_write_signed(authority, &header, &whole, out);
	}
	str_free(&message_id);
	letter_text_free(&text);
	buf_free(&card);
	return e;
}

/* ---- the printed sheet ---- */
