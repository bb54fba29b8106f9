"""Where clients look for the endpoints of a domain: XEP-0156, RFC 6415."""

import json
from urllib.parse import urlsplit

from boshgate.conformance.check import Fails, NotOffered, Section, Transport, expect, offered
from boshgate.conformance.kit import Kit
from boshgate.conformance.wire import Answer, Http
from boshgate.conformance.xml import tag

section = Section("Discovery", Transport.BOSH, prefix="discovery")

XRD = "http://docs.oasis-open.org/ns/xri/xrd-1.0"
RELATIONS = {
    "urn:xmpp:alt-connections:xbosh": "https",
    "urn:xmpp:alt-connections:websocket": "wss",
}
XML_PATH = "/.well-known/host-meta"
JSON_PATH = "/.well-known/host-meta.json"


async def _get(kit: Kit, path: str, *, host: str | None = None) -> Answer:
    """A document of the domain's web site: where that is given, or else where the endpoint is."""
    http = await kit.http()
    return await _get_from(http, kit.target.origin_url or http.url, path, host or kit.domain)


async def _get_from(http: Http, url: str, path: str, host: str) -> Answer:
    parts = urlsplit(url)
    headers = {"Host": host, "Content-Type": None}
    return await http.request(method="GET", url=f"{parts.scheme}://{parts.netloc}{path}", headers=headers)


async def _xrd(kit: Kit) -> tuple[Answer, list[tuple[str, str]]]:
    """The XRD document, and its links for XMPP."""
    answer = await _get(kit, XML_PATH)
    offered(answer.status == 200, f"{XML_PATH}: HTTP {answer.status}")
    if answer.root is None or tag(answer.root) != f"{{{XRD}}}XRD":
        raise Fails(f"{XML_PATH}: no XRD but {answer}")
    links = [(link.get("rel", ""), link.get("href", "")) for link in answer.root.iter(f"{{{XRD}}}Link")]
    return answer, [link for link in links if link[0] in RELATIONS]


async def _jrd(kit: Kit) -> tuple[Answer, list[tuple[str, str]]]:
    """The JRD document, and its links for XMPP."""
    answer = await _get(kit, JSON_PATH)
    offered(answer.status == 200, f"{JSON_PATH}: HTTP {answer.status}")
    try:
        links = [(str(link["rel"]), str(link["href"])) for link in json.loads(answer.data)["links"]]
    except (ValueError, KeyError, TypeError):
        raise Fails(f"{JSON_PATH}: no JRD with links but {answer}") from None
    return answer, [link for link in links if link[0] in RELATIONS]


@section.must("D1", "XEP-0156 2.2")
async def host_meta_names_the_endpoints(kit: Kit) -> str:
    """/.well-known/host-meta is an XRD with links to the endpoints."""
    _, links = await _xrd(kit)
    expect(links, "no link for BOSH or WebSocket")
    return ", ".join(href for _, href in links)


@section.should("D2", "XEP-0156 2.2")
async def host_meta_json_names_the_endpoints(kit: Kit) -> str:
    """/.well-known/host-meta.json is a JRD with links to the endpoints."""
    _, links = await _jrd(kit)
    expect(links, "no link for BOSH or WebSocket")
    return ", ".join(href for _, href in links)


@section.should("D3", "RFC 6415 2, A")
async def the_documents_have_their_types(kit: Kit) -> str:
    """The XRD is application/xrd+xml, the JRD application/json."""
    xml, _ = await _xrd(kit)
    found = xml.headers.get("content-type", "absent")
    expect(found.startswith("application/xrd+xml"), f"Content-Type of the XRD: {found}")
    data, _ = await _jrd(kit)
    found = data.headers.get("content-type", "absent")
    expect(found.startswith("application/json"), f"Content-Type of the JRD: {found}")
    return "both"


@section.must("D3", "RFC 6415 A")
async def both_documents_say_the_same(kit: Kit) -> str:
    """The links are the same in both."""
    _, xml = await _xrd(kit)
    _, data = await _jrd(kit)
    expect(sorted(xml) == sorted(data), f"{sorted(xml)} and {sorted(data)}")
    return f"{len(xml)} links"


@section.must("D4", "XEP-0156 2.2")
async def links_are_secure(kit: Kit) -> str:
    """The links are https: and wss: only."""
    _, links = await _xrd(kit)
    for relation, href in links:
        expect(href.startswith(f"{RELATIONS[relation]}:"), f"{href} is not {RELATIONS[relation]}:")
    return f"{len(links)} links"


@section.should("D5", "XEP-0156 3")
async def pages_may_read_them(kit: Kit) -> str:
    """Both documents have Access-Control-Allow-Origin: *."""
    for answer, _ in (await _xrd(kit), await _jrd(kit)):
        found = answer.headers.get("access-control-allow-origin")
        expect(found == "*", f"Access-Control-Allow-Origin: {found or 'absent'}")
    return "*"


@section.must("D7", "RFC 7395 4")
async def another_domain_has_none(kit: Kit) -> str:
    """A domain that is not served here has no document, and none that names its endpoints."""
    await _xrd(kit)
    answer = await _get(kit, XML_PATH, host="no-such-domain.invalid")
    expect(answer.status != 200, "a document for a domain that is not served")
    expect(b"no-such-domain.invalid" not in answer.data, "the Host of the request is in the document")
    return f"HTTP {answer.status}"


@section.must("D4", "XEP-0156 4")
async def clear_text_is_refused(kit: Kit) -> str:
    """The documents are served over https: only: whoever changes them on the way chooses the endpoint."""
    http = await kit.http()
    if urlsplit(http.url).scheme == "https":
        raise NotOffered("the endpoint is https:")
    answer = await _get_from(http, http.url, XML_PATH, kit.domain)
    offered(answer.status != 404, f"{XML_PATH}: HTTP 404")
    expect(answer.status != 200, "served over http:")
    return f"HTTP {answer.status}"
