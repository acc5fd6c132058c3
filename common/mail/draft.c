#include "mail/draft.h"

#include <stdlib.h>
#include <string.h>

#include "mail/compose.h"
#include "mail/draft_parts.h"
#include "mail/internal.h"
#include "mail/quoted.h"

#define DRAFT_BYTES_MAX ((size_t)64 << 20)
#define DEPTH_MAX 20
#define PARTS_MAX 500

/* Words that stand in a draft; the first TOKEN_WORDS hold the token. */
static const struct draft_word known_words[] = { { "TOKEN", NULL }, { "ENROLL", NULL },
	{ "ADDRESS", NULL }, { "NAME", NULL }, { "KEYSET", NULL }, { "EXPIRES", NULL },
	{ "AUTHORITY", NULL }, { "FINGERPRINT", NULL } };
#define TOKEN_WORDS 2
#define KNOWN_WORDS (sizeof known_words / sizeof *known_words)

/* One walk over the parts of a draft. */
struct walk {
	struct word_list list;
	const char *line_end;
	struct text_found found;
	bool is_signed, is_encrypted;
	size_t parts;
};

static void walk_begin(
    struct walk *w, struct bytes draft, const struct draft_word *words, size_t count)
{
	const uint8_t *end = draft.len ? memchr(draft.data, '\n', draft.len) : NULL;
	*w = (struct walk){ .list = { words, count } };
	w->line_end = end && end > draft.data && end[-1] == '\r' ? "\r\n" : "\n";
	w->found.unquoted = mem_alloc((count + 1) * sizeof(bool));
	w->found.quoted = mem_alloc((count + 1) * sizeof(bool));
}

static void walk_end(struct walk *w)
{
	free(w->found.unquoted);
	free(w->found.quoted);
}

static enum err part_fill(struct walk *w, struct bytes part, unsigned depth, struct buf *out);

/* ---- leaves ---- */

static void field_text_write(
    struct buf *head, const char *name, const char *value, const char *line_end)
{
	buf_addf(head, "%s: %s%s", name, value, line_end);
}

/* The header again, with charset and encoding as they became. */
static void leaf_head_write(const struct walk *w, struct bytes head, struct content *content,
    const struct text_result *result, struct buf *out)
{
	if (result->charset) {
		content_set_parameter(content, "charset", result->charset);
	}
	for (struct raw_field f; raw_field_next(&head, &f);) {
		bool replaced = raw_field_is(&f, "Content-MD5") ||
				(result->charset && raw_field_is(&f, "Content-Type")) ||
				(result->encoding && raw_field_is(&f, "Content-Transfer-Encoding"));
		if (!replaced) {
			buf_add(out, f.raw.data, f.raw.len);
		}
	}
	if (result->charset) {
		content_write(content, w->line_end, out);
	}
	if (result->encoding) {
		field_text_write(out, "Content-Transfer-Encoding", result->encoding, w->line_end);
	}
}

static bool is_attachment(struct bytes head)
{
	char *value = raw_field_value(head, "Content-Disposition");
	struct content disposition = { 0 };
	content_read(value, &disposition);
	bool attached = value && (str_equal(disposition.type, "attachment") ||
				     content_parameter(&disposition, "filename") ||
				     content_parameter(&disposition, "filename*"));
	content_free(&disposition);
	str_free(&value);
	return attached;
}

static enum err leaf_fill(struct walk *w, const struct entity *e, struct content *content,
    struct buf *head_out, struct buf *body_out)
{
	bool html = str_equal(content->type, "text/html");
	struct text_result result = { 0 };
	enum err err = ERR_OK;
	if ((html || str_equal(content->type, "text/plain")) && !is_attachment(e->head)) {
		char *encoding = raw_field_value(e->head, "Content-Transfer-Encoding");
		char *charset = str_dup(content_parameter(content, "charset"));
		struct text_kind kind = { html, charset, encoding };
		err = text_fill(e->body, &kind, &w->list, w->line_end, &w->found, &result);
		str_free(&charset);
		str_free(&encoding);
	}
	if (result.changed) {
		leaf_head_write(w, e->head, content, &result, head_out);
		buf_add(body_out, result.body.data, result.body.len);
	} else {
		buf_add(head_out, e->head.data, e->head.len);
		buf_add(body_out, e->body.data, e->body.len);
	}
	buf_free(&result.body);
	return err;
}

/* ---- multiparts ---- */

enum delimiter { DELIMITER_NONE, DELIMITER_NEXT, DELIMITER_LAST };

static enum delimiter delimiter_of(struct bytes line, const char *boundary)
{
	size_t len = strlen(boundary);
	if (line.len < len + 2 || line.data[0] != '-' || line.data[1] != '-' ||
	    memcmp(line.data + 2, boundary, len) != 0) {
		return DELIMITER_NONE;
	}
	struct bytes rest = bytes_of(line.data + 2 + len, line.len - 2 - len);
	bool last = rest.len >= 2 && rest.data[0] == '-' && rest.data[1] == '-';
	if (last) {
		rest = bytes_of(rest.data + 2, rest.len - 2);
	}
	if (bytes_trim(rest).len > 0) {
		return DELIMITER_NONE;
	}
	return last ? DELIMITER_LAST : DELIMITER_NEXT;
}

/* The line end in front of a delimiter belongs to the delimiter (RFC 2046 5.1.1). */
static size_t without_line_end(struct bytes body, size_t start, size_t end)
{
	if (end > start && body.data[end - 1] == '\n') {
		end--;
		end -= end > start && body.data[end - 1] == '\r' ? 1 : 0;
	}
	return end;
}

static void attachment_add(
    struct walk *w, const char *boundary, struct bytes attachment, struct buf *out)
{
	buf_addf(out, "--%s%s", boundary, w->line_end);
	lines_add(out, attachment, w->line_end);
	buf_add_text(out, w->line_end);
}

/* One pass over the lines of a multipart; everything but the parts is copied. */
struct multipart {
	struct bytes body;
	const char *boundary;
	struct bytes attachment; /* goes in as the last part; may be empty */
	bool inside;             /* a part has begun */
	size_t start;            /* of the part, or of what is to be copied */
};

static enum err multipart_upto(
    struct walk *w, struct multipart *m, size_t end, unsigned depth, struct buf *out)
{
	size_t stop = m->inside ? without_line_end(m->body, m->start, end) : end;
	struct bytes piece = bytes_of(m->body.data + m->start, stop - m->start);
	enum err err = ERR_OK;
	if (m->inside) {
		err = part_fill(w, piece, depth, out);
	} else {
		buf_add(out, piece.data, piece.len);
	}
	buf_add(out, m->body.data + stop, end - stop);
	return err;
}

static enum err multipart_fill(struct walk *w, struct multipart *m, unsigned depth, struct buf *out)
{
	struct bytes rest = m->body, line;
	enum delimiter d = DELIMITER_NONE;
	while (d != DELIMITER_LAST && rest.len > 0) {
		size_t at = m->body.len - rest.len;
		if (!bytes_line(&rest, &line) ||
		    (d = delimiter_of(line, m->boundary)) == DELIMITER_NONE) {
			continue;
		}
		enum err err = multipart_upto(w, m, at, depth, out);
		if (err) {
			return err;
		}
		if (d == DELIMITER_LAST && m->attachment.len > 0) {
			attachment_add(w, m->boundary, m->attachment, out);
		}
		m->start = d == DELIMITER_LAST ? at : m->body.len - rest.len;
		buf_add(out, m->body.data + at, m->start - at);
		m->inside = d == DELIMITER_NEXT;
	}
	enum err err = multipart_upto(w, m, m->body.len, depth, out);
	if (!err && d != DELIMITER_LAST && m->attachment.len > 0) {
		buf_add_text(out, w->line_end);
		attachment_add(w, m->boundary, m->attachment, out);
		buf_addf(out, "--%s--%s", m->boundary, w->line_end);
	}
	return err;
}

/* ---- any part ---- */

/* What must not be changed: a signature or an encryption would break. */
static bool is_sealed(struct walk *w, const struct content *content)
{
	const char *smime = content_parameter(content, "smime-type");
	bool pkcs7 = str_equal(content->type, "application/pkcs7-mime") ||
		     str_equal(content->type, "application/x-pkcs7-mime");
	bool is_signed = str_equal(content->type, "multipart/signed") ||
			 (pkcs7 && smime && str_equal_case(smime, "signed-data"));
	bool is_encrypted =
	    str_equal(content->type, "multipart/encrypted") || (pkcs7 && !is_signed);
	w->is_signed |= is_signed;
	w->is_encrypted |= is_encrypted;
	return is_signed || is_encrypted;
}

static enum err entity_fill(struct walk *w, const struct entity *e, struct bytes attachment,
    unsigned depth, struct buf *head_out, struct buf *body_out)
{
	if (depth > DEPTH_MAX || ++w->parts > PARTS_MAX) {
		return err_fail(ERR_DATA, "the mail has more parts than can be looked through");
	}
	char *type = raw_field_value(e->head, "Content-Type");
	struct content content;
	enum err err = ERR_OK;
	content_read(type, &content);
	const char *boundary = content_parameter(&content, "boundary");
	bool sealed = is_sealed(w, &content);
	if (str_starts(content.type, "multipart/") && boundary && boundary[0]) {
		struct multipart m = {
			.body = e->body, .boundary = boundary, .attachment = attachment
		};
		struct buf filled = BUF_SECRET; /* a sealed one is searched alone */
		err = multipart_fill(w, &m, depth + 1, &filled);
		struct bytes body = sealed ? e->body : buf_bytes(&filled);
		buf_add(head_out, e->head.data, e->head.len);
		buf_add(body_out, body.data, body.len);
		buf_free(&filled);
	} else if (sealed) {
		buf_add(head_out, e->head.data, e->head.len);
		buf_add(body_out, e->body.data, e->body.len);
	} else {
		err = leaf_fill(w, e, &content, head_out, body_out);
	}
	content_free(&content);
	str_free(&type);
	return err;
}

static enum err part_fill(struct walk *w, struct bytes part, unsigned depth, struct buf *out)
{
	struct entity e = entity_split(part);
	struct buf body = BUF_INIT;
	enum err err = entity_fill(w, &e, bytes_of(NULL, 0), depth, out, &body);
	buf_add(out, e.gap.data, e.gap.len);
	buf_add(out, body.data, body.len);
	buf_free(&body);
	return err;
}

/* ---- the whole mail ---- */

static enum err draft_split(struct bytes draft, struct entity *out)
{
	struct raw_field first;
	*out = entity_split(draft);
	struct bytes head = out->head;
	bool understood = raw_field_next(&head, &first) && first.name.len > 0;
	for (size_t i = 0; understood && i < first.name.len; i++) {
		understood = first.name.data[i] > ' ' && first.name.data[i] < 0x7f;
	}
	if (!understood || memchr(draft.data, '\0', out->head.len) != NULL) {
		return err_fail(ERR_DATA, "this is no mail: it does not begin with a header");
	}
	return draft.len > DRAFT_BYTES_MAX
		   ? err_fail(ERR_DATA, "the mail is larger than %zu bytes", DRAFT_BYTES_MAX)
		   : ERR_OK;
}

/* The words of a Subject but for those with the token, which have no business there. */
static struct word_list subject_words(const struct word_list *list, struct draft_word *room)
{
	struct word_list others = { room, 0 };
	for (size_t i = 0; i < list->count; i++) {
		if (!str_equal(list->words[i].word, "TOKEN") &&
		    !str_equal(list->words[i].word, "ENROLL")) {
			room[others.count++] = list->words[i];
		}
	}
	return others;
}

/* True if the Subject holds one of the words; then `out` is the field written again. */
static bool subject_fill(const struct walk *w, const struct raw_field *f, struct buf *out)
{
	struct buf filled = BUF_INIT, written = BUF_INIT;
	struct draft_word *room = mem_array(NULL, w->list.count + 1, sizeof *room);
	struct word_list others = subject_words(&w->list, room);
	char *raw = header_unfold(f->value);
	char *subject = words_decode(raw);
	bool found = words_replace(bytes_of_text(subject), &others, &filled);
	if (found) {
		header_text_write(&written, "Subject", buf_text(&filled));
		lines_add(out, buf_bytes(&written), w->line_end);
	}
	str_free(&subject);
	str_free(&raw);
	free(room);
	buf_free(&written);
	buf_free(&filled);
	return found;
}

static void headers_inspect(const struct walk *w, struct bytes head, struct draft_facts *out)
{
	struct draft_facts sender = { 0 };
	for (struct raw_field f; raw_field_next(&head, &f);) {
		if (raw_field_is(&f, "To") || raw_field_is(&f, "Cc") || raw_field_is(&f, "Bcc")) {
			address_list_read(f.value, out);
		} else if (raw_field_is(&f, "From")) {
			address_list_read(f.value, &sender);
		} else if (raw_field_is(&f, "Subject")) {
			struct buf unused = BUF_INIT;
			out->has_other_word |= subject_fill(w, &f, &unused);
			buf_free(&unused);
		}
	}
	if (sender.recipient_count > 0) {
		out->from = str_dup(sender.recipients[0]);
	}
	out->from_count = sender.recipient_count;
	draft_facts_free(&sender);
}

enum err draft_inspect(struct bytes draft, struct draft_facts *out)
{
	struct walk w;
	struct entity e;
	struct buf head = BUF_INIT, body = BUF_INIT;
	*out = (struct draft_facts){ 0 };
	walk_begin(&w, draft, known_words, KNOWN_WORDS);
	enum err err = draft_split(draft, &e);
	if (!err) {
		headers_inspect(&w, e.head, out);
		err = entity_fill(&w, &e, bytes_of(NULL, 0), 0, &head, &body);
	}
	for (size_t i = 0; i < KNOWN_WORDS; i++) {
		bool token = i < TOKEN_WORDS;
		out->has_token_word |= token && w.found.unquoted[i];
		out->quoted_token_word |= token && w.found.quoted[i];
		out->has_other_word |= !token && w.found.unquoted[i];
	}
	out->broken_word = w.found.broken;
	for (size_t i = 0; i < TOKEN_WORDS; i++) {
		out->has_token_word |= str_equal(out->broken_word, known_words[i].word);
	}
	out->is_signed = w.is_signed || w.found.is_signed;
	out->is_encrypted = w.is_encrypted || w.found.is_encrypted;
	buf_free(&body);
	buf_free(&head);
	walk_end(&w);
	return err;
}

void draft_facts_free(struct draft_facts *facts)
{
	for (size_t i = 0; i < facts->recipient_count; i++) {
		str_free(&facts->recipients[i]);
	}
	free(facts->recipients);
	str_free(&facts->from);
	*facts = (struct draft_facts){ 0 };
}

static bool is_mixed(struct bytes head)
{
	char *type = raw_field_value(head, "Content-Type");
	struct content content;
	content_read(type, &content);
	const char *boundary = content_parameter(&content, "boundary");
	bool mixed = str_equal(content.type, "multipart/mixed") && boundary && boundary[0];
	content_free(&content);
	str_free(&type);
	return mixed;
}

/* The mail's header: without Bcc, the Subject filled, what describes the content in `content_out`. */
static void head_write(
    const struct walk *w, struct bytes head, struct buf *out, struct buf *content_out)
{
	for (struct raw_field f; raw_field_next(&head, &f);) {
		bool content = bytes_start_case(f.name, "Content-");
		if (raw_field_is(&f, "Bcc") || raw_field_is(&f, "Content-Length") ||
		    (raw_field_is(&f, "Subject") && subject_fill(w, &f, out))) {
			continue;
		}
		struct buf *target = content ? content_out : out;
		buf_add(target, f.raw.data, f.raw.len);
		if (target->data[target->len - 1] != '\n') { /* the mail ends here */
			buf_add_text(target, w->line_end);
		}
	}
}

/* The body becomes the first part of a multipart/mixed. */
static void wrap(struct walk *w, const struct buf *content, const struct buf *body,
    struct bytes attachment, struct buf *out)
{
	char boundary[BOUNDARY_SIZE];
	const char *end = w->line_end;
	boundary_make(boundary);
	buf_addf(out, "Content-Type: multipart/mixed; boundary=\"%s\"%s%s--%s%s", boundary, end,
	    end, boundary, end);
	buf_add(out, content->data, content->len);
	buf_add_text(out, end);
	buf_add(out, body->data, body->len);
	buf_add_text(out, end);
	attachment_add(w, boundary, attachment, out);
	buf_addf(out, "--%s--%s", boundary, end);
}

static void whole_write(struct walk *w, struct bytes head, struct bytes gap, const struct buf *body,
    struct bytes attachment, struct buf *out)
{
	struct buf content = BUF_INIT;
	bool wrapped = attachment.len > 0;
	char *version = raw_field_value(head, "MIME-Version");
	char *type = raw_field_value(head, "Content-Type");
	head_write(w, head, out, wrapped ? &content : out);
	if (version == NULL && (wrapped || type)) {
		field_text_write(out, "MIME-Version", "1.0", w->line_end);
	}
	if (wrapped) {
		wrap(w, &content, body, attachment, out);
	} else {
		struct bytes end = gap.len ? gap : bytes_of_text(w->line_end);
		buf_add(out, end.data, end.len);
		buf_add(out, body->data, body->len);
	}
	str_free(&type);
	str_free(&version);
	buf_free(&content);
}

enum err draft_fill(struct bytes draft, const struct draft_word *words, size_t word_count,
    struct bytes attachment, struct buf *out)
{
	struct walk w;
	struct entity e;
	struct buf head = BUF_INIT, body = BUF_INIT;
	walk_begin(&w, draft, words, word_count);
	enum err err = draft_split(draft, &e);
	if (!err) {
		bool mixed = is_mixed(e.head);
		struct bytes none = bytes_of(NULL, 0);
		err = entity_fill(&w, &e, mixed ? attachment : none, 0, &head, &body);
		if (!err) {
			whole_write(
			    &w, buf_bytes(&head), e.gap, &body, mixed ? none : attachment, out);
		}
	}
	buf_free(&body);
	buf_free(&head);
	walk_end(&w);
	return err;
}
