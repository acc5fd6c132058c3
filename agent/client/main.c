#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ask.h"
#include "client/client.h"
#include "confine/confine.h"
#include "keys/agent.h"
#include "secret/secret.h"
#include "text/utf8.h"

static const struct verb *const verbs[] = { &verb_request, &verb_open, &verb_renew, &verb_list,
	&verb_status, &verb_password };

#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void help(void)
{
	puts("usage: countersign COMMAND [OPTION ...]\n");
	for (size_t i = 0; i < VERBS; i++)
		printf("  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
	puts("\n`countersign COMMAND --help` lists its options; countersign(1) explains them.");
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < VERBS; i++)
		if (str_equal(name, verbs[i]->name))
			return verbs[i];
	return NULL;
}

/* --help and --version work anywhere before "--". */
static bool says(int argc, char **argv, const char *word)
{
	for (int i = 1; i < argc && !str_equal(argv[i], "--"); i++)
		if (str_equal(argv[i], word))
			return true;
	return false;
}

/* A pinentry for terminals learns from GPG_TTY which terminal to use. */
static void tell_terminal(void)
{
	const char *name = isatty(STDIN_FILENO)    ? ttyname(STDIN_FILENO)
			   : isatty(STDERR_FILENO) ? ttyname(STDERR_FILENO)
						   : NULL;

	if (name != NULL)
		setenv("GPG_TTY", name, 0);
}

static enum err run(int argc, char **argv, bool *dialog_out)
{
	const struct verb *verb;
	struct options options;
	enum err e;

	if (argc < 2)
		return err_fail(
		    ERR_USAGE, "say what to do: `countersign --help` lists the commands");
	verb = find_verb(argv[1]);
	if (verb == NULL)
		return err_fail(ERR_USAGE,
		    "unknown command \"%.40s\": `countersign --help` lists them", argv[1]);
	e = options_read(verb, argc - 2, argv + 2, &options);
	if (e != ERR_OK)
		return e;
	*dialog_out = options.dialog;
	e = confine_basics();
	if (e != ERR_OK)
		return e;
	setlocale(LC_CTYPE, ""); /* for the words that gpg-agent and pinentry show */
	secret_start();
	tell_terminal();
	return verb->run(&options);
}

int main(int argc, char **argv)
{
	bool dialog = false;
	enum err e;

	if (says(argc, argv, "--version")) {
		puts("countersign " COUNTERSIGN_VERSION);
		return 0;
	}
	if (says(argc, argv, "--help")) {
		const struct verb *verb = find_verb(argv[1]);

		if (verb != NULL)
			options_help(verb);
		else
			help();
		return 0;
	}
	e = run(argc, argv, &dialog);
	if (e != ERR_OK) {
		char *text = utf8_printable(err_text(), false);

		fprintf(stderr, "countersign: %s\n", text);
		if (dialog && dialog_message(text) != ERR_OK)
			fprintf(stderr, "countersign: %s\n", err_text());
		str_free(&text);
	}
	if (fflush(stdout) != 0 && e == ERR_OK)
		e = err_fail(ERR_IO, "cannot write to standard output");
	return err_exit_status(e);
}
