"""XEP-0124 section 8: one request too many is held a moment, when the server may reply to what it brought."""

from dataclasses import replace

import pytest

from tests.bosh.chat import EMPTY, POLICY, SUCCESS, Chat, message

PATIENT = replace(POLICY, reply_ms=10)


@pytest.fixture
def patient() -> Chat:
    chat = Chat(PATIENT)
    chat.open()
    return chat


def test_the_reply_goes_with_the_older_request_and_no_empty_response_is_spent(patient: Chat) -> None:
    older = patient.post()
    newer = patient.post(message("question"))
    assert older.held
    patient.server(message("answer"))
    assert older.payloads == ["answer"]
    assert newer.held


def test_without_a_reply_the_older_request_is_released_after_the_moment(patient: Chat) -> None:
    older = patient.post()
    newer = patient.post(message("m1"))
    patient.wait(0.009)
    assert older.held
    patient.wait(0.001)
    assert older.body == EMPTY
    assert newer.held


def test_an_empty_request_releases_the_older_one_at_once(patient: Chat) -> None:
    older = patient.post()
    patient.post()
    assert older.body == EMPTY


def test_two_too_many_are_never_held(patient: Chat) -> None:
    first = patient.post()
    second = patient.post(message("m1"))
    third = patient.post(message("m2"))
    assert first.body == second.body == EMPTY
    assert third.held


def test_what_waits_already_is_not_kept_back(patient: Chat) -> None:
    patient.server(message("m1"))
    assert patient.post(message("m2")).payloads == ["m1"]


def test_the_restart_waits_for_the_features() -> None:
    chat = Chat(PATIENT)
    chat.open()
    chat.server(SUCCESS)
    chat.post()
    older = chat.post()
    newer = chat.post(restart="true")
    assert older.held
    assert newer.held


def test_the_wait_of_the_older_request_is_not_prolonged(patient: Chat) -> None:
    older = patient.post()
    patient.wait(59.995)
    patient.post(message("m1"))
    patient.wait(0.005)
    assert older.body == EMPTY


def test_a_polling_session_is_answered_at_once() -> None:
    chat = Chat(PATIENT, wait=0)
    chat.open()
    chat.wait(10)
    assert chat.post(message("m1")).body is not None
