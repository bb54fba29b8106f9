"""What RFC 6120 section 11 forbids is refused, with its condition (S1, S4, S5, S20)."""

import tracemalloc
from xml.parsers import expat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boshgate.errors import XmlError
from boshgate.xmpp import xml
from boshgate.xmpp.xml import (
    LIMITS,
    Limits,
    check_document,
    create_parser,
    escape_attribute,
    escape_text,
    expand,
    parse_document,
)
from tests.xmpp import infoset
from tests.xmpp.strategies import damaged, elements, unhurried

BILLION_LAUGHS = (
    b"<!DOCTYPE a [<!ENTITY a0 'lol'>"
    + b"".join(b"<!ENTITY a%d '%s'>" % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))
    + b"]><a>&a9;</a>"
)
QUADRATIC = b"<!DOCTYPE a [<!ENTITY a '" + b"x" * 50_000 + b"'>]><a>" + b"&a;" * 5_000 + b"</a>"


def condition(data: bytes, limits: Limits | None = LIMITS) -> str:
    with pytest.raises(XmlError) as caught:
        check_document(data, limits)
    return caught.value.condition


@pytest.mark.parametrize(
    "data",
    [
        b"<a><!-- c --></a>",
        b"<!-- c --><a/>",
        b"<a/><!-- c -->",
        b"<a><?p i?></a>",
        b"<?p i?><a/>",
        b"<!DOCTYPE a><a/>",
        b"<!DOCTYPE a SYSTEM 'http://127.0.0.1/a.dtd'><a/>",
        b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
        b"<a><!DOCTYPE a></a>",
        b"<a><!ENTITY x 'y'></a>",
        b"<a>&nbsp;</a>",
        b"<a b='&nbsp;'/>",
        BILLION_LAUGHS,
        QUADRATIC,
    ],
)
def test_comments_instructions_dtds_and_entities_are_restricted_xml(data: bytes) -> None:  # 11.1
    assert condition(data) == "restricted-xml"


@pytest.mark.parametrize(
    "data",
    [
        b"<a>\xff</a>",
        b"<a>\xc0\xaf</a>",  # overlong
        b"<a>\xed\xa0\x80</a>",  # a surrogate
        b"<a>\xe2\x28\xa1</a>",
        b"<a b='\xe9'/>",
        b"<a>\xe2\x82",
        *("<a>\u3c3c</a>".encode(encoding) for encoding in ("utf-16", "utf-16-le", "utf-16-be")),
        " <a/>".encode("utf-16-le"),
        b"\xfe\xff" + "<a/>".encode("utf-16-be"),
        b"<?xml version='1.0' encoding='ISO-8859-1'?><a/>",
        b"<?xml version='1.0' encoding='utf-16'?><a/>",
    ],
)
def test_anything_but_utf_8_is_unsupported_encoding(data: bytes) -> None:  # 11.6
    assert condition(data) == "unsupported-encoding"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"text",
        b"<a>",
        b"<a/><b/>",
        b"<a/>text",
        b"<a></b>",
        b"</a>",
        b"<a b='1' b='2'/>",
        b"<a b=1/>",
        b"<a b='<'/>",
        b"<a>]]></a>",
        b"<a>\x00</a>",
        b"<a>\xef\xbf\xbf</a>",
        b"<a>&#0;</a>",
        b"<a>&#xD800;</a>",
        b"<a>& b</a>",
        b"<a>& b\xe2\x82\xac</a>",
        b"<a> \xe2\x82\xac\x01</a>",
        b"<!",
        b"<1/>",
        b"<a/><?xml version='1.0'?>",
    ],
)
def test_what_is_no_document_is_not_well_formed(data: bytes) -> None:  # 11.3 rule 2
    assert condition(data) == "not-well-formed"


@pytest.mark.parametrize(
    "data",
    [
        b"<p:a/>",
        b"<a p:b='1'/>",
        b"<a:b:c/>",
        b"<a xmlns:p=''/>",
        b"<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>",
        b"<xmlns:a/>",
    ],
)
def test_what_is_not_namespace_well_formed_is_not_well_formed(data: bytes) -> None:  # 11.3 rule 4
    assert condition(data) == "not-well-formed"


@pytest.mark.parametrize(
    "data",
    [
        b"<a/>",
        b"\xef\xbb\xbf<a/>",
        b"<?xml version='1.0'?><a/>",
        b"<?xml version='1.0' encoding='utf-8' standalone='no'?>\n<a/>\n",
        b"<a><![CDATA[<!DOCTYPE a><?p?>&no;]]></a>",
        b"<a>&lt;&gt;&amp;&apos;&quot;&#9;&#x1F600;</a>",
        b"<a>\xef\xbb\xbf</a>",
    ],
)
def test_the_rest_of_xml_is_allowed(data: bytes) -> None:
    assert check_document(data) == "a"


def test_names_are_expanded() -> None:
    assert check_document(b"<p:a xmlns:p='urn:p'><b/></p:a>") == "{urn:p}a"
    assert expand("urn:p}a") == "{urn:p}a"
    assert expand("a") == "a"


def test_a_tree_has_names_in_clark_notation() -> None:
    tree = parse_document(b"\xef\xbb\xbf<?xml version='1.0'?><a xmlns='urn:a' x='1'><b/></a>")
    assert tree.tag == "{urn:a}a"
    assert tree.attrib == {"x": "1"}
    assert [child.tag for child in tree] == ["{urn:a}b"]


def test_a_tree_is_never_built_of_refused_xml() -> None:
    with pytest.raises(XmlError):
        parse_document(BILLION_LAUGHS)


def nested(depth: int) -> bytes:
    return b"<a>" * depth + b"</a>" * depth


def test_depth_is_limited() -> None:
    assert check_document(nested(LIMITS.depth)) == "a"
    assert condition(nested(LIMITS.depth + 1)) == "policy-violation"
    assert check_document(nested(LIMITS.depth + 1), None) == "a"


def test_attributes_of_one_element_are_limited_declarations_included() -> None:
    def tag(count: int, attribute: bytes) -> bytes:
        return b"<a" + b"".join(attribute % n for n in range(count)) + b"/>"

    for attribute in (b" b%d='='", b" xmlns:p%d='u'"):
        assert check_document(tag(LIMITS.attributes, attribute)) == "a"
        assert condition(tag(LIMITS.attributes + 1, attribute)) == "policy-violation"
        assert check_document(tag(LIMITS.attributes + 1, attribute), None) == "a"
    text = b"<a b='1'>" + b"=" * 500 + b"</a>"
    assert check_document(text) == "a"


def test_elements_of_one_document_are_limited() -> None:
    limits = Limits(elements=100)
    assert check_document(b"<a>" + b"<b/>" * 99 + b"</a>", limits) == "a"
    assert condition(b"<a>" + b"<b/>" * 100 + b"</a>", limits) == "policy-violation"
    assert check_document(b"<a>" + b"/" * 1_000 + b"</a>", limits) == "a"


@pytest.mark.parametrize(
    "data",
    [
        b"<a>" + b"<b/>" * 100_000 + b"</a>",
        b"<a>" + b"".join(b"<b%d/>" % n for n in range(60_000)) + b"</a>",
        b"<a" + b"".join(b" b%d=''" % n for n in range(64_000)) + b"/>",
        b"<a" + b"".join(b" xmlns:b%d='u'" % n for n in range(10_000)) + b"/>",
        nested(10_000),
        b"<a>" * 100_000,
    ],
    ids=["children", "names", "attributes", "declarations", "depth", "unfinished depth"],
)
def test_complexity_is_refused_before_it_costs_memory(data: bytes) -> None:  # attack S1
    tracemalloc.start()
    try:
        assert condition(data) in ("policy-violation", "not-well-formed")
        assert tracemalloc.get_traced_memory()[1] < 8 * len(data)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "data",
    [
        b"<a b='" + b"x" * 250_000 + b"'/>",
        b"<a>" + b"x<![CDATA[y]]>&amp;" * 12_000 + b"</a>",
        b"<a>" + b"<b/>" * 9_000 + b"</a>",
        b"<" + b"a" * 250_000 + b"/>",
    ],
    ids=["attribute", "text runs", "children", "name"],
)
def test_what_is_large_and_simple_costs_little(data: bytes) -> None:  # attack S1
    tracemalloc.start()
    try:
        check_document(data)
        assert tracemalloc.get_traced_memory()[1] < 8 * len(data)
    finally:
        tracemalloc.stop()


@unhurried
@given(text=elements(), data=st.data())
def test_a_document_is_accepted_or_refused_with_a_condition(text: str, data: st.DataObject) -> None:
    document = data.draw(st.just(text.encode()) | damaged(text.encode()))
    conditions = []
    try:
        # What is accepted says the same to another parser, and to the tree's builder.
        name = check_document(document)
        assert infoset.parse(document).tag == name == parse_document(document).tag
    except XmlError as refused:
        conditions.append(refused.condition)
    assert conditions in ([], ["not-well-formed"], ["restricted-xml"], ["unsupported-encoding"])


@pytest.mark.rule("W11")
@unhurried
@given(value=st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\n\r<>&'\"]")))
def test_escaped_text_and_attributes_survive_a_parser(value: str) -> None:
    value = value.replace("\ufffe", "").replace("\uffff", "")
    quoted = f"<a b='{escape_attribute(value)}' c=\"{escape_attribute(value)}\">{escape_text(value)}</a>"
    tree = infoset.parse(quoted.encode())
    assert tree.get("b") == tree.get("c") == value
    assert (tree.text or "") == value


def test_expat_never_defers_what_it_could_report(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[expat.XMLParserType, bool]] = []
    monkeypatch.setattr(xml, "_set_deferral", lambda parser, value: seen.append((parser, value)))
    parser = create_parser()
    assert seen == [(parser, False)]
    monkeypatch.setattr(xml, "_set_deferral", None)  # before Python 3.13 there is nothing to switch off
    assert create_parser() is not None
