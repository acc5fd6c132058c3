/* parse: a mail taken apart. libetpan finds the parts; what they mean is decided here. */
#include "mail/internal.h"

#include <libetpan/libetpan.h>
#include <string.h>
#include <strings.h>

#include "text/utf8.h"

/* Where text goes: the message's own, or that of one of several alternatives. */
struct sink {
	struct buf new_text, quoted_text;
	bool plain; /* there is text that was text/plain */
};

struct walk {
	const struct message_limits *limits;
	struct message *out;
	struct sink *sink;
	unsigned parts;
	unsigned forwarded; /* inside so many message/rfc822 */
	bool alone;         /* the part at hand is the whole body */
};

static CHECKED enum err walk_node(struct walk *w, struct mailmime *node, unsigned depth);

static void take_encrypted(struct walk *w, struct bytes block, bool armored)
{
	if (w->out->encrypted.len > 0)
		return;
	if (armored)
		block_clean(block, &w->out->encrypted);
	else
		buf_add(&w->out->encrypted, block.data, block.len);
}

static CHECKED enum err take_armored_key(
    struct walk *w, enum key_origin origin, const char *name, struct bytes block)
{
	struct buf clean = BUF_INIT;
	block_clean(block, &clean);
	enum err err = message_add_key(w->out, origin, name, buf_bytes(&clean));
	buf_free(&clean);
	return err;
}

static void take_signed_block(struct walk *w, struct bytes block, bool whole)
{
	if (w->forwarded > 0 || w->out->signed_bytes.len > 0)
		return;
	buf_add(&w->out->signed_bytes, block.data, block.len);
	w->out->signed_whole = whole;
}

/*
 * Takes the OpenPGP blocks out of a text; what remains, and the inside of signed blocks, goes to `rest`. In bytes, not in
 * characters: a signature covers the text in its own charset. A signed text inside a signed text is only text.
 */
static CHECKED enum err body_blocks(
    struct walk *w, const struct leaf *leaf, struct bytes text, bool in_signed, struct buf *rest)
{
	enum key_origin origin = leaf->name != NULL ? KEY_ATTACHED : KEY_IN_TEXT;
	struct block a;
	enum err err = ERR_OK;
	bool whole = w->alone;
	while (err == ERR_OK && block_find(text, &a)) {
		buf_add(rest, a.before.data, a.before.len);
		whole = whole && bytes_blank(a.before) && bytes_blank(a.after);
		if (a.kind == BLOCK_MESSAGE) {
			take_encrypted(w, a.whole, true);
		} else if (a.kind == BLOCK_PUBLIC_KEY || a.kind == BLOCK_PRIVATE_KEY) {
			err = take_armored_key(w, origin, leaf->name, a.whole);
		} else if (a.kind == BLOCK_SIGNED && !in_signed) {
			struct buf inner = BUF_INIT;
			take_signed_block(w, a.whole, whole);
			block_signed_text(a.whole, &inner);
			err = body_blocks(w, leaf, buf_bytes(&inner), true, rest);
			buf_free(&inner);
		}
		text = a.after;
	}
	buf_add(rest, text.data, text.len);
	return err;
}

/* LF line ends, no other controls. */
static void lines_clean(struct bytes utf8, struct buf *out)
{
	struct bytes line;
	while (bytes_line(&utf8, &line)) {
		for (size_t i = 0; i < line.len; i++)
			if (line.data[i] == '\t' || (line.data[i] >= ' ' && line.data[i] != 127))
				buf_add_byte(out, line.data[i]);
		buf_add_byte(out, '\n');
	}
}

static CHECKED enum err body_add(struct walk *w, const struct leaf *leaf, struct bytes decoded)
{
	struct buf utf8 = BUF_INIT, text = BUF_INIT, rest = BUF_INIT, unwrapped = BUF_INIT;
	bool html = str_equal(leaf->type, "text/html");
	if (html) {
		utf8_convert(decoded, leaf->charset, &utf8);
		html_to_text(buf_bytes(&utf8), &text);
		decoded = buf_bytes(&text);
		buf_clear(&utf8);
	}
	enum err err = body_blocks(w, leaf, decoded, false, &rest);
	utf8_convert(buf_bytes(&rest), html ? "utf-8" : leaf->charset, &utf8);
	buf_clear(&rest);
	lines_clean(buf_bytes(&utf8), &rest);
	if (leaf->flowed)
		flowed_unwrap(buf_bytes(&rest), leaf->delsp, &unwrapped);
	struct bytes lines = buf_bytes(leaf->flowed ? &unwrapped : &rest);
	if (w->forwarded > 0)
		buf_add(&w->sink->quoted_text, lines.data, lines.len);
	else
		quote_split(lines, &w->sink->new_text, &w->sink->quoted_text);
	w->sink->plain |= !html && !bytes_blank(lines);
	buf_free(&utf8);
	buf_free(&text);
	buf_free(&rest);
	buf_free(&unwrapped);
	return err;
}

static void returned_message_id(struct walk *w, const char *value)
{
	if (w->out->report && w->out->report_message_id == NULL && w->forwarded == 0)
		w->out->report_message_id = message_id_read(value);
}

/* RFC 3464 2.3.3; where the field is missing the class of the status says it. */
static enum report_action action_of(const char *action, const char *status)
{
	if (action == NULL && status != NULL)
		action = *status == '5' ? "failed" : *status == '4' ? "delayed" : "";
	if (action == NULL)
		return REPORT_NONE;
	if (str_starts_case(action, "failed"))
		return REPORT_FAILED;
	return str_starts_case(action, "delayed") ? REPORT_DELAYED : REPORT_OTHER;
}

/* "5.1.1 user unknown" from Status and Diagnostic-Code. */
static char *status_line(const char *status, const char *diagnosis)
{
	const char *said = diagnosis ? strchr(diagnosis, ';') : NULL;
	said = said ? said + 1 + strspn(said + 1, " ") : diagnosis;
	char *line = str_printf(
	    "%.20s%s%.400s", status ? status : "", status && said ? " " : "", said ? said : "");
	char *clean = words_decode(line);
	str_free(&line);
	return clean;
}

/* One recipient's fields (RFC 3464 2.3); the worst recipient is what counts. */
static void recipient_status(struct walk *w, struct bytes group)
{
	static const char *const names[] = { "Action", "Status", "Diagnostic-Code" };
	char *values[3] = { NULL };
	struct header_field field;
	while (header_next(&group, &field))
		for (size_t i = 0; i < 3; i++)
			if (header_is(&field, names[i]) && values[i] == NULL)
				values[i] = header_unfold(field.value);
	enum report_action action = action_of(values[0], values[1]);
	if (action > w->out->report_action) {
		w->out->report_action = action;
		str_free(&w->out->report_status);
		if (values[1] != NULL || values[2] != NULL)
			w->out->report_status = status_line(values[1], values[2]);
	}
	for (size_t i = 0; i < 3; i++)
		str_free(&values[i]);
}

/* RFC 3464 2.1: groups of fields, with an empty line between; the first is about the mail as a whole and has no action. */
static void delivery_status(struct walk *w, struct bytes data)
{
	struct bytes line;
	const uint8_t *begin = data.data;
	while (bytes_line(&data, &line))
		if (bytes_blank(line)) {
			recipient_status(w, bytes_of(begin, (size_t)(line.data - begin)));
			begin = data.data;
		}
	recipient_status(w, bytes_of(begin, (size_t)(data.data - begin)));
}

/* What the header alone made of it no longer counts. */
static void report_begin(struct walk *w)
{
	if (!w->out->report)
		w->out->report_action = REPORT_NONE;
	w->out->report = true;
}

static void report_leaf(struct walk *w, const struct leaf *leaf, struct bytes data)
{
	if (w->forwarded > 0)
		return;
	if (str_equal(leaf->type, "message/delivery-status") ||
	    str_equal(leaf->type, "message/global-delivery-status")) {
		report_begin(w);
		delivery_status(w, data);
	} else if (str_equal(leaf->type, "text/rfc822-headers") ||
		   str_equal(leaf->type, "message/global-headers")) {
		struct header_field field;
		while (header_next(&data, &field))
			if (header_is(&field, "Message-ID")) {
				char *value = header_unfold(field.value);
				returned_message_id(w, value);
				str_free(&value);
			}
	}
}

static bool name_ends(const char *name, const char *const *suffixes)
{
	size_t len = name ? strlen(name) : 0;
	for (; *suffixes != NULL; suffixes++) {
		size_t tail = strlen(*suffixes);
		if (len >= tail && strcasecmp(name + len - tail, *suffixes) == 0)
			return true;
	}
	return false;
}

/* OpenPGP without armor: believed only where type or name say so too. */
static CHECKED enum err binary_take(struct walk *w, const struct leaf *leaf, struct bytes data)
{
	static const char *const key_names[] = { ".asc", ".gpg", ".pgp", ".key", ".pub", NULL };
	static const char *const message_names[] = { ".asc", ".gpg", ".pgp", ".dat", NULL };
	bool keys = str_equal(leaf->type, "application/pgp-keys");
	bool encrypted = str_equal(leaf->type, "application/pgp-encrypted");
	if (packet_is_key(data) && (keys || name_ends(leaf->name, key_names)))
		return message_add_key(w->out, KEY_ATTACHED, leaf->name, data);
	if (packet_is_encrypted(data) && (encrypted || name_ends(leaf->name, message_names)))
		take_encrypted(w, data, false);
	return ERR_OK;
}

static CHECKED enum err attachment_take(struct walk *w, const struct leaf *leaf, struct bytes data)
{
	struct bytes text = data;
	struct block a;
	bool armored = false;
	enum err err = ERR_OK;
	while (err == ERR_OK && block_find(text, &a)) {
		armored = true;
		if (a.kind == BLOCK_MESSAGE)
			take_encrypted(w, a.whole, true);
		else if (a.kind == BLOCK_PUBLIC_KEY || a.kind == BLOCK_PRIVATE_KEY)
			err = take_armored_key(w, KEY_ATTACHED, leaf->name, a.whole);
		text = a.after;
	}
	if (err == ERR_OK && !armored)
		err = binary_take(w, leaf, data);
	if (err == ERR_OK)
		err = message_add_attachment(w->out, leaf->type, leaf->name, data);
	return err;
}

/* Exchange encodes forwarded mails, which RFC 2046 5.2.1 forbids; libetpan leaves them closed. */
static CHECKED enum err walk_encoded_message(struct walk *w, struct bytes mail, unsigned depth)
{
	struct mailmime *node = NULL;
	size_t at = 0;
	enum err err = prescan(mail, w->limits);
	if (err != ERR_OK)
		return err;
	if (mailmime_parse((const char *)mail.data, mail.len, &at, &node) != MAILIMF_NO_ERROR)
		return err_fail(ERR_DATA, "a forwarded mail that can't be read");
	err = walk_node(w, node, depth + 1);
	mailmime_free(node);
	return err;
}

static CHECKED enum err walk_leaf(struct walk *w, struct mailmime *node, unsigned depth)
{
	struct leaf leaf;
	struct buf data = BUF_INIT;
	leaf_read(node, &leaf);
	bool text = str_equal(leaf.type, "text/plain") || str_equal(leaf.type, "text/html");
	enum err err = ERR_OK;
	if (text && !leaf.attached && !leaf.opaque) {
		transfer_decode_text(leaf.raw, leaf.transfer, &data);
		err = body_add(w, &leaf, buf_bytes(&data));
	} else if (transfer_decode(leaf.raw, leaf.transfer, &data) == ERR_OK && data.len > 0 &&
		   str_equal(leaf.type, "message/rfc822")) {
		err = walk_encoded_message(w, buf_bytes(&data), depth);
	} else { /* what does not decode is an empty attachment */
		report_leaf(w, &leaf, buf_bytes(&data));
		err = attachment_take(w, &leaf, buf_bytes(&data));
	}
	buf_free(&data);
	leaf_free(&leaf);
	return err;
}

static CHECKED enum err walk_children(struct walk *w, struct mailmime *node, unsigned depth)
{
	enum err err = ERR_OK;
	clist *list = node->mm_data.mm_multipart.mm_mp_list;
	for (clistiter *i = clist_begin(list); i != NULL && err == ERR_OK; i = clist_next(i))
		err = walk_node(w, clist_content(i), depth + 1);
	return err;
}

static void sink_free(struct sink *s)
{
	buf_free(&s->new_text);
	buf_free(&s->quoted_text);
	s->plain = false;
}

/* Only blanks, of Unicode too: what a mail program leaves where it had no plain text. */
static bool says_nothing(const struct buf *text)
{
	static const char *const blanks[] = { " ", "\t", "\n", "\u00A0", "\u200B", "\uFEFF", NULL };
	for (size_t i = 0; i < text->len;) {
		const char *const *b = blanks;
		while (*b != NULL && !str_starts(buf_text(text) + i, *b))
			b++;
		if (*b == NULL)
			return false;
		i += strlen(*b);
	}
	return true;
}

static bool sink_blank(const struct sink *s)
{
	return says_nothing(&s->new_text) && says_nothing(&s->quoted_text);
}

/* The text of the first plain alternative that says something, else of the first that does. */
static CHECKED enum err walk_alternatives(struct walk *w, struct mailmime *node, unsigned depth)
{
	struct sink *outer = w->sink, best = { 0 };
	enum err err = ERR_OK;
	clist *list = node->mm_data.mm_multipart.mm_mp_list;
	for (clistiter *i = clist_begin(list); i != NULL && err == ERR_OK; i = clist_next(i)) {
		struct sink one = { 0 };
		w->sink = &one;
		err = walk_node(w, clist_content(i), depth + 1);
		bool better =
		    !sink_blank(&one) && (sink_blank(&best) || (one.plain && !best.plain));
		if (better) {
			struct sink worse = best;
			best = one;
			one = worse;
		}
		sink_free(&one);
	}
	w->sink = outer;
	buf_add(&outer->new_text, best.new_text.data, best.new_text.len);
	buf_add(&outer->quoted_text, best.quoted_text.data, best.quoted_text.len);
	outer->plain |= best.plain;
	sink_free(&best);
	return err;
}

/* RFC 3156 5: what was signed is the part as sent, with CRLF. */
static void take_signed_part(struct walk *w, struct mailmime *node, unsigned depth)
{
	clist *list = node->mm_data.mm_multipart.mm_mp_list;
	if (w->forwarded > 0 || w->out->signed_bytes.len > 0 || clist_count(list) != 2)
		return;
	const struct mailmime *content = clist_nth_data(list, 0),
			      *signature = clist_nth_data(list, 1);
	if (content->mm_mime_start == NULL || signature->mm_type != MAILMIME_SINGLE)
		return;
	struct leaf leaf;
	leaf_read(signature, &leaf);
	if (str_equal(leaf.type, "application/pgp-signature")) {
		struct bytes raw = bytes_of(content->mm_mime_start, content->mm_length);
		for (size_t i = 0; i < raw.len; i++) {
			if (raw.data[i] == '\n' && (i == 0 || raw.data[i - 1] != '\r'))
				buf_add_byte(&w->out->signed_bytes, '\r');
			buf_add_byte(&w->out->signed_bytes, raw.data[i]);
		}
		transfer_decode_text(leaf.raw, leaf.transfer, &w->out->signature);
		w->out->signed_whole = depth == 1 && w->out->signature.len > 0;
		if (w->out->signature.len == 0)
			buf_clear(&w->out->signed_bytes);
	}
	leaf_free(&leaf);
}

static CHECKED enum err walk_multiple(struct walk *w, struct mailmime *node, unsigned depth)
{
	const char *subtype = node->mm_content_type ? node->mm_content_type->ct_subtype : NULL;
	if (str_equal_case(subtype, "report") && w->forwarded == 0)
		report_begin(w);
	if (str_equal_case(subtype, "signed"))
		take_signed_part(w, node, depth);
	if (str_equal_case(subtype, "alternative"))
		return walk_alternatives(w, node, depth);
	return walk_children(w, node, depth);
}

static CHECKED enum err walk_message(struct walk *w, struct mailmime *node, unsigned depth)
{
	const struct mailimf_fields *fields = node->mm_data.mm_message.mm_fields;
	struct mailmime *content = node->mm_data.mm_message.mm_msg_mime;
	if (content == NULL)
		return ERR_OK;
	if (depth == 0)
		return walk_node(w, content, depth + 1);
	for (clistiter *i = fields ? clist_begin(fields->fld_list) : NULL; i != NULL;
	     i = clist_next(i)) {
		const struct mailimf_field *f = clist_content(i);
		if (f->fld_type == MAILIMF_FIELD_MESSAGE_ID &&
		    f->fld_data.fld_message_id->mid_value) {
			char *value = str_printf("<%s>", f->fld_data.fld_message_id->mid_value);
			returned_message_id(w, value);
			str_free(&value);
		}
	}
	w->forwarded++;
	enum err err = walk_node(w, content, depth + 1);
	w->forwarded--;
	return err;
}

static enum err walk_node(struct walk *w, struct mailmime *node, unsigned depth)
{
	if (depth > w->limits->nesting)
		return err_fail(ERR_DATA, "parts nested deeper than %u (P4.1)", w->limits->nesting);
	if (w->parts++ > w->limits->parts)
		return err_fail(ERR_DATA, "more than %u parts (P4.1)", w->limits->parts);
	if (node->mm_type == MAILMIME_MULTIPLE)
		return walk_multiple(w, node, depth);
	if (node->mm_type == MAILMIME_MESSAGE)
		return walk_message(w, node, depth);
	w->alone = depth == 1;
	return walk_leaf(w, node, depth);
}

static struct bytes cut(struct bytes b, size_t len)
{
	return bytes_of(b.data + len, b.len - len);
}

/* A byte order mark, empty lines and the "From " line of an mbox are no part of the mail. */
static struct bytes skip_wrapping(struct bytes mail)
{
	if (mail.len >= 3 && memcmp(mail.data, "\xEF\xBB\xBF", 3) == 0)
		mail = cut(mail, 3);
	while (mail.len > 0 && (mail.data[0] == '\r' || mail.data[0] == '\n'))
		mail = cut(mail, 1);
	struct bytes line, rest = mail;
	if (mail.len > 5 && memcmp(mail.data, "From ", 5) == 0 && bytes_line(&rest, &line))
		return rest;
	return mail;
}

/* libetpan decodes encoded words in parameters by itself; with this it opens no converters for them. */
static int convert_word(const char *to, const char *from, const char *text, size_t len,
    char *result, size_t *result_len)
{
	struct buf utf8 = BUF_INIT;
	(void)to;
	utf8_convert(bytes_of(text, len), from, &utf8);
	if (utf8.len < *result_len)
		*result_len = utf8.len;
	if (*result_len > 0)
		memcpy(result, utf8.data, *result_len);
	buf_free(&utf8);
	return MAIL_CHARCONV_NO_ERROR;
}

static CHECKED enum err parse_mail(struct walk *w, struct bytes mail)
{
	struct mailmime *root = NULL;
	size_t at = 0;
	extended_charconv = convert_word;
	enum err err = sender_read(header_block(mail), w->out);
	if (err != ERR_OK)
		return err;
	if (mailmime_parse((const char *)mail.data, mail.len, &at, &root) != MAILIMF_NO_ERROR)
		return err_fail(ERR_DATA, "not a mail that can be read");
	err = walk_node(w, root, 0);
	mailmime_free(root);
	return err;
}

/* The first line is a field, and one of those that a mail or a MIME entity has is among them. */
static bool has_header(struct bytes mail)
{
	static const char *const usual[] = { "Content-Type", "MIME-Version", "From", "To",
		"Subject", "Date", "Message-ID", "Received", "Return-Path", NULL };
	struct bytes rest = header_block(mail);
	struct header_field field;
	const uint8_t *first = mail.data;
	while (header_next(&rest, &field)) {
		if (first != NULL && field.name.data != first)
			return false;
		first = NULL;
		for (const char *const *name = usual; *name != NULL; name++)
			if (header_is(&field, *name))
				return true;
	}
	return false;
}

/* P2.6: an OpenPGP block as saved from a mail program; or what was encrypted as mere text. */
static CHECKED enum err parse_text(struct walk *w, struct bytes text)
{
	const struct leaf leaf = { .type = "text/plain" };
	w->out->subject = str_dup("");
	w->alone = true;
	return body_add(w, &leaf, text);
}

enum err message_parse(struct bytes mail, const struct message_limits *limits, struct message *out)
{
	struct sink sink = { 0 };
	struct walk w = { .limits = limits, .out = out, .sink = &sink };
	*out = (struct message){ 0 };
	mail = skip_wrapping(mail);
	enum err err = prescan(mail, limits);
	if (err == ERR_OK)
		err = has_header(mail) ? parse_mail(&w, mail) : parse_text(&w, mail);
	out->new_text = sink.new_text;
	out->quoted_text = sink.quoted_text;
	return err;
}

void message_preload(void)
{
	static const char sample[] = "Date: Sun, 22 Nov 2026 04:00:00 +0000\r\n"
				     "From: =?iso-8859-1?Q?=E9?= <a@example.org>\r\n\r\nx\r\n";
	const struct message_limits limits = {
		.mail_bytes = sizeof sample, .header_bytes = sizeof sample, .nesting = 2, .parts = 2
	};
	struct message message;
	utf8_preload();
	enum err err = message_parse(bytes_of_text(sample), &limits, &message);
	(void)err; /* what matters is what it loaded */
	message_free(&message);
}
