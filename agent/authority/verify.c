#include "verify.h"

#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "keys/agent.h"
#include "keys/keyhome.h"
#include "mail/mailbox.h"
#include "mail/submit.h"
#include "shared/authority.h"
#include "text/utf8.h"

static int first_fault;

/* One line: "ok      the store" or "failed  the store: why". */
static void say(const char *what, const char *which, enum err rc)
{
	if (rc == ERR_OK) {
		printf("ok      %s%s%s\n", what, which ? " " : "", which ? which : "");
		return;
	}
	char *why = utf8_printable(err_text(), false); /* a server's words may be in it */
	printf("failed  %s%s%s: %s\n", what, which ? " " : "", which ? which : "", why);
	str_free(&why);
	if (!first_fault)
		first_fault = err_exit_status(rc);
}

/* The escrow key's secret belongs to nobody's daemon (2-architecture, key material). */
static void check_escrow(const struct conf *conf)
{
	char *home = authority_escrow_home(conf), *secrets = path_join(home, "private-keys-v1.d");
	if (access(secrets, R_OK) == 0)
		printf(
		    "warning the escrow home %s is readable by the agent's user: move it to another user or off this machine\n",
		    home);
	str_free(&home);
	str_free(&secrets);
}

static void check_administrators(const struct conf *conf)
{
	if (!conf->notify.administrators || !*conf->notify.administrators)
		printf(
		    "warning nobody hears of quarantine and alarms: notify administrators is empty\n");
}

/* What an operator should know of a server that works. */
static void print_notes(const char *which, const struct buf *notes)
{
	struct bytes rest = buf_bytes(notes), line;

	while (bytes_line(&rest, &line)) {
		char *raw = str_ndup((const char *)line.data, line.len);
		char *text = utf8_printable(raw, false);
		printf("note    %s: %s\n", which, text);
		str_free(&text);
		str_free(&raw);
	}
}

static void check_mailbox(const struct conf_mailbox *m)
{
	struct mailbox *box = NULL;
	struct buf notes = BUF_INIT;
	enum err rc = mailbox_open(m, &box);

	if (rc == ERR_OK)
		rc = mailbox_check(box, &notes);
	say("mailbox", m->server.url, rc);
	if (rc == ERR_OK)
		print_notes(m->server.url, &notes);
	buf_free(&notes);
	mailbox_close(&box);
}

static void check_mailboxes(const struct conf *conf)
{
	for (size_t i = 0; i < conf->mailbox_count; i++)
		check_mailbox(&conf->mailbox[i]);
	if (conf->mailbox_count == 0)
		say("mailbox", NULL, err_fail(ERR_CONFIG, "none is configured"));
}

static void check_submission(const struct conf *conf)
{
	struct submit *submit = NULL;
	enum err rc =
	    submit_open(&conf->submit.server, (unsigned)conf->submit.timeout_seconds, &submit);
	if (rc == ERR_OK)
		rc = submit_check(submit);
	say("submission", conf->submit.server.url, rc);
	submit_close(&submit);
}

int verify_setup(const char *conf_path)
{
	struct authority *a = NULL;
	enum err rc = authority_open(conf_path, AUTHORITY_STORE, &a);

	first_fault = 0;
	say("configuration and store", conf_path, rc);
	if (rc != ERR_OK)
		return first_fault;
	say("store is whole", NULL, store_quick_check(a->store));
	say("runtime directory", a->conf->authority.runtime_directory,
	    authority_prepare_runtime(
		a->conf->authority.runtime_directory, a->conf->authority.state_directory));
	struct authority *with_keys = NULL;
	rc = authority_open(conf_path, AUTHORITY_KEYS, &with_keys);
	say("authority's key", a->fingerprint, rc);
	if (rc == ERR_OK)
		say("signs and decrypts", NULL, agent_check(with_keys->key_home));
	authority_close(&with_keys);
	check_escrow(a->conf);
	check_administrators(a->conf);
	check_mailboxes(a->conf);
	check_submission(a->conf);
	authority_close(&a);
	return first_fault;
}
