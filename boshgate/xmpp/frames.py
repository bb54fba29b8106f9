"""The messages of XMPP over WebSocket (RFC 7395 section 3.3): one element each, ``<open/>`` and ``<close/>`` for stream tags.

A client's element is forwarded as the bytes it came in, into a stream whose scope is ``xmlns='jabber:client'
xmlns:stream='http://etherx.jabber.org/streams'``. That is safe: a document that is namespace-well-formed by itself binds
every prefix it uses, so inside the stream each of its names means the same, with one exception. Where no default
namespace is declared, an unprefixed element has no namespace alone and is in ``jabber:client`` there, which is
what old clients mean that declare nothing (Namespaces in XML 1.0 section 6.2). Elements under an explicit ``xmlns=''``
have no namespace in both.
"""

from dataclasses import dataclass
from typing import Final

from boshgate.errors import XmlError
from boshgate.namespaces import CLIENT, FRAMING, STREAM_ERRORS, STREAMS, XML
from boshgate.xmpp.framer import StreamHeader
from boshgate.xmpp.xml import (
    ATTRIBUTE_NAME,
    TAG,
    WHITESPACE,
    XML_DECLARATION,
    Element,
    check_document,
    escape_attribute,
    escape_text,
    parse_document,
)

_OPEN: Final = f"{{{FRAMING}}}open"
_CLOSE: Final = f"{{{FRAMING}}}close"


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
    """Read a client's message; an XmlError's condition is the stream error to answer with (RFC 7395 section 3.5)."""
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
        data = data[_declaration_end(data) :]  # 3.3.3: tolerated, never forwarded (RFC 6120 section 11.1)
    if data.endswith((b" ", b"\t", b"\r", b"\n")):
        data = data.rstrip(WHITESPACE)  # RFC 6120 section 6.3.5: none during SASL
    if not name.startswith("{"):
        name = _name_in_stream(name, data)
    if name.endswith(("}open", "}close", "}stream")) or name.startswith("{" + FRAMING):
        return _framing(name, data)
    return Element(name, data)


def open_frame(header: StreamHeader, *, to: str | None = None) -> str:
    """Return the ``<open/>`` that stands for the server's stream *header*; *to*: whom the client said it is (3.4)."""
    attributes = {
        "from": header.from_,
        "to": to if to is not None else header.to,
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
    """Return a stream error as one complete message (section 3.5), with *text* for humans (RFC 6120 section 4.9.2)."""
    described = f"<text xmlns='{STREAM_ERRORS}'>{escape_text(text)}</text>" if text else ""
    return f"<stream:error xmlns:stream='{STREAMS}'><{condition} xmlns='{STREAM_ERRORS}'/>{described}</stream:error>"


def _framing(name: str, data: bytes) -> Open | Close | Element:
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
    if name.startswith("{" + FRAMING):
        raise XmlError("unsupported-stanza-type", f"{name} is no message")  # RFC 6120 section 4.9.3.24
    # 3.3.2: <open/> and <close/> in another namespace, and the stream tags of drafts before the RFC.
    raise XmlError("invalid-namespace", f"{name} instead of <open/>")


def _refuse_stream_tag(data: bytes) -> None:
    """A lone stream start tag, as before the RFC, is no document; what is wrong with it is its framing (3.3.2)."""
    tag = TAG.fullmatch(data[_declaration_end(data) :].rstrip(WHITESPACE))
    if tag is not None and tag[1].rpartition(b":")[2] == b"stream" and STREAMS.encode() in tag[2]:
        raise XmlError("invalid-namespace", "a stream tag instead of <open/>")


def _declaration_end(data: bytes) -> int:
    found = XML_DECLARATION.match(data)
    return found.end() if found else 0


def _name_in_stream(name: str, data: bytes) -> str:
    """The expanded name inside the stream of a top element that has no namespace alone (see the module's docstring)."""
    tag = TAG.match(data)
    explicit = tag is not None and b"xmlns" in ATTRIBUTE_NAME.findall(tag[2])
    return name if explicit else f"{{{CLIENT}}}{name}"
