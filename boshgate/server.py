"""Serving a gateway with uvicorn: both listeners in one loop, the ready line, and an orderly end.

uvicorn waits for open requests and closes WebSockets by itself before an application hears of a shutdown; so
the gateway is shut down here first, before uvicorn's own shutdown begins.
"""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from boshgate.config import Config
from boshgate.errors import ConfigError
from boshgate.listener import SOCKET_OPTIONS, HttpProtocol, WebSocketProtocol, close_late
from boshgate.web.app import Gateway

logger = logging.getLogger("boshgate.server")

_KEEP_ALIVE_SECONDS = 75
"""An idle HTTP connection is kept as long as nginx keeps its own: then the proxy is the one to close it."""

_BACKLOG = 2048
"""Connections that may wait to be accepted."""

_TICKS_PER_SWEEP = 20
"""uvicorn ticks ten times a second; late clients are looked for every two seconds."""


class _Server(uvicorn.Server):
    """A uvicorn server in a loop that it shares: it tells when it listens, and leaves signals alone.

    *head_timeout*: seconds that a client may take for the head of a request, or to begin one.
    """

    def __init__(self, config: uvicorn.Config, head_timeout: float) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self._head_timeout = head_timeout

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        self.listening.set()

    async def on_tick(self, counter: int) -> bool:
        """Close the connections of clients that take too long; returns whether to stop."""
        if counter % _TICKS_PER_SWEEP == 0:
            close_late(self.server_state.connections, self._head_timeout)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do not: uvicorn would raise them again at the end, and the process would not end with status 0."""
        yield


class GatewayServer(_Server):
    """The public listener; its shutdown begins with the gateway's."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config, gateway.config.limits.body_timeout)
        self._gateway = gateway

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, shut the gateway down, then uvicorn."""
        for listener in self.servers:
            listener.close()
        await self._gateway.shut_down()
        await super().shutdown(sockets)


def bind(table: str, host: str, port: int) -> socket.socket:
    """Listen on *host* and *port*; raises ConfigError naming the key."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for option in SOCKET_OPTIONS:
            listener.setsockopt(*option)
        listener.bind((host, port))
        # Not later: only now is it certain that nobody else listens there.
        listener.listen(_BACKLOG)
    except OSError as exc:
        listener.close()
        raise ConfigError([f"{table}.port: cannot listen on {host} port {port}: {exc.strerror}"]) from exc
    listener.setblocking(False)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def uvicorn_config(app: Any, config: Config) -> uvicorn.Config:
    """How uvicorn serves *app*, public or private."""
    return uvicorn.Config(
        app,
        http=HttpProtocol,
        ws=WebSocketProtocol,
        # Above the limit that we check ourselves, so that the client gets a stream error before the close.
        ws_max_size=2 * config.limits.max_stanza_bytes,
        # 300 kB for each connection, and CRIME (RFC 7692 section 8): declined.
        ws_per_message_deflate=False,
        ws_ping_interval=config.websocket.ping_interval,
        ws_ping_timeout=config.websocket.ping_timeout,
        log_config=None,
        access_log=False,
        proxy_headers=False,  # boshgate.web.client does it
        server_header=False,
        lifespan="off",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=config.limits.close_timeout,
    )


def check(config: Config) -> None:
    """Put a gateway together and start nothing; raises ConfigError, e.g. for a file without certificates."""
    Gateway(config)


async def _announce(server: _Server, admin: _Server, on_ready: Callable[[], None]) -> None:
    await server.listening.wait()
    await admin.listening.wait()
    on_ready()


async def serve(
    config: Config, *, demo: dict[str, Any] | None = None, on_ready: Callable[[str, str], None]
) -> None:
    """Serve *config* until SIGTERM or SIGINT; *on_ready* gets the URLs of both listeners.

    Raises ConfigError where an address cannot be listened on.
    """
    with contextlib.ExitStack() as stack:
        public = stack.enter_context(
            contextlib.closing(bind("server", config.server.host, config.server.port))
        )
        private = stack.enter_context(contextlib.closing(bind("admin", config.admin.host, config.admin.port)))
        urls = _url(public), _url(private)
        gateway = Gateway(config, demo=demo)
        server = GatewayServer(uvicorn_config(gateway, config), gateway)
        admin = _Server(uvicorn_config(gateway.admin, config), config.limits.body_timeout)
        tasks = [asyncio.create_task(admin.serve([private])), asyncio.create_task(server.serve([public]))]
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.handle_exit, number, None)
        tasks.append(asyncio.create_task(_announce(server, admin, lambda: on_ready(*urls))))
        await asyncio.wait(tasks[:2], return_when=asyncio.FIRST_COMPLETED)
        tasks.pop().cancel()
        admin.should_exit = server.should_exit = True
        await asyncio.gather(*tasks)
    logger.info("stopped")
