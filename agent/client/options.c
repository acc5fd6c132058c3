#include <stdio.h>
#include <string.h>

#include "client/client.h"

static const struct option *find_option(
    const struct verb *verb, const char *argument, const char **value_out)
{
	const char *equals = strchr(argument, '=');
	size_t len = equals != NULL ? (size_t)(equals - argument) : strlen(argument);

	*value_out = equals != NULL ? equals + 1 : NULL;
	for (const struct option *o = verb->options; o->name != NULL; o++)
		if (strlen(o->name) == len && memcmp(o->name, argument, len) == 0)
			return o;
	return NULL;
}

/* Sets one option; *used_next_out says that its value was the next argument. */
static enum err set_option(const struct verb *verb, const char *argument, const char *next,
    bool *used_next_out, struct options *out)
{
	const char *value;
	const struct option *option = find_option(verb, argument, &value);
	char *at;

	*used_next_out = false;
	if (option == NULL)
		return err_fail(ERR_USAGE, "unknown option %s: `countersign %s --help` lists them",
		    argument, verb->name);
	at = (char *)out + option->offset;
	if (option->value == NULL) {
		if (value != NULL)
			return err_fail(ERR_USAGE, "%s takes no value", option->name);
		*(bool *)(void *)at = true;
		return ERR_OK;
	}
	if (value == NULL) {
		value = next;
		*used_next_out = true;
	}
	if (value == NULL)
		return err_fail(ERR_USAGE, "%s needs a value: %s %s", option->name, option->name,
		    option->value);
	*(const char **)(void *)at = value;
	return ERR_OK;
}

enum err options_read(const struct verb *verb, int argc, char **argv, struct options *out)
{
	bool only_operands = false;

	memset(out, 0, sizeof(*out));
	for (int i = 0; i < argc; i++) {
		bool used_next;
		enum err e;

		if (!only_operands && str_equal(argv[i], "--")) {
			only_operands = true;
		} else if (!only_operands && argv[i][0] == '-' && argv[i][1] != '\0') {
			e = set_option(
			    verb, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &used_next, out);
			if (e != ERR_OK)
				return e;
			i += used_next;
		} else if (verb->operand == NULL || out->operand != NULL) {
			return err_fail(ERR_USAGE,
			    "\"%s\" is one argument too many: `countersign %s --help` shows how it is used",
			    argv[i], verb->name);
		} else {
			out->operand = argv[i];
		}
	}
	return ERR_OK;
}

void options_help(const struct verb *verb)
{
	printf("usage: countersign %s [OPTION ...]%s%s\n\n%s.\n", verb->name,
	    verb->operand != NULL ? " " : "", verb->operand != NULL ? verb->operand : "",
	    verb->summary);
	if (verb->options->name != NULL)
		putchar('\n');
	for (const struct option *o = verb->options; o->name != NULL; o++) {
		int width = printf("  %s%s%s", o->name, o->value != NULL ? " " : "",
		    o->value != NULL ? o->value : "");

		printf("%*s%s\n", width < 28 ? 28 - width : 1, "", o->help);
	}
}

enum err level_check(const char *level)
{
	if (str_equal(level, "high") || str_equal(level, "medium") || str_equal(level, "low"))
		return ERR_OK;
	return err_fail(
	    ERR_USAGE, "the security level is high, medium or low, not \"%.40s\"", level);
}
