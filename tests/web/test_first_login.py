"""Each BOSH client in use logs in, is present and leaves, as its bytes stand on the wire."""

from collections.abc import AsyncIterator
from xml.etree import ElementTree

import pytest

from boshgate.demo.server import DemoServer
from tests.web.front import Front, RawAnswer, eventually
from tests.web.wires import WIRES, Script, Wire, playground

DEFAULT = "text/xml; charset=utf-8"


@pytest.fixture
async def world() -> AsyncIterator[tuple[Front, DemoServer]]:
    async with playground() as made:
        yield made


def check(answer: RawAnswer) -> None:
    """What holds for every answer."""
    assert answer.status == 200
    assert answer.headers["content-type"] == DEFAULT
    assert ElementTree.fromstring(answer.body).tag == "{http://jabber.org/protocol/httpbind}body"


@pytest.mark.rule("B10", "C13", "H1", "P3")
@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
async def test_first_login(world: tuple[Front, DemoServer], wire: Wire) -> None:
    front, server = world
    script = Script(front, wire)
    await script.log_in()
    for number in range(wire.keys + 2):  # past the end of a key sequence
        await script.ask(
            f"<message to='alice@localhost' id='m{number}'{wire.stanza}><body>hi</body></message>",
            until=f"id='m{number}'",
        )
    assert "type='terminate'" in await script.log_out()
    for answer in script.answers:
        check(answer)
    await eventually(lambda: not server.streams)


@pytest.mark.rule("H2", "H15", "HC25", "HC25b")
@pytest.mark.parametrize("host", [(), ("Host: localhost",)], ids=["no host", "host"])
async def test_a_whole_login_in_http_1_0(world: tuple[Front, DemoServer], host: tuple[str, ...]) -> None:
    front, server = world
    creation = "to='localhost' wait='20' hold='1' ver='1.6'"
    script = Script(front, Wire("old", creation, 1000, host, connections=0, version="1.0"))
    await script.log_in()
    await script.log_out()
    for answer in script.answers:
        check(answer)
        assert answer.headers["connection"] == "close"
        assert answer.headers["pragma"] == "no-cache"
    await eventually(lambda: not server.streams)


@pytest.mark.rule("H2", "H5", "HC25", "HC25c")
async def test_a_whole_login_with_each_request_on_another_connection(
    world: tuple[Front, DemoServer],
) -> None:
    front, server = world
    head = ("Host: x", "Content-Type: text/plain")
    script = Script(front, Wire("page", "to='localhost' wait='20' ver='1.11'", 1000, head, connections=0))
    await script.log_in()
    await script.log_out()
    for answer in script.answers:
        check(answer)
        assert "pragma" not in answer.headers
    await eventually(lambda: not server.streams)
