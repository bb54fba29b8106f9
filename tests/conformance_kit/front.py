"""A gateway in this process before the demo's XMPP server, and the kit that examines it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from boshgate.conformance.check import Check
from boshgate.conformance.checks import all_checks
from boshgate.conformance.runner import Result, run_check
from boshgate.conformance.target import Account, Target
from boshgate.demo.server import DemoServer
from tests.web.front import DOMAIN, configure, refusing, running

CHECKS = {check.name: check for check in all_checks()}


@asynccontextmanager
async def examined(**tables: dict[str, Any]) -> AsyncIterator[Target]:
    """A gateway with the configuration *tables*, as the target of the kit."""
    sock, down = refusing()
    with sock:
        async with DemoServer(DOMAIN) as server:
            account = Account("alice", server.accounts.password)
            config = configure(f"tcp://127.0.0.1:{server.port}", str(down), **tables)
            async with running(config) as front:
                yield Target(front.bosh_url, front.websocket_url, DOMAIN, account, settle=0.1, patience=4.0)


async def result_of(name: str, target: Target) -> Result:
    """Run the check of that *name*."""
    check: Check = CHECKS[name]
    return await run_check(check, target)
