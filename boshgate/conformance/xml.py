"""Reading what the endpoint says, with a hardened parser, and writing what is said to it."""

from collections.abc import Callable
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from boshgate.namespaces import CLIENT, STANZA_ERRORS, STREAM_ERRORS, XML

Element = etree._Element

LANG = f"{{{XML}}}lang"
PING = "urn:xmpp:ping"

__all__ = [
    "LANG", "PING", "Element", "attributes_of", "condition_of", "escape", "iq", "message", "named", "parse",
    "ping", "quoteattr", "silent", "stream_condition", "tag", "written",
]  # fmt: skip


def parse(data: bytes | str) -> Element | None:
    """The root of a document, or None where it is no XML of the kind that XMPP allows (RFC 6120 11.1)."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data.encode() if isinstance(data, str) else data, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    if root.getroottree().docinfo.internalDTD is not None or any(
        not isinstance(node.tag, str) for node in root.iter()
    ):
        return None
    return root


def tag(element: Element) -> str:
    """The expanded name; `parse` lets nothing through that has none."""
    assert isinstance(element.tag, str), "parse() refuses comments and the like"
    return element.tag


def attributes_of(element: Element) -> dict[str, str]:
    """Its attributes by expanded name."""
    return {str(name): str(value) for name, value in element.attrib.items()}


def written(element: Element, limit: int = 120) -> str:
    """The element as text, for a reason."""
    text = etree.tostring(element, encoding="unicode", with_tail=False)
    return text if len(text) <= limit else f"{text[:limit]}..."


def brief(element: Element, limit: int = 200) -> str:
    """The element without the declarations of its namespaces, what is in its children left out."""
    first = {"type": 0, "condition": 1}
    told = sorted(attributes_of(element).items(), key=lambda item: first.get(item[0], 2))
    attributes = "".join(f" {_short(element, name)}={quoteattr(value)}" for name, value in told)
    children = "".join(f"<{_short(child, child.tag)}/>" for child in element)
    name = _short(element, element.tag)
    content = escape((element.text or "").strip()) + children
    text = f"<{name}{attributes}>{content}</{name}>" if content else f"<{name}{attributes}/>"
    return text if len(text) <= limit else f"{text[:limit]}..."


def _short(element: Element, name: str | bytes) -> str:
    """A name with the prefix that it has in the document."""
    qualified = etree.QName(name)
    prefix = next((key for key, value in element.nsmap.items() if value == qualified.namespace), None)
    return f"{prefix}:{qualified.localname}" if prefix else qualified.localname


def condition_of(stanza: Element) -> str | None:
    """The defined condition of a stanza error (RFC 6120 section 8.3.2)."""
    return _child_in(stanza.find(f"{{{CLIENT}}}error"), STANZA_ERRORS)


def stream_condition(error: Element) -> str | None:
    """The defined condition of a stream error (RFC 6120 section 4.9.2)."""
    return _child_in(error, STREAM_ERRORS)


def _child_in(parent: Element | None, namespace: str) -> str | None:
    for child in parent if parent is not None else ():
        name = etree.QName(child)
        if name.namespace == namespace and name.localname != "text":
            return name.localname
    return None


def iq(kind: str, identifier: str, payload: str = "", to: str | None = None) -> str:
    """An <iq/>."""
    address = f" to={quoteattr(to)}" if to else ""
    return f"<iq xmlns='{CLIENT}' type='{kind}' id={quoteattr(identifier)}{address}>{payload}</iq>"


def ping(identifier: str, to: str) -> str:
    """A question that every server answers, with a result or an error (XEP-0199)."""
    return iq("get", identifier, f"<ping xmlns='{PING}'/>", to)


def silent(identifier: str, to: str) -> str:
    """A stanza that no server answers: the result of a question nobody asked (RFC 6120 section 8.2.3)."""
    return iq("result", identifier, to=to)


def message(to: str, identifier: str, text: str = "hello", extra: str = "") -> str:
    """A message that is not stored where nobody is there to read it (RFC 6121 section 5.2.2)."""
    return (
        f"<message xmlns='{CLIENT}' type='headline' to={quoteattr(to)} id={quoteattr(identifier)}>"
        f"<body>{escape(text)}</body>{extra}</message>"
    )


def named(identifier: str) -> Callable[[Element], bool]:
    """Tells whether an element has that id."""
    return lambda element: element.get("id") == identifier
