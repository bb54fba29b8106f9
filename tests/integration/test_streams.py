"""Two streams to two domains of one server in one BOSH session (XEP-0124 section 16), written by hand."""

import base64
from collections.abc import AsyncIterator
from xml.etree.ElementTree import Element, fromstring

import httpx
import pytest
import pytest_asyncio

from tests.support.clients import BoshConnection, Client
from tests.support.clients.bosh import body
from tests.support.gateway import Gateway
from tests.support.servers import DOMAIN, PASSWORD, TLS_DOMAIN, Prosody

pytestmark = pytest.mark.integration

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
BIND_IQ = f"<iq xmlns='jabber:client' type='set' id='b1'><bind xmlns='{BIND}'/></iq>"


class Session:
    """A client that keeps what each of its streams brings apart, by the names in the responses."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url = url
        self.http = http
        self.rid = 7_000_000
        self.attributes: dict[str, str] = {}
        self.first = ""
        self.brought: dict[str, list[Element]] = {}
        self.ends: dict[str, str | None] = {}

    async def ask(self, payload: str = "", **attributes: str) -> Element:
        """Send the next request."""
        self.rid += 1
        named = {name.replace("_", ":"): value for name, value in attributes.items()}
        written = {"rid": str(self.rid)} | self.attributes | named
        response = await self.http.post(self.url, content=body(written, payload))
        answer = fromstring(response.content)
        name = answer.get("stream", self.first)
        self.brought.setdefault(name, []).extend(answer)
        if answer.get("type") is not None:
            self.ends[name if "stream" in answer.attrib else ""] = answer.get("condition")
        return answer

    async def until(self, stream: str, name: str) -> Element:
        """Ask until *stream* brings an element *name*."""
        for _ in range(20):
            for found in self.brought.get(stream, []):
                if found.tag.partition("}")[2] == name:
                    self.brought[stream].remove(found)
                    return found
            await self.ask()
        raise AssertionError(f"no {name} in {self.brought}")

    async def log_in(self, stream: str, user: str) -> str:
        """SASL, restart and binding on *stream*, whose features are there; return the full JID."""
        await self.until(stream, "features")
        initial = base64.b64encode(f"\0{user}\0{PASSWORD}".encode()).decode()
        await self.ask(f"<auth xmlns='{SASL}' mechanism='PLAIN'>{initial}</auth>", stream=stream)
        await self.until(stream, "success")
        await self.ask(stream=stream, xmpp_restart="true")
        await self.until(stream, "features")
        await self.ask(BIND_IQ, stream=stream)
        jid = (await self.until(stream, "iq")).findtext(f".//{{{BIND}}}jid")
        assert jid is not None
        return jid


@pytest_asyncio.fixture
async def session(prosody_gateway: Gateway) -> AsyncIterator[Session]:
    """Created, with one stream to DOMAIN."""
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        session = Session(prosody_gateway.bosh_url, http)
        creation = await session.ask(to=DOMAIN, wait="2", hold="1", ver="1.11", xmpp_version="1.0")
        session.attributes = {"sid": creation.get("sid", "")}
        session.first = creation.get("stream", "")
        session.brought = {session.first: list(creation)}
        yield session


@pytest.mark.rule("M1", "M3", "M4", "M7")
async def test_two_accounts_on_two_domains_in_one_session(
    prosody: Prosody, prosody_gateway: Gateway, session: Session
) -> None:
    first = session.first
    here = await session.log_in(first, prosody.new_user())
    second = (await session.ask(to=TLS_DOMAIN, xml_lang="en", xmpp_version="1.0")).get("stream", "")
    assert second not in ("", first)
    there = await session.log_in(second, prosody.new_user())
    assert here.partition("@")[2].partition("/")[0] == DOMAIN
    assert there.partition("@")[2].partition("/")[0] == TLS_DOMAIN

    # Each hears those who write to it, under its name, and a broadcast presence reaches both servers.
    await session.ask("<presence xmlns='jabber:client'/>")
    for stream in (first, second):
        await session.until(stream, "presence")
    for domain, jid, stream in ((DOMAIN, here, first), (TLS_DOMAIN, there, second)):
        async with Client(BoshConnection(domain, prosody_gateway.bosh_url)) as friend:
            await friend.login(prosody.new_user(), PASSWORD)
            await friend.send_message(jid, f"to {domain}")
            assert (await session.until(stream, "message")).findtext("{jabber:client}body") == f"to {domain}"

    # One is closed, the other goes on; with the last one the session is over.
    await session.ask("<presence xmlns='jabber:client' type='unavailable'/>", stream=second, type="terminate")
    while second not in session.ends:
        await session.ask()
    assert session.ends == {second: None}
    ping = f"<iq xmlns='jabber:client' type='get' id='p1' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"
    await session.ask(ping)
    assert (await session.until(first, "iq")).get("id") == "p1"
    answer = await session.ask(stream=first, type="terminate")
    assert (answer.get("type"), answer.get("condition"), answer.get("stream")) == ("terminate", None, None)


@pytest.mark.rule("M8", "E2")
async def test_a_stream_that_cannot_be_had_leaves_others_alone(prosody: Prosody, session: Session) -> None:
    await session.log_in(session.first, prosody.new_user())
    refused = await session.ask(to="nobody.example")
    assert (refused.get("type"), refused.get("condition")) == ("terminate", "host-unknown")
    assert refused.get("stream") not in (None, session.first)
    ping = f"<iq xmlns='jabber:client' type='get' id='p1' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"
    await session.ask(ping)
    assert (await session.until(session.first, "iq")).get("id") == "p1"
