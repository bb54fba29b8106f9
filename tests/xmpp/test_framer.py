"""The stream's events from a server's bytes (RFC 6120 sections 4 and 11; T16 to T27, HC16, HC17)."""

import gc
import sys
import tracemalloc

import pytest

from boshgate.namespaces import CLIENT, STREAMS
from boshgate.xmpp.framer import (
    Framer,
    FramerEvent,
    StreamClosed,
    StreamFailed,
    StreamHeader,
    StreamOpened,
)
from boshgate.xmpp.xml import Element
from tests.xmpp.infoset import END, HEADER, alone, parse

PROSODY_HEADER = (
    b"<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' from='localhost'"
    b" version='1.0' id='81b0a3f2' xml:lang='en' xmlns='jabber:client'>"
)
EJABBERD_HEADER = (
    b"<?xml version='1.0'?><stream:stream id='12906403984512' version='1.0' xml:lang='en'"
    b" xmlns:stream='http://etherx.jabber.org/streams' from='localhost' xmlns='jabber:client'>"
)


def framer(*, limit: int = 100_000, inherit_lang: bool = False, header: bytes = HEADER) -> Framer:
    """A framer behind the stream header."""
    framer = Framer(max_element_bytes=limit, inherit_lang=inherit_lang)
    [opened] = framer.receive_data(header)
    assert isinstance(opened, StreamOpened)
    return framer


def bytewise(framer: Framer, data: bytes) -> list[FramerEvent]:
    return [event for index in range(len(data)) for event in framer.receive_data(data[index : index + 1])]


def failure(data: bytes, header: bytes = HEADER, limit: int = 10_000) -> str:
    """The condition that *data* behind *header* fails with, in one piece and byte by byte."""
    whole = Framer(max_element_bytes=limit).receive_data(header + data)
    assert bytewise(Framer(max_element_bytes=limit), header + data) == whole
    assert isinstance(whole[-1], StreamFailed)
    return whole[-1].condition


@pytest.mark.parametrize("header", [PROSODY_HEADER, EJABBERD_HEADER])
def test_the_header_opens_the_stream(header: bytes) -> None:  # 4.2
    [opened] = Framer(max_element_bytes=1_000).receive_data(header)
    assert isinstance(opened, StreamOpened)
    assert opened.header.from_ == "localhost"
    assert opened.header.version == "1.0"
    assert opened.header.lang == "en"
    assert opened.header.id in ("81b0a3f2", "12906403984512")
    assert opened.header.to is None


@pytest.mark.rule("T16")
@pytest.mark.parametrize(
    ("header", "end"),
    [
        (f"<stream:stream xmlns='{CLIENT}' xmlns:stream='{STREAMS}'>", "</stream:stream>"),
        (f'<stream:stream\n  xmlns="{CLIENT}"\txmlns:stream = "{STREAMS}" >', "</stream:stream >"),
        (f"<s:stream xmlns='{CLIENT}' xmlns:s='{STREAMS}'>", "</s:stream>"),
        (f"<stream xmlns='{STREAMS}'>", "</stream>"),
        (f"<stream xmlns='{STREAMS}' xmlns:stream='{STREAMS}'>", "</stream>"),
        (f"<stream:stream xmlns:stream='{STREAMS}' xmlns:y='urn:y'>", "</stream:stream>"),
        (f"\n<?xml version='1.0' encoding='UTF-8'?> <s:stream a='>' xmlns:s='{STREAMS}'>", "</s:stream>"),
    ],
)
def test_any_legal_form_of_header_is_understood(header: str, end: str) -> None:
    stanza = f"<message xmlns='{CLIENT}'/>"
    events = Framer(max_element_bytes=1_000).receive_data((header + stanza + end).encode())
    assert events == [
        StreamOpened(StreamHeader()),
        Element(f"{{{CLIENT}}}message", stanza.encode()),
        StreamClosed(),
    ]
    assert bytewise(Framer(max_element_bytes=1_000), (header + stanza + end).encode()) == events


def test_an_empty_stream_opens_and_closes() -> None:
    data = f"<stream xmlns='{STREAMS}' id='1'/>".encode()
    events = Framer(max_element_bytes=1_000).receive_data(data)
    assert events == [StreamOpened(StreamHeader(id="1")), StreamClosed()]


@pytest.mark.rule("T18", "T19")
@pytest.mark.parametrize(
    ("header", "condition"),
    [
        ("<stream:stream xmlns='jabber:client' xmlns:stream='urn:x'>", "invalid-namespace"),  # T18
        (f"<s:stream xmlns:s='{STREAMS}' xmlns:stream='urn:x'>", "bad-namespace-prefix"),  # 4.9.3.2
        ("<s:stream xmlns='jabber:client' xmlns:s='urn:x'>", "invalid-namespace"),
        ("<stream>", "invalid-namespace"),
        ("<html xmlns='http://www.w3.org/1999/xhtml'>", "invalid-namespace"),
        (f"<stream:stream xmlns='jabber:server' xmlns:stream='{STREAMS}'>", "invalid-namespace"),  # 4.8.2
        (f"<stream:features xmlns:stream='{STREAMS}'>", "bad-format"),
        ("HTTP/1.1 400 Bad Request\r\n", "not-well-formed"),
        ("\ufeff<stream:stream>", "not-well-formed"),  # 11.6: a byte order mark is a character
        ("<stream:stream xmlns='jabber:client'>", "not-well-formed"),  # 11.3: an unbound prefix
        ("<stream:stream a=b>", "not-well-formed"),
        ("<!DOCTYPE html><html>", "restricted-xml"),
        ("<!-- c --><stream>", "restricted-xml"),
        ("<?p i?><stream>", "restricted-xml"),
        ("<?xml version='1.0' encoding='ISO-8859-1'?><stream>", "unsupported-encoding"),
    ],
)
def test_another_header_is_refused(header: str, condition: str) -> None:
    assert failure(b"<a/>", header.encode()) == condition


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_header_in_utf_16_is_refused(encoding: str) -> None:  # 11.6
    [failed] = Framer(max_element_bytes=1_000).receive_data(HEADER.decode().encode(encoding))
    assert isinstance(failed, StreamFailed)
    assert failed.condition in ("unsupported-encoding", "not-well-formed")


def test_nothing_is_reported_of_a_stream_with_a_wrong_header() -> None:
    data = b"<stream xmlns='urn:x'><message/><bad"
    assert [type(event) for event in Framer(max_element_bytes=1_000).receive_data(data)] == [StreamFailed]


@pytest.mark.rule("HC16")
def test_stanzas_are_made_self_contained() -> None:
    header = HEADER.replace(b" id=", b" xmlns:y='urn:y' xml:lang='de' id=")
    stanza = b"<message><body>hi</body><y:e/></message>"
    [bosh] = framer(header=header).receive_data(stanza)
    [websocket] = framer(header=header, inherit_lang=True).receive_data(stanza)
    inserted = b"<message xmlns='jabber:client' xmlns:y='urn:y'><body>hi</body><y:e/></message>"
    assert bosh == Element("{jabber:client}message", inserted)
    assert websocket == Element(
        "{jabber:client}message", inserted.replace(b"'urn:y'>", b"'urn:y' xml:lang='de'>")
    )
    assert alone(inserted)[0] == "{jabber:client}message"


@pytest.mark.rule("WS7")
@pytest.mark.parametrize(
    ("stanza", "expected"),
    [
        (b"<a/>", b"<a xmlns='jabber:client' xml:lang='d&apos;e'/>"),
        (b"<a xml:lang='fr'/>", b"<a xmlns='jabber:client' xml:lang='fr'/>"),
        (b"<a xmlns='u' xml:lang='fr'/>", b"<a xmlns='u' xml:lang='fr'/>"),
        (b"<a xmlns='u'/>", b"<a xml:lang='d&apos;e' xmlns='u'/>"),
        (b"<a b=' xml:lang='/>", b"<a xmlns='jabber:client' xml:lang='d&apos;e' b=' xml:lang='/>"),
        (
            b"<a><b xml:lang='fr'/></a>",
            b"<a xmlns='jabber:client' xml:lang='d&apos;e'><b xml:lang='fr'/></a>",
        ),
    ],
)
def test_the_language_of_the_header_is_inherited(stanza: bytes, expected: bytes) -> None:
    header = HEADER.replace(b" id=", b""" xml:lang="d'e" id=""")
    [whole] = framer(header=header, inherit_lang=True).receive_data(stanza)
    [*pieces] = bytewise(framer(header=header, inherit_lang=True), stanza)
    assert isinstance(whole, Element)
    assert whole.data == expected
    assert pieces == [whole]


def test_a_header_without_language_gives_none() -> None:
    [stanza] = framer(inherit_lang=True).receive_data(b"<a/>")
    assert isinstance(stanza, Element)
    assert stanza.data == b"<a xmlns='jabber:client'/>"


@pytest.mark.rule("HC17", "T21", "T22")
def test_segmentation_does_not_show() -> None:
    stream = framer()
    first = stream.receive_data(b"<message id='1'/><message id='2'>x</message>\n<iq/>")
    assert [event.data[:10] for event in first if isinstance(event, Element)] == [
        b"<message x",
        b"<message x",
        b"<iq xmlns=",
    ]
    assert stream.receive_data(b" ") == []
    assert stream.receive_data(b" \r\n\t") == []
    last = "<message><body>😀<![CDATA[</message>]]></body></message>".encode()
    [stanza] = bytewise(stream, b" " + last + b" ")
    assert isinstance(stanza, Element)
    assert stanza.data == last.replace(b"<message>", b"<message xmlns='jabber:client'>", 1)
    assert not stream.has_pending


@pytest.mark.rule("T21")
def test_a_zero_width_no_break_space_is_a_character() -> None:  # 11.6
    data = "<message><body>\ufeffa\ufeff</body></message>".encode()
    for events in (framer().receive_data(data), bytewise(framer(), data)):
        [stanza] = events
        assert isinstance(stanza, Element)
        assert parse(stanza.data)[0].text == "\ufeffa\ufeff"
    assert failure("\ufeff<a/>".encode()) == "bad-format"


@pytest.mark.rule("T20")
def test_what_came_before_a_fault_is_reported() -> None:
    _, stanza, failed = Framer(max_element_bytes=1_000).receive_data(HEADER + b"<a/><b></c>")
    assert isinstance(stanza, Element)
    assert failed == StreamFailed("not-well-formed", "mismatched tag")


@pytest.mark.rule("T19", "T20", "T27")
@pytest.mark.parametrize(
    ("data", "condition"),
    [
        (b"<!-- c -->", "restricted-xml"),
        (b"<a><!-- c --></a>", "restricted-xml"),
        (b"<?p i?>", "restricted-xml"),
        (b"<a>&nbsp;</a>", "restricted-xml"),
        (b"<!DOCTYPE a>", "restricted-xml"),
        (b"<a><!ENTITY b 'c'></a>", "restricted-xml"),
        (b"<a>\xff</a>", "unsupported-encoding"),
        (b"<a>\xc0\xaf</a>", "unsupported-encoding"),
        (b"<a>\xe9t\xe9</a>", "unsupported-encoding"),
        (b"<a>\xed\xa0\x80</a>", "unsupported-encoding"),
        ("<a b='1'é/>".encode(), "unsupported-encoding"),  # its second byte may not have come
        (b"<a>\x00</a>", "not-well-formed"),
        (b"<a></b>", "not-well-formed"),
        (b"<?xml version='1.0'?>", "not-well-formed"),
        (HEADER, "not-well-formed"),
        (b"</stream:features>", "not-well-formed"),
        (b"<p:a/>", "not-well-formed"),
        (b"text", "bad-format"),
        (b"<a/>text<a/>", "bad-format"),
        (b"<a/>\x0b", "bad-format"),
        (b"\xff", "bad-format"),
        (b"&amp;", "bad-format"),
        (b"<![CDATA[]]>", "bad-format"),
        (b"<a/> text</stream:stream>", "bad-format"),
        (b"<a>" + b"x" * 10_000, "policy-violation"),
        (b"<a b='" + b"x" * 10_000 + b"'/>", "policy-violation"),
        (f"<features xmlns='{STREAMS}' xmlns:stream='urn:x'/>".encode(), "bad-namespace-prefix"),
    ],
)
def test_what_a_stream_must_not_have_fails_it(data: bytes, condition: str) -> None:  # attack S4
    assert failure(data) == condition


def test_an_element_of_exactly_the_limit_passes() -> None:
    element = b"<a>" + b"x" * 993 + b"</a>"
    for stream in (framer(limit=1_000), framer(limit=1_000)):
        assert len(stream.receive_data(element + b"   " + element)) == 2
    assert len(bytewise(framer(limit=1_000), element)) == 1
    assert failure(element.replace(b"x", b"xy", 1), limit=1_000) == "policy-violation"


def test_the_end_tag_closes_the_stream_and_ends_all() -> None:  # 4.4
    stream = framer()
    assert stream.receive_data(b"<a/>" + END + b"junk<&") == [
        Element("{jabber:client}a", b"<a xmlns='jabber:client'/>"),
        StreamClosed(),
    ]
    assert not stream.has_pending
    assert stream.receive_data(b"<a/>") == []
    assert bytewise(framer(), END + b"<&") == [StreamClosed()]
    assert framer().receive_data(END + b"<!-- c -->") == [StreamClosed()]


def test_nothing_follows_a_failure() -> None:
    stream = framer()
    assert len(stream.receive_data(b"text")) == 1
    assert stream.receive_data(b"<a/>" + END) == []
    assert not stream.has_pending


@pytest.mark.rule("B3", "N11")
def test_after_a_reset_a_new_stream_begins() -> None:
    stream = framer(header=HEADER.replace(b" id=", b" xmlns:y='urn:y' id="))
    stream.receive_data(b"<a")
    assert stream.has_pending
    stream.reset()
    assert not stream.has_pending
    [opened, stanza] = stream.receive_data(EJABBERD_HEADER + b"<a>y:</a>")
    assert isinstance(opened, StreamOpened)
    assert opened.header.id == "12906403984512"
    assert isinstance(stanza, Element)
    assert stanza.data == b"<a xmlns='jabber:client'>y:</a>"
    stream.receive_data(END)
    stream.reset()
    assert len(stream.receive_data(HEADER)) == 1


@pytest.mark.parametrize("pending", [b"<", b"<a", b"<a/><b", b"<a>", b"<a><b/>", b"</stream", b"<a/>\n<![CD"])
def test_unfinished_bytes_are_seen(pending: bytes) -> None:  # 5.4.3.3, injected behind <proceed/>
    stream = framer()
    stream.receive_data(pending)
    assert stream.has_pending


@pytest.mark.parametrize("complete", [b"", b"<a/>", b"<a></a>", b"<a/><a></a> \n", b" "])
def test_nothing_is_pending_between_elements(complete: bytes) -> None:
    stream = framer()
    stream.receive_data(complete)
    assert not stream.has_pending


def test_a_header_in_pieces_is_pending() -> None:
    stream = Framer(max_element_bytes=1_000)
    stream.receive_data(HEADER[:-1])
    assert stream.has_pending
    stream.receive_data(HEADER[-1:])
    assert not stream.has_pending


def test_an_idle_stream_costs_less_than_a_kilobyte() -> None:
    def idle() -> Framer:
        stream = framer(header=PROSODY_HEADER, inherit_lang=True)
        stream.receive_data(b"<a/>")
        stream.receive_data(b"<b/><c")
        stream.receive_data(b"/>")
        return stream

    idle()
    gc.collect()
    tracemalloc.start()
    try:
        streams = [idle() for _ in range(100)]
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 100 * 1_000 - sys.getsizeof(streams)
    finally:
        tracemalloc.stop()


def test_streams_leave_no_work_for_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        for data in (b"<a/>", b"<a/><b/>", b"<a", b"<a></b>", b"text", END, END + b"<&"):
            stream = framer()
            stream.receive_data(data)
            stream.reset()
        assert gc.collect() == 0
    finally:
        gc.enable()
