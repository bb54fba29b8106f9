"""Cuts the first-level elements out of a document that arrives in pieces, each self-contained, without serialising it.

A stream header or a BOSH ``<body/>`` declares namespaces that its children use. Expat tells where a child begins and
ends, the received bytes are sliced there, and what the child lacks outside is inserted into its start tag.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple
from xml.parsers import expat

from boshgate.errors import XmlError
from boshgate.namespaces import CLIENT, STREAMS, XML
from boshgate.xmpp.xml import (
    ATTRIBUTE_NAME,
    TAG,
    WHITESPACE,
    Element,
    check_document,
    create_parser,
    escape_attribute,
    expand,
    parse,
    syntax_error,
)

Declarations = Mapping[str | None, str]
"""Prefix (None: the default namespace) to namespace name."""


class Root(NamedTuple):
    """The start tag that the first-level elements are inside of."""

    name: str
    attributes: dict[str, str]
    declarations: Declarations


class Prefix(NamedTuple):
    """One prefix that is declared around the elements, in the forms that are looked for and inserted."""

    use: bytes
    attribute: bytes
    declaration: bytes


class Scope(NamedTuple):
    """The declarations in force where first-level elements stand, prepared for being inserted into them."""

    prologue: bytes
    """A start tag that makes them, for a parser that begins in mid-stream."""
    default: bytes
    prefixes: tuple[Prefix, ...]
    lang: bytes = b""

    def complete(self, data: bytes) -> bytes:
        """Return the element *data* with every declaration that it used from this scope on its own start tag."""
        tag = TAG.match(data)
        assert tag is not None, "a well-formed start tag matches"
        attributes = tag[2]
        own = ATTRIBUTE_NAME.findall(attributes) if b"xml" in attributes else ()
        missing = b"" if b"xmlns" in own else self.default
        for prefix in self.prefixes:
            # Finding `p:` in some text declares a prefix that nobody uses, which harms nobody.
            if prefix.use in data and prefix.attribute not in own:
                missing += prefix.declaration
        if self.lang and b"xml:lang" not in own:
            missing += self.lang  # RFC 7395 section 3.3.3
        if not missing:
            return data
        end = tag.end(1)
        return data[:end] + missing + data[end:]


def scope_of(root: bytes, declarations: Declarations, lang: str | None = None) -> Scope:
    """Prepare the scope inside a *root* tag of that name as written, with *declarations* and perhaps ``xml:lang``."""
    inherited = f" xml:lang='{escape_attribute(lang)}'".encode() if lang else b""
    if root == STANDARD_ROOT and declarations == STANDARD_DECLARATIONS:
        return STANDARD._replace(lang=inherited) if inherited else STANDARD
    return _build_scope(root, declarations, inherited)


def _build_scope(root: bytes, declarations: Declarations, lang: bytes) -> Scope:
    default = _declaration(None, declarations.get(None) or "")
    prefixes = tuple(
        Prefix(f"{prefix}:".encode(), f"xmlns:{prefix}".encode(), _declaration(prefix, uri))
        for prefix, uri in declarations.items()
        if prefix is not None
    )
    prologue = b"".join((b"<", root, default, *(prefix.declaration for prefix in prefixes), b">"))
    return Scope(prologue, default, prefixes, lang)


def _declaration(prefix: str | None, uri: str) -> bytes:
    name = "xmlns" if prefix is None else f"xmlns:{prefix}"
    return f" {name}='{escape_attribute(uri)}'".encode()


STANDARD_ROOT: Final = b"stream:stream"
STANDARD_DECLARATIONS: Final[Declarations] = {None: CLIENT, "stream": STREAMS}
STANDARD: Final = _build_scope(STANDARD_ROOT, STANDARD_DECLARATIONS, b"")
"""What nearly every server declares (RFC 6120 section 4.8.5): one object for all streams."""

_STREAM_PREFIX: Final = b"stream:"
_IN_STREAMS: Final = "{" + STREAMS + "}"
_LANG: Final = "{" + XML + "}lang"


def cut_whole(data: bytes, scope: Scope) -> Element | None:
    """Return *data* as an element if it is exactly one, as most TCP reads bring; None where a Cutter must look closer.

    One pass of expat over the finished bytes, with no call back into Python. If the first tag's name is closed once,
    and at the very end, then nothing else but that tag can be closed there.
    """
    tag = TAG.match(data)
    if tag is None or b"<!" in data or b"<?" in data:
        return None
    closing = b"</" + tag[1]
    if tag[3]:
        whole = tag.end() == len(data)
    else:
        whole = data.endswith(closing + b">") and data.count(closing) == 1
    if not whole:
        return None
    completed = scope.complete(data)
    try:
        return make_element(check_document(completed, limits=None), completed)
    except XmlError:
        return None  # The Cutter finds the same fault, and knows what came before it.


def make_element(name: str, data: bytes) -> Element:
    """Return the Element of that expanded name; features and stream errors always in the prefixed form.

    RFC 7395 section 3.3.3 and RFC 6120 section 4.8.5 allow both, but clients look for the literal ``stream:features``.
    """
    if name.startswith(_IN_STREAMS) and not data.startswith(_STREAM_PREFIX, 1):
        data = _prefixed(name, data)
    return Element(name, data)


def _prefixed(name: str, data: bytes) -> bytes:
    """Rename the top of *data*, which is in the streams namespace, to ``stream:...``; nothing inside it changes."""
    tag = TAG.match(data)
    assert tag is not None, "a well-formed start tag matches"
    renamed = _STREAM_PREFIX + name.removeprefix(_IN_STREAMS).encode()
    declared = b"xmlns:stream" in ATTRIBUTE_NAME.findall(tag[2])
    head = b"<" + renamed + (b"" if declared else _declaration("stream", STREAMS))
    if tag[3]:
        data = head + data[tag.end(1) :]
    else:
        data = head + data[tag.end(1) : data.rindex(b"</")] + b"</" + renamed + b">"
    if declared and check_document(data, limits=None) != name:
        raise XmlError(
            "bad-namespace-prefix", "the prefix stream means something else"
        )  # RFC 6120 section 4.9.3.2
    return data


class Cutter:
    """A document in pieces: what `feed` completes is in `items`, the Root first (unless *scope* was given).

    *limit* bounds what may be buffered: one element, or the root's start tag and what stands before it.
    """

    __slots__ = ("_base", "_buffer", "_declarations", "_depth", "_done", "_inherit_lang", "_limit",
                 "_name", "_parser", "_scope", "_start", "ended", "items")  # fmt: skip

    def __init__(self, scope: Scope | None, *, limit: int, inherit_lang: bool = False) -> None:
        self.items: list[Root | Element] = []
        self.ended = False
        self._scope = scope
        self._limit = limit
        self._inherit_lang = inherit_lang
        self._declarations: dict[str | None, str] = {}
        self._depth = -1  # -1: before the root, 0: between first-level elements
        self._base = 0  # the parser's index of _buffer[0]
        self._start = 0  # in _buffer, of the first-level element that is open
        self._done = 0  # in _buffer, behind the last thing reported
        self._name = ""
        self._buffer = bytearray()
        self._parser = parser = create_parser()
        if scope is not None:
            parser.Parse(scope.prologue, False)
            self._base = len(scope.prologue)
            self._depth = 0
        else:
            parser.StartNamespaceDeclHandler = self._declare
        parser.StartElementHandler = self._start_element
        parser.EndElementHandler = self._end_element
        parser.StartCdataSectionHandler = self._start_cdata

    @property
    def scope(self) -> Scope | None:
        """The declarations that the root made; None before it."""
        return self._scope

    @property
    def idle(self) -> bool:
        """Nothing is unfinished: this object can be dropped, and another one continue with `scope`."""
        return self._depth == 0 and not self._buffer

    def close(self) -> None:
        """Let go of the parser, which refers back to this object: no work for the garbage collector."""
        parser = self._parser
        parser.StartElementHandler = parser.EndElementHandler = None
        parser.StartCdataSectionHandler = parser.StartNamespaceDeclHandler = None

    def feed(self, data: bytes) -> None:
        """Take the next piece of the document, or raise XmlError; `items` has what was complete before."""
        while data and not self.ended:
            if not self._buffer:
                data = data.lstrip(WHITESPACE)  # RFC 6120 section 11.7
                self._check_text(data)
            # No piece reaches beyond the limit of an element that begins where the buffer does, so that one byte
            # too many is found at the same place, however the bytes were split.
            room = self._limit - len(self._buffer)
            if data and room <= 0:
                raise XmlError("policy-violation", f"an element of more than {self._limit} bytes")
            self._buffer += data[:room]
            self._parse(data[:room])
            data = data[room:]

    def _parse(self, piece: bytes) -> None:
        parser = self._parser
        try:
            parser.Parse(piece, False)
        except expat.ExpatError as error:
            if not self.ended:
                self._check_text(self._buffer[self._done :].lstrip(WHITESPACE))
            raise syntax_error(error, self._buffer, parser.ErrorByteIndex - self._base) from None
        if not self.ended:
            self._forget_reported()

    def _forget_reported(self) -> None:
        """Keep in the buffer only what is unfinished, from its first byte."""
        if self._depth > 0:
            reported = self._start
        elif self._depth == 0:
            rest = self._buffer[self._done :].lstrip(WHITESPACE)
            self._check_text(rest)
            reported = len(self._buffer) - len(rest)
        else:
            return
        del self._buffer[:reported]
        self._base += reported
        self._start = self._done = 0

    def _check_text(self, data: bytes | bytearray) -> None:
        """Refuse anything but a tag at the first level: RFC 6120 section 4.9.3.1, XEP-0124 section 6."""
        if self._depth <= 0 and data and not data.startswith(b"<"):
            if self._depth < 0:
                raise XmlError("not-well-formed", "no XML document")  # a byte order mark too (11.6)
            raise XmlError("bad-format", "text between first-level elements")

    def _check_gap(self, end: int) -> None:
        if self._buffer[self._done : end].strip(WHITESPACE):
            raise XmlError("bad-format", "text between first-level elements")

    def _start_cdata(self) -> None:
        if self._depth == 0:
            raise XmlError("bad-format", "text between first-level elements")

    def _declare(self, prefix: str | None, uri: str | None) -> None:
        self._declarations[prefix] = uri or ""

    def _start_element(self, name: str, attributes: dict[str, str]) -> None:
        if self._depth == 0:
            self._start = self._parser.CurrentByteIndex - self._base
            self._name = name
            self._check_gap(self._start)
        elif self._depth < 0:
            self._open(name, attributes)
        self._depth += 1

    def _end_element(self, name: str) -> None:
        self._depth -= 1
        if self._depth > 0:
            return
        index = self._parser.CurrentByteIndex - self._base
        if self._depth < 0:
            self._check_gap(index)
            self.ended = True
            return
        tag = TAG.match(self._buffer, self._start)
        assert tag is not None, "expat has read this start tag"
        # Expat's index is that of the end tag; an empty-element tag has none.
        end = tag.end() if tag[3] else self._buffer.index(b">", index) + 1
        data = bytes(self._buffer[self._start : end])
        self._done = end
        assert self._scope is not None, "the root came first"
        self.items.append(make_element(expand(self._name), self._scope.complete(data)))

    def _open(self, name: str, attributes: dict[str, str]) -> None:
        """The root: from here its declarations are in force."""
        self._parser.StartNamespaceDeclHandler = None
        tag = TAG.match(self._buffer, self._parser.CurrentByteIndex - self._base)
        assert tag is not None, "expat has read this start tag"
        self._done = tag.end()
        root = Root(
            expand(name), {expand(key): value for key, value in attributes.items()}, self._declarations
        )
        lang = root.attributes.get(_LANG) if self._inherit_lang else None
        self._scope = scope_of(bytes(tag[1]), self._declarations, lang)
        self.items.append(root)


def child_spans(data: bytes) -> list[tuple[str, int, int]]:
    """Return the expanded name, begin and end of each child of the root of the whole document *data*."""
    spans: list[tuple[str, int, int]] = []
    depth = begin = 0
    parser = create_parser()

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, begin
        depth += 1
        if depth == 2:
            begin = parser.CurrentByteIndex

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        if depth == 1:
            tag = TAG.match(data, begin)
            assert tag is not None, "expat has read this start tag"
            stop = tag.end() if tag[3] else data.index(b">", parser.CurrentByteIndex) + 1
            spans.append((expand(name), begin, stop))

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parse(parser, data)
    parser.StartElementHandler = parser.EndElementHandler = None
    return spans
