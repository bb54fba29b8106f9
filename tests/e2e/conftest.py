"""Fixtures of the end-to-end tests: one Chromium and one web server for the pages in the whole run."""

import asyncio
import functools
import http.server
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Playwright, async_playwright

from tests.e2e.drivers import BrowserClient, NodeClient, RealClient
from tests.e2e.node import HERE
from tests.support.requirements import MissingProgramError, find_program, skip_or_fail

CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # nobody outside is asked for anything
]

OLDEST_NODE = 20
NODE_CLIENTS = {"strophe-node": "strophe", "xmpp.js": "xmpp.js"}


class _PageHandler(http.server.SimpleHTTPRequestHandler):
    """Serves this directory, and says nothing about it."""

    extensions_map = {  # noqa: RUF012  (the base class has it so)
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The npm packages of the clients."""
    path = HERE / "node_modules"
    if not (path / ".package-lock.json").exists():
        skip_or_fail("the npm packages of tests/e2e are not installed (make test installs them: npm ci)")
    return path


@pytest.fixture(scope="session")
def pages_url(node_modules: Path) -> Iterator[str]:
    """Where the pages are served: another origin than the gateway's, so CORS is part of every test."""
    handler = functools.partial(_PageHandler, directory=str(node_modules.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web_server:
        thread = threading.Thread(
            target=web_server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        thread.start()
        yield f"http://127.0.0.1:{web_server.server_port}"
        web_server.shutdown()
        thread.join()


class Chromium:
    """Chromium without a window, started when the first page is wanted, and once."""

    def __init__(self, playwright: Playwright) -> None:
        self._playwright = playwright
        self._browser: Browser | None = None

    async def new_context(self) -> BrowserContext:
        """Return an empty profile of its own."""
        if self._browser is None:
            program = _find("chromium", package="chromium")
            launch = self._playwright.chromium.launch
            self._browser = await launch(executable_path=program, args=CHROMIUM_FLAGS)
        return await self._browser.new_context()

    async def close(self) -> None:
        if self._browser is not None:
            await self._browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Chromium]:
    """The browser of the whole run."""
    async with async_playwright() as playwright:
        browser = Chromium(playwright)
        yield browser
        await browser.close()


class RealClients:
    """Starts clients for one test, and shows what they printed when it fails."""

    def __init__(self, chromium: Chromium, pages_url: str) -> None:
        self._chromium = chromium
        self._pages_url = pages_url
        self._clients: list[RealClient] = []

    async def start(self, name: str) -> RealClient:
        """``strophe`` and ``converse`` run in Chromium, ``strophe-node`` and ``xmpp.js`` in Node."""
        client: RealClient
        if name in NODE_CLIENTS:
            client = await NodeClient.load(find_node(), NODE_CLIENTS[name])
        else:
            context = await self._chromium.new_context()
            client = await BrowserClient.load(context, f"{self._pages_url}/pages/{name}.html")
        self._clients.append(client)
        return client

    def log(self) -> str:
        return "\n".join(client.log() for client in self._clients)

    async def close(self) -> None:
        await asyncio.gather(*(client.close() for client in self._clients))


def find_node() -> str:
    """@xmpp/client says that it needs Node 20; Strophe.js needs Web Crypto, which came in 20 too."""
    program = _find("node", package="nodejs")
    version = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        skip_or_fail(f"node {version} is too old for the clients ({OLDEST_NODE} or newer)")
    return program


def _find(name: str, *, package: str) -> str:
    try:
        return find_program(name, package=package)
    except MissingProgramError as error:
        skip_or_fail(str(error))


@pytest_asyncio.fixture(loop_scope="session")
async def real_clients(chromium: Chromium, pages_url: str) -> AsyncIterator[RealClients]:
    """The clients of one test."""
    clients = RealClients(chromium, pages_url)
    yield clients
    await clients.close()
