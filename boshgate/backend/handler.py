"""What a stream to a server asks of the two around it: the client's side, and whoever counts the streams."""

from typing import TYPE_CHECKING, Protocol

from boshgate.errors import BackendError
from boshgate.xmpp.framer import StreamHeader
from boshgate.xmpp.xml import Element

if TYPE_CHECKING:
    from boshgate.backend.stream import BackendStream


class StreamHandler(Protocol):
    """The client's side. Called synchronously from the event loop, never after `stream_closed`."""

    def stream_opened(self, header: StreamHeader) -> None:
        """The server's header came: the first one, and one after each restart."""

    def stream_received(self, elements: list[Element]) -> None:
        """What one read of the TCP connection held, in order; at the beginning of a stream its features."""

    def stream_closed(self, error: BackendError | None) -> None:
        """The end, once. None: the server closed its stream with ``</stream:stream>``, or we ended it."""

    def pause_sending(self) -> None:
        """The server is slow: stop reading from the client."""

    def resume_sending(self) -> None:
        """The server has caught up."""


class StreamOwner(Protocol):
    """Whoever counts the streams."""

    def authenticated(self, stream: "BackendStream") -> None:
        """The client of *stream* has authenticated, or need not."""

    def forget(self, stream: "BackendStream") -> None:
        """The TCP connection of *stream* is gone."""
