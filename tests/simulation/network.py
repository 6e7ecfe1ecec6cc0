"""One stream between a computer and a controller: ordered, delayed, and cut at any moment.

Decides what arrives and when. Rules, those of a connection: what arrives, arrives in order; a cut loses what is under
way, of what goes up a beginning may still arrive, late, even after the same computer's next stream said Hello; either
side may notice a cut late. Reports may reach the controller twice.
"""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from sopwith_controller.services.agent_reports import Report
from tests.simulation.faults import Faults

LATENCY_MAX_SECONDS = 0.4
NOTICED_WITHIN_SECONDS = 45.0
"""Keepalive: the longest time for which a side takes a dead stream for a live one."""


class Link:
    """One stream; `to_controller` and `to_computer` take messages, `lost_*` tell a side that it ended."""

    def __init__(self, computer_id: str, nonce: str, faults: Faults, loop: asyncio.AbstractEventLoop) -> None:
        self.computer_id = computer_id
        self.nonce = nonce
        self.cut_time: float | None = None
        self.to_controller: Callable[[Any], None]
        self.to_computer: Callable[[Any], None]
        self.lost_by_controller: Callable[[], None]
        self.lost_by_computer: Callable[[], None]
        self._faults = faults
        self._loop = loop
        self._up_at = self._down_at = 0.0
        self._numbers = itertools.count()
        self._up_going: dict[int, tuple[asyncio.TimerHandle, Any]] = {}
        self._down_going: dict[int, asyncio.TimerHandle] = {}

    @property
    def alive(self) -> bool:
        """Tell whether messages go through."""
        return self.cut_time is None

    def up(self, message: Any) -> None:
        """Send to the controller."""
        if self.alive:
            self._up_at = self._next(self._up_at)
            number = next(self._numbers)
            handle = self._loop.call_at(self._up_at, self._arrive_up, number, message)
            self._up_going[number] = (handle, message)

    def down(self, message: Any) -> None:
        """Send to the computer."""
        if self.alive:
            self._down_at = self._next(self._down_at)
            number = next(self._numbers)
            self._down_going[number] = self._loop.call_at(self._down_at, self._arrive_down, number, message)

    def cut(self, *, computer_knows: bool = False, controller_knows: bool = False) -> None:
        """End the stream; whoever does not know of it notices now or late."""
        if not self.alive:
            return
        self.cut_time = self._loop.time()
        for handle in self._down_going.values():
            handle.cancel()
        self._down_going.clear()
        self._lose_most()
        if not computer_knows:
            self._loop.call_later(self._noticed(), self._tell_computer)
        if not controller_knows:
            self._loop.call_later(self._noticed(), self._tell_controller)

    def _lose_most(self) -> None:
        """Of what goes up lose the end, and let the beginning arrive late."""
        going = list(self._up_going.values())
        self._up_going.clear()
        kept = self._faults.random.randint(0, len(going))
        late = self._faults.between(0.0, 10.0) if self._faults.happens(0.5) else 0.0
        for position, (handle, message) in enumerate(going):
            when = handle.when()
            handle.cancel()
            if position < kept:
                self._loop.call_at(when + late, self.to_controller, message)

    def _tell_computer(self) -> None:
        self.lost_by_computer()

    def _tell_controller(self) -> None:
        self.lost_by_controller()

    def _arrive_up(self, number: int, message: Any) -> None:
        self._up_going.pop(number, None)
        self.to_controller(message)
        if isinstance(message, Report) and self._faults.happens(self._faults.rates.message_twice):
            self.to_controller(message)

    def _arrive_down(self, number: int, message: Any) -> None:
        self._down_going.pop(number, None)
        self.to_computer(message)

    def _next(self, after: float) -> float:
        """Return when a message arrives: after the one before it, for timers of one instant keep no order."""
        return max(after + 1e-4, self._loop.time() + self._faults.between(0.01, LATENCY_MAX_SECONDS))

    def _noticed(self) -> float:
        late = self._faults.happens(self._faults.rates.half_open)
        return self._faults.between(5.0, NOTICED_WITHIN_SECONDS) if late else 0.05
