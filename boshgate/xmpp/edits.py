"""Where the elements of a document stand, and what is put in place of some; all other bytes stay."""

from collections.abc import Sequence
from typing import NamedTuple

from boshgate.xmpp.xml import TAG, Element, create_parser, expand, parse


class Span(NamedTuple):
    """Where an element stands in its document: *level* 0 is the root."""

    name: str
    level: int
    begin: int
    end: int


class Edit(NamedTuple):
    """What is put in place of the bytes from *begin* to *end*."""

    begin: int
    end: int
    data: bytes


def element_spans(data: bytes) -> list[Span]:
    """Return all elements of the document *data*, by their expanded names, in the order in which they end."""
    spans: list[Span] = []
    begins: list[int] = []
    parser = create_parser()

    def start(_name: str, _attributes: dict[str, str]) -> None:
        begins.append(parser.CurrentByteIndex)

    def end(name: str) -> None:
        begin = begins.pop()
        tag = TAG.match(data, begin)
        assert tag is not None, "expat has read this start tag"
        stop = tag.end() if tag[3] else data.index(b">", parser.CurrentByteIndex) + 1
        spans.append(Span(expand(name), len(begins), begin, stop))

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parse(parser, data)
    parser.StartElementHandler = parser.EndElementHandler = None
    return spans


def edit(element: Element, edits: Sequence[Edit]) -> Element:
    """Return *element* with *edits* made, in their order and without overlap; all other bytes stay."""
    if not edits:
        return element
    pieces = []
    position = 0
    for begin, end, data in edits:
        pieces += [element.data[position:begin], data]
        position = end
    return Element(element.name, b"".join((*pieces, element.data[position:])))
