"""The demo server: accounts that live as long as the process, everybody in everybody's roster (RFC 6121)."""

import asyncio
import re
import secrets
from collections import defaultdict
from typing import Final, Self
from xml.etree.ElementTree import Element as Tree

from boshgate.demo.sasl import Accounts
from boshgate.demo.stream import SESSION, ClientStream
from boshgate.namespaces import CLIENT, STANZA_ERRORS
from boshgate.xmpp.xml import TAG, Element, escape_attribute

USERS: Final = ("alice", "bob", "carol")
PING: Final = "urn:xmpp:ping"
ROSTER: Final = "jabber:iq:roster"
INFO: Final = "http://jabber.org/protocol/disco#info"
ITEMS: Final = "http://jabber.org/protocol/disco#items"

_IDENTITY: Final = "<identity category='server' type='im' name='boshgate demo'/>"
_FEATURES: Final = "".join(f"<feature var='{name}'/>" for name in (INFO, ITEMS, PING, ROSTER))
_ANSWERS: Final = {
    ("get", f"{{{PING}}}ping"): "",  # XEP-0199 section 4.1
    ("set", f"{{{SESSION}}}session"): "",
    (
        "get",
        f"{{{INFO}}}query",
    ): f"<query xmlns='{INFO}'>{_IDENTITY}{_FEATURES}</query>",  # XEP-0030 section 3.1
    ("get", f"{{{ITEMS}}}query"): f"<query xmlns='{ITEMS}'/>",  # XEP-0030 section 4.1
}
_ATTRIBUTE: Final = re.compile(rb"""([^\s=]+)\s*=\s*("[^"]*"|'[^']*')""")


class DemoServer:
    """An XMPP server on a loopback port that the system chooses; *password* is everybody's, or is made up."""

    def __init__(self, domain: str = "localhost", *, password: str | None = None) -> None:
        self.domain = domain
        self.accounts = Accounts(domain, USERS, password or secrets.token_hex(4))
        self.streams: set[ClientStream] = set()
        self.port = 0
        self._server: asyncio.Server | None = None
        self._bound: dict[str, dict[str, ClientStream]] = defaultdict(dict)  # bare -> resource -> stream

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: ClientStream(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End every stream with ``system-shutdown`` (RFC 6120 section 4.9.3.23)."""
        if self._server is not None:
            self._server.close()
            for stream in list(self.streams):
                stream.fail("system-shutdown")
            await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def banner(self) -> str:
        who = ", ".join(f"{user}@{self.domain}" for user in USERS)
        warning = (
            "A playground: the XMPP server lives in this process, keeps nothing, and is not for real use."
        )
        return f"{warning}\nLog in as {who} with the password {self.accounts.password}"

    def bind(self, stream: ClientStream) -> None:
        """Who binds a resource that is taken replaces the older session (RFC 6120 section 7.7.2.2)."""
        for older in self._find(stream.jid):
            self.end(older)
            older.fail("conflict")
        self._bound[stream.bare][stream.resource] = stream

    def end(self, stream: ClientStream) -> None:
        """The client is gone; where it did not say so, the server does (RFC 6121 section 4.5.2)."""
        if stream.presence is not None:
            gone = _stamp(b"<presence type='unavailable'/>", b"from", stream.jid)
            self._receive_presence(stream, "unavailable", gone)
        if self._bound[stream.bare].get(stream.resource) is stream:
            del self._bound[stream.bare][stream.resource]

    def route(self, stream: ClientStream, element: Element, stanza: Tree) -> None:
        """Deliver or answer one stanza of a bound client (RFC 6121 section 8)."""
        to = stanza.get("to", stream.bare)
        bare, _, resource = to.partition("/")
        kind = stanza.tag.removeprefix(f"{{{CLIENT}}}")
        data = _stamp(element.data, b"from", stream.jid)
        if kind == "presence" and stanza.get("to") is None:
            self._receive_presence(stream, stanza.get("type"), data)
        elif kind == "iq" and to.lower() in (self.domain, stream.bare):
            self._answer(stream, stanza)
        else:
            found = self._find(to) if resource or kind != "iq" else []  # 8.5.2.1.3: no iq to a bare address
            if not found and kind == "message":
                found = self._find(bare)  # 8.5.3.2.1: that resource is gone, others may be there
            for other in found:
                other.send(data)
            if not found and kind != "presence":
                self._refuse(stream, stanza, "service-unavailable")  # 8.5.1, 8.5.2.2: nothing is stored

    def _find(self, jid: str) -> list[ClientStream]:
        """The stream of a full address, or the available ones of a bare address."""
        bare, _, resource = jid.partition("/")
        bound = self._bound.get(bare.lower(), {})
        if resource:
            return [bound[resource]] if resource in bound else []
        return [stream for stream in bound.values() if stream.presence is not None]

    def _receive_presence(self, stream: ClientStream, kind: str | None, data: bytes) -> None:
        """RFC 6121 section 4; subscriptions (section 3) go nowhere, as rosters are fixed."""
        if kind not in (None, "unavailable"):
            return
        audience = [other for jid in (stream.bare, *self._contacts(stream)) for other in self._find(jid)]
        for other in dict.fromkeys((stream, *audience)):
            other.send(_stamp(data, b"to", other.bare))  # 4.2.2, 4.4.2, 4.5.2
        if kind is None and stream.presence is None:
            stream.send(
                b"".join(other.presence or b"" for other in audience)
            )  # 4.3: what a probe would bring
        stream.presence = data if kind is None else None

    def _contacts(self, stream: ClientStream) -> list[str]:
        jids = [f"{user}@{self.domain}" for user in USERS]
        return [jid for jid in jids if jid != stream.bare] if stream.bare in jids else []

    def _answer(self, stream: ClientStream, stanza: Tree) -> None:
        """An iq to the server or to the client's own account (RFC 6120 section 8.2.3)."""
        request = (stanza.get("type", ""), stanza[0].tag if len(stanza) == 1 else "")
        if request[0] in ("get", "set") and not (request[1] and stanza.get("id")):
            self._refuse(stream, stanza, "bad-request")
        elif request == ("get", f"{{{ROSTER}}}query"):  # RFC 6121 section 2.2
            items = (f"<item jid='{jid}' subscription='both'/>" for jid in self._contacts(stream))
            stream.send(_reply(stream, stanza, "result", f"<query xmlns='{ROSTER}'>{''.join(items)}</query>"))
        elif request in _ANSWERS:
            stream.send(_reply(stream, stanza, "result", _ANSWERS[request]))
        else:
            self._refuse(stream, stanza, "service-unavailable")  # 8.4

    def _refuse(self, stream: ClientStream, stanza: Tree, condition: str) -> None:
        if stanza.get("type") not in ("error", "result"):  # RFC 6120 section 8.3.1: no error answers an error
            error = f"<error type='cancel'><{condition} xmlns='{STANZA_ERRORS}'/></error>"
            stream.send(_reply(stream, stanza, "error", error))


def _reply(stream: ClientStream, stanza: Tree, kind: str, payload: str) -> str:
    attributes = {"type": kind, "to": stream.jid, "id": stanza.get("id"), "from": stanza.get("to")}
    given = "".join(f" {name}='{escape_attribute(value)}'" for name, value in attributes.items() if value)
    return "<{0}{1}>{2}</{0}>".format(stanza.tag.removeprefix(f"{{{CLIENT}}}"), given, payload)


def _stamp(data: bytes, name: bytes, value: str) -> bytes:
    """Set one attribute of a stanza; every other byte stays."""
    tag = TAG.match(data)
    assert tag is not None, "the framer cut a whole element"
    kept = [b" " + each[0] for each in _ATTRIBUTE.finditer(tag[2]) if each[1] != name]
    own = b" " + name + b"='" + escape_attribute(value).encode() + b"'"
    return b"<" + tag[1] + b"".join(kept) + own + tag[3] + b">" + data[tag.end() :]
