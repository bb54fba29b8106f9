"""Proxies on loopback that stand between two programs: one records and cuts TCP, one loses HTTP requests."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass(slots=True)
class Recording:
    """What went through one TCP connection."""

    from_client: bytearray = field(default_factory=bytearray)
    from_server: bytearray = field(default_factory=bytearray)
    client_ended: bool = False
    """Whether the client has sent FIN."""


class _Proxy:
    """Listens on ``port``; each connection is served by ``_serve`` in a task that ends with the proxy."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio runs this in a task"
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # one side has gone, which is what these proxies are for
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None, "entered before"
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()


class RecordingProxy(_Proxy):
    """Passes bytes both ways and keeps them: one Recording for each connection, in ``recordings``."""

    def __init__(self, target_port: int) -> None:
        super().__init__(target_port)
        self.recordings: list[Recording] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recording = Recording()
        self.recordings.append(recording)
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(_copy(reader, server_writer, recording.from_client))
                sending.add_done_callback(
                    lambda task: setattr(recording, "client_ended", not task.cancelled())
                )
                group.create_task(_copy(server_reader, writer, recording.from_server))
        except* ConnectionError:
            pass
        finally:
            server_writer.close()
            with contextlib.suppress(ConnectionError):
                await server_writer.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: bytearray) -> None:
    while data := await reader.read(65536):
        record += data
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


class LossyHttpProxy(_Proxy):
    """An HTTP/1.1 proxy that swallows the requests for which *loses(body)* holds: no answer, no error.

    To the server behind such a request never existed; to the client it is on its way for ever.
    """

    def __init__(self, target_port: int, loses: Callable[[bytes], bool]) -> None:
        super().__init__(target_port)
        self._loses = loses
        self.lost: list[bytes] = []
        self._lost_one = asyncio.Event()
        self.passed: list[bytes] = []
        self.answers: list[bytes] = []

    async def wait_until_lost(self) -> None:
        """Return when a request has been lost."""
        await self._lost_one.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        try:
            while True:
                head, body = await _read_http(reader)
                if self._loses(body):
                    self.lost.append(body)
                    self._lost_one.set()
                    await reader.read()  # until the client gives the connection up
                    return
                self.passed.append(body)
                server_writer.write(head + body)
                head, body = await _read_http(server_reader)
                self.answers.append(body)
                writer.write(head + body)
                await writer.drain()
        finally:
            server_writer.close()
            with contextlib.suppress(ConnectionError):
                await server_writer.wait_closed()


async def _read_http(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Read one message with a Content-Length; return its head and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return head, await reader.readexactly(length)
