#!/usr/bin/env python3
"""put_token.py: puts a real token in the place of the placeholder, in every transfer encoding.

Reads lines "TOKEN<tab>VECTOR<tab>MAIL", writes the file MAIL for each and says "yes", or "no" where VECTOR held no placeholder. The token has the
placeholder's length, so nothing else changes: line breaks, soft breaks and boundaries stay where the program put them.
"""
import base64
import re
import sys
from pathlib import Path

PLACEHOLDER = b"7K2QX9MDTR4WPZCHN3VA6B8YE"
# What stands between two symbols: hyphens, blanks, line ends, quote marks, tags, entities, and quoted-printable and encoded words of all that.
GAP = (
    rb"((?:=\r?\n|=2D|=20|=C2=AD|=C2=A0|=E2=80=91|&shy;|&nbsp;|&#\d+;|<[^<>]*>|\?=\s+=\?[\w-]+\?[Qq]\?"
    rb"|[\s>*_-]|\xc2\xad|\xc2\xa0|\xe2\x80\x91)*)"
)
SCATTERED = re.compile(GAP.join(re.escape(bytes([c])) for c in PLACEHOLDER), re.IGNORECASE)
BASE64_LINES = re.compile(rb"^[A-Za-z0-9+/=]{20,}\r?\n(?:[A-Za-z0-9+/=]+\r?\n)*", re.MULTILINE)
ENCODED_WORDS = re.compile(rb"=\?[\w-]+\?[Bb]\?[^?\s]*\?=(?:\s+=\?[\w-]+\?[Bb]\?[^?\s]*\?=)*")
ENCODED_WORD = re.compile(rb"(=\?[\w-]+\?[Bb]\?)([^?\s]*)(\?=\s*)")


class Put:
    def __init__(self, token):
        self.token = token.replace(b"-", b"")
        self.count = 0

    def plain(self, text):
        return SCATTERED.sub(self._one, text)

    def _one(self, match):
        self.count += 1
        lower = match.group(0)[-1:].islower()  # the last symbol is a letter
        token = self.token.lower() if lower else self.token
        return b"".join(bytes([c]) + gap for c, gap in zip(token, match.groups() + (b"",)))

    def _decoded(self, code):
        """The bytes of base64 with the token in them; None where there is nothing to put."""
        try:
            text = base64.b64decode(code, validate=True)
        except ValueError:
            return None
        changed = self.plain(text)
        return changed if changed != text else None

    def lines(self, match):
        block = match.group(0)
        changed = self._decoded(b"".join(block.split()))
        if changed is None:
            return block
        code = iter(base64.b64encode(changed))
        return bytes(c if c in b"\r\n" else next(code) for c in block)

    def words(self, match):
        words = ENCODED_WORD.findall(match.group(0))
        texts = [base64.b64decode(code) for _, code, _ in words]
        joined = self.plain(b"".join(texts))
        out, at = b"", 0
        for (head, _, tail), text in zip(words, texts):
            out += head + base64.b64encode(joined[at : at + len(text)]) + tail
            at += len(text)
        return out if joined != b"".join(texts) else match.group(0)


def main():
    for line in sys.stdin:
        token, vector, mail = line.rstrip("\n").split("\t")
        put = Put(token.encode())
        text = put.plain(Path(vector).read_bytes())
        text = BASE64_LINES.sub(put.lines, text)
        text = ENCODED_WORDS.sub(put.words, text)
        Path(mail).write_bytes(text)
        print("yes" if put.count else "no", flush=True)


if __name__ == "__main__":
    main()
