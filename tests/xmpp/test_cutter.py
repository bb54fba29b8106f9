"""First-level elements are cut out byte-true and made self-contained (W8 to W10, HC16)."""

import gc
from typing import cast

import pytest

from boshgate.errors import XmlError
from boshgate.namespaces import CLIENT, HTTPBIND, STREAMS
from boshgate.xmpp.cutter import STANDARD, Cutter, Root, cut_whole, make_element, scope_of
from boshgate.xmpp.edits import element_spans
from boshgate.xmpp.xml import Element, Parser


def cut(data: bytes, *, limit: int = 10_000) -> list[Root | Element]:
    cutter = Cutter(None, limit=limit)
    cutter.feed(data)
    cutter.close()
    return cutter.items


def cut_inside(header: bytes, data: bytes) -> list[bytes]:
    return [item.data for item in cut(header + data) if isinstance(item, Element)]


def test_the_root_comes_first_with_expanded_names() -> None:
    [root] = cut(f"<b:body xmlns:b='{HTTPBIND}' xmlns='' b:c='1' rid='2' xml:lang='en'/>".encode())
    assert isinstance(root, Root)
    assert root.name == f"{{{HTTPBIND}}}body"
    lang = "{http://www.w3.org/XML/1998/namespace}lang"
    assert root.attributes == {f"{{{HTTPBIND}}}c": "1", "rid": "2", lang: "en"}
    assert root.declarations == {"b": HTTPBIND, None: ""}


@pytest.mark.rule("W8", "W10")
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"<m/>", b"<m xmlns='u'/>"),
        (b"<m xmlns='v'/>", b"<m xmlns='v'/>"),
        (b"<m\nxmlns = 'v'/>", b"<m\nxmlns = 'v'/>"),
        (b"<m a=' xmlns=' b='>'/>", b"<m xmlns='u' a=' xmlns=' b='>'/>"),
        (b"<m><p:x/></m>", b"<m xmlns='u' xmlns:p='w&amp;'><p:x/></m>"),
        (b"<p:m/>", b"<p:m xmlns='u' xmlns:p='w&amp;'/>"),
        (b"<p:m xmlns:p='v'/>", b"<p:m xmlns='u' xmlns:p='v'/>"),
        (b"<m p:a='1'/>", b"<m xmlns='u' xmlns:p='w&amp;' p:a='1'/>"),
        (b"<m xmlns='v'><p:x/></m>", b"<m xmlns:p='w&amp;' xmlns='v'><p:x/></m>"),
        (b"<m></m >", b"<m xmlns='u'></m >"),
        (b"<m><m/></m>", b"<m xmlns='u'><m/></m>"),
    ],
)
def test_only_missing_declarations_are_inserted(data: bytes, expected: bytes) -> None:
    assert cut_inside(b"<r xmlns='u' xmlns:p='w&amp;'>", data) == [expected]
    scope = scope_of(b"r", {None: "u", "p": "w&"})
    short = cut_whole(data, scope)
    assert short is None or short.data == expected


def test_without_a_default_namespace_an_unprefixed_element_says_so() -> None:
    assert cut_inside(b"<p:r xmlns:p='u'>", b"<m/>") == [b"<m xmlns=''/>"]


@pytest.mark.parametrize(
    "data",
    [
        b"<a/><a/>",
        b"<a></a><a></a>",
        b"<a><a></a></a>",
        b"<a/>x",
        b"<a",
        b"<a></a",
        b"<a></a >",
        b"</a>",
        b"text",
        b"<a><!-- c --></a>",
        b"<a></b></a>",
    ],
)
def test_the_short_way_is_for_one_whole_element(data: bytes) -> None:
    assert cut_whole(data, STANDARD) is None


@pytest.mark.parametrize("data", [b"<a/>", b"<a><b/></a>", b"<a>&lt;<![CDATA[<]]></a>", b"<a b='>'>x</a>"])
def test_the_short_way_finds_one_whole_element(data: bytes) -> None:
    expected = data.replace(b"<a", b"<a xmlns='jabber:client'", 1)
    assert cut_whole(data, STANDARD) == Element("{jabber:client}a", expected)


def test_the_scope_of_nearly_all_streams_is_one_object() -> None:
    declarations = {None: CLIENT, "stream": STREAMS}
    assert scope_of(b"stream:stream", declarations) is STANDARD
    assert scope_of(b"stream:stream", declarations, "en").prologue is STANDARD.prologue
    assert scope_of(b"body", declarations).prologue.startswith(b"<body xmlns='jabber:client'")


@pytest.mark.rule("WS8")
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"<features xmlns='%s'/>", b"<stream:features xmlns:stream='%s' xmlns='%s'/>"),
        (
            b"<s:error xmlns:s='%s'><s:x/></s:error\n>",
            b"<stream:error xmlns:stream='%s' xmlns:s='%s'><s:x/></stream:error>",
        ),
        (
            b"<features xmlns='%s' xmlns:stream='%s'><b xmlns='u'/></features>",
            b"<stream:features xmlns='%s' xmlns:stream='%s'><b xmlns='u'/></stream:features>",
        ),
        (b"<stream:features xmlns:stream='%s'/>", b"<stream:features xmlns:stream='%s'/>"),
    ],
)
def test_features_and_errors_get_the_prefix(data: bytes, expected: bytes) -> None:
    data = data.replace(b"%s", STREAMS.encode())
    local = "error" if b"error" in data else "features"
    assert make_element(f"{{{STREAMS}}}{local}", data).data == expected.replace(b"%s", STREAMS.encode())


def test_a_prefix_stream_of_another_meaning_is_refused() -> None:  # RFC 6120 4.9.3.2
    data = f"<features xmlns='{STREAMS}' xmlns:stream='urn:x'/>".encode()
    with pytest.raises(XmlError, match="bad-namespace-prefix"):
        make_element(f"{{{STREAMS}}}features", data)


@pytest.mark.rule("W3")
@pytest.mark.parametrize(
    "data",
    [
        b"<r>text</r>",
        b"<r><a/>text</r>",
        b"<r>text<a/></r>",
        b"<r>&#32;</r>",
        b"<r><![CDATA[ ]]></r>",
        b"<r><a/>&no;</r>",
        b"<r>\xff</r>",
    ],
)
def test_text_between_elements_is_refused(data: bytes) -> None:
    with pytest.raises(XmlError, match="bad-format"):
        cut(data)


def test_what_stands_behind_the_root_is_not_looked_at() -> None:
    cutter = Cutter(None, limit=10_000)
    cutter.feed(b"<r><a/></r> <<<")
    assert cutter.ended
    cutter.feed(b"\xff")
    assert len(cutter.items) == 2


@pytest.mark.rule("T27")
def test_one_byte_more_than_the_limit_is_refused() -> None:
    element = b"<a>" + b"x" * 93 + b"</a>"
    assert len(cut(b"<r>" + element + element, limit=100)) == 3
    with pytest.raises(XmlError, match="policy-violation"):
        cut(b"<r>" + element.replace(b"x", b"xy", 1) + b"</r>", limit=100)
    with pytest.raises(XmlError, match="policy-violation"):
        cut(b"<r" + b" " * 100 + b">", limit=100)


def test_the_buffer_holds_only_what_is_unfinished() -> None:
    cutter = Cutter(None, limit=100)
    cutter.feed(b"<r>")
    for _ in range(50):
        cutter.feed(b" <a b='1'>x")
        assert not cutter.idle
        cutter.feed(b"</a>\r\n<a b='1'/> ")
        assert cutter.idle
    assert len(cutter.items) == 101


def test_a_closed_cutter_is_no_work_for_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        for data in (b"<r><a/></r>", b"<r><a", b"<r"):
            cutter = Cutter(None, limit=100)
            cutter.feed(data)
            cutter.close()
            del cutter
        assert element_spans(b"<r><a/></r>") == [("a", 1, 3, 7), ("r", 0, 0, 11)]
        assert gc.collect() == 0
    finally:
        gc.enable()


class Recorder:
    """Stands before a parser and keeps what it is given."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self.pieces: list[bytes] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._parser, name)

    def Parse(self, data: bytes, final: bool) -> int:
        if data:
            self.pieces.append(bytes(data))
        return self._parser.Parse(data, final)


def test_the_parser_is_given_whole_tags_and_references() -> None:  # expat since CVE-2023-52425
    cutter = Cutter(STANDARD, limit=1_000)
    recorder = Recorder(cutter._parser)
    cutter._parser = cast(Parser, recorder)
    for byte in b"<a b='>' c=\">\">t&#128512;<d/>&amp;</a >":
        cutter.feed(bytes([byte]))
    pieces = [b"<a b='>' c=\">\">", b"t", b"&#128512;", b"<d/>", b"&amp;", b"</a >"]
    assert recorder.pieces == pieces
    assert [item.name for item in cutter.items if isinstance(item, Element)] == ["{jabber:client}a"]


def test_a_fault_in_what_was_held_back_comes_before_the_limit() -> None:
    cutter = Cutter(STANDARD, limit=10)
    with pytest.raises(XmlError, match="not-well-formed"):
        cutter.feed(b"<a b=c xxxxx")
