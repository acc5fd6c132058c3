/* server_link: what server.c (the connection) and server_tls.c (what is on it) share; nobody else looks in. */
#ifndef MAIL_SERVER_LINK_INTERNAL_H
#define MAIL_SERVER_LINK_INTERNAL_H

#include <gnutls/gnutls.h>

#include "mail/server_internal.h"

struct server_link {
	int fd;
	char *host; /* with A-labels: what is looked up, and what the certificate has to name */
	gnutls_session_t tls; /* NULL: plain */
	gnutls_certificate_credentials_t trust;
	gnutls_typed_vdata_st expected[2]; /* GnuTLS keeps a pointer to it through the handshake */
	int64_t deadline_ms;
	unsigned seconds; /* that the deadline was set for */
	size_t bytes_left, bytes_most;
	bool peeking; /* nobody wants to wait */
	char *fault;  /* what broke it; NULL while all is well */
	bool closed;  /* by the other side */
};

/* Keeps the first fault, and gives ERR_UNAVAILABLE with it. */
enum err link_break(struct server *server, const char *format, ...) PRINTF_LIKE(2, 3);
/* Until the descriptor is ready for `events` of poll; ERR_UNAVAILABLE at the deadline. */
CHECKED enum err link_wait(struct server *server, short events);

/* The handshake on the connection, with everything verified. */
CHECKED enum err link_tls_start(struct server *server);
void link_tls_end(struct server_link *link);

#endif
