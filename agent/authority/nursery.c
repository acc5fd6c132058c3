/*
 * The parser nursery: a small process that holds nothing and forks one confined child per mail. A worker's own fork would carry the store's pages and the
 * key homes' paths into the process that parses strangers' bytes; this one has nothing to carry.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/journal.h"
#include "base/when.h"
#include "base/wire.h"
#include "confine/confine.h"
#include "mail/message.h"
#include "nursery.h"
#include "packet.h"
#include "role.h"
#include "text/utf8.h"

#define SENTENCE_BYTES_MOST 200
#define MAIL_BYTES_MOST (64u << 20)
#define NURSERY_FD_SOCKET ROLE_FD_FIRST

/* What a parser sends back: that it begins, then one of the others, then the packed message or the sentence. */
enum parse_answer { PARSE_BEGUN, PARSE_DONE, PARSE_REFUSED };
/* Exit statuses of a parser that could not even begin: for whoever looks with strace. */
enum { EX_NO_MAIL = 97, EX_NO_ANSWER, EX_NOT_CONFINED };

static void parse_job_write(const struct parse_job *job, struct buf *out)
{
	wire_put_i64(out, (int64_t)job->limits.mail_bytes);
	wire_put_i64(out, (int64_t)job->limits.header_bytes);
	wire_put_u32(out, job->limits.nesting);
	wire_put_u32(out, job->limits.parts);
	wire_put_u32(out, job->seconds);
	wire_put_i64(out, (int64_t)job->memory_bytes);
	wire_put_u8(out, job->truncated);
}

static enum err parse_job_read(struct bytes body, struct parse_job *out)
{
	struct wire w = wire_open(body);
	out->limits.mail_bytes = (size_t)wire_i64(&w);
	out->limits.header_bytes = (size_t)wire_i64(&w);
	out->limits.nesting = wire_u32(&w);
	out->limits.parts = wire_u32(&w);
	out->seconds = wire_u32(&w);
	out->memory_bytes = (size_t)wire_i64(&w);
	out->truncated = wire_u8(&w) != 0;
	return wire_end(&w);
}

/* The child: everything it needs is in memory or open when the door shuts. */
static _Noreturn void parse_child(const struct parse_job *job, int mail_fd, int answer_fd)
{
	static const uint8_t begun[] = { PARSE_BEGUN };
	struct buf mail = BUF_INIT, answer = BUF_INIT;
	struct message message = { 0 };
	struct confine_limits limits = { .seconds = job->seconds,
		.memory_bytes = job->memory_bytes };

	if (memfd_read(mail_fd, MAIL_BYTES_MOST, &mail) != ERR_OK)
		_exit(EX_NO_MAIL);
	close(mail_fd);
	close(STDERR_FILENO); /* what a mail makes of the parser shall not write to the journal */
	if (confine_parser(&limits) != ERR_OK)
		_exit(EX_NOT_CONFINED);
	if (file_write_fd(answer_fd, bytes_of(begun, sizeof begun)) != ERR_OK)
		_exit(EX_NO_ANSWER);
	if (message_parse(buf_bytes(&mail), &job->limits, &message) == ERR_OK) {
		message.truncated = job->truncated;
		wire_put_u8(&answer, PARSE_DONE);
		message_pack(&message, &answer);
	} else {
		wire_put_u8(&answer, PARSE_REFUSED);
		wire_put_text(&answer, err_text());
	}
	_exit(file_write_fd(answer_fd, buf_bytes(&answer)) == ERR_OK ? 0 : EX_NO_ANSWER);
}

static void take_job(int socket, struct packet *packet)
{
	struct parse_job job;

	if (packet->type != PACKET_PARSE || packet->fd < 0 || packet->ticket < 0 ||
	    parse_job_read(buf_bytes(&packet->body), &job) != ERR_OK) {
		journal_warning("dropped a packet that is no parsing job");
		return;
	}
	pid_t pid = fork();
	if (pid == 0) {
		close(socket);
		close(ROLE_FD_REPORT);
		parse_child(&job, packet->fd, packet->ticket);
	}
	if (pid < 0)
		journal_error("cannot fork a parser: %s",
		    strerror(errno)); /* the worker sees the ticket close */
}

int nursery_main(void)
{
	int socket = NURSERY_FD_SOCKET;

	close(ROLE_FD_CONF); /* the jobs bring their limits along */
	message_preload();
	(void)signal(SIGCHLD, SIG_IGN); /* parsers leave no zombies: the worker sees how they end */
	if (confine_nursery() != ERR_OK) {
		role_report(false, err_text());
		return err_exit_status(ERR_SYSTEM);
	}
	role_report(true, NULL);
	for (;;) {
		struct packet packet;
		enum err rc = packet_receive(socket, &packet);
		if (rc == ERR_NOINPUT || rc == ERR_IO)
			return 0;
		if (rc == ERR_OK) {
			take_job(socket, &packet);
			packet_free(&packet);
		}
	}
}

/* Reads until the parser closes its end. A little longer than its own alarm, which is the one that should ring. */
static enum err nursery_collect(int fd, const struct parse_job *job, struct buf *out)
{
	size_t most = 4 * job->limits.mail_bytes + (1u << 20);
	int64_t deadline = when_monotonic_ms() + 1000 * (int64_t)(job->seconds + 2);

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = deadline - when_monotonic_ms();
		int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0 || out->len > most)
			return ERR_OK; /* cut off: what there is does not make a message */
		ssize_t n = read(fd, buf_reserve(out, 65536), 65536);
		if (n == 0)
			return ERR_OK;
		if (n < 0 && errno != EINTR)
			return err_fail(ERR_IO, "cannot read from the parser: %s", strerror(errno));
		if (n > 0)
			out->len += (size_t)n;
	}
}

/* The parser may be a stranger's by now, and its sentence goes into logs and signed alarms. */
static enum err nursery_refused(struct wire *w)
{
	char *said = wire_text(w), *line = utf8_printable(said ? said : "", false);
	size_t len = strlen(line);

	if (len > SENTENCE_BYTES_MOST)
		for (len = SENTENCE_BYTES_MOST;
		     len > 0 && ((unsigned char)line[len] & 0xc0) == 0x80;)
			len--;
	line[len] = '\0';
	enum err rc =
	    err_fail(ERR_DATA, "%s", line[strspn(line, " ")] ? line : "the parser refused it");
	str_free(&said);
	str_free(&line);
	return rc;
}

/* A parser that never began is no fault of the mail: the nursery died, or could not fork. */
static enum err nursery_judge(struct bytes answer, struct message *out)
{
	struct wire w = wire_open(answer);
	enum parse_answer begun = (enum parse_answer)wire_u8(&w), kind = PARSE_BEGUN;

	if (w.bad)
		return err_fail(ERR_TEMPORARY, "no parser took the mail");
	kind = (enum parse_answer)wire_u8(&w);
	if (begun == PARSE_BEGUN && kind == PARSE_DONE &&
	    message_unpack(bytes_of(w.at, (size_t)(w.end - w.at)), out) == ERR_OK)
		return ERR_OK;
	if (begun == PARSE_BEGUN && kind == PARSE_REFUSED)
		return nursery_refused(&w);
	return err_fail(ERR_PROTOCOL, "the parser crashed or ran out of time or memory");
}

/* The worker's side: one mail out, one packed message back, within the deadline. */
enum err nursery_parse(
    int socket, const struct parse_job *job, struct bytes mail, struct message *out)
{
	struct buf body = BUF_INIT, answer = { .secret = true };
	int mail_fd = -1, ends[2] = { -1, -1 };
	enum err rc = memfd_make(mail, &mail_fd);

	*out = (struct message){ 0 };
	if (rc != ERR_OK)
		goto out;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		rc = err_fail(ERR_SYSTEM, "cannot make a pipe: %s", strerror(errno));
		goto out;
	}
	parse_job_write(job, &body);
	rc = packet_send(socket, PACKET_PARSE, buf_bytes(&body), mail_fd, ends[1]);
	close(ends[1]);
	ends[1] = -1;
	if (rc == ERR_OK)
		rc = nursery_collect(ends[0], job, &answer);
	if (rc == ERR_OK)
		rc = nursery_judge(buf_bytes(&answer), out);
out:
	if (ends[0] >= 0)
		close(ends[0]);
	if (ends[1] >= 0)
		close(ends[1]);
	if (mail_fd >= 0)
		close(mail_fd);
	buf_free(&body);
	buf_free(&answer);
	return rc;
}
