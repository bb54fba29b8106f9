"""XEP-0124 section 7, XEP-0206 sections 3 to 5: what is asked for, what is granted, and when it is said."""

from dataclasses import replace

import pytest

from boshgate.bosh.body import Body
from boshgate.bosh.events import CloseStream, OpenStream, RestartStream
from boshgate.bosh.policy import SessionPolicy
from boshgate.bosh.session import Session
from boshgate.errors import BindingError
from boshgate.namespaces import XBOSH
from tests.bosh.chat import EMPTY, FEATURES, POLICY, SUCCESS, Chat, message, request

ONLY_IN_CREATION_RESPONSE = {
    "sid", "wait", "requests", "ver", "polling", "inactivity", "hold", "accept", "charsets", "maxpause",
    f"{{{XBOSH}}}restartlogic",
}  # fmt: skip


def refusal(*payloads: str, **attributes: str | int) -> str:
    """The condition with which a creation request is refused."""
    with pytest.raises(BindingError) as refused:
        Session("SID", lambda: "STREAM", "exchange", request(1, *payloads, **attributes), POLICY, 0)
    return refused.value.condition


def granted(policy: SessionPolicy = POLICY, **attributes: str | int) -> dict[str, str]:
    """The attributes of the creation response."""
    chat = Chat(policy, **attributes)
    chat.open()
    return dict(chat.creation.attributes)


@pytest.mark.rule("S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S11", "S12", "W7", "B12")
def test_creation_response_waits_for_the_features_and_has_every_attribute() -> None:
    chat = Chat(lang="en")
    assert chat.streams == [OpenStream("STREAM", "example.com", None, "en")]
    assert chat.creation.held
    chat.server_opens(authid="A1", from_="example.com", version="1.0")
    assert chat.creation.held
    chat.server(FEATURES)
    assert dict(chat.creation.attributes) == {
        "sid": "SID",
        "wait": "60",
        "requests": "2",
        "ver": "1.11",
        "polling": "5",
        "inactivity": "30",
        "hold": "1",
        "maxpause": "120",
        "stream": "STREAM",
        "from": "example.com",
        "authid": "A1",
        f"{{{XBOSH}}}version": "1.0",
        f"{{{XBOSH}}}restartlogic": "true",
    }
    assert chat.creation.payloads == ["features"]
    assert chat.creation.body is not None
    assert "xmlns:stream='http://etherx.jabber.org/streams'" in chat.creation.body.partition(">")[0]  # W7


@pytest.mark.rule("S13")
def test_creation_attributes_appear_in_no_other_response(chat: Chat) -> None:
    answer = chat.post()
    chat.server(message("m1"))
    assert answer.attributes == {}
    assert not ONLY_IN_CREATION_RESPONSE & set(answer.attributes)


@pytest.mark.rule("S14")
def test_creation_response_does_not_wait_longer_than_granted() -> None:
    chat = Chat(wait=10)
    chat.wait(9.999)
    assert chat.creation.held
    chat.wait(0.001)
    assert chat.creation.attributes["sid"] == "SID"
    assert chat.creation.payloads == []


@pytest.mark.rule("S8", "S10", "B12")
def test_features_that_come_later_go_with_a_later_response() -> None:
    chat = Chat(wait=10)
    chat.wait(10)
    answer = chat.post()
    assert answer.held
    chat.server_opens(authid="A1", from_="example.com", version="1.0")
    assert answer.held
    chat.server(FEATURES)
    assert dict(answer.attributes) == {"authid": "A1", "from": "example.com", f"{{{XBOSH}}}version": "1.0"}
    assert answer.payloads == ["features"]
    later = chat.post()
    chat.server(message("m1"))
    assert later.attributes == {}


@pytest.mark.rule("T16")
def test_header_of_the_server_may_lack_attributes() -> None:
    chat = Chat()
    chat.server_opens(authid=None, from_=None)
    chat.server(FEATURES)
    assert "authid" not in chat.creation.attributes
    assert "from" not in chat.creation.attributes
    assert chat.creation.attributes[f"{{{XBOSH}}}version"] == "1.0"


@pytest.mark.rule("T17")
def test_server_before_xmpp_1_0_sends_no_features_so_the_response_comes_with_its_header() -> None:
    chat = Chat()
    chat.server_opens(version=None)
    assert chat.creation.attributes["authid"] == "A1"
    assert f"{{{XBOSH}}}version" not in chat.creation.attributes


def test_header_without_version_answers_nothing_but_the_creation() -> None:
    chat = Chat(wait=1)
    chat.wait(1)
    answer = chat.post()
    chat.server_opens(version=None, authid=None, from_=None)
    assert answer.held
    chat.server(message("m1"))
    assert answer.attributes == {}


@pytest.mark.rule("C7", "S6", "S14", "O6")
@pytest.mark.parametrize("polling", [{"wait": 0}, {"hold": 0}, {"wait": 0, "hold": 0}])
def test_polling_session_is_answered_at_once(polling: dict[str, int]) -> None:
    chat = Chat(**polling)  # type: ignore[arg-type]
    assert chat.creation.attributes["sid"] == "SID"
    assert int(chat.creation.attributes["inactivity"]) > 30 + int(chat.creation.attributes["polling"])
    assert chat.post().payloads == []
    chat.open()
    chat.wait(5)
    assert chat.post().payloads == ["features"]
    chat.server(message("m1"), message("m2"))
    assert chat.post().payloads == ["m1", "m2"]
    assert chat.alive


@pytest.mark.rule("S14")
def test_backend_lost_before_the_response_is_remote_connection_failed() -> None:
    chat = Chat()
    chat.server_closes("remote-connection-failed")
    assert chat.creation.end == ("terminate", "remote-connection-failed")
    assert "sid" not in chat.creation.attributes
    # Nobody knows the sid: there is nothing to linger for.
    assert chat.ended is not None
    assert chat.ended.condition == "remote-connection-failed"


@pytest.mark.rule("S14")
def test_server_that_only_says_goodbye_is_remote_connection_failed() -> None:
    chat = Chat()
    chat.server_opens()
    chat.server_closes(None)
    assert chat.creation.end == ("terminate", "remote-connection-failed")


@pytest.mark.rule("C15")
def test_lost_creation_request_ends_the_session() -> None:
    chat = Chat()
    chat.break_(chat.creation)
    assert chat.streams[-1] == CloseStream("STREAM", clean=False)
    assert chat.ended is not None
    assert chat.session.get_timer() is None


def test_nobody_knows_the_sid_before_the_creation_response() -> None:
    chat = Chat()
    stranger = chat.post(message("m1"))
    assert stranger.end == ("terminate", "item-not-found")
    assert chat.stanzas == []
    assert chat.creation.held
    chat.open()
    assert chat.creation.payloads == ["features"]


@pytest.mark.rule("C5", "S2")
@pytest.mark.parametrize(
    ("asked", "wait"), [(0, "0"), (1, "1"), (59, "59"), (60, "60"), (300, "60"), (65535, "60")]
)
def test_wait_is_the_lower_of_both(asked: int, wait: str) -> None:  # attack S21
    assert granted(wait=asked)["wait"] == wait


@pytest.mark.rule("C6", "S3", "S7")
@pytest.mark.parametrize(("asked", "hold"), [(0, "0"), (1, "1"), (2, "2"), (3, "2"), (255, "2")])
def test_hold_is_the_lower_of_both_and_requests_one_more(asked: int, hold: str) -> None:
    attributes = granted(replace(POLICY, max_hold=2), hold=asked)
    assert attributes["hold"] == hold
    assert attributes["requests"] == str(int(hold) + 1)


def test_stanza_asks_for_hold_2_and_gets_1() -> None:
    attributes = granted(hold=2)
    assert (attributes["hold"], attributes["requests"]) == ("1", "2")


@pytest.mark.rule("C5", "C6")
def test_absent_wait_and_hold_have_defaults() -> None:
    session = Session("SID", lambda: "STREAM", "exchange", request(1, to="example.com"), POLICY, 0)
    assert (session.grant.wait, session.grant.hold) == (60, 1)


@pytest.mark.rule("C4", "S4")
@pytest.mark.parametrize(
    ("asked", "ver"),
    [("1.6", "1.6"), ("1.8", "1.8"), ("1.10", "1.10"), ("1.11", "1.11"), ("1.12", "1.11"), ("2.0", "1.11"),
     ("1.011", "1.11"), ("0.99", "0.99")],
)  # fmt: skip
def test_ver_is_the_lower_of_both_compared_as_two_numbers(asked: str, ver: str) -> None:
    assert granted(ver=asked)["ver"] == ver


@pytest.mark.rule("C4", "E13")
def test_legacy_client_without_ver_is_known_as_such() -> None:
    session = Session("SID", lambda: "STREAM", "exchange", request(1, to="example.com"), POLICY, 0)
    assert session.grant.ver is None


@pytest.mark.rule("C5", "C6")
@pytest.mark.parametrize("name", ["wait", "hold"])
@pytest.mark.parametrize("value", ["", "-1", "+1", "1.5", "1e1", " 1", "1_0", "٣", "x", "65536", "9" * 17])
def test_malformed_numbers_are_bad_request(name: str, value: str) -> None:  # attack S21
    assert refusal(**{"to": "example.com", name: value}) == "bad-request"


@pytest.mark.rule("C4")
@pytest.mark.parametrize("ver", ["", "1", "1.", ".6", "1.6.1", "1,6", "v1.6", "١.٦", "1.666666"])
def test_malformed_ver_is_bad_request(ver: str) -> None:
    assert refusal(to="example.com", ver=ver) == "bad-request"


@pytest.mark.rule("C2", "E3")
def test_missing_or_empty_to_is_improper_addressing() -> None:
    assert refusal() == "improper-addressing"
    assert refusal(to="") == "improper-addressing"


@pytest.mark.rule("C1")
def test_payloads_or_terminate_without_a_sid_are_bad_request() -> None:
    assert refusal(message("m1"), to="example.com") == "bad-request"
    assert refusal(to="example.com", type="terminate") == "bad-request"


@pytest.mark.rule("C11", "H4")
@pytest.mark.parametrize(
    "content",
    ["text/html", "text/xml; charset=utf-8", "text/xml;charset=utf-8", 'text/plain; a="b c"; d=e',
     "application/x-www-form-urlencoded", "application/soap+xml"],
)  # fmt: skip
def test_content_is_the_content_type_of_all_responses(content: str) -> None:
    chat = Chat(content=content.replace('"', "&quot;"))
    assert chat.session.content == content


@pytest.mark.rule("C11")
def test_content_has_a_default() -> None:
    assert Chat().session.content == "text/xml; charset=utf-8"


@pytest.mark.rule("H16")
@pytest.mark.parametrize(
    "content",
    ["", "text", "text/", "/xml", "text/html&#13;&#10;Set-Cookie: a=b", "text/html&#10;", "te xt/html",
     "text/html;", "text/ht&#252;l", "text/html; a=&quot;&#9;&quot;", "text/" + "x" * 130],
)  # fmt: skip
def test_content_that_is_no_media_type_is_bad_request(content: str) -> None:
    assert refusal(to="example.com", content=content) == "bad-request"


@pytest.mark.rule("C9")
@pytest.mark.parametrize(
    ("from_", "forwarded"),
    [("alice@example.com", "alice@example.com"), ("alice@example.com/web", "alice@example.com"),
     ("alice@example.com/a/b@c", "alice@example.com"), ("example.com", None), ("", None),
     ("alice@", None), ("@example.com", None), ("a b@example.com", None), ("a&lt;b@example.com", None),
     ("a@b@c", None), ("a@b&quot;c", None)],
)  # fmt: skip
def test_from_goes_to_the_server_as_a_bare_jid_or_not_at_all(from_: str, forwarded: str | None) -> None:
    chat = Chat(from_=from_)
    assert chat.streams == [OpenStream("STREAM", "example.com", forwarded, None)]


@pytest.mark.rule("C3")
@pytest.mark.parametrize(
    ("lang", "forwarded"),
    [("en", "en"), ("de-CH-1901", "de-CH-1901"), ("", None), ("e n", None), ("'", None)],
)
def test_lang_is_forwarded_if_it_is_one(lang: str, forwarded: str | None) -> None:
    chat = Chat(lang=lang.replace("'", "&apos;"))
    assert chat.streams == [OpenStream("STREAM", "example.com", None, forwarded)]


@pytest.mark.rule("C8", "C13", "C14")
def test_attributes_of_no_meaning_here_are_ignored() -> None:  # quirks 3 to 6
    chat = Chat(route="xmpp:169.254.169.254:80", secure="true", ack="0", version="9.9", newkey="x", foo="bar")
    chat.open()
    assert chat.creation.payloads == ["features"]
    assert chat.streams == [OpenStream("STREAM", "example.com", None, None)]


@pytest.mark.rule("H8")
def test_codings_of_requests_are_announced() -> None:
    assert "accept" not in granted(POLICY)
    assert granted(replace(POLICY, accept="gzip,deflate"))["accept"] == "gzip,deflate"


@pytest.mark.rule("S5", "S9")
def test_no_polling_and_no_maxpause_are_not_announced() -> None:
    attributes = granted(replace(POLICY, polling=0, max_pause=0))
    assert "polling" not in attributes
    assert "maxpause" not in attributes


@pytest.mark.rule("W14", "M2")
def test_creation_attributes_on_later_requests_are_ignored(chat: Chat) -> None:
    answer = chat.post(lang="de", ver="2.0", wait=1, hold=0, content="text/html")
    chat.post(message("m1"), to="other.example", lang="de", ver="2.0", wait=1, hold=0, content="text/html")
    assert answer.body == EMPTY
    assert chat.stanzas == [message("m1")]
    assert chat.streams == []
    assert chat.session.content == "text/xml; charset=utf-8"


# XEP-0206 section 5: restart


@pytest.mark.rule("B2", "B3", "B12")
@pytest.mark.parametrize("restart", ["true", "1"])
def test_restart_after_sasl_success_opens_a_new_stream(chat: Chat, restart: str) -> None:
    answer = chat.post("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
    chat.server(SUCCESS)
    assert answer.payloads == ["success"]
    answer = chat.post(restart=restart, to="elsewhere.example", lang="de")
    assert chat.streams == [RestartStream("STREAM", None, "de")]
    assert answer.held
    chat.server_opens(authid="A2")
    chat.server(FEATURES)
    assert answer.payloads == ["features"]
    assert dict(answer.attributes) == {"authid": "A2"}


@pytest.mark.rule("B3")
def test_restart_without_from_and_lang_takes_those_of_the_session() -> None:
    chat = Chat(lang="en", from_="alice@example.com")
    chat.open()
    chat.server(SUCCESS)
    chat.post(restart="true")
    assert chat.streams[-1] == RestartStream("STREAM", "alice@example.com", "en")


@pytest.mark.rule("B3")
def test_restart_may_say_who_it_is_from(chat: Chat) -> None:  # EXTERNAL
    chat.server(SUCCESS)
    chat.post(restart="true", from_="bob@example.com")
    assert chat.streams == [RestartStream("STREAM", "bob@example.com", None)]


@pytest.mark.rule("B4")
def test_stanza_in_a_restart_request_is_ignored(chat: Chat) -> None:
    chat.server(SUCCESS)
    chat.post()
    answer = chat.post(message("m1"), restart="true")
    assert chat.stanzas == []
    assert answer.held
    assert chat.session.discarded == 1


@pytest.mark.rule("B2")
@pytest.mark.parametrize("restart", ["false", "0", "yes", ""])
def test_what_is_not_true_is_no_restart(chat: Chat, restart: str) -> None:
    chat.server(SUCCESS)
    chat.post(restart=restart)
    assert chat.streams == []


@pytest.mark.rule("W15")
def test_restart_attribute_without_its_namespace_is_none(chat: Chat) -> None:
    chat.server(SUCCESS)
    chat.post(rid=101)
    body = Body(102, {"rid": "102", "sid": "SID", "restart": "true"})
    chat.session.receive_request("exchange", body, chat.now)
    assert chat.streams == []


@pytest.mark.rule("B5")
def test_restart_before_success_is_bad_request(chat: Chat) -> None:
    answer = chat.post(message("m1"), restart="true")
    assert answer.end == ("terminate", "bad-request")
    assert chat.stanzas == []
    assert chat.streams == [CloseStream("STREAM", clean=False)]
    assert chat.ended is not None
    assert chat.ended.discarded == 1


@pytest.mark.rule("B5", "C3", "C9")
def test_restart_says_nothing_that_is_no_jid_or_no_language() -> None:
    chat = Chat(from_="alice@example.com/web", lang="en")
    chat.open()
    chat.server(SUCCESS)
    chat.post()
    chat.post(restart="true", from_="a b", lang="e n")
    assert chat.streams[-1] == RestartStream("STREAM", "alice@example.com", "en")


@pytest.mark.rule("B5")
def test_second_restart_needs_a_second_success(chat: Chat) -> None:
    chat.server(SUCCESS)
    chat.post()
    chat.post(restart="true")
    chat.server_opens()
    chat.server(FEATURES)
    assert chat.post(restart="true").end == ("terminate", "bad-request")


@pytest.mark.rule("B6")
def test_sasl2_success_allows_no_restart(chat: Chat) -> None:
    chat.post()
    chat.server("<success xmlns='urn:xmpp:sasl:2'/>", FEATURES)
    assert chat.post().payloads == ["features"]
    assert chat.post(restart="true").end == ("terminate", "bad-request")


def test_header_of_a_stream_that_is_over_is_ignored(chat: Chat) -> None:
    chat.post(type="terminate")
    chat.server_opens(authid="A2")
    chat.server_closes()
    assert chat.log[-1].attributes == {"type": "terminate"}
