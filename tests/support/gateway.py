"""boshgate as a child process: a configuration in, URLs and a log out, and a clean end demanded."""

import json
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.process import Child

_READY = re.compile(r"^boshgate ready: (http://\S+) \(admin (http://\S+)\)$", re.MULTILINE)

Value = str | int | bool | Sequence[str]


@dataclass(frozen=True, slots=True)
class ServedDomain:
    """One ``[[domains]]`` table."""

    name: str
    backend: str
    ca_file: Path | None = None


def to_toml(domains: Sequence[ServedDomain], tables: Mapping[str, Mapping[str, Value]]) -> str:
    """Return a configuration file; a JSON string, number or list of them is also one of TOML."""
    lines: list[str] = []
    for name, table in tables.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    for domain in domains:
        lines += [
            "[[domains]]",
            f"name = {json.dumps(domain.name)}",
            f"backends = [{json.dumps(domain.backend)}]",
        ]
        if domain.ca_file is not None:
            lines.append(f"ca_file = {json.dumps(str(domain.ca_file))}")
    return "\n".join(lines) + "\n"


def boshgate_environment() -> dict[str, str]:
    """The environment for a boshgate process: no setting of this machine, warnings shown."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BOSHGATE_")}
    root = str(Path(__file__).parent.parent.parent)
    return environment | {"PYTHONPATH": root, "PYTHONUNBUFFERED": "1"}


class Gateway:
    """``boshgate serve`` for *domains*; *tables* are further tables of its configuration.

    Leaving the context sends SIGTERM and asserts exit status 0 and a log without a traceback.
    """

    def __init__(
        self,
        directory: Path,
        domains: Sequence[ServedDomain],
        *,
        log_level: str = "info",
        **tables: Mapping[str, Value],
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._log_level = log_level
        self._child: Child | None = None
        self.url = ""
        self.admin_url = ""
        listeners: dict[str, Mapping[str, Value]] = {"server": {"port": 0}, "admin": {"port": 0}}
        merged = {
            name: {**listeners.get(name, {}), **tables.get(name, {})} for name in {**listeners, **tables}
        }
        self.config_file = directory / "boshgate.toml"
        self.config_file.write_text(to_toml(domains, merged))

    @property
    def bosh_url(self) -> str:
        return f"{self.url}/http-bind"

    @property
    def websocket_url(self) -> str:
        return f"{self.url.replace('http', 'ws', 1)}/xmpp-websocket"

    @property
    def child(self) -> Child:
        assert self._child is not None, "start() comes first"
        return self._child

    def start(self) -> Self:
        """Start the gateway and return when it has said that it is ready."""
        argv = [sys.executable, "-m", "boshgate", "serve", "--config", str(self.config_file)]
        argv += ["--log-level", self._log_level]
        self._child = Child("boshgate", argv, directory=self.directory, env=boshgate_environment())
        try:
            self._child.wait_until(lambda: _READY.search(self.child.stdout()) is not None)
        except BaseException:
            self._child.kill()
            raise
        ready = _READY.search(self._child.stdout())
        assert ready is not None, "wait_until has just seen it"
        self.url, self.admin_url = ready[1], ready[2]
        return self

    def terminate(self, timeout: float = 10.0) -> int:
        """Send SIGTERM and return the exit status."""
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(timeout)

    def log(self) -> str:
        """Everything the gateway has printed, on both streams."""
        return self.child.stdout() + self.child.stderr()

    def assert_healthy_end(self) -> None:
        """End it, and see that it ended well and never had an exception nobody caught."""
        if self.child.returncode is None:
            self.child.send_signal(signal.SIGTERM)
        try:
            status = self.child.wait()
        finally:
            self.child.kill()
        log = self.log()
        assert status == 0, self.child.describe(f"ended with status {status}")
        for word in ("Traceback", "never awaited", "never retrieved", "ResourceWarning"):
            assert word not in log, self.child.describe(f"has {word!r} in its log")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.assert_healthy_end()
        else:
            self.child.stop()
