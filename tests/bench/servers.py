"""The servers under measurement: one lean Prosody, and boshgate in front of it."""

import re
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.bench.session import Account
from tests.support.process import Child
from tests.support.servers import DOMAIN, PASSWORD, USERS, Prosody

ACCOUNT = Account(DOMAIN, USERS[0], PASSWORD)
BOSHGATE_READY = re.compile(r"^boshgate ready: http://127\.0\.0\.1:(\d+)", re.MULTILINE)

CONFIGURATION = """
run_as_root = true -- in a container; the sockets are all on loopback
daemonize = false
pidfile = "{directory}/prosody.pid"
data_path = "{directory}/data"
log = {{ {{ levels = {{ min = "warn" }}; to = "file"; filename = "{directory}/prosody.log" }} }}
interfaces = {{ "127.0.0.1" }}
local_interfaces = {{ "127.0.0.1" }}
modules_enabled = {{ "saslauth"; "bosh"; "websocket" }}
modules_disabled = {{ "s2s"; "offline"; "tls" }}
authentication = "internal_plain"
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
c2s_ports = {{ {plain_port} }}
c2s_direct_tls_ports = {{ }}
http_ports = {{ {http_port} }}
http_interfaces = {{ "127.0.0.1" }}
https_ports = {{ }}
http_default_host = "{domain}"
consider_bosh_secure = true
consider_websocket_secure = true
VirtualHost "{domain}"
"""


class LeanProsody(Prosody):
    """Prosody with what a login and a message need and nothing else, the same for every case."""

    @property
    def ports(self) -> set[int]:
        return {self.plain_port, self.http_port}

    def _configuration(self) -> str:
        return CONFIGURATION.format(
            directory=self.directory, domain=DOMAIN, plain_port=self.plain_port, http_port=self.http_port
        )


class Boshgate:
    """`boshgate serve` as a child process, with its default settings, in front of a plain TCP backend."""

    def __init__(self, directory: Path, backend_port: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._backend = f"{DOMAIN}=tcp://127.0.0.1:{backend_port}"
        self._child: Child | None = None
        self.http_port = 0

    @property
    def pid(self) -> int:
        assert self._child is not None, "enter the context first"
        return self._child.pid

    def __enter__(self) -> Self:
        argv = [sys.executable, "-m", "boshgate", "serve", "--host", "127.0.0.1", "--port", "0"]
        argv += ["--admin-port", "0", "--backend", self._backend]
        self._child = child = Child("boshgate", argv, directory=self._directory)
        try:
            child.wait_until(lambda: BOSHGATE_READY.search(child.stdout()) is not None)
        except BaseException:
            child.kill()
            raise
        ready = BOSHGATE_READY.search(child.stdout())
        assert ready is not None
        self.http_port = int(ready[1])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            self._child.stop()
