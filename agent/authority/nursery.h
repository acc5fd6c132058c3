/* nursery: parsing a mail in a fresh confined process. */
#ifndef AUTHORITY_NURSERY_H
#define AUTHORITY_NURSERY_H

#include "mail/message.h"

struct parse_job {
	struct message_limits limits;
	unsigned seconds;
	size_t memory_bytes;
	bool truncated;
};

/*
 * Asks the nursery behind `socket`. ERR_DATA: a limit refused the mail (P4.1), err_text() says which; ERR_PROTOCOL: the parser crashed, ran out of time or
 * memory, or gave back something that is no message; else it could not be asked. `out` is to be freed in every case.
 */
CHECKED enum err nursery_parse(
    int socket, const struct parse_job *job, struct bytes mail, struct message *out);

#endif
