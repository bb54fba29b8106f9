"""XEP-0124 section 14: order, holes, repeats, broken connections."""

import pytest

from boshgate.bosh.events import CloseStream
from boshgate.errors import BindingError
from tests.bosh.chat import EMPTY, Chat, message, request

GONE = ("terminate", "item-not-found")


@pytest.mark.rule("P2", "P4")
def test_requests_are_forwarded_and_answered_in_the_order_of_rids(wide: Chat) -> None:
    for rid in (103, 102, 101):
        wide.post(message(f"m{rid}"), rid=rid)
    assert wide.stanzas == [message("m101"), message("m102"), message("m103")]
    assert [answer.rid for answer in wide.log] == [101]
    wide.wait(60)
    assert [answer.rid for answer in wide.log] == [101, 102, 103]


@pytest.mark.rule("R1", "R2")
def test_window_ends_at_requests(chat: Chat) -> None:
    assert chat.post(rid=102).held
    assert chat.alive
    assert chat.post(rid=103).end == GONE
    assert chat.streams == [CloseStream("STREAM", clean=False)]
    assert chat.ended is not None
    assert chat.ended.condition == "item-not-found"


@pytest.mark.rule("R1")
def test_window_is_relative_to_the_last_rid_without_a_hole(chat: Chat) -> None:
    chat.post(rid=101)
    chat.post(rid=102)
    assert chat.post(message("m1"), rid=104).held


@pytest.mark.rule("R3", "HC5")
def test_one_above_the_window_may_only_terminate_or_pause(chat: Chat) -> None:
    assert chat.post(rid=103, type="terminate").held
    assert chat.post(rid=104, type="terminate").end == GONE


@pytest.mark.rule("R10")
def test_hole_in_a_polling_session_is_waited_for_a_little() -> None:
    chat = Chat(wait=0)
    early = chat.post(rid=102)
    chat.wait(1.999)
    assert early.held
    chat.wait(0.001)
    assert early.type == "error"


def test_hole_that_is_filled_in_a_polling_session_harms_nobody() -> None:
    chat = Chat(wait=0)
    chat.post(rid=102)
    chat.post(rid=101)
    assert [answer.rid for answer in chat.log] == [100, 101, 102]


@pytest.mark.rule("R5", "HC1")
def test_answered_request_is_answered_again_alike_and_forwarded_once(chat: Chat) -> None:
    first = chat.post(message("out"), rid=101)
    chat.server(message("in"))
    chat.server(message("later"))
    for _ in range(3):
        assert chat.post(message("out"), rid=101).body == first.body
    assert chat.stanzas == [message("out")]
    assert chat.post(rid=102).payloads == ["later"]


@pytest.mark.rule("R4", "R7")
def test_buffer_holds_as_many_responses_as_requests_are_allowed(wide: Chat) -> None:
    for rid in range(101, 105):
        wide.post(rid=rid)
        wide.server(message(f"m{rid}"))
    for rid in (102, 103, 104):
        assert wide.post(rid=rid).payloads == [f"m{rid}"]
    assert wide.post(rid=101).end == GONE


@pytest.mark.rule("R4")
def test_creation_response_can_be_asked_for_with_the_sid(chat: Chat) -> None:
    assert chat.post(rid=100).body == chat.creation.body


@pytest.mark.rule("R7", "X6")
def test_too_low_and_too_high_rids_get_the_same_bytes() -> None:  # attack S9
    bodies = set()
    for rid in (1, 90, 103, 2**53 - 1):
        chat = Chat()
        chat.open()
        bodies.add(chat.post(rid=rid).body)
    assert len(bodies) == 1


@pytest.mark.rule("R9")
def test_altered_repeat_of_an_answered_request_is_never_processed(chat: Chat) -> None:
    chat.post(message("m1"), rid=101)
    chat.server(message("in"))
    assert chat.post(message("m2"), rid=101).end == GONE
    assert chat.stanzas == [message("m1")]
    assert not chat.alive


@pytest.mark.rule("R9")
@pytest.mark.parametrize("ids", [("Aa", "BB"), ("plumless", "buckeroo")], ids=["String.hashCode", "CRC-32"])
def test_repeats_are_not_compared_by_a_hash_that_collides(ids: tuple[str, str]) -> None:  # attack S24
    chat = Chat()
    chat.open()
    first, second = (request(101, message(id_), sid="SID").digest for id_ in ids)
    assert first != second
    assert first is not None
    assert len(first) >= 16
    chat.post(message(ids[0]), rid=101)
    assert chat.post(message(ids[1]), rid=101).end == GONE
    assert chat.stanzas == [message(ids[0])]


@pytest.mark.rule("R9")
def test_altered_repeat_of_an_unanswered_request_is_never_processed(chat: Chat) -> None:
    held = chat.post(message("m1"), rid=101)
    assert chat.post(message("m2"), rid=101).end == GONE
    assert held.end == ("terminate", "other-request")
    assert chat.stanzas == [message("m1")]
    assert chat.ended is not None
    assert chat.ended.discarded == 1


@pytest.mark.rule("R6", "HC2")
def test_repeat_of_an_unanswered_request_takes_over(chat: Chat) -> None:
    older = chat.post(rid=101)
    newer = chat.post(rid=101)
    assert older.type == "error"
    assert older.condition is None
    assert newer.held
    chat.server(message("m1"))
    assert newer.payloads == ["m1"]


@pytest.mark.rule("E15")
def test_recoverable_error_is_not_the_response(chat: Chat) -> None:
    chat.post(rid=101)
    chat.post(rid=101)
    chat.server(message("m1"))
    assert chat.post(rid=101).payloads == ["m1"]


@pytest.mark.rule("R6")
def test_repeating_does_not_make_anybody_wait_longer(chat: Chat) -> None:
    chat.post(rid=101)
    chat.wait(59)
    newer = chat.post(rid=101)
    chat.wait(0.999)
    assert newer.held
    chat.wait(0.001)
    assert newer.body == EMPTY


@pytest.mark.rule("P6")
def test_repeat_of_a_broken_request_is_held_for_its_own_time(chat: Chat) -> None:
    chat.break_(chat.post(rid=101))
    chat.wait(29)
    again = chat.post(rid=101)
    chat.wait(59.999)
    assert again.held
    chat.wait(0.001)
    assert again.body == EMPTY


@pytest.mark.rule("R8")
def test_too_many_fast_repeats_are_a_policy_violation(chat: Chat) -> None:
    chat.post(rid=101)
    for _ in range(10):
        chat.wait(0.999)
        newest = chat.post(rid=101)
        assert newest.held
    chat.wait(0.999)
    assert chat.post(rid=101).end == ("terminate", "policy-violation")
    assert newest.end == ("terminate", "other-request")


@pytest.mark.rule("R8")
def test_slow_repeats_are_never_too_many(chat: Chat) -> None:  # quirk, clients on bad networks
    for _ in range(30):
        chat.wait(1)
        assert chat.post(rid=101).held


@pytest.mark.rule("R8")
def test_new_request_starts_the_count_of_repeats_anew(wide: Chat) -> None:
    wide.post(rid=101)
    for _ in range(10):
        wide.post(rid=101)
    wide.post(rid=102)
    for _ in range(10):
        wide.post(rid=101)
    wide.post(message("m1"), rid=104)
    for _ in range(10):
        wide.post(rid=101)
    assert wide.alive


@pytest.mark.rule("R8")
def test_repeats_of_answered_requests_count_too(chat: Chat) -> None:
    chat.post(rid=101)
    chat.server(message("m1"))
    for _ in range(10):
        assert chat.post(rid=101).payloads == ["m1"]
    assert chat.post(rid=101).end == ("terminate", "policy-violation")


@pytest.mark.rule("R10")
def test_hole_that_never_fills_is_a_recoverable_error_after_wait(chat: Chat) -> None:
    early = chat.post(message("m102"), rid=102)
    chat.wait(59.999)
    assert early.held
    chat.wait(0.001)
    assert early.type == "error"
    assert chat.stanzas == []


@pytest.mark.rule("R10", "R13")
def test_client_repeats_what_is_missing_in_any_order(chat: Chat) -> None:
    chat.post(message("m102"), rid=102)
    chat.wait(60)
    second = chat.post(message("m102"), rid=102)
    assert second.held, "it waits for the hole once more"
    first = chat.post(message("m101"), rid=101)
    assert chat.stanzas == [message("m101"), message("m102")]
    assert first.body == EMPTY
    chat.server(message("in"))
    assert second.payloads == ["in"]


@pytest.mark.rule("R10")
def test_request_that_got_an_error_is_processed_when_the_hole_is_filled(chat: Chat) -> None:
    chat.post(message("m102"), rid=102)
    chat.wait(60)
    first = chat.post(message("m101"), rid=101)
    assert chat.stanzas == [message("m101"), message("m102")]
    assert first.body == EMPTY
    chat.server(message("in"))
    assert chat.post(message("m102"), rid=102).payloads == ["in"]


@pytest.mark.rule("R6")
def test_early_request_may_be_repeated(chat: Chat) -> None:
    older = chat.post(message("m102"), rid=102)
    newer = chat.post(message("m102"), rid=102)
    assert older.type == "error"
    chat.post(rid=101)
    assert newer.held
    assert chat.stanzas == [message("m102")]


@pytest.mark.rule("P12", "HC8")
def test_broken_connection_leaves_the_rid_unanswered(chat: Chat) -> None:
    chat.break_(chat.post(rid=101))
    chat.server(message("m1"))
    chat.wait(5)
    assert chat.post(rid=101).payloads == ["m1"]


@pytest.mark.rule("P12", "HC8")
def test_next_request_gets_what_the_broken_one_was_meant_to(chat: Chat) -> None:
    chat.break_(chat.post(rid=101))
    chat.server(message("m1"))
    assert chat.post(rid=102).payloads == ["m1"]
    assert chat.post(rid=101).body == EMPTY


@pytest.mark.rule("P12")
def test_broken_request_below_a_live_one_does_not_keep_payloads_back(wide: Chat) -> None:
    broken, live = wide.post(rid=101), wide.post(rid=102)
    wide.break_(broken)
    wide.server(message("m1"))
    assert live.payloads == ["m1"]
    assert wide.post(rid=101).body == EMPTY


@pytest.mark.rule("P12")
def test_payloads_wait_while_all_connections_are_broken(wide: Chat) -> None:
    for rid in (101, 102):
        wide.break_(wide.post(rid=rid))
    wide.server(message("m1"))
    third = wide.post(rid=103)
    assert third.payloads == ["m1"]


@pytest.mark.rule("I1", "P12", "HC8")
def test_broken_connection_is_no_inactivity_before_its_time(chat: Chat) -> None:
    answer = chat.post(rid=101)
    chat.wait(20)
    chat.break_(answer)
    chat.wait(29.999)
    assert chat.alive
    chat.wait(0.001)
    assert not chat.alive


def test_lost_exchange_that_was_answered_is_nothing(chat: Chat) -> None:
    answer = chat.post(rid=101)
    chat.server(message("m1"))
    chat.session.exchange_lost(answer, chat.now)
    assert chat.session.next_event() is None
    assert chat.alive


def test_repeat_that_breaks_does_not_break_the_request_it_replaced(chat: Chat) -> None:
    chat.post(rid=101)
    second = chat.post(rid=101)
    third = chat.post(rid=101)
    assert second.type == "error"
    chat.session.exchange_lost(second, chat.now)
    chat.server(message("m1"))
    assert third.payloads == ["m1"]


@pytest.mark.parametrize("rid", [1, 2**53 - 3])
def test_rids_may_be_small_and_large(rid: int) -> None:  # attack S22
    chat = Chat(rid=rid)
    chat.open()
    chat.post(message("m1"))
    assert chat.post(message("m2")).held
    assert chat.stanzas == [message("m1"), message("m2")]


@pytest.mark.rule("R11")
def test_no_rid_follows_the_highest() -> None:
    chat = Chat(rid=2**53 - 2)
    chat.open()
    last = chat.post(rid=2**53 - 1)
    with pytest.raises(BindingError) as refused:
        chat.post(rid=2**53)
    assert refused.value.condition == "bad-request"
    chat.server(message("m1"))
    assert last.payloads == ["m1"]
    chat.wait(30)
    assert not chat.alive, "nobody can ask any more"
