"""The buffer of answered requests, from which a lost response is sent again (XEP-0124 14.3)."""

from typing import NamedTuple


class Reply(NamedTuple):
    """The response *body* to request *rid*; *digest* as in `boshgate.bosh.window.Request`.

    *status*: that of HTTP (17.1); *sent*: when (9).
    """

    rid: int
    digest: bytes | None
    body: bytes
    status: int = 200
    sent: int = 0


class Replies:
    """The responses to the last *size* requests that were no pauses; pauses are kept beside them.

    14.3 keeps pauses out of the buffer: they take no room from others. Forgetting them would end the session
    of a client that lost the (empty) response to one.
    """

    __slots__ = ("_pauses", "_replies", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._replies: list[Reply] = []
        self._pauses: tuple[Reply, ...] = ()

    def store(self, reply: Reply) -> None:
        """Remember *reply*; the oldest one makes room (14.3: as many as ``requests``)."""
        self._replies.append(reply)
        if len(self._replies) > self._size:
            del self._replies[0]

    def store_pause(self, reply: Reply) -> None:
        """Remember *reply*, the answer to a pause (10); 11: there may be one more of these at once."""
        self._pauses = (*self._pauses, reply)[-self._size - 1 :]

    def make_room(self) -> None:
        """Keep one more: 11: one more request than usual may be unanswered when the session ends."""
        self._size += 1

    def is_pause(self, rid: int) -> bool:
        """Tell whether *rid* is the newest pause."""
        return self._pauses != () and self._pauses[-1].rid == rid

    def find(self, rid: int) -> Reply | None:
        """Return the buffered reply to *rid*."""
        for reply in (*self._replies, *self._pauses):
            if reply.rid == rid:
                return reply
        return None

    def clear(self) -> None:
        """Forget everything; the session is gone."""
        self._replies.clear()
        self._pauses = ()

    def __len__(self) -> int:
        return len(self._replies)
