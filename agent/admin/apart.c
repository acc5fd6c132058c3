#include "apart.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/wire.h"
#include "confine/confine.h"
#include "keys/keyhome.h"

#define RESULT_BYTES_MAX 65536
#define GPG_SECONDS 120

typedef enum err apart_work(void *context, struct buf *out);

void apart_hold_signals(int how)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	sigset_t set;

	sigemptyset(&set);
	for (size_t n = 0; n < sizeof signals / sizeof *signals; n++)
		sigaddset(&set, signals[n]);
	sigprocmask(how, &set, NULL);
}

_Noreturn static void child(const char *owner, apart_work *work, void *context, int answer)
{
	struct buf record = BUF_INIT, out = BUF_INIT;
	enum err e;

	apart_hold_signals(SIG_UNBLOCK);
	if (!(e = owner ? confine_become_owner(owner) : ERR_OK) &&
	    !(e = keyhome_start(GPG_SECONDS)))
		e = work(context, &out);
	wire_put_u8(&record, (uint8_t)e);
	wire_put_text(&record, e ? err_text() : NULL);
	wire_put_bytes(&record, buf_bytes(&out));
	_exit(file_write_fd(answer, buf_bytes(&record)) ? 1 : 0);
}

static enum err judge(const struct buf *record, struct buf *out)
{
	struct wire w = wire_open(buf_bytes(record));
	enum err e = (enum err)wire_u8(&w);
	char *text = wire_text(&w);
	struct bytes result = wire_bytes(&w);

	if (wire_end(&w))
		e = err_fail(ERR_DENIED, "interrupted; nothing was changed");
	else if (e)
		e = err_fail(e, "%s", text ? text : "it failed");
	else
		buf_add(out, result.data, result.len);
	str_free(&text);
	return e;
}

enum err apart(const char *owner, apart_work *work, void *context, struct buf *out)
{
	struct buf record = BUF_INIT;
	int ends[2];
	pid_t pid;
	enum err e;

	if (pipe2(ends, O_CLOEXEC))
		return err_fail(ERR_SYSTEM, "cannot make a pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
		child(owner, work, context, ends[1]);
	close(ends[1]);
	if (pid < 0)
		e = err_fail(ERR_SYSTEM, "cannot start a process: %s", strerror(errno));
	else if (!(e = file_read_fd(ends[0], "the other process", RESULT_BYTES_MAX, &record)))
		e = judge(&record, out);
	close(ends[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	buf_free(&record);
	return e;
}
