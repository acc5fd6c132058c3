/* countersignctl: the administrator's command. A table; the nouns have files of their own. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/journal.h"
#include "base/when.h"
#include "command.h"
#include "confine/confine.h"
#include "record.h"
#include "secret/secret.h"
#include "text/utf8.h"

struct command {
	const char *noun, *verb; /* verb NULL: the noun alone */
	enum err (*run)(struct invocation *in);
	const char *usage; /* behind the words */
	const char *does;
	unsigned how;
};

enum {
	READS = 0,
	RECORDED = 1, /* changes something, and leaves an entry in the log, see record.h */
	HELD = 2,     /* not while the authority is on hold after a restore */
};

static const struct command commands[] = {
	{ "init", NULL, command_init,
	    "--address ADDRESS [--name TEXT] [--maildir DIR] [--state-directory DIR] [--runtime-directory DIR] "
	    "[--authority-passphrase-file FILE] [--escrow-passphrase-file FILE] [--escrow-home DIR] "
	    "[--no-passphrase]",
	    "make a new authority", READS },
	{ "token", "issue", command_token_issue,
	    "ADDRESS... | --csv FILE [--output FILE] [--dry-run] [--keyset NAME] [--name TEXT] [--also ADDRESS] [--additional] "
	    "[--expires SPAN] [--language LANGUAGE] [--mail | --slip FILE]",
	    "issue tokens and print or mail them", RECORDED | HELD },
	{ "token", "fill", command_token_fill,
	    "[--keyset NAME] [--name TEXT] [--also ADDRESS] [--additional] [--expires SPAN] < DRAFT > MAIL",
	    "put a token into a draft", RECORDED | HELD },
	{ "token", "list", command_token_list, "[--all]", "outstanding tokens", READS },
	{ "token", "void", command_token_void, "ADDRESS|ID", "take a token back", RECORDED },
	{ "sendmail", NULL, command_sendmail,
	    "[--each] [-t] [-i] [-f SENDER] [RECIPIENT...] < DRAFT",
	    "stand in for sendmail: fill a draft and hand it on", RECORDED | HELD },
	{ "filter", NULL, command_filter,
	    "[--login LOGIN] [--sender ADDRESS] [--submit URL] [--each] RECIPIENT... < MAIL",
	    "a content filter of Postfix: fill the mails of issuers", RECORDED | HELD },
	{ "user", "list", command_user_list,
	    "[--state STATE] [--domain DOMAIN] [--expiring SPAN] [--pending] [--sort address|state|since|until]",
	    "who is enrolled", READS },
	{ "user", "show", command_user_show, "ADDRESS", "all about one address", READS },
	{ "user", "prefer", command_user_prefer, "ADDRESS KEYSET",
	    "choose the key that is published", RECORDED | HELD },
	{ "recover", NULL, command_recover,
	    "ADDRESS [--reason TEXT] [--expires SPAN] [--mail] [--compromised] [--escrow-home DIR] "
	    "[--escrow-passphrase-file FILE] | --csv FILE [--output FILE] [--dry-run] ...",
	    "issue a token that brings old encryption keys back", RECORDED | HELD },
	{ "revoke", NULL, command_revoke, "ADDRESS [--keyset NAME] --reason REASON [--yes]",
	    "withdraw the certification", RECORDED },
	{ "escrow", "show", command_escrow_show, "", "the escrow key and its deposits", READS },
	{ "escrow", "check", command_escrow_check,
	    "[--open] [--escrow-home DIR] [--escrow-passphrase-file FILE]",
	    "look whether every deposit is there, and opens", RECORDED },
	{ "escrow", "rotate", command_escrow_rotate,
	    "[--to-home DIR [--to-passphrase-file FILE | --no-passphrase] | --to-key FILE] [--escrow-home DIR] "
	    "[--escrow-passphrase-file FILE]",
	    "seal all deposits to another escrow key", RECORDED },
	{ "authority", "show", command_authority_show, "", "fingerprint, pin and policy", READS },
	{ "authority", "export", command_authority_export, "",
	    "the public key and the authority card", READS },
	{ "authority", "unlock", command_unlock, "[--passphrase-file FILE]",
	    "give the passphrase to a waiting daemon", RECORDED },
	{ "unlock", NULL, command_unlock, "[--passphrase-file FILE]", "the same", RECORDED },
	{ "wkd", "export", command_wkd_export, "DIR", "write the whole Web Key Directory",
	    RECORDED | HELD },
	{ "log", "verify", command_log_verify, "[--head NUMBER:HASH]",
	    "prove that the log is whole", READS },
	{ "log", "export", command_log_export, "[--since DAY|TIME|SPAN]",
	    "the log with its hashes, for auditors", READS },
	{ "log", NULL, command_log, "[--address ADDRESS] [--since DAY|TIME|SPAN]", "the audit log",
	    READS },
	{ "status", NULL, command_status, "[--prometheus]", "ready or not, and why", READS },
	{ "report", NULL, command_report, "DIR", "the overview as a page for a browser", READS },
	{ "quarantine", "list", command_quarantine_list, "", "mails that could not be processed",
	    READS },
	{ "quarantine", "show", command_quarantine_show, "ID", "one of them, with its headers",
	    READS },
	{ "quarantine", "release", command_quarantine_release, "ID", "put it back into the mailbox",
	    RECORDED },
	{ "quarantine", "drop", command_quarantine_drop, "ID", "forget it", RECORDED },
	{ "outbox", "list", command_outbox_list, "[--all]", "mails that wait to be sent", READS },
	{ "outbox", "retry", command_outbox_retry, "[ID]", "try now, one or all", RECORDED },
	{ "outbox", "drop", command_outbox_drop, "ID", "never send it", RECORDED },
	{ "backup", NULL, command_backup, "FILE [--with-keys] | --verify FILE",
	    "copy the authority to a file, or prove that one opens", RECORDED },
	{ "restore", NULL, command_restore,
	    "FILE [--fingerprint FPR] [--passphrase-file FILE | --no-passphrase] "
	    "[--escrow-passphrase-file FILE] [--yes] | --confirm [--yes]",
	    "bring an authority back from a backup", RECORDED },
};

#define COMMANDS (sizeof commands / sizeof *commands)

static const struct command *find_command(const char *noun, const char *verb)
{
	for (const struct command *c = commands; c < commands + COMMANDS; c++)
		if (str_equal(c->noun, noun) && (!c->verb || str_equal(c->verb, verb)))
			return c;
	return NULL;
}

static bool is_noun(const char *noun)
{
	for (const struct command *c = commands; c < commands + COMMANDS; c++)
		if (str_equal(c->noun, noun))
			return true;
	return false;
}

static void print_command(const struct command *c)
{
	char words[40];

	snprintf(
	    words, sizeof words, "%s%s%s", c->noun, c->verb ? " " : "", c->verb ? c->verb : "");
	printf("  %-20s %s\n", words, c->does);
}

/* Help for one command, for a noun, or for all. */
static void print_help(const char *noun, const char *verb)
{
	const struct command *found = noun ? find_command(noun, verb) : NULL;

	if (found) {
		printf("usage: countersignctl %s%s%s %s\n\n%s\n", noun, found->verb ? " " : "",
		    found->verb ? found->verb : "", found->usage, found->does);
	} else {
		printf(
		    "usage: countersignctl [-c FILE | --authority NAME] [--as NAME] [--json] COMMAND ...\n\n");
		for (const struct command *c = commands; c < commands + COMMANDS; c++)
			if (!noun || !is_noun(noun) || str_equal(c->noun, noun))
				print_command(c);
	}
	printf("\nEverywhere: -c FILE, --authority NAME, --as NAME, --json, --help, --version. "
	       "The manual page countersignctl(8) says more.\n");
}

static bool has_word(int argc, char **argv, const char *word)
{
	for (int i = 0; i < argc && !str_equal(argv[i], "--"); i++)
		if (str_equal(argv[i], word))
			return true;
	return false;
}

/* Under sudo the person is who called it, but only root can be believed about that. */
static const char *actor_name(void)
{
	static char name[80];
	const char *sudo = getenv("SUDO_USER");
	const struct passwd *user = getpwuid(getuid());
	char *printable;

	if (getuid() == 0 && sudo && *sudo)
		snprintf(name, sizeof name, "%s", sudo);
	else if (user)
		snprintf(name, sizeof name, "%s", user->pw_name);
	else
		snprintf(name, sizeof name, "uid %u", (unsigned)getuid());
	printable = utf8_printable(name, false);
	snprintf(name, sizeof name, "%s", printable);
	str_free(&printable);
	return name;
}

static enum err run(struct invocation *in)
{
	const struct command *command;
	const char *noun = NULL, *verb = NULL;
	char words[40];
	bool found = true;
	enum err e;

	while (in->argc > 0 && in->argv[0][0] == '-' && found)
		if ((e = options_common(in, &found)))
			return e;
	if (in->argc > 0)
		noun = in->argv[0];
	if (noun && noun[0] == '-')
		return err_fail(ERR_USAGE, "there is no option %s here; --help lists them", noun);
	if (!noun)
		return err_fail(
		    ERR_USAGE, "say what to do; countersignctl --help lists the commands");
	if (in->argc > 1)
		verb = in->argv[1];
	if (!(command = find_command(noun, verb)) && is_noun(noun))
		return err_fail(ERR_USAGE,
		    "\"%s\" needs one of its verbs behind it; countersignctl %s --help lists them",
		    noun, noun);
	if (!command)
		return err_fail(ERR_USAGE,
		    "there is no command \"%s\"; countersignctl --help lists them", noun);
	in->argv += command->verb ? 2 : 1;
	in->argc -= command->verb ? 2 : 1;
	in->held = command->how & HELD;
	if (!(command->how & RECORDED))
		return command->run(in);
	snprintf(words, sizeof words, "%s%s%s", noun, command->verb ? " " : "",
	    command->verb ? command->verb : "");
	return record_run(in, words, command->run);
}

/* Words that are no options, for help: "countersignctl -c FILE token issue --help". */
static void help(int argc, char **argv)
{
	const char *words[2] = { NULL, NULL };
	int count = 0;

	for (int i = 0; i < argc && count < 2; i++) {
		if (str_equal(argv[i], "-c") || str_equal(argv[i], "--config") ||
		    str_equal(argv[i], "--authority") || str_equal(argv[i], "--as"))
			i++;
		else if (argv[i][0] != '-')
			words[count++] = argv[i];
	}
	print_help(words[0], words[1]);
}

int main(int argc, char **argv)
{
	struct invocation in = {
		.argv = argv + 1, .argc = argc - 1, .now = when_now(), .record = -1
	};
	enum err e;

	if (has_word(in.argc, in.argv, "--help")) {
		help(in.argc, in.argv);
		return 0;
	}
	if (has_word(in.argc, in.argv, "--version")) {
		puts("countersignctl " COUNTERSIGN_VERSION);
		return 0;
	}
	journal_open("countersignctl", JOURNAL_WARNING);
	secret_start();
	in.actor = actor_name();
	if (!(e = confine_basics()) && !(e = run(&in)))
		e = command_flush();
	if (e)
		command_note("%s", err_text());
	return e ? err_exit_status(e) : in.status;
}
