/* stages: what the stages share among themselves. */
#ifndef AUTHORITY_STAGES_H
#define AUTHORITY_STAGES_H

#include "pipeline.h"

/* What compose and commit agree on: marks of alarms that are sent once a day. */
#define ALARM_SECONDS 86400
#define QUARANTINE_ALARM_MARK "alarm:quarantine"
static inline char *repeat_alarm_mark(const struct work *w)
{
	return str_printf("alarm:repeat:%s", w->address);
}

/* Parses in a fresh confined process; as nursery_parse. */
CHECKED enum err work_parse(struct work *w, struct bytes mail, bool truncated, struct message *out);

/* Inside the transaction: what a delivery report says is noted with the mail of ours that it is about, if there is one. */
CHECKED enum err commit_report(struct work *w);

/* P5.7: does it hold anything like a token, or a secret key, in the open? */
bool work_carries_secret(const struct work *w, const struct message *m);

/* Inside the transaction: ERR_TEMPORARY "raced" if the address's keysets, or whose the key is, are not what check saw. */
CHECKED enum err check_picture(struct work *w);

/* The user's key out of a plain mail (P3.4): fills w->key and w->facts, or the refusal (false). *failed_out: a fault of ours instead. */
CHECKED bool pick_plain_key(struct work *w, enum err *failed_out);
/* A client's key: the one in the request, reduced and looked at. */
CHECKED bool take_client_key(struct work *w, enum err *failed_out);

#endif
