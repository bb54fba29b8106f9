"""The messages of XMPP over WebSocket (RFC 7395 section 3.3): one element each, framed by open and close.

A client's element is forwarded as the bytes it came in, into a stream that declares ``xmlns='jabber:client'``
and ``xmlns:stream``. That is safe: a document that is namespace-well-formed by itself binds every prefix it
uses, so inside the stream each of its names means the same, with one exception (Namespaces in XML 1.0,
sections 5 and 6.2). An unprefixed element for which no default namespace is declared has none alone, and is
in ``jabber:client`` there, which is what old clients mean that declare nothing. Under an explicit
``xmlns=''`` elements have no namespace in both.
"""

import re
from dataclasses import dataclass
from typing import Final

from boshgate.errors import XmlError
from boshgate.namespaces import CLIENT, FRAMING, STREAM_ERRORS, STREAMS, XML
from boshgate.xmpp.framer import StreamHeader
from boshgate.xmpp.xml import (
    ATTRIBUTE_NAME,
    TAG,
    WHITESPACE,
    Element,
    check_document,
    escape_attribute,
    escape_text,
    parse_document,
)

_IN_FRAMING: Final = f"{{{FRAMING}}}"
_OPEN: Final = _IN_FRAMING + "open"
_CLOSE: Final = _IN_FRAMING + "close"
_FRAMING_LOCALS: Final = frozenset({"open", "close", "stream"})
_XML_DECLARATION: Final = re.compile(rb"<\?xml\s[^<>]*\?>\s*")


@dataclass(frozen=True, slots=True)
class Open:
    """``<open/>``: a stream header (RFC 7395 section 3.4); None where the attribute is missing."""

    to: str | None
    from_: str | None
    lang: str | None
    version: str | None


@dataclass(frozen=True, slots=True)
class Close:
    """``<close/>``: the end of the stream (RFC 7395 section 3.6), perhaps with a redirection (3.6.1)."""

    see_other_uri: str | None = None


def parse_frame(text: str) -> Open | Close | Element:
    """Read a client's message; an XmlError's condition is the stream error to answer with (3.5)."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise XmlError("unsupported-encoding", "not UTF-8") from None  # RFC 6120 section 11.6
    if not data.startswith(b"<"):
        raise XmlError("not-well-formed", "the first character of a message is <")  # 3.3.3
    try:
        name = check_document(data)
    except XmlError:
        _refuse_stream_tag(data)
        raise
    if data.startswith(b"<?"):
        data = _without_declaration(data)
    if not data.endswith(b">"):
        data = data.rstrip(WHITESPACE)  # RFC 6120 section 6.3.5: none during SASL
    if not name.startswith("{"):
        name = _name_in_stream(name, data)
    if name.rpartition("}")[2] in _FRAMING_LOCALS or name.startswith(_IN_FRAMING):
        return _read_framing(name, data)
    return Element(name, data)


def open_frame(header: StreamHeader, *, from_: str, to: str | None) -> str:
    """Return the ``<open/>`` for the server's stream *header* (3.4).

    *from_*: the domain, for a server that does not name itself (RFC 6120 4.7.1); empty for a host that is
    unknown (4.9.1.3). *to*: the bare JID that the client gave as "from"; if it gave none, it is not told one
    either (4.7.2).
    """
    attributes = {
        "from": header.from_ or from_,
        "to": to and (header.to or to),
        "id": header.id,
        "version": header.version,
        "xml:lang": header.lang,
    }
    written = "".join(
        f" {name}='{escape_attribute(value)}'" for name, value in attributes.items() if value is not None
    )
    return f"<open xmlns='{FRAMING}'{written}/>"


def close_frame(see_other_uri: str | None = None) -> str:
    """Return ``<close/>`` (section 3.6), with where to go instead (3.6.1)."""
    if see_other_uri is None:
        return f"<close xmlns='{FRAMING}'/>"
    return f"<close xmlns='{FRAMING}' see-other-uri='{escape_attribute(see_other_uri)}'/>"


def stream_error_frame(condition: str, text: str | None = None) -> str:
    """Return a stream error as one complete message (3.5), with *text* for humans (RFC 6120 4.9.2)."""
    defined = f"<{condition} xmlns='{STREAM_ERRORS}'/>"
    described = f"<text xmlns='{STREAM_ERRORS}'>{escape_text(text)}</text>" if text else ""
    return f"<stream:error xmlns:stream='{STREAMS}'>{defined}{described}</stream:error>"


def _read_framing(name: str, data: bytes) -> Open | Close:
    """Read what is in the framing namespace, or only looks like it (3.3.2)."""
    if name == _OPEN:
        attributes = parse_document(data).attrib
        return Open(
            to=attributes.get("to"),
            from_=attributes.get("from"),
            lang=attributes.get(f"{{{XML}}}lang"),
            version=attributes.get("version"),
        )
    if name == _CLOSE:
        return Close(parse_document(data).get("see-other-uri"))
    if name.startswith(_IN_FRAMING):
        raise XmlError("unsupported-stanza-type", f"{name} is no framing element")  # RFC 6120 4.9.3.24
    # 3.3.2: open and close in another namespace, and the stream tags of drafts before the RFC.
    raise XmlError("invalid-namespace", f"{name} is no framing element")


def _refuse_stream_tag(data: bytes) -> None:
    """A lone stream start tag, as in drafts before the RFC, is no document; its real fault is the framing."""
    tag = TAG.fullmatch(_without_declaration(data).rstrip(WHITESPACE))
    if tag is not None and tag[1].rpartition(b":")[2] == b"stream" and STREAMS.encode() in tag[2]:
        raise XmlError("invalid-namespace", "a stream tag instead of <open/>")


def _without_declaration(data: bytes) -> bytes:
    """Section 3.3.3: an XML declaration is tolerated; it is never forwarded (RFC 6120 section 11.1)."""
    declaration = _XML_DECLARATION.match(data)
    return data[declaration.end() :] if declaration else data


def _name_in_stream(name: str, data: bytes) -> str:
    """The expanded name inside the stream of a top element that has no namespace alone (see above)."""
    tag = TAG.match(data)
    assert tag is not None, "a well-formed start tag matches"
    return name if b"xmlns" in ATTRIBUTE_NAME.findall(tag[2]) else f"{{{CLIENT}}}{name}"
