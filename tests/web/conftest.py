"""Fixtures: an XMPP server that does what the test says, and a gateway in front of it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any, Protocol

import pytest
import uvloop

from tests.backend.scripted import Peer
from tests.web.front import (
    Chat,
    Front,
    Talk,
    XmppServer,
    configure,
    open_websocket,
    refusing,
    running,
)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run under the loop that ``boshgate serve`` runs under."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def xmpp_server() -> AsyncIterator[XmppServer]:
    """The XMPP server of DOMAIN."""
    async with XmppServer() as server:
        yield server


@pytest.fixture
def down() -> Iterator[str]:
    """The address of a server that does not listen."""
    sock, address = refusing()
    with sock:
        yield str(address)


class MakeFront(Protocol):
    """Starts a gateway; *tables* override its configuration, also out of the range of a field."""

    async def __call__(self, behind: XmppServer | None = None, /, **tables: dict[str, Any]) -> Front: ...


@pytest.fixture
async def make_front(xmpp_server: XmppServer, down: str) -> AsyncIterator[MakeFront]:
    """``await make_front(limits={...}, bosh={...})``; another server than `xmpp_server` may come first."""
    async with AsyncExitStack() as stack:

        async def make(behind: XmppServer | None = None, /, **tables: dict[str, Any]) -> Front:
            backend = behind or xmpp_server
            limits = {"close_timeout": 0.3, "connect_timeout": 1} | tables.pop("limits", {})
            config = configure(backend.address, down, limits=limits, **tables)
            front = await stack.enter_async_context(running(config))
            stack.callback(backend.leave)  # before the gateway stops: it would wait for the server's end tags
            return front

        yield make


@pytest.fixture
async def front(make_front: MakeFront) -> Front:
    """A gateway with the defaults."""
    return await make_front()


@pytest.fixture
def chat(front: Front) -> Chat:
    """A BOSH client of it."""
    return Chat(front)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The gateway's own log lines."""
    caplog.set_level(logging.INFO, logger="boshgate")
    return caplog


@pytest.fixture
async def conversation(front: Front, xmpp_server: XmppServer) -> tuple[Talk, Peer]:
    """A client with an open stream, and the server's end of it."""
    return await open_websocket(front, xmpp_server)
