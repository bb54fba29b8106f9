"""The BOSH endpoint: a raw ASGI callable that reads a request, hands it to its session and waits.

It waits in ``receive()``: that returns when the client hung up and, as the ASGI specification says, once the
response has been sent. So a held request costs no task and no future of its own, and the session answers it
from wherever it happens to run (`boshgate.web.eager`).
"""

import asyncio
import contextlib
import logging
from typing import Final

from starlette.types import Receive, Scope, Send

from boshgate.bosh.body import Body, parse_body, terminal_body
from boshgate.bosh.conditions import Condition, legacy_status
from boshgate.config import Config
from boshgate.errors import BindingError
from boshgate.metrics import BOSH, Metrics
from boshgate.sessions.runner import Exchange, Runner
from boshgate.sessions.store import ACCEPT, Sessions
from boshgate.web import closing
from boshgate.web.client import client_of
from boshgate.web.coding import (
    MINIMUM_BYTES,
    Corrupt,
    Inflated,
    UnsupportedCoding,
    compress,
    decompress,
    request_coding,
)
from boshgate.web.cors import Headers, Origins
from boshgate.web.eager import run_eagerly, run_within

DEFAULT_CONTENT: Final = "text/xml; charset=utf-8"
"""XEP-0124 section 7.1: the Content-Type of every response unless the session asked for another."""

_FIXED_HEADERS: Final[Headers] = [
    # A response is for one request only; XEP-0124 is silent, some browsers were not.
    (b"cache-control", b"no-store"),
    # The client may choose the Content-Type: the document must not become a page of this origin.
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
    # nginx must not keep back an answer that is there.
    (b"x-accel-buffering", b"no"),
]

_PRAGMA: Final[Headers] = [(b"pragma", b"no-cache")]
"""For caches of HTTP/1.0, which know no Cache-Control (RFC 9111 section 5.4)."""

logger = logging.getLogger("boshgate.bosh")


class _TooLarge(Exception):
    """The request is larger than ``limits.max_body_bytes``."""


class _ClientGone(Exception):
    """The client hung up while it was sending its request."""


class _ClearText(Exception):
    """The request came in clear text, and its session began over TLS."""


class HttpExchange(Exchange):
    """One HTTP request and the response that it is owed."""

    __slots__ = ("_headers", "_send", "accepted", "answered", "remainder")

    def __init__(self, send: Send, headers: Headers) -> None:
        self._send = send
        self._headers = headers
        self.accepted: bytes | None = None
        """What the request says in ``Accept-Encoding``; None also where we do not compress."""
        self.answered = False
        """Whether the response was given; its bytes may still be on their way."""
        self.remainder: asyncio.Task[None] | None = None
        """Finishes the response where the client reads more slowly than we write."""

    def respond(self, body: bytes, content: str, status: int = 200) -> None:
        """Send *body* (XEP-0124 section 5); old clients get an error as *status*, others get 200 (17.1)."""
        accepted = self.accepted
        if accepted is None or (len(body) < MINIMUM_BYTES and b";" not in accepted):
            self.reply(status, body, content.encode("latin-1"))
            return
        # Here and not in the session: a repeat may come with another Accept-Encoding (14.3).
        body, coding = compress(body, accepted)
        extra: Headers = [(b"vary", b"Accept-Encoding")]
        if coding is not None:
            extra.append((b"content-encoding", coding.encode()))
        self.reply(status, body, content.encode("latin-1"), extra)

    def reply(
        self, status: int, body: bytes, content: bytes, extra: Headers | None = None, *, ends: bool = True
    ) -> None:
        """Send the one response of this exchange; unless it *ends*, `end` says later that it was all."""
        assert not self.answered, "a request is answered once"
        self.answered = True
        headers = [
            # Never chunked: XEP-0124 section 5.
            (b"content-length", str(len(body)).encode("ascii")),
            (b"content-type", content),
            *self._headers,
        ]
        if extra is not None:
            headers += extra
        self.remainder = run_eagerly(self._write(status, headers, body, ends))

    async def _write(self, status: int, headers: Headers, body: bytes, ends: bool) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": not ends})

    async def end(self) -> None:
        """Nothing follows; the server may close the connection now."""
        await self._send({"type": "http.response.body", "body": b""})


class BoshEndpoint:
    """Serves ``bosh.path``."""

    def __init__(self, config: Config, sessions: Sessions, origins: Origins, metrics: Metrics) -> None:
        self._sessions = sessions
        self._origins = origins
        self._metrics = metrics
        self._tally = metrics.bosh
        self._trusted_proxies = config.server.trusted_proxies
        self._max_body_bytes = config.limits.max_body_bytes
        self._body_timeout = config.limits.body_timeout
        self._max_payloads = config.limits.max_payloads
        self._max_stanza_bytes = config.limits.max_stanza_bytes
        self._compression = config.bosh.compression

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = self._origins.headers(scope["headers"]) + _FIXED_HEADERS
        if scope["http_version"] == "1.0":
            headers += _PRAGMA
        exchange = HttpExchange(send, headers)
        try:
            if scope["method"] != "POST":
                self._serve_other_method(exchange, scope)
            elif (data := await self._read(exchange, scope, receive)) is not None:
                runner = self._dispatch(exchange, scope, data)
                if not exchange.answered and runner is not None:
                    await self._hold(exchange, runner, receive)
        except _ClientGone:
            return
        except _ClearText:
            await self._refuse_clear_text(exchange, scope, receive)
        except Exception:
            # 17.2: where the fault is ours, too, the client gets a condition, not what a framework says.
            logger.exception("bug: a request ended in an exception")
            self._terminal(exchange, Condition.INTERNAL_SERVER_ERROR)
        if exchange.remainder is not None:
            await exchange.remainder

    async def _hold(self, exchange: HttpExchange, runner: Runner, receive: Receive) -> None:
        """Wait until *exchange* is answered or lost (XEP-0124 section 14.3)."""
        try:
            while not exchange.answered and (await receive())["type"] != "http.disconnect":
                pass
        finally:
            if not exchange.answered:
                runner.exchange_lost(exchange)

    def _dispatch(self, exchange: HttpExchange, scope: Scope, data: bytes) -> Runner | None:
        """Give the request to its session; what cannot be served is answered here, with a condition."""
        self._tally.requests += 1
        try:
            body = parse_body(data, max_payloads=self._max_payloads, max_stanza_bytes=self._max_stanza_bytes)
            if body.sid is None:
                return self._create(exchange, scope, body)
            runner = self._sessions.find(body.sid)
            if runner.secure and not client_of(scope, self._trusted_proxies).secure:
                raise _ClearText
            runner.receive_request(exchange, body)
            return self._unless_failed(exchange, runner)
        except BindingError as error:
            self._refuse(exchange, scope, error)
        return None

    def _unless_failed(self, exchange: HttpExchange, runner: Runner) -> Runner | None:
        """*runner*, unless a bug ended its session: then nobody else will answer (XEP-0124 section 17.2)."""
        if not runner.failed:
            return runner
        self._terminal(exchange, Condition.INTERNAL_SERVER_ERROR)
        return None

    def _create(self, exchange: HttpExchange, scope: Scope, body: Body) -> Runner | None:
        client = client_of(scope, self._trusted_proxies)
        try:
            runner = self._sessions.create(exchange, body, address=client.address, secure=client.secure)
        except BindingError as error:
            if body.to is None or "ver" in body.attributes:
                raise
            self._refuse(exchange, scope, error, legacy_status(error.condition))  # 17.1
            return None
        return self._unless_failed(exchange, runner)

    async def _refuse_clear_text(self, exchange: HttpExchange, scope: Scope, receive: Receive) -> None:
        """XEP-0124 section 19.1: a session that began over TLS goes on over TLS.

        A request in clear text has its connection closed, and its session goes on: anybody on the way could
        have sent it.
        """
        address = client_of(scope, self._trusted_proxies).address
        logger.info("refused a request from %s: clear text, in a session that began over TLS", address)
        self._metrics.refused.labels(BOSH, "clear-text").inc()
        if (close := scope.get("extensions", {}).get(closing.CLOSE)) is None:  # not under our listener
            self._reply_last(exchange, 403, b"This session began over TLS\n", b"text/plain; charset=utf-8")
            return
        close()
        while (await receive())["type"] != "http.disconnect":
            pass

    def _refuse(self, exchange: HttpExchange, scope: Scope, error: BindingError, status: int = 200) -> None:
        address = client_of(scope, self._trusted_proxies).address
        logger.info("refused a request from %s: %.200s", address, error)
        self._metrics.refused.labels(BOSH, error.condition).inc()
        self._terminal(exchange, error.condition, status)

    def _terminal(self, exchange: HttpExchange, condition: str, status: int = 200) -> None:
        """XEP-0124 section 17.2, for a request that belongs to no session (any more)."""
        if not exchange.answered:
            exchange.respond(terminal_body(condition), DEFAULT_CONTENT, status)

    async def _read(self, exchange: HttpExchange, scope: Scope, receive: Receive) -> bytes | None:
        """Read the entity; what is too large or too slow is answered here, and None comes back."""
        try:
            return await run_within(self._body_timeout, self._read_entity(exchange, scope, receive))
        except UnsupportedCoding:
            self._reject_coding(exchange, scope)
        except Corrupt as error:
            self._refuse(exchange, scope, BindingError(Condition.BAD_REQUEST, str(error)))
        except Inflated:
            reason = f"inflates to more than {self._max_body_bytes} bytes"
            self._reject(exchange, scope, 413, Condition.POLICY_VIOLATION, reason)
        except _TooLarge:
            reason = f"more than {self._max_body_bytes} bytes"
            self._reject(exchange, scope, 413, Condition.POLICY_VIOLATION, reason, ends=False)
            await self._linger(exchange, receive)
        except TimeoutError:
            reason = f"incomplete after {self._body_timeout} s"
            self._reject(exchange, scope, 408, Condition.BAD_REQUEST, reason)
        return None

    async def _read_entity(self, exchange: HttpExchange, scope: Scope, receive: Receive) -> bytes:
        length = coding = None
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = value
            elif name == b"content-encoding":
                coding = value if coding is None else coding + b"," + value
            elif name == b"accept-encoding" and self._compression:
                exchange.accepted = value if exchange.accepted is None else exchange.accepted + b"," + value
        if length is not None and length.isdigit() and int(length) > self._max_body_bytes:
            raise _TooLarge
        message = await receive()
        data: bytes | bytearray = message.get("body", b"")
        while message.get("more_body", False) and len(data) <= self._max_body_bytes:
            message = await receive()
            if type(data) is bytes:
                data = bytearray(data)  # many small pieces must not cost the square of their number
            data += message.get("body", b"")
        if message["type"] == "http.disconnect":
            raise _ClientGone
        if len(data) > self._max_body_bytes:
            raise _TooLarge
        if coding is not None and (name := request_coding(coding)) is not None:
            return decompress(bytes(data), name, self._max_body_bytes)
        return bytes(data)

    def _reject_coding(self, exchange: HttpExchange, scope: Scope) -> None:
        """XEP-0124 section 7.2: ``accept`` says which codings are understood; the session goes on."""
        address = client_of(scope, self._trusted_proxies).address
        logger.info("refused a request from %s: HTTP 415, unknown coding", address)
        self._metrics.refused.labels(BOSH, "415").inc()
        accept: Headers = [(b"accept-encoding", ACCEPT.replace(",", ", ").encode())]  # RFC 9110 12.5.3
        exchange.reply(415, b"Unsupported coding\n", b"text/plain; charset=utf-8", extra=accept)

    async def _linger(self, exchange: HttpExchange, receive: Receive) -> None:
        """Let a client that is still sending come to the answer (RFC 9112 section 9.6)."""
        if exchange.remainder is not None:
            await exchange.remainder
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(closing.LINGER_SECONDS):
                while (await receive()).get("more_body", False):
                    pass
        await exchange.end()

    def _reject(
        self,
        exchange: HttpExchange,
        scope: Scope,
        status: int,
        condition: str,
        reason: str,
        *,
        ends: bool = True,
    ) -> None:
        address = client_of(scope, self._trusted_proxies).address
        logger.info("refused a request from %s: HTTP %d, %s", address, status, reason)
        self._metrics.refused.labels(BOSH, str(status)).inc()
        # The rest of the request is not served: the connection cannot be used again (RFC 9112 section 9.6).
        self._reply_last(exchange, status, terminal_body(condition), DEFAULT_CONTENT.encode(), ends=ends)

    def _reply_last(
        self, exchange: HttpExchange, status: int, body: bytes, content: bytes, *, ends: bool = True
    ) -> None:
        """Answer, and let the connection be closed."""
        exchange.reply(status, body, content, extra=[(b"connection", b"close")], ends=ends)

    def _serve_other_method(self, exchange: HttpExchange, scope: Scope) -> None:
        """XEP-0124 section 5 knows POST only; OPTIONS is the browser's question before it."""
        if scope["method"] == "OPTIONS":
            exchange.reply(200, b"", b"text/plain", extra=self._origins.preflight())
        elif scope["method"] in {"GET", "HEAD"} and scope["query_string"]:
            # XEP-0252 section 6: script syntax is not supported.
            exchange.reply(404, b"Not found\n", b"text/plain; charset=utf-8")
        else:
            text = b"This is a BOSH endpoint (XEP-0124): XMPP clients send POST requests here.\n"
            allow: Headers = [(b"allow", b"POST, OPTIONS")]
            exchange.reply(405, text, b"text/plain; charset=utf-8", extra=allow)
