"""Overactivity: too many requests at once, and too many that say nothing (XEP-0124 11, 12).

A busy client is never overactive. In a session that does not poll, each request that is one more than may be
held sets free the oldest one, so that the limits can be reached only behind a rid that is missing.
"""

from boshgate.bosh.body import Body
from boshgate.bosh.conditions import Condition
from boshgate.bosh.creation import Grant, adds_stream
from boshgate.bosh.policy import SessionPolicy
from boshgate.bosh.replies import Reply
from boshgate.bosh.window import Arrival, Request
from boshgate.errors import BindingError


class Polls:
    """The polling of one session: when the newest empty request came (12)."""

    __slots__ = ("_interval", "_last_at", "_policy")

    def __init__(self, policy: SessionPolicy) -> None:
        self._policy = policy
        # A tenth is for clocks, and for the network, which may be quicker with the second request.
        self._interval = policy.polling * 900
        self._last_at: int | None = None

    def receive(self, body: Body, last: Reply | None, now: int) -> None:
        """Take notice of *body*, a new request and the next in order; *last*: the response before it.

        Raises BindingError policy-violation: it is too early to ask again whether there is something.
        """
        last_at, self._last_at = self._last_at, None
        if not is_poll(body, self._policy):
            return
        # 12: who has just received something may ask for more.
        if last_at is not None and now - last_at < self._interval and not _has_payloads(last):
            raise BindingError(Condition.POLICY_VIOLATION, "polling too frequently")
        self._last_at = now


def begin_polls(grant: Grant, policy: SessionPolicy) -> Polls | None:
    """Return what watches over a session granted *grant*; None: it does not poll, or may as it likes (12)."""
    return Polls(policy) if grant.polling and policy.polling else None


def is_poll(body: Body, policy: SessionPolicy) -> bool:
    """Tell whether *body* says nothing at all, but asks whether there is something (11, 12)."""
    return body.is_empty and not adds_stream(body, policy)


def check_early(
    body: Body, arrival: Arrival, unanswered: list[Request], grant: Grant, policy: SessionPolicy, now: int
) -> None:
    """Check that *body*, which a missing rid keeps from being answered, may come on top of *unanswered*.

    Raises BindingError item-not-found: its rid is above the window (14.2); policy-violation: it is one too
    many (11), or an empty one less than ``polling`` seconds after the one before.
    """
    # 11: one request above the window may pause or terminate the session.
    additional = body.is_terminate or (policy.max_pause > 0 and "pause" in body.attributes)
    if arrival is Arrival.OUTSIDE or (arrival is Arrival.EXTRA and not additional):
        raise BindingError(Condition.ITEM_NOT_FOUND, "rid above the window")
    if additional:
        return
    assert grant.requests > 1, "without a second request none can come too early"
    if len(unanswered) >= grant.requests:
        raise BindingError(Condition.POLICY_VIOLATION, "too many simultaneous requests")
    if len(unanswered) == grant.requests - 1 and is_poll(body, policy) and body.rid > unanswered[-1].rid:
        newest = max(request.deadline for request in unanswered) - grant.patience_ms
        if now - newest < policy.polling * 1000:
            raise BindingError(Condition.POLICY_VIOLATION, "requests too frequent")


def _has_payloads(reply: Reply | None) -> bool:
    return reply is not None and reply.body.endswith(b"</body>")
