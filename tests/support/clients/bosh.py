"""XMPP over BOSH (XEP-0124, XEP-0206) with httpx: two requests at most, answers taken in rid order."""

import asyncio
import contextlib
import itertools
from xml.etree.ElementTree import Element, fromstring
from xml.sax.saxutils import quoteattr

import httpx

from tests.support.clients.base import HTTPBIND, TIMEOUT, XBOSH, Connection, StreamEndedError

_FIRST_RID = itertools.count(100_000, 10_000)


async def post_body(
    http: httpx.AsyncClient, url: str, attributes: dict[str, str], payload: str = ""
) -> Element:
    """POST one <body/> and return the parsed answer."""
    response = await http.post(url, content=body(attributes, payload), headers={"Content-Type": "text/xml"})
    assert response.status_code == 200, f"{response.status_code} {response.text}"
    return fromstring(response.content)


def body(attributes: dict[str, str], payload: str = "") -> bytes:
    """Return a <body/> document."""
    written = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    return f"<body xmlns='{HTTPBIND}' xmlns:xmpp='{XBOSH}'{written}>{payload}</body>".encode()


class BoshConnection(Connection):
    """A session with *domain* through the BOSH endpoint *url*; *options* are further creation attributes."""

    def __init__(self, domain: str, url: str, http: httpx.AsyncClient | None = None, **options: str) -> None:
        super().__init__(domain)
        self._url = url
        self._own_http = http is None
        self._http = http or httpx.AsyncClient(timeout=90, trust_env=False)
        self._options = options
        self._rid = next(_FIRST_RID)
        self.sid = ""
        self.creation: Element | None = None
        self._ended = False
        self._answers: asyncio.Queue[asyncio.Task[Element]] = asyncio.Queue()
        self._outstanding: set[asyncio.Task[Element]] = set()
        self._window = asyncio.Semaphore(2)
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        attributes = {"to": self.domain, "wait": "60", "hold": "1", "ver": "1.11", "xml:lang": "en"}
        attributes |= {"xmpp:version": "1.0", "rid": str(self._rid)} | self._options
        self.creation = await post_body(self._http, self._url, attributes)
        self.sid = self.creation.get("sid", "")
        self._deliver(self.creation)
        if not self._ended:
            self._reading = asyncio.create_task(self._read())
            await self._poll()

    async def restart(self) -> None:
        await self._request({"xmpp:restart": "true", "to": self.domain, "xml:lang": "en"})

    async def send(self, xml: str, **attributes: str) -> None:
        """Send *xml*, in a <body/> that has *attributes* besides."""
        await self._request(attributes, xml)

    async def close(self) -> None:
        """Terminate the session (XEP-0124 section 13) and wait until every request is answered."""
        if not self._ended and self.sid:
            with contextlib.suppress(StreamEndedError):
                await self._request({"type": "terminate"})
        await self._finish()

    async def cut(self) -> None:
        self._ended = True
        for task in self._outstanding:
            task.cancel()
        if self._reading is not None:
            self._reading.cancel()
        await self._finish()

    async def _finish(self) -> None:
        if self._reading is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(self._reading, TIMEOUT)
        if self._outstanding:
            await asyncio.wait(self._outstanding, timeout=TIMEOUT)
        if self._own_http:
            await self._http.aclose()

    async def _request(self, attributes: dict[str, str], payload: str = "") -> None:
        await self._window.acquire()
        if self._ended:
            self._window.release()
            raise StreamEndedError(None, "the session is over")
        self._rid += 1
        task = asyncio.create_task(
            post_body(self._http, self._url, {"rid": str(self._rid), "sid": self.sid} | attributes, payload)
        )
        self._outstanding.add(task)
        task.add_done_callback(self._answered)
        self._answers.put_nowait(task)

    def _answered(self, task: asyncio.Task[Element]) -> None:
        self._outstanding.discard(task)
        self._window.release()

    async def _poll(self) -> None:
        """Keep one request at the connection manager while there is nothing to say (section 8).

        A task that is done stays in `_outstanding` until its callback has run, one turn of the loop later.
        """
        if not self._ended and all(task.done() for task in self._outstanding):
            await self._request({})

    async def _read(self) -> None:
        """Take the answers in rid order until the session is over and all are answered."""
        while not (self._ended and self._answers.empty()):
            try:
                self._deliver(await (await self._answers.get()))
            except (httpx.HTTPError, AssertionError) as error:
                self._ended = True
                self._incoming.put_nowait(StreamEndedError(None, repr(error)))
            await self._poll()

    def _deliver(self, answer: Element) -> None:
        for payload in answer:
            self._incoming.put_nowait(payload)
        if answer.get("type") == "terminate":
            self._ended = True
            self._incoming.put_nowait(StreamEndedError(answer.get("condition"), "terminate"))
