"""What must hold for every stream, in whatever pieces it comes (RFC 6120 4 and 11; HC16, HC17, S20)."""

from hypothesis import given
from hypothesis import strategies as st

from boshgate.namespaces import HTTPBIND, STREAMS, XML
from boshgate.xmpp.cutter import STANDARD, Cutter, cut_whole
from boshgate.xmpp.framer import Framer, FramerEvent, StreamClosed, StreamFailed, StreamOpened
from boshgate.xmpp.xml import Element
from tests.xmpp import infoset
from tests.xmpp.strategies import Stream, damaged, elements, splits, streams, unhurried

LANG = f"{{{XML}}}lang"
CONDITIONS = {
    "bad-format",
    "bad-namespace-prefix",
    "invalid-namespace",
    "not-well-formed",
    "policy-violation",
    "restricted-xml",
    "unsupported-encoding",
}


def frame(pieces: list[bytes], *, limit: int = 100_000, inherit_lang: bool = False) -> list[FramerEvent]:
    framer = Framer(max_element_bytes=limit, inherit_lang=inherit_lang)
    return [event for piece in pieces for event in framer.receive_data(piece)]


@unhurried
@given(stream=streams(), data=st.data(), inherit_lang=st.booleans())
def test_any_split_gives_the_same_events(stream: Stream, data: st.DataObject, inherit_lang: bool) -> None:
    whole = frame([stream.data], inherit_lang=inherit_lang)
    assert frame(data.draw(splits(stream.data)), inherit_lang=inherit_lang) == whole


@unhurried
@given(stream=streams(), data=st.data())
def test_an_element_alone_says_what_it_says_in_the_stream(stream: Stream, data: st.DataObject) -> None:
    opened, *elements, closed = frame(data.draw(splits(stream.data)))
    assert isinstance(opened, StreamOpened)
    assert isinstance(closed, StreamClosed)
    assert all(isinstance(element, Element) for element in elements)
    expected = infoset.inside(
        "".join(stream.elements).encode(), header=stream.header.encode(), end=stream.end.encode()
    )
    received = [element for element in elements if isinstance(element, Element)]
    assert [infoset.alone(element.data) for element in received] == expected
    assert [element.name for element in received] == [one[0] for one in expected]
    # Nothing around it changes what it says: it can be put into <body/>.
    bodied = [
        infoset.inside(element.data, header=f"<body xmlns='{HTTPBIND}'>".encode(), end=b"</body>")
        for element in received
    ]
    assert bodied == [[one] for one in expected]


@unhurried
@given(stream=streams())
def test_features_and_errors_come_in_the_prefixed_form(stream: Stream) -> None:
    for event in frame([stream.data]):
        if isinstance(event, Element) and event.name in (f"{{{STREAMS}}}features", f"{{{STREAMS}}}error"):
            assert event.data.startswith((b"<stream:features", b"<stream:error"))


@unhurried
@given(stream=streams(), data=st.data(), limit=st.sampled_from([60, 200, 100_000]))
def test_damage_is_found_at_the_same_place_in_any_split(
    stream: Stream, data: st.DataObject, limit: int
) -> None:
    received = data.draw(damaged(stream.data))
    whole = frame([received], limit=limit)
    assert frame(data.draw(splits(received)), limit=limit) == whole
    assert not any(isinstance(event, StreamFailed | StreamClosed) for event in whole[:-1])
    for event in whole:
        assert not isinstance(event, StreamFailed) or event.condition in CONDITIONS


@unhurried
@given(received=st.binary(max_size=60), data=st.data())
def test_noise_is_no_stream(received: bytes, data: st.DataObject) -> None:
    assert frame(data.draw(splits(received))) == frame([received])


@unhurried
@given(text=elements(frozenset({"stream"})), data=st.data())
def test_the_short_way_for_one_element_ends_where_the_long_one_does(text: str, data: st.DataObject) -> None:
    received = data.draw(st.just(text.encode()) | damaged(text.encode()))
    short = cut_whole(received, STANDARD)
    if short is not None:
        cutter = Cutter(STANDARD, limit=100_000)
        cutter.feed(received)
        assert cutter.items == [short]
        assert cutter.idle
        cutter.close()


@unhurried
@given(stream=streams())
def test_elements_inherit_the_language_of_the_header(stream: Stream) -> None:
    header = stream.header if "xml:lang" in stream.header else f"{stream.header[:-1]} xml:lang='en'>"
    opened, *received = frame([(header + "".join(stream.elements)).encode()], inherit_lang=True)
    assert isinstance(opened, StreamOpened)
    originals = infoset.parse((header + "".join(stream.elements) + stream.end).encode())
    for original, event in zip(originals, received, strict=True):
        assert isinstance(event, Element)
        assert infoset.parse(event.data).get(LANG) == original.get(LANG, "en")
