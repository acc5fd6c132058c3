#!/usr/bin/env python3
"""fake_server.py PORT imap|smtp DIR: a mail server on 127.0.0.1 that behaves as DIR/control says and writes down what clients say.

DIR/control holds words, read anew for each connection, and by smtp for each answer:
  tls=at-once|starttls|off   cert=FILE key=FILE   most=1.1 (the newest TLS that it speaks)   inject (says more behind its answer to STARTTLS)
  smtp: greet=CODE auth=CODE mail=CODE rcpt=CODE data=CODE dot=CODE; a CODE may be "drop" (closes instead of answering; at the dot, after
  having taken the mail), "hang" (answers no more) or "late" (250, after three seconds); lose=WORD (closes when a recipient has it)
DIR/heard has each line that came, decrypted; DIR/mails/N each mail taken, its envelope in the first two lines.
"""
import os
import socketserver
import ssl
import sys
import time

PORT, KIND, DIR = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def control():
    with open(DIR + '/control') as f:
        return {word.partition('=')[0]: word.partition('=')[2] for word in f.read().split()}


class Gone(Exception):
    pass


class Session(socketserver.StreamRequestHandler):
    def heard(self, line):
        with open(DIR + '/heard', 'a') as f:
            f.write(line.decode('latin1').rstrip('\r\n') + '\n')

    def say(self, text):
        self.wfile.write(text.encode() + b'\r\n')

    def hear(self):
        line = self.rfile.readline(100000)
        if not line:
            raise Gone
        self.heard(line)
        return line.decode('latin1').rstrip('\r\n')

    def shake_hands(self, settings):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings['cert'], settings['key'])
        if settings.get('most') == '1.1':
            context.set_ciphers('ALL:@SECLEVEL=0')
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        self.heard(b'(TLS)')
        self.request = self.connection = context.wrap_socket(self.request, server_side=True)
        self.setup()
        self.heard(b'(encrypted)')

    def handle(self):
        self.heard(b'(connected)')
        settings = control()
        try:
            if settings.get('tls') == 'at-once':
                self.shake_hands(settings)
            (self.imap if KIND == 'imap' else self.smtp)(settings)
        except (OSError, Gone):
            self.heard(b'(gone)')
        try:
            self.finish()
        except OSError:
            pass

    def imap(self, settings):
        def capabilities():
            return 'IMAP4rev1 AUTH=PLAIN' + (' STARTTLS' if encrypted is False and settings.get('tls') == 'starttls' else '')
        encrypted = settings.get('tls') == 'at-once'
        self.say('* OK [CAPABILITY %s] hello' % capabilities())
        while True:
            tag, _, command = self.hear().partition(' ')
            if command == 'CAPABILITY':
                self.say('* CAPABILITY ' + capabilities())
                self.say(tag + ' OK done')
            elif command == 'STARTTLS' and settings.get('tls') == 'starttls':
                self.say(tag + ' OK go' + ('\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n* OK more' if 'inject' in settings else ''))
                self.shake_hands(settings)
                encrypted = True
            else:
                self.say(tag + ' NO not here')

    def answer(self, which, default, text):
        code = control().get(which, default)
        if code == 'drop':
            raise Gone
        if code == 'hang':
            time.sleep(3600)
        if code == 'late':
            time.sleep(3)
            code = '250'
        self.say('%s %s' % (code, text))
        if code == '421':
            raise Gone
        return code[0] in '23'

    def smtp(self, settings):
        encrypted = settings.get('tls') == 'at-once'
        self.answer('greet', '220', 'hello')
        sender, recipients = '', []
        while True:
            line = self.hear()
            verb = line.split(' ')[0].upper()
            if verb == 'EHLO':
                self.say('250-fake.example.org\r\n250-SIZE 1000000\r\n250-8BITMIME' + ('\r\n250-STARTTLS' if not encrypted and settings.get('tls') == 'starttls' else ''))
                self.say('250 AUTH PLAIN')
            elif verb == 'STARTTLS' and settings.get('tls') == 'starttls':
                self.say('220 go' + ('\r\n250-more\r\n250 AUTH PLAIN' if 'inject' in settings else ''))
                self.shake_hands(settings)
                encrypted = True
            elif verb == 'AUTH':
                if line.upper() == 'AUTH PLAIN':
                    self.say('334 ')
                    self.hear()
                self.answer('auth', '235', 'so be it')
            elif verb == 'MAIL':
                sender, recipients = line, []
                self.answer('mail', '250', 'sender')
            elif verb == 'RCPT':
                if control().get('lose', '\n') in line:
                    self.heard(b'(lost)')
                    raise Gone
                if self.answer('rcpt', '250', 'recipient'):
                    recipients.append(line)
            elif verb == 'DATA' and recipients:
                if self.answer('data', '354', 'go on'):
                    self.take(sender, recipients)
                    self.answer('dot', '250', 'mail')
            elif verb in ('RSET', 'NOOP'):
                self.say('250 fine')
            elif verb == 'QUIT':
                self.say('221 bye')
                raise Gone
            else:
                self.say('503 not now')

    def take(self, sender, recipients):
        lines = []
        while True:
            line = self.rfile.readline()
            if not line:
                raise Gone
            if line == b'.\r\n':
                break
            lines.append(line[1:] if line.startswith(b'.') else line)
        if control().get('dot', '250') not in ('250', 'drop', 'late'):
            return
        name = '%s/mails/%06d' % (DIR, time.monotonic_ns() // 1000 % 1000000000)
        with open(name, 'wb') as f:
            f.write('\n'.join([sender] + recipients).encode() + b'\n' + b''.join(lines))


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request, client_address):
        with open(DIR + '/errors', 'a') as f:
            f.write('%r\n' % (sys.exc_info()[1],))


os.makedirs(DIR + '/mails', exist_ok=True)
with Server(('127.0.0.1', PORT), Session) as server:
    server.serve_forever()
