#!/usr/bin/env python3
"""Proves a log that "countersignctl log export" wrote, with nothing of Countersign: python3, gpg, and the authority's public key.

    log-verify.py EXPORT AUTHORITY-KEY [NUMBER:HASH]

Each entry's hash is SHA-256 over the hash before, its number and time (64 bits, little-endian), then actor, event, who and detail, each with its length in
front (32 bits, little-endian; 0xffffffff where there is none, who: 0). `who` is BLAKE2b-256 over "countersign person v1", a NUL, salt and address. The last hash
is that of the head, which the authority signed. NUMBER:HASH is the Log-Head of an old reply, which must be on the way.
"""
import hashlib
import json
import struct
import subprocess
import sys
import tempfile


def text(value):
    return struct.pack("<I", 0xFFFFFFFF) if value is None else struct.pack("<I", len(value.encode())) + value.encode()


def hash_of(previous, entry):
    who = bytes.fromhex(entry["who"] or "")
    record = previous + struct.pack("<qq", entry["number"], entry["time"]) + text(entry["actor"]) + text(entry["event"])
    return hashlib.sha256(record + struct.pack("<I", len(who)) + who + text(entry["detail"])).digest()


def signed_head(lines, key):
    """The fields of the signed head, and who signed it."""
    with tempfile.TemporaryDirectory() as home:
        subprocess.run(["gpg", "--homedir", home, "--batch", "--quiet", "--import", key], check=True)
        gpg = subprocess.run(["gpg", "--homedir", home, "--batch", "--status-fd", "2", "--decrypt"], input="".join(lines), capture_output=True, text=True)
    valid = [line.split() for line in gpg.stderr.splitlines() if line.startswith("[GNUPG:] VALIDSIG ")]
    if gpg.returncode or len(valid) != 1:
        sys.exit("the head's signature does not hold")
    fields = dict(line.split(": ", 1) for line in gpg.stdout.splitlines())
    if fields["Countersign-Log"] != "1" or valid[0][-1] != fields["Fingerprint"]:
        sys.exit("the head is not the authority's")
    return fields


def main(export, key, known=None):
    lines = open(export, encoding="utf-8").readlines()
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    head = signed_head(lines[len(entries):], key)
    number, previous = head["After"].split()
    number, previous = int(number), bytes.fromhex(previous)
    if number == 0 and any(previous):
        sys.exit("nothing stands before entry 1")
    for entry in entries:
        number += 1
        if entry["number"] != number or bytes.fromhex(entry["hash"]) != hash_of(previous, entry):
            sys.exit(f"entry {number} is missing or was changed")
        if entry["address"] is not None:
            person = b"countersign person v1\0" + bytes.fromhex(entry["salt"]) + entry["address"].encode()
            if hashlib.blake2b(person, digest_size=32).hexdigest() != entry["who"].lower():
                sys.exit(f"entry {number} is not about {entry['address']}")
        previous = bytes.fromhex(entry["hash"])
        if known and int(known.split(":")[0]) == number and bytes.fromhex(known.split(":")[1]) != previous:
            sys.exit(f"entry {number} is not the one that the reply names")
    if head["Log-Head"].upper() != f"{number} {previous.hex()}".upper():
        sys.exit("the entries do not end with the head")
    if known and int(known.split(":")[0]) > number:
        sys.exit("the log ends before the entry that the reply names")
    print(f"The log is whole: {len(entries)} entries, up to {number}.")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
