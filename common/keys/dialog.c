/* Asking people: a password through gpg-agent, a question through pinentry itself. */
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/proc.h"
#include "keys/agent.h"
#include "keys/internal.h"

#define CONF_BYTES_MAX ((size_t)1 << 20)
#define DIALOG_SECONDS 600 /* a person reads and thinks */

/* Where pinentry shall appear: the names that gpg itself passes on. */
static const char *const session_variables[] = { "TERM", "DISPLAY", "XAUTHORITY", "XMODIFIERS",
	"WAYLAND_DISPLAY", "XDG_SESSION_TYPE", "QT_QPA_PLATFORM", "GTK_IM_MODULE",
	"DBUS_SESSION_BUS_ADDRESS", "QT_IM_MODULE", "INSIDE_EMACS", "PINENTRY_USER_DATA", NULL };

static const char *terminal(void)
{
	const char *named = getenv("GPG_TTY");

	return named && *named ? named : ttyname(STDIN_FILENO);
}

static void add_setting(struct buf *lines, const char *option, const char *value)
{
	if (value && *value && !strpbrk(value, "\r\n"))
		buf_addf(lines, "OPTION %s=%s\n", option, value);
}

static void add_terminal(struct buf *lines)
{
	add_setting(lines, "ttyname", terminal());
	add_setting(lines, "ttytype", getenv("TERM"));
	add_setting(lines, "lc-ctype", setlocale(LC_CTYPE, NULL));
	add_setting(lines, "lc-messages", setlocale(LC_MESSAGES, NULL));
}

static void add_session(struct buf *lines)
{
	add_terminal(lines);
	for (const char *const *name = session_variables; *name; name++) {
		const char *value = getenv(*name);

		if (value && *value && !strpbrk(value, "\r\n"))
			buf_addf(lines, "OPTION putenv=%s=%s\n", *name, value);
	}
}

static enum err dialog_fault(gpgme_error_t error)
{
	switch (gpgme_err_code(error)) {
	case 0:
		return ERR_OK;
	case GPG_ERR_CANCELED:
	case GPG_ERR_FULLY_CANCELED:
		return err_fail(ERR_DENIED, "cancelled");
	default:
		return err_fail(ERR_UNAVAILABLE, "pinentry can't ask: %s", gpgme_strerror(error));
	}
}

static enum err read_hex(struct bytes hex, struct buf *out)
{
	char *text = str_ndup((const char *)hex.data, hex.len);
	size_t len = hex.len / 2;
	enum err err = hex_read(text, buf_reserve(out, len), len);

	if (!err) {
		out->len += len;
		out->data[out->len] = '\0';
	}
	str_wipe(&text);
	return err;
}

enum err agent_ask(
    const char *home, const char *prompt, const char *error, bool repeat, struct buf *out)
{
	struct buf lines = BUF_INIT, answer = BUF_SECRET;
	struct bytes hex = { 0 };
	enum err err;

	add_session(&lines);
	buf_addf(&lines, "GET_PASSPHRASE %s-- X ", repeat ? "--repeat=1 " : "");
	assuan_add_escaped(&lines, error && *error ? error : "X");
	buf_add_text(&lines, " X ");
	assuan_add_escaped(&lines, prompt);
	buf_add_byte(&lines, '\n');
	if (!(err = agent_talk(home, true, &lines, &answer)) &&
	    !(err = dialog_fault(assuan_last(&answer, &hex))))
		err = read_hex(hex, out);
	buf_free(&lines);
	buf_free(&answer);
	return err;
}

/* As gpg-agent would find it. malloc'ed. */
static char *pinentry_path(void)
{
	static const char option[] = "pinentry-program";
	const char *home = default_home();
	char *path = home ? path_join(home, "gpg-agent.conf") : NULL, *program = NULL;
	struct buf conf = BUF_INIT;
	struct bytes rest, line;

	if (path && file_exists(path) && !file_read(path, CONF_BYTES_MAX, &conf)) {
		rest = buf_bytes(&conf);
		while (bytes_line(&rest, &line)) {
			char *text = str_ndup((const char *)line.data, line.len);
			char *at = text + strspn(text, " \t");

			if (str_starts(at, option) && strchr(" \t", at[sizeof option - 1])) {
				at += sizeof option - 1;
				at += strspn(at, " \t");
				at[strcspn(at, " \t")] = '\0';
				str_free(&program);
				program = str_dup(at);
			}
			str_free(&text);
		}
	}
	buf_free(&conf);
	str_free(&path);
	return program ? program : str_dup("pinentry");
}

static void add_text(struct buf *lines, const char *command, const char *text)
{
	if (!text)
		return;
	buf_addf(lines, "%s ", command);
	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		if (*c < ' ' || *c == '%')
			buf_addf(lines, "%%%02X", *c);
		else
			buf_add_byte(lines, *c);
	buf_add_byte(lines, '\n');
}

static enum err pinentry_run(const struct buf *lines, gpgme_error_t *error_out)
{
	char *argv[] = { pinentry_path(), NULL };
	struct buf answer = BUF_INIT;
	enum err err;
	int status;

	err = proc_run(argv, buf_bytes(lines), DIALOG_SECONDS, &answer, NULL, &status);
	if (!err)
		*error_out = assuan_last(&answer, NULL);
	buf_free(&answer);
	str_free(&argv[0]);
	return err;
}

enum err dialog_confirm(const char *text, const char *ok, const char *not_ok, const char *cancel,
    enum dialog_answer *out)
{
	struct buf lines = BUF_INIT;
	gpgme_error_t error = 0;
	enum err err;

	add_terminal(&lines);
	add_text(&lines, "SETTITLE", "Countersign");
	add_text(&lines, "SETDESC", text);
	add_text(&lines, "SETOK", ok);
	add_text(&lines, "SETNOTOK", not_ok);
	add_text(&lines, "SETCANCEL", cancel);
	buf_add_text(&lines, "CONFIRM\n");
	*out = DIALOG_CANCEL;
	if ((err = pinentry_run(&lines, &error)))
		goto out;
	if (!error)
		*out = DIALOG_OK;
	else if (gpgme_err_code(error) == GPG_ERR_NOT_CONFIRMED)
		*out = not_ok ? DIALOG_NOT_OK : DIALOG_CANCEL;
	else if (gpgme_err_code(error) != GPG_ERR_CANCELED)
		err = dialog_fault(error);
out:
	buf_free(&lines);
	return err;
}

enum err dialog_message(const char *text)
{
	struct buf lines = BUF_INIT;
	gpgme_error_t error = 0;
	enum err err;

	add_terminal(&lines);
	add_text(&lines, "SETTITLE", "Countersign");
	add_text(&lines, "SETDESC", text);
	buf_add_text(&lines, "MESSAGE\n");
	if (!(err = pinentry_run(&lines, &error)) && gpgme_err_code(error) != GPG_ERR_CANCELED)
		err = dialog_fault(error);
	buf_free(&lines);
	return err;
}
