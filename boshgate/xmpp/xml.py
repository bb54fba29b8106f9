"""XML as XMPP restricts it (RFC 6120 section 11): one hardened parser for all that is received, and escaping.

The parser is expat, not lxml. Expat tells byte offsets, so that elements are cut out of what was received
instead of being serialised again, and it forgets everything with its parser. The dictionary of names that
libxml2 keeps, and lxml shares between all parsers of a thread, never shrinks: clients could fill the memory
with invented names.
"""

import re
from itertools import islice
from typing import Final, NamedTuple
from xml.etree import ElementTree
from xml.parsers import expat

from boshgate.errors import XmlError

Parser = expat.XMLParserType
ExpatError = expat.ExpatError


class Element(NamedTuple):
    """One first-level element: its expanded name (``{namespace}local``) and self-contained UTF-8 bytes."""

    name: str
    data: bytes


class Limits(NamedTuple):
    """How complex a client's document may be; how large is limited before it is parsed (RFC 6120 13.12)."""

    depth: int = 100
    """Elements inside each other; libxml2 at the other end would refuse more than 256."""
    attributes: int = 100
    """Attributes and namespace declarations on one element."""
    elements: int = 10_000
    """Elements in one document."""


LIMITS: Final = Limits()

WHITESPACE: Final = b" \t\r\n"
"""XML 1.0 section 2.3, production S."""

TAG: Final = re.compile(
    rb"""<([^\s/>"'=<]++)((?:\s++[^\s/>"'=<]++\s*+=\s*+(?:"[^"<]*+"|'[^'<]*+'))*+)\s*+(/?)>"""
)
"""A whole start tag or empty-element tag: its name, its attributes, and the slash (XML 1.0 section 3.1).

Every well-formed tag matches, and no text makes it slow; what it matches is still for expat to judge."""

ATTRIBUTE_NAME: Final = re.compile(rb"""([^\s=]++)\s*+=\s*+(?:"[^"]*+"|'[^']*+')""")
"""The names in the attributes that `TAG` found."""

XML_DECLARATION: Final = re.compile(rb"<\?xml\s[^<>]*?\?>\s*")

_UNDEFINED_ENTITY: Final = expat.errors.codes[expat.errors.XML_ERROR_UNDEFINED_ENTITY]

# From 2.6 on expat lets an unfinished token wait until much more has come; a stanza must not wait for that.
_set_deferral = getattr(Parser, "SetReparseDeferralEnabled", None)


def create_parser() -> Parser:
    """Make an expat parser for UTF-8 that reports names as ``uri}local`` and raises XmlError (11.1, 11.6)."""
    parser = expat.ParserCreate("utf-8", "}")
    if _set_deferral is not None:
        _set_deferral(parser, False)
    parser.CommentHandler = parser.ProcessingInstructionHandler = _refuse_markup
    parser.StartDoctypeDeclHandler = _refuse_markup
    parser.XmlDeclHandler = _check_declaration
    return parser


def check_document(data: bytes, limits: Limits | None = LIMITS) -> str:
    """Return the expanded name of the root of the document *data*, or raise XmlError.

    *limits* None: as complex as it likes.
    """
    parser = create_parser()
    if limits is not None and _may_exceed(data, limits):
        meter = _Meter(limits)
        parser.StartElementHandler = meter.start
        parser.EndElementHandler = meter.end
        parse(parser, data)
        return expand(meter.name)
    # The last element to end is the root, and a list's append costs no call into Python.
    ended: list[str] = []
    parser.EndElementHandler = ended.append
    parse(parser, data)
    return expand(ended[-1])


def parse_document(data: bytes, limits: Limits | None = LIMITS) -> ElementTree.Element:
    """Return the tree of the document *data* (names in Clark notation), or raise XmlError.

    For what is small or rare: the hot paths never build a tree. A byte order mark and an XML declaration are
    tolerated. The tree builder meets only what the hardened parser has accepted.
    """
    check_document(data, limits)
    return ElementTree.fromstring(data, ElementTree.XMLParser(encoding="utf-8"))  # noqa: S314


def parse(parser: Parser, data: bytes) -> None:
    """Give *parser* the whole document *data*, or raise XmlError."""
    if b"\0" in data and is_utf_16(data):  # "<" alone makes a NUL of it
        raise XmlError("unsupported-encoding", "UTF-16")
    try:
        parser.Parse(data, True)
    except ExpatError as error:
        raise syntax_error(error, data, parser.ErrorByteIndex) from None


def is_utf_16(data: bytes | bytearray) -> bool:
    """Whether expat takes *data* for UTF-16, whatever it was told (RFC 6120 section 11.6 forbids it)."""
    return data[1:2] == b"\0" or data[:1] in (b"\0", b"\xfe", b"\xff")


def syntax_error(error: ExpatError, data: bytes | bytearray, index: int) -> XmlError:
    """Translate expat's *error* at *index* of *data* into a condition of RFC 6120 section 4.9.3."""
    text = expat.ErrorString(error.code) or ""
    if error.code == _UNDEFINED_ENTITY:
        return XmlError("restricted-xml", text)  # 11.1: no entity but the five predefined ones
    if index >= 2 and data[index - 2 : index] == b"<!" and data[index : index + 1].isalpha():
        return XmlError("restricted-xml", "a markup declaration")  # 11.1: no DTD, in no place
    try:
        data[index : index + 4].decode()
    except UnicodeDecodeError as not_utf8:
        # A later character may have been cut off by the four bytes.
        if not_utf8.start == 0:
            return XmlError("unsupported-encoding", "not UTF-8")  # 11.6, 4.9.3.22
    return XmlError("not-well-formed", text)  # 11.3


def expand(name: str) -> str:
    """Turn expat's ``uri}local`` into ``{uri}local``; a name without namespace stays as it is."""
    return "{" + name if "}" in name else name


def escape_text(text: str) -> str:
    """Escape *text* as character data; a carriage return survives the next parser (XML 1.0 section 2.11)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def escape_attribute(value: str) -> str:
    """Escape *value* for either quotes; white space survives normalisation (XML 1.0 section 3.3.3)."""
    escaped = escape_text(value).replace("'", "&apos;").replace('"', "&quot;")
    return escaped.replace("\t", "&#9;").replace("\n", "&#10;")


def _refuse_markup(*_: object) -> None:
    # RFC 6120 section 11.1
    raise XmlError("restricted-xml", "a comment, a processing instruction or a DTD")


def _check_declaration(_version: str, encoding: str | None, _standalone: int) -> None:
    # RFC 6120 section 11.6: UTF-8 and nothing else. 11.5: a standalone declaration is ignored.
    if encoding is not None and encoding.lower() not in ("utf-8", "utf8", "us-ascii"):
        raise XmlError("unsupported-encoding", f"declared as {encoding}")


def _may_exceed(data: bytes, limits: Limits) -> bool:
    """Count what every attribute and every element needs: most documents are cleared by this alone."""
    if data.count(b"=") > limits.attributes:
        _check_attributes(data, limits.attributes)
    tags = data.count(b"<")
    return tags > limits.depth or tags > limits.elements


def _check_attributes(data: bytes, maximum: int) -> None:
    """Refuse a start tag with too many attributes before any parser stores them."""
    for tag in TAG.finditer(data):
        if sum(1 for _ in islice(ATTRIBUTE_NAME.finditer(tag[2]), maximum + 1)) > maximum:
            raise XmlError("policy-violation", "too many attributes on one element")


class _Meter:
    """Counts depth and elements while the parser runs, so that it stops at the limit and not after it."""

    __slots__ = ("_depth", "_elements", "_limits", "name")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._depth = self._elements = 0
        self.name = ""

    def start(self, _name: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > self._limits.depth:
            raise XmlError("policy-violation", "elements nested too deep")
        if self._elements > self._limits.elements:
            raise XmlError("policy-violation", "too many elements")

    def end(self, name: str) -> None:
        self._depth -= 1
        self.name = name
