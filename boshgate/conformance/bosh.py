"""A BOSH client without a will of its own: it counts rids where nobody tells it another, and remembers."""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import Self

from boshgate.conformance.check import Fails, Unanswered, expect
from boshgate.conformance.wire import Answer, Http
from boshgate.conformance.xml import Element, quoteattr, tag, written
from boshgate.namespaces import HTTPBIND, STREAMS, XBOSH

PROMPT = 3.0
"""Seconds that "at once" may take on a slow machine."""

LATE = 2.5
"""Seconds after ``wait`` in which a held request still counts as answered in time."""

VERSION = f"{{{XBOSH}}}version"
RESTARTLOGIC = f"{{{XBOSH}}}restartlogic"
FEATURES = f"{{{STREAMS}}}features"
STREAM_ERROR = f"{{{STREAMS}}}error"

FIRST_RID_BITS = 40

HELD = 60.0
"""Seconds after which a request is given up that nobody waits for any more."""


class Pending:
    """A request that was sent; its response may be waited for, or the connection broken."""

    def __init__(self, task: asyncio.Task[Answer], rid: int, body: str, http: Http) -> None:
        self._task = task
        self._http = http
        self.rid = rid
        self.body = body
        """The <body/> as it was sent, for a repeat."""

    @property
    def is_answered(self) -> bool:
        return self._task.done()

    async def answer(self, within: float | None = None, what: str = "a request") -> Answer:
        """The response; the check fails where it does not come in that time."""
        patience = self._http.patience if within is None else within * self._http.pace
        done, _ = await asyncio.wait([self._task], timeout=patience)
        if not done:
            failure = Unanswered if within is None else Fails
            raise failure(f"{what} was not answered within {patience:.0f} s")
        return self._task.result()

    async def is_held(self, seconds: float) -> bool:
        """Whether it stays unanswered for so long."""
        await asyncio.wait([self._task], timeout=seconds)
        return not self._task.done()

    async def seen(self) -> str:
        """What it was answered with, for a reason."""
        return str(await self.answer(0.1)) if self._task.done() else "no answer yet"

    async def break_connection(self) -> None:
        """Close the connection without waiting for the response (section 14.3)."""
        self._task.cancel()
        await asyncio.wait([self._task], timeout=PROMPT)


class Bosh:
    """One session, or none yet. *attributes* of a method become those of the <body/>, None leaves one out."""

    def __init__(self, http: Http, domain: str, settle: float) -> None:
        self.http = http
        self.domain = domain
        self.settle_seconds = settle
        self.sid: str | None = None
        self.rid = secrets.randbits(FIRST_RID_BITS) + 1
        self.ended = False
        self.jid = ""
        self.created: Answer | None = None
        self.refusal: str | None = None
        """The condition with which a session was refused."""
        self.received: list[Element] = []
        """Payloads of all responses that `ask`, `exchange` and `wait_for` have read."""
        self.adds: Callable[[], dict[str, str]] | None = None
        """Gives further attributes for each request: keys (section 15), the name of a stream (16)."""
        self.poll_interval = 0.0
        """Seconds before each empty request of `wait_for`, in a polling session (section 12)."""
        self._pending: list[asyncio.Task[Answer]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the session, so that the server does not keep it, and everything that still waits."""
        if self.sid and not self.ended:
            await asyncio.wait([self.send(attributes={"type": "terminate"})._task], timeout=PROMPT)
        for task in self._pending:
            task.cancel()
        if self._pending:
            await asyncio.wait(self._pending, timeout=PROMPT)
        for task in self._pending:
            if task.done() and not task.cancelled():
                task.exception()  # was of no interest, and is not to be missed

    # 7: creation

    async def create(self, attributes: Mapping[str, str | None] | None = None, payload: str = "") -> Answer:
        """Ask for a session; the response may refuse it."""
        usual: dict[str, str | None] = {
            "to": self.domain, "wait": "20", "hold": "1", "ver": "1.11",
            "xml:lang": "en", "xmpp:version": "1.0",
        }  # fmt: skip
        answer = await self.ask(payload, usual | dict(attributes or {}))
        if answer.body is not None and answer.body.get("sid") and not answer.is_terminate:
            self.sid = answer.get("sid")
            self.created = answer
        elif answer.is_terminate:
            self.refusal = answer.get("condition")
        return answer

    async def open(self, **attributes: str | None) -> Self:
        """Ask for a session and have it; a refusal fails the check."""
        answer = await self.create(attributes)
        if self.sid is None:
            raise Fails(f"no session: {answer}")
        return self

    def granted(self, name: str) -> str | None:
        """An attribute of the creation response."""
        assert self.created is not None, "create() comes first"
        return self.created.get(name)

    def number(self, name: str) -> int | None:
        """A whole number in the creation response; None where it is not there."""
        text = self.granted(name)
        if text is not None and not (text.isascii() and text.isdecimal()):
            raise Fails(f"{name}={text!r} in the creation response is no number")
        return None if text is None else int(text)

    @property
    def requests(self) -> int:
        """How many requests may be outstanding."""
        number = self.number("requests")
        if number is None:
            raise Fails("the creation response has no 'requests'")
        return number

    # Requests

    def wrap(self, payload: str = "", attributes: Mapping[str, str | None] | None = None) -> str:
        """A <body/> with exactly these attributes."""
        given = {name: value for name, value in (attributes or {}).items() if value is not None}
        text = "".join(f" {name}={quoteattr(value)}" for name, value in given.items())
        return f"<body xmlns='{HTTPBIND}' xmlns:xmpp='{XBOSH}'{text}>{payload}</body>"

    def send(
        self,
        payload: str = "",
        attributes: Mapping[str, str | None] | None = None,
        *,
        rid: int | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Pending:
        """Send the next request, or the one with *rid*, and do not wait for the response."""
        if rid is None:
            self.rid += 1
            rid = self.rid
        added = self.adds() if self.adds is not None else {}
        named: dict[str, str | None] = {"rid": str(rid), "sid": self.sid, **added, **(attributes or {})}
        return self.resend(self.wrap(payload, named), rid, headers)

    def resend(self, body: str, rid: int, headers: Mapping[str, str | None] | None = None) -> Pending:
        """Send *body* as it is."""
        task = asyncio.create_task(self.http.request(body, headers, patience=HELD))
        self._pending.append(task)
        return Pending(task, rid, body, self.http)

    async def ask(
        self,
        payload: str = "",
        attributes: Mapping[str, str | None] | None = None,
        *,
        headers: Mapping[str, str | None] | None = None,
        within: float | None = None,
    ) -> Answer:
        """Send a request and wait for its response."""
        kind = (attributes or {}).get("type")
        what = (
            f"a request with type='{kind}'"
            if kind
            else f"a request with {payload[:30]}"
            if payload
            else "a request"
        )
        return self.note(await self.send(payload, attributes, headers=headers).answer(within, what))

    def note(self, answer: Answer) -> Answer:
        """Remember the payloads of a response, and the end of the session."""
        if answer.body is not None and answer.status == 200:
            self.received += answer.payloads
            self.ended = self.ended or answer.is_terminate
        return answer

    async def settle(self) -> None:
        """Let what was sent arrive before anything else is."""
        await asyncio.sleep(self.settle_seconds)

    # Payloads

    async def exchange(self, payload: str, wanted: Callable[[Element], bool], what: str) -> Element:
        """Send *payload* and read until the element that is *wanted* comes."""
        seen = len(self.received)
        await self.ask(payload)
        return await self.wait_for(wanted, what, seen)

    async def wait_for(self, wanted: Callable[[Element], bool], what: str, since: int = 0) -> Element:
        """Ask with empty requests until the element that is *wanted* comes."""
        deadline = asyncio.get_running_loop().time() + self.http.patience
        while True:
            found = next(filter(wanted, self.received[since:]), None)
            if found is not None:
                return found
            if self.ended:
                last = written(self.received[-1]) if self.received else "nothing"
                raise Fails(f"the session ended before {what} came; last payload: {last}")
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                raise Unanswered(f"{what} did not come within {self.http.patience:.0f} s")
            since = len(self.received)
            await asyncio.sleep(self.poll_interval)
            await self._poll(left)

    async def _poll(self, seconds: float) -> None:
        """One empty request; that nothing came with it is told by whoever waits."""
        pending = self.send()
        if not await pending.is_held(seconds):
            self.note(await pending.answer())

    async def features(self) -> Element:
        """The features, in the creation response or in a later one (XEP-0206 section 4)."""
        return await self.wait_for(lambda element: tag(element) == FEATURES, "<stream:features/>")

    async def read(
        self, pending: list[Pending], wanted: Callable[[Element], bool], what: str, since: int = 0
    ) -> Element:
        """Take the responses to *pending*, in order, and ask on until the element that is *wanted* comes.

        Those that were read leave *pending*. The others may be held for long: nothing needs to be in them.
        """
        while pending and not any(map(wanted, self.received[since:])):
            self.note(await pending.pop(0).answer(what=f"a request that {what} was due on"))
        return await self.wait_for(wanted, what, since)

    async def is_alive(self) -> bool:
        """Whether the session still is one, by ending it (section 13)."""
        answer = await self.ask(attributes={"type": "terminate"})
        return answer.status == 200 and answer.get("condition") is None

    async def expect_gone(self, what: str) -> None:
        """The next request is item-not-found (section 10: as if there were no session)."""
        request = self.send()
        if await request.is_held(PROMPT):
            raise Fails(f"{what}: the session is still there, and holds the next request")
        expect_terminal(self.note(await request.answer()), "item-not-found", what=what)


def expect_terminal(answer: Answer, *conditions: str, what: str) -> None:
    """The response ends the session with one of *conditions* (section 17.2), HTTP status 200 (17.1)."""
    expect(answer.is_terminate, f"{what}: no type='terminate' but {answer}")
    wanted = " or ".join(conditions)
    expect(answer.get("condition") in conditions, f"{what}: {answer.get('condition')} instead of {wanted}")


def expect_empty(answer: Answer, what: str) -> None:
    """The response is an ordinary one without payload (section 8)."""
    expect(answer.is_empty, f"{what}: not an empty response but {answer}")


def expect_order(first: Answer, second: Answer) -> None:
    """*first* was answered before *second*, as far as that can be told on two connections (section 14.2)."""
    expect(first.at <= second.at + 0.1, "the higher rid was answered first")
