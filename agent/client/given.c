#include "client/given.h"

#include <stdio.h>

#include "base/file.h"
#include "client/ask.h"
#include "client/authority.h"

#define TRIES 3

static enum err from_file(const char *path, struct token *out)
{
	struct buf text = BUF_SECRET;
	enum err e = file_read_secret(path, &text);

	if (e == ERR_OK) {
		e = token_parse(buf_text(&text), out);
		if (e != ERR_OK)
			e = err_prefix(e, "%s", path);
	}
	buf_free(&text);
	return e;
}

/* P1.8, in the order of P3.2. With `pin` NULL every token counts. */
static enum token_found look(const struct message *mail, const uint8_t *pin, struct token *out)
{
	const struct bytes places[] = { buf_bytes(&mail->new_text),
		bytes_of_text(mail->subject != NULL ? mail->subject : ""),
		buf_bytes(&mail->quoted_text) };
	enum token_found found = TOKEN_NONE;

	for (size_t i = 0; i < 3; i++) {
		enum token_found here = token_find(places[i], pin, out);

		if (here == TOKEN_ONE || here == TOKEN_AMBIGUOUS)
			return here;
		if (here == TOKEN_ALMOST)
			found = here;
	}
	return found;
}

static enum err from_mail(
    const struct message *mail, const struct local_authority *authority, struct token *out)
{
	uint8_t pin[PIN_BYTES];
	enum token_found found;
	enum err e = authority_pin(authority, pin);

	if (e != ERR_OK)
		return e;
	found = look(mail, pin, out);
	if (found == TOKEN_NONE || found == TOKEN_ALMOST)
		switch (look(mail, NULL, out)) {
		case TOKEN_ONE:
			return ERR_OK; /* of another authority: authority_check_pin says so */
		case TOKEN_AMBIGUOUS:
			found = TOKEN_AMBIGUOUS;
			break;
		case TOKEN_ALMOST:
			return err_fail(ERR_DATA,
			    "the token in that mail was damaged on its way: type it, with --token-file or at the prompt");
		case TOKEN_NONE:
			return err_fail(ERR_DATA, "there is no token in that mail");
		}
	if (found == TOKEN_AMBIGUOUS)
		return err_fail(ERR_DATA,
		    "there are several tokens in that mail: give the right one with --token-file");
	return ERR_OK;
}

/* Typing errors are told at once, and may be mended. */
static enum err from_terminal(bool optional, struct token *out, bool *given_out)
{
	enum err e = ERR_OK;

	for (int i = 0; i < TRIES; i++) {
		char *line = NULL;

		e = ask_line(
		    optional ? "New token (empty: the same request again)" : "Token", NULL, &line);
		if (e != ERR_OK)
			return e;
		*given_out = !(optional && line[0] == '\0');
		e = *given_out ? token_parse(line, out) : ERR_OK;
		str_wipe(&line);
		if (e == ERR_OK)
			break;
		fprintf(stderr, "%s\n", err_text());
	}
	return e;
}

enum err given_token(const struct options *options, const struct message *mail,
    const struct local_authority *authority, bool optional, struct token *out, bool *given_out)
{
	enum err e = ERR_OK;

	*given_out = true;
	if (options->token_file != NULL)
		e = from_file(options->token_file, out);
	else if (mail != NULL)
		e = from_mail(mail, authority, out);
	else if (ask_possible())
		e = from_terminal(optional, out, given_out);
	else if (optional)
		*given_out = false;
	else
		e = err_fail(ERR_USAGE,
		    "there is no token: name the token mail, or give it with --token-file FILE");
	if (e == ERR_OK && *given_out)
		e = authority_check_pin(authority, out);
	if (e != ERR_OK)
		token_wipe(out);
	return e;
}
