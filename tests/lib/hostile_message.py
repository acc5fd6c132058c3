#!/usr/bin/env python3
"""hostile_message.py KIND : a mail to the authority with an encrypted message that no honest program makes.

short-point   a session key for everybody (key ID 0) whose ECDH point is one byte long
many          a thousand session keys
compressed    a compressed packet that holds thousands of session keys
password      a session key for a password only
unprotected   a data packet without integrity protection
"""
import base64
import os
import sys
import zlib


def packet(tag, body):
    n = len(body)
    if n < 192:
        head = bytes([n])
    elif n < 8384:
        head = bytes([((n - 192) >> 8) + 192, (n - 192) & 255])
    else:
        head = b"\xff" + n.to_bytes(4, "big")
    return bytes([0xC0 | tag]) + head + body


def session(point, bits, wrapped=48):
    return packet(1, b"\x03" + bytes(8) + bytes([18]) + bits.to_bytes(2, "big") + point + bytes([wrapped]) + os.urandom(wrapped))


good = session(b"\x40" + os.urandom(32), 263)
data = packet(18, b"\x01" + os.urandom(60))
message = {
    "short-point": session(b"\x40", 7, 8) + data,
    "many": good * 1000 + data,
    "compressed": packet(8, b"\x02" + zlib.compress(good * 8000 + data, 9)),
    "password": packet(3, b"\x04\x09\x03\x08" + os.urandom(8) + b"\x60") + data,
    "unprotected": good + packet(9, os.urandom(60)),
}[sys.argv[1]]
text = base64.b64encode(message).decode()
print("From: stranger@example.net\nTo: sa@example.org\nSubject: x\nMessage-ID: <%s@example.net>\n" % os.urandom(8).hex())
print("-----BEGIN PGP MESSAGE-----\n")
for at in range(0, len(text), 76):
    print(text[at : at + 76])
print("-----END PGP MESSAGE-----")
