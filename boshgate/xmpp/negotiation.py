"""What the gateway says to a server before the client speaks (RFC 6120 sections 4 and 5).

Pure: stream events in, actions out. Where TLS is the policy nothing but a header and ``<starttls/>`` is ever
sent in clear (RFC 7590 section 3.1).
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from boshgate.namespaces import CLIENT, SASL, STREAM_ERRORS, STREAMS, TLS
from boshgate.xmpp.framer import FramerEvent, StreamClosed, StreamFailed, StreamHeader, StreamOpened
from boshgate.xmpp.xml import Element, escape_attribute, parse_document

STREAM_END: Final = b"</stream:stream>"
"""RFC 6120 section 4.4."""

STARTTLS: Final = f"<starttls xmlns='{TLS}'/>".encode()
"""RFC 6120 section 5.4.2.1."""

_FEATURES: Final = f"{{{STREAMS}}}features"
_ERROR: Final = f"{{{STREAMS}}}error"
_STARTTLS: Final = f"{{{TLS}}}starttls"
_SASL_SUCCESS: Final = f"{{{SASL}}}success"


def stream_header(*, to: str, from_: str | None = None, lang: str | None = None) -> bytes:
    """Return XML declaration and header of the initiating entity (RFC 6120 sections 4.2, 4.7, 4.8, 11.5).

    It never has an ``id`` (4.7.3). *from_* is the client's address: only for a protected stream (4.7.1).
    """
    written = f"<?xml version='1.0'?><stream:stream xmlns='{CLIENT}' xmlns:stream='{STREAMS}'"
    written += f" to='{escape_attribute(to)}'"
    if from_ is not None:
        written += f" from='{escape_attribute(from_)}'"
    written += " version='1.0'"
    if lang:
        written += f" xml:lang='{escape_attribute(lang)}'"
    return f"{written}>".encode()


def stream_error(condition: str) -> bytes:
    """Return a stream error (RFC 6120 section 4.9.2) for a stream whose header declares ``xmlns:stream``."""
    return f"<stream:error><{condition} xmlns='{STREAM_ERRORS}'/></stream:error>".encode()


def is_sasl_success(element: Element) -> bool:
    """Whether the client must restart now (RFC 6120 6.4.6); SASL2 knows no restart (XEP-0388 2.6.1)."""
    return element.name == _SASL_SUCCESS


class Tls(Enum):
    """How the connection to the server is protected."""

    NONE = auto()
    """Not at all: loopback or a mesh, by configuration."""
    STARTTLS = auto()
    """RFC 6120 section 5, and nothing else is said before it."""
    ESTABLISHED = auto()
    """XEP-0368: from the first byte."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send *data*."""

    data: bytes


@dataclass(frozen=True, slots=True)
class StartTls:
    """Begin the TLS handshake now (RFC 6120 section 5.4.3.1), then call `Negotiation.tls_established`.

    Fail instead if anything came with the ``<proceed/>``: `Framer.has_pending`, or another event behind it.
    It was sent in clear, by whomever (5.4.3.3).
    """


@dataclass(frozen=True, slots=True)
class Ready:
    """The client's turn; *features* are None from a server before XMPP 1.0 (4.7.5)."""

    header: StreamHeader
    features: Element | None


@dataclass(frozen=True, slots=True)
class Failed:
    """No stream can be had; *text* is for the log."""

    text: str


Action = Send | StartTls | Ready | Failed


class _State(Enum):
    """What comes next from the server."""

    HEADER = auto()
    """4.2: the response stream header."""
    FEATURES = auto()
    """4.3.2."""
    PROCEED = auto()
    """5.4.2: or failure."""
    HANDSHAKE = auto()
    """5.4.3: nothing that we could read."""
    OVER = auto()
    """What comes next is for somebody else."""


class Negotiation:
    """The initiating entity's side of RFC 6120 section 5, up to the features that are for the client."""

    __slots__ = ("_from", "_header", "_lang", "_state", "_tls", "_to")

    def __init__(self, *, to: str, tls: Tls, from_: str | None = None, lang: str | None = None) -> None:
        self._to = to
        self._tls = tls
        self._from = from_
        self._lang = lang
        self._header = StreamHeader()
        self._state = _State.HEADER

    def start(self) -> bytes:
        """Return what to send first."""
        # 4.7.1: no "from" before the stream is protected; one that is configured to be plain is trusted.
        from_ = None if self._tls is Tls.STARTTLS else self._from
        return stream_header(to=self._to, from_=from_, lang=self._lang)

    def tls_established(self) -> bytes:
        """Return the new header; what was learned before is discarded (5.4.3.3): reset the framer too."""
        assert self._state is _State.HANDSHAKE, "only after StartTls"
        self._tls = Tls.ESTABLISHED
        self._header = StreamHeader()
        self._state = _State.HEADER
        return self.start()

    def receive(self, event: FramerEvent) -> Action | None:
        """Return what to do about *event*; None: wait for the next."""
        assert self._state is not _State.OVER, "Ready and Failed were the last"
        action = self._receive(event)
        if isinstance(action, Ready | Failed):
            self._state = _State.OVER
        return action

    def _receive(self, event: FramerEvent) -> Action | None:
        if self._state is _State.HANDSHAKE:
            # 5.4.3.3: the last that comes in clear is the ">" of <proceed/>.
            return Failed("the server sent data in clear after <proceed/>")
        if isinstance(event, StreamFailed):
            return Failed(f"the server sent no XMPP stream: {event.condition}: {event.text}")
        if isinstance(event, StreamClosed):
            return Failed("the server closed the stream")
        if isinstance(event, StreamOpened):
            return self._receive_header(event.header)
        return self._receive_element(event)

    def _receive_header(self, header: StreamHeader) -> Action | None:
        self._header = header
        self._state = _State.FEATURES
        if is_xmpp_1(header.version):
            return None  # 4.3.2: features will come
        if self._tls is Tls.STARTTLS:
            return Failed("the server is older than XMPP 1.0 and knows no STARTTLS")
        return Ready(header, None)

    def _receive_element(self, element: Element) -> Action:
        if element.name == _ERROR:
            return Failed(f"the server sent a stream error: {_condition(element)}")
        if self._state is _State.PROCEED:
            return self._receive_proceed(element)
        return self._receive_features(element)

    def _receive_features(self, element: Element) -> Action:
        if element.name != _FEATURES:
            return Failed(f"the server sent {element.name} instead of stream features")  # 4.3.2
        if self._tls is Tls.STARTTLS:
            # RFC 7590 3.1: the lack of <starttls/> does not deter us; an attacker may have cut it out.
            self._state = _State.PROCEED
            return Send(STARTTLS)
        if self._tls is Tls.NONE and _requires_tls(element):
            return Failed("the server requires STARTTLS, but this backend is configured without TLS")
        return Ready(self._header, element)

    def _receive_proceed(self, element: Element) -> Action:
        if element.name == f"{{{TLS}}}proceed":
            self._state = _State.HANDSHAKE
            return StartTls()
        if element.name == f"{{{TLS}}}failure":
            return Failed("the server refused STARTTLS")  # 5.4.2.2
        return Failed(f"the server answered <starttls/> with {element.name}")


def is_xmpp_1(version: str | None) -> bool:
    """Whether the major number in a header's ``version`` is 1 or more (RFC 6120 section 4.7.5)."""
    major = (version or "0").partition(".")[0]
    return major.isascii() and major.isdigit() and int(major[:9]) >= 1


def _requires_tls(features: Element) -> bool:
    """RFC 6120 section 5.3.1: ``<starttls><required/></starttls>``."""
    return parse_document(features.data, limits=None).find(f"{_STARTTLS}/{{{TLS}}}required") is not None


def _condition(error: Element) -> str:
    """The name of the defined condition in a stream error (RFC 6120 section 4.9.2)."""
    for child in parse_document(error.data, limits=None):
        namespace, _, local = child.tag.rpartition("}")
        if namespace == f"{{{STREAM_ERRORS}" and local != "text":
            return local
    return "undefined-condition"
