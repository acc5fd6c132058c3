#!/usr/bin/env python3
"""Prints the known answers of tests/unit/test_secret.c, computed without libsodium: BLAKE2b by hashlib,
Ed25519 by the Python package cryptography, Argon2id by the command argon2 (Debian: python3-cryptography, argon2)."""
import hashlib
import subprocess

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def context(name, data):
    return hashlib.blake2b(name + b"\0" + data, digest_size=32).digest()


def pin(fingerprint, address):
    salt = context(b"countersign pin v1", address)[:16]
    made = subprocess.run(
        [b"argon2", salt, b"-id", b"-t", b"3", b"-k", b"65536", b"-p", b"1", b"-l", b"32", b"-r"],
        input=fingerprint, capture_output=True, check=True)
    return made.stdout.decode().strip()[:10]


for data in (b"", b"alice@example.org"):
    print("hash_context", data, context(b"countersign test v1", data).hex())
for address in (b"sa@example.org", b"authority@xn--mnchen-3ya.example"):
    print("pin", address, pin(bytes(range(16, 36)), address))
key = Ed25519PrivateKey.from_private_bytes(context(b"countersign token v1", bytes(range(10))))
print("token key", key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex())
print("signature", key.sign(b"countersign request v1\n").hex())
