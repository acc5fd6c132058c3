#!/usr/bin/env python3
"""make.py DIR: mails that hurt mail parsers. Those up to 4 KB are kept beside this script."""
import os
import sys

FROM = b"From: alice@example.org\r\n"


def nested_multiparts(count):
    names = [b"b%04d" % i for i in range(count)]
    begin = b"".join(b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n--%s\r\n" % (n, n) for n in names)
    end = b"".join(b"--%s--\r\n" % n for n in reversed(names))
    return FROM + begin + b"Content-Type: text/plain\r\n\r\nhi\r\n" + end


def nested_messages(count):
    return FROM + b"Content-Type: message/rfc822\r\n\r\n" * count + b"\r\nhi\r\n"


def many_parts(count):
    return FROM + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * count + b"--b--\r\n"


def with_field(field, body=b"hi\r\n"):
    return FROM + field + b"\r\n\r\n" + body


MAILS = {
    # crashes libetpan before its commit 3f14913
    "boundary-quote": with_field(b'Content-Type: multipart/mixed; boundary="\\""', b'--"\r\n\r\nhello\r\n--"--\r\n'),
    "boundary-quote-folded": with_field(
        b'Content-Type: multipart/mixed;\r\n boundary\r\n\t=\r\n "\\""', b'--"\r\n\r\nhello\r\n--"--\r\n'),
    "nested-multiparts-30": nested_multiparts(30),
    "nested-multiparts-3000": nested_multiparts(3000),
    "nested-messages-60": nested_messages(60),
    "nested-messages-8000": nested_messages(8000),
    "many-parts-200": many_parts(200),
    "many-parts-30000": many_parts(30000),
    "comments-1000": b"From: " + b"(" * 1000 + b")" * 1000 + b" alice@example.org\r\n\r\nhi\r\n",
    "comments-60000": b"From: " + b"(" * 60000 + b" alice@example.org\r\n\r\nhi\r\n",
    "comments-escaped": b"From: " + b"(\\)" * 1000 + b" alice@example.org\r\n\r\nhi\r\n",
    "parameters-100000": with_field(b"Content-Type: text/plain" + b";\r\n p=v" * 100000),
    "fields-20000": with_field(b"\r\n".join([b"X: y"] * 20000)),
    "addresses-5000": b"From: " + b", ".join(b"u%d@example.org" % i for i in range(5000)) + b"\r\n\r\nhi\r\n",
    "encoded-words-4000": with_field(b"Subject: " + b"\r\n ".join([b"=?utf-8?B?w6k=?="] * 4000)),
    "long-line": with_field(b"Subject: x", b"x" * 200000 + b"\r\n"),
    "long-field": with_field(b"Subject: " + b"x" * 120000),
    "nul-in-header": with_field(b"Subject: a\0b"),
    "nul-in-body": with_field(b"Subject: x", b"a\0b\r\n"),
    "two-from": with_field(b"From: bob@example.org"),
    "two-from-one-field": b"From: alice@example.org, bob@example.org\r\n\r\nhi\r\n",
    "group": b"From: Staff: alice@example.org, bob@example.org;\r\n\r\nhi\r\n",
    "group-empty": b"From: undisclosed:;\r\n\r\nhi\r\n",
    "no-end": b"From: alice@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n",
    "half-encoded-word": with_field(b"Subject: =?utf-8?B?w6k"),
    "injected-field": with_field(b"Subject: =?utf-8?Q?a=0D=0ABcc:_bob=40example.org?="),
}


def main():
    for name, mail in MAILS.items():
        with open(os.path.join(sys.argv[1], name + ".eml"), "wb") as f:
            f.write(mail)


if __name__ == "__main__":
    main()
