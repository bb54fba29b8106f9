"""The rid window: which request is next, early, repeated or outside, and which are unanswered (XEP-0124 14).

Requests are few (at most twice ``requests``), so that plain lists in rid order are smallest and fastest.
"""

from enum import Enum

from boshgate.bosh.body import Body
from boshgate.bosh.conditions import Condition
from boshgate.bosh.events import Exchange
from boshgate.bosh.policy import SessionPolicy
from boshgate.bosh.stream import Stream
from boshgate.errors import BindingError


class Arrival(Enum):
    """How a rid relates to those received before; L is the highest rid without a hole below it."""

    NEXT = "next"
    """14.2: L + 1: it is processed now."""
    EARLY = "early"
    """14.2: inside the window, but a lower rid is missing: it is neither processed nor answered yet."""
    REPEATED_UNANSWERED = "repeated, unanswered"
    """14.3: received before and still owed a response."""
    REPEATED = "repeated"
    """14.3: received and answered before; the response may be in the buffer, or gone."""
    EXTRA = "extra"
    """11: one above the window: the client may make one additional request to pause or terminate."""
    OUTSIDE = "outside"
    """14.2: above the window."""


class Request:
    """An unanswered request.

    *exchange* is None while nobody waits for the answer: its connection broke (14.3), or it was answered with
    a recoverable error (17.3). *deadline*: when somebody will have waited long enough. *digest* is None where
    any repeat is taken for an exact copy. *body* is None once processed. *opened*: the stream that it opened,
    whose name is for the response to no other one (7.2, 16.3).
    """

    __slots__ = ("body", "deadline", "digest", "exchange", "opened", "rid")

    def __init__(
        self, rid: int, exchange: Exchange | None, digest: bytes | None, deadline: int, body: Body | None
    ) -> None:
        self.rid = rid
        self.exchange = exchange
        self.digest = digest
        self.deadline = deadline
        self.body = body
        self.opened: Stream | None = None

    def __repr__(self) -> str:
        return f"<Request {self.rid} {'lost' if self.exchange is None else 'live'} until {self.deadline}>"


class Window:
    """The unanswered requests of a session, and the rids that may come next.

    *last* is L. *held*: processed, in rid order. *early*: received behind a hole, in rid order.
    """

    __slots__ = ("_repeated_at", "_repeats", "early", "held", "last", "size")

    def __init__(self, last: int, size: int) -> None:
        self.last = last
        self.size = size
        self.held: list[Request] = []
        self.early: list[Request] = []
        self._repeats = self._repeated_at = 0

    def classify(self, rid: int) -> Arrival:
        """Say what *rid* is."""
        ahead = rid - self.last
        if ahead == 1:
            return Arrival.NEXT
        if self.find(rid) is not None:
            return Arrival.REPEATED_UNANSWERED
        if ahead <= 0:
            return Arrival.REPEATED
        if ahead <= self.size:  # 14.2: the size of the window is 'requests'
            return Arrival.EARLY
        return Arrival.EXTRA if ahead == self.size + 1 else Arrival.OUTSIDE

    def find(self, rid: int) -> Request | None:
        """Return the unanswered request *rid*."""
        for request in self.outstanding():
            if request.rid == rid:
                return request
        return None

    def find_exchange(self, exchange: Exchange) -> Request | None:
        """Return the unanswered request that *exchange* carries."""
        for request in self.outstanding():
            if request.exchange == exchange:
                return request
        return None

    @property
    def received(self) -> int:
        """The highest rid that was received together with all below it (9.1); early ones may be in line."""
        rid = self.last
        for request in self.early:
            rid += request.rid == rid + 1
        return rid

    def outstanding(self) -> list[Request]:
        """Return all unanswered requests in rid order."""
        return self.held + self.early if self.early else self.held

    def live_held(self) -> bool:
        """Tell whether somebody waits for the answer to a processed request."""
        if self.held and self.held[-1].exchange is not None:
            return True  # as nearly always
        return any(request.exchange is not None for request in self.held)

    def live(self) -> list[Request]:
        """Return the unanswered requests that somebody waits for, in rid order."""
        return [request for request in self.outstanding() if request.exchange is not None]

    def due(self) -> int | None:
        """Return the earliest deadline of the requests that somebody waits for."""
        due = None
        for request in self.outstanding():
            if request.exchange is not None and (due is None or request.deadline < due):
                due = request.deadline
        return due

    def hold(self, request: Request) -> None:
        """Count *request*, which is NEXT, as processed."""
        self._repeats = 0
        self.last = request.rid
        self.held.append(request)

    def await_reply(self, limit: int, now: int, patience: int) -> bool:
        """Keep the one request that is too many (8) *patience* ms at most; return whether one is kept.

        What the server says to the newest payload then goes with the oldest request. An answer that is empty,
        only because the server's word comes a millisecond later, costs the client and us a request more.
        """
        if not patience or not 0 < limit == len(self.held) - 1:
            return False
        self.held[0].deadline = min(self.held[0].deadline, now + patience)
        return True

    def park(self, request: Request) -> None:
        """Keep *request*, which is EARLY, until the hole below it is filled."""
        self._repeats = 0
        self.early.append(request)
        self.early.sort(key=lambda early: early.rid)

    def pop_next(self) -> Request | None:
        """Take the request out of the early ones that has become NEXT, if there is one."""
        if self.early and self.early[0].rid == self.last + 1:
            return self.early.pop(0)
        return None

    def check_copy(self, digest: bytes | None, body: Body, policy: SessionPolicy, now: int) -> None:
        """14.3: *body* repeats the request with *digest*: an exact copy, and not one too many.

        Raises BindingError item-not-found: it is none; policy-violation: so many in a row, each soon after
        the one before, would be a way round the polling limits.
        """
        if digest is not None and digest != body.digest:
            raise BindingError(Condition.ITEM_NOT_FOUND, "a known rid with another content")
        self._repeats = self._repeats + 1 if now - self._repeated_at < policy.repeat_ms else 1
        self._repeated_at = now
        if self._repeats > policy.max_repeats:
            raise BindingError(Condition.POLICY_VIOLATION, "too many repeats")

    def clear(self) -> int:
        """Forget the unanswered requests; return how many payloads of early ones are lost by that."""
        lost = sum(len(request.body.payloads) for request in self.early if request.body is not None)
        self.held = []
        self.early = []
        return lost

    def __repr__(self) -> str:
        return f"rid={self.last} held={len(self.held)} early={len(self.early)}"
