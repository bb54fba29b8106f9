"""XEP-0124 section 17.1: HTTP codes for clients that do not say which version of BOSH they speak."""

import pytest

from boshgate.bosh.conditions import Condition, legacy_status
from tests.bosh.chat import POLICY, STREAM_ERROR, Chat, message


def begin(**attributes: str | int) -> Chat:
    """A session created without ``ver`` that has its features."""
    chat = Chat(POLICY, ver="", **attributes)
    chat.open()
    return chat


@pytest.mark.rule("E13")
def test_three_conditions_have_a_code() -> None:
    codes = {condition.value: legacy_status(condition) for condition in Condition}
    assert {condition: code for condition, code in codes.items() if code != 200} == {
        "bad-request": 400,
        "policy-violation": 403,
        "item-not-found": 404,
    }


@pytest.mark.rule("E13", "HC14", "HC25f")
@pytest.mark.parametrize(
    ("attributes", "condition", "status"),
    [
        ({"rid": 5000}, "item-not-found", 404),
        ({"rid": 98}, "item-not-found", 404),
        ({"pause": "0"}, "bad-request", 400),
        ({"restart": "true"}, "bad-request", 400),
    ],
)
def test_culprit_gets_the_code_and_others_do_not(
    attributes: dict[str, str | int], condition: str, status: int
) -> None:
    for ver, code in (("", status), ("1.6", 200)):
        chat = Chat(POLICY, ver=ver)
        chat.open()
        held = chat.post(rid=101)
        rid = int(attributes.get("rid", 102))
        others = {name: value for name, value in attributes.items() if name != "rid"}
        culprit = chat.post(message("m1"), rid=rid, **others)
        assert (culprit.end, culprit.status) == (("terminate", condition), code)
        assert (held.end, held.status) == (("terminate", "other-request"), 200)
        assert chat.stanzas == []


@pytest.mark.rule("O7")
def test_polling_too_often_is_forbidden() -> None:
    chat = begin(wait=0)
    chat.post()
    chat.wait(10)
    chat.post()
    assert (answer := chat.post()).end == ("terminate", "policy-violation")
    assert answer.status == 403


@pytest.mark.rule("E13", "R5")
def test_end_of_the_stream_is_told_with_its_code_again_and_again() -> None:
    chat = begin()
    held = chat.post(message("m1"), rid=101)
    chat.server_closes("policy-violation")
    assert (held.end, held.status) == (("terminate", "policy-violation"), 403)
    assert chat.post(message("m1"), rid=101).status == 403
    assert chat.post(rid=102).status == 404


@pytest.mark.rule("E13")
def test_everything_else_is_ok() -> None:
    chat = begin()
    assert chat.creation.status == 200
    assert chat.post(rid=101).held
    assert chat.post(rid=102, pause=60).status == 200
    assert chat.post(rid=102, pause=60).status == 200
    older, newer = chat.post(rid=103), chat.post(rid=103)
    assert (older.type, older.status) == ("error", 200)
    chat.server(message("m1"), STREAM_ERROR)
    assert (newer.end, newer.status) == (("terminate", "remote-stream-error"), 200)


@pytest.mark.rule("E13")
def test_terminating_is_ok() -> None:
    chat = begin()
    last = chat.post(type="terminate")
    chat.server_closes()
    assert (last.end, last.status) == (("terminate", None), 200)
