#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/when.h"
#include "base/wire.h"
#include "text/address.h"

#define EVENT "command"
#define MESSAGE_BYTES_MAX 8192

/* ---- the command ---- */

enum err record_announce(const struct invocation *in, const char *config, const char *address)
{
	struct buf message = BUF_INIT;
	enum err e;

	if (in->record < 0)
		return ERR_OK;
	/* Again, since a change of user has ended it. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	wire_put_text(&message, in->actor);
	wire_put_text(&message, config);
	wire_put_text(&message, address);
	e = file_write_fd(in->record, buf_bytes(&message));
	buf_free(&message);
	return e;
}

static enum err prove_writable(const struct invocation *in, struct store *store)
{
	enum err e = store_begin(store);

	if (!e)
		e = audit_add(store, in->now, in->actor, EVENT, NULL, NULL, NULL);
	store_rollback(store);
	return e ? err_prefix(e, "nothing was done, as the log can't be written") : ERR_OK;
}

enum err record_begin(const struct invocation *in, struct authority *authority)
{
	char *address = NULL;
	enum err e;

	if (in->record < 0)
		return ERR_OK;
	if ((e = prove_writable(in, authority->store)))
		return e;
	if (in->argc == 1 && address_canonical(in->argv[0], &address))
		address = NULL;
	e = record_announce(in, authority->conf->path, address);
	str_free(&address);
	return e;
}

_Noreturn static void run_child(
    struct invocation *in, enum err (*run)(struct invocation *in), const sigset_t *signals)
{
	enum err e;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigprocmask(SIG_SETMASK, signals, NULL);
	if (!(e = run(in)))
		e = command_flush();
	if (e)
		command_note("%s", err_text());
	exit(e ? err_exit_status(e) : in->status);
}

/* ---- who waits for it ---- */

struct end {
	int status; /* exit status */
	int signal; /* 0: none */
	char *actor, *config, *address;
};

static void end_free(struct end *end)
{
	str_free(&end->actor);
	str_free(&end->config);
	str_free(&end->address);
}

/* Signals for us are meant for the command. */
static void await(pid_t child, const sigset_t *signals, struct end *end)
{
	int status = 0, signal;
	pid_t ended;

	while ((ended = waitpid(child, &status, WNOHANG)) == 0 || (ended < 0 && errno == EINTR))
		if (!sigwait(signals, &signal) && signal != SIGCHLD)
			kill(child, signal);
	end->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	end->status = WEXITSTATUS(status);
}

/* The last message counts; none: the command never came to open anything. */
static void read_messages(int fd, struct end *end)
{
	uint8_t all[MESSAGE_BYTES_MAX];
	ssize_t len = read(fd, all, sizeof all);
	struct wire w = wire_open(bytes_of(all, len > 0 ? (size_t)len : 0));

	while (w.at < w.end && !w.bad) {
		end_free(end);
		end->actor = wire_text(&w);
		end->config = wire_text(&w);
		end->address = wire_text(&w);
	}
}

static enum err write_entry(const char *words, const struct end *end, struct store *store)
{
	bool refused = end->signal || end->status == err_exit_status(ERR_DENIED);
	bool done = !refused && end->status == 0;
	struct buf detail = BUF_INIT;
	enum err e;

	buf_addf(&detail, "command=\"%s\" outcome=%s", words,
	    refused ? "refused"
	    : done  ? "done"
		    : "failed");
	if (!done && !end->signal)
		buf_addf(&detail, " status=%d", end->status);
	if (!(e = store_begin(store)) &&
	    !(e = audit_add(store, when_now(), end->actor, EVENT, done ? NULL : end->address,
		  buf_text(&detail), NULL)))
		e = store_commit(store);
	store_rollback(store);
	buf_free(&detail);
	return e;
}

static enum err note_end(const char *words, const struct end *end)
{
	struct authority *authority = NULL;
	enum err e = authority_open(end->config, AUTHORITY_STORE, &authority);

	if (!e)
		e = write_entry(words, end, authority->store);
	authority_close(&authority);
	return e ? err_prefix(e, "how the command ended could not be written to the log") : ERR_OK;
}

static void die_of(int signal)
{
	struct sigaction standard = { .sa_handler = SIG_DFL };
	sigset_t set;

	sigaction(signal, &standard, NULL);
	sigemptyset(&set);
	sigaddset(&set, signal);
	raise(signal);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

enum err record_run(
    struct invocation *in, const char *words, enum err (*run)(struct invocation *in))
{
	static const int forwarded[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD };
	struct end end = { 0 };
	sigset_t wait_for, before;
	enum err e = ERR_OK;
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return err_fail(ERR_SYSTEM, "cannot make a pipe: %s", strerror(errno));
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&wait_for);
	for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++)
		sigaddset(&wait_for, forwarded[i]);
	sigprocmask(SIG_BLOCK, &wait_for, &before);
	in->record = ends[1];
	child = fork();
	if (child == 0)
		run_child(in, run, &before);
	close(ends[1]);
	if (child < 0) {
		e = err_fail(ERR_SYSTEM, "cannot start a process: %s", strerror(errno));
		goto out;
	}
	await(child, &wait_for, &end);
	read_messages(ends[0], &end);
	in->status = end.status;
	if (end.config)
		e = note_end(words, &end);
	if (end.signal)
		die_of(end.signal);
out:
	close(ends[0]);
	end_free(&end);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return e;
}
