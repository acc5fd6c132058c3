#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/when.h"
#include "client/ask.h"
#include "client/password.h"
#include "client/reading.h"
#include "client/request.h"
#include "enroll/keyset.h"
#include "text/address.h"

/* --address, or asked for with what is likely, or the one used before. */
enum err making_choose_address(struct making *m)
{
	char *likely = m->has_mail ? reading_recipient(&m->mail) : NULL, *line = NULL;
	enum err e = ERR_OK;

	if (likely == NULL)
		likely = str_dup(m->profile.address);
	if (m->options->address != NULL)
		line = str_dup(m->options->address);
	else if (ask_possible())
		e = ask_line("Your mail address", likely, &line);
	else if (m->profile.address != NULL)
		line = str_dup(m->profile.address);
	else
		e = err_fail(ERR_USAGE, "say your mail address: --address ADDRESS");
	if (e == ERR_OK)
		e = address_canonical(line, &m->request.address);
	str_free(&line);
	str_free(&likely);
	return e;
}

static enum err refuse_waiting(const struct making *m)
{
	struct local_request *list = NULL;
	size_t count = 0;
	char wanted[KEYSET_NAME_MAX + 1], other[KEYSET_NAME_MAX + 1], day[WHEN_TEXT_SIZE];
	enum err e = local_request_list(&list, &count);

	keyset_name_fold(m->request.keyset, wanted);
	for (size_t i = 0; e == ERR_OK && i < count; i++)
		if (str_equal(list[i].address, m->request.address) &&
		    str_equal(keyset_name_fold(list[i].keyset, other), wanted))
			e = err_fail(ERR_CREATE,
			    "a request for the keyset \"%s\" waits since %s: ask again for it with --again, or use another name",
			    list[i].keyset, when_format_day(list[i].created, day));
	local_request_list_free(&list, count);
	return e;
}

enum err making_choose_keyset(struct making *m)
{
	char *stated = m->has_mail ? keyset_name_find(buf_bytes(&m->mail.new_text)) : NULL,
	     *line = NULL;
	enum err e = ERR_OK;

	if (m->options->keyset != NULL)
		line = str_dup(m->options->keyset);
	else if (ask_possible())
		e = ask_line("Name of the keyset", stated != NULL ? stated : KEYSET_DEFAULT, &line);
	else
		line = str_dup(stated != NULL ? stated : KEYSET_DEFAULT);
	if (e == ERR_OK && !keyset_name_valid(line))
		e = err_fail(ERR_USAGE,
		    "\"%.40s\" can't be the name of a keyset: up to %d letters, digits, blanks, dots, dashes",
		    line, KEYSET_NAME_MAX);
	str_free(&stated);
	m->request.keyset = line;
	if (e == ERR_OK)
		e = refuse_waiting(m);
	if (e == ERR_OK)
		e = prior_find(
		    m->options, m->request.address, m->request.keyset, &m->authority, &m->prior);
	return e;
}

/* The first field of the GECOS is the name on most systems. */
static char *system_name(void)
{
	const struct passwd *user = getpwuid(getuid());
	char *name;

	if (user == NULL || user->pw_gecos == NULL)
		return NULL;
	name = str_ndup(user->pw_gecos, strcspn(user->pw_gecos, ","));
	if (name[0] == '\0' || name_check(name) != ERR_OK)
		str_free(&name);
	return name;
}

enum err making_choose_name(struct making *m)
{
	char *likely = m->profile.name != NULL ? str_dup(m->profile.name) : system_name(),
	     *line = NULL;
	enum err e = ERR_OK;

	if (m->options->name != NULL)
		line = str_dup(m->options->name);
	else if (ask_possible() && m->options->key == NULL)
		e = ask_line("Your name, as others see it (- for none)", likely, &line);
	if (e == ERR_OK && line != NULL && (line[0] == '\0' || str_equal(line, "-")))
		str_free(&line);
	if (e == ERR_OK && line != NULL)
		e = name_check(line);
	m->request.name = line;
	str_free(&likely);
	return e;
}

/* P7.1: --level asks for the password at once. */
enum err making_choose_level(struct making *m)
{
	enum err e;

	if (m->options->level == NULL)
		return ERR_OK;
	if (m->options->key != NULL)
		return err_fail(ERR_USAGE,
		    "--level can't be given with --key: your key keeps its own password");
	e = level_check(m->options->level);
	if (e != ERR_OK)
		return e;
	m->request.level = str_dup(m->options->level);
	if (str_equal(m->request.level, "low"))
		return ERR_OK;
	m->request.protected = true;
	return password_choose(m->options, NULL, m->request.keyset, &m->password);
}
