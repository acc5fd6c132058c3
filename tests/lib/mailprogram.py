#!/usr/bin/env python3
"""mailprogram.py: what a user's mail program does at real mail servers. CA names the file with the certificate to believe; passwords are those of servers.sh.

send PORT WHO FROM RECIPIENT...  hands the mail on standard input to a submission server (TLS from the start)
give PORT FROM RECIPIENT...      gives it to a server as another server would, without logging in
take PORT WHO DIRECTORY          the mails in WHO's INBOX as files in DIRECTORY, with a Delivered-To line in front, oldest first
folders PORT WHO [DIRECTORY]     a line "NAME COUNT" for each folder of WHO's, sorted; all their mails below DIRECTORY
"""
import imaplib
import os
import re
import smtplib
import ssl
import sys


def context():
    return ssl.create_default_context(cafile=os.environ["CA"])


def send(port, who, sender, *recipients):
    with smtplib.SMTP_SSL("localhost", int(port), context=context()) as server:
        server.login(who, f"secret of {who}")
        server.sendmail(sender, recipients, sys.stdin.buffer.read())


def give(port, sender, *recipients):
    with smtplib.SMTP("localhost", int(port)) as server:
        server.sendmail(sender, recipients, sys.stdin.buffer.read())


def login(port, who):
    server = imaplib.IMAP4_SSL("localhost", int(port), ssl_context=context())
    server.login(who, f"secret of {who}")
    return server


def mails(server, folder):
    server.select('"%s"' % folder, readonly=True)
    for number in server.uid("SEARCH", "ALL")[1][0].split():
        data = server.uid("FETCH", number, "(BODY.PEEK[])")[1]
        if data[0] is not None:
            yield number.decode(), data[0][1]


def write(path, data):
    if not os.path.exists(path):
        with open(path + ".tmp", "wb") as file:
            file.write(data)
        os.rename(path + ".tmp", path)


def take(port, who, directory):
    server = login(port, who)
    for number, mail in mails(server, "INBOX"):
        write(f"{directory}/{who}-{number}", f"Delivered-To: {who}@example.org\n".encode() + mail)
    server.logout()


def folders(port, who, directory=None):
    server = login(port, who)
    names = [re.match(rb'\(.*?\) (?:"."|NIL) "?([^"]*)"?$', line).group(1).decode() for line in server.list()[1]]
    for name in sorted(names):
        count = 0
        for number, mail in mails(server, name):
            count += 1
            if directory:
                write(f"{directory}/{name.replace('/', '.')}-{number}", mail)
        print(name, count)
    server.logout()


if __name__ == "__main__":
    {"send": send, "give": give, "take": take, "folders": folders}[sys.argv[1]](*sys.argv[2:])
