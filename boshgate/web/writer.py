"""One writer for each WebSocket: messages leave in order, at once while the client keeps up, queued when not.

While something waits, the source of the messages is asked to pause (RFC 7395 has no word on it; requirement
WS31), so the queue holds no more than what was already on its way.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from starlette.types import Send

from boshgate.web.eager import run_eagerly


class MessageWriter:
    """Sends ASGI messages; *on_stall* hears True when they begin to wait, False when all are out."""

    __slots__ = ("_discarded", "_on_stall", "_send", "_waiting", "_writing")

    def __init__(self, send: Send, on_stall: Callable[[bool], None]) -> None:
        self._send = send
        self._on_stall = on_stall
        self._writing: asyncio.Task[None] | None = None
        self._waiting: deque[dict[str, Any]] | None = None
        self._discarded = False

    @property
    def stalled(self) -> bool:
        """Whether the client does not keep up: a message is being written, others may wait behind it."""
        return self._waiting is not None

    def write(self, message: dict[str, Any]) -> None:
        """Send *message* after all that came before it."""
        if self._waiting is not None:
            self._waiting.append(message)
        elif not self._start(message):
            self._waiting = deque()
            self._on_stall(True)

    def discard(self) -> int:
        """The client is gone: forget what waits; returns how many messages were not written, once."""
        if self._waiting is None or self._discarded:
            return 0
        self._discarded = True
        lost = len(self._waiting) + 1
        self._waiting.clear()
        return lost

    def _start(self, message: dict[str, Any]) -> bool:
        """Send *message* now; return whether it is out."""
        try:
            self._writing = run_eagerly(self._send(message))  # type: ignore[arg-type]
        except (OSError, RuntimeError):
            # The client is gone; or the HTTP server closes the connection, for a ping without pong or a
            # violation of RFC 6455 (uvicorn: RuntimeError). The connection's own task is about to hear of it.
            return True
        if self._writing is None:
            return True
        self._writing.add_done_callback(self._written)
        return False

    def _written(self, writing: asyncio.Task[None]) -> None:
        self._writing = None
        assert self._waiting is not None, "a write that takes a task makes the others wait"
        if writing.cancelled() or writing.exception() is not None:
            # As above: gone. What waits is discarded and counted by the connection.
            return
        while self._waiting:
            if not self._start(self._waiting.popleft()):
                return
        self._waiting = None
        self._on_stall(False)
