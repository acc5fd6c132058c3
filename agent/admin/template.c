#include "template.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "text/utf8.h"

#define FILE_BYTES_MAX (1u << 20)
#define LANGUAGE_CHARS_MAX 35 /* RFC 5646 4.4.1 */

static const struct {
	const char *name, *text;
} built_in[] = {
#include "templates.h"
};

/* ---- finding ---- */

/* It becomes part of a path. */
static bool language_is_valid(const char *language)
{
	static const char allowed[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	size_t len = strlen(language);

	return len > 0 && len <= LANGUAGE_CHARS_MAX && strspn(language, allowed) == len;
}

static const char *find_built_in(const char *name)
{
	for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++)
		if (str_equal(built_in[i].name, name))
			return built_in[i].text;
	return NULL;
}

static enum err check_utf8(const struct template_file *file)
{
	struct bytes rest = buf_bytes(&file->text), line;

	for (size_t number = 1; bytes_line(&rest, &line); number++)
		if (!utf8_valid(line))
			return err_fail(
			    ERR_CONFIG, "%s:%zu: this is not UTF-8", file->name, number);
	return ERR_OK;
}

static enum err read_own(const char *path, struct template_file *out)
{
	enum err e = file_read(path, FILE_BYTES_MAX, &out->text);

	if (e)
		return err_prefix(ERR_CONFIG, "template");
	out->name = str_dup(path);
	return check_utf8(out);
}

static enum err take_built_in(const char *name, struct template_file *out)
{
	const char *text = find_built_in(name);

	if (!text)
		return ERR_OK;
	out->name = str_dup(name);
	buf_add_text(&out->text, text);
	return ERR_OK;
}

static enum err load_own(const char *text_path, const char *html_path, struct template_texts *out)
{
	enum err e = file_exists(text_path) ? read_own(text_path, &out->text) : ERR_OK;

	if (!e && file_exists(html_path))
		e = read_own(html_path, &out->html);
	if (!e && out->html.name && !out->text.name)
		e = err_fail(ERR_CONFIG,
		    "%s has no text beside it for mail programs without HTML: write %s", html_path,
		    text_path);
	return e;
}

static enum err load(const struct conf *conf, const char *text_name, const char *html_name,
    struct template_texts *out)
{
	const char *dir = conf->authority.template_directory;
	enum err e = ERR_OK;

	if (*dir) {
		char *text_path = path_join(dir, text_name), *html_path = path_join(dir, html_name);

		e = load_own(text_path, html_path, out);
		str_free(&text_path);
		str_free(&html_path);
	}
	if (!e && !out->text.name && !(e = take_built_in(text_name, &out->text)))
		e = take_built_in(html_name, &out->html);
	return e;
}

enum err template_load(
    const struct conf *conf, const char *name, const char *language, struct template_texts *out)
{
	char *text_name, *html_name;
	enum err e;

	*out = (struct template_texts){ .html.html = true };
	if (!language)
		language = conf->authority.language;
	if (!language_is_valid(language))
		return err_fail(
		    ERR_USAGE, "\"%s\" is no language: write it as in en or pt-BR", language);
	text_name = str_printf("%s.%s.txt", name, language);
	html_name = str_printf("%s.%s.html", name, language);
	e = load(conf, text_name, html_name, out);
	if (!e && !out->text.name)
		e = err_fail(ERR_CONFIG,
		    "there is no text in the language \"%s\": write %s in template-directory",
		    language, text_name);
	str_free(&text_name);
	str_free(&html_name);
	return e;
}

void template_free(struct template_texts *texts)
{
	str_free(&texts->text.name);
	str_free(&texts->html.name);
	buf_free(&texts->text.text);
	buf_free(&texts->html.text);
}

/* ---- filling ---- */

void template_escape(const char *text, struct buf *out)
{
	for (; *text; text++) {
		if (strchr("<>&\"'", *text))
			buf_addf(out, "&#%d;", *text);
		else
			buf_add_byte(out, *text);
	}
}

/* The next %WORD%: "%", capitals, "%". */
static bool next_word(struct bytes text, size_t *at, size_t *len_out)
{
	for (; *at < text.len; (*at)++) {
		size_t end = *at + 1;

		if (text.data[*at] != '%')
			continue;
		while (end < text.len && text.data[end] >= 'A' && text.data[end] <= 'Z')
			end++;
		if (end > *at + 1 && end < text.len && text.data[end] == '%') {
			*len_out = end + 1 - *at;
			return true;
		}
	}
	return false;
}

static const struct draft_word *find_word(
    struct bytes found, const struct draft_word *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(words[i].word) == found.len &&
		    memcmp(words[i].word, found.data, found.len) == 0)
			return &words[i];
	return NULL;
}

/* *left_out: it has a word without a value. */
static enum err check_line(const struct template_file *file, size_t number, struct bytes line,
    const struct draft_word *words, size_t count, bool *left_out)
{
	size_t len;

	*left_out = false;
	for (size_t at = 0; next_word(line, &at, &len); at += len) {
		const struct draft_word *word =
		    find_word(bytes_of(line.data + at + 1, len - 2), words, count);

		if (!word)
			return err_fail(ERR_CONFIG, "%s:%zu: there is no word %.*s", file->name,
			    number, (int)len, (const char *)line.data + at);
		*left_out |= !word->value;
	}
	return ERR_OK;
}

static void fill_line(const struct template_file *file, struct bytes line,
    const struct draft_word *words, size_t count, struct buf *out)
{
	size_t copied = 0, len;

	for (size_t at = 0; next_word(line, &at, &len); at += len) {
		const struct draft_word *word =
		    find_word(bytes_of(line.data + at + 1, len - 2), words, count);

		buf_add(out, line.data + copied, at - copied);
		if (file->html)
			template_escape(word->value, out);
		else
			buf_add_text(out, word->value);
		copied = at + len;
	}
	buf_add(out, line.data + copied, line.len - copied);
	buf_add_byte(out, '\n');
}

enum err template_fill(const struct template_file *file, size_t first,
    const struct draft_word *words, size_t count, struct buf *out)
{
	struct bytes rest = buf_bytes(&file->text), line;
	bool left_out;
	enum err e;

	for (size_t number = 1; bytes_line(&rest, &line); number++) {
		if (number < first)
			continue;
		if ((e = check_line(file, number, line, words, count, &left_out)))
			return e;
		if (!left_out)
			fill_line(file, line, words, count, out);
	}
	return ERR_OK;
}

enum err template_subject(
    const struct template_file *file, const struct draft_word *words, size_t count, struct buf *out)
{
	static const char field[] = "Subject:";
	struct bytes rest = buf_bytes(&file->text), line, empty;
	bool left_out;
	enum err e;

	if (!bytes_line(&rest, &line) || line.len < sizeof field ||
	    !str_starts_case((const char *)line.data, field))
		return err_fail(
		    ERR_CONFIG, "%s:1: the first line must be \"Subject: ...\"", file->name);
	if (!bytes_line(&rest, &empty) || empty.len)
		return err_fail(
		    ERR_CONFIG, "%s:2: the line behind the subject must be empty", file->name);
	line = bytes_of(line.data + sizeof field - 1, line.len - (sizeof field - 1));
	while (line.len && line.data[0] == ' ')
		line = bytes_of(line.data + 1, line.len - 1);
	if ((e = check_line(file, 1, line, words, count, &left_out)))
		return e;
	if (left_out)
		return err_fail(ERR_CONFIG,
		    "%s:1: the subject has a word that is not always there, or that is secret",
		    file->name);
	fill_line(file, line, words, count, out);
	out->data[--out->len] = '\0';
	return ERR_OK;
}

bool template_has(const struct template_file *file, const char *word)
{
	return bytes_find(buf_bytes(&file->text), bytes_of_text(word)) != NULL;
}
