/* Vaults: throw-away GnuPG homes with an agent of their own, the only ones that secret keys of others may enter. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/journal.h"
#include "keys/internal.h"

/* What is in it comes from anybody, and is opened by nobody else. */
static const char vault_conf[] = "no-autostart\n"
				 "charset utf-8\n"
				 "trust-model always\n"
				 "no-auto-check-trustdb\n"
				 "no-random-seed-file\n"
				 "no-auto-key-retrieve\n"
				 "no-auto-key-locate\n"
				 "disable-dirmngr\n";

/* A password there is random, or for the way to another home: it need not be costly to guess. */
static const char vault_agent_conf[] = "pinentry-program /bin/false\n"
				       "s2k-count 65536\n"
				       "allow-preset-passphrase\n"
				       "max-cache-ttl 2000000000\n";

struct vault {
	struct keyhome *home;
	char *path, *socket;
	pid_t agent;
};

enum err vault_make(const char *parent, struct vault **out)
{
	struct vault *vault = mem_alloc(sizeof *vault);
	enum err err;

	*out = NULL;
	vault->path = path_join(parent, "keyhome-XXXXXX");
	if (!file_is_tmpfs(parent)) {
		err = err_fail(ERR_CONFIG,
		    "%s is not in memory (tmpfs), and clear keys must never reach a disk", parent);
		str_free(&vault->path);
		goto out;
	}
	if (!mkdtemp(vault->path)) {
		err = err_fail(
		    ERR_CREATE, "cannot make a key home in %s: %s", parent, strerror(errno));
		str_free(&vault->path);
		goto out;
	}
	if ((err = home_write(vault->path, "gpg.conf", bytes_of_text(vault_conf))) ||
	    (err = home_write(vault->path, "gpg-agent.conf", bytes_of_text(vault_agent_conf))) ||
	    (err = agent_spawn(vault->path, &vault->socket, &vault->agent)) ||
	    (err = keyhome_open(vault->path, true, &vault->home)))
		goto out;
	vault->home->hostile = true;
	*out = vault;
	vault = NULL;
out:
	vault_close(&vault);
	return err;
}

struct keyhome *vault_home(struct vault *vault)
{
	return vault->home;
}

/* Killed, not asked: it keeps nothing, and a stopped one would not answer. It is our child, so the pid is still its own. */
static void end_agent(struct vault *vault)
{
	(void)kill(vault->agent, SIGKILL);
	while (waitpid(vault->agent, NULL, 0) < 0 && errno == EINTR)
		;
	socket_remove(vault->path, vault->socket);
}

void vault_close(struct vault **vault)
{
	struct vault *v = *vault;
	char *text;

	if (!v)
		return;
	*vault = NULL;
	text = str_dup(err_text());
	if (v->agent > 0)
		end_agent(v);
	keyhome_close(&v->home);
	if (v->path && file_remove_tree(v->path))
		journal_warning("%s", err_text());
	(void)err_fail(ERR_SOFTWARE, "%s", text);
	str_free(&text);
	str_free(&v->path);
	str_free(&v->socket);
	free(v);
}
