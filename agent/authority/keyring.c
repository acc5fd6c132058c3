/*
 * The keyring: keeps the authority's gpg-agent alive and unlocked. It is the only process that reads the passphrase file.
 */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/journal.h"
#include "keys/agent.h"
#include "keys/keyhome.h"
#include "role.h"
#include "shared/authority.h"

#define CHECK_SECONDS 20 /* I15: back within 60 s of the repair */

static enum err keyring_unlock_by_file(const char *home, const struct conf *conf)
{
	struct buf passphrase = BUF_SECRET;
	enum err rc = authority_passphrase(conf, &passphrase);

	if (rc == ERR_OK)
		rc = agent_unlock(home, buf_bytes(&passphrase));
	buf_free(&passphrase);
	return rc;
}

/* Makes what is missing: an agent, then its passphrase. An agent that somebody unlocked by hand is left as it is. */
static enum err keyring_tend(const char *home, const struct conf *conf, pid_t *agent)
{
	if (*agent > 0 && waitpid(*agent, NULL, WNOHANG) == *agent)
		*agent = 0;
	if (*agent == 0 && !agent_running(home)) {
		enum err rc = agent_start(home, agent);
		if (rc != ERR_OK)
			return rc;
	}
	if (agent_check(home) == ERR_OK)
		return ERR_OK;
	return keyring_unlock_by_file(home, conf);
}

int keyring_main(const struct role_options *options)
{
	char *home = authority_key_home(options->conf);
	pid_t agent = 0;
	enum err rc = keyhome_start((unsigned)options->conf->limits.gpg_seconds);

	if (rc == ERR_OK)
		rc = agent_prepare(home);
	if (rc != ERR_OK) {
		role_report(false, err_text());
		str_free(&home);
		return err_exit_status(rc);
	}
	bool told = false;
	for (;;) {
		rc = keyring_tend(home, options->conf, &agent);
		if (rc != ERR_OK && !told)
			journal_error("the authority's key can't be used: %s", err_text());
		else if (rc == ERR_OK && told)
			journal_info("the authority's key can be used again");
		told = rc != ERR_OK;
		role_report(rc == ERR_OK, err_text());
		struct pollfd p = { .fd = options->stop_fd, .events = POLLIN };
		if (poll(&p, 1, (rc == ERR_OK ? CHECK_SECONDS : 2) * 1000) > 0)
			break;
	}
	if (agent > 0) {
		agent_stop(home);
		kill(agent, SIGTERM);
		waitpid(agent, NULL, 0);
	}
	str_free(&home);
	return 0;
}
