"""The checks of the discovery documents, against documents that are right and documents that are not."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from boshgate.conformance.check import Outcome
from boshgate.conformance.target import Target
from tests.conformance_kit.front import CHECKS, result_of

DOMAIN = "example.org"
XBOSH, WEBSOCKET = "urn:xmpp:alt-connections:xbosh", "urn:xmpp:alt-connections:websocket"
LINKS = {XBOSH: "https://chat.example.org/http-bind", WEBSOCKET: "wss://chat.example.org/xmpp-websocket"}


@dataclass(frozen=True)
class Site:
    """What a web server says of its domain."""

    links: Mapping[str, str] | None = None
    json_links: Mapping[str, str] | None = None
    xml_type: str = "application/xrd+xml"
    json_type: str = "application/json"
    origin: str = "*"
    hosts: tuple[str, ...] = (DOMAIN,)
    there: bool = True

    def answer(self, request: str) -> bytes:
        path = request.split(" ")[1]
        host = next(line[6:].strip() for line in request.splitlines() if line.lower().startswith("host: "))
        if not self.there or host not in self.hosts:
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        links = self.links or LINKS
        if path.endswith(".json"):
            pairs = (self.json_links or links).items()
            content = json.dumps({"links": [{"rel": rel, "href": href} for rel, href in pairs]})
            kind = self.json_type
        else:
            items = "".join(f"<Link rel='{rel}' href='{href}'/>" for rel, href in links.items())
            content = f"<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>{items}</XRD>"
            kind = self.xml_type
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
        return f"{head}Access-Control-Allow-Origin: {self.origin}\r\n\r\n{content}".encode()


@asynccontextmanager
async def serving(site: Site) -> AsyncIterator[Target]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(site.answer((await reader.readuntil(b"\r\n\r\n")).decode()))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield Target(f"http://127.0.0.1:{port}/http-bind", None, DOMAIN)


GOOD = Site()
CLEAR = {XBOSH: "http://chat.example.org/http-bind"}
FAULTS = {
    "discovery.host_meta_names_the_endpoints": replace(GOOD, links={"author": "https://example.org/"}),
    "discovery.host_meta_json_names_the_endpoints": replace(
        GOOD, json_links={"author": "https://example.org/"}
    ),
    "discovery.the_documents_have_their_types": replace(GOOD, json_type="text/html"),
    "discovery.both_documents_say_the_same": replace(GOOD, json_links=CLEAR),
    "discovery.links_are_secure": replace(GOOD, links=CLEAR),
    "discovery.pages_may_read_them": replace(GOOD, origin="https://example.org"),
    "discovery.another_domain_has_none": replace(GOOD, hosts=(DOMAIN, "no-such-domain.invalid")),
    "discovery.clear_text_is_refused": GOOD,
}
"""What each check is to notice; the last one minds that it is served in clear at all."""


def test_every_check_has_its_fault() -> None:
    assert {name for name in CHECKS if name.startswith("discovery.")} == set(FAULTS)


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_noticed(name: str) -> None:
    async with serving(FAULTS[name]) as target:
        result = await result_of(name, target)
    assert result.outcome is Outcome.FAILS, result.reason


@pytest.mark.parametrize("name", [name for name in FAULTS if FAULTS[name] is not GOOD])
async def test_documents_that_are_right_hold(name: str) -> None:
    async with serving(GOOD) as target:
        result = await result_of(name, target)
    assert result.outcome is Outcome.OK, result.reason


@pytest.mark.parametrize("name", FAULTS)
async def test_where_there_are_none_nothing_is_offered(name: str) -> None:
    async with serving(replace(GOOD, there=False)) as target:
        result = await result_of(name, target)
    assert result.outcome is Outcome.NOT_OFFERED, result.reason
