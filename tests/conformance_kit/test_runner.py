"""How checks are run and told of: their ends, limits of number and time, and the second try."""

import asyncio
import io
import ssl
import time
from dataclasses import replace

import pytest
from rich.console import Console

from boshgate.conformance import runner
from boshgate.conformance.check import Check, Fails, Level, NotOffered, Outcome, Transport, Unanswered
from boshgate.conformance.kit import Kit
from boshgate.conformance.report import Report
from boshgate.conformance.runner import Result, run, run_check
from boshgate.conformance.target import Account, Target

NOWHERE = Target(
    "http://localhost/", "ws://localhost/", "localhost", Account("alice"), tls=ssl.create_default_context()
)


def _check(coroutine: object) -> Check:
    async def attempt(_kit: Kit) -> str:
        """A rule."""
        return str(await coroutine())  # type: ignore[operator]

    return Check(
        "test.attempt", "Test", Transport.BOSH, Level.MUST, ("H1",), "XEP-0124 5", "A rule.", attempt, False
    )


async def test_a_check_ends_as_it_says() -> None:
    async def holds() -> str:
        return "seen"

    async def fails() -> str:
        raise Fails("another\nthing")

    async def is_not_offered() -> str:
        raise NotOffered("not there")

    async def loses() -> str:
        raise ConnectionResetError(104, "reset")

    async def has_a_bug() -> str:
        raise KeyError("x")

    async def never_ends() -> str:
        await asyncio.Event().wait()
        return ""

    expected = {
        holds: (Outcome.OK, "seen"),
        fails: (Outcome.FAILS, "another thing"),
        is_not_offered: (Outcome.NOT_OFFERED, "not there"),
        loses: (Outcome.FAILS, "the connection failed: connection reset by peer"),
        has_a_bug: (Outcome.FAILS, "bug in the kit: KeyError('x')"),
        never_ends: (Outcome.FAILS, "not done within 0 s"),
    }
    for coroutine, (outcome, reason) in expected.items():
        result = await run_check(_check(coroutine), NOWHERE, 0.05)
        assert (result.outcome, result.reason) == (outcome, reason)


async def test_no_more_checks_run_at_once_than_there_are_places() -> None:
    running: list[int] = [0]
    most: list[int] = [0]

    async def counts() -> str:
        running[0] += 1
        most[0] = max(most[0], running[0])
        await asyncio.sleep(0.01)
        running[0] -= 1
        return "counted"

    seen: list[str] = []
    checks = [_check(counts)] * 10
    results = await run(NOWHERE, checks, jobs=3, on_result=lambda result: seen.append(result.reason))
    assert most == [3]
    assert [result.outcome for result in results] == [Outcome.OK] * 10
    assert seen == ["counted"] * 10


def _after(*results: Exception | str, stall: float = 0.0) -> tuple[Check, list[float]]:
    """A check that ends as *results* say, one after the other, and the paces at which it was tried."""
    paces: list[float] = []

    async def attempt(kit: Kit) -> str:
        paces.append(kit.target.pace)
        time.sleep(stall)  # the machine has something else to do
        await asyncio.sleep(0)
        found = results[min(len(paces), len(results)) - 1]
        if isinstance(found, Exception):
            raise found
        return found

    check = Check(
        "test.again", "Test", Transport.BOSH, Level.MUST, ("H1",), "XEP-0124 5", "A.", attempt, False
    )
    return check, paces


async def test_there_are_no_more_logins_at_once_at_the_second_try_either() -> None:
    running = most = 0

    async def fails() -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        raise Fails("always")

    await run(NOWHERE, [replace(_check(fails), login=True)] * (runner.LOGINS * 3))
    assert most == runner.LOGINS


async def test_what_fails_once_is_tried_again_slowly() -> None:
    check, paces = _after(Fails("too slow"), "in time")
    seen: list[Result] = []
    (result,) = await run(NOWHERE, [check], on_result=seen.append)
    assert paces == [1.0, 2.0]
    assert seen == [result]
    assert (result.outcome, result.reason, result.failed_first) == (Outcome.OK, "in time", "too slow")


async def test_what_fails_twice_fails() -> None:
    check, paces = _after(Fails("wrong"))
    (result,) = await run(NOWHERE, [check])
    assert len(paces) == 2
    assert (result.outcome, result.reason, result.failed_first) == (Outcome.FAILS, "wrong", None)


async def test_the_second_try_comes_when_the_others_are_done() -> None:
    order: list[str] = []

    async def fails(_kit: Kit) -> str:
        order.append("fails")
        raise Fails("wrong")

    async def holds(_kit: Kit) -> str:
        await asyncio.sleep(0.05)
        order.append("holds")
        return "seen"

    await run(NOWHERE, [replace(_after()[0], run=fails), replace(_after()[0], run=holds)])
    assert order == ["fails", "holds", "fails"]


async def test_what_was_waited_for_long_enough_is_not_tried_again() -> None:
    check, paces = _after(Unanswered("no answer within 12 s"))
    (result,) = await run(NOWHERE, [check])
    assert len(paces) == 1
    assert result.outcome is Outcome.FAILS


async def test_a_kit_that_does_not_get_to_run_blames_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(runner, "BEAT_SECONDS", 0.01)
    check, paces = _after(Unanswered("no answer within 12 s"), stall=0.1)
    (result,) = await run(NOWHERE, [check])
    assert len(paces) == 3
    assert result.outcome is Outcome.NOT_OFFERED
    assert result.reason == "this machine is too busy to tell; seen: no answer within 12 s"


def test_what_held_at_the_second_try_only_is_shown() -> None:
    check, _ = _after()
    result = Result(check, Outcome.OK, "in time", 0.1, failed_first="too slow")
    console = Console(file=io.StringIO(), width=200)
    Report(NOWHERE, [result], [], 1.0).print(console)
    assert isinstance(console.file, io.StringIO)
    assert "in time (at the second try; at the first: too slow)" in console.file.getvalue()


def test_a_failure_says_the_rule_and_what_was_seen() -> None:
    check, _ = _after()
    console = Console(file=io.StringIO(), width=200)
    Report(NOWHERE, [Result(check, Outcome.FAILS, "nothing", 0.1)], [], 1.0).print(console)
    assert isinstance(console.file, io.StringIO)
    lines = [line.strip() for line in console.file.getvalue().splitlines()[:4]]
    assert lines == ["Test", "fails        test.again  [XEP-0124 5; must; H1]", "rule: A.", "seen: nothing"]


async def test_when_the_time_for_all_is_over_the_rest_is_not_tried() -> None:
    async def is_slow() -> str:
        await asyncio.Event().wait()
        return ""

    results = await run(NOWHERE, [_check(is_slow)] * 3, jobs=1, total_seconds=0.05)
    assert [result.outcome for result in results] == [Outcome.FAILS] * 3
    assert results[-1].reason.startswith("not tried: ")
