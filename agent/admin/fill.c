/* Tokens dropped into an administrator's own outgoing mail: `token fill` and the stand-in for sendmail. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/journal.h"
#include "base/when.h"
#include "confine/confine.h"
#include "hand.h"
#include "issue.h"
#include "mail/draft.h"
#include "text/address.h"

#define DRAFT_BYTES_MAX (256u << 20)

struct filling {
	struct invocation *in;
	struct issue_options options;
	struct buf draft; /* as it was read */
	struct draft_facts facts;
	const char **recipients; /* NULL-terminated; borrowed from facts and the arguments */
	size_t recipient_count;
	struct authority *authority;
	struct issue issue;
	struct buf mail; /* the draft filled in */
};

static void filling_free(struct filling *f)
{
	issue_free(&f->issue);
	authority_close(&f->authority);
	draft_facts_free(&f->facts);
	free(f->recipients);
	buf_free(&f->draft);
	buf_free(&f->mail);
}

static void add_recipient(struct filling *f, const char *address)
{
	f->recipients = mem_array(f->recipients, f->recipient_count + 2, sizeof *f->recipients);
	f->recipients[f->recipient_count++] = address;
	f->recipients[f->recipient_count] = NULL;
}

static void add_header_recipients(struct filling *f)
{
	for (size_t i = 0; i < f->facts.recipient_count; i++)
		add_recipient(f, f->facts.recipients[i]);
}

/* Header and envelope together name one person, or nobody can say whose token it would be. */
static enum err only_recipient(const struct filling *f, char **out)
{
	enum err e = ERR_OK;

	*out = NULL;
	for (size_t i = 0; i < f->recipient_count + f->facts.recipient_count && !e; i++) {
		bool in_header = i >= f->recipient_count;
		const char *text =
		    in_header ? f->facts.recipients[i - f->recipient_count] : f->recipients[i];
		char *address = NULL;

		if ((e = address_canonical(text, &address)))
			return err_prefix(e, "the recipient");
		if (*out && !str_equal(*out, address))
			e = err_fail(ERR_DATA,
			    "the draft goes to %s and %s, but a token is for one person: write to each alone",
			    *out, address);
		if (!*out) {
			*out = address;
			address = NULL;
		}
		str_free(&address);
	}
	if (!e && !*out)
		e = err_fail(
		    ERR_DATA, "the draft has no recipient, so nobody to issue the token for");
	return e;
}

static enum err check_fillable(const struct draft_facts *facts)
{
	if (facts->quoted_token_word)
		return err_fail(ERR_DATA,
		    "%%TOKEN%% stands in quoted text, where somebody else may have written it: remove it there");
	if (facts->is_encrypted)
		return err_fail(
		    ERR_DATA, "the draft is encrypted and can't be filled: send it unencrypted");
	if (facts->is_signed)
		return err_fail(ERR_DATA,
		    "the draft is signed, and filling it would break the signature: send it unsigned");
	return ERR_OK;
}

static enum err compose(struct filling *f)
{
	struct buf card = BUF_INIT, attachment = BUF_INIT;
	struct issue_words words;
	struct part part;
	enum err e = letters_card_part(f->authority, &card, &part);

	issue_words_make(f->authority, &f->issue, "default", &words);
	if (!e) {
		part_write(&part, &attachment);
		e = draft_fill(buf_bytes(&f->draft), words.list, ISSUE_WORDS,
		    buf_bytes(&attachment), &f->mail);
	}
	issue_words_free(&words);
	buf_free(&card);
	buf_free(&attachment);
	return e;
}

/* Everything that can fail comes before the token exists. */
static enum err issue_into_draft(struct filling *f)
{
	char *address = NULL;
	enum err e;

	f->mail.secret = true;
	if (!(e = check_fillable(&f->facts)) && !(e = only_recipient(f, &address)) &&
	    !(e = command_open(f->in, AUTHORITY_KEYS, &f->authority)) &&
	    !(e = issue_check_mailing(f->authority, false)) &&
	    !(e = issue_prepare(f->authority, f->in, &f->options, address, &f->issue)) &&
	    !(e = compose(f)))
		e = issue_commit(f->authority, f->in, &f->issue);
	str_free(&address);
	return e;
}

/* ---- token fill ---- */

enum err command_token_fill(struct invocation *in)
{
	struct filling f = { .in = in };
	const struct option table[] = { ISSUE_OPTIONS(f.options), { 0 } };
	enum err e;

	if ((e = options_read(in, table, 0, 0, "no argument: the draft comes on standard input")) ||
	    (e = file_read("-", DRAFT_BYTES_MAX, &f.draft)) ||
	    (e = draft_inspect(buf_bytes(&f.draft), &f.facts)))
		goto out;
	if (!f.facts.has_token_word && !f.facts.quoted_token_word && !f.facts.is_encrypted) {
		e = err_fail(ERR_DATA, "there is no %%TOKEN%% in the text of this draft");
		goto out;
	}
	if ((e = issue_into_draft(&f)))
		goto out;
	if (fwrite(f.mail.data, 1, f.mail.len, stdout) != f.mail.len || command_flush()) {
		e = err_fail(
		    ERR_IO, "the filled mail could not be written, and its token was voided");
		issue_take_back(f.authority, in, &f.issue, "not-written");
	}
out:
	filling_free(&f);
	return e;
}

/* ---- sendmail ---- */

struct sendmail {
	bool header_recipients; /* -t */
	bool dot_is_text;       /* -i */
	const char *sender;     /* -f */
};

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

		if (!ended && word[0] == '-' && word[1] && !str_equal(word, "--")) {
			if ((e = read_sendmail_option(f, s)))
				return e;
			continue;
		}
		if (ended || !str_equal(word, "--"))
			add_recipient(f, word);
		else
			ended = true;
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

static enum err hand_on(
    struct filling *f, const struct conf *conf, const struct sendmail *s, struct bytes mail)
{
	const char *sender = s->sender ? s->sender : f->facts.from;

	if (f->recipient_count == 0)
		return err_fail(ERR_DATA, "the draft has no recipient");
	if (!sender)
		sender = conf->authority.address;
	switch (hand_over(conf, str_equal(sender, "<>") ? "" : sender, f->recipients, mail)) {
	case SUBMIT_SENT:
		return ERR_OK;
	case SUBMIT_TEMPORARY:
	case SUBMIT_NO_SERVER:
	case SUBMIT_DENIED:
	case SUBMIT_IN_DOUBT:
		return err_prefix(ERR_TEMPORARY, "not sent");
	case SUBMIT_PERMANENT:
		break;
	}
	return err_prefix(ERR_UNAVAILABLE, "not sent");
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
	e = hand_on(
	    f, conf, s, s->header_recipients ? buf_bytes(&without_bcc) : buf_bytes(&f->draft));
out:
	buf_free(&without_bcc);
	conf_free(&conf);
	return e;
}

static enum err fill_and_hand_on(struct filling *f, const struct sendmail *s)
{
	enum err e = issue_into_draft(f);

	if (e)
		return e;
	if ((e = hand_on(f, f->authority->conf, s, buf_bytes(&f->mail))))
		issue_take_back(f->authority, f->in, &f->issue, "not-sent");
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
	if (s.header_recipients)
		add_header_recipients(&f);
	e = f.facts.has_token_word || f.facts.quoted_token_word ? fill_and_hand_on(&f, &s)
								: pass_on(&f, &s);
out:
	filling_free(&f);
	return e;
}
