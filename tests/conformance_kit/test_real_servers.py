"""The kit against the gateway before real servers, and against the servers' own endpoints."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from boshgate.conformance.checks import all_checks
from boshgate.conformance.runner import CHECK_SECONDS, CLEANUP_SECONDS
from tests.conformance_kit.real import Run, conformance, discoverable
from tests.support.requirements import MissingProgramError, skip_or_fail
from tests.support.servers import XmppServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(320)]


class Runs(NamedTuple):
    """A run against the gateway before a server, and one against the server's own endpoints."""

    gateway: Run
    own: Run


@pytest.fixture(scope="session")  # not of the module: pytest sorts the tests of all modules by their server
def all_runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Runs]:
    """The runs with each of the servers that are installed and asked for, all at once: they mostly wait."""
    asked = {
        str(item.callspec.params["server"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module.__name__ == __name__
    }
    servers: list[XmppServer] = []
    for name in sorted(asked):
        with suppress(pytest.skip.Exception):  # the tests with that server say why
            servers.append(request.getfixturevalue(name))

    async def together() -> list[Runs]:
        return await asyncio.gather(
            *(examine(server, tmp_path_factory.mktemp(f"conformance-{server.name}")) for server in servers)
        )

    try:
        return dict(zip((server.name for server in servers), asyncio.run(together()), strict=True))
    except MissingProgramError as error:
        skip_or_fail(str(error))


async def examine(server: XmppServer, directory: Path) -> Runs:
    """The kit against the gateway before *server*, and against the server."""
    with discoverable(server, directory / "gateway") as (gateway, origin):
        return Runs(
            *await asyncio.gather(
                conformance(server, gateway, directory / "gateway.json", "--origin", origin),
                conformance(server, server, directory / "own.json"),
            )
        )


@pytest.fixture
def runs(server: XmppServer, all_runs: dict[str, Runs]) -> Runs:
    """The runs with the server of the test."""
    return all_runs[server.name]


def assert_sound(run: Run) -> None:
    """The kit came to its end, in time, and its report is whole."""
    assert "Traceback" not in run.output + run.errors
    report = run.report
    assert report["broken"] == []
    assert len(report["checks"]) == len(all_checks()) == sum(report["total"].values())
    assert report["seconds"] < 300
    assert {check["result"] for check in report["checks"]} <= {"ok", "fails", "not offered"}
    for check in report["checks"]:
        assert check["seconds"] <= CHECK_SECONDS + CLEANUP_SECONDS, check
        assert check["reason"], check
        assert "bug in the kit" not in check["reason"], check
    assert run.status == (1 if report["total"]["fails"] else 0)


def test_the_gateway_holds_what_it_offers(runs: Runs) -> None:
    assert_sound(runs.gateway)
    assert runs.gateway.names("fails") == set(), runs.gateway.output
    offered = {name.partition(".")[0] for name in runs.gateway.names("ok")}
    assert {"acks", "keys", "polling", "legacy", "discovery"} <= offered


def test_the_servers_own_endpoints_are_examined_to_the_end(runs: Runs) -> None:
    assert_sound(runs.own)
    assert len(runs.own.names("ok")) > len(runs.own.names("fails")) > 0
