"""XEP-0124 section 8, XEP-0206 section 2: forwarding, holding, answering, and what may share a response."""

from dataclasses import replace

import pytest

from boshgate.bosh.events import CloseStream, Throttle
from boshgate.namespaces import CLIENT, COMPRESS, FRAMING, HTTPBIND, SASL, STREAMS, TLS
from tests.bosh.chat import EMPTY, FEATURES, POLICY, SUCCESS, Chat, message

CHALLENGE = f"<challenge xmlns='{SASL}'/>"


def opened(policy: object = POLICY, **attributes: int) -> Chat:
    """A session after its features."""
    chat = Chat(policy, **attributes)  # type: ignore[arg-type]
    chat.open()
    chat.streams.clear()
    chat.log.clear()
    return chat


@pytest.mark.rule("P1", "P2", "P8")
def test_payloads_are_forwarded_at_once_in_document_order(chat: Chat) -> None:
    answer = chat.post(message("m1"), message("m2"), "<r xmlns='urn:xmpp:sm:3'/>")
    assert chat.stanzas == [message("m1"), message("m2"), "<r xmlns='urn:xmpp:sm:3'/>"]
    assert answer.held


@pytest.mark.rule("P5")
def test_payload_of_the_server_answers_the_held_request(chat: Chat) -> None:
    answer = chat.post()
    chat.server(message("m1"), message("m2"))
    assert answer.body == f"<body xmlns='{HTTPBIND}'>{message('m1')}{message('m2')}</body>"


@pytest.mark.rule("P11")
def test_payloads_wait_for_a_request_and_go_with_the_next_one(chat: Chat) -> None:
    chat.server(message("m1"))
    chat.server(message("m2"))
    assert chat.post().payloads == ["m1", "m2"]
    assert chat.post().held


@pytest.mark.rule("P6", "P10", "P8")
def test_nothing_within_wait_is_an_empty_response(chat: Chat) -> None:
    answer = chat.post()
    chat.wait(59.999)
    assert answer.held
    chat.wait(0.001)
    assert answer.body == EMPTY


@pytest.mark.rule("P7", "P9")
def test_new_request_releases_the_held_one(chat: Chat) -> None:
    first = chat.post()
    second = chat.post()
    assert first.body == EMPTY
    assert second.held


@pytest.mark.rule("P6")
def test_wait_counts_from_the_arrival_of_that_request() -> None:
    chat = opened(replace(POLICY, max_hold=2), hold=2)
    first = chat.post()
    chat.wait(40)
    second = chat.post()
    chat.wait(20)
    assert not first.held
    assert second.held
    chat.wait(39.999)
    assert second.held
    chat.wait(0.001)
    assert second.body == EMPTY


@pytest.mark.rule("P4", "P6")
def test_request_that_came_first_makes_those_below_it_be_answered_in_time() -> None:
    chat = opened(replace(POLICY, max_hold=2), hold=2)
    second = chat.post(rid=102)
    chat.wait(10)
    first = chat.post(rid=101)
    chat.wait(50)
    assert [answer.rid for answer in chat.log] == [101, 102]
    assert first.body == second.body == EMPTY


@pytest.mark.rule("O6")
def test_zero_hold_is_answered_at_once_although_wait_is_not_zero() -> None:
    chat = opened(hold=0)
    assert chat.post(message("m1")).body is not None


# XEP-0206 section 2: what may share a response


@pytest.mark.rule("W6")
def test_features_come_alone(chat: Chat) -> None:
    chat.server(message("m1"), FEATURES, message("m2"))
    assert [chat.post().payloads for _ in range(3)] == [["m1"], ["features"], ["m2"]]


@pytest.mark.rule("W6")
def test_one_element_of_sasl_at_a_time(chat: Chat) -> None:
    chat.server(CHALLENGE, SUCCESS, message("m1"), f"<failure xmlns='{SASL}'/>")
    kinds = [chat.post().payloads for _ in range(4)]
    assert kinds == [["challenge"], ["success"], ["m1"], ["failure"]]


@pytest.mark.rule("B13", "E16")
def test_sasl_failure_does_not_end_the_session(chat: Chat) -> None:
    answer = chat.post(f"<auth xmlns='{SASL}'/>")
    chat.server(f"<failure xmlns='{SASL}'><not-authorized/></failure>")
    assert answer.payloads == ["failure"]
    assert answer.attributes == {}
    assert chat.alive


@pytest.mark.rule("W6")
def test_elements_that_are_no_stanzas_share_a_response_with_stanzas(chat: Chat) -> None:
    chat.server("<a h='1' xmlns='urn:xmpp:sm:3'/>", message("m1"), "<success xmlns='urn:xmpp:sasl:2'/>")
    assert chat.post().payloads == ["a", "m1", "success"]


@pytest.mark.rule("P4", "W6")
def test_queued_portions_answer_several_held_requests_in_order() -> None:
    chat = opened(replace(POLICY, max_hold=2), hold=2)
    first, second = chat.post(), chat.post()
    chat.server(CHALLENGE, message("m1"), message("m2"))
    assert (first.payloads, second.payloads) == (["challenge"], ["m1", "m2"])


# P13, P14: bounds


@pytest.mark.rule("P14")
def test_long_queue_is_divided_between_elements() -> None:
    chat = opened(replace(POLICY, max_response_bytes=2 * len(message("m1"))))
    chat.server(*(message(f"m{number}") for number in range(1, 6)))
    assert [chat.post().payloads for _ in range(3)] == [["m1", "m2"], ["m3", "m4"], ["m5"]]


@pytest.mark.rule("P14")
def test_element_longer_than_a_response_may_be_is_never_divided() -> None:
    chat = opened(replace(POLICY, max_response_bytes=10))
    chat.server(message("m1"), message("m2"))
    assert [chat.post().payloads for _ in range(2)] == [["m1"], ["m2"]]


@pytest.mark.rule("P13")
def test_server_is_not_read_while_too_much_waits() -> None:
    size = len(message("m1"))
    chat = opened(replace(POLICY, max_pending_bytes=4 * size, max_response_bytes=2 * size))
    chat.server(*(message(f"m{number}") for number in range(1, 5)))
    assert chat.streams == []
    chat.server(message("m5"))
    assert chat.streams == [Throttle("STREAM", on=True)]
    chat.server(message("m6"))
    assert chat.streams == [Throttle("STREAM", on=True)]
    chat.post()
    chat.post()
    assert chat.streams == [Throttle("STREAM", on=True)]
    assert chat.post().payloads == ["m5", "m6"]
    assert chat.streams == [Throttle("STREAM", on=True), Throttle("STREAM", on=False)]


@pytest.mark.rule("P13")
def test_one_quarter_is_little_enough_to_read_on() -> None:
    size = len(message("m1"))
    chat = opened(replace(POLICY, max_pending_bytes=4 * size, max_response_bytes=4 * size))
    chat.server(*(message(f"m{number}") for number in range(1, 6)))
    chat.post()
    assert chat.streams == [Throttle("STREAM", on=True), Throttle("STREAM", on=False)]


@pytest.mark.rule("P13")
def test_payloads_for_a_held_request_do_not_count_as_waiting() -> None:
    chat = opened(replace(POLICY, max_pending_bytes=1))
    chat.post()
    chat.server(message("m1"))
    assert chat.streams == []


@pytest.mark.rule("T24")
def test_server_is_read_again_when_its_stream_is_closed() -> None:
    chat = opened(replace(POLICY, max_pending_bytes=1))
    chat.server(message("m1"))
    chat.post(type="terminate")
    # Somebody has to read its last stanzas, and its closing tag.
    expected = [Throttle("STREAM", on=True), Throttle("STREAM", on=False), CloseStream("STREAM", clean=True)]
    assert chat.streams == expected


# What the client may not send to the server


@pytest.mark.rule("B7")
def test_starttls_is_answered_here_and_ends_the_session(chat: Chat) -> None:
    answer = chat.post(message("m1"), f"<starttls xmlns='{TLS}'/>", message("m2"))
    assert chat.stanzas == [message("m1")]
    assert answer.payloads == ["failure"]
    assert answer.end == ("terminate", None)
    assert f"<failure xmlns='{TLS}'/>" in (answer.body or "")
    assert chat.session.discarded == 1


@pytest.mark.rule("B8")
def test_compress_is_refused_here_and_nothing_else_happens(chat: Chat) -> None:
    answer = chat.post(
        message("m1"), f"<compress xmlns='{COMPRESS}'><method>zlib</method></compress>", message("m2")
    )
    assert chat.stanzas == [message("m1"), message("m2")]
    assert f"<failure xmlns='{COMPRESS}'><unsupported-method/></failure>" in (answer.body or "")
    assert chat.alive


@pytest.mark.rule("B8")
def test_compress_alone_sends_nothing(chat: Chat) -> None:
    chat.post(f"<compress xmlns='{COMPRESS}'/>")
    assert chat.stanzas == []


@pytest.mark.rule("B14")
def test_stream_error_of_the_client_terminates(chat: Chat) -> None:
    answer = chat.post(message("m1"), f"<stream:error xmlns:stream='{STREAMS}'/>", message("m2"))
    assert chat.stanzas == [message("m1")]
    assert chat.streams == [CloseStream("STREAM", clean=True)]
    chat.server_closes()
    assert answer.end == ("terminate", None)
    assert chat.session.discarded == 1


@pytest.mark.rule("B14")
@pytest.mark.parametrize(
    "forbidden",
    [f"<stream:features xmlns:stream='{STREAMS}'/>", f"<stream xmlns='{STREAMS}'/>",
     f"<open xmlns='{FRAMING}'/>", f"<close xmlns='{FRAMING}'/>"],
)  # fmt: skip
def test_what_no_client_sends_is_bad_request_and_nothing_of_it_is_forwarded(
    chat: Chat, forbidden: str
) -> None:
    answer = chat.post(message("m1"), forbidden)
    assert answer.end == ("terminate", "bad-request")
    assert chat.stanzas == []
    assert chat.ended is not None
    assert chat.ended.discarded == 2


def test_payload_after_a_stream_error_is_undelivered(chat: Chat) -> None:
    chat.post()
    chat.server(f"<stream:error xmlns:stream='{STREAMS}'/>", message("m1"))
    chat.server(message("m2"))
    chat.wait(60)
    assert chat.ended is not None
    assert chat.ended.undelivered == 2


def test_first_level_names_are_not_looked_for_inside(chat: Chat) -> None:
    stanza = f"<message xmlns='{CLIENT}'><starttls xmlns='{TLS}'/></message>"
    chat.post(stanza)
    assert chat.stanzas == [stanza]
    assert chat.alive
