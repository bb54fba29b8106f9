"""Giving the responses of a session, and keeping them to be given again (XEP-0124 8, 14.3, 17).

Every response to somebody who waits is a sign of life: the time without requests (10) is counted from it.
"""

from boshgate.bosh.acks import begin_acks
from boshgate.bosh.body import EMPTY, RECOVERABLE_ERROR, Body, terminal_body
from boshgate.bosh.conditions import Condition, legacy_status
from boshgate.bosh.creation import Grant
from boshgate.bosh.events import Event, Exchange, Respond
from boshgate.bosh.policy import SessionPolicy
from boshgate.bosh.replies import Replies, Reply
from boshgate.bosh.window import Request, Window


class Responder:
    """Answers the requests of the session made by *creation*; what it wants sent goes to *events*.

    *replies*: the buffer; it is *acks* too where the client acknowledges (9). *idle_since*: when the last
    response was given, or the last waiting request was lost.
    """

    __slots__ = ("_events", "_legacy", "acks", "idle_since", "replies")

    def __init__(
        self, creation: Body, grant: Grant, policy: SessionPolicy, events: list[Event], now: int
    ) -> None:
        self._events = events
        self._legacy = grant.ver is None
        self.acks = begin_acks(creation, grant.requests, policy)
        self.replies = Replies(grant.requests) if self.acks is None else self.acks
        self.idle_since = now

    def respond(
        self, request: Request, body: bytes, window: Window, now: int, condition: str | None = None
    ) -> None:
        """Answer *request* and keep the answer (14.3); *condition*: that of *body*."""
        if self.acks is not None:
            body = self.acks.mark(request, body, window.received, now)
        status = 200 if condition is None else self._status(condition)
        self.replies.store(Reply(request.rid, request.digest, body, status, now))
        if request.exchange is not None:
            self._events.append(Respond(request.exchange, body, status))
            self.idle_since = now

    def respond_to_pause(self, request: Request, window: Window, now: int) -> None:
        """10: no payloads; 14.3: the answer is not kept among the others."""
        body = EMPTY
        if self.acks is not None:
            body = self.acks.mark(request, body, window.received, now)
        self.replies.store_pause(Reply(request.rid, request.digest, body, 200, now))
        if request.exchange is not None:
            self._events.append(Respond(request.exchange, body))
            self.idle_since = now

    def respond_error(self, request: Request, now: int) -> None:
        """17.3: *request* stays unanswered; the client repeats it."""
        if request.exchange is not None:
            self._events.append(Respond(request.exchange, RECOVERABLE_ERROR))
            request.exchange = None
            self.idle_since = now

    def respond_again(self, exchange: Exchange, reply: Reply, now: int) -> None:
        """14.3: answered before: the same response again."""
        self._events.append(Respond(exchange, reply.body, reply.status))
        self.idle_since = now  # 10: this is a response too
        if self.acks is not None:
            self.acks.sent_again(reply, now)

    def refuse(self, exchange: Exchange, condition: str) -> None:
        """17.2: *condition* is all that *exchange* gets; nothing is kept."""
        self._events.append(Respond(exchange, terminal_body(condition), self._status(condition)))

    def respond_to_all(
        self, window: Window, first: bytes, others: bytes, now: int, condition: str | None
    ) -> None:
        """13, 17.2: the session is over: *first* is for the oldest request that somebody waits for."""
        requests = window.outstanding()
        oldest = next((request for request in requests if request.exchange is not None), requests[0])
        for request in requests:
            other = EMPTY if request.rid < oldest.rid else others  # 14.2: no end comes before the last word
            body = first if request is oldest else other
            self.respond(request, body, window, now, None if body is EMPTY else condition)

    def refuse_all(self, requests: list[Request], culprit: Exchange | None, condition: str) -> None:
        """17.2: the one at fault gets *condition*, others other-request, all in the order of rids."""
        exchanges = [request.exchange for request in requests]
        if culprit is not None and culprit not in exchanges:
            exchanges.append(culprit)
        for exchange in exchanges:
            self.refuse(exchange, condition if exchange == culprit else Condition.OTHER_REQUEST)

    def _status(self, condition: str) -> int:
        return legacy_status(condition) if self._legacy else 200
