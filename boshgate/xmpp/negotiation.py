"""Everything the gateway says to a server before the client speaks (RFC 6120 sections 4 and 5), and what it hides of the answers.

The caller sends what it is told to and does what it is told to; in clear nothing but the header and ``<starttls/>`` is
ever sent where TLS is the policy (RFC 7590 section 3.1).
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from boshgate.namespaces import (
    CLIENT,
    COMPRESS,
    COMPRESS_FEATURE,
    SASL,
    SASL2,
    SM2,
    SM3,
    STREAM_ERRORS,
    STREAMS,
    TLS,
)
from boshgate.xmpp.cutter import child_spans
from boshgate.xmpp.framer import FramerEvent, StreamClosed, StreamFailed, StreamHeader, StreamOpened
from boshgate.xmpp.xml import Element, escape_attribute, parse_document

STREAM_END: Final = b"</stream:stream>"
"""RFC 6120 section 4.4."""

STARTTLS: Final = f"<starttls xmlns='{TLS}'/>".encode()
"""RFC 6120 section 5.4.2.1."""

_FEATURES: Final = f"{{{STREAMS}}}features"
_STARTTLS: Final = f"{{{TLS}}}starttls"
_HIDDEN_FEATURES: Final = frozenset({_STARTTLS, f"{{{COMPRESS_FEATURE}}}compression"})
_RESUMPTION: Final = frozenset(f"{{{sm}}}{local}" for sm in (SM3, SM2) for local in ("enabled", "resumed"))


def stream_header(*, to: str, from_: str | None = None, lang: str | None = None) -> bytes:
    """Return the initiating entity's XML declaration and stream header (RFC 6120 sections 4.2, 4.7, 4.8, 11.5).

    It never has an ``id`` (4.7.3). *from_* is the client's address: only for a protected stream (4.7.1).
    """
    attributes = f" to='{escape_attribute(to)}'"
    if from_ is not None:
        attributes += f" from='{escape_attribute(from_)}'"
    attributes += " version='1.0'"
    if lang:
        attributes += f" xml:lang='{escape_attribute(lang)}'"
    return (
        f"<?xml version='1.0'?><stream:stream xmlns='{CLIENT}' xmlns:stream='{STREAMS}'{attributes}>".encode()
    )


def stream_error(condition: str) -> bytes:
    """Return a stream error (RFC 6120 section 4.9.2) for a stream whose header declares the prefix ``stream``."""
    return f"<stream:error><{condition} xmlns='{STREAM_ERRORS}'/></stream:error>".encode()


def filter_features(element: Element) -> Element:
    """Return the features a client of the gateway may see; all that is left is byte-true and in order.

    STARTTLS ends at the gateway (RFC 7395 section 3.9, XEP-0206 section 4), and compression (XEP-0138) would take the
    stream out of its hands.
    """
    data = element.data
    kept = []
    position = 0
    for name, begin, end in child_spans(data):
        if name in _HIDDEN_FEATURES:
            kept.append(data[position:begin])
            position = end
    if not position:
        return element
    return Element(element.name, b"".join((*kept, data[position:])))


def grants_resumption(element: Element) -> bool:
    """Whether the server lets the client resume this stream later (XEP-0198 section 5), also inside a SASL2 success.

    Such a stream must lose its connection without ``</stream:stream>``, or there is nothing left to resume.
    """
    if element.name not in _RESUMPTION and element.name != f"{{{SASL2}}}success":
        return False
    for found in parse_document(element.data, limits=None).iter():
        if found.tag in _RESUMPTION and (
            found.tag.endswith("}resumed") or found.get("resume") in ("true", "1")  # XML Schema boolean
        ):
            return True
    return False


def is_sasl_success(element: Element) -> bool:
    """Whether the client will restart the stream now (RFC 6120 section 6.4.6); after SASL2 it will not (XEP-0388 2.6.1)."""
    return element.name == f"{{{SASL}}}success"


def local_answer(element: Element) -> Element | None:
    """Return the gateway's own answer to a client's element that must not reach the server; None: forward it.

    STARTTLS over BOSH or WebSocket (XEP-0206 section 4, RFC 7395 section 3.9) and compression of the stream that
    others than the client read (XEP-0138 section 4).
    """
    if element.name == _STARTTLS:
        return Element(f"{{{TLS}}}failure", f"<failure xmlns='{TLS}'/>".encode())  # RFC 6120 section 5.4.2.2
    if element.name == f"{{{COMPRESS}}}compress":
        failure = f"<failure xmlns='{COMPRESS}'><unsupported-method/></failure>"
        return Element(f"{{{COMPRESS}}}failure", failure.encode())
    return None


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

    Fail instead if anything came with the ``<proceed/>``: `Framer.has_pending`, or another event behind it. It was
    sent in clear, by whomever (5.4.3.3).
    """


@dataclass(frozen=True, slots=True)
class Ready:
    """The client's turn; *features* are for it to see, None from a server before XMPP 1.0 (4.7.5)."""

    header: StreamHeader
    features: Element | None


@dataclass(frozen=True, slots=True)
class Failed:
    """No stream can be had; *text* is for the log."""

    text: str


Action = Send | StartTls | Ready | Failed


class _State(Enum):
    HEADER = auto()
    FEATURES = auto()
    PROCEED = auto()
    HANDSHAKE = auto()
    OVER = auto()


class Negotiation:
    """RFC 6120 section 5 as seen by the initiating entity, up to the features of the stream that the client gets."""

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
        # 4.7.1: no "from" before the stream is protected; a connection configured to be plain is trusted.
        from_ = None if self._tls is Tls.STARTTLS else self._from
        return stream_header(to=self._to, from_=from_, lang=self._lang)

    def tls_established(self) -> bytes:
        """Return the new header; what was learned before is discarded (5.4.3.3), and the framer must be reset."""
        assert self._state is _State.HANDSHAKE, "only after StartTls"
        self._tls = Tls.ESTABLISHED
        self._header = StreamHeader()
        self._state = _State.HEADER
        return self.start()

    def receive(self, event: FramerEvent) -> Action | None:
        """Return what to do about *event*; None: nothing, wait for the next."""
        action = self._answer(event)
        if isinstance(action, Ready | Failed):
            self._state = _State.OVER
        return action

    def _answer(self, event: FramerEvent) -> Action | None:
        assert self._state is not _State.OVER, "after Ready and Failed events belong to somebody else"
        if self._state is _State.HANDSHAKE:
            return Failed("the server sent data in clear after <proceed/>")  # 5.4.3.3
        if isinstance(event, StreamFailed):
            return Failed(f"the server sent no XMPP stream: {event.condition}: {event.text}")
        if isinstance(event, StreamClosed):
            return Failed("the server closed the stream")
        if isinstance(event, StreamOpened):
            return self._receive_header(event.header)
        if event.name == f"{{{STREAMS}}}error":
            return Failed(f"the server sent a stream error: {_condition(event)}")
        if self._state is _State.PROCEED:
            return self._receive_proceed(event)
        return self._receive_features(event)

    def _receive_header(self, header: StreamHeader) -> Action | None:
        self._header = header
        self._state = _State.FEATURES
        if _is_xmpp_1(header.version):
            return None  # 4.3.2: features will come
        if self._tls is Tls.STARTTLS:
            return Failed("the server is older than XMPP 1.0 and knows no STARTTLS")
        return Ready(header, None)

    def _receive_features(self, element: Element) -> Action:
        if element.name != _FEATURES:
            return Failed(f"the server sent {element.name} instead of stream features")  # 4.3.2
        if self._tls is Tls.STARTTLS:
            # RFC 7590 section 3.1: features without <starttls/> do not deter us; an attacker may have cut it out.
            self._state = _State.PROCEED
            return Send(STARTTLS)
        if self._tls is Tls.NONE and _requires_tls(element):
            return Failed("the server requires STARTTLS, but this backend is configured without TLS")
        return Ready(self._header, filter_features(element))

    def _receive_proceed(self, element: Element) -> Action:
        if element.name == f"{{{TLS}}}proceed":
            self._state = _State.HANDSHAKE
            return StartTls()
        if element.name == f"{{{TLS}}}failure":
            return Failed("the server refused STARTTLS")  # 5.4.2.2
        return Failed(f"the server answered <starttls/> with {element.name}")


def _is_xmpp_1(version: str | None) -> bool:
    """Whether the major number in a header's ``version`` is 1 or more (RFC 6120 section 4.7.5)."""
    major = (version or "0").partition(".")[0]
    return major.isascii() and major.isdigit() and int(major[:9]) >= 1


def _requires_tls(features: Element) -> bool:
    """RFC 6120 section 5.3.1: ``<starttls><required/></starttls>``."""
    return parse_document(features.data, limits=None).find(f"{_STARTTLS}/{{{TLS}}}required") is not None


def _condition(error: Element) -> str:
    """The name of the defined condition in a stream error (RFC 6120 section 4.9.2)."""
    for child in parse_document(error.data, limits=None):
        namespace, _, local = child.tag.partition("}")
        if namespace == "{" + STREAM_ERRORS and local != "text":
            return local
    return "undefined-condition"
