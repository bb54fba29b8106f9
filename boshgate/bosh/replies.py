"""The buffer of answered requests, from which a lost response is sent again (XEP-0124 14.3)."""

from typing import NamedTuple


class Reply(NamedTuple):
    """The response *body* to request *rid*; *digest* as in `boshgate.bosh.window.Request`."""

    rid: int
    digest: bytes | None
    body: bytes


class Replies:
    """The responses to the last *size* requests that were no pauses, and to the newest pause.

    14.3 keeps pauses out of the buffer, which only means that they take no room from others: a pause whose
    (empty) response got lost would otherwise end the session.
    """

    __slots__ = ("_pause", "_replies", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._replies: list[Reply] = []
        self._pause: Reply | None = None

    def store(self, reply: Reply) -> None:
        """Remember *reply*; the oldest one makes room (14.3: as many as ``requests``)."""
        self._replies.append(reply)
        if len(self._replies) > self._size:
            del self._replies[0]

    def store_pause(self, reply: Reply) -> None:
        """Remember *reply*, the answer to a pause (10)."""
        self._pause = reply

    def is_pause(self, rid: int) -> bool:
        """Tell whether *rid* is the newest pause."""
        return self._pause is not None and self._pause.rid == rid

    def find(self, rid: int) -> Reply | None:
        """Return the buffered reply to *rid*."""
        for reply in self._replies:
            if reply.rid == rid:
                return reply
        return self._pause if self.is_pause(rid) else None

    def clear(self) -> None:
        """Forget everything; the session is gone."""
        self._replies.clear()
        self._pause = None

    def __len__(self) -> int:
        return len(self._replies)
