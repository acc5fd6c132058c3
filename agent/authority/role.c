#include "role.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/journal.h"
#include "base/wire.h"
#include "packet.h"

void role_tell(const struct role_state *state)
{
	struct buf body = BUF_INIT;
	wire_put_u8(&body, state->ready);
	wire_put_text(&body, state->why);
	wire_put_i64(&body, state->next_try);
	wire_put_i64(&body, state->waiting);
	if (packet_send(ROLE_FD_REPORT, PACKET_REPORT, buf_bytes(&body), -1, -1) != ERR_OK)
		journal_debug("%s", err_text()); /* the parent is going down */
	buf_free(&body);
}

void role_report(bool ready, const char *why)
{
	role_tell(&(struct role_state){ .ready = ready, .why = why });
}

static int stop_pipe[2] = { -1, -1 };

static void on_signal(int number)
{
	int saved = errno;
	unsigned char byte = (unsigned char)number;
	ssize_t n = write(stop_pipe[1], &byte, 1); /* a full pipe says enough already */
	(void)n;
	errno = saved;
}

int stop_open(const int *signals)
{
	if (pipe2(stop_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	for (; *signals; signals++)
		sigaction(*signals, &sa, NULL);
	return stop_pipe[0];
}

int stop_signal(int fd)
{
	unsigned char byte;
	return read(fd, &byte, 1) == 1 ? byte : 0;
}
