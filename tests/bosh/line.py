"""One stream of the model: what was said on it, and where it is in the eyes of its two ends."""

from dataclasses import dataclass, field


@dataclass(eq=False)
class Line:
    """A stream *name*, opened by the request *rid*.

    *state*: opening, open, over (the session closed it) or gone. *is_open*: the session may send on it.
    *closed_by_client*: it alone (16.5). *ended*: the client is to be told that it is over (16.6); *reported*:
    a response said so; *told*: that response has arrived. *given_back*: what was pending when it was dropped.
    """

    name: str
    rid: int
    state: str = "opening"
    is_open: bool = True
    closed_by_client: bool = False
    ended: bool = False
    reported: bool = False
    told: bool = False
    given_back: bool = False
    reading: bool = True
    success: str | None = None  # the newest that no restart followed
    restarting: bool = False
    sent: list[str] = field(default_factory=list)  # by the server
    emitted: list[str] = field(default_factory=list)  # in first responses
    processed: list[str] = field(default_factory=list)  # by the client
    expected: list[str] = field(default_factory=list)  # at the server
    server_got: list[str] = field(default_factory=list)

    @property
    def server_may_send(self) -> bool:
        """The server's stream is open, and somebody reads from it."""
        return self.state == "open" and self.reading

    @property
    def pending(self) -> list[str]:
        """What the server has sent and no response has taken along."""
        return self.sent[len(self.emitted) :]

    @property
    def takes_room(self) -> bool:
        """It counts as one of the streams that a session may have."""
        return not (self.state == "gone" and self.told)
