"""The rid window: which request is next, early, repeated or outside, and which are unanswered (XEP-0124 14).

Requests are few (at most ``requests`` + 1), so that plain lists in rid order are smallest and fastest.
"""

from enum import Enum

from boshgate.bosh.body import Body
from boshgate.bosh.events import Exchange


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
    OUTSIDE = "outside"
    """14.2: above the window."""


class Request:
    """An unanswered request.

    *exchange* is None while nobody waits for the answer: its connection broke (14.3), or it was answered
    with a recoverable error (17.3). *digest* is None where any repeat is taken for an exact copy.
    *body* is None once processed. *deadline* is in milliseconds.
    """

    __slots__ = ("body", "deadline", "digest", "exchange", "rid")

    def __init__(
        self, rid: int, exchange: Exchange | None, digest: bytes | None, deadline: int, body: Body | None
    ) -> None:
        self.rid = rid
        self.exchange = exchange
        self.digest = digest
        self.deadline = deadline
        self.body = body

    def __repr__(self) -> str:
        return f"<Request {self.rid} {'lost' if self.exchange is None else 'live'} until {self.deadline}>"


class Window:
    """The unanswered requests of a session, and the rids that may come next.

    *last* is L. *held*: processed, in rid order. *early*: received behind a hole, in rid order.
    """

    __slots__ = ("early", "held", "last", "size")

    def __init__(self, last: int, size: int) -> None:
        self.last = last
        self.size = size
        self.held: list[Request] = []
        self.early: list[Request] = []

    def classify(self, rid: int, *, extra: bool) -> Arrival:
        """Say what *rid* is; *extra*: section 11 allows it to be one above the window."""
        ahead = rid - self.last
        if ahead == 1:
            return Arrival.NEXT
        if self.find(rid) is not None:
            return Arrival.REPEATED_UNANSWERED
        if ahead <= 0:
            return Arrival.REPEATED
        # 14.2: the window has the size of 'requests'; 11: one more to pause or to terminate.
        return Arrival.EARLY if ahead <= self.size + extra else Arrival.OUTSIDE

    def find(self, rid: int) -> Request | None:
        """Return the unanswered request *rid*."""
        for request in self.held:
            if request.rid == rid:
                return request
        for request in self.early:
            if request.rid == rid:
                return request
        return None

    def find_exchange(self, exchange: Exchange) -> Request | None:
        """Return the unanswered request that *exchange* carries."""
        for request in self.outstanding():
            if request.exchange == exchange:
                return request
        return None

    def outstanding(self) -> list[Request]:
        """Return all unanswered requests in rid order."""
        return self.held + self.early

    def live_held(self) -> bool:
        """Tell whether somebody waits for the answer to a processed request."""
        return any(request.exchange is not None for request in self.held)

    def live_early(self) -> bool:
        """Tell whether somebody waits for the answer to a request behind a hole."""
        return any(request.exchange is not None for request in self.early)

    def hold(self, request: Request) -> None:
        """Count *request*, which is NEXT, as processed."""
        self.last = request.rid
        self.held.append(request)

    def park(self, request: Request) -> None:
        """Keep *request*, which is EARLY, until the hole below it is filled."""
        self.early.append(request)
        self.early.sort(key=lambda early: early.rid)

    def pop_next(self) -> Request | None:
        """Take the request out of the early ones that has become NEXT, if there is one."""
        if self.early and self.early[0].rid == self.last + 1:
            return self.early.pop(0)
        return None

    def close_hole(self) -> list[Request]:
        """Stop waiting for missing rids: the early requests, which are returned, count as processed."""
        early, self.early = self.early, []
        self.held += early
        self.last = early[-1].rid
        return early

    def clear(self) -> None:
        """Forget the unanswered requests; the shell has their answers."""
        self.held.clear()
        self.early.clear()
