"""Every test of the backend runs under both event loops; certificates of all kinds."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest
import trustme
import uvloop

from boshgate.backend.pool import Backends
from boshgate.backend.stream import BackendStream
from boshgate.config import Config, Domain
from tests.backend.scripted import FEATURES, Client, Peer, Script


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run each asynchronous test once under each."""
    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


@dataclass(frozen=True)
class Pki:
    """An authority that the gateway believes, and what servers present."""

    ca_file: Path
    good: ssl.SSLContext
    """For example.org, signed by the authority."""
    wrong_name: ssl.SSLContext
    """For another domain, signed by the authority."""
    expired: ssl.SSLContext
    """For example.org, signed by the authority, of 2001."""
    unknown: ssl.SSLContext
    """For example.org, signed by nobody we know."""
    asking: ssl.SSLContext
    """For example.org, signed by the authority; it asks the client for a certificate."""


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    ca = trustme.CA()
    ca_file = tmp_path_factory.mktemp("pki") / "ca.pem"
    ca.cert_pem.write_to_path(ca_file)
    asking = server_context(ca.issue_cert("example.org"))
    asking.verify_mode = ssl.CERT_OPTIONAL
    asking.load_verify_locations(ca_file)
    return Pki(
        asking=asking,
        ca_file=ca_file,
        good=server_context(ca.issue_cert("example.org")),
        wrong_name=server_context(ca.issue_cert("example.net", "127.0.0.1", "localhost")),
        expired=server_context(ca.issue_cert("example.org", not_after=datetime(2001, 1, 1, tzinfo=UTC))),
        unknown=server_context(trustme.CA().issue_cert("example.org")),
    )


class MakeBackends(Protocol):
    """Makes the `Backends` of example.org; *limits* override the configuration's, also out of their range."""

    def __call__(self, *uris: str, **limits: float) -> Backends: ...


@pytest.fixture
async def make_backends(pki: Pki) -> AsyncIterator[MakeBackends]:
    made: list[Backends] = []

    def make(*uris: str, **limits: float) -> Backends:
        domain = Domain.model_validate({"name": "example.org", "backends": uris, "ca_file": pki.ca_file})
        config = Config(domains=(domain,))
        config = config.model_copy(update={"limits": config.limits.model_copy(update=limits)})
        made.append(Backends(config))
        return made[-1]

    yield make
    for backends in made:
        backends.abort_all()
        await backends.closed()


@pytest.fixture(params=["tcp", "xmpp", "xmpps"])
def scheme(request: pytest.FixtureRequest) -> str:
    """Each way to reach a server."""
    found: str = request.param
    return found


class Ready(Protocol):
    """Makes the script of a server that negotiates by *scheme*, then follows *script*."""

    def __call__(self, script: Script, features: str = FEATURES) -> Script: ...


@pytest.fixture
def ready(pki: Pki, scheme: str) -> Ready:
    def make(script: Script, features: str = FEATURES) -> Script:
        async def whole(peer: Peer) -> None:
            if scheme == "xmpps":
                await peer.starts_tls(pki.good)
            await peer.negotiates(pki.good if scheme == "xmpp" else None, features)
            await script(peer)

        return whole

    return make


class OpenStream(Protocol):
    """Opens a stream to example.org, at *uris*."""

    def __call__(
        self,
        client: Client,
        *uris: str,
        from_: str | None = None,
        lang: str | None = None,
        inherit_lang: bool = False,
        **limits: float,
    ) -> BackendStream: ...


@pytest.fixture
def open_stream(make_backends: MakeBackends) -> OpenStream:
    def open_(
        client: Client,
        *uris: str,
        from_: str | None = None,
        lang: str | None = None,
        inherit_lang: bool = False,
        **limits: float,
    ) -> BackendStream:
        return make_backends(*uris, **limits).open_stream(
            to="Example.ORG",
            from_=from_,
            lang=lang,
            handler=client,
            inherit_lang=inherit_lang,
            client_address="192.0.2.1",
        )

    return open_
