"""Small shapes of waiting that the session is built of: for ever, at most so long, until the first ends.

They decide nothing about what is done; a task that goes on for ever is never ended by a mistake in it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from sopwith_agent.domain import limits

_log = structlog.get_logger()


async def steadily(work: Callable[[], Awaitable[None]]) -> None:
    """Do something for as long as the agent runs; a mistake or a full disk in it costs a pause, never the agent."""
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001  the others go on
            _log.exception("task_crashed", task=getattr(work, "__name__", ""))
        await asyncio.sleep(limits.disk_retry_seconds)


async def at_most(seconds: float | None, event: asyncio.Event) -> None:
    """Wait for the event, at most so long; None: however long it takes."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def until_one_ends(*coroutines: Awaitable[None]) -> None:
    """Run all until the first ends; end the others, and raise what the first raised."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
