"""Fixtures for tests with real programs: each server and each gateway is started once, when first asked for.

What is not installed skips its tests, with the reason in the summary; with CI=true that is a failure.
A failed test shows the logs of the programs it used.
"""

import itertools
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from tests.support.certificates import Authority
from tests.support.gateway import Gateway, ServedDomain, Value
from tests.support.nginx import Nginx
from tests.support.ports import free_port
from tests.support.requirements import MissingProgramError, skip_or_fail
from tests.support.servers import (
    CHAT_DOMAIN,
    DIRECT_DOMAIN,
    DOMAIN,
    TLS_DOMAIN,
    WRONG_DOMAIN,
    Ejabberd,
    Prosody,
    XmppServer,
)

DOWN_DOMAIN = "down.example"
"""A domain that the gateway serves, and whose server does not listen."""

Program = TypeVar("Program", Prosody, Ejabberd, Nginx)

LOG_TAIL = 8_000
"""Characters of each log shown with a failed test."""


@dataclass(frozen=True, slots=True)
class Site:
    """An XMPP server, boshgate in front of it, nginx in front of both."""

    name: str
    server: XmppServer
    gateway: Gateway
    nginx: Nginx

    def url(self, transport: str, path: str) -> str:
        """Return the URL of *transport* (``bosh``, ``websocket``) on *path* (``direct``, ``nginx``)."""
        front: Gateway | Nginx = self.nginx if path == "nginx" else self.gateway
        return front.bosh_url if transport == "bosh" else front.websocket_url

    def log(self) -> str:
        return self.gateway.log()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The certificate authority of this run."""
    return Authority(tmp_path_factory.mktemp("authority"))


def _running(program: Program) -> Iterator[Program]:
    with ExitStack() as stack:
        try:
            stack.enter_context(program)
        except MissingProgramError as error:
            skip_or_fail(str(error))
        yield program


@pytest.fixture(scope="session")
def prosody(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Prosody]:
    yield from _running(Prosody(tmp_path_factory.mktemp("prosody"), authority))


@pytest.fixture(scope="session")
def ejabberd(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Ejabberd]:
    yield from _running(Ejabberd(tmp_path_factory.mktemp("ejabberd"), authority))


def served_domains(server: XmppServer) -> list[ServedDomain]:
    """Every domain of *server*, each reached in its own way, and one that is down."""
    ca_file = server.authority.ca_file
    return [
        ServedDomain(DOMAIN, f"tcp://127.0.0.1:{server.plain_port}"),
        ServedDomain(CHAT_DOMAIN, f"tcp://127.0.0.1:{server.plain_port}"),
        ServedDomain(TLS_DOMAIN, f"xmpp://127.0.0.1:{server.starttls_port}", ca_file),
        ServedDomain(WRONG_DOMAIN, f"xmpp://127.0.0.1:{server.starttls_port}", ca_file),
        ServedDomain(DIRECT_DOMAIN, f"xmpps://127.0.0.1:{server.direct_tls_port}", ca_file),
        ServedDomain(DOWN_DOMAIN, f"tcp://127.0.0.1:{free_port()}"),
    ]


@pytest.fixture(scope="session")
def prosody_gateway(tmp_path_factory: pytest.TempPathFactory, prosody: Prosody) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("gateway-prosody"), served_domains(prosody)) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def ejabberd_gateway(tmp_path_factory: pytest.TempPathFactory, ejabberd: Ejabberd) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("gateway-ejabberd"), served_domains(ejabberd)) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def prosody_nginx(tmp_path_factory: pytest.TempPathFactory, prosody_gateway: Gateway) -> Iterator[Nginx]:
    yield from _running(Nginx(tmp_path_factory.mktemp("nginx-prosody"), prosody_gateway.url))


@pytest.fixture(scope="session")
def ejabberd_nginx(tmp_path_factory: pytest.TempPathFactory, ejabberd_gateway: Gateway) -> Iterator[Nginx]:
    yield from _running(Nginx(tmp_path_factory.mktemp("nginx-ejabberd"), ejabberd_gateway.url))


@pytest.fixture(scope="session", params=["prosody", "ejabberd"])
def server(request: pytest.FixtureRequest) -> XmppServer:
    """Each real server in turn."""
    found: XmppServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def gateway(request: pytest.FixtureRequest, server: XmppServer) -> Gateway:
    """The gateway in front of each real server."""
    found: Gateway = request.getfixturevalue(f"{server.name}_gateway")
    return found


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest, server: XmppServer, gateway: Gateway) -> Site:
    """Each real server with all that stands in front of it."""
    return Site(server.name, server, gateway, request.getfixturevalue(f"{server.name}_nginx"))


class MakeGateway(Protocol):
    """Starts a gateway of a test's own, which ends with the test and must end well."""

    def __call__(
        self, domains: Sequence[ServedDomain], *, log_level: str = "info", **tables: Mapping[str, Value]
    ) -> Gateway: ...


@pytest.fixture
def make_gateway(tmp_path: Path) -> Iterator[MakeGateway]:
    """``make_gateway(domains, log_level=..., bosh={...}, ...)``."""
    with ExitStack() as stack:
        numbers = itertools.count(1)

        def make(
            domains: Sequence[ServedDomain], *, log_level: str = "info", **tables: Mapping[str, Value]
        ) -> Gateway:
            directory = tmp_path / f"gateway-{next(numbers)}"
            return stack.enter_context(Gateway(directory, domains, log_level=log_level, **tables))

        yield make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the logs of the programs that a failed test used."""
    report = yield
    if report.failed and report.when != "teardown":  # by then the programs are being ended
        for name, value in getattr(item, "funcargs", {}).items():
            log = getattr(value, "log", None)
            if callable(log):
                report.sections.append((f"log of {name}", str(log())[-LOG_TAIL:]))
    return report
