#!/usr/bin/env python3
"""answer.py STYLE MAIL KEY > answer: a mail of the authority's answered in the manner of one mail program, with the armored key attached or in the text.

answer.py --styles lists the styles. MAIL is quoted as that program quotes it; the answer itself names a keyset, and no token.
"""
import base64
import email
import email.policy
import html
import quopri
import sys

SAID = "Here is my key.\nKeyset: work"
WHEN = "Mon, 23 Nov 2026 at 01:00"
WHO = "Example Security Authority"
SA = "sa@example.org"


def field_head(prefix="Re", extra=""):
    return (
        f"From: Alice Example <alice@example.org>\nTo: {WHO} <{SA}>\nSubject: {prefix}: Your token for protected mail\n"
        f"Message-ID: <answer@example.org>\nIn-Reply-To: <token@example.org>\nDate: Mon, 23 Nov 2026 09:00:00 +0100\nMIME-Version: 1.0\n{extra}"
    )


def part(content_type, text, encoding):
    if encoding == "base64":
        body = base64.encodebytes(text.replace("\n", "\r\n").encode()).decode()
    elif encoding == "quoted-printable":
        body = quopri.encodestring(text.encode()).decode()
    else:
        body = text
    return f"Content-Type: {content_type}\nContent-Transfer-Encoding: {encoding}\n\n{body}\n"


def plain(text, encoding="7bit", more=""):
    return part("text/plain; charset=utf-8" + more, text, encoding)


def page(text, encoding="quoted-printable"):
    return part("text/html; charset=utf-8", text, encoding)


def multi(subtype, *parts):
    boundary = f"=_{subtype}_b"
    body = "".join(f"--{boundary}\n{p}" for p in parts)
    return f'Content-Type: multipart/{subtype}; boundary="{boundary}"\n\n{body}--{boundary}--\n'


def key_part(key, content_type="application/pgp-keys", name="OpenPGP_0x136C7FC25087D9C2.asc", encoding="7bit"):
    text = key if encoding == "7bit" else base64.encodebytes(key.replace("\n", "\r\n").encode()).decode()
    return f'Content-Type: {content_type}; name="{name}"\nContent-Disposition: attachment; filename="{name}"\nContent-Transfer-Encoding: {encoding}\n\n{text}\n'


def with_key(body, key, **how):
    return multi("mixed", body, key_part(key, **how))


def marked(text, mark="> "):
    return "".join((mark + line).rstrip() + "\n" for line in text.splitlines())


def lines_of(text, tag="div"):
    return "".join(f"<{tag}>{html.escape(line) or '<br>'}</{tag}>\n" for line in text.splitlines())


def breaks(text):
    return "<br>\n".join(html.escape(line) for line in text.splitlines())


def hard_breaks(text):
    """As Gmail and Outlook keep leading blanks."""
    return "<br>\n".join(html.escape(line).replace("    ", "&nbsp; &nbsp; ") for line in text.splitlines())


def mutt(said, text, key, raw):
    return field_head() + with_key(plain(f"On {WHEN}, {WHO} wrote:\n{marked(text)}\n{said}\n"), key)


def mutt_key_in_text(said, text, key, raw):
    return field_head() + plain(f"On {WHEN}, {WHO} wrote:\n{marked(text)}\n{said}\n\n{key}")


def flowed(said, text, key, raw):
    quoted = "".join(("> " + line).rstrip() + (" \n" if len(line) > 60 else "\n") for line in text.splitlines())
    return field_head() + with_key(plain(f"{said}\n\nAm 23.11.26 um 01:00 schrieb {WHO}:\n{quoted}", more="; format=flowed"), key)


def wrapped_token(said, text, key, raw):
    """A program that wraps what it quotes after a hyphen of the token."""
    out = []
    for line in text.splitlines():
        at = line.rfind("-", 0, 34) + 1 if "Token:" in line or "Confirmation:" in line else 0
        out += [line[:at], line[at:]] if at else [line]
    return field_head() + with_key(plain(f"{said}\n\nOn {WHEN}, {WHO} wrote:\n{marked(chr(10).join(out))}"), key)


def thunderbird(said, text, key, raw):
    quoted = f'<div class="moz-cite-prefix">On 23/11/2026 01:00, {WHO} wrote:<br></div>\n<blockquote type="cite" cite="mid:token@example.org"><pre class="moz-quote-pre" wrap="">{html.escape(text)}</pre></blockquote>'
    return field_head() + with_key(page(f"<!DOCTYPE html><html><head></head><body><p>{breaks(said)}</p>\n{quoted}<br></body></html>"), key)


def apple(said, text, key, raw):
    body = f'<html><body style="overflow-wrap: break-word;">{lines_of(said)}<div><br><blockquote type="cite"><div>On 23 Nov 2026, at 01:00, {WHO} &lt;{SA}&gt; wrote:</div><br class="Apple-interchange-newline"><div>{lines_of(text)}</div></blockquote></div><br></body></html>'
    reply = f"{said}\n\n> On 23 Nov 2026, at 01:00, {WHO} <{SA}> wrote:\n> \n{marked(text)}"
    return field_head() + multi("alternative", plain(reply, "quoted-printable"), multi("mixed", page(body), key_part(key, "application/octet-stream", "alice.asc")))


def gmail(said, text, key, raw):
    quoted = f'<div class="gmail_quote"><div dir="ltr" class="gmail_attr">On {WHEN}, {WHO} &lt;<a href="mailto:{SA}">{SA}</a>&gt; wrote:<br></div><blockquote class="gmail_quote" style="margin:0px 0px 0px 0.8ex">{hard_breaks(text)}</blockquote></div>'
    body = f'<div dir="ltr">{breaks(said)}</div><br>{quoted}\n'
    reply = f"{said}\n\nOn {WHEN}, {WHO} <{SA}>\nwrote:\n\n{marked(text)}"
    return field_head() + multi("mixed", multi("alternative", plain(reply), page(body)), key_part(key, "application/octet-stream", "key.asc", "base64"))


def gmail_html(said, text, key, raw):
    quoted = f'<div class="gmail_quote"><div dir="ltr" class="gmail_attr">On {WHEN}, {WHO} wrote:<br></div><blockquote class="gmail_quote">{hard_breaks(text)}</blockquote></div>'
    return field_head() + with_key(page(f'<div dir="ltr">{breaks(said)}</div><br>{quoted}\n'), key, encoding="base64")


def outlook_page(said, text):
    paragraphs = "".join(f'<p class=MsoNormal>{html.escape(line) or "<o:p>&nbsp;</o:p>"}</p>\n' for line in said.splitlines())
    original = "".join(f'<p class=MsoNormal>{html.escape(line).replace("    ", "&nbsp;&nbsp;&nbsp; ") or "<o:p>&nbsp;</o:p>"}</p>\n' for line in text.splitlines())
    return (
        '<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><style><!-- p.MsoNormal {margin:0cm;} --></style></head><body lang=EN-GB><div class=WordSection1>\n'
        f'{paragraphs}<div><div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm"><p class=MsoNormal><b>From:</b> {WHO} &lt;{SA}&gt; <br><b>Sent:</b> Monday, 23 November 2026 01:00<br>'
        f"<b>To:</b> Alice Example<br><b>Subject:</b> Your token for protected mail<o:p></o:p></p></div></div>\n{original}</div></body></html>"
    )


def outlook(said, text, key, raw):
    return field_head("RE") + with_key(page(outlook_page(said, text), "base64"), key, content_type="application/octet-stream", name="Alice public.asc", encoding="base64")


def outlook_both(said, text, key, raw):
    reply = f"{said}\n\nFrom: {WHO} <{SA}>\nSent: Monday, 23 November 2026 01:00\nTo: Alice Example\nSubject: Your token for protected mail\n\n{text}"
    return field_head("RE") + with_key(multi("alternative", plain(reply, "base64"), page(outlook_page(said, text), "base64")), key, encoding="base64")


def outlook_plain(said, text, key, raw):
    return field_head("AW") + with_key(plain(f"{said}\n\n-----Ursprüngliche Nachricht-----\nVon: {WHO} <{SA}> \nGesendet: Montag, 23. November 2026 01:00\nAn: Alice Example\nBetreff: Your token for protected mail\n\n{text}", "quoted-printable"), key, encoding="base64")


def outlook_web(said, text, key, raw):
    body = f'<html><body dir="ltr"><div class="elementToProof">{breaks(said)}</div><div id="appendonsend"></div><hr style="display:inline-block;width:98%" tabindex="-1"><div id="divRplyFwdMsg" dir="ltr"><b>From:</b> {WHO} &lt;{SA}&gt;<br><b>Sent:</b> Monday<br><b>To:</b> Alice<br><b>Subject:</b> Your token<div>&nbsp;</div></div><div class="BodyFragment"><div class="PlainText">{hard_breaks(text)}</div></div></body></html>'
    return field_head() + with_key(page(body), key, content_type="application/octet-stream", name="alice.asc", encoding="base64")


def phone(said, text, key, raw):
    body = f'<html><head></head><body dir="auto">{breaks(said)}<br id="lineBreakAtBeginningOfSignature"><div dir="ltr">Sent from my phone</div><div dir="ltr"><br><blockquote type="cite">On 23 Nov 2026, at 01:00, {WHO} wrote:<br><br></blockquote></div><blockquote type="cite"><div dir="ltr">{lines_of(text, "span").replace("</span>", "</span><br>")}</div></blockquote></body></html>'
    return field_head() + with_key(page(body, "base64"), key, encoding="base64")


def key_in_page(said, text, key, raw):
    return field_head() + page(f'<div dir="ltr">{breaks(said)}<br><br>{breaks(key)}</div><br><div class="gmail_quote">On {WHEN}, {WHO} wrote:<br><blockquote class="gmail_quote">{hard_breaks(text)}</blockquote></div>')


def forwarded(said, text, key, raw):
    inline = f"{said}\n\n---------- Forwarded message ---------\nFrom: {WHO} <{SA}>\nDate: {WHEN}\nSubject: Your token for protected mail\nTo: <alice@example.org>\n\n\n{text}"
    return field_head("Fwd") + with_key(plain(inline), key)


def forwarded_whole(said, text, key, raw):
    original = f"Content-Type: message/rfc822\nContent-Disposition: attachment\n\n{raw}\n"
    return field_head("Fwd") + multi("mixed", plain(said), original, key_part(key))


def unquoted(said, text, key, raw):
    """Everything deleted but the line with the token, at the top."""
    token = next(line for line in text.splitlines() if "Token:" in line or "Confirmation:" in line)
    return field_head() + with_key(plain(f"{token}\n\n{said}\n"), key)


def between(said, text, key, raw):
    """Answers written between the quoted lines."""
    quoted = marked(text).splitlines(keepends=True)
    half = len(quoted) // 2
    return field_head() + with_key(plain(f"On {WHEN}, {WHO} wrote:\n{''.join(quoted[:half])}\nI do.\n\n{''.join(quoted[half:])}\n{said}\n"), key)


def autocrypt_only(said, text, key, raw):
    """No key but in the header, which is no answer to a quoted token (P3.2)."""
    body = "".join(line for line in key.split("\n\n", 1)[1].split("-----END")[0].splitlines() if not line.startswith("="))
    return field_head(extra=f"Autocrypt: addr=alice@example.org; keydata={body}\n".replace("keydata=", "keydata=\n ")) + plain(f"{said}\n\nOn {WHEN}, {WHO} wrote:\n{marked(text)}")


STYLES = [
    mutt, mutt_key_in_text, flowed, wrapped_token, thunderbird, apple, gmail, gmail_html, outlook, outlook_both, outlook_plain, outlook_web, phone,
    key_in_page, forwarded, forwarded_whole, unquoted, between, autocrypt_only,
]


def main():
    if sys.argv[1] == "--styles":
        print(*(style.__name__ for style in STYLES))
        return
    with open(sys.argv[2], "rb") as file:
        raw = file.read()
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    text = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    with open(sys.argv[3], encoding="ascii") as file:
        key = file.read()
    style = next(s for s in STYLES if s.__name__ == sys.argv[1])
    sys.stdout.write(style(SAID, text, key, raw.decode().replace("\r\n", "\n")))


if __name__ == "__main__":
    main()
