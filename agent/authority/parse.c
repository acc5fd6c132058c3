/* parse: the mail's bytes become a struct message, in a process that can do nothing else; then what is never answered is told apart (P4.1, P4.2). */
#include "nursery.h"
#include "pipeline.h"
#include "stages.h"
#include "text/address.h"

/* Also for what was inside an encryption: a fresh parser each. */
enum err work_parse(struct work *w, struct bytes mail, bool truncated, struct message *out)
{
	const struct conf *conf = w->authority->conf;
	struct parse_job job = {
		.limits = { .mail_bytes = (size_t)conf->limits.mail_bytes,
		    .header_bytes = (size_t)conf->limits.header_bytes,
		    .nesting = (unsigned)conf->limits.nesting,
		    .parts = (unsigned)conf->limits.parts },
		.seconds = (unsigned)conf->limits.parser_seconds,
		.memory_bytes = (size_t)conf->limits.parser_memory_bytes,
		.truncated = truncated,
	};
	return nursery_parse(w->nursery, &job, mail, out);
}

static bool is_from_ourselves(const struct work *w)
{
	char *from = NULL;
	bool same = w->message.from && address_canonical(w->message.from, &from) == ERR_OK &&
		    str_equal(from, w->authority->address);
	str_free(&from);
	return same;
}

enum err stage_parse(struct work *w)
{
	bool truncated = w->size > (int64_t)w->mail.len;
	enum err rc = work_parse(w, w->mail, truncated, &w->message);

	if (rc == ERR_DATA)
		return work_quarantine(w, "%s", err_text());
	if (rc == ERR_PROTOCOL && w->attempts >= w->authority->conf->limits.attempts)
		return work_quarantine(w, "%s, %lld times", err_text(), (long long)w->attempts);
	if (rc != ERR_OK)
		return rc;
	w->body = &w->message;
	w->automatic = w->message.automatic || w->message.null_sender || w->message.report ||
		       is_from_ourselves(w);
	return ERR_OK;
}
