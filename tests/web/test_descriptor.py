"""Resource descriptors: both formats, from one into the other, and merging (RFC 6415, XEP-0156, XEP-0487)."""

import json

import pytest
from lxml import etree

from boshgate.errors import UpstreamError
from boshgate.web.descriptor import WEBSOCKET_REL, XBOSH_REL, Descriptor, Link, merge
from boshgate.web.jrd import read_jrd, write_jrd
from boshgate.web.upstream import read
from boshgate.web.xrd import read_xrd, write_xrd
from tests.web.otherweb import XRD_NS

# RFC 6415 appendix A, the example in both formats
EXAMPLE_XRD = b"""<?xml version='1.0' encoding='UTF-8'?>
<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'
     xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'>
  <Subject>http://blog.example.com/article/id/314</Subject>
  <Expires>2010-01-30T09:30:00Z</Expires>
  <Alias>http://blog.example.com/cool_new_thing</Alias>
  <Alias>http://blog.example.com/steve/article/7</Alias>
  <Property type='http://blgx.example.net/ns/version'>1.2</Property>
  <Property type='http://blgx.example.net/ns/version'>1.3</Property>
  <Property type='http://blgx.example.net/ns/ext' xsi:nil='true' />
  <Link rel='author' type='text/html' href='http://blog.example.com/author/steve'>
    <Title>About the Author</Title>
    <Title xml:lang='en-us'>Author Information</Title>
    <Property type='http://example.com/role'>editor</Property>
  </Link>
  <Link rel='author' href='http://example.com/author/john'>
    <Title>The other guy</Title>
    <Title>The other author</Title>
  </Link>
  <Link rel='copyright' template='http://example.com/copyright?id={uri}' />
</XRD>"""
EXAMPLE_JRD = {
    "subject": "http://blog.example.com/article/id/314",
    "expires": "2010-01-30T09:30:00Z",
    "aliases": ["http://blog.example.com/cool_new_thing", "http://blog.example.com/steve/article/7"],
    "properties": {"http://blgx.example.net/ns/version": "1.3", "http://blgx.example.net/ns/ext": None},
    "links": [
        {
            "rel": "author",
            "type": "text/html",
            "href": "http://blog.example.com/author/steve",
            "titles": {"default": "About the Author", "en-us": "Author Information"},
            "properties": {"http://example.com/role": "editor"},
        },
        {
            "rel": "author",
            "href": "http://example.com/author/john",
            "titles": {"default": "The other author"},
        },
        {"rel": "copyright", "template": "http://example.com/copyright?id={uri}"},
    ],
}

BOSH = Link({"rel": XBOSH_REL, "href": "https://gate.example/http-bind"})
WEBSOCKET = Link({"rel": WEBSOCKET_REL, "href": "wss://gate.example/xmpp-websocket"})
OURS = (BOSH, WEBSOCKET)
HOST_META_2 = {"priority": 10, "weight": 50, "sni": "example.org", "ips": ["192.0.2.1"]}


@pytest.mark.rule("D3")
def test_xrd_becomes_jrd_as_the_standard_shows() -> None:
    assert json.loads(write_jrd(read(EXAMPLE_XRD))) == EXAMPLE_JRD


@pytest.mark.rule("D3")
def test_jrd_becomes_xrd_and_jrd_again() -> None:
    document = read(json.dumps(EXAMPLE_JRD).encode())
    assert json.loads(write_jrd(read_xrd(write_xrd(document)))) == EXAMPLE_JRD


def test_xrd_stays_as_it_is() -> None:
    document = read(EXAMPLE_XRD)
    assert read_xrd(write_xrd(document)) == document


def test_a_byte_order_mark_and_other_encodings_of_json_are_read() -> None:
    assert read(b"\xef\xbb\xbf\n" + EXAMPLE_XRD) == read(EXAMPLE_XRD)
    assert read(b'\xef\xbb\xbf{"links": []}') == Descriptor()


def test_elements_of_other_namespaces_stay_in_xrd_and_signatures_do_not() -> None:
    document = read(
        f"<XRD xmlns='{XRD_NS}'><h:Host xmlns:h='urn:h'>a<h:b/></h:Host><Unknown/>"
        "<Signature xmlns='http://www.w3.org/2000/09/xmldsig#'/>"
        "<Link rel='x' xmlns:e='urn:e' e:more='1' nonsense='2'><e:child/></Link></XRD>".encode()
    )
    root = etree.fromstring(write_xrd(document))
    assert root.findtext("{urn:h}Host") == "a"
    assert root.find("{urn:h}Host/{urn:h}b") is not None
    assert [etree.QName(child).localname for child in root] == ["Link", "Host"]
    link = root.find(f"{{{XRD_NS}}}Link")
    assert link is not None
    assert sorted(link.attrib.items()) == [("rel", "x"), ("{urn:e}more", "1")]
    assert link.find("{urn:e}child") is not None
    assert json.loads(write_jrd(document)) == {"links": [{"rel": "x"}]}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"hello", "neither XRD nor JRD"),
        (b"\xff\xfe<\0X\0", "neither XRD nor JRD"),
        (b"<html><p>404</p></html>", "the root element is 'html'"),
        (b"<!DOCTYPE html><html></html>", "document type declaration"),
        (b"<XRD/>", "the root element is 'XRD'"),
        (f"<XRD xmlns='{XRD_NS}'><Link></XRD>".encode(), "not XML"),
        (f"<XRD xmlns='{XRD_NS}'>".encode() + b"<a>" * 5000, "not XML"),
        (f"<XRD xmlns='{XRD_NS}'><Subject>&x;</Subject></XRD>".encode(), "not XML"),
        (f"<XRD xmlns='{XRD_NS}'><Subject>\xe9</Subject></XRD>".encode("latin-1"), "not XML in UTF-8"),
        # The declaration of another encoding must not hide a DTD (this is UTF-7).
        (
            b"<?xml version='1.0' encoding='UTF-7'?>+ADwAIQ-DOCTYPE X [+ADwAIQ-ENTITY a 'x'+AD4AXQA+-<X/>",
            "not XML",
        ),
        (b"[]", "neither XRD nor JRD"),
        (b"{", "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": 1e999}', "number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"a":' * 50_000, "not JSON"),
        (b'{"a":' * 20 + b"1" + b"}" * 20, "nested too deep"),
        (b'{"a":[[[[[[[[[[[[1]]]]]]]]]]]]}', "nested too deep"),
        (b'{"subject": "\\u0000"}', "character"),
        (b'{"subject": "\\ud800"}', "character"),
        (b'{"links": [{"\\u0001": 1}]}', "character"),
        (b'{"\xff": 1}', "not JSON"),
        (b'{"subject": 1}', "subject is not a string"),
        (b'{"aliases": "x"}', "aliases is not an array"),
        (b'{"aliases": [null]}', "aliases is not a string"),
        (b'{"properties": []}', "properties is not an object"),
        (b'{"properties": {"a": 1}}', "properties is not a string"),
        (b'{"links": {}}', "links is not an array"),
        (b'{"links": ["x"]}', "links is not an object"),
        (b'{"links": [{"rel": 1}]}', "rel is not a string"),
        (b'{"links": [{"titles": ["x"]}]}', "titles is not an object"),
        (b'{"links": [{"titles": {"a": null}}]}', "titles is not a string"),
    ],
)
def test_what_is_no_descriptor_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(UpstreamError, match=reason):
        read(data)


def test_entities_are_not_expanded() -> None:
    bomb = "".join(f"<!ENTITY e{n + 1} '{f'&e{n};' * 10}'>" for n in range(9))
    data = f"<!DOCTYPE XRD [<!ENTITY e0 'ha'>{bomb}]><XRD xmlns='{XRD_NS}'><Subject>&e9;</Subject></XRD>"
    with pytest.raises(UpstreamError, match="document type declaration"):
        read(data.encode())


@pytest.mark.rule("D1")
def test_our_links_replace_those_of_the_same_relation_in_any_case() -> None:
    other = Link({"rel": "lrdd", "template": "https://example.org/?{uri}"})
    old = [Link({"rel": rel, "href": "https://old.example/"}) for rel in (XBOSH_REL.upper(), WEBSOCKET_REL)]
    author = Link({"rel": "author", "href": "http://example.org/"})
    merged = merge(Descriptor(links=(old[0], other, old[1], author)), OURS)
    assert merged.links == (other, author, *OURS)


@pytest.mark.rule("D4")
def test_links_of_xmpp_to_clear_text_are_left_out() -> None:
    links = (
        Link({"rel": "urn:xmpp:alt-connections:s2s-websocket", "href": "WS://example.org/s2s"}),
        Link({"rel": "lrdd", "href": "http://example.org/"}),
    )
    assert merge(Descriptor(links=links), OURS).links == (links[1], *OURS)
    assert merge(Descriptor(links=links), OURS, clear=True).links == (*links, *OURS)


@pytest.mark.rule("D9")
def test_a_half_filled_xmpp_object_is_left_out() -> None:
    jrd = {"xmpp": {"ttl": 300}, "other": 1, "links": [{"rel": XBOSH_REL, "href": "https://old.example"}]}
    merged = json.loads(write_jrd(merge(read_jrd(json.dumps(jrd).encode()), OURS)))
    assert merged == {"other": 1, "links": [link.attributes for link in OURS]}


@pytest.mark.rule("D9")
def test_an_xmpp_object_stays_if_it_knows_our_links() -> None:
    links = [{**link.attributes, **HOST_META_2} for link in OURS]
    jrd = {"xmpp": {"ttl": 300}, "links": [{"rel": "urn:xmpp:alt-connections:tls", "port": 443}, *links]}
    document = merge(read_jrd(json.dumps(jrd).encode()), OURS)
    assert json.loads(write_jrd(document)) == jrd
    # XEP-0487 is JSON only; XML has what XEP-0156 knows.
    root = etree.fromstring(write_xrd(document))
    assert [dict(link.attrib.items()) for link in root][1:] == [link.attributes for link in OURS]


def test_a_link_to_our_address_is_not_repeated() -> None:
    titled = Link(BOSH.attributes, titles=((None, "Chat"),))
    assert merge(Descriptor(links=(titled, titled)), OURS).links == (titled, WEBSOCKET)
