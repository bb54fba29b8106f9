"""Whole sessions as old and constrained clients hold them, written by hand: no ``ver``, keys, polling."""

import base64
import itertools
from collections.abc import AsyncIterator
from hashlib import sha1
from xml.etree.ElementTree import Element, fromstring

import httpx
import pytest
import pytest_asyncio

from tests.support.clients import HTTPBIND
from tests.support.clients.bosh import body
from tests.support.gateway import Gateway
from tests.support.servers import DOMAIN, PASSWORD

pytestmark = pytest.mark.integration

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
PLAIN = base64.b64encode(f"\0alice\0{PASSWORD}".encode()).decode()
AUTH = f"<auth xmlns='{SASL}' mechanism='PLAIN'>{PLAIN}</auth>"
BIND_IQ = f"<iq xmlns='jabber:client' type='set' id='b1'><bind xmlns='{BIND}'/></iq>"
PING = f"<iq xmlns='jabber:client' type='get' id='p1' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"


class Script:
    """One request after the other; each waits for its answer."""

    def __init__(self, gateway: Gateway, http: httpx.AsyncClient) -> None:
        self.gateway = gateway
        self.http = http
        self.rids = itertools.count(4_000_000)
        self.attributes: dict[str, str] = {}
        self.keys: list[str] = []
        self.answers: list[Element] = []

    async def ask(self, payload: str = "", **attributes: str) -> httpx.Response:
        """Send the next request."""
        named = {name.replace("_", ":"): value for name, value in attributes.items()}
        written = {"rid": str(next(self.rids))} | self.attributes | named
        if self.keys:
            written["newkey" if not self.answers else "key"] = self.keys.pop()
            if len(self.keys) == 0:
                self.keys = sequence(written["key"])
                written["newkey"] = self.keys.pop()
        response = await self.http.post(self.gateway.bosh_url, content=body(written, payload))
        self.answers.append(fromstring(response.content))
        return response

    async def log_in(self, **attributes: str) -> None:
        """From the creation to a bound resource that is used."""
        await self.ask(to=DOMAIN, wait="5", hold="1", xmpp_version="1.0", **attributes)
        self.attributes = {"sid": self.answers[0].get("sid", "")}
        await self.until("features")
        await self.ask(AUTH)
        await self.until("success")
        await self.ask(xmpp_restart="true", to=DOMAIN)
        await self.until("features")
        await self.ask(BIND_IQ)
        await self.until("iq")
        await self.ask(PING)
        await self.until("iq")

    async def until(self, name: str) -> None:
        """Ask until a payload *name* comes."""
        while name not in [payload.tag.partition("}")[2] for payload in self.answers[-1]]:
            assert self.answers[-1].get("type") is None, self.answers[-1].attrib
            await self.ask()


def sequence(seed: str) -> list[str]:
    """K(1) to K(4) (XEP-0124 section 15.3)."""
    keys = []
    for _ in range(4):
        seed = sha1(seed.encode()).hexdigest()
        keys.append(seed)
    return keys


@pytest_asyncio.fixture
async def script(prosody_gateway: Gateway) -> AsyncIterator[Script]:
    """The client."""
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        yield Script(prosody_gateway, http)


def condition(response: httpx.Response) -> tuple[int, str | None, str | None]:
    """The status, and how the session ended."""
    tree = fromstring(response.content)
    assert tree.tag == f"{{{HTTPBIND}}}body"
    return response.status_code, tree.get("type"), tree.get("condition")


@pytest.mark.rule("E13")
async def test_session_without_ver(script: Script) -> None:
    await script.log_in()
    assert condition(await script.ask(rid="1")) == (404, "terminate", "item-not-found")


@pytest.mark.rule("K1", "K2", "K3")
async def test_session_with_key_sequences(script: Script) -> None:
    script.keys = sequence("seed")
    await script.log_in(ver="1.10")
    assert len(script.answers) >= 5, "more than one sequence was used"
    script.keys = []
    assert condition(await script.ask(key="0" * 40)) == (200, "terminate", "item-not-found")


@pytest.mark.rule("A2")
async def test_session_with_acknowledgements(script: Script) -> None:
    await script.log_in(ver="1.8", ack="1")
    assert script.answers[0].get("ack") == "4000000"
    assert condition(await script.ask(type="terminate")) == (200, "terminate", None)


@pytest.mark.rule("O3", "O7")
async def test_polling_session(script: Script) -> None:
    await script.ask(to=DOMAIN, wait="0", hold="0", xmpp_version="1.0", ver="1.6")
    script.attributes = {"sid": script.answers[0].get("sid", "")}
    assert int(script.answers[0].get("inactivity", "0")) > 60 + int(script.answers[0].get("polling", "0"))
    ends = [condition(await script.ask()) for _ in range(5)]
    assert (200, "terminate", "policy-violation") in ends


@pytest.mark.rule("H7", "H8")
async def test_session_of_compressed_requests(script: Script) -> None:
    script.http.headers["Accept-Encoding"] = "gzip;q=1, identity;q=0"
    await script.log_in(ver="1.11")
    response = await script.ask(type="terminate")
    assert response.headers["Content-Encoding"] == "gzip"
    assert condition(response) == (200, "terminate", None)
