#include <confuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/internal.h"
#include "base/url.h"
#include "base/when.h"

#define CONF_BYTES_MAX ((size_t)1 << 20)

/* libconfuse takes the end of the file for the end of a section. So the text is given one more
 * setting that only the top level knows. */
#define THE_END "the-end-of-the-file"
static const struct conf_key *key_find(const char *section, const char *name)
{
	for (size_t i = 0; i < conf_key_count; i++)
		if (str_equal(conf_keys[i].section, section) && str_equal(conf_keys[i].name, name))
			return &conf_keys[i];
	return NULL;
}

/* So that faults are told with their line. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	const struct conf_key *key = key_find(cfg->name, opt->name);

	*(const char **)result = value;
	if (key && conf_key_check(key, value) == ERR_OK)
		return 0;
	cfg_error(cfg, "%s: %s", opt->name, err_text());
	return -1;
}

static void PRINTF_LIKE(2, 0) on_error(cfg_t *cfg, const char *format, va_list ap)
{
	struct buf text = BUF_INIT;

	buf_vaddf(&text, format, ap);
	(void)err_fail(ERR_CONFIG, "%s:%d: %s", cfg->filename, cfg->line,
	    strstr(buf_text(&text), THE_END) ? "a closing brace is missing" : buf_text(&text));
	buf_free(&text);
}

static bool is_list(const struct conf_key *key)
{
	return key->type == CONF_LIST || key->type == CONF_SPANS;
}

static cfg_opt_t *section_options(const char *section)
{
	cfg_opt_t *options = mem_alloc((conf_key_count + 1) * sizeof *options);
	size_t count = 0;

	for (size_t i = 0; i < conf_key_count; i++)
		if (str_equal(conf_keys[i].section, section))
			options[count++] = (cfg_opt_t){ .name = conf_keys[i].name,
				.type = CFGT_STR,
				.flags = CFGF_NODEFAULT | (is_list(&conf_keys[i]) ? CFGF_LIST : 0),
				.parsecb = on_value };
	options[count].type = CFGT_NONE;
	return options;
}

/* libconfuse copies the options. */
static cfg_t *parser_make(const char *path)
{
	cfg_opt_t options[CONF_SECTION_COUNT + 2] = { 0 };
	cfg_t *cfg;

	for (size_t i = 0; i < CONF_SECTION_COUNT; i++)
		options[i] = (cfg_opt_t){ .name = conf_sections[i].name,
			.type = CFGT_SEC,
			.flags =
			    str_equal(conf_sections[i].name, "mailbox") ? CFGF_MULTI : CFGF_NONE,
			.subopts = section_options(conf_sections[i].name) };
	options[CONF_SECTION_COUNT] =
	    (cfg_opt_t){ .name = THE_END, .type = CFGT_STR, .flags = CFGF_NODEFAULT };
	cfg = cfg_init(options, CFGF_NONE);
	for (size_t i = 0; i < CONF_SECTION_COUNT; i++)
		free(options[i].subopts);
	if (!cfg)
		return NULL;
	cfg_set_error_function(cfg, on_error);
	cfg->filename = str_dup(path);
	for (size_t i = 0; i < CONF_SECTION_COUNT; i++)
		if (cfg_size(cfg, conf_sections[i].name) > 0)
			cfg_getsec(cfg, conf_sections[i].name)->filename = str_dup(path);
	return cfg;
}

static enum err parser_run(cfg_t *cfg, struct buf *text)
{
	FILE *stream;
	int rc;

	if (text->len && memchr(text->data, 0, text->len))
		return err_fail(ERR_CONFIG, "%s:1: the file holds a zero byte", cfg->filename);
	buf_add_text(text, "\n" THE_END " = x\n");
	stream = fmemopen(text->data, text->len, "r");
	if (!stream)
		return err_fail(ERR_SYSTEM, "%s cannot be parsed", cfg->filename);
	(void)err_fail(ERR_CONFIG, "%s:1: the file cannot be parsed", cfg->filename);
	rc = cfg_parse_fp(cfg, stream);
	(void)fclose(stream);
	if (rc == CFG_SUCCESS && cfg_size(cfg, THE_END) == 0)
		return err_fail(
		    ERR_CONFIG, "%s:%d: a comment has no end", cfg->filename, cfg->line);
	return rc == CFG_SUCCESS ? ERR_OK : ERR_CONFIG;
}

static void list_add(char ***list, size_t *count, char *text)
{
	*list = mem_array(*list, *count + 2, sizeof **list);
	(*list)[(*count)++] = text;
	(*list)[*count] = NULL;
}

static char **list_read(const struct conf_key *key, cfg_t *section)
{
	unsigned set = cfg_size(section, key->name);
	char **list = mem_alloc(sizeof *list);
	const char *words = key->value;
	struct bytes word;
	size_t count = 0;

	for (unsigned i = 0; i < set; i++)
		list_add(&list, &count, str_dup(cfg_getnstr(section, key->name, i)));
	while (set == 0 && conf_word_next(&words, &word))
		list_add(&list, &count, str_ndup((const char *)word.data, word.len));
	return list;
}

/* Each was checked by on_value. */
static int64_t *spans_read(const struct conf_key *key, cfg_t *section)
{
	bool none = cfg_size(section, key->name) == 0 &&
		    (cfg_getopt(section, key->name)->flags & CFGF_MODIFIED);
	char **list = none ? NULL : list_read(key, section);
	int64_t *spans = mem_alloc(sizeof *spans);
	size_t count = 0;

	for (; list && list[count]; count++) {
		spans = mem_array(spans, count + 2, sizeof *spans);
		if (when_parse_span(list[count], &spans[count]))
			spans[count] = 0;
		spans[count + 1] = 0;
	}
	conf_key_free(&(const struct conf_key){ .type = CONF_LIST }, &list);
	return spans;
}

static enum err section_read(cfg_t *section, const char *name, void *into)
{
	enum err err = ERR_OK;

	for (size_t i = 0; i < conf_key_count && err == ERR_OK; i++) {
		const struct conf_key *key = &conf_keys[i];
		void *at = (char *)into + key->at;

		if (!str_equal(key->section, name))
			continue;
		if (key->type == CONF_LIST)
			*(char ***)at = list_read(key, section);
		else if (key->type == CONF_SPANS)
			*(int64_t **)at = spans_read(key, section);
		else
			err = conf_key_store(key,
			    cfg_size(section, key->name) ? cfg_getstr(section, key->name)
							 : key->value,
			    at);
	}
	return err;
}

static enum err mailboxes_read(cfg_t *cfg, struct conf *conf)
{
	unsigned count = cfg_size(cfg, "mailbox");
	enum err err = ERR_OK;

	if (count > CONF_MAILBOXES_MAX)
		return err_fail(ERR_CONFIG, "%s: more than %d mailbox sections", conf->path,
		    CONF_MAILBOXES_MAX);
	for (unsigned i = 0; i < count && err == ERR_OK; i++) {
		cfg_t *section = cfg_getnsec(cfg, "mailbox", i);

		if (cfg_size(section, "url") == 0)
			return err_fail(ERR_CONFIG, "%s:%d: this mailbox has no url", conf->path,
			    section->line);
		conf->mailbox_count++;
		err = section_read(section, "mailbox", &conf->mailbox[i]);
	}
	return err;
}

/* What one key can't know of another. */
static enum err server_check(
    const struct conf *conf, const cfg_t *section, const struct conf_server *server)
{
	struct url url = { 0 };
	const char *why = NULL;
	enum err err = url_parse(server->url, URL_MAILBOX_SCHEMES " " URL_SUBMIT_SCHEMES, &url);

	if (err != ERR_OK || !url.host)
		goto out;
	bool login = *server->password_file || *server->token_command;
	if (str_equal(server->tls, "off") && !url_is_loopback(&url))
		why = "tls may be off only for a server on this machine";
	else if (*server->password_file && *server->token_command)
		why = "give a password-file or a token-command, not both";
	else if (login && !url.user)
		why = "the url names no user to log in as";
	else if (!login && (url.user || str_starts(url.scheme, "imap")))
		why =
		    "to log in it needs a user in the url, and a password-file or a token-command";
	if (why)
		err = err_fail(
		    ERR_CONFIG, "%s:%d: %s: %s", conf->path, section->line, server->url, why);
out:
	url_free(&url);
	return err;
}

static enum err conf_fill(cfg_t *cfg, struct conf *conf)
{
	enum err err = mailboxes_read(cfg, conf);

	for (size_t i = 0; i < CONF_SECTION_COUNT && err == ERR_OK; i++)
		if (!str_equal(conf_sections[i].name, "mailbox"))
			err = section_read(
			    cfg_getsec(cfg, conf_sections[i].name), conf_sections[i].name, conf);
	if (err == ERR_OK && conf->submit.retry_first_seconds > conf->submit.retry_most_seconds)
		err = err_fail(ERR_CONFIG, "%s:%d: retry-first is longer than retry-most",
		    conf->path, cfg_getsec(cfg, "submit")->line);
	if (err == ERR_OK &&
	    conf->limits.reconnect_first_seconds > conf->limits.reconnect_most_seconds)
		err = err_fail(ERR_CONFIG, "%s:%d: reconnect-first is longer than reconnect-most",
		    conf->path, cfg_getsec(cfg, "limits")->line);
	for (unsigned i = 0; i < conf->mailbox_count && err == ERR_OK; i++)
		err = server_check(conf, cfg_getnsec(cfg, "mailbox", i), &conf->mailbox[i].server);
	if (err == ERR_OK)
		err = server_check(conf, cfg_getsec(cfg, "submit"), &conf->submit.server);
	return err;
}

enum err conf_read(const char *path, struct conf **out)
{
	struct buf text = BUF_INIT;
	struct conf *conf = NULL;
	cfg_t *cfg = NULL;
	enum err err;

	*out = NULL;
	err = file_read(path, CONF_BYTES_MAX, &text);
	if (err != ERR_OK)
		goto out;
	cfg = parser_make(path);
	err = cfg ? parser_run(cfg, &text) : err_fail(ERR_SYSTEM, "%s cannot be parsed", path);
	if (err != ERR_OK)
		goto out;
	conf = mem_alloc(sizeof *conf);
	conf->path = str_dup(path);
	err = conf_fill(cfg, conf);
	if (err != ERR_OK)
		goto out;
	*out = conf;
	conf = NULL;
out:
	conf_free(&conf);
	if (cfg)
		cfg_free(cfg);
	buf_free(&text);
	return err;
}

void conf_free(struct conf **conf)
{
	struct conf *c = *conf;

	if (!c)
		return;
	for (size_t i = 0; i < conf_key_count; i++) {
		if (!str_equal(conf_keys[i].section, "mailbox"))
			conf_key_free(&conf_keys[i], (char *)c + conf_keys[i].at);
		else
			for (size_t m = 0; m < c->mailbox_count; m++)
				conf_key_free(
				    &conf_keys[i], (char *)&c->mailbox[m] + conf_keys[i].at);
	}
	str_free(&c->path);
	free(c);
	*conf = NULL;
}

const char *conf_path(const char *option)
{
	const char *variable = getenv("COUNTERSIGN_CONF");

	if (option)
		return option;
	return variable && *variable ? variable : CONF_DEFAULT_PATH;
}
