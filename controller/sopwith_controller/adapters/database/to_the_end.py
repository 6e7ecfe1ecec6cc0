"""Letting what was begun with the database end, whatever happens to the task that waits for it.

A person who presses Ctrl-C, a computer that hangs up, or a controller that stops cancels a task, perhaps in the middle
of a statement. A driver that is cancelled there throws its connection away with the transaction still open, and the
next writer finds the database locked. Rule: a statement, a commit or a rollback that was begun is waited for; the
cancellation comes right after it.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Return what the work returns; a cancellation is raised once the work has ended."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await settled(task)
        raise


async def settled(task: "asyncio.Task[Any]") -> None:
    """Wait until a task has ended, however often the waiting is cancelled."""
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            continue
    if not task.cancelled():
        task.exception()
