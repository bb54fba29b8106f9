"""Hard corners 1 to 11, which the session alone decides, each as one dialogue (requests=2, hold=1, wait=60).

Those that it does not decide alone are in the files of this name in other directories.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from boshgate.bosh.events import CloseStream
from tests.bosh.chat import EMPTY, POLICY, SUCCESS, Answer, Chat, message

NOT_FOUND = ("terminate", "item-not-found")
ERROR = "<body xmlns='http://jabber.org/protocol/httpbind' type='error'/>"


@pytest.mark.rule("HC1")
def test_hc1_resend_of_an_answered_request(chat: Chat) -> None:
    first = chat.post(message("m1"), rid=101)
    chat.server("<presence id='p1' xmlns='jabber:client'/>")
    chat.server(message("later"))
    for _ in range(2):
        again = chat.post(message("m1"), rid=101)
        assert (again.status, again.body) == (200, first.body)
        assert again.payloads == ["p1"]
    assert chat.stanzas == [message("m1")]
    assert chat.post(rid=102).payloads == ["later"]


@pytest.mark.rule("HC2")
def test_hc2_resend_of_a_held_request(chat: Chat) -> None:
    older, newer = (chat.post(message("m1"), rid=101) for _ in range(2))
    assert (older.status, older.body) == (200, ERROR)
    chat.server(message("in"))
    assert newer.payloads == ["in"]
    assert chat.post(rid=102).held
    assert chat.stanzas == [message("m1")]


@pytest.mark.rule("HC2")
def test_hc2_repeats_are_no_way_to_be_held_for_ever(chat: Chat) -> None:
    answer = chat.post(rid=101)
    for _ in range(11):
        chat.wait(5)
        answer = chat.post(rid=101)
    chat.wait(4.999)
    assert answer.held
    chat.wait(0.001)
    assert answer.body == EMPTY


@pytest.mark.rule("HC2")
def test_hc2_too_many_fast_repeats(chat: Chat) -> None:
    chat.post(rid=101)
    ends = []
    while chat.alive:
        ends.append(chat.post(rid=101))
    assert len(ends) == POLICY.max_repeats + 1
    assert ends[-1].end == ("terminate", "policy-violation")


@pytest.mark.rule("HC3")
@pytest.mark.parametrize("data_first", [False, True])
def test_hc3_out_of_order(chat: Chat, data_first: bool) -> None:
    second = chat.post(message("m2"), rid=102)
    chat.wait(0.3)
    if data_first:
        chat.server(message("in"))
    assert second.held
    assert chat.stanzas == []
    first = chat.post(message("m1"), rid=101)
    assert chat.stanzas == [message("m1"), message("m2")]
    if data_first:
        assert first.payloads == ["in"]
    else:
        assert first.body == EMPTY
    assert second.held


@pytest.mark.rule("HC4")
def test_hc4_hole_that_is_filled_late(chat: Chat) -> None:
    second = chat.post(message("m2"), rid=102)
    chat.wait(59.999)
    assert second.held
    chat.wait(0.001)
    assert second.body == ERROR
    assert chat.stanzas == []
    first, second = (chat.post(message(f"m{number}"), rid=100 + number) for number in (1, 2))
    assert chat.stanzas == [message("m1"), message("m2")]
    assert first.body == EMPTY
    assert second.held
    chat.server(message("in"))
    assert second.payloads == ["in"]


@pytest.mark.rule("HC4")
def test_hc4_hole_that_never_fills(chat: Chat) -> None:
    second = chat.post(message("m2"), rid=102)
    chat.wait(60)
    assert second.body == ERROR
    chat.wait(29.999)
    assert chat.alive
    chat.wait(0.001)
    assert chat.streams == [CloseStream("STREAM", clean=False)]
    assert chat.stanzas == []
    assert chat.ended is not None
    assert chat.ended.discarded == 1


@pytest.fixture
def old() -> Chat:
    """A session where L=100, all is answered, and 97 was the creation."""
    chat = Chat(rid=97)
    chat.open()
    for rid in (98, 99, 100):
        chat.post(rid=rid)
        chat.server(message(f"to{rid}"))
    chat.streams.clear()
    return chat


@pytest.mark.rule("HC5")
def test_hc5_above_the_window(old: Chat) -> None:
    parked = old.post(message("m2"), rid=102)
    assert parked.held
    assert old.post(rid=103).end == NOT_FOUND
    assert parked.end == ("terminate", "other-request")
    assert not old.alive
    assert old.stanzas == []
    assert old.post(rid=101).end == NOT_FOUND


@pytest.mark.rule("HC5")
def test_hc5_below_the_buffer_is_answered_with_the_same_bytes(old: Chat) -> None:
    other = Chat()
    other.open()
    assert old.post(rid=99).payloads == ["to99"]
    below, above = old.post(rid=98), other.post(rid=103)
    assert below.end == NOT_FOUND
    assert (below.status, below.body) == (above.status, above.body)
    assert not old.alive


@pytest.mark.rule("HC5")
def test_hc5_one_more_to_terminate(old: Chat) -> None:
    second = old.post(message("m2"), rid=102)
    last = old.post(message("m3"), rid=103, type="terminate")
    assert last.held
    assert old.streams == []
    first = old.post(message("m1"), rid=101)
    assert old.stanzas == [message("m1"), message("m2"), message("m3")]
    assert old.streams == [CloseStream("STREAM", clean=True)]
    old.server_closes()
    assert [answer.attributes for answer in (first, second, last)] == [{"type": "terminate"}, {}, {}]


@pytest.mark.rule("HC5")
def test_hc5_one_more_to_pause(old: Chat) -> None:
    second = old.post(message("m2"), rid=102)
    last = old.post(message("m3"), rid=103, pause="60")
    assert last.held
    first = old.post(message("m1"), rid=101)
    assert old.stanzas == [message("m1"), message("m2"), message("m3")]
    assert [answer.body for answer in (first, second, last)] == [EMPTY] * 3
    old.wait(59)
    assert old.alive


@pytest.mark.rule("HC6", "P4", "P5", "P7")
def test_hc6_answer_order_under_load(wide: Chat) -> None:
    first, second = wide.post(rid=101), wide.post(rid=102)
    wide.server(message("m1"))
    assert first.payloads == ["m1"]
    third = wide.post(rid=103)
    assert [answer.held for answer in (second, third)] == [True, True]
    fourth = wide.post(rid=104)
    assert second.body == EMPTY
    assert [answer.held for answer in (third, fourth)] == [True, True]
    assert [answer.rid for answer in wide.log] == [101, 102]


@pytest.mark.rule("HC7", "P11")
@pytest.mark.parametrize("timer_first", [False, True])
def test_hc7_data_races_the_timer(chat: Chat, timer_first: bool) -> None:
    for number in range(100):
        answer = chat.post()
        due = chat.session.get_timer()
        assert due is not None
        chat.now = due
        if timer_first:
            chat.wait(0)
            chat.server(message(f"m{number}"))
            assert answer.body == EMPTY
            answer = chat.post()
        else:
            chat.server(message(f"m{number}"))
            chat.session.handle_timer(due)
            assert chat.session.next_event() is None, "the timer has nothing left to answer"
        assert answer.payloads == [f"m{number}"]


@pytest.mark.rule("HC8")
def test_hc8_broken_held_connection_and_the_same_rid_again(chat: Chat) -> None:
    chat.break_(chat.post(message("out"), rid=101))
    chat.server(message("m1"))
    chat.wait(5)
    assert chat.post(message("out"), rid=101).payloads == ["m1"]
    assert chat.post(rid=102).held
    assert chat.stanzas == [message("out")]


@pytest.mark.rule("HC8")
def test_hc8_broken_held_connection_and_the_next_rid(chat: Chat) -> None:
    chat.break_(chat.post(rid=101))
    chat.server(message("m1"))
    chat.wait(5)
    assert chat.post(rid=102).payloads == ["m1"]
    assert chat.post(rid=101).body == EMPTY
    assert chat.post(rid=103).held


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


@pytest.mark.rule("HC9")
def test_hc9_acknowledgement_bookkeeping() -> None:
    chat = Chat(ack=1)
    chat.open()
    assert chat.creation.attributes["ack"] == "100"
    first, second = chat.post(rid=101), chat.post(rid=102)
    assert first.attributes == {"ack": "102"}
    chat.server(message("m1"))
    assert second.attributes == {}
    for rid in (103, 104):
        chat.post(message(f"m{rid}"), rid=rid, ack=102)
        chat.server(message(f"answer{rid}"))
    chat.wait(2)
    assert chat.post(rid=105, ack=102).attributes == {"report": "103", "time": "2000"}
    assert chat.post(message("m103"), rid=103, ack=102).payloads == ["answer103"]
    assert chat.stanzas == [message("m103"), message("m104")]
    assert chat.post(rid=106).held
    assert len(chat.session._responder.replies) == 0
    assert chat.post(rid=105, ack=102).end == NOT_FOUND, "it said that it has it"


@pytest.mark.rule("HC10")
@pytest.mark.parametrize("data_first", [False, True])
def test_hc10_pause(chat: Chat, data_first: bool) -> None:
    assert chat.creation.attributes["maxpause"] == "120"
    first = chat.post(rid=101)
    if data_first:
        chat.server(message("m1"))
    pause = chat.post(rid=102, pause=60)
    if not data_first:
        chat.server(message("m1"))
        assert first.body == EMPTY
    else:
        assert first.payloads == ["m1"]
    assert pause.body == EMPTY
    chat.wait(55)
    chat.server(message("m2"))
    assert chat.post(rid=103).payloads == (["m2"] if data_first else ["m1", "m2"])
    chat.wait(29.999)
    assert chat.alive
    chat.wait(0.001)
    assert not chat.alive


@pytest.mark.rule("HC10")
def test_hc10_pause_that_is_shorter_than_inactivity(chat: Chat) -> None:
    chat.post(pause=5)
    chat.wait(4.999)
    assert chat.alive
    chat.wait(0.001)
    assert not chat.alive


@pytest.mark.rule("HC10")
def test_hc10_pause_that_was_not_offered() -> None:
    chat = Chat(replace(POLICY, max_pause=0))
    chat.open()
    assert "maxpause" not in chat.creation.attributes
    chat.post(rid=101)
    assert chat.post(rid=102, pause=60).held


@pytest.fixture
def poller() -> Chat:
    """A polling session that got a message as the answer to rid 101, and has waited."""
    chat = Chat(replace(POLICY, inactivity=59), wait=0)
    assert (chat.creation.attributes["polling"], chat.creation.attributes["inactivity"]) == ("5", "75")
    chat.open()
    chat.server(SUCCESS)
    chat.server(message("m1"))
    assert [chat.post().payloads for _ in range(3)] == [["features"], ["success"], ["m1"]]
    chat.wait(1)
    return chat


@pytest.mark.rule("HC11", "O3")
def test_hc11_polling_too_often(poller: Chat) -> None:
    assert poller.post().body == EMPTY, "the one before it brought something"
    poller.wait(1)
    assert poller.post().end == ("terminate", "policy-violation")


@pytest.mark.rule("HC11")
@pytest.mark.parametrize(
    "say",
    [
        lambda chat: chat.post(message("out")),
        lambda chat: chat.post(restart="true"),
        lambda chat: chat.post(type="terminate"),
    ],
    ids=["stanza", "restart", "terminate"],
)
def test_hc11_what_is_no_poll_may_come_at_any_time(poller: Chat, say: Callable[[Chat], Any]) -> None:
    assert poller.post().body == EMPTY
    poller.wait(1)
    answer: Answer = say(poller)
    poller.server_closes()
    assert poller.ended is None
    assert answer.body is None or answer.condition is None


@pytest.mark.rule("HC11", "O3")
def test_hc11_in_a_normal_session_that_rhythm_is_no_violation(chat: Chat) -> None:
    for _ in range(20):
        chat.post()
        chat.wait(0.1)
    assert chat.alive
