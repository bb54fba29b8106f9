"""XEP-0124 section 15: key sequences."""

from hashlib import sha1
from typing import Any

import pytest

from boshgate.bosh.keys import Keys, begin_keys
from boshgate.errors import BindingError
from tests.bosh.chat import FEATURES, Chat, message, request

NOT_FOUND = ("terminate", "item-not-found")


def sequence(seed: str, length: int) -> list[str]:
    """K(n), ..., K(1): in the order of their use (15.3)."""
    keys = []
    for _ in range(length):
        seed = sha1(seed.encode()).hexdigest()
        keys.append(seed)
    return keys[::-1]


def begin(newkey: str) -> Chat:
    """A session with a key sequence that has its features."""
    chat = Chat(newkey=newkey)
    chat.open()
    return chat


@pytest.mark.rule("K1", "K3", "C12")
def test_examples_20_21_and_23() -> None:
    keys = begin_keys(request(1, newkey="ca393b51b682f61f98e7877d61146407f3d0a770"))
    assert keys is not None
    keys.check(request(2, key="bfb06a6f113cd6fd3838ab9d300fdb4fe3da2f7d"))
    new = "113f58a37245ec9637266cf2fb6e48bfeaf7964e"
    keys.check(request(3, key="6f825e81f4532b2c5fa2d12457d8a1f22e8f838e", newkey=new))
    with pytest.raises(BindingError) as refused:
        keys.check(request(4, key=new))
    assert refused.value.condition == "item-not-found"


@pytest.mark.rule("K2")
def test_key_is_hashed_as_received_and_compared_without_case() -> None:
    last, upper = "c" * 40, "ABCDEF" + "0" * 34
    keys = Keys(sha1(upper.encode()).hexdigest().upper())
    keys.check(request(2, key=upper))
    with pytest.raises(BindingError):
        keys.check(request(3, key=last))
    lowered = Keys(sha1(upper.lower().encode()).hexdigest())
    with pytest.raises(BindingError):
        lowered.check(request(2, key=upper))


@pytest.mark.parametrize("newkey", ["", "x", "0" * 41, "\N{KELVIN SIGN}" * 40, "a" * 100_000])
def test_what_is_no_hash_is_matched_by_nothing(newkey: str) -> None:
    with pytest.raises(BindingError):
        Keys(newkey).check(request(2, key="x"))


@pytest.mark.rule("K2", "HC14")
@pytest.mark.parametrize("attributes", [{}, {"key": ""}, {"key": "0" * 40}, {"newkey": "0" * 40}])
def test_missing_or_wrong_key_ends_the_session_unprocessed(attributes: dict[str, Any]) -> None:
    chat = begin(sequence("seed", 2)[0])
    chat.session.handle_timer(chat.now)
    answer = chat.post(message("m1"), **attributes)
    assert answer.end == NOT_FOUND
    assert chat.stanzas == []
    assert chat.ended is not None
    assert (chat.ended.condition, chat.ended.discarded) == ("item-not-found", 1)


@pytest.mark.rule("K5")
def test_repeat_of_a_held_request_does_not_advance_the_sequence() -> None:
    keys = sequence("seed", 4)
    chat = begin(keys[0])
    older, newer = (chat.post(rid=101, key=keys[1]) for _ in range(2))
    assert older.type == "error"
    assert newer.held
    assert chat.post(rid=102, key=keys[2]).held


@pytest.mark.rule("K5", "R9")
def test_repeat_with_another_key_is_no_copy() -> None:
    keys = sequence("seed", 3)
    chat = begin(keys[0])
    chat.post(rid=101, key=keys[1])
    assert chat.post(rid=101, key=keys[2]).end == NOT_FOUND


def test_key_on_terminate_with_the_next_sequence() -> None:  # JSJaC
    keys, new = sequence("seed", 2), sequence("other", 2)
    chat = begin(keys[0])
    assert chat.post(key=keys[1], newkey=new[0], type="terminate").held
    chat.server_closes()
    assert chat.stanzas == []


@pytest.mark.rule("K2")
def test_who_does_not_know_the_key_learns_nothing_of_an_ended_session() -> None:
    chat = begin(sequence("seed", 2)[0])
    chat.server(message("secret"))
    chat.server_closes()
    answer = chat.post(key="0" * 40)
    assert answer.end == NOT_FOUND
    assert answer.payloads == []


@pytest.mark.rule("K6")
def test_session_without_newkey_has_no_keys(chat: Chat) -> None:
    chat.post(key="nonsense")
    chat.post(newkey="0" * 40)
    chat.post()
    chat.server(FEATURES)
    assert chat.alive
