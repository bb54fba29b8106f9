"""XEP-0124 section 12: polling sessions."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.bosh.chat import EMPTY, POLICY, SUCCESS, Chat, message

VIOLATION = ("terminate", "policy-violation")


def begin(**attributes: Any) -> Chat:
    """A session created with rid 100 that polls, and has its features."""
    chat = Chat(POLICY, **({"wait": 0} | attributes))
    chat.open()
    assert chat.post(rid=101).payloads == ["features"]
    chat.wait(10)
    return chat


@pytest.fixture
def poller() -> Chat:
    """The same; rid 102 comes next."""
    return begin()


@pytest.mark.rule("O6")
def test_polls_in_time_are_answered_at_once(poller: Chat) -> None:
    for _ in range(5):
        assert poller.post().body == EMPTY
        poller.wait(5)
    poller.server(message("m1"))
    assert poller.post().payloads == ["m1"]


@pytest.mark.rule("O6", "O3", "C7")
@pytest.mark.parametrize(
    "attributes", [{"wait": 0, "hold": 1}, {"wait": 10, "hold": 0}, {"wait": 0, "hold": 0}]
)
def test_either_number_makes_it_a_polling_session(attributes: dict[str, int]) -> None:
    chat = begin(**attributes)
    chat.post()
    assert chat.post().end == VIOLATION


@pytest.mark.rule("HC11")
@pytest.mark.parametrize(
    "something",
    [
        lambda chat: chat.post(message("m1")),
        lambda chat: chat.post(restart="true"),
        lambda chat: chat.post(type="terminate"),
        lambda chat: chat.post(pause="60"),
    ],
    ids=["stanza", "restart", "terminate", "pause"],
)
def test_what_is_no_poll_may_come_at_any_time(poller: Chat, something: Callable[[Chat], Any]) -> None:
    poller.server(SUCCESS)
    poller.post()
    poller.wait(5)
    poller.post()
    poller.wait(1)
    something(poller)
    assert poller.ended is None
    poller.wait(0.1)
    if poller.alive:
        assert poller.post().type is None  # the poll before it was not the last request


@pytest.mark.rule("O3")
@pytest.mark.parametrize(("seconds", "alive"), [(4.4, False), (4.5, True)])
def test_clocks_may_differ_a_little(poller: Chat, seconds: float, alive: bool) -> None:
    poller.post()
    poller.wait(seconds)
    poller.post()
    assert poller.alive is alive


@pytest.mark.rule("O3", "R12")
def test_repeats_are_no_polls(poller: Chat) -> None:
    poller.post(rid=102)
    poller.wait(4)
    assert poller.post(rid=102).body == EMPTY
    poller.wait(1)
    assert poller.post(rid=103).body == EMPTY


@pytest.mark.rule("O4")
def test_where_no_polling_is_announced_there_is_no_limit() -> None:
    chat = Chat(replace(POLICY, polling=0), wait=0)
    chat.open()
    for _ in range(5):
        chat.post()
    assert chat.alive


@pytest.mark.rule("T6")
def test_who_asks_too_often_after_the_end_is_told_how_it_ended(poller: Chat) -> None:
    poller.post()
    poller.server_closes("remote-connection-failed")
    assert poller.post().end == ("terminate", "remote-connection-failed")


@pytest.mark.rule("O3", "P2")
def test_hole_is_no_polling(poller: Chat) -> None:
    early = poller.post(rid=103)
    poller.post(rid=102)
    assert early.body == EMPTY
    assert poller.post(message("m1"), rid=104).body == EMPTY
