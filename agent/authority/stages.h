/* stages: what the stages share among themselves. */
#ifndef AUTHORITY_STAGES_H
#define AUTHORITY_STAGES_H

#include "pipeline.h"

/* Parses in a fresh confined process; as nursery_parse. */
CHECKED enum err work_parse(struct work *w, struct bytes mail, bool truncated, struct message *out);

/* The user's key out of a plain mail (P3.4): fills w->key and w->facts, or the refusal (false). *failed_out: a fault of ours instead. */
CHECKED bool pick_plain_key(struct work *w, enum err *failed_out);
/* A client's key: the one in the request, reduced and looked at. */
CHECKED bool take_client_key(struct work *w, enum err *failed_out);

#endif
