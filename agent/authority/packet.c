#include "packet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/wire.h"

#define DESCRIPTORS_MAX 2

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void packet_free(struct packet *packet)
{
	buf_free(&packet->body);
	close_fd(&packet->fd);
	close_fd(&packet->ticket);
}

enum err packet_send(int socket, enum packet_type type, struct bytes body, int fd, int ticket)
{
	/* What descriptors follow, in order: the payload first. */
	uint8_t head[4] = { PACKET_VERSION, (uint8_t)type, fd >= 0, ticket >= 0 };
	struct iovec iov[2] = { { head, sizeof head }, { .iov_len = body.len } };
	memcpy(&iov[1].iov_base, &body.data,
	    sizeof iov[1].iov_base); /* sendmsg does not write there */
	union {
		char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	int fds[DESCRIPTORS_MAX];
	size_t count = 0;

	if (body.len > PACKET_BODY_MAX)
		return err_fail(ERR_SOFTWARE, "a packet of %zu bytes is too long", body.len);
	if (fd >= 0)
		fds[count++] = fd;
	if (ticket >= 0)
		fds[count++] = ticket;
	if (count > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	for (;;) {
		if (sendmsg(socket, &msg, MSG_NOSIGNAL) >= 0)
			return ERR_OK;
		if (errno == EAGAIN)
			return err_fail(ERR_TEMPORARY, "a process of ours is too busy to listen");
		if (errno != EINTR)
			return err_fail(
			    ERR_IO, "cannot send to a process of ours: %s", strerror(errno));
	}
}

/* Takes the descriptors out of a message; more than announced are closed. */
static void take_descriptors(struct msghdr *msg, bool want_fd, bool want_ticket, struct packet *out)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (want_fd && out->fd < 0)
				out->fd = fd;
			else if (want_ticket && out->ticket < 0)
				out->ticket = fd;
			else
				close(fd);
		}
	}
}

enum err packet_receive(int socket, struct packet *out)
{
	uint8_t bytes[4 + PACKET_BODY_MAX];
	struct iovec iov = { bytes, sizeof bytes };
	union {
		char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes };
	ssize_t n;

	*out = (struct packet){ .fd = -1, .ticket = -1 };
	do
		n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return err_fail(ERR_TEMPORARY, "no packet waits");
	if (n < 0)
		return err_fail(
		    ERR_IO, "cannot receive from a process of ours: %s", strerror(errno));
	if (n == 0)
		return err_fail(ERR_NOINPUT, "a process of ours has gone");
	take_descriptors(&msg, n >= 4 && bytes[2], n >= 4 && bytes[3], out);
	bool whole = n >= 4 && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
		     bytes[0] == PACKET_VERSION && bytes[1] >= PACKET_REPORT &&
		     bytes[1] < PACKET_TYPES && (!bytes[2] || out->fd >= 0) &&
		     (!bytes[3] || out->ticket >= 0);
	if (!whole) {
		packet_free(out);
		return err_fail(ERR_PROTOCOL, "a process of ours sent something that is no packet");
	}
	out->type = (enum packet_type)bytes[1];
	buf_add(&out->body, bytes + 4, (size_t)n - 4);
	return ERR_OK;
}

enum err packet_ask(int socket, enum packet_type type, struct bytes body, int fd, int *ticket_out)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_fail(ERR_SYSTEM, "cannot make a socket pair: %s", strerror(errno));
	enum err rc = packet_send(socket, type, body, fd, pair[1]);
	close(pair[1]);
	if (rc != ERR_OK) {
		close(pair[0]);
		return rc;
	}
	*ticket_out = pair[0];
	return ERR_OK;
}

enum err packet_call(int socket, enum packet_type type, struct bytes body, int fd, unsigned seconds,
    struct packet *answer_out)
{
	int ticket;
	enum err rc = packet_ask(socket, type, body, fd, &ticket);
	if (rc != ERR_OK)
		return rc;
	struct pollfd p = { .fd = ticket, .events = POLLIN };
	int ready;
	do
		ready = poll(&p, 1, (int)seconds * 1000);
	while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		rc = err_fail(
		    ERR_TEMPORARY, "a process of ours did not answer in %u seconds", seconds);
	else if (packet_receive(ticket, answer_out) != ERR_OK)
		rc = err_fail(ERR_TEMPORARY, "a process of ours ended or gave up before it answered");
	close(ticket);
	return rc;
}
