#include <stdio.h>
#include <string.h>

#include "base/when.h"
#include "client/ask.h"
#include "client/password.h"
#include "client/post.h"
#include "client/request.h"
#include "enroll/deposit.h"
#include "keys/deposit.h"

/* ---- whether ---- */

/* In groups of four, as people compare it. */
static char *spaced(const char *fingerprint)
{
	struct buf out = BUF_INIT;

	for (size_t i = 0; fingerprint[i] != '\0'; i++) {
		if (i > 0 && i % 4 == 0)
			buf_add_byte(&out, ' ');
		buf_add_byte(&out, fingerprint[i]);
	}
	return buf_take_text(&out);
}

static enum err ask_fingerprint(struct making *m)
{
	char *shown = spaced(m->authority.fingerprint);
	char *question = str_printf(
	    "A sealed copy of your encryption key goes to the security authority %s, so that a lost key is not lost mail.\n"
	    "The fingerprint of its key is %s.\nIs that the fingerprint that your administrator gave you?",
	    m->authority.address, shown);
	bool yes = false;
	enum err e = ask_yes(question, &yes);

	if (yes)
		m->authority.confirmed = when_now();
	str_free(&shown);
	str_free(&question);
	return e;
}

/* Without a card nobody knows whether the authority keeps deposits. */
static enum err ask_wanted(struct making *m)
{
	return ask_yes("Shall a sealed copy of your encryption key go to the authority, so that a "
		       "lost key is not lost mail? It may not keep any",
	    &m->deposits);
}

static enum err refuse_unconfirmed(const struct making *m)
{
	return err_fail(ERR_DENIED,
	    "a deposit of your encryption key leaves only for an authority that is known to be the right one, so nothing was sent: "
	    "give the key of %s with --authority-key, or confirm its fingerprint on a terminal",
	    m->authority.address);
}

/* A deposit that has to leave is worth a look into the Web Key Directory. */
static enum err confirm(struct making *m, bool must)
{
	enum err e = ERR_OK;

	if (must)
		authority_look_up(&m->authority);
	if (m->authority.confirmed == 0 && ask_possible())
		e = ask_fingerprint(m);
	if (e != ERR_OK || m->authority.confirmed != 0)
		return e;
	if (must)
		return refuse_unconfirmed(m);
	m->deposits = false;
	post_say(m->options,
	    "No copy of your encryption key is deposited, since nobody confirmed the authority's key: give it with --authority-key to deposit one.");
	return ERR_OK;
}

enum err making_choose_deposit(struct making *m)
{
	const char *escrow = m->authority.escrow;
	bool must = m->options->deposit ||
		    (escrow != NULL && escrow_policy_of_name(escrow) == ESCROW_REQUIRED);
	enum err e = ERR_OK;

	if (m->options->deposit && m->options->no_deposit)
		return err_fail(
		    ERR_USAGE, "--deposit and --no-deposit contradict each other: say one");
	if (m->options->no_deposit)
		return ERR_OK;
	m->deposits = must || (escrow != NULL && escrow_policy_of_name(escrow) == ESCROW_OFFERED);
	if (escrow == NULL && !must && ask_possible())
		e = ask_wanted(m);
	if (e == ERR_OK && m->deposits && m->authority.confirmed == 0)
		e = confirm(m, must);
	return e;
}

/* ---- making it ---- */

/* P7.1 */
static enum err on_card(struct making *m)
{
	if (escrow_policy_of_name(m->authority.escrow != NULL ? m->authority.escrow : "off") ==
	    ESCROW_REQUIRED)
		return err_fail(ERR_DATA,
		    "your encryption key is on a card and can't be deposited, which this authority requires: nothing was sent; leave out --key to make a new one");
	post_say(m->options,
	    "Your key is on a card: nothing of it is deposited, so it can't be recovered.");
	m->deposits = false;
	return ERR_OK;
}

/* --level and `request --again` know the password of the pending key, or ask for it; an own key's is asked for. */
static enum err ask_password(struct making *m, struct buf *out)
{
	char *prompt;
	enum err e;

	if (m->password.len > 0) {
		buf_add(out, m->password.data, m->password.len);
		return ERR_OK;
	}
	if (m->own == NULL || m->request.renews != NULL)
		return password_current(m->options->password_file, NULL, m->request.keyset, out);
	prompt = str_printf(
	    "Password of your key %s, for the copy that is deposited", m->request.fingerprint);
	e = password_ask(keyhome_path(m->own), prompt, out);
	str_free(&prompt);
	return e;
}

/* Behind a password, as a rule, where it can't be exported as it is; what else is wrong is said then. */
static enum err export_subkey(struct making *m, struct keyhome *home, const char *fingerprint)
{
	struct buf password = BUF_SECRET;
	char *scratch = NULL;
	enum err e =
	    m->password.len > 0 ? ERR_DATA : deposit_export(home, fingerprint, &m->deposit);

	if (e == ERR_DATA) {
		e = ask_password(m, &password);
		if (e == ERR_OK)
			e = local_scratch_make(&scratch);
		if (e == ERR_OK)
			e = deposit_export_protected(
			    home, scratch, fingerprint, buf_bytes(&password), &m->deposit);
	}
	if (e == ERR_DENIED)
		e = err_prefix(e,
		    "your encryption key was not unlocked, so nothing was sent (--no-deposit asks without a deposit)");
	local_scratch_remove(&scratch);
	buf_free(&password);
	return e;
}

enum err making_deposit(struct making *m)
{
	struct keyhome *home = m->own != NULL ? m->own : m->home;
	const struct key_subkey *subkey;
	struct key_facts *facts = NULL;
	enum err e;

	if (!m->deposits && (m->own == NULL || m->request.renews != NULL))
		return ERR_OK;
	e = keyhome_facts(home, m->request.fingerprint, true, &facts);
	subkey = facts != NULL ? key_encryption(facts) : NULL;
	if (e == ERR_OK && subkey == NULL)
		e = err_fail(
		    ERR_DATA, "the key %s has no current encryption key", m->request.fingerprint);
	if (e == ERR_OK && subkey->on_card)
		e = on_card(m);
	if (e == ERR_OK && m->deposits)
		e = export_subkey(m, home, subkey->fingerprint);
	key_facts_free(&facts);
	return e;
}
