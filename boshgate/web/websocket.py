"""The WebSocket endpoint (RFC 7395 section 3.1): handshakes, and the register of open connections."""

import asyncio
import logging
from typing import Final

from starlette.types import Receive, Scope, Send

from boshgate.backend.pool import Backends
from boshgate.config import Config
from boshgate.metrics import WEBSOCKET, Metrics
from boshgate.sessions.admission import Admission
from boshgate.web.client import client_of
from boshgate.web.connection import Connection
from boshgate.web.cors import Origins, find

SUBPROTOCOL: Final = "xmpp"
"""RFC 7395 section 3.1."""

logger = logging.getLogger("boshgate.websocket")


class WebSocketEndpoint:
    """Serves ``websocket.path``."""

    def __init__(
        self, config: Config, backends: Backends, origins: Origins, admission: Admission, metrics: Metrics
    ) -> None:
        self.backends = backends
        self.admission = admission
        self.metrics = metrics
        self.limits = config.limits
        self.connections: set[Connection] = set()
        self._origins = origins
        self._trusted_proxies = config.server.trusted_proxies
        self._opened = metrics.opened.labels(WEBSOCKET)
        self._open = metrics.open.labels(WEBSOCKET)
        self._lifetime = metrics.lifetime.labels(WEBSOCKET)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket, from the handshake to its end."""
        await receive()  # websocket.connect
        address = client_of(scope, self._trusted_proxies).address
        if (refusal := self._refusal(scope, address)) is not None:
            await self._refuse(send, address, *refusal)
            return
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        connection = Connection(self, send, address)
        self.connections.add(connection)
        self.admission.admit(address)
        self._opened.inc()
        self._open.inc()
        loop = asyncio.get_running_loop()
        opened_at = loop.time()
        connection.log.info("opened by %s", address)
        try:
            await connection.run(receive)
        except Exception:
            connection.broke()
        finally:
            connection.lost()
            self.connections.discard(connection)
            self.admission.release(address)
            seconds = loop.time() - opened_at
            self._open.dec()
            self._lifetime.observe(seconds)
            self.metrics.closed.labels(WEBSOCKET, connection.end).inc()
            connection.log.info("closed after %.1f s: %s", seconds, connection.end)

    def _refusal(self, scope: Scope, address: str) -> tuple[int, str] | None:
        """Why the handshake is refused: HTTP status and reason; None: it is accepted."""
        if not self._origins.allows(find(scope["headers"], b"origin")):
            return 403, "this origin is not allowed"  # RFC 6455 section 10.2
        if SUBPROTOCOL not in scope["subprotocols"]:
            return 400, "the subprotocol 'xmpp' was not offered"  # RFC 7395 section 3.1
        if (refusal := self.admission.refusal(address)) is not None:
            return 503, refusal[1]
        return None

    async def _refuse(self, send: Send, address: str, status: int, reason: str) -> None:
        logger.info("refused a handshake from %s: HTTP %d, %s", address, status, reason)
        self.metrics.refused.labels(WEBSOCKET, str(status)).inc()
        await send(
            {
                "type": "websocket.http.response.start",
                "status": status,
                "headers": [(b"content-type", b"text/plain; charset=utf-8")],
            }
        )
        await send({"type": "websocket.http.response.body", "body": reason.encode() + b"\n"})

    def shut_down(self) -> None:
        """End every connection because the process ends (XEP-0198 section 5, requirement SM7)."""
        for connection in list(self.connections):
            connection.shut_down()
