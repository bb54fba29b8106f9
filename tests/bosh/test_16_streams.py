"""XEP-0124 section 16: several streams in one session."""

from dataclasses import replace
from typing import Any

import pytest

from boshgate.bosh.events import CloseStream, OpenStream, RestartStream, Throttle
from boshgate.namespaces import COMPRESS, TLS, XBOSH
from tests.bosh.chat import EMPTY, FEATURES, POLICY, STREAM_ERROR, SUCCESS, Answer, Chat, message

VERSION = f"{{{XBOSH}}}version"


@pytest.fixture
def alone() -> Chat:
    """A session where multiple streams are not offered."""
    chat = Chat(replace(POLICY, max_streams=1))
    chat.open()
    chat.streams.clear()
    return chat


@pytest.fixture
def two(chat: Chat) -> Chat:
    """A session with two open streams, STREAM and STREAM2; nothing is held."""
    add(chat)
    chat.open_stream("STREAM2")
    chat.streams.clear()
    chat.log.clear()
    return chat


def add(chat: Chat) -> Answer:
    """Ask for another stream."""
    return chat.post(to="example.net", lang="en", version="1.0")


def told(answer: Answer) -> tuple[str | None, str | None, str | None, list[str]]:
    """Which stream a response is about, whether it is the end of it, why, and the payloads."""
    return answer.attributes.get("stream"), *answer.end, answer.payloads


# 16.2: discovery


@pytest.mark.rule("M1", "S15")
def test_creation_response_names_the_first_stream_and_no_later_one_does(chat: Chat) -> None:
    assert chat.creation.attributes["stream"] == "STREAM"
    answer = chat.post()
    chat.server(message("m1"))
    assert told(answer) == (None, None, None, ["m1"])


@pytest.mark.rule("M1", "S15")
def test_where_they_are_not_offered_no_stream_has_a_name(alone: Chat) -> None:
    assert "stream" not in alone.creation.attributes
    answer = alone.post()
    alone.server(message("m1"))
    assert "stream" not in answer.attributes


@pytest.mark.rule("M2")
def test_where_they_are_not_offered_asking_for_one_is_an_empty_request(alone: Chat) -> None:
    answer = add(alone)
    assert answer.held
    alone.server(message("m1"))
    assert answer.payloads == ["m1"]
    assert alone.streams == []


@pytest.mark.rule("M2")
def test_where_they_are_not_offered_the_name_of_one_means_nothing(alone: Chat) -> None:
    alone.post(stream="other")
    alone.post(message("m1"), stream="other")
    assert alone.stanzas == [message("m1")]
    answer = alone.post(type="terminate", stream="other")
    alone.server_closes()
    assert alone.session.state.value == "terminated"
    assert answer.body == EMPTY


# 16.3: adding streams


@pytest.mark.rule("M3", "S13", "B12")
def test_another_stream_is_opened_and_its_response_has_its_name_and_features(chat: Chat) -> None:
    answer = chat.post(to="example.net", lang="de", from_="juliet@example.net", version="1.0")
    assert chat.streams == [OpenStream("STREAM2", "example.net", "juliet@example.net", "de")]
    assert answer.held
    chat.server_opens("A2", "example.net", stream="STREAM2")
    assert answer.held
    chat.server(FEATURES, stream="STREAM2")
    assert dict(answer.attributes) == {
        "stream": "STREAM2",
        "authid": "A2",
        "from": "example.net",
        VERSION: "1.0",
    }
    assert answer.payloads == ["features"]


@pytest.mark.rule("M3")
@pytest.mark.parametrize("attributes", [{"restart": "true"}, {"type": "terminate"}, {"pause": 10}])
def test_request_that_asks_for_something_else_opens_nothing(chat: Chat, attributes: dict[str, Any]) -> None:
    chat.server(SUCCESS)
    chat.post()
    chat.post(to="example.net", **attributes)
    assert not [event for event in chat.streams if isinstance(event, OpenStream)]


@pytest.mark.rule("M3")
def test_request_with_payloads_opens_nothing(chat: Chat) -> None:
    chat.post(message("m1"), to="example.net")
    assert chat.stanzas == [message("m1")]
    assert chat.streams == []


@pytest.mark.rule("M3")
def test_name_comes_in_no_other_response_and_before_all_that_the_stream_brings(wide: Chat) -> None:
    before, asking, after = wide.post(), add(wide), wide.post()
    assert before.body == EMPTY
    wide.open_stream("STREAM2")
    assert told(asking) == ("STREAM2", None, None, ["features"])
    wide.server(message("m1"), stream="STREAM2")
    assert told(after) == ("STREAM2", None, None, ["m1"])


@pytest.mark.rule("M3", "M4")
def test_name_alone_comes_when_another_stream_has_something_to_say(chat: Chat) -> None:
    asking = add(chat)
    chat.server(message("m1"))
    assert dict(asking.attributes) == {"stream": "STREAM2"}
    assert asking.payloads == []
    assert told(chat.post()) == ("STREAM", None, None, ["m1"])


@pytest.mark.rule("M3")
def test_what_the_header_says_comes_later_with_the_name_of_the_stream(chat: Chat) -> None:
    asking = add(chat)
    other = chat.post()
    assert dict(asking.attributes) == {"stream": "STREAM2"}
    chat.server_opens("A2", "example.net", stream="STREAM2")
    assert other.held
    chat.post()
    assert dict(other.attributes) == {
        "stream": "STREAM2",
        "authid": "A2",
        "from": "example.net",
        VERSION: "1.0",
    }


@pytest.mark.rule("M6")
def test_empty_response_without_from_names_no_stream(two: Chat) -> None:
    two.server(SUCCESS, stream="STREAM2")
    two.post()
    two.post(restart="true", stream="STREAM2")
    answer = two.post()
    two.server_opens("A3", stream="STREAM2")
    two.post()
    assert answer.body == EMPTY
    two.server(FEATURES, stream="STREAM2")
    assert two.log[-1].attributes["authid"] == "A3"


@pytest.mark.rule("M3")
def test_lost_name_is_in_the_buffer(chat: Chat) -> None:
    asking = add(chat)
    chat.break_(asking)
    chat.open_stream("STREAM2")
    other = chat.post()
    assert told(other) == ("STREAM2", None, None, ["features"])
    again = chat.post(rid=asking.rid, to="example.net", lang="en", version="1.0")
    assert told(again) == ("STREAM2", None, None, [])


@pytest.mark.rule("M3")
def test_lost_request_for_a_stream_gets_the_features_when_it_comes_again(chat: Chat) -> None:
    asking = add(chat)
    chat.break_(asking)
    again = chat.post(rid=asking.rid, to="example.net", lang="en", version="1.0")
    chat.open_stream("STREAM2")
    assert told(again) == ("STREAM2", None, None, ["features"])
    assert len(chat.streams) == 1


def test_server_without_features_does_not_keep_the_client_waiting(chat: Chat) -> None:
    asking = add(chat)
    chat.server_opens("A2", "example.net", None, stream="STREAM2")
    assert dict(asking.attributes) == {"stream": "STREAM2", "authid": "A2", "from": "example.net"}


@pytest.mark.rule("M3")
def test_request_behind_a_hole_opens_a_stream_in_its_turn(wide: Chat) -> None:
    asking = wide.post(rid=102, to="example.net")
    assert wide.streams == []
    wide.post(rid=101)
    assert wide.streams == [OpenStream("STREAM2", "example.net", None, None)]
    wide.open_stream("STREAM2")
    assert told(asking) == ("STREAM2", None, None, ["features"])


@pytest.mark.rule("O3")
def test_asking_for_a_stream_is_no_poll() -> None:
    polling = Chat(wait=0)
    polling.open()
    polling.post()
    assert told(add(polling)) == ("STREAM2", None, None, [])
    polling.post()
    assert polling.alive


@pytest.mark.rule("M3", "M8")
def test_one_stream_too_many_is_refused_and_the_others_go_on() -> None:
    chat = Chat(replace(POLICY, max_streams=2))
    chat.open()
    add(chat)
    chat.open_stream("STREAM2")
    refused = add(chat)
    assert told(refused) == ("STREAM3", "terminate", "policy-violation", [])
    assert [event.stream for event in chat.streams if isinstance(event, OpenStream)] == ["STREAM", "STREAM2"]
    chat.post(message("m1"), stream="STREAM2")
    assert chat.elsewhere == {"STREAM2": [message("m1")]}
    chat.post(message("m2"), stream="STREAM3")  # 16.4: it has only just been closed
    assert chat.alive


def test_lost_refusal_is_in_the_buffer() -> None:
    chat = Chat(replace(POLICY, max_streams=2))
    chat.open()
    add(chat)
    rid = chat.rid
    early = chat.post(rid=rid + 2, to="example.net", lang="en", version="1.0")
    chat.break_(early)
    chat.post(rid=rid + 1)
    again = chat.post(rid=early.rid, to="example.net", lang="en", version="1.0")
    assert told(again) == ("STREAM3", "terminate", "policy-violation", [])


def test_closed_stream_makes_room_once_the_client_knows() -> None:
    chat = Chat(replace(POLICY, max_streams=2))
    chat.open()
    add(chat)
    chat.post()
    chat.server_closes("remote-connection-failed", stream="STREAM2")
    add(chat)
    chat.open_stream("STREAM3")
    assert told(chat.log[-1]) == ("STREAM3", None, None, ["features"])


def test_stream_whose_end_was_not_told_takes_up_room() -> None:
    chat = Chat(replace(POLICY, max_streams=2), wait=0)
    chat.open()
    chat.post()
    add(chat)
    chat.server_closes("remote-connection-failed", stream="STREAM2")
    assert told(add(chat)) == ("STREAM3", "terminate", "policy-violation", [])
    assert told(chat.post()) == ("STREAM2", "terminate", "remote-connection-failed", [])
    assert told(add(chat)) == ("STREAM4", None, None, [])


# 16.4: transmitting payloads


@pytest.mark.rule("M4")
def test_payloads_go_to_the_stream_that_is_named(two: Chat) -> None:
    two.post(message("m1"), stream="STREAM2")
    two.post(message("m2"), stream="STREAM")
    assert (two.stanzas, two.elsewhere) == ([message("m2")], {"STREAM2": [message("m1")]})


@pytest.mark.rule("M4")
def test_payloads_without_a_stream_are_broadcast(two: Chat) -> None:
    two.post(message("m1"))
    assert (two.stanzas, two.elsewhere) == ([message("m1")], {"STREAM2": [message("m1")]})


@pytest.mark.rule("M4")
def test_every_response_with_payloads_names_their_stream(two: Chat) -> None:
    answer = two.post()
    two.server(message("m1"), message("m2"))
    assert told(answer) == ("STREAM", None, None, ["m1", "m2"])


@pytest.mark.rule("M4")
def test_one_response_never_mixes_streams_which_take_turns(two: Chat) -> None:
    two.server(message("a1"))
    two.server(message("b1"), message("b2"), stream="STREAM2")
    two.server(message("a2"))
    two.server(SUCCESS, message("a3"))
    first, second = two.post(), two.post()
    assert told(first) == ("STREAM", None, None, ["a1", "a2"])
    assert told(second) == ("STREAM2", None, None, ["b1", "b2"])
    assert told(two.post()) == ("STREAM", None, None, ["success"])
    assert told(two.post()) == ("STREAM", None, None, ["a3"])


@pytest.mark.rule("M4")
def test_stream_is_named_even_when_it_is_the_only_one_left(two: Chat) -> None:
    two.post()
    two.server_closes(stream="STREAM2")
    answer = two.post()
    two.server(message("m1"))
    assert told(answer) == ("STREAM", None, None, ["m1"])


@pytest.mark.rule("M5", "E5")
@pytest.mark.parametrize("attributes", [{}, {"restart": "true"}, {"type": "terminate"}])
def test_unknown_stream_ends_the_session(two: Chat, attributes: dict[str, Any]) -> None:
    held = two.post()
    answer = two.post(message("m1"), stream="other", **attributes)
    assert held.end == ("terminate", "other-request")
    assert answer.end == ("terminate", "item-not-found")
    assert "stream" not in answer.attributes
    assert (two.stanzas, two.elsewhere) == ([], {})
    assert two.ended is not None


@pytest.mark.rule("M5")
def test_unknown_stream_ends_a_session_that_has_one(chat: Chat) -> None:
    assert chat.post(message("m1"), stream="other").end == ("terminate", "item-not-found")


@pytest.mark.rule("M5")
def test_payloads_for_a_stream_that_has_just_been_closed_are_ignored(two: Chat) -> None:
    two.post()
    two.server_closes(stream="STREAM2")  # told at once
    two.post(message("m1"), stream="STREAM2")
    two.post(message("m2"), stream="STREAM2", restart="true")
    two.post(message("m3"), stream="STREAM2", type="terminate")
    assert (two.stanzas, two.elsewhere) == ([], {})
    assert two.alive
    assert two.session.discarded == 3


@pytest.mark.rule("M5")
def test_payloads_for_a_stream_that_is_being_closed_are_ignored(two: Chat) -> None:
    two.post(stream="STREAM2", type="terminate")
    two.post(message("m1"), stream="STREAM2")
    two.post(message("m2"))
    assert (two.stanzas, two.elsewhere) == ([message("m2")], {})
    assert two.session.discarded == 1


@pytest.mark.rule("M6")
def test_stream_of_an_empty_request_is_ignored(two: Chat) -> None:
    answer = two.post(stream="other")
    assert answer.held
    two.server(message("m1"), stream="STREAM2")
    assert told(answer) == ("STREAM2", None, None, ["m1"])


@pytest.mark.rule("M9")
def test_rids_are_those_of_the_session(two: Chat) -> None:
    two.post(message("m2"), rid=103, stream="STREAM2")
    assert two.elsewhere == {}
    two.post(message("m1"), rid=102)
    assert two.elsewhere == {"STREAM2": [message("m1"), message("m2")]}


@pytest.mark.rule("P13")
def test_server_of_one_stream_is_not_read_while_the_other_is() -> None:
    chat = Chat(replace(POLICY, max_pending_bytes=100))
    chat.open()
    add(chat)
    chat.open_stream("STREAM2")
    chat.streams.clear()
    chat.server(message("a1"))
    chat.server(*[message(f"b{number}") for number in range(3)], stream="STREAM2")
    assert chat.streams == [Throttle("STREAM2", on=True)]
    chat.post()
    assert chat.streams == [Throttle("STREAM2", on=True)]
    chat.post()
    chat.post()
    assert chat.streams == [Throttle("STREAM2", on=True), Throttle("STREAM2", on=False)]


def test_refusal_goes_to_the_stream_that_asked(two: Chat) -> None:
    answer = two.post(f"<compress xmlns='{COMPRESS}'/>", stream="STREAM2")
    assert told(answer) == ("STREAM2", None, None, ["failure"])


# XEP-0206 section 5: restart


@pytest.mark.rule("B3", "B5")
def test_restart_is_for_the_stream_that_is_named(two: Chat) -> None:
    two.server(SUCCESS)
    two.server(SUCCESS, stream="STREAM2")
    two.post(restart="true", stream="STREAM2", lang="de")
    assert two.streams == [RestartStream("STREAM2", None, "de")]


@pytest.mark.rule("B5")
def test_restart_of_a_stream_without_success_ends_the_session(two: Chat) -> None:
    two.server(SUCCESS)
    two.post()
    assert two.post(restart="true", stream="STREAM2").end == ("terminate", "bad-request")


def test_restart_without_a_stream_is_for_all_that_wait_for_it(two: Chat) -> None:
    two.server(SUCCESS, stream="STREAM2")
    two.post(restart="true")
    assert two.streams == [RestartStream("STREAM2", None, "en")]


# 16.5: closing a stream


@pytest.mark.rule("M7", "SM6")
def test_client_closes_one_stream_and_the_session_goes_on(two: Chat) -> None:
    answer = two.post(message("bye"), stream="STREAM2", type="terminate")
    assert two.elsewhere == {"STREAM2": [message("bye")]}
    assert two.streams == [CloseStream("STREAM2", clean=True)]
    two.server(message("last"), stream="STREAM2")
    assert told(answer) == ("STREAM2", None, None, ["last"])
    answer = two.post()
    two.server_closes(stream="STREAM2")
    assert told(answer) == ("STREAM2", "terminate", None, [])
    two.post(message("m1"))
    assert two.stanzas == [message("m1")]
    assert two.elsewhere == {"STREAM2": [message("bye")]}


@pytest.mark.rule("M7")
def test_last_words_come_with_the_end(two: Chat) -> None:
    two.post()
    two.post(stream="STREAM2", type="terminate")
    two.server(message("m1"))
    two.server(message("last"), stream="STREAM2")
    two.server_closes("remote-connection-failed", stream="STREAM2")
    assert told(two.post()) == ("STREAM2", "terminate", None, ["last"])


@pytest.mark.rule("M7")
def test_closing_the_last_stream_ends_the_session(two: Chat) -> None:
    answer = two.post(stream="STREAM2", type="terminate")
    two.post(message("bye"), stream="STREAM", type="terminate")
    assert two.stanzas == [message("bye")]
    assert answer.held
    two.server_closes()
    assert answer.held
    two.server_closes(stream="STREAM2")
    assert told(answer) == (None, "terminate", None, [])
    two.wait(60)
    assert two.ended is not None


@pytest.mark.rule("M7")
def test_terminate_without_a_stream_sends_its_payloads_to_all_and_closes_all(two: Chat) -> None:
    held = two.post()
    answer = two.post(message("bye"), type="terminate")
    assert (two.stanzas, two.elsewhere) == ([message("bye")], {"STREAM2": [message("bye")]})
    assert two.streams == [CloseStream("STREAM", clean=True), CloseStream("STREAM2", clean=True)]
    two.wait(1)
    assert (told(held), told(answer)) == ((None, "terminate", None, []), (None, None, None, []))


@pytest.mark.rule("M4", "M7")
def test_what_still_comes_goes_to_the_older_requests_for_the_end_names_no_stream(two: Chat) -> None:
    held = two.post()
    answer = two.post(type="terminate")
    two.server(message("m1"), stream="STREAM2")
    two.server(message("m2"))
    two.server_closes()
    two.server_closes(stream="STREAM2")
    assert told(held) == ("STREAM2", None, None, ["m1"])
    assert told(answer) == (None, "terminate", None, [])
    two.wait(60)
    assert two.ended is not None
    assert two.ended.undelivered == 1


@pytest.mark.rule("M7")
def test_clients_own_stream_error_ends_its_stream(two: Chat) -> None:
    two.post(STREAM_ERROR, stream="STREAM2")
    assert two.streams == [CloseStream("STREAM2", clean=True)]
    two.post(STREAM_ERROR)
    assert two.streams[1:] == [CloseStream("STREAM", clean=True)]
    assert two.session.state.value == "closing"


def test_starttls_ends_its_stream(two: Chat) -> None:
    answer = two.post(f"<starttls xmlns='{TLS}'/>", stream="STREAM2")
    assert told(answer) == ("STREAM2", "terminate", None, ["failure"])
    two.post(f"<starttls xmlns='{TLS}'/>", stream="STREAM")
    assert not two.alive


def test_stream_that_goes_on_and_on_after_the_client_closed_it_is_reported_closed() -> None:
    chat = Chat(replace(POLICY, max_pending_bytes=100))
    chat.open()
    add(chat)
    chat.open_stream("STREAM2")
    chat.post(stream="STREAM2", type="terminate")
    chat.post()
    chat.server(message("a1"))
    chat.server(*[message(f"b{number}") for number in range(3)], stream="STREAM2")
    chat.server(message("late"), stream="STREAM2")
    answers = [chat.post() for _ in range(2)]
    assert told(answers[0]) == ("STREAM2", "terminate", None, ["b0", "b1", "b2"])
    assert chat.session.undelivered == 1
    chat.server_closes(stream="STREAM2")
    assert chat.alive


# 16.6: error conditions


@pytest.mark.rule("M8", "E8")
def test_lost_stream_is_reported_and_the_session_goes_on(two: Chat) -> None:
    two.server(message("m1"), stream="STREAM2")
    two.server_closes("remote-connection-failed", stream="STREAM2")
    assert told(two.post()) == ("STREAM2", "terminate", "remote-connection-failed", ["m1"])
    answer = two.post(message("m2"))
    two.server(message("m3"))
    assert told(answer) == ("STREAM", None, None, ["m3"])
    assert two.stanzas == [message("m2")]


@pytest.mark.rule("M8")
def test_first_stream_may_go_before_the_second(two: Chat) -> None:
    answer = two.post()
    two.server_closes()
    assert told(answer) == ("STREAM", "terminate", None, [])
    two.post(message("m1"))
    assert two.elsewhere == {"STREAM2": [message("m1")]}


@pytest.mark.rule("M8")
@pytest.mark.parametrize("condition", ["host-unknown", "improper-addressing", "remote-connection-failed"])
def test_stream_that_cannot_be_had_is_reported_in_the_response_that_names_it(
    chat: Chat, condition: str
) -> None:
    asking = add(chat)
    chat.server_closes(condition, stream="STREAM2")
    assert told(asking) == ("STREAM2", "terminate", condition, [])
    assert chat.alive


@pytest.mark.rule("M8", "E13")
def test_end_of_one_stream_is_no_http_error() -> None:
    legacy = Chat(ver="")
    legacy.open()
    asking = add(legacy)
    legacy.server_closes("policy-violation", stream="STREAM2")
    assert (asking.status, told(asking)) == (200, ("STREAM2", "terminate", "policy-violation", []))


@pytest.mark.rule("M8", "E9")
def test_stream_error_ends_its_stream(two: Chat) -> None:
    answer = two.post()
    two.server(message("m1"), STREAM_ERROR, message("m2"), stream="STREAM2")
    assert told(answer) == ("STREAM2", "terminate", "remote-stream-error", ["m1", "error"])
    assert two.streams == [CloseStream("STREAM2", clean=True)]
    assert two.session.undelivered == 1
    two.server_closes(stream="STREAM2")
    two.server_closes(stream="STREAM2")  # it was forgotten
    assert two.alive


def test_stream_error_after_the_client_closed_the_stream_is_its_end(two: Chat) -> None:
    answer = two.post(stream="STREAM2", type="terminate")
    two.server(STREAM_ERROR, stream="STREAM2")
    assert told(answer) == ("STREAM2", "terminate", None, [])
    assert two.session.undelivered == 1


def test_end_of_a_stream_is_told_to_who_listens_and_not_to_the_lost_request_that_opened_it(
    chat: Chat,
) -> None:
    lost = add(chat)
    chat.break_(lost)
    chat.server_closes("remote-connection-failed", stream="STREAM2")
    answer = chat.post(message("m1"))
    assert told(answer) == ("STREAM2", "terminate", "remote-connection-failed", [])
    assert told(chat.post(rid=lost.rid, to="example.net", lang="en", version="1.0")) == (
        "STREAM2",
        None,
        None,
        [],
    )


def test_starttls_in_a_pause_ends_its_stream_and_the_session_pauses(two: Chat) -> None:
    pause = two.post(f"<starttls xmlns='{TLS}'/>", stream="STREAM2", pause=60)
    assert pause.body == EMPTY, "10: a pause is answered without payloads"
    two.wait(59)
    assert told(two.post()) == ("STREAM2", "terminate", None, ["failure"])


@pytest.mark.rule("M4", "M8")
def test_stream_error_of_the_last_stream_goes_with_its_name_and_then_the_session_ends(two: Chat) -> None:
    two.post()
    two.server_closes(stream="STREAM2")
    two.server(STREAM_ERROR)
    assert told(two.post()) == ("STREAM", "terminate", "remote-stream-error", ["error"])
    assert told(two.post()) == (None, "terminate", None, [])


@pytest.mark.rule("M8")
def test_loss_of_the_last_stream_ends_the_session_after_what_waited(two: Chat) -> None:
    two.server(message("m1"))
    two.server(message("m2"), stream="STREAM2")
    two.server_closes(stream="STREAM2")
    two.server_closes("remote-connection-failed")
    assert told(two.post()) == ("STREAM", None, None, ["m1"])
    assert told(two.post()) == ("STREAM2", "terminate", None, ["m2"])
    assert told(two.post()) == (None, "terminate", "remote-connection-failed", [])


@pytest.mark.rule("M8", "SM5", "SM7")
def test_condition_without_a_stream_ends_all(two: Chat) -> None:
    answer = two.post()
    two.terminate("system-shutdown")
    assert told(answer) == (None, "terminate", "system-shutdown", [])
    assert two.streams == [CloseStream("STREAM", clean=False), CloseStream("STREAM2", clean=False)]


@pytest.mark.rule("SM5")
def test_inactivity_drops_all(two: Chat) -> None:
    two.wait(31)
    assert two.streams == [CloseStream("STREAM", clean=False), CloseStream("STREAM2", clean=False)]
    assert two.ended is not None
