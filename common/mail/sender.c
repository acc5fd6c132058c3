/* sender: what a mail's own header says of it: who, about what, and whether a robot sent it. */
#include "mail/internal.h"

#include <libetpan/libetpan.h>
#include <string.h>
#include <strings.h>

#include "base/encode.h"
#include "text/address.h"

#define DELIVERED_TO_BYTES_MAX 4096

static void mailbox_read(const struct mailimf_mailbox *box, struct message *out)
{
	out->from_addresses++;
	str_free(&out->from);
	str_free(&out->from_name);
	if (box->mb_addr_spec != NULL)
		out->from = str_dup(box->mb_addr_spec);
	if (box->mb_display_name != NULL)
		out->from_name = words_decode(box->mb_display_name);
}

/* A group counts as an address of its own: P4.3 is about one person. */
static void group_read(const struct mailimf_group *group, struct message *out)
{
	out->from_addresses++;
	if (group->grp_mb_list == NULL)
		return;
	for (clistiter *i = clist_begin(group->grp_mb_list->mb_list); i != NULL; i = clist_next(i))
		mailbox_read(clist_content(i), out);
}

static void from_read(const char *value, struct message *out)
{
	struct mailimf_address_list *list = NULL;
	size_t at = 0, len = strlen(value);
	if (mailimf_address_list_parse(value, len, &at, &list) != MAILIMF_NO_ERROR)
		return;
	bool whole = bytes_blank(bytes_of(value + at, len - at));
	for (clistiter *i = clist_begin(list->ad_list); i != NULL; i = clist_next(i)) {
		const struct mailimf_address *a = clist_content(i);
		if (a->ad_type == MAILIMF_ADDRESS_MAILBOX)
			mailbox_read(a->ad_data.ad_mailbox, out);
		else
			group_read(a->ad_data.ad_group, out);
	}
	mailimf_address_list_free(list);
	if (!whole)
		out->from_addresses++;
}

static bool address_valid(const char *address)
{
	char *canonical = NULL;
	bool valid = address != NULL && address_canonical(address, &canonical) == ERR_OK;
	str_free(&canonical);
	return valid;
}

/* libetpan takes more for an address than we do. */
static void from_settle(struct message *out)
{
	if (out->from_fields == 1 && out->from_addresses == 1 && address_valid(out->from)) {
		if (out->from_name != NULL && *out->from_name == 0)
			str_free(&out->from_name);
		return;
	}
	str_free(&out->from);
	str_free(&out->from_name);
}

/* The word before parameters and comments is `word`. */
static bool first_word_is(const char *value, const char *word)
{
	size_t len = strcspn(value, " \t;(");
	return len == strlen(word) && strncasecmp(value, word, len) == 0;
}

static void flags_read(const struct header_field *field, const char *value, struct message *out)
{
	if (header_is(field, "Auto-Submitted"))
		out->automatic |= !first_word_is(value, "no");
	else if (header_is(field, "Return-Path"))
		out->null_sender |= first_word_is(value, "<>");
	else if (header_is(field, "Precedence"))
		out->bulk |= first_word_is(value, "bulk") || first_word_is(value, "list") ||
			     first_word_is(value, "junk");
	else if (bytes_start_case(field->name, "List-"))
		out->bulk = true;
}

/* Autocrypt 1.1, 2.1: the next "name=value"; false at the end. Cuts `*rest`. */
static bool attribute_next(char **rest, char **name_out, char **value_out)
{
	char *part;
	while ((part = strsep(rest, ";")) != NULL) {
		char *equals = strchr(part, '=');
		part += strspn(part, " \t");
		if (*part == 0)
			continue;
		if (equals == NULL || equals < part)
			return false;
		*equals = 0;
		part[strcspn(part, " \t")] = 0;
		*name_out = part;
		*value_out = equals + 1 + strspn(equals + 1, " \t");
		return true;
	}
	return false;
}

/* The key of an Autocrypt field for `from`; false if it is invalid or about somebody else. */
static bool autocrypt_read(struct bytes raw, const char *from, struct buf *key)
{
	char *value = header_unfold(raw), *rest = value, *name = NULL, *text = NULL;
	char *address = NULL, *sender = NULL;
	bool whole = true;
	while (attribute_next(&rest, &name, &text)) {
		if (strcmp(name, "addr") == 0 && address == NULL) {
			text[strcspn(text, " \t")] = 0;
			whole &= address_canonical(text, &address) == ERR_OK;
		} else if (strcmp(name, "keydata") == 0 && key->len == 0) {
			whole &= base64_read(bytes_of_text(text), key) == ERR_OK;
		} else if (strcmp(name, "prefer-encrypt") != 0 && *name != '_') {
			whole = false; /* an unknown critical attribute */
		}
	}
	bool ours = whole && address != NULL && packet_is_key(buf_bytes(key)) &&
		    address_canonical(from, &sender) == ERR_OK && str_equal(address, sender);
	str_free(&value);
	str_free(&address);
	str_free(&sender);
	return ours;
}

/* Several fields for the sender count as none (Autocrypt 1.1, 2.3). */
static enum err autocrypt_take(struct bytes block, struct message *out)
{
	struct header_field field;
	struct buf found = BUF_INIT;
	size_t count = 0;
	while (out->from != NULL && header_next(&block, &field)) {
		struct buf key = BUF_INIT;
		if (!header_is(&field, "Autocrypt") ||
		    !autocrypt_read(field.value, out->from, &key)) {
			buf_free(&key);
			continue;
		}
		buf_free(&found);
		found = key;
		count++;
	}
	enum err err = ERR_OK;
	if (count == 1)
		err = message_add_key(out, KEY_AUTOCRYPT, NULL, buf_bytes(&found));
	buf_free(&found);
	return err;
}

/* Mail systems that write no RFC 3464: qmail, old ones of all kinds. What they say to people is all there is. */
static bool is_returned(const struct message *out, bool failed_recipients)
{
	return failed_recipients || str_starts_case(out->from ? out->from : "", "mailer-daemon@") ||
	       str_starts_case(out->from ? out->from : "", "postmaster@");
}

static bool is_warning(const char *subject)
{
	return str_starts_case(subject, "warning") || strcasestr(subject, "delay") != NULL;
}

/* What the body says, if it is a report, is better; parse.c looks for that. */
static void returned_read(struct message *out, bool failed_recipients)
{
	if (is_returned(out, failed_recipients))
		out->report_action = is_warning(out->subject) ? REPORT_DELAYED : REPORT_FAILED;
}

/* Where mail systems write the envelope recipient; To has it in a returned mail. */
static void delivered_to_add(const char *value, struct buf *out)
{
	char *line = words_decode(value);

	if (out->len + strlen(line) < DELIVERED_TO_BYTES_MAX)
		buf_addf(out, "%s%s", out->len > 0 ? ", " : "", line);
	str_free(&line);
}

static bool names_recipient(const struct header_field *field)
{
	static const char *const names[] = { "Delivered-To", "X-Original-To", "Envelope-To",
		"X-Envelope-To", "X-Delivered-To", "To", NULL };

	for (const char *const *name = names; *name != NULL; name++)
		if (header_is(field, *name))
			return true;
	return false;
}

enum err sender_read(struct bytes block, struct message *out)
{
	struct bytes rest = block;
	struct header_field field;
	struct buf delivered_to = BUF_INIT;
	bool failed_recipients = false;
	size_t message_ids = 0;
	while (header_next(&rest, &field)) {
		char *value = header_unfold(field.value);
		flags_read(&field, value, out);
		if (header_is(&field, "From")) {
			out->from_fields++;
			from_read(value, out);
		} else if (header_is(&field, "Subject") && out->subject == NULL) {
			out->subject = words_decode(value);
		} else if (header_is(&field, "Message-ID") && ++message_ids == 1) {
			out->message_id = message_id_read(value);
		} else if (header_is(&field, "In-Reply-To") && out->in_reply_to == NULL) {
			out->in_reply_to = message_id_read(value);
		} else if (names_recipient(&field)) {
			delivered_to_add(value, &delivered_to);
		}
		failed_recipients |= header_is(&field, "X-Failed-Recipients");
		str_free(&value);
	}
	if (message_ids > 1)
		str_free(&out->message_id);
	if (out->subject == NULL)
		out->subject = str_dup("");
	if (delivered_to.len > 0)
		out->delivered_to = buf_take_text(&delivered_to);
	from_settle(out);
	returned_read(out, failed_recipients);
	buf_add(&out->headers, block.data, block.len);
	return autocrypt_take(block, out);
}
