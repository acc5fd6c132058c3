#include "mail/submit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/file.h"
#include "base/proc.h"
#include "mail/mailbox.h"
#include "mail/quoted.h"
#include "text/utf8.h"

struct submit {
	enum submit_kind { TO_SENDMAIL, TO_MAILDIR } kind;
	char *path;
	unsigned timeout_seconds;
};

enum err submit_open(
    const struct conf_server *server, unsigned timeout_seconds, struct submit **out)
{
	const char *url = server->url;

	static const struct {
		const char *prefix;
		enum submit_kind kind;
	} schemes[] = { { "sendmail:", TO_SENDMAIL }, { "maildir:", TO_MAILDIR } };
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
		size_t len = strlen(schemes[i].prefix);
		if (str_starts(url, schemes[i].prefix) && url[len]) {
			struct submit *s = mem_alloc(sizeof *s);
			s->kind = schemes[i].kind;
			s->path = str_dup(url + len);
			s->timeout_seconds = timeout_seconds;
			*out = s;
			return ERR_OK;
		}
	}
	return err_fail(ERR_CONFIG,
	    "the submission \"%s\" is not understood; write sendmail:/PROGRAM or "
	    "maildir:/DIRECTORY",
	    url);
}

void submit_rest(struct submit *s)
{
	(void)s; /* every mail stands alone */
}

void submit_close(struct submit **s)
{
	if (*s) {
		str_free(&(*s)->path);
		free(*s);
		*s = NULL;
	}
}

/* Nothing that could begin another line or another address. */
static bool envelope_fits(const char *address)
{
	for (const char *c = address; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f || *c == '<' || *c == '>') {
			return false;
		}
	}
	return true;
}

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

static void keep_first_line(const struct submit *s, int status, const struct buf *errors)
{
	struct bytes rest = buf_bytes(errors), line = { 0 };
	bool said = bytes_line(&rest, &line) && line.len > 0;
	char *text = str_ndup(said ? (const char *)line.data : "", line.len);
	char *clean = utf8_printable(text, false);
	if (said) {
		err_fail(ERR_UNAVAILABLE, "%s: %s (exit status %d)", s->path, clean, status);
	} else {
		err_fail(ERR_UNAVAILABLE, "%s ended with exit status %d", s->path, status);
	}
	str_free(&clean);
	str_free(&text);
}

static enum submit_result by_sendmail(struct submit *s, const char *sender,
    const char *const *recipients, size_t count, struct bytes mail)
{
	struct buf text = BUF_INIT, said = BUF_INIT, errors = BUF_INIT;
	char **argv = mem_array(NULL, count + 6, sizeof *argv);
	size_t n = 0;
	argv[n++] = str_dup(s->path);
	argv[n++] = str_dup("-i");
	argv[n++] = str_dup("-f");
	argv[n++] = str_dup(sender[0] ? sender : "<>");
	argv[n++] = str_dup("--");
	for (size_t i = 0; i < count; i++) {
		argv[n++] = str_dup(recipients[i]);
	}
	argv[n] = NULL;

	int status = EX_TEMPFAIL;
	lines_add(&text, mail, "\n");
	enum err err =
	    proc_run(argv, buf_bytes(&text), s->timeout_seconds, &said, &errors, &status);
	enum submit_result result = err ? SUBMIT_TEMPORARY : result_of(status);
	if (!err && result != SUBMIT_SENT) {
		keep_first_line(s, status, &errors);
	}
	for (size_t i = 0; i < n; i++) {
		str_free(&argv[i]);
	}
	free(argv);
	buf_free(&errors);
	buf_free(&said);
	buf_free(&text);
	return result;
}

static enum submit_result by_maildir(struct submit *s, const char *sender,
    const char *const *recipients, size_t count, struct bytes mail)
{
	struct buf text = BUF_INIT;
	buf_addf(&text, "Return-Path: <%s>\n", sender);
	for (size_t i = 0; i < count; i++) {
		buf_addf(&text, "Delivered-To: %s\n", recipients[i]);
	}
	lines_add(&text, mail, "\n");
	enum err err = maildrop_deliver(s->path, buf_bytes(&text));
	buf_free(&text);
	return err ? SUBMIT_TEMPORARY : SUBMIT_SENT;
}

enum submit_result submit_send(
    struct submit *s, const char *sender, const char *const *recipients, struct bytes mail)
{
	bool fits = envelope_fits(sender);
	size_t count = 0;
	for (; recipients[count]; count++) {
		fits = fits && recipients[count][0] != '\0' && envelope_fits(recipients[count]);
	}
	if (!fits || count == 0) {
		err_fail(ERR_DATA, "an envelope address is missing or malformed");
		return SUBMIT_PERMANENT;
	}
	return s->kind == TO_SENDMAIL ? by_sendmail(s, sender, recipients, count, mail)
				      : by_maildir(s, sender, recipients, count, mail);
}

enum err submit_check(struct submit *s)
{
	if (s->kind == TO_MAILDIR) {
		enum err err = file_make_dir(s->path, 0700);
		if (err) {
			return err;
		}
	}
	if (access(s->path, s->kind == TO_SENDMAIL ? X_OK : W_OK) != 0) {
		return err_fail(
		    ERR_UNAVAILABLE, "cannot submit by %s: %s", s->path, strerror(errno));
	}
	return ERR_OK;
}
