#include "client/level.h"

#include <stdio.h>
#include <string.h>

#include "base/proc.h"
#include "client/ask.h"
#include "client/local.h"
#include "keys/agent.h"
#include "keys/keyring.h"

#define MEDIUM_SECONDS (8 * 3600)
#define LIST_SECONDS 60

static const char explanation[] =
    "High: the password on every use. Medium: once, then not for eight hours. Low: no password.";

static enum err choose_in_dialog(const char *keyset, char **out)
{
	char *text = str_printf("Security level of the keyset \"%s\"\n\n%s", keyset, explanation);
	enum dialog_answer answer;
	enum err e = dialog_confirm(text, "Medium", "Low", "High", &answer);

	if (e == ERR_OK)
		*out = str_dup(answer == DIALOG_OK       ? "medium"
			       : answer == DIALOG_NOT_OK ? "low"
							 : "high");
	str_free(&text);
	return e;
}

enum err level_choose(const struct options *options, const char *keyset, char **out)
{
	char *line = NULL, *question;
	enum err e;

	*out = NULL;
	if (options->level != NULL) {
		e = level_check(options->level);
		if (e == ERR_OK)
			*out = str_dup(options->level);
		return e;
	}
	if (options->dialog)
		return choose_in_dialog(keyset, out);
	if (!ask_possible()) {
		*out = str_dup("medium");
		return ERR_OK;
	}
	question = str_printf("%s\nSecurity level of the keyset \"%s\"", explanation, keyset);
	e = ask_line(question, "medium", &line);
	if (e == ERR_OK)
		e = level_check(line);
	if (e == ERR_OK) {
		*out = line;
		line = NULL;
	}
	str_free(&line);
	str_free(&question);
	return e;
}

/* 0: nobody cares (low, own); 1: medium; 2: high. */
static int strictness(const char *level)
{
	return str_equal(level, "high") ? 2 : str_equal(level, "medium") ? 1 : 0;
}

static enum err strictest(const char *home, int *out)
{
	struct local_keyset *list = NULL;
	size_t count = 0;
	enum err e = local_keyset_list(&list, &count);

	*out = 0;
	for (size_t i = 0; i < count; i++)
		if (str_equal(list[i].home, home) && strictness(list[i].level) > *out)
			*out = strictness(list[i].level);
	local_keyset_list_free(&list, count);
	return e;
}

enum err level_apply(const char *home)
{
	int level;
	enum err e = strictest(home, &level);

	if (e != ERR_OK)
		return e;
	if (level == 0)
		e = level_clear(home);
	else
		e = level == 2 ? level_write(home, 0, 0)
			       : level_write(home, MEDIUM_SECONDS, MEDIUM_SECONDS);
	if (e == ERR_OK && agent_running(home))
		e = agent_reload(home);
	return e;
}

/* The n-th colon-separated field (DETAILS of GnuPG), malloc'ed. */
static char *field(struct bytes line, unsigned n)
{
	const char *at = (const char *)line.data, *end = at + line.len, *colon;

	while (n-- > 1) {
		at = memchr(at, ':', (size_t)(end - at));
		if (at == NULL)
			return str_dup("");
		at++;
	}
	colon = memchr(at, ':', (size_t)(end - at));
	return str_ndup(at, (size_t)((colon != NULL ? colon : end) - at));
}

static void list_others(struct bytes text, const char *except, struct buf *out)
{
	struct bytes line;
	char *fingerprint = str_dup("");
	bool primary = false, wants_uid = false;

	while (bytes_line(&text, &line)) {
		char *kind = field(line, 1), *value = field(line, 10);

		if (str_equal(kind, "sec") || str_equal(kind, "ssb")) {
			primary = str_equal(kind, "sec");
			wants_uid = wants_uid && !primary;
		} else if (str_equal(kind, "fpr") && primary) {
			str_free(&fingerprint);
			fingerprint = str_dup(value);
			primary = false;
			wants_uid = !str_equal_case(fingerprint, except);
		} else if (str_equal(kind, "uid") && wants_uid) {
			buf_addf(out, "  %s %s\n",
			    fingerprint + (strlen(fingerprint) == 40 ? 24 : 0), value);
			wants_uid = false;
		}
		str_free(&kind);
		str_free(&value);
	}
	str_free(&fingerprint);
}

static enum err find_others(const char *home, const char *except, struct buf *out)
{
	char *directory = str_dup(home), *argv[] = { (char[]){ "gpg" }, (char[]){ "--homedir" },
		directory, (char[]){ "--batch" }, (char[]){ "--with-colons" },
		(char[]){ "--list-secret-keys" }, NULL };
	struct buf text = BUF_INIT, errors = BUF_INIT;
	int status;
	enum err e = proc_run(argv, bytes_of("", 0), LIST_SECONDS, &text, &errors, &status);

	if (e == ERR_OK)
		list_others(buf_bytes(&text), except, out);
	str_free(&directory);
	buf_free(&text);
	buf_free(&errors);
	return e;
}

enum err level_warn(
    const struct options *options, const char *home, const char *level, const char *fingerprint)
{
	struct buf others = BUF_INIT;
	enum dialog_answer answer = DIALOG_OK;
	int now;
	enum err e = strictest(home, &now);

	if (e == ERR_OK && strictness(level) > now)
		e = find_others(home, fingerprint, &others);
	if (e == ERR_OK && others.len > 0) {
		char *text = str_printf(
		    "The security level counts for the whole GnuPG home: from now on the password is %s. Other keys there:\n%s",
		    strictness(level) == 2 ? "asked for on every use"
					   : "asked for once, then not for eight hours",
		    buf_text(&others));

		if (options->dialog)
			e = dialog_confirm(text, "Go on", NULL, "Cancel", &answer);
		else
			fputs(text, stderr);
		str_free(&text);
	}
	if (e == ERR_OK && answer != DIALOG_OK)
		e = err_fail(ERR_DENIED, "cancelled: nothing was changed");
	buf_free(&others);
	return e;
}
