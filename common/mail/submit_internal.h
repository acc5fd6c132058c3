/* What stands behind submit.h: one driver for each way to hand a mail over. Private to this room. */
#ifndef MAIL_SUBMIT_INTERNAL_H
#define MAIL_SUBMIT_INTERNAL_H

#include "base/url.h"
#include "mail/submit.h"

/* The calls of submit.h, with the same contracts; the addresses have been looked at, and there is at least one recipient. */
struct submit_driver {
	void (*open)(struct submit *s);  /* NULL: there is nothing to keep */
	void (*close)(struct submit *s); /* frees s->state */
	enum submit_result (*send)(struct submit *s, const char *sender,
	    const char *const *recipients, size_t count, struct bytes mail);
	void (*rest)(struct submit *s);
	enum err (*check)(struct submit *s);
	unsigned seconds_least; /* what the last answer may take, whatever the time-out */
};
extern const struct submit_driver submit_by_sendmail, submit_by_maildir, submit_by_smtp;

struct submit {
	const struct submit_driver *driver;
	const struct conf_server *conf;
	struct url url;
	unsigned timeout_seconds;
	void *state; /* the driver's own */
};

#endif
