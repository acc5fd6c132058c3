#!/usr/bin/env python3
"""fake_imap.py PORT DIR MAILS: an IMAP server without TLS on 127.0.0.1 with so many mails, which behaves as DIR/control says:

fine | bye (ends the session over IDLE) | full (no mail can be moved)

DIR/heard has each line that came, and "(connected)".
"""
import os
import socketserver
import sys

PORT, DIR, MAILS = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
moved = set()


def control():
    with open(DIR + '/control') as f:
        return f.read().strip()


def numbers(text):
    for part in text.split(','):
        first, _, last = part.partition(':')
        yield from range(int(first), min(int(last or first), MAILS) + 1)


def mail(uid):
    return ('From: user%d@example.org\r\nTo: sa@example.org\r\nSubject: x\r\nMessage-ID: <%d@example.org>\r\n\r\nhello\r\n' % (uid, uid)).encode()


class Session(socketserver.StreamRequestHandler):
    def heard(self, line):
        with open(DIR + '/heard', 'a') as f:
            f.write(line + '\n')

    def say(self, text):
        self.wfile.write(text.encode() + b'\r\n')

    def hear(self):
        line = self.rfile.readline()
        if not line:
            raise ConnectionError
        self.heard(line.decode().rstrip('\r\n'))
        return line.decode().rstrip('\r\n')

    def handle(self):
        self.heard('(connected)')
        try:
            self.say('* OK hello')
            while self.answer(*self.hear().split(' ')):
                pass
        except OSError:
            pass

    def answer(self, tag, *words):
        command = ' '.join(words[:2]) if words[0] == 'UID' else words[0]
        if command == 'CAPABILITY':
            self.say('* CAPABILITY IMAP4rev1 IDLE MOVE UIDPLUS')
        elif command == 'SELECT':
            self.say('* %d EXISTS\r\n* OK [UIDVALIDITY 7] numbers' % (MAILS - len(moved)))
        elif command == 'LIST':
            self.say('* LIST () "/" "x"')
        elif command == 'UID SEARCH':
            self.say('* SEARCH ' + ' '.join(str(uid) for uid in range(1, MAILS + 1) if uid not in moved))
        elif command == 'UID FETCH':
            for uid in numbers(words[2]):
                self.fetch(uid, 'BODY' in words[-1])
        elif command == 'UID MOVE':
            if control() == 'full':
                self.say(tag + ' NO [OVERQUOTA] the folder is full')
                return True
            moved.add(int(words[2]))
        elif command == 'IDLE':
            if control() == 'bye':
                self.say('* BYE no')
                return False
            self.say('+ idling')
            self.hear()
        elif command == 'LOGOUT':
            self.say('* BYE bye')
            return False
        self.say(tag + ' OK done')
        return True

    def fetch(self, uid, whole):
        body = mail(uid)
        self.wfile.write(b'* %d FETCH (UID %d RFC822.SIZE %d' % (uid, uid, len(body)))
        if whole:
            self.wfile.write(b' BODY[]<0> {%d}\r\n' % len(body) + body)
        self.say(')')


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


os.makedirs(DIR, exist_ok=True)
with Server(('127.0.0.1', PORT), Session) as server:
    server.serve_forever()
