"""A coroutine is run at once, and only finished by a task where it has to wait."""

import asyncio

import pytest

from boshgate.web.eager import run_eagerly, run_within


async def test_what_does_not_wait_is_done_at_once() -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("work")

    assert run_eagerly(work()) is None
    assert done == ["work"]


async def test_what_waits_is_finished_by_a_task() -> None:
    first = asyncio.Event()
    second: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    steps: list[str] = []

    async def work() -> None:
        steps.append("started")
        await first.wait()
        steps.append("first")
        steps.append(await second)

    task = run_eagerly(work())
    assert task is not None
    assert steps == ["started"]
    first.set()
    second.set_result("second")
    await task
    assert steps == ["started", "first", "second"]


async def test_an_error_at_once_is_raised_here() -> None:
    async def work() -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        run_eagerly(work())


async def test_a_later_error_is_the_tasks() -> None:
    event = asyncio.Event()

    async def work() -> None:
        await event.wait()
        raise OSError("gone")

    task = run_eagerly(work())
    assert task is not None
    event.set()
    with pytest.raises(OSError, match="gone"):
        await task


async def test_a_cancelled_task_cancels_the_coroutine() -> None:
    cleaned: list[str] = []

    async def work() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cleaned.append("up")

    task = run_eagerly(work())
    assert task is not None
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned == ["up"]


async def test_a_coroutine_that_survives_an_exception_goes_on_waiting() -> None:
    broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    mended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    result: list[str] = []

    async def work() -> None:
        try:
            await broken
        except ValueError:
            result.append(await mended)

    task = run_eagerly(work())
    assert task is not None
    broken.set_exception(ValueError())
    await asyncio.sleep(0)
    mended.set_result("mended")
    await task
    assert result == ["mended"]


async def test_what_does_not_wait_needs_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> str:
        return "done"

    def fail(_: float) -> None:
        raise AssertionError("there is nothing to wait for")

    monkeypatch.setattr(asyncio, "timeout", fail)
    assert await run_within(1, work()) == "done"


async def test_what_waits_may_take_its_time() -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work() -> str:
        return await answer + await answer

    running = asyncio.create_task(run_within(10, work()))
    await asyncio.sleep(0)
    answer.set_result("a")
    assert await running == "aa"


async def test_what_takes_too_long_is_cancelled() -> None:
    cleaned: list[str] = []

    async def work() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cleaned.append("up")

    with pytest.raises(TimeoutError):
        await run_within(0.001, work())
    assert cleaned == ["up"]


@pytest.mark.parametrize("turns", [0, 1])
async def test_an_exception_comes_out(turns: int) -> None:
    async def work() -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        raise ValueError("from inside")

    with pytest.raises(ValueError, match="from inside"):
        await run_within(1, work())
