"""The demo server, and users who are logged in to it over plain TCP."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest_asyncio

from boshgate.demo.server import DemoServer
from tests.support.clients import Client, TcpConnection

LogIn = Callable[..., Awaitable[Client]]
Connect = Callable[..., Awaitable[TcpConnection]]


@pytest_asyncio.fixture
async def demo() -> AsyncIterator[DemoServer]:
    async with DemoServer(password="playground") as server:
        yield server


@pytest_asyncio.fixture
async def connect(demo: DemoServer) -> AsyncIterator[Connect]:
    """Open a stream; the server's features are the first to receive."""
    async with AsyncExitStack() as stack:

        async def connect(domain: str = "localhost") -> TcpConnection:
            connection = await stack.enter_async_context(TcpConnection(domain, demo.port))
            await connection.open()
            return connection

        yield connect


@pytest_asyncio.fixture
async def log_in(demo: DemoServer) -> AsyncIterator[LogIn]:
    """Log a user in; the presence of others that came meanwhile is still to receive."""
    async with AsyncExitStack() as stack:

        async def log_in(user: str, resource: str = "", *, presence: bool = True) -> Client:
            client = await stack.enter_async_context(Client(TcpConnection("localhost", demo.port)))
            await client.login(user, "playground", resource=resource, presence=presence)
            return client

        yield log_in
