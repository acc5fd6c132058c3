#include <arpa/inet.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <string.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/when.h"
#include "mail/server_link_internal.h"
#include "text/utf8.h"

/* RFC 8996: nothing before TLS 1.2; MEDIUM: keys of at least 112 bits of security, so RSA 2048. */
#define PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%PROFILE_MEDIUM"
#define CA_FILE_BYTES_MOST ((size_t)16 << 20)
#define NAMES_SHOWN 3
#define PIN_BYTES 32

static enum err load_trust(struct server *server)
{
	const char *file = server->conf->ca_file;
	gnutls_certificate_credentials_t trust = server->link->trust;
	struct buf text = BUF_INIT;

	if (!*file) {
		if (gnutls_certificate_set_x509_system_trust(trust) > 0)
			return ERR_OK;
		return link_break(server,
		    "can't be verified: this system has no certificates of authorities; install "
		    "ca-certificates, or set ca-file");
	}
	if (file_read(file, CA_FILE_BYTES_MOST, &text) != ERR_OK)
		return link_break(server, "can't be verified: %s", err_text());
	gnutls_datum_t pem = { text.data, (unsigned)text.len };
	int count = text.len > 0
			? gnutls_certificate_set_x509_trust_mem(trust, &pem, GNUTLS_X509_FMT_PEM)
			: 0;
	buf_free(&text);
	if (count <= 0)
		return link_break(
		    server, "can't be verified: there is no certificate (PEM) in %s", file);
	return ERR_OK;
}

static bool is_address(const char *host)
{
	struct in6_addr address;

	return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

/* What is set up once, before the first byte; GnuTLS' own code where it fails. */
static int prepare(struct server_link *link)
{
	static const char purpose[] = GNUTLS_KP_TLS_WWW_SERVER;
	int rc = gnutls_init(&link->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);

	if (rc >= 0)
		rc = gnutls_priority_set_direct(link->tls, PRIORITIES, NULL);
	if (rc >= 0)
		rc = gnutls_credentials_set(link->tls, GNUTLS_CRD_CERTIFICATE, link->trust);
	if (rc >= 0 && !is_address(link->host))
		rc = gnutls_server_name_set(
		    link->tls, GNUTLS_NAME_DNS, link->host, strlen(link->host));
	if (rc < 0)
		return rc;
	link->expected[0] = (gnutls_typed_vdata_st){ .type = GNUTLS_DT_DNS_HOSTNAME,
		.data = (unsigned char *)link->host };
	link->expected[1] = (gnutls_typed_vdata_st){ .type = GNUTLS_DT_KEY_PURPOSE_OID,
		.data = (unsigned char *)(uintptr_t)purpose };
	gnutls_session_set_verify_cert2(link->tls, link->expected, 2, 0);
	gnutls_transport_set_int(link->tls, link->fd);
	return 0;
}

/* ---- what is wrong with a certificate, for an operator ---- */

/* Certificate `at` of those that the server has sent. */
static bool certificate_at(struct server_link *link, unsigned at, gnutls_x509_crt_t *out)
{
	unsigned count = 0;
	const gnutls_datum_t *sent = gnutls_certificate_get_peers(link->tls, &count);

	if (at >= count || gnutls_x509_crt_init(out) < 0)
		return false;
	if (gnutls_x509_crt_import(*out, &sent[at], GNUTLS_X509_FMT_DER) == 0)
		return true;
	gnutls_x509_crt_deinit(*out);
	return false;
}

/* The first few host names in it, for people; malloc'ed. */
static char *names_of(struct server_link *link)
{
	gnutls_x509_crt_t certificate;
	struct buf names = BUF_INIT;
	char name[256];

	if (certificate_at(link, 0, &certificate)) {
		for (unsigned i = 0; i < NAMES_SHOWN; i++) {
			size_t len = sizeof name - 1;
			int type =
			    gnutls_x509_crt_get_subject_alt_name(certificate, i, name, &len, NULL);
			if (type == GNUTLS_SAN_DNSNAME)
				buf_addf(&names, "%s%.*s", names.len ? ", " : "", (int)len, name);
		}
		gnutls_x509_crt_deinit(certificate);
	}
	char *clean = utf8_printable(names.len ? buf_text(&names) : "another server", false);
	buf_free(&names);
	return clean;
}

/* "2026-11-01" of the first certificate sent that is out of its time, or "". */
static const char *day_out_of_time(struct server_link *link, bool ended, char *day)
{
	gnutls_x509_crt_t certificate;

	day[0] = '\0';
	for (unsigned i = 0; !day[0] && certificate_at(link, i, &certificate); i++) {
		int64_t edge = ended ? gnutls_x509_crt_get_expiration_time(certificate)
				     : gnutls_x509_crt_get_activation_time(certificate);
		if (ended ? edge < when_now() : edge > when_now()) {
			(void)when_format(edge, day);
			day[strcspn(day, "T")] = '\0';
		}
		gnutls_x509_crt_deinit(certificate);
	}
	return day;
}

static enum err say_certificate(struct server *server)
{
	struct server_link *link = server->link;
	const char *ca_file = server->conf->ca_file;
	unsigned status = gnutls_session_get_verify_cert_status(link->tls);
	char day[WHEN_TEXT_SIZE];

	if (status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA |
			 GNUTLS_CERT_SIGNATURE_FAILURE))
		return link_break(server, "has a certificate that is vouched for by nobody in %s",
		    *ca_file ? ca_file : "the system's list of authorities");
	if (status & GNUTLS_CERT_EXPIRED)
		return link_break(server, "has a certificate that expired on %s",
		    day_out_of_time(link, true, day));
	if (status & GNUTLS_CERT_NOT_ACTIVATED)
		return link_break(server, "has a certificate that is valid only from %s on",
		    day_out_of_time(link, false, day));
	if (status & GNUTLS_CERT_UNEXPECTED_OWNER) {
		char *names = names_of(link);
		enum err err = link_break(
		    server, "has a certificate that is for %s, not for %s", names, link->host);
		str_free(&names);
		return err;
	}
	if (status & GNUTLS_CERT_REVOKED)
		return link_break(server, "has a certificate that was revoked");
	if (status & GNUTLS_CERT_INSECURE_ALGORITHM)
		return link_break(
		    server, "has a certificate with a key or a signature that is too weak");
	if (status & GNUTLS_CERT_PURPOSE_MISMATCH)
		return link_break(server, "has a certificate that is not made for servers");
	gnutls_datum_t text = { NULL, 0 };
	(void)gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0);
	enum err err = link_break(server, "has a certificate that does not hold: %s",
	    text.data ? (char *)text.data : "reason unknown");
	gnutls_free(text.data);
	return err;
}

static enum err say_handshake(struct server *server, int rc)
{
	gnutls_session_t tls = server->link->tls;

	switch (rc) {
	case GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR:
	case GNUTLS_E_CERTIFICATE_ERROR:
		return say_certificate(server);
	case GNUTLS_E_PREMATURE_TERMINATION:
	case GNUTLS_E_PULL_ERROR:
	case GNUTLS_E_PUSH_ERROR:
		return link_break(server, "closed the connection while TLS began");
	case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
		return link_break(server, "does not offer TLS 1.2");
	case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
	case GNUTLS_E_UNEXPECTED_PACKET:
	case GNUTLS_E_RECORD_OVERFLOW:
		return link_break(server, "does not speak TLS on this port");
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		if (gnutls_alert_get(tls) == GNUTLS_A_PROTOCOL_VERSION)
			return link_break(server, "does not offer TLS 1.2");
		return link_break(
		    server, "refused TLS: %s", gnutls_alert_get_name(gnutls_alert_get(tls)));
	default:
		return link_break(server, "broke TLS: %s", gnutls_strerror(rc));
	}
}

/* ---- the pin ---- */

/* SHA-256 of the SubjectPublicKeyInfo in base64, as tls-pin has it. */
static bool public_key_pin(struct server_link *link, struct buf *out)
{
	gnutls_x509_crt_t certificate;
	gnutls_pubkey_t key = NULL;
	gnutls_datum_t der = { NULL, 0 };
	uint8_t digest[PIN_BYTES];

	if (!certificate_at(link, 0, &certificate))
		return false;
	bool good = gnutls_pubkey_init(&key) == 0 &&
		    gnutls_pubkey_import_x509(key, certificate, 0) == 0 &&
		    gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &der) == 0 &&
		    gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, digest) == 0;
	if (good)
		base64_add(out, bytes_of(digest, sizeof digest), 0, "");
	gnutls_free(der.data);
	if (key)
		gnutls_pubkey_deinit(key);
	gnutls_x509_crt_deinit(certificate);
	return good;
}

static enum err check_pin(struct server *server)
{
	struct buf pin = BUF_INIT;
	enum err err = ERR_OK;

	if (!*server->conf->tls_pin)
		return ERR_OK;
	if (!public_key_pin(server->link, &pin) ||
	    !str_equal(buf_text(&pin), server->conf->tls_pin))
		err = link_break(server,
		    "has another public key than tls-pin says; the one it has is %s",
		    buf_text(&pin));
	buf_free(&pin);
	return err;
}

/* ---- the handshake ---- */

enum err link_tls_start(struct server *server)
{
	struct server_link *link = server->link;
	enum err err;
	int rc = gnutls_certificate_allocate_credentials(&link->trust);

	if (rc < 0)
		return link_break(server, "can't be spoken to by TLS: %s", gnutls_strerror(rc));
	err = load_trust(server);
	if (err)
		return err;
	rc = prepare(link);
	if (rc < 0)
		return link_break(server, "can't be spoken to by TLS: %s", gnutls_strerror(rc));
	do {
		rc = gnutls_handshake(link->tls);
		if (rc == GNUTLS_E_AGAIN)
			err = link_wait(
			    server, gnutls_record_get_direction(link->tls) ? POLLOUT : POLLIN);
		else if (rc < 0 && when_monotonic_ms() >= link->deadline_ms)
			err = link_wait(server, POLLIN);
	} while (!err && rc < 0 && !gnutls_error_is_fatal(rc));
	if (!err && rc < 0)
		err = say_handshake(server, rc);
	return err ? err : check_pin(server);
}

void link_tls_end(struct server_link *link)
{
	if (link->tls) {
		/* The descriptor does not block: this is said, or it is not. */
		if (!link->fault)
			(void)gnutls_bye(link->tls, GNUTLS_SHUT_WR);
		gnutls_deinit(link->tls);
		link->tls = NULL;
	}
	if (link->trust)
		gnutls_certificate_free_credentials(link->trust);
	link->trust = NULL;
}
