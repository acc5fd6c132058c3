/* Handing a mail over on this machine: to the sendmail command, or into a Maildir. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/file.h"
#include "base/proc.h"
#include "mail/mailbox.h"
#include "mail/quoted.h"
#include "mail/submit_internal.h"
#include "text/utf8.h"

static enum err check_access(const char *path, int mode)
{
	if (access(path, mode) != 0)
		return err_fail(ERR_UNAVAILABLE, "cannot submit by %s: %s", path, strerror(errno));
	return ERR_OK;
}

/* ---- sendmail ---- */

/* <sysexits.h>, as every sendmail since the first: what time won't cure. */
static enum submit_result result_of(int status)
{
	switch (status) {
	case EX_OK:
		return SUBMIT_SENT;
	case EX_USAGE:
	case EX_DATAERR:
	case EX_NOUSER:
	case EX_NOHOST:
		return SUBMIT_PERMANENT;
	default:
		return SUBMIT_TEMPORARY;
	}
}

static void keep_first_line(const char *path, int status, const struct buf *errors)
{
	struct bytes rest = buf_bytes(errors), line = { 0 };
	bool said = bytes_line(&rest, &line) && line.len > 0;
	char *text = str_ndup(said ? (const char *)line.data : "", line.len);
	char *clean = utf8_printable(text, false);

	if (said)
		err_fail(ERR_UNAVAILABLE, "%s: %s (exit status %d)", path, clean, status);
	else
		err_fail(ERR_UNAVAILABLE, "%s ended with exit status %d", path, status);
	str_free(&clean);
	str_free(&text);
}

static enum submit_result sendmail_send(struct submit *s, const char *sender,
    const char *const *recipients, size_t count, struct bytes mail)
{
	struct buf text = BUF_INIT, said = BUF_INIT, errors = BUF_INIT;
	char **argv = mem_array(NULL, count + 6, sizeof *argv);
	size_t n = 0;

	argv[n++] = str_dup(s->url.path);
	argv[n++] = str_dup("-i");
	argv[n++] = str_dup("-f");
	argv[n++] = str_dup(sender[0] ? sender : "<>");
	argv[n++] = str_dup("--");
	for (size_t i = 0; i < count; i++)
		argv[n++] = str_dup(recipients[i]);
	argv[n] = NULL;

	int status = EX_TEMPFAIL;
	lines_add(&text, mail, "\n");
	enum err err =
	    proc_run(argv, buf_bytes(&text), s->timeout_seconds, &said, &errors, &status);
	enum submit_result result = err ? SUBMIT_TEMPORARY : result_of(status);
	if (!err && result != SUBMIT_SENT)
		keep_first_line(s->url.path, status, &errors);
	for (size_t i = 0; i < n; i++)
		str_free(&argv[i]);
	free(argv);
	buf_free(&errors);
	buf_free(&said);
	buf_free(&text);
	return result;
}

static enum err sendmail_check(struct submit *s)
{
	return check_access(s->url.path, X_OK);
}

const struct submit_driver submit_by_sendmail = { .send = sendmail_send, .check = sendmail_check };

/* ---- Maildir ---- */

static enum submit_result deliver(struct submit *s, const char *sender,
    const char *const *recipients, size_t count, struct bytes mail)
{
	struct buf text = BUF_INIT;

	buf_addf(&text, "Return-Path: <%s>\n", sender);
	for (size_t i = 0; i < count; i++)
		buf_addf(&text, "Delivered-To: %s\n", recipients[i]);
	lines_add(&text, mail, "\n");
	enum err err = maildrop_deliver(s->url.path, buf_bytes(&text));
	buf_free(&text);
	return err ? SUBMIT_TEMPORARY : SUBMIT_SENT;
}

static enum err deliver_check(struct submit *s)
{
	enum err err = file_make_dir(s->url.path, 0700);

	return err ? err : check_access(s->url.path, W_OK);
}

const struct submit_driver submit_by_maildir = { .send = deliver, .check = deliver_check };
