#include "mail/submit_internal.h"

#include <stdlib.h>

static const struct {
	const char *scheme;
	const struct submit_driver *driver;
} kinds[] = {
	{ "sendmail", &submit_by_sendmail },
	{ "maildir", &submit_by_maildir },
	{ "submissions", &submit_by_smtp },
	{ "submission", &submit_by_smtp },
};

static const struct submit_driver *driver_of(const char *scheme)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (str_equal(kinds[i].scheme, scheme))
			return kinds[i].driver;
	return NULL;
}

unsigned submit_seconds_most(const struct conf_server *server, unsigned timeout_seconds)
{
	struct url url = { 0 };
	unsigned least = 0;

	if (url_parse(server->url, URL_SUBMIT_SCHEMES, &url) == ERR_OK)
		least = driver_of(url.scheme)->seconds_least;
	url_free(&url);
	return timeout_seconds > least ? timeout_seconds : least;
}

enum err submit_open(
    const struct conf_server *server, unsigned timeout_seconds, struct submit **out)
{
	struct url url = { 0 };

	*out = NULL;
	if (url_parse(server->url, URL_SUBMIT_SCHEMES, &url) != ERR_OK)
		return err_fail(ERR_CONFIG,
		    "the submission \"%s\" is not understood; write submissions://USER@HOST, "
		    "submission://USER@HOST, sendmail:/PROGRAM or maildir:/DIRECTORY",
		    server->url);
	struct submit *s = mem_alloc(sizeof *s);
	s->conf = server;
	s->url = url;
	s->timeout_seconds = timeout_seconds;
	s->driver = driver_of(url.scheme);
	if (s->driver->open)
		s->driver->open(s);
	*out = s;
	return ERR_OK;
}

void submit_rest(struct submit *s)
{
	if (s->driver->rest)
		s->driver->rest(s);
}

void submit_close(struct submit **s)
{
	if (*s == NULL)
		return;
	submit_rest(*s);
	if ((*s)->driver->close)
		(*s)->driver->close(*s);
	url_free(&(*s)->url);
	free(*s);
	*s = NULL;
}

/* Nothing that could begin another line, another address, or a parameter. */
static bool envelope_fits(const char *address)
{
	for (const char *c = address; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f || *c == '<' || *c == '>')
			return false;
	return true;
}

enum submit_result submit_send(
    struct submit *s, const char *sender, const char *const *recipients, struct bytes mail)
{
	bool fits = envelope_fits(sender);
	size_t count = 0;

	for (; recipients[count]; count++)
		fits = fits && recipients[count][0] != '\0' && envelope_fits(recipients[count]);
	if (!fits || count == 0) {
		err_fail(ERR_DATA, "an envelope address is missing or malformed");
		return SUBMIT_PERMANENT;
	}
	return s->driver->send(s, sender, recipients, count, mail);
}

enum err submit_check(struct submit *s)
{
	return s->driver->check(s);
}
