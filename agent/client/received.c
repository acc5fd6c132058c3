#include <string.h>

#include "base/encode.h"
#include "base/file.h"
#include "client/opening.h"
#include "client/reading.h"
#include "enroll/packets.h"
#include "secret/secret.h"

#define SIGNED_BEGIN "-----BEGIN PGP SIGNED MESSAGE-----"
#define SIGNED_END "-----END PGP SIGNATURE-----"

static struct bytes skip_blank(struct bytes text)
{
	static const uint8_t bom[] = { 0xef, 0xbb, 0xbf };

	if (text.len >= sizeof(bom) && memcmp(text.data, bom, sizeof(bom)) == 0)
		text = bytes_of(text.data + sizeof(bom), text.len - sizeof(bom));
	while (text.len > 0 && strchr(" \t\r\n", text.data[0]) != NULL && text.data[0] != '\0')
		text = bytes_of(text.data + 1, text.len - 1);
	return text;
}

/* An encrypted message begins with an encrypted session key (RFC 4880 5.1). */
static bool is_sealed(struct bytes text)
{
	unsigned first = text.len > 0 ? text.data[0] : 0;

	return (first & 0xc0) == 0xc0 ? (first & 0x3f) == 1 : (first & 0xfc) == 0x84;
}

static void set_damage(struct opening *o, const char *why)
{
	str_free(&o->damage);
	o->damage = str_dup(why);
}

static void add_cleartext(struct opening *o, struct bytes text)
{
	const uint8_t *start = bytes_find(text, bytes_of_text(SIGNED_BEGIN));
	struct bytes rest;

	if (start == NULL || o->cleartext_count == CANDIDATES_MAX)
		return;
	rest = bytes_of(start, (size_t)(text.data + text.len - start));
	if (bytes_find(rest, bytes_of_text(SIGNED_END)) == NULL)
		set_damage(o, "its signature is cut off");
	else
		buf_add(&o->cleartexts[o->cleartext_count++], rest.data, rest.len);
}

/* Adds what is in one text: an armored or binary message, or a cleartext-signed one. */
static void add_candidates(struct opening *o, struct bytes text)
{
	struct buf *message = &o->messages[o->message_count];

	add_cleartext(o, text);
	if (o->message_count == CANDIDATES_MAX)
		return;
	if (armor_find(text, "MESSAGE") == NULL) {
		buf_add(message, text.data, text.len);
	} else if (armor_read(text, "MESSAGE", message, NULL) != ERR_OK) {
		set_damage(o, err_text());
		buf_clear(message);
	}
	if (is_sealed(buf_bytes(message)))
		o->message_count++;
	else
		buf_clear(message);
}

static bool may_be_reply(const struct message_attachment *attachment)
{
	return str_equal(attachment->type, REPLY_TYPE) ||
	       (attachment->name != NULL && str_ends(attachment->name, ".countersign")) ||
	       armor_find(buf_bytes(&attachment->data), "MESSAGE") != NULL ||
	       bytes_find(buf_bytes(&attachment->data), bytes_of_text(SIGNED_BEGIN)) != NULL;
}

static enum err take_mail(struct opening *o, struct bytes text)
{
	struct message mail;
	enum err e = reading_mail(text, &mail);

	if (e != ERR_OK)
		goto out;
	for (size_t i = 0; i < mail.attachment_count; i++)
		if (may_be_reply(&mail.attachments[i])) {
			if (mail.attachments[i].data.len == 0)
				set_damage(o, "its attachment is empty");
			add_candidates(o, skip_blank(buf_bytes(&mail.attachments[i].data)));
		}
	add_candidates(o, skip_blank(buf_bytes(&mail.encrypted)));
	add_candidates(o, skip_blank(buf_bytes(&mail.signed_bytes)));
out:
	message_free(&mail);
	return e;
}

static enum err nothing_found(const struct opening *o, const char *path)
{
	const char *where = str_equal(path, "-") ? "standard input" : path;

	if (o->damage != NULL)
		return err_fail(ERR_DATA,
		    "the reply in %s is damaged or incomplete (%s): save it again, the attachment or the whole mail, and open that",
		    where, o->damage);
	return err_fail(ERR_DATA, "there is no reply from a security authority in %s", where);
}

enum err reply_read(struct opening *o)
{
	const char *path = o->options->operand != NULL ? o->options->operand : "-";
	struct buf input = BUF_INIT;
	struct bytes text;
	enum err e = file_read(path, READING_BYTES_MAX, &input), mail = ERR_OK;

	if (e != ERR_OK)
		goto out;
	text = skip_blank(buf_bytes(&input));
	if (text.len > 0 && (text.data[0] & 0x80) == 0 &&
	    bytes_find(bytes_of(text.data, text.len < 15 ? text.len : 15),
		bytes_of_text("-----BEGIN PGP ")) == NULL)
		mail = take_mail(o, text);
	if (o->message_count + o->cleartext_count == 0)
		add_candidates(o, text);
	if (o->message_count + o->cleartext_count == 0)
		e = mail != ERR_OK && mail != ERR_DATA ? mail : nothing_found(o, path);
out:
	buf_free(&input);
	return e;
}

char *reply_hash(const struct buf *message)
{
	uint8_t hash[HASH_BYTES];
	struct buf hex = BUF_INIT;

	hash_sha256(buf_bytes(message), hash);
	hex_add(&hex, bytes_of(hash, sizeof(hash)));
	return buf_take_text(&hex);
}

enum err reply_find_opened(struct opening *o)
{
	struct local_keyset *list = NULL;
	size_t count = 0;
	enum err e = local_keyset_list(&list, &count);

	for (size_t m = 0; e == ERR_OK && m < o->message_count; m++) {
		char *hash = reply_hash(&o->messages[m]);

		for (size_t i = 0; i < count && o->keyset.id == NULL; i++)
			if (local_has_word(list[i].reply, hash)) {
				o->keyset = list[i];
				memset(&list[i], 0, sizeof(list[i]));
			}
		str_free(&hash);
	}
	local_keyset_list_free(&list, count);
	return e;
}
