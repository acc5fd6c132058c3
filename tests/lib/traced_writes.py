#!/usr/bin/env python3
"""traced_writes.py DEPOSIT TRACE: what the secret of this deposit was written to, by a trace of `strace -f -y -xx` over all writes: "file PATH", else "other" (pipes, sockets)."""
import re, sys
deposit = open(sys.argv[1], 'rb').read()
at = deposit.index(b'\x03\x01\x08\x07') + 7
scalar = deposit[at:at + 30]
forms = [scalar, scalar.hex().encode(), scalar.hex().upper().encode()]
seen = {}
for line in open(sys.argv[2], encoding='latin-1'):
    found = re.match(r'\d+ +\w+\(\d+<(.*?)>, ?(.*)', line)
    if not found:
        continue
    path = bytes.fromhex(found[1].replace('\\x', '')).decode('latin-1') if '\\x' in found[1] else found[1]
    text = ''.join(re.findall(r'"((?:\\x[0-9a-f]{2})*)"', found[2]))
    seen.setdefault(path, bytearray()).extend(bytes.fromhex(text.replace('\\x', '')))
for path, data in sorted(seen.items()):
    bare = bytes(b for b in data if b not in b' \n\t')
    if any(form in data or form in bare for form in forms):
        print('file' if path.startswith('/') else 'other', path)
