"""The streams of a session: which one a request is for, and which one a response is about (XEP-0124 16).

Nearly every session has one stream, and then nothing of this section is to be seen but its name in the
creation response. Once another one was opened every response that says something names its stream, and what
waits for the client goes out by turns: one response, one stream.
"""

from collections.abc import Callable, Collection

from boshgate.bosh.body import EMPTY, Body, serialise_body
from boshgate.bosh.conditions import Condition
from boshgate.bosh.events import Event
from boshgate.bosh.outbox import Outbox
from boshgate.bosh.policy import SessionPolicy
from boshgate.bosh.states import StreamState
from boshgate.bosh.stream import Stream
from boshgate.errors import BindingError
from boshgate.xmpp.header import bare_jid, language
from boshgate.xmpp.xml import Element

Namer = Callable[[], str]
"""Returns an opaque, unpredictable and new name for a stream (16.2)."""


class Streams:
    """The streams of one session, which *new_name* names.

    *all*: by name, in the order of opening, those left out that are gone and were reported gone. *several*:
    more than one has been opened. *waiting*: those that have something for the client, in turn.
    """

    __slots__ = ("_events", "_gone", "_new_name", "_policy", "all", "several", "waiting")

    def __init__(self, new_name: Namer, policy: SessionPolicy, events: list[Event]) -> None:
        self._new_name = new_name
        self._policy = policy
        self._events = events
        self._gone: tuple[str, ...] = ()
        self.all: dict[str, Stream] = {}
        self.several = False
        self.waiting: list[Stream] = []

    def open(self, request: Body) -> Stream:
        """7.1, 16.3: open a stream; one that is too many is over at once, as if it had failed (16.6)."""
        outbox = Outbox(self._policy.max_response_bytes)
        assert request.to is not None, "so it was recognised"
        address = (request.to, bare_jid(request.from_), language(request.lang))
        stream = Stream(self._new_name(), address, outbox, self.waiting, self._events)
        if self.all:
            self.several = True
        # Those count too that are gone, but not reported yet: their number has to have a limit as well.
        if len(self.all) < self._policy.max_streams:
            self.all[stream.name] = stream
            stream.open()
        else:
            stream.state = StreamState.CLOSED
            stream.end = _end_attributes(Condition.POLICY_VIOLATION)
        return stream

    # What comes from the client

    def named(self, body: Body) -> Collection[Stream]:
        """Return the open streams that *body* is for: the one that it names, or all (16.4).

        Raises BindingError item-not-found: it names none of this session. One that is gone takes nothing: the
        client may not have known (16.4).
        """
        name = body.attributes.get("stream")
        if name is None or self._policy.max_streams == 1:  # where none was announced the name means nothing
            streams = self.all.values()
            return [stream for stream in streams if not stream.is_over] if self.several else streams
        stream = self.all.get(name)
        if stream is not None:
            return () if stream.is_over else (stream,)
        if name in self._gone:
            return ()
        raise BindingError(Condition.ITEM_NOT_FOUND, "no such stream")

    def restart(self, body: Body) -> None:
        """XEP-0206 section 5: restart the stream that *body* names, or all that are waiting for it.

        Raises BindingError bad-request before SASL success: RFC 6120 knows no second header then (6.4.6).
        """
        named = self.named(body)
        allowed = [stream for stream in named if stream.restart_allowed]
        if named and not allowed:
            raise BindingError(Condition.BAD_REQUEST, "restart, but SASL has not succeeded")
        for stream in allowed:
            stream.restart(body)

    # What comes from the server

    def closed(self, stream: Stream) -> None:
        """The connection of *stream* is gone."""
        stream.state = StreamState.CLOSED
        if stream.end is not None and stream not in self.waiting:
            self._forget(stream)

    def end(self, stream: Stream, condition: str | None) -> None:
        """16.6: *stream* alone is over, and its last response says so, after all that waits."""
        stream.close(clean=True)
        stream.end = _end_attributes(condition)
        stream.wait()

    def end_last(self, stream: Stream, condition: str | None) -> str | None:
        """17.2: *stream* was the last one; return the condition with which the session ends."""
        if self.several and condition == Condition.REMOTE_STREAM_ERROR:
            # 16.4: the copy of the error has to go with the name of its stream, which then says it all.
            self.end(stream, condition)
            return None
        return condition

    def others_open(self, streams: Collection[Stream]) -> bool:
        """Tell whether something can be sent on any stream that is not among *streams*."""
        return any(not stream.is_over and stream not in streams for stream in self.all.values())

    def all_closed(self) -> bool:
        """Tell whether there is no connection any more."""
        return all(stream.state is StreamState.CLOSED for stream in self.all.values())

    def close(self, *, clean: bool) -> None:
        """Close all."""
        for stream in self.all.values():
            stream.close(clean=clean)

    def drop(self, *, clean: bool) -> None:
        """Close all: the client is gone."""
        for stream in self.all.values():
            stream.drop(clean=clean)

    # What goes to the client

    def next_body(self, opened: Stream | None, *, heard: bool) -> bytes:
        """Return the next response: of the stream that its request *opened*, else of that whose turn it is.

        Not *heard*: nobody listens (14.3), so that what waits is left for somebody who does.
        """
        waiting = self.waiting
        stream = opened
        if stream is None and heard:
            stream = waiting[0] if waiting else self._announcing()
        if stream is None:
            return EMPTY
        outbox = stream.outbox
        payloads = outbox.take() if heard else []
        if stream.throttled and outbox.size <= self._policy.low_water:
            stream.throttle(on=False)
        if heard and stream in waiting:
            waiting.remove(stream)
            if outbox.portions:
                waiting.append(stream)  # it had its turn, and comes last now
        if self.several or stream.announce is not None:
            return serialise_body(self._attributes(stream), payloads)
        return serialise_body({}, payloads)

    def _announcing(self) -> Stream | None:
        """A stream of which the client does not know all yet, where that is reason enough to name it."""
        for stream in self.all.values():
            # 16.4: a body without payloads names a stream only if it has a 'from'.
            if stream.announce is not None and (not self.several or "from" in stream.announce):
                return stream
        return None

    def _attributes(self, stream: Stream) -> dict[str, str]:
        """What a response about *stream* says of it."""
        attributes = {"stream": stream.name} if self.several else {}
        attributes |= stream.announce or {}
        stream.announce = None
        if stream.end is not None and stream not in self.waiting:
            attributes |= stream.end
            if stream.state is StreamState.CLOSED:
                self._forget(stream)
        return attributes

    def _forget(self, stream: Stream) -> None:
        """The client knows that *stream* is gone; its name is remembered for a while (16.4)."""
        self.all.pop(stream.name, None)
        self._gone = (*self._gone, stream.name)[-self._policy.max_streams :]

    # The end of the session

    def rest(self) -> bool:
        """Tell whether more waits than the response can take along that ends the session (17.2).

        16.4 and 16.6: one that names a stream does not end the session, and one with payloads has to.
        """
        return self.waiting != [] if self.several else len(self._only.outbox.portions) > 1

    def take_last(self) -> list[Element]:
        """Return the payloads of the response that ends the session."""
        if self.several:
            return []
        self.waiting.clear()
        return self._only.outbox.take()

    @property
    def _only(self) -> Stream:
        (stream,) = self.all.values()
        return stream

    def clear(self) -> int:
        """Throw away what waits for the client, and return how many payloads that were."""
        self.waiting.clear()
        return sum(stream.outbox.clear() for stream in self.all.values())

    @property
    def size(self) -> int:
        """The bytes that wait for the client."""
        return sum(stream.outbox.size for stream in self.all.values())

    def __repr__(self) -> str:
        return f"pending={self.size} {[*self.all.values()]}"


def _end_attributes(condition: str | None) -> dict[str, str]:
    return {"type": "terminate"} if condition is None else {"type": "terminate", "condition": condition}
