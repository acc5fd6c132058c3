/* countersignd: the agent. Options, and which role this process has. */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "base/file.h"
#include "base/journal.h"
#include "confine/confine.h"
#include "mail/mailbox.h"
#include "role.h"
#include "secret/secret.h"
#include "supervise.h"
#include "text/utf8.h"
#include "verify.h"

static const char usage[] =
    "usage: countersignd [-c FILE] [--authority NAME]     run in the foreground\n"
    "       countersignd [-c FILE] --once                 handle what waits, send what is due, exit\n"
    "       countersignd [-c FILE] -n                     check configuration, keys, store and mailboxes\n"
    "       countersignd [-c FILE] --deliver < MAIL       put one mail into the mailbox, safely\n"
    "       countersignd --help | --version\n";

struct role {
	const char *name;
	int (*run)(const struct role_options *options);
	bool
	    no_new_privileges; /* not the sender: Postfix's sendmail is set-group-id (the nursery's filter brings its own) */
};

static const struct role roles[] = {
	{ "keyring", keyring_main, true },
	{ "worker", worker_main, true },
	{ "sender", sender_main, false },
	{ "intake", intake_main, true },
};

static int start_role(const struct role *role, const struct role_options *options)
{
	if (role->no_new_privileges && confine_no_new_privileges() != ERR_OK) {
		role_report(false, err_text());
		return err_exit_status(ERR_SYSTEM);
	}
	return role->run(options);
}

static enum journal_level level_of(const struct conf *conf)
{
	static const struct {
		const char *name;
		enum journal_level level;
	} levels[] = { { "error", JOURNAL_ERROR }, { "warning", JOURNAL_WARNING },
		{ "debug", JOURNAL_DEBUG } };

	for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
		if (str_equal(conf->log.level, levels[i].name))
			return levels[i].level;
	return JOURNAL_INFO;
}

/* A child: `--role NAME INDEX SOCKETS once|stay WALL RUNNING`, descriptors laid by the parent. Not for people. */
static int run_role(char *const argv[])
{
	static char path[] = "/proc/self/fd/4", name[64];
	struct role_options o = { .conf_path = path,
		.index = atoi(argv[1]),
		.sockets = (size_t)atoi(argv[2]),
		.once = str_equal(argv[3], "once"),
		.start = { .wall = atoll(argv[4]), .running_ms = atoll(argv[5]) } };
	struct conf *conf = NULL;

	snprintf(name, sizeof name, "countersignd/%s", argv[0]);
	journal_open(name, JOURNAL_INFO);
	for (int fd = ROLE_FD_REPORT; fd < ROLE_FD_FIRST + (int)o.sockets; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC); /* gpg and sendmail get none of them */
	if (str_equal(argv[0], "nursery"))
		return nursery_main();
	enum err rc = conf_read(path, &conf);
	if (rc != ERR_OK) {
		role_report(false, err_text());
		return err_exit_status(rc);
	}
	journal_open(name, level_of(conf));
	o.conf = conf;
	o.stop_fd = stop_open((int[]){ SIGTERM, SIGINT, 0 });
	int status = err_exit_status(ERR_USAGE);
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
		if (str_equal(roles[i].name, argv[0]))
			status = start_role(&roles[i], &o);
	conf_free(&conf);
	return status;
}

/* For `pipe` in an MTA: 0 only once the mail is durable, 75 makes the MTA try again. */
static enum err deliver(const char *conf_path)
{
	struct conf *conf = NULL;
	struct buf mail = BUF_INIT;
	const char *dir = NULL;
	enum err rc = conf_read(conf_path, &conf);

	for (size_t i = 0; rc == ERR_OK && i < conf->mailbox_count && !dir; i++)
		if (str_starts(conf->mailbox[i].server.url, "maildir:"))
			dir = conf->mailbox[i].server.url + strlen("maildir:");
	if (rc == ERR_OK && !dir)
		rc = err_fail(
		    ERR_CONFIG, "--deliver needs a mailbox with a maildir: URL in %s", conf_path);
	if (rc == ERR_OK)
		rc = file_read("-", 64u << 20, &mail);
	if (rc == ERR_OK && mail.len == 0)
		rc = err_fail(ERR_DATA, "there is no mail on standard input");
	if (rc == ERR_OK)
		rc = confine_become_owner(conf->authority.state_directory);
	if (rc == ERR_OK && maildrop_deliver(dir, buf_bytes(&mail)) != ERR_OK)
		rc = ERR_TEMPORARY; /* whatever it was, the MTA shall keep the mail */
	buf_free(&mail);
	conf_free(&conf);
	return rc;
}

/* One sentence on standard error; returns the exit status. */
static int complain(enum err rc)
{
	char *text = utf8_printable(err_text(), false);

	fprintf(stderr, "countersignd: %s\n", text);
	str_free(&text);
	return err_exit_status(rc);
}

/* What getopt_long(3) answers ':' or '?' to. */
static enum err bad_option(const char *word, int answer, int letter)
{
	char option[] = { '-', (char)letter, '\0' };
	const char *shown = str_starts(word, "--") ? word : option;

	if (answer == ':')
		return err_fail(
		    ERR_USAGE, "%s needs a value; countersignd --help shows which", shown);
	return err_fail(ERR_USAGE, "there is no option %s; countersignd --help lists them", shown);
}

static enum err name_authority(const char *name, char **path_out)
{
	if (*name == '\0' || *name == '.' || strchr(name, '/'))
		return err_fail(ERR_USAGE,
		    "--authority takes a name as in /etc/countersign/NAME.conf; use -c for another file");
	str_free(path_out);
	*path_out = str_printf("/etc/countersign/%s.conf", name);
	return ERR_OK;
}

int main(int argc, char *argv[])
{
	enum { OPT_ONCE = 256, OPT_DELIVER, OPT_VERSION };
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "authority", required_argument, NULL, 'a' },
		{ "check", no_argument, NULL, 'n' },
		{ "once", no_argument, NULL, OPT_ONCE },
		{ "deliver", no_argument, NULL, OPT_DELIVER },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, OPT_VERSION },
		{ 0 },
	};
	const char *conf_option = NULL;
	char *named = NULL;
	int mode = 0, c;

	if (confine_basics() != ERR_OK)
		return complain(ERR_SYSTEM);
	secret_start();
	if (argc == 8 && str_equal(argv[1], "--role"))
		return run_role(argv + 2);
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":c:nh", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			conf_option = optarg;
			break;
		case 'a':
			if (name_authority(optarg, &named) != ERR_OK)
				return complain(ERR_USAGE);
			conf_option = named;
			break;
		case 'n':
		case OPT_ONCE:
		case OPT_DELIVER:
			if (mode && mode != c)
				return complain(err_fail(
				    ERR_USAGE, "-n, --once and --deliver exclude each other"));
			mode = c;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case OPT_VERSION:
			puts("countersignd " COUNTERSIGN_VERSION);
			return 0;
		default:
			return complain(bad_option(argv[optind - 1], c, optopt));
		}
	}
	if (optind < argc)
		return complain(err_fail(ERR_USAGE,
		    "unexpected argument \"%s\"; countersignd --help shows what there is",
		    argv[optind]));
	const char *path = conf_path(conf_option);
	journal_open("countersignd", JOURNAL_INFO);
	int status;
	if (mode == 'n') {
		status = verify_setup(path);
	} else if (mode == OPT_DELIVER) {
		enum err rc = deliver(path);
		status = rc == ERR_OK ? 0 : complain(rc);
	} else {
		status = supervise(path, mode == OPT_ONCE);
	}
	str_free(&named);
	return status;
}
