"""The computer's sleep, as the session lives with it: announced before it, silent during it, dialling at once after it.

Decides when a stream may be opened and when one that slept is given up; that the computer goes to sleep somebody else
notices (`wakefulness_port`). Rules: nothing is said on a stream after the announcement; a computer that does not fall
asleep after all, or whose waking nobody tells of, dials again after two minutes of being awake; a stream that was open
across a sleep is not trusted.
"""

import asyncio

from sopwith_agent.domain import limits
from sopwith_agent.steps.waiting import at_most


class Slumber:
    """Used in the session's loop."""

    def __init__(self) -> None:
        self.asleep = False
        self.announced = asyncio.Event()
        """Set once the stream ended that carried the announcement."""
        self._woken = asyncio.Event()

    def begin(self) -> None:
        """Say that the computer is about to sleep."""
        self.asleep = True
        self.announced.clear()
        self._woken.clear()

    def end(self) -> None:
        """Say that it is awake again."""
        self.asleep = False
        self._woken.set()

    async def over(self) -> None:
        """Wait until it is awake; called before each dial."""
        if self.asleep:
            self.announced.set()
            await at_most(limits.slumber_max_seconds, self._woken)
        self.asleep = False
        self._woken.clear()

    async def passed(self) -> None:
        """Wait until a sleep has passed that the stream at hand was open in."""
        await self._woken.wait()
