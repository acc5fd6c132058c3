/*
 * server: a connection to a mail server: TCP, TLS by GnuTLS (libetpan verifies no certificate), login; under libetpan's IMAP and SMTP. Private to
 * this room.
 *
 * Every call has a deadline, no signal ends it, and a peer can neither make it hang nor make it read more than the budget. All errors are
 * sentences for an operator that name HOST:PORT. Only looking up a name takes as long as the system's resolver does: resolv.conf(5).
 */
#ifndef MAIL_SERVER_INTERNAL_H
#define MAIL_SERVER_INTERNAL_H

#include <libetpan/libetpan.h>

#include "base/conf.h"
#include "base/url.h"

struct server {
	const struct conf_server *conf;
	struct url url;
	char *name; /* "mail.example.org:993", for sentences */
	mailstream *
	    stream; /* what libetpan's sessions are given, which then own it: server_close tells a session's end from ours */
	struct server_link *link; /* the descriptor and the TLS session; server.c's own */
	unsigned timeout_seconds;
};

/*
 * Resolves; then, within one deadline, connects (to each address in turn), and where `tls_at_once` shakes hands: TLS 1.2 or later, SNI, chain,
 * time and host name or IP address verified, then the pin. ERR_UNAVAILABLE with the sentence: not found, refused, silent, expired, not for this name, not vouched for.
 */
CHECKED enum err server_open(const struct conf_server *conf, unsigned default_port,
    bool tls_at_once, unsigned timeout_seconds, struct server **out);
/* After STARTTLS was answered: nothing may be buffered (CVE-2020-15953); then the handshake as above. */
CHECKED enum err server_upgrade(struct server *server);
bool server_is_encrypted(const struct server *server);
/* A host name with A-labels (RFC 5890 2.3.2.1), as it is asked for, and as certificates and envelopes have it; malloc'ed. ERR_CONFIG when it can't be one. */
CHECKED enum err server_host_ascii(const char *host, char **out);
/* Closes the connection at once, without a word. */
void server_close(struct server **server);

/* Each operation (one command with its answer) is begun with its deadline in seconds (0: timeout_seconds) and how many bytes the peer may send in it (0: 1 MiB). */
void server_begin(struct server *server, unsigned seconds, size_t bytes);
/* What broke the connection last, as a sentence: "HOST:PORT closed the connection", "… did not answer within 60 s", "… sent more than …". */
CHECKED enum err server_fault(const struct server *server);
/* Whether that was the other side's will: it closed, or reset. */
bool server_has_closed(const struct server *server);
int server_fd(const struct server *server);
/* Reads what has come, without waiting for more: whether the stream now has something. */
CHECKED enum err server_peek(struct server *server, bool *some_out);
/* Whether something was read already that no poll will tell of. */
bool server_has_buffered(const struct server *server);

/*
 * Logging in. The mechanism is conf->sasl, or of those that the server offers (upper-case words between blanks) the best: with a token OAUTHBEARER, XOAUTH2; with a
 * password SCRAM-SHA-256, SCRAM-SHA-1, PLAIN, LOGIN. NULL with err_fail when none fits. No second one is tried after a refusal: that locks accounts.
 */
const char *server_mechanism(const struct server *server, const char *offered);
/* After a login by it that came to nothing: puts "the login of USER by MECHANISM WHAT", with a hint where another mechanism may help, before what err_text() says. */
enum err server_refused(const struct server *server, const char *mechanism, const char *what);
/* The password, or the token as the command prints it; one line, secret. ERR_CONFIG when it can't be had, with the reason. */
CHECKED enum err server_secret(const struct server *server, struct buf *out);
/* RFC 7628 3.1 for OAUTHBEARER, or the form of XOAUTH2: the initial response, not yet in base64; secret. */
void server_bearer(
    const struct server *server, const char *mechanism, const char *token, struct buf *out);

#endif
