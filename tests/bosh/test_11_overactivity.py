"""XEP-0124 section 11, as far as it is about requests that cannot be answered yet."""

import pytest

from tests.bosh.chat import Chat, message


def test_more_simultaneous_requests_than_allowed_are_a_policy_violation(wide: Chat) -> None:  # O1
    first, second = wide.post(rid=101), wide.post(rid=102)
    third = wide.post(rid=104)
    assert wide.alive
    fourth = wide.post(rid=105)
    assert fourth.end == ("terminate", "policy-violation")
    assert [answer.end for answer in (first, second, third)] == [("terminate", "other-request")] * 3


def test_broken_requests_are_not_simultaneous(wide: Chat) -> None:  # O1
    wide.break_(wide.post(rid=101))
    wide.break_(wide.post(rid=102))
    assert wide.post(rid=104).held
    assert wide.post(rid=105).held


@pytest.mark.parametrize("attributes", [{"type": "terminate"}, {"pause": "60"}])
def test_one_more_is_allowed_to_pause_or_to_terminate(wide: Chat, attributes: dict[str, str]) -> None:  # R3
    wide.post(rid=101)
    wide.post(rid=102)
    wide.post(rid=104)
    assert wide.post(rid=105, **attributes).held
    assert wide.alive


def test_busy_chat_is_never_overactive(chat: Chat) -> None:  # O2
    for number in range(50):
        chat.post(message(f"out{number}"))
        chat.post()
        chat.server(message(f"in{number}"))
    assert chat.alive
    assert len(chat.stanzas) == 50
