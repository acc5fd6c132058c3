#!/usr/bin/env python3
"""signed_mail.py FROM SIGNER SUBJECT [option...]: what a mail program makes of a mail that is signed.

  key=FILE       attached, under the signature      beside=FILE  attached, outside of it
  clear          a cleartext signature in the text, instead of PGP/MIME
  to=KEY         encrypted to this key as well, the signature inside the encryption
  reply=ID       In-Reply-To                        text=TEXT    instead of "Please."
  unsigned       the same without a signature
"""
import os
import subprocess
import sys

sender, signer, subject = sys.argv[1:4]
options = dict(o.split("=", 1) if "=" in o else (o, "yes") for o in sys.argv[4:])
text = options.get("text", "Please.")


def gpg(*args, data):
    command = ["gpg", "--batch", "--quiet", "--yes", "--trust-model", "always", "--armor", "--pinentry-mode", "loopback", "--passphrase", ""]
    return subprocess.run(command + list(args), input=data.encode(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout.decode()


def key_part(path):
    with open(path, encoding="ascii") as file:
        return f'Content-Type: application/pgp-keys; name="key.asc"\nContent-Disposition: attachment; filename="key.asc"\n\n{file.read()}\n'


def multi(subtype, *parts, more=""):
    mark = f"=_{subtype}"
    return f'Content-Type: multipart/{subtype}; boundary="{mark}"{more}\n\n' + "".join(f"--{mark}\n{p}\n" for p in parts) + f"--{mark}--\n"


body = f"Content-Type: text/plain; charset=utf-8\n\n{text}\n"
if "key" in options:
    body = multi("mixed", body, key_part(options["key"]))
if "clear" in options:
    body = f"Content-Type: text/plain; charset=utf-8\n\n{gpg('--clearsign', '-u', signer, data=text)}\n"
elif "to" in options:
    signing = [] if "unsigned" in options else ["-s", "-u", signer]
    sealed = gpg("-r", options["to"], *signing, "-e", data=body.replace("\n", "\r\n"))
    body = multi(
        "encrypted",
        "Content-Type: application/pgp-encrypted\n\nVersion: 1\n",
        f"Content-Type: application/octet-stream\n\n{sealed}",
        more='; protocol="application/pgp-encrypted"',
    )
elif "unsigned" not in options:
    body = body.rstrip("\n")
    signature = gpg("--detach-sign", "-u", signer, "--digest-algo", "SHA512", data=body.replace("\n", "\r\n"))
    body = multi(
        "signed",
        body,
        f'Content-Type: application/pgp-signature; name="signature.asc"\n\n{signature}',
        more='; protocol="application/pgp-signature"; micalg=pgp-sha512',
    )
if "beside" in options:
    body = multi("mixed", body, key_part(options["beside"]))
head = f"From: {sender}\nTo: sa@example.org\nSubject: {subject}\nMessage-ID: <{os.urandom(8).hex()}@example.org>\nDate: Mon, 23 Nov 2026 09:00:00 +0000\n"
if "reply" in options:
    head += f"In-Reply-To: <{options['reply']}>\n"
sys.stdout.write(f"{head}MIME-Version: 1.0\n{body}")
