"""HTTP with full control over connections and bytes: httpx where it allows that, a bare socket where not."""

import asyncio
import os
import socket
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

import httpx

from boshgate.conformance.check import Fails, Unanswered
from boshgate.conformance.xml import Element, attributes_of, brief, parse, tag
from boshgate.namespaces import HTTPBIND

MAX_ANSWER = 8 << 20
"""Bytes of one answer that are read; nothing here asks for as much."""

BODY = f"{{{HTTPBIND}}}body"
XML_TYPE = "text/xml; charset=utf-8"
"""XEP-0124 section 7.1: the Content-Type unless the session asked for another."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response: *raw* as it came, *data* decompressed, *seconds* since it was asked for."""

    status: int
    headers: httpx.Headers
    raw: bytes
    data: bytes
    seconds: float
    at: float
    """When it was complete, on the loop's clock."""
    root: Element | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """What was seen, for a reason."""
        if self.body is not None and self.status == 200:
            return brief(self.body)
        text = self.data[:60].decode("utf-8", "replace")
        return f"HTTP {self.status}, {self.headers.get('content-type', 'no Content-Type')}, {text!r}"

    @property
    def body(self) -> Element | None:
        """The <body/>, or None where the response is none (XEP-0124 section 6)."""
        return self.root if self.root is not None and tag(self.root) == BODY else None

    @property
    def wrapper(self) -> Element:
        """The <body/> of a response with HTTP status 200; anything else fails the check (5, 17.1)."""
        if self.body is None or self.status != 200:
            raise Fails(f"no <body/> but {self}")
        return self.body

    def get(self, name: str) -> str | None:
        """An attribute of the <body/>, by expanded name."""
        return self.wrapper.get(name)

    @property
    def attributes(self) -> dict[str, str]:
        """All attributes of the <body/>."""
        return attributes_of(self.wrapper)

    @property
    def payloads(self) -> list[Element]:
        """The elements in the <body/>."""
        return list(self.wrapper)

    @property
    def is_terminate(self) -> bool:
        return self.get("type") == "terminate"

    @property
    def is_error(self) -> bool:
        """A recoverable binding condition (section 17.3)."""
        return self.get("type") == "error"

    @property
    def is_empty(self) -> bool:
        """An ordinary response without payload."""
        return self.get("type") is None and not self.payloads


def decompress(data: bytes, coding: str) -> bytes:
    """Undo *coding*; raises Fails where that cannot be done (RFC 9110 section 8.4.1: deflate is zlib)."""
    try:
        if coding in ("gzip", "x-gzip"):
            return _inflated(data, 16 + zlib.MAX_WBITS)
        if coding == "deflate":
            return _inflated(data, zlib.MAX_WBITS)
    except zlib.error as error:
        raise Fails(f"the response says Content-Encoding: {coding} and is not: {error}") from None
    raise Fails(f"the response has a Content-Encoding nobody asked for: {coding}")


def _inflated(data: bytes, bits: int) -> bytes:
    inflate = zlib.decompressobj(bits)
    result = inflate.decompress(data, MAX_ANSWER)
    if not inflate.eof or inflate.unused_data:
        raise zlib.error("incomplete, or followed by something else")
    return result


class Http:
    """Requests to one URL. Connections are kept alive and reused, unless a request asks for its own."""

    def __init__(self, url: str, tls: ssl.SSLContext, patience: float, pace: float = 1.0) -> None:
        self.url = url
        self.patience = patience
        self.pace = pace
        self._tls = tls
        self._client = httpx.AsyncClient(
            verify=tls,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=patience),
            limits=httpx.Limits(max_connections=None),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def request(
        self,
        content: bytes | str = b"",
        headers: Mapping[str, str | None] | None = None,
        *,
        method: str = "POST",
        url: str | None = None,
        patience: float | None = None,
    ) -> Answer:
        """Send one request and read the whole response; *headers* replace the usual, None leaves one out."""
        usual = {
            "Content-Type": XML_TYPE,
            "Accept-Encoding": "identity",
            "User-Agent": "boshgate-conformance",
        }
        merged = {name: value for name, value in (usual | dict(headers or {})).items() if value is not None}
        data = content.encode() if isinstance(content, str) else content
        request = httpx.Request(method, url or self.url, headers=merged, content=data or None)
        if method == "POST" and not data:
            request.headers["Content-Length"] = "0"
        patience = patience or self.patience
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(patience):
                response = await self._client.send(request, stream=True)
                try:
                    raw = await _read(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise Unanswered(f"no answer within {patience:.0f} s") from None
        except (httpx.HTTPError, OSError) as error:
            raise Fails(f"no answer: {describe(error)}") from None
        self._client.cookies.clear()  # XEP-0124 section 2: no need for cookies
        return answer_of(response.status_code, response.headers, raw, began)

    async def connection(self) -> "RawConnection":
        """Open a bare connection to the host of the URL."""
        parts = urlsplit(self.url)
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        try:
            async with asyncio.timeout(self.patience):
                reader, writer = await asyncio.open_connection(
                    parts.hostname, port, ssl=self._tls if secure else None
                )
        except (OSError, TimeoutError) as error:
            raise Fails(f"no connection: {describe(error)}") from None
        return RawConnection(reader, writer, self.url, self.patience)


def answer_of(status: int, headers: httpx.Headers, raw: bytes, began: float) -> Answer:
    """Parse a response that was asked for at *began*."""
    coding = headers.get("content-encoding", "").strip().lower()
    data = raw if coding in ("", "identity") else decompress(raw, coding)
    now = asyncio.get_running_loop().time()
    return Answer(status, headers, raw, data, now - began, now, parse(data) if data else None)


async def _read(response: httpx.Response) -> bytes:
    raw = bytearray()
    async for chunk in response.aiter_raw():
        raw += chunk
        if len(raw) > MAX_ANSWER:
            raise Fails(f"the response is larger than {MAX_ANSWER} bytes")
    return bytes(raw)


def describe(error: BaseException) -> str:
    """A connection's error in a few words."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return f"the certificate is not trusted: {seen.verify_message}"
        if isinstance(seen, ssl.SSLError):
            return f"TLS: {(seen.reason or str(seen)).lower().replace('_', ' ')}"
        if isinstance(seen, socket.gaierror):
            return "the host's name is not known"
        if isinstance(seen, OSError) and seen.errno:
            return os.strerror(seen.errno).lower()
        seen = seen.__cause__ or seen.__context__
    return str(error) or type(error).__name__


class RawConnection:
    """One connection on which the bytes are the check's own."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: str, patience: float
    ) -> None:
        self._patience = patience
        self._reader = reader
        self._writer = writer
        parts = urlsplit(url)
        self.target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.host = parts.netloc.rpartition("@")[2]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()

    def head(
        self,
        length: int,
        version: str = "1.1",
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """A request's head for *length* bytes; HTTP/1.0 has no Host here (RFC 1945)."""
        lines = [f"{method} {self.target} HTTP/{version}"]
        fields = {"Host": self.host} if version == "1.1" else {}
        fields |= {"Content-Type": XML_TYPE, "Content-Length": str(length)} | dict(headers or {})
        lines += [f"{name}: {value}" for name, value in fields.items()]
        return "\r\n".join(lines) + "\r\n\r\n"

    async def send(self, *segments: str, pause: float = 0.1) -> None:
        """Send each of *segments* by itself."""
        for segment in segments:
            try:
                self._writer.write(segment.encode())
                await self._writer.drain()
            except OSError as error:
                raise Fails(f"the connection was lost: {describe(error)}") from None
            if len(segments) > 1:
                await asyncio.sleep(pause)

    async def answer(self, patience: float | None = None) -> Answer:
        """Read one response."""
        patience = patience or self._patience
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(patience):
                head = await self._reader.readuntil(b"\r\n\r\n")
                status_line, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
                fields = [line.partition(":")[::2] for line in lines]
                headers = httpx.Headers([(name, value.strip()) for name, value in fields])
                raw = await self._entity(headers)
        except TimeoutError:
            raise Fails(f"no answer within {patience:.0f} s") from None
        except (asyncio.IncompleteReadError, OSError):
            raise Fails("the connection was closed without an answer") from None
        except asyncio.LimitOverrunError:
            raise Fails("the head of the response is larger than 64 KiB") from None
        status = status_line.split(" ")[1:2]
        if not status or not status[0].isdecimal():
            raise Fails(f"no HTTP answer but {status_line[:60]!r}")
        return answer_of(int(status[0]), headers, raw, began)

    async def _entity(self, headers: httpx.Headers) -> bytes:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            chunks = bytearray()
            while size := int((await self._reader.readline()).split(b";")[0] or b"0", 16):
                chunks += await self._reader.readexactly(size)
                await self._reader.readline()
            await self._reader.readline()
            return bytes(chunks)
        if "content-length" in headers:
            return await self._reader.readexactly(min(int(headers["content-length"]), MAX_ANSWER))
        return await self._reader.read(MAX_ANSWER)

    async def closed(self, within: float) -> bool:
        """Whether the other side closes the connection in that time."""
        try:
            async with asyncio.timeout(within):
                while await self._reader.read(65536):
                    pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True
