/* submit: handing a finished mail to a mail server: sendmail and Maildir here; SMTP fits in the
 * same calls. */
#ifndef MAIL_SUBMIT_H
#define MAIL_SUBMIT_H

#include "base/buf.h"

struct submit;

enum submit_result {
	SUBMIT_SENT,
	SUBMIT_TEMPORARY, /* try again later; err_text() says what the server said */
	SUBMIT_PERMANENT, /* will not work; likewise */
	SUBMIT_IN_DOUBT,  /* connection lost after the final dot: same bytes again */
};

/* "sendmail:/usr/sbin/sendmail" (called as PATH -i -f SENDER -- RECIPIENT…) or "maildir:DIR".
 * ERR_CONFIG for a bad URL. */
CHECKED enum err submit_open(const char *url, unsigned timeout_seconds, struct submit **out);
void submit_close(struct submit **s);
/* `sender` "" is the null sender. `recipients` NULL-terminated. For maildir: a Delivered-To and
 * Return-Path line are put in front. */
CHECKED enum submit_result submit_send(
    struct submit *s, const char *sender, const char *const *recipients, struct bytes mail);
/* For `countersignd -n`: can it be reached? */
CHECKED enum err submit_check(struct submit *s);

#endif
