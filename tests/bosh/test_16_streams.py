"""XEP-0124 section 16: multiple streams are not offered, and nobody is punished for asking."""

import pytest

from tests.bosh.chat import Chat, message


@pytest.mark.rule("M1")
def test_no_stream_is_announced(chat: Chat) -> None:
    assert "stream" not in chat.creation.attributes
    answer = chat.post()
    chat.server(message("m1"))
    assert "stream" not in answer.attributes


@pytest.mark.rule("M2")
def test_asking_for_another_stream_is_an_empty_request(chat: Chat) -> None:
    answer = chat.post(to="example.net", lang="en", version="1.0")
    assert answer.held
    chat.server(message("m1"))
    assert answer.payloads == ["m1"]
    assert chat.streams == []


@pytest.mark.rule("M6")
def test_name_of_a_stream_is_ignored(chat: Chat) -> None:
    chat.post(stream="other")
    chat.post(message("m1"), stream="other")
    assert chat.stanzas == [message("m1")]
    assert chat.alive


@pytest.mark.rule("M7")
def test_terminate_ends_the_session_whatever_stream_it_names(chat: Chat) -> None:
    answer = chat.post(type="terminate", stream="other")
    chat.server_closes()
    assert answer.type == "terminate"
    assert chat.session.state.value == "terminated"
