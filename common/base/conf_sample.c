#include <string.h>

#include "base/internal.h"

/* In the quotes that keep libconfuse from reading more into it: it expands ${NAME}. */
static void add_quoted(struct buf *out, struct bytes text)
{
	buf_add_byte(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (strchr("\"\\$", text.data[i]))
			buf_add_byte(out, '\\');
		buf_add_byte(out, text.data[i]);
	}
	buf_add_byte(out, '"');
}

static void add_list(struct buf *out, const char *words)
{
	const char *between = "";
	struct bytes word;

	buf_add_text(out, "{");
	while (conf_word_next(&words, &word)) {
		buf_add_text(out, between);
		add_quoted(out, word);
		between = ", ";
	}
	buf_add_text(out, "}");
}

static void add_value(struct buf *out, const struct conf_key *key, const char *text)
{
	switch (key->type) {
	case CONF_CHOICE:
	case CONF_SWITCH:
	case CONF_SPAN:
	case CONF_SIZE:
	case CONF_COUNT:
		buf_add_text(out, text);
		break;
	case CONF_LIST:
	case CONF_SPANS:
		add_list(out, text);
		break;
	default:
		add_quoted(out, bytes_of_text(text));
	}
}

static const char *sample_value(const struct conf_sample *values, const struct conf_key *key)
{
	if (!values || key->sample == 0)
		return NULL;
	return *(const char *const *)((const char *)values + key->sample - 1);
}

static void add_comment(struct buf *out, const char *text, const char *indent)
{
	struct bytes rest = bytes_of_text(text), line;

	while (bytes_line(&rest, &line))
		buf_addf(out, "%s# %.*s\n", indent, (int)line.len, (const char *)line.data);
}

static void add_section(
    struct buf *out, const struct conf_section *section, const struct conf_sample *values)
{
	bool without = str_equal(section->name, "mailbox") && !(values && values->mailbox_url);

	add_comment(out, section->comment, "");
	buf_addf(out, "%s%s {\n", without ? "#" : "", section->name);
	for (size_t i = 0; i < conf_key_count; i++) {
		const char *value = sample_value(values, &conf_keys[i]);

		if (!str_equal(conf_keys[i].section, section->name))
			continue;
		add_comment(out, conf_keys[i].comment, "\t");
		buf_addf(out, "\t%s%s = ", value ? "" : "#", conf_keys[i].name);
		add_value(out, &conf_keys[i], value ? value : conf_keys[i].value);
		buf_add_byte(out, '\n');
	}
	buf_addf(out, "%s}\n", without ? "#" : "");
}

void conf_write_sample(struct buf *out, const struct conf_sample *values)
{
	add_comment(out,
	    "Configuration of Countersign; countersign.conf(5) explains it. What is commented out is the default.\n"
	    "Spans are 90s, 15m, 12h, 14d, 2w or 1y; sizes may end in K, M or G; lists are {\"one\", \"two\"}.",
	    "");
	for (size_t i = 0; i < CONF_SECTION_COUNT; i++) {
		buf_add_byte(out, '\n');
		add_section(out, &conf_sections[i], values);
	}
}
