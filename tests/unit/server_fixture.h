/* A mail server in a child process that plays what it is told, with or without TLS; and certificates, good and bad. */
#ifndef SERVER_FIXTURE_H
#define SERVER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"

#define UNUSED __attribute__((unused))
#define DAY 86400
#define HEARD_BYTES 262144

/*
 * A play is a text with one step a line, one play for each connection in turn:
 *   S text   say a line, or at once those between "|"
 *   C text   hear a line that begins so     D   hear lines until one is "."
 *   TLS      shake hands          END      close at once
 *   HANG     say nothing more until the peer is gone
 *   WAIT     a second and a half
 *   FLOOD    say "250-x" until the peer is gone
 */
struct stage {
	pid_t pid;
	unsigned port;
	struct heard *heard; /* shared with the child */
};

struct heard {
	volatile unsigned connections;
	volatile size_t len;
	char text[HEARD_BYTES]; /* all that was heard, except in handshakes */
	char fault[256];        /* what was not as the play has it */
};

struct identity {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t certificate;
};

struct peer {
	int fd;
	gnutls_session_t tls;
	char ahead[16384];
	size_t ahead_len;
};

static UNUSED ssize_t peer_receive(struct peer *p, void *data, size_t len)
{
	return p->tls ? gnutls_record_recv(p->tls, data, len) : read(p->fd, data, len);
}

static UNUSED bool peer_say(struct peer *p, const char *text)
{
	struct buf line = BUF_INIT;
	for (; *text; text++)
		buf_add_text(&line, *text == '|' ? "\r\n" : (char[]){ *text, '\0' });
	buf_add_text(&line, "\r\n");
	ssize_t put = p->tls ? gnutls_record_send(p->tls, line.data, line.len)
			     : send(p->fd, line.data, line.len, MSG_NOSIGNAL);
	buf_free(&line);
	return put > 0;
}

/* With its CRLF; false at the end. */
static UNUSED bool peer_hear(struct peer *p, struct heard *heard, char *line, size_t size)
{
	char *end;
	while (!(end = memchr(p->ahead, '\n', p->ahead_len))) {
		if (p->ahead_len == sizeof p->ahead)
			return false;
		ssize_t got =
		    peer_receive(p, p->ahead + p->ahead_len, sizeof p->ahead - p->ahead_len);
		if (got <= 0)
			return false;
		p->ahead_len += (size_t)got;
	}
	size_t len = (size_t)(end - p->ahead) + 1;
	(void)snprintf(line, size, "%.*s", (int)len, p->ahead);
	if (heard->len + len < HEARD_BYTES) {
		memcpy(heard->text + heard->len, p->ahead, len);
		heard->len += len;
	}
	memmove(p->ahead, end + 1, p->ahead_len - len);
	p->ahead_len -= len;
	return true;
}

static UNUSED bool peer_tls(struct peer *p, const struct identity *self, const char *priorities)
{
	gnutls_certificate_credentials_t credentials;
	int rc;
	gnutls_x509_crt_t chain[1] = { self->certificate };
	gnutls_certificate_allocate_credentials(&credentials);
	gnutls_certificate_set_x509_key(credentials, chain, 1, self->key);
	gnutls_init(&p->tls, GNUTLS_SERVER | GNUTLS_NO_SIGNAL);
	gnutls_priority_set_direct(p->tls, priorities ? priorities : "NORMAL", NULL);
	gnutls_credentials_set(p->tls, GNUTLS_CRD_CERTIFICATE, credentials);
	gnutls_transport_set_int(p->tls, p->fd);
	do
		rc = gnutls_handshake(p->tls);
	while (rc < 0 && !gnutls_error_is_fatal(rc));
	return rc == 0;
}

static UNUSED void play(int fd, const char *text, struct heard *heard, const struct identity *self,
    const char *priorities)
{
	static struct peer p;
	char step[2048], line[16384];
	p = (struct peer){ .fd = fd };
	while (*text) {
		size_t len = strcspn(text, "\n");
		(void)snprintf(step, sizeof step, "%.*s", (int)len, text);
		text += len + (text[len] == '\n');
		if (step[0] == 'S') {
			(void)peer_say(&p, step + 2);
		} else if (step[0] == 'C') {
			if (!peer_hear(&p, heard, line, sizeof line))
				break;
			if (strncmp(line, step + 2, strlen(step + 2)) != 0 && !heard->fault[0])
				(void)snprintf(heard->fault, sizeof heard->fault,
				    "\"%.100s\" instead of \"%.100s\"", line, step + 2);
		} else if (step[0] == 'D') {
			while (
			    peer_hear(&p, heard, line, sizeof line) && strcmp(line, ".\r\n") != 0)
				continue;
		} else if (strcmp(step, "TLS") == 0) {
			if (!peer_tls(&p, self, priorities))
				break;
		} else if (strcmp(step, "WAIT") == 0) {
			(void)usleep(1500000);
		} else if (strcmp(step, "FLOOD") == 0) {
			while (peer_say(&p, "250-x"))
				continue;
		} else if (strcmp(step, "HANG") == 0) {
			while (peer_receive(&p, line, sizeof line) > 0)
				continue;
		}
	}
	close(fd);
}

static UNUSED void stage_play(int fd, struct stage *stage, const char *const *plays,
    const struct identity *self, const char *priorities)
{
	stage->heard = mmap(
	    NULL, sizeof *stage->heard, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(stage->heard != MAP_FAILED);
	stage->pid = fork();
	assert_true(stage->pid >= 0);
	if (stage->pid == 0) {
		(void)signal(SIGALRM, SIG_DFL);
		alarm(30);
		for (;;) {
			int peer = accept(fd, NULL, NULL);
			stage->heard->connections++;
			play(peer, *plays ? *plays : "END", stage->heard, self, priorities);
			plays += *plays ? 1 : 0;
		}
	}
	close(fd);
}

/* Ends with a NULL play; later connections are closed at once. */
static UNUSED void stage_open(struct stage *stage, const char *const *plays,
    const struct identity *self, const char *priorities)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	stage->port = ntohs(address.sin_port);
	stage_play(fd, stage, plays, self, priorities);
}

/* The same at ::1, which the machine has to have. */
static UNUSED void stage_open_ip6(
    struct stage *stage, const char *const *plays, const struct identity *self)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	socklen_t len = sizeof address;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	stage->port = ntohs(address.sin6_port);
	stage_play(fd, stage, plays, self, NULL);
}

static UNUSED void stage_close(struct stage *stage)
{
	(void)kill(stage->pid, SIGKILL);
	(void)waitpid(stage->pid, NULL, 0);
	munmap(stage->heard, sizeof *stage->heard);
}

/* ---- certificates ---- */

struct wish {
	const char *dns, *ip4, *ip6, *purpose;
	int from_days, to_days;
	bool is_ca, is_weak;
};

/* By `by`, or by itself. */
static UNUSED struct identity identity_make(const struct wish *wish, const struct identity *by)
{
	struct identity made;
	unsigned char serial[4] = { 1, 2, 3, (unsigned char)random() };
	time_t now = time(NULL);
	uint32_t ip = htonl(INADDR_LOOPBACK);
	assert_int_equal(gnutls_x509_privkey_init(&made.key), 0);
	assert_int_equal(wish->is_weak
			     ? gnutls_x509_privkey_generate(made.key, GNUTLS_PK_RSA, 1024, 0)
			     : gnutls_x509_privkey_generate(made.key, GNUTLS_PK_ECDSA,
				   GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
	    0);
	assert_int_equal(gnutls_x509_crt_init(&made.certificate), 0);
	gnutls_x509_crt_set_version(made.certificate, 3);
	gnutls_x509_crt_set_serial(made.certificate, serial, sizeof serial);
	gnutls_x509_crt_set_activation_time(made.certificate, now + wish->from_days * DAY);
	gnutls_x509_crt_set_expiration_time(made.certificate, now + wish->to_days * DAY);
	gnutls_x509_crt_set_key(made.certificate, made.key);
	gnutls_x509_crt_set_dn(
	    made.certificate, wish->is_ca ? "CN=a test's authority" : "CN=a test's server", NULL);
	gnutls_x509_crt_set_basic_constraints(made.certificate, wish->is_ca, -1);
	if (wish->is_ca)
		gnutls_x509_crt_set_key_usage(
		    made.certificate, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
	if (wish->dns)
		gnutls_x509_crt_set_subject_alt_name(made.certificate, GNUTLS_SAN_DNSNAME,
		    wish->dns, (unsigned)strlen(wish->dns), GNUTLS_FSAN_APPEND);
	if (wish->ip4)
		gnutls_x509_crt_set_subject_alt_name(
		    made.certificate, GNUTLS_SAN_IPADDRESS, &ip, sizeof ip, GNUTLS_FSAN_APPEND);
	if (wish->ip6) {
		struct in6_addr ip6;
		assert_int_equal(inet_pton(AF_INET6, wish->ip6, &ip6), 1);
		gnutls_x509_crt_set_subject_alt_name(
		    made.certificate, GNUTLS_SAN_IPADDRESS, &ip6, sizeof ip6, GNUTLS_FSAN_APPEND);
	}
	if (wish->purpose)
		gnutls_x509_crt_set_key_purpose_oid(made.certificate, wish->purpose, 0);
	assert_int_equal(
	    gnutls_x509_crt_sign2(made.certificate, by ? by->certificate : made.certificate,
		by ? by->key : made.key, GNUTLS_DIG_SHA256, 0),
	    0);
	return made;
}

static UNUSED void identity_free(struct identity *id)
{
	gnutls_x509_crt_deinit(id->certificate);
	gnutls_x509_privkey_deinit(id->key);
}

static UNUSED struct identity authority_make(void)
{
	return identity_make(
	    &(struct wish){ .is_ca = true, .from_days = -90, .to_days = 90 }, NULL);
}

static UNUSED void identity_write(const struct identity *id, const char *path)
{
	gnutls_datum_t pem;
	assert_int_equal(gnutls_x509_crt_export2(id->certificate, GNUTLS_X509_FMT_PEM, &pem), 0);
	assert_int_equal(file_write(path, 0600, bytes_of(pem.data, pem.size)), ERR_OK);
	gnutls_free(pem.data);
}

#endif
