"""Hard corners 12 to 24, as far as the session alone decides them, as dialogues."""

from hashlib import sha1

import pytest

from boshgate.bosh.events import CloseStream, OpenStream, RestartStream
from boshgate.errors import BindingError
from boshgate.namespaces import COMPRESS, FRAMING, SASL2, TLS
from tests.bosh.chat import (
    EMPTY,
    FEATURES,
    STREAM_ERROR,
    SUCCESS,
    Chat,
    message,
    request,
)

NOT_FOUND = ("terminate", "item-not-found")
OTHER_REQUEST = ("terminate", "other-request")


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
    assert chat.stanzas == [gone]
    chat.wait(10)
    assert chat.post(gone, rid=102, type="terminate").end == NOT_FOUND


@pytest.mark.rule("HC12")
def test_hc12_server_that_never_ends_its_stream_is_not_waited_for(chat: Chat) -> None:
    held, terminate = chat.post(rid=101), chat.post(rid=102, type="terminate")
    chat.wait(3)
    assert (held.attributes, terminate.body) == ({"type": "terminate"}, EMPTY)


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
    assert chat.post(rid=102).end == NOT_FOUND


def sequence(seed: str, length: int) -> list[str]:
    """K(n), ..., K(1), in the order of their use (15.3), of a client that writes hex in upper case."""
    keys = []
    for _ in range(length):
        seed = sha1(seed.encode()).hexdigest().upper()
        keys.append(seed)
    return keys[::-1]


@pytest.mark.rule("HC14", "E13", "E17")
@pytest.mark.parametrize(("ver", "status"), [("1.11", 200), ("", 404)])
def test_hc14_wrong_key_with_another_request_held(ver: str, status: int) -> None:
    keys = sequence("seed", 3)
    chat = Chat(newkey=keys[0], ver=ver)
    chat.open()
    chat.log.clear()
    held = chat.post(key=keys[1])
    fatal = chat.post(message("m1"), key=keys[1])
    assert (held.status, held.end) == (200, OTHER_REQUEST)
    assert (fatal.status, fatal.end) == (status, NOT_FOUND)
    assert [answer.rid for answer in chat.log] == [101, 102]
    assert chat.stanzas == []


@pytest.mark.rule("HC14")
def test_hc14_fatal_payload_with_another_request_held(chat: Chat) -> None:
    held = chat.post(rid=101)
    fatal = chat.post(message("m1"), f"<open xmlns='{FRAMING}'/>", rid=102)
    assert (held.end, fatal.end) == (OTHER_REQUEST, ("terminate", "bad-request"))
    assert [answer.rid for answer in chat.log] == [101, 102]
    assert chat.stanzas == []


@pytest.mark.rule("HC15", "K2", "K3", "K4", "K5")
def test_hc15_key_sequence_with_disorder() -> None:
    old, new = sequence("seed", 4), sequence("other", 3)
    chat = Chat(newkey=old[0].lower())
    chat.open()
    second = chat.post(message("m2"), rid=102, key=old[2])
    assert second.held
    first, again = (chat.post(message("m1"), rid=101, key=old[1]) for _ in range(2))
    assert first.body == again.body == EMPTY
    assert second.held
    third = chat.post(message("m3"), rid=103, key=old[3], newkey=new[0])
    assert second.body == EMPTY
    fourth = chat.post(message("m4"), rid=104, key=new[1])
    assert third.body == EMPTY
    assert chat.stanzas == [message(f"m{number}") for number in range(1, 5)]
    assert chat.post(rid=105, key=old[2]).end == NOT_FOUND, "of the old sequence"
    assert fourth.end == OTHER_REQUEST


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
    assert chat.streams == [RestartStream("STREAM", None, None)]
    chat.server_opens()
    chat.server(FEATURES)
    assert answer.payloads == ["features"]


@pytest.mark.rule("HC19")
def test_hc19_sasl2_no_restart(chat: Chat) -> None:
    chat.server(f"<success xmlns='{SASL2}'/>", FEATURES)
    assert [chat.post().payloads for _ in range(2)] == [["success"], ["features"]]
    assert chat.streams == []
    assert chat.post(restart="true").end == ("terminate", "bad-request")


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
@pytest.mark.parametrize("rid", ["9007199254740992", "1e9", "١٢٣", "0", "-1", "+1", " 1", "1_0", "1.0", ""])
def test_hc24e_hostile_rids(rid: str) -> None:  # attack S22
    with pytest.raises(BindingError) as refused:
        request(rid)
    assert refused.value.condition == "bad-request"


@pytest.mark.rule("HC24")
def test_hc24b_route_is_never_followed() -> None:
    chat = Chat(route="xmpp:127.0.0.1:22")
    assert chat.streams == [OpenStream("STREAM", "example.com", None, None)]


@pytest.mark.rule("HC24")
@pytest.mark.parametrize(
    "payload",
    [f"<starttls xmlns='{TLS}'/>", f"<compress xmlns='{COMPRESS}'/>", STREAM_ERROR],
    ids=["starttls", "compress", "error"],
)
def test_hc24g_what_no_server_may_get(chat: Chat, payload: str) -> None:
    chat.post(payload)
    assert chat.stanzas == []
