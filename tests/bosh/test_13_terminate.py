"""XEP-0124 section 13: the client goes; the server's last stanzas still reach it."""

from dataclasses import replace

import pytest

from boshgate.bosh.events import CloseStream
from tests.bosh.chat import EMPTY, POLICY, STREAM_ERROR, Chat, message

GONE = "<presence type='unavailable' xmlns='jabber:client'/>"


@pytest.mark.rule("T1")
def test_payloads_of_terminate_are_forwarded_then_the_stream_is_closed(chat: Chat) -> None:
    answer = chat.post(GONE, type="terminate")
    assert chat.stanzas == [GONE]
    assert chat.streams == [CloseStream("STREAM", clean=True)]
    chat.server_closes()
    assert answer.body is not None
    assert answer.attributes == {"type": "terminate"}  # T2: it is the only one
    assert answer.payloads == []


@pytest.mark.rule("T2")
def test_oldest_request_is_told_others_are_empty(chat: Chat) -> None:
    held = chat.post()
    terminate = chat.post(type="terminate")
    chat.server_closes()
    assert held.attributes == {"type": "terminate"}
    assert terminate.body == EMPTY


@pytest.mark.rule("T3")
def test_last_stanzas_of_the_server_go_with_the_answer(chat: Chat) -> None:
    held = chat.post()
    chat.post(type="terminate")
    chat.server(message("m1"))
    chat.server(message("m2"))
    assert held.held
    chat.server_closes()
    assert held.payloads == ["m1", "m2"]


@pytest.mark.rule("T3")
def test_what_waited_before_goes_with_the_answer(chat: Chat) -> None:
    chat.server(message("m1"))
    answer = chat.post(type="terminate")
    chat.server_closes()
    assert answer.payloads == ["m1"]


@pytest.mark.rule("T1")
def test_server_that_does_not_answer_is_not_waited_for_long(chat: Chat) -> None:
    answer = chat.post(type="terminate")
    chat.wait(0.999)
    assert answer.held
    chat.wait(0.001)
    assert answer.type == "terminate"


def test_server_that_talks_on_is_cut_short() -> None:
    chat = Chat(replace(POLICY, max_pending_bytes=10))
    chat.open()
    answer = chat.post(type="terminate")
    chat.server(message("m1"))
    assert answer.payloads == ["m1"]


def test_stream_error_after_terminate_is_no_news(chat: Chat) -> None:
    answer = chat.post(type="terminate")
    chat.server(message("m1"), STREAM_ERROR, message("m2"))
    assert answer.attributes == {"type": "terminate"}
    assert answer.payloads == ["m1"]
    chat.wait(10)
    assert chat.ended is not None
    assert chat.ended.undelivered == 2


@pytest.mark.rule("T5")
def test_repeated_terminate_is_answered_alike_while_the_session_lingers(chat: Chat) -> None:
    held = chat.post()
    terminate = chat.post(type="terminate")
    chat.server_closes()
    chat.wait(9.999)
    assert chat.post(rid=102, type="terminate").body == terminate.body
    assert chat.post(rid=101).body == held.body
    assert chat.ended is None
    chat.wait(0.001)
    assert chat.ended is not None
    assert (chat.ended.condition, chat.ended.reason) == (None, "terminated by the client")
    assert chat.post(rid=102, type="terminate").end == ("terminate", "item-not-found")


def test_other_requests_after_the_end_find_no_session(chat: Chat) -> None:
    chat.post(type="terminate")
    assert chat.post(message("m1")).end == ("terminate", "item-not-found")
    chat.server_closes()
    assert chat.post(message("m2"), rid=102).end == ("terminate", "item-not-found")
    assert chat.post(rid=101).end == ("terminate", "item-not-found"), "an altered repeat"
    assert chat.stanzas == []


@pytest.mark.rule("R6")
def test_terminate_repeated_before_its_answer_takes_over(chat: Chat) -> None:
    first = chat.post(rid=101, type="terminate")
    second = chat.post(rid=101, type="terminate")
    assert first.type == "error"
    chat.server_closes()
    assert second.type == "terminate"


@pytest.mark.rule("T4")
def test_terminate_waits_for_lower_rids(chat: Chat) -> None:
    terminate = chat.post(GONE, rid=102, type="terminate")
    assert chat.stanzas == []
    first = chat.post(message("m1"), rid=101)
    assert chat.stanzas == [message("m1"), GONE]
    chat.server_closes()
    assert first.type == "terminate"
    assert terminate.body == EMPTY


@pytest.mark.rule("T4")
def test_terminate_does_not_wait_for_ever_for_lower_rids(chat: Chat) -> None:
    terminate = chat.post(GONE, rid=102, type="terminate")
    chat.wait(60)
    assert (terminate.type, terminate.condition) == ("error", None)
    assert chat.stanzas == []
    chat.wait(30)
    assert chat.ended is not None


def test_early_requests_above_a_terminate_are_empty_and_not_forwarded(wide: Chat) -> None:
    above = wide.post(message("m1"), rid=103)
    behind = wide.post(message("m2"), rid=102)
    terminate = wide.post(rid=101, type="terminate")
    assert wide.stanzas == []
    wide.server_closes()
    assert terminate.type == "terminate"
    assert (behind.body, above.body) == (EMPTY, EMPTY)
    assert wide.session.discarded == 2


def test_early_requests_behind_a_hole_are_answered_at_the_end_too(wide: Chat) -> None:
    early = wide.post(message("m1"), rid=103)
    wide.post(rid=101, type="terminate")
    wide.server_closes()
    assert early.body == EMPTY
    assert wide.session.discarded == 1


def test_client_that_hangs_up_after_terminate_is_no_problem(chat: Chat) -> None:  # gloox
    chat.break_(chat.post(type="terminate"))
    chat.server(message("m1"))
    chat.server_closes()
    assert chat.post(rid=101, type="terminate").payloads == ["m1"]
    assert chat.session.undelivered == 1


@pytest.mark.rule("T8")
@pytest.mark.parametrize("type_", ["terminate", "terminal"])
def test_gloox_says_terminal(chat: Chat, type_: str) -> None:  # quirk 10
    chat.post(type=type_, condition="internal-server-error")
    assert chat.streams == [CloseStream("STREAM", clean=True)]


@pytest.mark.rule("T8")
def test_error_of_the_client_is_an_ordinary_request(chat: Chat) -> None:
    assert chat.post(message("m1"), type="error").held
    assert chat.stanzas == [message("m1")]


@pytest.mark.rule("SM7")
def test_connection_manager_cuts_the_goodbye_short(chat: Chat) -> None:
    answer = chat.post(type="terminate")
    chat.terminate("system-shutdown")
    assert answer.attributes == {"type": "terminate"}


def test_payload_that_comes_after_the_answer_is_counted(chat: Chat) -> None:
    chat.post(type="terminate")
    chat.wait(1)
    chat.server(message("m1"))
    chat.server_closes()
    chat.wait(10)
    assert chat.ended is not None
    assert chat.ended.undelivered == 1
    chat.server(message("m2"))
    assert chat.session.undelivered == 2


def test_timer_that_goes_off_early_changes_nothing(chat: Chat) -> None:
    answer = chat.post(type="terminate")
    chat.session.handle_timer(chat.now)
    assert answer.held
    chat.server_closes()
    chat.session.handle_timer(chat.now)
    assert chat.session.next_event() is None
    assert chat.session.get_timer() == chat.now + 10_000


@pytest.mark.rule("B14")
def test_terminate_may_hold_a_stream_error(chat: Chat) -> None:
    chat.post(GONE, STREAM_ERROR, type="terminate")
    assert chat.stanzas == [GONE]
    assert chat.streams == [CloseStream("STREAM", clean=True)]
