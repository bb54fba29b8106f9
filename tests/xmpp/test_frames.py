"""The messages of RFC 7395 (WS5 to WS9, WS16, WS27), and what is not smuggled through them (S4, S19, S20)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boshgate.errors import XmlError
from boshgate.namespaces import CLIENT, FRAMING, STREAM_ERRORS, STREAMS
from boshgate.xmpp.framer import StreamHeader
from boshgate.xmpp.frames import (
    Close,
    Open,
    close_frame,
    open_frame,
    parse_frame,
    stream_error_frame,
)
from boshgate.xmpp.negotiation import stream_header
from boshgate.xmpp.xml import LIMITS, Element
from tests.xmpp.infoset import Infoset, alone, inside, parse
from tests.xmpp.strategies import damaged, elements, unhurried

LANG = "{http://www.w3.org/XML/1998/namespace}lang"
OUR_STREAM = stream_header(to="example.org")


def condition(text: str) -> str:
    with pytest.raises(XmlError) as caught:
        parse_frame(text)
    return caught.value.condition


# <open/> and <close/>


@pytest.mark.rule("WS9")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"<open xmlns='{FRAMING}' to='example.org' version='1.0'/>", Open("example.org", None, None, "1.0")),
        (
            f'<open to="example.org" version="1.0" xml:lang="en" from="a@b" xmlns="{FRAMING}"/>',
            Open("example.org", "a@b", "en", "1.0"),
        ),
        (f"<open\nxmlns='{FRAMING}'\n>\n</open\n>", Open(None, None, None, None)),
        (f"<f:open xmlns:f='{FRAMING}' to='a' id='>'/>", Open("a", None, None, None)),
        (f"<open xmlns='{FRAMING}' to='&#97;&amp;&gt;b>'/>", Open("a&>b>", None, None, None)),
        (f"<?xml version='1.0'?><open xmlns='{FRAMING}' to='a'/>\n", Open("a", None, None, None)),
        (f"<open xmlns='{FRAMING}'><ignored/></open>", Open(None, None, None, None)),
        (f"<close xmlns='{FRAMING}'/>", Close()),
        (f"<close xmlns='{FRAMING}' see-other-uri='wss://a/?b&amp;c'/>", Close("wss://a/?b&c")),
    ],
)
def test_open_and_close_in_any_spelling(text: str, expected: Open | Close) -> None:  # attack S19
    assert parse_frame(text) == expected


@pytest.mark.rule("WS9")
@pytest.mark.parametrize(
    "text",
    [
        "<open xmlns='jabber:client' to='a'/>",
        "<open to='a'/>",
        "<open xmlns='' to='a'/>",
        "<close xmlns='urn:x'/>",
        f"<stream:stream xmlns='jabber:client' xmlns:stream='{STREAMS}' to='a'>",
        f"<stream:stream xmlns='jabber:client' xmlns:stream='{STREAMS}' to='a'/>",
        f"<?xml version='1.0'?><stream:stream id='1' xmlns='jabber:client' xmlns:stream=\"{STREAMS}\">\n",
        f"<stream xmlns='{STREAMS}'>",
        f"<stream:stream xmlns:stream='{STREAMS}'></stream:stream>",
    ],
)
def test_another_framing_is_an_invalid_namespace(text: str) -> None:
    assert condition(text) == "invalid-namespace"


def test_no_other_element_is_in_the_framing_namespace() -> None:
    assert condition(f"<ping xmlns='{FRAMING}'/>") == "unsupported-stanza-type"
    assert parse_frame(f"<ping xmlns='{FRAMING}2'/>") == Element(
        f"{{{FRAMING}2}}ping", f"<ping xmlns='{FRAMING}2'/>".encode()
    )


@pytest.mark.rule("WS11")
def test_open_stands_for_the_header_of_the_server() -> None:
    header = StreamHeader(id="<'1'>", from_="example.org", version="1.0", lang="en")
    frame = open_frame(header, from_="example.net", to=None)
    assert frame.startswith("<open ")
    root = parse(frame.encode())
    assert root.tag == f"{{{FRAMING}}}open"
    assert dict(root.items()) == {"id": "<'1'>", "from": "example.org", "version": "1.0", LANG: "en"}


@pytest.mark.rule("WS11")
@pytest.mark.parametrize(
    ("theirs", "clients", "told"),
    [(None, None, ""), ("c@d", None, ""), (None, "a@b", " to='a@b'"), ("c@d", "C@d", " to='c@d'")],
)
def test_open_tells_the_client_its_name_if_it_gave_one(
    theirs: str | None, clients: str | None, told: str
) -> None:  # RFC 6120 section 4.7.2
    expected = f"<open xmlns='{FRAMING}' from='b'{told}/>"
    assert open_frame(StreamHeader(to=theirs), from_="b", to=clients) == expected


@pytest.mark.rule("WS14", "WS16")
def test_close_can_redirect() -> None:
    assert parse_frame(close_frame()) == Close()
    assert parse_frame(close_frame("wss://example.org/?a=1&b='2'")) == Close("wss://example.org/?a=1&b='2'")


@pytest.mark.rule("WS13", "WS8")
def test_a_stream_error_is_one_complete_message() -> None:
    frame = stream_error_frame("host-unknown")
    assert frame.startswith("<stream:error ")
    assert alone(frame.encode()) == (
        f"{{{STREAMS}}}error",
        (),
        ("", (f"{{{STREAM_ERRORS}}}host-unknown", (), ("",)), ""),
    )
    text = parse(stream_error_frame("policy-violation", "a < b & c").encode())[1]
    assert (text.tag, text.text) == (f"{{{STREAM_ERRORS}}}text", "a < b & c")


# Elements


@pytest.mark.parametrize(
    "text",
    [
        "<message xmlns='jabber:client'><body>hi</body></message>",
        "<message><body a='1&#10;2'>😀</body></message>",
        "<c:message xmlns:c='jabber:client'/>",
        "<message><![CDATA[</message>]]></message>",
        "<message id='>'/>",
    ],
)
def test_elements_are_forwarded_as_they_came(text: str) -> None:
    assert parse_frame(text) == Element("{jabber:client}message", text.encode())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("<message/>", "{jabber:client}message"),
        ("<message xmlns=''/>", "message"),
        ("<message a=' xmlns='/>", "{jabber:client}message"),
        ("<message><body xmlns=''><a/></body></message>", "{jabber:client}message"),
        ("<a xmlns='urn:a'><b/></a>", "{urn:a}a"),
    ],
)
def test_the_name_is_that_inside_the_stream(text: str, name: str) -> None:
    element = parse_frame(text)
    assert isinstance(element, Element)
    assert element.name == name
    [within] = inside(element.data, header=OUR_STREAM)
    assert within[0] == name


@pytest.mark.rule("WS6", "W12")
def test_declaration_and_trailing_space_are_not_forwarded() -> None:
    expected = Element("{jabber:client}iq", b"<iq/>")
    assert parse_frame("<?xml version='1.0' encoding='UTF-8'?>\n<iq/> \r\n") == expected


def test_an_explicitly_empty_namespace_stays_empty() -> None:
    element = parse_frame("<message><a xmlns=''><b/></a><c/></message>")
    assert isinstance(element, Element)
    [within] = inside(element.data, header=OUR_STREAM)
    c = (f"{{{CLIENT}}}c", (), ("",))
    assert within == (f"{{{CLIENT}}}message", (), ("", ("a", (), ("", ("b", (), ("",)), "")), "", c, ""))


@pytest.mark.rule("WS4", "WS5", "WS27")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "not-well-formed"),
        (" <a/>", "not-well-formed"),
        ("\ufeff<a/>", "not-well-formed"),
        ("text", "not-well-formed"),
        ("</stream:stream>", "not-well-formed"),
        ("<a/></stream:stream><stream:stream>", "not-well-formed"),
        ("<a></stream:stream><stream:stream></a>", "not-well-formed"),
        ("<a/><b/>", "not-well-formed"),
        ("<a/>text", "not-well-formed"),
        ("<a>", "not-well-formed"),
        ("<a", "not-well-formed"),
        ("<a><b></a>", "not-well-formed"),
        ("<a b='1' b='2'/>", "not-well-formed"),
        ("<a>]]></a>", "not-well-formed"),
        ("<a>\x00</a>", "not-well-formed"),
        ("<a>&#0;</a>", "not-well-formed"),
        ("<a>\ufffe</a>", "not-well-formed"),
        ("<stream:features/>", "not-well-formed"),  # bound in the stream, but not in the message
        ("<p:stream a='1'>", "not-well-formed"),
        ("<a stream:b='1'/>", "not-well-formed"),
        ("<?xml version='1.0'?>", "not-well-formed"),
        ("<a/><?xml version='1.0'?>", "not-well-formed"),
        ("<?xml version='1.0' encoding='utf-16'?><a/>", "unsupported-encoding"),
        ("<\x00a\x00/\x00>\x00", "unsupported-encoding"),
        ("<a>\ud83d</a>", "unsupported-encoding"),
        ("<a><!-- c --></a>", "restricted-xml"),
        ("<a/><!-- c -->", "restricted-xml"),
        ("<a><?p i?></a>", "restricted-xml"),
        ("<a>&nbsp;</a>", "restricted-xml"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "restricted-xml"),  # S4
        ("<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", "restricted-xml"),
        ("<a>" * (LIMITS.depth + 1) + "</a>" * (LIMITS.depth + 1), "policy-violation"),
    ],
)
def test_anything_else_is_refused(text: str, expected: str) -> None:  # attack S20
    assert condition(text) == expected


def assert_same_meaning(within: Infoset, standalone: Infoset) -> None:
    """The same names, but for what has no namespace alone and nothing says so (the module's docstring)."""
    tag, attributes, content = within
    other_tag, other_attributes, other_content = standalone
    assert isinstance(other_tag, str)
    assert tag == other_tag or (not other_tag.startswith("{") and tag == f"{{{CLIENT}}}{other_tag}")
    assert attributes == other_attributes
    assert isinstance(content, tuple)
    assert isinstance(other_content, tuple)
    for part, other in zip(content, other_content, strict=True):
        if isinstance(part, tuple):
            assert_same_meaning(part, other)
        else:
            assert part == other


@unhurried
@given(text=elements(), data=st.data())
def test_a_frame_means_inside_the_stream_what_it_means_alone(
    text: str, data: st.DataObject
) -> None:  # attack S20
    received = data.draw(st.just(text.encode()) | damaged(text.encode())).decode(errors="replace")
    refused = ""
    try:
        frame = parse_frame(received)
    except XmlError as error:
        refused = error.condition
    else:
        if isinstance(frame, Element):
            [within] = inside(frame.data, header=OUR_STREAM)
            assert within[0] == frame.name
            assert_same_meaning(within, alone(received.encode()))
    assert refused in (
        "",
        "invalid-namespace",
        "not-well-formed",
        "restricted-xml",
        "unsupported-encoding",
    )


@unhurried
@given(text=st.text(max_size=40) | st.text(alphabet="<>/a='\" &;!?[]x:", max_size=40))
def test_any_text_is_a_frame_or_refused(text: str) -> None:
    refused = ""
    try:
        frame = parse_frame(text)
    except XmlError as error:
        refused = error.condition
    else:
        assert isinstance(frame, Open | Close | Element)
    assert not refused or refused.replace("-", "").isalpha()
