#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"

static enum err say(int tty, const char *text)
{
	return file_write_fd(tty, bytes_of_text(text));
}

static enum err read_line(int tty, struct buf *out)
{
	uint8_t c;
	ssize_t n;

	while ((n = read(tty, &c, 1)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_fail(
			    ERR_IO, "cannot read from the terminal: %s", strerror(errno));
		if (c == '\n' || c == '\r')
			break;
		buf_add_byte(out, c);
	}
	mem_wipe(&c, sizeof c);
	return out->len ? ERR_OK : err_fail(ERR_DENIED, "nothing was typed; nothing was changed");
}

/* Signals that would leave the terminal without echo wait until it is restored. */
static enum err read_silently(int tty, struct buf *out)
{
	struct termios was, silent;
	sigset_t block, before;
	enum err e;

	if (tcgetattr(tty, &was))
		return err_fail(ERR_UNAVAILABLE, "there is no terminal to ask for a passphrase");
	sigemptyset(&block);
	sigaddset(&block, SIGTSTP);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGQUIT);
	sigaddset(&block, SIGTERM);
	sigprocmask(SIG_BLOCK, &block, &before);
	silent = was;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
	silent.c_lflag |= ECHONL;
	tcsetattr(tty, TCSAFLUSH, &silent);
	e = read_line(tty, out);
	if (!e && memchr(out->data, 3, out->len))
		e = err_fail(ERR_DENIED, "cancelled; nothing was changed");
	tcsetattr(tty, TCSAFLUSH, &was);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return e;
}

static enum err ask_once(int tty, const char *prompt, struct buf *out)
{
	enum err e = say(tty, prompt);

	buf_clear(out);
	return e || (e = say(tty, ": ")) ? e : read_silently(tty, out);
}

enum err terminal_ask(const char *prompt, bool repeat, struct buf *out)
{
	struct buf again = BUF_SECRET;
	int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	enum err e = ERR_OK;

	if (tty < 0)
		return err_fail(ERR_UNAVAILABLE,
		    "there is no terminal to ask for a passphrase; give it in a file");
	while (!(e = ask_once(tty, prompt, out)) && repeat &&
	       !(e = ask_once(tty, "The same again", &again)) &&
	       !bytes_equal(buf_bytes(out), buf_bytes(&again)) &&
	       !(e = say(tty, "The two differ; once more from the start.\n")))
		;
	buf_free(&again);
	close(tty);
	return e;
}

enum err terminal_confirm(const char *question)
{
	int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct buf answer = BUF_INIT;
	enum err e;

	if (tty < 0)
		return err_fail(
		    ERR_UNAVAILABLE, "there is no terminal to ask on; --yes answers beforehand");
	if (!(e = say(tty, question)) && !(e = say(tty, " yes or no: ")))
		e = read_line(tty, &answer);
	if (!e && !str_equal_case(buf_text(&answer), "yes") &&
	    !str_equal_case(buf_text(&answer), "y"))
		e = err_fail(ERR_DENIED, "not confirmed; nothing was changed");
	buf_free(&answer);
	close(tty);
	return e;
}
