"""One interface to each real client: a page in Chromium, or a child process in Node."""

import asyncio
from typing import Any, Protocol

from playwright.async_api import BrowserContext, ConsoleMessage, Page
from playwright.async_api import Error as BrowserError

from tests.e2e.node import TIMEOUT, ClientFailedError, NodeProcess


class RealClient(Protocol):
    """A client someone else wrote, under the control of a test."""

    async def login(self, service: str, jid: str, password: str) -> str: ...

    async def send(self, to: str, text: str) -> None: ...

    async def wait_for_message(self, text: str) -> None: ...

    async def logout(self) -> None: ...

    async def close(self) -> None: ...

    def log(self) -> str: ...


class BrowserClient:
    """The client of a page in a context of its own; a page has ``window.client`` when it is loaded."""

    def __init__(self, context: BrowserContext, page: Page) -> None:
        self._context = context
        self._page = page
        self._console: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._console.append(f"uncaught: {error}"))

    @classmethod
    async def load(cls, context: BrowserContext, url: str) -> "BrowserClient":
        page = await context.new_page()
        client = cls(context, page)
        page.set_default_timeout(TIMEOUT * 1000)
        await page.goto(url)
        await page.wait_for_function("window.client !== undefined")
        return client

    async def login(self, service: str, jid: str, password: str) -> str:
        arguments = {"service": service, "jid": jid, "password": password}
        full_jid: str = await self._evaluate("login", arguments)
        return full_jid

    async def send(self, to: str, text: str) -> None:
        await self._evaluate("send", {"to": to, "text": text})

    async def wait_for_message(self, text: str) -> None:
        await self._page.wait_for_function(
            "text => window.client.received.some(message => message.text === text)", arg=text
        )

    async def logout(self) -> None:
        await self._evaluate("logout", None)

    async def close(self) -> None:
        await self._context.close()

    def log(self) -> str:
        return "\n".join(self._console)

    async def _evaluate(self, method: str, argument: object) -> Any:
        expression = f"argument => window.client.{method}(argument)"
        try:
            return await asyncio.wait_for(self._page.evaluate(expression, argument), TIMEOUT)
        except BrowserError as error:
            raise ClientFailedError(str(error)) from None

    def _on_console(self, message: ConsoleMessage) -> None:
        self._console.append(f"{message.type}: {message.text}"[:2000])


class NodeClient:
    """A client in a Node process of its own."""

    def __init__(self) -> None:
        self._node: NodeProcess
        self._messages: list[str] = []
        self._changed = asyncio.Event()

    @classmethod
    async def load(cls, program: str, name: str) -> "NodeClient":
        client = cls()
        client._node = await NodeProcess.start(program, "node.mjs", name, tell=client._take)
        return client

    async def login(self, service: str, jid: str, password: str) -> str:
        full_jid: str = await self._node.call("login", service=service, jid=jid, password=password)
        return full_jid

    async def send(self, to: str, text: str) -> None:
        await self._node.call("send", to=to, text=text)

    async def wait_for_message(self, text: str) -> None:
        async with asyncio.timeout(TIMEOUT):
            while text not in self._messages:
                self._changed.clear()
                await self._changed.wait()

    async def logout(self) -> None:
        await self._node.call("logout")

    async def close(self) -> None:
        await self._node.close()

    def log(self) -> str:
        return self._node.log()

    def _take(self, told: dict[str, Any]) -> None:
        self._messages.append(told["message"]["text"])
        self._changed.set()
