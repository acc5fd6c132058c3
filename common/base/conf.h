/*
 * conf: the configuration file (libconfuse behind it). Section and key names as in samples/countersign.conf,
 * which is generated from the same table, so that it parses to the defaults. Spans are kept in seconds.
 */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include "base/buf.h"

#define CONF_MAILBOXES_MAX 16
#define CONF_DEFAULT_PATH "/etc/countersign/countersign.conf"

/* A mail server: how to reach it, and as whom. */
struct conf_server {
	const char *url;     /* url.h; what is below matters only where it has a host */
	const char *tls;     /* required | off (to loopback only) */
	const char *tls_pin; /* SHA-256 of the server's SubjectPublicKeyInfo, base64; "" : none */
	const char *ca_file; /* "" : those of the system */
	const char *sasl;    /* auto, or the one mechanism to use */
	const char *password_file; /* "" : none */
	const char *token_command; /* prints an OAuth token; "" : none */
};

/* A server of which the URL alone is known. */
#define CONF_SERVER(address) \
	{ \
		.url = (address), .tls = "required", .tls_pin = "", .ca_file = "", .sasl = "auto", \
		.password_file = "", .token_command = "" \
	}

struct conf_mailbox {
	struct conf_server server;  /* maildir:DIR, imaps://USER@HOST/FOLDER, imap:// (STARTTLS) */
	const char *done_folder;    /* "Done"; "" deletes */
	const char *ignored_folder; /* "Ignored"; "" deletes */
	int64_t timeout_seconds;    /* for one answer of the server */
	int64_t idle_seconds;       /* how long IDLE is trusted before it is renewed */
};

struct conf {
	char *path; /* where it was read from */
	struct {
		char *address;           /* the authority's own */
		char *name;              /* display name */
		char *state_directory;   /* store, key homes, spool */
		char *runtime_directory; /* tmpfs: throw-away homes, sockets */
		char *
		    passphrase_file; /* "" : none; the key has no passphrase or is unlocked by hand */
		char *escrow_home;   /* "" : STATE/escrow */
		char *key_home;      /* "" : STATE/keys */
		char *template_directory; /* "" : the built-in texts */
		char *language;           /* of texts to people: "en", as templates are named */
	} authority;
	struct conf_mailbox mailbox[CONF_MAILBOXES_MAX];
	size_t mailbox_count;
	struct {
		struct conf_server
		    server; /* sendmail:PATH, maildir:DIR, submissions://USER@HOST, submission:// (STARTTLS) */
		char *recipient_delimiter; /* "" : none (P6.1) */
		bool bounces;              /* off: null envelope sender */
		int64_t timeout_seconds;
		int64_t retry_first_seconds, retry_most_seconds, give_up_seconds;
	} submit;
	struct {
		char *
		    *domains; /* NULL-terminated; canonical; default: the authority's own (P1.5) */
		char *plain_requests; /* on | encrypted | off (P3.1) */
		char *escrow;         /* required | offered | off (P4.8) */
		char **escrow_for;    /* rules PATTERN=POLICY for some addresses */
		char *revoked;        /* publish | unpublish (P5.4) */
		char **issuers;       /* whose mails the filter fills: ADDRESS or ADDRESS=LOGIN */
		char *token_by_mail;  /* enroll | recover | both | none (P5.7) */
		int64_t token_expires_seconds;  /* P1.6 */
		int64_t certify_seconds;        /* P5.2 */
		int64_t certify_spread_seconds; /* P5.2 */
		int64_t grace_seconds;
		int64_t *reminder_seconds; /* before the end of a certification; ends with 0 */
		char *policy_url;          /* P5.2 */
		int64_t rsa_bits_min;      /* P4.7 */
		char **
		    curves; /* allowed: ed25519 cv25519 ed448 cv448 nistp256 nistp384 nistp521 brainpoolP256r1 … */
		bool dsa_elgamal; /* allowed at all */
	} policy;
	struct {
		char *directory; /* "" : not published */
		char *policy;    /* text of the WKD policy file */
	} wkd;
	struct {
		char *level; /* error | warning | info | debug */
	} log;
	struct {
		int64_t mail_bytes, nesting, parts, header_bytes; /* P4.1 */
		int64_t parser_seconds, parser_memory_bytes, gpg_seconds, decompressed_bytes;
		int64_t attempts; /* crashes or time-outs before quarantine */
		int64_t workers;  /* 0: number of cores */
		int64_t mails_per_address_day, mails_per_hour; /* P6.7 */
		int64_t poll_seconds; /* look again even without a notification */
		int64_t reconnect_first_seconds, reconnect_most_seconds;
		int64_t busy_seconds; /* how long to wait for the store */
	} limits;
	struct {
		char **auditors;       /* addresses (P5.6) */
		char **administrators; /* quarantine and alarms */
	} notify;
};

/* Reads and checks; ERR_NOINPUT, or ERR_CONFIG with "FILE:LINE: what". Defaults are filled in, addresses checked by the caller. */
CHECKED enum err conf_read(const char *path, struct conf **out);
void conf_free(struct conf **conf);
/* The path by --config, else COUNTERSIGN_CONF, else the default. Borrowed. */
const char *conf_path(const char *option);
/* The commented sample with these values put in (quoted as the parser reads them); every key is there, defaults commented out. NULL values keep the default. */
struct conf_sample {
	const char *address, *name, *state_directory, *runtime_directory, *passphrase_file,
	    *escrow_home, *mailbox_url, *submit_url;
};
void conf_write_sample(struct buf *out, const struct conf_sample *values);

#endif
