"""Fixtures of the tests with real servers."""

import contextlib
from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.clients import BoshConnection, Client, WebSocketConnection
from tests.support.gateway import Gateway
from tests.support.servers import DOMAIN, PASSWORD


class Bystanders:
    """Two users who have nothing to do with what goes wrong in a test."""

    def __init__(self, over_bosh: Client, over_websocket: Client) -> None:
        self._clients = (over_bosh, over_websocket)

    async def notice_nothing(self) -> None:
        """They still reach one another, and have been sent nothing else."""
        for sender, recipient in (self._clients, self._clients[::-1]):
            assert recipient.connection.waiting == 0, "something came in between"
            await sender.send_message(recipient.jid, "still there?")
            assert await recipient.wait_for_message() == "still there?"


@pytest_asyncio.fixture
async def bystanders(prosody_gateway: Gateway) -> AsyncIterator[Bystanders]:
    """One user over BOSH and one over WebSocket on the gateway in front of Prosody."""
    async with contextlib.AsyncExitStack() as stack:
        over_bosh = Client(BoshConnection(DOMAIN, prosody_gateway.bosh_url))
        over_websocket = Client(WebSocketConnection(DOMAIN, prosody_gateway.websocket_url))
        for client, name in ((over_bosh, "alice"), (over_websocket, "bob")):
            await stack.enter_async_context(client)
            await client.login(name, PASSWORD)
        yield Bystanders(over_bosh, over_websocket)
