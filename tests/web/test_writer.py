"""Messages leave in order, at once or when the client has caught up; the source hears of the difference."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from boshgate.web.writer import MessageWriter


class Client:
    """An ASGI server's ``send`` to a client that may be slow or gone."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.stalls: list[bool] = []
        self.keeps_up = asyncio.Event()
        self.keeps_up.set()
        self.gone: Exception | None = None
        self.writer = MessageWriter(self.send, self.stalls.append)

    async def send(self, message: MutableMapping[str, Any]) -> None:
        await self.keeps_up.wait()
        if self.gone is not None:
            raise self.gone
        self.sent.append(message["text"])

    def write(self, *texts: str) -> None:
        for text in texts:
            self.writer.write({"type": "websocket.send", "text": text})


async def turn() -> None:
    """Let all that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def client() -> Client:
    return Client()


async def test_a_message_to_a_client_that_keeps_up_is_out_at_once(client: Client) -> None:
    client.write("a", "b")
    assert client.sent == ["a", "b"]
    assert client.stalls == []
    assert not client.writer.stalled


async def test_messages_to_a_slow_client_wait_in_order(client: Client) -> None:
    client.keeps_up.clear()
    client.write("a", "b", "c")
    assert client.sent == []
    assert client.stalls == [True]
    assert client.writer.stalled
    client.keeps_up.set()
    await turn()
    assert client.sent == ["a", "b", "c"]
    assert client.stalls == [True, False]
    client.write("d")
    assert client.sent[-1] == "d"


async def test_a_client_may_be_slow_again_while_it_catches_up(client: Client) -> None:
    client.keeps_up.clear()
    client.write("a", "b")

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["text"] == "b":
            await asyncio.sleep(0)
        client.sent.append(message["text"])

    client.writer._send = send
    client.keeps_up.set()
    await turn()
    assert client.sent == ["a", "b"]
    assert client.stalls == [True, False]


@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("after sending 'websocket.close'")])
async def test_a_client_that_is_gone_takes_nothing(client: Client, error: Exception) -> None:
    client.gone = error
    client.write("a", "b")
    assert client.stalls == []
    assert client.writer.discard() == 0


async def test_a_client_that_goes_while_messages_wait_loses_all_of_them(client: Client) -> None:
    client.keeps_up.clear()
    client.write("a", "b", "c")
    client.gone = OSError("gone")
    client.keeps_up.set()
    await turn()
    assert client.sent == []
    assert client.stalls == [True]  # its server is not read any more
    assert client.writer.discard() == 3
    assert client.writer.discard() == 0


async def test_what_waits_is_forgotten_with_the_client(client: Client) -> None:
    client.keeps_up.clear()
    client.write("a", "b")
    assert client.writer.discard() == 2
    client.gone = OSError("gone")
    client.keeps_up.set()
    await turn()
    assert client.sent == []
