/* submit: handing a finished mail to a mail server: by the sendmail command, into a Maildir, or by SMTP submission (RFC 6409). */
#ifndef MAIL_SUBMIT_H
#define MAIL_SUBMIT_H

#include "base/buf.h"
#include "base/conf.h"

struct submit;

enum submit_result {
	SUBMIT_SENT,
	SUBMIT_TEMPORARY, /* try again later; err_text() says what the server said */
	SUBMIT_PERMANENT, /* will not work; likewise */
	SUBMIT_IN_DOUBT, /* no answer that tells after the final dot: it may have arrived; wait, and send the same bytes again */
	SUBMIT_NO_SERVER, /* no fault of the mail: not reached, not verified, lost before the dot, 421; wait, and send any */
	SUBMIT_DENIED, /* nor this: the server refused the credentials; wait long */
};

/*
 * "sendmail:/usr/sbin/sendmail" (called as PATH -i -f SENDER -- RECIPIENT…), "maildir:DIR", "submissions://…", "submission://…". Connects to
 * nothing yet; `server` has to outlive it. ERR_CONFIG for a bad URL.
 */
CHECKED enum err submit_open(
    const struct conf_server *server, unsigned timeout_seconds, struct submit **out);
void submit_close(struct submit **s);
/*
 * `sender` "" is the null sender. `recipients` NULL-terminated. For maildir: a Delivered-To and Return-Path line are put in front. By SMTP one
 * connection serves all mails until submit_rest; one that the server has closed meanwhile is opened again at once. Addresses are sent with
 * A-labels, and SMTPUTF8 only where the local part needs it (RFC 6531); where the server does not offer it: SUBMIT_PERMANENT.
 */
CHECKED enum submit_result submit_send(
    struct submit *s, const char *sender, const char *const *recipients, struct bytes mail);
/* How long submit_send may be silent at most: what it waits for one answer. By SMTP the answer to the final dot has ten minutes (RFC 5321 4.5.3.2.6). */
unsigned submit_seconds_most(const struct conf_server *server, unsigned timeout_seconds);
/* There is nothing to send for now: says QUIT to the server. */
void submit_rest(struct submit *s);
/* For `countersignd -n`: can it be reached, verified, logged in to? ERR_UNAVAILABLE, ERR_DENIED. */
CHECKED enum err submit_check(struct submit *s);

#endif
