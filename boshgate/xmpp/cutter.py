"""Cuts the first-level elements out of a document that comes in pieces, each self-contained, none serialised.

A stream header or a BOSH ``<body/>`` declares namespaces that its children use. Expat tells where a child
begins and ends, the received bytes are sliced there, and what the child lacks outside is inserted into its
start tag.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from boshgate.errors import XmlError
from boshgate.namespaces import CLIENT, STREAMS, XML
from boshgate.xmpp.xml import (
    ATTRIBUTE_NAME,
    TAG,
    WHITESPACE,
    Element,
    ExpatError,
    check_document,
    create_parser,
    escape_attribute,
    expand,
    is_utf_16,
    syntax_error,
)

Declarations = Mapping[str | None, str]
"""Prefix (None: the default namespace) to namespace name."""

_STREAM_PREFIX: Final = b"stream:"
_IN_STREAMS: Final = f"{{{STREAMS}}}"
_LANG: Final = f"{{{XML}}}lang"

_MARKUP: Final = re.compile(rb"""<[^<>"']*+(?:(?:"[^"<]*+"|'[^'<]*+')[^<>"']*+)*+>""")
"""A whole tag, of any kind (XML 1.0 section 3.1)."""


class Root(NamedTuple):
    """The start tag that the first-level elements are inside of; names are expanded."""

    name: str
    attributes: dict[str, str]
    declarations: Declarations


class Prefix(NamedTuple):
    """A prefix that is declared around the elements, in the forms that are looked for and inserted."""

    use: bytes
    attribute: bytes
    declaration: bytes


class Scope(NamedTuple):
    """The declarations in force where first-level elements stand, prepared for being inserted into them."""

    prologue: bytes
    """A start tag that makes them, for a parser that begins in mid-stream."""
    default: bytes
    prefixes: tuple[Prefix, ...]
    lang: bytes

    def complete(self, data: bytes, tag: re.Match[bytes]) -> bytes:
        """Return the element *data*, which starts with *tag*, with all that it needs of this scope on it."""
        attributes = tag[2]
        # The mere bytes may stand in an attribute's value: then the names are looked at one by one.
        own = ATTRIBUTE_NAME.findall(attributes) if b"xmlns" in attributes else ()
        missing = b"" if b"xmlns" in own else self.default
        for prefix in self.prefixes:
            # `p:` found in some text declares a prefix that nobody uses, which harms nobody.
            if prefix.use in data and prefix.attribute not in own:
                missing += prefix.declaration
        # RFC 7395 section 3.3.3: the language is declared in each message too.
        if self.lang and not (
            b"xml:lang" in attributes and b"xml:lang" in (own or ATTRIBUTE_NAME.findall(attributes))
        ):
            missing += self.lang
        if not missing:
            return data
        end = len(tag[1]) + 1
        return data[:end] + missing + data[end:]


def scope_of(root: bytes, declarations: Declarations, lang: str | None = None) -> Scope:
    """Prepare the scope inside a tag that is written *root*, with *declarations* and perhaps ``xml:lang``."""
    inherited = f" xml:lang='{escape_attribute(lang)}'".encode() if lang else b""
    if root == STANDARD_ROOT and declarations == STANDARD_DECLARATIONS:
        return STANDARD._replace(lang=inherited) if inherited else STANDARD
    return _build_scope(root, declarations, inherited)


def _build_scope(root: bytes, declarations: Declarations, lang: bytes) -> Scope:
    default = _declaration(None, declarations.get(None, ""))
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


def cut_whole(data: bytes, scope: Scope) -> Element | None:
    """Return *data* as an element if it is exactly one, as most TCP reads bring; None: a `Cutter` must look.

    This costs one pass of expat and no call back into Python. If the name of the first tag is closed only
    once, and that at the very end, then it is the first tag that is closed there.
    """
    tag = TAG.match(data)
    if tag is None:
        return None
    closing = b"</" + tag[1]
    if tag.end() != len(data) if tag[3] else not data.endswith(closing + b">") or data.count(closing) != 1:
        return None
    completed = scope.complete(data, tag)
    try:
        return make_element(check_document(completed, limits=None), completed)
    except XmlError:
        return None  # the Cutter finds the same fault, and what was complete before it


def make_element(name: str, data: bytes) -> Element:
    """Return the Element of that expanded *name*; features and stream errors always in the prefixed form.

    RFC 6120 4.8.5 and RFC 7395 3.3.3 allow others, but clients look for the letters ``stream:features``.
    """
    if name.startswith(_IN_STREAMS) and not data.startswith(_STREAM_PREFIX, 1):
        data = _prefixed(name, data)
    return Element(name, data)


def _prefixed(name: str, data: bytes) -> bytes:
    """Rename the top of *data*, which is in the streams namespace, to ``stream:...``, and nothing else."""
    tag = TAG.match(data)
    assert tag is not None, "a well-formed start tag matches"
    renamed = _STREAM_PREFIX + name.removeprefix(_IN_STREAMS).encode()
    declared = b"xmlns:stream" in ATTRIBUTE_NAME.findall(tag[2])
    head = b"<" + renamed + (b"" if declared else _declaration("stream", STREAMS))
    end = len(data) if tag[3] else data.rindex(b"</")
    data = head + data[tag.end(1) : end] + (b"" if tag[3] else b"</" + renamed + b">")
    if declared and check_document(data, limits=None) != name:
        raise XmlError("bad-namespace-prefix", "the prefix stream means something else")  # 4.9.3.2
    return data


class Cutter:
    """A document in pieces: what `feed` completes is in `items`, the Root first (unless *scope* was given).

    *limit* bounds what is buffered: one element, or the root's start tag with what stands before it.
    """

    __slots__ = (
        "_base",
        "_buffer",
        "_declarations",
        "_depth",
        "_done",
        "_given",
        "_inherit_lang",
        "_limit",
        "_name",
        "_parser",
        "_scope",
        "_start",
        "ended",
        "items",
    )

    def __init__(self, scope: Scope | None, *, limit: int, inherit_lang: bool = False) -> None:
        self.items: list[Root | Element] = []
        self.ended = False
        """The root's end tag has come; what stands behind it is not looked at."""
        self._scope = scope
        self._limit = limit
        self._inherit_lang = inherit_lang
        self._declarations: dict[str | None, str] = {}
        self._depth = -1  # -1: before the root, 0: between first-level elements
        self._base = 0  # the parser's index of _buffer[0]
        self._start = 0  # in _buffer, of the first-level element that is open
        self._done = 0  # in _buffer, behind the last thing reported
        self._given = 0  # in _buffer, behind what the parser has been given
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
            # No piece reaches beyond the limit of an element that begins where the buffer does: so one byte
            # too many is found before any fault behind it, however the bytes were split.
            room = self._limit - len(self._buffer)
            if data and room <= 0:
                self._parse(len(self._buffer))
                raise XmlError("policy-violation", f"an element of more than {self._limit} bytes")
            self._buffer += data[:room]
            if self._depth < 0 and is_utf_16(self._buffer):
                raise XmlError("unsupported-encoding", "UTF-16")
            self._parse(self._end_of_tokens())
            data = data[room:]

    def _end_of_tokens(self) -> int:
        """Where in the buffer an unfinished tag or reference begins, which the parser gets when it is whole.

        Since the answer to CVE-2023-52425 expat does not look again at half a token before there is twice as
        much of it: a stanza whose end tag came in two pieces would wait for the next one. Not every Python
        that has such an expat can switch this off.
        """
        begin = self._buffer.rfind(b"<", self._given)
        if begin >= 0:
            markup = _MARKUP.match(self._buffer, begin)
            if markup is None:
                return begin
            begin = markup.end()
        reference = self._buffer.rfind(b"&", max(begin, self._given))
        if reference >= 0 and b";" not in self._buffer[reference:]:
            return reference
        return len(self._buffer)

    def _parse(self, end: int) -> None:
        """Give the parser what is in the buffer up to *end*."""
        piece, self._given = self._buffer[self._given : end], end
        try:
            self._parser.Parse(piece, False)
        except ExpatError as error:
            if self.ended:
                return
            self._check_text(self._buffer[self._done :].lstrip(WHITESPACE))
            index = self._parser.ErrorByteIndex - self._base
            # Bytes behind the faulty one may not have come yet: they do not decide what is wrong with it.
            raise syntax_error(error, self._buffer[: index + 1], index) from None
        if not self.ended:
            self._forget_reported()

    def _forget_reported(self) -> None:
        """Keep in the buffer only what is unfinished, from its first byte."""
        if self._depth < 0:
            return
        reported = self._start
        if self._depth == 0:
            rest = self._buffer[self._done :].lstrip(WHITESPACE)
            self._check_text(rest)
            reported = len(self._buffer) - len(rest)
        del self._buffer[:reported]
        self._base += reported
        self._given -= reported
        self._start = self._done = 0

    def _check_text(self, data: bytes | bytearray) -> None:
        """Refuse anything but a tag outside first-level elements, already at its first byte."""
        if self._depth <= 0 and data and not data.startswith(b"<"):
            if self._depth < 0:
                raise XmlError("not-well-formed", "no XML document")  # RFC 6120 11.6: a byte order mark too
            raise _text_between_elements()

    def _check_gap(self, end: int) -> None:
        if self._buffer[self._done : end].strip(WHITESPACE):
            raise _text_between_elements()

    def _start_cdata(self) -> None:
        if self._depth == 0:
            raise _text_between_elements()

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

    def _end_element(self, _name: str) -> None:
        self._depth -= 1
        if self._depth > 0:
            return
        index = self._parser.CurrentByteIndex - self._base
        if self._depth < 0:
            self._check_gap(index)
            self.ended = True
            return
        tag = self._tag_at(self._start)
        # The index is that of the end tag; an empty-element tag has none.
        end = tag.end() if tag[3] else self._buffer.index(b">", index) + 1
        data = bytes(self._buffer[self._start : end])
        self._done = end
        assert self._scope is not None, "the root came first"
        self.items.append(make_element(expand(self._name), self._scope.complete(data, tag)))

    def _open(self, name: str, attributes: dict[str, str]) -> None:
        """The root: from here its declarations are in force."""
        self._parser.StartNamespaceDeclHandler = None
        tag = self._tag_at(self._parser.CurrentByteIndex - self._base)
        self._done = tag.end()
        root = Root(
            expand(name), {expand(key): value for key, value in attributes.items()}, self._declarations
        )
        lang = root.attributes.get(_LANG) if self._inherit_lang else None
        self._scope = scope_of(tag[1], self._declarations, lang)
        self.items.append(root)

    def _tag_at(self, index: int) -> re.Match[bytes]:
        tag = TAG.match(self._buffer, index)
        assert tag is not None, "expat has read this start tag"
        return tag


def _text_between_elements() -> XmlError:
    """RFC 6120 section 4.9.3.1, XEP-0124 section 6."""
    return XmlError("bad-format", "text between first-level elements")
