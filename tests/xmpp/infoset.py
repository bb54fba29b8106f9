"""What a document says, told by another parser (lxml) than the one under test."""

from hypothesis import reject
from lxml import etree

from boshgate.namespaces import CLIENT, STREAMS
from boshgate.xmpp.xml import Element

Infoset = tuple[object, ...]

HEADER = (
    f"<?xml version='1.0'?><stream:stream xmlns='{CLIENT}' xmlns:stream='{STREAMS}'"
    " id='s1' from='example.org' version='1.0'>"
).encode()
"""A header as servers write it."""

END = b"</stream:stream>"


def infoset(element: etree._Element) -> Infoset:
    """Names and text, without prefixes and without what was around the element."""
    content: list[object] = [element.text or ""]
    for child in element:
        content += [infoset(child), child.tail or ""]
    return (element.tag, tuple(sorted(element.attrib.items())), tuple(content))


def parse(data: bytes) -> etree._Element:
    """Parse strictly; in a property test, leave out what only libxml2 minds."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, encoding="utf-8")
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        if "is not a valid URI" in str(error):  # Namespaces in XML 1.0 does not make that an error
            reject()
        raise


def alone(data: bytes) -> Infoset:
    """The infoset of *data* as a document of its own."""
    return infoset(parse(data))


def inside(data: bytes, *, header: bytes = HEADER, end: bytes = END) -> list[Infoset]:
    """The infosets of the elements in *data*, inside a stream."""
    return [infoset(child) for child in parse(header + data + end)]


def element(data: bytes) -> Element:
    """Return *data* as what the package would pass on."""
    return Element(parse(data).tag, data)
