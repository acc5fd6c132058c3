#include <string.h>

#include "apart.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/wire.h"
#include "init.h"
#include "keys/agent.h"
#include "keys/keyring.h"
#include "mail/mailbox.h"

/* A key home with an agent, for as long as the part runs. */
static enum err open_home(const char *path, struct keyhome **out)
{
	pid_t agent;
	enum err e;

	if ((e = agent_prepare(path)) || (e = agent_start(path, &agent)))
		return e;
	return keyhome_open(path, true, out);
}

static char *user_id(const struct init *i, const char *what)
{
	return str_printf("%s%s <%s>", i->name, what, i->address);
}

static enum err make_escrow(void *context, struct buf *out)
{
	struct init *i = context;
	char *name = user_id(i, " (escrow)");
	char fingerprint[41];
	struct keyhome *home = NULL;
	struct buf key = BUF_INIT;
	enum err e;

	if (!(e = open_home(i->escrow, &home)) &&
	    !(e = keyring_create_escrow(
		  home, name, buf_bytes(&i->escrow_passphrase), fingerprint)) &&
	    !(e = keyhome_export(home, fingerprint, &key))) {
		wire_put_text(out, fingerprint);
		wire_put_bytes(out, buf_bytes(&key));
	}
	keyhome_close(&home);
	authority_stop_agent(i->escrow);
	buf_free(&key);
	str_free(&name);
	return e;
}

static enum err set_base64(struct store *store, const char *name, const struct buf *bytes)
{
	struct buf text = BUF_INIT;
	enum err e;

	base64_add(&text, buf_bytes(bytes), 0, NULL);
	e = store_set(store, name, buf_text(&text));
	buf_free(&text);
	return e;
}

static enum err fill_store(struct init *i, struct store *store, const struct buf *key)
{
	struct buf pin = BUF_INIT;
	char *detail =
	    str_printf("fingerprint=%s escrow=%s", i->fingerprint, i->escrow_fingerprint);
	enum err e;

	hex_add(&pin, bytes_of(i->pin, sizeof i->pin));
	if ((e = store_begin(store)) || (e = store_set(store, "authority-address", i->address)) ||
	    (e = store_set(store, "authority-fingerprint", i->fingerprint)) ||
	    (e = set_base64(store, "authority-key", key)) ||
	    (e = store_set(store, "pin", buf_text(&pin))) ||
	    (e = store_set(store, "authority-passphrase", i->passphrase.len ? "set" : "none")) ||
	    (e = store_set(
		 store, "escrow-passphrase", i->escrow_passphrase.len ? "set" : "none")) ||
	    (e = store_set(store, "escrow-fingerprint", i->escrow_fingerprint)) ||
	    (e = set_base64(store, "escrow-key", &i->escrow_key)) ||
	    (e = audit_add(store, i->in->now, i->in->actor, "authority-made", NULL, detail, NULL)))
		goto out;
	e = store_commit(store);
out:
	store_rollback(store);
	str_free(&detail);
	buf_free(&pin);
	return e;
}

static enum err make_store(struct init *i, const struct buf *key)
{
	char *path = path_join(i->state, "countersign.db");
	uint8_t fingerprint[20];
	struct store *store = NULL;
	enum err e;

	if (!(e = hex_read(i->fingerprint, fingerprint, sizeof fingerprint)) &&
	    !(e = pin_make(fingerprint, i->address, i->pin)) && !(e = store_create(path, &store)))
		e = fill_store(i, store, key);
	store_close(&store);
	str_free(&path);
	return e;
}

static enum err make_mailboxes(const struct init *i)
{
	const char *const dirs[] = { i->inbox, i->outgoing };
	enum err e = ERR_OK;

	for (size_t n = 0; n < 2 && dirs[n] && !e; n++) {
		char *url = str_printf("maildir:%s", dirs[n]);
		const struct conf_mailbox options = { .server = CONF_SERVER(url),
			.done_folder = "Done",
			.ignored_folder = "Ignored" };
		struct mailbox *box = NULL;

		e = mailbox_open(&options, &box);
		mailbox_close(&box);
		str_free(&url);
	}
	return e;
}

static enum err make_authority(void *context, struct buf *out)
{
	struct init *i = context;
	char *name = user_id(i, "");
	struct keyhome *home = NULL;
	struct buf key = BUF_INIT;
	enum err e;

	if (!(e = open_home(i->keys, &home)) &&
	    !(e = keyring_create_authority(
		  home, name, buf_bytes(&i->passphrase), i->fingerprint)) &&
	    !(e = keyhome_export(home, i->fingerprint, &key)) && !(e = make_store(i, &key)) &&
	    !(e = make_mailboxes(i))) {
		wire_put_text(out, i->fingerprint);
		wire_put_bytes(out, bytes_of(i->pin, sizeof i->pin));
	}
	keyhome_close(&home);
	authority_stop_agent(i->keys);
	buf_free(&key);
	str_free(&name);
	return e;
}

static enum err read_fingerprint(struct wire *w, char out[41])
{
	char *text = wire_text(w);
	bool fits = text && strlen(text) == 40;

	if (fits)
		memcpy(out, text, 41);
	str_free(&text);
	return fits ? ERR_OK : err_fail(ERR_SOFTWARE, "making the keys gave no fingerprint");
}

enum err init_make_parts(struct init *i)
{
	struct buf record = BUF_INIT;
	struct bytes rest;
	struct wire w;
	enum err e;

	if ((e = apart(i->escrow, make_escrow, i, &record)))
		goto out;
	w = wire_open(buf_bytes(&record));
	if ((e = read_fingerprint(&w, i->escrow_fingerprint)))
		goto out;
	rest = wire_bytes(&w);
	buf_add(&i->escrow_key, rest.data, rest.len);
	if ((e = wire_end(&w)))
		goto out;
	buf_clear(&record);
	if ((e = apart(i->state, make_authority, i, &record)))
		goto out;
	w = wire_open(buf_bytes(&record));
	if ((e = read_fingerprint(&w, i->fingerprint)))
		goto out;
	rest = wire_bytes(&w);
	if (!(e = wire_end(&w)) && rest.len == sizeof i->pin)
		memcpy(i->pin, rest.data, sizeof i->pin);
out:
	buf_free(&record);
	return e;
}
