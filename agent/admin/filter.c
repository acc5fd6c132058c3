/*
 * A content filter of Postfix, run by pipe(8), for administrators whose mail program speaks SMTP alone: fills the mails of those whom policy.issuers names and passes on
 * all others as they are. Postfix keeps a mail for later where the exit status is 75, and returns it with our sentence for any other.
 */
#include <string.h>

#include "base/file.h"
#include "base/journal.h"
#include "fill.h"
#include "text/address.h"

struct filter {
	struct filling filling;
	struct conf *conf;  /* whose `submit` leads back to Postfix, behind the filter */
	const char *login;  /* who logged in, as Postfix says; "" for nobody */
	const char *sender; /* of the envelope */
	const char *submit; /* URL, or NULL: as configured */
	char *issuer;       /* whose mail it is: canonical, or NULL */
};

/* ---- who is it ---- */

/* An entry is ADDRESS or ADDRESS=LOGIN; without LOGIN one logs in with the address. */
static bool entry_fits(const char *entry, const char *address, const char *login)
{
	const char *equals = strrchr(entry, '=');
	char *named = equals ? str_ndup(entry, (size_t)(equals - entry)) : str_dup(entry);
	char *canonical = NULL, *login_address = NULL;
	bool fits = !address_canonical(named, &canonical) && str_equal(canonical, address);

	if (fits && equals)
		fits = str_equal(equals + 1, login);
	else if (fits)
		fits =
		    !address_canonical(login, &login_address) && str_equal(login_address, address);
	str_free(&login_address);
	str_free(&canonical);
	str_free(&named);
	return fits;
}

/* What the mail says of its sender and what the mail server knows of the login have to name the same issuer. */
static void find_issuer(struct filter *x)
{
	char **issuers = x->conf->policy.issuers;
	char *address = NULL;

	if (!*x->login || x->filling.facts.from_count != 1 ||
	    address_canonical(x->filling.facts.from, &address))
		return;
	for (; issuers && *issuers && !x->issuer; issuers++)
		if (entry_fits(*issuers, address, x->login))
			x->issuer = str_dup(address);
	str_free(&address);
}

/* ---- what becomes of it ---- */

/* A refusal goes back to who wrote the mail; what is no fault of the mail is tried again. */
static enum err judge(enum err e)
{
	if (!e || e == ERR_DATA || e == ERR_DENIED || e == ERR_NOUSER)
		return e;
	return err_fail(ERR_TEMPORARY, "%s", err_text());
}

/* What the server will never take is refused. */
static enum err hand_back(const struct filter *x, struct bytes mail)
{
	struct conf conf = *x->conf; /* the server alone differs */
	enum err e;

	if (x->submit) {
		conf.submit.server = (struct conf_server)CONF_SERVER(x->submit);
		conf.submit.server.tls = "off"; /* which is for this machine alone */
	}
	e = fill_hand_on(&conf, x->sender, x->filling.recipients, mail);
	return e == ERR_UNAVAILABLE ? err_fail(ERR_DATA, "%s", err_text()) : e;
}

static enum err fill_and_hand_back(struct filter *x, const char *address)
{
	struct filling *f = &x->filling;
	struct issue issue = { 0 };
	struct buf mail = BUF_SECRET;
	enum err e = fill_issue(f, address, &issue, &mail);

	if (!e && (e = hand_back(x, buf_bytes(&mail))))
		issue_take_back(f->authority, f->in, &issue, "not-sent");
	buf_free(&mail);
	issue_free(&issue);
	return e;
}

/* One recipient at a time, so that Postfix knows what became of each. */
static enum err fill_it(struct filter *x, bool each)
{
	struct filling *f = &x->filling;
	char *address = NULL;
	enum err e;

	if (each && f->recipient_count != 1)
		return err_fail(ERR_CONFIG,
		    "filter --each takes one recipient at a time: set _destination_recipient_limit = 1 in Postfix");
	f->in->actor = x->issuer;
	e = each ? address_canonical(f->recipients[0], &address) : fill_only_recipient(f, &address);
	if (!e && !(e = fill_open(f)))
		e = fill_and_hand_back(x, address);
	str_free(&address);
	return e;
}

static enum err work(struct filter *x, bool each)
{
	struct bytes draft = buf_bytes(&x->filling.draft);
	struct draft_facts *facts = &x->filling.facts;

	if (!draft_inspect(draft, facts) && (facts->has_token_word || facts->quoted_token_word))
		find_issuer(x);
	return x->issuer ? fill_it(x, each) : hand_back(x, draft);
}

enum err command_filter(struct invocation *in)
{
	bool each = false;
	struct filter x = { .filling.in = in, .login = "", .sender = "" };
	const struct option table[] = { { "each", OPTION_FLAG, &each },
		{ "login", OPTION_TEXT, &x.login }, { "sender", OPTION_TEXT, &x.sender },
		{ "submit", OPTION_TEXT, &x.submit }, { 0 } };
	enum err e;

	journal_open("countersignctl", JOURNAL_ERROR);
	if ((e = options_read(in, table, 1, 10000, "one or more recipients")))
		return e;
	for (int i = 0; i < in->argc; i++)
		fill_add_recipient(&x.filling, in->argv[i]);
	if (!(e = conf_read(conf_path(in->config), &x.conf)) &&
	    !(e = file_read("-", DRAFT_BYTES_MAX, &x.filling.draft)))
		e = work(&x, each);
	e = judge(e);
	filling_free(&x.filling);
	conf_free(&x.conf);
	str_free(&x.issuer);
	return e;
}
