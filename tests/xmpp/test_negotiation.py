"""What is said to a server before the client speaks (N9 to N12, T10 to T18)."""

import pytest

from boshgate.namespaces import CLIENT, SASL, SASL2, STREAM_ERRORS, STREAMS, TLS
from boshgate.xmpp.framer import Framer, FramerEvent, StreamClosed, StreamFailed, StreamHeader, StreamOpened
from boshgate.xmpp.negotiation import (
    STARTTLS,
    STREAM_END,
    Action,
    Failed,
    Negotiation,
    Ready,
    Send,
    StartTls,
    Tls,
    is_sasl_success,
    stream_error,
    stream_header,
)
from boshgate.xmpp.xml import Element
from tests.xmpp.infoset import END, HEADER, element, inside, parse

STREAM = f"xmlns:stream='{STREAMS}'"
STARTTLS_FEATURE = f"<starttls xmlns='{TLS}'/>"
STARTTLS_REQUIRED = f"<starttls xmlns='{TLS}'><required/></starttls>"
MECHANISMS = f"<mechanisms xmlns='{SASL}'><mechanism>PLAIN</mechanism></mechanisms>"
PROCEED = element(f"<proceed xmlns='{TLS}'/>".encode())
OPENED = StreamOpened(StreamHeader(id="s1", from_="example.org", version="1.0"))


def features(*children: str) -> Element:
    return element(
        f"<stream:features xmlns='{CLIENT}' {STREAM}>{''.join(children)}</stream:features>".encode()
    )


def negotiate(tls: Tls, *events: FramerEvent) -> Action | None:
    """The action on the last of *events*."""
    negotiation = Negotiation(to="example.org", tls=tls)
    negotiation.start()
    action = None
    for event in events:
        action = negotiation.receive(event)
    return action


# What we send


@pytest.mark.rule("T10", "T11", "T15")
def test_the_header_declares_what_rfc_6120_wants() -> None:
    header = stream_header(to="example.org")
    assert header.startswith(b"<?xml version='1.0'?><stream:stream ")
    root = parse(header + STREAM_END)
    assert root.tag == f"{{{STREAMS}}}stream"
    assert root.nsmap == {None: CLIENT, "stream": STREAMS}
    assert dict(root.items()) == {"to": "example.org", "version": "1.0"}


@pytest.mark.rule("T12", "T14")
def test_language_and_sender_are_passed_on_and_escaped() -> None:
    root = parse(stream_header(to="a'\"<&b", from_="it's@x", lang="d'e") + STREAM_END)
    lang = "{http://www.w3.org/XML/1998/namespace}lang"
    assert dict(root.items()) == {"to": "a'\"<&b", "from": "it's@x", "version": "1.0", lang: "d'e"}


def test_our_header_opens_a_stream() -> None:
    framer = Framer(max_element_bytes=10_000)
    expected = StreamHeader(to="example.org", from_="a@example.org", version="1.0", lang="en")
    header = stream_header(to="example.org", from_="a@example.org", lang="en")
    assert framer.receive_data(header) == [StreamOpened(expected)]


def test_a_stream_error_is_valid_inside_our_stream() -> None:
    [error] = inside(stream_error("restricted-xml"), header=stream_header(to="example.org"))
    assert error == (
        f"{{{STREAMS}}}error",
        (),
        ("", (f"{{{STREAM_ERRORS}}}restricted-xml", (), ("",)), ""),
    )


# Negotiation


@pytest.mark.parametrize("tls", [Tls.NONE, Tls.ESTABLISHED])
def test_without_starttls_the_first_features_make_it_ready(tls: Tls) -> None:
    negotiation = Negotiation(to="example.org", tls=tls, from_="a@example.org", lang="en")
    assert negotiation.start() == stream_header(to="example.org", from_="a@example.org", lang="en")
    assert negotiation.receive(OPENED) is None
    assert negotiation.receive(features(MECHANISMS)) == Ready(OPENED.header, features(MECHANISMS))


@pytest.mark.rule("N10", "N11", "N12", "HC18")
def test_starttls_is_done_before_the_client_sees_anything() -> None:
    negotiation = Negotiation(to="example.org", tls=Tls.STARTTLS, from_="a@example.org", lang="en")
    assert negotiation.start() == stream_header(to="example.org", lang="en"), "4.7.1: no from in clear"
    assert negotiation.receive(OPENED) is None
    assert negotiation.receive(features(STARTTLS_REQUIRED)) == Send(STARTTLS)
    assert negotiation.receive(PROCEED) == StartTls()
    second = StreamHeader(id="s2", from_="example.org", version="1.0")
    assert negotiation.tls_established() == stream_header(to="example.org", from_="a@example.org", lang="en")
    assert negotiation.receive(StreamOpened(second)) is None
    # A server that offers it again (5.4.3.3 forbids that) is not asked again.
    again = features(STARTTLS_FEATURE, MECHANISMS)
    assert negotiation.receive(again) == Ready(second, again)


@pytest.mark.rule("N9")
def test_missing_starttls_does_not_deter() -> None:  # RFC 7590 3.1
    assert negotiate(Tls.STARTTLS, OPENED, features(MECHANISMS)) == Send(STARTTLS)


@pytest.mark.rule("N9", "HC18")
@pytest.mark.parametrize(
    "answer",
    [
        element(f"<failure xmlns='{TLS}'/>".encode()),
        element(f"<success xmlns='{SASL}'/>".encode()),
        element(f"<proceed xmlns='{CLIENT}'/>".encode()),
        features(MECHANISMS),
        element(f"<stream:error {STREAM}><bad-format xmlns='{STREAM_ERRORS}'/></stream:error>".encode()),
        StreamClosed(),
        StreamFailed("not-well-formed", "mismatched tag"),
    ],
)
def test_anything_but_proceed_fails_and_nothing_goes_on_in_clear(answer: FramerEvent) -> None:
    assert isinstance(negotiate(Tls.STARTTLS, OPENED, features(), answer), Failed)


@pytest.mark.rule("N11", "HC18")
@pytest.mark.parametrize("injected", [features(MECHANISMS), OPENED, StreamClosed()])
def test_what_comes_in_clear_after_proceed_fails(injected: FramerEvent) -> None:
    action = negotiate(Tls.STARTTLS, OPENED, features(STARTTLS_FEATURE), PROCEED, injected)
    assert action == Failed("the server sent data in clear after <proceed/>")


@pytest.mark.rule("N11")
def test_bytes_injected_with_proceed_can_be_seen() -> None:  # attack S15
    for injected, seen in ((b"", False), (b"<stream:features", True), (b"<", True)):
        framer = Framer(max_element_bytes=1_000)
        events = framer.receive_data(HEADER + PROCEED.data + injected)
        assert events[-1] == PROCEED
        assert framer.has_pending is seen
    assert Framer(max_element_bytes=1_000).receive_data(HEADER + PROCEED.data + b"<a/>")[-1] != PROCEED


def test_a_plain_backend_that_requires_tls_fails_with_the_reason() -> None:  # RFC 6120 5.3.1
    action = negotiate(Tls.NONE, OPENED, features(STARTTLS_REQUIRED))
    assert isinstance(action, Failed)
    assert "requires STARTTLS" in action.text
    assert isinstance(negotiate(Tls.NONE, OPENED, features(STARTTLS_FEATURE)), Ready)


@pytest.mark.rule("T17")
@pytest.mark.parametrize("version", [None, "", "0.9", "x.1", "٣.0", "-1.0"])
def test_a_server_before_xmpp_1_0_sends_no_features(version: str | None) -> None:
    header = StreamHeader(id="s1", version=version)
    assert negotiate(Tls.NONE, StreamOpened(header)) == Ready(header, None)
    assert isinstance(negotiate(Tls.STARTTLS, StreamOpened(header)), Failed)


@pytest.mark.parametrize("version", ["1.0", "1.1", "2.0", "10.0", "1", "9" * 5_000])
def test_from_version_1_0_on_features_are_awaited(version: str) -> None:
    assert negotiate(Tls.NONE, StreamOpened(StreamHeader(version=version))) is None


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (StreamFailed("invalid-namespace", "no stream"), "invalid-namespace: no stream"),
        (StreamClosed(), "closed the stream"),
        (element(b"<message xmlns='jabber:client'/>"), "{jabber:client}message instead of stream features"),
        (element(f"<stream:error {STREAM}/>".encode()), "undefined-condition"),
        (
            element(
                f"<stream:error {STREAM}><text xmlns='{STREAM_ERRORS}'>x</text><x/>"
                f"<host-unknown xmlns='{STREAM_ERRORS}'/></stream:error>".encode()
            ),
            "host-unknown",
        ),
    ],
)
def test_other_events_fail_with_a_reason_for_the_log(event: FramerEvent, text: str) -> None:
    action = negotiate(Tls.NONE, OPENED, event)
    assert isinstance(action, Failed)
    assert text in action.text


def test_misuse_is_an_assertion() -> None:
    with pytest.raises(AssertionError):
        Negotiation(to="example.org", tls=Tls.STARTTLS).tls_established()
    with pytest.raises(AssertionError):
        negotiate(Tls.NONE, StreamClosed(), StreamClosed())


def test_a_whole_negotiation_from_bytes() -> None:
    framer = Framer(max_element_bytes=10_000)
    negotiation = Negotiation(to="example.org", tls=Tls.NONE)
    negotiation.start()
    wire = f"<stream:features>{STARTTLS_FEATURE}{MECHANISMS}</stream:features>".encode()
    actions = [negotiation.receive(event) for event in framer.receive_data(HEADER + wire)]
    assert actions == [None, Ready(OPENED.header, features(STARTTLS_FEATURE, MECHANISMS))]
    assert framer.receive_data(END) == [StreamClosed()]


# Success


@pytest.mark.rule("B6", "HC19")
def test_only_sasl_1_success_is_followed_by_a_restart() -> None:
    assert is_sasl_success(element(f"<success xmlns='{SASL}'/>".encode()))
    assert is_sasl_success(element(f"<s:success xmlns:s='{SASL}'>dj0=</s:success>".encode()))
    assert not is_sasl_success(element(f"<success xmlns='{SASL2}'/>".encode()))
    assert not is_sasl_success(element(f"<failure xmlns='{SASL}'/>".encode()))
    assert not is_sasl_success(element(b"<success xmlns='jabber:client'/>"))
