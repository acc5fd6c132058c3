#include "hand.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/when.h"
#include "base/wire.h"
#include "confine/confine.h"

#define ANSWER_BYTES_MAX 4096
#define GRACE_MS 10000

_Noreturn static void sender(const struct conf *conf, const char *from,
    const char *const *recipients, struct bytes mail, int answer)
{
	struct buf record = BUF_INIT;
	struct submit *submit = NULL;
	enum submit_result result = SUBMIT_PERMANENT;

	confine_descriptors(&answer, 1);
	if (!submit_open(&conf->submit.server, (unsigned)conf->submit.timeout_seconds, &submit))
		result = submit_send(submit, from, recipients, mail);
	wire_put_u8(&record, (uint8_t)result);
	wire_put_text(&record, result == SUBMIT_SENT ? NULL : err_text());
	_exit(file_write_fd(answer, buf_bytes(&record)) ? 1 : 0);
}

/* Reads until the sender closes its end; false at the deadline. */
static bool read_answer(int fd, int64_t deadline_ms, struct buf *out)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };

	for (;;) {
		int64_t left = deadline_ms - when_monotonic_ms();
		ssize_t n;

		if (left <= 0 || out->len >= ANSWER_BYTES_MAX)
			return false;
		n = poll(&wait, 1, (int)left);
		if (n <= 0)
			continue;
		n = read(fd, buf_reserve(out, 512), 512);
		if (n == 0)
			return true;
		if (n > 0)
			out->len += (size_t)n;
		else if (errno != EINTR)
			return false;
	}
}

static enum submit_result judge(const struct buf *answer)
{
	struct wire w = wire_open(buf_bytes(answer));
	enum submit_result result = (enum submit_result)wire_u8(&w);
	char *text = wire_text(&w);

	if (wire_end(&w) || (unsigned)result > SUBMIT_DENIED) {
		result = SUBMIT_IN_DOUBT;
		(void)err_fail(ERR_UNAVAILABLE, "the mail server gave no answer");
	} else if (result != SUBMIT_SENT) {
		(void)err_fail(ERR_UNAVAILABLE, "%s", text ? text : "the mail server refused it");
	}
	str_free(&text);
	return result;
}

enum submit_result hand_over(
    const struct conf *conf, const char *from, const char *const *recipients, struct bytes mail)
{
	int64_t deadline = when_monotonic_ms() + conf->submit.timeout_seconds * 1000 + GRACE_MS;
	struct buf answer = BUF_INIT;
	enum submit_result result;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC)) {
		(void)err_fail(ERR_SYSTEM, "cannot make a pipe: %s", strerror(errno));
		return SUBMIT_TEMPORARY;
	}
	pid = fork();
	if (pid == 0)
		sender(conf, from, recipients, mail, ends[1]);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		(void)err_fail(ERR_SYSTEM, "cannot start a sender: %s", strerror(errno));
		return SUBMIT_TEMPORARY;
	}
	if (!read_answer(ends[0], deadline, &answer))
		kill(pid, SIGKILL);
	close(ends[0]);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	result = judge(&answer);
	buf_free(&answer);
	return result;
}
