/* SMTP submission (RFC 6409): one connection for many mails. */
#include <stdlib.h>
#include <string.h>

#include "mail/quoted.h"
#include "mail/submit_internal.h"
#include "mail/submit_session_internal.h"
#include "text/address.h"

#define CHUNK_BYTES 65536 /* each has a deadline of its own */

struct state {
	struct session session;
	bool open_transaction; /* the server may remember a sender and recipients */
};

struct parcel {
	char *sender;
	char **recipients;
	size_t count;
	struct buf text; /* lines end with CRLF; not yet dot-stuffed */
	bool has_8bit, needs_utf8;
};

static void open_state(struct submit *s)
{
	struct state *state = mem_alloc(sizeof *state);

	session_init(&state->session);
	s->state = state;
}

static void close_state(struct submit *s)
{
	struct state *state = s->state;

	session_clear(&state->session);
	free(state);
}

static void rest(struct submit *s)
{
	struct state *state = s->state;

	session_quit(&state->session);
}

/* ---- the mail made ready ---- */

static bool has_8bit(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] & 0x80)
			return true;
	return false;
}

static enum err envelope_address(const char *address, bool *needs_utf8, char **out)
{
	const char *at = strrchr(address, '@');
	char *domain = NULL;

	if (!at) { /* the null sender, or one whom the server knows by that */
		*out = str_dup(address);
	} else {
		enum err err = server_host_ascii(at + 1, &domain);
		if (err)
			return err;
		*out = str_printf("%.*s@%s", (int)(at - address), address, domain);
		str_free(&domain);
	}
	*needs_utf8 |= has_8bit(bytes_of_text(*out));
	if (strlen(*out) > ADDRESS_BYTES_MAX)
		return err_fail(
		    ERR_DATA, "an envelope address has more than %d bytes", ADDRESS_BYTES_MAX);
	return ERR_OK;
}

/* RFC 5321 2.3.8: servers don't agree on what a CR alone is; to some it would end the mail. */
static bool has_bare_cr(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] == '\r' && (i + 1 == text.len || text.data[i + 1] != '\n'))
			return true;
	return false;
}

static enum err parcel_make(struct parcel *parcel, const char *sender,
    const char *const *recipients, size_t count, struct bytes mail)
{
	enum err err = envelope_address(sender, &parcel->needs_utf8, &parcel->sender);

	parcel->recipients = mem_array(NULL, count, sizeof *parcel->recipients);
	for (; !err && parcel->count < count; parcel->count++) {
		parcel->recipients[parcel->count] = NULL;
		err = envelope_address(recipients[parcel->count], &parcel->needs_utf8,
		    &parcel->recipients[parcel->count]);
	}
	lines_add(&parcel->text, mail, "\r\n");
	if (mail.len > 0 && mail.data[mail.len - 1] != '\n')
		buf_add_text(&parcel->text, "\r\n");
	parcel->has_8bit = has_8bit(mail);
	if (!err && has_bare_cr(buf_bytes(&parcel->text)))
		err = err_fail(ERR_DATA, "the mail has a CR that ends no line");
	return err;
}

static void parcel_free(struct parcel *parcel)
{
	for (size_t i = 0; i < parcel->count; i++)
		str_free(&parcel->recipients[i]);
	free(parcel->recipients);
	str_free(&parcel->sender);
	buf_free(&parcel->text);
}

/* What the server has told that it won't do need not be asked of it. */
static enum err fits_server(const struct parcel *parcel, const struct session *session)
{
	const char *name = session->server->name;

	if (session->size_most > 0 && parcel->text.len > session->size_most)
		return err_fail(ERR_DATA, "%s takes mails of %llu bytes at most; this one has %zu",
		    name, (unsigned long long)session->size_most, parcel->text.len);
	if (parcel->has_8bit && !session->offers_8bit)
		return err_fail(
		    ERR_DATA, "%s does not take mails with 8-bit characters (8BITMIME)", name);
	if (parcel->needs_utf8 && !session->offers_utf8)
		return err_fail(ERR_DATA,
		    "%s does not take addresses with other than ASCII characters before the @ (SMTPUTF8)",
		    name);
	return ERR_OK;
}

/* ---- one transaction ---- */

static enum submit_result give_envelope(struct state *state, const struct parcel *parcel)
{
	struct session *session = &state->session;
	char *size = session->offers_size ? str_printf(" SIZE=%zu", parcel->text.len) : str_dup("");

	state->open_transaction = true;
	/* RFC 3461 4.3: a mail that comes back shall not bring its token along. */
	session_ask(session, "MAIL FROM:<%s>%s%s%s%s", parcel->sender, size,
	    parcel->has_8bit ? " BODY=8BITMIME" : "", parcel->needs_utf8 ? " SMTPUTF8" : "",
	    session->offers_dsn ? " RET=HDRS" : "");
	str_free(&size);
	for (size_t i = 0; session->code / 100 == 2 && i < parcel->count; i++)
		session_ask(session, "RCPT TO:<%s>", parcel->recipients[i]);
	if (session->code / 100 == 2)
		session_ask(session, "DATA");
	return session->code == 354 ? SUBMIT_SENT : session_judge(session);
}

/* RFC 5321 4.5.2. */
static void add_stuffed(struct buf *out, struct bytes line)
{
	if (line.len > 0 && line.data[0] == '.')
		buf_add_byte(out, '.');
	buf_add(out, line.data, line.len);
	buf_add_text(out, "\r\n");
}

static bool give_text(struct session *session, struct bytes text)
{
	struct buf chunk = BUF_INIT;
	struct bytes line;
	bool good = true;

	while (good && bytes_line(&text, &line)) {
		add_stuffed(&chunk, line);
		if (chunk.len >= CHUNK_BYTES || text.len == 0) {
			good = session_write(session, buf_bytes(&chunk));
			buf_clear(&chunk);
		}
	}
	buf_free(&chunk);
	return good;
}

/* Until the dot goes out, nothing was sent; from then on only the answer tells. */
static enum submit_result give_mail(struct state *state, const struct parcel *parcel)
{
	struct session *session = &state->session;

	session->code = 0;
	if (!give_text(session, buf_bytes(&parcel->text)))
		return session_judge(session);
	session_ask_dot(session);
	if (session->code / 100 == 2) {
		state->open_transaction = false;
		return SUBMIT_SENT;
	}
	enum submit_result result = session_judge(session);
	if (session->code / 100 == 4 || session->code / 100 == 5)
		return result;
	(void)err_prefix(ERR_UNAVAILABLE, "the mail may have arrived or not");
	return SUBMIT_IN_DOUBT;
}

static enum submit_result transact(struct state *state, const struct parcel *parcel)
{
	struct session *session = &state->session;
	enum submit_result result;

	if (fits_server(parcel, session) != ERR_OK)
		return SUBMIT_PERMANENT;
	if (state->open_transaction) {
		session_ask(session, "RSET");
		if (session->code / 100 != 2) {
			(void)session_judge(session);
			return SUBMIT_NO_SERVER;
		}
		state->open_transaction = false;
	}
	result = give_envelope(state, parcel);
	return result == SUBMIT_SENT ? give_mail(state, parcel) : result;
}

/* ---- the driver ---- */

static enum submit_result connect_server(struct submit *s)
{
	struct state *state = s->state;

	if (state->session.server)
		return SUBMIT_SENT;
	state->open_transaction = false;
	return session_open(&state->session, s->conf, s->timeout_seconds);
}

static enum submit_result send_parcel(struct submit *s, const struct parcel *parcel)
{
	struct state *state = s->state;
	bool was_open;
	enum submit_result result;

	/* A connection that was left open may have ended meanwhile; that is no fault of the server's. */
	do {
		was_open = state->session.server != NULL;
		result = connect_server(s);
		if (result == SUBMIT_SENT)
			result = transact(state, parcel);
		if (result == SUBMIT_NO_SERVER || result == SUBMIT_DENIED ||
		    result == SUBMIT_IN_DOUBT)
			session_drop(&state->session);
	} while (result == SUBMIT_NO_SERVER && was_open);
	return result;
}

static enum submit_result send_one(struct submit *s, const char *sender,
    const char *const *recipients, size_t count, struct bytes mail)
{
	struct parcel parcel = { .text = BUF_INIT };
	enum err err = parcel_make(&parcel, sender, recipients, count, mail);
	enum submit_result result = err ? SUBMIT_PERMANENT : send_parcel(s, &parcel);

	parcel_free(&parcel);
	return result;
}

static enum err check(struct submit *s)
{
	struct state *state = s->state;
	enum submit_result result;

	session_drop(&state->session);
	result = connect_server(s);
	if (result == SUBMIT_SENT)
		return ERR_OK;
	return result == SUBMIT_DENIED ? ERR_DENIED : ERR_UNAVAILABLE;
}

const struct submit_driver submit_by_smtp = { .open = open_state,
	.close = close_state,
	.send = send_one,
	.rest = rest,
	.check = check,
	.seconds_least = SESSION_DOT_SECONDS };
