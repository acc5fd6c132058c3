#include "client/ask.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "text/utf8.h"

#define LINE_BYTES_MAX 4096

static volatile sig_atomic_t interrupted;

static FILE *terminal(void)
{
	static FILE *tty;
	static bool tried;

	if (!tried) {
		tried = true;
		if (isatty(STDERR_FILENO))
			tty = fopen("/dev/tty", "r+e");
	}
	return tty;
}

bool ask_possible(void)
{
	return terminal() != NULL;
}

static void trim(struct buf *line)
{
	size_t start = 0;

	while (line->len > 0 && strchr(" \t\r\n", line->data[line->len - 1]) != NULL)
		line->data[--line->len] = '\0';
	while (start < line->len && strchr(" \t", line->data[start]) != NULL)
		start++;
	memmove(line->data, line->data + start, line->len - start + 1);
	line->len -= start;
}

/* False once a signal came, also one between the last look and the wait. */
static bool wait_for_key(void)
{
	struct pollfd tty = { .fd = fileno(terminal()), .events = POLLIN };
	sigset_t ours, before;
	int ready = 0;

	sigemptyset(&ours);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &ours, &before);
	while (!interrupted && ready <= 0)
		ready = ppoll(&tty, 1, NULL, &before);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return !interrupted;
}

/* Byte by byte, not through stdio: what a token's line held must not stay behind in a buffer. */
static enum err read_line(struct buf *line)
{
	char c = 0;

	while (c != '\n' && line->len < LINE_BYTES_MAX) {
		if (!wait_for_key() || read(fileno(terminal()), &c, 1) != 1)
			return err_fail(ERR_DENIED, "cancelled: nothing was changed");
		buf_add_byte(line, c);
	}
	trim(line);
	return ERR_OK;
}

enum err ask_line(const char *question, const char *standard, char **out)
{
	struct buf line = BUF_SECRET;
	char *clean = standard != NULL ? utf8_printable(standard, false) : NULL;
	enum err e;

	*out = NULL;
	if (clean != NULL && clean[0] != '\0')
		fprintf(terminal(), "%s [%s]: ", question, clean);
	else
		fprintf(terminal(), "%s: ", question);
	fflush(terminal());
	e = read_line(&line);
	if (e == ERR_OK)
		*out = line.len > 0 ? str_dup(buf_text(&line))
				    : str_dup(standard != NULL ? standard : "");
	else
		fputc('\n', terminal());
	str_free(&clean);
	buf_free(&line);
	return e;
}

enum err ask_yes(const char *question, bool *out)
{
	char *prompt = str_printf("%s (y/n)", question), *answer = NULL;
	enum err e = ask_line(prompt, "n", &answer);

	*out = e == ERR_OK && (str_equal_case(answer, "y") || str_equal_case(answer, "yes"));
	str_free(&prompt);
	str_free(&answer);
	return e;
}

void ask_progress(const char *what)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "%s ... ", what);
}

void ask_progress_end(bool good)
{
	if (isatty(STDERR_FILENO))
		fputs(good ? "done\n" : "failed\n", stderr);
}

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

void ask_catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

enum err ask_interrupted(void)
{
	return interrupted ? err_fail(ERR_DENIED, "interrupted: nothing was changed") : ERR_OK;
}
