#!/usr/bin/env python3
"""check_draft.py DRAFT FILLED: is FILLED the draft with its words filled in, and nothing else? Valid MIME, read by Python's email in its strict
policy; the same parts and the card; each text as it was but for the words; each line of the draft that holds no word still there, byte for byte."""
import email, email.policy, re, sys

WORD = re.compile(r"%(TOKEN|ENROLL|ADDRESS|NAME|KEYSET|EXPIRES|AUTHORITY|FINGERPRINT)%")
TOKEN = re.compile(r"^([0-9A-Z]{5}-){4}[0-9A-Z]{5}$")


def texts(mail):
    return [part for part in mail.walk() if part.get_content_maintype() == "text"]


def as_pattern(text, html):
    text = re.sub("&#37;|&percnt;", "%", text) if html else text
    pieces = WORD.split(text)
    out = re.escape(pieces[0])
    for word, after in zip(pieces[1::2], pieces[2::2]):
        out += ("(?P<T%d>.+?)" % out.count("(?P<") if word == "TOKEN" else ".+?") + re.escape(after)
    return out


def main():
    draft, filled = (open(path, "rb").read() for path in sys.argv[1:3])
    policy = email.policy.default.clone(raise_on_defect=True)
    was, now = (email.message_from_bytes(mail, policy=policy) for mail in (draft, filled))
    for part in now.walk():
        assert not part.defects, part.defects
    assert [p.get_content_type() for p in texts(was)] == [p.get_content_type() for p in texts(now)]
    tokens = set()
    for a, b in zip(texts(was), texts(now)):
        pattern = as_pattern(a.get_content(), a.get_content_type() == "text/html")
        match = re.fullmatch(pattern, b.get_content(), re.S)
        assert match, (pattern, b.get_content())
        tokens |= set(match.groupdict().values())
        assert "%TOKEN%" not in b.get_content()
        assert a.get_content_charset("us-ascii") == b.get_content_charset("us-ascii")
        assert a["Content-Transfer-Encoding"] == b["Content-Transfer-Encoding"]
    assert len(tokens) == 1 and TOKEN.match(tokens.pop()), tokens
    assert any(p.get_filename() == "authority-card.asc" for p in now.walk())
    for name, value in was.items():
        if not name.lower().startswith("content-"):
            assert now[name] == value, name
    end = b"\r\n" if draft.split(b"\n")[0].endswith(b"\r") else b"\n"
    assert filled.count(b"\n") == filled.count(end), "line ends"
    if was.get("Content-Transfer-Encoding") != "base64":
        check_lines(was, draft, filled)


def check_lines(was, draft, filled):
    """Lines without a word; those of the body in the order that they had. Base64 has no lines of its own."""
    header, body = re.split(rb"(?<=\n)(?=\r?\n)", draft, maxsplit=1)
    for line in header.splitlines(keepends=True):
        assert line in filled, line
    at = 0
    for line in re.findall(rb"(?:[^\n]*=\r?\n)*[^\n]*\n|[^\n]+$", body):
        plain = re.sub(rb"=\r?\n", b"", line).replace(b"=25", b"%").replace(b"&#37;", b"%")
        if WORD.search(plain.decode("latin-1")) or re.fullmatch(rb"(?:[A-Za-z0-9+/=]+\s+)+", line):
            continue
        at = filled.find(line, at) + len(line)
        assert at >= len(line), line


main()
