"""The bytes of a TCP stream in, its events out (RFC 6120 sections 4 and 11): header, elements, end.

Between elements no parser is alive: an idle stream costs this object only. However the bytes were split on
their way, the events are the same.
"""

from dataclasses import dataclass

from boshgate.errors import XmlError
from boshgate.namespaces import CLIENT, STREAMS, XML
from boshgate.xmpp.cutter import Cutter, Root, Scope, cut_whole
from boshgate.xmpp.xml import WHITESPACE, Element


@dataclass(frozen=True, slots=True)
class StreamHeader:
    """The attributes of a stream header (RFC 6120 section 4.7); None where it has none."""

    id: str | None = None
    from_: str | None = None
    to: str | None = None
    version: str | None = None
    lang: str | None = None


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The peer's stream header (RFC 6120 section 4.2)."""

    header: StreamHeader


@dataclass(frozen=True, slots=True)
class StreamFailed:
    """What the peer sent is no XMPP stream; *condition* is the stream error for it (RFC 6120 4.9.3)."""

    condition: str
    text: str


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """The peer's ``</stream:stream>`` (RFC 6120 section 4.4)."""


FramerEvent = StreamOpened | Element | StreamFailed | StreamClosed


class Framer:
    """One direction of a stream; after StreamFailed or StreamClosed further data is ignored.

    *max_element_bytes* bounds one first-level element, and the header. *inherit_lang* puts the header's
    ``xml:lang`` on elements without their own (RFC 7395 section 3.3.3: a WebSocket message stands alone).
    """

    __slots__ = ("_cutter", "_inherit_lang", "_max_element_bytes", "_over", "_scope")

    def __init__(self, *, max_element_bytes: int, inherit_lang: bool = False) -> None:
        self._max_element_bytes = max_element_bytes
        self._inherit_lang = inherit_lang
        self._cutter: Cutter | None = None
        self._scope: Scope | None = None
        self._over = False

    def reset(self) -> None:
        """A new stream begins on the same connection, after TLS or SASL; what was buffered is discarded."""
        self._drop_cutter()
        self._scope = None
        self._over = False

    @property
    def has_pending(self) -> bool:
        """Bytes of something unfinished are buffered; after ``<proceed/>`` they were injected (5.4.3.3)."""
        return self._cutter is not None

    def receive_data(self, data: bytes) -> list[FramerEvent]:
        """Return the events that *data* completes, in order."""
        if self._over:
            return []
        cutter = self._cutter
        if cutter is None:
            data = data.lstrip(WHITESPACE)  # 11.7: a keepalive wakes no parser
            if not data:
                return []
            scope = self._scope
            if scope is not None and len(data) <= self._max_element_bytes:
                element = cut_whole(data, scope)
                if element is not None:
                    return [element]
            cutter = self._cutter = Cutter(
                scope, limit=self._max_element_bytes, inherit_lang=self._inherit_lang
            )
        return self._feed(cutter, data)

    def _feed(self, cutter: Cutter, data: bytes) -> list[FramerEvent]:
        events: list[FramerEvent] = []
        last: StreamFailed | StreamClosed | None = None
        try:
            cutter.feed(data)
        except XmlError as error:
            last = StreamFailed(error.condition, error.text)
        if cutter.ended:
            last = StreamClosed()  # 4.4: nothing behind </stream:stream> matters any more
        items, cutter.items = cutter.items, []
        for item in items:
            if isinstance(item, Element):
                events.append(item)
                continue
            try:
                events.append(StreamOpened(_read_header(item)))
            except XmlError as error:
                last = StreamFailed(error.condition, error.text)
                break
        if last is not None:
            events.append(last)
            self._over = True
            self._drop_cutter()
        elif cutter.idle:
            self._scope = cutter.scope
            self._drop_cutter()
        return events

    def _drop_cutter(self) -> None:
        if self._cutter is not None:
            self._cutter.close()
            self._cutter = None


def _read_header(root: Root) -> StreamHeader:
    """Judge the start tag of a stream: any prefix will do, and other declarations (RFC 6120 4.8.5)."""
    default = root.declarations.get(None, "")
    if not root.name.startswith(f"{{{STREAMS}}}"):
        raise XmlError("invalid-namespace", f"{root.name} is no stream")  # 4.8.1, 4.9.3.10
    if root.declarations.get("stream", STREAMS) != STREAMS:
        raise XmlError("bad-namespace-prefix", "the prefix stream means something else")  # 4.9.3.2
    if root.name != f"{{{STREAMS}}}stream":
        raise XmlError("bad-format", f"{root.name} is no stream")  # 4.9.3.1
    if default not in ("", CLIENT, STREAMS):
        # 4.8.2: the content namespace. 4.8.5: where stream tags have no prefix, stanzas declare it.
        raise XmlError("invalid-namespace", f"{default} is not the namespace of stanzas")
    attributes = root.attributes
    return StreamHeader(
        id=attributes.get("id"),
        from_=attributes.get("from"),
        to=attributes.get("to"),
        version=attributes.get("version"),
        lang=attributes.get(f"{{{XML}}}lang"),
    )
