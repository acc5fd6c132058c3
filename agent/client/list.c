#include <stdio.h>
#include <string.h>

#include "base/when.h"
#include "client/client.h"
#include "client/local.h"
#include "enroll/keyset.h"
#include "print/table.h"
#include "text/address.h"

#define SOON_SECONDS (30 * 86400)

static const char *const list_keys[] = { "keyset", "address", "state", "level", "certified_until",
	"fingerprint", NULL };
static const char *const list_heads[] = { "KEYSET", "ADDRESS", "STATE", "LEVEL", "CERTIFIED UNTIL",
	"FINGERPRINT", NULL };
static const char *const wait_keys[] = { "keyset", "address", "state", "since", "authority",
	"refusal", NULL };
static const char *const wait_heads[] = { "KEYSET", "ADDRESS", "STATE", "SINCE", "AUTHORITY",
	"REFUSAL", NULL };
static const char *const authority_keys[] = { "address", "fingerprint", "accepted", NULL };
static const char *const authority_heads[] = { "ADDRESS", "FINGERPRINT", "ACCEPTED", NULL };

static const char *request_state(const struct local_request *request)
{
	if (request->refused != 0)
		return "refused";
	if (request->created + LOCAL_PENDING_SECONDS < when_now())
		return "unanswered";
	if (request->renews != NULL && request->sent != 0)
		return "renewing";
	return request->sent != 0 ? "waiting" : "unsent";
}

/* Everything on disk, for the tables. */
struct inventory {
	struct local_keyset *keysets;
	struct local_request *requests;
	struct local_authority *authorities;
	size_t keyset_count, request_count, authority_count;
};

static enum err inventory_read(struct inventory *i)
{
	enum err e = local_keyset_list(&i->keysets, &i->keyset_count);

	if (e == ERR_OK)
		e = local_request_list(&i->requests, &i->request_count);
	return e == ERR_OK ? local_authority_list(&i->authorities, &i->authority_count) : e;
}

static void inventory_free(struct inventory *i)
{
	local_keyset_list_free(&i->keysets, i->keyset_count);
	local_request_list_free(&i->requests, i->request_count);
	local_authority_list_free(&i->authorities, i->authority_count);
}

static struct table *keyset_table(const struct inventory *i, bool json, bool with_requests)
{
	struct table *t = table_list(json, list_keys, list_heads);

	for (size_t n = 0; n < i->keyset_count; n++) {
		const struct local_keyset *k = &i->keysets[n];

		table_row(t);
		table_text(t, k->keyset);
		table_text(t, k->address);
		table_text(t, local_keyset_state(k, when_now()));
		table_text(t, k->level);
		table_time(t, k->certified_until);
		table_text(t, k->fingerprint);
	}
	for (size_t n = 0; with_requests && n < i->request_count; n++) {
		const struct local_request *r = &i->requests[n];

		table_row(t);
		table_text(t, r->keyset);
		table_text(t, r->address);
		table_text(t, request_state(r));
		table_text(t, r->level);
		table_time(t, 0);
		table_text(t, r->fingerprint);
	}
	return t;
}

static struct table *request_table(const struct inventory *i, bool json)
{
	struct table *t = table_list(json, wait_keys, wait_heads);

	for (size_t n = 0; n < i->request_count; n++) {
		const struct local_request *r = &i->requests[n];

		table_row(t);
		table_text(t, r->keyset);
		table_text(t, r->address);
		table_text(t, request_state(r));
		table_time(t, r->sent != 0 ? r->sent : r->created);
		table_text(t, r->authority_address);
		table_text(t, r->refusal);
	}
	return t;
}

static struct table *authority_table(const struct inventory *i, bool json)
{
	struct table *t = table_list(json, authority_keys, authority_heads);

	for (size_t n = 0; n < i->authority_count; n++) {
		table_row(t);
		table_text(t, i->authorities[n].address);
		table_text(t, i->authorities[n].fingerprint);
		table_time(t, i->authorities[n].accepted);
	}
	return t;
}

/* Beside the tables: what they say is the same with and without. */
static void warn_of_endings(const struct options *options, const struct inventory *i)
{
	char day[WHEN_TEXT_SIZE];

	for (size_t n = 0; !options->json && n < i->keyset_count; n++) {
		const struct local_keyset *k = &i->keysets[n];

		if (k->superseded == 0 && k->certified_until < when_now() + SOON_SECONDS)
			fprintf(stderr,
			    "The certification of the keyset \"%s\" of %s %s on %s: renew it with `countersign renew \"%s\"`.\n",
			    k->keyset, k->address,
			    k->certified_until < when_now() ? "ended" : "ends",
			    when_format_day(k->certified_until, day), k->keyset);
	}
}

static enum err list_run(const struct options *options)
{
	struct inventory i = { 0 };
	struct table *t;
	enum err e = inventory_read(&i);

	if (e == ERR_OK) {
		t = keyset_table(&i, options->json, true);
		e = table_print(&t, stdout);
		warn_of_endings(options, &i);
	}
	inventory_free(&i);
	return e;
}

static enum err show_all(const struct options *options)
{
	struct inventory i = { 0 };
	struct table *t;
	enum err e = inventory_read(&i);

	if (e == ERR_OK) {
		t = table_page(options->json);
		table_field_list(t, "keysets", "Keysets", keyset_table(&i, options->json, false));
		table_field_list(t, "requests", "Requests", request_table(&i, options->json));
		table_field_list(
		    t, "authorities", "Authorities", authority_table(&i, options->json));
		e = table_print(&t, stdout);
		warn_of_endings(options, &i);
	}
	inventory_free(&i);
	return e;
}

static size_t count_words(const char *list)
{
	size_t count = list != NULL;

	while (list != NULL && (list = strchr(list, ' ')) != NULL) {
		count++;
		list++;
	}
	return count;
}

static void keyset_page(struct table *t, const struct local_keyset *k)
{
	table_field_text(t, "keyset", "Keyset", k->keyset);
	table_field_text(t, "address", "Address", k->address);
	table_field_text(t, "state", "State", local_keyset_state(k, when_now()));
	table_field_text(t, "level", "Level", k->level);
	table_field_text(t, "fingerprint", "Fingerprint", k->fingerprint);
	table_field_text(t, "home", "GnuPG home", k->home);
	table_field_time(t, "installed", "Installed", k->installed);
	table_field_time(t, "certified_until", "Certified until", k->certified_until);
	table_field_time(t, "confirmed", "Confirmation sent", k->confirmed);
	table_field_bool(t, "deposited", "Deposited", k->deposited);
	table_field_number(t, "old_keys", "Old keys", (int64_t)count_words(k->old_keys));
	table_field_text(t, "authority", "Authority", k->authority_address);
	table_field_text(t, "authority_fingerprint", "Its fingerprint", k->authority);
}

static void request_page(struct table *t, const struct local_request *r)
{
	table_field_text(t, "keyset", "Keyset", r->keyset);
	table_field_text(t, "address", "Address", r->address);
	table_field_text(t, "state", "State", request_state(r));
	table_field_text(t, "fingerprint", "Fingerprint", r->fingerprint);
	table_field_bool(t, "deposited", "Deposited", r->deposited);
	table_field_time(t, "created", "Asked for", r->created);
	table_field_time(t, "since", "Sent", r->sent);
	table_field_time(t, "refused", "Refused", r->refused);
	table_field_text(t, "refusal", "Because", r->refusal);
	table_field_text(t, "authority", "Authority", r->authority_address);
	table_field_text(t, "authority_fingerprint", "Its fingerprint", r->authority);
}

/* The waiting request of that name; *found_out its place in the list, or the count. */
static enum err find_request(
    const char *name, const char *address, const struct inventory *i, size_t *found_out)
{
	char wanted[KEYSET_NAME_MAX + 1], other[KEYSET_NAME_MAX + 1];

	*found_out = i->request_count;
	if (!keyset_name_valid(name))
		return ERR_OK;
	keyset_name_fold(name, wanted);
	for (size_t n = 0; n < i->request_count; n++) {
		if ((address != NULL && !str_equal(address, i->requests[n].address)) ||
		    !str_equal(keyset_name_fold(i->requests[n].keyset, other), wanted))
			continue;
		if (*found_out < i->request_count)
			return err_fail(ERR_USAGE,
			    "several addresses have a request for \"%s\": say which with --address",
			    name);
		*found_out = n;
	}
	return ERR_OK;
}

static enum err show_one(const struct options *options, const char *address)
{
	struct inventory i = { 0 };
	struct local_keyset keyset;
	struct table *t = NULL;
	size_t at = 0;
	enum err found = local_keyset_find(options->operand, address, &keyset), e = found;

	if (found == ERR_NOUSER) {
		e = inventory_read(&i);
		if (e == ERR_OK)
			e = find_request(options->operand, address, &i, &at);
		if (e == ERR_OK && at == i.request_count)
			e = err_fail(ERR_NOUSER,
			    "there is no keyset \"%s\" here: `countersign list` shows what is",
			    options->operand);
	}
	if (e == ERR_OK) {
		t = table_page(options->json);
		if (found == ERR_OK)
			keyset_page(t, &keyset);
		else
			request_page(t, &i.requests[at]);
		e = table_print(&t, stdout);
	}
	local_keyset_clear(&keyset);
	inventory_free(&i);
	return e;
}

static enum err status_run(const struct options *options)
{
	char *address = NULL;
	enum err e =
	    options->address != NULL ? address_canonical(options->address, &address) : ERR_OK;

	if (e == ERR_OK)
		e = options->operand == NULL ? show_all(options) : show_one(options, address);
	str_free(&address);
	return e;
}

static const struct option list_options[] = {
	{ "--json", NULL, offsetof(struct options, json), "for programs" },
	{ NULL, NULL, 0, NULL },
};

static const struct option status_options[] = {
	{ "--address", "ADDRESS", offsetof(struct options, address),
	    "of which address, where several have the keyset" },
	{ "--json", NULL, offsetof(struct options, json), "for programs" },
	{ NULL, NULL, 0, NULL },
};

const struct verb verb_list = { "list", NULL, "lists the keysets and the requests that are here",
	list_options, list_run };

const struct verb verb_status = { "status", "[KEYSET]",
	"shows all, or one keyset or request in full", status_options, status_run };
