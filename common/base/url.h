/* url: where a mailbox is, or where mail is handed over (RFC 3986, RFC 5092): "maildir:/PATH", "imaps://USER@HOST:PORT/FOLDER". */
#ifndef BASE_URL_H
#define BASE_URL_H

#include "base/buf.h"

#define URL_MAILBOX_SCHEMES "maildir: imaps:// imap://"
#define URL_SUBMIT_SCHEMES "sendmail: maildir: submissions:// submission://"

struct url {
	char *scheme; /* lower case */
	char *user;   /* percent-decoded; NULL if there is none */
	char *
	    host; /* without the brackets of an IPv6 address; NULL where the scheme has a path alone */
	unsigned port; /* 0: the scheme's own */
	char *
	    path; /* percent-decoded for a scheme with a host, and there without its first slash; "" if there is none */
};

/*
 * `schemes`: words between blanks; those that end in "//" have a host ("imaps:// maildir:"). ERR_CONFIG with a sentence for anything
 * else, also for a password, a query, or a host name that could not be one. Fills *out only when it succeeds.
 */
CHECKED enum err url_parse(const char *text, const char *schemes, struct url *out);
void url_free(struct url *url);
/* Whether the host is this machine by its very name: localhost, 127.0.0.0/8, ::1. */
bool url_is_loopback(const struct url *url);

#endif
