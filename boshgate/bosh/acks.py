"""Acknowledgements: which requests arrived, which responses did, and which seems to be lost (XEP-0124 9).

Only for a client that asks for them with ``ack='1'`` when it creates its session. Its responses are kept
until it has them all, so that this bookkeeping and the buffer of responses (14.3) are one.
"""

from typing import Final

from boshgate.bosh.body import HEAD, RID_MAX, Body
from boshgate.bosh.policy import SessionPolicy
from boshgate.bosh.replies import Replies, Reply
from boshgate.bosh.window import Request

_OVERHEAD: Final = 256
"""What a response costs beside its bytes."""

_TIME_MAX: Final = 65535
"""22: ``time`` is an unsignedShort."""


class Acks(Replies):
    """The buffer of responses of an acknowledging client; *missing*: what the next response is to report."""

    __slots__ = ("_bytes", "_max_bytes", "_report_at", "_report_ms", "missing")

    def __init__(self, size: int, policy: SessionPolicy) -> None:
        super().__init__(size)
        self._bytes = 0
        self._max_bytes = policy.max_unacknowledged_bytes
        self._report_ms = policy.report_ms
        self._report_at = 0  # not before
        self.missing: Reply | None = None

    def store(self, reply: Reply) -> None:
        """Remember *reply*: all are kept that are not acknowledged (14.3), within reason."""
        self._replies.append(reply)
        self._bytes += len(reply.body) + _OVERHEAD
        while len(self._replies) > self._size and self._bytes > self._max_bytes:
            self._forget_oldest()

    def receive(self, body: Body, answered: int, now: int) -> None:
        """9.2: take what *body* says of the responses; they were sent up to rid *answered*.

        Raises BindingError bad-request: its ``ack`` is no number.
        """
        ack = body.number("ack", RID_MAX)
        if ack is None:
            ack = answered  # 9.2: it has all that there were; those to come are not acknowledged by that
        elif ack > answered:
            return  # nobody can have received what was not sent
        while self._replies and self._replies[0].rid <= ack:
            self._forget_oldest()
        if ack < answered and now >= self._report_at and (reply := self.find(ack + 1)) is not None:
            # 9.2: "if some time has passed since it responded": else they have merely crossed.
            self.missing = reply if now - reply.sent >= self._report_ms else None

    def sent_again(self, again: Reply, now: int) -> None:
        """14.3: the response *again* was asked for again, and is on its way."""
        new = again._replace(sent=now)
        self._replies = [new if reply is again else reply for reply in self._replies]
        self._pauses = tuple(new if reply is again else reply for reply in self._pauses)

    def mark(self, request: Request, body: bytes, received: int, now: int) -> bytes:
        """Return *body*, the response to *request*, with what there is to say.

        *received* is the highest rid that was received together with all below it.
        """
        attributes = b""
        if received != request.rid:  # 9.1: else there is no need to say it
            attributes = b" ack='%d'" % received
        if self.missing is not None and request.exchange is not None:
            time = min(now - self.missing.sent, _TIME_MAX)
            attributes += b" report='%d' time='%d'" % (self.missing.rid, time)
            self.missing = None
            self._report_at = now + self._report_ms  # the client needs time to do something about it
        return HEAD + attributes + body.removeprefix(HEAD) if attributes else body

    def _forget_oldest(self) -> None:
        self._bytes -= len(self._replies.pop(0).body) + _OVERHEAD


def begin_acks(request: Body, size: int, policy: SessionPolicy) -> Acks | None:
    """Return the bookkeeping for the session that *request* creates; None: it wants none (gloox: ``0``)."""
    return Acks(size, policy) if request.attributes.get("ack") == "1" else None
