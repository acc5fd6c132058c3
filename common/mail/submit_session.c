#include "mail/submit_session_internal.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/encode.h"
#include "mail/sasl_internal.h"
#include "text/utf8.h"

#define PORT_SUBMISSION 587  /* RFC 6409 3.1 */
#define PORT_SUBMISSIONS 465 /* RFC 8314 7.3 */
#define REPLY_BYTES_MOST 65536
#define COMMAND_BYTES_MOST 512 /* RFC 5321 4.5.3.1.4, with CRLF */
#define QUIT_SECONDS 1

void session_init(struct session *session)
{
	*session = (struct session){ .line = mmap_string_new("") };
	if (!session->line)
		abort();
}

void session_clear(struct session *session)
{
	session_drop(session);
	mmap_string_free(session->line);
	buf_free(&session->reply);
	buf_free(&session->mechanisms);
}

void session_drop(struct session *session)
{
	server_close(&session->server);
}

/* ---- lines ---- */

/* 1: the last line of a reply, 0: another follows, -1: not SMTP. */
static int take_line(struct session *session, const char *line)
{
	if (!isdigit((unsigned char)line[0]) || !isdigit((unsigned char)line[1]) ||
	    !isdigit((unsigned char)line[2]) || (line[3] && line[3] != ' ' && line[3] != '-'))
		return -1;
	session->code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
	buf_add_text(&session->reply, line[3] ? line + 4 : "");
	buf_add_byte(&session->reply, '\n');
	return line[3] != '-';
}

void session_read_reply(struct session *session)
{
	int more = 0;

	buf_clear(&session->reply);
	session->code = 0;
	while (more == 0) {
		const char *line =
		    mailstream_read_line_remove_eol(session->server->stream, session->line);
		more = line ? take_line(session, line) : -1;
	}
	if (more < 0)
		session->code = 0;
}

bool session_write(struct session *session, struct bytes data)
{
	mailstream *stream = session->server->stream;

	server_begin(session->server, 0, REPLY_BYTES_MOST);
	return mailstream_write(stream, data.data, data.len) == (ssize_t)data.len &&
	       mailstream_flush(stream) == 0;
}

static void ask_line(struct session *session, struct buf *line)
{
	session->code = 0;
	buf_clear(&session->reply);
	buf_add_text(line, "\r\n");
	if (session_write(session, buf_bytes(line)))
		session_read_reply(session);
	/* The stream would keep a password in its buffer. */
	if (line->secret)
		mem_wipe(session->server->stream->write_buffer,
		    session->server->stream->buffer_max_size);
}

void session_ask(struct session *session, const char *format, ...)
{
	struct buf line = BUF_INIT;
	va_list ap;

	va_start(ap, format);
	buf_vaddf(&line, format, ap);
	va_end(ap);
	ask_line(session, &line);
	buf_free(&line);
}

void session_ask_dot(struct session *session)
{
	unsigned seconds = session->server->timeout_seconds;

	buf_clear(&session->reply);
	session->code = 0;
	if (!session_write(session, bytes_of_text(".\r\n")))
		return;
	server_begin(session->server, seconds > SESSION_DOT_SECONDS ? seconds : SESSION_DOT_SECONDS,
	    REPLY_BYTES_MOST);
	session_read_reply(session);
}

/* Keeps what the server said as the error's sentence. */
static enum err say_reply(const struct session *session)
{
	if (session->code == 0)
		return server_fault(session->server);
	char *first = str_ndup(buf_text(&session->reply), strcspn(buf_text(&session->reply), "\n"));
	char *clean = utf8_printable(first, false);
	enum err err = err_fail(ERR_UNAVAILABLE, "%s: %d%s%s", session->server->name, session->code,
	    *clean ? " " : "", clean);
	str_free(&clean);
	str_free(&first);
	return err;
}

enum submit_result session_judge(const struct session *session)
{
	say_reply(session);
	/* RFC 4954 6: it wants a login first. To one who is logged in it says something about the mail. */
	if (session->code == 530 && !session->server->url.user)
		return SUBMIT_DENIED;
	if (session->code == 421)
		return SUBMIT_NO_SERVER;
	return session->code / 100 == 4   ? SUBMIT_TEMPORARY
	       : session->code / 100 == 5 ? SUBMIT_PERMANENT
					  : SUBMIT_NO_SERVER;
}

/* Before a mail is spoken of, no refusal is the mail's fault. */
static enum submit_result no_server(const struct session *session)
{
	say_reply(session);
	return SUBMIT_NO_SERVER;
}

/* ---- EHLO ---- */

/*
 * Our own address as a literal (RFC 5321 4.1.3): always true, and known to the server anyway. A host name may be unknown to DNS, or tell what
 * nobody outside has to know; and the sender's domain is not who we are.
 */
static char *own_literal(const struct session *session)
{
	struct sockaddr_storage own = { 0 };
	socklen_t len = sizeof own;
	char text[INET6_ADDRSTRLEN] = "127.0.0.1";

	if (getsockname(server_fd(session->server), (struct sockaddr *)&own, &len) == 0 &&
	    own.ss_family == AF_INET6) {
		(void)inet_ntop(
		    AF_INET6, &((struct sockaddr_in6 *)&own)->sin6_addr, text, sizeof text);
		return str_printf("[IPv6:%s]", text);
	}
	(void)inet_ntop(AF_INET, &((struct sockaddr_in *)&own)->sin_addr, text, sizeof text);
	return str_printf("[%s]", text);
}

/* What follows the keyword in a line of the answer, or NULL if it is about another. */
static const char *after_keyword(const char *line, const char *keyword)
{
	size_t len = strlen(keyword);

	if (strncasecmp(line, keyword, len) != 0 || (line[len] && line[len] != ' '))
		return NULL;
	return line + len + strspn(line + len, " ");
}

static void take_offer(struct session *session, const char *line)
{
	const char *rest;

	session->offers_starttls |= after_keyword(line, "STARTTLS") != NULL;
	session->offers_8bit |= after_keyword(line, "8BITMIME") != NULL;
	session->offers_utf8 |= after_keyword(line, "SMTPUTF8") != NULL;
	session->offers_dsn |= after_keyword(line, "DSN") != NULL;
	if ((rest = after_keyword(line, "SIZE"))) {
		session->offers_size = true;
		session->size_most = strtoull(rest, NULL, 10);
	}
	if ((rest = after_keyword(line, "AUTH")))
		buf_addf(&session->mechanisms, "%s ", rest);
}

static enum submit_result hello(struct session *session)
{
	char *literal = own_literal(session);
	struct bytes rest, line;

	session->offers_dsn = session->offers_starttls = session->offers_8bit =
	    session->offers_utf8 = session->offers_size = false;
	session->size_most = 0;
	buf_clear(&session->mechanisms);
	session_ask(session, "EHLO %s", literal);
	str_free(&literal);
	if (session->code != 250)
		return no_server(session);
	rest = buf_bytes(&session->reply);
	(void)bytes_line(&rest, &line); /* its name */
	while (bytes_line(&rest, &line)) {
		char *text = str_ndup((const char *)line.data, line.len);
		take_offer(session, text);
		str_free(&text);
	}
	return SUBMIT_SENT;
}

static enum submit_result start_tls(struct session *session)
{
	if (!session->offers_starttls) {
		err_fail(ERR_UNAVAILABLE,
		    "%s does not offer STARTTLS: nothing is entrusted to it in the clear",
		    session->server->name);
		return SUBMIT_NO_SERVER;
	}
	session_ask(session, "STARTTLS");
	if (session->code != 220)
		return no_server(session);
	if (server_upgrade(session->server) != ERR_OK)
		return SUBMIT_NO_SERVER;
	return hello(session);
}

/* ---- AUTH ---- */

/* RFC 4954 4: an answer that makes the line too long is not sent with the command. */
static enum err begin_login(struct session *session, struct sasl *sasl, const char *mechanism)
{
	struct buf line = BUF_SECRET, answer = BUF_SECRET;
	enum err err = ERR_OK;

	buf_addf(&line, "AUTH %s", mechanism);
	if (sasl_begins(sasl)) {
		err = sasl_answer(sasl, bytes_of(NULL, 0), &answer);
		buf_add_byte(&line, ' ');
		base64_add(&line, buf_bytes(&answer), 0, "");
	}
	if (!err && line.len + 2 <= COMMAND_BYTES_MOST) {
		ask_line(session, &line);
	} else if (!err) {
		session_ask(session, "AUTH %s", mechanism);
		buf_clear(&line);
		base64_add(&line, buf_bytes(&answer), 0, "");
		if (session->code == 334)
			ask_line(session, &line);
	}
	buf_free(&answer);
	buf_free(&line);
	return err;
}

/* The server's challenge is in the reply. */
static enum err continue_login(struct session *session, struct sasl *sasl)
{
	struct buf challenge = BUF_INIT, answer = BUF_SECRET, line = BUF_SECRET;
	struct bytes text = buf_bytes(&session->reply);
	enum err err = base64_read(text, &challenge);

	/* What LOGIN's challenges say matters to nobody, nor does it matter that some servers do not encode them. */
	if (err && !sasl_begins(sasl))
		err = ERR_OK;
	if (!err)
		err = sasl_answer(sasl, buf_bytes(&challenge), &answer);
	if (!err) {
		base64_add(&line, buf_bytes(&answer), 0, "");
		ask_line(session, &line);
	}
	buf_free(&line);
	buf_free(&answer);
	buf_free(&challenge);
	return err;
}

/*
 * RFC 4954 6: 4xx is the server's own trouble, 5xx means the credentials. Some say nothing to a wrong password but that they end the session: to try
 * again soon would lock the account.
 */
static enum submit_result judge_login(
    const struct session *session, const struct sasl *sasl, const char *mechanism)
{
	bool ended =
	    session->code == 421 || (session->code == 0 && server_has_closed(session->server));

	if (session->code == 235)
		return sasl_proved(sasl) == ERR_OK ? SUBMIT_SENT : SUBMIT_NO_SERVER;
	say_reply(session);
	if (session->code / 100 != 5 && !ended)
		return SUBMIT_NO_SERVER;
	(void)server_refused(session->server, mechanism, ended ? "was cut short" : "was refused");
	return SUBMIT_DENIED;
}

static enum submit_result log_in(struct session *session)
{
	struct buf secret = BUF_SECRET;
	struct sasl *sasl = NULL;
	enum submit_result result = SUBMIT_NO_SERVER;
	const char *mechanism = server_mechanism(session->server, buf_text(&session->mechanisms));
	enum err err = mechanism ? server_secret(session->server, &secret) : ERR_UNAVAILABLE;

	if (err)
		goto out;
	sasl = sasl_open(session->server, mechanism, &secret);
	err = begin_login(session, sasl, mechanism);
	while (!err && session->code == 334)
		err = continue_login(session, sasl);
	if (!err)
		result = judge_login(session, sasl, mechanism);
	else if (err == ERR_DENIED)
		result = SUBMIT_DENIED;
out:
	sasl_free(&sasl);
	buf_free(&secret);
	return result;
}

/* ---- the whole ---- */

static enum submit_result converse(struct session *session)
{
	struct server *server = session->server;
	enum submit_result result;

	session_read_reply(session);
	if (session->code != 220)
		return no_server(session);
	result = hello(session);
	if (result == SUBMIT_SENT && !server_is_encrypted(server) &&
	    !str_equal(server->conf->tls, "off"))
		result = start_tls(session);
	if (result == SUBMIT_SENT && server->url.user)
		result = log_in(session);
	return result;
}

enum submit_result session_open(
    struct session *session, const struct conf_server *conf, unsigned timeout_seconds)
{
	bool tls_at_once = str_starts_case(conf->url, "submissions:");

	if (server_open(conf, tls_at_once ? PORT_SUBMISSIONS : PORT_SUBMISSION, tls_at_once,
		timeout_seconds, &session->server) != ERR_OK)
		return SUBMIT_NO_SERVER;
	server_begin(session->server, 0, REPLY_BYTES_MOST);
	enum submit_result result = converse(session);
	if (result != SUBMIT_SENT)
		session_drop(session);
	return result;
}

void session_quit(struct session *session)
{
	static const char quit[] = "QUIT\r\n";

	if (!session->server)
		return;
	server_begin(session->server, QUIT_SECONDS, REPLY_BYTES_MOST);
	if (mailstream_write(session->server->stream, quit, strlen(quit)) > 0 &&
	    mailstream_flush(session->server->stream) == 0)
		session_read_reply(session);
	session_drop(session);
}
