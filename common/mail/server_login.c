#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/proc.h"
#include "mail/server_internal.h"
#include "text/utf8.h"

#define TOKEN_SECONDS 30

/* Best first. */
static const struct {
	const char *name;
	bool with_token;
} mechanisms[] = {
	{ "OAUTHBEARER", true },
	{ "XOAUTH2", true },
	{ "SCRAM-SHA-256", false },
	{ "SCRAM-SHA-1", false },
	{ "PLAIN", false },
	{ "LOGIN", false },
};

static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (words += strspn(words, " "); *words; words += strspn(words, " ")) {
		size_t here = strcspn(words, " ");
		if (here == len && strncasecmp(words, word, len) == 0)
			return true;
		words += here;
	}
	return false;
}

const char *server_mechanism(const struct server *server, const char *offered)
{
	const char *wanted = server->conf->sasl;
	bool with_token = *server->conf->token_command;

	for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++)
		if (mechanisms[i].with_token == with_token &&
		    (str_equal(wanted, "auto") || str_equal_case(wanted, mechanisms[i].name)) &&
		    has_word(offered, mechanisms[i].name))
			return mechanisms[i].name;
	char *clean = utf8_printable(*offered ? offered : "nothing", false);
	(void)err_fail(ERR_UNAVAILABLE, "%s offers no way to log in by %s (sasl = %s); it has %s",
	    server->name, with_token ? "token" : "password", wanted, clean);
	str_free(&clean);
	return NULL;
}

/* A server may offer SCRAM to all, and have what it takes only of those who have set their password since. */
enum err server_refused(const struct server *server, const char *mechanism, const char *what)
{
	bool another = str_equal(server->conf->sasl, "auto") && str_starts(mechanism, "SCRAM-");

	return err_prefix(ERR_DENIED, "the login of %s by %s %s%s", server->url.user, mechanism,
	    what, another ? " (if the password is right, try sasl = plain)" : "");
}

static enum err command_failed(int status, const struct buf *errors)
{
	struct bytes rest = buf_bytes(errors), line = { 0 };

	(void)bytes_line(&rest, &line);
	char *text = str_ndup(line.len ? (const char *)line.data : "", line.len);
	char *clean = utf8_printable(text, false);
	enum err err = err_fail(ERR_CONFIG, "the token-command ended with exit status %d%s%s",
	    status, *clean ? ": " : "", clean);
	str_free(&clean);
	str_free(&text);
	return err;
}

static enum err run_token_command(const char *command, struct buf *out)
{
	struct buf printed = BUF_SECRET, errors = BUF_INIT;
	char *text = str_dup(command);
	char shell[] = "/bin/sh", option[] = "-c";
	char *argv[] = { shell, option, text, NULL };
	struct bytes rest, line = { 0 };
	int status = 0;
	enum err err = proc_run(argv, bytes_of(NULL, 0), TOKEN_SECONDS, &printed, &errors, &status);

	if (err == ERR_TEMPORARY) {
		err = err_fail(
		    ERR_CONFIG, "the token-command did not end within %d s", TOKEN_SECONDS);
	} else if (err) {
		err = err_prefix(ERR_CONFIG, "token-command");
	} else if (status != 0) {
		err = command_failed(status, &errors);
	} else {
		rest = buf_bytes(&printed);
		if (bytes_line(&rest, &line) && line.len > 0)
			buf_add(out, line.data, line.len);
		else
			err = err_fail(ERR_CONFIG, "the token-command printed nothing");
	}
	str_free(&text);
	buf_free(&errors);
	buf_free(&printed);
	return err;
}

enum err server_secret(const struct server *server, struct buf *out)
{
	const struct conf_server *conf = server->conf;
	bool with_token = *conf->token_command;
	enum err err;

	out->secret = true;
	if (!with_token && !*conf->password_file)
		return err_fail(ERR_CONFIG, "logging in to %s needs a password file", server->name);
	err = with_token ? run_token_command(conf->token_command, out)
			 : file_read_secret(conf->password_file, out);
	/* One line of a protocol, for libraries that end strings with NUL. */
	for (size_t i = 0; !err && i < out->len; i++)
		if (out->data[i] < ' ' || out->data[i] == 0x7f)
			err = err_fail(ERR_CONFIG, "there is a control character in what %s",
			    with_token ? "the token-command printed" : conf->password_file);
	return err == ERR_OK ? ERR_OK : err_prefix(ERR_CONFIG, "%s", server->name);
}

/* RFC 5801 4: "," and "=" in the name would end it. */
static void add_saslname(struct buf *out, const char *name)
{
	for (const char *c = name; *c; c++)
		if (*c == ',' || *c == '=')
			buf_add_text(out, *c == ',' ? "=2C" : "=3D");
		else
			buf_add_byte(out, *c);
}

void server_bearer(
    const struct server *server, const char *mechanism, const char *token, struct buf *out)
{
	out->secret = true;
	if (str_equal(mechanism, "OAUTHBEARER")) {
		buf_add_text(out, "n,a=");
		add_saslname(out, server->url.user);
		buf_addf(out, ",\001host=%s\001port=%u", server->url.host, server->url.port);
	} else {
		buf_addf(out, "user=%s", server->url.user);
	}
	buf_addf(out, "\001auth=Bearer %s\001\001", token);
}
