#include "client/post.h"

#include <stdio.h>

#include "base/file.h"
#include "base/when.h"
#include "client/local.h"
#include "mail/compose.h"
#include "mail/submit.h"
#include "text/address.h"

#define SENDMAIL "/usr/sbin/sendmail"
#define SUBMIT_SECONDS 120

static enum err choose_url(const struct options *options, char **out)
{
	struct local_profile profile;
	enum err e = local_profile_load(&profile);

	*out = NULL;
	if (e != ERR_OK)
		goto out;
	if (options->submit != NULL)
		*out = str_dup(options->submit);
	else if (profile.submit != NULL)
		*out = str_dup(profile.submit);
	else if (file_exists(SENDMAIL))
		*out = str_dup("sendmail:" SENDMAIL);
	else
		e = err_fail(ERR_UNAVAILABLE,
		    "there is no %s here: say how to send with --submit URL, or write the mail with --output FILE",
		    SENDMAIL);
out:
	local_profile_clear(&profile);
	return e;
}

enum err post_check(const struct options *options)
{
	struct conf_server server = CONF_SERVER(NULL);
	struct submit *submit = NULL;
	char *url = NULL;
	enum err e;

	if (options->output != NULL)
		return !str_equal(options->output, "-") && file_exists(options->output)
			   ? err_fail(ERR_CREATE,
				 "%s exists already: choose another name for --output",
				 options->output)
			   : ERR_OK;
	e = choose_url(options, &url);
	server.url = url;
	if (e == ERR_OK)
		e = submit_open(&server, SUBMIT_SECONDS, &submit);
	if (e == ERR_OK)
		e = submit_check(submit);
	submit_close(&submit);
	str_free(&url);
	return e;
}

static enum err write_out(const char *path, struct bytes mail)
{
	return str_equal(path, "-") ? file_write_fd(1, mail) : file_create(path, 0600, mail);
}

static enum err remember(const char *url)
{
	struct local_profile profile;
	enum err e = local_profile_load(&profile);

	if (e == ERR_OK && !str_equal(profile.submit, url)) {
		str_free(&profile.submit);
		profile.submit = str_dup(url);
		e = local_profile_save(&profile);
	}
	local_profile_clear(&profile);
	return e;
}

static enum err hand_over(
    const struct options *options, const char *from, const char *to, struct bytes mail)
{
	const char *recipients[] = { to, NULL };
	struct conf_server server = CONF_SERVER(NULL);
	struct submit *submit = NULL;
	char *url = NULL;
	enum err e = choose_url(options, &url);

	server.url = url;
	if (e == ERR_OK)
		e = submit_open(&server, SUBMIT_SECONDS, &submit);
	if (e != ERR_OK)
		goto out;
	switch (submit_send(submit, from, recipients, mail)) {
	case SUBMIT_SENT:
		if (options->submit != NULL)
			e = remember(url);
		break;
	case SUBMIT_TEMPORARY:
	case SUBMIT_NO_SERVER:
	case SUBMIT_DENIED:
	case SUBMIT_IN_DOUBT:
		e = err_prefix(ERR_TEMPORARY, "the mail may not have been sent");
		break;
	case SUBMIT_PERMANENT:
		e = err_prefix(ERR_UNAVAILABLE, "the mail was not sent");
		break;
	}
out:
	submit_close(&submit);
	str_free(&url);
	return e;
}

enum err post_send(const struct options *options, const char *from, const char *to,
    const char *subject, struct bytes sealed)
{
	char *message_id = message_id_make(address_domain(from));
	struct envelope_header header = { .from_address = from,
		.to_address = to,
		.subject = subject,
		.message_id = message_id,
		.date = when_now() };
	struct buf mail = BUF_INIT;
	enum err e = letter_write_encrypted(&header, sealed, &mail);

	if (e == ERR_OK)
		e = options->output != NULL ? write_out(options->output, buf_bytes(&mail))
					    : hand_over(options, from, to, buf_bytes(&mail));
	buf_free(&mail);
	str_free(&message_id);
	return e;
}

void post_say(const struct options *options, const char *format, ...)
{
	FILE *to = str_equal(options->output, "-") ? stderr : stdout;
	va_list ap;

	va_start(ap, format);
	vfprintf(to, format, ap);
	va_end(ap);
	fputc('\n', to);
}
