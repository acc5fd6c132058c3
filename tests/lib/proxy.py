#!/usr/bin/env python3
"""proxy.py PORT TARGET CONTROL: passes TCP connections at 127.0.0.1:PORT on to 127.0.0.1:TARGET, as the first line of the file CONTROL says:

pass | delay MS | drip MS (a byte at a time) | stall (nothing passes any more, nothing is closed) | refuse (nobody listens) | sever (every connection
is reset now, new ones as soon as they come) | life MS (each is reset when it is so old) | cut-down N, cut-up N (reset once N bytes went to the client,
to the server) | half-close N (after N bytes to the client the server seems to have sent its last) | corrupt N (the Nth byte to the client is another one)

The file may change at any time and holds from then on. CONTROL.count says how many connections were made.
"""
import asyncio
import socket
import struct
import sys
import time

PORT, TARGET, CONTROL = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
mode, number = 'pass', 0
connections = set()


class Done(Exception):
    pass


def control():
    global mode, number
    try:
        with open(CONTROL) as f:
            words = f.readline().split()
    except FileNotFoundError:
        return
    if words:
        mode, number = words[0], int(words[1]) if len(words) > 1 else 0


def reset(writer):
    sock = writer.get_extra_info('socket')
    if sock and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    writer.transport.abort()


class Connection:
    def __init__(self, client, server):
        self.client, self.server, self.born = client, server, time.monotonic()

    def reset(self):
        reset(self.client)
        reset(self.server)

    def limited(self, data, sent, to_client):
        """What of the data may pass; whether it is the last."""
        limit = {'cut-down': to_client, 'half-close': to_client, 'cut-up': not to_client}.get(mode, False)
        if limit and sent + len(data) >= number:
            return data[:max(0, number - sent)], True
        if mode == 'corrupt' and to_client and sent <= number < sent + len(data):
            at = number - sent
            return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1:], False
        return data, False

    async def pump(self, reader, writer, to_client):
        sent = 0
        while data := await reader.read(65536):
            while mode == 'stall':
                await asyncio.sleep(0.02)
            if mode == 'delay':
                await asyncio.sleep(number / 1000)
            data, last = self.limited(data, sent, to_client)
            for part in [data[i:i + 1] for i in range(len(data))] if mode == 'drip' else [data]:
                writer.write(part)
                await writer.drain()
                if mode == 'drip':
                    await asyncio.sleep(number / 1000)
            sent += len(data)
            if last and mode == 'half-close':
                writer.write_eof()
                await asyncio.sleep(3600)
            elif last:
                raise Done
        if writer.can_write_eof():
            writer.write_eof()

    async def run(self, client_reader, server_reader):
        try:
            await asyncio.gather(self.pump(server_reader, self.client, True), self.pump(client_reader, self.server, False))
        except (Done, OSError):
            self.reset()
        self.client.close()
        self.server.close()


count = 0


async def accept(client_reader, client):
    global count
    count += 1
    with open(CONTROL + '.count', 'w') as f:
        f.write('%d\n' % count)
    try:
        server_reader, server = await asyncio.open_connection('127.0.0.1', TARGET)
    except OSError:
        reset(client)
        return
    connection = Connection(client, server)
    connections.add(connection)
    try:
        await connection.run(client_reader, server_reader)
    finally:
        connections.discard(connection)


async def main():
    listener = None
    while True:
        control()
        if mode == 'refuse' and listener:
            listener.close()
            listener = None
        if mode != 'refuse' and not listener:
            listener = await asyncio.start_server(accept, '127.0.0.1', PORT)
        for connection in list(connections):
            if mode == 'sever' or mode == 'life' and time.monotonic() - connection.born > number / 1000:
                connection.reset()
        await asyncio.sleep(0.02)


asyncio.run(main())
