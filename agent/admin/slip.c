#include "slip.h"

#include <string.h>

#include "base/encode.h"
#include "draw/qr.h"
#include "enroll/deposit.h"
#include "template.h"

#define WORDS (ISSUE_WORDS + 2)

bool slip_path_is_html(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot && (str_equal_case(dot, ".html") || str_equal_case(dot, ".htm"));
}

/* May a mail from any mail program carry this token (P3.1, P3.6)? */
static bool plain_works(const struct authority *authority, const struct issue *issue)
{
	const struct conf *conf = authority->conf;

	return str_equal(conf->policy.plain_requests, "on") && !issue->release_count &&
	       escrow_policy_for(conf->policy.escrow, conf->policy.escrow_for,
		   issue->row.address) != ESCROW_REQUIRED;
}

/* A phone that reads it opens a mail to the authority, or shows the token. */
static enum err add_picture(const char *text, struct buf *out)
{
	struct buf svg = BUF_SECRET;
	enum err e = qr_add_svg(text, &svg);

	buf_add_text(out, "data:image/svg+xml;base64,");
	base64_add(out, buf_bytes(&svg), 0, NULL);
	buf_free(&svg);
	return e;
}

static enum err fill(const struct authority *authority, const struct issue *issue,
    const struct template_file *file, struct buf *out)
{
	bool plain = plain_works(authority, issue);
	struct buf picture = BUF_SECRET;
	struct issue_words words;
	struct draft_word list[WORDS];
	enum err e = ERR_OK;

	issue_words_make(authority, issue, NULL, &words);
	for (size_t i = 0; i < ISSUE_WORDS; i++) {
		list[i] = words.list[i];
		if (str_equal(list[i].word, "NAME"))
			list[i].value = issue->row.name;
	}
	if (file->html)
		e = add_picture(plain ? buf_text(&words.link) : issue->text, &picture);
	list[ISSUE_WORDS] = (struct draft_word){ "QR", buf_text(&picture) };
	list[ISSUE_WORDS + 1] = (struct draft_word){ "PLAIN", plain ? "" : NULL };
	if (!e)
		e = template_fill(file, 0, list, WORDS, out);
	issue_words_free(&words);
	buf_free(&picture);
	return e;
}

/* Where the page of one person begins and ends in a document; the rest is the same for all. */
static enum err find_body(
    const struct template_file *file, const struct buf *page, size_t *begin_out, size_t *end_out)
{
	const char *text = buf_text(page);
	const char *begin = strstr(text, "<body>"), *end = strstr(text, "</body>");

	if (!begin || !end || end < begin)
		return err_fail(ERR_CONFIG, "%s: there is no <body> ... </body> in it", file->name);
	*begin_out = (size_t)(begin - text) + strlen("<body>");
	*end_out = (size_t)(end - text);
	return ERR_OK;
}

static enum err add_page(
    const struct template_file *file, const struct buf *page, struct slips *slips, struct buf *out)
{
	size_t begin = 0, end = page->len;
	enum err e = file->html ? find_body(file, page, &begin, &end) : ERR_OK;

	if (e)
		return e;
	if (!file->html && slips->count)
		buf_add_byte(out, '\f');
	if (file->html && !slips->count)
		buf_add(out, page->data, begin);
	buf_add(out, page->data + begin, end - begin);
	slips->count++;
	return ERR_OK;
}

static enum err load(const struct authority *authority, const char *language, bool html,
    struct template_texts *texts, const struct template_file **file_out)
{
	enum err e = template_load(authority->conf, "slip", language, texts);

	*file_out = html ? &texts->html : &texts->text;
	if (!e && !(*file_out)->name)
		e = err_fail(ERR_CONFIG,
		    "there is no slip in HTML for this language: write one beside %s",
		    texts->text.name);
	return e;
}

enum err slip_add(const struct authority *authority, const struct issue *issue, struct slips *slips,
    struct buf *out)
{
	const struct template_file *file;
	struct template_texts texts;
	struct buf page = BUF_SECRET;
	enum err e = load(authority, issue->language, slips->html, &texts, &file);

	if (!e && !(e = fill(authority, issue, file, &page)))
		e = add_page(file, &page, slips, out);
	template_free(&texts);
	buf_free(&page);
	return e;
}

void slip_end(const struct slips *slips, struct buf *out)
{
	if (slips->html && slips->count)
		buf_add_text(out, "</body>\n</html>\n");
}

enum err slip_check(const struct authority *authority, const char *language, bool html)
{
	char address[] = "a@example.org";
	struct issue sample = { .text = "TOKEN", .row = { .address = address, .expires = 1 } };
	const struct template_file *file;
	struct template_texts texts;
	struct buf page = BUF_INIT;
	size_t begin, end;
	enum err e = load(authority, language, html, &texts, &file);

	if (!e && !(e = fill(authority, &sample, file, &page)) && html)
		e = find_body(file, &page, &begin, &end);
	template_free(&texts);
	buf_free(&page);
	return e;
}
