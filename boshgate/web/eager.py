"""Running a coroutine at once, up to the first point where it really has to wait.

An ASGI server's ``send`` is a coroutine that almost never waits: only when the client reads too slowly. A
task for each answer and each frame would cost more than the answer itself. So the coroutine is started here
and now, and only when it suspends does a task take it over (Python 3.12 has eager tasks for this purpose).
"""

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

Result = TypeVar("Result")


def run_eagerly(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    """Run *coroutine* now; return None when it is done, or the task that finishes it.

    Whatever the coroutine raises before it first waits is raised here.
    """
    try:
        waiting_for = coroutine.send(None)
    except StopIteration:
        return None
    return asyncio.get_running_loop().create_task(_finish(coroutine, waiting_for))


async def run_within(seconds: float, coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Await *coroutine*; raises TimeoutError after *seconds*. There is a timer only if it has to wait."""
    try:
        waiting_for = coroutine.send(None)
    except StopIteration as done:
        result: Result = done.value
        return result
    async with asyncio.timeout(seconds):
        return await _resume(coroutine, waiting_for)


async def _finish(coroutine: Coroutine[Any, Any, None], waiting_for: Any) -> None:
    await _resume(coroutine, waiting_for)


@types.coroutine
def _resume(coroutine: Coroutine[Any, Any, Result], waiting_for: Any) -> Generator[Any, Any, Result]:
    """Hand the task each future that *coroutine* waits for, the first of which it has named already."""
    while True:
        step: Callable[[Any], Any]
        try:
            argument = yield waiting_for
        except BaseException as exc:
            step, argument = coroutine.throw, exc
        else:
            step = coroutine.send
        try:
            waiting_for = step(argument)
        except StopIteration as done:
            result: Result = done.value
            return result
