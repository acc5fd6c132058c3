/*
 * The keyring: keeps the authority's gpg-agent alive and unlocked. It is the only process that reads the passphrase file.
 */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/journal.h"
#include "base/when.h"
#include "keys/agent.h"
#include "keys/keyhome.h"
#include "role.h"
#include "shared/authority.h"

#define CHECK_SECONDS 20 /* I15: back within 60 s of the repair */
#define CHECK_SOON_SECONDS 2
#define AGENT_END_MS 500

struct keyring {
	const struct conf *conf;
	char *home;
	pid_t agent; /* our child; 0: none, or somebody else's */
	int64_t
	    denied_until_ms; /* a wrong passphrase is not tried again at once: each try costs a third of a second of computing */
};

/* Stopped or gone astray, it ends all the same. Nothing is lost: it only holds what we gave it. */
static void keyring_end_agent(struct keyring *k)
{
	int64_t until = when_monotonic_ms() + AGENT_END_MS;

	if (k->agent <= 0)
		return;
	kill(k->agent, SIGTERM);
	while (waitpid(k->agent, NULL, WNOHANG) == 0) {
		if (when_monotonic_ms() >= until)
			kill(k->agent, SIGKILL);
		poll(NULL, 0, 5);
	}
	k->agent = 0;
}

static enum err keyring_denied(void)
{
	return err_fail(ERR_DENIED, "the configured passphrase of the authority's key is wrong");
}

/* Without a passphrase to give, the reason why the agent can't be used stays what it was. */
static enum err keyring_unlock_by_file(struct keyring *k, enum err why)
{
	struct buf passphrase = BUF_SECRET;
	char *sentence = str_dup(err_text());
	enum err rc = authority_passphrase(k->conf, &passphrase);

	if (rc == ERR_OK && passphrase.len == 0)
		rc = err_fail(why, "%s", sentence);
	else if (rc == ERR_OK)
		rc = agent_unlock(k->home, buf_bytes(&passphrase));
	if (rc == ERR_DENIED) {
		k->denied_until_ms = when_monotonic_ms() + CHECK_SECONDS * 1000;
		rc = keyring_denied();
	}
	buf_free(&passphrase);
	str_free(&sentence);
	return rc;
}

/*
 * Makes what is missing: an agent, then its passphrase. An agent that somebody unlocked by hand is left as it is, and so is one that does not answer: it may
 * be stopped, and knows the passphrase. One of ours that nobody can reach is replaced.
 */
static enum err keyring_tend(struct keyring *k)
{
	if (k->agent > 0 && waitpid(k->agent, NULL, WNOHANG) == k->agent)
		k->agent = 0;
	enum err rc = agent_check(k->home);
	if (rc == ERR_OK || rc == ERR_TEMPORARY)
		return rc;
	if (!agent_running(k->home)) {
		keyring_end_agent(k);
		rc = agent_start(k->home, &k->agent);
		if (rc == ERR_OK)
			rc = agent_check(k->home);
		k->denied_until_ms = 0;
	}
	if (rc == ERR_OK || rc == ERR_TEMPORARY)
		return rc;
	if (when_monotonic_ms() < k->denied_until_ms)
		return keyring_denied();
	return keyring_unlock_by_file(k, rc);
}

/* Until it is time, or the agent dies; true when we shall stop. */
static bool keyring_sleep(const struct keyring *k, int stop_fd, int seconds)
{
	int agent_fd = k->agent > 0 ? pidfd_open(k->agent, 0) : -1;
	struct pollfd p[2] = { { .fd = stop_fd, .events = POLLIN },
		{ .fd = agent_fd, .events = POLLIN } };

	(void)poll(p, 2, seconds * 1000);
	if (agent_fd >= 0)
		close(agent_fd);
	return p[0].revents != 0;
}

int keyring_main(const struct role_options *options)
{
	struct keyring k = { .conf = options->conf, .home = authority_key_home(options->conf) };
	enum err rc = keyhome_start((unsigned)options->conf->limits.gpg_seconds);

	if (rc == ERR_OK)
		rc = authority_check_key_home(k.home);
	if (rc == ERR_OK)
		rc = agent_prepare(k.home);
	if (rc != ERR_OK) {
		role_report(false, err_text());
		str_free(&k.home);
		return err_exit_status(rc);
	}
	/* The state lock is our parent's, so this is the agent of a daemon that was killed, on its way out. */
	agent_stop(k.home);
	bool told = false;
	for (;;) {
		rc = keyring_tend(&k);
		if (rc != ERR_OK && !told && !options->once)
			journal_error("the authority's key can't be used: %s", err_text());
		else if (rc == ERR_OK && told)
			journal_info("the authority's key can be used again");
		told = rc != ERR_OK;
		role_report(rc == ERR_OK, err_text());
		if (keyring_sleep(
			&k, options->stop_fd, rc == ERR_OK ? CHECK_SECONDS : CHECK_SOON_SECONDS))
			break;
	}
	keyring_end_agent(&k);
	str_free(&k.home);
	return 0;
}
