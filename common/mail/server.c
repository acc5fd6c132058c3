#include "mail/server_internal.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/when.h"
#include "mail/server_link_internal.h"
#include "text/address.h"

#define STREAM_BUFFER_BYTES 16384
#define ANSWER_BYTES_MOST ((size_t)1 << 20)

/* A peer that is gone without a word is noticed within about two minutes, also where nobody waits for an answer. */
#define KEEPALIVE_IDLE_SECONDS 60
#define KEEPALIVE_EACH_SECONDS 15
#define KEEPALIVE_PROBES 4
#define UNACKNOWLEDGED_MS 90000

enum err link_break(struct server *server, const char *format, ...)
{
	struct buf text = BUF_INIT;
	va_list ap;

	if (!server->link->fault) {
		buf_addf(&text, "%s ", server->name);
		va_start(ap, format);
		buf_vaddf(&text, format, ap);
		va_end(ap);
		if (text.data[text.len - 1] == '.') /* as GnuTLS ends its sentences */
			text.len--;
		server->link->fault = buf_take_text(&text);
	}
	return err_fail(ERR_UNAVAILABLE, "%s", server->link->fault);
}

enum err server_fault(const struct server *server)
{
	if (server->link->fault)
		return err_fail(ERR_UNAVAILABLE, "%s", server->link->fault);
	return err_fail(ERR_UNAVAILABLE, "%s sent what can't be understood", server->name);
}

/* 1: ready, 0: the deadline has passed, -1: errno. What poll thinks wrong, reading or writing will tell. */
static int wait_ready(int fd, short events, int64_t deadline_ms)
{
	for (;;) {
		int64_t left = deadline_ms - when_monotonic_ms();
		struct pollfd p = { .fd = fd, .events = events };
		if (left <= 0)
			return 0;
		int ready = poll(&p, 1, (int)(left < INT_MAX ? left : INT_MAX));
		if (ready > 0 || (ready < 0 && errno != EINTR))
			return ready;
	}
}

enum err link_wait(struct server *server, short events)
{
	struct server_link *link = server->link;
	int ready, now = 1;

	/* Some servers (Cyrus) send an answer in pieces and wait for each to be acknowledged, for which the kernel takes 40 ms. */
	if (events & POLLIN)
		(void)setsockopt(link->fd, IPPROTO_TCP, TCP_QUICKACK, &now, sizeof now);
	ready = wait_ready(link->fd, events, link->deadline_ms);
	if (ready > 0)
		return ERR_OK;
	if (ready < 0)
		return link_break(server, "is lost: %s", strerror(errno));
	return link_break(server,
	    events & POLLOUT ? "did not take what it was sent within %u s"
			     : "did not answer within %u s",
	    link->seconds);
}

/* ---- the driver under libetpan's stream: it reads at least one byte, or writes all, or fails for good ---- */

static void say_lost(struct server *server, int fault)
{
	server->link->closed = fault == EPIPE || fault == ECONNRESET;
	if (server->link->closed)
		(void)link_break(server, "closed the connection");
	else
		(void)link_break(server, "is lost: %s", strerror(fault));
}

/* -1 for GnuTLS' `rc`: with errno EAGAIN where it has to be waited, EINTR where not, else the fault is told. */
static ssize_t tls_failed(struct server *server, ssize_t rc)
{
	int fault = errno;

	if (rc == GNUTLS_E_PULL_ERROR || rc == GNUTLS_E_PUSH_ERROR)
		say_lost(server, fault);
	else if (rc == GNUTLS_E_PREMATURE_TERMINATION)
		say_lost(server, ECONNRESET);
	else if (gnutls_error_is_fatal((int)rc) || rc == GNUTLS_E_REHANDSHAKE)
		(void)link_break(server, "broke TLS: %s", gnutls_strerror((int)rc));
	errno = rc == GNUTLS_E_AGAIN ? EAGAIN : EINTR;
	return -1;
}

static ssize_t plain_failed(struct server *server)
{
	if (errno != EAGAIN && errno != EINTR)
		say_lost(server, errno);
	return -1;
}

/* One attempt. An end is an error, never 0: libetpan would spin on it. */
static ssize_t read_some(struct server *server, void *data, size_t len)
{
	struct server_link *link = server->link;
	ssize_t got =
	    link->tls ? gnutls_record_recv(link->tls, data, len) : recv(link->fd, data, len, 0);

	if (got > 0)
		return got;
	if (got < 0)
		return link->tls ? tls_failed(server, got) : plain_failed(server);
	say_lost(server, ECONNRESET);
	return -1;
}

static ssize_t stream_read(mailstream_low *low, void *data, size_t len)
{
	struct server *server = low->data;
	struct server_link *link = server->link;

	if (link->bytes_left == 0)
		(void)link_break(server, "sent more than %zu bytes at once", link->bytes_most);
	if (len > link->bytes_left)
		len = link->bytes_left;
	while (!link->fault) {
		/* Also one that never pauses has to come to its end. */
		if (when_monotonic_ms() >= link->deadline_ms && link_wait(server, POLLIN))
			break;
		ssize_t got = read_some(server, data, len);
		if (got > 0) {
			link->bytes_left -= (size_t)got;
			return got;
		}
		if (!link->fault && errno == EAGAIN && (link->peeking || link_wait(server, POLLIN)))
			break;
	}
	return -1;
}

static ssize_t write_some(struct server *server, const void *data, size_t len)
{
	struct server_link *link = server->link;
	ssize_t put = link->tls ? gnutls_record_send(link->tls, data, len)
				: send(link->fd, data, len, MSG_NOSIGNAL);

	if (put >= 0)
		return put;
	return link->tls ? tls_failed(server, put) : plain_failed(server);
}

static ssize_t stream_write(mailstream_low *low, const void *data, size_t len)
{
	struct server *server = low->data;
	struct server_link *link = server->link;
	size_t done = 0;

	while (done < len && !link->fault) {
		ssize_t put = write_some(server, (const uint8_t *)data + done, len - done);
		if (put > 0)
			done += (size_t)put;
		else if (!link->fault && errno == EAGAIN && link_wait(server, POLLOUT))
			break;
	}
	return link->fault ? -1 : (ssize_t)len;
}

static int stream_close(mailstream_low *low)
{
	struct server *server = low->data;

	link_tls_end(server->link);
	if (server->link->fd >= 0)
		close(server->link->fd);
	server->link->fd = -1;
	return 0;
}

static int stream_fd(mailstream_low *low)
{
	return server_fd(low->data);
}

/* mailstream_close ends here, whoever called it. */
static void stream_free(mailstream_low *low)
{
	struct server *server = low->data;

	server->stream = NULL;
	free(low);
}

static mailstream_low_driver driver = {
	.mailstream_read = stream_read,
	.mailstream_write = stream_write,
	.mailstream_close = stream_close,
	.mailstream_get_fd = stream_fd,
	.mailstream_free = stream_free,
};

/* ---- the connection ---- */

static void set_options(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS },
		{ IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_EACH_SECONDS },
		{ IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS },
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
	};

	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		(void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
		    sizeof options[i].value);
}

/* -1 with errno. */
static int connect_one(const struct addrinfo *to, int64_t deadline_ms)
{
	int fault = 0, fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof fault;

	if (fd < 0)
		return -1;
	if (connect(fd, to->ai_addr, to->ai_addrlen) < 0) {
		fault = errno;
		if (fault == EINPROGRESS && wait_ready(fd, POLLOUT, deadline_ms) == 0)
			fault = ETIMEDOUT;
		else if (fault == EINPROGRESS &&
			 getsockopt(fd, SOL_SOCKET, SO_ERROR, &fault, &len) < 0)
			fault = errno;
	}
	if (fault) {
		close(fd);
		errno = fault;
		return -1;
	}
	set_options(fd);
	return fd;
}

/* Every address has its share of the time that is left, so that one that swallows everything does not take it all. */
static enum err connect_any(struct server *server, struct addrinfo *found)
{
	struct server_link *link = server->link;
	int fault = 0, count = 0;

	for (struct addrinfo *a = found; a; a = a->ai_next)
		count++;
	for (struct addrinfo *a = found; a && link->fd < 0; a = a->ai_next, count--) {
		int64_t now = when_monotonic_ms();
		link->fd = connect_one(a, now + (link->deadline_ms - now) / count);
		/* The addresses that this machine can't reach at all come last (RFC 6724): the first fault says most. */
		if (link->fd < 0 && fault == 0)
			fault = errno;
	}
	if (link->fd < 0)
		return link_break(server, "can't be reached: %s", strerror(fault));
	return ERR_OK;
}

static enum err connect_name(struct server *server)
{
	const char *host = server->link->host;
	bool is_address = strchr(host, ':') || host[strspn(host, "0123456789.")] == '\0';
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = is_address ? AI_NUMERICHOST : AI_ADDRCONFIG };
	struct addrinfo *found = NULL;
	char port[8];

	(void)snprintf(port, sizeof port, "%u", server->url.port);
	int fault = getaddrinfo(host, port, &hints, &found);
	if (fault)
		return link_break(server, "is not found: %s",
		    fault == EAI_SYSTEM ? strerror(errno) : gai_strerror(fault));
	server_begin(server, 0, 0); /* the resolver keeps its own time */
	enum err err = connect_any(server, found);
	freeaddrinfo(found);
	return err;
}

enum err server_host_ascii(const char *host, char **out)
{
	bool ascii = true;

	for (const char *c = host; *c; c++)
		ascii = ascii && (unsigned char)*c < 128;
	if (ascii) {
		*out = str_dup(host);
		return ERR_OK;
	}
	char *address = str_printf("x@%s", host), *canonical = NULL;
	enum err err = address_canonical(address, &canonical);
	if (!err)
		*out = str_dup(address_domain(canonical));
	else
		err = err_fail(
		    ERR_CONFIG, "\"%s\" can't be the name of a server: %s", host, err_text());
	str_free(&canonical);
	str_free(&address);
	return err;
}

static enum err server_make(const struct conf_server *conf, unsigned default_port,
    unsigned timeout_seconds, struct server **out)
{
	struct url url = { 0 };
	char *host = NULL;
	enum err err = url_parse(conf->url, URL_MAILBOX_SCHEMES " " URL_SUBMIT_SCHEMES, &url);

	if (!err)
		err = server_host_ascii(url.host, &host);
	if (err) {
		url_free(&url);
		return err;
	}
	struct server *server = mem_alloc(sizeof *server);
	url.port = url.port ? url.port : default_port;
	server->conf = conf;
	server->url = url;
	server->name = str_printf(strchr(url.host, ':') ? "[%s]:%u" : "%s:%u", url.host, url.port);
	server->timeout_seconds = timeout_seconds;
	server->link = mem_alloc(sizeof *server->link);
	server->link->fd = -1;
	server->link->host = host;
	*out = server;
	return ERR_OK;
}

enum err server_open(const struct conf_server *conf, unsigned default_port, bool tls_at_once,
    unsigned timeout_seconds, struct server **out)
{
	struct server *server = NULL;
	enum err err = server_make(conf, default_port, timeout_seconds, &server);

	*out = NULL;
	if (err)
		return err;
	server_begin(server, 0, 0);
	err = connect_name(server);
	if (!err && tls_at_once && !str_equal(conf->tls, "off"))
		err = link_tls_start(server);
	if (!err) {
		mailstream_low *low = mailstream_low_new(server, &driver);
		server->stream = low ? mailstream_new(low, STREAM_BUFFER_BYTES) : NULL;
		if (!server->stream) {
			free(low);
			err = err_fail(ERR_SYSTEM, "out of memory");
		}
	}
	if (err)
		server_close(&server);
	*out = server;
	return err;
}

enum err server_upgrade(struct server *server)
{
	if (!server->stream || server->stream->read_buffer_len || server->stream->write_buffer_len)
		return link_break(server, "sent something before TLS had begun: refused");
	server_begin(server, 0, 0);
	return link_tls_start(server);
}

bool server_is_encrypted(const struct server *server)
{
	return server->link->tls != NULL;
}

void server_close(struct server **server)
{
	struct server *s = *server;

	if (!s)
		return;
	if (s->stream) {
		(void)mailstream_close(s->stream);
	} else {
		link_tls_end(s->link);
		if (s->link->fd >= 0)
			close(s->link->fd);
	}
	str_free(&s->link->host);
	str_free(&s->link->fault);
	free(s->link);
	str_free(&s->name);
	url_free(&s->url);
	free(s);
	*server = NULL;
}

void server_begin(struct server *server, unsigned seconds, size_t bytes)
{
	struct server_link *link = server->link;

	link->seconds = seconds ? seconds : server->timeout_seconds;
	link->deadline_ms = when_monotonic_ms() + (int64_t)link->seconds * 1000;
	link->bytes_most = bytes ? bytes : ANSWER_BYTES_MOST;
	link->bytes_left = link->bytes_most;
}

bool server_has_closed(const struct server *server)
{
	return server->link->closed;
}

int server_fd(const struct server *server)
{
	return server->link->fd;
}

/* A poll may also tell of half a TLS record, or of one that brings no data. */
enum err server_peek(struct server *server, bool *some_out)
{
	struct server_link *link = server->link;

	link->peeking = true;
	if (server->stream->read_buffer_len == 0)
		(void)mailstream_feed_read_buffer(server->stream);
	link->peeking = false;
	*some_out = server->stream->read_buffer_len > 0;
	return link->fault && !*some_out ? server_fault(server) : ERR_OK;
}

bool server_has_buffered(const struct server *server)
{
	return (server->stream && server->stream->read_buffer_len > 0) ||
	       (server->link->tls && gnutls_record_check_pending(server->link->tls) > 0);
}
