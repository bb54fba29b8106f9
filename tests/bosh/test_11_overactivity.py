"""XEP-0124 section 11: overactivity."""

from dataclasses import replace

import pytest

from tests.bosh.chat import POLICY, SUCCESS, Chat, message


@pytest.mark.rule("O1")
def test_more_simultaneous_requests_than_allowed_are_a_policy_violation(wide: Chat) -> None:
    first, second = wide.post(rid=101), wide.post(rid=102)
    third = wide.post(message("m1"), rid=104)
    assert wide.alive
    fourth = wide.post(rid=105)
    assert fourth.end == ("terminate", "policy-violation")
    assert [answer.end for answer in (first, second, third)] == [("terminate", "other-request")] * 3


@pytest.mark.rule("O1")
def test_broken_requests_are_not_simultaneous(wide: Chat) -> None:
    wide.break_(wide.post(rid=101))
    wide.break_(wide.post(rid=102))
    assert wide.post(rid=104).held
    assert wide.post(rid=105).held


@pytest.mark.rule("R3")
@pytest.mark.parametrize("attributes", [{"type": "terminate"}, {"pause": "60"}])
def test_one_more_is_allowed_to_pause_or_to_terminate(wide: Chat, attributes: dict[str, str]) -> None:
    wide.post(rid=101)
    wide.post(rid=102)
    wide.post(message("m1"), rid=104)
    assert wide.post(rid=105, **attributes).held
    assert wide.alive


@pytest.mark.rule("O2")
def test_busy_chat_is_never_overactive(chat: Chat) -> None:
    for number in range(50):
        chat.post(message(f"out{number}"))
        chat.post()
        chat.server(message(f"in{number}"))
    assert chat.alive
    assert len(chat.stanzas) == 50


VIOLATION = ("terminate", "policy-violation")


@pytest.mark.rule("O2")
def test_empty_requests_behind_a_hole_that_come_too_fast(wide: Chat) -> None:
    first = wide.post(rid=101)
    second = wide.post(rid=103)
    wide.wait(4.999)
    assert wide.post(rid=104).end == VIOLATION
    assert first.end == second.end == ("terminate", "other-request")


@pytest.mark.rule("O2")
def test_empty_requests_behind_a_hole_that_take_their_time(wide: Chat) -> None:
    wide.post(rid=101)
    wide.post(rid=103)
    wide.wait(5)
    assert wide.post(rid=104).held


@pytest.mark.rule("O2", "I10")
def test_empty_request_that_comes_after_the_pause_behind_it(chat: Chat) -> None:
    chat.post(rid=103, pause=60)
    assert chat.post(rid=102).held


@pytest.mark.rule("O2")
@pytest.mark.parametrize("attributes", [{"type": "terminate"}, {"pause": "60"}])
def test_the_last_of_them_may_pause_or_terminate(wide: Chat, attributes: dict[str, str]) -> None:
    wide.post(rid=101)
    wide.post(rid=103)
    assert wide.post(rid=104, **attributes).held


@pytest.mark.rule("O4")
def test_where_no_polling_is_announced_there_is_no_limit() -> None:
    wide = Chat(replace(POLICY, max_hold=2, polling=0), hold=2)
    wide.open()
    wide.post(rid=101)
    wide.post(rid=103)
    assert wide.post(rid=104).held


@pytest.mark.rule("O2")
def test_requests_that_overtake_each_other_are_not_too_fast(wide: Chat) -> None:
    for rid in (103, 102, 101, 104, 105):
        wide.post(rid=rid)
    assert wide.alive


@pytest.mark.rule("O2")
def test_broken_request_that_is_sent_again_after_the_next_one(chat: Chat) -> None:
    chat.break_(chat.post(rid=101))
    chat.post(rid=102)
    chat.post(rid=101)
    assert chat.alive


@pytest.mark.rule("O2")
def test_chat_at_any_speed_with_two_held_is_not_overactive(wide: Chat) -> None:
    for number in range(50):
        wide.post()
        if number % 3 == 0:
            wide.server(message(f"in{number}"))
        if number % 5 == 0:
            wide.server(SUCCESS)
            wide.post(restart="true")
    assert wide.alive
