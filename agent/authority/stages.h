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

/* The client's lines, not a mail program's mail. */
static inline bool work_is_client(const struct work *w)
{
	return w->kind == WORK_CLIENT_REQUEST || w->kind == WORK_CLIENT_RENEWAL ||
	       w->kind == WORK_CLIENT_CONFIRMATION;
}
static inline bool work_is_renewal(const struct work *w)
{
	return w->kind == WORK_CLIENT_RENEWAL || w->kind == WORK_PLAIN_RENEWAL;
}

/* From is the one address there is (P4.3): canonical and malloc'ed, or NULL. */
char *work_from(const struct work *w);
/* A further keyset that ends with this mail. */
struct ending *work_end(struct work *w, const struct keyset_row *keyset);
enum keyset_state work_state(const struct work *w, const struct keyset_row *keyset);
/* Sets the verdict; ERR_OK. */
enum err work_refused(struct work *w);

/* ---- check, part by part; one that gives bool has filled the refusal where it says false, or *failed ---- */

/* Keyset names, compared as P4.6 says. */
bool check_same_keyset(const char *a, const char *b);
CHECKED enum err check_confirmation(struct work *w);
CHECKED enum err check_renewal(struct work *w);
/* P3.8: a verdict only where a stored key has revoked itself. */
CHECKED enum err check_self_revocation(struct work *w);
/* Makes the picture that check_picture compares with. */
CHECKED enum err check_look(struct work *w);
/* P2.2, P3.6: does policy want, or forbid, a deposit with this request? `fresh`: its encryption subkey is new here. */
CHECKED bool check_deposit_policy(struct work *w, bool fresh, enum err *failed);
/* P4.8, what needs no gpg. */
CHECKED bool check_deposit(struct work *w);
/* Can deposits be sealed? Any error is an outage. */
CHECKED enum err deposit_works(const struct authority *authority);

/* Inside the transaction: ERR_TEMPORARY "raced" if the address's keysets, or whose the key is, are not what check saw. */
CHECKED enum err check_picture(struct work *w);

/* The user's key out of a plain mail (P3.4): fills w->key and w->facts, or the refusal (false). *failed_out: a fault of ours instead. */
CHECKED bool pick_plain_key(struct work *w, enum err *failed_out);
/* A client's key: the one in the request, reduced and looked at. */
CHECKED bool take_client_key(struct work *w, enum err *failed_out);
/* P3.7: the stored key together with the copy that came, if one did; of the same primary. w->earlier is the keyset. */
CHECKED bool take_renewed_key(struct work *w, enum err *failed_out);

#endif
