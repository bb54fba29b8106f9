"""XEP-0124 section 10: how long nobody may ask, and how to ask for longer."""

from dataclasses import replace

import pytest

from boshgate.bosh.events import CloseStream, ReturnPayloads
from boshgate.bosh.policy import SessionPolicy
from tests.bosh.chat import EMPTY, POLICY, SUCCESS, Chat, element, message


@pytest.mark.rule("I1")
def test_session_ends_when_nobody_asks_for_longer_than_inactivity(chat: Chat) -> None:
    chat.wait(29.999)
    assert chat.alive
    chat.wait(0.001)
    assert chat.ended is not None
    assert (chat.ended.condition, chat.ended.reason) == (None, "inactivity")
    # XEP-0198 section 5: the stream can be resumed if it is not closed.
    assert chat.streams == [CloseStream("STREAM", clean=False)]
    assert chat.session.get_timer() is None
    assert chat.post().end == ("terminate", "item-not-found")


@pytest.mark.rule("I1")
def test_inactivity_does_not_count_while_a_request_is_held(chat: Chat) -> None:
    chat.post()
    chat.wait(59)
    assert chat.alive


@pytest.mark.rule("I1")
def test_inactivity_counts_from_the_last_response_not_from_the_last_request(chat: Chat) -> None:
    chat.post()
    chat.wait(60)
    chat.wait(29.999)
    assert chat.alive
    chat.wait(0.001)
    assert not chat.alive


@pytest.mark.rule("I1")
def test_early_request_is_unanswered_so_that_nobody_is_inactive(chat: Chat) -> None:
    chat.post(rid=102)
    chat.wait(59.999)
    assert chat.alive


@pytest.mark.rule("I1", "R12")
def test_replayed_response_is_a_response(chat: Chat) -> None:
    chat.post(rid=101)
    chat.server(message("m1"))
    chat.wait(29)
    chat.post(rid=101)
    chat.wait(29)
    assert chat.alive
    chat.wait(1)
    assert not chat.alive


def test_what_nobody_fetched_is_reported(chat: Chat) -> None:
    chat.server(message("m1"), message("m2"))
    chat.wait(30)
    assert chat.ended is not None
    assert chat.ended.undelivered == 2


@pytest.mark.rule("I5", "I6")
def test_pause_answers_all_held_requests_itself_without_payloads(chat: Chat) -> None:
    first = chat.post()
    pause = chat.post(pause=60)
    assert (first.body, pause.body) == (EMPTY, EMPTY)
    chat.wait(59.999)
    assert chat.alive
    chat.wait(0.001)
    assert not chat.alive


@pytest.mark.rule("I6")
def test_payloads_that_wait_do_not_go_with_the_pause(chat: Chat) -> None:
    chat.server(message("m1"))
    assert chat.post(pause=60).body == EMPTY
    assert chat.post().payloads == ["m1"]


@pytest.mark.rule("I10")
def test_payloads_of_the_pause_request_are_forwarded(chat: Chat) -> None:
    chat.post(message("m1"), pause=60)
    assert chat.stanzas == [message("m1")]


@pytest.mark.rule("I7")
def test_next_request_resets_inactivity(chat: Chat) -> None:
    chat.post(pause=60)
    chat.wait(50)
    chat.post()
    chat.server(message("m1"))
    chat.wait(29.999)
    assert chat.alive
    chat.wait(0.001)
    assert not chat.alive


@pytest.mark.rule("I7")
def test_early_request_resets_inactivity_too(chat: Chat) -> None:
    chat.post(pause=120)
    early = chat.post(rid=103)
    chat.break_(early)
    chat.wait(30)
    assert not chat.alive


@pytest.mark.rule("I7", "R12")
def test_repeat_of_another_request_resets_inactivity(chat: Chat) -> None:
    chat.post(rid=101)
    chat.post(rid=102, pause=120)
    assert chat.post(rid=101).body == EMPTY
    chat.wait(30)
    assert not chat.alive


@pytest.mark.rule("I7", "R12")
def test_repeat_of_an_unanswered_request_resets_inactivity(wide: Chat) -> None:
    wide.break_(wide.post(rid=103))
    wide.post(rid=101, pause=120)
    again = wide.post(rid=103)
    wide.wait(60 + 29.999)
    assert wide.alive
    assert again.type == "error"
    wide.wait(0.001)
    assert not wide.alive


@pytest.mark.rule("I8")
def test_shorter_pause_than_inactivity_is_obeyed(chat: Chat) -> None:
    chat.post(pause=5)
    chat.wait(4.999)
    assert chat.alive
    chat.wait(0.001)
    assert not chat.alive


@pytest.mark.rule("I9")
def test_longer_pause_than_maxpause_is_cut(chat: Chat) -> None:
    chat.post(pause=65535)
    chat.wait(119.999)
    assert chat.alive
    chat.wait(0.001)
    assert not chat.alive


@pytest.mark.rule("I9")
@pytest.mark.parametrize("pause", ["0", "-1", "", "x", "1.5", "65536"])
def test_malformed_pause_is_bad_request_and_nothing_is_forwarded(chat: Chat, pause: str) -> None:
    assert chat.post(message("m1"), pause=pause).end == ("terminate", "bad-request")
    assert chat.stanzas == []


@pytest.mark.rule("I4")
def test_pause_means_nothing_where_it_is_not_offered() -> None:
    chat = Chat(replace(POLICY, max_pause=0))
    chat.open()
    assert chat.post(pause="nonsense").held
    # 11: neither is it a reason for a request above the window.
    assert chat.post(rid=104, pause=60).end == ("terminate", "item-not-found")


@pytest.mark.rule("I11")
def test_lost_pause_response_can_be_asked_for_again(chat: Chat) -> None:
    chat.post(rid=101, pause=120)
    chat.wait(60)
    assert chat.post(rid=101, pause=120).body == EMPTY
    chat.wait(119.999)
    assert chat.alive


@pytest.mark.rule("R4")
def test_pauses_take_no_room_in_the_buffer(chat: Chat) -> None:
    for rid in (101, 102):
        chat.post(rid=rid)
        chat.server(message(f"m{rid}"))
    for rid in (103, 104, 105, 106):
        chat.post(rid=rid, pause=60)
    assert [chat.post(rid=rid).payloads for rid in (101, 102)] == [["m101"], ["m102"]]
    assert chat.post(rid=104, pause=60).body == EMPTY
    assert chat.post(rid=103, pause=60).end == ("terminate", "item-not-found")


@pytest.mark.rule("I10", "P2")
def test_pause_behind_a_hole_is_carried_out_in_its_turn(chat: Chat) -> None:
    pause = chat.post(rid=102, pause=120)
    assert pause.held
    first = chat.post(rid=101)
    assert (first.body, pause.body) == (EMPTY, EMPTY)
    chat.wait(119.999)
    assert chat.alive


def test_pause_whose_connection_broke_counts_all_the_same(chat: Chat) -> None:
    chat.break_(chat.post(rid=102, pause=120))
    chat.wait(10)
    chat.post(rid=101)
    chat.wait(119)
    assert chat.alive
    assert chat.post(rid=102, pause=120).body == EMPTY


@pytest.mark.rule("I3")
def test_who_polls_may_be_silent_for_longer_than_others_and_nobody_for_long() -> None:
    policy = SessionPolicy()
    assert policy.inactivity <= 60
    assert policy.polling_inactivity > policy.inactivity + policy.polling


@pytest.mark.rule("S6")
def test_polling_session_may_be_silent_for_longer() -> None:
    chat = Chat(wait=0)
    chat.wait(45.999)
    assert chat.alive
    chat.wait(0.001)
    assert not chat.alive


# XEP-0206 section 7: stanzas for a client that is gone


@pytest.mark.rule("B11")
def test_what_is_in_no_response_is_given_back_before_the_stream_is_closed(chat: Chat) -> None:
    first = chat.post()
    chat.server(message("m1"))
    assert first.payloads == ["m1"]  # perhaps it did not arrive: nobody knows, and it is not given back
    chat.server(message("m2"), SUCCESS, message("m3"))
    chat.wait(31)
    assert chat.streams == [
        ReturnPayloads("STREAM", tuple(element(xml) for xml in (message("m2"), SUCCESS, message("m3")))),
        CloseStream("STREAM", clean=False),
    ]
    assert chat.ended is not None
    assert chat.ended.undelivered == 3


@pytest.mark.rule("B11")
def test_what_waits_for_a_client_that_broke_a_rule_is_given_back(chat: Chat) -> None:
    chat.server(message("m1"))
    chat.post(rid=200)
    assert chat.streams[0] == ReturnPayloads("STREAM", (element(message("m1")),))


@pytest.mark.rule("B11")
def test_nothing_can_be_given_back_on_a_stream_that_is_over(chat: Chat) -> None:
    chat.server(message("m1"))
    chat.server_closes("remote-connection-failed")
    chat.wait(31)
    assert chat.ended is not None
    assert chat.streams == []
