/* From the greeting to the folder (RFC 3501 3, 6.1 to 6.3.1). */
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "mail/imapbox_internal.h"
#include "mail/sasl_internal.h"

#define PORT_TLS 993
#define PORT_PLAIN 143

static enum err greet(struct imapbox *box)
{
	struct imapbox_answer answer;
	enum err err;

	server_begin(box->server, 0, 0);
	err = imapbox_take(box, &answer);
	if (err)
		return err;
	if (answer.kind == IMAPBOX_UNTAGGED && imapbox_is(answer.word, "OK"))
		return ERR_OK;
	if (answer.kind == IMAPBOX_UNTAGGED && imapbox_is(answer.word, "PREAUTH"))
		/* Nobody has been verified, and STARTTLS is not possible any more (RFC 9051 11.3). */
		return imapbox_lose(box,
		    err_fail(ERR_UNAVAILABLE,
			"%s says that we are logged in already, which nobody can know: refused",
			box->server->name));
	return imapbox_lose(
	    box, err_fail(ERR_UNAVAILABLE, "%s does not speak IMAP", box->server->name));
}

/* What was said before TLS or before the login counts no more. */
static enum err ask_capabilities(struct imapbox *box)
{
	buf_clear(&box->capabilities);
	enum err err = imapbox_command(box, 0, NULL, NULL, "CAPABILITY");
	if (err == ERR_TEMPORARY || (!err && box->capabilities.len == 0))
		err = imapbox_lose(box,
		    err_fail(ERR_UNAVAILABLE, "%s does not say what it can do", box->server->name));
	return err;
}

static enum err start_tls(struct imapbox *box)
{
	enum err err = ask_capabilities(box);

	if (err)
		return err;
	if (!imapbox_can(box, "STARTTLS"))
		return imapbox_lose(box,
		    err_fail(ERR_UNAVAILABLE, "%s does not offer STARTTLS; nothing was sent to it",
			box->server->name));
	err = imapbox_command(box, 0, NULL, NULL, "STARTTLS");
	if (err == ERR_TEMPORARY)
		err = err_prefix(ERR_UNAVAILABLE, "STARTTLS was refused");
	if (!err)
		err = server_upgrade(box->server);
	return err ? imapbox_lose(box, err) : ERR_OK;
}

/* ---- who we are ---- */

/* The mechanisms of "AUTH=…"; and the command LOGIN as one. */
static void offered(const struct imapbox *box, struct buf *out)
{
	char *words = str_dup(buf_text(&box->capabilities)), *rest = words;

	for (char *word; (word = strsep(&rest, " "));)
		if (str_starts(word, "AUTH="))
			buf_addf(out, "%s ", word + strlen("AUTH="));
	if (!imapbox_can(box, "LOGINDISABLED"))
		buf_add_text(out, "LOGIN");
	str_free(&words);
}

/* RFC 5530 3: not the credentials are wrong, but something at the server. */
static bool is_trouble(const char *code)
{
	static const char *const codes[] = { "UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG" };

	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (str_equal(code, codes[i]))
			return true;
	return false;
}

static enum err refused(struct imapbox *box, const char *mechanism)
{
	if (is_trouble(box->code))
		return imapbox_lose(
		    box, err_prefix(ERR_UNAVAILABLE, "the server can't log anybody in now"));
	return imapbox_lose(box, server_refused(box->server, mechanism, "was refused"));
}

/* Some say nothing else to a wrong password than this: to try again soon would lock the account. */
static enum err cut_short(const struct imapbox *box, const char *user, const char *mechanism)
{
	if (is_trouble(box->code))
		return ERR_UNAVAILABLE;
	return err_prefix(ERR_DENIED, "the login of %s by %s was cut short", user, mechanism);
}

static enum err login_by_command(struct imapbox *box, const struct buf *secret)
{
	struct buf line = BUF_SECRET;

	imapbox_add_quoted(&line, box->server->url.user);
	buf_add_byte(&line, ' ');
	imapbox_add_quoted(&line, buf_text(secret));
	enum err err = imapbox_command(box, 0, NULL, NULL, "LOGIN %s", buf_text(&line));
	buf_free(&line);
	return err;
}

/* `text` in base64; "=" says that an initial response is there, and empty (RFC 4959 3). */
static enum err put_answer(struct imapbox *box, const struct buf *text)
{
	struct buf line = BUF_SECRET;

	base64_add(&line, buf_bytes(text), 0, "");
	buf_add_text(&line, "\r\n");
	enum err err = imapbox_put(box, buf_bytes(&line));
	buf_free(&line);
	return err;
}

/* With its first answer where the server takes that (RFC 4959). */
static enum err send_authenticate(struct imapbox *box, struct sasl *sasl, const char *mechanism)
{
	struct buf answer = BUF_SECRET, coded = BUF_SECRET;
	enum err err = ERR_OK;

	if (sasl_begins(sasl) && imapbox_can(box, "SASL-IR")) {
		err = sasl_answer(sasl, bytes_of(NULL, 0), &answer);
		buf_add_byte(&coded, ' ');
		base64_add(&coded, buf_bytes(&answer), 0, "");
	}
	if (!err)
		err = imapbox_send(box, 0, "AUTHENTICATE %s%s", mechanism, buf_text(&coded));
	buf_free(&answer);
	buf_free(&coded);
	return err;
}

/*
 * One challenge and our answer. Where it is odd we hang up: taking the login back would leave the server the
 * word.
 */
static enum err answer_challenge(
    struct imapbox *box, const struct imapbox_answer *asked, void *argument)
{
	struct buf challenge = BUF_SECRET, answer = BUF_SECRET;
	enum err err;

	if (asked->kind != IMAPBOX_CONTINUE)
		return ERR_OK;
	if (base64_read(asked->rest, &challenge) != ERR_OK)
		err = err_fail(
		    ERR_PROTOCOL, "%s sent a challenge that can't be read", box->server->name);
	else
		err = sasl_answer(argument, buf_bytes(&challenge), &answer);
	if (err)
		err = imapbox_lose(box, err == ERR_DENIED ? ERR_DENIED : ERR_UNAVAILABLE);
	else
		err = put_answer(box, &answer);
	buf_free(&challenge);
	buf_free(&answer);
	return err;
}

static enum err login_by_sasl(struct imapbox *box, const char *mechanism, const struct buf *secret)
{
	struct sasl *sasl = sasl_open(box->server, mechanism, secret);
	enum err err = send_authenticate(box, sasl, mechanism);

	if (!err)
		err = imapbox_finish(box, answer_challenge, sasl);
	if (!err && sasl_proved(sasl) != ERR_OK)
		err = imapbox_lose(box, ERR_UNAVAILABLE);
	sasl_free(&sasl);
	return err;
}

static enum err log_in_by(struct imapbox *box, const char *mechanism, const struct buf *secret)
{
	char *user = str_dup(box->server->url.user); /* the connection may end */
	bool by_command = str_equal(mechanism, "LOGIN") && !imapbox_can(box, "LOGINDISABLED");

	box->ended = false;
	box->code[0] = '\0';
	enum err err =
	    by_command ? login_by_command(box, secret) : login_by_sasl(box, mechanism, secret);
	if (err == ERR_TEMPORARY)
		err = refused(box, mechanism);
	else if (err == ERR_UNAVAILABLE && box->ended)
		err = cut_short(box, user, mechanism);
	str_free(&user);
	return err;
}

static enum err log_in(struct imapbox *box)
{
	struct buf words = BUF_INIT, secret = BUF_SECRET;
	const char *mechanism;
	enum err err;

	if (!box->server->url.user)
		return err_fail(
		    ERR_CONFIG, "%s: the URL names no user (imaps://USER@HOST)", box->server->name);
	offered(box, &words);
	mechanism = server_mechanism(box->server, buf_text(&words));
	err = mechanism ? server_secret(box->server, &secret) : imapbox_lose(box, ERR_UNAVAILABLE);
	if (!err)
		err = log_in_by(box, mechanism, &secret);
	buf_free(&secret);
	buf_free(&words);
	return err;
}

/* ---- the folder ---- */

static enum err select_folder(struct imapbox *box)
{
	struct buf name = BUF_INIT, quoted = BUF_INIT;
	enum err err = imapbox_folder_name(*box->path ? box->path : "INBOX", &name);

	box->validity = 0;
	box->exists = 0;
	imapbox_add_quoted(&quoted, buf_text(&name));
	if (!err)
		err = imapbox_command(box, 0, NULL, NULL, "SELECT %s", buf_text(&quoted));
	if (err == ERR_TEMPORARY)
		err = imapbox_lose(box,
		    err_prefix(ERR_UNAVAILABLE, "the folder %s can't be opened", buf_text(&name)));
	else if (!err && str_equal(box->code, "READ-ONLY"))
		err = imapbox_lose(
		    box, err_fail(ERR_DENIED, "%s: %s may read the folder %s, but not change it",
			     box->server->name, box->server->url.user, buf_text(&name)));
	else if (!err && box->validity == 0)
		/* RFC 3501 2.3.1.1: then no UID would mean the same the next time. */
		err =
		    imapbox_lose(box, err_fail(ERR_UNAVAILABLE,
					  "%s gives the mails of the folder %s no lasting numbers",
					  box->server->name, buf_text(&name)));
	buf_free(&quoted);
	buf_free(&name);
	return err;
}

/* Folders may have been removed, and mails been numbered anew, while we were away. */
static void forget_all(struct imapbox *box)
{
	box->validity = 0;
	box->uid_count = 0;
	box->searched = 0;
	box->unsearched = true;
	box->idling = box->idle_refused = false;
	box->rooted = false;
	str_free(&box->done.raw);
	str_free(&box->ignored.raw);
	imapbox_ahead_clear(box);
	box->ahead_up_to = 0;
}

enum err imapbox_connect(struct imapbox *box)
{
	const struct conf_mailbox *conf = box->conf;
	bool implicit = box->implicit_tls;
	enum err err = server_open(&conf->server, implicit ? PORT_TLS : PORT_PLAIN, implicit,
	    (unsigned)conf->timeout_seconds, &box->server);

	forget_all(box);
	if (!err)
		err = greet(box);
	if (!err && !implicit && !str_equal(conf->server.tls, "off"))
		err = start_tls(box);
	if (!err)
		err = ask_capabilities(box);
	if (!err)
		err = log_in(box);
	if (!err)
		err = ask_capabilities(box);
	if (!err)
		err = select_folder(box);
	if (!err)
		imapbox_renew_later(box);
	if (err && box->server)
		err = imapbox_lose(box, err);
	return err;
}
