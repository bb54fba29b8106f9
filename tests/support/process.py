"""A child process that cannot outlive the test run: own group, log in a file, ended by its own pid."""

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal this process gets when its parent dies."""

POLL_INTERVAL = 0.02
STOP_TIMEOUT = 10.0

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Between fork and exec: ask for SIGTERM when the parent dies, however it dies (Linux only)."""
    prctl = getattr(_libc, "prctl", None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class ChildFailedError(Exception):
    """A child ended or stayed silent where it should have become ready; the message holds its log."""


class Child:
    """One running program: *stdout* and *stderr* go to files in *directory*, which outlive it."""

    def __init__(
        self, name: str, argv: Sequence[str], *, directory: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.stdout_path = directory / f"{name}.stdout"
        self.stderr_path = directory / f"{name}.stderr"
        with self.stdout_path.open("wb") as stdout, self.stderr_path.open("wb") as stderr:
            self._popen = subprocess.Popen(
                list(argv),
                cwd=directory,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                process_group=0,
                preexec_fn=die_with_parent,  # noqa: PLW1509  (it calls nothing that takes a lock)
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        return self._popen.poll()

    def stdout(self) -> str:
        return self.stdout_path.read_text("utf-8", "replace")

    def stderr(self) -> str:
        return self.stderr_path.read_text("utf-8", "replace")

    def send_signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def wait(self, timeout: float = STOP_TIMEOUT) -> int:
        """Wait for the end and return the exit status; raise ChildFailedError after *timeout*."""
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ChildFailedError(self.describe(f"still runs after {timeout} s")) from None

    def wait_until(self, ready: Callable[[], bool], *, timeout: float = 30.0) -> None:
        """Return when *ready* holds; raise ChildFailedError when the child ends first, or after *timeout*."""
        deadline = time.monotonic() + timeout
        while not ready():
            if self.returncode is not None:
                raise ChildFailedError(self.describe(f"ended with status {self.returncode}"))
            if time.monotonic() > deadline:
                raise ChildFailedError(self.describe(f"is not ready after {timeout} s"))
            time.sleep(POLL_INTERVAL)

    def stop(self, timeout: float = STOP_TIMEOUT) -> int:
        """End the child with SIGTERM, its whole process group with SIGKILL when that is not enough."""
        if self._popen.poll() is None:
            self._popen.terminate()
            try:
                self._popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self._kill_group()
        returncode = self._popen.wait(STOP_TIMEOUT)
        self._kill_group()
        return returncode

    def kill(self) -> None:
        """End the child's whole process group at once."""
        self._kill_group()
        self._popen.wait(STOP_TIMEOUT)

    def describe(self, what: str) -> str:
        """Return *what* happened followed by everything the child printed."""
        return f"{self.name} {what}\n--- stdout\n{self.stdout()}\n--- stderr\n{self.stderr()}"

    def _kill_group(self) -> None:
        try:
            os.killpg(self._popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # all have ended

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether somebody listens on *port*."""
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False
