/*
 * A mail server that plays a part: in a child process, on a loopback port. A script has one line a step:
 *
 *   > text    send it with CRLF, "$" being the tag of the client's last command; such lines go out together
 *   ^ text    send it as it is, without CRLF
 *   # 1000    send so many bytes
 *   < text    the client has to send this, behind a tag
 *   = text    the client has to send this, without a tag
 *   ~ 50      wait so many milliseconds
 *   -         close, and wait for the next connection
 *   .         whatever the client does now does not matter (until it closes)
 */
#ifndef TESTS_IMAP_SCRIPT_H
#define TESTS_IMAP_SCRIPT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"

struct stage {
	pid_t pid;
	unsigned port;
};

/* The child's own. */
struct actor {
	int listener;
	FILE *peer;
	struct buf out;
	char tag[32];
};

static void actor_flush(struct actor *a)
{
	for (size_t done = 0; done < a->out.len;) {
		ssize_t n =
		    send(fileno(a->peer), a->out.data + done, a->out.len - done, MSG_NOSIGNAL);
		if (n <= 0)
			break; /* it was refused: the test says whether that was right */
		done += (size_t)n;
	}
	buf_clear(&a->out);
}

static void actor_accept(struct actor *a)
{
	int fd = accept(a->listener, NULL, NULL);

	a->peer = fd < 0 ? NULL : fdopen(fd, "r");
	if (!a->peer)
		_exit(3);
	a->tag[0] = '\0';
}

static void actor_say(struct actor *a, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] == '$')
			buf_add_text(&a->out, a->tag);
		else
			buf_add_byte(&a->out, text[i]);
}

static void actor_expect(struct actor *a, const char *text, size_t len, bool tagged)
{
	char line[4096];

	actor_flush(a);
	if (!fgets(line, sizeof line, a->peer))
		strcpy(line, "(nothing)");
	line[strcspn(line, "\r\n")] = '\0';
	const char *said = line;
	if (tagged) {
		size_t n = strcspn(line, " ");
		(void)snprintf(a->tag, sizeof a->tag, "%.*s", (int)n, line);
		said = line[n] ? line + n + 1 : line + n;
	}
	if (strlen(said) != len || memcmp(said, text, len) != 0) {
		(void)fprintf(stderr, "# expected: %.*s\n# got: %s\n", (int)len, text, line);
		_exit(2);
	}
}

static void actor_wait_for_end(struct actor *a)
{
	char rest[4096];

	actor_flush(a);
	while (fread(rest, 1, sizeof rest, a->peer) > 0)
		;
}

static void actor_step(struct actor *a, char verb, const char *text, size_t len)
{
	switch (verb) {
	case '>':
		actor_say(a, text, len);
		buf_add_text(&a->out, "\r\n");
		break;
	case '^':
		actor_say(a, text, len);
		break;
	case '#':
		for (long n = strtol(text, NULL, 10); n > 0; n--)
			buf_add_byte(&a->out, 'x');
		break;
	case '<':
	case '=':
		actor_expect(a, text, len, verb == '<');
		break;
	case '~':
		actor_flush(a);
		usleep((useconds_t)strtol(text, NULL, 10) * 1000);
		break;
	case '-':
		actor_flush(a);
		fclose(a->peer);
		actor_accept(a);
		break;
	case '.':
		actor_wait_for_end(a);
		break;
	default:
		_exit(4);
	}
}

static void actor_play(int listener, const char *script)
{
	struct actor a = { .listener = listener };
	struct bytes rest = bytes_of_text(script), line;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(30);
	actor_accept(&a);
	while (bytes_line(&rest, &line))
		if (line.len > 0)
			actor_step(&a, (char)line.data[0],
			    (const char *)line.data + (line.len > 1 ? 2 : 1),
			    line.len > 1 ? line.len - 2 : 0);
	actor_flush(&a);
	fclose(a.peer);
	buf_free(&a.out);
	_exit(0);
}

static struct stage stage_start(const char *script)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof at;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stage stage;

	if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) != 0 ||
	    listen(listener, 5) != 0 || getsockname(listener, (struct sockaddr *)&at, &len) != 0)
		abort();
	stage.port = ntohs(at.sin_port);
	stage.pid = fork();
	if (stage.pid == 0)
		actor_play(listener, script);
	close(listener);
	return stage;
}

/* Whether everything went by the script, to its end. */
static bool stage_end(struct stage *stage)
{
	int status = -1;

	if (waitpid(stage->pid, &status, 0) != stage->pid)
		return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

#endif
