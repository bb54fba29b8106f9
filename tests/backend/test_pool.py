"""All domains: who is served, how many streams there are, whether a server can be reached."""

import asyncio

import pytest

from boshgate.backend import pool
from boshgate.backend.pool import Backends
from boshgate.config import Config, Domain
from boshgate.errors import ConnectFailed
from tests.backend.conftest import MakeBackends
from tests.backend.scripted import Client, Peer, ScriptedServer


def backends_of(names: tuple[str, ...]) -> Backends:
    domains = [Domain.model_validate({"name": name, "backends": ["tcp://127.0.0.1"]}) for name in names]
    return Backends(Config(domains=tuple(domains)))


async def silent(peer: Peer) -> None:
    await peer.ends_anyhow()


@pytest.mark.rule("C2")
async def test_domains_are_compared_folded() -> None:
    backends = backends_of(("Example.ORG", "bücher.example"))
    for name in ("example.org", "EXAMPLE.org.", "xn--bcher-kva.example", "BÜCHER.example"):
        assert backends.serves(name)
    for name in ("example.net", "sub.example.org", "a@example.org", "example.org:5222", "", "a..b\u00fc"):
        assert not backends.serves(name)


async def test_only_configured_domains_are_connected_to() -> None:  # attack S14
    client = Client()
    with pytest.raises(ConnectFailed, match=r"'127\.0\.0\.1:22' is not served here"):
        backends_of(("example.org",)).open_stream(
            to="127.0.0.1:22", from_=None, lang=None, handler=client, inherit_lang=False, client_address=None
        )
    assert client.calls == []


async def test_streams_are_counted_until_their_connections_are_gone(make_backends: MakeBackends) -> None:
    async def script(peer: Peer) -> None:
        await peer.negotiates()
        await peer.hears_rest()

    async with ScriptedServer(script) as server:
        backends = make_backends(f"tcp://127.0.0.1:{server.port}")
        await backends.closed()
        clients = [Client() for _ in range(3)]
        for client in clients:
            backends.open_stream(
                to="example.org",
                from_=None,
                lang=None,
                handler=client,
                inherit_lang=False,
                client_address=None,
            )
        assert backends.live == 3
        for client in clients:
            await client.opened()
        backends.abort_all()
        await asyncio.gather(backends.closed(), backends.closed())
        assert backends.live == 0
        for client in clients:
            assert await client.closed() is None


async def test_one_backend_that_accepts_is_enough(make_backends: MakeBackends) -> None:
    async with ScriptedServer(silent) as server:
        closed = server.port
    async with ScriptedServer(silent) as server:
        uris = (f"tcp://127.0.0.1:{closed}", f"xmpps://127.0.0.1:{server.port}")
        assert await make_backends(*uris).reachable()
    assert not await make_backends(*uris).reachable()


async def test_without_domains_nothing_is_reachable() -> None:
    assert not await backends_of(()).reachable()


async def test_a_name_that_does_not_resolve_is_not_reachable(
    make_backends: MakeBackends, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise OSError

    monkeypatch.setattr(pool, "resolve", resolve)
    assert not await make_backends("tcp://nowhere.example.org").reachable()


async def test_the_answer_is_kept_for_two_seconds(
    make_backends: MakeBackends, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    async with ScriptedServer(silent) as server:
        backends = make_backends(f"tcp://127.0.0.1:{server.port}")
        monkeypatch.setattr(backends, "_clock", lambda: now)
        assert await backends.reachable()
    now += 1.9
    assert await backends.reachable()
    now += 0.1
    assert not await backends.reachable()
