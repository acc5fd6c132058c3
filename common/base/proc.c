#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/proc.h"
#include "base/when.h"

#define OUTPUT_BYTES_MAX ((size_t)16 << 20)
#define READ_CHUNK_BYTES 16384

/* Our ends; -1 where there is none or it is closed. */
struct run {
	pid_t pid;
	int stdin_fd, stdout_fd, stderr_fd;
	int exec_fd; /* says errno if exec fails, and nothing else */
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_both(int pair[2])
{
	close_fd(&pair[0]);
	close_fd(&pair[1]);
}

/* Only async-signal-safe calls from here to exec. */
_Noreturn static void child_start(char *const argv[], int in, int out, int errors, int report)
{
	sigset_t none;
	int fault;

	(void)setpgid(0, 0);
	/* Out of the way of 0-2 first, whatever the numbers were. */
	in = fcntl(in, F_DUPFD_CLOEXEC, 3);
	out = fcntl(out, F_DUPFD_CLOEXEC, 3);
	errors = fcntl(errors, F_DUPFD_CLOEXEC, 3);
	report = fcntl(report, F_DUPFD_CLOEXEC, 3);
	if (dup2(in, 0) >= 0 && dup2(out, 1) >= 0 && dup2(errors, 2) >= 0 && dup2(report, 3) == 3 &&
	    fcntl(3, F_SETFD, FD_CLOEXEC) == 0 && close_range(4, UINT_MAX, 0) == 0) {
		for (int signal_number = 1; signal_number < NSIG; signal_number++)
			(void)signal(signal_number, SIG_DFL);
		(void)sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		execvp(argv[0], argv);
	}
	fault = errno;
	if (write(3, &fault, sizeof fault) < 0)
		_exit(126);
	_exit(127);
}

static bool make_pipe(bool wanted, int pair[2])
{
	return !wanted || pipe2(pair, O_CLOEXEC) == 0;
}

static enum err run_start(char *const argv[], bool want_out, bool want_errors, struct run *run)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, errors[2] = { -1, -1 }, report[2] = { -1, -1 };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	enum err err = ERR_OK;

	/* Standard input is a socket pair, as MSG_NOSIGNAL spares the caller a SIGPIPE. */
	if (null < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) < 0 ||
	    !make_pipe(want_out, out) || !make_pipe(want_errors, errors) ||
	    !make_pipe(true, report) || (run->pid = fork()) < 0) {
		err = err_fail(ERR_SYSTEM, "cannot start %s: %s", argv[0], strerror(errno));
		close_both(in);
		close_both(out);
		close_both(errors);
		close_both(report);
		goto out;
	}
	if (run->pid == 0)
		child_start(argv, in[1], want_out ? out[1] : null,
		    want_errors ? errors[1] : STDERR_FILENO, report[1]);
	(void)setpgid(run->pid, run->pid);
	close_fd(&in[1]);
	close_fd(&out[1]);
	close_fd(&errors[1]);
	close_fd(&report[1]);
	run->stdin_fd = in[0];
	run->stdout_fd = out[0];
	run->stderr_fd = errors[0];
	run->exec_fd = report[0];
out:
	close_fd(&null);
	return err;
}

static void run_feed(struct run *run, struct bytes *input)
{
	ssize_t put = send(run->stdin_fd, input->data, input->len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (put >= 0)
		*input = bytes_of(input->data + put, input->len - (size_t)put);
	/* A program that does not want all of its input is no fault by itself. */
	if (input->len == 0 || (put < 0 && errno != EINTR && errno != EAGAIN))
		close_fd(&run->stdin_fd);
}

static void run_drain(int *fd, struct buf *into)
{
	ssize_t got = read(*fd, buf_reserve(into, READ_CHUNK_BYTES), READ_CHUNK_BYTES);

	if (got > 0)
		into->len += (size_t)got;
	into->data[into->len] = 0;
	if (got == 0 || (got < 0 && errno != EINTR))
		close_fd(fd);
}

/* Until both outputs are at their end. */
static enum err run_converse(
    struct run *run, struct bytes input, int64_t deadline_ms, struct buf *out, struct buf *errors)
{
	size_t out_start = out ? out->len : 0, errors_start = errors ? errors->len : 0;

	if (input.len == 0)
		close_fd(&run->stdin_fd);
	while (run->stdin_fd >= 0 || run->stdout_fd >= 0 || run->stderr_fd >= 0) {
		int64_t left = deadline_ms - when_monotonic_ms();
		struct pollfd fds[3] = { { run->stdin_fd, POLLOUT, 0 },
			{ run->stdout_fd, POLLIN, 0 }, { run->stderr_fd, POLLIN, 0 } };

		if (left <= 0)
			return err_fail(ERR_TEMPORARY, "it took too long");
		if (poll(fds, 3, (int)(left < INT_MAX ? left : INT_MAX)) <= 0)
			continue;
		if (fds[0].revents)
			run_feed(run, &input);
		if (fds[1].revents && out)
			run_drain(&run->stdout_fd, out);
		if (fds[2].revents && errors)
			run_drain(&run->stderr_fd, errors);
		if ((out && out->len - out_start > OUTPUT_BYTES_MAX) ||
		    (errors && errors->len - errors_start > OUTPUT_BYTES_MAX))
			return err_fail(
			    ERR_DATA, "it printed more than %zu bytes", OUTPUT_BYTES_MAX);
	}
	return ERR_OK;
}

/* Without SIGCHLD, which belongs to the caller: looks often at first, then less so. */
static enum err run_wait(pid_t pid, int64_t deadline_ms, int *wait_status)
{
	for (useconds_t pause = 200;; pause = pause < 10000 ? pause * 2 : pause) {
		pid_t got = waitpid(pid, wait_status, WNOHANG);

		if (got == pid)
			return ERR_OK;
		if (got < 0 && errno != EINTR)
			return err_fail(ERR_SYSTEM, "cannot wait for it: %s", strerror(errno));
		if (when_monotonic_ms() >= deadline_ms)
			return err_fail(ERR_TEMPORARY, "it took too long");
		(void)usleep(pause);
	}
}

enum err proc_run(char *const argv[], struct bytes input, unsigned deadline_seconds,
    struct buf *out, struct buf *errors, int *status_out)
{
	struct run run = { -1, -1, -1, -1, -1 };
	int64_t deadline_ms = when_monotonic_ms() + (int64_t)deadline_seconds * 1000;
	int wait_status = 0, fault = 0;
	enum err err;

	*status_out = -1;
	err = run_start(argv, out != NULL, errors != NULL, &run);
	if (err != ERR_OK)
		return err;
	if (read(run.exec_fd, &fault, sizeof fault) == (ssize_t)sizeof fault)
		err = err_fail(ERR_UNAVAILABLE, "%s", strerror(fault));
	if (err == ERR_OK)
		err = run_converse(&run, input, deadline_ms, out, errors);
	if (err == ERR_OK)
		err = run_wait(run.pid, deadline_ms, &wait_status);
	if (err != ERR_OK) {
		(void)kill(-run.pid, SIGKILL);
		while (waitpid(run.pid, &wait_status, 0) < 0 && errno == EINTR)
			continue;
		err = err_prefix(err, "cannot run %s", argv[0]);
	}
	close_fd(&run.stdin_fd);
	close_fd(&run.stdout_fd);
	close_fd(&run.stderr_fd);
	close_fd(&run.exec_fd);
	if (err == ERR_OK)
		*status_out = WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status)
						       : WEXITSTATUS(wait_status);
	return err;
}
