"""A BOSH client written by hand: one request after the other, and what each stream brings kept apart."""

import base64
from xml.etree.ElementTree import Element, fromstring

import httpx

from tests.support.clients.bosh import body
from tests.support.servers import PASSWORD

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
BIND_IQ = f"<iq xmlns='jabber:client' type='set' id='b1'><bind xmlns='{BIND}'/></iq>"


class Session:
    """A client whose streams are told apart by the names in the responses (XEP-0124 section 16)."""

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

    async def create(self, to: str) -> None:
        """Create the session, with a stream to the domain *to*."""
        creation = await self.ask(to=to, wait="2", hold="1", ver="1.11", xmpp_version="1.0")
        self.attributes = {"sid": creation.get("sid", "")}
        self.first = creation.get("stream", "")
        self.brought = {self.first: list(creation)}
