"""The client of the model: what it may ask by the rules of XEP-0124, and how it writes it."""

from boshgate.bosh.body import Body
from boshgate.bosh.policy import SessionPolicy
from tests.bosh.line import Line
from tests.bosh.wire import FIRST_RID, RESTART, Asked, Http, ids, keys_of, payload


class Client:
    """Keeps the rules as far as its network lets it; `tests.bosh.model` moves what it says."""

    acks: bool
    asked: dict[int, Asked]
    counter: int
    first: dict[int, bytes]
    keys: bool
    last: int
    next_answer: int
    now: int
    policy: SessionPolicy
    polled_at: int | None
    polls: bool
    known: set[str]
    lines: dict[str, Line]
    received: set[int]
    requests: int
    terminating: bool
    told: bool

    @property
    def unanswered(self) -> list[Asked]:
        """What the client has no answer to, in rid order."""
        return [asked for asked in self.asked.values() if asked.answer is None]

    @property
    def knows_the_sid(self) -> bool:
        """The creation response has arrived."""
        return self.asked[FIRST_RID].answer is not None

    def may_ask(self, kind: str) -> bool:
        """Whether the rules let the client make another request (11, 14.3: the buffer is as long)."""
        if not self.knows_the_sid or self.told or self.terminating:
            return False
        oldest = min((asked.rid for asked in self.unanswered), default=max(self.asked) + 1)
        return max(self.asked) + 1 - oldest < self.requests + (kind in ("pause", "terminate"))

    def may_restart(self, line: Line) -> bool:
        """The client has seen that SASL succeeded."""
        seen = line.success in line.processed and not line.restarting and line.is_open and not line.told
        return seen and self.may_ask("plain")

    @property
    def may_add(self) -> bool:
        """There is room for another stream (16.3); the model's client never asks for one too many."""
        adding = [asked for asked in self.asked.values() if asked.kind == "add" and asked.rid > self.last]
        lines = [line for line in self.lines.values() if line.takes_room]
        return len(adding) + len(lines) < self.policy.max_streams and self.may_ask("plain")

    def named(self, index: int) -> str | None:
        """The stream of the next request: one that the client knows, or all (16.4)."""
        open_ones = [name for name in sorted(self.known) if not self.lines[name].told]
        if len(self.known) < 2 or not open_ones:
            return None
        return [None, *open_ones][index % (len(open_ones) + 1)]

    @property
    def broken(self) -> list[Asked]:
        """What the client may send again."""
        return [asked for asked in self.unanswered if not asked.open and asked.rid != FIRST_RID]

    def ask(self, count: int, kind: str, seconds: str = "", stream: str | None = None) -> None:
        """The client writes a request."""
        rid = max(self.asked) + 1
        attributes = {"rid": str(rid), "sid": "SID"}
        if kind == "pause":
            attributes["pause"] = seconds
        elif kind == "terminate":
            attributes["type"] = "terminate"
            self.terminating = True
        elif kind == "restart":
            attributes[RESTART] = "true"
        elif kind == "close":
            attributes["type"] = "terminate"
        elif kind == "add":
            attributes["to"] = "example.com"
        if stream is not None:
            attributes["stream"] = stream
        if self.keys:
            attributes |= keys_of(rid)  # 15
        if self.acks and rid > self.next_answer > 0:
            attributes["ack"] = str(self.next_answer - 1)  # 9.2
        if kind == "plain" and self.polls and not self.may_poll:
            count = max(count, 1)
        payloads = []
        for _ in range(count):
            self.counter += 1
            payloads.append(payload("stanza", f"u{self.counter}"))
        asked = Asked(rid, Body(rid, attributes, tuple(payloads), b"digest-%d" % rid), kind)
        self.asked[rid] = asked
        asked.exchanges.append(Http(asked))

    @property
    def may_poll(self) -> bool:
        """12: a request that says nothing would not come too early, in a session that polls."""
        newest = max(self.asked)
        return newest in self.received and (
            self.polled_at is None
            or self.now - self.polled_at >= 1000 * self.policy.polling
            or ids(self.first.get(newest, b"")) != []
        )

    @property
    def has_just_polled(self) -> bool:
        """12: in vain, so that it must not poll again (the session is a little more tolerant than that)."""
        return (
            self.polled_at is not None
            and self.now - self.polled_at < 900 * self.policy.polling
            and self.last == max(self.received)
            and self.last in self.first
            and ids(self.first[self.last]) == []
        )

    def ask_again(self, index: int) -> None:
        """The client sends an exact copy of one of its broken requests (14.3)."""
        asked = self.broken[index % len(self.broken)]
        asked.exchanges.append(Http(asked))

    def https(self, state: str) -> list[Http]:
        """The exchanges in *state*."""
        return [http for asked in self.unanswered for http in asked.exchanges if http.state == state]
