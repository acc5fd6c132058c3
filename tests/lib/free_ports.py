#!/usr/bin/env python3
"""free_ports.py N: N ports that nobody listens on, on 127.0.0.1 and ::1; below those that the kernel gives to clients, so that none takes one before it is used."""
import random
import socket
import sys

BOTH = [(socket.AF_INET, '127.0.0.1')]
try:
    with socket.socket(socket.AF_INET6) as s:
        s.bind(('::1', 0))
    BOTH.append((socket.AF_INET6, '::1'))
except OSError:
    pass


def free(port):
    for family, address in BOTH:
        with socket.socket(family) as s:
            try:
                s.bind((address, port))
            except OSError:
                return False
    return True


found = []
while len(found) < int(sys.argv[1]):
    port = random.randint(10000, 30000)
    if port not in found and free(port):
        found.append(port)
print(*found)
