"""A client, a server and a clock around one pure session: what is said is XML, and time passes when told."""

from collections.abc import Mapping
from itertools import chain, count
from xml.etree import ElementTree

from boshgate.bosh.body import Body, parse_body
from boshgate.bosh.events import (
    CloseStream,
    Event,
    OpenStream,
    Respond,
    RestartStream,
    ReturnPayloads,
    SendPayloads,
    SessionTerminated,
    Throttle,
)
from boshgate.bosh.policy import SessionPolicy
from boshgate.bosh.session import Session
from boshgate.namespaces import CLIENT, HTTPBIND, SASL, STREAMS, XBOSH
from boshgate.xmpp.xml import Element

FEATURES = f"<stream:features xmlns:stream='{STREAMS}'><mechanisms xmlns='{SASL}'/></stream:features>"
SUCCESS = f"<success xmlns='{SASL}'/>"
STREAM_ERROR = (
    f"<stream:error xmlns:stream='{STREAMS}'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
    "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>Replaced</text></stream:error>"
)
EMPTY = f"<body xmlns='{HTTPBIND}'/>"
POLICY = SessionPolicy(max_wait=60, inactivity=30, max_pause=120, polling=5)


def message(id_: str) -> str:
    """A stanza that can be told from others."""
    return f"<message id='{id_}' xmlns='{CLIENT}'/>"


def element(xml: str) -> Element:
    """The payload that *xml* is."""
    return Element(ElementTree.fromstring(xml).tag, xml.encode())


def request_xml(rid: int | str, *payloads: str, **attributes: str | int) -> str:
    """A request as it is on the wire; ``restart`` and ``version`` are XEP-0206's, ``lang`` is xml:lang."""
    names = {"restart": "xmpp:restart", "version": "xmpp:version", "lang": "xml:lang", "from_": "from"}
    written = "".join(f" {names.get(name, name)}='{value}'" for name, value in attributes.items())
    prefix = f" xmlns:xmpp='{XBOSH}'" if "xmpp:" in written else ""
    return f"<body rid='{rid}'{written} xmlns='{HTTPBIND}'{prefix}>{''.join(payloads)}</body>"


def request(rid: int | str, *payloads: str, **attributes: str | int) -> Body:
    """The request that `request_xml` writes."""
    return parse_body(
        request_xml(rid, *payloads, **attributes).encode(), max_payloads=100, max_stanza_bytes=10_000
    )


class Answer:
    """One HTTP exchange: None of its properties but `body` can be asked before it is answered."""

    def __init__(self, rid: int) -> None:
        self.rid = rid
        self.status = 0
        self.body: str | None = None
        self.lost = False

    @property
    def held(self) -> bool:
        """Nothing was answered yet."""
        return self.body is None

    @property
    def tree(self) -> ElementTree.Element:
        """The response, parsed."""
        assert self.body is not None, "still held"
        tree = ElementTree.fromstring(self.body)
        assert tree.tag == f"{{{HTTPBIND}}}body"
        return tree

    @property
    def attributes(self) -> Mapping[str, str]:
        """The attributes, by expanded name."""
        return self.tree.attrib

    @property
    def type(self) -> str | None:
        """``terminate``, ``error`` or nothing."""
        return self.attributes.get("type")

    @property
    def condition(self) -> str | None:
        """The terminal binding condition."""
        return self.attributes.get("condition")

    @property
    def end(self) -> tuple[str | None, str | None]:
        """Type and condition."""
        return self.type, self.condition

    @property
    def payloads(self) -> list[str]:
        """The local names of the payloads, and the ids of stanzas that have one."""
        return [child.get("id") or child.tag.partition("}")[2] for child in self.tree]

    def __repr__(self) -> str:
        return f"<Answer {self.rid} {self.body}>"


class Chat:
    """The dialogue. `stanzas` is what the server got, `streams` what happened to its stream.

    The first stream is called STREAM, those after it STREAM2, STREAM3, ...; `elsewhere` is what these got.
    """

    def __init__(self, policy: SessionPolicy = POLICY, **attributes: str | int) -> None:
        self.now = 1_000_000
        self.stanzas: list[str] = []
        self.elsewhere: dict[str, list[str]] = {}
        self.streams: list[Event] = []
        self.ended: SessionTerminated | None = None
        self.log: list[Answer] = []
        self.rid = rid = int(attributes.pop("rid", 100))
        attributes = {"to": "example.com", "ver": "1.11", "wait": 60, "hold": 1, **attributes}
        if not attributes["ver"]:
            del attributes["ver"]  # a legacy client
        self.creation = Answer(rid)
        names = chain(["STREAM"], (f"STREAM{number}" for number in count(2)))
        self.session = Session(
            "SID", lambda: next(names), self.creation, request(rid, **attributes), policy, self.now
        )
        self._pump()

    # The client

    def post(self, *payloads: str, rid: int | None = None, **attributes: str | int) -> Answer:
        """Send a request; the rid is the next one unless given."""
        self.rid = rid = self.rid + 1 if rid is None else rid
        answer = Answer(rid)
        body = request(rid, *payloads, sid="SID", **attributes)
        self.session.receive_request(answer, body, self.now)
        self._pump()
        return answer

    def break_(self, answer: Answer) -> None:
        """The connection of *answer* breaks."""
        assert answer.held
        answer.lost = True
        self.session.exchange_lost(answer, self.now)
        self._pump()

    # The server

    def server(self, *payloads: str, stream: str = "STREAM") -> None:
        """The server sends *payloads* in one burst."""
        elements = [element(payload) for payload in payloads]
        self.session.receive_payloads(stream, elements, self.now)
        self._pump()

    def server_opens(
        self,
        authid: str | None = "A1",
        from_: str | None = "example.com",
        version: str | None = "1.0",
        *,
        stream: str = "STREAM",
    ) -> None:
        """The server's stream header arrives."""
        self.session.stream_opened(stream, authid=authid, from_=from_, version=version, now=self.now)
        self._pump()

    def server_closes(self, condition: str | None = None, *, stream: str = "STREAM") -> None:
        """The stream is over: closed by the server, or lost."""
        self.session.stream_closed(stream, condition, self.now)
        self._pump()

    # The gateway

    def terminate(self, condition: str) -> None:
        """The connection manager ends the session."""
        self.session.terminate(condition, self.now)
        self._pump()

    def wait(self, seconds: float) -> None:
        """Let time pass, with the timer going off when it should."""
        end = self.now + int(seconds * 1000)
        while (due := self.session.get_timer()) is not None and due <= end:
            self.now = max(self.now, due)
            self.session.handle_timer(self.now)
            self._pump()
            later = self.session.get_timer()
            assert later is None or later > self.now, "the timer is never in the past once handled"
        self.now = end

    def open(self) -> None:
        """Get as far as the features."""
        self.server_opens()
        self.server(FEATURES)

    def open_stream(self, stream: str) -> None:
        """Get as far as the features of another stream."""
        self.server_opens("A2", "example.net", stream=stream)
        self.server(FEATURES, stream=stream)

    @property
    def alive(self) -> bool:
        """Nobody has ended the session."""
        return self.ended is None and self.session.state.value in ("creating", "open")

    def _pump(self) -> None:
        while (event := self.session.next_event()) is not None:
            assert self.ended is None or isinstance(event, Respond), "SessionTerminated is the last event"
            match event:
                case Respond(exchange, body, status):
                    assert isinstance(exchange, Answer)
                    assert exchange.held, f"{exchange} answered twice"
                    assert not exchange.lost, f"{exchange} is lost"
                    exchange.body = body.decode()
                    exchange.status = status
                    self.log.append(exchange)
                case SendPayloads(stream, payloads):
                    sent = self.stanzas if stream == "STREAM" else self.elsewhere.setdefault(stream, [])
                    sent += [payload.data.decode() for payload in payloads]
                case OpenStream() | RestartStream() | ReturnPayloads() | CloseStream() | Throttle():
                    self.streams.append(event)
                case SessionTerminated():
                    self.ended = event
