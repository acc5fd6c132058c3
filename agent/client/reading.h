/* reading: mails from strangers, taken apart in a confined child of this process. */
#ifndef CLIENT_READING_H
#define CLIENT_READING_H

#include "mail/message.h"

#define READING_BYTES_MAX (2 * 1024 * 1024)

/* ERR_DATA when it can't be understood. `out` is to be freed in both cases. */
CHECKED enum err reading_mail(struct bytes mail, struct message *out);
/* The address of the first To field, canonical; NULL if it names none or several. malloc'ed. */
char *reading_recipient(const struct message *message);

#endif
