"""A runtime of tests' own at the other end of the HTTP Runtime API, byte by byte."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager

from cosset.environments.runtime_api import HttpTransport

NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"


class Client:
    """A runtime, byte by byte."""

    def __init__(self, address):
        self._address = address

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection(*self._address)
        return self

    async def __aexit__(self, *_):
        self.writer.close()

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self):
        """(status, headers, body)"""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        return int(head[0].split()[1]), headers, await self.reader.readexactly(int(headers["Content-Length"]))

    async def post(self, path, body=b"{}", headers=""):
        head = f"POST /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
        await self.send(head.encode() + body)
        status, _, answered = await self.answer()
        return status, json.loads(answered)

    async def closed(self):
        try:
            return await self.reader.read() == b""
        except ConnectionResetError:
            return True


@asynccontextmanager
async def api():
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    transport = await HttpTransport.serve(listener)
    try:
        yield transport, lambda: Client(address)
    finally:
        transport.close()


def run(body):
    asyncio.run(asyncio.wait_for(body(), 60))


async def begin(transport, client, event):
    """An event handed over; returns the exchange under way and what the runtime received."""
    await client.send(NEXT)
    await transport.ready()
    exchange = asyncio.ensure_future(transport.exchange(event))
    return exchange, await client.answer()
