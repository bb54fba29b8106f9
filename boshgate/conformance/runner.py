"""Runs the checks, several at once, each for a bounded time and with clients of its own.

What fails is tried once more when the others are done, few at once and slowly: that a machine, or the way to
it, was busy for a moment is no fault of an endpoint's.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass, replace

import httpx
from websockets.exceptions import WebSocketException

from boshgate.conformance.check import Check, Fails, NotOffered, Outcome, Transport, Unanswered
from boshgate.conformance.kit import Kit
from boshgate.conformance.target import Target
from boshgate.conformance.wire import describe

CHECK_SECONDS = 26.0
"""One check; closing its clients takes `CLEANUP_SECONDS` at most, so that 30 s are never passed."""

CLEANUP_SECONDS = 4.0

TOTAL_SECONDS = 290.0
"""All checks; those that are not done by then are reported as such."""

JOBS = 16
"""Checks at once: most only wait."""

LOGINS = 5
"""Of them with a login, of one session or two: ejabberd's example configuration allows a user ten."""

JOBS_AGAIN = 8
"""Checks at once at the second try."""

SLOWLY = 2
"""How much longer everything takes then."""

BEAT_SECONDS = 0.1

BUSY_SECONDS = 0.5
"""Where the kit itself did not get to run for so long, a failure says nothing of the endpoint."""


@dataclass(frozen=True, slots=True)
class Result:
    """How one check ended; *reason* is one line with what was seen."""

    check: Check
    outcome: Outcome
    reason: str
    seconds: float
    stalled: float = 0.0
    """Seconds for which the kit did not get to run meanwhile."""
    is_certain: bool = False
    """Another try would tell nothing new."""
    failed_first: str | None = None
    """What was seen at a first try that failed, where the second one did not."""


async def run(
    target: Target,
    checks: Sequence[Check],
    *,
    jobs: int = JOBS,
    total_seconds: float = TOTAL_SECONDS,
    on_result: Callable[[Result], None] = lambda _result: None,
) -> list[Result]:
    """Run *checks* and return their results in the same order; *on_result* gets each when it is final."""
    rounds = _Rounds(target, len(checks), jobs, total_seconds)

    async def one(check: Check) -> Result:
        result = await rounds.examine(check)
        on_result(result)
        return result

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(check)) for check in checks]
    return [task.result() for task in tasks]


class _Rounds:
    """The first try of every check, and then the second one of those that failed."""

    def __init__(self, target: Target, checks: int, jobs: int, total_seconds: float) -> None:
        self._target = target
        self._slow = replace(target, settle=target.settle * SLOWLY, pace=target.pace * SLOWLY)
        self._left = checks
        self._all_tried = asyncio.Event()
        self._places = asyncio.Semaphore(jobs)
        self._logins = asyncio.Semaphore(LOGINS)
        self._again = asyncio.Semaphore(min(jobs, JOBS_AGAIN))
        self._alone = asyncio.Lock()
        self._total_seconds = total_seconds
        self._deadline = time.monotonic() + total_seconds

    async def examine(self, check: Check) -> Result:
        """Try *check*, as often as needed."""
        async with self._login(check), self._places:
            result = await self._try(check, self._target)
        self._left -= 1
        if not self._left:
            self._all_tried.set()
        return await self._examine_again(check, result) if _is_doubtful(result) else result

    async def _examine_again(self, check: Check, first: Result) -> Result:
        await self._all_tried.wait()
        async with self._login(check), self._again:
            result = await self._try(check, self._slow, first)
        if _is_meaningless(result):
            async with self._alone:
                result = await self._try(check, self._slow, first)
        if _is_meaningless(result):
            return replace(
                result,
                outcome=Outcome.NOT_OFFERED,
                reason=f"this machine is too busy to tell; seen: {result.reason}",
            )
        return result if result.outcome is Outcome.FAILS else replace(result, failed_first=first.reason)

    def _login(self, check: Check) -> AbstractAsyncContextManager[object]:
        """A place among the logins, for a check that needs one."""
        return self._logins if check.login else nullcontext()

    async def _try(self, check: Check, target: Target, known: Result | None = None) -> Result:
        left = self._deadline - time.monotonic()
        if left > 0:
            return await run_check(check, target, min(left, CHECK_SECONDS))
        reason = f"not tried: {self._total_seconds:.0f} s for all are over"
        return known or Result(check, Outcome.FAILS, reason, 0.0, is_certain=True)


def _is_doubtful(result: Result) -> bool:
    return result.outcome is Outcome.FAILS and (not result.is_certain or _is_meaningless(result))


def _is_meaningless(result: Result) -> bool:
    return result.outcome is Outcome.FAILS and result.stalled > BUSY_SECONDS


async def run_check(check: Check, target: Target, seconds: float = CHECK_SECONDS) -> Result:
    """Run one check for at most so many *seconds*, and `CLEANUP_SECONDS` more."""
    began = time.monotonic()
    stack = AsyncExitStack()
    pulse = _Pulse()
    is_certain = False
    try:
        async with asyncio.timeout(seconds):
            outcome, reason, is_certain = await _outcome(check, Kit(target, stack))
    except TimeoutError:
        outcome, reason = Outcome.FAILS, f"not done within {seconds:.0f} s"
    stalled = await pulse.stop()
    try:
        async with asyncio.timeout(CLEANUP_SECONDS):
            await stack.aclose()
    except (TimeoutError, httpx.HTTPError, WebSocketException, OSError):
        pass  # the result stands, and the connections are closed with the process at the latest
    return Result(check, outcome, _one_line(reason), time.monotonic() - began, stalled, is_certain)


class _Pulse:
    """Beats as long as the kit gets to run: how long it did not, at worst, from its making to `stop`."""

    def __init__(self) -> None:
        self._longest = 0.0
        self._last = time.monotonic()
        self._beating = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self._note()

    def _note(self) -> None:
        now = time.monotonic()
        self._longest = max(self._longest, now - self._last - BEAT_SECONDS)
        self._last = now

    async def stop(self) -> float:
        """End it, and say how many seconds the longest pause took."""
        self._note()
        self._beating.cancel()
        await asyncio.wait([self._beating])
        return self._longest


async def _outcome(check: Check, kit: Kit) -> tuple[Outcome, str, bool]:
    """How it ended, what was seen, and whether that is certain."""
    if check.login and kit.target.account is None:
        return Outcome.NOT_OFFERED, "needs a login, and no account is given", True
    try:
        return Outcome.OK, await check.run(kit), True
    except Fails as failure:
        return Outcome.FAILS, str(failure), isinstance(failure, Unanswered)
    except NotOffered as missing:
        return Outcome.NOT_OFFERED, str(missing), True
    except TimeoutError:
        raise
    except (httpx.HTTPError, WebSocketException, OSError) as error:
        return Outcome.FAILS, f"the connection failed: {describe(error)}", False
    except Exception as error:  # whatever an endpoint sends, the others are checked
        return Outcome.FAILS, f"bug in the kit: {error!r}", True


def _one_line(reason: str, limit: int = 240) -> str:
    text = " ".join(reason.split())
    return text if len(text) <= limit else f"{text[:limit]}..."


def applicable(checks: Sequence[Check], transports: set[Transport]) -> list[Check]:
    """The checks of those *transports*."""
    return [check for check in checks if check.transport in transports]
