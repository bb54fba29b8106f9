"""The client of the model: what it may ask by the rules of XEP-0124, and how it writes it."""

from boshgate.bosh.body import Body
from boshgate.bosh.policy import SessionPolicy
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
    processed: list[str]
    received: set[int]
    requests: int
    restarting: bool
    success: str | None
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

    @property
    def may_restart(self) -> bool:
        """The client has seen that SASL succeeded."""
        return self.success in self.processed and not self.restarting and self.may_ask("plain")

    @property
    def broken(self) -> list[Asked]:
        """What the client may send again."""
        return [asked for asked in self.unanswered if not asked.open and asked.rid != FIRST_RID]

    def ask(self, count: int, kind: str, seconds: str = "") -> None:
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
            self.restarting = True
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
            and ids(self.first[self.last]) == []
        )

    def ask_again(self, index: int) -> None:
        """The client sends an exact copy of one of its broken requests (14.3)."""
        asked = self.broken[index % len(self.broken)]
        asked.exchanges.append(Http(asked))

    def https(self, state: str) -> list[Http]:
        """The exchanges in *state*."""
        return [http for asked in self.unanswered for http in asked.exchanges if http.state == state]
