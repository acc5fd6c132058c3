/* submit_session: one SMTP connection, from the greeting to the login (RFC 5321, 3207, 4954); under submit_smtp.c alone. */
#ifndef MAIL_SUBMIT_SESSION_INTERNAL_H
#define MAIL_SUBMIT_SESSION_INTERNAL_H

#include "mail/server_internal.h"
#include "mail/submit.h"

struct session {
	struct server *server; /* NULL: not connected */
	MMAPString *line;
	int code;         /* of the last reply; 0: there was none */
	struct buf reply; /* its lines without codes, each with an LF */
	/* What the server said to EHLO. */
	bool offers_starttls, offers_8bit, offers_utf8, offers_size, offers_dsn;
	uint64_t size_most;    /* 0: it tells no limit */
	struct buf mechanisms; /* "PLAIN LOGIN" */
};

void session_init(struct session *session);
void session_clear(struct session *session);

/* Connects, greets, upgrades, logs in. SUBMIT_SENT, or SUBMIT_NO_SERVER or SUBMIT_DENIED and then not connected. */
CHECKED enum submit_result session_open(
    struct session *session, const struct conf_server *conf, unsigned timeout_seconds);
/* Closes without a word; nothing if not connected. */
void session_drop(struct session *session);
/* Says QUIT, and waits no longer than a moment for the answer. */
void session_quit(struct session *session);

/* Sends one line (without its end) and reads the reply: session->code. */
void session_ask(struct session *session, const char *format, ...) PRINTF_LIKE(2, 3);
/* Writes what is no command, with a deadline of its own; false when the connection broke. */
CHECKED bool session_write(struct session *session, struct bytes data);
void session_read_reply(struct session *session);
/* RFC 5321 4.5.3.2.6: who does not wait long enough for this answer sends the mail twice. */
#define SESSION_DOT_SECONDS 600
/* Ends the mail, and waits that long for the answer, or longer. */
void session_ask_dot(struct session *session);
/* What the last reply means to a mail, with err_text() what the server said. 2xx and 3xx, where they are not expected: SUBMIT_NO_SERVER. */
enum submit_result session_judge(const struct session *session);

#endif
