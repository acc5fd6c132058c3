/* The stand-in for sendmail in an administrator's mail program. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/journal.h"
#include "confine/confine.h"
#include "fill.h"
#include "text/address.h"

struct sendmail {
	bool header_recipients; /* -t */
	bool dot_is_text;       /* -i */
	bool each;              /* one mail and one token for each recipient */
	const char *sender;     /* -f */
};

/* ---- reading ---- */

/*
 * The options of sendmail that mail programs use. Those of them that take a value may have it attached; `with_value` are read over.
 */
static enum err read_sendmail_option(struct filling *f, struct sendmail *s)
{
	static const char with_value[] = "BCFhLNORVX", alone[] = "nUvmG";
	struct invocation *in = f->in;
	const char *word = in->argv[0];
	const char *value = word[2] ? word + 2 : in->argc > 1 ? in->argv[1] : NULL;
	bool takes_value = word[1] == 'f' || word[1] == 'r' || strchr(with_value, word[1]);

	if (takes_value && !value)
		return err_fail(ERR_USAGE, "%s needs a value", word);
	if (word[1] == 'f' || word[1] == 'r')
		s->sender = value;
	else if (str_equal(word, "-i") || str_equal(word, "-oi"))
		s->dot_is_text = true;
	else if (str_equal(word, "-t") || str_equal(word, "-ti") || str_equal(word, "-it"))
		s->header_recipients = true, s->dot_is_text |= word[2] != '\0';
	else if (!takes_value && word[1] != 'o' && !str_equal(word, "-bm") &&
		 !strchr(alone, word[1]))
		return err_fail(
		    ERR_USAGE, "sendmail's %s is not supported: mails can only be handed on", word);
	in->argv += takes_value && !word[2] ? 2 : 1;
	in->argc -= takes_value && !word[2] ? 2 : 1;
	return ERR_OK;
}

static enum err read_sendmail_arguments(struct filling *f, struct sendmail *s)
{
	struct invocation *in = f->in;
	bool ended = false;

	while (in->argc > 0) {
		const char *word = in->argv[0];
		enum err e;

		if (!ended && str_equal(word, "--each")) {
			s->each = true;
		} else if (!ended && word[0] == '-' && word[1] && !str_equal(word, "--")) {
			if ((e = read_sendmail_option(f, s)))
				return e;
			continue;
		} else if (ended || !str_equal(word, "--")) {
			fill_add_recipient(f, word);
		} else {
			ended = true;
		}
		in->argv++;
		in->argc--;
	}
	if (!s->header_recipients && f->recipient_count == 0)
		return err_fail(
		    ERR_USAGE, "no recipient: name one, or use -t for those of the header");
	return ERR_OK;
}

/* Without -i a line of one dot ends the mail. */
static void cut_at_dot(struct buf *draft)
{
	struct bytes rest = buf_bytes(draft), line;
	const uint8_t *begin = rest.data;

	while (bytes_line(&rest, &line)) {
		if (line.len == 1 && line.data[0] == '.') {
			draft->len = (size_t)(line.data - begin);
			draft->data[draft->len] = '\0';
			return;
		}
	}
}

/* What -t asks of a sendmail: the header's Bcc stays here. */
static void drop_bcc(const struct buf *draft, struct buf *out)
{
	struct bytes rest = buf_bytes(draft), line;
	bool dropping = false;

	for (const uint8_t *begin = rest.data; bytes_line(&rest, &line); begin = rest.data) {
		bool folded = line.len && (line.data[0] == ' ' || line.data[0] == '\t');

		if (!line.len) {
			buf_add(out, begin, (size_t)(draft->data + draft->len - begin));
			return;
		}
		if (!folded)
			dropping =
			    line.len >= 4 && str_starts_case((const char *)line.data, "bcc:");
		if (!dropping)
			buf_add(out, begin, (size_t)(rest.data - begin));
	}
}

/* ---- handing on ---- */

static const char *sender_of(
    const struct filling *f, const struct conf *conf, const struct sendmail *s)
{
	const char *sender = s->sender ? s->sender : f->facts.from;

	if (!sender)
		sender = conf->authority.address;
	return str_equal(sender, "<>") ? "" : sender;
}

/* No token in it: neither store nor key is needed, and their trouble holds up nobody's mail. */
static enum err pass_on(struct filling *f, const struct sendmail *s)
{
	struct buf without_bcc = BUF_INIT;
	struct conf *conf = NULL;
	enum err e;

	if ((e = conf_read(conf_path(f->in->config), &conf)))
		return e;
	if (file_exists(conf->authority.state_directory) &&
	    (e = confine_become_owner(conf->authority.state_directory)))
		goto out;
	if (s->header_recipients)
		drop_bcc(&f->draft, &without_bcc);
	e = fill_hand_on(conf, sender_of(f, conf, s), f->recipients,
	    s->header_recipients ? buf_bytes(&without_bcc) : buf_bytes(&f->draft));
out:
	buf_free(&without_bcc);
	conf_free(&conf);
	return e;
}

/* A token that did not go out is voided. */
static enum err send_filled(struct filling *f, const struct sendmail *s, const struct issue *issue,
    const char *const *recipients, struct bytes mail)
{
	const struct conf *conf = f->authority->conf;
	enum err e = fill_hand_on(conf, sender_of(f, conf, s), recipients, mail);

	if (e)
		issue_take_back(f->authority, f->in, issue, "not-sent");
	return e;
}

static enum err fill_and_hand_on(struct filling *f, const struct sendmail *s)
{
	struct issue issue = { 0 };
	struct buf mail = BUF_SECRET;
	char *address = NULL;
	enum err e;

	if (!(e = fill_only_recipient(f, &address)) && !(e = fill_open(f)) &&
	    !(e = fill_issue(f, address, &issue, &mail)))
		e = send_filled(f, s, &issue, f->recipients, buf_bytes(&mail));
	str_free(&address);
	buf_free(&mail);
	issue_free(&issue);
	return e;
}

/* ---- --each ---- */

static bool is_among(const struct issue *issues, size_t count, const char *address)
{
	for (size_t i = 0; i < count; i++)
		if (str_equal(issues[i].row.address, address))
			return true;
	return false;
}

/* One token each, none of them issued yet; recipients that mean the same person are one. */
static enum err prepare_each(struct filling *f, struct issue *issues, size_t *count)
{
	enum err e = ERR_OK;

	for (size_t i = 0; i < f->recipient_count && !e; i++) {
		char *address = NULL;

		if ((e = address_canonical(f->recipients[i], &address)))
			e = err_prefix(e, "the recipient");
		else if (!is_among(issues, *count, address))
			e = issue_prepare(
			    f->authority, f->in, &f->options, address, &issues[(*count)++]);
		str_free(&address);
	}
	return e;
}

static enum err send_each(struct filling *f, const struct sendmail *s, struct issue *issue)
{
	const char *recipients[] = { issue->row.address, NULL };
	struct buf mail = BUF_SECRET;
	enum err e;

	if (!(e = fill_compose(f, issue, &mail)) && !(e = issue_commit(f->authority, f->in, issue)))
		e = send_filled(f, s, issue, recipients, buf_bytes(&mail));
	if (e)
		command_note("%s: %s", issue->row.address, err_text());
	buf_free(&mail);
	return e;
}

/* Nothing is issued unless all recipients can have a token; from there on each mail has its own fate. */
static enum err fill_each(struct filling *f, const struct sendmail *s)
{
	struct issue *issues = mem_alloc((f->recipient_count + 1) * sizeof *issues);
	size_t count = 0, failed = 0;
	enum err e, first = ERR_OK;

	if (!(e = fill_open(f)))
		e = prepare_each(f, issues, &count);
	for (size_t i = 0; i < count && !e; i++) {
		enum err one = send_each(f, s, &issues[i]);

		failed += one != ERR_OK;
		first = first ? first : one;
	}
	if (!e && first)
		e = err_fail(first,
		    failed < count
			? "%zu of %zu mails were not sent; the others are, each with its token: send again to those alone"
			: "%zu of %zu mails were not sent",
		    failed, count);
	for (size_t i = 0; i < count; i++)
		issue_free(&issues[i]);
	free(issues);
	return e;
}

enum err command_sendmail(struct invocation *in)
{
	struct filling f = { .in = in };
	struct sendmail s = { 0 };
	enum err e;

	journal_open(
	    "countersignctl", JOURNAL_ERROR); /* a mail program takes each line for a failure */
	if ((e = read_sendmail_arguments(&f, &s)) ||
	    (e = file_read("-", DRAFT_BYTES_MAX, &f.draft)))
		goto out;
	if (!s.dot_is_text)
		cut_at_dot(&f.draft);
	e = draft_inspect(buf_bytes(&f.draft), &f.facts);
	if (e && (s.header_recipients || bytes_find(buf_bytes(&f.draft), bytes_of_text("%TOKEN%"))))
		goto out;
	for (size_t i = 0; s.header_recipients && i < f.facts.recipient_count; i++)
		fill_add_recipient(&f, f.facts.recipients[i]);
	if (f.recipient_count == 0)
		e = err_fail(ERR_DATA, "the draft has no recipient");
	else if (!f.facts.has_token_word && !f.facts.quoted_token_word)
		e = pass_on(&f, &s);
	else
		e = s.each ? fill_each(&f, &s) : fill_and_hand_on(&f, &s);
out:
	filling_free(&f);
	return e;
}
