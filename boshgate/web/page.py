"""The page at ``/``: static files, and ``/config.json``, which tells them where the endpoints are."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import boshgate
from boshgate.config import Config

PACKAGED: Final = Path(boshgate.__file__).parent / "_static"
CHECKED_OUT: Final = Path(boshgate.__file__).parent.parent / "static"

_SECURITY_HEADERS: Final = [
    (
        b"content-security-policy",
        b"default-src 'self'; connect-src 'self' ws: wss: http: https:; img-src 'self' data:; "
        b"frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    # Modules of two versions must not meet: the browser asks each time, and mostly hears "not modified".
    (b"cache-control", b"no-cache"),
]

_FILES: Final = ("app.js", "style.css", "favicon.svg")
_FOLDERS: Final = ("js", "vendor")
"""What of the folder is the page: beside it stand the files of npm."""


class _SecurityHeaders:
    """Adds the page's security headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_SECURITY_HEADERS]
            await send(message)

        await self._app(scope, receive, send_with_headers)


class _Folder(StaticFiles):
    """A folder of the page; one that npm did not make holds nothing."""

    async def check_config(self) -> None:
        """Starlette would raise an exception where there is no such folder."""


def page_app(config: Config, demo: dict[str, Any] | None) -> Starlette:
    """Serve the page; *demo* is what it is told about the demo's accounts, or None."""
    settings = {
        "bosh": config.bosh.path,
        "websocket": config.websocket.path,
        "domains": [domain.name for domain in config.domains],
        "demo": demo,
        "version": boshgate.__version__,
    }

    async def show_settings(_request: Request) -> Response:
        return JSONResponse(settings)

    async def no_page(_request: Request) -> Response:
        return PlainTextResponse("boshgate: BOSH and WebSocket for XMPP. The page is not installed.\n")

    folder = PACKAGED if PACKAGED.is_dir() else CHECKED_OUT
    if not (folder / "index.html").is_file():
        return Starlette(routes=[Route("/", no_page)])
    return Starlette(
        routes=[
            Route("/config.json", show_settings),
            Route("/", _file(folder / "index.html")),
            *(Route(f"/{name}", _file(folder / name)) for name in _FILES),
            *(Mount(f"/{name}", _Folder(directory=folder / name, check_dir=False)) for name in _FOLDERS),
        ],
        middleware=[Middleware(_SecurityHeaders)],
    )


def _file(path: Path) -> Callable[[Request], Awaitable[Response]]:
    async def serve(_request: Request) -> Response:
        return FileResponse(path)

    return serve
