#!/usr/bin/env python3
"""jwt.py USER SECONDS: an access token (RFC 7519, HS256) as Dovecot checks it by itself, good for so many seconds from now; negative: expired."""
import base64
import hashlib
import hmac
import json
import sys
import time


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


now = int(time.time())
head = encoded(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
body = encoded(json.dumps({"sub": sys.argv[1], "exp": now + int(sys.argv[2]), "iat": now - 3600, "azp": "default"}).encode())
signature = hmac.new(b"secret of tokens", head + b"." + body, hashlib.sha256).digest()
print(b".".join((head, body, encoded(signature))).decode())
