/* What carries a token to a person: the link, the token mail, the printed sheet. */
#include <string.h>

#include "base/when.h"
#include "issue.h"

static void add_escaped(struct buf *out, const char *text)
{
	static const char plain[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (; *text; text++) {
		if (strchr(plain, *text))
			buf_add_byte(out, *text);
		else
			buf_addf(out, "%%%02X", (unsigned char)*text);
	}
}

/* RFC 6068. The "@" of the address stays as it is. */
void issue_link(const struct authority *authority, const struct issue *issue, struct buf *out)
{
	char *local =
	    str_ndup(authority->address, (size_t)(authority->domain - authority->address) - 1);
	struct buf body = BUF_SECRET;

	buf_add_text(out, "mailto:");
	add_escaped(out, local);
	buf_add_byte(out, '@');
	add_escaped(out, authority->domain);
	buf_add_text(out, "?subject=Enrollment&body=");
	buf_addf(&body, "Token: %s\r\n", issue->text);
	if (issue->row.keyset)
		buf_addf(&body, "Keyset: %s\r\n", issue->row.keyset);
	add_escaped(out, buf_text(&body));
	buf_free(&body);
	str_free(&local);
}

static void add_authority(const struct authority *authority, struct buf *out)
{
	char *fingerprint = authority_fingerprint_text(authority->fingerprint);

	buf_addf(out, "%s\n%s\nKey %s\n", authority->name ? authority->name : "Security Authority",
	    authority->address, fingerprint);
	str_free(&fingerprint);
}

static void add_token(const struct issue *issue, struct buf *out)
{
	buf_addf(out, "    Token: %s\n", issue->text);
	if (issue->row.keyset)
		buf_addf(out, "    Keyset: %s\n", issue->row.keyset);
	buf_add_text(out, "\n");
}

static void add_steps(const struct authority *authority, const struct issue *issue, struct buf *out)
{
	buf_add_text(out, "With the Countersign client: save this mail to a file and run\n\n"
			  "    countersign request FILE\n\n");
	if (issue->release_count) /* P3.6 */
		return;
	buf_addf(out,
	    "With any other mail program that knows OpenPGP: answer this mail, leave\n"
	    "the token in it, and attach your public key. The answer goes to\n%s.\n\n",
	    authority->address);
}

enum err issue_write_mail(struct authority *authority, const struct invocation *in,
    const struct issue *issue, struct buf *out)
{
	struct buf text = BUF_SECRET, card = BUF_INIT;
	struct envelope_header header;
	struct part parts[2],
	    whole = { .type = "multipart/mixed", .children = parts, .child_count = 2 };
	char day[WHEN_TEXT_SIZE], *message_id = NULL;
	enum err e;

	buf_addf(&text,
	    "This token lets you %s for protected mail as\n%s.\n"
	    "It works once, until %s. Treat it like a password.\n\n",
	    issue->row.recovery ? "enroll again" : "enroll", issue->row.address,
	    when_format_day(issue->row.expires, day));
	if (issue->release_count)
		buf_add_text(&text,
		    "Your old mail becomes readable again with it: enroll with the Countersign\n"
		    "client, which gets your old keys. If you forgot the password of a keyset,\n"
		    "choose a new keyset name.\n\n");
	add_token(issue, &text);
	add_steps(authority, issue, &text);
	buf_add_text(&text, "If you did not expect this, tell your administrator.\n\n");
	add_authority(authority, &text);
	parts[0] = (struct part){ .type = "text/plain", .body = buf_bytes(&text) };
	if (!(e = letters_card_part(authority, &card, &parts[1]))) {
		letters_header(authority, issue->row.address, "Your token for protected mail",
		    in->now, &header, &message_id);
		e = letters_write_signed(authority, &header, &whole, out);
	}
	str_free(&message_id);
	buf_free(&text);
	buf_free(&card);
	return e;
}

void issue_write_slip(const struct authority *authority, const struct issue *issue, struct buf *out)
{
	char day[WHEN_TEXT_SIZE];

	if (out->len)
		buf_add_text(out, "\f");
	buf_addf(out, "TOKEN FOR PROTECTED MAIL\n\nFor    %s%s%s%s\nUntil  %s, once\n\n",
	    issue->row.name ? issue->row.name : "", issue->row.name ? " <" : "", issue->row.address,
	    issue->row.name ? ">" : "", when_format_day(issue->row.expires, day));
	add_token(issue, out);
	buf_addf(out,
	    "With the Countersign client: run\n\n"
	    "    countersign request --authority %s\n\n"
	    "and type the token. The authority's key comes from the Web Key Directory of\n"
	    "its domain; if it is not found there, ask for the file authority-card.asc and\n"
	    "add --authority-key authority-card.asc. Compare the fingerprint below.\n\n"
	    "With any other mail program that knows OpenPGP: write a mail to %s,\n"
	    "type the line with the token into it, and attach your public key.\n\n"
	    "Keep this sheet to yourself, and destroy it once you are enrolled.\n\n",
	    authority->address, authority->address);
	add_authority(authority, out);
}
