#!/usr/bin/env python3
"""mangle.py MAIL DIR [VECTOR...]: what mail systems make of a mail with an OpenPGP message in it (P2.6).

Writes DIR/NAME.eml, one file a way; its Message-ID is <NAME@mangled.example.org>. The message comes from MAIL, a real request or reply. The ways are
combinations of a shape, a transfer encoding and a wrapping; single accidents that happen to whole files; and each VECTOR, a mail made for
another key, with MAIL's message in the place of its own.
"""
import base64
import email
import quopri
import re
import sys
from pathlib import Path

ARMOR = re.compile(rb"-----BEGIN PGP (?:SIGNED )?MESSAGE-----.*?-----END PGP (?:MESSAGE|SIGNATURE)-----\r?\n", re.DOTALL)
HEAD = b"From: Alice Example <alice@example.org>\nTo: sa@example.org\nSubject: Enrollment request\nDate: Mon, 23 Nov 2026 00:00:00 +0000\nMIME-Version: 1.0\n"
FOOTER = b"_______________________________________________\nstaff mailing list -- staff@example.org\n"
DISCLAIMER = b"This mail may be confidential. If you got it by mistake, delete it.\n"


def as_is(data):
    return b"", data


def as_base64(data):
    return b"Content-Transfer-Encoding: base64\n", base64.encodebytes(data)


def as_base64_crlf(data):
    return as_base64(data.replace(b"\n", b"\r\n"))


def as_quoted(data):
    """Quoted-printable at its most zealous: "=3D", a soft break in every line, blanks written out."""
    lines = []
    for line in quopri.encodestring(data).split(b"\n"):
        line = line.replace(b" ", b"=20") if not line.startswith(b"--") else line
        lines.append(line[:30] + b"=\n" + line[30:] if len(line) > 40 and b"=" not in line[25:34] else line)
    return b"Content-Transfer-Encoding: quoted-printable\n", b"\n".join(lines)


ENCODINGS = {"7bit": as_is, "base64": as_base64, "base64-crlf": as_base64_crlf, "quoted": as_quoted}


def part(fields, data, encode):
    extra, body = encode(data)
    return b"Content-Type: " + fields + b"\n" + extra + b"\n" + body


def multipart(subtype, parts, boundary=b"b1", parameters=b""):
    body = b"".join(b"--" + boundary + b"\n" + p + b"\n" for p in parts)
    return b"Content-Type: multipart/" + subtype + parameters + b';\n boundary="' + boundary + b'"\n\n' + body + b"--" + boundary + b"--\n"


TEXT = b"Content-Type: text/plain; charset=utf-8\n\nSee the attached file.\n"
VERSION = b"Content-Type: application/pgp-encrypted\n\nVersion: 1\n"
PROTOCOL = b'; protocol="application/pgp-encrypted"'


def attached(content_type, name):
    fields = content_type + b'; name="' + name + b'"\nContent-Disposition: attachment; filename="' + name + b'"'
    return lambda armor, encode: multipart(b"mixed", [TEXT, part(fields, armor, encode)])


def inline(before, after, content_type=b"text/plain; charset=utf-8"):
    return lambda armor, encode: part(content_type, before + armor + after, encode)


def html(armor, encode):
    text = b"<html><head><title>x</title></head><body><p>[External sender]</p><pre>" + armor + b"</pre><p>Check it &amp; go on</p></body></html>\n"
    return part(b"text/html; charset=utf-8", text, encode)


def html_lines(armor, encode):
    text = b"<html><body><div>" + armor.replace(b"\n", b"<br>\n") + b"</div></body></html>\n"
    return part(b"text/html; charset=utf-8", text, encode)


def alternative(armor, encode):
    return multipart(b"alternative", [part(b"text/plain", armor, encode), html(armor, encode)])


def octets(armor, encode, fields=b'application/octet-stream; name="encrypted.asc"'):
    return part(fields, armor, encode)


SHAPES = {
    "encrypted": lambda a, e: multipart(b"encrypted", [VERSION, octets(a, e)], parameters=PROTOCOL),
    "mixed": lambda a, e: multipart(b"mixed", [VERSION, octets(a, e)]),
    "exchange": lambda a, e: multipart(
        b"mixed",
        [b"Content-Type: text/plain\n\n\n", part(b"application/pgp-encrypted", b"Version: 1\n", e), octets(a, e)],
    ),
    "footer-part": lambda a, e: multipart(b"encrypted", [VERSION, octets(a, e), b"Content-Type: text/plain\n\n" + FOOTER], parameters=PROTOCOL),
    "nameless": lambda a, e: multipart(b"mixed", [TEXT, octets(a, e, b"application/octet-stream")]),
    "typeless": lambda a, e: multipart(b"mixed", [TEXT, e(a)[0] + b"Content-Disposition: attachment\n\n" + e(a)[1]]),
    "asc": attached(b"text/plain", b"request.asc"),
    "asc-pgp": attached(b"application/pgp", b"encrypted.asc"),
    "asc-signature": attached(b"application/pgp-signature", b"msg.asc"),
    "asc-keys": attached(b"application/pgp-keys", b"openpgp.asc"),
    "dat": attached(b"application/octet-stream", b"winmail.dat"),
    "dat-odd": attached(b"application/x-unknown-content-type", b"ATT00001.dat"),
    "countersign": attached(b"application/octet-stream", b"reply.countersign"),
    "image": attached(b"image/png", b"reply.countersign"),
    "inline": inline(b"", b""),
    "inline-footer": inline(b"", b"\n" + FOOTER),
    "inline-before": inline(b"[EXTERNAL] Caution.\n\n", b""),
    "inline-both": inline(DISCLAIMER + b"\n", b"\n-- \nAlice\n" + DISCLAIMER),
    "inline-flowed": inline(b"", b"", b"text/plain; charset=iso-8859-1; format=flowed"),
    "html": html,
    "html-lines": html_lines,
    "alternative": alternative,
}


def in_list(entity):
    return multipart(b"mixed", [entity, b"Content-Type: text/plain; charset=us-ascii\nContent-Disposition: inline\n\n" + FOOTER], b"list")


def forwarded(entity):
    mail = b"Content-Type: message/rfc822\nContent-Disposition: attachment; filename=\"x.eml\"\n\n" + HEAD + b"Message-ID: <inner@example.org>\n" + entity
    return multipart(b"mixed", [TEXT, mail], b"outer")


def forwarded_alone(entity):
    return b"Content-Type: message/rfc822\n\n" + HEAD + b"Message-ID: <inner@example.org>\n" + entity


def forwarded_base64(entity):
    mail = HEAD + b"Message-ID: <inner@example.org>\n" + entity
    return multipart(b"mixed", [b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(mail)], b"outer")


WRAPS = {
    "": lambda entity: entity,
    "list": in_list,
    "forwarded": forwarded,
    "forwarded-alone": forwarded_alone,
    "forwarded-base64": forwarded_base64,
    "list-forwarded": lambda entity: forwarded(in_list(entity)),
}


def crlf(mail):
    return mail.replace(b"\n", b"\r\n")


ACCIDENTS = {
    "crlf": crlf,
    "bom": lambda mail: b"\xef\xbb\xbf" + mail,
    "bom-crlf": lambda mail: b"\xef\xbb\xbf" + crlf(mail),
    "blanks": lambda mail: ARMOR.sub(lambda m: m.group(0).replace(b"\n", b"  \t \n"), mail),
    "blanks-crlf": lambda mail: crlf(ARMOR.sub(lambda m: m.group(0).replace(b"\n", b" \n"), mail)),
    "indented": lambda mail: ARMOR.sub(lambda m: b"".join(b"  " + line + b"\n" for line in m.group(0).splitlines()), mail),
    "mbox": lambda mail: b"From alice@example.org Mon Nov 23 00:00:00 2026\n" + mail,
    "mbox-crlf": lambda mail: crlf(b"From alice@example.org Mon Nov 23 00:00:00 2026\n" + mail),
    "empty-lines": lambda mail: b"\r\n\n" + mail,
    "armor-headers": lambda mail: mail.replace(b"PGP MESSAGE-----\n\n", b"PGP MESSAGE-----\nVersion: Gateway 1.0\nComment: checked\n\n", 1),
    "double-spaced": lambda mail: ARMOR.sub(lambda m: m.group(0).replace(b"\n\n", b"\n").replace(b"\n", b"\n\n"), mail),
    "left-over": lambda mail: ARMOR.sub(lambda m: m.group(0).replace(b"=", b"=3D"), mail),
}
ACCIDENT_SHAPES = ("encrypted", "asc", "inline-both")


def named(name, entity):
    return HEAD + b"Message-ID: <" + name.encode() + b"@mangled.example.org>\n" + entity


def mails(armor):
    for shape, make in SHAPES.items():
        for encoding, encode in ENCODINGS.items():
            for wrap in WRAPS if encode is as_is else ("", "list-forwarded") if encode is as_base64 else ("",):
                name = "-".join(filter(None, (shape, encoding, wrap)))
                yield name, named(name, WRAPS[wrap](make(armor, encode)))
    for shape in ACCIDENT_SHAPES:
        for accident, happen in ACCIDENTS.items():
            name = f"{shape}+{accident}"
            yield name, happen(named(name, SHAPES[shape](armor, as_is)))


def saved(armor):
    """The attachment as it lies in a folder of downloads: no mail at all."""
    yield "saved", armor
    for accident, happen in ACCIDENTS.items():
        if not accident.startswith("mbox"):
            yield "saved+" + accident, happen(armor)
    yield "saved+footer", armor + b"\n" + FOOTER
    yield "saved+unfinished", armor.rstrip(b"\n")


BASE64_LINES = re.compile(rb"(?:^[A-Za-z0-9+/=]{20,}\r?\n)+(?:^[A-Za-z0-9+/=]+\r?\n)?", re.MULTILINE)


def of_vector(data, own, armor, depth=0):
    """The vector with our message where its own stood: armored, armored in base64, binary in base64, or in a mail in base64."""
    theirs = b"".join(re.escape(line) + rb"([ \t]*\r?\n)" for line in own.splitlines())
    data = re.sub(theirs, lambda m: b"".join(line + m.group(1) for line in armor.splitlines()), data)

    def block(match):
        try:
            inside = base64.b64decode(match.group(0), validate=False)
        except ValueError:
            return match.group(0)
        changed = of_vector(inside, own, armor, depth + 1).replace(binary(own), binary(armor))
        return base64.encodebytes(changed) if changed != inside else match.group(0)

    return BASE64_LINES.sub(block, data) if depth < 2 else data


def binary(armor):
    lines = armor.split(b"\n\n", 1)[1].split(b"\n-----END")[0].split(b"\n")
    return base64.b64decode(b"".join(line for line in lines if not (line.startswith(b"=") and len(line) == 5)))


def message_of(mail):
    for found in email.message_from_bytes(mail).walk():
        if not found.is_multipart():
            match = ARMOR.search((found.get_payload(decode=True) or b"").replace(b"\r\n", b"\n"))
            if match:
                return match.group(0)
    sys.exit("mangle.py: no OpenPGP message in the mail")


def main():
    armor = message_of(Path(sys.argv[1]).read_bytes())
    out = Path(sys.argv[2])
    (out / "mails").mkdir(parents=True)
    (out / "saved").mkdir()
    for name, mail in mails(armor):
        (out / "mails" / (name + ".eml")).write_bytes(mail)
    for name, file in saved(armor):
        (out / "saved" / (name + ".countersign")).write_bytes(file)
    for vector in map(Path, sys.argv[3:]):
        own = (vector.parent / "bare-encrypted.eml").read_bytes()
        name = "vector-" + vector.stem
        before = vector.read_bytes()
        mail = of_vector(before, own, armor)
        if mail == before:
            sys.exit(f"mangle.py: no message found in {vector}")
        (out / "mails" / (name + ".eml")).write_bytes(mail.replace(b"<m1@example.org>", b"<" + name.encode() + b"@mangled.example.org>", 1))


if __name__ == "__main__":
    main()
