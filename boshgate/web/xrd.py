"""The XML format of resource descriptors, XRD 1.0 (RFC 6415 section 3.1): hardened reading, and writing.

lxml here, unlike in `boshgate.xmpp`: elements of other namespaces must come out with their own prefixes, and
what is read is small, seldom, and from where the operator said. The parser knows no DTD, entity or network.
"""

from typing import Final

from lxml import etree

from boshgate.errors import UpstreamError
from boshgate.namespaces import XML, XRD, XSI
from boshgate.web.descriptor import LINK_ATTRIBUTES, Descriptor, Link, Properties

_NIL: Final = f"{{{XSI}}}nil"
_LANG: Final = f"{{{XML}}}lang"
_SIGNATURES: Final = "http://www.w3.org/2000/09/xmldsig#"


def read_xrd(data: bytes) -> Descriptor:
    """Read an XRD in UTF-8; raises UpstreamError if *data* is none."""
    # Bytes are compared, and the parser is told the encoding: no other can hide a declaration from this.
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise UpstreamError("not XRD: it has a document type declaration")
    try:
        root = etree.fromstring(data, _parser())
    except etree.XMLSyntaxError as error:
        raise UpstreamError(f"not XML in UTF-8: {error.msg}") from None
    if root.tag != _name("XRD"):
        raise UpstreamError(f"not XRD: the root element is {root.tag!r}")
    return Descriptor(
        subject=next(iter(_texts(root, "Subject")), None),
        expires=next(iter(_texts(root, "Expires")), None),
        aliases=tuple(_texts(root, "Alias")),
        properties=_properties(root),
        links=tuple(_link(element) for element in root.iterchildren(_name("Link"))),
        elements=_foreign(root),
    )


def write_xrd(document: Descriptor) -> bytes:
    """Write *document* as XRD in UTF-8, in the order of its schema."""
    # The stubs know of no default namespace.
    root = etree.Element(_name("XRD"), nsmap={None: XRD})  # type: ignore[dict-item]
    if document.expires is not None:
        etree.SubElement(root, _name("Expires")).text = document.expires
    if document.subject is not None:
        etree.SubElement(root, _name("Subject")).text = document.subject
    for alias in document.aliases:
        etree.SubElement(root, _name("Alias")).text = alias
    _add_properties(root, document.properties)
    for link in document.links:
        _add_link(root, link)
    _add_foreign(root, document.elements)
    return etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True)


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_blank_text=True,
        remove_comments=True,
        remove_pis=True,
    )


def _name(local: str) -> str:
    return f"{{{XRD}}}{local}"


def _texts(parent: etree._Element, local: str) -> list[str]:
    return [_text(element).strip() for element in parent.iterchildren(_name(local))]


def _text(element: etree._Element) -> str:
    return "".join(str(text) for text in element.itertext())


def _properties(parent: etree._Element) -> Properties:
    return tuple(
        (
            str(element.get("type", "")),
            None if element.get(_NIL, "").strip() in {"true", "1"} else _text(element),
        )
        for element in parent.iterchildren(_name("Property"))
    )


def _link(element: etree._Element) -> Link:
    return Link(
        # XRD 1.0 appendix A: beside its own, attributes of other namespaces only.
        {
            str(name): str(value)
            for name, value in element.attrib.items()
            if name in LINK_ATTRIBUTES or str(name).startswith("{")
        },
        tuple((title.get(_LANG), _text(title)) for title in element.iterchildren(_name("Title"))),
        _properties(element),
        _foreign(element),
    )


def _foreign(parent: etree._Element) -> tuple[bytes, ...]:
    """The children of other namespaces, without a signature: that of another document would be wrong."""
    return tuple(
        etree.tostring(child, encoding="utf-8", with_tail=False)
        for child in parent
        if etree.QName(child).namespace not in {XRD, _SIGNATURES}
    )


def _add_properties(parent: etree._Element, properties: Properties) -> None:
    for kind, value in properties:
        if value is None:
            etree.SubElement(parent, _name("Property"), {"type": kind, _NIL: "true"}, {"xsi": XSI})
        else:
            etree.SubElement(parent, _name("Property"), {"type": kind}).text = value


def _add_link(parent: etree._Element, link: Link) -> None:
    element = etree.SubElement(parent, _name("Link"), link.attributes)
    for language, text in link.titles:
        title = etree.SubElement(element, _name("Title"), {} if language is None else {_LANG: language})
        title.text = text
    _add_properties(element, link.properties)
    _add_foreign(element, link.elements)


def _add_foreign(parent: etree._Element, elements: tuple[bytes, ...]) -> None:
    for data in elements:
        parent.append(etree.fromstring(data, _parser()))
