/* unseal: opens what is encrypted to the authority. What was inside is plain lines (P2.2), or MIME that goes back to a fresh parser. */
#include <string.h>

#include "enroll/packets.h"
#include "pipeline.h"
#include "stages.h"

/* A MIME entity begins with a header field; the text of an in-line encryption does not. */
static bool begins_with_mime_header(struct bytes text)
{
	static const char *const fields[] = { "content-",
		"mime-version:", "from:", "subject:", "to:", "date:" };
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (text.len > strlen(fields[i]) &&
		    str_starts_case((const char *)text.data, fields[i]))
			return true;
	return false;
}

static enum err parse_inner(struct work *w)
{
	struct buf mime = BUF_SECRET;
	if (!begins_with_mime_header(buf_bytes(&w->opened)))
		buf_add_text(&mime, "\r\n"); /* an empty header: all of it is body */
	buf_add(&mime, w->opened.data, w->opened.len);
	enum err rc = work_parse(w, buf_bytes(&mime), false, &w->inner);
	buf_free(&mime);
	if (rc == ERR_DATA)
		return work_quarantine(w, "inside the encryption: %s", err_text());
	if (rc == ERR_OK)
		w->body = &w->inner;
	return rc;
}

/* Only what our own readers understood reaches gpg: armor undone (P2.6), packets looked at one by one. */
static enum err make_plain_sealed(struct buf *message)
{
	struct buf binary = BUF_INIT, sealed = BUF_INIT;
	enum err rc = ERR_OK;

	if (armor_find(buf_bytes(message), "MESSAGE"))
		rc = armor_read(buf_bytes(message), "MESSAGE", &binary, NULL);
	else
		buf_add(&binary, message->data, message->len);
	if (rc == ERR_OK)
		rc = packets_sealed(buf_bytes(&binary), &sealed);
	buf_clear(message);
	buf_add(message, sealed.data, sealed.len);
	buf_free(&binary);
	buf_free(&sealed);
	return rc;
}

/* An encryption that can't be opened: nobody can be answered. */
static enum err give_up(struct work *w)
{
	w->carried_secret |= work_carries_secret(w, &w->message);
	if (w->automatic)
		return work_ignore(w, "an automatic mail with an encryption that can't be opened");
	if (w->message.truncated)
		return work_quarantine(w, "encrypted, and larger than the limit: %s", err_text());
	return work_quarantine(w, "%s", err_text());
}

enum err stage_unseal(struct work *w)
{
	struct signatures
	    signatures; /* whose they are is known only when the key is there: work_signed_by */

	if (w->message.encrypted.len == 0)
		return ERR_OK;
	w->opened.secret = true;
	enum err rc = make_plain_sealed(&w->message.encrypted);
	if (rc == ERR_OK)
		rc = keyhome_decrypt(
		    w->authority->home, buf_bytes(&w->message.encrypted), &w->opened, &signatures);
	if (rc == ERR_DATA)
		return give_up(w);
	if (rc != ERR_OK)
		return rc;
	w->was_encrypted = true;
	w->signed_inside = signatures.count > 0;
	struct bytes text = buf_bytes(&w->opened);
	if (request_looks_like(text) || confirmation_looks_like(text))
		return ERR_OK;
	return parse_inner(w);
}

/* Loads the key as stored, then asks gpg about the mail once more: signatures could not be judged without the key. */
enum err work_signed_by(
    struct work *w, struct bytes key, const char *fingerprint, struct work_signature *out)
{
	const struct message *m = w->body;
	struct key_facts *facts = NULL;
	struct signatures signatures = { .count = 0 };
	enum err rc = keyhome_import(w->authority->home, key, &facts);

	*out = (struct work_signature){ 0 };
	key_facts_free(&facts);
	if (rc != ERR_OK)
		return rc;
	/* Only one signature over all of it counts (P4.5): the encryption's own, or the body's. A client's lines have no body. */
	if (!work_is_client(w) && m->signed_bytes.len > 0 && m->signed_whole) {
		w->signature_of_body = true;
		rc = keyhome_verify(w->authority->home, buf_bytes(&m->signed_bytes),
		    buf_bytes(&m->signature), NULL, &signatures);
	} else if (w->was_encrypted) {
		struct buf again = BUF_SECRET;
		rc = keyhome_decrypt(
		    w->authority->home, buf_bytes(&w->message.encrypted), &again, &signatures);
		buf_free(&again);
	}
	if (rc == ERR_DATA || rc == ERR_PROTOCOL) { /* a signature that does not hold */
		out->present = true;
		return ERR_OK;
	}
	out->present = signatures.count > 0;
	out->created = signatures.count > 0 ? signatures.list[0].created : 0;
	out->valid = rc == ERR_OK && signatures.count == 1 && signatures.list[0].valid &&
		     str_equal(signatures.list[0].key, fingerprint);
	return rc;
}
