"""The kit against real servers and the gateway before them, each run a process, as a user would start it."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tests.support.gateway import Gateway, ServedDomain, boshgate_environment
from tests.support.nginx import DiscoveryNginx
from tests.support.ports import free_port
from tests.support.servers import DOMAIN, PASSWORD, XmppServer

VARIABLE = "CONFORMANCE_PASSWORD"
TIMEOUT = 300
"""Seconds; the kit promises less for a healthy server."""


class Run(NamedTuple):
    """One run of the kit: exit *status*, what it printed, and its report."""

    status: int
    output: str
    errors: str
    report: dict[str, Any]

    def names(self, result: str) -> set[str]:
        """The checks that ended so."""
        return {check["name"] for check in self.report["checks"] if check["result"] == result}


class Place(Protocol):
    """Who has the two endpoints."""

    @property
    def bosh_url(self) -> str: ...

    @property
    def websocket_url(self) -> str: ...


@contextmanager
def discoverable(server: XmppServer, directory: Path) -> Iterator[tuple[Gateway, str]]:
    """The gateway before *server* as it is used: clients find it at the domain's origin, the second thing."""
    domain = ServedDomain(DOMAIN, f"tcp://127.0.0.1:{server.plain_port}")
    with Gateway(directory, [domain], server={"public_url": "https://chat.example.org"}) as gateway:
        certificate = server.authority.issue(DOMAIN, file_name="origin")
        nginx = DiscoveryNginx(directory / "nginx", gateway.url, certificate, free_port(), free_port())
        with nginx:
            yield gateway, f"https://{DOMAIN}:{nginx.port}"


async def conformance(server: XmppServer, place: Place, file: Path, *arguments: str) -> Run:
    """Run ``boshgate conformance`` against a *place* with *server* behind it; the report goes to *file*."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "boshgate", "conformance",
        "--bosh", place.bosh_url, "--ws", place.websocket_url, "--domain", DOMAIN,
        "--jid", f"{server.new_user()}@{DOMAIN}", "--password-env", VARIABLE,
        "--json", str(file), *arguments,
        env=boshgate_environment() | {VARIABLE: PASSWORD, "SSL_CERT_FILE": str(server.authority.ca_file)},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        output, errors = await asyncio.wait_for(process.communicate(), TIMEOUT)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None, "communicate() has waited"
    report = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return Run(process.returncode, output.decode(), errors.decode(), report)
