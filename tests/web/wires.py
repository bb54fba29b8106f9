"""What BOSH clients in use write, byte for byte: heads, attributes, segments, connections, keys, farewells.

Recorded from the clients themselves; the user's name, the ids and the SASL mechanism (always PLAIN) are ours.
"""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha1

from boshgate.config import BackendAddress, Config, Domain
from boshgate.demo.server import DemoServer
from tests.backend.scripted import Peer
from tests.web.front import Front, RawAnswer, RawConnection, XmppServer, eventually, running

HB = "xmlns='http://jabber.org/protocol/httpbind'"
XBOSH = "xmlns:xmpp='urn:xmpp:xbosh'"
VERSION = f"{XBOSH} xmpp:version='1.0'"
LANG = "xml:lang='en'"
CONTENT = "content='text/xml; charset=utf-8'"
CLIENT = " xmlns='jabber:client'"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
PASSWORD = "playground"
AUTH = (
    f"<auth xmlns='{SASL}' mechanism='PLAIN'>"
    f"{base64.b64encode(f'{chr(0)}alice{chr(0)}{PASSWORD}'.encode()).decode()}</auth>"
)
BIND = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
SESSION = "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>"
ROSTER = "<query xmlns='jabber:iq:roster'/>"
GONE = "<presence type='unavailable' xmlns='jabber:client'/>"


@dataclass(frozen=True)
class Wire:
    """How one client writes."""

    name: str
    creation: str
    """The attributes of its first body, beside rid and xmlns; the domain is localhost."""
    rid: int
    head: tuple[str, ...] = ("Host: 127.0.0.1:{port}", "Content-Type: text/xml; charset=utf-8")
    restart: str = f"to='localhost' {LANG} xmpp:restart='true' {XBOSH}"
    always: str = ""
    """What it writes on every body."""
    stanza: str = CLIENT
    """The declaration on its stanzas; some forget it."""
    length: str = "Content-Length: "
    farewell: str = "terminate"
    last: str = ""
    """The payload of the request that terminates."""
    segments: int = 1
    """2: head and body in separate writes."""
    connections: int = 2
    """Kept alive and used in turn; 0: a new one for each request."""
    version: str = "1.1"
    keys: int = 0
    """Length of its key sequences (XEP-0124 section 15); 0: none."""
    acks: bool = False
    quote: str = "'"
    session: bool = False
    """Whether it still establishes a session (RFC 3921)."""


BROWSER = (
    "Host: 127.0.0.1:{port}",
    "Origin: https://chat.example",
    "Content-Type: text/xml; charset=UTF-8",
    "Accept-Encoding: gzip, deflate, br",
    "Connection: keep-alive",
)

WIRES = [
    Wire(
        "strophe-5",
        f"to='localhost' {LANG} wait='60' hold='1' {CONTENT} ver='1.6' {VERSION}",
        4_294_967_000,
        BROWSER,
        last=GONE,
        session=True,
    ),
    Wire(
        "strophe-1.2.16",
        f"to='localhost' {LANG} wait='60' hold='1' {CONTENT} ver='1.6' {VERSION}",
        (1 << 32) - 1,
        ("Host: 127.0.0.1:{port}", "Content-Type: text/xml; charset=utf-8", "Connection: keep-alive"),
        last=GONE,
        session=True,
    ),
    Wire(
        "converse",
        f"to='localhost' {LANG} wait='59' hold='1' {CONTENT} ver='1.6' {VERSION}",
        3_123_456_789,
        BROWSER,
        last=GONE,
        session=True,
        quote='"',
    ),
    Wire(
        "stanza-12",
        f"to='localhost' {LANG} wait='30' hold='2' ver='1.6' {VERSION}",
        4_200_000_000,
        ("Host: 127.0.0.1:{port}", "content-type: text/xml; charset=utf-8", "Connection: keep-alive"),
        quote='"',
    ),
    Wire(
        "stanza.io-10",
        f"to='localhost' {LANG} wait='30' hold='1' ver='1.6' {VERSION}",
        8_589_934_000,
        ("Host: 127.0.0.1:{port}", "Content-Type: text/xml"),
        quote='"',
    ),
    Wire(
        "node-xmpp-client",
        f"to='localhost' wait='60' hold='1' {CONTENT} ver='1.6' {VERSION}",
        9_999_999_000,
        always="xmlns:stream='http://etherx.jabber.org/streams'",
        restart=f"to='localhost' xmpp:restart='true' {XBOSH}",
        quote='"',
    ),
    Wire(
        "JSJaC",
        f"to='localhost' {LANG} wait='300' hold='1' {CONTENT} ver='1.10' {VERSION}",
        123_456,
        BROWSER,
        keys=16,
        session=True,
    ),
    Wire(
        "gloox",
        f"to='localhost' route='xmpp:localhost:5222' {LANG} wait='30' hold='1' {CONTENT} ver='1.6'"
        f" secure='false' ack='0' {VERSION}",
        1_700_000_000,
        (
            "Host: 127.0.0.1:5222",
            "Connection: keep-alive",
            "User-Agent: gloox/1.0",
            "Content-Type: text/xml; charset=utf-8",
        ),
        farewell="terminal",
        session=True,
    ),
    Wire(
        "libpurple",
        f"to='localhost' {LANG} wait='60' hold='1' {CONTENT} ver='1.6' secure='true' {VERSION}",
        1 << 50,
        (
            "Host: 127.0.0.1",
            "User-Agent: Pidgin 2.14.12 (libpurple 2.14.12)",
            "Content-Encoding: text/xml; charset=utf-8",
        ),
        last="<a xmlns='urn:xmpp:sm:3' h='3'/>",
        session=True,
    ),
    Wire(
        "Swiften",
        f"to='localhost' {LANG} wait='60' hold='1' {CONTENT} ver='1.6'"
        " xmlns:xmpp='urn:xmpp:bosh' xmpp:version='1.0'",
        (1 << 53) - 1000,
        ("Host: 127.0.0.1:{port}",),
        restart=f"{LANG} xmpp:restart='true' {XBOSH}",
    ),
    Wire(
        "jbosh",
        f"to='localhost' {LANG} wait='60' hold='1' ver='1.8' ack='1' {VERSION}",
        (1 << 53) - 1_000_000,
        ("Host: 127.0.0.1:{port}", "Content-Type: text/xml; charset=utf-8", "Connection: Keep-Alive"),
        acks=True,
    ),
    Wire(
        "xmpp4r",
        f"to='localhost' wait='20' hold='1' {CONTENT} secure='true'",
        4711,
        restart=f"xmpp:restart='true' {XBOSH}",
        stanza="",
        last=GONE,
        segments=2,
        connections=0,
    ),
    Wire(
        "tclxmpp",
        f"to='localhost' {LANG} wait='30' hold='1' ver='1.10' {VERSION}",
        7_654_321,
        (
            "Host: 127.0.0.1:{port}",
            "User-Agent: Tcl http client package 2.9.5",
            "Content-Type: text/xml; charset=utf-8",
            "Connection: close",
            "Accept: */*",
            "Accept-Encoding: gzip,deflate,compress",
        ),
        restart=f"to='localhost' {LANG} ver='1.10' xmpp:version='1.0' xmpp:restart='true' {XBOSH}",
        segments=2,
        connections=0,
        keys=12,
    ),
    Wire(
        "tsung",
        f"to='localhost' wait='60' hold='1' {CONTENT} ver='1.8' {VERSION}",
        54_321,
        ("Host:127.0.0.1", "Content-Type:text/xml; charset=utf-8", "keep-alive:true"),
        restart=f"to='localhost' xmpp:restart='true' {XBOSH}",
        stanza="",
        length="Content-Length:",
    ),
]


NAMED = {wire.name: wire for wire in WIRES}


@dataclass
class Script:
    """A client at work: it writes as *wire* says."""

    front: Front
    wire: Wire
    domain: str = "localhost"
    sid: str = ""
    answers: list[RawAnswer] = field(default_factory=list)
    _requests: int = 0
    _keys: list[str] = field(default_factory=list)
    _kept: list[RawConnection] = field(default_factory=list)

    def body(self, payload: str = "", more: str = "") -> str:
        """The next request; *more* attributes."""
        wire = self.wire
        written = [HB, f"rid='{wire.rid + self._requests}'"]
        written += [f"sid='{self.sid}'"] if self.sid else []
        written += [each for each in (wire.always, more, self._next_keys()) if each]
        if wire.acks and self.sid:
            written.append(f"ack='{wire.rid + self._requests - 1}'")
        self._requests += 1
        tag = f"<body {' '.join(written)}".replace("'localhost'", f"'{self.domain}'").replace("'", wire.quote)
        return f"{tag}>{payload}</body>" if payload else f"{tag} />"

    def _next_keys(self) -> str:
        """Key and new key, as section 15 wants them: both, where one sequence ends and another begins."""
        if not self.wire.keys:
            return ""
        written = []
        if self.sid:
            written.append(f"key='{self._keys.pop()}'")
        if not self._keys:
            key = f"seed{self._requests}"
            for _ in range(self.wire.keys):
                key = sha1(key.encode()).hexdigest()
                self._keys.append(key)
            written.append(f"newkey='{self._keys.pop()}'")
        return " ".join(written)

    async def connection(self) -> RawConnection:
        """The connection for the next request."""
        if not self.wire.connections:
            return await self.front.raw()
        if len(self._kept) < self.wire.connections:
            self._kept.append(await self.front.raw())
        return self._kept[self._requests % len(self._kept)]

    async def send(self, body: str) -> RawConnection:
        """Write a request."""
        raw = await self.connection()
        lines = [line.format(port=self.front.port) for line in self.wire.head]
        head = [
            f"POST /http-bind HTTP/{self.wire.version}",
            *lines,
            f"{self.wire.length}{len(body.encode())}",
        ]
        whole = "\r\n".join(head) + "\r\n\r\n", body
        await raw.send(*(whole if self.wire.segments == 2 else ["".join(whole)]))
        return raw

    async def ask(self, payload: str = "", more: str = "", *, until: str = "") -> str:
        """Send a request and read its answer; send empty ones until *until* has come."""
        body = self.body(payload, more)
        while True:
            raw = await self.send(body)
            self.answers.append(await raw.answer())
            if not self.wire.connections:
                if "Connection: close" in self.wire.head or self.wire.version == "1.0":
                    assert await raw.rest() == b""
                await raw.close()
            text = self.answers[-1].body
            if until in text:
                return text
            assert "type='" not in text.partition(">")[0], text
            body = self.body()

    async def create(self) -> str:
        """The first request; the session it made is used from now on."""
        text = await self.ask(more=self.wire.creation)
        self.sid = text.partition("sid='")[2].partition("'")[0]
        return text

    async def create_before(self, server: XmppServer) -> Peer:
        """Like `create`, with a server that follows the test's script."""
        await self.create()
        return await server.accept()

    async def hold(self, payload: str = "", more: str = "") -> RawConnection:
        """Send a request that is going to be held; the gateway has got it."""
        before = self.front.gateway.metrics.bosh.requests
        raw = await self.send(self.body(payload, more))
        await eventually(lambda: self.front.gateway.metrics.bosh.requests > before)
        return raw

    def iq(self, kind: str, payload: str) -> str:
        """A query to the server."""
        return f"<iq type='{kind}' id='q{self._requests}'{self.wire.stanza}>{payload}</iq>"

    async def log_in(self) -> None:
        """From the first request to a user who is present."""
        await self.create()
        await self.ask(AUTH, until="<success")
        await self.ask(more=self.wire.restart, until="urn:ietf:params:xml:ns:xmpp-bind")
        await self.ask(self.iq("set", BIND), until="<jid>alice@localhost/")
        if self.wire.session:
            await self.ask(self.iq("set", SESSION), until="type='result'")
        await self.ask(self.iq("get", ROSTER), until="bob@localhost")
        await self.ask(f"<presence{self.wire.stanza}/>", until="<presence")

    async def log_out(self) -> str:
        """The last request."""
        return await self.ask(self.wire.last, f"type='{self.wire.farewell}'", until="type='terminate'")


@asynccontextmanager
async def playground() -> AsyncIterator[tuple[Front, DemoServer]]:
    """A gateway in front of the demo server."""
    async with DemoServer(password=PASSWORD) as server:
        address = BackendAddress(scheme="tcp", host="127.0.0.1", port=server.port)
        async with running(Config(domains=(Domain(name="localhost", backends=(address,)),))) as front:
            yield front, server
