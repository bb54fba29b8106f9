"""The hard corners that the session alone decides, each as one dialogue (requests=2, hold=1, wait=60)."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from boshgate.bosh.body import parse_body
from boshgate.bosh.events import CloseStream, OpenStream, RestartStream, SendPayloads
from boshgate.errors import BindingError
from boshgate.namespaces import CLIENT, COMPRESS, HTTPBIND, STREAMS, TLS
from tests.bosh.chat import EMPTY, FEATURES, POLICY, STREAM_ERROR, SUCCESS, Chat, message, request


@pytest.mark.rule("HC1")
def test_hc1_resend_of_an_answered_request(chat: Chat) -> None:
    first = chat.post(message("m1"), rid=101)
    chat.server("<presence id='p1' xmlns='jabber:client'/>")
    chat.server(message("later"))
    for _ in range(2):
        again = chat.post(message("m1"), rid=101)
        assert again.body == first.body
        assert again.payloads == ["p1"]
    assert chat.stanzas == [message("m1")]
    assert chat.post(rid=102).payloads == ["later"]


@pytest.mark.rule("HC2")
def test_hc2_resend_of_a_held_request(chat: Chat) -> None:
    older, newer = chat.post(rid=101), chat.post(rid=101)
    assert older.body == "<body xmlns='http://jabber.org/protocol/httpbind' type='error'/>"
    chat.server(message("m1"))
    assert newer.payloads == ["m1"]
    assert chat.post(rid=102).held


@pytest.mark.rule("HC3")
def test_hc3_out_of_order(chat: Chat) -> None:
    second = chat.post(message("m2"), rid=102)
    chat.wait(0.3)
    chat.server(message("in"))
    assert second.held
    first = chat.post(message("m1"), rid=101)
    assert chat.stanzas == [message("m1"), message("m2")]
    assert first.payloads == ["in"]
    assert second.held


@pytest.mark.rule("HC3")
def test_hc3_without_data_the_first_is_empty(chat: Chat) -> None:
    second, first = chat.post(rid=102), chat.post(rid=101)
    assert first.body == EMPTY
    assert second.held


@pytest.mark.rule("HC4")
def test_hc4_hole_that_never_fills(chat: Chat) -> None:
    second = chat.post(message("m2"), rid=102)
    chat.wait(60)
    assert second.type == "error"
    assert chat.stanzas == []
    first = chat.post(message("m1"), rid=101)
    second = chat.post(message("m2"), rid=102)
    assert chat.stanzas == [message("m1"), message("m2")]
    assert first.body == EMPTY
    assert second.held
    chat.server(message("in"))
    assert second.payloads == ["in"]


@pytest.mark.rule("HC4")
def test_hc4_if_nothing_comes_the_session_dies(chat: Chat) -> None:
    chat.post(message("m2"), rid=102)
    chat.wait(60 + 29.999)
    assert chat.alive
    chat.wait(0.001)
    assert chat.streams == [CloseStream("STREAM", clean=False)]
    assert chat.ended is not None
    assert chat.ended.discarded == 1


@pytest.mark.rule("HC5")
def test_hc5_window_edges(chat: Chat) -> None:
    parked = chat.post(rid=102)
    outside = chat.post(rid=103)
    assert outside.end == ("terminate", "item-not-found")
    assert parked.end == ("terminate", "other-request")


@pytest.mark.rule("HC5")
@pytest.mark.parametrize("attributes", [{"type": "terminate"}, {"pause": "60"}])
def test_hc5_one_more_to_terminate_or_pause(chat: Chat, attributes: dict[str, str]) -> None:
    chat.post(message("m2"), rid=102)
    last = chat.post(message("m3"), rid=103, **attributes)
    assert last.held
    chat.post(message("m1"), rid=101)
    assert chat.stanzas == [message("m1"), message("m2"), message("m3")]
    chat.server_closes()
    assert not last.held


@pytest.mark.rule("HC5")
def test_hc5_too_old() -> None:
    bodies = set()
    for rid in (98, 103):
        chat = Chat()
        chat.open()
        bodies.add(chat.post(rid=rid).body)
    assert len(bodies) == 1


@pytest.mark.rule("HC6", "P4", "P5", "P7")
def test_hc6_answer_order_under_load(wide: Chat) -> None:
    first, second = wide.post(rid=101), wide.post(rid=102)
    wide.server(message("m1"))
    assert first.payloads == ["m1"]
    assert second.held
    third = wide.post(rid=103)
    assert second.held
    fourth = wide.post(rid=104)
    assert second.body == EMPTY
    assert third.held
    assert fourth.held


@pytest.mark.rule("HC7", "P11")
@pytest.mark.parametrize("timer_first", [False, True])
def test_hc7_data_races_the_timer(chat: Chat, timer_first: bool) -> None:
    answer = chat.post()
    due = chat.session.get_timer()
    assert due is not None
    chat.now = due
    if timer_first:
        chat.wait(0)
        chat.server(message("m1"))
        assert answer.body == EMPTY
        assert chat.post().payloads == ["m1"]
    else:
        chat.server(message("m1"))
        chat.session.handle_timer(due)
        assert chat.session.next_event() is None
        assert answer.payloads == ["m1"]


@pytest.mark.rule("HC8")
def test_hc8_broken_held_connection_and_the_same_rid_again(chat: Chat) -> None:
    chat.break_(chat.post(rid=101))
    chat.server(message("m1"))
    chat.wait(5)
    assert chat.post(rid=101).payloads == ["m1"]
    assert chat.post(rid=102).held


@pytest.mark.rule("HC8")
def test_hc8_broken_held_connection_and_the_next_rid(chat: Chat) -> None:
    chat.break_(chat.post(rid=101))
    chat.server(message("m1"))
    assert chat.post(rid=102).payloads == ["m1"]
    assert chat.post(rid=101).body == EMPTY


@pytest.mark.rule("HC8")
def test_hc8_broken_held_connection_and_nothing_more(chat: Chat) -> None:
    answer = chat.post(rid=101)
    chat.wait(10)
    chat.break_(answer)
    chat.server(message("m1"))
    chat.wait(29.999)
    assert chat.alive
    chat.wait(0.001)
    assert chat.ended is not None
    assert chat.ended.undelivered == 1


@pytest.mark.rule("HC10")
def test_hc10_pause(chat: Chat) -> None:
    first = chat.post(rid=101)
    chat.server(message("m1"))
    pause = chat.post(rid=102, pause=60)
    assert first.payloads == ["m1"]
    assert pause.body == EMPTY
    chat.wait(55)
    chat.server(message("m2"))
    assert chat.post(rid=103).payloads == ["m2"]
    chat.wait(29.999)
    assert chat.alive
    chat.wait(0.001)
    assert not chat.alive


@pytest.mark.rule("HC10")
def test_hc10_short_pause(chat: Chat) -> None:
    chat.post(pause=5)
    chat.wait(5)
    assert not chat.alive


@pytest.mark.rule("HC10")
def test_hc10_pause_that_was_not_offered() -> None:
    chat = Chat(replace(POLICY, max_pause=0))
    chat.open()
    chat.post(rid=101)
    assert chat.post(rid=102, pause=60).held


@pytest.mark.rule("HC12")
def test_hc12_terminate_with_a_held_request_and_a_last_stanza(chat: Chat) -> None:
    gone = "<presence type='unavailable' xmlns='jabber:client'/>"
    held = chat.post(rid=101)
    terminate = chat.post(gone, rid=102, type="terminate")
    assert chat.stanzas == [gone]
    assert chat.streams == [CloseStream("STREAM", clean=True)]
    chat.server(message("last"))
    chat.server_closes()
    assert held.attributes == {"type": "terminate"}
    assert held.payloads == ["last"]
    assert terminate.body == EMPTY
    assert chat.post(gone, rid=102, type="terminate").body == EMPTY
    chat.wait(10)
    assert chat.post(gone, rid=102, type="terminate").end == ("terminate", "item-not-found")


@pytest.mark.rule("HC13")
def test_hc13_stream_error_with_nobody_listening(chat: Chat) -> None:
    chat.server(message("last"), STREAM_ERROR)
    chat.server_closes()
    assert chat.streams == [CloseStream("STREAM", clean=True)]
    chat.wait(5)
    answer = chat.post(message("lost"), rid=101)
    assert answer.end == ("terminate", "remote-stream-error")
    assert answer.body is not None
    assert "xmlns:stream='http://etherx.jabber.org/streams'" in answer.body.partition(">")[0]
    assert answer.body.endswith(f"{message('last')}{STREAM_ERROR}</body>")
    assert chat.stanzas == []
    assert chat.post(rid=102).end == ("terminate", "item-not-found")


@pytest.mark.rule("HC14")
def test_hc14_fatal_request_with_others_open(chat: Chat) -> None:
    held = chat.post(rid=101)
    fatal = chat.post(message("m1"), "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>", rid=102)
    assert held.end == ("terminate", "other-request")
    assert fatal.end == ("terminate", "bad-request")
    assert [answer.rid for answer in chat.log] == [101, 102]
    assert chat.stanzas == []


@pytest.mark.rule("HC16")
def test_hc16_namespaces_from_client_to_server(chat: Chat) -> None:
    stanza = "<message to='a@b'><body>hi</body><x:e a='1&#10;2'/></message>"
    wrapper = f"<body rid='101' sid='SID' xmlns='{HTTPBIND}' xmlns:x='urn:x'>{stanza}</body>"
    body = parse_body(wrapper.encode(), max_payloads=1, max_stanza_bytes=10_000)
    chat.session.receive_request("exchange", body, chat.now)
    sent = chat.session.next_event()
    assert isinstance(sent, SendPayloads)
    stream = f"<stream:stream xmlns='{CLIENT}' xmlns:stream='{STREAMS}'>%s</stream:stream>"
    tree = ElementTree.fromstring(stream % sent.payloads[0].data.decode())[0]
    assert [element.tag for element in tree.iter()] == [
        f"{{{CLIENT}}}message", f"{{{CLIENT}}}body", "{urn:x}e",
    ]  # fmt: skip
    assert tree[1].get("a") == "1\n2"


@pytest.mark.rule("HC16")
def test_hc16_namespaces_from_server_to_client(chat: Chat) -> None:
    answer = chat.post()
    stanza = f"<message xmlns='{CLIENT}' xmlns:y='urn:y'><body>hi</body><y:e/></message>"
    chat.server(stanza)
    assert [element.tag for element in answer.tree[0].iter()] == [
        f"{{{CLIENT}}}message", f"{{{CLIENT}}}body", "{urn:y}e",
    ]  # fmt: skip


@pytest.mark.rule("HC18")
def test_hc18_no_usable_stream_is_remote_connection_failed() -> None:
    chat = Chat()
    chat.server_closes("remote-connection-failed")
    assert chat.creation.end == ("terminate", "remote-connection-failed")
    assert chat.stanzas == []


@pytest.mark.rule("HC19")
def test_hc19_sasl1_restart(chat: Chat) -> None:
    answer = chat.post("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
    chat.server(SUCCESS)
    assert answer.payloads == ["success"]
    answer = chat.post(restart="1")
    assert isinstance(chat.streams[-1], RestartStream)
    chat.server_opens()
    chat.server(FEATURES)
    assert answer.payloads == ["features"]


@pytest.mark.rule("HC19")
def test_hc19_sasl2_no_restart(chat: Chat) -> None:
    chat.server("<success xmlns='urn:xmpp:sasl:2'/>", FEATURES)
    assert [chat.post().payloads for _ in range(2)] == [["success"], ["features"]]
    assert chat.streams == []


@pytest.mark.rule("HC19")
def test_hc19_restart_without_success(chat: Chat) -> None:
    assert chat.post(restart="true").end == ("terminate", "bad-request")
    assert chat.streams == [CloseStream("STREAM", clean=False)]


@pytest.mark.rule("HC22")
def test_hc22_inactivity_keeps_the_stream_resumable_and_terminate_does_not() -> None:
    lost, gone = Chat(), Chat()
    for chat in (lost, gone):
        chat.open()
    lost.post(message("m1"))
    lost.wait(60 + 30)
    gone.post(type="terminate")
    assert lost.stanzas == [message("m1")]
    assert lost.streams[-1] == CloseStream("STREAM", clean=False)
    assert gone.streams[-1] == CloseStream("STREAM", clean=True)


@pytest.mark.rule("HC23")
def test_hc23_shutdown() -> None:
    held, between, created = Chat(), Chat(), Chat()
    held.open()
    between.open()
    answer = held.post()
    for chat in (held, between, created):
        chat.terminate("system-shutdown")
    shutdown = ("terminate", "system-shutdown")
    assert (answer.end, between.post().end, created.creation.end) == (shutdown, shutdown, shutdown)


@pytest.mark.rule("HC24")
@pytest.mark.parametrize("rid", ["9007199254740992", "1e9", "١٢٣", "0", "-1", "+1", " 1", ""])
def test_hc24_hostile_rids(rid: str) -> None:
    with pytest.raises(BindingError) as refused:
        request(rid)
    assert refused.value.condition == "bad-request"


@pytest.mark.rule("HC24")
def test_hc24_content_cannot_split_the_response() -> None:
    with pytest.raises(BindingError) as refused:
        Chat(content="text/html&#13;&#10;X: y")
    assert refused.value.condition == "bad-request"


@pytest.mark.rule("HC24")
def test_hc24_route_is_never_followed() -> None:
    chat = Chat(route="xmpp:127.0.0.1:22")
    assert chat.streams == [OpenStream("STREAM", "example.com", None, None)]


@pytest.mark.rule("HC24")
@pytest.mark.parametrize(
    "xml",
    [
        f"<!DOCTYPE b [<!ENTITY a 'aa'><!ENTITY b '&a;&a;'>]><body rid='1' xmlns='{HTTPBIND}'>&b;</body>",
        f"<!DOCTYPE b SYSTEM 'file:///etc/passwd'><body rid='1' xmlns='{HTTPBIND}'/>",
        f"<body rid='1' xmlns='{HTTPBIND}'><!-- --></body>",
        f"<body rid='1' xmlns='{HTTPBIND}'><?a b?></body>",
    ],
)
def test_hc24_restricted_xml(xml: str) -> None:
    with pytest.raises(BindingError) as refused:
        parse_body(xml.encode(), max_payloads=1, max_stanza_bytes=10_000)
    assert refused.value.condition == "bad-request"


@pytest.mark.rule("HC24")
@pytest.mark.parametrize(
    "payload",
    [f"<starttls xmlns='{TLS}'/>", f"<compress xmlns='{COMPRESS}'/>", STREAM_ERROR],
)
def test_hc24_what_no_server_may_get(chat: Chat, payload: str) -> None:
    chat.post(payload)
    assert chat.stanzas == []
