"""One interface to each real client: a page in Chromium, or a child process in Node."""

import asyncio
import contextlib
import json
import os
from pathlib import Path
from typing import Any, Protocol

from playwright.async_api import BrowserContext, ConsoleMessage, Page
from playwright.async_api import Error as BrowserError

from tests.support.process import die_with_parent

HERE = Path(__file__).parent
TIMEOUT = 20.0


class ClientFailedError(Exception):
    """The client reported an error, e.g. the condition with which a login failed."""


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
    """A client in a Node process that is called over its standard input, a line of JSON for each call."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._messages: list[str] = []
        self._changed = asyncio.Event()
        self._errors = bytearray()
        self._tasks = [asyncio.create_task(self._read_stdout()), asyncio.create_task(self._read_stderr())]

    @classmethod
    async def load(cls, program: str, name: str) -> "NodeClient":
        process = await asyncio.create_subprocess_exec(
            program,
            str(HERE / "clients" / "node.mjs"),
            name,
            cwd=HERE,
            env={**os.environ, "NO_COLOR": "1"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=4 * 1024 * 1024,
            preexec_fn=die_with_parent,
        )
        return cls(process)

    async def login(self, service: str, jid: str, password: str) -> str:
        full_jid: str = await self._call("login", service=service, jid=jid, password=password)
        return full_jid

    async def send(self, to: str, text: str) -> None:
        await self._call("send", to=to, text=text)

    async def wait_for_message(self, text: str) -> None:
        async with asyncio.timeout(TIMEOUT):
            while text not in self._messages:
                self._changed.clear()
                await self._changed.wait()

    async def logout(self) -> None:
        await self._call("logout")

    async def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await asyncio.gather(*self._tasks)
        stdin = self._process.stdin
        assert stdin is not None, "a pipe was asked for"
        stdin.close()
        with contextlib.suppress(ConnectionError):
            await stdin.wait_closed()

    def log(self) -> str:
        return self._errors.decode("utf-8", "replace")

    async def _call(self, method: str, **params: str) -> Any:
        assert self._process.stdin is not None, "a pipe was asked for"
        future = asyncio.get_running_loop().create_future()
        identifier = len(self._calls)
        self._calls[identifier] = future
        line = json.dumps({"id": identifier, "method": method, "params": params})
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()
        return await asyncio.wait_for(future, TIMEOUT)

    async def _read_stdout(self) -> None:
        assert self._process.stdout is not None, "a pipe was asked for"
        async for line in self._process.stdout:
            answer = json.loads(line)
            if "message" in answer:
                self._messages.append(answer["message"]["text"])
                self._changed.set()
            elif "error" in answer:
                self._calls[answer["id"]].set_exception(ClientFailedError(answer["error"]))
            else:
                self._calls[answer["id"]].set_result(answer["result"])

    async def _read_stderr(self) -> None:
        assert self._process.stderr is not None, "a pipe was asked for"
        while data := await self._process.stderr.read(65536):
            self._errors += data
