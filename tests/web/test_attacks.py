"""Attacks that other gateways fell to, in small, on both transports of a running gateway."""

import asyncio
import gc
from collections import Counter
from collections.abc import Awaitable, Callable

import httpx
import pytest

from boshgate.backend.stream import BackendStream
from boshgate.bosh.session import Session
from boshgate.listener import HttpProtocol, WebSocketProtocol
from boshgate.sessions.runner import Runner
from boshgate.web.bosh import HttpExchange
from boshgate.web.connection import Connection
from boshgate.xmpp.framer import Framer
from tests.backend.scripted import PATIENCE
from tests.support.memory import flat
from tests.web.conftest import MakeFront
from tests.web.front import (
    BODY,
    CREATE,
    DOMAIN,
    END,
    HANDSHAKE,
    Chat,
    Front,
    XmppServer,
    eventually,
    open_websocket,
    post,
    terminal,
)

KEPT = (
    BackendStream,
    Connection,
    Framer,
    HttpExchange,
    HttpProtocol,
    Runner,
    Session,
    WebSocketProtocol,
)
"""What a client costs while it is there."""


def kept() -> Counter[str]:
    """How many there are of each."""
    gc.collect()
    return Counter(type(found).__name__ for found in gc.get_objects() if isinstance(found, KEPT))


@pytest.mark.parametrize(
    ("inside", "condition"),
    [
        ("<a xmlns='b'>" + "<c/>" * 100_000 + "</a>", "policy-violation"),
        ("<a xmlns='b'" + "".join(f" c{number}=''" for number in range(50_000)) + "/>", "policy-violation"),
        ("<a xmlns='b'>" + "<c>" * 10_000 + "</c>" * 10_000 + "</a>", "policy-violation"),
        ("<a xmlns='b'" + "".join(f" xmlns:c{n}='d'" for n in range(10_000)) + "/>", "policy-violation"),
        ("<a xmlns='b' c='" + "d" * 200_000 + "'/>", "bad-request"),
        ("<a xmlns='b'>" + "x<![CDATA[y]]>&amp;" * 12_000 + "</a>", "bad-request"),
    ],
    ids=["children", "attributes", "depth", "declarations", "attribute", "text runs"],
)
async def test_shapes_of_xml_that_cost_more_than_their_size(
    front: Front, inside: str, condition: str
) -> None:  # attack S1
    body = f"{BODY} rid='1' to='{DOMAIN}' ver='1.11'>{inside}</body>"
    with flat(8 * len(body)):
        assert (await front.post(body)).text == terminal(condition)


async def abandon_a_creation(front: Front) -> None:
    """A session that is never heard of again; the connection stays a moment longer."""
    raw = await front.raw()
    await raw.send(post(CREATE))
    await raw.answer()
    raw.writer.transport.abort()


async def abandon_a_held_creation(front: Front) -> None:
    """Gone before the answer."""
    raw = await front.raw()
    await raw.send(post(CREATE))
    raw.writer.transport.abort()


async def abandon_a_websocket(front: Front) -> None:
    """A WebSocket without ``<open/>``."""
    raw = await front.raw()
    await raw.send(HANDSHAKE)
    await raw.reader.readuntil(b"\r\n\r\n")
    raw.writer.transport.abort()


async def abandon_half_a_request(front: Front) -> None:
    """The head of a request, and a part of its body."""
    raw = await front.raw()
    await raw.send(post(CREATE)[:-20])
    raw.writer.transport.abort()


@pytest.mark.parametrize(
    "abandon",
    [abandon_a_creation, abandon_a_held_creation, abandon_a_websocket, abandon_half_a_request],
)
async def test_abandoned_connections_leave_nothing(
    make_front: MakeFront, abandon: Callable[[Front], Awaitable[None]]
) -> None:  # attack S2
    front = await make_front(bosh={"inactivity": 0.05})
    before = kept()
    for _ in range(6):
        await asyncio.gather(*[abandon(front) for _ in range(25)])
    await eventually(lambda: not (front.server.server_state.connections or front.server.server_state.tasks))
    await eventually(lambda: not (front.gateway.admission.open or front.gateway.backends.live))
    async with asyncio.timeout(PATIENCE):
        while kept() - before:
            await asyncio.sleep(0.05)
    assert front.metric("sessions_open", transport="bosh") == 0
    assert front.metric("sessions_open", transport="websocket") == 0


async def test_pings_are_no_way_to_stay_without_authentication(
    make_front: MakeFront, xmpp_server: XmppServer
) -> None:  # attack S3
    front = await make_front(limits={"auth_timeout": 0.3})
    talk, peer = await open_websocket(front, xmpp_server)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await peer.says("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
    await talk.hears("<failure ")
    hearing = asyncio.create_task(talk.hears_error("connection-timeout"))
    while not hearing.done():
        await talk.websocket.ping()
        await asyncio.sleep(0.02)
    await hearing
    assert loop.time() - began < 1
    assert await peer.hears_rest() == END


async def test_requests_are_no_way_to_stay_without_authentication(
    make_front: MakeFront, xmpp_server: XmppServer
) -> None:  # attack S3
    chat = Chat(await make_front(limits={"auth_timeout": 0.3}))
    await chat.create()
    peer = await xmpp_server.accept()
    answers = [""]
    while "terminate" not in answers[-1]:
        held = await chat.hold()
        await peer.says("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
        answers.append((await held).text)
        await asyncio.sleep(0.02)
    assert answers[-1] == terminal("policy-violation")


async def test_no_header_names_the_software(front: Front) -> None:  # attack S29
    url = f"http://127.0.0.1:{front.port}"
    answers: list[httpx.Response] = [
        await front.post(CREATE),
        await front.post("<"),
        await front.http.get(front.bosh_url),
        await front.http.get(url),
        await front.http.get(f"{url}/nothing"),
    ]
    heads = [str(answer.headers.raw).lower() for answer in answers]
    for request in (HANDSHAKE, HANDSHAKE.replace(": xmpp", ": chat"), "nonsense\r\n\r\n"):
        raw = await front.raw()
        await raw.send(request)
        heads.append((await raw.reader.readuntil(b"\r\n\r\n")).decode().lower())
    for head in heads:
        for word in ("server", "uvicorn", "python", "starlette", "websockets/", "boshgate"):
            assert word not in head
