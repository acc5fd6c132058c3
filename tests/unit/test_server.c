#include "server_fixture.h"

#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "base/encode.h"
#include "base/when.h"
#include "mail/server_internal.h"
#include "secret/secret.h"

static char dir[] = "/tmp/test_server.XXXXXX";
static char *ca_path;
static struct identity ca;

static int make_all(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	ca_path = path_join(dir, "ca.pem");
	ca = authority_make();
	identity_write(&ca, ca_path);
	return 0;
}

static int remove_all(void **state)
{
	(void)state;
	identity_free(&ca);
	str_free(&ca_path);
	return file_remove_tree(dir) ? -1 : 0;
}

static void assert_says(const char *expect)
{
	if (!strstr(err_text(), expect))
		fail_msg("\"%s\" is not in \"%s\"", expect, err_text());
}

static struct conf_server conf_of(struct buf *url, const char *host, unsigned port)
{
	buf_clear(url);
	buf_addf(url, "submissions://sa@%s:%u", host, port);
	struct conf_server conf = CONF_SERVER(buf_text(url));
	conf.ca_file = ca_path;
	return conf;
}

static void pin_of(const struct identity *id, struct buf *out)
{
	gnutls_pubkey_t key;
	gnutls_datum_t der;
	uint8_t digest[32];
	assert_int_equal(gnutls_pubkey_init(&key), 0);
	assert_int_equal(gnutls_pubkey_import_x509(key, id->certificate, 0), 0);
	assert_int_equal(gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &der), 0);
	assert_int_equal(gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, digest), 0);
	base64_add(out, bytes_of(digest, sizeof digest), 0, "");
	gnutls_free(der.data);
	gnutls_pubkey_deinit(key);
}

/* Everybody who is not shown to be the right one is refused, at once and after STARTTLS, with a sentence. */
static void certificates(void **state)
{
	(void)state;
	static const struct {
		struct wish wish;
		enum { BY_CA, BY_OTHER, BY_ITSELF } by;
		const char *host, *expect; /* NULL: good */
	} cases[] = {
		{ { .dns = "localhost", .from_days = -1, .to_days = 9 }, BY_CA, "localhost", NULL },
		{ { .ip4 = "127.0.0.1", .from_days = -1, .to_days = 9 }, BY_CA, "127.0.0.1", NULL },
		{ { .dns = "localhost",
		      .from_days = -1,
		      .to_days = 9,
		      .purpose = GNUTLS_KP_TLS_WWW_SERVER },
		    BY_CA, "localhost", NULL },
		{ { .dns = "localhost", .from_days = -1, .to_days = 9 }, BY_CA, "127.0.0.1",
		    "is for localhost, not for 127.0.0.1" },
		{ { .dns = "other.example.org", .from_days = -1, .to_days = 9 }, BY_CA, "localhost",
		    "is for other.example.org, not for localhost" },
		{ { .from_days = -1, .to_days = 9 }, BY_CA, "localhost",
		    "is for another server, not for localhost" },
		{ { .dns = "localhost", .from_days = -9, .to_days = -2 }, BY_CA, "localhost",
		    "expired on 20" },
		{ { .dns = "localhost", .from_days = 2, .to_days = 9 }, BY_CA, "localhost",
		    "is valid only from 20" },
		{ { .dns = "localhost", .from_days = -1, .to_days = 9 }, BY_OTHER, "localhost",
		    "is vouched for by nobody in /tmp/" },
		{ { .dns = "localhost", .from_days = -1, .to_days = 9 }, BY_ITSELF, "localhost",
		    "is vouched for by nobody in /tmp/" },
		{ { .dns = "localhost",
		      .from_days = -1,
		      .to_days = 9,
		      .purpose = GNUTLS_KP_TLS_WWW_CLIENT },
		    BY_CA, "localhost", "is not made for servers" },
		{ { .dns = "localhost", .from_days = -1, .to_days = 9, .is_weak = true }, BY_CA,
		    "localhost", "too weak" },
	};
	static const char *const plays[] = { "TLS\nS 220 hello\nHANG",
		"S 220 hello\nTLS\nS 220 hello again\nHANG", NULL };
	struct identity other = authority_make();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct stage stage;
		struct server *server = NULL;
		struct buf url = BUF_INIT;
		struct identity id =
		    identity_make(&cases[i].wish, cases[i].by == BY_CA      ? &ca
						  : cases[i].by == BY_OTHER ? &other
									    : NULL);
		MMAPString *line = mmap_string_new("");
		stage_open(&stage, plays, &id, NULL);
		struct conf_server conf = conf_of(&url, cases[i].host, stage.port);
		for (int late = 0; late < 2; late++) {
			enum err err = server_open(&conf, 0, !late, 5, &server);
			if (late) {
				assert_int_equal(err, ERR_OK);
				assert_false(server_is_encrypted(server));
				assert_string_equal(
				    mailstream_read_line_remove_eol(server->stream, line),
				    "220 hello");
				err = server_upgrade(server);
			}
			assert_int_equal(err, cases[i].expect ? ERR_UNAVAILABLE : ERR_OK);
			if (cases[i].expect) {
				assert_says(cases[i].expect);
				assert_true(str_starts(err_text(), cases[i].host));
			} else {
				assert_true(server_is_encrypted(server));
				assert_true(str_starts(
				    mailstream_read_line_remove_eol(server->stream, line),
				    "220 hello"));
			}
			server_close(&server);
			assert_null(server);
		}
		assert_int_equal(stage.heard->len, 0);
		stage_close(&stage);
		mmap_string_free(line);
		identity_free(&id);
		buf_free(&url);
	}
	identity_free(&other);
}

/* What else can be wrong while a connection is made. */
static void connections(void **state)
{
	(void)state;
	static const char wrong_pin[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
	char *empty = path_join(dir, "empty.pem"), *absent = path_join(dir, "absent.pem");
	struct wish good = { .dns = "localhost", .from_days = -1, .to_days = 9 };
	struct identity id = identity_make(&good, &ca);
	struct buf pin = BUF_INIT, url = BUF_INIT;
	pin_of(&id, &pin);
	assert_int_equal(file_write(empty, 0600, bytes_of_text("\n")), ERR_OK);
	const struct {
		const char *play, *pin, *ca_file, *priorities, *expect;
	} cases[] = {
		{ "TLS\nHANG", buf_text(&pin), ca_path, NULL, NULL },
		{ "TLS\nHANG", "", ca_path, "NORMAL:-VERS-ALL:+VERS-TLS1.2", NULL },
		{ "TLS\nHANG", wrong_pin, ca_path, NULL, "has another public key than tls-pin" },
		{ "TLS\nHANG", "", absent, NULL, "absent.pem" },
		{ "TLS\nHANG", "", empty, NULL, "no certificate (PEM) in " },
		{ "TLS\nHANG", "", "", NULL, "vouched for by nobody in the system's list" },
		{ "TLS\nHANG", "", ca_path, "LEGACY:-VERS-ALL:+VERS-TLS1.1:+VERS-TLS1.0",
		    "does not offer TLS 1.2" },
		{ "S 220 this is no TLS\nHANG", "", ca_path, NULL,
		    "does not speak TLS on this port" },
		{ "S * OK nor is this\nHANG", "", ca_path, NULL,
		    "does not speak TLS on this port" },
		{ "HANG", "", ca_path, NULL, "did not answer within 1 s" },
		{ "END", "", ca_path, NULL, "closed the connection" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *const plays[] = { cases[i].play, NULL };
		struct stage stage;
		struct server *server = NULL;
		stage_open(&stage, plays, &id, cases[i].priorities);
		struct conf_server conf = conf_of(&url, "localhost", stage.port);
		conf.tls_pin = cases[i].pin;
		conf.ca_file = cases[i].ca_file;
		int64_t start = when_monotonic_ms();
		enum err err = server_open(&conf, 0, true, 1, &server);
		assert_int_equal(err, cases[i].expect ? ERR_UNAVAILABLE : ERR_OK);
		assert_says(cases[i].expect ? cases[i].expect : "");
		assert_true(when_monotonic_ms() - start < 2000);
		server_close(&server);
		stage_close(&stage);
	}
	struct stage stage;
	struct server *server = NULL;
	stage_open(&stage, &(const char *const){ NULL }, &id, NULL);
	stage_close(&stage);
	struct conf_server conf = conf_of(&url, "127.0.0.1", stage.port);
	assert_int_equal(server_open(&conf, 0, true, 1, &server), ERR_UNAVAILABLE);
	assert_says("can't be reached: Connection refused");
	conf = conf_of(&url, "nobody.invalid", 1);
	assert_int_equal(server_open(&conf, 0, true, 1, &server), ERR_UNAVAILABLE);
	assert_says("nobody.invalid:1 is not found: ");
	assert_null(server);
	identity_free(&id);
	buf_free(&pin);
	buf_free(&url);
	str_free(&absent);
	str_free(&empty);
}

static struct server *open_plain(
    struct stage *stage, struct conf_server *conf, struct buf *url, const char *const *plays)
{
	struct server *server = NULL;
	stage_open(stage, plays, NULL, NULL);
	*conf = conf_of(url, "127.0.0.1", stage->port);
	conf->tls = "off";
	assert_int_equal(server_open(conf, 0, true, 1, &server), ERR_OK);
	assert_false(server_is_encrypted(server));
	return server;
}

static void interrupted(int number)
{
	(void)number;
}

/* Reading comes to its end whatever the peer does, and says why. */
static void ends_of_reading(void **state)
{
	(void)state;
	static const struct {
		const char *play;
		size_t bytes;
		const char *expect;
	} cases[] = {
		{ "S one\nHANG", 0, "did not answer within 1 s" },
		{ "S one\nEND", 0, "closed the connection" },
		{ "FLOOD", 60000, "sent more than 60000 bytes at once" },
		{ "FLOOD", 100, "sent more than 100 bytes at once" },
	};
	struct sigaction action = { .sa_handler = interrupted }, old;
	struct itimerval often = { { 0, 20000 }, { 0, 20000 } }, never = { 0 };
	assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct stage stage;
		struct conf_server conf;
		struct buf url = BUF_INIT;
		struct server *server =
		    open_plain(&stage, &conf, &url, (const char *const[]){ cases[i].play, NULL });
		MMAPString *line = mmap_string_new("");
		int64_t start = when_monotonic_ms();
		/* Signals are no reason to end. */
		assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
		server_begin(server, 1, cases[i].bytes);
		while (mailstream_read_line_remove_eol(server->stream, line))
			continue;
		assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
		assert_true(when_monotonic_ms() - start < 2000);
		assert_int_equal(server_fault(server), ERR_UNAVAILABLE);
		assert_says(cases[i].expect);
		/* Broken is broken. */
		char more[10];
		server_begin(server, 1, 0);
		assert_int_equal(mailstream_read(server->stream, more, sizeof more), -1);
		assert_int_equal(mailstream_write(server->stream, "x", 1), 1);
		assert_int_equal(mailstream_flush(server->stream), -1);
		mmap_string_free(line);
		server_close(&server);
		stage_close(&stage);
		buf_free(&url);
	}
	assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
}

/* One that takes nothing does not keep us for ever either, nor does one that is gone kill us. */
static void ends_of_writing(void **state)
{
	(void)state;
	static const char *const plays[] = { "C never\nEND", NULL };
	struct stage stage;
	struct conf_server conf;
	struct buf url = BUF_INIT, much = BUF_INIT;
	struct server *server = open_plain(&stage, &conf, &url, plays);
	memset(buf_reserve(&much, 64u << 20), 'x', 64u << 20);
	much.len = 64u << 20;
	assert_int_equal(kill(stage.pid, SIGSTOP), 0);
	server_begin(server, 1, 0);
	assert_true(mailstream_write(server->stream, much.data, much.len) < (ssize_t)much.len);
	assert_int_equal(server_fault(server), ERR_UNAVAILABLE);
	assert_says("did not take what it was sent within 1 s");
	server_close(&server);
	stage_close(&stage);

	server = open_plain(&stage, &conf, &url, (const char *const[]){ "END", NULL });
	for (int i = 0; i < 100 && mailstream_write(server->stream, much.data, 100000) == 100000;
	     i++)
		usleep(1000);
	assert_int_equal(server_fault(server), ERR_UNAVAILABLE);
	assert_says("closed the connection");
	server_close(&server);
	stage_close(&stage);
	buf_free(&much);
	buf_free(&url);
}

/* RFC 3207 6, CVE-2020-15953: what came before TLS is not taken for what comes in it. */
static void nothing_before_tls(void **state)
{
	(void)state;
	static const char *const injected[] = { "S 220 go|250 evil\nHANG", NULL };
	struct stage stage;
	struct conf_server conf;
	struct buf url = BUF_INIT;
	MMAPString *line = mmap_string_new("");
	struct server *server = open_plain(&stage, &conf, &url, injected);
	assert_string_equal(mailstream_read_line_remove_eol(server->stream, line), "220 go");
	assert_true(server_has_buffered(server));
	assert_int_equal(server_upgrade(server), ERR_UNAVAILABLE);
	assert_says("before TLS had begun");
	assert_false(server_is_encrypted(server));
	server_close(&server);
	stage_close(&stage);
	mmap_string_free(line);
	buf_free(&url);
}

/* A session of libetpan that closes its stream leaves a server that can be closed. */
static void stream_owned_by_another(void **state)
{
	(void)state;
	struct stage stage;
	struct conf_server conf;
	struct buf url = BUF_INIT;
	struct server *server =
	    open_plain(&stage, &conf, &url, (const char *const[]){ "HANG", NULL });
	assert_true(server_fd(server) >= 0);
	mailstream_close(server->stream);
	assert_null(server->stream);
	assert_int_equal(server_fd(server), -1);
	assert_false(server_has_buffered(server));
	server_close(&server);
	server_close(&server);
	stage_close(&stage);
	buf_free(&url);
}

/* select would end the process. */
static void high_descriptors(void **state)
{
	(void)state;
	struct rlimit limit, more;
	struct stage stage;
	struct conf_server conf;
	struct buf url = BUF_INIT;
	static int fds[1100];
	size_t count = 0;
	MMAPString *line = mmap_string_new("");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	more = (struct rlimit){ 2000 < limit.rlim_max ? 2000 : limit.rlim_max, limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &more), 0);
	while (count < 1100 && (fds[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		count++;
	struct server *server =
	    open_plain(&stage, &conf, &url, (const char *const[]){ "S hello\nHANG", NULL });
	assert_true(server_fd(server) >= 1024);
	assert_string_equal(mailstream_read_line_remove_eol(server->stream, line), "hello");
	server_close(&server);
	stage_close(&stage);
	while (count > 0)
		close(fds[--count]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	mmap_string_free(line);
	buf_free(&url);
}

static void mechanisms(void **state)
{
	(void)state;
	static const struct {
		const char *sasl, *token_command, *offered, *expect;
	} cases[] = {
		{ "auto", "", "LOGIN PLAIN", "PLAIN" },
		{ "auto", "", "login", "LOGIN" },
		{ "auto", "", "PLAIN SCRAM-SHA-1 XOAUTH2 SCRAM-SHA-256", "SCRAM-SHA-256" },
		{ "auto", "", " SCRAM-SHA-1  PLAIN ", "SCRAM-SHA-1" },
		{ "auto", "", "SCRAM-SHA-256-PLUS CRAM-MD5", NULL },
		{ "auto", "", "", NULL },
		{ "auto", "x", "PLAIN XOAUTH2 OAUTHBEARER", "OAUTHBEARER" },
		{ "auto", "x", "PLAIN XOAUTH2", "XOAUTH2" },
		{ "auto", "x", "PLAIN LOGIN", NULL },
		{ "auto", "", "OAUTHBEARER", NULL },
		{ "plain", "", "PLAIN SCRAM-SHA-256", "PLAIN" },
		{ "scram-sha-256", "", "PLAIN", NULL },
		{ "plain", "x", "PLAIN XOAUTH2", NULL },
	};
	struct server server = { .name = str_dup("mail.example.org:993") };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct conf_server conf = CONF_SERVER("");
		conf.sasl = cases[i].sasl;
		conf.token_command = cases[i].token_command;
		server.conf = &conf;
		const char *got = server_mechanism(&server, cases[i].offered);
		assert_true(str_equal(got, cases[i].expect));
		assert_true(
		    got || strstr(err_text(), "mail.example.org:993 offers no way to log in"));
	}
	str_free(&server.name);
}

static void secrets(void **state)
{
	(void)state;
	static const struct {
		const char *file, *command, *expect, *text;
	} cases[] = {
		{ "se cret\r\nmore\n", "", "se cret", NULL },
		{ "p\xc3\xa4ss", "", "p\xc3\xa4ss", NULL },
		{ "a\tb\n", "", NULL, "control character" },
		{ "a\rb\n", "", NULL, "control character" },
		{ "\n", "", NULL, "is empty" },
		{ NULL, "", NULL, "needs a password file" },
		{ NULL, "echo tok.en; echo more", "tok.en", NULL },
		{ NULL, "printf 'a\\000b\\n'", NULL, "control character" },
		{ NULL, "true", NULL, "the token-command printed nothing" },
		{ NULL, "echo 'no \033[1mnet' >&2; echo secret; exit 3", NULL,
		    "the token-command ended with exit status 3: no " },
	};
	char *path = path_join(dir, "password");
	struct server server = { .name = str_dup("mail.example.org:993") };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct conf_server conf = CONF_SERVER("");
		struct buf got = BUF_SECRET;
		conf.token_command = cases[i].command;
		server.conf = &conf;
		if (cases[i].file) {
			conf.password_file = path;
			assert_int_equal(
			    file_write(path, 0600, bytes_of_text(cases[i].file)), ERR_OK);
		}
		enum err err = server_secret(&server, &got);
		assert_int_equal(err, cases[i].expect ? ERR_OK : ERR_CONFIG);
		if (cases[i].expect)
			assert_string_equal(buf_text(&got), cases[i].expect);
		else
			assert_true(strstr(err_text(), cases[i].text) &&
				    !strchr(err_text(), '\033') && !strstr(err_text(), "secret"));
		buf_free(&got);
	}
	assert_int_equal(chmod(path, 0644), 0);
	struct conf_server conf = CONF_SERVER("");
	struct buf got = BUF_SECRET;
	conf.password_file = path;
	server.conf = &conf;
	assert_int_equal(server_secret(&server, &got), ERR_CONFIG);
	assert_says("can be read by other users");
	buf_free(&got);
	str_free(&server.name);
	str_free(&path);
}

static void bearers(void **state)
{
	(void)state;
	char user[] = "s=a,b@example.org", host[] = "mail.example.org";
	struct server server = { .url = { .user = user, .host = host, .port = 993 } };
	struct buf got = BUF_SECRET;
	server_bearer(&server, "OAUTHBEARER", "t0k", &got);
	assert_string_equal(buf_text(&got),
	    "n,a=s=3Da=2Cb@example.org,\001host=mail.example.org\001port=993\001auth=Bearer t0k\001\001");
	buf_clear(&got);
	server_bearer(&server, "XOAUTH2", "t0k", &got);
	assert_string_equal(buf_text(&got), "user=s=a,b@example.org\001auth=Bearer t0k\001\001");
	buf_free(&got);
}

static void host_names(void **state)
{
	(void)state;
	static const struct {
		const char *host, *expect;
	} cases[] = {
		{ "mail.example.org", "mail.example.org" },
		{ "my_host", "my_host" },
		{ "::1", "::1" },
		{ "b\xc3\xbc"
		  "cher.example",
		    "xn--bcher-kva.example" },
		{ "a\xff.example", NULL },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *got = NULL;
		assert_int_equal(
		    server_host_ascii(cases[i].host, &got), cases[i].expect ? ERR_OK : ERR_CONFIG);
		assert_true(str_equal(got, cases[i].expect));
		str_free(&got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(certificates),
		cmocka_unit_test(connections),
		cmocka_unit_test(ends_of_reading),
		cmocka_unit_test(ends_of_writing),
		cmocka_unit_test(nothing_before_tls),
		cmocka_unit_test(stream_owned_by_another),
		cmocka_unit_test(high_descriptors),
		cmocka_unit_test(mechanisms),
		cmocka_unit_test(secrets),
		cmocka_unit_test(bearers),
		cmocka_unit_test(host_names),
	};
	secret_start();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_all, remove_all);
}
