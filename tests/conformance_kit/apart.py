"""Gateways in processes of their own, each with its seeded bug or its settings, and the kit to examine them.

A bug is seeded into a whole process, and a check mostly waits: so several run at once.
"""

import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import uvloop

from boshgate.conformance.check import Outcome
from boshgate.conformance.runner import run
from tests.conformance_kit.bugs import BUGS
from tests.conformance_kit.front import CHECKS, examined, result_of

WORKERS = 8
"""Processes; they wait for timers most of the time."""

Tables = Mapping[str, dict[str, Any]]


class Seen(NamedTuple):
    """How a check ended."""

    name: str
    outcome: Outcome
    reason: str


def with_bug(name: str, checks: Sequence[str]) -> list[Seen]:
    """Run *checks* against a gateway with the bug of that *name*, each once."""
    return uvloop.run(_examine(checks, bug=name))


def with_settings(tables: Tables, checks: Sequence[str]) -> list[Seen]:
    """Run *checks* against a gateway with the configuration *tables*, as the command does."""
    return uvloop.run(_examine(checks, tables=tables))


async def _examine(
    checks: Sequence[str], *, tables: Tables | None = None, bug: str | None = None
) -> list[Seen]:
    async with examined(**(tables or {})) as target:
        with BUGS[bug].seed() if bug is not None else nullcontext():
            if bug is not None:
                results = [await result_of(name, target) for name in checks]
            else:
                results = await run(target, [CHECKS[name] for name in checks])
    return [Seen(result.check.name, result.outcome, result.reason) for result in results]


Runs = dict[str, "Future[list[Seen]]"]


@contextmanager
def pool() -> Iterator[ProcessPoolExecutor]:
    """The processes; what nobody waits for any more is not begun."""
    executor = ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)
