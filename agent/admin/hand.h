/* hand: handing a mail to the mail server at once, by a process of its own that holds no store and no key (P5.7). */
#ifndef ADMIN_HAND_H
#define ADMIN_HAND_H

#include "base/conf.h"
#include "mail/submit.h"

/* As submit_send; err_text() says why where the result is not SUBMIT_SENT. */
CHECKED enum submit_result hand_over(
    const struct conf *conf, const char *sender, const char *const *recipients, struct bytes mail);

#endif
