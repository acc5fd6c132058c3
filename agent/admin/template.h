/* template: texts that people get, by language: an administrator's own files, else those built in (agent/admin/templates). */
#ifndef ADMIN_TEMPLATE_H
#define ADMIN_TEMPLATE_H

#include "base/conf.h"
#include "mail/draft.h"

struct template_file {
	char *name;      /* for sentences: the path, or NAME.LANGUAGE.KIND of one built in */
	struct buf text; /* UTF-8 */
	bool html;
};

struct template_texts {
	struct template_file text;
	struct template_file html; /* its text is empty where there is none */
};

/* NAME.LANGUAGE.txt and .html of the template directory, or both of those built in; `language` NULL: the configured one. ERR_CONFIG. */
CHECKED enum err template_load(
    const struct conf *conf, const char *name, const char *language, struct template_texts *out);
void template_free(struct template_texts *texts);
/*
 * Appends the text from its line `first` (1: all) on with its words filled in, in HTML escaped. Lines with a word whose value is NULL are left out. ERR_CONFIG with file and line
 * where something that looks like a word is none.
 */
CHECKED enum err template_fill(const struct template_file *file, size_t first,
    const struct draft_word *words, size_t count, struct buf *out);
/* What stands behind "Subject:" in the first line, filled; a word without a value is an error here. The body begins in line TEMPLATE_BODY. */
#define TEMPLATE_BODY 3
CHECKED enum err template_subject(const struct template_file *file, const struct draft_word *words,
    size_t count, struct buf *out);
/* Is this in it, such as "%TOKEN%"? */
bool template_has(const struct template_file *file, const char *word);
/* Text with what has a meaning in HTML escaped. */
void template_escape(const char *text, struct buf *out);

#endif
