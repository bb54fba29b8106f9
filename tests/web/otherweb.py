"""The web server of a domain's other host-meta document: it answers what the test says, byte by byte."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.support.certificates import CertificateFiles

Answer = bytes | Callable[[str], Awaitable[bytes]]
"""Bytes, or what makes them of the head of the request."""

XRD_NS = "http://docs.oasis-open.org/ns/xri/xrd-1.0"
LRDD = "https://social.example/.well-known/webfinger?resource={uri}"
XRD = f"""<?xml version='1.0' encoding='UTF-8'?>
<!-- for WebFinger -->
<XRD xmlns='{XRD_NS}' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'>
  <hm:Host xmlns:hm='http://host-meta.net/xrd/1.0'>example.org</hm:Host>
  <Subject>https://example.org/</Subject>
  <Alias>https://www.example.org/</Alias>
  <Property type='https://example.org/ns/version'>1.2</Property>
  <Property type='https://example.org/ns/none' xsi:nil='true'/>
  <Link rel='lrdd' type='application/xrd+xml' template='{LRDD}'/>
  <Link rel='URN:xmpp:alt-connections:xbosh' href='https://old.example/bosh'/>
  <Link rel='author' href='https://example.org/steve'>
    <Title>About</Title><Title xml:lang='de'>Über</Title>
    <Property type='https://example.org/ns/role'>editor</Property>
  </Link>
</XRD>""".encode()


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A whole HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def redirect(location: str) -> bytes:
    return http(b"", f"Location: {location}", status="302 Found")


@dataclass
class OtherWeb:
    """The server; *heads* are the heads of the requests that it got."""

    port: int
    host: str = "127.0.0.1"
    scheme: str = "http"
    answer: Answer = field(default_factory=lambda: http(XRD))
    heads: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}/host-meta?token=secret"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        answer = self.answer if isinstance(self.answer, bytes) else await self.answer(head)
        writer.write(answer)
        await writer.drain()


@asynccontextmanager
async def other_web(
    host: str = "127.0.0.1", certificate: CertificateFiles | None = None
) -> AsyncIterator[OtherWeb]:
    """Serve on a loopback port; with TLS if there is a *certificate*."""
    tasks: set[asyncio.Task[None]] = set()
    web = OtherWeb(0, f"[{host}]" if ":" in host else host)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await web.serve(reader, writer)
        writer.close()

    context = None
    if certificate is not None:
        web.scheme = "https"
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate.chain, certificate.key)
    server = await asyncio.start_server(connected, host, 0, ssl=context)
    web.port = server.sockets[0].getsockname()[1]
    try:
        yield web
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
