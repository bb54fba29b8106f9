"""What clients see of a server's features (F1, F2, F4 to F6, F8, F9, F11), and what is not touched."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boshgate.namespaces import CLIENT, COMPRESS_FEATURE, SASL, SASL2, STREAM_LIMITS, STREAMS, TLS
from boshgate.xmpp.features import show_features
from boshgate.xmpp.xml import Element
from tests.xmpp.infoset import element, parse
from tests.xmpp.strategies import elements, unhurried

MAX_BYTES = 10_000
LIMITS = f"<limits xmlns='{STREAM_LIMITS}'><max-bytes>10000</max-bytes></limits>"
"""What the gateway adds."""
STARTTLS = f"<starttls xmlns='{TLS}'/>"
STARTTLS_REQUIRED = f"<starttls xmlns='{TLS}'><required/></starttls>"
COMPRESSION = f"<compression xmlns='{COMPRESS_FEATURE}'><method>zlib</method></compression>"
MECHANISMS = f"<mechanisms xmlns='{SASL}'><mechanism>PLAIN</mechanism></mechanisms>"
EVERYTHING = (
    f'<mechanisms xmlns="{SASL}"><mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism>SCRAM-SHA-1</mechanism>'
    "<mechanism>EXTERNAL</mechanism></mechanisms>"
    "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-server-end-point'/>"
    "<channel-binding type='tls-exporter' /></sasl-channel-binding>"
    f"<authentication xmlns='{SASL2}'><mechanism>SCRAM-SHA-1-PLUS</mechanism>"
    "<mechanism>SCRAM-SHA-1</mechanism><upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>"
    "<inline><sm xmlns='urn:xmpp:sm:3'/><bind xmlns='urn:xmpp:bind:0'><inline>"
    "<feature var='urn:xmpp:carbons:2'/><feature var='urn:xmpp:sm:3'/></inline></bind>"
    "<fast xmlns='urn:xmpp:fast:0'><mechanism>HT-SHA-256-NONE</mechanism></fast></inline></authentication>"
)
"""Mechanisms of both kinds with channel binding, and what can be had inline."""


def features(*children: str) -> Element:
    """As the framer makes them self-contained."""
    written = (
        f"<stream:features xmlns='{CLIENT}' xmlns:stream='{STREAMS}'>{''.join(children)}</stream:features>"
    )
    return element(written.encode())


def limits(*children: str) -> str:
    return f"<limits xmlns='{STREAM_LIMITS}'>{''.join(children)}</limits>"


def shown(*children: str) -> Element:
    return show_features(features(*children), MAX_BYTES)


@pytest.mark.rule("B7", "B8", "F1", "F2", "WS22")
@pytest.mark.parametrize(
    ("children", "left"),
    [
        ((STARTTLS, MECHANISMS), MECHANISMS),
        ((MECHANISMS, STARTTLS_REQUIRED, "<x xmlns='u'/>", COMPRESSION), f"{MECHANISMS}<x xmlns='u'/>"),
        ((STARTTLS_REQUIRED,), ""),
        ((f"<tls:starttls xmlns:tls='{TLS}'/>", MECHANISMS), MECHANISMS),
        ((f'<starttls\n xmlns = "{TLS}" ></starttls >', MECHANISMS), MECHANISMS),
        (("<starttls xmlns='urn:ietf:params:xml:ns:xmpp&#45;tls'/>", MECHANISMS), MECHANISMS),
    ],
)
def test_starttls_and_compression_are_hidden(children: tuple[str, ...], left: str) -> None:
    assert shown(*children) == features(left, LIMITS)


@pytest.mark.rule("F4", "F6", "F8", "F11")
@pytest.mark.parametrize(
    "children",
    [
        (),
        (MECHANISMS,),
        (EVERYTHING,),
        (" ", MECHANISMS, "\n<unknown xmlns='u' a = \"&#10;\"><starttls/></unknown>\n"),
        (f"<a xmlns='u'>{STARTTLS}{limits()}</a>",),
        ("<starttls xmlns='u'/>", "<compression xmlns='u'/>", "<limits xmlns='u'/>"),
    ],
)
def test_all_other_features_stay_as_they_are(children: tuple[str, ...]) -> None:
    assert shown(*children) == features(*children, LIMITS)


@pytest.mark.rule("F11")
@unhurried
@given(children=st.lists(elements(), max_size=4), at=st.integers(0, 4))
def test_whatever_a_server_offers_stays_byte_by_byte(children: list[str], at: int) -> None:
    offered = [*children[:at], STARTTLS, *children[at:], COMPRESSION]
    original = (
        f"<stream:features xmlns='{CLIENT}' xmlns:stream='{STREAMS}'>{''.join(offered)}</stream:features>"
    )
    result = show_features(Element(f"{{{STREAMS}}}features", original.encode()), MAX_BYTES)
    expected = original.replace(STARTTLS, "").replace(COMPRESSION, LIMITS)
    assert result == (f"{{{STREAMS}}}features", expected.encode())


@pytest.mark.rule("F5")
def test_the_hash_of_the_lists_stays_the_servers() -> None:
    """XEP-0474 section 6: the client compares it with what the server has sent."""
    tree = parse(shown(STARTTLS, EVERYTHING).data)
    offered = tree.find(f"{{{SASL2}}}authentication")
    bindings = tree.find("{urn:xmpp:sasl-cb:0}sasl-channel-binding")
    assert offered is not None
    assert bindings is not None
    mechanisms = sorted(str(found.text) for found in offered.findall(f"{{{SASL2}}}mechanism"))
    types = sorted(str(binding.get("type")) for binding in bindings)
    hashed = hashlib.sha1(b"\x1f".join("\x1e".join(part).encode() for part in (mechanisms, types))).digest()
    assert base64.b64encode(hashed) == b"G6k/rBLDqgOhRRaCuuatSDFkJ08="


# XEP-0478


@pytest.mark.rule("F9", "F11")
@pytest.mark.parametrize(
    "data",
    [
        f"<stream:features xmlns:stream='{STREAMS}'/>",
        f"<stream:features xmlns:stream='{STREAMS}' />",
        f"<stream:features xmlns:stream='{STREAMS}'></stream:features >",
    ],
)
def test_a_server_without_limits_gets_those_of_the_gateway(data: str) -> None:
    """It is the gateway that enforces them; features that were empty have nothing else."""
    result = parse(show_features(element(data.encode()), MAX_BYTES).data)
    [child] = result
    assert child.tag == f"{{{STREAM_LIMITS}}}limits"
    assert [(found.tag, found.text) for found in child] == [(f"{{{STREAM_LIMITS}}}max-bytes", "10000")]


@pytest.mark.rule("F9")
@pytest.mark.parametrize(
    "children",
    [
        ("<max-bytes>10000</max-bytes>",),
        ("<max-bytes>9999</max-bytes>", "<idle-seconds>5</idle-seconds>"),
        ("<max-bytes>\n +0512 </max-bytes>",),
        ("<max-bytes>&#49;<![CDATA[2]]></max-bytes>",),
        ("<idle-seconds>5</idle-seconds>", " <max-bytes a='b'>1</max-bytes>", "<other/>"),
    ],
)
def test_a_server_that_takes_no_more_has_its_word_kept(children: tuple[str, ...]) -> None:
    original = features("<a xmlns='u'/>", limits(*children), MECHANISMS)
    assert show_features(original, MAX_BYTES) is original


@pytest.mark.rule("F9")
@pytest.mark.parametrize(
    ("children", "expected"),
    [
        (("<max-bytes>10001</max-bytes>",), "{ours}"),
        (
            ("<max-bytes>4294967296000</max-bytes>", "\n<idle-seconds>5</idle-seconds>"),
            "{ours}\n<idle-seconds>5",
        ),
        (
            ("<idle-seconds>5</idle-seconds>", "<max-bytes>99999</max-bytes>", "<x/>"),
            "</idle-seconds>{ours}<x/>",
        ),
        (("<idle-seconds>1</idle-seconds>",), "{added}<idle-seconds>1</idle-seconds>"),
        (("<max-bytes/>",), "{ours}"),
        (("<max-bytes a='b'>1<![CDATA[0]]>001</max-bytes >",), "<max-bytes a='b'>10000</max-bytes >"),
        (("<max-bytes>many</max-bytes>",), "{ours}"),
        (("<max-bytes>-1</max-bytes>",), "{ours}"),
        (("<max-bytes>\u0661</max-bytes>",), "{ours}"),
        (("<max-bytes xmlns='u'>5</max-bytes>",), "{added}<max-bytes xmlns='u'>5</max-bytes>"),
        ((), "{added}"),
    ],
)
def test_a_server_that_takes_more_or_does_not_say_is_corrected(
    children: tuple[str, ...], expected: str
) -> None:
    ours = "<max-bytes>10000</max-bytes>"
    added = f"<max-bytes xmlns='{STREAM_LIMITS}'>10000</max-bytes>"
    result = shown(STARTTLS, limits(*children), MECHANISMS).data.decode()
    assert expected.format(ours=ours, added=added) in result
    assert result.count("10000") == 1
    assert result.endswith(f"</limits>{MECHANISMS}</stream:features>")


@pytest.mark.rule("F9")
def test_limits_are_found_in_any_spelling() -> None:
    prefixed = "<l:max-bytes>20000</l:max-bytes><l:idle-seconds>5</l:idle-seconds></l:limits>"
    result = shown(f"<l:limits xmlns:l='{STREAM_LIMITS}'>{prefixed}", f"<limits\nxmlns='{STREAM_LIMITS}' />")
    tree = parse(result.data)
    assert [(child.tag, child.text) for found in tree for child in found] == [
        (f"{{{STREAM_LIMITS}}}max-bytes", "10000"),
        (f"{{{STREAM_LIMITS}}}idle-seconds", "5"),
        (f"{{{STREAM_LIMITS}}}max-bytes", "10000"),
    ]
    again = show_features(result, MAX_BYTES)
    assert again is result, "what was said once is true the next time"
