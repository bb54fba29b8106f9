"""XEP-0124 section 9: acknowledgements."""

from dataclasses import replace
from typing import Any

import pytest

from tests.bosh.chat import EMPTY, POLICY, Chat, message

NOT_FOUND = ("terminate", "item-not-found")


def begin(hold: int = 1, **numbers: Any) -> Chat:
    """An acknowledging session created with rid 100 that has its features."""
    chat = Chat(replace(POLICY, max_hold=2, **numbers), hold=hold, ack=1)
    chat.open()
    return chat


@pytest.fixture
def acking() -> Chat:
    """The same; the limits are the usual ones."""
    return begin()


# --- 9.1: what the connection manager has received ---------------------------------------------------------


@pytest.mark.rule("A2")
def test_creation_response_announces_it(acking: Chat) -> None:
    assert acking.creation.attributes["ack"] == "100"


@pytest.mark.rule("A2", "C10")
@pytest.mark.parametrize("attributes", [{}, {"ack": 0}, {"ack": ""}, {"ack": "true"}])
def test_who_does_not_ask_for_it_gets_none(attributes: dict[str, Any]) -> None:  # gloox
    chat = Chat(**attributes)
    chat.open()
    assert "ack" not in chat.creation.attributes
    chat.post()
    chat.post(ack="nonsense")
    assert chat.alive
    assert [answer.attributes for answer in chat.log[1:]] == [{}]


@pytest.mark.rule("A1")
def test_highest_rid_without_a_hole_below(acking: Chat) -> None:
    first = acking.post(rid=101)
    assert acking.post(message("m1"), rid=103).held
    acking.server(message("in"))
    assert "ack" not in first.attributes
    second = acking.post(rid=102)
    assert second.attributes == {"ack": "103"}


@pytest.mark.rule("A3")
def test_no_ack_that_says_the_same_as_the_answer_itself(acking: Chat) -> None:
    answer = acking.post()
    acking.wait(60)
    assert answer.body == EMPTY
    assert acking.post(type="terminate").held


@pytest.mark.rule("A1", "R5")
def test_ack_goes_with_payloads_and_is_repeated(acking: Chat) -> None:
    wide = begin(hold=2)
    first = wide.post(rid=101, ack=100)
    wide.post(rid=102, ack=100)
    wide.server(message("in"))
    assert first.attributes == {"ack": "102"}
    assert first.payloads == ["in"]
    assert wide.post(rid=101, ack=100).body == first.body


# --- 9.2: what the client has received --------------------------------------------------------------------


@pytest.mark.rule("A4", "A8")
def test_unacknowledged_responses_are_kept(acking: Chat) -> None:
    for rid in range(101, 120):
        acking.post(rid=rid, ack=100)
    assert acking.post(rid=101, ack=100).attributes == {"ack": "102"}
    acking.post(rid=120, ack=105)
    assert acking.post(rid=106, ack=100).attributes == {"ack": "107"}
    assert acking.post(rid=105, ack=100).end == NOT_FOUND


@pytest.mark.rule("A5")
def test_request_without_ack_acknowledges_all_that_was_sent(acking: Chat) -> None:
    acking.post(rid=101, ack=100)
    acking.post(rid=102)  # 101 was outstanding then
    assert acking.post(rid=101, ack=100).attributes == {"ack": "102"}
    acking.post(rid=103)
    assert acking.post(rid=101, ack=100).end == NOT_FOUND


@pytest.mark.rule("A5")
def test_response_to_an_outstanding_request_is_not_acknowledged(acking: Chat) -> None:
    acking.break_(acking.post(rid=101))
    acking.post(rid=102)
    assert acking.post(rid=101).attributes == {"ack": "102"}
    assert acking.post(rid=100).end == NOT_FOUND


@pytest.mark.rule("A7")
@pytest.mark.parametrize("ack", [101, 102, 103, 9007199254740991])
def test_nobody_acknowledges_what_was_not_sent(acking: Chat, ack: int) -> None:
    acking.post(rid=101, ack=100)
    answer = acking.post(rid=102, ack=ack)
    assert acking.post(rid=101, ack=100).attributes == {"ack": "102"}
    acking.server(message("in"))
    assert answer.payloads == ["in"]
    assert acking.post(rid=102, ack=ack).payloads == ["in"]


@pytest.mark.rule("A7")
def test_ack_that_is_no_number_is_a_bad_request(acking: Chat) -> None:
    assert acking.post(message("m1"), ack="-1").end == ("terminate", "bad-request")
    assert acking.stanzas == []


@pytest.mark.rule("A8")
def test_buffer_has_a_limit_for_who_never_acknowledges() -> None:  # attack S16
    chat = begin(max_unacknowledged_bytes=3000)
    for rid in range(101, 200):
        chat.post(rid=rid, ack=100)
    assert len(chat.session._responder.replies) == 9
    assert chat.post(rid=190, ack=100).attributes == {"ack": "191"}
    assert chat.post(rid=189, ack=100).end == NOT_FOUND


@pytest.mark.rule("A8")
def test_as_many_as_others_have_are_always_kept() -> None:
    chat = begin(max_unacknowledged_bytes=0)
    for rid in range(101, 110):
        chat.post(rid=rid, ack=100)
    assert chat.post(rid=107, ack=100).attributes == {"ack": "108"}
    assert chat.post(rid=106, ack=100).end == NOT_FOUND


@pytest.mark.rule("A6")
def test_old_ack_reports_what_is_missing_once(acking: Chat) -> None:
    acking.post(rid=101, ack=100)
    acking.server(message("lost"))
    acking.wait(1)
    answer = acking.post(rid=102, ack=100)
    assert answer.attributes == {"report": "101", "time": "1000"}
    acking.wait(0.999)
    held = acking.post(rid=103, ack=100)
    assert held.held
    acking.wait(0.001)
    assert acking.post(rid=104, ack=100).held
    assert held.attributes == {"ack": "104", "report": "101", "time": "2000"}


@pytest.mark.rule("A6", "P4")
def test_report_goes_to_the_oldest_request_with_what_waits(acking: Chat) -> None:
    wide = begin(hold=2)
    wide.post(rid=101, ack=100)
    wide.server(message("lost"))
    older = wide.post(rid=102, ack=100)
    wide.wait(2)
    newer = wide.post(message("m1"), rid=103, ack=100)
    assert older.attributes == {"ack": "103", "report": "101", "time": "2000"}
    assert newer.held
    assert wide.stanzas == [message("m1")]


@pytest.mark.rule("A6")
def test_responses_that_merely_crossed_are_not_reported(acking: Chat) -> None:
    acking.post(rid=101, ack=100)
    acking.server(message("m1"))
    acking.wait(0.5)
    assert acking.post(rid=102, ack=100).held


@pytest.mark.rule("A6")
def test_response_that_was_sent_again_is_not_missing_yet(acking: Chat) -> None:
    acking.post(rid=101)
    acking.server(message("lost"))
    acking.wait(5)
    acking.post(rid=101)
    acking.wait(0.5)
    answer = acking.post(rid=102, ack=100)
    assert answer.held
    acking.wait(0.5)
    assert acking.post(rid=103, ack=100).held
    assert answer.attributes == {"ack": "103", "report": "101", "time": "1000"}


@pytest.mark.rule("A6")
def test_time_fits_into_sixteen_bits() -> None:
    chat = begin(inactivity=200)
    chat.post(rid=101)
    chat.server(message("lost"))
    chat.wait(100)
    assert chat.post(rid=102, ack=100).attributes == {"report": "101", "time": "65535"}


@pytest.mark.rule("A6")
def test_report_is_not_wasted_on_a_broken_connection(acking: Chat) -> None:
    wide = begin(hold=2)
    wide.post(rid=101)
    wide.server(message("lost"))
    wide.break_(wide.post(rid=102, ack=100))
    wide.wait(2)
    assert wide.post(rid=103, ack=100).attributes == {"report": "101", "time": "2000"}


@pytest.mark.rule("A6")
def test_answer_to_a_pause_reports_too(acking: Chat) -> None:
    acking.post(rid=101)
    acking.server(message("lost"))
    acking.wait(2)
    early = acking.post(rid=103, ack=100)
    answer = acking.post(rid=102, ack=100, pause=60)
    assert answer.attributes == {"ack": "103", "report": "101", "time": "2000"}
    assert early.held
    acking.wait(2)
    last = acking.post(rid=104, ack=100, type="terminate")
    acking.server_closes()
    assert early.attributes == {"type": "terminate", "ack": "104", "report": "101", "time": "4000"}
    assert last.body == EMPTY


@pytest.mark.rule("A6")
def test_response_that_is_no_longer_there_is_not_reported() -> None:
    chat = begin(max_unacknowledged_bytes=0)
    for rid in range(101, 105):
        chat.post(rid=rid)
    chat.wait(2)
    assert chat.post(rid=105, ack=100).held
