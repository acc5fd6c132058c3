#!/usr/bin/env python3
"""Prints the known answers of tests/unit/test_secret.c, computed without libsodium: BLAKE2b by hashlib,
Ed25519 and ChaCha20-Poly1305 by the Python package cryptography, Argon2id by the command argon2 (Debian: python3-cryptography, argon2)."""
import hashlib
import struct
import subprocess

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def context(name, data):
    return hashlib.blake2b(name + b"\0" + data, digest_size=32).digest()


def pin(fingerprint, address):
    salt = context(b"countersign pin v1", address)[:16]
    made = subprocess.run(
        [b"argon2", salt, b"-id", b"-t", b"3", b"-k", b"65536", b"-p", b"1", b"-l", b"32", b"-r"],
        input=fingerprint, capture_output=True, check=True)
    return made.stdout.decode().strip()[:10]


def hchacha20(key, nonce):
    """draft-irtf-cfrg-xchacha 2.2"""
    x = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))

    def quarter(a, b, c, d):
        for one, two, three, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[one] = x[one] + x[two] & 0xffffffff
            x[three] ^= x[one]
            x[three] = (x[three] << bits | x[three] >> 32 - bits) & 0xffffffff

    for _ in range(10):
        for n in range(4):
            quarter(n, n + 4, n + 8, n + 12)
        for n in range(4):
            quarter(n, 4 + (n + 1) % 4, 8 + (n + 2) % 4, 12 + (n + 3) % 4)
    return struct.pack("<8I", *x[:4], *x[12:])


def recovery(key, nonce, associated, content):
    return nonce + ChaCha20Poly1305(hchacha20(key, nonce[:16])).encrypt(bytes(4) + nonce[16:], content, associated)


for data in (b"", b"alice@example.org"):
    print("hash_context", data, context(b"countersign test v1", data).hex())
for address in (b"sa@example.org", b"authority@xn--mnchen-3ya.example"):
    print("pin", address, pin(bytes(range(16, 36)), address))
key = Ed25519PrivateKey.from_private_bytes(context(b"countersign token v1", bytes(range(10))))
print("token key", key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex())
print("signature", key.sign(b"countersign request v1\n").hex())
key = context(b"countersign recovery v1", bytes(range(10)))
print("recovery key", key.hex())
print("sealed", recovery(key, bytes(range(24)), b"alice@example.org", b"the old key").hex())
