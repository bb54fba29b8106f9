"""One client's stream to the demo server: header, SASL, resource binding (RFC 6120 sections 4, 6 and 7)."""

import asyncio
import secrets
from base64 import b64encode
from typing import TYPE_CHECKING, Final, cast
from xml.etree.ElementTree import Element as Tree

from boshgate.demo.sasl import MECHANISMS, Conversation, Login, SaslFailure, proceed
from boshgate.namespaces import BIND, CLIENT, SASL, STREAM_ERRORS, STREAMS
from boshgate.xmpp.framer import Framer, FramerEvent, StreamClosed, StreamFailed, StreamHeader, StreamOpened
from boshgate.xmpp.xml import Element, escape_attribute, escape_text, parse_document

if TYPE_CHECKING:
    from boshgate.demo.server import DemoServer

SESSION: Final = "urn:ietf:params:xml:ns:xmpp-session"  # RFC 3921 section 3: useless, but some ask for it
MAX_STANZA_BYTES: Final = 1_000_000
MAX_UNSENT_BYTES: Final = 8_000_000  # a client that does not read is cut off here

_STANZAS: Final = {f"{{{CLIENT}}}{kind}" for kind in ("iq", "message", "presence")}
_OFFER: Final = "".join(f"<mechanism>{name}</mechanism>" for name in MECHANISMS)
_LOGIN_FEATURES: Final = f"<mechanisms xmlns='{SASL}'>{_OFFER}</mechanisms>"
_BIND_FEATURES: Final = f"<bind xmlns='{BIND}'/><session xmlns='{SESSION}'><optional/></session>"


class ClientStream(asyncio.Protocol):
    """The stream and what is known of its client: *bare* after SASL, *jid* after binding."""

    def __init__(self, server: "DemoServer") -> None:
        self._server = server
        self._framer = Framer(max_element_bytes=MAX_STANZA_BYTES)
        self._conversation: Conversation | None = None
        self._header_sent = False
        self.bare = self.resource = self.jid = ""
        self.presence: bytes | None = None  # what was broadcast last, while available (RFC 6121 section 4.2)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server.streams.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._server.streams.discard(self)
        self._server.end(self)

    def data_received(self, data: bytes) -> None:
        for event in self._framer.receive_data(data):
            if not self._transport.is_closing():
                self._receive(event)

    def send(self, data: str | bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data.encode() if isinstance(data, str) else data)
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self._transport.abort()

    def fail(self, condition: str) -> None:
        """Send a stream error and end the stream (RFC 6120 section 4.9.1.1)."""
        if not self._header_sent:
            self._send_header()  # 4.9.1.2: also where the client's header is what is wrong
        self.send(f"<stream:error><{condition} xmlns='{STREAM_ERRORS}'/></stream:error></stream:stream>")
        self._transport.close()

    def _receive(self, event: FramerEvent) -> None:
        match event:
            case StreamOpened(header):
                self._open(header)
            case StreamFailed(condition):
                self.fail(condition)
            case StreamClosed():
                self.send("</stream:stream>")  # RFC 6120 section 4.4
                self._transport.close()
            case Element():
                self._receive_element(event, parse_document(event.data, limits=None))

    def _open(self, header: StreamHeader) -> None:
        if (header.to or "").lower() != self._server.domain:
            self.fail("host-unknown")  # 4.9.3.6
        elif not header.version or header.version.startswith("0."):
            self.fail("unsupported-version")  # 4.9.3.25
        else:
            self._send_header()
            self.send(
                f"<stream:features>{_BIND_FEATURES if self.bare else _LOGIN_FEATURES}</stream:features>"
            )

    def _send_header(self) -> None:
        self._header_sent = True
        own = f"id='{secrets.token_hex(8)}' from='{escape_attribute(self._server.domain)}' version='1.0'"
        namespaces = f"xmlns='{CLIENT}' xmlns:stream='{STREAMS}'"
        self.send(f"<?xml version='1.0'?><stream:stream {namespaces} {own} xml:lang='en'>")

    def _receive_element(self, element: Element, tree: Tree) -> None:
        if not self.bare:
            self._authenticate(tree)
        elif element.name not in _STANZAS:
            self.fail("unsupported-stanza-type")  # 4.9.3.24
        elif not self.resource:
            self._bind(tree)
        elif tree.get("from", self.bare) not in (self.bare, self.jid):
            self.fail("invalid-from")  # 4.9.3.9
        else:
            self._server.route(self, element, tree)

    def _authenticate(self, tree: Tree) -> None:
        try:
            if tree.tag == f"{{{SASL}}}auth":
                mechanism = MECHANISMS.get(tree.get("mechanism", ""))
                if mechanism is None:
                    raise SaslFailure("invalid-mechanism")  # 6.5.7
                self._conversation = mechanism(self._server.accounts)
                challenge = next(self._conversation)
                # 6.4.2: without an initial response the mechanism's first challenge goes out.
                self._answer(proceed(self._conversation, tree.text) if tree.text else challenge)
            elif tree.tag == f"{{{SASL}}}response" and self._conversation is not None:
                self._answer(proceed(self._conversation, tree.text or ""))
            elif tree.tag.startswith(f"{{{SASL}}}"):
                raise SaslFailure("aborted")  # 6.5.1
            else:
                self.fail("not-authorized")  # 4.9.3.12: a stanza before the login
        except SaslFailure as failure:
            self._conversation = None
            self.send(f"<failure xmlns='{SASL}'><{failure}/></failure>")

    def _answer(self, said: bytes | Login) -> None:
        if isinstance(said, bytes):
            self.send(f"<challenge xmlns='{SASL}'>{b64encode(said).decode()}</challenge>")
        else:
            user, data = said
            self.bare = f"{user}@{self._server.domain}"
            self.send(f"<success xmlns='{SASL}'>{b64encode(data).decode()}</success>")
            self._header_sent = False
            self._framer.reset()  # 6.4.6: a new stream on the same connection

    def _bind(self, tree: Tree) -> None:
        bind = tree.find(f"{{{BIND}}}bind")
        if bind is None or tree.get("type") != "set":
            self.fail("not-authorized")  # 7.1: no stanza before binding
            return
        self.resource = bind.findtext(f"{{{BIND}}}resource") or secrets.token_hex(4)  # 7.6, 7.7
        self.jid = f"{self.bare}/{self.resource}"
        self._server.bind(self)
        answer = f"<bind xmlns='{BIND}'><jid>{escape_text(self.jid)}</jid></bind>"
        self.send(f"<iq type='result' id='{escape_attribute(tree.get('id', ''))}'>{answer}</iq>")
