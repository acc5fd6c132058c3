#include "client/authority.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/proc.h"
#include "base/when.h"
#include "client/ask.h"
#include "enroll/packets.h"
#include "enroll/reply.h"
#include "text/address.h"

#define CARD_BYTES_MAX 262144
#define SETTINGS_BYTES_MAX 65536
#define WKD_SECONDS 60
#define SIGNED_BEGIN "-----BEGIN PGP SIGNED MESSAGE-----"

static bool has_address(const struct key_facts *facts, const char *address)
{
	for (size_t i = 0; i < facts->user_id_count; i++)
		if (!facts->user_ids[i].revoked && str_equal(facts->user_ids[i].address, address))
			return true;
	return false;
}

/* The signed card (P2.7) beside the key: its fields count only if that key signed it. */
static enum err read_card(struct keyhome *home, struct bytes signed_card,
    const struct key_facts *facts, struct local_authority *out)
{
	struct buf text = BUF_INIT;
	struct signatures signatures;
	struct card card = { 0 };
	enum err e = keyhome_verify(home, signed_card, bytes_of("", 0), &text, &signatures);

	if (e != ERR_OK)
		goto out;
	if (signatures.count != 1 || !signatures.list[0].valid ||
	    !str_equal_case(signatures.list[0].key, facts->fingerprint)) {
		e = err_fail(
		    ERR_PROTOCOL, "the authority's card is not signed by the key beside it");
		goto out;
	}
	e = card_parse(buf_bytes(&text), &card);
	if (e != ERR_OK)
		goto out;
	if (!str_equal_case(card.fingerprint, facts->fingerprint))
		e = err_fail(ERR_PROTOCOL,
		    "the authority's card is about another key than the one beside it");
	if (e == ERR_OK)
		e = address_canonical(card.address, &out->address);
	if (e == ERR_OK && card.name != NULL && name_check(card.name) == ERR_OK)
		out->name = str_dup(card.name);
	if (e == ERR_OK)
		out->escrow = str_dup(card.escrow);
out:
	card_free(&card);
	buf_free(&text);
	return e;
}

/* A bare key says its address by --authority, or by having only one. */
static enum err address_of_key(
    const struct key_facts *facts, const char *stated, struct local_authority *out)
{
	for (size_t i = 0; i < facts->user_id_count && stated == NULL; i++) {
		const char *address = facts->user_ids[i].address;

		if (address == NULL || facts->user_ids[i].revoked ||
		    str_equal(address, out->address))
			continue;
		if (out->address != NULL)
			return err_fail(ERR_USAGE,
			    "the key has several addresses: say the authority's with --authority");
		out->address = str_dup(address);
		out->name = str_dup(facts->user_ids[i].name);
	}
	if (stated != NULL)
		out->address = str_dup(stated);
	return out->address != NULL
		   ? ERR_OK
		   : err_fail(
			 ERR_USAGE, "the key has no address: say the authority's with --authority");
}

/* Imports the key found, with its card where there is one, and fills `out`. */
static enum err take_key(struct keyhome *home, struct bytes binary, struct bytes signed_card,
    const char *stated, struct local_authority *out)
{
	struct key_facts *facts = NULL;
	enum err e = keyhome_import(home, binary, &facts);

	if (e != ERR_OK)
		return err_prefix(e, "the authority's key");
	memcpy(out->fingerprint, facts->fingerprint, sizeof(out->fingerprint));
	buf_add(&out->key, binary.data, binary.len);
	if (facts->revoked || facts->expired)
		e = err_fail(ERR_PROTOCOL, "the authority's key %s is %s: ask your administrator",
		    facts->fingerprint, facts->revoked ? "revoked" : "expired");
	else if (signed_card.len > 0)
		e = read_card(home, signed_card, facts, out);
	else
		e = address_of_key(facts, stated, out);
	if (e == ERR_OK && stated != NULL && !str_equal(stated, out->address))
		e = err_fail(ERR_DATA, "the key is that of the authority %s, not of %s",
		    out->address, stated);
	if (e == ERR_OK && !has_address(facts, out->address))
		e = err_fail(ERR_PROTOCOL, "the key %s does not belong to %s", facts->fingerprint,
		    out->address);
	key_facts_free(&facts);
	return e;
}

/* A card file or a key, armored or binary. */
static enum err take_text(
    struct keyhome *home, struct bytes text, const char *stated, struct local_authority *out)
{
	struct buf binary = BUF_INIT;
	const uint8_t *card = bytes_find(text, bytes_of_text(SIGNED_BEGIN));
	struct bytes signed_card = bytes_of("", 0), key = text;
	enum err e = ERR_OK;

	if (card != NULL)
		signed_card = bytes_of(card, (size_t)(text.data + text.len - card));
	if (armor_find(text, "PUBLIC KEY BLOCK") != NULL) {
		e = armor_read(text, "PUBLIC KEY BLOCK", &binary, NULL);
		key = buf_bytes(&binary);
	} else if (text.len == 0 || (text.data[0] & 0x80) == 0) {
		e = err_fail(ERR_DATA, "there is no OpenPGP public key in it");
	}
	if (e == ERR_OK)
		e = take_key(home, key, signed_card, stated, out);
	buf_free(&binary);
	return e;
}

static enum err from_file(
    struct keyhome *home, const char *path, const char *stated, struct local_authority *out)
{
	struct buf text = BUF_INIT;
	enum err e = file_read(path, CARD_BYTES_MAX, &text);

	if (e == ERR_OK) {
		e = take_text(home, buf_bytes(&text), stated, out);
		if (e != ERR_OK)
			e = err_prefix(e, "%s", path);
	}
	out->confirmed = when_now();
	buf_free(&text);
	return e;
}

/* The card attached to a token mail; *found_out false when there is none. Two different ones are refused. */
static enum err from_mail(struct keyhome *home, const struct message *mail, const char *stated,
    struct local_authority *out, bool *found_out)
{
	const struct buf *card = NULL;

	*found_out = false;
	for (size_t i = 0; i < mail->attachment_count; i++) {
		const struct buf *data = &mail->attachments[i].data;

		if (armor_find(buf_bytes(data), "PUBLIC KEY BLOCK") == NULL ||
		    bytes_find(buf_bytes(data), bytes_of_text(SIGNED_BEGIN)) == NULL)
			continue;
		if (card != NULL && !bytes_equal(buf_bytes(card), buf_bytes(data)))
			return err_fail(ERR_DATA,
			    "the mail carries the cards of two authorities: give one with --authority-key");
		card = data;
	}
	if (card == NULL)
		return ERR_OK;
	*found_out = true;
	return take_text(home, buf_bytes(card), stated, out);
}

/* The user's resolver, proxy and certificates count for the throw-away home, too. */
static enum err copy_network_settings(const char *scratch)
{
	const char *own = getenv("GNUPGHOME"), *user = getenv("HOME");
	char *home = own != NULL && own[0] != '\0' ? str_dup(own)
		     : user != NULL                ? path_join(user, ".gnupg")
						   : str_dup(""),
	     *from = path_join(home, "dirmngr.conf"), *to = path_join(scratch, "dirmngr.conf");
	struct buf settings = BUF_INIT;
	enum err e = ERR_OK;

	if (file_exists(from))
		e = file_read(from, SETTINGS_BYTES_MAX, &settings);
	if (e == ERR_OK && settings.len > 0)
		e = file_write(to, 0600, buf_bytes(&settings));
	buf_free(&settings);
	str_free(&home);
	str_free(&from);
	str_free(&to);
	return e;
}

static enum err fetch_wkd(const char *scratch, const char *address)
{
	char *directory = str_dup(scratch), *locate = str_dup(address),
	     *gpg[] = { (char[]){ "gpg" }, (char[]){ "--homedir" }, directory,
		     (char[]){ "--batch" }, (char[]){ "--quiet" }, (char[]){ "--auto-key-locate" },
		     (char[]){ "clear,wkd" }, (char[]){ "--locate-external-keys" },
		     (char[]){ "--" }, locate, NULL };
	struct buf out = BUF_INIT, errors = BUF_INIT;
	int status = 0;
	enum err e = proc_run(gpg, bytes_of("", 0), WKD_SECONDS, &out, &errors, &status);

	if (e == ERR_OK && status != 0)
		e = err_fail(ERR_UNAVAILABLE,
		    "the Web Key Directory of %s has no key for %s: give it with --authority-key",
		    address_domain(address), address);
	str_free(&directory);
	str_free(&locate);
	buf_free(&out);
	buf_free(&errors);
	return e;
}

static void stop_dirmngr(const char *scratch)
{
	char *directory = str_dup(scratch), *argv[] = { (char[]){ "gpgconf" },
		(char[]){ "--homedir" }, directory, (char[]){ "--kill" }, (char[]){ "all" }, NULL };
	struct buf out = BUF_INIT, errors = BUF_INIT;
	int status;

	if (proc_run(argv, bytes_of("", 0), WKD_SECONDS, &out, &errors, &status) != ERR_OK)
		fprintf(stderr, "countersign: %s\n", err_text());
	str_free(&directory);
	buf_free(&out);
	buf_free(&errors);
}

/* By gpg in a throw-away home: whatever else comes with the answer never reaches another keyring. */
static enum err wkd_key(
    const char *address, char fingerprint_out[FINGERPRINT_SIZE], struct buf *key)
{
	struct keyhome *scratch = NULL;
	struct key_facts *facts = NULL;
	char *path = NULL;
	enum err e = local_scratch_make(&path);

	if (e != ERR_OK)
		return e;
	ask_progress("Looking for the authority's key");
	e = copy_network_settings(path);
	if (e == ERR_OK)
		e = fetch_wkd(path, address);
	ask_progress_end(e == ERR_OK);
	if (e == ERR_OK)
		e = keyhome_open(path, true, &scratch);
	if (e == ERR_OK)
		e = keyhome_facts(scratch, address, false, &facts);
	if (e == ERR_OK && facts == NULL)
		e = err_fail(ERR_UNAVAILABLE, "the Web Key Directory of %s has no key for %s",
		    address_domain(address), address);
	if (e == ERR_OK)
		memcpy(fingerprint_out, facts->fingerprint, FINGERPRINT_SIZE);
	if (e == ERR_OK)
		e = keyhome_export(scratch, facts->fingerprint, key);
	key_facts_free(&facts);
	keyhome_close(&scratch);
	stop_dirmngr(path);
	local_scratch_remove(&path);
	return e;
}

static enum err from_wkd(struct keyhome *home, const char *address, struct local_authority *out)
{
	char fingerprint[FINGERPRINT_SIZE];
	struct buf key = BUF_INIT;
	enum err e = wkd_key(address, fingerprint, &key);

	if (e == ERR_OK)
		e = take_key(home, buf_bytes(&key), bytes_of("", 0), address, out);
	out->confirmed = when_now();
	buf_free(&key);
	return e;
}

void authority_look_up(struct local_authority *authority)
{
	char fingerprint[FINGERPRINT_SIZE];
	struct buf key = BUF_INIT;

	if (authority->confirmed == 0 && wkd_key(authority->address, fingerprint, &key) == ERR_OK &&
	    str_equal_case(fingerprint, authority->fingerprint))
		authority->confirmed = when_now();
	buf_free(&key);
}

/* What was accepted for this very key before. */
static enum err recall(struct local_authority *out)
{
	struct local_authority *known = NULL;
	enum err e = local_authority_load(address_domain(out->address), &known);

	if (e == ERR_OK && known != NULL && str_equal_case(known->fingerprint, out->fingerprint)) {
		if (out->confirmed == 0)
			out->confirmed = known->confirmed;
		if (out->escrow == NULL)
			out->escrow = str_dup(known->escrow);
		if (out->name == NULL)
			out->name = str_dup(known->name);
	}
	local_authority_free(&known);
	return e;
}

static enum err from_known(struct keyhome *home, const char *domain, const char *stated,
    struct local_authority *out, bool *found_out)
{
	struct local_authority *known = NULL;
	enum err e = local_authority_load(domain, &known);

	*found_out =
	    e == ERR_OK && known != NULL && (stated == NULL || str_equal(stated, known->address));
	if (*found_out)
		e = take_key(home, buf_bytes(&known->key), bytes_of("", 0), known->address, out);
	local_authority_free(&known);
	return e;
}

static enum err ask_address(char **out)
{
	char *line = NULL;
	enum err e;

	*out = NULL;
	if (!ask_possible())
		return err_fail(ERR_USAGE,
		    "say which authority: --authority ADDRESS, or its key with --authority-key FILE");
	e = ask_line("Address of the security authority", NULL, &line);
	if (e == ERR_OK)
		e = address_canonical(line, out);
	str_free(&line);
	return e;
}

enum err authority_find(struct keyhome *home, const struct options *options,
    const struct message *mail, const char *user_address, struct local_authority *out)
{
	char *stated = NULL;
	bool found = false;
	enum err e = ERR_OK;

	if (options->authority != NULL)
		e = address_canonical(options->authority, &stated);
	if (e == ERR_OK && options->authority_key != NULL) {
		e = from_file(home, options->authority_key, stated, out);
		goto out;
	}
	if (e == ERR_OK && mail != NULL)
		e = from_mail(home, mail, stated, out, &found);
	if (e == ERR_OK && !found)
		e = from_known(home, address_domain(stated != NULL ? stated : user_address), stated,
		    out, &found);
	if (e == ERR_OK && !found && stated == NULL)
		e = ask_address(&stated);
	if (e == ERR_OK && !found)
		e = from_wkd(home, stated, out);
out:
	str_free(&stated);
	return e == ERR_OK ? recall(out) : e;
}

enum err authority_pin(const struct local_authority *authority, uint8_t pin_out[PIN_BYTES])
{
	uint8_t fingerprint[20];
	enum err e = hex_read(authority->fingerprint, fingerprint, sizeof(fingerprint));

	return e == ERR_OK ? pin_make(fingerprint, authority->address, pin_out) : e;
}

enum err authority_check_pin(const struct local_authority *authority, const struct token *token)
{
	uint8_t pin[PIN_BYTES];
	enum err e = authority_pin(authority, pin);

	if (e == ERR_OK && !secret_equal(pin, token->pin, sizeof(pin)))
		e = err_fail(ERR_PROTOCOL,
		    "the token was not made for the authority %s with the key %s: nothing was sent; ask your administrator",
		    authority->address, authority->fingerprint);
	return e;
}

static enum err confirm_domain(
    const struct options *options, const char *user_address, const char *authority)
{
	const char *domain = address_domain(authority);
	char *shown, *question;
	bool yes = false;
	enum err e;

	if (options->authority != NULL || str_equal(domain, address_domain(user_address)))
		return ERR_OK;
	if (options->accept_domain != NULL)
		return str_equal_case(options->accept_domain, domain)
			   ? ERR_OK
			   : err_fail(ERR_DENIED,
				 "the authority is %s, not one of %s: nothing was sent", authority,
				 options->accept_domain);
	if (!ask_possible())
		return err_fail(ERR_DENIED,
		    "the authority %s is not of your mail domain %s: if that is right, say --accept-domain %s",
		    authority, address_domain(user_address), domain);
	shown = address_domain_display(authority);
	question = str_printf(
	    "The authority %s is not of your mail domain. Is %s an organisation that you expect a key from?",
	    authority, shown);
	e = ask_yes(question, &yes);
	if (e == ERR_OK && !yes)
		e = err_fail(ERR_DENIED, "not confirmed: nothing was sent");
	str_free(&question);
	str_free(&shown);
	return e;
}

enum err authority_accept(const struct options *options, const char *user_address,
    const struct local_authority *authority)
{
	struct local_authority *known = NULL;
	const char *domain = address_domain(authority->address);
	enum err e = local_authority_load(domain, &known);

	if (e != ERR_OK)
		return e;
	if (known == NULL) {
		e = confirm_domain(options, user_address, authority->address);
	} else if (!str_equal_case(known->fingerprint, authority->fingerprint)) {
		if (options->replace_authority)
			fprintf(stderr,
			    "The authority of %s had the key %s until now, and has %s from now on.\n",
			    domain, known->fingerprint, authority->fingerprint);
		else
			e = err_fail(ERR_DENIED,
			    "the authority of %s has had the key %s until now, this one is %s: ask your administrator, "
			    "and say --replace-authority if that is right",
			    domain, known->fingerprint, authority->fingerprint);
	}
	local_authority_free(&known);
	return e;
}
