"""A resource descriptor (RFC 6415, XRD 1.0) in neither of its formats, and the merging of our links into one.

Both formats are read into this and written from this: that makes them say the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

XBOSH_REL: Final = "urn:xmpp:alt-connections:xbosh"
"""XEP-0156 section 2.1: the link to a BOSH endpoint."""

WEBSOCKET_REL: Final = "urn:xmpp:alt-connections:websocket"
"""XEP-0156 section 2.1: the link to a WebSocket endpoint."""

XMPP_MEMBER: Final = "xmpp"
"""XEP-0487 section 2.1: with this member in a JRD, clients need nothing else, no SRV records either."""

_XMPP_RELS: Final = "urn:xmpp:alt-connections:"
_MANDATORY: Final = {"priority", "weight", "sni", "ips"}
"""XEP-0487 section 2.1: what each link must have if the document has the ``xmpp`` member."""

LINK_ATTRIBUTES: Final[tuple[str, ...]] = ("rel", "type", "href", "template")
"""What both formats know of a link (XRD 1.0 section 2.5)."""

Properties = tuple[tuple[str, str | None], ...]
"""Types and values, in order; None is ``xsi:nil``."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link (RFC 6415 section 3.1.1)."""

    attributes: dict[str, str]
    """LINK_ATTRIBUTES; XRD only: also those of other namespaces, in Clark notation."""
    titles: tuple[tuple[str | None, str], ...] = ()
    """Languages (None: not said) and texts, in order."""
    properties: Properties = ()
    elements: tuple[bytes, ...] = ()
    """XRD only: elements of other namespaces, self-contained."""
    members: dict[str, Any] = field(default_factory=dict)
    """JRD only: members that RFC 6415 does not know, e.g. those of XEP-0487."""

    @property
    def rel(self) -> str:
        """The relation, for comparing: in any case (RFC 5988 section 4.2)."""
        return self.attributes.get("rel", "").lower()

    @property
    def href(self) -> str | None:
        return self.attributes.get("href")

    @property
    def is_clear(self) -> bool:
        """Whether this leads an XMPP client to an address without TLS."""
        return self.rel.startswith(_XMPP_RELS) and (self.href or "").lower().startswith(("http:", "ws:"))


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A descriptor: what RFC 6415 appendix A maps between the formats, and what only one of them can hold."""

    subject: str | None = None
    expires: str | None = None
    aliases: tuple[str, ...] = ()
    properties: Properties = ()
    links: tuple[Link, ...] = ()
    elements: tuple[bytes, ...] = ()
    """XRD only: elements of other namespaces, self-contained."""
    members: dict[str, Any] = field(default_factory=dict)
    """JRD only: members that RFC 6415 does not know."""


def merge(document: Descriptor, ours: Iterable[Link], *, clear: bool = False) -> Descriptor:
    """Put *ours* into *document*, in place of its own links of the same relations.

    The order of its other links is kept, it matters (RFC 6415 section 1.1.1); that of XMPP's does not
    (XEP-0156 section 2.2 rule 5). A link to an address of ours stays: it may say more about it than we can.
    *clear*: keep links that lead XMPP clients to ``http`` and ``ws`` addresses (rule 1 forbids them).
    """
    own = {link.rel: link for link in ours}
    missing = dict(own)
    links = []
    for link in document.links:
        if link.rel not in own:
            if clear or not link.is_clear:
                links.append(link)
        elif link.rel in missing and link.href == own[link.rel].href:
            links.append(link)
            del missing[link.rel]
    links += missing.values()
    members = dict(document.members)
    if any(link.rel in own and not link.members.keys() >= _MANDATORY for link in links):
        # XEP-0487 section 2.2 rule 2: half-filled, it would keep clients from the SRV records.
        members.pop(XMPP_MEMBER, None)
    return replace(document, links=tuple(links), members=members)
