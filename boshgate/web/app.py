"""The gateway: the only place where its parts are put together, and the ASGI application that is served.

The two endpoints are found by comparing the path, before Starlette's routing and middleware, which would
cost as much as a BOSH request itself; the page and everything else is Starlette's.
"""

import asyncio
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from boshgate.backend.pool import Backends
from boshgate.config import Config
from boshgate.metrics import Metrics
from boshgate.sessions.admission import Admission
from boshgate.sessions.store import Sessions
from boshgate.web.bosh import BoshEndpoint
from boshgate.web.cors import Origins
from boshgate.web.health import admin_app
from boshgate.web.hostmeta import PATHS as HOST_META_PATHS
from boshgate.web.hostmeta import HostMeta
from boshgate.web.page import page_app
from boshgate.web.websocket import WebSocketEndpoint


class Gateway:
    """One gateway; the instance is the public ASGI application, `admin` the private one.

    Make it inside the event loop that serves it.
    """

    def __init__(self, config: Config, *, demo: dict[str, Any] | None = None) -> None:
        self.config = config
        self.metrics = Metrics()
        self.backends = Backends(config)
        self.admission = Admission(config.limits, lambda: self.backends.unauthenticated)
        origins = Origins(config.server.allowed_origins)
        self.sessions = Sessions(config, self.backends, self.admission, self.metrics)
        self.bosh = BoshEndpoint(config, self.sessions, origins, self.metrics)
        self.websocket = WebSocketEndpoint(config, self.backends, origins, self.admission, self.metrics)
        self.host_meta = HostMeta(config)
        self.page: ASGIApp = page_app(config, demo)
        self.admin: ASGIApp = admin_app(self.backends, self.admission, self.metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, WebSocket or lifespan."""
        if root_path := scope.get("root_path"):
            # Mounted, or behind a proxy that cuts a prefix off: ASGI has it in front of the path.
            scope = {**scope, "path": scope["path"].removeprefix(root_path), "root_path": ""}
        if scope["type"] == "http":
            endpoint: ASGIApp
            if scope["path"] == self.config.bosh.path:
                endpoint = self.bosh
            elif scope["path"] in HOST_META_PATHS:
                endpoint = self.host_meta
            else:
                endpoint = self.page
            await endpoint(scope, receive, send)
        elif scope["type"] == "websocket":
            if scope["path"] == self.config.websocket.path:
                await self.websocket(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close"})  # before accept: HTTP 403
        else:
            await self.page(scope, receive, send)

    async def shut_down(self) -> None:
        """Admit nobody, end every session and wait until their streams are closed, for a bounded time.

        Sessions that hold a request are answered now, ``system-shutdown``; see XEP-0124 section 17.2.
        """
        self.admission.draining = True
        self.websocket.shut_down()
        self.sessions.terminate_all("system-shutdown")
        await self.host_meta.close()
        try:
            async with asyncio.timeout(self.config.limits.close_timeout):
                await self.backends.closed()
        except TimeoutError:
            self.backends.abort_all()
        self.sessions.expire_all()


def create_app(config: Config) -> Gateway:
    """The ASGI application for *config*; serve it with uvicorn and ``ws='websockets-sansio'``."""
    return Gateway(config)
