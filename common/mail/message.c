/* message: what was taken out of a mail, as a record that crosses a process boundary. */
#include "mail/internal.h"

#include <string.h>

#include "base/wire.h"
#include "text/address.h"
#include "text/utf8.h"

#define RECORD_VERSION 1
#define LINE_BYTES_MAX 100000

enum err message_add_key(
    struct message *m, enum key_origin origin, const char *name, struct bytes data)
{
	if (m->key_count == MESSAGE_KEYS_MAX)
		return err_fail(ERR_DATA, "more than %d keys", MESSAGE_KEYS_MAX);
	struct message_key *key = &m->keys[m->key_count++];
	key->origin = origin;
	key->name = str_dup(name);
	buf_add(&key->data, data.data, data.len);
	return ERR_OK;
}

enum err message_add_attachment(
    struct message *m, const char *type, const char *name, struct bytes data)
{
	if (m->attachment_count == MESSAGE_ATTACHMENTS_MAX)
		return err_fail(ERR_DATA, "more than %d attachments", MESSAGE_ATTACHMENTS_MAX);
	struct message_attachment *a = &m->attachments[m->attachment_count++];
	a->type = str_dup(type);
	a->name = str_dup(name);
	buf_add(&a->data, data.data, data.len);
	return ERR_OK;
}

static void free_wiped(struct buf *b)
{
	b->secret = true;
	buf_free(b);
}

void message_free(struct message *m)
{
	char **texts[] = { &m->from, &m->from_name, &m->subject, &m->message_id, &m->in_reply_to,
		&m->delivered_to, &m->report_message_id, &m->report_status };
	struct buf *bufs[] = { &m->headers, &m->new_text, &m->quoted_text, &m->encrypted,
		&m->signed_bytes, &m->signature };
	/* A token may stand in any text, a secret key in any part. */
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		str_wipe(texts[i]);
	for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
		free_wiped(bufs[i]);
	for (size_t i = 0; i < m->key_count; i++) {
		str_free(&m->keys[i].name);
		free_wiped(&m->keys[i].data);
	}
	for (size_t i = 0; i < m->attachment_count; i++) {
		str_free(&m->attachments[i].type);
		str_free(&m->attachments[i].name);
		free_wiped(&m->attachments[i].data);
	}
	*m = (struct message){ 0 };
}

static void put_buf(struct buf *out, const struct buf *b)
{
	wire_put_bytes(out, buf_bytes(b));
}

void message_pack(const struct message *m, struct buf *out)
{
	wire_put_u8(out, RECORD_VERSION);
	wire_put_u32(out, (uint32_t)m->from_fields);
	wire_put_u32(out, (uint32_t)m->from_addresses);
	wire_put_text(out, m->from);
	wire_put_text(out, m->from_name);
	wire_put_text(out, m->subject);
	wire_put_text(out, m->message_id);
	wire_put_text(out, m->in_reply_to);
	wire_put_u8(out, m->automatic);
	wire_put_u8(out, m->null_sender);
	wire_put_u8(out, m->bulk);
	wire_put_u8(out, m->report);
	wire_put_text(out, m->delivered_to);
	wire_put_u8(out, (uint8_t)m->report_action);
	wire_put_text(out, m->report_message_id);
	wire_put_text(out, m->report_status);
	wire_put_u8(out, m->truncated);
	put_buf(out, &m->headers);
	put_buf(out, &m->new_text);
	put_buf(out, &m->quoted_text);
	put_buf(out, &m->encrypted);
	put_buf(out, &m->signed_bytes);
	put_buf(out, &m->signature);
	wire_put_u8(out, m->signed_whole);
	wire_put_u32(out, (uint32_t)m->key_count);
	for (size_t i = 0; i < m->key_count; i++) {
		wire_put_u8(out, (uint8_t)m->keys[i].origin);
		wire_put_text(out, m->keys[i].name);
		put_buf(out, &m->keys[i].data);
	}
	wire_put_u32(out, (uint32_t)m->attachment_count);
	for (size_t i = 0; i < m->attachment_count; i++) {
		wire_put_text(out, m->attachments[i].type);
		wire_put_text(out, m->attachments[i].name);
		put_buf(out, &m->attachments[i].data);
	}
}

static bool get_bool(struct wire *w)
{
	uint8_t v = wire_u8(w);
	w->bad |= v > 1;
	return v == 1;
}

static size_t get_count(struct wire *w, size_t most)
{
	uint32_t v = wire_u32(w);
	w->bad |= v > most;
	return w->bad ? 0 : v;
}

static void get_buf(struct wire *w, struct buf *out)
{
	struct bytes b = wire_bytes(w);
	buf_add(out, b.data, b.len);
}

static enum report_action get_action(struct wire *w)
{
	uint8_t v = wire_u8(w);
	w->bad |= v > REPORT_FAILED;
	return w->bad ? REPORT_NONE : (enum report_action)v;
}

static void get_parts(struct wire *w, struct message *out)
{
	out->key_count = get_count(w, MESSAGE_KEYS_MAX);
	for (size_t i = 0; i < out->key_count; i++) {
		uint8_t origin = wire_u8(w);
		w->bad |= origin > KEY_AUTOCRYPT;
		out->keys[i].origin = (enum key_origin)origin;
		out->keys[i].name = wire_text(w);
		get_buf(w, &out->keys[i].data);
	}
	out->attachment_count = get_count(w, MESSAGE_ATTACHMENTS_MAX);
	for (size_t i = 0; i < out->attachment_count; i++) {
		out->attachments[i].type = wire_text(w);
		out->attachments[i].name = wire_text(w);
		get_buf(w, &out->attachments[i].data);
	}
}

static void get_message(struct wire *w, struct message *out)
{
	out->from_fields = wire_u32(w);
	out->from_addresses = wire_u32(w);
	out->from = wire_text(w);
	out->from_name = wire_text(w);
	out->subject = wire_text(w);
	out->message_id = wire_text(w);
	out->in_reply_to = wire_text(w);
	out->automatic = get_bool(w);
	out->null_sender = get_bool(w);
	out->bulk = get_bool(w);
	out->report = get_bool(w);
	out->delivered_to = wire_text(w);
	out->report_action = get_action(w);
	out->report_message_id = wire_text(w);
	out->report_status = wire_text(w);
	out->truncated = get_bool(w);
	get_buf(w, &out->headers);
	get_buf(w, &out->new_text);
	get_buf(w, &out->quoted_text);
	get_buf(w, &out->encrypted);
	get_buf(w, &out->signed_bytes);
	get_buf(w, &out->signature);
	out->signed_whole = get_bool(w);
	get_parts(w, out);
}

bool media_type_valid(const char *type)
{
	static const char token[] = "abcdefghijklmnopqrstuvwxyz0123456789!#$&^_.+-";
	size_t main = strspn(type, token);
	if (main == 0 || type[main] != '/')
		return false;
	size_t sub = strspn(type + main + 1, token);
	return sub > 0 && type[main + 1 + sub] == 0 && main + 1 + sub < TYPE_BYTES_MAX;
}

/* NULL, or valid UTF-8 without controls. */
static bool line_holds(const char *text)
{
	if (text == NULL)
		return true;
	for (const char *p = text; *p != 0; p++)
		if ((*p >= 0 && *p < ' ') || *p == 127)
			return false;
	return strlen(text) <= LINE_BYTES_MAX && utf8_valid(bytes_of_text(text));
}

/* Valid UTF-8, with tabs and line feeds only. */
static bool text_holds(const struct buf *text)
{
	for (size_t i = 0; i < text->len; i++) {
		int c = text->data[i];
		if ((c < ' ' && c != '\n' && c != '\t') || c == 127)
			return false;
	}
	return utf8_valid(buf_bytes(text));
}

static bool id_holds(const char *id)
{
	return id == NULL || message_id_valid(id);
}

static bool from_holds(const struct message *m)
{
	char *canonical = NULL;
	if (m->from == NULL)
		return m->from_name == NULL;
	if (m->from_fields != 1 || m->from_addresses != 1 || !line_holds(m->from))
		return false;
	bool holds = address_canonical(m->from, &canonical) == ERR_OK;
	str_free(&canonical);
	return holds && line_holds(m->from_name);
}

static bool parts_hold(const struct message *m)
{
	for (size_t i = 0; i < m->key_count; i++)
		if (!line_holds(m->keys[i].name) || m->keys[i].data.len == 0)
			return false;
	for (size_t i = 0; i < m->attachment_count; i++)
		if (m->attachments[i].type == NULL || !media_type_valid(m->attachments[i].type) ||
		    !line_holds(m->attachments[i].name))
			return false;
	return true;
}

static const char *broken_promise(const struct message *m)
{
	if (!from_holds(m))
		return "From";
	if (m->subject == NULL || !line_holds(m->subject))
		return "Subject";
	if (!id_holds(m->message_id) || !id_holds(m->in_reply_to) ||
	    !id_holds(m->report_message_id))
		return "Message-ID";
	if (!line_holds(m->report_status) || !line_holds(m->delivered_to))
		return "delivery status";
	if (!text_holds(&m->new_text) || !text_holds(&m->quoted_text))
		return "text";
	if (m->signed_bytes.len == 0 && (m->signature.len > 0 || m->signed_whole))
		return "signature";
	return parts_hold(m) ? NULL : "part";
}

enum err message_unpack(struct bytes packed, struct message *out)
{
	struct wire w = wire_open(packed);
	*out = (struct message){ 0 };
	if (wire_u8(&w) != RECORD_VERSION)
		return err_fail(ERR_PROTOCOL, "not a packed message");
	get_message(&w, out);
	enum err err = wire_end(&w);
	if (err != ERR_OK)
		return err;
	const char *broken = broken_promise(out);
	if (broken != NULL)
		return err_fail(ERR_PROTOCOL, "a packed message with a bad %s", broken);
	return ERR_OK;
}
