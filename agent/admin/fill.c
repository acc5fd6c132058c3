/* Tokens dropped into an administrator's own outgoing mail. */
#include "fill.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "hand.h"
#include "text/address.h"

void filling_free(struct filling *f)
{
	authority_close(&f->authority);
	draft_facts_free(&f->facts);
	free(f->recipients);
	buf_free(&f->draft);
}

void fill_add_recipient(struct filling *f, const char *address)
{
	f->recipients = mem_array(f->recipients, f->recipient_count + 2, sizeof *f->recipients);
	f->recipients[f->recipient_count++] = address;
	f->recipients[f->recipient_count] = NULL;
}

enum err fill_only_recipient(const struct filling *f, char **out)
{
	enum err e = ERR_OK;

	*out = NULL;
	for (size_t i = 0; i < f->recipient_count + f->facts.recipient_count && !e; i++) {
		bool in_header = i >= f->recipient_count;
		const char *text =
		    in_header ? f->facts.recipients[i - f->recipient_count] : f->recipients[i];
		char *address = NULL;

		if ((e = address_canonical(text, &address)))
			e = err_prefix(e, "the recipient");
		else if (*out && !str_equal(*out, address))
			e = err_fail(ERR_DATA,
			    "the draft goes to %s and %s, but a token is for one person: write to each alone, or "
			    "let --each do so",
			    *out, address);
		if (!e && !*out) {
			*out = address;
			address = NULL;
		}
		str_free(&address);
	}
	if (!e && !*out)
		e = err_fail(
		    ERR_DATA, "the draft has no recipient, so nobody to issue the token for");
	if (e)
		str_free(out);
	return e;
}

static enum err check_fillable(const struct draft_facts *facts)
{
	if (facts->quoted_token_word)
		return err_fail(ERR_DATA,
		    "%%TOKEN%% stands in quoted text, where somebody else may have written it: remove it there");
	if (facts->broken_word)
		return err_fail(ERR_DATA,
		    "%%%s%% is broken up by formatting in the HTML text: type it anew, in one go",
		    facts->broken_word);
	if (facts->is_encrypted)
		return err_fail(
		    ERR_DATA, "the draft is encrypted and can't be filled: send it unencrypted");
	if (facts->is_signed)
		return err_fail(ERR_DATA,
		    "the draft is signed, and filling it would break the signature: send it unsigned");
	return ERR_OK;
}

enum err fill_open(struct filling *f)
{
	enum err e;

	if ((e = check_fillable(&f->facts)) ||
	    (e = command_open(f->in, AUTHORITY_KEYS, &f->authority)))
		return e;
	return issue_check_mailing(f->authority, false);
}

enum err fill_compose(struct filling *f, const struct issue *issue, struct buf *out)
{
	struct buf card = BUF_INIT, attachment = BUF_INIT;
	struct issue_words words;
	struct part part;
	enum err e = letters_card_part(f->authority, &card, &part);

	issue_words_make(f->authority, issue, "default", &words);
	if (!e) {
		part_write(&part, &attachment);
		e = draft_fill(
		    buf_bytes(&f->draft), words.list, ISSUE_WORDS, buf_bytes(&attachment), out);
	}
	issue_words_free(&words);
	buf_free(&card);
	buf_free(&attachment);
	return e;
}

enum err fill_issue(struct filling *f, const char *address, struct issue *issue, struct buf *out)
{
	enum err e = issue_prepare(f->authority, f->in, &f->options, address, issue);

	return e || (e = fill_compose(f, issue, out)) ? e
						      : issue_commit(f->authority, f->in, issue);
}

enum err fill_hand_on(
    const struct conf *conf, const char *sender, const char *const *recipients, struct bytes mail)
{
	switch (hand_over(conf, sender, recipients, mail)) {
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

/* ---- token fill ---- */

static enum err print_mail(struct filling *f, const struct issue *issue, const struct buf *mail)
{
	enum err e = ERR_OK;

	if (fwrite(mail->data, 1, mail->len, stdout) != mail->len || command_flush()) {
		e = err_fail(
		    ERR_IO, "the filled mail could not be written, and its token was voided");
		issue_take_back(f->authority, f->in, issue, "not-written");
	}
	return e;
}

enum err command_token_fill(struct invocation *in)
{
	struct filling f = { .in = in };
	struct issue issue = { 0 };
	struct buf mail = BUF_SECRET;
	char *address = NULL;
	const struct option table[] = { ISSUE_OPTIONS(f.options), { 0 } };
	enum err e;

	if ((e = options_read(in, table, 0, 0, "no argument: the draft comes on standard input")) ||
	    (e = file_read("-", DRAFT_BYTES_MAX, &f.draft)) ||
	    (e = draft_inspect(buf_bytes(&f.draft), &f.facts)))
		goto out;
	if (!f.facts.has_token_word && !f.facts.quoted_token_word && !f.facts.is_encrypted)
		e = err_fail(ERR_DATA, "there is no %%TOKEN%% in the text of this draft");
	else if (!(e = fill_only_recipient(&f, &address)) && !(e = fill_open(&f)) &&
		 !(e = fill_issue(&f, address, &issue, &mail)))
		e = print_mail(&f, &issue, &mail);
out:
	str_free(&address);
	buf_free(&mail);
	issue_free(&issue);
	filling_free(&f);
	return e;
}
