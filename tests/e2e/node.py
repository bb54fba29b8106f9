"""A Node process that is called on its standard input and tells on its standard output, in lines of JSON."""

import asyncio
import contextlib
import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.support.process import die_with_parent

HERE = Path(__file__).parent
TIMEOUT = 20.0


class ClientFailedError(Exception):
    """The client reported an error, e.g. the condition with which a login failed, or an <iq/>."""

    def __init__(self, error: str | dict[str, Any]) -> None:
        super().__init__(error)
        self.error = error


class NodeProcess:
    """A script of ``clients/`` in Node; what it tells besides its answers goes to *tell*."""

    def __init__(self, process: asyncio.subprocess.Process, tell: Callable[[dict[str, Any]], None]) -> None:
        self._process = process
        self._tell = tell
        self._ids = itertools.count(1)
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._errors = bytearray()
        self._tasks = [asyncio.create_task(self._read_stdout()), asyncio.create_task(self._read_stderr())]

    @classmethod
    async def start(
        cls, program: str, script: str, *arguments: str, tell: Callable[[dict[str, Any]], None]
    ) -> Self:
        """Start *script* in *program*, which is Node."""
        process = await asyncio.create_subprocess_exec(
            program,
            str(HERE / "clients" / script),
            *arguments,
            cwd=HERE,
            env={**os.environ, "NO_COLOR": "1"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=4 * 1024 * 1024,
            preexec_fn=die_with_parent,
        )
        return cls(process, tell)

    async def call(self, method: str, **params: object) -> Any:
        """Call *method* of the script, and return what it returns."""
        assert self._process.stdin is not None, "a pipe was asked for"
        future = asyncio.get_running_loop().create_future()
        identifier = next(self._ids)
        self._calls[identifier] = future
        line = json.dumps({"id": identifier, "method": method, "params": params})
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()
        return await asyncio.wait_for(future, TIMEOUT)

    async def close(self) -> None:
        """End the process."""
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
        """Return what the script and its libraries printed."""
        return self._errors.decode("utf-8", "replace")

    async def _read_stdout(self) -> None:
        assert self._process.stdout is not None, "a pipe was asked for"
        async for line in self._process.stdout:
            told = json.loads(line)
            if "id" not in told:
                self._tell(told)
                continue
            future = self._calls.pop(told["id"])
            if future.done():
                continue  # nobody waits any more
            if "error" in told:
                future.set_exception(ClientFailedError(told["error"]))
            else:
                future.set_result(told["result"])
        for future in self._calls.values():
            if not future.done():
                future.set_exception(ClientFailedError(f"the process ended: {self.log()}"))

    async def _read_stderr(self) -> None:
        assert self._process.stderr is not None, "a pipe was asked for"
        while data := await self._process.stderr.read(65536):
            self._errors += data
