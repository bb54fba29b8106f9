"""XEP-0124 section 17 and XEP-0206 section 6: who is told what when a session ends."""

from dataclasses import replace

import pytest

from boshgate.bosh.body import terminal_body
from boshgate.bosh.conditions import Condition
from boshgate.bosh.events import CloseStream
from boshgate.namespaces import HTTPBIND, SASL, STREAMS
from tests.bosh.chat import EMPTY, FEATURES, POLICY, STREAM_ERROR, Chat, message

SHUTDOWN = ("terminate", "system-shutdown")
ERROR = ("terminate", "remote-stream-error")


def test_conditions_are_those_of_section_17_2() -> None:
    assert {condition.value for condition in Condition} == {
        "bad-request", "host-gone", "host-unknown", "improper-addressing", "internal-server-error",
        "item-not-found", "other-request", "policy-violation", "remote-connection-failed",
        "remote-stream-error", "see-other-uri", "system-shutdown", "undefined-condition",
    }  # fmt: skip
    assert terminal_body(Condition.HOST_GONE) == (
        f"<body xmlns='{HTTPBIND}' type='terminate' condition='host-gone'/>".encode()
    )
    assert terminal_body(None) == f"<body xmlns='{HTTPBIND}' type='terminate'/>".encode()


@pytest.mark.rule("E9", "W7", "T23")
def test_stream_error_is_copied_after_the_stanzas_before_it(chat: Chat) -> None:
    answer = chat.post()
    chat.server(message("m1"), STREAM_ERROR)
    assert answer.end == ERROR
    assert answer.payloads == ["m1", "error"]
    assert answer.body is not None
    assert f"xmlns:stream='{STREAMS}'" in answer.body.partition(">")[0]  # W7
    assert STREAM_ERROR in answer.body
    assert chat.streams == [CloseStream("STREAM", clean=True)]  # T23


@pytest.mark.rule("T6", "HC13")
def test_stream_error_waits_for_the_next_request_with_the_stanzas(chat: Chat) -> None:
    chat.server(message("m1"))
    chat.server(message("m2"), STREAM_ERROR)
    chat.server_closes()
    chat.wait(5)
    answer = chat.post(message("lost"))
    assert answer.end == ERROR
    assert answer.payloads == ["m1", "m2", "error"]
    assert chat.stanzas == []
    assert chat.post(message("lost"), rid=101).body == answer.body
    assert chat.post().end == ("terminate", "item-not-found")
    chat.wait(10)
    assert chat.ended is not None
    assert (chat.ended.condition, chat.ended.undelivered) == ("remote-stream-error", 0)
    assert chat.ended.discarded == 1


@pytest.mark.rule("T6")
def test_condition_that_nobody_fetches_is_forgotten_after_inactivity(chat: Chat) -> None:
    chat.server(message("m1"), STREAM_ERROR)
    chat.wait(29.999)
    assert chat.ended is None
    chat.wait(0.001)
    assert chat.ended is not None
    assert chat.ended.condition == "remote-stream-error"
    assert chat.ended.undelivered == 2
    assert chat.post().end == ("terminate", "item-not-found")


@pytest.mark.rule("P14")
def test_stream_error_always_goes_with_the_last_stanzas() -> None:
    chat = Chat(replace(POLICY, max_response_bytes=len(message("m1"))))
    chat.open()
    chat.server(message("m1"), message("m2"), STREAM_ERROR)
    assert [chat.post().payloads for _ in range(2)] == [["m1"], ["m2", "error"]]


@pytest.mark.rule("W6", "T6")
def test_what_needs_several_responses_is_delivered_before_the_condition(chat: Chat) -> None:
    chat.server(f"<failure xmlns='{SASL}'/>", FEATURES, message("m1"), STREAM_ERROR)
    failure, features, last = (chat.post() for _ in range(3))
    assert (failure.payloads, failure.type) == (["failure"], None)
    assert (features.payloads, features.type) == (["features"], None)
    assert (last.payloads, last.end) == (["m1", "error"], ERROR)


@pytest.mark.rule("W6")
def test_stream_error_never_shares_a_response_with_sasl(chat: Chat) -> None:
    answer = chat.post()
    chat.server(f"<failure xmlns='{SASL}'/>", STREAM_ERROR)
    assert (answer.payloads, answer.type) == (["failure"], None)
    answer = chat.post()
    assert (answer.payloads, answer.end) == (["error"], ERROR)


@pytest.mark.rule("P4")
def test_order_holds_while_the_end_is_being_told(chat: Chat) -> None:
    chat.server(f"<failure xmlns='{SASL}'/>", message("m1"), STREAM_ERROR)
    second = chat.post(rid=102)
    assert second.held
    first = chat.post(rid=101)
    assert (first.payloads, first.type) == (["failure"], None)
    assert (second.payloads, second.end) == (["m1", "error"], ERROR)


@pytest.mark.rule("R10")
def test_early_request_of_an_ending_session_gets_an_error_in_time(chat: Chat) -> None:
    chat.server(f"<failure xmlns='{SASL}'/>", STREAM_ERROR)
    early = chat.post(rid=102)
    chat.wait(60)
    assert early.type == "error"


@pytest.mark.rule("E9")
def test_all_held_requests_are_told_only_the_oldest_gets_the_stanzas(wide: Chat) -> None:
    first, second = wide.post(), wide.post()
    early = wide.post(message("lost"), rid=104)
    wide.server(message("m1"), STREAM_ERROR)
    assert (first.end, first.payloads) == (ERROR, ["m1", "error"])
    assert (second.end, second.payloads) == (ERROR, ["error"])
    assert (early.end, early.payloads) == (ERROR, ["error"])
    assert [answer.rid for answer in wide.log] == [101, 102, 104]
    assert wide.session.discarded == 1


@pytest.mark.rule("P12")
def test_end_is_told_to_somebody_who_listens(wide: Chat) -> None:
    broken, live = wide.post(), wide.post()
    wide.break_(broken)
    wide.server(message("m1"), STREAM_ERROR)
    assert live.payloads == ["m1", "error"]
    assert wide.post(rid=101).body == EMPTY, "or else the client would end before it comes to the stanzas"


@pytest.mark.rule("P12")
def test_end_waits_for_the_repeat_of_a_broken_request(chat: Chat) -> None:
    chat.break_(chat.post())
    chat.server(message("m1"), STREAM_ERROR)
    assert chat.post(rid=101).payloads == ["m1", "error"]


@pytest.mark.rule("P4")
def test_end_keeps_the_order_of_rids_too(chat: Chat) -> None:
    early = chat.post(message("lost"), rid=102)
    chat.server(message("m1"), STREAM_ERROR)
    assert early.held
    missing = chat.post(message("lost"), rid=101)
    assert (missing.end, missing.payloads) == (ERROR, ["m1", "error"])
    assert (early.end, early.payloads) == (ERROR, ["error"])
    assert chat.session.discarded == 2


@pytest.mark.rule("T7")
def test_server_that_closes_its_stream_gives_no_condition(chat: Chat) -> None:
    answer = chat.post()
    chat.server_closes(None)
    assert answer.attributes == {"type": "terminate"}
    assert chat.streams == []


@pytest.mark.rule("T7", "E8")
@pytest.mark.parametrize("condition", ["remote-connection-failed", "policy-violation"])
def test_lost_stream_has_a_condition(chat: Chat, condition: str) -> None:
    chat.server(message("m1"))
    chat.server_closes(condition)
    answer = chat.post()
    assert answer.end == ("terminate", condition)
    assert answer.payloads == ["m1"]


def test_nothing_is_forwarded_to_a_stream_that_is_over(chat: Chat) -> None:
    chat.server(message("m1"), message("m2"))
    chat.server_closes("remote-connection-failed")
    chat.post(message("lost"))
    assert chat.stanzas == []
    assert chat.session.discarded == 1


def test_stream_that_ends_after_its_error_is_no_news(chat: Chat) -> None:
    answer = chat.post()
    chat.server(STREAM_ERROR)
    chat.server_closes("remote-connection-failed")
    assert answer.end == ERROR
    chat.wait(10)
    assert chat.ended is not None
    assert chat.ended.condition == "remote-stream-error"
    chat.server_closes()


@pytest.mark.rule("E11", "HC23")
def test_shutdown_answers_held_requests_at_once(wide: Chat) -> None:
    answers = [wide.post(), wide.post(), wide.post(message("m1"), rid=104)]
    wide.terminate("system-shutdown")
    assert [answer.end for answer in answers] == [SHUTDOWN] * 3
    # XEP-0198 section 5: a stream that can be resumed must not be closed.
    assert wide.streams == [CloseStream("STREAM", clean=False)]


@pytest.mark.rule("HC23", "SM7")
def test_shutdown_is_told_to_the_next_request_with_what_waits(chat: Chat) -> None:
    chat.server(message("m1"))
    chat.terminate("system-shutdown")
    answer = chat.post()
    assert (answer.end, answer.payloads) == (SHUTDOWN, ["m1"])


@pytest.mark.rule("HC23")
def test_shutdown_answers_a_creation_request() -> None:
    chat = Chat()
    chat.terminate("system-shutdown")
    assert chat.creation.end == SHUTDOWN
    assert chat.ended is not None


def test_session_ends_once(chat: Chat) -> None:
    chat.terminate("internal-server-error")
    chat.terminate("system-shutdown")
    assert chat.post().condition == "internal-server-error"
    chat.terminate("system-shutdown")
    assert chat.streams == [CloseStream("STREAM", clean=False)]


@pytest.mark.rule("E6", "HC14")
def test_fatal_request_gets_its_condition_the_others_other_request(wide: Chat) -> None:
    first, second = wide.post(), wide.post()
    early = wide.post(message("m1"), rid=104)
    wrong = wide.post(message("m2"), rid=99)
    assert wrong.end == ("terminate", "item-not-found")
    assert [answer.end for answer in (first, second, early)] == [("terminate", "other-request")] * 3
    assert wide.stanzas == []
    assert wide.ended is not None
    assert (wide.ended.condition, wide.ended.discarded) == ("item-not-found", 2)


@pytest.mark.rule("E17")
def test_terminal_conditions_keep_the_order_of_rids(wide: Chat) -> None:
    wide.post(rid=101)
    culprit = wide.post(rid=103, pause="x")
    wide.post(rid=102)
    assert [(answer.rid, answer.condition) for answer in wide.log] == [
        (101, "other-request"), (102, "other-request"), (103, "bad-request"),
    ]  # fmt: skip
    assert culprit.type == "terminate"


@pytest.mark.rule("E7", "W13")
def test_too_large_a_payload_ends_the_session_and_leaves_nothing_to_resume(chat: Chat) -> None:
    held = chat.post()
    culprit = chat.post(message("m1"), message("m2" * 5_000))
    assert [held.condition, culprit.condition] == ["other-request", "policy-violation"]
    assert chat.stanzas == []
    assert chat.streams == [CloseStream("STREAM", clean=True)]
    assert chat.ended is not None
    assert chat.ended.discarded == 2


@pytest.mark.rule("E17")
def test_terminal_condition_of_a_rid_above_the_window_comes_last(wide: Chat) -> None:
    wide.post(rid=101)
    wide.post(message("m1"), rid=103)
    wide.post(rid=110)
    assert [(answer.rid, answer.condition) for answer in wide.log] == [
        (101, "other-request"), (103, "other-request"), (110, "item-not-found"),
    ]  # fmt: skip


def test_fatal_request_whose_connection_broke_still_ends_the_session(wide: Chat) -> None:
    wide.break_(wide.post(rid=102, pause="x"))
    assert wide.post(rid=101).end == ("terminate", "other-request")
    assert not wide.alive


def test_fatal_request_leaves_nothing_to_repeat(chat: Chat) -> None:
    held = chat.post(rid=101)
    chat.post(rid=500)
    assert held.end == ("terminate", "other-request")
    assert chat.post(rid=101).end == ("terminate", "item-not-found")
    assert chat.session.get_timer() is None


def test_payloads_for_a_session_that_failed_are_counted(chat: Chat) -> None:
    chat.server(message("m1"))
    chat.post(rid=500)
    assert chat.ended is not None
    assert chat.ended.undelivered == 1
    chat.server(message("m2"))
    chat.server_closes()
    assert chat.session.undelivered == 2


@pytest.mark.rule("P10")
def test_empty_response_has_nothing_but_its_namespace(chat: Chat) -> None:
    chat.post()
    chat.post()
    assert chat.log[0].body == EMPTY


def test_repr_tells_the_state(chat: Chat) -> None:
    chat.post()
    assert repr(chat.session) == "<Session open rid=101 held=1 early=0 pending=0 [<Stream STREAM open>]>"
