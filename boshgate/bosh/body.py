"""The ``<body/>`` wrapper (XEP-0124 section 6): requests from bytes, responses to bytes.

A request is parsed once, to validate it; its payloads are slices of the bytes that came. Nearly all requests
have at most one payload, which declares its own namespace: comparing a few bytes shows where it ends. Other
requests go through a `Cutter`, which takes them apart and maps namespaces.
"""

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

from boshgate.bosh.conditions import Condition
from boshgate.errors import BindingError, XmlError
from boshgate.namespaces import CLIENT, HTTPBIND, STREAMS, XBOSH, XML
from boshgate.xmpp.cutter import Cutter, Root, scope_of
from boshgate.xmpp.xml import (
    LIMITS,
    TAG,
    WHITESPACE,
    Element,
    check_document,
    create_parser,
    escape_attribute,
    expand,
    parse,
)

RID_MAX: Final = 9007199254740991
"""Section 14.1: the highest rid."""

RESTART: Final = f"{{{XBOSH}}}restart"
"""XEP-0206 section 5."""

LANG: Final = f"{{{XML}}}lang"
"""Section 7.1."""

_SIMPLE: Final = 4 * min(LIMITS.attributes, LIMITS.depth)
"""So short a document is below the limits: an attribute takes five bytes or more, an element four."""

_SCOPE: Final = 1024
"""Bytes of the wrapper's start tag with its declarations alone: each payload that needs one gets a copy, so
that a request with a long one would grow by their number."""

_ROOT: Final = f"{HTTPBIND}}}body"
_CLIENT_BODY: Final = f"{{{CLIENT}}}body"
_IN_HTTPBIND: Final = f"{{{HTTPBIND}}}"
_DECLARATION: Final = re.compile(
    rb"""(\sxmlns(?::[^\s=]++)?\s*+=\s*+)(?:"%(ns)s"|'%(ns)s')""" % {b"ns": re.escape(HTTPBIND).encode()}
)


class Body:
    """A request: *attributes* by expanded name, *payloads* as they may stand inside the stream to the server.

    *digest* tells an exact copy from an altered one (14.3): SHA-256 of the bytes as they came. *excess* says
    what is more than allowed of the payloads.
    """

    __slots__ = ("attributes", "digest", "excess", "payloads", "rid", "sid")

    def __init__(
        self,
        rid: int,
        attributes: Mapping[str, str],
        payloads: tuple[Element, ...] = (),
        digest: bytes = b"",
        excess: str | None = None,
    ) -> None:
        self.rid = rid
        self.sid = attributes.get("sid")
        self.attributes = attributes
        self.payloads = payloads
        self.digest = digest
        self.excess = excess

    @property
    def to(self) -> str | None:
        """7.1: the domain of the stream."""
        return self.attributes.get("to")

    @property
    def from_(self) -> str | None:
        """7.1: the originator of the stream."""
        return self.attributes.get("from")

    @property
    def lang(self) -> str | None:
        """7.1: ``xml:lang``."""
        return self.attributes.get(LANG)

    @property
    def is_terminate(self) -> bool:
        """13: the client ends the session; gloox writes ``terminal``, which is as clear."""
        return self.attributes.get("type") in ("terminate", "terminal")

    @property
    def is_restart(self) -> bool:
        """XEP-0206 section 5: both forms of an xs:boolean are true."""
        return self.attributes.get(RESTART) in ("true", "1")

    @property
    def is_empty(self) -> bool:
        """8: it brings nothing, and neither ends, restarts nor pauses anything."""
        return not (self.payloads or self.is_restart or self.is_terminate or "pause" in self.attributes)

    def number(self, name: str, maximum: int) -> int | None:
        """Return attribute *name* as a number from 0 to *maximum*, None if absent.

        Raises BindingError bad-request: it is no unsigned decimal number, or above *maximum*.
        """
        value = self.attributes.get(name)
        if value is None:
            return None
        # int() is too generous: it takes '+5', ' 5 ', '1_000' and the digits of every script.
        if not (value.isascii() and value.isdigit() and len(value) <= 16 and int(value) <= maximum):
            raise BindingError(Condition.BAD_REQUEST, f"{name} is no number from 0 to {maximum}")
        return int(value)

    def __repr__(self) -> str:
        return f"<Body rid={self.rid} {len(self.payloads)} payloads>"


def parse_body(data: bytes, *, max_payloads: int, max_stanza_bytes: int) -> Body:
    """Return the request that the document *data* is.

    More than *max_payloads*, or one of more than *max_stanza_bytes*, is the `Body.excess` of its session.
    Raises BindingError bad-request where *data* is no ``<body/>`` with a valid rid, policy-violation where it
    is more complex than allowed.
    """
    try:
        attributes, payloads = _take_apart(data)
    except XmlError as error:
        # 6: no comments, processing instructions, DTD, entities; 17.2: bad-request.
        limit = error.condition == Condition.POLICY_VIOLATION
        raise BindingError(
            Condition.POLICY_VIOLATION if limit else Condition.BAD_REQUEST, str(error)
        ) from None
    excess = None
    if len(payloads) > max_payloads:
        excess = f"more than {max_payloads} payloads"
    elif len(data) > max_stanza_bytes and any(len(payload.data) > max_stanza_bytes for payload in payloads):
        excess = f"a payload of more than {max_stanza_bytes} bytes"
    rid = attributes.get("rid", "")
    # 14.1: a positive integer; written in the digits of XML Schema, nothing else.
    number = int(rid) if rid.isascii() and rid.isdigit() and len(rid) <= 16 else 0
    if not 0 < number <= RID_MAX:
        raise BindingError(Condition.BAD_REQUEST, "no valid rid")
    return Body(number, attributes, payloads, sha256(data).digest(), excess)


def _take_apart(data: bytes) -> tuple[dict[str, str], tuple[Element, ...]]:
    """Return the attributes and the payloads of the document *data*; raises XmlError."""
    if b"\0" in data:
        raise XmlError("unsupported-encoding", "not UTF-8")  # expat would take UTF-16, which always has a NUL
    if len(data) > _SIMPLE and (data.count(b"=") > LIMITS.attributes or data.count(b"<") > LIMITS.depth):
        check_document(data)  # perhaps too complex: the slow way, which counts
    reader = _Reader()
    reader.read(data)
    if reader.root != _ROOT:
        raise XmlError("bad-format", "the root is no body in the httpbind namespace")  # 6
    attributes = reader.attributes
    for name in attributes:
        if "}" in name:
            attributes = {expand(name): value for name, value in attributes.items()}
            break
    if not reader.child:
        return attributes, ()
    payload = _single_payload(data, reader.child, reader.start)
    return attributes, (payload,) if payload is not None else _cut(data)


class _Reader:
    """Takes from one pass of expat what the first two start tags say; it looks no closer at the rest."""

    __slots__ = ("attributes", "child", "parser", "root", "start")

    def __init__(self) -> None:
        self.child = ""

    def read(self, data: bytes) -> None:
        self.parser = parser = create_parser()
        parser.StartElementHandler = self.open_root
        try:
            parse(parser, data)
        finally:
            # No cycle is left for the garbage collector.
            parser.StartElementHandler = parser.CharacterDataHandler = None
            del self.parser

    def open_root(self, name: str, attributes: dict[str, str]) -> None:
        self.root = name
        self.attributes = attributes
        self.parser.StartElementHandler = self.open_child
        self.parser.CharacterDataHandler = self.read_text

    def read_text(self, text: str) -> None:
        if text.strip(" \t\r\n"):
            raise XmlError("bad-format", "text between payloads")  # 6

    def open_child(self, name: str, attributes: dict[str, str]) -> None:
        parser = self.parser
        parser.StartElementHandler = parser.CharacterDataHandler = None
        self.child = name
        self.start = parser.CurrentByteIndex


def _single_payload(data: bytes, name: str, start: int) -> Element | None:
    """Return what begins at *start* of *data*, expanded *name*, as it was written, if it is the one payload.

    None if it takes a closer look: it has siblings, or may use a namespace that the wrapper declares. The
    wrapper's default namespace is its own, so that an element without prefix in another one declares it.
    """
    namespace, _, local = name.partition("}")
    if namespace == HTTPBIND or not data.endswith(b"</body>") or data.find(b"xmlns:", 0, start) >= 0:
        return None
    content = data[start:-7]
    if not content.endswith(b">"):
        content = content.rstrip(WHITESPACE)
    opening = b"<" + local.encode()
    if not content.startswith(opening) or content[len(opening)] not in b" />\t\r\n":
        return None
    # If that name is closed once, and at the very end, then nothing stands beside it.
    closing = b"</" + opening[1:]
    if content.endswith(b"/>"):
        alone = content.count(b"<") == 1
    else:
        alone = content.count(closing) == 1 and content.endswith(closing + b">")
    return Element("{" + name, content) if alone else None


def _cut(data: bytes) -> tuple[Element, ...]:
    """Cut the payloads out of the well-formed document *data*, each to stand on its own; raises XmlError.

    XEP-0206 section 2 (note): many clients leave stanzas without a namespace, so that they, and what is in
    them, are taken for httpbind: they mean jabber:client.
    """
    start = data.index(b"<")
    if data.startswith(b"<?", start):
        start = data.index(b"<", start + 2)  # the XML declaration; no other instruction got this far
    tag = TAG.match(data, start)
    assert tag is not None, "a well-formed start tag matches"
    root = _items(Cutter(None, limit=len(data) + 1), tag[0])[0]
    assert isinstance(root, Root), "the root comes first"
    meant = {prefix: CLIENT if uri == HTTPBIND else uri for prefix, uri in root.declarations.items()}
    scope = scope_of(tag[1], meant)
    if len(scope.prologue) > _SCOPE:
        raise XmlError("policy-violation", f"namespace declarations of more than {_SCOPE} bytes")
    content = data[tag.end() : data.rindex(b"</")]
    cut = _items(Cutter(scope, limit=len(data) + 1), content)
    return tuple(_in_client_namespace(item) for item in cut if isinstance(item, Element))


def _items(cutter: Cutter, data: bytes) -> list[Root | Element]:
    """Return what *cutter* finds in *data*."""
    try:
        cutter.feed(data)
    finally:
        cutter.close()
    return cutter.items


def _in_client_namespace(element: Element) -> Element:
    """Map a stanza that says itself that it is in the httpbind namespace to jabber:client, with all in it."""
    if element.name == _CLIENT_BODY:
        raise XmlError("bad-format", "a body inside the body")
    if not element.name.startswith(_IN_HTTPBIND):
        return element
    local = element.name.removeprefix(_IN_HTTPBIND)
    if local not in ("message", "presence", "iq") or b"<!" in element.data:
        raise XmlError("bad-format", f"a {local} of the httpbind namespace inside the body")
    data = TAG.sub(lambda tag: _DECLARATION.sub(rb"\1'jabber:client'", tag[0]), element.data)
    return Element(f"{{{CLIENT}}}{local}", data)


HEAD: Final = f"<body xmlns='{HTTPBIND}'".encode()
_PAYLOADS: Final = HEAD + b">"
_XBOSH_PREFIX: Final = f"{{{XBOSH}}}"
_STREAM_PREFIX: Final = f"{{{STREAMS}}}"

EMPTY: Final = HEAD + b"/>"
"""Section 8, example 5: nothing to say."""

TERMINATE: Final = HEAD + b" type='terminate'/>"
"""Section 13, example 16."""

RECOVERABLE_ERROR: Final = HEAD + b" type='error'/>"
"""Section 17.3, example 35."""


def serialise_body(attributes: Mapping[str, str], payloads: Sequence[Element]) -> bytes:
    """Return the response with *attributes*, by expanded name, and *payloads*."""
    if not attributes and payloads and not payloads[-1].name.startswith(_STREAM_PREFIX):
        return b"".join([_PAYLOADS, *[payload.data for payload in payloads], b"</body>"])
    parts = [HEAD]
    prefixed = False
    for name, value in attributes.items():
        written = name
        if name.startswith(_XBOSH_PREFIX):
            written = "xmpp:" + name.removeprefix(_XBOSH_PREFIX)
            prefixed = True
        parts.append(f" {written}='{escape_attribute(value)}'".encode())
    if prefixed:
        parts.append(f" xmlns:xmpp='{XBOSH}'".encode())
    # XEP-0206 section 2: features come alone and a stream error comes last.
    if payloads and payloads[-1].name.startswith(_STREAM_PREFIX):
        parts.append(f" xmlns:stream='{STREAMS}'".encode())
    if not payloads:
        return b"".join([*parts, b"/>"])
    return b"".join([*parts, b">", *[payload.data for payload in payloads], b"</body>"])


def terminal_body(condition: str | None, payloads: Sequence[Element] = ()) -> bytes:
    """Return the response that ends a session, with *condition* (17.2) or without one (13)."""
    if condition is None and not payloads:
        return TERMINATE
    attributes = {"type": "terminate"}
    if condition is not None:
        attributes["condition"] = condition
    return serialise_body(attributes, payloads)
