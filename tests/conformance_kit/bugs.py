"""Bugs for a gateway that the kit has to notice, each with the checks that do.

Those of the session are the ones of `tests.bosh.mutants`; those of the parts around it are patches, here.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple
from unittest.mock import patch

from uvicorn.protocols.http import httptools_impl

from boshgate.bosh import creation, session
from boshgate.bosh.body import Body
from boshgate.bosh.creation import Grant
from boshgate.bosh.policy import SessionPolicy
from boshgate.conformance.check import Outcome
from boshgate.errors import XmlError
from boshgate.sessions import store
from boshgate.web import bosh, connection, websocket
from boshgate.web.bosh import HttpExchange
from boshgate.web.connection import Connection
from boshgate.web.cors import Origins
from boshgate.xmpp.frames import close_frame, open_frame, parse_frame
from boshgate.xmpp.xml import Element
from tests.bosh.mutants import MUTANTS, seeded

IN_SESSION = {
    "payloads wait although a request is held": "payloads.data_goes_to_the_held_request_at_once",
    "the newest request is answered first": "payloads.no_more_than_hold_are_held",
    "one request too many is held": "payloads.no_more_than_hold_are_held",
    "a held request is never released": "payloads.an_empty_request_is_held_for_wait",
    "a pause lasts for ever": "inactivity.the_next_request_ends_a_pause",
    "a pause is never shorter than inactivity": "inactivity.a_short_pause_is_obeyed",
    "a pause is answered with payloads": "inactivity.the_response_to_a_pause_has_no_payload",
    "only the pause itself is answered": "inactivity.a_pause_releases_all_requests",
    "the payloads of terminate are dropped": "terminate.the_last_payload_is_forwarded",
    "a terminated session does not linger": "terminate.a_resent_terminate_is_answered_alike",
    "the window is too small": "rids.the_window_is_requests_wide",
    "the window is too large": "rids.the_window_is_requests_wide",
    "an early request is forwarded at once": "rids.an_early_request_waits_for_its_turn",
    "early requests stay behind": "rids.an_early_request_waits_for_its_turn",
    "a repeat is forwarded again": "repeats.a_repeat_is_not_forwarded_again",
    "a repeat is answered with what is new": "repeats.an_answered_request_gets_the_same_again",
    "a repeat of an unanswered request gets the error itself": (
        "repeats.a_repeat_takes_over_from_a_held_request"
    ),
    "a repeat of an unanswered request leaves the older one open": (
        "repeats.a_repeat_takes_over_from_a_held_request"
    ),
    "repeating is a way to be held for longer": "repeats.repeats_do_not_prolong_the_wait",
    "the buffer grows for ever": "repeats.an_old_rid_is_item_not_found",
    "the buffer is too small": "repeats.as_many_responses_are_kept_as_requests",
    "payloads go to a broken connection": "payloads.a_later_request_takes_over_from_a_broken_one",
    "only the culprit is answered": "errors.others_get_other_request",
    "the condition is forgotten when nobody waits": "errors.a_stream_error_waits_for_the_next_request",
    "a stream error has no condition": "errors.a_stream_error_is_passed_on",
    "success allows no restart": "xep0206.a_user_can_log_in",
    "keys are not checked": "keys.a_wrong_key_ends_the_session",
    "keys are checked in the order of arrival": "keys.keys_are_checked_in_the_order_of_rids",
    "a new key sequence does not begin": "keys.a_sequence_may_be_followed_by_another",
    "the first key is good for ever": "keys.the_right_keys_are_taken",
    "what was sent counts as received": "acks.what_is_not_acknowledged_is_kept",
    "an ack that says nothing": "acks.its_own_rid_is_not_acknowledged",
    "a request behind a hole is acknowledged": "acks.nothing_above_a_hole_is_acknowledged",
    "acks come unannounced": "acks.nothing_is_acknowledged_unannounced",
    "another response is reported": "acks.a_missing_response_is_reported",
    "who polls too often goes on": "polling.polling_too_fast_is_a_violation",
    "who gets something may not ask for more": "polling.polling_goes_on_after_a_payload",
    "whoever says something polls": "polling.talking_is_not_polling",
    "any name is good": "streams.an_unknown_stream_is_item_not_found",
    "closing one stream ends the session": "streams.one_stream_can_be_closed",
    "payloads are for the first stream": "streams.a_request_without_stream_goes_to_all",
    "names are not given once there are several": "streams.the_new_stream_has_features",
}
"""Names of `tests.bosh.mutants.MUTANTS`, and which check notices."""


NOT_DONE = {"keys are not checked"}
"""Where the bug takes away an optional part, the check says that it is not offered."""


@contextmanager
def seeded_session(name: str) -> Iterator[None]:
    """New sessions have the mutant of that *name*."""
    found = [mutant for mutant in MUTANTS if mutant.name == name]
    assert len(found) == 1, f"no mutant is named {name!r}"
    with seeded(found[0]) as mutated, patch.object(store, "Session", mutated):
        yield


def _other_status(self: HttpExchange, data: bytes, content: str, _status: int = 200) -> None:
    self.reply(404 if b"item-not-found" in data else 200, data, content.encode())


def _longer(request: Body, policy: SessionPolicy) -> Grant:
    return replace(grant_session(request, policy), wait=60)


def _always_holding(request: Body, policy: SessionPolicy) -> Grant:
    grant = grant_session(request, policy)
    return replace(grant, hold=grant.hold or 1, requests=max(2, grant.requests))


def _ever_newer(_value: str | None) -> tuple[int, int]:
    return (1, 11)


def _comments_pass(text: str) -> Any:
    return parse_frame(text.replace("<!-- comment -->", ""))


def _anything_passes(text: str) -> Any:
    try:
        return parse_frame(text)
    except XmlError:
        return Element("{jabber:client}message", b"<message xmlns='jabber:client'/>")


@contextmanager
def _content_as_it_comes() -> Iterator[None]:
    """Nobody looks at 'content' before it becomes a header, the HTTP server neither."""
    with (
        patch.object(creation, "_content", lambda value: value or creation.DEFAULT_CONTENT),
        patch.object(httptools_impl, "HEADER_VALUE_RE", re.compile(rb"(?!)")),
    ):
        yield


def _joined(self: Connection, elements: list[Element]) -> None:
    self._send_text("".join(element.data.decode() for element in elements))


def _spaced(self: Connection, text: str) -> None:
    self._writer.write({"type": "websocket.send", "text": f" {text}"})


def _without_open(self: Connection, condition: str, text: str, *_code: object) -> None:
    self._open_sent = True
    fail(self, condition, text)


def _silent_end(self: Connection, end: str) -> None:
    self._close(connection.CloseCode.NORMAL, end)


def _never_closed(_self: Connection) -> None:
    """The client's ``<close/>`` is lost."""


def _binary_is_text(self: Connection, code: connection.CloseCode, reason: str) -> None:
    if reason != "binary message":
        close(self, code, reason)


def _same_id(header: Any, **options: Any) -> str:
    return open_frame(replace(header, id="always-the-same"), **options)


def _one_more(self: Connection) -> None:
    send_close(self)
    self._send_text(close_frame())


def _lingering(self: Connection) -> None:
    self._state = connection.State.GONE
    self._stream = None


def _without_refusal(_self: object, _scope: object, _address: str) -> None:
    return None


grant_session = creation.grant_session
fail, close, send_close = Connection._fail, Connection._close, Connection._send_close
numbers = itertools.count(1)

Patch = Callable[[], Any]

AROUND: dict[str, tuple[Patch, str]] = {
    "no CORS headers": (
        lambda: patch.object(Origins, "headers", lambda *_: []),
        "cors.errors_allow_the_origin",
    ),
    "preflights allow no Content-Type": (
        lambda: patch.object(Origins, "preflight", lambda _: []),
        "cors.a_preflight_is_answered",
    ),
    "an unknown session is HTTP 404": (
        lambda: patch.object(HttpExchange, "respond", _other_status),
        "http.errors_have_http_status_200",
    ),
    "errors have another Content-Type": (
        lambda: patch.object(bosh, "DEFAULT_CONTENT", "application/xml"),
        "http.the_content_type_of_errors",
    ),
    "responses may be cached": (
        lambda: patch.object(bosh, "_FIXED_HEADERS", []),
        "http.responses_are_not_cached",
    ),
    "'content' is ignored": (
        lambda: patch.object(creation, "_content", lambda _: creation.DEFAULT_CONTENT),
        "creation.content_is_the_type_of_every_response",
    ),
    "'content' is not looked at": (
        _content_as_it_comes,
        "http.content_cannot_split_the_response",
    ),
    "'ver' of the client means nothing": (
        lambda: patch.object(creation, "_version", _ever_newer),
        "creation.ver_is_the_lower_one",
    ),
    "'wait' is longer than asked": (
        lambda: patch.object(session, "grant_session", _longer),
        "creation.wait_is_at_most_what_was_asked",
    ),
    "hold='0' is taken for 1": (
        lambda: patch.object(session, "grant_session", _always_holding),
        "polling.with_a_hold_of_zero_nothing_is_held",
    ),
    "sids are counted": (
        lambda: patch("secrets.token_urlsafe", lambda _=0: f"session-number-{next(numbers):06}"),
        "creation.sids_are_unpredictable",
    ),
    "comments pass on WebSocket": (
        lambda: patch.object(connection, "parse_frame", _comments_pass),
        "websocket_errors.comments_are_refused",
    ),
    "anything passes on WebSocket": (
        lambda: patch.object(connection, "parse_frame", _anything_passes),
        "websocket_errors.two_elements_in_a_message_are_refused",
    ),
    "messages are joined": (
        lambda: patch.object(Connection, "stream_received", _joined),
        "websocket_frames.every_message_is_one_document",
    ),
    "messages begin with white space": (
        lambda: patch.object(Connection, "_send_text", _spaced),
        "websocket_frames.every_message_is_text_that_starts_with_an_element",
    ),
    "an error comes without <open/>": (
        lambda: patch.object(Connection, "_fail", _without_open),
        "websocket_errors.an_error_while_opening_comes_after_open",
    ),
    "an error comes without <close/>": (
        lambda: patch.object(Connection, "_end_stream", _silent_end),
        "websocket_errors.an_unknown_domain_is_host_unknown",
    ),
    "<close/> is not heard": (
        lambda: patch.object(Connection, "_receive_close", _never_closed),
        "websocket_close.close_is_answered_with_close",
    ),
    "<close/> is said twice": (
        lambda: patch.object(Connection, "_send_close", _one_more),
        "websocket_close.nothing_follows_close",
    ),
    "binary messages are ignored": (
        lambda: patch.object(Connection, "_close", _binary_is_text),
        "websocket_errors.binary_messages_are_refused",
    ),
    "streams have one id": (
        lambda: patch.object(connection, "open_frame", _same_id),
        "websocket_open.open_has_from_id_and_version",
    ),
    "lost WebSockets leave their streams": (
        lambda: patch.object(Connection, "lost", _lingering),
        "websocket_close.a_lost_connection_ends_the_session",
    ),
    "every handshake is accepted": (
        lambda: patch.object(websocket.WebSocketEndpoint, "_refusal", _without_refusal),
        "websocket_open.without_the_subprotocol_there_is_no_stream",
    ),
}
"""What is patched, and which check notices."""


class Bug(NamedTuple):
    """How it is seeded, which check notices, and what that check says then."""

    seed: Patch
    check: str
    outcome: Outcome = Outcome.FAILS


BUGS = {
    **{
        name: Bug(
            partial(seeded_session, name), check, Outcome.NOT_OFFERED if name in NOT_DONE else Outcome.FAILS
        )
        for name, check in IN_SESSION.items()
    },
    **{name: Bug(seed, check) for name, (seed, check) in AROUND.items()},
}
