#include "command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "record.h"
#include "shared/hold.h"
#include "text/utf8.h"

static bool authority_name_is_valid(const char *name)
{
	static const char allowed[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	return *name && *name != '.' && name[strspn(name, allowed)] == '\0';
}

static enum err set_authority(struct invocation *in, const char *name)
{
	static char path[300];

	if (!authority_name_is_valid(name) || strlen(name) > 200)
		return err_fail(ERR_USAGE,
		    "--authority takes a name as in /etc/countersign/NAME.conf; use -c for another file");
	snprintf(path, sizeof path, "/etc/countersign/%s.conf", name);
	in->config = path;
	return ERR_OK;
}

/* What somebody who may be another says of themselves: beside the user that the system vouches for. */
static enum err set_person(struct invocation *in, const char *name)
{
	static char actor[200];

	if (!authority_name_is_valid(name) || strlen(name) > 64)
		return err_fail(ERR_USAGE,
		    "--as takes a name of up to 64 letters, digits, dots, underscores and hyphens");
	snprintf(actor, sizeof actor, "%s (%.100s)", name, in->actor);
	in->actor = actor;
	return ERR_OK;
}

static void take(struct invocation *in, int count)
{
	in->argv += count;
	in->argc -= count;
}

/* The value of the option at argv[0], which stands behind "=" or in the next argument; NULL: missing. */
static const char *take_value(struct invocation *in, const char *attached)
{
	const char *value = attached;

	if (!attached && in->argc > 1) {
		value = in->argv[1];
		take(in, 1);
	}
	take(in, 1);
	return value;
}

/* True if `word` is --NAME or --NAME=VALUE; *value_out what stands behind "=", or NULL. */
static bool is_option(const char *word, const char *name, const char **value_out)
{
	size_t len = strlen(name);

	if (!str_starts(word, "--") || strncmp(word + 2, name, len))
		return false;
	*value_out = word[2 + len] == '=' ? word + 3 + len : NULL;
	return word[2 + len] == '\0' || word[2 + len] == '=';
}

enum err options_common(struct invocation *in, bool *found_out)
{
	const char *word = in->argv[0], *value = NULL;
	bool is_config = str_equal(word, "-c") || is_option(word, "config", &value);
	bool is_person = !is_config && is_option(word, "as", &value);

	*found_out = true;
	if (str_equal(word, "--json")) {
		in->json = true;
		take(in, 1);
		return ERR_OK;
	}
	if (!is_config && !is_person && !is_option(word, "authority", &value)) {
		*found_out = false;
		return ERR_OK;
	}
	value = take_value(in, value);
	if (!value || !*value)
		return err_fail(ERR_USAGE, "%s needs a value", word);
	if (is_person)
		return set_person(in, value);
	if (!is_config)
		return set_authority(in, value);
	in->config = value;
	return ERR_OK;
}

static const struct option *find_option(
    const struct option *options, const char *word, const char **value_out)
{
	for (; options && options->name; options++)
		if (is_option(word, options->name, value_out))
			return options;
	return NULL;
}

static enum err store_option(const struct option *option, const char *word, const char *value)
{
	struct option_list *list = option->to;

	if (!value)
		return err_fail(ERR_USAGE, "%s needs a value", word);
	if (option->kind == OPTION_TEXT) {
		*(const char **)option->to = value;
		return ERR_OK;
	}
	if (list->count == OPTION_LIST_MAX)
		return err_fail(ERR_USAGE, "%s is given more than %d times", word, OPTION_LIST_MAX);
	list->values[list->count++] = value;
	return ERR_OK;
}

static enum err read_option(struct invocation *in, const struct option *options)
{
	const char *word = in->argv[0], *value = NULL;
	const struct option *option;
	bool found;
	enum err e = options_common(in, &found);

	if (e || found)
		return e;
	if (!(option = find_option(options, word, &value)))
		return err_fail(ERR_USAGE, "there is no option %s here; --help lists them", word);
	if (option->kind != OPTION_FLAG)
		return store_option(option, word, take_value(in, value));
	if (value)
		return err_fail(ERR_USAGE, "--%s takes no value", option->name);
	*(bool *)option->to = true;
	take(in, 1);
	return ERR_OK;
}

enum err options_read(
    struct invocation *in, const struct option *options, int least, int most, const char *operands)
{
	char **kept = in->argv;
	int count = 0;
	bool ended = false;

	while (in->argc > 0) {
		char *word = in->argv[0];
		enum err e;

		if (!ended && word[0] == '-' && word[1]) {
			ended = str_equal(word, "--");
			if (ended)
				take(in, 1);
			else if ((e = read_option(in, options)))
				return e;
			continue;
		}
		take(in, 1);
		kept[count++] = word;
	}
	in->argv = kept;
	in->argc = count;
	if (count >= least && count <= most)
		return ERR_OK;
	return err_fail(ERR_USAGE, "%s: expected %s; --help says more",
	    count < least ? "something is missing" : "too many arguments", operands);
}

enum err command_open(const struct invocation *in, enum authority_need need, struct authority **out)
{
	enum err e = authority_open(in->config, need, out);

	if (!e && (!in->held || !(e = hold_check((*out)->store))))
		e = record_begin(in, *out);
	if (e)
		authority_close(out);
	return e;
}

void command_note(const char *format, ...)
{
	struct buf text = BUF_INIT;
	char *line;
	va_list ap;

	va_start(ap, format);
	buf_vaddf(&text, format, ap);
	va_end(ap);
	line = utf8_printable(buf_text(&text), false);
	fprintf(stderr, "countersignctl: %s\n", line);
	str_free(&line);
	buf_free(&text);
}

enum err command_flush(void)
{
	if (fflush(stdout) || ferror(stdout))
		return err_fail(ERR_IO, "cannot write to standard output: %s", strerror(errno));
	return ERR_OK;
}

enum err command_print(enum err e, struct table **table)
{
	char *why = str_dup(err_text());
	enum err printed = table_print(table, stdout);

	if (e)
		printed = err_fail(e, "%s", why);
	str_free(&why);
	return printed;
}

enum err command_commit(struct authority *authority, const struct invocation *in, const char *event,
    const char *address, const char *detail, enum err (*change)(struct authority *, void *),
    void *context)
{
	struct store *store = authority->store;
	enum err e = store_begin(store);

	if (!e && !(change && (e = change(authority, context))) &&
	    !(e = audit_add(store, in->now, in->actor, event, address, detail, NULL)))
		e = store_commit(store);
	store_rollback(store);
	return e;
}
