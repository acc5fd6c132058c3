#include "mail/compose.h"

#include <assert.h>
#include <string.h>

#include "base/encode.h"
#include "base/when.h"
#include "mail/quoted.h"
#include "secret/secret.h"
#include "text/utf8.h"

#define LINE_MAX_SOFT 78 /* RFC 5322 2.1.1 */
#define LINE_MAX_HARD 998
#define ENCODED_LINE_MAX 76   /* RFC 2047 2 */
#define ENCODED_WORD_EXTRA 12 /* "=?utf-8?B?" and "?=" */
#define ID_BYTES_MAX 900
#define ADDRESS_MAX 254
#define PLAIN_WORD_MAX 60

/* One header field under way. */
struct field {
	struct buf *out;
	size_t column;
};

static struct field field_begin(struct buf *out, const char *name)
{
	buf_addf(out, "%s:", name);
	return (struct field){ out, strlen(name) + 1 };
}

static void field_break(struct field *f)
{
	buf_add_text(f->out, "\r\n");
	f->column = 0;
}

/* A blank and an unbreakable word, on the next line where it does not fit any more. */
static void field_word(struct field *f, const char *word, size_t len)
{
	if (f->column + 1 + len > LINE_MAX_SOFT) {
		field_break(f);
	}
	buf_add_byte(f->out, ' ');
	buf_add(f->out, word, len);
	f->column += 1 + len;
}

static void field_end(struct field *f)
{
	field_break(f);
}

/* Text as RFC 2047 encoded words, cut between characters. */
static void field_encoded(struct field *f, const char *text)
{
	size_t len = strlen(text);
	while (len > 0) {
		size_t used = f->column + 1 + ENCODED_WORD_EXTRA;
		size_t room = used < ENCODED_LINE_MAX ? (ENCODED_LINE_MAX - used) / 4 * 3 : 0;
		if (room < 6) {
			field_break(f);
			room = (ENCODED_LINE_MAX - 1 - ENCODED_WORD_EXTRA) / 4 * 3;
		}
		size_t n = len < room ? len : room;
		while (n < len && n > 1 && ((uint8_t)text[n] & 0xc0) == 0x80) {
			n--;
		}
		struct buf word = BUF_INIT;
		buf_add_text(&word, "=?utf-8?B?");
		base64_add(&word, bytes_of(text, n), 0, "");
		buf_add_text(&word, "?=");
		field_word(f, buf_text(&word), word.len);
		buf_free(&word);
		text += n;
		len -= n;
	}
}

/* Printable ASCII that no reader takes for an encoded word, in words short enough to fold. */
static bool is_plain(const char *text)
{
	size_t word = 0;
	for (const char *c = text; *c; c++) {
		word = *c == ' ' ? 0 : word + 1;
		if (*c < ' ' || *c > '~' || word > PLAIN_WORD_MAX) {
			return false;
		}
	}
	return strstr(text, "=?") == NULL;
}

static void field_words(struct field *f, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, " ");
		if (len > 0) {
			field_word(f, text, len);
		}
		text += len + (text[len] == ' ' ? 1 : 0);
	}
}

void header_text_write(struct buf *out, const char *name, const char *value)
{
	char *clean = utf8_printable(value, false);
	struct field f = field_begin(out, name);
	if (is_plain(clean)) {
		field_words(&f, clean);
	} else {
		field_encoded(&f, clean);
	}
	field_end(&f);
	str_free(&clean);
}

/* atext of RFC 5322 3.2.3. */
static bool is_atom_char(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static void quoted_add(struct buf *out, const char *text)
{
	buf_add_byte(out, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\') {
			buf_add_byte(out, '\\');
		}
		buf_add_byte(out, *text);
	}
	buf_add_byte(out, '"');
}

static void field_display_name(struct field *f, const char *name)
{
	bool atoms = true;
	for (const char *c = name; *c; c++) {
		atoms = atoms && (*c == ' ' || is_atom_char(*c));
	}
	if (!is_plain(name) || strlen(name) > PLAIN_WORD_MAX) {
		field_encoded(f, name);
	} else if (atoms) {
		field_words(f, name);
	} else {
		struct buf quoted = BUF_INIT;
		quoted_add(&quoted, name);
		field_word(f, buf_text(&quoted), quoted.len);
		buf_free(&quoted);
	}
}

static void mailbox_field_write(
    struct buf *out, const char *field_name, const char *name, const char *address)
{
	struct field f = field_begin(out, field_name);
	char *clean = utf8_printable(name ? name : "", false);
	bool named = clean[strspn(clean, " ")] != '\0';
	if (named) {
		field_display_name(&f, clean);
	}
	char *spec = str_printf(named ? "<%s>" : "%s", address);
	field_word(&f, spec, strlen(spec));
	field_end(&f);
	str_free(&spec);
	str_free(&clean);
}

static void id_field_write(struct buf *out, const char *field_name, const char *id)
{
	struct field f = field_begin(out, field_name);
	char *bracketed = str_printf("<%s>", id);
	field_word(&f, bracketed, strlen(bracketed));
	field_end(&f);
	str_free(&bracketed);
}

/* The end of a quoted string that begins at `text`, or NULL. */
static const char *quoted_end(const char *text)
{
	for (const char *c = text + 1; *c; c++) {
		if (*c == '\\' && c[1] != '\0') {
			c++;
		} else if (*c == '"') {
			return c + 1;
		}
	}
	return NULL;
}

static const char *local_part_end(const char *address)
{
	if (address[0] == '"') {
		return quoted_end(address);
	}
	const char *c = address;
	while (is_atom_char((uint8_t)*c) || *c == '.' || (uint8_t)*c >= 0x80) {
		c++;
	}
	return c > address ? c : NULL;
}

/* Of RFC 5322 3.4.1 without domain literals; a local part may be raw UTF-8 (RFC 6532). */
static enum err address_check(const char *address)
{
	bool clean = address != NULL && strlen(address) <= ADDRESS_MAX;
	for (const char *c = address; clean && *c; c++) {
		clean = (uint8_t)*c >= ' ' && *c != 0x7f;
	}
	const char *at = clean ? local_part_end(address) : NULL;
	const char *domain = at && *at == '@' ? at + 1 : "";
	size_t len =
	    strspn(domain, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
	if (len == 0 || domain[len] != '\0') {
		return err_fail(ERR_DATA, "an address can't stand in a mail header");
	}
	return ERR_OK;
}

static enum err id_check(const char *id)
{
	bool good = id[0] != '\0' && strlen(id) <= ID_BYTES_MAX;
	for (const char *c = id; good && *c; c++) {
		good = *c > ' ' && *c <= '~' && *c != '<' && *c != '>';
	}
	return good ? ERR_OK : err_fail(ERR_DATA, "a Message-ID can't stand in a mail header");
}

static enum err header_check(const struct envelope_header *h)
{
	assert(h->message_id != NULL);
	const char *ids[] = { h->message_id, h->in_reply_to, h->references };
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		if (ids[i] && id_check(ids[i])) {
			return ERR_DATA;
		}
	}
	return address_check(h->from_address) || address_check(h->to_address) ? ERR_DATA : ERR_OK;
}

static void header_write(const struct envelope_header *h, struct buf *out)
{
	char date[WHEN_TEXT_SIZE];
	mailbox_field_write(out, "From", h->from_name, h->from_address);
	mailbox_field_write(out, "To", NULL, h->to_address);
	header_text_write(out, "Subject", h->subject ? h->subject : "");
	buf_addf(out, "Date: %s\r\n", when_format_mail(h->date, date));
	id_field_write(out, "Message-ID", h->message_id);
	if (h->in_reply_to) {
		id_field_write(out, "In-Reply-To", h->in_reply_to);
	}
	if (h->references) {
		id_field_write(out, "References", h->references);
	}
	if (h->auto_submitted) {
		header_text_write(out, "Auto-Submitted", h->auto_submitted);
	}
	buf_add_text(out, "MIME-Version: 1.0\r\n");
}

static void random_text(struct buf *out)
{
	uint8_t bits[16];
	secret_random(bits, sizeof bits);
	base32_add(out, bytes_of(bits, sizeof bits));
}

char *message_id_make(const char *domain)
{
	struct buf id = BUF_INIT;
	random_text(&id);
	buf_addf(&id, "@%s", domain);
	return buf_take_text(&id);
}

void boundary_make(char out[BOUNDARY_SIZE])
{
	struct buf b = BUF_INIT;
	buf_add_text(&b, "=_");
	random_text(&b);
	assert(b.len < BOUNDARY_SIZE);
	memcpy(out, buf_text(&b), b.len + 1);
	buf_free(&b);
}

static void field_parameter(struct field *f, const char *text)
{
	buf_add_byte(f->out, ';');
	f->column++;
	field_word(f, text, strlen(text));
}

/* attribute-char of RFC 2231 7, and the dot. */
static bool is_attribute_char(int c)
{
	return c == '.' || (is_atom_char(c) && strchr("%'*/=?", c) == NULL);
}

/* RFC 2231 4: percent-encoded UTF-8, in numbered pieces where it is long. */
static void field_parameter_extended(struct field *f, const char *name, const char *value)
{
	struct buf piece = BUF_INIT;
	bool split = strlen(value) > PLAIN_WORD_MAX / 3;
	for (unsigned number = 0; number == 0 || *value; number++) {
		buf_clear(&piece);
		buf_add_text(&piece, name);
		if (split) {
			buf_addf(&piece, "*%u", number);
		}
		buf_add_text(&piece, number == 0 ? "*=utf-8''" : "*=");
		for (size_t start = piece.len; *value && piece.len - start < PLAIN_WORD_MAX - 3;
		     value++) {
			bool plain = is_attribute_char((uint8_t)*value);
			buf_addf(&piece, plain ? "%c" : "%%%02X", (uint8_t)*value);
		}
		field_parameter(f, buf_text(&piece));
	}
	buf_free(&piece);
}

static void field_file_name(struct field *f, const char *name)
{
	char *clean = utf8_printable(name, false);
	if (!is_plain(clean) || strlen(clean) > PLAIN_WORD_MAX) {
		field_parameter_extended(f, "filename", clean);
	} else {
		struct buf quoted = BUF_INIT;
		buf_add_text(&quoted, "filename=");
		quoted_add(&quoted, clean);
		field_parameter(f, buf_text(&quoted));
		buf_free(&quoted);
	}
	str_free(&clean);
}

static void content_type_write(const struct part *part, const char *boundary, struct buf *out)
{
	struct field f = field_begin(out, "Content-Type");
	assert(part->type && strpbrk(part->type, "\r\n") == NULL);
	field_word(&f, part->type, strlen(part->type));
	if (part->parameters) {
		assert(strpbrk(part->parameters, "\r\n") == NULL);
		field_parameter(&f, part->parameters);
	}
	if (str_starts(part->type, "text/")) {
		field_parameter(&f, "charset=utf-8");
	}
	if (boundary) {
		char *text = str_printf("boundary=\"%s\"", boundary);
		field_parameter(&f, text);
		str_free(&text);
	}
	field_end(&f);
}

/* 7-bit lines that every mail system leaves alone (RFC 3156 3). */
static bool survives_as_it_is(struct bytes text, size_t line_max)
{
	struct bytes line;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == 0 || text.data[i] >= 0x7f ||
		    (text.data[i] < ' ' && strchr("\t\r\n", text.data[i]) == NULL)) {
			return false;
		}
	}
	while (bytes_line(&text, &line)) {
		bool from = line.len >= 5 && memcmp(line.data, "From ", 5) == 0;
		bool blank_end = line.len > 0 && strchr(" \t\r", line.data[line.len - 1]) != NULL;
		bool bare_cr = line.len > 0 && memchr(line.data, '\r', line.len) != NULL;
		if (line.len > line_max || from || blank_end || bare_cr) {
			return false;
		}
	}
	return true;
}

/* Armored text keeps blanks at line ends ("- " escapes, "Hash:" lines): only what can't go as 7bit
 * is encoded. */
static bool fits_7bit(struct bytes text)
{
	struct bytes line;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == 0 || text.data[i] >= 0x80) {
			return false;
		}
	}
	while (bytes_line(&text, &line)) {
		if (line.len > LINE_MAX_HARD) {
			return false;
		}
	}
	return true;
}

static void leaf_write(const struct part *part, struct buf *out)
{
	static const char *const field = "Content-Transfer-Encoding";
	bool text = str_starts(part->type, "text/");
	if (part->literal ? fits_7bit(part->body)
			  : text && survives_as_it_is(part->body, LINE_MAX_SOFT)) {
		buf_addf(out, "%s: 7bit\r\n\r\n", field);
		lines_add(out, part->body, "\r\n");
	} else if (text) {
		buf_addf(out, "%s: quoted-printable\r\n\r\n", field);
		quoted_printable_add(out, part->body, "\r\n");
	} else {
		buf_addf(out, "%s: base64\r\n\r\n", field);
		base64_add(out, part->body, 76, "\r\n");
	}
}

static void multipart_write(const struct part *part, const char *boundary, struct buf *out)
{
	buf_add_text(out, "\r\n");
	for (size_t i = 0; i < part->child_count; i++) {
		buf_addf(out, "--%s\r\n", boundary);
		part_write(&part->children[i], out);
		buf_add_text(out, "\r\n");
	}
	buf_addf(out, "--%s--\r\n", boundary);
}

void part_write(const struct part *part, struct buf *out)
{
	bool multipart = part->child_count > 0;
	char boundary[BOUNDARY_SIZE];
	boundary_make(boundary);
	content_type_write(part, multipart ? boundary : NULL, out);
	if (part->name) {
		struct field f = field_begin(out, "Content-Disposition");
		field_word(&f, "attachment", strlen("attachment"));
		field_file_name(&f, part->name);
		field_end(&f);
	}
	if (part->description) {
		header_text_write(out, "Content-Description", part->description);
	}
	if (multipart) {
		multipart_write(part, boundary, out);
	} else {
		leaf_write(part, out);
	}
}

enum err letter_write(
    const struct envelope_header *header, const struct part *body, struct buf *out)
{
	enum err err = header_check(header);
	if (err) {
		return err;
	}
	header_write(header, out);
	part_write(body, out);
	if (out->data[out->len - 1] != '\n') {
		buf_add_text(out, "\r\n");
	}
	return ERR_OK;
}

/* The signed part is written as it is: composing it again would give it another boundary. */
enum err letter_write_signed(const struct envelope_header *header, struct bytes signed_part,
    struct bytes signature, const char *micalg, struct buf *out)
{
	enum err err = header_check(header);
	if (err) {
		return err;
	}
	char boundary[BOUNDARY_SIZE];
	boundary_make(boundary);
	char *parameters = str_printf("protocol=\"application/pgp-signature\"; micalg=%s", micalg);
	struct part shell = { .type = "multipart/signed", .parameters = parameters };
	struct part proof = { .type = "application/pgp-signature",
		.name = "signature.asc",
		.description = "OpenPGP signature",
		.literal = true,
		.body = signature };

	header_write(header, out);
	content_type_write(&shell, boundary, out);
	buf_addf(out, "\r\n--%s\r\n", boundary);
	buf_add(out, signed_part.data, signed_part.len);
	buf_addf(out, "\r\n--%s\r\n", boundary);
	part_write(&proof, out);
	buf_addf(out, "\r\n--%s--\r\n", boundary);
	str_free(&parameters);
	return ERR_OK;
}

enum err letter_write_encrypted(
    const struct envelope_header *header, struct bytes armored, struct buf *out)
{
	const struct part children[] = {
		{ .type = "application/pgp-encrypted",
		    .description = "PGP/MIME version identification",
		    .literal = true,
		    .body = bytes_of_text("Version: 1\r\n") },
		{ .type = "application/octet-stream",
		    .name = "encrypted.asc",
		    .description = "OpenPGP encrypted message",
		    .literal = true,
		    .body = armored },
	};
	const struct part body = { .type = "multipart/encrypted",
		.parameters = "protocol=\"application/pgp-encrypted\"",
		.children = children,
		.child_count = sizeof children / sizeof *children };
	return letter_write(header, &body, out);
}
