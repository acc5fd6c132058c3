#include "client/post.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/when.h"
#include "client/local.h"
#include "mail/compose.h"
#include "mail/submit.h"
#include "text/address.h"

#define SENDMAIL "/usr/sbin/sendmail"
#define SUBMIT_SECONDS 120

/* How the mail leaves: by the options, else as it did the last time, else by sendmail. */
struct way {
	struct conf_server server; /* borrows the two below */
	char *url, *password_file;
};

static void way_clear(struct way *way)
{
	str_free(&way->url);
	str_free(&way->password_file);
}

/* A path is remembered whole, as the next time may be elsewhere. */
static enum err choose_password_file(
    const struct options *options, const struct local_profile *profile, char **out)
{
	if (options->submit_password_file == NULL) {
		*out = str_dup(options->submit == NULL ? profile->submit_password_file : NULL);
		return ERR_OK;
	}
	*out = realpath(options->submit_password_file, NULL);
	return *out != NULL ? ERR_OK
			    : err_fail(ERR_NOINPUT, "cannot read %s: %s",
				  options->submit_password_file, strerror(errno));
}

static enum err choose_way(const struct options *options, struct way *out)
{
	struct local_profile profile;
	enum err e = local_profile_load(&profile);

	*out = (struct way){ .server = CONF_SERVER(NULL) };
	if (e == ERR_OK)
		e = choose_password_file(options, &profile, &out->password_file);
	if (e != ERR_OK)
		goto out;
	if (options->submit != NULL)
		out->url = str_dup(options->submit);
	else if (profile.submit != NULL)
		out->url = str_dup(profile.submit);
	else if (file_exists(SENDMAIL))
		out->url = str_dup("sendmail:" SENDMAIL);
	else
		e = err_fail(ERR_UNAVAILABLE,
		    "there is no %s here: say how to send with --submit URL, or write the mail with --output FILE",
		    SENDMAIL);
	out->server.url = out->url;
	if (out->password_file != NULL)
		out->server.password_file = out->password_file;
out:
	local_profile_clear(&profile);
	return e;
}

enum err post_check(const struct options *options)
{
	struct submit *submit = NULL;
	struct way way;
	enum err e;

	if (options->output != NULL)
		return !str_equal(options->output, "-") && file_exists(options->output)
			   ? err_fail(ERR_CREATE,
				 "%s exists already: choose another name for --output",
				 options->output)
			   : ERR_OK;
	e = choose_way(options, &way);
	if (e == ERR_OK)
		e = submit_open(&way.server, SUBMIT_SECONDS, &submit);
	if (e == ERR_OK)
		e = submit_check(submit);
	submit_close(&submit);
	way_clear(&way);
	return e;
}

static enum err write_out(const char *path, struct bytes mail)
{
	return str_equal(path, "-") ? file_write_fd(1, mail) : file_create(path, 0600, mail);
}

static enum err remember(const struct way *way)
{
	struct local_profile profile;
	enum err e = local_profile_load(&profile);

	if (e == ERR_OK && (!str_equal(profile.submit, way->url) ||
			       !str_equal(profile.submit_password_file, way->password_file))) {
		str_free(&profile.submit);
		str_free(&profile.submit_password_file);
		profile.submit = str_dup(way->url);
		profile.submit_password_file = str_dup(way->password_file);
		e = local_profile_save(&profile);
	}
	local_profile_clear(&profile);
	return e;
}

static enum err hand_over(
    const struct options *options, const char *from, const char *to, struct bytes mail)
{
	const char *recipients[] = { to, NULL };
	struct submit *submit = NULL;
	struct way way;
	enum err e = choose_way(options, &way);

	if (e == ERR_OK)
		e = submit_open(&way.server, SUBMIT_SECONDS, &submit);
	if (e != ERR_OK)
		goto out;
	switch (submit_send(submit, from, recipients, mail)) {
	case SUBMIT_SENT:
		if (options->submit != NULL || options->submit_password_file != NULL)
			e = remember(&way);
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
	way_clear(&way);
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
