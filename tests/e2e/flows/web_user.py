"""A user of StanzaJS, as a test sees them: what they do is a call, what befalls them is an event."""

import asyncio
from collections.abc import Callable
from typing import Any, Self

from tests.e2e.node import TIMEOUT, NodeProcess

Data = dict[str, Any]
"""A stanza, or a part of one, as StanzaJS writes it in JSON (https://stanzajs.org)."""


class WebUser:
    """One agent of StanzaJS; ``jid`` is the full JID after ``connect``."""

    def __init__(self, node: NodeProcess, name: str) -> None:
        self._node = node
        self.name = name
        self.jid = ""
        self._events: list[tuple[str, Any]] = []
        self._changed = asyncio.Event()

    @property
    def bare_jid(self) -> str:
        return self.jid.partition("/")[0]

    async def connect(self, service: str, jid: str, password: str, **options: object) -> None:
        """Log in at *service*, a URL whose scheme chooses the transport."""
        self.jid = await self._node.call(
            "connect", name=self.name, service=service, jid=jid, password=password, **options
        )

    async def call(self, method: str, *arguments: object) -> Any:
        """Call *method* of the agent (https://stanzajs.org) and return what it promises."""
        return await self._node.call("do", name=self.name, what=method, args=arguments)

    async def wait_for(self, event: str, wanted: Callable[[Any], bool] = lambda data: True) -> Any:
        """Return the data of the first *event* that is *wanted* and was not returned before."""
        async with asyncio.timeout(TIMEOUT):
            while True:
                for number, (name, data) in enumerate(self._events):
                    if name == event and wanted(data):
                        del self._events[number]
                        return data
                self._changed.clear()
                await self._changed.wait()

    async def counts(self) -> dict[str, int]:
        """What each side has counted of the other's stanzas (XEP-0198 section 4)."""
        counted: dict[str, int] = await self._node.call("counts", name=self.name)
        return counted

    async def disconnect(self) -> None:
        """End the stream as StanzaJS does it."""
        await self._node.call("disconnect", name=self.name)
        self.jid = ""

    def take(self, event: str, data: Any) -> None:
        """Keep what the agent told."""
        self._events.append((event, data))
        self._changed.set()

    def log(self) -> str:
        return "\n".join(f"{self.name}: {event} {str(data)[:300]}" for event, data in self._events)


class WebUsers:
    """The Node process of all users of the run."""

    def __init__(self) -> None:
        self._node: NodeProcess
        self._users: dict[str, WebUser] = {}

    @classmethod
    async def start(cls, program: str) -> Self:
        users = cls()
        users._node = await NodeProcess.start(program, "stanza.mjs", tell=users._take)
        return users

    def new(self, name: str) -> WebUser:
        """Return a user nobody has connected yet; *name* is for this process, and unique."""
        self._users[name] = WebUser(self._node, name)
        return self._users[name]

    async def close(self) -> None:
        await self._node.close()

    def log(self) -> str:
        return self._node.log()

    def _take(self, told: Data) -> None:
        self._users[told["agent"]].take(told["event"], told.get("data"))
